# What the command's tests share. Usage of a test: sh TEST.sh VESAL SOURCE SCRATCH
# The scratch folder is made anew; the verdict is the exit code of `verdict`.
set -u
vesal=$1 source_folder=$2 scratch=$3
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch" || exit 1
export LSAN_OPTIONS="suppressions=$source_folder/tests/cli/lsan.supp:print_suppressions=0"
checks=0 failures=0

# For scripts of learned commands: gcc 12's leak check crashes in the thread-local storage of LibTorch's threads. That of
# nn and diffusion is the work of their own tests, which have no module to open.
no_leak_check() {
    export ASAN_OPTIONS="${ASAN_OPTIONS:+$ASAN_OPTIONS:}detect_leaks=0"
}

# check SENTENCE COMMAND...: the command must succeed.
check() {
    sentence=$1
    shift
    checks=$((checks + 1))
    if "$@" >check.out 2>&1; then
        echo "ok   $sentence"
    else
        failures=$((failures + 1))
        echo "FAIL $sentence: $*"
        sed 's/^/       /' check.out
    fi
}

# exits CODE COMMAND...: its exit code; stdout and stderr are left in out.txt and err.txt.
exits() {
    want=$1
    shift
    checks=$((checks + 1))
    "$@" >out.txt 2>err.txt
    got=$?
    if [ "$got" = "$want" ]; then
        echo "ok   exit $want: $(printf '%s ' "$@" | sed "s|$vesal|vesal|" | cut -c1-120)"
    else
        failures=$((failures + 1))
        echo "FAIL exit $got, expected $want: $*"
        sed 's/^/       /' err.txt
    fi
}

# says TEXT: the last command of `exits` said so on stderr.
says() {
    check "it says '$1'" grep -q -- "$1" err.txt
}

# number FILE KEY: the first value of a key in a JSON file.
number() {
    sed -n "s/^ *\"$2\": \([-0-9.e+]*\),\{0,1\}$/\1/p" "$1" | head -n 1
}

# compare A OPERATOR B: numbers; an empty one fails.
compare() {
    awk -v a="$1" -v b="$3" "BEGIN { exit !(a != \"\" && b != \"\" && a + 0 $2 b + 0) }"
}

# heads: two small phantom heads as fixed.nii.gz, moving.nii.gz and their label maps.
heads() {
    "$vesal" phantom -q --out cohort --subjects 2 --visits 1 --seed 5 --size 32,40,32 || exit 1
    cp cohort/sub-01/ses-01/anat/sub-01_ses-01_T1w.nii.gz fixed.nii.gz
    cp cohort/sub-02/ses-01/anat/sub-02_ses-01_T1w.nii.gz moving.nii.gz
    cp cohort/derivatives/phantom/sub-01/ses-01/anat/sub-01_ses-01_dseg.nii.gz fixed_labels.nii.gz
    cp cohort/derivatives/phantom/sub-02/ses-01/anat/sub-02_ses-01_dseg.nii.gz moving_labels.nii.gz
}

verdict() {
    echo "$checks checks, $failures failed"
    [ "$failures" = 0 ] && [ "$checks" -gt 0 ]
    exit
}
