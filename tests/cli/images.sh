# info, convert, evaluate and data verify on images.
. "$2/tests/cli/lib.sh"
heads

# All 48 orders of axes are exact: there and back gives the same bytes.
exits 0 "$vesal" convert fixed.nii.gz plain.nii -q
for a in R L; do for b in A P; do for c in S I; do
    for code in $a$b$c $a$c$b $b$a$c $b$c$a $c$a$b $c$b$a; do
        rm -f there.* back.*
        "$vesal" convert plain.nii there.nii --orientation $code -q
        "$vesal" info there.nii --json >there.txt
        check "$code is reached" grep -q "\"orientation\": \"$code\"" there.txt
        "$vesal" convert there.nii back.nii --orientation RAS -q
        check "$code is exact" cmp plain.nii back.nii
    done
done; done; done

exits 0 "$vesal" convert fixed.nii.gz coarse.nii.gz --spacing 12,11.2,12 -q
exits 0 "$vesal" info coarse.nii.gz --json
check "voxels have the size that was asked for" sh -c "tr -d ' \n' <out.txt | grep -q '\"spacing_mm\":\[12'"
exits 0 "$vesal" convert fixed_labels.nii.gz labels.nii.gz --labels --orientation LPI -q
exits 0 "$vesal" convert labels.nii.gz labels2.nii.gz --labels --orientation RAS -q
exits 0 "$vesal" evaluate --labels labels2.nii.gz --against fixed_labels.nii.gz --json
check "labels survive" compare "$(number out.txt mean_dice)" "==" 1
exits 0 "$vesal" convert fixed.nii.gz small.nii.gz --dtype uint8
says "scaled to fit"
exits 0 "$vesal" evaluate --image small.nii.gz --against fixed.nii.gz --json
check "8 bits keep the image" compare "$(number out.txt correlation)" ">" 0.9999
check "a sidecar says where an image comes from" grep -q '"sha256"' small.json

exits 0 "$vesal" info fixed.nii.gz small.nii.gz --json
check "info is an array" [ "$(grep -c '"which_form"' out.txt)" = 2 ]
exits 0 "$vesal" evaluate --image fixed.nii.gz --against fixed.nii.gz
check "an image is like itself" grep -q 'correlation *1.00000' out.txt
exits 0 "$vesal" evaluate --labels fixed_labels.nii.gz --against fixed_labels.nii.gz
check "and a label map agrees with itself" grep -q 'mean *1.0000' out.txt
exits 3 "$vesal" evaluate --image fixed.nii.gz --against coarse.nii.gz
says "not on one grid"

# A manifest that is right, and one file of it changed by one byte.
sum=$(sha256sum fixed.nii.gz | cut -d ' ' -f 1)
sum2=$(sha256sum moving.nii.gz | cut -d ' ' -f 1)
printf 'file\tsha256\nfixed.nii.gz\t%s\nmoving.nii.gz\t%s\n' "$sum" "$sum2" >manifest.tsv
exits 0 "$vesal" data verify manifest.tsv
check "the count is told" grep -q '2 files listed, 2 checksums compared, 0 faults' out.txt
printf 'x' >>moving.nii.gz
exits 3 "$vesal" data verify manifest.tsv
check "the faulty file is named" grep -q 'moving.nii.gz' out.txt
rm moving.nii.gz
exits 3 "$vesal" data verify manifest.tsv --json
check "so is a missing one" grep -q '"faults": 1' out.txt

exits 0 "$vesal" doctor
check "doctor tests itself" [ "$(grep -c '^good' out.txt)" -ge 5 ]
verdict
