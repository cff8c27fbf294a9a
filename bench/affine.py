#!/usr/bin/env python3
"""How often rigid and affine alignment goes astray: many pairs, no deformation, judged by labels that no program sees.

    ./run bench affine [--data DIR] [--pairs 40] [--films 400] [--threads 2]

Whole heads of two scanners come from the data folder and are left out where it is not there; simulated chest films are
made. Writes docs/affine.md.
"""
import argparse
import csv
import datetime
import glob
import json
import os
import random
import re
import subprocess
import sys
import tempfile
import time

import nibabel as nib
import numpy as np
from PIL import Image
from scipy import ndimage

from judge import dice, load_affine, transform, world
from peers import HERE, ants_common, ants_linear, greedy_affine, greedy_common, in_python
from report import processor

VESAL = os.environ.get("VESAL", os.path.join(HERE, "..", "build", "release", "cli", "vesal"))
LOST_HEAD, LOST_FILM = 0.15, 0.5  # mean Dice: of 148 small structures; of lungs and heart
SEEN = ("right_lung", "left_lung", "heart")

PAGE = """# Rigid and affine alignment

Made by `./run bench affine` on {date}, {cpu}, {threads} threads. No deformation, and no start but the headers: the linear
stages alone, judged by labels that no program sees. A pair is lost when structures hardly meet afterwards. Warned
of: its [report](report-numbers.md#the-linear-stages), which does not know these labels either, says that aligned the other
way the map is another one.
{heads}
## Simulated chest films

{films} pairs of films of {people} people ([phantom](phantom.md)), 64x64 pixels. Mean Dice of lungs and heart; lost: below
{lost_film}.

{film_table}

Films of two people are no affine image of each other, and at a quarter of their resolution, 16x16 pixels, many a wrong map
makes windows of 5x5 pixels alike. So each level also starts from where the headers put the images, images keep at
least half of the overlap that headers or centres of mass give them, and each pair is also aligned the other way: where
the two maps disagree, the one that makes the images more alike both ways goes on.
"""
HEADS = """
## Whole heads

{pairs} pairs of {people} people, 2 mm heads with skull and neck, from two scanners with different orientations and origins.
Mean Dice of 148 small structures; lost: below {lost_head}. Seconds are of a pair, files included: vesal takes all pairs in
one process, side by side, the others one after another with all threads, without Python's start.

{table}

greedy: `-a -dof 12 -ia-image-centers`, 100, 50 and 10 iterations; ANTs: centres of mass, then rigid and affine by mutual
information, 1000, 500 and 250 iterations, none on the finest level. As in the [benchmark of whole heads](benchmarks.md).
"""


def row_of(name, before, after, lost, warned=None, seconds=None):
    """warned: which pairs came with a warning that the other way leads to another map"""
    done = np.array([d for d in after if d is not None])
    told = np.array([w for w, d in zip(warned or [], after) if d is not None])
    said = [f"{np.sum(told & (done < lost))}", f"{np.sum(told & (done >= lost))}"] if warned else ["", ""]
    cells = [name, f"{np.mean(before):.3f}", f"{np.mean(done):.3f}", f"{np.median(done):.3f}", f"{np.min(done):.3f}",
             str(int(np.sum(done < lost))), *said, str(after.count(None))]
    return "| " + " | ".join(cells + ([f"{seconds:.2f}"] if seconds is not None else [])) + " |"


def table(rows, timed):
    head = ["program", "Dice by headers", "after, mean", "median", "least", "lost", "lost, warned of",
            "others, warned of", "ended in an error"] + ["s a pair"] * timed
    return "\n".join(["| " + " | ".join(head) + " |", "| --- |" + " ---: |" * (len(head) - 1), *rows])


def ours(pairs, folder, metric, threads):
    """-> (affine files, None where there is none; which pairs were warned of; seconds a pair)"""
    with open(os.path.join(folder, "pairs.tsv"), "w") as f:
        f.write("fixed\tmoving\tout\n" + "".join(f"{a}\t{b}\tp{i}\n" for i, (a, b) in enumerate(pairs)))
    out = os.path.join(folder, metric)
    began = time.perf_counter()
    done = subprocess.run([VESAL, "register", "--pairs", f.name, "--out", out, "--stages", "rigid,affine", "--linear-metric", metric,
                           "--no-picture", "--threads", str(threads), "-q"], stderr=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    if done.returncode not in (0, 4):  # 4: some pairs failed
        sys.exit(f"{VESAL} ended with {done.returncode}")
    seconds = (time.perf_counter() - began) / len(pairs)
    paths = [os.path.join(out, f"p{i}0GenericAffine.mat") for i in range(len(pairs))]
    paths = [p if os.path.exists(p) else None for p in paths]
    return paths, [bool(p) and is_warned_of(p.replace("0GenericAffine.mat", "Report.json")) for p in paths], seconds


def is_warned_of(report):
    with open(report) as f:
        return any("the map is another one" in r for r in json.load(f)["verdict"]["reasons"])


def greedy(fixed, moving, folder, threads):
    out = os.path.join(folder, "greedy.txt")
    return out, greedy_affine(greedy_common(fixed, moving, threads), out)


def ants(fixed, moving, folder, threads):
    out = os.path.join(folder, "ants")
    return out + "0GenericAffine.mat", in_python("ants", ants_common(out) + ants_linear(fixed, moving))


def theirs(peer, pairs, folder, threads):
    paths, seconds = [], 0.0
    for i, (fixed, moving) in enumerate(pairs):
        own = os.path.join(folder, f"{peer.__name__}{i}")
        os.mkdir(own)
        path, argv = peer(fixed, moving, own, threads)
        done = subprocess.run(argv, capture_output=True, text=True,
                              env={**os.environ, "OMP_NUM_THREADS": str(threads), "ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(threads)})
        said = re.findall(r"^SECONDS (\S+) ", done.stdout, re.M)
        seconds += float(said[0]) if said else 0
        paths.append(path if done.returncode == 0 and os.path.exists(path) else None)
    return paths, None, seconds / len(pairs)


def head_dice(fixed, moving, path):
    """Dice of labels under an affine (None: the headers alone)."""
    a, b = nib.load(fixed), nib.load(moving)
    x, y = np.asarray(a.dataobj).astype(np.int32), np.asarray(b.dataobj).astype(np.int32)
    to_moving = np.linalg.inv(b.affine) @ (load_affine(path) if path else np.eye(4))
    met = ndimage.map_coordinates(y, transform(to_moving, world(x.shape, a.affine)), order=0, mode="constant")
    return dice(x, met, [k for k in np.unique(x) if k > 0 and np.any(y == k)])


def heads_part(a, folder):
    found = sorted(glob.glob(os.path.join(a.data, "brain-t1-ages", "*", "*_T1w.nii.gz")))
    labels = lambda path: path.replace("_T1w", "_dlmuse")
    found = [p for p in found if os.path.exists(labels(p))]
    if not found:
        return ""
    draw = random.Random(3)
    pairs = [draw.sample(found, 2) for _ in range(a.pairs)]
    before = [head_dice(labels(f), labels(m), None) for f, m in pairs]
    rows = []
    for name, run in (("vesal (LNCC)", lambda: ours(pairs, folder, "lncc", a.threads)),
                      ("vesal `--linear-metric mi`", lambda: ours(pairs, folder, "mi", a.threads)),
                      ("greedy NCC", lambda: theirs(greedy, pairs, folder, a.threads)),
                      ("ANTs MI", lambda: theirs(ants, pairs, folder, a.threads))):
        paths, warned, seconds = run()
        after = [head_dice(labels(f), labels(m), p) if p else None for (f, m), p in zip(pairs, paths)]
        rows.append(row_of(name, before, after, LOST_HEAD, warned, seconds))
        print(rows[-1], flush=True)
    return HEADS.format(pairs=len(pairs), people=len(found), lost_head=LOST_HEAD, table=table(rows, True))


def films(folder):
    """A file and its masks for each person."""
    out = os.path.join(folder, "films")
    subprocess.run([VESAL, "phantom", "--modality", "radiograph", "--subjects", "60", "--size", "64,64", "--seed", "11", "--out", out, "-q"],
                   check=True)
    masks = {}
    with open(os.path.join(out, "manifest.tsv"), newline="") as f:
        for r in csv.DictReader(f, delimiter="\t"):
            if r["structure"] in SEEN:
                at = lambda name: os.path.join(out, name)
                masks.setdefault(at(r["mask_of"]), {})[r["structure"]] = np.asarray(Image.open(at(r["file"]))).T > 0
    return masks


def film_dice(fixed, moving, path):
    """Mean over structures. A film's pixel (i, j) lies at RAS (-i, -j, 0) mm (docs/nifti.md)."""
    grid = np.stack(np.meshgrid(*[np.arange(n, dtype=float) for n in (64, 64, 1)], indexing="ij"))
    at = -transform(load_affine(path), -grid)[:2, :, :, 0] if path else grid[:2, :, :, 0]
    warped = lambda m: ndimage.map_coordinates(m.astype(float), at, order=1, mode="nearest") > 0.5
    return float(np.mean([dice(fixed[s], warped(moving[s]), [True]) for s in SEEN]))


def films_part(a, folder):
    masks = films(folder)
    draw = random.Random(3)
    pairs = [draw.sample(sorted(masks), 2) for _ in range(a.films)]
    before = [film_dice(masks[f], masks[m], None) for f, m in pairs]
    rows = []
    for name, metric in (("vesal (LNCC)", "lncc"), ("vesal `--linear-metric mi`", "mi")):
        paths, warned, _ = ours(pairs, folder, metric, a.threads)
        after = [film_dice(masks[f], masks[m], p) if p else None for (f, m), p in zip(pairs, paths)]
        rows.append(row_of(name, before, after, LOST_FILM, warned))
        print(rows[-1], flush=True)
    return {"films": len(pairs), "people": len(masks), "lost_film": LOST_FILM, "film_table": table(rows, False)}


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("--data", default=os.path.join(HERE, "..", "..", "shared", "data"))
    p.add_argument("--pairs", type=int, default=40, help="of whole heads")
    p.add_argument("--films", type=int, default=400, help="pairs of simulated films")
    p.add_argument("--threads", type=int, default=2)
    a = p.parse_args()
    with tempfile.TemporaryDirectory(prefix="vesal-bench-") as folder:
        os.mkdir(os.path.join(folder, "h"))
        text = films_part(a, folder)
        heads = heads_part(a, os.path.join(folder, "h"))
    with open(os.path.join(HERE, "..", "docs", "affine.md"), "w") as f:
        f.write(PAGE.format(date=datetime.date.today().isoformat(), cpu=processor(), threads=a.threads, heads=heads, **text))


if __name__ == "__main__":
    main()
