"""Makes nn_network.tsv: output, gradients and ten AdamW steps of a small network in PyTorch, in double precision.

Needs PyTorch; run as `python3 nn_network.py` in this folder. The first line states its version; nn_network.sha256 is
the sum of the table. Weights and data are formulas, the same as in tests/nn/test_golden.c.
"""
import hashlib
import math

import torch
import torch.nn.functional as F

STEPS, LR, DECAY, CLIP = 10, 0.01, 0.05, 0.5
SHAPES = [
    ("in.weight", (8, 2, 3, 3)), ("in.bias", (8,)), ("norm.weight", (8,)), ("norm.bias", (8,)),
    ("time.weight", (8, 4)), ("time.bias", (8,)), ("down.weight", (12, 8, 4, 4)), ("query.weight", (12, 12)),
    ("key.weight", (12, 12)), ("value.weight", (12, 12)), ("layer.weight", (12,)), ("layer.bias", (12,)),
    ("up.weight", (12, 4, 4, 4)), ("out.weight", (3, 12, 3, 3)), ("out.bias", (3,)),
]


def formula(shape, k, scale):
    n = math.prod(shape)
    values = [scale * math.sin(0.37 * i + 0.11 * i * i % 7 + k) for i in range(n)]
    return torch.tensor(values, dtype=torch.float32).double().reshape(shape)


def network(p, x, emb):
    h = F.conv2d(x, p["in.weight"], p["in.bias"], padding=1)
    h = F.silu(F.group_norm(h, 2, p["norm.weight"], p["norm.bias"], 1e-5))
    h = h + F.linear(F.silu(emb), p["time.weight"], p["time.bias"])[:, :, None, None]
    d = F.conv2d(h, p["down.weight"], None, stride=2, padding=1)
    b, c, rows, columns = d.shape
    tokens = F.layer_norm(d.reshape(b, c, rows * columns).permute(0, 2, 1), (c,), p["layer.weight"], p["layer.bias"])
    heads = [F.linear(tokens, p[name + ".weight"]).reshape(b, -1, 3, 4).permute(0, 2, 1, 3)
             for name in ("query", "key", "value")]
    mix = torch.softmax(heads[0] @ heads[1].transpose(-2, -1) / 2, -1) @ heads[2]
    d = d + mix.permute(0, 2, 1, 3).reshape(b, -1, c).permute(0, 2, 1).reshape(d.shape)
    u = F.gelu(F.conv_transpose2d(d, p["up.weight"], None, stride=2, padding=1))
    return F.conv2d(torch.cat([h, u], 1), p["out.weight"], p["out.bias"], padding=1)


def row(out, name, tensor):
    out.append(name + "\t" + " ".join("%.9g" % v for v in tensor.detach().flatten().tolist()))


def clip(weights):
    """As torch.nn.utils.clip_grad_norm_, without the 1e-6 that it adds to the norm."""
    norm = math.sqrt(sum((w.grad ** 2).sum().item() for w in weights))
    if norm > CLIP:
        for w in weights:
            w.grad *= CLIP / norm
    return norm


def main():
    p = {}
    for k, (name, shape) in enumerate(SHAPES):
        fan_in = math.prod(shape[1:]) if len(shape) > 1 else 1
        p[name] = formula(shape, k, 1.5 / math.sqrt(fan_in) if len(shape) > 1 else 0.3)
        if name in ("norm.weight", "layer.weight"):
            p[name] = (p[name] + 1).float().double()
        p[name].requires_grad_(True)
    x, emb, labels = formula((2, 2, 6, 8), 100, 1.0), formula((2, 4), 101, 1.0), torch.arange(96).reshape(2, 6, 8) % 3
    optimiser = torch.optim.AdamW(p.values(), lr=LR, weight_decay=DECAY)
    out, losses, norms = [], [], []
    for step in range(STEPS):
        y = network(p, x, emb)
        loss = F.cross_entropy(y, labels) + 0.1 * F.mse_loss(y, torch.ones_like(y))
        optimiser.zero_grad()
        loss.backward()
        if step == 0:
            row(out, "output", y)
            for name, _ in SHAPES:
                row(out, "gradient " + name, p[name].grad)
        norms.append(clip(p.values()))
        optimiser.step()
        losses.append(loss.item())
    row(out, "losses", torch.tensor(losses, dtype=torch.float64))
    row(out, "norms", torch.tensor(norms, dtype=torch.float64))
    for name, _ in SHAPES:
        row(out, "weight " + name, p[name])
    text = "# PyTorch %s\n" % torch.__version__ + "\n".join(out) + "\n"
    with open("nn_network.tsv", "w") as f:
        f.write(text)
    with open("nn_network.sha256", "w") as f:
        f.write("%s  nn_network.tsv\n" % hashlib.sha256(text.encode()).hexdigest())


main()
