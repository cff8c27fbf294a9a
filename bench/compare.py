"""Whole registrations, ours and others', pair by pair in one run, with the same threads; every result is judged by
judge.py, which knows nothing of any of them.

    compare.py pairs|large|heads|all|report [--programs A,B] [--limit N] [--threads 2] [--data DIR]

Measurements go to build/bench/PART.tsv as they come, those of the run before to PART.tsv.previous. With --programs the
rows of other programs stay: slow ones can be measured in a run of their own. `report` (and the end of every run) writes
docs/benchmarks.md.
Without the data folder the pairs are phantoms.
"""
import argparse
import csv
import os
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass

import nibabel as nib
import numpy as np
from scipy import ndimage

import report
from judge import judge
from peers import ALIGNED_ONLY, PEERS, PYTHON_WITH_TORCH

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.join(HERE, "..")
RESULTS = os.path.join(ROOT, "build", "bench")
COLUMNS = ["pair", "program", "seconds", "cpu_seconds", "peak_mib", "fixed_voxels", "dice_before", "dice", "folds",
           "jacobian_p001", "sd_log_jacobian", "inverse_mean_vox", "inverse_max_vox", "failure"]
# Programs that need minutes a pair are run on the first pairs only; the page says on how many.
SLOW = {"ANTs SyN MI": 2, "ANTs SyN CC": 2, "elastix": 2, "plastimatch": 2, "mrregister": 2,
        "PyTorch LDDMM": 2}


@dataclass
class Pair:
    name: str
    fixed: str
    moving: str
    fixed_labels: str = None
    moving_labels: str = None
    needs_affine: bool = False


def aligned_pairs(data):
    folder = os.path.join(data, "brain-cohort-aligned-2mm")
    with open(os.path.join(data, "pairs-aligned-2mm.tsv")) as f:
        for row in csv.DictReader(f, delimiter="\t"):
            at = lambda who, what: os.path.join(folder, f"{row[who]}_{what}.nii.gz")
            yield Pair(f"{row['fixed']} <- {row['moving']}", at("fixed", "T1w"), at("moving", "T1w"),
                       at("fixed", "structures20"), at("moving", "structures20"))


def phantom_pairs(folder):
    command = os.environ.get("VESAL", os.path.join(ROOT, "build", "release", "cli", "vesal"))
    subprocess.run([command, "phantom", "--out", folder, "--subjects", "4", "--visits", "1", "--seed", "7",
                    "--overwrite", "-q"], check=True)
    at = lambda i, what, root="": os.path.join(folder, root, f"sub-{i:02d}", "ses-01", "anat",
                                               f"sub-{i:02d}_ses-01_{what}.nii.gz")
    labels = lambda i: at(i, "dseg", os.path.join("derivatives", "phantom"))
    for fixed, moving in ((1, 2), (3, 4), (2, 3), (4, 1)):
        yield Pair(f"phantom {fixed} <- {moving}", at(fixed, "T1w"), at(moving, "T1w"), labels(fixed), labels(moving),
                   True)


def at_one_mm(pair, folder):
    """The same pair at 1 mm on 160x192x224: padded with air along z, then resampled (linear; labels nearest)."""
    def resample(path, order):
        image = nib.load(path)
        data = np.asarray(image.dataobj)
        want = (80, 96, 112)
        before = [(w - n) // 2 for w, n in zip(want, data.shape)]
        data = np.pad(data, [(b, w - n - b) for b, w, n in zip(before, want, data.shape)])
        step = np.eye(4)
        step[:3, :3] *= 0.5
        step[:3, 3] = -0.25 - np.array(before)
        where = np.stack(np.meshgrid(*[np.arange(2 * w) * 0.5 - 0.25 for w in want], indexing="ij"))
        fine = ndimage.map_coordinates(data.astype(np.float32), where, order=order, mode="nearest")
        out = os.path.join(folder, f"{pair.name.replace(' <- ', '_')}_{os.path.basename(path)}")
        nib.save(nib.Nifti1Image(fine.round().astype(data.dtype), image.affine @ step), out)
        return out
    return Pair(pair.name, resample(pair.fixed, 1), resample(pair.moving, 1), resample(pair.fixed_labels, 0),
                resample(pair.moving_labels, 0))


def head_pairs(data):
    folder = os.path.join(data, "brain-t1-ages")
    at = lambda who, what: os.path.join(folder, "ixi-2mm" if who.startswith("ixi") else "nichart-demo",
                                        f"{who}_{what}.nii.gz")
    for fixed, moving in (("nichart-12", "ixi-039"), ("ixi-012", "nichart-05"), ("nichart-02", "nichart-06"),
                          ("ixi-033", "ixi-014")):
        yield Pair(f"{fixed} <- {moving}", at(fixed, "T1w"), at(moving, "T1w"), at(fixed, "dlmuse"),
                   at(moving, "dlmuse"), True)
    yield Pair("ICBM 152 1 mm <- brain 1 mm",
               os.path.join(data, "brain-t1-1mm-voxelmorph", "scan_T1w.nii.gz"),
               os.path.join(data, "template-icbm152-2009a-1mm", "mni_icbm152_t1_tal_nlin_sym_09a_converted.nii.gz"),
               needs_affine=True)


def timed(argv, environment, folder, log):
    """-> (seconds, CPU seconds, peak MiB) of one program."""
    result = os.path.join(folder, "timed.txt")
    subprocess.run([sys.executable, "-IS", os.path.join(HERE, "timed.py"), result, *argv], stdout=log,
                   stderr=subprocess.STDOUT, env={**os.environ, **environment}, check=True)
    seconds, cpu, peak, status = (float(value) for value in open(result).read().split())
    if status != 0:
        raise RuntimeError(f"{os.path.basename(argv[0])} ended with {status:.0f}")
    return seconds, cpu, peak


def measure(pair, program, threads):
    row = {"pair": pair.name, "program": program, "fixed_voxels": int(np.prod(nib.load(pair.fixed).shape[:3]))}
    with tempfile.TemporaryDirectory(prefix="vesal-bench-") as folder:
        job = PEERS[program](pair, folder, threads)
        path = os.path.join(folder, "log.txt")
        try:
            seconds = cpu = peak = 0.0
            with open(path, "w") as log:
                for argv in job.commands:
                    one = timed(argv, {"OMP_NUM_THREADS": str(threads), **job.environment}, folder, log)
                    seconds, cpu, peak = seconds + one[0], cpu + one[1], max(peak, one[2])
            if job.timed_inside:
                inside = re.findall(r"^SECONDS (\S+) CPU (\S+)$", open(path, errors="replace").read(), re.M)
                seconds, cpu = (sum(float(one[i]) for one in inside) for i in (0, 1))
            row.update(seconds=round(seconds, 3), cpu_seconds=round(cpu, 3), peak_mib=round(peak, 1))
            if job.finish:
                job.finish()
            row.update(judge(job.warp, pair.fixed, pair.moving, pair.fixed_labels, pair.moving_labels, job.affine,
                             job.inverse))
        except (RuntimeError, OSError, subprocess.CalledProcessError) as e:
            shutil.copy(path, os.path.join(RESULTS, "last-failure.txt"))
            row["failure"] = str(e).replace("\t", " ").replace("\n", " ")
    return row


def run_part(name, pairs, programs, threads, slow=None):
    takes = lambda p, i, pair: i < (slow or {}).get(p, len(pairs)) and not (pair.needs_affine and p in ALIGNED_ONLY)
    turns = [[p for p in programs if takes(p, i, pair)] for i, pair in enumerate(pairs)]
    if not any(turns):  # what was measured before stays
        return
    path = os.path.join(RESULTS, name + ".tsv")
    rows = [r for r in report.read(path) if r["program"] not in programs]
    if os.path.exists(path):  # what was measured before is one rename away
        os.replace(path, path + ".previous")
    for i, (pair, turn) in enumerate(zip(pairs, turns)):
        turn = turn[i % len(turn):] + turn[:i % len(turn)] if turn else turn  # nobody is always first
        for program in turn:
            row = measure(pair, program, threads)
            rows.append(row)
            print(f"{name} {i + 1}/{len(pairs)} {pair.name:28} {program:16} " +
                  (row.get("failure") or f"{row['seconds']:8.2f} s  Dice {row.get('dice', float('nan')):.4f}  "
                   f"folds {row['folds']}"), flush=True)
            with open(path, "w", newline="") as f:
                table = csv.DictWriter(f, COLUMNS, delimiter="\t", restval="", lineterminator="\n")
                table.writeheader()
                table.writerows(rows)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("part", choices=["pairs", "large", "heads", "all", "report"])
    p.add_argument("--programs", help="comma separated, of: " + ", ".join(PEERS))
    p.add_argument("--limit", type=int, help="only so many pairs")
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--data", default=os.path.join(ROOT, "..", "shared", "data"))
    args = p.parse_args()
    os.makedirs(RESULTS, exist_ok=True)
    chosen = args.programs.split(",") if args.programs else None
    unknown = [c for c in chosen or [] if c not in PEERS]
    if unknown:
        sys.exit(f"compare: no such program: {', '.join(unknown)}; there are: {', '.join(PEERS)}")
    pick = lambda default: chosen or [q for q in default if available(q)]
    real = os.path.exists(os.path.join(args.data, "pairs-aligned-2mm.tsv"))
    with tempfile.TemporaryDirectory(prefix="vesal-bench-data-") as scratch:
        pairs = list(aligned_pairs(args.data) if real else phantom_pairs(scratch))[:args.limit]
        if args.part in ("pairs", "all"):
            run_part("pairs", pairs, pick(PEERS), args.threads, SLOW)
        ours = ["vesal fast", "vesal default", "vesal accurate", "greedy NCC"]
        if args.part in ("large", "all") and real:
            run_part("large", [at_one_mm(q, scratch) for q in pairs[:2]], pick(ours), args.threads)
        if args.part in ("heads", "all") and real:
            run_part("heads", list(head_pairs(args.data))[:args.limit], pick(ours), args.threads)
    report.write(RESULTS, os.path.join(ROOT, "docs", "benchmarks.md"), args.threads, "real" if real else "phantom")


def available(program):
    if program == "PyTorch LDDMM":
        return os.path.exists(PYTHON_WITH_TORCH) and subprocess.run([PYTHON_WITH_TORCH, "-c", "import torch"],
                                                                    stderr=subprocess.DEVNULL).returncode == 0
    tools = {"elastix": "elastix", "plastimatch": "plastimatch", "mrregister": "mrregister"}
    return program not in tools or shutil.which(tools[program]) is not None


if __name__ == "__main__":
    main()
