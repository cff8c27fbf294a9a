#include "registration/similarity_mi.h"

#include <math.h>
#include <string.h>

#include "core/parallel.h"
#include "core/select.h"

/* Voxels are counted in this many parts, whose histograms are added in order: the same bits for every thread count. */
enum { PARTS = 32, MIN_BINS = 8, MAX_BINS = 256 };

typedef struct Axis {
    double low, scale; /* bin position = (value - low) * scale + first, held within first..last */
    double first, last;
} Axis;

struct RegMi {
    VslBackend *be;
    int64_t voxels;
    int bins;
    double voxel_mm3;
    Axis fixed_axis, warped_axis;
    int has_range;
    double *parts; /* PARTS histograms of bins x bins, then PARTS sums of weights */
    double *joint; /* bins x bins; after an evaluation log p - log p_b */
    /* Host copies when the backend's memory is not the host's; else NULL. */
    float *host_fixed, *host_mask, *host_warped, *host_weight, *host_grad;
    /* What the running evaluation reads and writes. */
    const float *i, *j, *m, *w;
    float *g;
};

static int64_t part_begin(const RegMi *mi, int64_t part)
{
    return mi->voxels * part / PARTS;
}

static Axis axis_of(double low, double high, double first, double last)
{
    return (Axis){low, (last - first) / (high - low), first, last};
}

/* Bin to the left and distance from it; the distance may be 1 at the upper end. inside: 0 where held at an end. */
static inline int bin_of(double *t, int *inside, const Axis *a, float value)
{
    double p = ((double)value - a->low) * a->scale + a->first;
    *inside = p > a->first && p < a->last;
    p = p > a->first ? (p < a->last ? p : a->last) : a->first;
    const int top = (int)a->last - 1, b = (int)p;
    const int left = b < top ? b : top;
    *t = p - left;
    return left;
}

static inline double weight_at(const RegMi *mi, int64_t v)
{
    double w = mi->m ? (double)mi->m[v] : 1;
    w *= mi->w ? (double)mi->w[v] : 1;
    return w > 0 && isfinite(mi->j[v]) && isfinite(mi->i[v]) ? w : 0;
}

static void count_part(void *ctx, int64_t part, int worker)
{
    (void)worker;
    RegMi *mi = ctx;
    const int bins = mi->bins;
    double *h = mi->parts + part * bins * bins, sum = 0;
    memset(h, 0, (size_t)bins * (size_t)bins * sizeof *h);
    for (int64_t v = part_begin(mi, part); v < part_begin(mi, part + 1); v++) {
        const double w = weight_at(mi, v);
        if (!(w > 0)) {
            continue;
        }
        double s, t;
        int inside;
        const int a = bin_of(&s, &inside, &mi->fixed_axis, mi->i[v]);
        const int b = bin_of(&t, &inside, &mi->warped_axis, mi->j[v]);
        const double r = 1 - t, k = w / 6;
        const double spline[4] = {k * r * r * r, k * ((3 * t - 6) * t * t + 4), k * (((3 - 3 * t) * t + 3) * t + 1),
                                  k * t * t * t};
        double *lo = h + a * bins + b - 1, *hi = lo + bins;
        for (int c = 0; c < 4; c++) {
            lo[c] += (1 - s) * spline[c];
            hi[c] += s * spline[c];
        }
        sum += w;
    }
    mi->parts[(int64_t)PARTS * bins * bins + part] = sum;
}

static void derive_part(void *ctx, int64_t part, int worker)
{
    (void)worker;
    const RegMi *mi = ctx;
    const int bins = mi->bins;
    const double scale = -mi->voxel_mm3 * mi->warped_axis.scale;
    for (int64_t v = part_begin(mi, part); v < part_begin(mi, part + 1); v++) {
        const double w = weight_at(mi, v);
        double s, t, sum = 0;
        int inside;
        const int a = bin_of(&s, &inside, &mi->fixed_axis, mi->i[v]);
        int within;
        const int b = bin_of(&t, &within, &mi->warped_axis, mi->j[v]);
        if (w > 0 && within) {
            const double r = 1 - t;
            const double slope[4] = {-0.5 * r * r, 0.5 * (3 * t - 4) * t, 0.5 * ((2 - 3 * t) * t + 1), 0.5 * t * t};
            const double *lo = mi->joint + a * bins + b - 1, *hi = lo + bins;
            for (int c = 0; c < 4; c++) {
                sum += slope[c] * ((1 - s) * lo[c] + s * hi[c]);
            }
        }
        mi->g[v] = (float)(scale * w * sum);
    }
}

/* Adds the parts; *mutual = MI, *weight = sum w; joint becomes log p - log p_b. */
static void reduce(RegMi *mi, double *mutual, double *weight)
{
    const int bins = mi->bins, cells = bins * bins;
    double total = 0, pa[MAX_BINS] = {0}, pb[MAX_BINS] = {0}, sum = 0;
    memset(mi->joint, 0, (size_t)cells * sizeof *mi->joint);
    for (int part = 0; part < PARTS; part++) {
        for (int c = 0; c < cells; c++) {
            mi->joint[c] += mi->parts[part * cells + c];
        }
        total += mi->parts[PARTS * cells + part];
    }
    for (int c = 0; c < cells; c++) {
        const double p = total > 0 ? mi->joint[c] / total : 0;
        mi->joint[c] = p;
        pa[c / bins] += p;
        pb[c % bins] += p;
    }
    for (int c = 0; c < cells; c++) {
        const double p = mi->joint[c];
        if (p > 0) {
            const double relative = log(p / pb[c % bins]);
            sum += p * (relative - log(pa[c / bins]));
            mi->joint[c] = relative;
        }
    }
    *mutual = sum;
    *weight = total;
}

/* The 0.1 and 99.9-percentile of finite values where the weights count. */
static VslStatus find_range(double range[2], const float *values, const float *mask, const float *weight,
                            int64_t voxels, const char *what)
{
    VslStatus st = VSL_OK;
    float *copy = NULL;
    int64_t count = 0;
    VSL_TRY(VSL_NEW(&copy, voxels, "intensities"));
    for (int64_t v = 0; v < voxels; v++) {
        if (isfinite(values[v]) && (!mask || mask[v] > 0) && (!weight || weight[v] > 0)) {
            copy[count++] = values[v];
        }
    }
    VSL_CHECK(count > 0, VSL_E_NUMERIC, "the %s image has no finite voxel inside the masks", what);
    range[0] = vsl_percentile(copy, count, 0.1);
    range[1] = vsl_percentile(copy, count, 99.9);
    if (!(range[1] > range[0])) { /* almost everything is background */
        range[0] = vsl_percentile(copy, count, 0);
        range[1] = vsl_percentile(copy, count, 100);
    }
    VSL_CHECK(range[1] > range[0], VSL_E_NUMERIC, "the %s image is constant (%g) inside the masks", what, range[0]);
out:
    vsl_free(copy);
    return st;
}

/* The host's pointer to a field: its own memory, or *copy filled by a download. */
static VslStatus host_view(const float **out, float **copy, const VslField *f, int64_t voxels)
{
    VslStatus st = VSL_OK;
    if (!f || vsl_backend_is_host(f->be)) {
        *out = f ? f->data : NULL;
        return st;
    }
    if (!*copy) {
        VSL_TRY(VSL_NEW(copy, voxels, "host copy of a field"));
    }
    VSL_TRY(vsl_field_download(*copy, f, voxels));
    *out = *copy;
out:
    return st;
}

VslStatus reg_mi_new(RegMi **out, VslBackend *be, const VslField *fixed, const VslField *mask, int bins,
                     double voxel_mm3)
{
    VslStatus st = VSL_OK;
    RegMi *mi = NULL;
    double range[2];
    VSL_CHECK(bins >= MIN_BINS && bins <= MAX_BINS, VSL_E_ARG, "%d histogram bins, expected %d to %d", bins, MIN_BINS,
              MAX_BINS);
    VSL_CHECK(fixed->channels == 1 && (!mask || mask->channels == 1), VSL_E_ARG,
              "mutual information compares one channel with one channel, got %d and a mask of %d", fixed->channels,
              mask ? mask->channels : 1);
    VSL_TRY(VSL_NEW0(&mi, 1, "mutual information"));
    *mi = (RegMi){.be = be, .bins = bins, .voxel_mm3 = voxel_mm3};
    mi->voxels = vsl_field_count(fixed);
    VSL_TRY(VSL_NEW(&mi->parts, PARTS * ((int64_t)bins * bins + 1), "histograms"));
    VSL_TRY(VSL_NEW(&mi->joint, (int64_t)bins * bins, "joint histogram"));
    VSL_TRY(host_view(&mi->i, &mi->host_fixed, fixed, mi->voxels));
    VSL_TRY(host_view(&mi->m, &mi->host_mask, mask, mi->voxels));
    VSL_TRY(find_range(range, mi->i, mi->m, NULL, mi->voxels, "fixed"));
    mi->fixed_axis = axis_of(range[0], range[1], 0, bins - 1);
    *out = mi;
    mi = NULL;
out:
    reg_mi_free(&mi);
    return st;
}

void reg_mi_free(RegMi **mi)
{
    if (*mi) {
        vsl_free((*mi)->parts);
        vsl_free((*mi)->joint);
        vsl_free((*mi)->host_fixed);
        vsl_free((*mi)->host_mask);
        vsl_free((*mi)->host_warped);
        vsl_free((*mi)->host_weight);
        vsl_free((*mi)->host_grad);
        vsl_free(*mi);
        *mi = NULL;
    }
}

VslStatus reg_mi_set_range(RegMi *mi, double low, double high)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(isfinite(low) && isfinite(high) && high > low, VSL_E_ARG,
              "the intensity range is %g to %g, expected two growing finite numbers", low, high);
    mi->warped_axis = axis_of(low, high, 1, mi->bins - 2); /* the spline reaches one bin further on each side */
    mi->has_range = 1;
out:
    return st;
}

VslStatus reg_mi_eval(RegMi *mi, double *energy, VslField *grad, const VslField *warped, const VslField *weight)
{
    VslStatus st = VSL_OK;
    double mutual, sum;
    const int threads = vsl_backend_threads(mi->be);
    VSL_CHECK(vsl_field_count(warped) == mi->voxels && (!weight || vsl_field_count(weight) == mi->voxels) &&
                  (!grad || vsl_field_count(grad) == mi->voxels),
              VSL_E_ARG, "the warped image, its weight and the gradient must have the %lld voxels of the fixed image",
              (long long)mi->voxels);
    VSL_TRY(host_view(&mi->j, &mi->host_warped, warped, mi->voxels));
    VSL_TRY(host_view(&mi->w, &mi->host_weight, weight, mi->voxels));
    if (!mi->has_range) {
        double range[2];
        VSL_TRY(find_range(range, mi->j, mi->m, mi->w, mi->voxels, "warped"));
        VSL_TRY(reg_mi_set_range(mi, range[0], range[1]));
    }
    vsl_parallel_for(PARTS, threads, count_part, mi);
    reduce(mi, &mutual, &sum);
    VSL_CHECK(sum > 0, VSL_E_NUMERIC, "no voxel is left inside the masks of the fixed and the warped image");
    if (grad) {
        const int on_host = vsl_backend_is_host(grad->be);
        if (!on_host && !mi->host_grad) {
            VSL_TRY(VSL_NEW(&mi->host_grad, mi->voxels, "host copy of a field"));
        }
        mi->g = on_host ? grad->data : mi->host_grad;
        vsl_parallel_for(PARTS, threads, derive_part, mi);
        if (!on_host) {
            VSL_TRY(vsl_field_upload(grad, mi->host_grad, mi->voxels));
        }
    }
    *energy = -mi->voxel_mm3 * sum * mutual;
out:
    return st;
}
