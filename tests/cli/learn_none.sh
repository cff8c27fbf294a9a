# A build without LibTorch lists the learned verbs and says why it cannot do them.
. "$2/tests/cli/lib.sh"
exits 0 "$vesal" --help
check "the list has learned commands" grep -q '^  diffusion ' out.txt
exits 1 "$vesal" diffusion doctor
says "built without LibTorch"
exits 1 "$vesal" --reference diffusion doctor
exits 2 "$vesal" diffusion docter
verdict
