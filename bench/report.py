"""docs/benchmarks.md from the tables in build/bench: every number there was measured by `./run bench`."""
import csv
import datetime
import os

HEAD = """# Benchmarks

Of registration. [Networks](benchmarks-learned.md) have a page of their own.

Made by `./run bench` on {date}: {cpu}, {threads} threads. The pairs were run one after another, all programs on each
pair in turn, so that what else the machine did fell on all alike. Wall seconds are of the whole command, reading and
writing included (for greedy and ANTs, which ship as Python packages: of the call, without Python's start). Dice is the
mean over structures after nearest-neighbour warping of the moving labels; it, the folds and the Jacobian come from
`bench/judge.py`, which reads the warp files and shares no code with any program here.
"""
PARTS = {
    "pairs": ("Pairs of brains at 2 mm (80x96x80), affinely aligned",
              "No affine stage; every program at the settings in `bench/peers.py`. A program marked with a number of "
              "pairs ran on the first so many only, in a run after the others: it needs too long for all. The inverse error is "
              "inside the brain; over the whole grid, which `register` reports, it is below 0.05."),
    "large": ("The same at 1 mm (160x192x224)", "The first pairs, padded along z and resampled to 1 mm."),
    "heads": ("Whole heads, with rigid and affine stages",
              "2 mm heads with skull and neck, from two scanners with different orientations; the last is a brain at "
              "1 mm against the ICBM 152 template, without labels."),
}


def processor():
    with open("/proc/cpuinfo") as f:
        for line in f:
            if line.startswith("model name"):
                return line.split(":", 1)[1].strip()
    return "unknown processor"


def read(path):
    if not os.path.exists(path):
        return []
    with open(path) as f:
        return list(csv.DictReader(f, delimiter="\t"))


def numbers(rows, column):
    return [float(r[column]) for r in rows if r.get(column)]


def mean(values):
    return sum(values) / len(values) if values else float("nan")


def cell(value, digits):
    return "–" if value != value else f"{value:.{digits}f}"


def part_table(rows):
    programs = list(dict.fromkeys(r["program"] for r in rows))
    programs.sort(key=lambda p: (not p.startswith("vesal"), [r["program"] for r in rows].index(p)))
    pairs = len({r["pair"] for r in rows})
    reference = {r["pair"]: float(r["dice"]) for r in rows if r["program"] == "greedy NCC" and r.get("dice")}
    lines = ["| program | Dice | worst against greedy | wall s | CPU s | peak MiB | bytes per fixed voxel | folds | "
             "0.1 % Jacobian, worst | sd log J | inverse error, voxels |",
             "| --- | " + " | ".join(["---:"] * 10) + " |"]
    for program in programs:
        mine = [r for r in rows if r["program"] == program]
        good = [r for r in mine if not r.get("failure")]
        label = program if len(mine) == pairs else f"{program} ({len(mine)} of {pairs} pairs)"
        if len(good) < len(mine):
            label += f", {len(mine) - len(good)} failed"
        if not good:
            lines.append(f"| {label} |" + " – |" * 10)
            continue
        against = [float(r["dice"]) - reference[r["pair"]] for r in good if r.get("dice") and r["pair"] in reference]
        memory = max(float(r["peak_mib"]) * 2**20 / float(r["fixed_voxels"]) for r in good)
        lines.append("| " + " | ".join([
            label, cell(mean(numbers(good, "dice")), 4), f"{min(against):+.4f}" if against else "–",
            cell(mean(numbers(good, "seconds")), 2), cell(mean(numbers(good, "cpu_seconds")), 2),
            cell(max(numbers(good, "peak_mib")), 0), cell(memory, 0), f"{sum(numbers(good, 'folds')):.0f}",
            cell(min(numbers(good, "jacobian_p001")), 3), cell(mean(numbers(good, "sd_log_jacobian")), 3),
            cell(mean(numbers(good, "inverse_mean_vox")), 3)]) + " |")
    before = mean([float(r["dice_before"]) for r in {r["pair"]: r for r in rows if r.get("dice_before")}.values()])
    return lines + ["", f"Before any deformation the mean Dice is {cell(before, 4)}." if before == before else ""]


def pair_table(rows):
    programs = [p for p in ("vesal fast", "vesal default", "vesal accurate", "greedy NCC", "ANTs SyN CC")
                if any(r["program"] == p for r in rows)]
    lines = ["| pair | " + " | ".join(programs) + " |", "| --- | " + " | ".join(["---:"] * len(programs)) + " |"]
    for pair in dict.fromkeys(r["pair"] for r in rows):
        by = {r["program"]: r for r in rows if r["pair"] == pair}
        of = lambda p: "–" if p not in by or by[p].get("failure") else \
            (f"{float(by[p]['dice']):.3f}, " if by[p].get("dice") else "") + f"{float(by[p]['seconds']):.1f} s"
        lines.append(f"| {pair} | " + " | ".join(of(p) for p in programs) + " |")
    return lines


def kernel_table(rows):
    columns = list(rows[0])
    return ["| " + " | ".join(columns) + " |", "| --- | " + " | ".join(["---:"] * (len(columns) - 1)) + " |",
            *("| " + " | ".join(r[c] for c in columns) + " |" for r in rows)]


def write(results, path, threads, kind):
    out = [HEAD.format(date=datetime.date.today().isoformat(), cpu=processor(), threads=threads)]
    if kind == "phantom":
        out.append("The images are phantoms (`vesal phantom`): the real brains of the other tables were not here.\n")
    for part, (title, text) in PARTS.items():
        rows = read(os.path.join(results, part + ".tsv"))
        if rows:
            count = len({r["pair"] for r in rows})
            out += [f"## {title}", "", f"{count} {'pair' if count == 1 else 'pairs'}. {text}", "", *part_table(rows), "", "Dice and seconds of each pair:", "",
                    *pair_table(rows), ""]
    kernels = read(os.path.join(results, "kernels.tsv"))
    if kernels:
        out += ["## Kernels", "", "Each is checked before it is timed. The share is of the memory bandwidth that a triad "
                "reaches in the same run; bytes are those that must move at least.", "", *kernel_table(kernels), ""]
    with open(path, "w") as f:
        f.write("\n".join(out).rstrip() + "\n")
