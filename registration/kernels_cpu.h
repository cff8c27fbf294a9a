/* Parts of the CPU's kernel table, by subject; only kernels_cpu*.c include this. */
#ifndef VSL_REGISTRATION_KERNELS_CPU_H
#define VSL_REGISTRATION_KERNELS_CPU_H

#include "registration/kernels.h"

/* kernels_cpu_band.c */
VslStatus reg_cpu_epdiff(VslField *next, const VslField *base, double c, VslField *sum, double w, const VslField *m,
                         const VslField *v, const double h[3]);
VslStatus reg_cpu_epdiff_adjoint(VslField *direct, VslField *smooth, const VslField *m, const VslField *v,
                                 const VslField *a, const double h[3]);
VslStatus reg_cpu_stage_adjoint(VslField *a, VslField *sum, const VslField *direct, const VslField *smooth,
                                const VslField *lambda, double c1, double c2);
VslStatus reg_cpu_velocity_bounds(double *max_speed, double *max_slope, const VslField *v, const double h[3]);
/* kernels_cpu_particles.c */
VslStatus reg_cpu_particles_start(VslField *y, const VslAffine *to_band);
VslStatus reg_cpu_particles_step(VslField *out, const VslField *y, const VslField *v_first, const VslField *v_mid,
                                 double dt, const double h[3]);
VslStatus reg_cpu_particles_adjoint(VslField *eta, VslField *cot_first, VslField *cot_mid, const VslField *y,
                                    const VslField *v_first, const VslField *v_mid, double dt, const double h[3]);
/* kernels_cpu_warp.c */
VslStatus reg_cpu_warp(VslField *warped, VslField *slope, const VslField *moving, const VslField *y,
                       const RegLattice *lattice, const VslAffine *to_moving);
VslStatus reg_cpu_warp_mask(VslField *warped, const VslField *mask, const VslField *y, const RegLattice *lattice,
                            const VslAffine *to_moving);
VslStatus reg_cpu_restrict_force(VslField *eta, const VslField *grad, const VslField *slope, const RegLattice *lattice,
                                 double scale);
/* kernels_cpu_volume.c */
VslStatus reg_cpu_volume_penalty(double *energy, VslField *eta, VslField *jac, const VslField *y, double floor,
                                 double scale);
/* kernels_cpu_similarity.c */
VslStatus reg_cpu_lncc_prepare(VslField *fixed, const VslField *image, const VslField *weight, const int radius[3],
                               double eps);
VslStatus reg_cpu_lncc(double *energy, VslField *grad, const VslField *image, const VslField *warped,
                       const VslField *weight, const VslField *fixed, VslField *scratch, const int radius[3],
                       double eps, double scale, int add);
VslStatus reg_cpu_ssd(double *energy, VslField *grad, const VslField *image, const VslField *warped,
                      const VslField *weight, double scale);
VslStatus reg_cpu_fill(VslField *out, float value);
VslStatus reg_cpu_multiply(VslField *out, const VslField *a, const VslField *b);

#endif
