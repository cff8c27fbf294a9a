# Training from the command line: what it writes, and that no interruption shows in the result.
. "$2/tests/cli/lib.sh"
no_leak_check
. "$2/tests/cli/train_lib.sh"
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

# Asked to stop, it saves. It is held while another tries, so that it cannot end meanwhile.
start stopped -q &
process=$!
while kill -0 $process 2>/dev/null && [ "$(records stopped)" -lt 2 ]; do sleep 0.01; done
kill -STOP $process
# shellcheck disable=SC2086
exits 7 "$vesal" diffusion train $settings --out stopped
says "another run is training in this folder"
kill -TERM $process
kill -CONT $process
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
verdict
