/**
 * Noise processes behind one interface: DDPM (discrete, variance preserving), EDM (variance exploding, preconditioned)
 * and flow matching (straight lines). Each is z = alpha x0 + sigma n at a level; what a network sees, what it is
 * trained towards and how its output becomes an estimate of x0 are numbers of the level too. Training and sampling
 * therefore do not know which process or prediction they work with:
 *
 *     network input  in * z        network output F        x0^ = skip * z + out * F
 *     training       F -> target_x0 * x0 + target_noise * n,   squared error times weight
 *
 * | process, prediction | alpha, sigma | in | skip, out | F -> | weight |
 * | --- | --- | --- | --- | --- | --- |
 * | ddpm, eps | sqrt(abar), sqrt(1 - abar) | 1 | 1/alpha, -sigma/alpha | n | 1 or min(snr,g)/snr |
 * | ddpm, x0 | same | 1 | 0, 1 | x0 | 1 or min(snr,g) |
 * | ddpm, v | same | 1 | alpha, -sigma | alpha n - sigma x0 | 1 or min(snr,g)/(snr+1) |
 * | edm | 1, s | 1/q | sd^2/q^2, s sd/q | (s x0 - sd^2 n)/(sd q), q^2 = s^2 + sd^2 | 1 (= lambda out^2) |
 * | flow | 1 - t, t | 1 | 1, -t | n - x0 | 1 |
 *
 * Sources: Ho et al. 2020; Nichol and Dhariwal 2021 (cosine); Salimans and Ho 2022 (v); Lin et al. 2024 (zero-terminal
 * SNR); Hang et al. 2023 (min-SNR); Karras et al. 2022 (EDM); Lipman et al. 2023, Liu et al. 2023 (flow).
 * docs/maths/diffusion.md has the equations. @test diffusion/test_schedule.c
 */
#ifndef VSL_DIFFUSION_SCHEDULE_H
#define VSL_DIFFUSION_SCHEDULE_H

#include "core/options.h"
#include "nn/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VslProcess { VSL_PROCESS_DDPM = 1, VSL_PROCESS_EDM, VSL_PROCESS_FLOW } VslProcess;
typedef enum VslBetas { VSL_BETAS_LINEAR = 1, VSL_BETAS_SCALED_LINEAR, VSL_BETAS_COSINE } VslBetas;
typedef enum VslPrediction { VSL_PREDICT_EPS = 1, VSL_PREDICT_X0, VSL_PREDICT_V } VslPrediction;
typedef enum VslLossWeight { VSL_WEIGHT_NONE = 1, VSL_WEIGHT_MIN_SNR } VslLossWeight;

typedef struct VslDiffusionOptions {  /* {0} = DDPM, linear, 1000 steps, eps */
    int process;                      /* VslProcess */
    int betas;                        /* VslBetas; DDPM only, as the next five */
    int prediction;                   /* VslPrediction */
    int terminal_snr;                 /* 1 = as the betas give it, 2 = zero (not with eps) */
    int loss_weight;                  /* VslLossWeight */
    double min_snr_gamma;             /* g */
    int train_steps;                  /* T */
    double beta_first, beta_last;     /* 0 = 1e-4, 0.02 (linear) or 0.0015, 0.0205 (scaled linear) */
    double sigma_data;                /* sd of the data, EDM */
    double sigma_min, sigma_max, rho; /* EDM sampling levels */
    double log_mean, log_sd;          /* EDM training: ln s ~ N(log_mean, log_sd^2); log_mean 0 = -1.2 */
} VslDiffusionOptions;
extern VSL_API const VslOption vsl_diffusion_option_table[];

typedef struct VslLevel {
    double alpha, sigma;            /* z = alpha x0 + sigma n */
    double time;                    /* what the network is told: step, 250 ln s, or 1000 t */
    double in, skip, out;           /* network input scale; x0^ = skip z + out F */
    double target_x0, target_noise; /* F is trained towards target_x0 x0 + target_noise n */
    double weight;                  /* of the squared error */
} VslLevel;

typedef struct VslDiffusion VslDiffusion;

/** opt is resolved in a copy. @return VSL_E_ARG (eps with zero-terminal SNR; ranges), VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_diffusion_new(VslDiffusion **out, const VslDiffusionOptions *opt);
VSL_API void vsl_diffusion_free(VslDiffusion **d);
/** The resolved options. Borrowed. */
VSL_API const VslDiffusionOptions *vsl_diffusion_options(const VslDiffusion *d);

/** The level at t: a step 0..T-1 (rounded) for DDPM, sigma > 0 for EDM, t in (0, 1] for flow. */
VSL_API VslLevel vsl_diffusion_level(const VslDiffusion *d, double t);
/** The level of a training draw, a function of (seed, stream, index): uniform step, log-normal sigma, or uniform t. */
VSL_API VslLevel vsl_diffusion_draw(const VslDiffusion *d, uint64_t seed, uint64_t stream, uint64_t index);
/** steps + 1 levels of sampling, noise first, data (alpha 1, sigma 0) last: DDPM steps evenly spaced from T-1 down
 * ("trailing", Lin et al. 2024, table 2); EDM's rho schedule; flow evenly spaced from t = 1. DDPM: steps <= T. */
VSL_API VSL_MUST_USE VslStatus vsl_diffusion_levels(const VslDiffusion *d, int steps, VslLevel *levels);

/** A batch made noisy, each sample at its own level. Tensors belong to the scope. */
typedef struct VslNoised {
    NnTensor *z;          /* in * (alpha x0 + sigma n): the network's input */
    NnTensor *time;       /* (B) */
    NnTensor *target;     /* like x0 */
    NnTensor *weight;     /* (B, 1, ..) */
    NnTensor *noisy;      /* alpha x0 + sigma n */
    NnTensor *skip, *out; /* (B, 1, ..): x0^ = skip * noisy + out * F */
} VslNoised;
/** Draws a level and noise a sample: sample b depends on (seed, stream, first + b) alone (give each training step its
 * own stream). x0 (B, C, ..). */
VSL_API VslNoised vsl_diffusion_noise(NnScope *s, const VslDiffusion *d, NnTensor *x0, uint64_t seed, uint64_t stream,
                                      uint64_t first);
/** The same at a level of the caller's choice, all samples alike. */
VSL_API VslNoised vsl_diffusion_noise_at(NnScope *s, const VslLevel *level, NnTensor *x0, uint64_t seed,
                                         uint64_t stream, uint64_t first);
/** Weighted mean squared error of the network's output: a scalar. */
VSL_API NnTensor *vsl_diffusion_loss(NnScope *s, const VslNoised *n, NnTensor *output);
/** x0^ from the network's output. */
VSL_API NnTensor *vsl_diffusion_x0(NnScope *s, const VslNoised *n, NnTensor *output);

#ifdef __cplusplus
}
#endif
#endif
