/**
 * How unlike two images on one grid are, and the derivative with respect to the second.
 *
 * Energies are integrals over the fixed grid in mm^3 (sum over voxels times voxel volume), so that weights do not
 * depend on the sampling; lower is better.
 *   SSD   1/2 w (J - I)^2
 *   LNCC  -w c^2 / (a b): squared local correlation in a box window (radius in voxels per axis, from mm), a and b local
 *         variances plus eps; windows count masked voxels only
 *   MI    -(sum w) MI(I, J): Parzen histogram with cubic B-spline in J, linear in I; nats
 * w is the product of the masks. Several channels add with their weights. The derivative is that of the discrete sum.
 * @test registration/test_similarity.c (values, central differences, windows of every size, masks)
 */
#ifndef VSL_REGISTRATION_SIMILARITY_H
#define VSL_REGISTRATION_SIMILARITY_H

#include "core/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VslSimilarity {
    VSL_SIMILARITY_DEFAULT = 0,
    VSL_SIMILARITY_SSD,
    VSL_SIMILARITY_LNCC,
    VSL_SIMILARITY_MI
} VslSimilarity;

typedef struct RegSimilarityOptions {
    VslSimilarity kind;
    int windows;            /* LNCC: 1 or 2 window sizes, whose energies are averaged; 0 = 1 */
    int radius_vox[2][3];   /* LNCC: half-width of each window per axis */
    double eps;             /* LNCC variance floor, in units of squared intensity */
    int bins;               /* MI histogram bins */
    double warped_range[2]; /* MI: intensities that the bins span; equal: those of the first image evaluated */
    double spacing_mm[3];
    double channel_weight[8]; /* one per channel, NULL-like zeros mean 1 */
    const VslField *scratch;  /* LNCC: 3 planes or more, written over by every evaluation; NULL: it makes its own */
} RegSimilarityOptions;

typedef struct RegSimilarity RegSimilarity;

/** Prepares for one fixed image. fixed: `channels` planes; mask: one plane of weights >= 0, or NULL; both borrowed for
 * the life of the object. */
VSL_MUST_USE VslStatus reg_similarity_new(RegSimilarity **out, VslBackend *be, const VslField *fixed,
                                          const VslField *mask, const RegSimilarityOptions *opt);
void reg_similarity_free(RegSimilarity **s);
/** *energy and, when grad is not NULL, grad = dE / d warped (same shape as fixed). weight: one plane of the warped
 * moving mask (multiplied with the fixed mask), or NULL = 1. */
VSL_MUST_USE VslStatus reg_similarity_eval(RegSimilarity *s, double *energy, VslField *grad, const VslField *warped,
                                           const VslField *weight);

#ifdef __cplusplus
}
#endif
#endif
