#!/bin/sh
# The dataset that `vesal phantom` writes: same bytes for any threads and any company, no tables before the end, nothing
# replaced unasked, nothing half-written by a run that was killed.
# Usage: cohort.sh VESAL WORK SOURCE
set -eu
. "$3/tests/phantom/lib.sh"
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

ends 5 --out a --seed 3 --size $size
ends 3 --out new --modality heart
ends 2 --out new --size 24,28
[ ! -e new ] || fail "a refused run made a folder"

killed .nii.gz --subjects 200 --visits 1 --seed 3 --size $size
echo "ok"
