/**
 * The loops of registration, one table per backend, each of a function type stated once. Loops only: formulas of one
 * voxel are in point.h, the equations in flow.c, similarity.c and lddmm.c. Every field of a call lives on the table's
 * backend.
 *
 * Band grid: periodic, spacing h (mm); velocities v in mm per unit time along its axes, momenta m = L v, 3 channels.
 * Positions of particles are in voxels of the band grid. @test registration/test_flow.c, test_similarity.c, parity/
 */
#ifndef VSL_REGISTRATION_KERNELS_H
#define VSL_REGISTRATION_KERNELS_H

#include "core/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/* Where fine image voxels lie on the coarse lattice of particles: lattice index = scale * i + offset, per axis.
 * Every voxel has its four neighbouring lattice nodes inside the lattice (flow.c lays it out so). */
typedef struct RegLattice {
    int64_t n[3];      /* lattice nodes */
    int64_t origin[3]; /* band index of node 0 */
    double scale[3], offset[3];
} RegLattice;

/* Bins of a joint histogram: position of a value = (value - low) * scale + first, held within first..last. */
typedef struct RegMiAxis {
    double low, scale, first, last;
} RegMiAxis;
typedef struct RegMiBins {
    int bins; /* per axis */
    RegMiAxis fixed, warped;
} RegMiBins;

/* F = -( (Dv)^T m + div(m (x) v) ), central differences. next = base + c F (if next); sum += w F (if sum). */
typedef VslStatus RegEpdiffFn(VslField *next, const VslField *base, double c, VslField *sum, double w,
                              const VslField *m, const VslField *v, const double h[3]);
/* Transpose of the linearised F applied to a, in two parts: total = direct + K smooth. direct = Da v - Dv a;  smooth
 * = smooth + (Da)^T m + div(m (x) a). */
typedef VslStatus RegEpdiffAdjointFn(VslField *direct, VslField *smooth, const VslField *m, const VslField *v,
                                     const VslField *a, const double h[3]);
/* g = direct + smooth; sum += g; a = c1 lambda + c2 g (if a). */
typedef VslStatus RegStageAdjointFn(VslField *a, VslField *sum, const VslField *direct, const VslField *smooth,
                                    const VslField *lambda, double c1, double c2);
/* y = to_band(i, j, k) for every voxel of y's grid. */
typedef VslStatus RegParticlesStartFn(VslField *y, const VslAffine *to_band);
/* One midpoint step of dy/dt = v: mid = y + dt/2 v_first(y), out = y + dt v_mid(mid). out may alias y. dt in units
 * of time; h turns mm into band voxels. */
typedef VslStatus RegParticlesStepFn(VslField *out, const VslField *y, const VslField *v_first, const VslField *v_mid,
                                     double dt, const double h[3]);
/* Transpose: eta (cotangent of out) becomes the cotangent of y; cotangents of the two velocities are added. */
typedef VslStatus RegParticlesAdjointFn(VslField *eta, VslField *cot_first, VslField *cot_mid, const VslField *y,
                                        const VslField *v_first, const VslField *v_mid, double dt, const double h[3]);
/* warped_c(x) = moving_c(A (x_band + u(x))), u cubic between lattice nodes; slope = its derivative in u (3 planes
 * per channel, band voxels; may be NULL), averaged across the moving image's voxel centres (point.h). y: particle
 * positions on the lattice. to_moving: band voxel -> moving voxel. */
typedef VslStatus RegWarpFn(VslField *warped, VslField *slope, const VslField *moving, const VslField *y,
                            const RegLattice *lattice, const VslAffine *to_moving);
/* Nearest-voxel value of a mask at the same points, 0 outside the moving grid. */
typedef VslStatus RegWarpMaskFn(VslField *warped, const VslField *mask, const VslField *y, const RegLattice *lattice,
                                const VslAffine *to_moving);
/* Transpose of warp: eta (3 channels on the lattice) = sum over voxels and channels of dE/dwarped slope. */
typedef VslStatus RegRestrictForceFn(VslField *eta, const VslField *grad, const VslField *slope,
                                     const RegLattice *lattice, double scale);
/* What keeps volumes from vanishing: with J the Jacobian determinant of the lattice positions y at inner nodes,
 * *energy = sum 1/2 max(0, 1 - J/floor)^2; eta (may be NULL) += scale times its derivative in y. floor: one plane,
 * > 0 at every node. jac: one plane, becomes J at inner nodes and 1 at the others. */
typedef VslStatus RegVolumePenaltyFn(double *energy, VslField *eta, VslField *jac, const VslField *y,
                                     const VslField *floor, double scale);
/* Local correlation, see similarity.c. fixed: window mean of I, variance + eps, 1/window weight; 3 planes. */
typedef VslStatus RegLnccPrepareFn(VslField *fixed, const VslField *image, const VslField *weight, const int radius[3],
                                   double eps);
/* scratch: 3 planes. *energy = sum of weight e, no factor; grad (may be NULL) = scale times its derivative, added to
 * what grad held when `add` is not 0. */
typedef VslStatus RegLnccFn(double *energy, VslField *grad, const VslField *image, const VslField *warped,
                            const VslField *weight, const VslField *fixed, VslField *scratch, const int radius[3],
                            double eps, double scale, int add);
/* *energy = sum 1/2 w (J - I)^2; grad = scale w (J - I) (if grad). */
typedef VslStatus RegSsdFn(double *energy, VslField *grad, const VslField *image, const VslField *warped,
                           const VslField *weight, double scale);
/* Linear alignment: moving(to_moving x), its derivative by moving voxel index (3 planes) and how much of it counts, for
 * every fixed voxel of weight `mask`; elsewhere 0. weight: 0 half a voxel outside the moving image's outer centres to 1
 * half a voxel inside, times the interpolated moving_mask (may be NULL). *met = sum mask weight. */
typedef VslStatus RegLinearWarpFn(double *met, VslField *warped, VslField *weight, VslField *slope,
                                  const VslField *moving, const VslField *moving_mask, const VslField *mask,
                                  const VslAffine *to_moving);
/* moment[d] = sum over voxels (i, j, k) of grad slope_d (i, j, k, 1). */
typedef VslStatus RegLinearMomentsFn(double moment[3][4], const VslField *grad, const VslField *slope);
/* Mutual information, see similarity_mi.c. joint: bins x bins on the host, the histogram of weights, not divided by
 * their sum, which is *total. mask, weight: planes whose product counts, each may be NULL. */
typedef VslStatus RegMiCountFn(double *joint, double *total, const VslField *fixed, const VslField *warped,
                               const VslField *mask, const VslField *weight, const RegMiBins *bins);
/* grad = scale times weight times the slope of the spline times table, bins x bins on the host. */
typedef VslStatus RegMiDeriveFn(VslField *grad, const double *table, const VslField *fixed, const VslField *warped,
                                const VslField *mask, const VslField *weight, const RegMiBins *bins, double scale);
/* out = value everywhere; out = a b. */
typedef VslStatus RegFillFn(VslField *out, float value);
typedef VslStatus RegMultiplyFn(VslField *out, const VslField *a, const VslField *b);
/* Largest |component| and largest operator-norm bound of the velocity's derivative (1/time), for step control. */
typedef VslStatus RegVelocityBoundsFn(double *max_speed, double *max_slope, const VslField *v, const double h[3]);

typedef struct RegKernels {
    RegEpdiffFn *epdiff;
    RegEpdiffAdjointFn *epdiff_adjoint;
    RegStageAdjointFn *stage_adjoint;
    RegParticlesStartFn *particles_start;
    RegParticlesStepFn *particles_step;
    RegParticlesAdjointFn *particles_adjoint;
    RegWarpFn *warp;
    RegWarpMaskFn *warp_mask;
    RegRestrictForceFn *restrict_force;
    RegVolumePenaltyFn *volume_penalty;
    RegLnccPrepareFn *lncc_prepare;
    RegLnccFn *lncc;
    RegSsdFn *ssd;
    RegLinearWarpFn *linear_warp;
    RegLinearMomentsFn *linear_moments;
    RegMiCountFn *mi_count;
    RegMiDeriveFn *mi_derive;
    RegFillFn *fill;
    RegMultiplyFn *multiply;
    RegVelocityBoundsFn *velocity_bounds;
} RegKernels;

/* The table for this backend; never NULL. */
const RegKernels *reg_kernels(const VslBackend *be);
extern const RegKernels reg_kernels_cpu;
/* NULL when CUDA is not built in. */
const RegKernels *reg_kernels_cuda(void);

#ifdef __cplusplus
}
#endif
#endif
