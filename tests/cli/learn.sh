# The learned verbs live in a module that is opened for them alone.
. "$2/tests/cli/lib.sh"
no_leak_check
module=$(dirname "$vesal")/libvesal_learn.so

# opened COMMAND...: libraries that the run looked for, whatever it ended with.
opened() {
    LD_DEBUG=files "$@" 2>&1 >/dev/null | grep -oE 'file=[^ ]+' | sort -u
}

check "the command needs no LibTorch to start" sh -c "! ldd '$vesal' | grep -qE 'libtorch|libc10'"
check "the module shows one function" \
    [ "$(nm -D --defined-only "$module" | awk '$2 ~ /[TDBRVW]/ { print $3 }')" = vesal_learn_main ]
heads
opened "$vesal" register -q --fixed fixed.nii.gz --moving moving.nii.gz --out out_ --preset fast >files.txt
check "the run of register was watched" grep -q libfftw3f files.txt
check "a registration was made" [ -s out_0GenericAffine.mat ]
check "register opens no LibTorch" sh -c "! grep -qE 'libtorch|libc10|vesal_learn' files.txt"
opened "$vesal" --help >files.txt
check "nor does the list of commands" sh -c "! grep -qE 'libtorch|libc10|vesal_learn' files.txt"
opened "$vesal" diffusion doctor --help >files.txt
check "a learned command does" grep -q libtorch files.txt

# Each name and purpose of the list is that of the module.
exits 0 "$vesal" --help
check "the list has learned commands" grep -q '^  diffusion ' out.txt
cp out.txt list.txt
verbs=$(sed -n 's/^  \(diffusion [a-z]*\) .*/\1/p' list.txt)
[ -n "$verbs" ] || check "there are learned commands" false
for second in $(echo "$verbs" | cut -d' ' -f2); do
    exits 0 "$vesal" diffusion "$second" --help
    check "help of diffusion $second is the module's" grep -q "^vesal diffusion $second - " out.txt
    for flag in --json --threads --seed --device --overwrite --mem-mb --help -q -v; do
        check "help of diffusion $second has $flag" grep -q -e "^  $flag" out.txt
    done
    "$vesal" --reference diffusion "$second" >page.md
    check "docs/cli of diffusion $second is current (docs/cli/make.sh renews it)" \
        cmp page.md "$source_folder/docs/cli/diffusion-$second.md"
done
exits 2 "$vesal" diffusion
says "did you mean 'diffusion"
exits 2 "$vesal" diffusion docter
says "did you mean 'diffusion doctor'"
exits 2 "$vesal" diffusion doctor --jsn
says "did you mean --json?"

exits 0 "$vesal" diffusion doctor --json
check "the doctor names LibTorch" grep -q '"runtime": "LibTorch ' out.txt
exits 6 "$vesal" diffusion doctor --device cuda:99
exits 6 "$vesal" diffusion doctor --mem-mb 1
says "memory budget"

# A command without its module, then with one that is not ours, then with one that cannot be loaded.
mkdir -p alone/bin
cp "$vesal" alone/bin/vesal
exits 1 alone/bin/vesal diffusion doctor
says "libvesal_learn.so, cannot be opened: it is not there"
exits 0 alone/bin/vesal info fixed.nii.gz
echo "not a library" >alone/bin/libvesal_learn.so
exits 1 alone/bin/vesal diffusion doctor
says "cannot be opened: "
cp "$(ldd "$vesal" | awk '/libfftw3f/ { print $3 }')" alone/bin/libvesal_learn.so
exits 1 alone/bin/vesal diffusion doctor
says "the module of another version"
verdict
