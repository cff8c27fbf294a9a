#!/bin/sh
# The tree is the architecture: a floor includes only itself and the floors below it, and library code neither opens
# files where it must not, nor prints, nor exits. Usage: includes.sh SOURCE
set -eu
broken=0

complain() {
    printf '%s\n' "$1"
    broken=1
}

# floor SOURCE NAME ALLOWED...: every #include "x/y.h" of folder NAME names NAME or one of ALLOWED.
floor() {
    source=$1 name=$2
    [ -d "$source/$name" ] || return 0
    shift
    allowed=" $* "
    for file in "$source/$name"/*; do
        case $file in *.[ch] | *.cu | *.cuh | *.cpp | *.in) ;; *) continue ;; esac
        for include in $(sed -n 's|^[[:space:]]*#[[:space:]]*include[[:space:]]*"\([^"]*\)".*|\1|p' "$file"); do
            case $include in */*) ;; *) continue ;; esac # beside the file itself
            case $allowed in
            *" ${include%%/*} "*) ;;
            *) complain "$name/${file##*/} includes \"$include\": floor $name may include only$allowed" ;;
            esac
        done
    done
}

# without SOURCE NAME PATTERN WHY: no code line of folder NAME matches PATTERN.
without() {
    set -- "$1/$2" "$3" "$4" "$1/$2"/*.c
    [ -e "$4" ] || return 0
    found=$(grep -HnE "$2" "$1"/*.c | grep -vE '^[^:]*:[0-9]+:[[:space:]]*(/\*|\*|//)' || true)
    [ -z "$found" ] || complain "$3:
$found"
}

# torch_stays_inside SOURCE: only the private headers and the C++ sources of nn see LibTorch.
torch_stays_inside() {
    found=$(grep -rlE '#[[:space:]]*include[[:space:]]*<(ATen|c10|torch)/' "$1" --include='*.[ch]' --include='*.cpp' 2>/dev/null |
        grep -vE '/nn/[a-z_]*(\.cpp|_private\.h)$|/build/' || true)
    [ -z "$found" ] || complain "these see LibTorch:
$found"
}

check() {
    floor "$1" core
    floor "$1" io core
    floor "$1" nn core
    floor "$1" registration core
    floor "$1" phantom core registration
    floor "$1" diffusion core nn
    floor "$1" cli core io nn registration phantom diffusion
    for name in core io nn registration phantom diffusion; do
        without "$1" "$name" '(^|[^_[:alnum:]])(printf|puts|putchar|perror|exit|abort|_exit)[[:space:]]*\(' \
            "library code prints or ends the program"
        without "$1" "$name" '(^|[^_[:alnum:]])fprintf[[:space:]]*\([[:space:]]*std(out|err)' "library code prints"
    done
    for name in core nn registration phantom diffusion; do
        without "$1" "$name" '(^|[^_[:alnum:]])(fopen|freopen|open|creat|rename|unlink|remove)[[:space:]]*\(' \
            "floor $name opens no files"
    done
    torch_stays_inside "$1"
}

# The check must be able to fail: a tree with one breach of each kind is refused.
sample=$(mktemp -d)
trap 'rm -rf "$sample"' EXIT
mkdir "$sample/core" "$sample/registration" "$sample/io" "$sample/nn"
must_fail() {
    check "$sample" >/dev/null
    if [ $broken = 0 ]; then
        printf 'the check lets through: %s\n' "$1"
        exit 1
    fi
    broken=0
    rm -f "$sample"/*/*.c
}
printf '#include "io/nifti.h"\n' >"$sample/core/a.c" && must_fail "core including io"
printf '  #  include  "io/nifti.h"\n' >"$sample/registration/a.c" && must_fail "registration including io"
printf 'void f(void) { printf("x"); }\n' >"$sample/io/a.c" && must_fail "io printing"
printf 'void f(void) { fopen("x", "r"); }\n' >"$sample/core/a.c" && must_fail "core opening a file"
printf '#include "io/nifti.h"\n' >"$sample/nn/a.c" && must_fail "nn including io"
printf '#include <ATen/ATen.h>\n' >"$sample/core/a.c" && must_fail "core seeing LibTorch"
printf '/* printf(1) */\nint f(void) { return vsl_fopen(); }\n' >"$sample/core/a.c" && check "$sample"

check "$1"
[ $broken = 0 ] && printf 'the floors include only what lies below them\n'
exit $broken
