/* SSD and LNCC over the kernel table, MI by similarity_mi.c; channels and masks. */
#include "registration/similarity.h"

#include <string.h>

#include "registration/kernels.h"
#include "registration/similarity_mi.h"

enum { MAX_CHANNELS = 8 };

struct RegSimilarity {
    VslBackend *be;
    const RegKernels *op;
    RegSimilarityOptions opt;
    VslField fixed;   /* view */
    VslField mask;    /* own: the fixed mask, or ones */
    VslField weight;  /* own: mask times the warped moving mask, made on first use */
    VslField windows; /* LNCC: 3 planes per channel and window size, see RegKernels.lncc_prepare */
    VslField scratch; /* LNCC: 3 planes */
    int own_scratch;
    RegMi *mi[MAX_CHANNELS];
    double voxel_mm3;
};

static VslField plane(const VslField *f, int first, int channels)
{
    VslField view = *f;
    view.channels = channels;
    view.data = f->data + first * f->n[0] * f->n[1] * f->n[2];
    return view;
}

/* The statistics of the fixed image for channel c and window size q. */
static VslField windows_of(const RegSimilarity *s, int c, int q)
{
    return plane(&s->windows, 3 * (c * s->opt.windows + q), 3);
}

static VslStatus prepare_windows(RegSimilarity *s, const VslField *weight)
{
    VslStatus st = VSL_OK;
    for (int c = 0; c < s->fixed.channels; c++) {
        for (int q = 0; q < s->opt.windows; q++) {
            VslField windows = windows_of(s, c, q);
            const VslField image = plane(&s->fixed, c, 1);
            VSL_TRY(s->op->lncc_prepare(&windows, &image, weight, s->opt.radius_vox[q], s->opt.eps));
        }
    }
out:
    return st;
}

/* Mean over the window sizes of one channel, not yet times scale in *energy; grad = scale times its derivative. */
static VslStatus eval_lncc(RegSimilarity *s, double *energy, VslField *grad, int c, const VslField *image,
                           const VslField *moved, const VslField *weight, double scale)
{
    VslStatus st = VSL_OK;
    double sum = 0;
    for (int q = 0; q < s->opt.windows; q++) {
        const VslField windows = windows_of(s, c, q);
        double e = 0;
        VSL_TRY(s->op->lncc(&e, grad, image, moved, weight, &windows, &s->scratch, s->opt.radius_vox[q], s->opt.eps,
                            scale / s->opt.windows, q > 0));
        sum += e;
    }
    *energy = sum / s->opt.windows;
out:
    return st;
}

VslStatus reg_similarity_new(RegSimilarity **out, VslBackend *be, const VslField *fixed, const VslField *mask,
                             const RegSimilarityOptions *opt)
{
    VslStatus st = VSL_OK;
    RegSimilarity *s = NULL;
    VSL_CHECK(fixed->channels >= 1 && fixed->channels <= MAX_CHANNELS, VSL_E_ARG, "%d channels, expected 1 to %d",
              fixed->channels, MAX_CHANNELS);
    VSL_TRY(VSL_NEW0(&s, 1, "similarity"));
    *s = (RegSimilarity){.be = be, .op = reg_kernels(be), .opt = *opt, .fixed = *fixed};
    s->opt.windows = opt->windows > 1 ? 2 : 1;
    s->opt.scratch = NULL; /* the caller's struct may move */
    s->voxel_mm3 = opt->spacing_mm[0] * opt->spacing_mm[1] * opt->spacing_mm[2];
    for (int c = 0; c < fixed->channels; c++) {
        s->opt.channel_weight[c] = opt->channel_weight[c] > 0 ? opt->channel_weight[c] : 1;
    }
    VSL_TRY(vsl_field_new(&s->mask, be, fixed->n, 1));
    if (mask) {
        VSL_TRY(vsl_field_copy(&s->mask, mask));
    } else {
        VSL_TRY(s->op->fill(&s->mask, 1));
    }
    switch (opt->kind) {
    case VSL_SIMILARITY_LNCC:
        VSL_CHECK(opt->eps > 0, VSL_E_ARG, "LNCC variance floor %g, expected > 0", opt->eps);
        VSL_TRY(vsl_field_new(&s->windows, be, fixed->n, 3 * fixed->channels * s->opt.windows));
        if (opt->scratch) {
            s->scratch = *opt->scratch;
        } else {
            VSL_TRY(vsl_field_new(&s->scratch, be, fixed->n, 3));
            s->own_scratch = 1;
        }
        VSL_TRY(prepare_windows(s, &s->mask));
        break;
    case VSL_SIMILARITY_MI:
        for (int c = 0; c < fixed->channels; c++) {
            const VslField image = plane(&s->fixed, c, 1);
            VSL_TRY(reg_mi_new(&s->mi[c], be, &image, &s->mask, opt->bins, s->voxel_mm3));
            if (opt->warped_range[1] > opt->warped_range[0]) {
                VSL_TRY(reg_mi_set_range(s->mi[c], opt->warped_range[0], opt->warped_range[1]));
            }
        }
        break;
    case VSL_SIMILARITY_SSD: break;
    case VSL_SIMILARITY_DEFAULT: VSL_CHECK(0, VSL_E_ARG, "no similarity was chosen");
    }
    *out = s;
    s = NULL;
out:
    reg_similarity_free(&s);
    return st;
}

void reg_similarity_free(RegSimilarity **s)
{
    if (*s) {
        for (int c = 0; c < MAX_CHANNELS; c++) {
            reg_mi_free(&(*s)->mi[c]);
        }
        vsl_field_free(&(*s)->mask);
        vsl_field_free(&(*s)->weight);
        vsl_field_free(&(*s)->windows);
        if ((*s)->own_scratch) {
            vsl_field_free(&(*s)->scratch);
        }
        vsl_free(*s);
        *s = NULL;
    }
}

VslStatus reg_similarity_eval(RegSimilarity *s, double *energy, VslField *grad, const VslField *warped,
                              const VslField *weight)
{
    VslStatus st = VSL_OK;
    const VslField *w = &s->mask;
    double sum = 0;
    if (weight && s->opt.kind != VSL_SIMILARITY_MI) { /* MI multiplies the two itself */
        if (!s->weight.data) {
            VSL_TRY(vsl_field_new(&s->weight, s->be, s->fixed.n, 1));
        }
        VSL_TRY(s->op->multiply(&s->weight, &s->mask, weight));
        w = &s->weight;
        if (s->opt.kind == VSL_SIMILARITY_LNCC) {
            VSL_TRY(prepare_windows(s, w)); /* windows count what both masks keep */
        }
    }
    for (int c = 0; c < s->fixed.channels; c++) {
        const VslField image = plane(&s->fixed, c, 1), moved = plane(warped, c, 1);
        VslField g = grad ? plane(grad, c, 1) : (VslField){0}, *gp = grad ? &g : NULL;
        const double scale = s->voxel_mm3 * s->opt.channel_weight[c];
        double e = 0;
        if (s->opt.kind == VSL_SIMILARITY_LNCC) {
            VSL_TRY(eval_lncc(s, &e, gp, c, &image, &moved, w, scale));
            sum += scale * e;
        } else if (s->opt.kind == VSL_SIMILARITY_SSD) {
            VSL_TRY(s->op->ssd(&e, gp, &image, &moved, w, scale));
            sum += scale * e;
        } else {
            VSL_TRY(reg_mi_eval(s->mi[c], &e, gp, &moved, weight));
            sum += s->opt.channel_weight[c] * e;
            if (gp && s->opt.channel_weight[c] != 1) {
                VSL_TRY(vsl_field_axpby(gp, s->opt.channel_weight[c], gp, 0));
            }
        }
    }
    *energy = sum;
out:
    return st;
}
