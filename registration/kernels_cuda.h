/* Parts of the device's kernel table, by subject; kernels_cuda_*.cu define them on CUDA, tests/parity/emulated.h on the
 * host. Their bodies and launchers are in device_*_private.h. */
#ifndef VSL_REGISTRATION_KERNELS_CUDA_H
#define VSL_REGISTRATION_KERNELS_CUDA_H

#include "registration/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

/* device_band_private.h */
RegEpdiffFn reg_device_epdiff;
RegEpdiffAdjointFn reg_device_epdiff_adjoint;
RegStageAdjointFn reg_device_stage_adjoint;
RegVelocityBoundsFn reg_device_velocity_bounds;
/* device_particles_private.h */
RegParticlesStartFn reg_device_particles_start;
RegParticlesStepFn reg_device_particles_step;
RegParticlesAdjointFn reg_device_particles_adjoint;
/* device_warp_private.h */
RegWarpFn reg_device_warp;
RegWarpMaskFn reg_device_warp_mask;
RegRestrictForceFn reg_device_restrict_force;
/* device_volume_private.h */
RegVolumePenaltyFn reg_device_volume_penalty;
/* device_linear_private.h */
RegLinearWarpFn reg_device_linear_warp;
RegLinearMomentsFn reg_device_linear_moments;
/* device_mi_private.h */
RegMiCountFn reg_device_mi_count;
RegMiDeriveFn reg_device_mi_derive;
/* device_similarity_private.h */
RegLnccPrepareFn reg_device_lncc_prepare;
RegLnccFn reg_device_lncc;
RegSsdFn reg_device_ssd;
RegFillFn reg_device_fill;
RegMultiplyFn reg_device_multiply;

#ifdef __cplusplus
}
#endif
#endif
