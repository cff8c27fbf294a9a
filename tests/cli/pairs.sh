# vesal register --pairs: the files of each pair are those of a run of its own, a pair that fails ends no other, and a
# run that was stopped goes on.
. "$2/tests/cli/lib.sh"
heads
mkdir images
mv fixed.nii.gz moving.nii.gz fixed_labels.nii.gz moving_labels.nii.gz images
cd images || exit 1
head -c 3000 fixed.nii.gz >cut.nii.gz
cp fixed_labels.nii.gz mask.nii.gz # weights like any others
cd ..

row() { # cells, with tabs between
    printf '%s' "$1"
    shift
    printf '\t%s' "$@"
    printf '\n'
}
{
    row fixed moving out fixed_labels moving_labels fixed_mask
    row fixed.nii.gz moving.nii.gz a/x_ fixed_labels.nii.gz moving_labels.nii.gz n/a
    row fixed.nii.gz none.nii.gz b_ n/a n/a n/a
    row moving.nii.gz fixed.nii.gz c_ n/a n/a n/a
    row fixed.nii.gz cut.nii.gz d_ n/a n/a n/a
    row fixed.nii.gz moving.nii.gz e_ n/a n/a mask.nii.gz
} >images/pairs.tsv
# status OUT FOLDER: what pairs.tsv says of a pair.
status() {
    awk -F '\t' -v out="$1" '$1 == out { print $2, $3 }' "$2/pairs.tsv"
}
how="--stages affine,lddmm --linear-iterations 5 --levels 1 --fine-iterations 3"

# shellcheck disable=SC2086 # lists of words
{
    exits 4 "$vesal" register --pairs images/pairs.tsv --out one $how --threads 3
    says "none.nii.gz"
    says "5 pairs: 3 done, 0 kept, 2 failed, 0 not finished"
    check "the failed pairs are listed with their codes" \
        [ "$(status b_ one) $(status d_ one)" = "failed 3 failed 3" ]
    check "the others are done" [ "$(status a/x_ one) $(status c_ one) $(status e_ one)" = "done 0 done 0 done 0" ]
    check "in the order of the table" [ "$(cut -f 1 one/pairs.tsv | tr '\n' ' ')" = "out a/x_ b_ c_ d_ e_ " ]
    check "Dice is there where labels were" [ "$(awk -F '\t' '$6 + 0 > 0.1 { print $1 }' one/pairs.tsv)" = "a/x_" ]
    check "failed pairs leave nothing" sh -c '! ls one/b_* one/d_* 2>/dev/null | grep .'
    check "and no temporary stays" sh -c '! find one -name ".*tmp*" | grep .'

    exits 0 "$vesal" register --fixed images/fixed.nii.gz --moving images/moving.nii.gz --out alone_ $how -q \
        --fixed-labels images/fixed_labels.nii.gz --moving-labels images/moving_labels.nii.gz
    exits 4 "$vesal" register --pairs images/pairs.tsv --out two $how --threads 2 --at-once 1 --json -q
    check "--json holds the rows" [ "$(grep -c '"status"' out.txt)" = 5 ]
    exits 4 "$vesal" register --pairs images/pairs.tsv --out three $how --threads 1 --at-once 3 -q
    for file in 0GenericAffine.mat 1Warp.nii.gz 1InverseWarp.nii.gz Warped.nii.gz InverseWarped.nii.gz Jacobian.nii.gz \
        Velocity.h5 Report.png; do
        for folder in one two three; do
            check "$folder/a/x_$file is that of a run of its own" cmp $folder/a/x_$file alone_$file
        done
        check "other lanes, the same e_$file" cmp one/e_$file three/e_$file
    done
    check "and so is the report's Dice" \
        [ "$(number one/a/x_Report.json mean_after)" = "$(number alone_Report.json mean_after)" ]

    exits 4 "$vesal" register --pairs images/pairs.tsv --out four $how --threads 3 --mem-mb 100
    says "5 pairs, 2 at a time with 1 thread each" # 100 MiB hold two such pairs

    # what is there is not replaced, and a run goes on where it was stopped
    exits 5 "$vesal" register --pairs images/pairs.tsv --out one $how
    says "--overwrite"
    cp images/moving.nii.gz images/none.nii.gz
    cp images/moving.nii.gz images/cut.nii.gz
    rm one/c_Warped.nii.gz one/e_Report.json
    exits 0 "$vesal" register --pairs images/pairs.tsv --out one $how --resume
    says "5 pairs: 4 done, 1 kept, 0 failed"
    check "what was whole is kept" [ "$(status a/x_ one)" = "kept 0" ]
    check "what was not is made anew" cmp one/c_Warped.nii.gz two/c_Warped.nii.gz
    exits 4 "$vesal" register --pairs images/pairs.tsv --out two $how --resume --window 3
    says "was made with other options"
    check "other options are told apart" [ "$(status c_ two)" = "failed 7" ]
    cp images/fixed.nii.gz images/moving.nii.gz
    cp images/fixed.nii.gz images/none.nii.gz
    cp images/fixed.nii.gz images/cut.nii.gz
    exits 7 "$vesal" register --pairs images/pairs.tsv --out one $how --resume -q
    says "was made with other input files"
    exits 2 "$vesal" register --pairs images/pairs.tsv --out one $how --resume --overwrite

    # tables that are none
    exits 2 "$vesal" register --pairs images/pairs.tsv --out x --fixed images/fixed.nii.gz
    exits 2 "$vesal" register --fixed images/fixed.nii.gz --moving images/moving.nii.gz --out x_ --resume
    exits 2 "$vesal" register --pairs images/pairs.tsv
    exits 3 "$vesal" register --pairs none.tsv --out x
    refused() { # SENTENCE ROW...
        sentence=$1
        shift
        row "$@" >>images/bad.tsv
        exits 3 "$vesal" register --pairs images/bad.tsv --out x
        says "$sentence"
        check "and no folder is made" [ ! -e x ]
    }
    row fixed moving >images/bad.tsv
    refused "no column 'out'" fixed.nii.gz moving.nii.gz
    row fixed moving out fixed_labels moving_labels >images/bad.tsv
    exits 3 "$vesal" register --pairs images/bad.tsv --out x
    says "no row"
    refused "line 2 has the out '../y_'" fixed.nii.gz moving.nii.gz ../y_ "" ""
    row fixed moving out fixed_labels moving_labels >images/bad.tsv
    refused "only one of" fixed.nii.gz moving.nii.gz y_ fixed_labels.nii.gz ""
    row fixed moving out >images/bad.tsv
    refused "names no moving image" fixed.nii.gz "" y_
    row fixed moving out >images/bad.tsv
    row fixed.nii.gz moving.nii.gz y_ >>images/bad.tsv
    refused "lines 2 and 3 have the same out" moving.nii.gz fixed.nii.gz y_

    # a signal
    row fixed moving out >images/long.tsv
    for i in 1 2 3 4 5 6; do
        row fixed.nii.gz none.nii.gz long/${i}_ >>images/long.tsv
    done
    "$vesal" register --pairs images/long.tsv --out stopped --iterations 10000 --fine-iterations 10000 \
        --tolerance 1e-9 --levels 1 --threads 2 2>err.txt &
    process=$!
    until [ -e stopped/pairs.tsv ] || ! kill -0 $process; do sleep 0.05; done # a busy machine may take seconds
    sleep 1
    kill -s TERM $process
    wait $process
    check "TERM ends with 75" [ $? = 75 ]
    says "signal TERM"
    check "pairs.tsv says so" [ "$(cut -f 2 stopped/pairs.tsv | sort -u | tr '\n' ' ')" = "status stopped waiting " ]
    check "and no output is there" sh -c '! ls stopped/long/* 2>/dev/null | grep .'
}
verdict
