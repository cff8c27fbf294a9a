# For the scripts that look at what `vesal phantom` writes. Sourced with VESAL WORK SOURCE: sets vesal and work, and goes
# to the work folder, empty.
vesal=$1 work=$2
rm -rf "$work"
mkdir -p "$work"
cd "$work"

fail() {
    printf 'FAIL %s\n' "$1"
    exit 1
}

ends() { # CODE ARGUMENTS...: the command ends with CODE and one sentence
    want=$1 code=0
    shift
    "$vesal" phantom "$@" -q 2>error || code=$?
    [ $code = "$want" ] || fail "$* ended with $code, expected $want"
    [ "$(wc -l <error)" = 1 ] || fail "$* is answered by other than one sentence"
}

killed() { # SUFFIX ARGUMENTS...: what a run that was killed left behind is whole, and says that it did not end
    suffix=$1
    shift
    "$vesal" phantom --out killed "$@" -q &
    pid=$!
    tries=600
    until [ -n "$(find killed -name "*$suffix" ! -name '.*' 2>error | head -n 1)" ]; do
        tries=$((tries - 1))
        [ $tries -gt 0 ] || fail "a minute has gone by without a file"
        sleep 0.1
    done
    sleep 0.2
    kill -9 $pid
    wait $pid 2>error || true
    [ ! -e killed/participants.tsv ] || fail "the killed run ended before it was killed"
    for file in $(find killed -name "*$suffix" ! -name '.*'); do
        "$vesal" info "$file" -q >said 2>&1 || fail "$file is half-written: $(tail -n 1 said)"
    done
}
