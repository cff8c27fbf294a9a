# Exit codes: 2 bad command line, 3 bad input, 4 some failed, 5 cannot write, 6 memory; and sentences that help.
. "$2/tests/cli/lib.sh"
heads
in="--fixed fixed.nii.gz --moving moving.nii.gz"
: >empty.nii
head -c 3000 fixed.nii.gz >cut.nii.gz
echo "not an image" >text.nii.gz

# shellcheck disable=SC2086 # lists of words
{
    exits 2 "$vesal" register --fixed fixed.nii.gz --out x_
    says "--moving FILE is missing"
    exits 2 "$vesal" register $in --out
    exits 2 "$vesal" register --fixed --moving moving.nii.gz --out x_
    exits 2 "$vesal" register $in --out x_ extra
    exits 2 "$vesal" register $in --out x_ --metric cosine
    says "ssd,lncc,mi"
    exits 2 "$vesal" register $in --out x_ --stages lddmm,rigid
    exits 2 "$vesal" register $in --out x_ --threads 1.5
    exits 2 "$vesal" register $in --out x_ --threads -1
    exits 2 "$vesal" register $in --out x_ --seed 18446744073709551616
    exits 2 "$vesal" register $in --out x_ --device gpu
    exits 2 "$vesal" register $in --out x_ --preset slow
    exits 2 "$vesal" register $in --out x_ --fixed-labels fixed_labels.nii.gz
    exits 2 "$vesal" register $in --fixed fixed.nii.gz --out x_
    exits 2 "$vesal" register $in --out x_ --json=yes
    exits 3 "$vesal" register --fixed none.nii.gz --moving moving.nii.gz --out x_
    says "none.nii.gz"
    for bad in empty.nii cut.nii.gz text.nii.gz; do
        exits 3 "$vesal" register --fixed fixed.nii.gz --moving $bad --out x_
        says "$bad"
        exits 3 "$vesal" info $bad
        exits 3 "$vesal" convert $bad y.nii.gz
        exits 3 "$vesal" apply --fixed fixed.nii.gz --moving $bad --out y.nii.gz
        exits 3 "$vesal" evaluate --image fixed.nii.gz --against $bad
    done
    exits 3 "$vesal" register $in --out x_ --initial fixed.nii.gz
    exits 3 "$vesal" register $in --out x_ --fixed-mask cohort/README
    exits 5 "$vesal" register $in --out no/such/folder/x_
    says "no/such/folder"
    exits 6 "$vesal" register $in --out x_ --mem-mb 1
    exits 6 "$vesal" register $in --out x_ --mem-mb 2
    says "needs at least"
    exits 3 "$vesal" apply $in --out y.nii.gz -t fixed.nii.gz
    says "is no transform"
    exits 2 "$vesal" apply $in --out y.nii.gz -t "[fixed.nii.gz,2]"
    exits 2 "$vesal" apply $in --out y.mp3
}
check "a run that failed leaves no output" sh -c '! ls x_* y.* 2>/dev/null | grep .'
exits 2 "$vesal" evaluate
exits 2 "$vesal" evaluate --image fixed.nii.gz
exits 2 "$vesal" evaluate --labels fixed_labels.nii.gz --image fixed.nii.gz --against fixed.nii.gz
exits 2 "$vesal" convert fixed.nii.gz
exits 2 "$vesal" convert fixed.nii.gz y.nii.gz --orientation RAR
exits 2 "$vesal" convert fixed.nii.gz y.nii.gz --spacing 1,2
exits 2 "$vesal" convert fixed.nii.gz y.nii.gz --spacing 1,2,0
exits 2 "$vesal" jacobian --out y.nii.gz
exits 4 "$vesal" info none.nii fixed.nii.gz
exits 3 "$vesal" info none.nii none2.nii
exits 3 "$vesal" data verify none.tsv
mkdir -p folder.nii.gz
exits 5 "$vesal" convert fixed.nii.gz folder.nii.gz
cp fixed.nii.gz there.nii.gz
exits 5 "$vesal" convert fixed.nii.gz there.nii.gz
says "--overwrite"
exits 0 "$vesal" convert fixed.nii.gz there.nii.gz --overwrite
if [ -w /dev/full ]; then
    "$vesal" info fixed.nii.gz >/dev/full 2>err.txt
    check "a full disk under standard output ends with 5" [ $? = 5 ]
fi
exits 5 sh -c "ulimit -f 8; exec '$vesal' convert fixed.nii.gz large.nii"
check "a write that fails leaves nothing" sh -c '! ls -a | grep large'
check "a closed standard output does no harm" sh -c "'$vesal' info fixed.nii.gz >&-"
"$vesal" info fixed.nii.gz fixed.nii.gz fixed.nii.gz 2>err.txt | head -n 1 >/dev/null
check "a reader that goes away is no error to talk about" [ ! -s err.txt ]
verdict
