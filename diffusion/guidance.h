/**
 * Guidance: denoisers made of denoisers.
 *
 * Classifier-free (Ho and Salimans 2022, eq. 6): D = (1 + w) D_cond - w D_null; with `rescale` f the result's standard
 * deviation per sample is moved towards the conditional one's, D <- (f sd_cond/sd + 1 - f) D (Lin et al. 2024, eq.
 * 15-16; there on the network's output, here on x0^).
 *
 * By a caller's energy E(x0): the score gains -w grad_z E(D(z)), hence D <- D - (sigma^2/alpha) w grad_z E(D(z)) (Chung
 * et al. 2023; in EDM form sigma^2). The gradient passes through the denoiser, whose Jacobian is about alpha
 * Cov(x0|z)/sigma^2: the correction stays bounded. `fast` puts the Gaussian value of that Jacobian in its place, D <- D
 * - w v grad_x0 E, v = sigma^2 sd^2 / (sigma^2 + alpha^2 sd^2), and needs no backward pass through the network. The
 * correction of a sample is held to norm tau sd sqrt(numbers). docs/maths/diffusion.md derives both.
 * @test diffusion/test_guidance.c
 */
#ifndef VSL_DIFFUSION_GUIDANCE_H
#define VSL_DIFFUSION_GUIDANCE_H

#include "diffusion/sampler.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslFreeGuidance {
    VslDenoiser conditional, null;
    double weight;  /* w; 0 = the conditional denoiser alone, which is then run alone */
    double rescale; /* f in [0, 1] */
} VslFreeGuidance;
VSL_API NnTensor *vsl_guide_free(NnScope *s, NnTensor *z, const VslLevel *level, void *free_guidance);

typedef struct VslEnergyGuidance {
    VslDenoiser denoiser;
    /** Energies of the samples of x0 (B, C, ..): any shape whose sum is the batch's total energy; made of operations on
     * s, so that it can be differentiated. A sample's energy may depend on that sample alone. */
    NnTensor *(*energy)(NnScope *s, NnTensor *x0, void *user);
    void *user;
    double weight;            /* w */
    double sigma_data;        /* sd of the data; 0 = 1 */
    double tau;               /* bound of the correction; 0 = 0.2, negative = none */
    double snr_low, snr_high; /* guide where sigma/alpha is in [low, high]; 0, 0 = everywhere */
    int fast;                 /* 1 = without the denoiser's Jacobian */
} VslEnergyGuidance;
VSL_API NnTensor *vsl_guide_energy(NnScope *s, NnTensor *z, const VslLevel *level, void *energy_guidance);

#ifdef __cplusplus
}
#endif
#endif
