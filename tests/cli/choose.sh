# Which images to label first, and training from a list of labelled ones.
. "$2/tests/cli/lib.sh"
no_leak_check
films=$4
"$films" data 16 || exit 1
common="--batch 4 --threads 1 --seed 3 --lr 5e-3"
# shellcheck disable=SC2086 # lists of flags
exits 0 "$vesal" diffusion train --data data/manifest.tsv $common --size 16 --network tiny --network-width 8 --steps 30 \
    --out pretrained
choose="$vesal diffusion choose --model pretrained --seed 3 --threads 1"
exits 0 $choose --data data/manifest.tsv --ignore-masks --labels 6 --out six.tsv
check "the table is shown as it is written" cmp six.tsv out.txt
check "six, under a head" [ "$(wc -l <six.tsv)" = 7 ]
check "six different ones" [ "$(sed 1d six.tsv | cut -f 1 | sort -u | wc -l)" = 6 ]
training=$(number pretrained/metrics.json training_images)
check "together they stand for all images to learn from" \
    [ "$(awk 'NR > 1 { n += $3 } END { print n }' six.tsv)" = "$training" ]
exits 0 $choose --data data/manifest.tsv --ignore-masks --labels 3
check "three are the first three of six" [ "$(cut -f 1 out.txt)" = "$(head -n 4 six.tsv | cut -f 1)" ]
exits 0 $choose --data data/manifest.tsv --ignore-masks --labels 3 --json
check "the same as JSON" [ "$(grep -c '"stands_for"' out.txt)" = 3 ]

# Of a manifest in which the first two of them alone have masks: the next two.
head -n 3 six.tsv >two.tsv
awk -F'\t' 'NR == FNR { known[$1]; next }
    FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i }
    FNR == 1 || $column["mask_of"] == "n/a" || $column["mask_of"] in known' two.tsv data/manifest.tsv >data/two.tsv
check "masks were left out" [ "$(wc -l <data/two.tsv)" -lt "$(wc -l <data/manifest.tsv)" ]
exits 0 $choose --data data/two.tsv --labels 2
check "what has masks counts as chosen" [ "$(sed 1d out.txt | cut -f 1)" = "$(sed -n 4,5p six.tsv | cut -f 1)" ]
# A folder, and a manifest without any mask.
awk -F'\t' 'FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i } FNR == 1 || $column["mask_of"] == "n/a"' \
    data/manifest.tsv >data/none.tsv
exits 0 $choose --data data/none.tsv --labels 6
check "a manifest without masks" cmp six.tsv out.txt
exits 0 $choose --data data/images --labels 2
check "a folder" [ "$(wc -l <out.txt)" = 3 ]

# Training from the list.
# shellcheck disable=SC2086
train="$vesal diffusion train --data data/manifest.tsv $common --task segment --init pretrained --steps 3"
exits 0 $train --labels-from six.tsv --labels 2 --out listed
check "it learnt from two" [ "$(number listed/metrics.json labelled_images)" = 2 ]
check "the first two" [ "$(grep -o 'images/film-[0-9]*.png' listed/metrics.json)" = "$(sed 1d two.tsv | cut -f 1)" ]
exits 0 $train --labels-from two.tsv --out all_listed
check "without --labels all of the list" cmp listed/weights.safetensors all_listed/weights.safetensors
exits 0 "$vesal" diffusion train --config listed/config.yaml --out again --threads 1
check "the configuration says it too" cmp listed/weights.safetensors again/weights.safetensors
sed -n '1p;4,5p' six.tsv >others.tsv
exits 0 $train --labels-from others.tsv --out others
check "other films, another network" sh -c '! cmp -s listed/weights.safetensors others/weights.safetensors'
cp two.tsv changing.tsv
exits 0 $train --labels-from changing.tsv --out changed
cp others.tsv changing.tsv
exits 7 $train --labels-from changing.tsv --out changed
says "model-labelled-sha256"

exits 2 $train --labels-from six.tsv --labels 7 --out none
says "lists 6 images, expected 7"
exits 2 $train --labels-from six.tsv --labels-seed 1 --out none
says "one of the two"
exits 2 "$vesal" diffusion train --data data/two.tsv --task segment --init pretrained --labels-from six.tsv --out none
says "has no masks in the data"
printf 'file\nimages/absent.png\n' >absent.tsv
exits 2 $train --labels-from absent.tsv --out none
says "is none of the images to learn from"
printf 'film\nimages/absent.png\n' >column.tsv
exits 3 $train --labels-from column.tsv --out none
says "has no column 'file'"
{ cat two.tsv; sed -n 2p two.tsv; } >twice.tsv
exits 3 $train --labels-from twice.tsv --out none
says "is listed twice"
check "nothing was written" [ ! -e none ]
exits 2 $choose --data data/manifest.tsv --labels 2
says "have masks already; --ignore-masks"
exits 2 $choose --data data/none.tsv --labels 17
says "images to learn from"
exits 3 $choose --model listed --data data/none.tsv
says "is a model for 'segment'"
exits 5 $choose --data data/none.tsv --labels 2 --out six.tsv
says "exists and is not overwritten"

# Volumes.
. "$2/tests/cli/train_lib.sh"
exits 0 train whole --steps 4
exits 0 "$vesal" diffusion choose --model whole --data images --labels 2 --threads 1
check "two volumes" [ "$(sed 1d out.txt | cut -f 1 | grep -c 'nii.gz$')" = 2 ]
verdict
