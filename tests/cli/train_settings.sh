# What training is told: configurations, ranks, data; and what of it is refused.
. "$2/tests/cli/lib.sh"
no_leak_check
. "$2/tests/cli/train_lib.sh"
# Configurations: flags win, unknown keys are told, a model's own configuration makes it again.
exits 0 train whole --steps 12
curve whole >whole.txt
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
