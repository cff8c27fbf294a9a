#!/bin/sh
# What is in the process beside us. Usage: symbols.sh LIBVESAL COMMAND WITH_IO(0|1)
# 1. libvesal exports vsl_ names and nothing else. 2. Exactly one library of the process defines nifti_image_read: two
# copies of niftilib in one process read files wrongly. 3. Neither library nor command needs LibTorch, ITK or Python.
set -eu
library=$1 command=$2 with_io=$3
broken=0

foreign=$(nm -D --defined-only "$library" | awk '$2 ~ /[TDBRVW]/ && $3 !~ /^vsl_/ && $3 !~ /^_(init|fini)$/ {print $3}')
if [ -n "$foreign" ]; then
    printf 'libvesal exports names that are not its own:\n%s\n' "$foreign"
    broken=1
fi
for binary in "$library" "$command"; do
    [ -e "$binary" ] || continue
    owners= count=0
    for file in "$binary" $(ldd "$binary" | awk '$3 ~ /^\// {print $3}'); do
        # Of the command its own symbol table counts too: it could carry a static copy.
        if { nm -D --defined-only "$file" 2>/dev/null && nm --defined-only "$file" 2>/dev/null; } |
            grep -q ' [Tt] nifti_image_read$'; then
            owners="$owners $file" count=$((count + 1))
        fi
    done
    if [ "$with_io" = 1 ] && [ $count != 1 ]; then
        printf '%s: %d libraries define nifti_image_read, expected one:%s\n' "$binary" $count "$owners"
        broken=1
    fi
    if ldd "$binary" | grep -E 'libtorch|libc10|libITK|libitk|libpython'; then
        printf '%s must not need these\n' "$binary"
        broken=1
    fi
done
[ $broken = 0 ] && printf 'one owner of nifti_image_read, no foreign names\n'
exit $broken
