/**
 * The LDDMM energy on one level of the pyramid and its gradient in x = L^(1/2) v0. Internal to registration.
 * @test registration/test_lddmm_gradient.c
 */
#ifndef VSL_REGISTRATION_LDDMM_PROBLEM_H
#define VSL_REGISTRATION_LDDMM_PROBLEM_H

#include "registration/flow.h"
#include "registration/similarity.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct RegProblem {
    VslBackend *be; /* borrowed */
    RegFlow flow;
    RegLattice lattice; /* particles: the band nodes that the image needs */
    VslAffine lattice_to_band;
    VslAffine to_moving;                       /* band voxel -> moving voxel */
    VslGrid grid;                              /* fixed image at this level */
    VslField fixed, moving, mask, moving_mask; /* masks empty when there are none */
    RegSimilarity *similarity;
    VslField warped, slope, grad, warped_mask, eta, jac, floor;
    double weight;        /* of the similarity */
    double volume_weight; /* of the penalty below `floor`, see RegVolumePenaltyFn; 0 = off */
    double drift_limit;   /* more time steps are taken when <m, v> drifts by more along the geodesic; 0 = never */
    double last_similarity, last_norm2, last_drift; /* of the last evaluation */
    int evaluations;
} RegProblem;

/** Lays out band, lattice and images. band_grid: nodes in world; fixed, moving: this level's images; masks may be NULL.
 */
VSL_MUST_USE VslStatus reg_problem_new(RegProblem *out, VslBackend *be, const VslGrid *band_grid,
                                       const VslKernel *kernel, int steps, const VslVolume *fixed,
                                       const VslVolume *moving, const VslVolume *fixed_mask,
                                       const VslVolume *moving_mask, const VslAffine *affine,
                                       const RegSimilarityOptions *similarity, double weight, double volume_floor);
void reg_problem_free(RegProblem *p);
/** E and, when gradient is not NULL, dE/dx. RegObjective for reg_lbfgs: a trial that is not finite gives infinity. */
VslStatus reg_problem_evaluate(void *problem, double *energy, VslField *gradient, const VslField *x);
/**
 * Counts the inner voxels that keep less than `least` of their volume under the geodesic of the last evaluation, on the
 * image grid itself: the penalty of the energy sees the lattice only. Around each of them the lattice's floor rises to
 * `raised`.
 */
VSL_MUST_USE VslStatus reg_problem_raise_floor(RegProblem *p, int64_t *count, double least, double raised);

#ifdef __cplusplus
}
#endif
#endif
