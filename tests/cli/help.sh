# Help, reference pages and mistyped words.
. "$2/tests/cli/lib.sh"

verbs="info convert register apply jacobian evaluate phantom doctor"
for verb in $verbs "data verify"; do
    # shellcheck disable=SC2086 # two words
    exits 0 "$vesal" $verb --help
    check "help of $verb is on standard output" [ -s out.txt ]
    check "and nothing is on standard error" [ ! -s err.txt ]
    for flag in --json --threads --seed --device --overwrite --mem-mb --help -q -v; do
        check "help of $verb has $flag" grep -q -e "^  $flag" out.txt
    done
    page=$source_folder/docs/cli/$(echo "$verb" | tr ' ' '-').md
    # shellcheck disable=SC2086
    "$vesal" --reference $verb >page.md
    check "docs/cli of $verb is current (docs/cli/make.sh renews it)" cmp page.md "$page"
    for flag in $(sed -n 's/^| `\(--*[a-z][-a-z0-9]*\).*/\1/p' page.md); do
        check "help and page of $verb agree on $flag" grep -q -e "^  $flag" out.txt
    done
done
exits 0 "$vesal" apply --help
check "the help text looks as it did" cmp out.txt "$source_folder/tests/cli/apply.help"

exits 0 "$vesal" --help
for verb in $verbs; do
    check "the list of commands has $verb" grep -q "^  $verb " out.txt
done
exits 0 "$vesal" --version
check "the version is a number" grep -Eq '^vesal [0-9]+\.[0-9]+\.[0-9]+' out.txt
exits 2 "$vesal"
exits 2 "$vesal" regsiter
says "did you mean 'register'"
exits 2 "$vesal" data
says "did you mean 'data verify'"
exits 2 "$vesal" xyzzyxyzzy
exits 2 "$vesal" register --fixd a
says "did you mean --fixed?"
exits 2 "$vesal" register --presett=fast
says "did you mean --preset?"
exits 2 "$vesal" evaluate -x
exits 2 "$vesal" info --jsn file
says "did you mean --json?"
exits 2 "$vesal" register --linear-metrik mi
says "did you mean --linear-metric?"
verdict
