"""What the bench of few labels trains, and where its results lie."""
import csv
import pathlib
import typing

HERE = pathlib.Path(__file__).resolve().parent.parent
DRAWN_FILMS, DRAWN_STEPS = 600, 2400  # simulated, with their masks, between pre-training and the few labels
PEOPLE, MORE_PEOPLE = 600, 3000  # of the simulator's part; without masks, for students that get more films
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
        "films": ["--modality", "radiograph", "--size", "64,64", "--seed", "1"],
    },
}
PRETRAIN = ["--batch", "8", "--lr", "1e-3", "--save-every", "250", "--seed", "1"]
BATCH = 4  # films a step of the training with labels: as good as 8 at half the time
SEGMENT = ["--task", "segment", "--batch", str(BATCH)]


class Method(typing.NamedTuple):
    """What is trained. A student learns from first models of the same labelled films, twice as long as they did."""
    words: str
    ink: str  # the same in every picture
    before: list | None = None  # task of the pre-training and its flags
    flags: list = SEGMENT  # task of the training with labels and its flags
    teacher: str | None = None  # method of the first models
    teachers: int = 1  # seeds from the student's on
    is_drawn: bool = False  # simulated films and their masks come between pre-training and the few labels
    has_more: bool = False  # films of more people, without masks, for the student
    is_chosen: bool = False  # the labelled films are chosen by the pre-trained network, not drawn


DENOISE = ["--task", "denoise"]
METHODS = {
    "scratch": Method("from scratch", "#666666"),
    "scratch-self": Method("from scratch, self-trained", "#b5b5b5", teacher="scratch"),
    "ptdr": Method("PTDR", "#d1495b", DENOISE),
    "ptdr-self": Method("PTDR, self-trained", "#8f2d56", DENOISE, teacher="ptdr"),
    "ptdr-self-3": Method("PTDR, three teachers", "#30638e", DENOISE, teacher="ptdr", teachers=3),
    "ptdr-self-3-more": Method(f"PTDR, three teachers, {MORE_PEOPLE} more films", "#00798c", DENOISE, teacher="ptdr", teachers=3,
                               has_more=True),
    "scratch-chosen": Method("from scratch, chosen films", "#b08968", is_chosen=True),
    "ptdr-chosen": Method("PTDR, chosen films", "#f28482", DENOISE, is_chosen=True),
    "ptdr-chosen-self": Method("PTDR, chosen films, self-trained", "#c77dff", DENOISE, teacher="ptdr-chosen", is_chosen=True),
    "ptdr-chosen-self-3-more": Method(f"PTDR, chosen films, three teachers, {MORE_PEOPLE} more films", "#5a189a", DENOISE,
                                      teacher="ptdr-chosen", teachers=3, has_more=True, is_chosen=True),
    "drawn": Method("simulated masks first", "#9a8c5a", is_drawn=True),
    "ptdr-drawn": Method("PTDR, simulated masks first", "#3f8efc", DENOISE, is_drawn=True),
    "ptdr-drawn-self": Method("PTDR, simulated masks first, self-trained", "#1b3a8c", DENOISE, teacher="ptdr-drawn", is_drawn=True),
    "ptdr-drawn-self-3": Method("PTDR, simulated masks first, three teachers", "#0b132b", DENOISE, teacher="ptdr-drawn", teachers=3,
                                is_drawn=True),
    "ptdr-edm": Method("PTDR, EDM noise", "#2a9d8f", [*DENOISE, "--process", "edm"]),
    "dae": Method("denoising auto-encoder", "#edae49", ["--task", "dae"]),
    "mae": Method("masked auto-encoder", "#6a994e", ["--task", "mae"]),
    "stack": Method("feature stacking, frozen", "#7b5ea7", DENOISE, ["--task", "stack", "--batch", str(BATCH)]),
    "joint": Method("joint, two heads", "#e89aa4", None, ["--task", "joint", "--batch", str(2 * BATCH)]),
}
MOST_CHOSEN = 25  # labelled films of a choice; the first of them are the choice of fewer
COLUMNS = ["method", "labels", "subset", "seed", "pretrain_steps", "steps", "time", "dice", "iou", "hausdorff95_px",
           "surface_mean_px", "hausdorff95_mm", "surface_mean_mm", "calibration_error", "structures", "films", "seconds",
           "elsewhere"]


def ledger_path(a):
    return pathlib.Path(a.out) / "ledger.tsv"


def read_ledger(a):
    if not ledger_path(a).exists():
        return []
    with open(ledger_path(a), newline="") as f:
        return list(csv.DictReader(f, delimiter="\t"))


def key(row):
    return tuple(str(row[c]) for c in ("method", "labels", "subset", "seed", "pretrain_steps", "steps", "time"))


def run_folder(a, job):
    return pathlib.Path(a.out) / "runs" / "-".join(key(job))


def base_steps(row):
    """Steps of the runs that a run belongs to: those of its teachers."""
    return int(row["steps"]) // (2 if METHODS[row["method"]].teacher else 1)
