"""Training and sampling steps of one U-Net: build/release/bench/bench_nn against PyTorch eager, step by step in turn, so
that both meet the same load. Prints a page in Markdown: medians and their ratios, of wall time and of processor time (of
all threads), which other programs on the machine disturb less; memory over a thousand steps; and how soon the command
refuses models that are none. --page writes it to a file as well.

    python3 bench/nn_torch.py BENCH_NN VESAL [--page FILE] [--repeats 15] [--threads 2] [--cases small-2d,...] [--batch N]
        [--channels-last]
"""
import argparse
import math
import os
import statistics
import subprocess
import tempfile
import time
from datetime import date
from pathlib import Path

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as the command has it, for both: before libgomp is loaded
import torch
import torch.nn as nn
import torch.nn.functional as F

# name: preset of the command, dims, extent, batch, width, multipliers, blocks, levels that attend, heads
CASES = {
    "small-2d": ("small", 2, 64, 16, 24, (1, 2, 2, 4), 2, 0, 1),
    "base-2d": ("base", 2, 64, 4, 64, (1, 1, 2, 2, 4, 4), 2, 2, 4),
    "latent-small-2d": ("latent-small", 2, 32, 8, 64, (1, 2, 4), 2, 2, 4),
    "tiny-3d": ("tiny", 3, 32, 2, 16, (1, 2), 1, 0, 1),
    "small-3d": ("small", 3, 32, 1, 24, (1, 2, 2, 4), 2, 0, 1),
}


def norm(channels):
    groups = max(1, min(32, channels // 4))
    while channels % groups:
        groups -= 1
    return nn.GroupNorm(groups, channels)


class Res(nn.Module):
    def __init__(self, conv, dims, inside, outside, emb):
        super().__init__()
        self.dims = dims
        self.norm1, self.norm2 = norm(inside), norm(outside)
        self.conv1, self.conv2 = conv(inside, outside, 3, padding=1), conv(outside, outside, 3, padding=1)
        self.time = nn.Linear(emb, 2 * outside)
        self.skip = conv(inside, outside, 1) if inside != outside else nn.Identity()

    def forward(self, x, emb):
        h = self.conv1(F.silu(self.norm1(x)))
        scale, shift = self.time(emb).reshape((x.shape[0], -1) + (1,) * self.dims).chunk(2, 1)
        return self.conv2(F.silu(self.norm2(h) * (1 + scale) + shift)) + self.skip(x)


class Attention(nn.Module):
    def __init__(self, channels, heads):
        super().__init__()
        self.heads = heads
        self.norm = norm(channels)
        self.query, self.value, self.out = (nn.Linear(channels, channels) for _ in range(3))
        self.key = nn.Linear(channels, channels, bias=False)

    def forward(self, x):
        b, c = x.shape[:2]
        h = self.norm(x).reshape(b, c, -1).transpose(1, 2)
        q, k, v = (part(h).reshape(b, -1, self.heads, c // self.heads).transpose(1, 2)
                   for part in (self.query, self.key, self.value))
        a = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(c // self.heads), -1) @ v
        return x + self.out(a.transpose(1, 2).reshape(b, -1, c)).transpose(1, 2).reshape(x.shape)


class Unet(nn.Module):
    def __init__(self, dims, width, multipliers, blocks, attending, heads):
        super().__init__()
        conv = nn.Conv2d if dims == 2 else nn.Conv3d
        emb, last = 4 * width, len(multipliers) - 1
        self.width = width
        self.time = nn.Sequential(nn.Linear(width, emb), nn.SiLU(), nn.Linear(emb, emb), nn.SiLU())
        self.inside = conv(1, width, 3, padding=1)
        self.down, self.up = nn.ModuleList(), nn.ModuleList()
        channels, skips = width, [width]
        attention = lambda level, c: Attention(c, heads) if level > last - attending else nn.Identity()
        for level, m in enumerate(multipliers):
            for _ in range(blocks):
                self.down.append(nn.ModuleList([Res(conv, dims, channels, width * m, emb), attention(level, width * m)]))
                channels = width * m
                skips.append(channels)
            if level < last:
                self.down.append(conv(channels, channels, 3, stride=2, padding=1))
                skips.append(channels)
        self.middle0, self.middle1 = Res(conv, dims, channels, channels, emb), Res(conv, dims, channels, channels, emb)
        self.attend = Attention(channels, heads) if attending else nn.Identity()
        for level in reversed(range(last + 1)):
            for _ in range(blocks + 1):
                c = width * multipliers[level]
                self.up.append(nn.ModuleList([Res(conv, dims, channels + skips.pop(), c, emb), attention(level, c)]))
                channels = c
            if level > 0:
                self.up.append(nn.Sequential(nn.Upsample(scale_factor=2), conv(channels, channels, 3, padding=1)))
        self.norm, self.head = norm(channels), conv(channels, 1, 3, padding=1)

    def forward(self, x, t):
        half = self.width // 2
        phase = t[:, None] * torch.exp(-math.log(1e4) / half * torch.arange(half, device=t.device))
        emb = self.time(torch.cat([phase.cos(), phase.sin()], 1))
        h = self.inside(x)
        skips = [h]
        for part in self.down:
            h = part[1](part[0](h, emb)) if isinstance(part, nn.ModuleList) else part(h)
            skips.append(h)
        h = self.middle1(self.attend(self.middle0(h, emb)), emb)
        for part in self.up:
            if isinstance(part, nn.ModuleList):
                h = part[1](part[0](torch.cat([h, skips.pop()], 1), emb))
            else:
                h = part(h)
        return self.head(F.silu(self.norm(h)))


class Torch:
    """The steps of bench_nn.c as a user of PyTorch writes them."""

    def __init__(self, dims, extent, batch, width, multipliers, blocks, attending, heads, channels_last):
        self.shape = (batch, 1) + (extent,) * dims
        self.net, self.average = (Unet(dims, width, multipliers, blocks, attending, heads) for _ in range(2))
        layout = torch.channels_last if dims == 2 else torch.channels_last_3d
        if channels_last:
            self.net, self.average = self.net.to(memory_format=layout), self.average.to(memory_format=layout)
        self.layout = layout if channels_last else torch.contiguous_format
        self.opt = torch.optim.AdamW(self.net.parameters(), lr=1e-4, weight_decay=0.01)

    def weights(self):
        return sum(p.numel() for p in self.net.parameters())

    def train(self):
        x0, noise = torch.randn(self.shape), torch.randn(self.shape)
        angle = torch.rand(self.shape[0])
        each = angle.reshape((-1,) + (1,) * (len(self.shape) - 1))
        x = (each.cos() * x0 + each.sin() * noise).contiguous(memory_format=self.layout)
        loss = F.mse_loss(self.net(x, 1000 * angle), noise)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.net.parameters(), 1)
        self.opt.step()
        self.opt.zero_grad(set_to_none=True)
        with torch.no_grad():
            for a, p in zip(self.average.parameters(), self.net.parameters()):
                a.lerp_(p, 0.001)
        return loss.item()

    def sample(self):
        with torch.inference_mode():
            x = torch.randn(self.shape).contiguous(memory_format=self.layout)
            noise = self.average(x, torch.full(self.shape[:1], 500.0))
            return (1.01 * x - 0.02 * noise).sum().item()


def timed(step):
    start, used = time.perf_counter(), time.process_time()
    step()
    return time.perf_counter() - start, time.process_time() - used


class Vesal:
    def __init__(self, program, preset, dims, extent, batch, threads):
        self.process = subprocess.Popen([program, preset, str(dims), str(extent), str(batch), str(threads)],
                                        stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
        self.about = self.process.stdout.readline().strip()

    def ask(self, word):
        self.process.stdin.write(word + "\n")
        self.process.stdin.flush()
        return [float(word) for word in self.process.stdout.readline().split()]

    def close(self):
        self.process.stdin.close()
        self.process.wait()


def compared(name, args):
    """The two rows of one case."""
    preset, dims, extent, batch, *shape = CASES[name]
    batch = args.batch or batch
    ours = Vesal(args.bench_nn, preset, dims, extent, batch, args.threads)
    theirs = Torch(dims, extent, batch, *shape, args.channels_last)
    weights = int(ours.about.split()[-2])
    if weights != theirs.weights():
        raise SystemExit(f"{name}: {weights} weights against {theirs.weights()}: these are two networks")
    size = "x".join([str(extent)] * dims)
    rows = []
    for step in ("train", "sample"):
        times = [[], []]
        for i in range(args.repeats + 2):
            for which in ((0, 1) if i % 2 else (1, 0)):
                one = timed(getattr(theirs, step)) if which else ours.ask(step)
                if i >= 2:  # first steps allocate
                    times[which].append(one)
                time.sleep(0.01)  # lets idle threads fall asleep
        cells = []
        for clock in (0, 1):
            a, b = (statistics.median(t[clock] for t in times[which]) for which in (0, 1))
            cells += [f"{1e3 * a:.0f}", f"{1e3 * b:.0f}", f"{b / a:.2f}"]
        rows.append([preset, f"{batch} of {size}", f"{weights / 1e6:.2f}", step] + cells + [f"{ours.ask('memory')[1]:.0f}"])
    ours.close()
    return rows


def resident_mib(pid):
    line = next(line for line in Path(f"/proc/{pid}/status").read_text().splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) / 1024


def memory_rows(args, steps=(10, 100, 1000)):
    """What tensors and the process hold after so many training steps of a small network."""
    ours, done, rows = Vesal(args.bench_nn, "tiny", 2, 32, 4, args.threads), 0, []
    for until in steps:
        while done < until:
            ours.ask("train")
            done += 1
        now, peak = ours.ask("memory")
        rows.append([str(until), f"{now:.2f}", f"{peak:.2f}", f"{resident_mib(ours.process.pid):.0f}"])
    ours.close()
    return rows


def hostile_files():
    """name, the bytes of a weight file that is none, or lies"""
    header = lambda text, stated=None: (stated if stated is not None else len(text)).to_bytes(8, "little") + text
    one = b'"dtype":"F32","shape":[1],"data_offsets":[0,4]'
    return [
        ("Python pickle", b"\x80\x02}q\0.cposix\nsystem\n" + bytes(64)),
        ("PyTorch or TorchScript archive, 64 MB", b"PK\3\4\x14\0\0\0\x08\0archive/data.pkl" + bytes(64 << 20)),
        ("header of 2^63 bytes", header(b"{}", 1 << 63)),
        ("a shape that overflows", header(b'{"a":{"dtype":"F32","shape":[4294967296,4294967296],"data_offsets":[0,4]}}') + bytes(4)),
        ("a shape of other bytes", header(b'{"a":{"dtype":"F32","shape":[7],"data_offsets":[0,4]}}') + bytes(4)),
        ("two weights in one place", header(b'{"a":{' + one + b'},"b":{' + one + b"}}") + bytes(4)),
        ("a name twice", header(b'{"a":{' + one + b'},"a":{' + one + b"}}") + bytes(4)),
    ]


def refusal_rows(vesal, repeats=21):
    """Milliseconds of the whole command until a model is refused, and of the command that only says its version."""
    def median_ms(words):
        times = []
        for _ in range(repeats):
            start = time.perf_counter()
            done = subprocess.run([vesal] + words, capture_output=True)
            times.append(1e3 * (time.perf_counter() - start))
        return statistics.median(times), done

    rows = [["none: `vesal --version`", f"{median_ms(['--version'])[0]:.1f}"]]
    with tempfile.TemporaryDirectory() as folder:
        for name, content in hostile_files():
            (Path(folder) / "weights.safetensors").write_bytes(content)
            ms, done = median_ms(["diffusion", "sample", "--model", folder, "--out", folder + "/none"])
            if done.returncode != 3 or b"weights.safetensors" not in done.stderr:
                raise SystemExit(f"{name}: exit {done.returncode}: {done.stderr.decode()}")
            rows.append([name, f"{ms:.1f}"])
    return rows


def processor():
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("model name"):
            return line.split(":", 1)[1].strip()
    return "processor unknown"


def table(head, rows):
    line = lambda cells: "| " + " | ".join(cells) + " |\n"
    return line(head) + line(["---"] + ["---:"] * (len(head) - 1)) + "".join(line(row) for row in rows)


def page(args):
    yield "# Benchmarks of networks\n\n"
    layout = ", channels last" if args.channels_last else ""
    yield (f"Made by `./run bench nn` on {date.today()}: {processor()}, {args.threads} threads, PyTorch {torch.__version__}"
           f"{layout} on the LibTorch that the command is built with.\n\n")
    yield ("## Steps of training and of sampling\n\n"
           f"The same network, batch, precision (float32) and threads; medians of {args.repeats} pairs of steps, taken in "
           "turn, so that both\nmeet the same load. A training step is noise, network, gradient, clipping, AdamW and moving "
           "average; a sampling step\nthe network without gradient and the update. Ratio: PyTorch's time by Vesal's, above 1 "
           "= Vesal is faster. CPU: of all\nthreads, which other programs on the machine disturb less. Peak: of Vesal's "
           "tensors, training.\n\n")
    rows = [row for name in args.cases.split(",") for row in compared(name, args)]
    yield table(["preset", "batch", "million weights", "step", "Vesal, ms", "PyTorch, ms", "ratio", "Vesal, CPU ms",
                 "PyTorch, CPU ms", "ratio", "peak MiB"], rows)
    yield ("\nBoth compute convolutions with the same oneDNN kernels, two thirds of the time. What Vesal saves: norm, "
           "condition and\nactivation are one pass over memory (`nn_group_norm_silu`), AdamW and the moving average one each, "
           "and memory of the\nlast step is used again instead of fresh pages. Both wait "
           f"`GOMP_SPINCOUNT={os.environ['GOMP_SPINCOUNT']}` for their threads, as the command does\n([why](nn.md)).\n")
    yield ("\n## Memory over a thousand steps\n\nTraining of `tiny`, 4 of 32x32. Held: by tensors between two steps. "
           "Resident: of the process, with LibTorch's own.\n\n")
    yield table(["after step", "held, MiB", "peak, MiB", "resident, MiB"], memory_rows(args))
    yield ("\nA test holds it flat ([test_params.c](../tests/nn/test_params.c)); a run's own peak stands in `log.jsonl` and "
           "`metrics.json`.\n")
    yield ("\n## Models that are none\n\nMilliseconds from typing `vesal diffusion sample --model ...` to its refusal by the "
           "file's name, the start of the process\nincluded. Weights are looked at before LibTorch is opened.\n\n")
    yield table(["weights.safetensors is", "ms"], refusal_rows(args.vesal))
    yield ("\nThe corpus of 56 files is in [test_safetensors.c](../tests/io/test_safetensors.c). Weights of another network "
           "are refused\nwhen it is known, after LibTorch is loaded, with every name and shape that differs.\n")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("bench_nn")
    parser.add_argument("vesal")
    parser.add_argument("--page")
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--batch", type=int)
    parser.add_argument("--channels-last", action="store_true")
    args = parser.parse_args()
    torch.set_num_threads(args.threads)
    parts = []
    for part in page(args):
        print(part, end="", flush=True)
        parts.append(part)
    if args.page:
        Path(args.page).write_text("".join(parts))


main()
