"""The page and the picture of the bench of few labels, from its ledger: means, paired differences, label efficiency."""
import csv
import json
import math
import pathlib
import random
import sys

from ptdr_methods import BATCH, DRAWN_FILMS, DRAWN_STEPS, HERE, METHODS, PARTS, base_steps, ledger_path, read_ledger, run_folder


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
    return METHODS[method].words + (f", {steps} steps" if 0 < steps < longest else "")


def by_budget(rows, variant):
    out = {}
    for r in rows:
        if (r["method"], int(r["pretrain_steps"])) == variant and int(r["labels"]) > 0:
            out.setdefault(int(r["labels"]), {})[(r["subset"], r["seed"])] = r
    return out


def rival(variant):
    """Training from scratch on the same labelled films."""
    return ("scratch-chosen" if METHODS[variant[0]].is_chosen else "scratch", 0)


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
    for m in variants(rows):
        scratch = by_budget(rows, rival(m))
        for n, runs in sorted(by_budget(rows, m).items()):
            both = sorted(k for k in runs if k in scratch.get(n, {}))
            if m == rival(m) or not both:
                continue
            d = []
            for k in both:
                mine, theirs = film_dice(a, runs[k], table), film_dice(a, scratch[n][k], table)
                d.append({f: 100 * (mine[f] - theirs[f]) for f in mine})
            value, low, high = paired(d)
            lines.append(f"| {n} | {words(m, rows)} | {len(both)} | {value:+.2f} | {low:+.2f} to {high:+.2f} |")
    return lines


def efficiencies(rows):
    """Of drawn films on the same draws as training from scratch: they differ as much as methods. Chosen films are compared with
    all draws, and with training from scratch on chosen ones. Three teachers are three runs of PTDR, but one run of their student."""
    rivals = {name: by_budget(rows, (name, 0)) for name in ("scratch", "scratch-chosen")}
    both = len(rivals["scratch-chosen"]) > 1
    lines = ["| method | labels | draws | labels that scratch needs, over it | 95 % interval |" + (" of chosen films | 95 % interval |" if both else ""),
             "| --- | --- | --- | --- | --- |" + (" --- | --- |" if both else "")]
    dice = lambda runs: [float(r["dice"]) for r in runs]
    for m in variants(rows):
        is_chosen = METHODS[m[0]].is_chosen
        for at in (1, 5, 10):
            mine = by_budget(rows, m).get(at, {})
            cells = []
            for name, curve in rivals.items():
                scratch = {n: dice(r for (subset, _), r in runs.items() if is_chosen or subset in subsets(mine)) for n, runs in curve.items()}
                if (len(subsets(mine)) < 3 or m[0] == name or len(scratch) < 2 or not subsets(mine) <= subsets(curve.get(at, {}))
                        or not all(scratch.values()) or (name == "scratch-chosen" and not is_chosen)):
                    cells += ["", ""] if both or name == "scratch" else []
                    continue
                value, low, high = (ratio_text(v, max(scratch) / at) for v in efficiency(at, scratch, {at: dice(mine.values())}))
                cells += [value, f"{low} to {high}"]
            if any(cells):
                lines.append(f"| {words(m, rows)} | {at} | {len(subsets(mine))} | " + " | ".join(cells) + " |")
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
            lines.append(f"| {METHODS[method].words} | {got['dice']:.4f} | {got['structures'].replace('_', ' ').replace('=', ' ').replace(',', ', ')} "
                         f"| {got['elsewhere'].replace('_', ' ').replace('=', ' ')} |")
    return ["", "## Without any labelled film", "",
            f"Trained on simulated films and their masks alone ({DRAWN_FILMS}, {DRAWN_STEPS} steps of {BATCH}), tested on the real ones;",
            "self-trained: then by its own answers for the real films to learn from. The simulated chests have the sizes and greys of these",
            "people ([how](phantom.md#is-it-like-real-films)); the films of another source took no part in that.", "",
            "| method | Dice | per structure | films of another source |", "| --- | --- | --- | --- |", *lines] if lines else []


def picture(rows, path):
    """Dice over labels: rings are means of a method, joined where none was passed over; one dot a run; methods side by side."""
    wide, high, left, top, right, bottom, beside, inside = 1040, 440, 70, 30, 400, 60, 7, 40
    values = [float(r["dice"]) for r in rows if int(r["labels"]) > 0]
    low, most = math.floor(20 * min(values)) / 20, math.ceil(50 * max(values)) / 50
    budgets = sorted({int(r["labels"]) for r in rows if int(r["labels"]) > 0})
    span = math.log(budgets[-1] / budgets[0]) or 1
    x = lambda n: left + inside + (wide - left - right - 2 * inside) * math.log(n / budgets[0]) / span
    sharing = {n: [m for m in variants(rows) if n in by_budget(rows, m)] for n in budgets}
    x_of = lambda n, m: x(n) + beside * (sharing[n].index(m) - (len(sharing[n]) - 1) / 2)
    y = lambda d: top + (high - top - bottom) * (most - d) / (most - low)
    s = [f'<svg xmlns="http://www.w3.org/2000/svg" width="{wide}" height="{high}" font-family="sans-serif" font-size="13">',
         f'<rect width="{wide}" height="{high}" fill="white"/>']
    for i in range(int((most - low) * 20 + 1e-6) + 1):
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
        ink = METHODS[m[0]].ink
        at = {n: (x_of(n, m), y(mean([float(r["dice"]) for r in runs.values()]))) for n, runs in sorted(curve.items())}
        points = list(at.values())
        for n, after in zip(budgets, budgets[1:]):
            if n in at and after in at:
                (x0, y0), (x1, y1) = at[n], at[after]
                s.append(f'<line x1="{x0:.1f}" y1="{y0:.1f}" x2="{x1:.1f}" y2="{y1:.1f}" stroke="{ink}" stroke-width="2.5"/>')
        for n, runs in curve.items():
            for r in runs.values():
                s.append(f'<circle cx="{x_of(n, m):.1f}" cy="{y(float(r["dice"])):.1f}" r="3" fill="{ink}" fill-opacity="0.55"/>')
        s += [f'<circle cx="{p:.1f}" cy="{q:.1f}" r="4.5" fill="white" stroke="{ink}" stroke-width="2"/>' for p, q in points]
        line = top + 10 + 22 * i
        s.append(f'<rect x="{wide - right + 16}" y="{line - 9}" width="18" height="4" fill="{ink}"/>'
                 f'<text x="{wide - right + 42}" y="{line - 2}">{words(m, rows)}</text>')
    s.append("</svg>")
    path.write_text("\n".join(s) + "\n")


def other_lengths(a, at_time):
    """The same tables for runs whose own training was longer or shorter than the first models': students beside those of
    their length, on the labelled films that training from scratch had at that length too."""
    lines = []
    for steps in sorted({int(r["steps"]) for r in at_time if r["method"] in ("scratch", "ptdr")} - {a.steps}):
        rows = [r for r in at_time if int(r["steps"]) == steps and r["method"] != "joint"]
        scratch = {n: subsets(runs) for n, runs in by_budget(rows, ("scratch", 0)).items()}
        rows = [r for r in rows if r["subset"] in scratch.get(int(r["labels"]), ())]
        lines += ["", f"## All with {steps} steps on the labelled films", "", *table(a, rows)]
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
            *(["Chosen films: `vesal diffusion choose`, by the pre-trained network, from a half of the people to learn from that is drawn",
               "anew for each run; compared with training from scratch on the same chosen films.", ""] if any("chosen" in r["method"] for r in rows) else []),
            "Label efficiency: the labels that training from scratch needs for the same Dice (linear in their logarithm), over the", "labels that the method had:", "",
            *efficiencies(rows), "", "Other numbers, means over runs:", "", *others(rows), *without_labels(a), *elsewhere(a, rows),
            *other_lengths(a, at_time)]
    (HERE / f"docs/ptdr-{a.part}.md").write_text("\n".join(text) + "\n")
    print("\n".join(text))
