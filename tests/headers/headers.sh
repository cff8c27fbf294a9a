#!/bin/sh
# Every header of the library that other files include compiles alone. tests/outsider does the same, as C++ too, for what is installed.
# Usage: headers.sh SOURCE CC
set -eu
source=$1 cc=$2
warnings="-Wall -Wextra -Wpedantic -Wshadow -Werror"
broken=0 count=0
cd "$source"
for header in core/*.h io/*.h nn/*.h registration/*.h phantom/*.h diffusion/*.h; do
    [ -e "$header" ] || continue
    case $header in *_private.h) continue ;; esac # parts of one source's own, compiled with it
    count=$((count + 1))
    # shellcheck disable=SC2086 # a list of flags
    printf '#include "%s"\nextern int not_empty;\n' "$header" | $cc -std=c17 $warnings -I. -fsyntax-only -x c - || broken=1
done
[ $count -gt 0 ] || broken=1
[ $broken = 0 ] && printf '%d headers compile alone\n' $count
exit $broken
