#!/bin/sh
# The dataset that `vesal phantom` writes: same bytes for any threads and any company, no tables before the end, nothing
# replaced unasked, nothing half-written by a run that was killed.
# Usage: cohort.sh VESAL WORK
set -eu
vesal=$1 work=$2
rm -rf "$work"
mkdir -p "$work"
cd "$work"
fail() {
    printf 'FAIL %s\n' "$1"
    exit 1
}
size=24,28,24

"$vesal" phantom --out a --subjects 2 --visits 2 --seed 3 --lesions --size $size --threads 1 -q
"$vesal" phantom --out b --subjects 2 --visits 2 --seed 3 --lesions --size $size --threads 3 -q
diff -r a b >differences || fail "two runs with 1 and 3 threads differ: $(head -n 1 differences)"
"$vesal" phantom --out alone --subjects 1 --visits 1 --seed 3 --lesions --size $size -q
for file in sub-01/ses-01/anat/sub-01_ses-01_T1w.nii.gz \
    derivatives/phantom/sub-01/ses-01/anat/sub-01_ses-01_from-template_to-T1w_mode-image_xfm.nii.gz; do
    cmp a/$file alone/$file || fail "a subject depends on who else is made"
done
[ "$(wc -l <a/participants.tsv)" = 3 ] || fail "participants.tsv has other lines than a head and two people"
[ "$(wc -l <a/sub-02/sub-02_sessions.tsv)" = 3 ] || fail "sessions.tsv has other lines than a head and two visits"

# what apply makes of the template is the scan's labels, to the voxel where nothing is interpolated: same command, no map
"$vesal" apply --labels --fixed a/sub-01/ses-01/anat/sub-01_ses-01_T1w.nii.gz \
    --moving a/derivatives/phantom/template/template_dseg.nii.gz --out carried.nii.gz -q \
    -t a/derivatives/phantom/sub-01/ses-01/anat/sub-01_ses-01_from-template_to-T1w_mode-image_xfm.nii.gz
[ -s carried.nii.gz ] || fail "the stored map cannot be applied"

code=0
"$vesal" phantom --out a --seed 3 --size $size -q 2>error || code=$?
[ $code = 5 ] || fail "a folder with content was taken (exit $code)"
code=0
"$vesal" phantom --out new --modality heart -q 2>error || code=$?
[ $code = 3 ] || fail "--modality heart ended with $code, expected 3"
[ "$(wc -l <error)" = 1 ] || fail "--modality heart is answered by other than one sentence"
[ ! -e new ] || fail "a refused run made a folder"
code=0
"$vesal" phantom --out new --size 24,28 -q 2>error || code=$?
[ $code = 2 ] || fail "--size 24,28 ended with $code, expected 2"

"$vesal" phantom --out killed --subjects 200 --visits 1 --seed 3 --size $size -q &
pid=$!
sleep 1
kill -9 $pid
wait $pid 2>error || true
[ ! -e killed/participants.tsv ] || fail "the killed run ended before it was killed"
for file in $(find killed -name '*.nii.gz' ! -name '.*'); do
    "$vesal" info "$file" -q >said 2>&1 || fail "$file is half-written: $(tail -n 1 said)"
done
echo "ok"
