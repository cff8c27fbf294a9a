/**
 * Numbers by which a registration is judged. @test registration/test_quality.c
 */
#ifndef VSL_REGISTRATION_QUALITY_H
#define VSL_REGISTRATION_QUALITY_H

#include "core/volume.h"
#include "registration/transform.h"

#ifdef __cplusplus
extern "C" {
#endif

/** det D phi of phi = x + u on u's grid, 1 = volume kept: central differences inside, one-sided at the faces, carried
 * to world mm by the grid affine (oblique and sheared grids included). Grids one voxel thick use 2D derivatives. */
VSL_API VSL_MUST_USE VslStatus vsl_jacobian(VslVolume *out, const VslVolume *disp, int threads);

typedef struct VslJacobianStats {
    double min, p001, median, p999, max; /* p001: 0.1-percentile */
    double sd_log;                       /* sd of the natural logarithm over voxels with determinant > 0 */
    int64_t folds, voxels;               /* determinant <= 0 or not finite; voxels counted */
} VslJacobianStats;
/** mask: voxels != 0 count; NULL = all. Same grid as jac. */
VSL_API VSL_MUST_USE VslStatus vsl_jacobian_stats(VslJacobianStats *out, const VslVolume *jac, const VslVolume *mask);

typedef struct VslLabelScore {
    int32_t label;
    double dice; /* NAN when absent in both */
    double volume_a_mm3, volume_b_mm3;
    double surface_mean_mm, surface_p95_mm, surface_max_mm; /* symmetric surface distance; NAN when one is absent */
} VslLabelScore;
/** One row per label > 0 of either map, ascending; *rows is vsl_alloc'ed, caller frees. *mean_dice is the mean over all
 * rows (a label that one map lacks counts as 0), NAN without labels. Surface distances (distances of both directions
 * pooled) are computed when with_surfaces != 0.
 * @return VSL_E_SPACE when grids differ, VSL_E_UNSUPPORTED (surfaces on a sheared grid). */
VSL_API VSL_MUST_USE VslStatus vsl_label_scores(VslLabelScore **rows, int *count, double *mean_dice, const VslLabels *a,
                                                const VslLabels *b, int with_surfaces, int threads);

typedef struct VslInverseConsistency {
    double mean_mm, p95_mm, max_mm; /* |psi(phi(x)) - x| over fixed-grid voxels whose image stays inside */
    double mean_vox;                /* in voxels of the forward field's grid */
} VslInverseConsistency;
/** forward: phi - x; inverse: psi - x on any grid; mask on forward's grid: voxels != 0 count, NULL = all.
 * @return VSL_E_NUMERIC when no voxel can be judged or a displacement is not finite. */
VSL_API VSL_MUST_USE VslStatus vsl_inverse_consistency(VslInverseConsistency *out, const VslVolume *forward,
                                                       const VslVolume *inverse, const VslVolume *mask, int threads);

typedef struct VslImageScore {
    double ssim; /* Wang et al. 2004, 3D Gaussian window of 1.5 voxels sigma, data range of b */
    double psnr_db, nrmse, correlation, mutual_information_nats;
} VslImageScore;
/** a against the reference b, first channels; mask: voxels != 0 count, NULL = all. Formulas: image_score.c.
 * @return VSL_E_SPACE, VSL_E_NUMERIC (an image is constant or not finite inside the mask). */
VSL_API VSL_MUST_USE VslStatus vsl_image_score(VslImageScore *out, const VslVolume *a, const VslVolume *b,
                                               const VslVolume *mask, int threads);

#ifdef __cplusplus
}
#endif
#endif
