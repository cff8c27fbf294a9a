#!/bin/sh
# The radiographs that `vesal phantom --modality radiograph` writes: same bytes for any threads and any company, a manifest
# that verifies, no tables before the end, nothing of another modality taken.
# Usage: films.sh VESAL WORK SOURCE
set -eu
. "$3/tests/phantom/lib.sh"
make="$vesal phantom --modality radiograph --seed 3 --lesions -q"

$make --out a --subjects 2 --visits 2 --size 64,48 --threads 1
$make --out b --subjects 2 --visits 2 --size 64,48 --threads 3
diff -r a b >differences || fail "two runs with 1 and 3 threads differ: $(head -n 1 differences)"
$make --out alone --subjects 1 --size 64,48
for file in sub-01/ses-01/xray/sub-01_ses-01_xray.png \
    derivatives/phantom/sub-01/ses-01/xray/sub-01_ses-01_label-heart_mask.png; do
    cmp a/$file alone/$file || fail "a subject depends on who else is made"
done
$make --out teeth --subjects 1 --view panoramic --size 64,32
for cohort in a teeth; do
    "$vesal" data verify $cohort/manifest.tsv -q || fail "the manifest of $cohort does not fit its files"
done
[ "$(wc -l <a/manifest.tsv)" = 37 ] || fail "manifest.tsv has other lines than a head, 4 films and 32 masks"
[ "$(wc -l <a/participants.tsv)" = 3 ] || fail "participants.tsv has other lines than a head and two people"
for column in file sha256 subject age_years sex split mask_of structure right_lung left_lung heart right_clavicle \
    left_clavicle nodule effusion pneumonia; do
    head -n 1 a/manifest.tsv | tr '\t' '\n' | grep -qx $column || fail "manifest.tsv has no column $column"
done
awk -F '\t' 'NR > 1 && $8 == "n/a" { for (i = 10; i <= 17; i++) print $i }' a/manifest.tsv | while read -r file; do
    [ -s "a/$file" ] || fail "the mask $file of a film is missing"
done
"$vesal" info a/sub-01/ses-01/xray/sub-01_ses-01_xray.png >said
grep -q '64 x 48' said || fail "the film has other than 64 x 48 pixels"
grep -q uint16 said || fail "the film is not of 16 bit"

ends 5 --modality radiograph --out a --size 32,32
ends 2 --modality radiograph --out new --size 24,28,24
ends 2 --modality radiograph --out new --size 24,8
ends 2 --modality radiograph --out new --noise-percent 3
ends 2 --view panoramic --out new
ends 3 --modality heart --out new
[ ! -e new ] || fail "a refused run made a folder"

killed .png --modality radiograph --seed 3 --lesions --subjects 2000 --size 64,64
echo "ok"
