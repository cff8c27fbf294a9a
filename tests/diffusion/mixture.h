/* Data whose denoiser is known: a mixture of isotropic Gaussians N(m_k, s_k^2) with weights w_k in D dimensions.
 * E[x0 | z] at (alpha, sigma): r_k ~ w_k N(z; alpha m_k, v_k), v_k = alpha^2 s_k^2 + sigma^2, and
 * sum_k r_k (m_k + alpha s_k^2 / v_k (z - alpha m_k)). */
#ifndef VSL_TESTS_DIFFUSION_MIXTURE_H
#define VSL_TESTS_DIFFUSION_MIXTURE_H

#include "diffusion/sampler.h"
#include "tests/check.h"

enum { MIXTURE_PARTS = 3, MIXTURE_DIMS = 64 };

typedef struct Mixture {
    int parts, dims;
    bool is_float64; /* the runtime's precision */
    double weight[MIXTURE_PARTS], sd[MIXTURE_PARTS];
    double mean[MIXTURE_PARTS][MIXTURE_DIMS];
} Mixture;

typedef struct MixtureAt {
    const Mixture *m;
    const VslLevel *level;
} MixtureAt;

static inline VslStatus mixture_shape(NnShape *out, int inputs, const NnShape *in, void *user)
{
    (void)inputs, (void)user;
    *out = in[0];
    return VSL_OK;
}

static inline void mixture_point(double *x0, const double *z, const Mixture *m, const VslLevel *level)
{
    const double a = level->alpha, s2 = level->sigma * level->sigma;
    double share[MIXTURE_PARTS], top = -HUGE_VAL, total = 0;
    for (int k = 0; k < m->parts; k++) {
        const double v = a * a * m->sd[k] * m->sd[k] + s2;
        double square = 0;
        for (int d = 0; d < m->dims; d++) {
            square += (z[d] - a * m->mean[k][d]) * (z[d] - a * m->mean[k][d]);
        }
        share[k] = log(m->weight[k]) - 0.5 * m->dims * log(v) - 0.5 * square / v;
        top = fmax(top, share[k]);
    }
    for (int k = 0; k < m->parts; k++) {
        total += share[k] = exp(share[k] - top);
    }
    for (int d = 0; d < m->dims; d++) {
        x0[d] = 0;
    }
    for (int k = 0; k < m->parts; k++) {
        const double gain = a * m->sd[k] * m->sd[k] / (a * a * m->sd[k] * m->sd[k] + s2);
        for (int d = 0; d < m->dims; d++) {
            x0[d] += share[k] / total * (m->mean[k][d] + gain * (z[d] - a * m->mean[k][d]));
        }
    }
}

static inline VslStatus mixture_forward(NnBuffer out, int inputs, const NnBuffer *in, void *user)
{
    const MixtureAt *at = user;
    const int dims = at->m->dims;
    (void)inputs;
    for (int64_t b = 0; b < in[0].shape.n[0]; b++) {
        double z[MIXTURE_DIMS], x0[MIXTURE_DIMS];
        for (int d = 0; d < dims; d++) {
            const int64_t e = b * dims + d;
            z[d] = at->m->is_float64 ? ((const double *)in[0].data)[e] : (double)((const float *)in[0].data)[e];
        }
        mixture_point(x0, z, at->m, at->level);
        for (int d = 0; d < dims; d++) {
            if (at->m->is_float64) {
                ((double *)out.data)[b * dims + d] = x0[d];
            } else {
                ((float *)out.data)[b * dims + d] = (float)x0[d];
            }
        }
    }
    return VSL_OK;
}

/* (B, dims as any axes) -> same; a VslDenoiser's run, user = Mixture. Without a gradient. */
static inline NnTensor *mixture_denoise(NnScope *s, NnTensor *z, const VslLevel *level, void *user)
{
    MixtureAt at = {user, level};
    const NnCustom op = {.name = "mixture", .shape = mixture_shape, .forward = mixture_forward, .user = &at};
    return nn_custom(s, &op, 1, &z);
}

/* One Gaussian N(mean, sd^2) in every dimension, of any number of dimensions; with a gradient. */
typedef struct Gaussian {
    double mean, sd;
} Gaussian;

static inline NnTensor *gaussian_denoise(NnScope *s, NnTensor *z, const VslLevel *level, void *user)
{
    const Gaussian *g = user;
    const double a = level->alpha, v = g->sd * g->sd, gain = a * v / (a * a * v + level->sigma * level->sigma);
    return nn_affine(s, z, gain, (1 - gain * a) * g->mean);
}

/* One thread: the tensors are small. */
static inline NnRuntime *runtime(NnPrecision precision)
{
    NnRuntime *rt = NULL;
    CHECK_OK(nn_runtime_open(&rt, "cpu", precision, 1));
    return rt;
}

static inline VslDiffusion *process(VslDiffusionOptions opt)
{
    VslDiffusion *d = NULL;
    CHECK_OK(vsl_diffusion_new(&d, &opt));
    return d;
}

#endif
