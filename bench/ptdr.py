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
import math
import os
import pathlib
import random
import subprocess
import sys
import time

HERE = pathlib.Path(__file__).resolve().parent.parent
DRAWN_FILMS, DRAWN_STEPS = 600, 2400  # simulated, with their masks, between pre-training and the few labels
PARTS = {
    "chest": {
        "title": "real chest films",
        "network": ["--network-width", "16", "--multipliers", "1,2,2,4", "--network-blocks", "1", "--attention-levels", "-1"],
        "elsewhere": "data-manifests/chest-covid-right-lung.tsv",  # tested on as well: other hospitals
        "drawn": ["--modality", "radiograph", "--subjects", str(DRAWN_FILMS), "--size", "128,128", "--seed", "7"],
    },
    "simulator": {
        "title": "simulated chest films",
        "network": ["--size", "32", "--network-width", "16", "--multipliers", "1,2,4", "--network-blocks", "1",
                    "--attention-levels", "-1"],
        "films": ["--modality", "radiograph", "--subjects", "600", "--size", "64,64", "--seed", "1"],
    },
}
PRETRAIN = ["--batch", "8", "--lr", "1e-3", "--save-every", "250", "--seed", "1"]
BATCH = 4  # films a step of the training with labels: as good as 8 at half the time
SEGMENT = ["--task", "segment", "--batch", str(BATCH)]
# method: (task of the pre-training and its flags, or None; task of the training with labels and its flags)
METHODS = {
    "scratch": (None, SEGMENT),
    "scratch-self": (None, SEGMENT),
    "ptdr": (["--task", "denoise"], SEGMENT),
    "ptdr-self": (["--task", "denoise"], SEGMENT),
    "ptdr-self-3": (["--task", "denoise"], SEGMENT),
    "drawn": (None, SEGMENT),
    "ptdr-drawn": (["--task", "denoise"], SEGMENT),
    "ptdr-drawn-self": (["--task", "denoise"], SEGMENT),
    "ptdr-edm": (["--task", "denoise", "--process", "edm"], SEGMENT),
    "dae": (["--task", "dae"], SEGMENT),
    "mae": (["--task", "mae"], SEGMENT),
    "stack": (["--task", "denoise"], ["--task", "stack", "--batch", str(BATCH)]),
    "joint": (None, ["--task", "joint", "--batch", str(2 * BATCH)]),
}
# Whose models of the same labels and subset, and how many of them (seeds from the student's on); trained twice as long.
TEACHERS = {"scratch-self": ("scratch", 1), "ptdr-self": ("ptdr", 1), "ptdr-self-3": ("ptdr", 3),
            "ptdr-drawn-self": ("ptdr-drawn", 1)}
WORDS = {
    "scratch": "from scratch",
    "scratch-self": "from scratch, self-trained",
    "ptdr": "PTDR",
    "ptdr-self": "PTDR, self-trained",
    "ptdr-self-3": "PTDR, three teachers",
    "drawn": "simulated masks first",
    "ptdr-drawn": "PTDR, simulated masks first",
    "ptdr-drawn-self": "PTDR, simulated masks first, self-trained",
    "ptdr-edm": "PTDR, EDM noise",
    "dae": "denoising auto-encoder",
    "mae": "masked auto-encoder",
    "stack": "feature stacking, frozen",
    "joint": "joint, two heads",
}
COLUMNS = ["method", "labels", "subset", "seed", "pretrain_steps", "steps", "time", "dice", "iou", "hausdorff95_px",
           "surface_mean_px", "hausdorff95_mm", "surface_mean_mm", "calibration_error", "structures", "films", "seconds",
           "elsewhere"]


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
    if "drawn" in a.methods and "drawn" not in PARTS[a.part]:
        p.error(f"simulated masks come first for real films; {a.part} has masks enough")
    if not a.data:
        a.data = str(pathlib.Path(a.out) / "films/manifest.tsv" if a.part == "simulator" else
                     HERE / "data-manifests/chest-radiographs.tsv")
    return a


def ledger_path(a):
    return pathlib.Path(a.out) / "ledger.tsv"


def read_ledger(a):
    if not ledger_path(a).exists():
        return []
    with open(ledger_path(a), newline="") as f:
        return list(csv.DictReader(f, delimiter="\t"))


def key(row):
    return tuple(str(row[c]) for c in ("method", "labels", "subset", "seed", "pretrain_steps", "steps", "time"))


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
    before = METHODS[method][0]
    start = ["--init", pretrained(a, before, threads)] if before else a.network
    if "drawn" not in method:
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


def base_steps(row):
    """Steps of the runs that a run belongs to: those of its teachers."""
    return int(row["steps"]) // (2 if row["method"] in TEACHERS else 1)


def job_of(a, method, labels, subset, seed):
    return {"method": method, "labels": labels, "subset": subset, "seed": seed,
            "pretrain_steps": 0 if method.startswith("scratch") or method == "drawn" else a.pretrain_steps,
            "steps": a.pretrain_steps if method == "joint" else a.steps * (2 if method in TEACHERS else 1),
            "time": a.time or "default"}


def teachers(a, job):
    method, count = TEACHERS.get(job["method"], (None, 0))
    return [job_of(a, method, job["labels"], job["subset"], job["seed"] + i) for i in range(count)]


def run_folder(a, job):
    return pathlib.Path(a.out) / "runs" / "-".join(key(job))


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
    flags = METHODS[job["method"]][1]
    folder = run_folder(a, job)
    folder.parent.mkdir(parents=True, exist_ok=True)
    start = start_of(a, job["method"], a.jobs)
    if job["method"] in TEACHERS:
        start = start + ["--teacher", ",".join(str(run_folder(a, t)) for t in teachers(a, job))]
    began = time.time()
    vesal(a, "diffusion", "train", *data_flags(a), *start, *flags, *(["--time", a.time] if a.time else []),
          "--labels", str(job["labels"]), "--labels-seed", str(job["subset"]), "--seed", str(job["seed"]),
          "--steps", str(job["steps"]),
          "--save-every", "1000000", "--threads", "1", "--out", str(folder))
    row = dict(job, seconds=round(time.time() - began))
    row.update(scores(a, folder))
    return row


def run_all(a):
    ledger_path(a).parent.mkdir(parents=True, exist_ok=True)
    if "films" in PARTS[a.part] and not os.path.exists(a.data):
        vesal(a, "phantom", *PARTS[a.part]["films"], "--out", str(pathlib.Path(a.data).parent), "--overwrite", "-q")
    done = {key(r) for r in read_ledger(a)}
    wanted = a.methods.split(",")
    methods = [m for m in METHODS if m in wanted or m in [TEACHERS[n][0] for n in wanted if n in TEACHERS]]
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
    if not ledger_path(a).exists():
        ledger_path(a).write_text("\t".join(COLUMNS) + "\n")
    taught = [j for j in jobs if j["method"] in TEACHERS]
    with concurrent.futures.ThreadPoolExecutor(a.jobs) as pool:
        for some in ([j for j in jobs if j not in taught], taught):  # teachers first
            for row in concurrent.futures.as_completed([pool.submit(run_one, a, j) for j in some]):
                row = row.result()
                with open(ledger_path(a), "a") as f:
                    f.write("\t".join(str(row.get(c, "")) for c in COLUMNS) + "\n")
                print(f"{row['method']} with {row['labels']} labels, subset {row['subset']}: Dice {row['dice']:.4f}",
                      flush=True)


# --- report -----------------------------------------------------------------------------------------------------------


def film_dice(a, row, table):
    """Mean Dice over structures of each test film of a run."""
    films = {}
    with open(run_folder(a, row) / table, newline="") as f:
        for r in csv.DictReader(f, delimiter="\t"):
            films.setdefault(r["film"], []).append(float(r["dice"]))
    return {f: sum(v) / len(v) for f, v in films.items()}


def mean(values):
    return sum(values) / len(values)


def interval(draws):
    draws = sorted(draws)
    return draws[int(0.025 * len(draws))], draws[min(int(0.975 * len(draws)), len(draws) - 1)]


def paired(differences, draws=4000):
    """Mean of per-run, per-film differences, and its 95 % interval: runs are drawn, then films of each."""
    rng = random.Random(1)
    films = sorted(differences[0])
    out = []
    for _ in range(draws):
        picked = [rng.choice(films) for _ in films]
        runs = [rng.choice(differences) for _ in differences]
        out.append(mean([mean([run[f] for f in picked]) for run in runs]))
    return mean([mean(list(d.values())) for d in differences]), *interval(out)


def labels_for(dice, curve):
    """Labels at which a curve (budget -> Dice, made monotonic) reaches a Dice: linear in the logarithm of labels."""
    points, best = [], -1
    for n in sorted(curve):
        best = max(best, curve[n])
        points.append((n, best))
    if dice <= points[0][1]:
        return points[0][0]
    for (n0, d0), (n1, d1) in zip(points, points[1:]):
        if d0 < dice <= d1:
            return math.exp(math.log(n0) + (dice - d0) / (d1 - d0) * math.log(n1 / n0))
    return math.inf


def efficiency(at, scratch, method, draws=4000):
    """labels_for(method's Dice with `at` labels) / at, and its interval over subsets: both curves are drawn anew."""
    rng = random.Random(2)

    def once(pick):
        curve = {n: mean(pick(v)) for n, v in scratch.items()}
        return labels_for(mean(pick(method[at])), curve) / at

    value = once(lambda v: v)
    return value, *interval([once(lambda v: [rng.choice(v) for _ in v]) for _ in range(draws)])


def variants(rows):
    """(method, pre-training steps) of the rows, in the order of METHODS, longest pre-training first."""
    found = {(r["method"], int(r["pretrain_steps"])) for r in rows}
    return sorted(found, key=lambda v: (list(METHODS).index(v[0]), -v[1]))


def words(variant, rows):
    """Its name in the page; shorter pre-training than the longest is part of it."""
    method, steps = variant
    longest = max(n for _, n in variants(rows))
    return WORDS[method] + (f", {steps} steps" if 0 < steps < longest else "")


def by_budget(rows, variant):
    out = {}
    for r in rows:
        if (r["method"], int(r["pretrain_steps"])) == variant and int(r["labels"]) > 0:
            out.setdefault(int(r["labels"]), {})[(r["subset"], r["seed"])] = r
    return out


def subsets(runs):
    return {subset for subset, _ in runs}


def ratio_text(v, most):
    """Above the largest budget from scratch there is only a bound."""
    return f"over {most:.1f}" if math.isinf(v) else f"{v:.1f}"


def table(a, rows):
    methods = variants(rows)
    budgets = sorted({int(r["labels"]) for r in rows if int(r["labels"]) > 0})
    lines = ["| labels | " + " | ".join(words(m, rows) for m in methods) + " |",
             "| --- |" + " --- |" * len(methods)]
    for n in budgets:
        cells = []
        for m in methods:
            got = [float(r["dice"]) for r in by_budget(rows, m).get(n, {}).values()]
            cells.append(f"{mean(got):.4f} ({len(got)})" if got else "")
        lines.append(f"| {n} | " + " | ".join(cells) + " |")
    everything = {m: [float(r["dice"]) for r in rows if variants([r]) == [m] and int(r["labels"]) == 0] for m in methods}
    if any(everything.values()):
        lines.append("| all | " + " | ".join(f"{mean(v):.4f} ({len(v)})" if v else "" for v in everything.values()) + " |")
    return lines


def differences(a, rows, table="films.tsv"):
    lines = ["| labels | method | runs | difference to scratch, Dice points | 95 % interval |", "| --- | --- | --- | --- | --- |"]
    scratch = by_budget(rows, ("scratch", 0))
    for m in variants(rows):
        for n, runs in sorted(by_budget(rows, m).items()):
            both = sorted(k for k in runs if k in scratch.get(n, {}))
            if m[0] == "scratch" or not both:
                continue
            d = []
            for k in both:
                mine, theirs = film_dice(a, runs[k], table), film_dice(a, scratch[n][k], table)
                d.append({f: 100 * (mine[f] - theirs[f]) for f in mine})
            value, low, high = paired(d)
            lines.append(f"| {n} | {words(m, rows)} | {len(both)} | {value:+.2f} | {low:+.2f} to {high:+.2f} |")
    return lines


def efficiencies(rows):
    """Only where a method has the same labelled films as training from scratch: subsets differ as much as methods. Three
    teachers are three runs of PTDR, but one run of their student."""
    runs_from_scratch = by_budget(rows, ("scratch", 0))
    scratch = {n: [float(r["dice"]) for r in runs.values()] for n, runs in runs_from_scratch.items()}
    lines = ["| method | labels | labels that scratch needs, over it | 95 % interval |", "| --- | --- | --- | --- |"]
    for m in variants(rows):
        mine = {n: [float(r["dice"]) for r in runs.values()] for n, runs in by_budget(rows, m).items()
                if subsets(runs) == subsets(runs_from_scratch.get(n, {}))}
        for at in (1, 5, 10):
            if m[0] != "scratch" and at in mine and len(scratch) > 1:
                value, low, high = (ratio_text(v, max(scratch) / at) for v in efficiency(at, scratch, mine))
                lines.append(f"| {words(m, rows)} | {at} | {value} | {low} to {high} |")
    return lines


def px_and_mm(px, mm):
    return f"{px:.2f}" if math.isnan(mm) else f"{px:.2f} ({mm:.2f})"


def others(rows):
    lines = ["| method | labels | Dice | IoU | HD95 px (mm) | ASD px (mm) | ECE | per structure |", "| --- |" + " --- |" * 7]
    for m in variants(rows):
        for n, runs in sorted(by_budget(rows, m).items()):
            r = list(runs.values())
            number = lambda c: mean([float(x[c]) for x in r if x[c] != "None"] or [math.nan])
            each = {}
            for x in r:
                for part in x["structures"].split(","):
                    name, value = part.split("=")
                    each.setdefault(name.replace("_", " "), []).append(float(value))
            parts = ", ".join(f"{k} {mean(v):.3f}" for k, v in each.items())
            lines.append(f"| {words(m, rows)} | {n} | {number('dice'):.4f} | {number('iou'):.4f} "
                         f"| {px_and_mm(number('hausdorff95_px'), number('hausdorff95_mm'))} "
                         f"| {px_and_mm(number('surface_mean_px'), number('surface_mean_mm'))} "
                         f"| {number('calibration_error'):.4f} | {parts} |")
    return lines


def elsewhere(a, rows):
    """Films of other hospitals: Dice of what their masks show, and paired differences."""
    rows = [r for r in rows if r.get("elsewhere")]
    if not rows:
        return []
    names = [part.split("=")[0] for part in rows[0]["elsewhere"].split(",")]
    lines = ["", "## Films of another source", "",
             f"The same models on the films of `{PARTS[a.part]['elsewhere']}`, whose masks no training has seen; pre-training",
             "and self-training have seen the films.", "",
             "| method | labels | " + " | ".join(n.replace("_", " ") for n in names) + " |", "| --- | --- |" + " --- |" * len(names)]
    for m in variants(rows):
        for n, runs in sorted(by_budget(rows, m).items()):
            each = [dict(part.split("=") for part in r["elsewhere"].split(",")) for r in runs.values()]
            lines.append(f"| {words(m, rows)} | {n} | " + " | ".join(f"{mean([float(e[k]) for e in each]):.4f}" for k in names) + " |")
    return [*lines, "", *differences(a, rows, "elsewhere.tsv")]


def without_labels(a):
    """What the networks of simulated masks find on real films before they have seen a mask of any."""
    lines = []
    for method in ("drawn", "ptdr-drawn", "ptdr-drawn-self"):
        path = pathlib.Path(a.out) / "pretrained" / method / "scores.json"
        if path.exists():
            got = json.loads(path.read_text())
            lines.append(f"| {WORDS[method]} | {got['dice']:.4f} | {got['structures'].replace('_', ' ').replace('=', ' ').replace(',', ', ')} "
                         f"| {got['elsewhere'].replace('_', ' ').replace('=', ' ')} |")
    return ["", "## Without any labelled film", "",
            f"Trained on simulated films and their masks alone ({DRAWN_FILMS}, {DRAWN_STEPS} steps of {BATCH}), tested on the real ones;",
            "self-trained: then by its own answers for the real films to learn from. The simulated chests have the sizes and greys of these",
            "people ([how](phantom.md#is-it-like-real-films)); the films of another source took no part in that.", "",
            "| method | Dice | per structure | films of another source |", "| --- | --- | --- | --- |", *lines] if lines else []


def picture(rows, path):
    """Dice over labels: rings are means of a method, joined where none was passed over; one dot a run."""
    inks = ["#666666", "#b5b5b5", "#d1495b", "#8f2d56", "#30638e", "#9a8c5a", "#3f8efc",
            "#1b3a8c", "#00798c", "#edae49", "#6a994e", "#7b5ea7", "#e89aa4"]
    wide, high, left, top, right, bottom = 920, 440, 70, 30, 360, 60
    values = [float(r["dice"]) for r in rows if int(r["labels"]) > 0]
    low, most = math.floor(20 * min(values)) / 20, math.ceil(50 * max(values)) / 50
    budgets = sorted({int(r["labels"]) for r in rows if int(r["labels"]) > 0})
    span = math.log(budgets[-1] / budgets[0]) or 1
    x = lambda n: left + (wide - left - right) * math.log(n / budgets[0]) / span
    y = lambda d: top + (high - top - bottom) * (most - d) / (most - low)
    s = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" font-family="sans-serif" font-size="13">',
         f'<rect width="{wide}" height="{high}" fill="white"/>']
    for i in range(round((most - low) * 20) + 1):
        d = low + i / 20
        s.append(f'<line x1="{left}" x2="{wide - right}" y1="{y(d):.1f}" y2="{y(d):.1f}" stroke="#dddddd"/>'
                 f'<text x="{left - 8}" y="{y(d) + 4:.1f}" text-anchor="end">{d:.2f}</text>')
    for n in budgets:
        s.append(f'<text x="{x(n):.1f}" y="{high - bottom + 20}" text-anchor="middle">{n}</text>')
    s.append(f'<text x="{(left + wide - right) / 2}" y="{high - 16}" text-anchor="middle">labelled films</text>'
             f'<text transform="translate(20 {(top + high - bottom) / 2}) rotate(-90)" text-anchor="middle">mean Dice of the test films</text>')
    for i, m in enumerate(variants(rows)):
        curve = by_budget(rows, m)
        if not curve:
            continue
        ink = inks[list(METHODS).index(m[0])]  # a method has the same in every picture
        at = {n: (x(n), y(mean([float(r["dice"]) for r in runs.values()]))) for n, runs in sorted(curve.items())}
        points = list(at.values())
        for n, after in zip(budgets, budgets[1:]):
            if n in at and after in at:
                (x0, y0), (x1, y1) = at[n], at[after]
                s.append(f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{ink}" stroke-width="2.5"/>')
        for n, runs in curve.items():
            for r in runs.values():
                s.append(f'<circle cx="{x(n):.1f}" cy="{y(float(r["dice"])):.1f}" r="3" fill="{ink}" fill-opacity="0.55"/>')
        s += [f'<circle cx="{p:.1f}" cy="{q:.1f}" r="4.5" fill="white" stroke="{ink}" stroke-width="2"/>' for p, q in points]
        line = top + 10 + 22 * i
        s.append(f'<rect x="{wide - right + 16}" y="{line - 9}" width="18" height="4" fill="{ink}"/>'
                 f'<text x="{wide - right + 42}" y="{line - 2}">{words(m, rows)}</text>')
    s.append("</svg>")
    path.write_text("\n".join(s) + "\n")


def other_lengths(a, at_time):
    """The same tables for runs whose training with labels was longer or shorter."""
    lines = []
    for steps in sorted({base_steps(r) for r in at_time if r["method"] != "joint"} - {a.steps}):
        rows = [r for r in at_time if base_steps(r) == steps and r["method"] != "joint"]
        lines += ["", f"## With {steps} steps on the labelled films", "", *table(a, rows)]
        for more in (differences(a, rows), efficiencies(rows)):
            lines += ["", *more] if len(more) > 2 else []
    return lines


def report(a):
    at_time = [r for r in read_ledger(a) if r["time"] == (a.time or "default")]
    rows = [r for r in at_time if base_steps(r) == a.steps or r["method"] == "joint"]
    if not rows:
        sys.exit(f"{ledger_path(a)} has no runs of {a.steps} steps")
    picture(rows, HERE / f"docs/images/ptdr-{a.part}.svg")
    films = {int(r["films"]) for r in rows}
    pretrained_steps = max(int(r["pretrain_steps"]) for r in rows)
    text = [f"# Few labels: what was measured on {PARTS[a.part]['title']}", "",
            f"Made by `./run bench ptdr {a.part}`; the page that explains it is [ptdr.md](ptdr.md). Mean Dice of the structures over",
            f"{max(films)} test films, on the films' own grid. Network: `{' '.join(a.network)}`; pre-training: {pretrained_steps} steps of 8",
            f"films; training with labels: {a.steps} steps of {BATCH}, at the command's default rate (1e-3; 4e-3 after pre-training); the",
            f"joint model is trained once, {2 * BATCH} films a step, half of them labelled. Self-trained: a second training, from the",
            "same start and twice as long, by the answers of the first (or the mean answer of three, which differ in their seed)",
            "for the surer half of the films without masks beside the labelled films.",
            *([f"Simulated masks first: between pre-training and the labelled films, {DRAWN_STEPS} steps of {BATCH} on {DRAWN_FILMS} simulated films and",
               "their masks."] if any("drawn" in r["method"] for r in rows) else []),
            "In brackets: how many runs (subsets of labelled films x seeds); where methods have different ones, compare them by",
            "the paired differences.", "",
            f"![Dice over labelled films](images/ptdr-{a.part}.svg)", "", *table(a, rows), "",
            "Paired runs: the same labelled films, the same seed. The interval draws runs and test films anew (bootstrap):", "",
            *differences(a, rows), "",
            "Label efficiency: the labels that training from scratch needs for the same Dice (linear in their logarithm), over the", "labels that the method had:", "",
            *efficiencies(rows), "", "Other numbers, means over runs:", "", *others(rows), *without_labels(a), *elsewhere(a, rows),
            *other_lengths(a, at_time)]
    (HERE / f"docs/ptdr-{a.part}.md").write_text("\n".join(text) + "\n")
    print("\n".join(text))


def main():
    a = arguments()
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if not a.only_report:
        run_all(a)
    report(a)


if __name__ == "__main__":
    main()
