#!/bin/sh
# Called by ./run bench [pairs|large|heads|kernels|nn|all|report] [options of compare.py], ./run bench affine,
# ./run bench gpu [options of gpu.py], or ./run bench ptdr chest|simulator [options of ptdr.py].
set -eu
cd "$(dirname "$0")/.."
part=${1:-all}
[ $# = 0 ] || shift

if [ "$part" = ptdr ]; then
    exec python3 bench/ptdr.py "$@"
fi
if [ "$part" = kernels ] || [ "$part" = all ]; then
    mkdir -p build/bench
    build/release/bench/bench_kernels --threads 2 --out build/bench/kernels.tsv
    cat build/bench/kernels.tsv
    cuda=build/cuda/bench/bench_kernels
    if [ -x $cuda ]; then # no device is said, and no reason to stop
        $cuda --device cuda --size 256 --out build/bench/kernels-cuda.tsv && cat build/bench/kernels-cuda.tsv || true
    fi
fi
if [ "$part" = kernels ]; then
    exit 0
fi
if [ "$part" = nn ]; then # Debian's python3-torch, which is the LibTorch that the command was built with
    [ $# -gt 0 ] || set -- --page docs/benchmarks-learned.md
    exec /usr/bin/python3 bench/nn_torch.py build/release/bench/bench_nn build/release/cli/vesal "$@"
fi
if [ "$part" = gpu ]; then # whichever Python has the PyTorch of the card
    [ $# -gt 0 ] || set -- --page docs/performance.md
    exec python3 bench/gpu.py "$@"
fi
# The peers' Python packages live in a folder of their own, which nothing else uses.
venv=${VSL_BENCH_VENV:-build/bench-venv}
if ! [ -e "$venv/complete" ]; then
    python3 -m venv "$venv"
    "$venv/bin/pip" install -q picsl-greedy antspyx nibabel pillow scipy
    touch "$venv/complete"
fi
if [ "$part" = affine ]; then
    exec "$venv/bin/python" bench/affine.py "$@"
fi
exec "$venv/bin/python" bench/compare.py "$part" "$@"
