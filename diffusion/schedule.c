/* Noise processes as levels: the table of schedule.h, line by line. */
#include "diffusion/schedule.h"

#include <math.h>
#include <stddef.h>

#include "core/memory.h"
#include "core/random.h"

#define AT(field) offsetof(VslDiffusionOptions, field)

static const double pi = 3.14159265358979323846;

const VslOption vsl_diffusion_option_table[] = {
    {"process", VSL_OPT_CHOICE, AT(process), VSL_PROCESS_DDPM, 0, 0, "", "noise process", "ddpm,edm,flow"},
    {"betas", VSL_OPT_CHOICE, AT(betas), VSL_BETAS_LINEAR, 0, 0, "", "noise schedule of ddpm",
     "linear,scaled-linear,cosine"},
    {"prediction", VSL_OPT_CHOICE, AT(prediction), VSL_PREDICT_EPS, 0, 0, "", "what the network of ddpm predicts",
     "eps,x0,v"},
    {"terminal-snr", VSL_OPT_CHOICE, AT(terminal_snr), 1, 0, 0, "",
     "of ddpm's last step: as the betas give it, or zero (needs x0 or v)", "betas,zero"},
    {"loss-weight", VSL_OPT_CHOICE, AT(loss_weight), VSL_WEIGHT_NONE, 0, 0, "", "of ddpm's squared error by step",
     "none,min-snr"},
    {"min-snr-gamma", VSL_OPT_DOUBLE, AT(min_snr_gamma), 5, 0.1, 1000, "", "bound of the min-snr weight", NULL},
    {"noise-steps", VSL_OPT_INT, AT(train_steps), 1000, 2, 100000, "", "steps T of ddpm", NULL},
    {"beta-first", VSL_OPT_DOUBLE, AT(beta_first), 0, 0, 0.5, "", "0 = 1e-4 (linear), 0.0015 (scaled-linear)", NULL},
    {"beta-last", VSL_OPT_DOUBLE, AT(beta_last), 0, 0, 0.9, "", "0 = 0.02 (linear), 0.0205 (scaled-linear)", NULL},
    {"sigma-data", VSL_OPT_DOUBLE, AT(sigma_data), 0.5, 1e-3, 1e3, "", "standard deviation of the data, edm", NULL},
    {"sigma-min", VSL_OPT_DOUBLE, AT(sigma_min), 0.002, 1e-6, 1, "", "last level of edm sampling", NULL},
    {"sigma-max", VSL_OPT_DOUBLE, AT(sigma_max), 80, 1, 1e5, "", "first level of edm sampling", NULL},
    {"sigma-rho", VSL_OPT_DOUBLE, AT(rho), 7, 1, 100, "", "spacing of edm sampling levels", NULL},
    {"sigma-log-mean", VSL_OPT_DOUBLE, AT(log_mean), -1.2, -10, 10, "", "mean of ln sigma in edm training", NULL},
    {"sigma-log-sd", VSL_OPT_DOUBLE, AT(log_sd), 1.2, 0.01, 10, "", "sd of ln sigma in edm training", NULL},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL}};

struct VslDiffusion {
    VslDiffusionOptions opt;
    double *alpha_bar; /* (T), ddpm */
};

/* --- ddpm schedules ----------------------------------------------------------------------------------------------- */

static double cosine_alpha_bar(double t) /* t in [0, 1]; Nichol and Dhariwal 2021, eq. 17 with s = 0.008 */
{
    const double c = cos((t + 0.008) / 1.008 * pi / 2);
    return c * c;
}

/* beta of step k; the linear ones scale with 1000/T, so that the last alpha_bar does not depend on T */
static double beta_at(const VslDiffusionOptions *o, int k)
{
    const double steps = o->train_steps, f = k / (steps - 1);
    double beta;
    if (o->betas == VSL_BETAS_COSINE) {
        beta = 1 - cosine_alpha_bar((k + 1) / steps) / cosine_alpha_bar(k / steps);
    } else if (o->betas == VSL_BETAS_LINEAR) {
        beta = 1000 / steps * ((1 - f) * o->beta_first + f * o->beta_last);
    } else {
        const double root = (1 - f) * sqrt(o->beta_first) + f * sqrt(o->beta_last);
        beta = 1000 / steps * root * root;
    }
    return fmin(beta, 0.999);
}

static void fill_alpha_bar(double *alpha_bar, const VslDiffusionOptions *o)
{
    const int last = o->train_steps - 1;
    double product = 1;
    for (int k = 0; k <= last; k++) {
        product *= 1 - beta_at(o, k);
        alpha_bar[k] = product;
    }
    if (o->terminal_snr ==
        2) { /* sqrt(abar) shifted and scaled: first kept, last zero (Lin et al. 2024, Algorithm 1) */
        const double a0 = sqrt(alpha_bar[0]), a1 = sqrt(alpha_bar[last]);
        for (int k = 0; k <= last; k++) {
            const double a = (sqrt(alpha_bar[k]) - a1) * a0 / (a0 - a1);
            alpha_bar[k] = a * a;
        }
    }
}

/* --- the process -------------------------------------------------------------------------------------------------- */

VslStatus vsl_diffusion_new(VslDiffusion **out, const VslDiffusionOptions *opt)
{
    VslStatus st = VSL_OK;
    VslDiffusion *d = NULL;
    VSL_TRY(VSL_NEW0(&d, 1, "a noise process"));
    d->opt = *opt;
    VslDiffusionOptions *o = &d->opt;
    VSL_TRY(vsl_options_resolve(o, vsl_diffusion_option_table));
    const int linear = o->betas == VSL_BETAS_LINEAR;
    o->beta_first = o->beta_first > 0 ? o->beta_first : linear ? 1e-4 : 0.0015;
    o->beta_last = o->beta_last > 0 ? o->beta_last : linear ? 0.02 : 0.0205;
    VSL_CHECK(o->beta_first <= o->beta_last, VSL_E_ARG, "beta-first is %g, expected at most beta-last, %g",
              o->beta_first, o->beta_last);
    VSL_CHECK(o->sigma_min < o->sigma_max, VSL_E_ARG, "sigma-min is %g, expected less than sigma-max, %g", o->sigma_min,
              o->sigma_max);
    VSL_CHECK(o->prediction != VSL_PREDICT_EPS || o->terminal_snr != 2 || o->process != VSL_PROCESS_DDPM, VSL_E_ARG,
              "prediction eps with zero terminal snr: noise alone does not tell x0; expected v or x0");
    VSL_CHECK(o->loss_weight != VSL_WEIGHT_MIN_SNR || o->process == VSL_PROCESS_DDPM, VSL_E_ARG,
              "loss-weight min-snr is of ddpm, edm and flow have their own weight");
    if (o->process == VSL_PROCESS_DDPM) {
        VSL_TRY(VSL_NEW(&d->alpha_bar, o->train_steps, "a noise schedule"));
        fill_alpha_bar(d->alpha_bar, o);
    }
    *out = d;
    d = NULL;
out:
    vsl_diffusion_free(&d);
    return st;
}

void vsl_diffusion_free(VslDiffusion **d)
{
    if (*d) {
        vsl_free((*d)->alpha_bar);
        vsl_free(*d);
        *d = NULL;
    }
}

const VslDiffusionOptions *vsl_diffusion_options(const VslDiffusion *d)
{
    return &d->opt;
}

/* --- levels ------------------------------------------------------------------------------------------------------- */

/* min-SNR weight of the error on x0; the error on eps is snr times, that on v (snr + 1) times as large */
static double x0_weight(const VslDiffusionOptions *o, double snr)
{
    return fmin(snr, o->min_snr_gamma);
}

static VslLevel ddpm_level(const VslDiffusion *d, double t)
{
    const VslDiffusionOptions *o = &d->opt;
    const int k = (int)fmin(fmax(round(t), 0), o->train_steps - 1);
    const double alpha_bar = d->alpha_bar[k], snr = alpha_bar / (1 - alpha_bar);
    const bool weighs = o->loss_weight == VSL_WEIGHT_MIN_SNR;
    VslLevel l = {.alpha = sqrt(alpha_bar), .sigma = sqrt(1 - alpha_bar), .time = k, .in = 1, .weight = 1};
    if (o->prediction == VSL_PREDICT_EPS) {
        l.skip = 1 / l.alpha;
        l.out = -l.sigma / l.alpha;
        l.target_noise = 1;
        l.weight = weighs ? x0_weight(o, snr) / snr : 1;
    } else if (o->prediction == VSL_PREDICT_X0) {
        l.out = 1;
        l.target_x0 = 1;
        l.weight = weighs ? x0_weight(o, snr) : 1;
    } else {
        l.skip = l.alpha;
        l.out = -l.sigma;
        l.target_x0 = -l.sigma;
        l.target_noise = l.alpha;
        l.weight = weighs ? x0_weight(o, snr) / (snr + 1) : 1;
    }
    return l;
}

static VslLevel edm_level(double sigma, double sd)
{
    const double q = hypot(sigma, sd);
    return (VslLevel){.alpha = 1,
                      .sigma = sigma,
                      .time = 250 * log(sigma),
                      .in = 1 / q,
                      .skip = sd * sd / (q * q),
                      .out = sigma * sd / q,
                      .target_x0 = sigma / (sd * q),
                      .target_noise = -sd / q,
                      .weight = 1};
}

static VslLevel flow_level(double t)
{
    return (VslLevel){.alpha = 1 - t,
                      .sigma = t,
                      .time = 1000 * t,
                      .in = 1,
                      .skip = 1,
                      .out = -t,
                      .target_x0 = -1,
                      .target_noise = 1,
                      .weight = 1};
}

VslLevel vsl_diffusion_level(const VslDiffusion *d, double t)
{
    switch (d->opt.process) {
    case VSL_PROCESS_EDM: return edm_level(t, d->opt.sigma_data);
    case VSL_PROCESS_FLOW: return flow_level(t);
    default: return ddpm_level(d, t);
    }
}

VslLevel vsl_diffusion_draw(const VslDiffusion *d, uint64_t seed, uint64_t stream, uint64_t index)
{
    const VslDiffusionOptions *o = &d->opt;
    const double u = vsl_random_uniform(seed, stream, index);
    switch (o->process) {
    case VSL_PROCESS_EDM:
        return edm_level(exp(o->log_mean + o->log_sd * vsl_random_normal(seed, stream, index)), o->sigma_data);
    case VSL_PROCESS_FLOW: return flow_level(u);
    default: return ddpm_level(d, floor(u * o->train_steps));
    }
}

VslStatus vsl_diffusion_levels(const VslDiffusion *d, int steps, VslLevel *levels)
{
    VslStatus st = VSL_OK;
    const VslDiffusionOptions *o = &d->opt;
    const int most = o->process == VSL_PROCESS_DDPM ? o->train_steps : 1000000;
    VSL_CHECK(steps >= 1 && steps <= most, VSL_E_ARG, "%d sampling steps, expected 1 to %d", steps, most);
    const double a = pow(o->sigma_max, 1 / o->rho), b = pow(o->sigma_min, 1 / o->rho);
    for (int i = 0; i < steps; i++) {
        const double left = 1 - (double)i / steps, f = steps > 1 ? (double)i / (steps - 1) : 0;
        switch (o->process) {
        case VSL_PROCESS_EDM: levels[i] = edm_level(pow(a + f * (b - a), o->rho), o->sigma_data); break;
        case VSL_PROCESS_FLOW: levels[i] = flow_level(left); break;
        default: levels[i] = ddpm_level(d, (double)lround(left * o->train_steps) - 1); break;
        }
    }
    levels[steps] = (VslLevel){.alpha = 1, .in = 1, .skip = 1};
out:
    return st;
}

/* --- batches ------------------------------------------------------------------------------------------------------ */

/* One number a sample, from the levels' field at offset, as (B, 1, ..) like x0. */
static NnTensor *per_sample(NnScope *s, const VslLevel *levels, size_t offset, float *scratch, NnShape shape)
{
    for (int64_t b = 0; b < shape.n[0]; b++) {
        scratch[b] = (float)*(const double *)((const char *)&levels[b] + offset);
    }
    return nn_from_floats(s, scratch, shape);
}

/* fixed: all samples at this level, or NULL = a draw for each */
static VslNoised noised(NnScope *s, const VslDiffusion *d, const VslLevel *fixed, NnTensor *x0, uint64_t seed,
                        uint64_t stream, uint64_t first)
{
    const uint64_t level_stream = vsl_random_stream("diffusion.level") + stream;
    const uint64_t noise_stream = vsl_random_stream("diffusion.noise") + stream;
    const NnShape shape = nn_shape(x0);
    NnShape each = {.rank = shape.rank, .n = {shape.n[0], 1, 1, 1, 1, 1}};
    VslLevel *levels = NULL;
    float *row = NULL;
    if (nn_scope_status(s) == VSL_OK && (VSL_NEW(&levels, shape.n[0], "noise levels of a batch") != VSL_OK ||
                                         VSL_NEW(&row, shape.n[0], "noise levels of a batch") != VSL_OK)) {
        nn_refuse(s, VSL_E_NOMEM, __func__, "%s", vsl_error());
    }
    if (nn_scope_status(s) != VSL_OK) {
        each.n[0] = 0; /* the operations below do nothing: give them nothing to read */
    }
    for (int64_t b = 0; b < each.n[0]; b++) {
        levels[b] = fixed ? *fixed : vsl_diffusion_draw(d, seed, level_stream, first + (uint64_t)b);
    }
#define EACH(field) per_sample(s, levels, offsetof(VslLevel, field), row, each)
    NnTensor *n = nn_randn(s, shape, seed, noise_stream, first);
    VslNoised out = {.weight = EACH(weight), .skip = EACH(skip), .out = EACH(out)};
    out.noisy = nn_add(s, nn_mul(s, x0, EACH(alpha)), nn_mul(s, n, EACH(sigma)));
    out.z = nn_mul(s, out.noisy, EACH(in));
    out.target = nn_add(s, nn_mul(s, x0, EACH(target_x0)), nn_mul(s, n, EACH(target_noise)));
    out.time = nn_reshape(s, EACH(time), NN_SHAPE(-1));
#undef EACH
    vsl_free(row);
    vsl_free(levels);
    return out;
}

VslNoised vsl_diffusion_noise(NnScope *s, const VslDiffusion *d, NnTensor *x0, uint64_t seed, uint64_t stream,
                              uint64_t first)
{
    return noised(s, d, NULL, x0, seed, stream, first);
}

VslNoised vsl_diffusion_noise_at(NnScope *s, const VslLevel *level, NnTensor *x0, uint64_t seed, uint64_t stream,
                                 uint64_t first)
{
    return noised(s, NULL, level, x0, seed, stream, first);
}

NnTensor *vsl_diffusion_loss(NnScope *s, const VslNoised *n, NnTensor *output)
{
    return nn_mean(s, nn_mul(s, nn_square(s, nn_sub(s, output, n->target)), n->weight), NN_ALL);
}

NnTensor *vsl_diffusion_x0(NnScope *s, const VslNoised *n, NnTensor *output)
{
    return nn_add(s, nn_mul(s, n->noisy, n->skip), nn_mul(s, output, n->out));
}
