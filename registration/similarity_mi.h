/**
 * Mutual information of two images on one grid by a Parzen histogram, and its derivative with respect to the second.
 *
 *     p(a, b) = sum_x w(x) h(a - I(x)) b3(b - J(x)) / sum_x w(x),      MI = sum p log( p / (p_a p_b) )  in nats,
 *     E = -MI * mm^3 of sum w,      dE/dJ(x) = mm^3 w(x) sum_ab h(a - I) b3'(b - J) (log p - log p_b)
 *
 * with h the linear hat and b3 the cubic B-spline, both of unit width in bins: the two sum to one over the bins, so
 * that the marginal of I does not depend on J. Source: Mattes et al., IEEE TMI 2003, eq. 3-9; differs: a hat instead of
 * a box for I, and weights. @test registration/test_similarity_mi.c
 */
#ifndef VSL_REGISTRATION_SIMILARITY_MI_H
#define VSL_REGISTRATION_SIMILARITY_MI_H

#include "core/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct RegMi RegMi;

/** fixed: one plane; mask: one plane of weights >= 0, or NULL; their data are borrowed for the life of the object.
 * bins: 8..256 per axis. voxel_mm3: volume of a voxel. The intensity range of fixed is that of its 0.1
 * to 99.9-percentile where the mask is not 0; values beyond count in the outermost bin.
 * @return VSL_E_ARG, VSL_E_NUMERIC (fixed is constant or not finite inside the mask), VSL_E_NOMEM. */
VSL_MUST_USE VslStatus reg_mi_new(RegMi **out, VslBackend *be, const VslField *fixed, const VslField *mask, int bins,
                                  double voxel_mm3);
void reg_mi_free(RegMi **mi);
/** Range of the warped image's intensities that the bins span; stays for the life of the object, so that energies can
 * be compared. Without this call the first evaluation takes it from its image as for fixed. */
VSL_MUST_USE VslStatus reg_mi_set_range(RegMi *mi, double low, double high);
/** *energy and, when grad is not NULL, grad = dE / d warped (0 where the weight is 0 or the intensity is out of range).
 * weight: one plane multiplied with the mask, or NULL. Voxels whose warped value is not finite do not count.
 * @return VSL_E_NUMERIC when no voxel counts or the first image has no range. */
VSL_MUST_USE VslStatus reg_mi_eval(RegMi *mi, double *energy, VslField *grad, const VslField *warped,
                                   const VslField *weight);

#ifdef __cplusplus
}
#endif
#endif
