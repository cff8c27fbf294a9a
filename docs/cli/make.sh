#!/bin/sh
# Renews the pages of this folder from the command's own tables. Usage: docs/cli/make.sh path/to/vesal
set -eu
vesal=$1
folder=$(dirname "$0")
for verb in info convert register apply jacobian evaluate phantom "data verify" doctor "diffusion doctor" \
    "diffusion train" "diffusion sample" "diffusion choose" "diffusion segment" "diffusion evaluate"; do
    # shellcheck disable=SC2086 # two words
    page=$("$vesal" --reference $verb)
    printf '%s\n' "$page" >"$folder/$(echo "$verb" | tr ' ' '-').md"
done
