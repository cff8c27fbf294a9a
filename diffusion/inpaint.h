/**
 * Inpainting by replacement: what the samplers do with VslInpaint (diffusion/sampler.h) between steps.
 * Source: Lugmayr et al. 2022 (RePaint), eq. 8 and Algorithm 1. @test diffusion/test_inpaint.c
 */
#ifndef VSL_DIFFUSION_INPAINT_H
#define VSL_DIFFUSION_INPAINT_H

#include "diffusion/sampler.h"

#ifdef __cplusplus
extern "C" {
#endif

/** mask * (alpha reference + sigma noise) + (1 - mask) * z: at sigma 0 the reference itself. */
VSL_API NnTensor *vsl_inpaint_put_back(NnScope *s, const VslInpaint *in, NnTensor *z, const VslLevel *level,
                                       NnTensor *noise);
/** From a level back up to a noisier one: z' ~ q(z' | z) = N(a'/a z, sigma'^2 - (a'/a sigma)^2). */
VSL_API NnTensor *vsl_inpaint_jump(NnScope *s, NnTensor *z, const VslLevel *from, const VslLevel *to, NnTensor *noise);

#ifdef __cplusplus
}
#endif
#endif
