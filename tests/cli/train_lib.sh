# What the tests of training share, after lib.sh: six small volumes, the settings that learn from them quickly, and how two
# runs are compared.
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
