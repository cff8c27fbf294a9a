"""Whole registrations on a GPU: `vesal register` alone, in a batch, on the CPU for parity, and the same method written
in PyTorch (lddmm_torch.py) on the same card. The images are phantom heads, so that it runs wherever a card is; it needs
PyTorch and NumPy only. Exit code 77: no device.

    gpu.py [--device cuda|cpu] [--size 256,256,256 ...] [--batch 16] [--repeats 3] [--vesal FILE] [--page FILE]

Writes build/bench/gpu.tsv and, with --page, the table between that page's markers <!-- gpu --> and <!-- /gpu -->.
"""
import argparse
import csv
import datetime
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np

import report

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..")
COLUMNS = ["size", "program", "device", "seconds", "lddmm_seconds", "dice_before", "dice", "dice_against_cpu", "folds"]
TEXT = """Made by `./run bench gpu` on {date}: {device}; the CPU is {cpu} with {threads} threads. Two phantom heads
(`vesal phantom --seed 7`), deformation only; median of {repeats} runs on the device, one on the CPU. Seconds are of the
whole command, a pair; lddmm seconds are of that stage alone. PyTorch's are of reading, registering and writing, without
its start and after one small registration to warm up. Dice is the mean over structures, folds are voxels, both from the
warp files by `bench/gpu.py`.
"""


def judge(warp, fixed, fixed_labels, moving_labels):
    """-> (mean Dice before, after, folded voxels). All on one grid."""
    from lddmm_torch import read_nifti, to_world
    world = to_world(read_nifti(fixed)[0])
    lps = np.asarray(read_nifti(warp)[1], np.float32)[:, 0]
    u = np.tensordot(np.linalg.inv(np.diag([-1, -1, 1]) @ world).astype(np.float32), lps, 1)[::-1]  # voxels: z, y, x
    a, b = read_nifti(fixed_labels)[1], read_nifti(moving_labels)[1]
    at = [axis.reshape([-1 if d == c else 1 for d in range(3)]) + u[c]
          for c, axis in enumerate(np.arange(n, dtype=np.float32) for n in a.shape)]
    inside = np.logical_and.reduce([(p > -0.5) & (p < n - 0.5) for p, n in zip(at, a.shape)])
    moved = np.where(inside, b[tuple(np.clip(np.rint(p).astype(int), 0, n - 1) for p, n in zip(at, a.shape))], 0)
    labels = [k for k in np.unique(a) if k > 0 and np.any(b == k)]
    dice = lambda c: float(np.mean([2 * np.sum((a == k) & (c == k)) / (np.sum(a == k) + np.sum(c == k))
                                    for k in labels]))
    g = [np.gradient(p) for p in at]
    det = sum(g[0][i] * (g[1][j] * g[2][k] - g[1][k] * g[2][j]) for i, j, k in ((0, 1, 2), (1, 2, 0), (2, 0, 1)))
    return dice(b), dice(moved), int(np.sum(~(det > 0)))


def timed(argv):
    """-> (wall seconds, what it printed)"""
    start = time.perf_counter()
    done = subprocess.run(argv, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
    seconds = time.perf_counter() - start
    if done.returncode != 0:
        sys.exit(f"gpu: {' '.join(argv)} ended with {done.returncode}: {done.stdout.strip()[-2000:]}")
    return seconds, done.stdout


def measure(size, args, folder):
    """Rows of one size."""
    timed([args.vesal, "phantom", "--out", folder, "--subjects", "2", "--visits", "1", "--seed", "7", "--size", size,
           "--device", "cpu", "-q"])
    at = lambda i, what, root="": os.path.join(folder, root, f"sub-{i:02d}", "ses-01", "anat",
                                               f"sub-{i:02d}_ses-01_{what}.nii.gz")
    fixed, moving = at(1, "T1w"), at(2, "T1w")
    labels = [at(i, "dseg", os.path.join("derivatives", "phantom")) for i in (1, 2)]
    common = ["--stages", "lddmm", "--overwrite", "-q"]
    rows = []

    def row(program, device, seconds, lddmm_seconds, warp):
        before, after, folds = judge(warp, fixed, *labels)
        against = after - rows[0]["dice"] if rows else None
        rows.append({"size": size.replace(",", "x"), "program": program, "device": device, "seconds": seconds,
                     "lddmm_seconds": lddmm_seconds, "dice_before": before, "dice": after,
                     "dice_against_cpu": against, "folds": folds})
        print("  ".join(f"{c} {cell(rows[-1], c)}" for c in COLUMNS), flush=True)

    def vesal(device, repeats):
        out = os.path.join(folder, device + "_")
        one = [args.vesal, "register", "--fixed", fixed, "--moving", moving, "--out", out, "--device", device, *common]
        runs = []
        for _ in range(repeats):
            seconds, _ = timed(one)
            with open(out + "Report.json") as f:
                runs.append((seconds, json.load(f)["seconds"]["lddmm"]))
        row("vesal", device, *(statistics.median(r) for r in zip(*runs)), out + "1Warp.nii.gz")

    vesal("cpu", 1)
    vesal(args.device, args.repeats)
    table = os.path.join(folder, "pairs.tsv")
    with open(table, "w") as f:
        f.write("fixed\tmoving\tout\n" + "".join(f"{fixed}\t{moving}\t{i:02d}_\n" for i in range(args.batch)))
    many = os.path.join(folder, "many")
    seconds, _ = timed([args.vesal, "register", "--pairs", table, "--out", many, "--device", args.device, *common])
    row(f"vesal, {args.batch} pairs", args.device, seconds / args.batch, None, os.path.join(many, "00_1Warp.nii.gz"))
    warp = os.path.join(folder, "torch.nii")
    peer = [sys.executable, os.path.join(HERE, "lddmm_torch.py"), fixed, moving, warp, "--device", args.device]
    seconds = [float(re.search(r"^SECONDS (\S+)", timed(peer)[1], re.M).group(1)) for _ in range(args.repeats)]
    row("PyTorch LDDMM", args.device, statistics.median(seconds), None, warp)
    return rows


def cell(row, column):
    digits = {"seconds": ".3f", "lddmm_seconds": ".3f", "dice_before": ".4f", "dice": ".4f", "dice_against_cpu": "+.4f"}
    return "–" if row[column] is None else format(row[column], digits.get(column, ""))


def write_page(path, rows, args, device_name):
    heads = [c.replace("_", " ").replace("dice", "Dice").replace("cpu", "CPU") for c in COLUMNS]
    text = TEXT.format(date=datetime.date.today().isoformat(), device=device_name, cpu=report.processor(),
                       threads=len(os.sched_getaffinity(0)), repeats=args.repeats)
    table = ["| " + " | ".join(heads) + " |", "| --- | --- | --- |" + " ---: |" * (len(heads) - 3),
             *("| " + " | ".join(cell(r, c) for c in COLUMNS) + " |" for r in rows)]
    with open(path) as f:
        page = f.read()
    whole = "<!-- gpu -->\n" + text + "\n" + "\n".join(table) + "\n<!-- /gpu -->"
    page, found = re.subn(r"<!-- gpu -->.*?<!-- /gpu -->", lambda _: whole, page, flags=re.S)
    if found != 1:
        sys.exit(f"gpu: {path} has {found} places between <!-- gpu --> and <!-- /gpu -->, expected one")
    with open(path, "w") as f:
        f.write(page)


def device_or_leave(args):
    """The device's name; without one the program ends here."""
    def leave(why):
        print(f"gpu: {why}; nothing was measured", file=sys.stderr)
        sys.exit(77)
    try:
        import torch
    except ImportError:
        leave("this Python has no PyTorch")
    if args.device == "cuda" and not torch.cuda.is_available():
        leave("PyTorch sees no CUDA device")
    if not os.access(args.vesal, os.X_OK):
        leave(f"{os.path.relpath(args.vesal)} is not there (cmake --preset cuda && cmake --build --preset cuda)")
    return torch.cuda.get_device_name() if args.device == "cuda" else report.processor()


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--device", default="cuda", choices=["cuda", "cpu"], help="cpu tries this program, without a card")
    p.add_argument("--size", action="append", help="of the phantoms; may be repeated; 256,256,256 and 160,192,224")
    p.add_argument("--batch", type=int, default=16)
    p.add_argument("--repeats", type=int, default=3)
    p.add_argument("--vesal", default=os.path.join(ROOT, "build", "cuda", "cli", "vesal"))
    p.add_argument("--page")
    args = p.parse_args()
    name = device_or_leave(args)
    rows = []
    for size in args.size or ["256,256,256", "160,192,224"]:
        with tempfile.TemporaryDirectory(prefix="vesal-bench-gpu-") as folder:
            rows += measure(size, args, folder)
    results = os.path.join(ROOT, "build", "bench")
    os.makedirs(results, exist_ok=True)
    with open(os.path.join(results, "gpu.tsv"), "w", newline="") as f:
        table = csv.DictWriter(f, COLUMNS, delimiter="\t", lineterminator="\n")
        table.writeheader()
        table.writerows(rows)
    if args.page:
        write_page(args.page, rows, args, name)


if __name__ == "__main__":
    main()
