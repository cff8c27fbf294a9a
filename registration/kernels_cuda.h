/* Parts of the device's kernel table, by subject; kernels_cuda_*.cu define them on CUDA, tests/parity/emulated.h on the
 * host. Their bodies and launchers are in device_*_private.h. */
#ifndef VSL_REGISTRATION_KERNELS_CUDA_H
#define VSL_REGISTRATION_KERNELS_CUDA_H

#include "registration/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* device_band_private.h */
VslStatus reg_device_epdiff(VslField *next, const VslField *base, double c, VslField *sum, double w, const VslField *m,
                            const VslField *v, const double h[3]);
VslStatus reg_device_epdiff_adjoint(VslField *direct, VslField *smooth, const VslField *m, const VslField *v,
                                    const VslField *a, const double h[3]);
VslStatus reg_device_stage_adjoint(VslField *a, VslField *sum, const VslField *direct, const VslField *smooth,
                                   const VslField *lambda, double c1, double c2);
VslStatus reg_device_velocity_bounds(double *max_speed, double *max_slope, const VslField *v, const double h[3]);
/* device_particles_private.h */
VslStatus reg_device_particles_start(VslField *y, const VslAffine *to_band);
VslStatus reg_device_particles_step(VslField *out, const VslField *y, const VslField *v_first, const VslField *v_mid,
                                    double dt, const double h[3]);
VslStatus reg_device_particles_adjoint(VslField *eta, VslField *cot_first, VslField *cot_mid, const VslField *y,
                                       const VslField *v_first, const VslField *v_mid, double dt, const double h[3]);
/* device_warp_private.h */
VslStatus reg_device_warp(VslField *warped, VslField *slope, const VslField *moving, const VslField *y,
                          const RegLattice *lattice, const VslAffine *to_moving);
VslStatus reg_device_warp_mask(VslField *warped, const VslField *mask, const VslField *y, const RegLattice *lattice,
                               const VslAffine *to_moving);
VslStatus reg_device_restrict_force(VslField *eta, const VslField *grad, const VslField *slope,
                                    const RegLattice *lattice, double scale);
/* device_volume_private.h */
VslStatus reg_device_volume_penalty(double *energy, VslField *eta, VslField *jac, const VslField *y, double floor,
                                    double scale);
/* device_similarity_private.h */
VslStatus reg_device_lncc_prepare(VslField *fixed, const VslField *image, const VslField *weight, const int radius[3],
                                  double eps);
VslStatus reg_device_lncc(double *energy, VslField *grad, const VslField *image, const VslField *warped,
                          const VslField *weight, const VslField *fixed, VslField *scratch, const int radius[3],
                          double eps, double scale, int add);
VslStatus reg_device_ssd(double *energy, VslField *grad, const VslField *image, const VslField *warped,
                         const VslField *weight, double scale);
VslStatus reg_device_fill(VslField *out, float value);
VslStatus reg_device_multiply(VslField *out, const VslField *a, const VslField *b);

#ifdef __cplusplus
}
#endif
#endif
