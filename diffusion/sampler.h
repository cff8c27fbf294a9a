/**
 * Samplers of every process, as steps between levels (alpha, sigma) -> (alpha', sigma') of schedule.h. They see a
 * denoiser only: a function that returns x0^ = E[x0 | z]. With eps^ = (z - alpha x0^) / sigma:
 *
 *     ddim     z' = alpha' x0^ + sqrt(sigma'^2 - g^2) eps^ + g n,   g = eta sigma' sqrt(1 - (alpha sigma' / (alpha'
 * sigma))^2) ddpm     eta = 1: the posterior q(z' | z, x0^) heun     the trapezoidal rule of dz = x0^ dalpha + eps^
 * dsigma; the last step, to sigma = 0, is ddim's dpmpp2m  z' = sigma'/sigma z - alpha' (e^-h - 1) D,  h =
 * ln(alpha'/sigma') - ln(alpha/sigma), D extrapolated from the last two x0^; first and last step are ddim's
 *
 * ddim with eta 0 is Euler's method for all three processes (EDM's in sigma, flow's in t). Sources: Song et al. 2021
 * (eq. 12, 16), Ho et al. 2020 (eq. 6, 7), Karras et al. 2022 (Algorithm 1), Lu et al. 2022 (DPM-Solver++, Algorithm
 * 2). Noise is counter-based: sample b is a function of (seed, first + b), whatever the batch. Each step runs in a
 * scope of its own, so that memory does not grow with steps. @test diffusion/test_sampler.c, test_sampler_order.c,
 * test_inpaint.c
 */
#ifndef VSL_DIFFUSION_SAMPLER_H
#define VSL_DIFFUSION_SAMPLER_H

#include "diffusion/schedule.h"
#include "diffusion/unet.h"

#ifdef __cplusplus
extern "C" {
#endif

/** x0^ of z (B, C, ..), all samples at `level` (sigma > 0). A wrapper (guidance.h) is a denoiser too. */
typedef struct VslDenoiser {
    NnTensor *(*run)(NnScope *s, NnTensor *z, const VslLevel *level, void *user);
    void *user; /* borrowed */
} VslDenoiser;

/** A U-Net as a denoiser: x0^ = skip z + out F(in z, time), with the conditions of `input` (its x and time are not
 * read; B must be the samples', or 1). */
typedef struct VslUnetDenoiser {
    const VslUnet *net;
    VslUnetInput input;
} VslUnetDenoiser;
VSL_API NnTensor *vsl_unet_denoise(NnScope *s, NnTensor *z, const VslLevel *level, void *unet_denoiser);

typedef enum VslSampler { VSL_SAMPLER_DDIM = 1, VSL_SAMPLER_DDPM, VSL_SAMPLER_HEUN, VSL_SAMPLER_DPMPP2M } VslSampler;

/** Known voxels: mask 1 = keep reference, 0 = free. After each step the kept part is put back, noised to the step's
 * level; with jumps each step is taken 1 + jumps times, noise being added back in between (RePaint, Lugmayr et al.
 * 2022, Algorithm 1, jump length 1). */
typedef struct VslInpaint {
    NnTensor *reference, *mask; /* (B or 1, C, ..), (B or 1, C or 1, ..) */
    int jumps;
} VslInpaint;

typedef struct VslSamplerOptions { /* {0} = 50 steps of DDIM */
    int sampler;                   /* VslSampler */
    int steps;
    double eta;                                       /* of DDIM */
    double clip;                                      /* x0^ is held in [-clip, clip]; 0 = free (latents) */
    uint64_t seed, first;                             /* sample b of the batch is number first + b */
    const VslInpaint *inpaint;                        /* or NULL */
    int (*progress)(int step, int steps, void *user); /* or NULL; non-zero stops with VSL_E_CANCELLED */
    void *progress_user;
} VslSamplerOptions;
extern VSL_API const VslOption vsl_sampler_option_table[];

/** Draws samples of shape (B, C, ..) at the process's own levels (vsl_diffusion_levels). s: of mode NN_INFER, on rt;
 * owns the result. Failures are the scope's. */
VSL_API NnTensor *vsl_sample(NnScope *s, NnRuntime *rt, const VslDiffusion *d, const VslDenoiser *denoiser,
                             NnShape shape, const VslSamplerOptions *opt);
/** The same from z at levels[0] through levels[count - 1]. Levels may rise too: noise is then added by the
 * deterministic flow (eta 0). opt->steps is not read. */
VSL_API NnTensor *vsl_sample_levels(NnScope *s, NnRuntime *rt, const VslDenoiser *denoiser, NnTensor *z,
                                    const VslLevel *levels, int count, const VslSamplerOptions *opt);
/** The start of sample first + b: sigma n, (B, C, ..). */
VSL_API NnTensor *vsl_sample_start(NnScope *s, NnShape shape, const VslLevel *level, const VslSamplerOptions *opt);
/** DDIM inversion (Song et al. 2021, section 4.3): from data x0 the z at the noisiest level from which the same levels
 * lead back to x0 (as exactly as the steps are fine). Deterministic samplers only. */
VSL_API NnTensor *vsl_invert(NnScope *s, NnRuntime *rt, const VslDiffusion *d, const VslDenoiser *denoiser,
                             NnTensor *x0, const VslSamplerOptions *opt);

#ifdef __cplusplus
}
#endif
#endif
