/* The device's kernel table. */
#include "registration/kernels_cuda.h"

static const RegKernels device_table = {
    .epdiff = reg_device_epdiff,
    .epdiff_adjoint = reg_device_epdiff_adjoint,
    .stage_adjoint = reg_device_stage_adjoint,
    .particles_start = reg_device_particles_start,
    .particles_step = reg_device_particles_step,
    .particles_adjoint = reg_device_particles_adjoint,
    .warp = reg_device_warp,
    .warp_mask = reg_device_warp_mask,
    .restrict_force = reg_device_restrict_force,
    .volume_penalty = reg_device_volume_penalty,
    .lncc_prepare = reg_device_lncc_prepare,
    .lncc = reg_device_lncc,
    .ssd = reg_device_ssd,
    .linear_warp = reg_device_linear_warp,
    .linear_moments = reg_device_linear_moments,
    .mi_count = reg_device_mi_count,
    .mi_derive = reg_device_mi_derive,
    .fill = reg_device_fill,
    .multiply = reg_device_multiply,
    .velocity_bounds = reg_device_velocity_bounds,
};

const RegKernels *reg_kernels_cuda(void)
{
    return &device_table;
}
