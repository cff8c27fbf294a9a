# Training from the command line: what it writes, and that no interruption shows in the result.
. "$2/tests/cli/lib.sh"
mkdir images foreign
echo x >foreign/x
"$vesal" phantom -q --out cohort --subjects 6 --visits 1 --seed 5 --size 16,16,16 || exit 1
cp cohort/sub-*/ses-01/anat/*_T1w.nii.gz images
settings="--data images --size 8 --network tiny --batch 2 --steps 60 --log-every 1 --validate-every 20 --save-every 7
    --warmup 5 --lr 1e-3 --threads 1 --seed 3 --validation-share 0.2"

# train FOLDER [flags]
train() {
    folder=$1
    shift
    # shellcheck disable=SC2086 # a list of flags
    "$vesal" diffusion train $settings --out "$folder" "$@" 2>err.txt
}
# start FOLDER [flags]: the same as the background job itself, so that signals reach it
start() {
    folder=$1
    shift
    # shellcheck disable=SC2086
    exec "$vesal" diffusion train $settings --out "$folder" "$@" 2>err.txt
}
# curve FOLDER: step, loss and validation of every record, without times
curve() {
    sed 's/,"samples_per_s":[^,]*//; s/,"seconds":[^,]*//; s/,"peak_bytes":[0-9]*//' "$1/log.jsonl"
}
# records FOLDER: how many lines its log has
records() {
    cat "$1/log.jsonl" 2>/dev/null | wc -l
}
same_as_whole() {
    check "$1: the same weights to the bit" cmp "$1/weights.safetensors" whole/weights.safetensors
    curve "$1" >curve.txt
    check "$1: the same curve" cmp curve.txt whole.txt
}

exits 0 train whole
curve whole >whole.txt
check "one record a step" [ "$(records whole)" = 60 ]
check "three validations" [ "$(grep -c validation whole.txt)" = 3 ]
for file in config.yaml weights.h5 weights.safetensors metrics.json log.jsonl loss.png; do
    check "whole/$file is there" [ -s whole/$file ]
done
check "two states are kept" [ "$(ls whole/checkpoints | tr '\n' ' ')" = "step-0000000056 step-0000000060 " ]
first=$(sed -n '1s/.*"loss":\([^,]*\),.*/\1/p' whole.txt) last=$(sed -n '60s/.*"loss":\([^,]*\),.*/\1/p' whole.txt)
check "the loss fell from $first to $last" compare "$last" "<" "$(awk -v f="$first" 'BEGIN { print 0.7 * f }')"
check "memory is flat" awk -F'"peak_bytes":' '{ gsub("}", "", $2); p[NR] = $2 + 0 }
    END { exit !(NR == 60 && p[20] > 1e6 && p[60] <= p[20] * 1.02) }' whole/log.jsonl

# kill -9 whenever the log has grown by a few lines, until the run gets to its end.
kills=0 ended=1
for attempt in 1 2 3 4 5 6 7 8 9 10 11 12; do
    before=$(records killed)
    start killed -q &
    process=$!
    while kill -0 $process 2>/dev/null && [ "$(records killed)" -lt $((before + 8 + attempt)) ]; do
        sleep 0.02
    done
    [ "$kills" -lt 4 ] && kill -KILL $process 2>/dev/null && kills=$((kills + 1))
    wait $process
    ended=$?
    [ $ended = 0 ] && break
    [ "$kills" = 2 ] && [ -n "$(ls killed/checkpoints)" ] && { # and the newest state is damaged once
        newest=killed/checkpoints/$(ls killed/checkpoints | tail -n 1)/state.safetensors
        printf 'X' | dd of="$newest" bs=1 seek=20000 conv=notrunc 2>/dev/null
        touch damaged
    }
    [ "$kills" = 3 ] && cp err.txt err_after_damage.txt
done
check "it was killed $kills times and ended" [ "$kills" = 4 -a $ended = 0 ]
check "a damaged state is told about and passed over" grep -q "is not used: .*checksum does not hold" err_after_damage.txt
check "a state was damaged" [ -e damaged ]
same_as_whole killed
exits 0 train killed
check "a finished run has nothing left to do" grep -q '"steps_of_this_run": 0' killed/metrics.json
same_as_whole killed

# Asked to stop, it saves.
start stopped -q &
process=$!
while kill -0 $process 2>/dev/null && [ "$(records stopped)" -lt 10 ]; do sleep 0.02; done
# shellcheck disable=SC2086
exits 7 "$vesal" diffusion train $settings --out stopped
says "another run is training in this folder"
kill -TERM $process
wait $process
check "TERM ends with 75" [ $? = 75 ]
check "and leaves a state of its last step" [ -e "stopped/checkpoints/$(printf 'step-%010d' "$(records stopped)")" ]
exits 7 train stopped --lr 2e-3 --batch 3
says "lr (0.001 before, 0.002 now)"
says "batch (2 before, 3 now)"
exits 0 train stopped
same_as_whole stopped
exits 7 train stopped --seed 4
says "seed (3 before, 4 now)"
rm images/sub-03*
exits 7 train stopped
says "model-data-sha256"
cp cohort/sub-03/ses-01/anat/*_T1w.nii.gz images
printf 'X' | dd of=stopped/checkpoints/step-0000000060/state.safetensors bs=1 seek=20000 conv=notrunc 2>/dev/null
rm stopped/checkpoints/step-0000000056/state.json
exits 7 train stopped
says "none of its 2 saved states can be used"
exits 0 train stopped --overwrite --steps 3
check "begun anew" [ "$(records stopped)" = 3 ]

# Configurations: flags win, unknown keys are told, a model's own configuration makes it again.
exits 0 "$vesal" diffusion train --config whole/config.yaml --out again --threads 1
same_as_whole again
printf 'data: images\nsize: 8\nnetwork: tiny\nsteps: 50\nbatch: 2\nlog-every: 1\nthreads: 1\nout: configured\n' >c.yaml
exits 0 "$vesal" diffusion train --config c.yaml --steps 2 --validation-share 0
check "a flag wins over the file" [ "$(records configured)" = 2 ]
check "the file counts otherwise" grep -q '^batch: 2 ' configured/config.yaml
printf 'data: images\nstesp: 50\n' >c.yaml
exits 2 "$vesal" diffusion train --config c.yaml --out none
says "c.yaml: line 2: unknown key 'stesp'; did you mean 'steps'?"
printf 'steps: many\n' >c.yaml
exits 2 "$vesal" diffusion train --config c.yaml --out none
says "c.yaml: line 1: --steps: 'many' is not a number"
printf 'a: &x 1\n' >c.yaml
exits 3 "$vesal" diffusion train --config c.yaml --out none
says "an anchor"
exits 3 "$vesal" diffusion train --config absent.yaml
exits 2 "$vesal" diffusion train --data images
says "--out FOLDER is missing"
exits 2 "$vesal" diffusion train --data images --out none --size 18 --network small
says "cannot be halved 3 times"
exits 2 "$vesal" diffusion train --data images --out none --size 8,8
says "the images are volumes"

# Two ranks of one batch each train as one does that takes two turns a step.
# shellcheck disable=SC2086
{
    exits 0 "$vesal" diffusion train $settings --steps 20 --accumulate 2 --out turns
    RANK=1 WORLD_SIZE=2 "$vesal" diffusion train $settings --steps 20 --out ranks --meet file:meet 2>err1.txt &
    process=$!
    exits 0 env RANK=0 WORLD_SIZE=2 "$vesal" diffusion train $settings --steps 20 --out ranks --meet file:meet
    wait $process
    check "the other rank ended well" [ $? = 0 ]
    check "and said nothing" [ ! -s err1.txt ]
    check "two ranks learn what two turns do" sh -c '
        one=$(sed -n "20s/.*\"loss\":\([^,]*\),.*/\1/p" turns/log.jsonl)
        two=$(sed -n "20s/.*\"loss\":\([^,]*\),.*/\1/p" ranks/log.jsonl)
        awk -v a="$one" -v b="$two" "BEGIN { d = a - b; exit !(a > 0 && d < 1e-5 && d > -1e-5) }"'
    exits 7 "$vesal" diffusion train $settings --steps 20 --out ranks
    says "model-ranks (2 before, none now)"
    exits 2 "$vesal" diffusion train $settings --out none --meet file:meet
    says "RANK and WORLD_SIZE"
    exits 2 env RANK=0 WORLD_SIZE=2 "$vesal" diffusion train $settings --out none
    says "where the ranks meet"
}

# Samples: functions of model, seed and number.
exits 0 "$vesal" diffusion sample --model whole --out samples --count 9 --sampling-steps 4 --threads 1 --seed 1
check "nine volumes, a sheet and a description" [ "$(ls samples | wc -l)" = 11 ]
exits 0 "$vesal" diffusion sample --model whole --out some --count 2 --first 7 --sampling-steps 4 --threads 1 --seed 1
check "the eighth is the eighth in any company" cmp samples/sample-000007.nii.gz some/sample-000007.nii.gz
check "the ninth too, of another batch" cmp samples/sample-000008.nii.gz some/sample-000008.nii.gz
exits 0 "$vesal" diffusion sample --model whole --out other --count 1 --sampling-steps 4 --threads 1 --seed 2
check "another seed gives another" sh -c '! cmp -s samples/sample-000000.nii.gz other/sample-000000.nii.gz'
exits 0 "$vesal" info samples/sample-000000.nii.gz
check "it has the model's size" grep -q "8 x 8 x 8" out.txt
exits 5 "$vesal" diffusion sample --model whole --out samples --count 9
says "exists and is not overwritten"
exits 3 "$vesal" diffusion sample --model absent --out none
exits 3 "$vesal" diffusion sample --model images --out none
cp -r whole hostile
rm hostile/weights.h5
printf 'PK\003\004\024\000\000\000\010\000archive/data.pkl' >hostile/weights.safetensors
exits 3 "$vesal" diffusion sample --model hostile --out none
says "is a zip archive"
printf '\200\002}q\000.cposix\nsystem\n' >hostile/weights.safetensors
exits 3 "$vesal" diffusion sample --model hostile --out none
says "is a Python pickle"
for file in libtorch libpython; do
    LD_DEBUG=files "$vesal" diffusion sample --model hostile --out none 2>&1 | grep -c "file=.*$file" >$file.txt
done
check "the run was watched, and no Python came in" [ "$(cat libtorch.txt)" -gt 0 -a "$(cat libpython.txt)" = 0 ]
printf '\377\377\377\377\377\377\377\177{}' >hostile/weights.safetensors
exits 3 "$vesal" diffusion sample --model hostile --out none
says "states a header of"
cp whole/weights.safetensors hostile
sed -i 's/^network-width: 16/network-width: 24/' hostile/config.yaml
exits 3 "$vesal" diffusion sample --model hostile --out none
says "expected 24"
check "every array that differs is named" [ "$(tr ';' '\n' <err.txt | grep -c expected)" -gt 20 ]
exits 3 "$vesal" diffusion sample --model foreign --out none

# Data that cannot be used.
mkdir empty
exits 5 "$vesal" diffusion train --data images --size 8 --network tiny --out foreign
says "is not empty and no model"
exits 2 "$vesal" diffusion train --data empty --out none
says "has no PNG or NIfTI images"
exits 3 "$vesal" diffusion train --data absent --out none
one=$(basename "$(ls images/* | head -n 1)") two=$(basename "$(ls images/* | tail -n 1)")
sum=$(sha256sum <"images/$one" | cut -d' ' -f1)
manifest() {
    printf 'file\tsha256\tsubject\tsplit\n' >images/m.tsv
    printf '%b' "$1" >>images/m.tsv
}
tried="--data images/m.tsv --size 8 --network tiny --steps 2 --batch 2"
# shellcheck disable=SC2086
{
    manifest "$one\t$sum\ta\ttrain\n$two\tn/a\tb\tvalidation\n"
    exits 0 "$vesal" diffusion train $tried --out listed
    check "the manifest's parts hold" grep -q '"validation_images": 1' listed/metrics.json
    manifest "$one\t$sum\ta\ttrain\n$two\t$sum\tb\ttrain\n"
    exits 3 "$vesal" diffusion train $tried --out none
    says "has other bytes than the manifest lists"
    manifest "$one\tn/a\ta\ttrain\n$two\tn/a\ta\tvalidation\n"
    exits 2 "$vesal" diffusion train $tried --out none
    says "subject 'a' is in two parts"
    manifest "$one\tn/a\ta\ttrian\n"
    exits 2 "$vesal" diffusion train $tried --out none
    manifest "$one\tn/a\ta\ttrain\nabsent.png\tn/a\tb\ttrain\n"
    exits 3 "$vesal" diffusion train $tried --out none
    says "absent.png"
    manifest "../$one\tn/a\ta\ttrain\n"
    exits 3 "$vesal" diffusion train $tried --out none
    mkfifo images/pipe.nii
    manifest "$one\tn/a\ta\ttrain\npipe.nii\tn/a\tb\ttrain\n"
    exits 3 "$vesal" diffusion train $tried --out none
    says "is a device, pipe or socket"
}
check "nothing was begun for what was refused" [ ! -e none ]
verdict
