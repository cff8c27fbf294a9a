# Signals and kills: exit 75 and nothing half-written under a final name.
. "$2/tests/cli/lib.sh"
heads
names() {
    find . -maxdepth 1 -name 'x_*' | grep -c .
}

# interrupted SIGNAL: a long registration that gets it after half a second.
interrupted() {
    rm -f x_*
    "$vesal" register --fixed fixed.nii.gz --moving moving.nii.gz --out x_ --iterations 10000 --fine-iterations 10000 \
        --tolerance 1e-9 --levels 1 2>err.txt &
    process=$!
    sleep 0.5
    kill -s "$1" $process
    wait $process
}

for signal in INT TERM USR1; do
    [ $signal = INT ] && trap : INT # a shell starts background jobs with INT ignored unless it traps it
    interrupted $signal
    check "$signal ends with 75" [ $? = 75 ]
    says "signal $signal"
    check "and leaves no output" [ "$(names)" = 0 ]
done
interrupted KILL
check "KILL leaves no output" [ "$(names)" = 0 ]

# Kills spread over the end of a run, where the files are written: what has its final name is whole.
exits 0 "$vesal" register --fixed fixed.nii.gz --moving moving.nii.gz --out whole_ --preset fast -q
total=$(number whole_Report.json total)
for step in 0 1 2 3 4 5 6 7 8 9 10 11 12 13 14 15; do
    delay=$(awk -v t="$total" -v s=$step 'BEGIN { printf "%.3f", t * (0.4 + 0.05 * s) }')
    rm -f x_*
    "$vesal" register --fixed fixed.nii.gz --moving moving.nii.gz --out x_ --preset fast -q 2>err.txt &
    process=$!
    sleep "$delay"
    kill -s KILL $process 2>/dev/null
    wait $process 2>/dev/null
    written=$(names)
    [ -e x_Report.json ] && check "the report came last: all nine files are there" [ "$written" = 9 ]
    for file in x_*; do
        [ -e "$file" ] || continue
        case $file in
        *Report.json) ;; # has seconds in it
        *) check "killed after $delay s, $written files written: $file is whole" cmp "$file" "whole_${file#x_}" ;;
        esac
    done
done
verdict
