"""Makes itk_transforms.tsv: transform files as ITK and ANTs write them, and where ITK sends two points (LPS, mm).

Needs SimpleITK and antspyx; run as `python3 itk_transforms.py` in this folder. The first line states the versions.
"""
import os
import tempfile

import ants
import numpy as np
import SimpleITK as sitk

CENTRE = [10.0, 20.0, -30.0]
SHIFT = [3.5, -2.25, 10.1]
POINTS = [(1.5, -2.5, 3.5), (100.0, 50.0, -20.0)]


def transforms():
    rng = np.random.default_rng(3)
    matrix = np.eye(3) + 0.2 * rng.normal(size=(3, 3))
    affine = sitk.AffineTransform(3)
    affine.SetMatrix(matrix.ravel())
    affine.SetTranslation(SHIFT)
    affine.SetCenter(CENTRE)
    euler = sitk.Euler3DTransform(CENTRE, 0.3, -0.2, 0.5, SHIFT)
    zyx = sitk.Euler3DTransform(euler)
    zyx.SetComputeZYX(True)
    yield "affine", affine
    yield "euler", euler
    yield "euler-zyx", zyx
    yield "versor", sitk.VersorRigid3DTransform([1, 2, -0.5], 0.7, SHIFT, CENTRE)
    yield "similarity", sitk.Similarity3DTransform(1.3, [1, 2, -0.5], 0.7, SHIFT, CENTRE)
    yield "translation", sitk.TranslationTransform(3, SHIFT)
    yield "composite", sitk.CompositeTransform([affine, euler, sitk.TranslationTransform(3, SHIFT)])


def row(name, kind, path, images):
    with open(path, "rb") as f:
        bytes_hex = f.read().hex()
    numbers = [repr(float(v)) for pair in zip(POINTS, images) for point in pair for v in point]
    return "\t".join([name, kind, bytes_hex] + numbers)


def main():
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name, transform in transforms():
            for kind in ("txt", "mat"):
                if name == "composite" and kind == "mat":
                    continue  # ITK keeps only the last member in this form
                path = os.path.join(folder, "t." + kind)
                sitk.WriteTransform(transform, path)
                rows.append(row(name, kind, path, [transform.TransformPoint(p) for p in POINTS]))
        for precision in ("float", "double"):
            transform = ants.create_ants_transform(
                transform_type="AffineTransform", precision=precision, dimension=3,
                matrix=np.array([[1.1, 0.2, 0], [-0.1, 0.9, 0.05], [0, 0.02, 1]]), translation=SHIFT, center=CENTRE)
            path = os.path.join(folder, "a.mat")
            ants.write_transform(transform, path)
            rows.append(row("ants-" + precision, "mat", path, [transform.apply_to_point(p) for p in POINTS]))
    with open("itk_transforms.tsv", "w") as f:
        f.write(f"# SimpleITK {sitk.__version__}, antspyx {ants.__version__}\n")
        f.write("\n".join(rows) + "\n")


main()
