/* Between an image's own voxels and a picture of a network's size: one table of weights an axis, applied axis by axis.
 * Onto the picture a box filter: picture voxel p covers the image from (p - before) * scale to (p + 1 - before) *
 * scale, where voxel i covers i to i + 1; a box narrower than a voxel is widened to one, which is linear interpolation.
 */
#include <math.h>
#include <string.h>

#include "core/select.h"
#include "diffusion/data.h"

static const double LOW_PERCENT = 0.5, HIGH_PERCENT = 99.5;
static const float PADDING = -1;
static const double NEVER = 1e-6; /* the least probability whose logarithm is taken */

typedef struct Taps { /* of one output voxel */
    int64_t first;
    int count; /* 0: outside */
    const float *weight;
} Taps;

typedef struct AxisTable {
    Taps *taps;
    float *weight;
} AxisTable;

static void axis_free(AxisTable *a)
{
    vsl_free(a->taps);
    vsl_free(a->weight);
    *a = (AxisTable){0};
}

/* Boxes of `width` around `centre` (in voxel edges) on n voxels, weights adding up to 1; none when the centre is out.
 */
static VslStatus axis_boxes(AxisTable *out, int64_t n, int64_t to, double scale, double before)
{
    VslStatus st = VSL_OK;
    const double width = scale > 1 ? scale : 1;
    const int64_t most = (int64_t)ceil(width) + 2;
    VSL_TRY(VSL_NEW0(&out->taps, to, "resampling table"));
    VSL_TRY(VSL_NEW0(&out->weight, to * most, "resampling table"));
    for (int64_t p = 0; p < to; p++) {
        const double centre = ((double)p + 0.5 - before) * scale;
        const double low = fmax(centre - width / 2, 0), high = fmin(centre + width / 2, (double)n);
        float *weight = out->weight + p * most;
        if (centre <= 0 || centre >= (double)n || high <= low) {
            continue;
        }
        Taps t = {(int64_t)floor(low), 0, weight};
        for (int64_t i = t.first; i < n && (double)i < high && t.count < (int)most; i++) {
            weight[t.count++] = (float)((fmin(high, (double)i + 1) - fmax(low, (double)i)) / (high - low));
        }
        out->taps[p] = t;
    }
out:
    return st;
}

/* Interpolation at the voxel centres of `to` image voxels on n picture voxels, the border held: linear, or cubic
 * convolution, which keeps polynomials to the second order (Keys 1981, a = -1/2). */
static VslStatus axis_points(AxisTable *out, int64_t n, int64_t to, double scale, double before, int is_cubic)
{
    VslStatus st = VSL_OK;
    const int64_t reach = is_cubic ? 2 : 1, taps = n < 2 * reach ? n : 2 * reach;
    VSL_TRY(VSL_NEW0(&out->taps, to, "resampling table"));
    VSL_TRY(VSL_NEW0(&out->weight, taps * to, "resampling table"));
    for (int64_t i = 0; i < to; i++) {
        const double at = fmin(fmax(((double)i + 0.5) / scale + before - 0.5, 0), (double)(n - 1));
        const int64_t cell = (int64_t)at, low = cell + 1 - reach, first = low < 0 ? 0 : low > n - taps ? n - taps : low;
        const double t = at - (double)cell, u = 1 - t;
        const double cubic[] = {-t * u * u / 2, u + t * u * (u - t / 2), t + t * u * (t - u / 2), -u * t * t / 2};
        const double linear[] = {u, t};
        for (int64_t q = 0; q < 2 * reach; q++) {
            const int64_t voxel = low + q < 0 ? 0 : low + q > n - 1 ? n - 1 : low + q;
            out->weight[taps * i + voxel - first] += (float)(is_cubic ? cubic : linear)[q];
        }
        out->taps[i] = (Taps){first, (int)taps, out->weight + taps * i};
    }
out:
    return st;
}

/* (blocks, n, run) -> (blocks, to, run) */
static void apply_axis(float *out, const float *in, int64_t blocks, int64_t n, int64_t to, int64_t run,
                       const AxisTable *a, float outside)
{
    for (int64_t b = 0; b < blocks; b++) {
        for (int64_t p = 0; p < to; p++) {
            const Taps *t = &a->taps[p];
            float *row = out + (b * to + p) * run;
            for (int64_t r = 0; r < run; r++) {
                double sum = 0;
                for (int i = 0; i < t->count; i++) {
                    sum += (double)t->weight[i] * (double)in[(b * n + t->first + i) * run + r];
                }
                row[r] = t->count ? (float)sum : outside;
            }
        }
    }
}

/* Applies the three tables; `in` (n) is overwritten. */
static VslStatus resample(float *out, float *in, const int64_t n[3], const int64_t to[3], const AxisTable table[3],
                          float outside)
{
    VslStatus st = VSL_OK;
    float *x = NULL, *y = NULL;
    VSL_TRY(VSL_NEW(&x, n[2] * n[1] * to[0], "picture"));
    VSL_TRY(VSL_NEW(&y, n[2] * to[1] * to[0], "picture"));
    apply_axis(x, in, n[2] * n[1], n[0], to[0], 1, &table[0], outside);
    apply_axis(y, x, n[2], n[1], to[1], to[0], &table[1], outside);
    apply_axis(out, y, 1, n[2], to[2], to[1] * to[0], &table[2], outside);
out:
    vsl_free(x);
    vsl_free(y);
    return st;
}

static int64_t count_of(const int64_t n[3])
{
    return n[0] * n[1] * n[2];
}

/* The window's ends: percentiles of the finite values above the least one. */
static VslStatus find_window(VslFit *fit, const float *value, int64_t count)
{
    VslStatus st = VSL_OK;
    float *kept = NULL;
    float least = INFINITY;
    int64_t n = 0;
    VSL_TRY(VSL_NEW(&kept, count, "grey values"));
    for (int64_t i = 0; i < count; i++) {
        least = isfinite(value[i]) && value[i] < least ? value[i] : least;
    }
    for (int64_t i = 0; i < count; i++) {
        if (isfinite(value[i]) && value[i] > least) {
            kept[n++] = value[i];
        }
    }
    VSL_CHECK(n > 0, VSL_E_NUMERIC, "it is blank: %s",
              isfinite(least) ? "every value is the same" : "no value is a finite number");
    fit->low = vsl_percentile(kept, n, LOW_PERCENT);
    fit->high = vsl_percentile(kept, n, HIGH_PERCENT);
    if (fit->high <= fit->low) { /* two grey values only */
        fit->low = least;
    }
out:
    vsl_free(kept);
    return st;
}

VslStatus vsl_fit_make(VslFit *out, const VslVolume *image, int channel, const int64_t to[3])
{
    VslStatus st = VSL_OK;
    VslFit fit = {0};
    double spacing[3], mm = 0;

    VSL_CHECK(channel >= 0 && channel < image->channels, VSL_E_ARG, "it has %d channels, expected more than %d",
              image->channels, channel);
    VSL_CHECK((image->grid.n[2] == 1) == (to[2] == 1), VSL_E_ARG, "it is %s, expected %s",
              image->grid.n[2] == 1 ? "a flat image" : "a volume", to[2] == 1 ? "a flat image" : "a volume");
    vsl_grid_spacing(spacing, &image->grid);
    for (int d = 0; d < 3; d++) {
        fit.from[d] = image->grid.n[d];
        fit.to[d] = to[d];
        VSL_CHECK(fit.from[d] >= 1 && to[d] >= 1, VSL_E_ARG, "its size along axis %d is %lld, and %lld is wanted", d,
                  (long long)fit.from[d], (long long)to[d]);
        if (d < 2 || to[2] > 1) {
            mm = fmax(mm, (double)fit.from[d] * spacing[d] / (double)to[d]);
        }
    }
    for (int d = 0; d < 3; d++) {
        fit.scale[d] = d < 2 || to[2] > 1 ? mm / spacing[d] : 1;
        fit.before[d] = ((double)to[d] - (double)fit.from[d] / fit.scale[d]) / 2;
    }
    VSL_TRY(find_window(&fit, vsl_volume_view(image, channel).data, count_of(fit.from)));
    *out = fit;
out:
    return st;
}

static VslStatus onto_picture(float *out, const VslFit *fit, float *values, float outside)
{
    VslStatus st = VSL_OK;
    AxisTable table[3] = {{0}};
    for (int d = 0; d < 3; d++) {
        VSL_TRY(axis_boxes(&table[d], fit->from[d], fit->to[d], fit->scale[d], fit->before[d]));
    }
    VSL_TRY(resample(out, values, fit->from, fit->to, table, outside));
out:
    for (int d = 0; d < 3; d++) {
        axis_free(&table[d]);
    }
    return st;
}

VslStatus vsl_fit_image(float *out, const VslFit *fit, const VslVolume *image, int channel)
{
    VslStatus st = VSL_OK;
    float *values = NULL;
    const float *from = vsl_volume_view(image, channel).data;
    const int64_t count = count_of(fit->from);
    const double half = (fit->high - fit->low) / 2;

    VSL_TRY(VSL_NEW(&values, count, "windowed image"));
    for (int64_t i = 0; i < count; i++) {
        const double v = ((double)from[i] - fit->low) / half - 1;
        values[i] = v > -1 ? (float)fmin(v, 1) : -1; /* NaN too */
    }
    VSL_TRY(onto_picture(out, fit, values, PADDING));
out:
    vsl_free(values);
    return st;
}

VslStatus vsl_fit_mask(float *out, const VslFit *fit, const VslVolume *mask, int channel)
{
    VslStatus st = VSL_OK;
    float *values = NULL;
    const float *from = vsl_volume_view(mask, channel).data;
    const int64_t count = count_of(fit->from);

    VSL_TRY(VSL_NEW(&values, count, "mask"));
    for (int64_t i = 0; i < count; i++) {
        values[i] = from[i] > 0;
    }
    VSL_TRY(onto_picture(out, fit, values, 0));
out:
    vsl_free(values);
    return st;
}

/* `values` is overwritten. */
static VslStatus onto_image(float *out, const VslFit *fit, float *values, int is_cubic)
{
    VslStatus st = VSL_OK;
    AxisTable table[3] = {{0}};
    for (int d = 0; d < 3; d++) {
        VSL_TRY(axis_points(&table[d], fit->to[d], fit->from[d], fit->scale[d], fit->before[d], is_cubic));
    }
    VSL_TRY(resample(out, values, fit->to, fit->from, table, 0));
out:
    for (int d = 0; d < 3; d++) {
        axis_free(&table[d]);
    }
    return st;
}

VslStatus vsl_fit_back(float *out, const VslFit *fit, const float *picture)
{
    VslStatus st = VSL_OK;
    float *values = NULL;

    VSL_TRY(VSL_NEW(&values, count_of(fit->to), "picture"));
    memcpy(values, picture, (size_t)count_of(fit->to) * sizeof *values);
    VSL_TRY(onto_image(out, fit, values, 0));
out:
    vsl_free(values);
    return st;
}

VslStatus vsl_fit_probability_back(float *out, const VslFit *fit, const float *probability)
{
    VslStatus st = VSL_OK;
    float *logit = NULL;

    VSL_TRY(VSL_NEW(&logit, count_of(fit->to), "picture"));
    for (int64_t i = 0; i < count_of(fit->to); i++) {
        const double is = (double)probability[i], p = is < NEVER ? NEVER : is > 1 - NEVER ? 1 - NEVER : is;
        logit[i] = (float)log(p / (1 - p));
    }
    VSL_TRY(onto_image(out, fit, logit, 1));
    for (int64_t i = 0; i < count_of(fit->from); i++) {
        out[i] = (float)(1 / (1 + exp(-(double)out[i])));
    }
out:
    vsl_free(logit);
    return st;
}
