/* Denoisers made of denoisers. */
#include "diffusion/guidance.h"

#include <math.h>

/* (B, C, ..) -> (B, numbers of a sample) */
static NnTensor *rows(NnScope *s, NnTensor *x)
{
    return nn_reshape(s, x, NN_SHAPE(nn_shape(x).n[0], -1));
}

/* Standard deviation over all numbers of each sample: (B, 1). */
static NnTensor *sample_sd(NnScope *s, NnTensor *x)
{
    NnTensor *r = rows(s, x);
    return nn_sqrt(s, nn_mean(s, nn_square(s, nn_sub(s, r, nn_mean(s, r, 1))), 1));
}

NnTensor *vsl_guide_free(NnScope *s, NnTensor *z, const VslLevel *level, void *free_guidance)
{
    const VslFreeGuidance *g = free_guidance;
    NnTensor *conditional = g->conditional.run(s, z, level, g->conditional.user);
    if (g->weight == 0) {
        return conditional;
    }
    NnTensor *null = g->null.run(s, z, level, g->null.user);
    NnTensor *d = nn_sub(s, nn_affine(s, conditional, 1 + g->weight, 0), nn_affine(s, null, g->weight, 0));
    if (g->rescale == 0) {
        return d;
    }
    NnTensor *ratio = nn_div(s, sample_sd(s, conditional), sample_sd(s, d));
    return nn_mul(s, d, nn_spatial(s, nn_affine(s, ratio, g->rescale, 1 - g->rescale), d));
}

/* Each sample of x scaled down to norm `bound` where it is longer. */
static NnTensor *hold(NnScope *s, NnTensor *x, double bound)
{
    NnTensor *norm = nn_sqrt(s, nn_sum(s, nn_square(s, rows(s, x)), 1)); /* (B, 1) */
    NnTensor *most = nn_full(s, nn_shape(norm), bound);
    return nn_mul(s, x, nn_spatial(s, nn_div(s, most, nn_clamp(s, norm, bound, HUGE_VAL)), x));
}

static double numbers_of_a_sample(const NnTensor *x)
{
    const NnShape n = nn_shape(x);
    double count = 1;
    for (int i = 1; i < n.rank; i++) {
        count *= (double)n.n[i];
    }
    return count;
}

NnTensor *vsl_guide_energy(NnScope *s, NnTensor *z, const VslLevel *level, void *energy_guidance)
{
    const VslEnergyGuidance *g = energy_guidance;
    const double sd = g->sigma_data > 0 ? g->sigma_data : 1, tau = g->tau != 0 ? g->tau : 0.2;
    const double ratio = level->sigma / level->alpha; /* infinite at zero terminal SNR: nothing to guide yet */
    const bool guides = isfinite(ratio) && ratio >= g->snr_low && (g->snr_high == 0 || ratio <= g->snr_high);
    if (!guides || g->weight == 0) {
        return g->denoiser.run(s, z, level, g->denoiser.user);
    }
    NnTensor *x0, *leaf;
    double scale = level->sigma * level->sigma;
    if (g->fast) {
        x0 = g->denoiser.run(s, z, level, g->denoiser.user);
        leaf = nn_require_grad(s, nn_detach(s, x0));
        nn_grad_begin(s);
        scale *= sd * sd / (scale + level->alpha * level->alpha * sd * sd);
    } else {
        leaf = nn_require_grad(s, nn_detach(s, z));
        nn_grad_begin(s);
        x0 = g->denoiser.run(s, leaf, level, g->denoiser.user);
        scale /= level->alpha;
    }
    NnTensor *energy = nn_sum(s, g->energy(s, g->fast ? leaf : x0, g->user), NN_ALL);
    NnTensor *push = nn_affine(s, nn_grad(s, energy, leaf), g->weight * scale, 0);
    nn_grad_end(s);
    if (tau > 0) {
        push = hold(s, push, tau * sd * sqrt(numbers_of_a_sample(z)));
    }
    return nn_sub(s, nn_detach(s, x0), push);
}
