# vesal register: its files, that they agree with each other, and that they are the same every time.
. "$2/tests/cli/lib.sh"
heads
in="--fixed fixed.nii.gz --moving moving.nii.gz --preset fast"
labels="--fixed-labels fixed_labels.nii.gz --moving-labels moving_labels.nii.gz"
outputs="0GenericAffine.mat 1Warp.nii.gz 1InverseWarp.nii.gz Warped.nii.gz InverseWarped.nii.gz Jacobian.nii.gz
    Velocity.h5 Report.json Report.png"

# shellcheck disable=SC2086 # lists of words
{
    exits 0 "$vesal" register $in $labels --out a_ --threads 1
    says "green"
    check "nothing but the answer is on standard output" [ ! -s out.txt ]
    for file in $outputs; do
        check "a_$file is written" [ -s a_$file ]
    done
    exits 0 "$vesal" register $in $labels --out b_ --threads 2 --json -q
    check "--json is the report" cmp out.txt b_Report.json
    for file in $outputs; do
        [ $file = Report.json ] || check "1 and 2 threads, two runs: the same $file" cmp a_$file b_$file
    done
    check "no temporary stays behind" [ "$(ls -a | grep -c '^\.[ab]_\|tmp')" = 0 ]

    before=$(number a_Report.json mean_before) after=$(number a_Report.json mean_after)
    check "Dice rises ($before to $after)" compare "$after" ">" "$before + 0.1"
    check "no voxel folds" [ "$(number a_Report.json folds)" = 0 ]
    check "the inverse agrees" compare "$(number a_Report.json mean_vox)" "<" 0.05
    check "the energy is kept along the geodesic" compare "$(number a_Report.json energy_drift)" "<" 0.001
    for key in correlation_before correlation_after min median max folds_share sd_log length mean_mm max_mm iterations \
        read lddmm total peak_memory_mb; do
        check "the report has $key" [ -n "$(number a_Report.json $key)" ]
    done

    # the files, put together again, give the images that were written
    exits 0 "$vesal" apply --fixed fixed.nii.gz --moving moving.nii.gz --out again.nii.gz \
        -t a_1Warp.nii.gz -t a_0GenericAffine.mat -q
    check "warp and affine in ANTs' order give a_Warped" cmp again.nii.gz a_Warped.nii.gz
    exits 0 "$vesal" apply --fixed moving.nii.gz --moving fixed.nii.gz --out back.nii.gz \
        -t "[a_0GenericAffine.mat,1]" -t a_1InverseWarp.nii.gz -q
    exits 0 "$vesal" evaluate --image back.nii.gz --against a_InverseWarped.nii.gz --json
    check "their inverses give a_InverseWarped" compare "$(number out.txt nrmse)" "<" 1e-5
    exits 0 "$vesal" apply --fixed fixed.nii.gz --moving moving.nii.gz --out shot.nii.gz \
        -t a_Velocity.h5 -t a_0GenericAffine.mat -q
    exits 0 "$vesal" evaluate --image shot.nii.gz --against a_Warped.nii.gz --json
    check "the velocity file, shot again, gives a_Warped" compare "$(number out.txt nrmse)" "<" 1e-3
    exits 0 "$vesal" apply --fixed fixed.nii.gz --moving moving_labels.nii.gz --labels --out labels.nii.gz \
        -t a_1Warp.nii.gz -t a_0GenericAffine.mat -q
    exits 0 "$vesal" evaluate --labels labels.nii.gz --against fixed_labels.nii.gz --no-surfaces --json
    check "warped labels have the Dice of the report" compare "$(number out.txt mean_dice)" "==" "$after"
    exits 0 "$vesal" jacobian -t a_1Warp.nii.gz --out jacobian.nii.gz -q
    check "the Jacobian of the warp is a_Jacobian" cmp jacobian.nii.gz a_Jacobian.nii.gz
    exits 0 "$vesal" evaluate -t a_1Warp.nii.gz --json
    check "evaluate finds no folds" [ "$(number out.txt folds)" = 0 ]

    exits 0 "$vesal" register --fixed fixed.nii.gz --moving fixed.nii.gz --preset fast --out same_
    says "green"
    exits 5 "$vesal" register $in --out a_
    says "--overwrite"
    exits 0 "$vesal" register $in --out a_ --overwrite -q --no-picture --stages rigid
    exits 0 "$vesal" register $in --out c_ --stages lddmm --initial a_0GenericAffine.mat -q
    check "lddmm alone writes no affine" [ ! -e c_0GenericAffine.mat ]
    exits 0 "$vesal" register $in --out d_ --stages rigid,affine -q
    check "without lddmm there is no warp" [ ! -e d_1Warp.nii.gz ]
    check "but an affine, a picture and a report" [ -s d_0GenericAffine.mat -a -s d_Report.png -a -s d_Report.json ]
    exits 0 "$vesal" register $in --fixed fixed.nii.gz --moving moving.nii.gz --metric ssd --stages lddmm --out e_ -q
    check "two channels are read" grep -q '"metric": "ssd"' e_Report.json

    # a chest has no place in a jaw: each direction finds another one
    for view in chest panoramic; do
        exits 0 "$vesal" phantom --modality radiograph --view $view --subjects 1 --size 64,64 --out $view -q
    done
    film=sub-01/ses-01/xray/sub-01_ses-01_xray.png
    exits 0 "$vesal" register --fixed chest/$film --moving panoramic/$film --stages rigid,affine --linear-metric ssd --out f_
    says "aligned from moving to fixed image the map is another one"
    printf '#Insight Transform File V1.0\nTransform: AffineTransform_double_3_3\n%s\n%s\n' \
        'Parameters: -1 0 0 0 1 0 0 0 1 63 0 0' 'FixedParameters: 0 0 0' >mirror.txt
    exits 0 "$vesal" register --fixed chest/$film --moving chest/$film --initial mirror.txt --stages affine --out g_
    says "red: the affine mirrors or flattens space"
    check "the report has disagreement_mm" [ -n "$(number f_Report.json disagreement_mm)" ]
}
verdict
