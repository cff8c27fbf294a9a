/*
 * One resolution level of linear alignment: the similarity of fixed(x) and moving(A x) and its derivative in the
 * parameters of A. Internal to registration.
 *
 * A = base o local, local(x) = c + Q [ L(p) Q^T (x - c) + t(p) ], c a centre, Q the orthonormal frame of the fixed
 * grid. Rigid: L a product of rotations about the frame's axes by p / r; affine: L = I + P / r; r is a length of the
 * size of the object, so that every parameter is in mm of typical motion. In a plane (images one voxel thick) only the
 * parameters within it exist. The energy is the negative mean similarity over the fixed weight that meets the moving
 * image.
 */
#ifndef VSL_REGISTRATION_LINEAR_H
#define VSL_REGISTRATION_LINEAR_H

#include "core/backend.h"
#include "registration/affine.h"
#include "registration/kernels.h"
#include "registration/similarity.h"

enum { REG_LINEAR_PARAMETERS = 12 };

/* Of the fixed image: of less there is no energy. */
#define REG_LINEAR_LEAST_SHARE 0.1

typedef struct RegLinear {
    VslBackend *be; /* of the images, borrowed */
    const RegKernels *op;
    VslGrid fixed_grid, moving_grid;
    VslField fixed, mask, moving; /* own copies; mask all ones when there is none */
    VslField moving_mask;         /* empty when there is none */
    VslField warped, weight, slope, grad;
    RegSimilarity *similarity;
    double fixed_weight; /* sum of mask */
    double least_share;  /* of fixed_weight that must meet the moving image; the caller may ask for more */
    VslLinearKind kind;
    int in_plane;
    VslAffine base, moving_from_ras;
    double centre[3], frame[3][3], radius_mm;
    double share; /* of the fixed weight met at the last evaluation */
} RegLinear;

/** Prepares a level. Volumes: one channel, normalised; masks may be NULL. centre and radius_mm of the fixed object. */
VSL_MUST_USE VslStatus reg_linear_new(RegLinear *out, VslBackend *be, const VslVolume *fixed, const VslVolume *moving,
                                      const VslVolume *fixed_mask, const VslVolume *moving_mask, VslSimilarity metric,
                                      const double centre[3], double radius_mm);
void reg_linear_free(RegLinear *l);
/** Number of parameters of the kind: 3 or 6 in a plane, else 6 or 12. */
int reg_linear_count(const RegLinear *l);
/** A of parameters p, in the host's memory. */
VslAffine reg_linear_map(const RegLinear *l, const float *p);
/** Energy (and gradient, if not NULL) at p, both on a host backend; infinite where too little of the images meets. The
 * form of reg_lbfgs. */
VslStatus reg_linear_energy(void *linear, double *energy, VslField *gradient, const VslField *p);

#endif
