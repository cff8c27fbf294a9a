#!/bin/sh
# ITK (through plastimatch) reads our warp and applies it: the result is our warped image. The grids are oblique and
# anisotropic, the fixed one left-handed. Usage: itk.sh VESAL TILT SCRATCH
set -eu
vesal=$1 tilt=$2 scratch=$3
if ! command -v plastimatch >/dev/null; then
    echo "SKIPPED: plastimatch, which brings ITK, is not installed"
    exit 77
fi
rm -rf "$scratch"
mkdir -p "$scratch"
cd "$scratch"

"$vesal" phantom --out cohort --subjects 2 --seed 5 --size 48,56,48 -q
scan() {
    echo "cohort/sub-$1/ses-01/anat/sub-$1_ses-01_T1w.nii.gz"
}
"$tilt" "$(scan 01)" fixed.nii.gz 3.5 4.5 5 20 1
"$tilt" "$(scan 02)" moving.nii.gz 5 3.5 4 -15 0
"$vesal" register --fixed fixed.nii.gz --moving moving.nii.gz --stages lddmm --preset fast --out r_ -q

correlation() { # FILE: with our warped image
    "$vesal" evaluate --image "$1" --against r_Warped.nii.gz --json | sed -n 's/.*"correlation": *\([-0-9.e]*\).*/\1/p'
}
by_itk() { # WARP OUT
    plastimatch warp --algorithm itk --input moving.nii.gz --fixed fixed.nii.gz --xf "$1" --output-img "$2" >itk.log 2>&1 ||
        { cat itk.log && exit 1; }
}
by_itk r_1Warp.nii.gz itk.nii.gz
by_itk r_1InverseWarp.nii.gz itk_inverse.nii.gz
right=$(correlation itk.nii.gz) wrong=$(correlation itk_inverse.nii.gz)
echo "correlation of our warped image with ITK's: $right; with ITK's by the inverse warp: $wrong"
# The wrong warp must be told apart, else the comparison could not fail.
awk -v right="$right" -v wrong="$wrong" 'BEGIN { exit !(right > 0.9999 && right <= 1.000001 && wrong < 0.999) }'
