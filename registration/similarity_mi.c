#include "registration/similarity_mi.h"

#include <math.h>

#include "core/select.h"
#include "registration/kernels.h"

enum { MIN_BINS = 8, MAX_BINS = 256 };

struct RegMi {
    VslBackend *be;
    const RegKernels *op;
    VslField fixed, mask; /* views; mask empty when there is none */
    int64_t voxels;
    RegMiBins bins;
    double voxel_mm3;
    int has_range;
    double *joint; /* bins x bins; after an evaluation log p - log p_b */
};

static RegMiAxis axis_of(double low, double high, double first, double last)
{
    return (RegMiAxis){low, (last - first) / (high - low), first, last};
}

/* From the histogram and its sum of weights; joint becomes log p - log p_b. */
static double mutual_information(RegMi *mi, double total)
{
    const int bins = mi->bins.bins, cells = bins * bins;
    double pa[MAX_BINS] = {0}, pb[MAX_BINS] = {0}, sum = 0;
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
    return sum;
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
static VslStatus host_view(const float **out, float **copy, const VslField *f)
{
    VslStatus st = VSL_OK;
    *out = f && f->data && vsl_backend_is_host(f->be) ? f->data : NULL;
    if (f && f->data && !*out) {
        VSL_TRY(VSL_NEW(copy, vsl_field_count(f), "host copy of a field"));
        VSL_TRY(vsl_field_download(*copy, f, vsl_field_count(f)));
        *out = *copy;
    }
out:
    return st;
}

static VslStatus field_range(double range[2], const VslField *values, const VslField *mask, const VslField *weight,
                             const char *what)
{
    VslStatus st = VSL_OK;
    const float *v, *m, *w;
    float *copies[3] = {NULL, NULL, NULL};
    VSL_TRY(host_view(&v, &copies[0], values));
    VSL_TRY(host_view(&m, &copies[1], mask));
    VSL_TRY(host_view(&w, &copies[2], weight));
    VSL_TRY(find_range(range, v, m, w, vsl_field_count(values), what));
out:
    for (int i = 0; i < 3; i++) {
        vsl_free(copies[i]);
    }
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
    *mi = (RegMi){.be = be, .op = reg_kernels(be), .fixed = *fixed, .bins = {.bins = bins}, .voxel_mm3 = voxel_mm3};
    mi->voxels = vsl_field_count(fixed);
    if (mask) {
        mi->mask = *mask;
    }
    VSL_TRY(VSL_NEW(&mi->joint, (int64_t)bins * bins, "joint histogram"));
    VSL_TRY(field_range(range, fixed, mask, NULL, "fixed"));
    mi->bins.fixed = axis_of(range[0], range[1], 0, bins - 1);
    *out = mi;
    mi = NULL;
out:
    reg_mi_free(&mi);
    return st;
}

void reg_mi_free(RegMi **mi)
{
    if (*mi) {
        vsl_free((*mi)->joint);
        vsl_free(*mi);
        *mi = NULL;
    }
}

VslStatus reg_mi_set_range(RegMi *mi, double low, double high)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(isfinite(low) && isfinite(high) && high > low, VSL_E_ARG,
              "the intensity range is %g to %g, expected two growing finite numbers", low, high);
    mi->bins.warped = axis_of(low, high, 1, mi->bins.bins - 2); /* the spline reaches one bin further on each side */
    mi->has_range = 1;
out:
    return st;
}

VslStatus reg_mi_eval(RegMi *mi, double *energy, VslField *grad, const VslField *warped, const VslField *weight)
{
    VslStatus st = VSL_OK;
    const VslField *mask = mi->mask.data ? &mi->mask : NULL;
    double sum;
    VSL_CHECK(vsl_field_count(warped) == mi->voxels && (!weight || vsl_field_count(weight) == mi->voxels) &&
                  (!grad || vsl_field_count(grad) == mi->voxels),
              VSL_E_ARG, "the warped image, its weight and the gradient must have the %lld voxels of the fixed image",
              (long long)mi->voxels);
    if (!mi->has_range) {
        double range[2];
        VSL_TRY(field_range(range, warped, mask, weight, "warped"));
        VSL_TRY(reg_mi_set_range(mi, range[0], range[1]));
    }
    VSL_TRY(mi->op->mi_count(mi->joint, &sum, &mi->fixed, warped, mask, weight, &mi->bins));
    VSL_CHECK(sum > 0, VSL_E_NUMERIC, "no voxel is left inside the masks of the fixed and the warped image");
    *energy = -mi->voxel_mm3 * sum * mutual_information(mi, sum);
    if (grad) {
        VSL_TRY(mi->op->mi_derive(grad, mi->joint, &mi->fixed, warped, mask, weight, &mi->bins,
                                  -mi->voxel_mm3 * mi->bins.warped.scale));
    }
out:
    return st;
}
