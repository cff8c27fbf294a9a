#!/bin/sh
# Every header that others include compiles alone as C17, those that are installed as C++17 too.
# Usage: headers.sh SOURCE CC CXX
set -eu
source=$1 cc=$2 cxx=$3
warnings="-Wall -Wextra -Wpedantic -Wshadow -Werror"
broken=0 count=0
cd "$source"
for header in core/*.h io/*.h registration/*.h phantom/*.h cli/*.h; do
    [ -e "$header" ] || continue
    case $header in *_private.h) continue ;; esac # parts of one source's own, compiled with it
    count=$((count + 1))
    # shellcheck disable=SC2086 # a list of flags
    printf '#include "%s"\nextern int not_empty;\n' "$header" | $cc -std=c17 $warnings -I. -fsyntax-only -x c - || broken=1
    case $header in cli/*) continue ;; esac
    # shellcheck disable=SC2086
    printf '#include "%s"\nextern int not_empty;\n' "$header" | $cxx -std=c++17 $warnings -I. -fsyntax-only -x c++ - || broken=1
done
[ $count -gt 0 ] || broken=1
[ $broken = 0 ] && printf '%d headers compile alone\n' $count
exit $broken
