/* Steps between levels. A step is linear in z, x0^ and noise: the samplers differ in the coefficients and in which x0^.
 */
#include "diffusion/sampler.h"

#include <math.h>
#include <stddef.h>

#include "core/memory.h"
#include "core/random.h"
#include "diffusion/inpaint.h"

#define AT(field) offsetof(VslSamplerOptions, field)

const VslOption vsl_sampler_option_table[] = {
    {"sampler", VSL_OPT_CHOICE, AT(sampler), VSL_SAMPLER_DDIM, 0, 0, "", "how samples are drawn",
     "ddim,ddpm,heun,dpmpp2m"},
    {"sampling-steps", VSL_OPT_INT, AT(steps), 50, 1, 100000, "", "steps from noise to sample", NULL},
    {"eta", VSL_OPT_DOUBLE, AT(eta), 0, 0, 1, "", "share of ddpm's noise in ddim", NULL},
    {"clip", VSL_OPT_DOUBLE, AT(clip), 0, 0, 1e6, "", "estimates are held in [-clip, clip]; 0 = free", NULL},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL}};

NnTensor *vsl_unet_denoise(NnScope *s, NnTensor *z, const VslLevel *level, void *unet_denoiser)
{
    const VslUnetDenoiser *u = unet_denoiser;
    VslUnetInput in = u->input;
    in.x = nn_affine(s, z, level->in, 0);
    in.time = nn_full(s, NN_SHAPE(nn_shape(z).n[0]), level->time);
    NnTensor *f = vsl_unet_forward(s, u->net, &in);
    return nn_add(s, nn_affine(s, z, level->skip, 0), nn_affine(s, f, level->out, 0));
}

/* --- steps -------------------------------------------------------------------------------------------------------- */

typedef struct Walk { /* what one sampling run carries */
    const VslDenoiser *denoiser;
    const VslSamplerOptions *opt;
    NnTensor *z;       /* state */
    NnTensor *last_x0; /* state of dpmpp2m: the previous step's x0^ */
    double last_h;     /* its step in ln(alpha/sigma); 0 = there is none */
} Walk;

static NnTensor *estimate(NnScope *s, const Walk *w, NnTensor *z, const VslLevel *level)
{
    NnTensor *x0 = w->denoiser->run(s, z, level, w->denoiser->user);
    return w->opt->clip > 0 ? nn_clamp(s, x0, -w->opt->clip, w->opt->clip) : x0;
}

/* a * x + b * y */
static NnTensor *mix(NnScope *s, double a, NnTensor *x, double b, NnTensor *y)
{
    return nn_add(s, nn_affine(s, x, a, 0), nn_affine(s, y, b, 0));
}

static NnTensor *noise(NnScope *s, const Walk *w, const char *name, int step)
{
    return nn_randn(s, nn_shape(w->z), w->opt->seed, vsl_random_stream(name) + (uint64_t)step, w->opt->first);
}

/* eps^ = (z - alpha x0) / sigma */
static NnTensor *noise_estimate(NnScope *s, NnTensor *z, NnTensor *x0, const VslLevel *at)
{
    return mix(s, 1 / at->sigma, z, -at->alpha / at->sigma, x0);
}

/* Standard deviation of the noise that is new at `to`, given `from`, in an ancestral step; 0 where noise rises. */
static double fresh_noise(const VslLevel *from, const VslLevel *to)
{
    const double kept = from->alpha * to->sigma / (to->alpha * from->sigma);
    return kept < 1 ? to->sigma * sqrt(1 - kept * kept) : 0;
}

static NnTensor *ddim_step(NnScope *s, const Walk *w, NnTensor *z, NnTensor *x0, const VslLevel *from,
                           const VslLevel *to, int step)
{
    const double eta = w->opt->sampler == VSL_SAMPLER_DDPM ? 1 : w->opt->eta;
    const double fresh = eta * fresh_noise(from, to), old = sqrt(to->sigma * to->sigma - fresh * fresh);
    NnTensor *next = mix(s, old / from->sigma, z, to->alpha - from->alpha * old / from->sigma, x0);
    return fresh > 0 ? mix(s, 1, next, fresh, noise(s, w, "sampler.step", step)) : next;
}

static NnTensor *heun_step(NnScope *s, const Walk *w, NnTensor *z, NnTensor *x0, const VslLevel *from,
                           const VslLevel *to)
{
    NnTensor *eps = noise_estimate(s, z, x0, from);
    NnTensor *euler = mix(s, to->alpha, x0, to->sigma, eps);
    if (to->sigma == 0) {
        return euler;
    }
    NnTensor *x0_there = estimate(s, w, euler, to);
    NnTensor *x0_sum = nn_add(s, x0, x0_there);
    NnTensor *eps_sum = nn_add(s, eps, noise_estimate(s, euler, x0_there, to));
    return nn_add(s, z, mix(s, (to->alpha - from->alpha) / 2, x0_sum, (to->sigma - from->sigma) / 2, eps_sum));
}

static NnTensor *dpmpp2m_step(NnScope *s, Walk *w, NnTensor *z, NnTensor *x0, const VslLevel *from, const VslLevel *to)
{
    const double ratio = to->sigma / from->sigma, h = log(to->alpha / from->alpha) - log(ratio); /* inf at the ends */
    NnTensor *d = x0;
    if (w->last_h != 0 && isfinite(h) && isfinite(w->last_h)) {
        const double half = h / (2 * w->last_h);
        d = mix(s, 1 + half, x0, -half, w->last_x0);
    }
    NnTensor *next = mix(s, ratio, z, to->alpha - from->alpha * ratio, d);
    nn_copy_into(s, w->last_x0, x0);
    w->last_h = h;
    return next;
}

static NnTensor *step(NnScope *s, Walk *w, const VslLevel *from, const VslLevel *to, int number)
{
    NnTensor *x0 = estimate(s, w, w->z, from);
    switch (w->opt->sampler) {
    case VSL_SAMPLER_HEUN: return heun_step(s, w, w->z, x0, from, to);
    case VSL_SAMPLER_DPMPP2M: return dpmpp2m_step(s, w, w->z, x0, from, to);
    default: return ddim_step(s, w, w->z, x0, from, to, number);
    }
}

/* One step with what inpainting adds: the known part put back, and jumps back up to repeat the step. */
static void walk_step(NnScope *s, Walk *w, const VslLevel *from, const VslLevel *to, int number)
{
    const VslInpaint *in = w->opt->inpaint;
    const int rounds = in && to->sigma > 0 ? 1 + in->jumps : 1;
    for (int r = 0; r < rounds; r++) {
        NnScope *inner = nn_scope_child(s);
        const int draw = number * (in ? 1 + in->jumps : 1) + r;
        NnTensor *z = step(inner, w, from, to, draw);
        if (in) {
            z = vsl_inpaint_put_back(inner, in, z, to, noise(inner, w, "sampler.known", draw));
        }
        if (r + 1 < rounds) {
            z = vsl_inpaint_jump(inner, z, to, from, noise(inner, w, "sampler.jump", draw));
            w->last_h = 0;
        }
        nn_copy_into(inner, w->z, z);
        nn_scope_join(&inner);
    }
}

/* --- runs --------------------------------------------------------------------------------------------------------- */

NnTensor *vsl_sample_start(NnScope *s, NnShape shape, const VslLevel *level, const VslSamplerOptions *opt)
{
    NnTensor *n = nn_randn(s, shape, opt->seed, vsl_random_stream("sampler.start"), opt->first);
    return nn_affine(s, n, level->sigma, 0);
}

NnTensor *vsl_sample_levels(NnScope *s, NnRuntime *rt, const VslDenoiser *denoiser, NnTensor *z, const VslLevel *levels,
                            int count, const VslSamplerOptions *opt)
{
    VslStatus st = VSL_OK;
    VslSamplerOptions o = *opt;
    Walk w = {.denoiser = denoiser, .opt = &o};
    NnTensor *out = z;
    VSL_TRY(vsl_options_resolve(&o, vsl_sampler_option_table));
    VSL_CHECK(!o.inpaint || o.inpaint->jumps >= 0, VSL_E_ARG, "%d jumps, expected at least 0", o.inpaint->jumps);
    for (int i = 0; i + 1 < count; i++) {
        VSL_CHECK(levels[i].sigma > 0, VSL_E_ARG, "level %d of %d has no noise, expected that of the last only", i,
                  count);
    }
    VSL_TRY(nn_scope_status(s)); /* its sentence stands */
    VSL_TRY(nn_state_new(&w.z, rt, nn_shape(z)));
    VSL_TRY(nn_state_new(&w.last_x0, rt, nn_shape(z)));
    nn_copy_into(s, w.z, z);
    for (int i = 0; i + 1 < count && nn_scope_status(s) == VSL_OK; i++) {
        walk_step(s, &w, &levels[i], &levels[i + 1], i);
        VSL_CHECK(!o.progress || o.progress(i + 1, count - 1, o.progress_user) == 0, VSL_E_CANCELLED,
                  "stopped by the caller after step %d of %d", i + 1, count - 1);
    }
    out = nn_affine(s, w.z, 1, 0);
out:
    if (st != VSL_OK) {
        out = nn_refuse(s, st, __func__, "%s", vsl_error());
    }
    nn_state_free(&w.last_x0);
    nn_state_free(&w.z);
    return out;
}

/* The process's levels for opt->steps; to be freed. NULL and a failed scope when there are none. */
static VslLevel *levels_of(NnScope *s, const VslDiffusion *d, const VslSamplerOptions *opt, int *steps)
{
    VslStatus st = VSL_OK;
    VslSamplerOptions o = *opt;
    VslLevel *levels = NULL;
    VSL_TRY(vsl_options_resolve(&o, vsl_sampler_option_table));
    VSL_TRY(VSL_NEW(&levels, o.steps + 1, "sampling levels"));
    VSL_TRY(vsl_diffusion_levels(d, o.steps, levels));
    *steps = o.steps;
out:
    if (st != VSL_OK) {
        nn_refuse(s, st, __func__, "%s", vsl_error());
        vsl_free(levels);
        levels = NULL;
    }
    return levels;
}

NnTensor *vsl_sample(NnScope *s, NnRuntime *rt, const VslDiffusion *d, const VslDenoiser *denoiser, NnShape shape,
                     const VslSamplerOptions *opt)
{
    int steps = 0;
    VslLevel *levels = levels_of(s, d, opt, &steps);
    if (!levels) {
        return nn_full(s, shape, 0); /* the scope has failed: the poison tensor */
    }
    NnTensor *z = vsl_sample_start(s, shape, &levels[0], opt);
    z = vsl_sample_levels(s, rt, denoiser, z, levels, steps + 1, opt);
    vsl_free(levels);
    return z;
}

NnTensor *vsl_invert(NnScope *s, NnRuntime *rt, const VslDiffusion *d, const VslDenoiser *denoiser, NnTensor *x0,
                     const VslSamplerOptions *opt)
{
    int steps = 0;
    VslLevel *levels = levels_of(s, d, opt, &steps);
    if (!levels || opt->sampler == VSL_SAMPLER_DDPM || opt->eta > 0 || opt->inpaint) {
        vsl_free(levels);
        return nn_refuse(s, VSL_E_ARG, __func__, "inversion of a sampler that draws noise; expected eta 0, no mask");
    }
    for (int i = 0; i < steps / 2; i++) {
        const VslLevel swap = levels[i];
        levels[i] = levels[steps - 1 - i];
        levels[steps - 1 - i] = swap;
    }
    /* Data has no noise to divide by: the first step up takes eps^ at the level where it arrives. */
    const VslLevel *first = &levels[0];
    NnTensor *z = nn_affine(s, x0, first->alpha, 0);
    z = mix(s, 1, z, first->sigma, noise_estimate(s, z, denoiser->run(s, z, first, denoiser->user), first));
    z = vsl_sample_levels(s, rt, denoiser, z, levels, steps, opt);
    vsl_free(levels);
    return z;
}
