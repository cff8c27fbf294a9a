/* Percentile scaling by histogram and the image pyramid. */
#include "registration/pyramid.h"

#include <math.h>

#include "registration/transform.h"

enum { BINS = 4096 };

/* Value below which `share` of the counted voxels lie: two passes over a histogram, exact to range / BINS^2. */
static double percentile(const float *data, const float *mask, int64_t n, double low, double high, double share)
{
    for (int pass = 0; pass < 2 && high > low; pass++) {
        int64_t count[BINS] = {0}, below = 0, total = 0;
        const double scale = BINS / (high - low);
        for (int64_t i = 0; i < n; i++) {
            if (isfinite(data[i]) && (!mask || mask[i] != 0)) {
                total++;
                const double bin = ((double)data[i] - low) * scale;
                if (bin < 0) {
                    below++;
                } else if (bin < BINS) {
                    count[(int)bin]++;
                }
            }
        }
        const double target = share * (double)total;
        int b = 0;
        while (b < BINS - 1 && (double)(below + count[b]) < target) {
            below += count[b++];
        }
        const double width = (high - low) / BINS;
        low += b * width;
        high = low + width;
    }
    return 0.5 * (low + high);
}

VslStatus reg_normalise(VslVolume *out, int64_t *not_finite, const VslVolume *in, const VslVolume *mask,
                        const char *name)
{
    VslStatus st = VSL_OK;
    VslVolume v = {0};
    const int64_t n = vsl_grid_voxels(&in->grid);
    int64_t bad = 0;
    VSL_TRY(vsl_volume_new(&v, &in->grid, in->channels));
    for (int c = 0; c < in->channels; c++) {
        const float *from = in->data + c * n, *weight = mask ? mask->data : NULL;
        float *to = v.data + c * n;
        double low = INFINITY, high = -INFINITY;
        for (int64_t i = 0; i < n; i++) {
            if (!isfinite(from[i])) {
                bad++;
            } else if (!weight || weight[i] != 0) {
                low = fmin(low, (double)from[i]);
                high = fmax(high, (double)from[i]);
            }
        }
        VSL_CHECK(high > low, VSL_E_NUMERIC, "%s is blank: %s in channel %d", name,
                  high < low ? "no finite voxel" : "every voxel has the same value", c + 1);
        double p_low = percentile(from, weight, n, low, high, 0.005);
        double p_high = percentile(from, weight, n, low, high, 0.995);
        if (!(p_high - p_low > 1e-3 * (high - low))) { /* nearly all voxels are equal: scale by the extremes */
            p_low = low;
            p_high = high;
        }
        const double scale = 1 / (p_high - p_low);
        for (int64_t i = 0; i < n; i++) {
            to[i] = isfinite(from[i]) ? (float)(((double)from[i] - p_low) * scale) : 0.0f;
        }
    }
    vsl_volume_move(out, &v);
    if (not_finite) {
        *not_finite = bad;
    }
out:
    vsl_volume_free(&v);
    return st;
}

/* v times w in every channel. */
static void times(VslVolume *v, const VslVolume *w)
{
    const int64_t n = vsl_grid_voxels(&v->grid);
    for (int64_t i = 0; i < n * v->channels; i++) {
        v->data[i] *= w->data[i % n];
    }
}

/* Normalised convolution: values of weight 0 become the smoothed mean of the others, S(w I) / S(w). */
static VslStatus fill_masked(VslVolume *v, const VslVolume *mask, double sigma_mm, int threads)
{
    VslStatus st = VSL_OK;
    VslVolume sum = {0}, weight = {0};
    const int64_t n = vsl_grid_voxels(&v->grid);
    VSL_TRY(vsl_volume_copy(&sum, v));
    VSL_TRY(vsl_volume_copy(&weight, mask));
    times(&sum, mask);
    VSL_TRY(vsl_smooth(&sum, sigma_mm, threads));
    VSL_TRY(vsl_smooth(&weight, sigma_mm, threads));
    for (int64_t i = 0; i < n * v->channels; i++) {
        if (mask->data[i % n] == 0) {
            const float w = weight.data[i % n];
            v->data[i] = w > 1e-4f ? sum.data[i] / w : 0.0f;
        }
    }
out:
    vsl_volume_free(&sum);
    vsl_volume_free(&weight);
    return st;
}

static VslStatus on_grid(VslVolume *v, const VslGrid *grid, int threads)
{
    VslStatus st = VSL_OK;
    VslVolume coarse = {0};
    const VslMap identity = {vsl_affine_identity(), NULL};
    VSL_TRY(vsl_apply_image(&coarse, grid, v, &identity, 1, VSL_INTERPOLATION_LINEAR, 0, threads));
    vsl_volume_move(v, &coarse);
out:
    return st;
}

VslStatus reg_coarsen(VslVolume *out, VslVolume *coarse_mask, const VslVolume *in, const VslVolume *mask,
                      double spacing_mm, int threads)
{
    VslStatus st = VSL_OK;
    VslVolume image = {0}, weight = {0};
    double spacing[3];
    int64_t n[3];
    int changed = 0;
    vsl_grid_spacing(spacing, &in->grid);
    for (int d = 0; d < 3; d++) {
        const double voxels = (double)in->grid.n[d] * spacing[d] / spacing_mm;
        n[d] = spacing[d] < 0.95 * spacing_mm ? (int64_t)ceil(voxels - 0.05) : in->grid.n[d];
        n[d] = n[d] < 1 ? 1 : n[d];
        changed |= n[d] != in->grid.n[d];
    }
    const VslGrid grid = vsl_grid_resampled(&in->grid, n);
    VSL_TRY(vsl_volume_copy(&image, in));
    if (mask) {
        VSL_TRY(fill_masked(&image, mask, spacing_mm, threads));
        VSL_TRY(vsl_volume_copy(&weight, mask));
    }
    if (changed) {
        VSL_TRY(vsl_smooth(&image, 0.5 * spacing_mm, threads));
        VSL_TRY(on_grid(&image, &grid, threads));
        if (mask) {
            VSL_TRY(vsl_smooth(&weight, 0.5 * spacing_mm, threads));
            VSL_TRY(on_grid(&weight, &grid, threads));
            for (int64_t i = 0; i < vsl_grid_voxels(&grid); i++) {
                weight.data[i] = weight.data[i] >= 0.5f ? weight.data[i] : 0.0f;
            }
        }
    }
    vsl_volume_move(out, &image);
    if (mask) {
        vsl_volume_move(coarse_mask, &weight);
    }
out:
    vsl_volume_free(&image);
    vsl_volume_free(&weight);
    return st;
}
