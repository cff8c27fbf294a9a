#!/bin/sh
# Every relative link of every Markdown page leads to a file that is there. Usage: links.sh SOURCE
set -eu
cd "$1"
broken=0
for page in *.md docs/*.md docs/*/*.md; do
    [ -e "$page" ] || continue
    for link in $(grep -oE '\]\([^)[:space:]]+\)' "$page" | sed 's/^](//; s/)$//; s/#.*//'); do
        case $link in http://* | https://* | mailto:*) continue ;; esac
        if ! [ -e "$(dirname "$page")/$link" ]; then
            printf '%s: no file %s\n' "$page" "$link"
            broken=1
        fi
    done
done
[ $broken = 0 ] && printf 'every relative link leads somewhere\n'
exit $broken
