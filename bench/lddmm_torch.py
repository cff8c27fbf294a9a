"""LDDMM by geodesic shooting as it is written in PyTorch: the energy of `vesal register` (docs/maths/lddmm.md), its
gradient by autograd alone, torch.optim.LBFGS. A peer for the benchmarks, and the measure of what our own kernels gain.

    lddmm_torch.py FIXED MOVING WARP.nii [--device cpu|cuda] [--threads N]

Both images lie on one grid, affinely aligned. The warp is 5-D NIfTI in LPS mm on that grid. Prints the seconds of
reading, registering and writing, without the imports and (on cuda) without one small registration to warm up.
Arrays are [z, y, x], components (x, y, z) along the grid's axes in mm, positions mm from the middle of the image.
"""
import argparse
import gzip
import os
import resource
import struct
import sys
import time

import numpy as np

os.environ.setdefault("GOMP_SPINCOUNT", "2000")  # as the command has it: before libgomp is loaded
import torch
import torch.nn.functional as F

ALPHA_MM2, WEIGHT, WINDOWS, EPS = 200.0, 850.0, (7, 2), 1e-4
VOLUME_FLOOR, VOLUME_WEIGHT = 0.1, 3000.0
BAND_MM, BAND_NODES, ITERATIONS, TOLERANCE = 4.0, 48, (30, 30, 22), 1e-3
STEPS, FINAL_STEPS = 3, 6
TYPES = {2: "u1", 4: "i2", 16: "f4", 256: "i1", 512: "u2", 64: "f8", 8: "i4"}
AXES = (-3, -2, -1)


def read_nifti(path):
    """-> (header of 348 bytes, array [..., z, y, x] as stored); little-endian NIfTI-1 in one file."""
    data = (gzip.open if path.endswith(".gz") else open)(path, "rb").read()
    if data[344:347] != b"n+1" or struct.unpack_from("<i", data)[0] != 348:
        sys.exit(f"lddmm_torch: {path} is no little-endian NIfTI-1 file")
    dim, kind = struct.unpack_from("<8h", data, 40), struct.unpack_from("<h", data, 70)[0]
    if kind not in TYPES:
        sys.exit(f"lddmm_torch: {path} has data type {kind}, expected one of {sorted(TYPES)}")
    shape = dim[1:dim[0] + 1]
    start = int(struct.unpack_from("<f", data, 108)[0])
    return data[:348], np.frombuffer(data, "<" + TYPES[kind], int(np.prod(shape)), start).reshape(shape[::-1])


def to_world(header):
    """Voxel -> RAS mm, 3x3 without the origin; from the sform, else the quaternion."""
    if struct.unpack_from("<h", header, 254)[0] > 0:
        return np.array(struct.unpack_from("<12f", header, 280)).reshape(3, 4)[:, :3]
    b, c, d = struct.unpack_from("<3f", header, 256)
    a = max(0.0, 1 - b * b - c * c - d * d) ** 0.5
    pixdim = struct.unpack_from("<4f", header, 76)
    rotation = np.array([[a * a + b * b - c * c - d * d, 2 * (b * c - a * d), 2 * (b * d + a * c)],
                         [2 * (b * c + a * d), a * a + c * c - b * b - d * d, 2 * (c * d - a * b)],
                         [2 * (b * d - a * c), 2 * (c * d + a * b), a * a + d * d - b * b - c * c]])
    return rotation * [pixdim[1], pixdim[2], pixdim[3] * (-1 if pixdim[0] < 0 else 1)]


def write_warp(path, fixed_header, lps):
    """lps: [3, z, y, x] mm. The fixed image's header says where it lies."""
    header = bytearray(fixed_header)
    struct.pack_into("<8h", header, 40, 5, *lps.shape[:0:-1], 1, 3, 1, 1)
    struct.pack_into("<hhh", header, 68, 1007, 16, 32)  # a vector of float32
    struct.pack_into("<fff", header, 108, 352, 1, 0)
    with open(path, "wb") as f:
        f.write(bytes(header) + bytes(4) + np.ascontiguousarray(lps, "<f4").tobytes())


def each(values, device):
    """Three numbers, one for each component of a field [3, z, y, x]."""
    return torch.tensor(values, dtype=torch.float32, device=device)[:, None, None, None]


def sample(field, position, half):
    """field [c, z, y, x], cell-centred over a box of half extent `half` [3, 1, 1, 1], at position [3, ...]."""
    where = (position / half).permute(1, 2, 3, 0)[None]
    return F.grid_sample(field[None], where, "bilinear", "border", align_corners=False)[0]


def lattice(shape, half, device):
    """Positions of the cells' centres, [3, z, y, x]."""
    axes = [torch.arange(n, device=device, dtype=torch.float32) for n in shape]
    k, j, i = torch.meshgrid(*axes, indexing="ij")
    n = each(shape[::-1], device)
    return (2 * torch.stack([i, j, k]) + 1 - n) / n * each(half, device)


def resize(field, shape, mode):
    straight = {} if mode == "area" else {"align_corners": False}
    return F.interpolate(field[None], tuple(shape), mode=mode, **straight)[0]


def box(a, radius):
    """Means over windows; those at the border are smaller. a: [c, z, y, x]"""
    for axis in range(3):
        size, pad = [1, 1, 1], [0, 0, 0]
        pad[axis] = min(radius, (a.shape[1 + axis] - 1) // 2)
        size[axis] = 2 * pad[axis] + 1
        a = F.avg_pool3d(a, size, 1, pad, count_include_pad=False)
    return a


class Band:
    """The kernel and the geodesic on a periodic grid of nodes, cell-centred over a box of half extent `half`."""

    def __init__(self, shape, half, device):
        self.shape, self.half = tuple(shape), each(half, device)
        self.spacing = [2 * e / n for e, n in zip(half, shape[::-1])]
        self.node_mm3 = float(np.prod(self.spacing))
        turns = [2 * np.pi * f(n) for f, n in zip((np.fft.fftfreq, np.fft.fftfreq, np.fft.rfftfreq), shape)]
        parts = [(2 - 2 * np.cos(t)) / h**2 for t, h in zip(turns, self.spacing[::-1])]
        symbol = 1 + ALPHA_MM2 * (parts[0][:, None, None] + parts[1][:, None] + parts[2])
        self.symbol = torch.as_tensor(symbol.astype(np.float32), device=device)

    def filter(self, field, power):
        """L^power"""
        return torch.fft.irfftn(torch.fft.rfftn(field, dim=AXES) * self.symbol**power, s=self.shape, dim=AXES)

    def difference(self, field, c):
        """Central difference along component c."""
        return (torch.roll(field, -1, 3 - c) - torch.roll(field, 1, 3 - c)) / (2 * self.spacing[c])

    def epdiff(self, m, v):
        """dm/dt = -((Dv)^T m + div(m (x) v))"""
        transported = sum(self.difference(m * v[c], c) for c in range(3))
        return -torch.stack([(self.difference(v, c) * m).sum(0) for c in range(3)]) - transported

    def shoot(self, m, steps):
        """-> velocities at the nodes of time and between them (the third stage of Runge-Kutta)."""
        nodes, middles, dt = [], [], 1 / steps
        for _ in range(steps):
            v = self.filter(m, -1)
            k1 = self.epdiff(m, v)
            m2 = m + 0.5 * dt * k1
            k2 = self.epdiff(m2, self.filter(m2, -1))
            m3 = m + 0.5 * dt * k2
            middle = self.filter(m3, -1)
            k3 = self.epdiff(m3, middle)
            m4 = m + dt * k3
            k4 = self.epdiff(m4, self.filter(m4, -1))
            nodes.append(v)
            middles.append(middle)
            m = m + dt / 6 * (k1 + 2 * k2 + 2 * k3 + k4)
        return nodes + [self.filter(m, -1)], middles

    def inverse_map(self, start, path, steps):
        """Where points that are at `start` at t = 1 were at t = 0: midpoint steps backward."""
        nodes, middles = path
        y = start
        for n in reversed(range(steps)):
            half = y - 0.5 / steps * sample(nodes[n + 1], y, self.half)
            y = y - 1 / steps * sample(middles[n], half, self.half)
        return y


class Level:
    """The energy of one level, as a function of x = L^(1/2) v0."""

    def __init__(self, fixed, moving, half, band):
        self.fixed, self.moving, self.half, self.band = fixed, moving, each(half, fixed.device), band
        self.grid = lattice(fixed.shape[1:], half, fixed.device)
        nodes = [max(2, round(2 * e / h)) for e, h in zip(half, band.spacing)]
        self.points = lattice(nodes[::-1], half, fixed.device)
        self.spacing = [2 * e / n for e, n in zip(half, nodes)]
        self.mm3 = float(np.prod([2 * e for e in half]))
        means = [box(fixed, r) for r in WINDOWS]
        self.windows = [(r, mean, (box(fixed * fixed, r) - mean * mean).clamp(min=0) + EPS)
                        for r, mean in zip(WINDOWS, means)]

    def similarity(self, warped):
        """Squared local correlation, mean over voxels and windows."""
        total = 0
        for radius, mean, variance in self.windows:
            mean_w, square_w, product = box(torch.stack([warped, warped * warped, warped * self.fixed])[:, 0], radius)
            covariance = product - mean[0] * mean_w
            variance_w = (square_w - mean_w * mean_w).clamp(min=0) + EPS
            total = total + (covariance * covariance / (variance[0] * variance_w)).mean()
        return total / len(self.windows)

    def compression(self, y):
        """Penalty of determinants below the floor, mean over the lattice."""
        gx, gy, gz = (torch.gradient(y, spacing=h, dim=3 - c)[0] for c, h in enumerate(self.spacing))
        det = (gx * torch.cross(gy, gz, dim=0)).sum(0)
        return (0.5 * F.relu(1 - det / VOLUME_FLOOR)**2).mean()

    def energy(self, x):
        """E / (WEIGHT * mm3)"""
        y = self.band.inverse_map(self.points, self.band.shoot(self.band.filter(x, 0.5), STEPS), STEPS)
        u = resize(y - self.points, self.fixed.shape[1:], "trilinear")
        warped = sample(self.moving, self.grid + u, self.half)
        return (0.5 * self.band.node_mm3 / self.mm3 * (x * x).sum() +
                VOLUME_WEIGHT * self.compression(y)) / WEIGHT - self.similarity(warped)


class Flat(Exception):
    """The energy goes down no more."""


def minimise(level, x, most, verbose):
    """L-BFGS until five evaluations lower the energy by less than TOLERANCE."""
    unit = 0.3 * x.numel()  # L-BFGS' first step has length 1 in the 1-norm: 0.3 mm a component of x
    z = (x / unit).requires_grad_()
    best, lowest = None, []
    lbfgs = torch.optim.LBFGS([z], max_iter=most, max_eval=2 * most, history_size=8, tolerance_grad=0,
                              tolerance_change=0, line_search_fn="strong_wolfe")

    def closure():
        nonlocal best
        lbfgs.zero_grad()
        energy = level.energy(z * unit)
        energy.backward()
        value = energy.item()
        if not lowest or value < lowest[-1]:
            best = z.detach().clone()
        lowest.append(min([value, *lowest[-1:]]))
        if len(lowest) > 5 and lowest[-6] - lowest[-1] < TOLERANCE * abs(lowest[-1]):
            raise Flat
        return energy
    try:
        lbfgs.step(closure)
    except Flat:
        pass
    if verbose:
        print(f"{'x'.join(map(str, level.fixed.shape[:0:-1]))}, band {'x'.join(map(str, level.band.shape[::-1]))}: "
              f"{len(lowest)} evaluations, energy {lowest[0]:.5f} to {lowest[-1]:.5f}, "
              f"{time.process_time():.1f} CPU s", flush=True)
    return best * unit


def register(fixed, moving, spacing, verbose=False):
    """Images [1, z, y, x] -> displacement along the grid's axes, mm, [3, z, y, x]."""
    shape = fixed.shape[1:]
    half = [0.5 * n * h for n, h in zip(shape[::-1], spacing)]
    wide = [e + 0.5 * ALPHA_MM2**0.5 for e in half]  # a margin that keeps the periodic copies apart
    node = max(BAND_MM, 2 * max(half) / BAND_NODES)
    x = None
    for coarser, most in zip((2, 1, 0), ITERATIONS):
        nodes = [max(8, 2 * round(e / (node * (5 / 3)**coarser))) for e in wide[::-1]]
        band = Band(nodes, wide, fixed.device)
        small = [max(1, -(-n // 2**coarser)) for n in shape]
        level = Level(resize(fixed, small, "area"), resize(moving, small, "area"), half, band)
        if x is None:
            x = torch.zeros(3, *nodes, device=fixed.device)
        else:
            x = band.filter(resize(v, nodes, "trilinear"), 0.5)
        x = minimise(level, x, most, verbose)
        v = band.filter(x, -0.5)
    with torch.no_grad():
        path = band.shoot(band.filter(x, 0.5), FINAL_STEPS)
        if verbose:
            energy = [(n * band.filter(n, 1)).sum().item() for n in path[0]]
            print(f"drift of the energy {max(abs(e / energy[0] - 1) for e in energy):.1e}")
        return band.inverse_map(level.grid, path, FINAL_STEPS) - level.grid


def normalised(image, device):
    a = torch.tensor(np.array(image, np.float32), device=device)[None]
    low, high = torch.quantile(a.flatten()[::8], torch.tensor([0.005, 0.995], device=device))
    return (a - low) / (high - low)


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("fixed", "moving", "warp"):
        p.add_argument(name)
    p.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    p.add_argument("--threads", type=int, default=2)
    p.add_argument("--verbose", action="store_true")
    args = p.parse_args()
    torch.set_num_threads(args.threads)
    if args.device == "cuda":  # cuFFT's plans, kernels and the allocator, before the clock
        torch.manual_seed(0)
        register(*(torch.rand(1, 32, 32, 32, device="cuda") for _ in range(2)), (4, 4, 4))
        torch.cuda.synchronize()
    cpu = lambda: sum(resource.getrusage(resource.RUSAGE_SELF)[:2])
    start, start_cpu = time.perf_counter(), cpu()
    (header, fixed), (other, moving) = read_nifti(args.fixed), read_nifti(args.moving)
    world = to_world(header)
    if fixed.ndim != 3 or fixed.shape != moving.shape or not np.allclose(world, to_world(other), atol=1e-3):
        sys.exit("lddmm_torch: both images must be 3-D and on one grid, affinely aligned")
    spacing = np.linalg.norm(world, axis=0)
    u = register(normalised(fixed, args.device), normalised(moving, args.device), spacing, args.verbose)
    lps = (np.diag([-1, -1, 1]) @ world / spacing) @ u.cpu().numpy().reshape(3, -1)  # copying waits for the device
    write_warp(args.warp, header, lps.reshape(u.shape))
    print(f"\nSECONDS {time.perf_counter() - start:.3f} CPU {cpu() - start_cpu:.3f}")


if __name__ == "__main__":
    main()
