"""Judges a registration from its files alone, with none of our own library: the warp and its inverse (displacements,
LPS mm, 5-D NIfTI, as ITK reads them), an affine (ITK .mat or a plain 4x4 in RAS), and two label maps.

    judge.py WARP FIXED MOVING FIXED_LABELS MOVING_LABELS [--affine FILE] [--inverse FILE]
"""
import argparse
import json

import nibabel as nib
import numpy as np
from scipy import io, ndimage


def load_displacement(path):
    """-> (field (3, x, y, z) in RAS mm, voxel-to-world affine)"""
    image = nib.load(path)
    field = np.moveaxis(np.squeeze(np.asarray(image.dataobj, dtype=np.float32)), -1, 0)
    if field.ndim != 4 or field.shape[0] != 3:
        raise ValueError(f"{path}: a field of shape {image.shape} is not x y z 1 3")
    return field * np.array([-1, -1, 1], np.float32)[:, None, None, None], image.affine


def load_affine(path):
    """World RAS of the fixed image -> world RAS of the moving image, 4x4."""
    if not path.endswith(".mat"):
        return np.loadtxt(path)
    raw = io.loadmat(path)
    name = next(key for key in raw if key.startswith(("AffineTransform", "MatrixOffset")))
    values, centre = raw[name].ravel(), raw["fixed"].ravel()
    lps = np.eye(4)
    lps[:3, :3] = values[:9].reshape(3, 3)
    lps[:3, 3] = values[9:12] + centre - lps[:3, :3] @ centre
    flip = np.diag([-1.0, -1, 1, 1])
    return flip @ lps @ flip


def world(shape, affine):
    grid = np.stack(np.meshgrid(*[np.arange(n, dtype=np.float64) for n in shape], indexing="ij"))
    return transform(affine, grid)


def transform(affine, points):
    return np.tensordot(affine[:3, :3], points, 1) + affine[:3, 3][:, None, None, None]


def jacobian(mapped, affine):
    """det of the map x -> mapped(x), from central differences on the grid."""
    rows = np.stack([np.stack(np.gradient(mapped[c])) for c in range(3)])
    return np.linalg.det(np.moveaxis(rows, (0, 1), (-2, -1))) / np.linalg.det(affine[:3, :3])


def dice(a, b, labels):
    return float(np.mean([2 * np.sum((a == k) & (b == k)) / max(1, np.sum(a == k) + np.sum(b == k)) for k in labels]))


def judge(warp, fixed, moving, fixed_labels=None, moving_labels=None, affine=None, inverse=None):
    """All that can be said. Folds and the 0.1-percentile count every voxel of the fixed grid, sd_log_jacobian those
    inside the fixed labels (or where the fixed image is not zero)."""
    field, grid = load_displacement(warp)
    shape = field.shape[1:]
    x = world(shape, grid)
    y = x + field
    det = jacobian(y, grid)
    out = {"folds": int(np.sum(~(det > 0))), "jacobian_p001": float(np.percentile(det, 0.1))}
    inside = np.asarray(nib.load(fixed_labels or fixed).dataobj) > 0
    out["sd_log_jacobian"] = float(np.log(np.clip(det[inside], 1e-6, None)).std())
    if fixed_labels:
        a = np.asarray(nib.load(fixed_labels).dataobj).astype(np.int32)
        image = nib.load(moving_labels)
        b = np.asarray(image.dataobj).astype(np.int32)
        to_moving = np.linalg.inv(image.affine) @ (np.eye(4) if affine is None else load_affine(affine))
        labels = [k for k in np.unique(a) if k > 0 and np.any(b == k)]
        at = lambda points: ndimage.map_coordinates(b, transform(to_moving, points), order=0, mode="constant")
        out["dice"] = dice(a, at(y), labels)
        out["dice_before"] = dice(a, at(x), labels)
    if inverse:
        back, back_grid = load_displacement(inverse)
        voxel = transform(np.linalg.inv(back_grid), y)
        last = np.array(back.shape[1:])[:, None, None, None] - 1
        valid = np.all((voxel >= 0) & (voxel <= last), axis=0) & inside
        u = np.stack([ndimage.map_coordinates(back[c], voxel[:, valid], order=1) for c in range(3)])
        error = np.linalg.norm(y[:, valid] + u - x[:, valid], axis=0)
        spacing = np.cbrt(abs(np.linalg.det(grid[:3, :3])))
        out["inverse_mean_vox"] = float(error.mean() / spacing)
        out["inverse_max_vox"] = float(error.max() / spacing)
    return out


if __name__ == "__main__":
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    for name in ("warp", "fixed", "moving", "fixed_labels", "moving_labels"):
        p.add_argument(name)
    p.add_argument("--affine")
    p.add_argument("--inverse")
    print(json.dumps(judge(**vars(p.parse_args())), indent=1))
