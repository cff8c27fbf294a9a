#!/usr/bin/env python3
"""Segmentation from few labels: the same network from scratch, from diffusion pre-training (PTDR) and from its rivals.

Every number comes out of the `vesal` command. One finished run is one line of a ledger (TSV): a stopped bench goes on
where it was, and `--only-report` writes docs/ptdr-PART.md and docs/images/ptdr-PART.svg from what is there.

    ./run bench ptdr chest --data-root FOLDER [--methods scratch,ptdr] [--budgets 1,2,5] [--subsets 3] [--jobs 2]
    ./run bench ptdr simulator
"""
import argparse
import concurrent.futures
import csv
import json
import os
import pathlib
import random
import subprocess
import sys
import time

from ptdr_methods import (BATCH, COLUMNS, DENOISE, DRAWN_STEPS, HERE, METHODS, MORE_PEOPLE, MOST_CHOSEN, PARTS, PEOPLE, PRETRAIN,
                          SEGMENT, key, ledger_path, read_ledger, run_folder)
from ptdr_report import report


def arguments():
    p = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    p.add_argument("part", choices=PARTS)
    p.add_argument("--vesal", default=str(HERE / "build/release/cli/vesal"))
    p.add_argument("--data", help="another manifest than the part's own")
    p.add_argument("--data-root", help="folder that the manifest's paths start from")
    p.add_argument("--out", help="models and ledger (default: build/bench/ptdr-PART)")
    p.add_argument("--methods", default="scratch,ptdr")
    p.add_argument("--budgets", default="1,2,5,10,25,50,0", help="labelled films; 0 = all")
    p.add_argument("--subsets", type=int, default=5)
    p.add_argument("--first-subset", type=int, default=0)
    p.add_argument("--seeds", type=int, default=1)
    p.add_argument("--pretrain-steps", type=int, default=5000)
    p.add_argument("--steps", type=int, default=1200, help=f"of the training with labels, {BATCH} films each")
    p.add_argument("--time", help="noise level of the training with labels")
    p.add_argument("--jobs", type=int, default=2, help="runs at a time, one thread each")
    p.add_argument("--only-report", action="store_true")
    a = p.parse_args()
    a.out = a.out or str(HERE / f"build/bench/ptdr-{a.part}")
    a.network = PARTS[a.part]["network"]
    wanted = a.methods.split(",")
    if unknown := [m for m in wanted if m not in METHODS]:
        p.error(f"no method is called {unknown[0]}; there are {', '.join(METHODS)}")
    if any(METHODS[m].is_drawn for m in wanted) and "drawn" not in PARTS[a.part]:
        p.error(f"simulated masks come first for real films; {a.part} has masks enough")
    if any(METHODS[m].has_more for m in wanted) and "films" not in PARTS[a.part]:
        p.error(f"there are more films where they are simulated, not in {a.part}")
    if any(METHODS[m].is_chosen for m in wanted) and not all(1 <= int(n) <= MOST_CHOSEN for n in a.budgets.split(",")):
        p.error(f"1 to {MOST_CHOSEN} labelled films are chosen: --budgets 1,5")
    if not a.data:
        a.data = str(pathlib.Path(a.out) / "films/manifest.tsv" if a.part == "simulator" else
                     HERE / "data-manifests/chest-radiographs.tsv")
    return a


def vesal(a, *words):
    """One run of the command; what it says on stderr is shown when it fails."""
    done = subprocess.run([a.vesal, *words], capture_output=True, text=True)
    if done.returncode != 0:
        sys.exit(f"vesal {' '.join(words)}\nended with {done.returncode}:\n{done.stderr[-2000:]}")
    return done.stdout


def data_flags(a, data=None):
    return ["--data", str(data or a.data)] + (["--data-root", a.data_root] if a.data_root else [])


def pretrained(a, flags, threads):
    """The folder of the pre-trained network, made when it is not there."""
    name = "-".join(w.strip("-") for w in flags) + f"-{a.pretrain_steps}"
    folder = pathlib.Path(a.out) / "pretrained" / name
    if not (folder / "weights.h5").exists():
        folder.parent.mkdir(parents=True, exist_ok=True)
        vesal(a, "diffusion", "train", *data_flags(a), *a.network, *PRETRAIN, *flags, "--steps", str(a.pretrain_steps),
              "--threads", str(threads), "--out", str(folder))
    return str(folder)


def start_of(a, method, threads):
    """Flags that say where the training with labels starts."""
    before = METHODS[method].before
    start = ["--init", pretrained(a, before, threads)] if before else a.network
    if not METHODS[method].is_drawn:
        return start
    films, folder = pathlib.Path(a.out) / "drawn", pathlib.Path(a.out) / "pretrained" / ("ptdr-drawn" if before else "drawn")
    if not (films / "manifest.tsv").exists():
        vesal(a, "phantom", *PARTS[a.part]["drawn"], "--out", str(films), "--overwrite", "-q")
    train_and_score(a, folder, "--data", str(films / "manifest.tsv"), *start, "--steps", str(DRAWN_STEPS), "--seed", "1",
                    "--threads", str(threads))
    return ["--init", str(folder)]


def train_and_score(a, folder, *flags):
    """A network of masks before the few labels: what is there of it already stays."""
    if not (folder / "weights.h5").exists():
        vesal(a, "diffusion", "train", *flags, *SEGMENT, "--save-every", "250", "--out", str(folder))
    if not (folder / "scores.json").exists():
        (folder / "scores.json").write_text(json.dumps(scores(a, folder)))


def without_masks(a):
    """A manifest of the films to learn from, none of which has a mask."""
    path = pathlib.Path(a.out) / "without-masks.tsv"
    with open(a.data, newline="") as f, open(path, "w", newline="") as g:
        rows = csv.DictReader(f, delimiter="\t")
        out = csv.DictWriter(g, rows.fieldnames, delimiter="\t", lineterminator="\n")
        out.writeheader()
        out.writerows(r for r in rows if r["split"] == "train" and r["mask_of"] == "n/a")
    return path


def teach_without_masks(a):
    """The network of simulated masks teaches on films of people, of which none is labelled."""
    before = pathlib.Path(a.out) / "pretrained" / "ptdr-drawn"
    root = a.data_root or str(pathlib.Path(a.data).parent)
    train_and_score(a, before.with_name("ptdr-drawn-self"), "--data", str(without_masks(a)), "--data-root", root,
                    "--init", str(before), "--teacher", str(before), "--steps", str(2 * a.steps),
                    "--threads", str(a.jobs))


def more_films(a):
    """A manifest of the part's films and of those of more people, which have no masks: the same films are drawn as labelled."""
    folder = pathlib.Path(a.out) / "more"
    path, out = folder / "manifest.tsv", folder / "more.tsv"
    if out.exists():
        return out
    if not path.exists():
        vesal(a, "phantom", *PARTS[a.part]["films"], "--subjects", str(PEOPLE + MORE_PEOPLE), "--out", str(folder), "--overwrite", "-q")
    draft = out.with_suffix(".part")
    with open(a.data, newline="") as f, open(path, newline="") as g, open(draft, "w", newline="") as h:
        first, all_of_them = csv.DictReader(f, delimiter="\t"), csv.DictReader(g, delimiter="\t")
        rows = csv.DictWriter(h, first.fieldnames, delimiter="\t", lineterminator="\n")
        rows.writeheader()
        rows.writerows(first)  # a subject does not depend on how many others are made, their split does
        for r in all_of_them:
            if int(r["subject"]) > PEOPLE and r["mask_of"] == "n/a":
                rows.writerow({k: v if k in ("file", "sha256", "subject", "session", "age_years", "sex", "mask_of") else
                               "train" if k == "split" else "n/a" for k, v in r.items()})
    os.replace(draft, out)
    return out


def chosen(a, subset, threads):
    """A list of labelled films, best first, that the pre-trained network chooses: each subset of a half of the people drawn anew."""
    folder = pathlib.Path(a.out) / "chosen"
    table, half = folder / f"{subset}.tsv", folder / f"half-{subset}.tsv"
    if table.exists():
        return table
    folder.mkdir(parents=True, exist_ok=True)
    with open(a.data, newline="") as f:
        rows = list(csv.DictReader(f, delimiter="\t"))
    have_masks = {r["mask_of"] for r in rows}
    films = [r for r in rows if r["split"] == "train" and r["file"] in have_masks]
    people = sorted({r["subject"] for r in films})
    some = set(random.Random(subset).sample(people, len(people) // 2))
    with open(half, "w", newline="") as f:
        out = csv.DictWriter(f, rows[0], delimiter="\t", lineterminator="\n")
        out.writeheader()
        out.writerows(r for r in films if r["subject"] in some)
    vesal(a, "diffusion", "choose", "--model", pretrained(a, DENOISE, threads), "--data", str(half),
          "--data-root", a.data_root or str(pathlib.Path(a.data).parent), "--ignore-masks", "--labels", str(MOST_CHOSEN),
          "--threads", "1", "--out", str(table))
    return table


def job_of(a, method, labels, subset, seed):
    return {"method": method, "labels": labels, "subset": subset, "seed": seed,
            "pretrain_steps": 0 if method.startswith("scratch") or method == "drawn" else a.pretrain_steps,
            "steps": a.pretrain_steps if method == "joint" else a.steps * (2 if METHODS[method].teacher else 1),
            "time": a.time or "default"}


def teachers(a, job):
    method = METHODS[job["method"]]
    return [job_of(a, method.teacher, job["labels"], job["subset"], job["seed"] + i) for i in range(method.teachers)] \
        if method.teacher else []


def evaluated(a, folder, data, films):
    text = vesal(a, "diffusion", "evaluate", "--model", str(folder), *data_flags(a, data), "--threads", "1", "--json", "--out",
                 str(pathlib.Path(folder) / films), "--overwrite")
    result = json.loads(text)
    return result.get("result", result)


def each_dice(result):
    return ",".join(f"{s['structure']}={s['dice']:.4f}" for s in result["structures"] if s["films"] > 0)


def scores(a, folder):
    """The columns of the ledger that the test films fill."""
    result = evaluated(a, folder, a.data, "films.tsv")
    row = {c: result["mean"][c] for c in COLUMNS if c in result["mean"]}
    row["structures"] = each_dice(result)
    if "elsewhere" in PARTS[a.part]:
        row["elsewhere"] = each_dice(evaluated(a, folder, HERE / PARTS[a.part]["elsewhere"], "elsewhere.tsv"))
    return row


def run_one(a, job):
    method = METHODS[job["method"]]
    folder = run_folder(a, job)
    folder.parent.mkdir(parents=True, exist_ok=True)
    start = start_of(a, job["method"], a.jobs)
    if method.teacher:
        start = start + ["--teacher", ",".join(str(run_folder(a, t)) for t in teachers(a, job))]
    began = time.time()
    data = more_films(a) if method.has_more else a.data
    vesal(a, "diffusion", "train", *data_flags(a, data), *start, *method.flags, *(["--time", a.time] if a.time else []),
          "--labels", str(job["labels"]),
          *(["--labels-from", str(chosen(a, job["subset"], a.jobs))] if method.is_chosen else ["--labels-seed", str(job["subset"])]),
          "--seed", str(job["seed"]), "--steps", str(job["steps"]), "--save-every", "1000000", "--threads", "1", "--out", str(folder))
    row = dict(job, seconds=round(time.time() - began))
    row.update(scores(a, folder))
    return row


def run_all(a):
    ledger_path(a).parent.mkdir(parents=True, exist_ok=True)
    if "films" in PARTS[a.part] and not os.path.exists(a.data):
        vesal(a, "phantom", *PARTS[a.part]["films"], "--subjects", str(PEOPLE), "--out", str(pathlib.Path(a.data).parent),
              "--overwrite", "-q")
    done = {key(r) for r in read_ledger(a)}
    wanted = a.methods.split(",")
    methods = [m for m in METHODS if m in wanted or m in [METHODS[n].teacher for n in wanted]]
    jobs = {}
    for labels in map(int, a.budgets.split(",")):
        for subset in range(a.first_subset, a.first_subset + a.subsets):
            for job in [job_of(a, m, labels, subset, seed) for seed in range(a.seeds) for m in wanted]:
                is_same = labels == 0 and subset > a.first_subset  # all films are one subset
                for one in [*teachers(a, job), job]:
                    if key(one) not in done and not is_same:
                        jobs[key(one)] = one
    jobs = list(jobs.values())
    for method in methods:  # before the runs, so that two of them do not both begin with it
        start_of(a, method, a.jobs)
    if "ptdr-drawn-self" in wanted:
        teach_without_masks(a)
    if any(METHODS[m].has_more for m in wanted):
        more_films(a)
    for subset in {j["subset"] for j in jobs if METHODS[j["method"]].is_chosen}:
        chosen(a, subset, a.jobs)
    if not ledger_path(a).exists():
        ledger_path(a).write_text("\t".join(COLUMNS) + "\n")
    taught = [j for j in jobs if METHODS[j["method"]].teacher]
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for some in ([j for j in jobs if j not in taught], taught):  # teachers first
            for row in concurrent.futures.as_completed([pool.submit(run_one, a, j) for j in some]):
                row = row.result()
                with open(ledger_path(a), "a") as f:
                    f.write("\t".join(str(row.get(c, "")) for c in COLUMNS) + "\n")
                print(f"{row['method']} with {row['labels']} labels, subset {row['subset']}: Dice {row['dice']:.4f}",
                      flush=True)


def main():
    a = arguments()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if not a.only_report:
        run_all(a)
    report(a)


if __name__ == "__main__":
    main()
