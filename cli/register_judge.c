/* Images and numbers by which a registration is judged, and the verdict that they give. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>

#include "cli/register.h"

/* Correlation of the first channels where the mask allows; NAN when one of them is constant there. */
static double correlation(const VslVolume *a, const VslVolume *b, const VslVolume *mask)
{
    const int64_t n = vsl_grid_voxels(&a->grid);
    double w = 0, sa = 0, sb = 0, saa = 0, sbb = 0, sab = 0;
    for (int64_t i = 0; i < n; i++) {
        const double x = (double)a->data[i], y = (double)b->data[i];
        if ((mask->data && !(mask->data[i] > 0)) || !isfinite(x) || !isfinite(y)) {
            continue;
        }
        w += 1;
        sa += x;
        sb += y;
        saa += x * x;
        sbb += y * y;
        sab += x * y;
    }
    return (sab - sa * sb / w) / sqrt((saa - sa * sa / w) * (sbb - sb * sb / w));
}

/* Moving labels through a chain onto the fixed grid, scored against the fixed labels. */
static VslStatus score_labels(VslLabelScore **rows, int *count, double *mean, const RegisterInputs *in,
                              const VslMap *chain, int links, int threads)
{
    VslStatus st = VSL_OK;
    VslLabels warped = {0};
    VSL_TRY(vsl_apply_labels(&warped, &in->fixed.grid, &in->moving_labels, chain, links, threads));
    VSL_TRY(vsl_label_scores(rows, count, mean, &in->fixed_labels, &warped, 0, threads));
out:
    vsl_labels_free(&warped);
    return st;
}

static VslStatus judge_deformation(RegisterResults *r, const RegisterInputs *in, int threads)
{
    VslStatus st = VSL_OK;
    const VslVolume *mask = in->fixed_mask.data ? &in->fixed_mask : NULL;
    VSL_TRY(vsl_jacobian(&r->jacobian, &r->lddmm.shot.disp, threads));
    VSL_TRY(vsl_jacobian_stats(&r->jacobian_stats, &r->jacobian, NULL));
    if (mask) {
        VSL_TRY(vsl_jacobian_stats(&r->jacobian_stats_mask, &r->jacobian, mask));
    }
    VSL_TRY(vsl_inverse_consistency(&r->inverse, &r->lddmm.shot.disp, &r->lddmm.shot.inverse_disp, NULL, threads));
out:
    return st;
}

VslStatus register_judge(RegisterResults *r, const Cli *cli, const RegisterInputs *in)
{
    VslStatus st = VSL_OK;
    const double start = cli_seconds();
    const int threads = cli->threads, deforms = (r->stages & REGISTER_LDDMM) != 0;
    VslAffine back;
    VSL_TRY(vsl_affine_invert(&back, &r->linear));
    const VslMap first = {.affine = in->initial};
    /* last link first: a fixed point is deformed, then carried to the moving image */
    const VslMap forward[2] = {{.affine = r->linear}, {.disp = &r->lddmm.shot.disp}};
    const VslMap inverse[2] = {{.disp = &r->lddmm.shot.inverse_disp}, {.affine = back}};
    const int skip = deforms ? 0 : 1;
    VSL_TRY(vsl_apply_image(&r->before, &in->fixed.grid, &in->moving, &first, 1, VSL_INTERPOLATION_LINEAR, 0, threads));
    /* what is written is sampled from the files' own values, NaN included */
    const VslVolume *moving = in->moving_raw.data ? &in->moving_raw : &in->moving;
    const VslVolume *fixed = in->fixed_raw.data ? &in->fixed_raw : &in->fixed;
    VSL_TRY(
        vsl_apply_image(&r->warped, &in->fixed.grid, moving, forward, 2 - skip, VSL_INTERPOLATION_LINEAR, 0, threads));
    VSL_TRY(vsl_apply_image(&r->inverse_warped, &in->moving.grid, fixed, inverse + skip, 2 - skip,
                            VSL_INTERPOLATION_LINEAR, 0, threads));
    r->correlation_before = correlation(&in->fixed, &r->before, &in->fixed_mask);
    r->correlation_after = correlation(&in->fixed, &r->warped, &in->fixed_mask);
    r->mean_dice_before = r->mean_dice_after = NAN;
    if (in->fixed_labels.data) {
        VSL_TRY(score_labels(&r->dice_before, &r->dice_before_count, &r->mean_dice_before, in, &first, 1, threads));
        VSL_TRY(
            score_labels(&r->dice_after, &r->dice_after_count, &r->mean_dice_after, in, forward, 2 - skip, threads));
    }
    if (deforms) {
        VSL_TRY(judge_deformation(r, in, threads));
    }
    r->seconds_judge = cli_seconds() - start;
out:
    return st;
}

static VSL_PRINTF(3, 4) void add_reason(Verdict *v, Light light, const char *fmt, ...)
{
    va_list args;
    v->light = light > v->light ? light : v->light;
    va_start(args, fmt);
    if (v->count < VERDICT_MAX) {
        vsnprintf(v->reasons[v->count++], sizeof v->reasons[0], fmt, args);
    }
    va_end(args);
}

/* An eighth of the object's radius: docs/affine.md counts the lost pairs, and the others, that are warned of so. */
static void judge_linear(Verdict *v, const VslAffineResult *last)
{
    const double factor = vsl_affine_det(&last->affine);
    if (!(factor > 0)) {
        add_reason(v, LIGHT_RED, "the affine mirrors or flattens space: volume factor %.3g", factor);
    } else if (factor < 0.25 || factor > 4) {
        add_reason(v, LIGHT_YELLOW, "the affine changes volume by a factor of %.3g", factor);
    }
    if (last->disagreement_mm > last->radius_mm / 8) {
        add_reason(v, LIGHT_YELLOW, "aligned from moving to fixed image the map is another one, by %.1f mm",
                   last->disagreement_mm);
    }
}

Verdict register_verdict(const RegisterResults *r)
{
    Verdict v = {0};
    if (r->stages & (REGISTER_RIGID | REGISTER_AFFINE)) {
        judge_linear(&v, r->stages & REGISTER_AFFINE ? &r->affine : &r->rigid);
    }
    if (r->stages & REGISTER_LDDMM) {
        const VslJacobianStats *j = &r->jacobian_stats;
        if (j->folds > 0) {
            add_reason(&v, LIGHT_RED, "%lld folded voxels", (long long)j->folds);
        } else if (j->p001 < 0.05) {
            add_reason(&v, LIGHT_YELLOW, "no folds, but 0.1 %% of the voxels shrink below %.3g", j->p001);
        } else {
            add_reason(&v, LIGHT_GREEN, "no folds");
        }
        const double e = r->inverse.mean_vox;
        add_reason(&v,
                   e < 0.05  ? LIGHT_GREEN
                   : e < 0.5 ? LIGHT_YELLOW
                             : LIGHT_RED,
                   "inverse %s %.3f voxel", e < 0.05 ? "agrees to" : "is off by", e);
        if (!(r->lddmm.shot.energy_drift < 1e-3)) {
            add_reason(&v, LIGHT_YELLOW, "energy drifts by %.2g along the geodesic", r->lddmm.shot.energy_drift);
        }
        /* identical images move by rounding only: a thousandth less is no loss */
        const double least = r->lddmm.similarity_before - 1e-3 * fabs(r->lddmm.similarity_before);
        if (!(r->lddmm.similarity_after >= least)) {
            add_reason(&v, LIGHT_RED, "the deformation lowered the similarity (%.4g to %.4g)",
                       r->lddmm.similarity_before, r->lddmm.similarity_after);
        }
    }
    if (isnan(r->correlation_before) && isfinite(r->correlation_after)) {
        add_reason(&v, LIGHT_GREEN, "no overlap before, correlation %.3f after", r->correlation_after);
    } else if (r->correlation_after >= r->correlation_before - 1e-3) {
        add_reason(&v, LIGHT_GREEN, "correlation %.3f to %.3f", r->correlation_before, r->correlation_after);
    } else { /* images of different contrast may lose correlation in a good registration */
        add_reason(&v, LIGHT_YELLOW, "correlation fell from %.3f to %.3f", r->correlation_before, r->correlation_after);
    }
    if (!isnan(r->mean_dice_after)) {
        add_reason(&v, r->mean_dice_after >= r->mean_dice_before ? LIGHT_GREEN : LIGHT_RED, "Dice %.3f to %.3f",
                   r->mean_dice_before, r->mean_dice_after);
    }
    return v;
}

double register_linear_before(const RegisterResults *r)
{
    return r->stages & REGISTER_RIGID ? r->rigid.similarity_before : r->affine.similarity_before;
}

double register_linear_after(const RegisterResults *r)
{
    return r->stages & REGISTER_AFFINE ? r->affine.similarity_after : r->rigid.similarity_after;
}

const char *light_name(Light light)
{
    return light == LIGHT_GREEN ? "green" : light == LIGHT_YELLOW ? "yellow" : "red";
}

void register_results_free(RegisterResults *r)
{
    vsl_lddmm_result_free(&r->lddmm);
    vsl_volume_free(&r->before);
    vsl_volume_free(&r->warped);
    vsl_volume_free(&r->inverse_warped);
    vsl_volume_free(&r->jacobian);
    vsl_free(r->dice_before);
    vsl_free(r->dice_after);
    r->dice_before = r->dice_after = NULL;
}
