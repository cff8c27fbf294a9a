# Segmentation from the command line: pre-training, training with labels, masks of films of any size, scores.
. "$2/tests/cli/lib.sh"
no_leak_check
films=$4
"$films" data 12 || exit 1
common="--data data/manifest.tsv --batch 4 --threads 1 --seed 3 --lr 5e-3"
network="--size 16 --network tiny --network-width 8"

# shellcheck disable=SC2086 # lists of flags
exits 0 "$vesal" diffusion train $common $network --steps 30 --out pretrained
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $common --task segment --init pretrained --labels 6 --steps 120 --out model
check "it learnt from six" [ "$(number model/metrics.json labelled_images)" = 6 ]
check "the network is the pre-trained one's" grep -q '^network-width: 8 ' model/config.yaml
check "every disk and ellipse is in one part" grep -q '^model-one-part: .*disk,ellipse' model/config.yaml
check "structures in their order" grep -q '^model-structures: .*disk,ellipse' model/config.yaml

# Trained on: the output of a structure goes where the new data have it, of another name it begins at zero.
awk -F'\t' -v OFS='\t' '{ for (i = 1; i <= NF; i++) if ($i == "ellipse") $i = "annulus" } 1' data/manifest.tsv >data/annulus.tsv
exits 0 "$vesal" diffusion train --data data/annulus.tsv --task segment --init model --steps 1 --lr 1e-9 --ema 0 \
    --threads 1 --out further
check "another name, another order" grep -q '^model-structures: .*annulus,disk' further/config.yaml
exits 0 "$vesal" diffusion evaluate --model model --data data/manifest.tsv --threads 1
grep '^disk' out.txt >disk.txt
exits 0 "$vesal" diffusion evaluate --model further --data data/annulus.tsv --threads 1
check "the disk is found as before" grep -qxF "$(cat disk.txt)" out.txt
check "an ellipse is no annulus yet" [ "$(awk '$1 == "annulus" { print ($3 < 0.5) }' out.txt)" = 1 ]

exits 0 "$vesal" diffusion train --config model/config.yaml --out again --threads 1
check "a model's own configuration makes it again" cmp model/weights.safetensors again/weights.safetensors

# Self-training: the model answers for the surer half of the other films. Their own masks, which this manifest has, must
# not be looked at: a manifest without them gives the same weights.
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $common --task segment --init pretrained --labels 4 --steps 40 --out four
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $common --task segment --init pretrained --labels 4 --teacher four --steps 40 --out taught
others=$(($(number taught/metrics.json training_images) - 4))
check "half of the other films" [ "$(number taught/metrics.json taught_images)" = $(((others + 1) / 2)) ]
grep -o 'images/film-[0-9]*.png' taught/metrics.json >labelled.txt
check "the four are named" [ "$(wc -l <labelled.txt)" = 4 ]
awk -F'\t' 'NR == FNR { known[$1]; next }
    FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i }
    FNR == 1 || $column["mask_of"] == "n/a" || $column["mask_of"] in known' labelled.txt data/manifest.tsv >data/four.tsv
check "masks were left out" [ "$(wc -l <data/four.tsv)" -lt "$(wc -l <data/manifest.tsv)" ]
exits 0 "$vesal" diffusion train --config taught/config.yaml --data data/four.tsv --out blind --threads 1
check "masks that were not drawn are not looked at" cmp taught/weights.safetensors blind/weights.safetensors
# Several teachers: the mean of their answers. That of one with itself is its own.
exits 0 "$vesal" diffusion train --config taught/config.yaml --teacher four,four --out twice --threads 1
check "one teacher twice is one teacher" cmp taught/weights.safetensors twice/weights.safetensors
exits 0 "$vesal" diffusion train --config taught/config.yaml --teacher four,model --out pair --threads 1
check "two teachers say another thing than one" [ "$(sha256sum <taught/weights.h5)" != "$(sha256sum <pair/weights.h5)" ]
check "both are written down" grep -q '^teacher: .*four,model' pair/config.yaml
exits 2 "$vesal" diffusion train --config taught/config.yaml --teacher four, --out none --threads 1
says "has a name of 0 bytes"
exits 2 "$vesal" diffusion train --config taught/config.yaml --teacher 1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17 --out none
says "17 models, expected at most 16"
exits 3 "$vesal" diffusion train --config taught/config.yaml --teacher four,pretrained --out none --threads 1
says "is a model for 'denoise'"
check "what the teacher says is learnt" [ "$(sha256sum <taught/weights.h5)" != "$(sha256sum <four/weights.h5)" ]
# A student's Dice has squares. With none of the other films it sees what its teacher saw, under that other loss.
for share in "" "--teacher four --teacher-share 0"; do
    # shellcheck disable=SC2086
    exits 0 "$vesal" diffusion train $common --task segment --init pretrained --labels 4 $share --steps 1 \
        --out "loss${share:+-squares}"
done
check "no other film is taught" [ "$(number loss-squares/metrics.json taught_images)" = 0 ]
# A typed 0 is none of the defaults for labelled images (0.97 and 50).
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $common --task segment --init pretrained --labels 4 --steps 1 --ema 0 --time 0 --out zero
check "no average" grep -q '^ema: 0\( \|$\)' zero/config.yaml
check "no noise" grep -q '^time: 0\( \|$\)' zero/config.yaml
exits 0 "$vesal" diffusion evaluate --model zero --data data/manifest.tsv
check "the student's loss is less" compare "$(number loss-squares/metrics.json loss)" "<" \
    "$(number loss/metrics.json loss)"
cp -r four changing
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $common --task segment --init pretrained --labels 4 --teacher changing --steps 2 --out led
cp taught/weights.h5 changing/weights.h5
# shellcheck disable=SC2086
exits 7 "$vesal" diffusion train $common --task segment --init pretrained --labels 4 --teacher changing --steps 2 --out led
says "model-teacher-sha256"
# Of films of another kind the teacher is unsure: with as many of them as of the others its half is the others.
cp data/four.tsv data/mixed.tsv
head -n 1 data/four.tsv | tr '\t' '\n' >columns.txt
for i in $(seq $others); do
    "$vesal" phantom --modality radiograph --subjects 1 --size 32,32 --seed "$i" -q --out "other-$i" || exit 1
    cp "other-$i"/sub-*/ses-01/xray/*.png "data/images/other-$i.png"
    while read -r column; do
        case $column in
        file) printf 'images/other-%s.png\t' "$i" ;;
        subject) printf 'other-%s\t' "$i" ;;
        split) printf 'train\t' ;;
        *) printf 'n/a\t' ;;
        esac
    done <columns.txt | sed 's/\t$/\n/' >>data/mixed.tsv
done
exits 0 "$vesal" diffusion train --config taught/config.yaml --data data/mixed.tsv --out mixed --threads 1
exits 0 "$vesal" diffusion train --config taught/config.yaml --data data/four.tsv --teacher-share 1 --out whole --threads 1
check "all others are the half" [ "$(number mixed/metrics.json taught_images)" = "$others" ]
check "films of another kind are left out" cmp mixed/weights.safetensors whole/weights.safetensors
# shellcheck disable=SC2086
exits 3 "$vesal" diffusion train $common --task segment --init pretrained --labels 4 --teacher pretrained --out none
says "is a model for 'denoise'"
# shellcheck disable=SC2086
exits 2 "$vesal" diffusion train $common $network --teacher four --out none
says "--teacher is for --task segment"
sed 's/ellipse/oval/g' four/config.yaml >oval.yaml
cp -r four oval && mv oval.yaml oval/config.yaml
# shellcheck disable=SC2086
exits 2 "$vesal" diffusion train $common --task segment --init pretrained --labels 4 --teacher oval --out none
says "its structure 2 is 'oval', that of the data 'ellipse'"

# Without any mask: the structures, and which of them are in one part, are the teacher's. A folder will do.
awk -F'\t' 'FNR == 1 { for (i = 1; i <= NF; i++) column[$i] = i } FNR == 1 || $column["mask_of"] == "n/a"' \
    data/manifest.tsv >data/bare.tsv
bare="--batch 4 --threads 1 --seed 3 --lr 5e-3 --task segment --init model"
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $common --data data/bare.tsv --task segment --init pretrained --teacher model --steps 120 \
    --out bare
check "none was labelled" [ "$(number bare/metrics.json labelled_images)" = 0 ]
check "half were taught" [ "$(number bare/metrics.json taught_images)" = \
    $((($(number bare/metrics.json training_images) + 1) / 2)) ]
check "the teacher's parts" grep -q '^model-one-part: .*disk,ellipse' bare/config.yaml
exits 0 "$vesal" diffusion evaluate --model bare --data data/manifest.tsv --threads 1 --json
cp out.txt bare.json
check "it finds what the teacher finds" awk '/"mean"/ { on = 1 } on && /"dice":/ { gsub(",", ""); exit !($2 > 0.8) }' bare.json
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $bare --data data/images --teacher model --one-part off --steps 1 --out of-folder
check "a folder's structures" grep -q '^model-structures: .*disk,ellipse' of-folder/config.yaml
check "all parts stay" sh -c '! grep -q "^model-one-part" of-folder/config.yaml'
# shellcheck disable=SC2086
exits 2 "$vesal" diffusion train $bare --data data/bare.tsv --teacher model --labels 2 --out none
says "2 images are to be drawn from 0"
# shellcheck disable=SC2086
exits 3 "$vesal" diffusion train $bare --data data/bare.tsv --out none
says "lists no masks"
# shellcheck disable=SC2086
exits 2 "$vesal" diffusion train $bare --data data/images --out none
says "is a folder; masks need a manifest"
# shellcheck disable=SC2086
exits 3 "$vesal" diffusion train $bare --data data/images --teacher pretrained --out none
says "is a model for 'denoise'"

# Scores, on the films' own grids.
exits 0 "$vesal" diffusion evaluate --model model --data data/manifest.tsv --threads 1 --out films.tsv --json
cp out.txt scores.json
check "all four test films" [ "$(number scores.json films)" = 4 ]
check "a Dice above 0.8" awk '/"mean"/ { on = 1 } on && /"dice":/ { gsub(",", ""); exit !($2 > 0.8) }' scores.json
check "a row a film and structure" [ "$(wc -l <films.tsv)" = 9 ]
check "mm are 1.5 px" awk -F'\t' 'NR > 1 && $6 != "n/a" { if (($8 - 1.5 * $6) ^ 2 > 1e-8) exit 1; n++ } END { exit !n }' films.tsv
exits 0 "$vesal" diffusion evaluate --model model --data data/manifest.tsv --threads 1
check "a table for people" grep -q "^ellipse  *4 " out.txt
exits 2 "$vesal" diffusion evaluate --model model --data data/manifest.tsv --split nobody
says "has no films whose split is 'nobody'"

# Masks of films that no manifest knows, of other sizes, depths and colours.
exits 0 "$vesal" diffusion segment --model model --image data/images/film-9.png data/images/film-10.png \
    model/loss.png --out masks --threads 1
for film in film-9 film-10 loss; do
    for file in mask-disk.png mask-ellipse.png overlay.png uncertainty.png segmentation.json; do
        check "masks/${film}_$file is there" [ -s "masks/${film}_$file" ]
    done
done
for i in 9 10; do
    "$vesal" info data/images/film-$i.png >film.txt 2>&1
    "$vesal" info masks/film-${i}_mask-disk.png >mask.txt 2>&1
    check "film-$i: the mask has the film's extents" [ "$(grep -o '[0-9]* x [0-9]*' film.txt | head -n 1)" = \
        "$(grep -o '[0-9]* x [0-9]*' mask.txt | head -n 1)" ]
    exits 0 "$vesal" evaluate --labels masks/film-${i}_mask-ellipse.png --against data/masks/ellipse-$i.png --json
    check "film-$i: the ellipse is found" compare "$(number out.txt mean_dice)" ">" 0.8
done
cp masks/film-9_mask-disk.png first.png
exits 5 "$vesal" diffusion segment --model model --out masks data/images/film-9.png
exits 0 "$vesal" diffusion segment --model model --out masks --overwrite data/images/film-9.png --threads 1
check "the same film gives the same mask" cmp masks/film-9_mask-disk.png first.png
exits 0 "$vesal" diffusion segment --model model --out one-level --levels 50 data/images/film-9.png
exits 2 "$vesal" diffusion segment --model model --out none --levels 50,x data/images/film-9.png
says "expected 1 to 9 numbers from 0 to 999"
echo broken >broken.png
exits 4 "$vesal" diffusion segment --model model --out partly broken.png data/images/film-9.png
says "broken.png"
check "the sound film is done" [ -s partly/film-9_overlay.png ]
exits 3 "$vesal" diffusion segment --model model --out partly broken.png
mkdir other
cp data/images/film-9.png other
exits 2 "$vesal" diffusion segment --model model --out twice data/images/film-9.png other/film-9.png
says "two films are named 'film-9'"
exits 2 "$vesal" diffusion segment --model model --out none
says "no film is given"
exits 3 "$vesal" diffusion segment --model pretrained --out none data/images/film-9.png
says "is a model for 'denoise'"

# Of two bodies in one picture the larger one's disk stays, unless all parts are asked for.
cp -r model parts && sed -i '/^model-one-part/d' parts/config.yaml
exits 0 "$vesal" diffusion train --config model/config.yaml --one-part off --steps 2 --out off --threads 1
check "none is in one part when all are to stay" sh -c '! grep -q "^model-one-part" off/config.yaml'
for model in model parts; do
    exits 0 "$vesal" diffusion segment --model $model --out two-of-$model data/two.png --threads 1
done
check "parts are left out" [ "$(sha256sum <two-of-model/two_mask-ellipse.png)" != \
    "$(sha256sum <two-of-parts/two_mask-ellipse.png)" ]
cp -r model hostile
sed -i 's|^model-one-part: .*|model-one-part: disk,moon,disk|' hostile/config.yaml
exits 3 "$vesal" diffusion segment --model hostile --out none data/images/film-9.png
says "names 'moon', which is none of its structures"
sed -i 's|^model-structures: .*|model-structures: disk|' hostile/config.yaml
# shellcheck disable=SC2086
exits 3 "$vesal" diffusion train $common --task segment --init hostile --steps 1 --out none
says "hostile: segment.head.weight has 2 outputs, expected one for each of 1 structures"
sed -i 's|^model-structures: .*|model-structures: disk,ellipse|' hostile/config.yaml
sed -i '/^model-one-part/d' hostile/config.yaml
sed -i 's|^model-structures: .*|model-structures: "disk,../../elsewhere"|' hostile/config.yaml
exits 3 "$vesal" diffusion segment --model hostile --out none data/images/film-9.png
says "is no list of 1 to 64 structures"
sed -i 's|^model-structures: .*|model-structures: disk|' hostile/config.yaml
exits 3 "$vesal" diffusion segment --model hostile --out none data/images/film-9.png
says "segment.head.weight"

# The rivals, and what training with labels refuses.
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $common $network --task segment --labels 2 --steps 2 --out scratch
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $common --task stack --init pretrained --labels 2 --steps 2 --out stack
exits 0 "$vesal" diffusion evaluate --model stack --data data/manifest.tsv
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $common $network --task joint --labels 2 --steps 2 --out joint
exits 0 "$vesal" diffusion evaluate --model joint --data data/manifest.tsv
for task in dae mae; do
    # shellcheck disable=SC2086
    exits 0 "$vesal" diffusion train $common $network --task $task --steps 2 --out $task
    # shellcheck disable=SC2086
    exits 0 "$vesal" diffusion train $common --task segment --init $task --labels 2 --steps 2 --out from-$task
done
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $common $network --process edm --steps 2 --out edm
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $common --task segment --init edm --labels 2 --steps 2 --out from-edm
few="--data data/manifest.tsv --threads 1 --task segment --labels 2 --steps 2"
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $few --init pretrained --out learnt
# shellcheck disable=SC2086
exits 0 "$vesal" diffusion train $few $network --out new
check "larger steps for a network that has learnt" grep -q '^lr: 0.004 ' learnt/config.yaml
check "than for a new one" grep -q '^lr: 0.001 ' new/config.yaml
check "a low level in the terms of the process" grep -q '^time: 0.2 ' from-edm/config.yaml
exits 0 "$vesal" diffusion evaluate --model from-edm --data data/manifest.tsv
# shellcheck disable=SC2086
exits 2 "$vesal" diffusion train $common --task segment --init pretrained --network-width 16 --out none
says "--network-width is 16, but the model pretrained that it starts from has 8"
# shellcheck disable=SC2086
exits 2 "$vesal" diffusion train $common $network --task stack --out none
says "needs --init"
# shellcheck disable=SC2086
exits 2 "$vesal" diffusion train $common $network --labels 2 --out none
says "--labels is for --task segment"
# shellcheck disable=SC2086
exits 2 "$vesal" diffusion train $common $network --task segment --labels 9 --out none
verdict
