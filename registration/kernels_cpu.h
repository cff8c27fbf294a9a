/* Parts of the CPU's kernel table, by subject; only kernels_cpu*.c include this. */
#ifndef VSL_REGISTRATION_KERNELS_CPU_H
#define VSL_REGISTRATION_KERNELS_CPU_H

#include "registration/kernels.h"

/* kernels_cpu_band.c */
RegEpdiffFn reg_cpu_epdiff;
RegEpdiffAdjointFn reg_cpu_epdiff_adjoint;
RegStageAdjointFn reg_cpu_stage_adjoint;
RegVelocityBoundsFn reg_cpu_velocity_bounds;
/* kernels_cpu_particles.c */
RegParticlesStartFn reg_cpu_particles_start;
RegParticlesStepFn reg_cpu_particles_step;
RegParticlesAdjointFn reg_cpu_particles_adjoint;
/* kernels_cpu_warp.c */
RegWarpFn reg_cpu_warp;
RegWarpMaskFn reg_cpu_warp_mask;
RegRestrictForceFn reg_cpu_restrict_force;
/* kernels_cpu_volume.c */
RegVolumePenaltyFn reg_cpu_volume_penalty;
/* kernels_cpu_linear.c */
RegLinearWarpFn reg_cpu_linear_warp;
RegLinearMomentsFn reg_cpu_linear_moments;
/* kernels_cpu_mi.c */
RegMiCountFn reg_cpu_mi_count;
RegMiDeriveFn reg_cpu_mi_derive;
/* kernels_cpu_similarity.c */
RegLnccPrepareFn reg_cpu_lncc_prepare;
RegLnccFn reg_cpu_lncc;
RegSsdFn reg_cpu_ssd;
RegFillFn reg_cpu_fill;
RegMultiplyFn reg_cpu_multiply;

#endif
