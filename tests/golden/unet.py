"""Makes unet.tsv: outputs, gradients and ten AdamW steps of the U-Net of diffusion/unet.h, written here a second time over
torch.nn.functional, in double precision.

Needs PyTorch; run as `python3 unet.py` in this folder. The first line states its version; unet.sha256 is the sum of the
table. Weights and inputs are a formula of their names (fill), so that the table holds results alone. A line is: case,
kind, name, numbers. Of a gradient or a trained weight g: |g| and <g, fill(name)>.
"""
import hashlib
import math

import numpy as np
import torch
import torch.nn.functional as F

torch.set_default_dtype(torch.float64)
torch.set_num_threads(1)


def fill(name, shape):
    """Uniform in (-1, 1): splitmix64 of FNV-1a(name) + i."""
    h = 0xCBF29CE484222325
    for byte in name.encode():
        h = ((h ^ byte) * 0x100000001B3) % 2**64
    with np.errstate(over="ignore"):
        z = np.uint64(h) + np.arange(1, math.prod(shape) + 1, dtype=np.uint64) * np.uint64(0x9E3779B97F4A7C15)
        z = (z ^ (z >> np.uint64(30))) * np.uint64(0xBF58476D1CE4E5B9)
        z = (z ^ (z >> np.uint64(27))) * np.uint64(0x94D049BB133111EB)
        z = z ^ (z >> np.uint64(31))
    top = (z >> np.uint64(40)).astype(np.float64)
    return torch.from_numpy(((top + 0.5) / 2**23 - 1).astype(np.float32).astype(np.float64)).reshape(shape)


class Unet:
    def __init__(self, dims, width, multipliers, blocks, attention_levels, heads, vector, token, spatial):
        self.__dict__.update({k: v for k, v in locals().items() if k != "self"})
        self.p = {}
        self.conv_of = F.conv2d if dims == 2 else F.conv3d

    def param(self, name, shape):
        if name not in self.p:
            v = fill(name, shape)
            if len(shape) > 1:
                v = v / math.sqrt(math.prod(shape[1:]))
            elif "norm" in name and name.endswith("weight"):
                v = 1 + 0.1 * v
            else:
                v = 0.1 * v
            self.p[name] = v.float().double().requires_grad_(True)
        return self.p[name]

    def conv(self, name, x, out, kernel=3, stride=1):
        w = self.param(name + ".weight", (out, x.shape[1]) + (kernel,) * self.dims)
        return self.conv_of(x, w, self.param(name + ".bias", (out,)), stride=stride, padding=kernel // 2)

    def norm(self, name, x):
        c = x.shape[1]
        groups = max(1, min(32, c // 4))
        while c % groups:
            groups -= 1
        return F.group_norm(x, groups, self.param(name + ".weight", (c,)), self.param(name + ".bias", (c,)), 1e-5)

    def linear(self, name, x, out):
        w = self.param(name + ".weight", (out, x.shape[-1]))
        return F.linear(x, w, None if name.endswith("key") else self.param(name + ".bias", (out,)))

    def attention(self, name, x, tokens=None):
        b, c = x.shape[:2]
        h = self.norm(name + ".norm", x).reshape(b, c, -1).transpose(1, 2)
        y = h if tokens is None else tokens
        q, k, v = (
            self.linear(f"{name}.{part}", of, c).reshape(b, -1, self.heads, c // self.heads).transpose(1, 2)
            for part, of in (("query", h), ("key", y), ("value", y))
        )
        a = torch.softmax(q @ k.transpose(2, 3) / math.sqrt(c // self.heads), -1) @ v
        a = self.linear(name + ".out", a.transpose(1, 2).reshape(b, -1, c), c)
        return x + a.transpose(1, 2).reshape(x.shape)

    def res(self, name, x, out):
        h = self.conv(name + ".conv1", F.silu(self.norm(name + ".norm1", x)), out)
        t = self.linear(name + ".time", self.emb, 2 * out)
        scale, shift = (v.reshape(v.shape + (1,) * self.dims) for v in t.chunk(2, 1))
        h = self.norm(name + ".norm2", h) * (1 + scale) + shift
        h = self.conv(name + ".conv2", F.silu(h), out)
        return h + (x if x.shape[1] == out else self.conv(name + ".skip", x, out, 1))

    def block(self, at, j, x, out, attends):
        x = self.res(f"{at}.block.{j}", x, out)
        if attends:
            x = self.attention(f"{at}.attention.{j}.self", x)
            if self.token:
                x = self.attention(f"{at}.attention.{j}.cross", x, self.tokens)
        return x

    def forward(self, x, time, spatial=None, vector=None, tokens=None, keep=None):
        width, levels = self.width, len(self.multipliers)
        half = width // 2
        phase = time[:, None] * torch.exp(-math.log(1e4) * torch.arange(half) / half)
        e = self.linear("time.0", torch.cat([phase.cos(), phase.sin()], 1), 4 * width)
        e = self.linear("time.1", F.silu(e), 4 * width)
        if self.vector:
            null = self.param("vector.null", (1, 4 * width))
            v = self.linear("vector.1", F.silu(self.linear("vector.0", vector, 4 * width)), 4 * width)
            e = e + keep[:, None] * v + (1 - keep[:, None]) * null
        self.emb = F.silu(e)
        if self.token:
            null = self.param("token.null", (1, 1, self.token))
            self.tokens = keep[:, None, None] * tokens + (1 - keep[:, None, None]) * null
        if self.spatial:
            x = torch.cat([x, spatial], 1)
        h = self.conv("in", x, width)
        skips = [h]
        attends = lambda level: level >= levels - self.attention_levels
        for level, m in enumerate(self.multipliers):
            for j in range(self.blocks):
                h = self.block(f"down.{level}", j, h, width * m, attends(level))
                skips.append(h)
            if level + 1 < levels:
                h = self.conv(f"down.{level}.sample", h, width * m, stride=2)
                skips.append(h)
        h = self.block("middle", 0, h, h.shape[1], True)
        h = self.res("middle.block.1", h, h.shape[1])
        for level in reversed(range(levels)):
            for j in range(self.blocks + 1):
                h = torch.cat([h, skips.pop()], 1)
                h = self.block(f"up.{level}", j, h, width * self.multipliers[level], attends(level))
            if level > 0:
                h = self.conv(f"up.{level}.sample", F.interpolate(h, scale_factor=2, mode="nearest"), h.shape[1])
        return self.conv("out", F.silu(self.norm("norm", h)), 1)


LINES = [f"# torch {torch.__version__}, numpy {np.__version__}"]


def say(case, kind, name, *numbers):
    LINES.append("\t".join([case, kind, name] + [f"{float(v):.12g}" for v in numbers]))


def run(case, net, extents):
    batch = 2
    given = dict(
        x=fill("x", (batch, 1) + extents),
        time=torch.tensor([3.0, 40.0]),
        spatial=fill("spatial", (batch, net.spatial) + extents),
        vector=fill("vector", (batch, net.vector)),
        tokens=fill("tokens", (batch, 3, net.token)),
        keep=torch.tensor([1.0, 0.0]),
    )
    target = fill("target", (batch, 1) + extents)
    loss_of = lambda: F.mse_loss(net.forward(**given), target)
    out = net.forward(**given)
    say(case, "output", "out", *out.flatten())
    loss_of().backward()
    for name, w in net.p.items():
        say(case, "gradient", name, w.grad.norm(), (w.grad * fill(name, w.shape)).sum())
    opt = torch.optim.AdamW(net.p.values(), lr=1e-3, weight_decay=0.01)
    losses = []
    for _ in range(10):
        opt.zero_grad()
        loss = loss_of()
        loss.backward()
        opt.step()
        losses.append(loss.detach())
    say(case, "losses", "loss", *losses)
    for name, w in net.p.items():
        say(case, "trained", name, w.norm(), (w * fill(name, w.shape)).sum())


if __name__ == "__main__":
    run("2d", Unet(2, 8, (1, 2), 1, 1, 2, 3, 5, 1), (8, 4))
    run("3d", Unet(3, 8, (1, 2), 1, 1, 2, 3, 5, 1), (4, 6, 2))
    table = "\n".join(LINES) + "\n"
    with open("unet.tsv", "w") as f:
        f.write(table)
    with open("unet.sha256", "w") as f:
        f.write(f"{hashlib.sha256(table.encode()).hexdigest()}  unet.tsv\n")
