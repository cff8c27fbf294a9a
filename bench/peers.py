"""How each program is asked to register two images: its command, and where it leaves its warp.

A peer is a function (pair, folder, threads) -> Job. Warps are brought to one form afterwards (LPS mm, 5-D NIfTI), which
is not part of the measured time. greedy and ANTs come as Python packages: run_in_python.py calls them in a child and
prints the seconds of the call, so that Python's start does not count against them.
"""
import os
import sys
from dataclasses import dataclass, field

import nibabel as nib
import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))


@dataclass
class Job:
    commands: list  # argument vectors, run one after another; all are timed
    warp: str
    affine: str = None
    inverse: str = None
    finish: object = None  # called untimed, brings the warp to the common form
    timed_inside: bool = False  # the command prints "SECONDS x CPU y" itself
    environment: dict = field(default_factory=dict)


def vesal(preset):
    def job(pair, folder, threads):
        command = os.environ.get("VESAL", os.path.join(HERE, "..", "build", "release", "cli", "vesal"))
        out = os.path.join(folder, "v_")
        argv = [command, "register", "--fixed", pair.fixed, "--moving", pair.moving, "--out", out, "--preset", preset,
                "--threads", str(threads), "--overwrite", "-q"]
        if not pair.needs_affine:
            argv += ["--stages", "lddmm"]
        return Job([argv], out + "1Warp.nii.gz", out + "0GenericAffine.mat" if pair.needs_affine else None,
                   out + "1InverseWarp.nii.gz")
    return job


def in_python(package, arguments):
    return [sys.executable, os.path.join(HERE, "run_in_python.py"), package, *arguments]


def greedy_common(fixed, moving, threads, metric="NCC 2x2x2"):
    return ["-d", "3", "-threads", str(threads), "-i", fixed, moving, "-m", *metric.split()]


def greedy_affine(common, out):
    return in_python("greedy", [*common, "-a", "-dof", "12", "-n", "100x50x10", "-ia-image-centers", "-o", out])


def greedy(metric="NCC 2x2x2"):
    def job(pair, folder, threads):
        warp, affine = os.path.join(folder, "warp.nii.gz"), os.path.join(folder, "affine.mat")
        common = greedy_common(pair.fixed, pair.moving, threads, metric)
        commands = []
        deform = common + ["-n", "100x50x20", "-s", "1.732vox", "0.7071vox", "-wp", "0", "-o", warp]
        if pair.needs_affine:
            commands.append(greedy_affine(common, affine))
            deform += ["-it", affine]
        commands.append(in_python("greedy", deform))

        def finish():  # greedy's matrix is plain text in RAS; a name without .mat says so to the judge
            os.replace(affine, affine[:-4] + ".txt")
        return Job(commands, warp, affine[:-4] + ".txt" if pair.needs_affine else None, None,
                   finish if pair.needs_affine else None, True)
    return job


def ants_common(out):
    return ["-d", "3", "--float", "1", "--winsorize-image-intensities", "[0.005,0.995]", "-o", f"[{out}]"]


def ants_linear(f, m):
    """Centres of mass, then rigid and affine."""
    argv = ["-r", f"[{f},{m},1]"]
    for kind in ("Rigid[0.1]", "Affine[0.1]"):
        argv += ["-t", kind, "-m", f"MI[{f},{m},1,32,Regular,0.25]", "-c", "[1000x500x250x0,1e-6,10]", "-f", "8x4x2x1",
                 "-s", "3x2x1x0vox"]
    return argv


def ants(stages, metric_of, iterations, shrink, sigmas):
    def job(pair, folder, threads):
        out = os.path.join(folder, "a_")
        f, m = pair.fixed, pair.moving
        argv = ants_common(out) + (ants_linear(f, m) if pair.needs_affine else [])
        argv += ["-t", stages, "-m", metric_of(f, m), "-c", f"[{iterations},1e-6,10]", "-f", shrink, "-s", sigmas]
        index = 1 if pair.needs_affine else 0
        return Job([in_python("ants", argv)], f"{out}{index}Warp.nii.gz", out + "0GenericAffine.mat" if index else None,
                   f"{out}{index}InverseWarp.nii.gz", None, True,
                   {"ITK_GLOBAL_DEFAULT_NUMBER_OF_THREADS": str(threads)})
    return job


# Correlation with a bending penalty: mutual information alone folded thousands of voxels on brains of two scanners.
ELASTIX = """(Registration "MultiMetricMultiResolutionRegistration")
(FixedInternalImagePixelType "float")
(MovingInternalImagePixelType "float")
(UseDirectionCosines "true")
(FixedImagePyramid "FixedRecursiveImagePyramid")
(MovingImagePyramid "MovingRecursiveImagePyramid")
(NumberOfResolutions 4)
(Interpolator "BSplineInterpolator")
(BSplineInterpolationOrder 1)
(ResampleInterpolator "FinalBSplineInterpolator")
(Resampler "DefaultResampler")
(Transform "BSplineTransform")
(FinalGridSpacingInPhysicalUnits 8)
(HowToCombineTransforms "Compose")
(Metric "AdvancedNormalizedCorrelation" "TransformBendingEnergyPenalty")
(Metric0Weight 1)
(Metric1Weight 30)
(ImageSampler "Random")
(NumberOfSpatialSamples 5000)
(NewSamplesEveryIteration "true")
(Optimizer "AdaptiveStochasticGradientDescent")
(MaximumNumberOfIterations 500)
(WriteResultImage "false")
(ResultImageFormat "nii")
"""


def elastix(pair, folder, threads):
    parameters = os.path.join(folder, "parameters.txt")
    with open(parameters, "w") as f:
        f.write(ELASTIX)
    common = ["-out", folder, "-threads", str(threads)]
    return Job([["elastix", "-f", pair.fixed, "-m", pair.moving, "-p", parameters, *common],
                ["transformix", "-def", "all", "-tp", os.path.join(folder, "TransformParameters.0.txt"), *common]],
               os.path.join(folder, "deformationField.nii"))


def plastimatch(pair, folder, threads):
    parameters, field = os.path.join(folder, "parameters.txt"), os.path.join(folder, "field.mhd")
    stage = "[STAGE]\nxform=bspline\nimpl=plastimatch\noptim=lbfgsb\nmetric=mse\nthreading=openmp\nflavor=c\n" \
            "max_its={its}\ngrid_spac={grid} {grid} {grid}\nres={res} {res} {res}\nregularization_lambda=0.005\n\n"
    with open(parameters, "w") as f:
        f.write(f"[GLOBAL]\nfixed={pair.fixed}\nmoving={pair.moving}\nvf_out={field}\n\n")
        for its, grid, res in ((60, 32, 4), (60, 16, 2), (60, 8, 1)):
            f.write(stage.format(its=its, grid=grid, res=res))
    warp = os.path.join(folder, "warp.nii.gz")
    return Job([["plastimatch", "register", parameters]], warp, finish=lambda: mhd_to_nifti(field, pair.fixed, warp),
               environment={"OMP_NUM_THREADS": str(threads)})


def mrregister(pair, folder, threads):
    to_fixed, to_moving = (os.path.join(folder, f"w{i}.nii.gz") for i in (1, 2))
    warp = os.path.join(folder, "warp.nii.gz")

    def finish():  # absolute RAS positions -> LPS displacement
        image = nib.load(to_fixed)
        position = np.squeeze(np.asarray(image.dataobj, np.float64))
        grid = np.stack(np.meshgrid(*[np.arange(n) for n in position.shape[:3]], indexing="ij"), -1)
        ras = position - (grid @ image.affine[:3, :3].T + image.affine[:3, 3])
        save_field(np.nan_to_num(ras) * [-1, -1, 1], nib.load(pair.fixed).affine, warp)
    return Job([["mrregister", "-nthreads", str(threads), "-force", "-quiet", "-type", "nonlinear", pair.moving,
                 pair.fixed, "-nl_scale", "0.25,0.5,1.0", "-nl_niter", "50", "-nl_warp", to_fixed, to_moving]], warp,
               finish=finish)


PYTHON_WITH_TORCH = "/usr/bin/python3"  # Debian's python3-torch; the peers' own environment has none


def torch_lddmm(pair, folder, threads):
    if pair.needs_affine:
        raise ValueError(f"{pair.name}: PyTorch LDDMM has no affine stage")
    warp = os.path.join(folder, "warp.nii")
    return Job([[PYTHON_WITH_TORCH, os.path.join(HERE, "lddmm_torch.py"), pair.fixed, pair.moving, warp, "--threads",
                 str(threads)]], warp, timed_inside=True)


def mhd_to_nifti(path, fixed, out):
    """An uncompressed MetaImage of 3 floats per voxel on the fixed grid."""
    header = dict(line.split(" = ", 1) for line in open(path, encoding="latin-1").read().splitlines() if " = " in line)
    shape = [int(n) for n in header["DimSize"].split()]
    data = np.fromfile(os.path.join(os.path.dirname(path), header["ElementDataFile"]), np.float32)
    save_field(np.moveaxis(data.reshape(shape[::-1] + [3]), (0, 1, 2), (2, 1, 0)), nib.load(fixed).affine, out)


def save_field(lps, affine, out):
    image = nib.Nifti1Image(np.asarray(lps, np.float32)[:, :, :, None, :], affine)
    image.header.set_intent("vector")
    nib.save(image, out)


PEERS = {
    "vesal fast": vesal("fast"),
    "vesal default": vesal("default"),
    "vesal accurate": vesal("accurate"),
    "greedy NCC": greedy(),
    # ANTs' own scripts begin at an eighth of the resolution, for images of 256 voxels a side. Of 80 voxels ten are left
    # there: mutual information then pulled brains apart (Dice 0.35 on the first pair), and CC was worse as well (0.67).
    "ANTs SyN MI": ants("SyN[0.1,3,0]", lambda f, m: f"MI[{f},{m},1,32]", "100x70x50", "4x2x1", "2x1x0vox"),
    "ANTs SyN CC": ants("SyN[0.1,3,0]", lambda f, m: f"CC[{f},{m},1,2]", "100x70x20", "4x2x1", "2x1x0vox"),
    "elastix": elastix,
    "plastimatch": plastimatch,
    "mrregister": mrregister,
    "PyTorch LDDMM": torch_lddmm,
}
ALIGNED_ONLY = {"PyTorch LDDMM"}  # have no affine stage
