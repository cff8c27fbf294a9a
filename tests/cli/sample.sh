# Samples of a model, and models that are none.
. "$2/tests/cli/lib.sh"
no_leak_check
. "$2/tests/cli/train_lib.sh"
exits 0 train whole --steps 12
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
LD_DEBUG=files "$vesal" diffusion sample --model hostile --out none 2>&1 | grep -oE 'file=[^ ]+' >opened.txt
check "the run was watched" grep -q libhdf5 opened.txt
check "it is refused before LibTorch is opened, and no Python came in" sh -c '! grep -qE "libtorch|libpython" opened.txt'
exits 3 "$vesal" diffusion train --data images --out none --init hostile
says "is a Python pickle"
printf 'init: hostile\n' >names_it.yaml
exits 3 "$vesal" diffusion train --data images --out none --config names_it.yaml
says "is a Python pickle"
LD_DEBUG=files "$vesal" diffusion train --data images --out none --config names_it.yaml 2>&1 | grep -oE 'file=[^ ]+' >opened.txt
check "one that a configuration names is refused as early" sh -c '! grep -qE "libtorch" opened.txt'
printf '\377\377\377\377\377\377\377\177{}' >hostile/weights.safetensors
exits 3 "$vesal" diffusion sample --model hostile --out none
says "states a header of"
cp whole/weights.safetensors hostile
sed -i 's/^network-width: 16/network-width: 24/' hostile/config.yaml
exits 3 "$vesal" diffusion sample --model hostile --out none
says "expected 24"
check "every array that differs is named" [ "$(tr ';' '\n' <err.txt | grep -c expected)" -gt 20 ]
exits 3 "$vesal" diffusion sample --model foreign --out none
verdict
