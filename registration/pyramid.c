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

VslStatus reg_coarsen(VslVolume *out, const VslVolume *in, double spacing_mm, int is_mask, int threads)
{
    VslStatus st = VSL_OK;
    VslVolume smooth = {0}, coarse = {0};
    double spacing[3];
    int64_t n[3];
    int changed = 0;
    const VslMap identity = {vsl_affine_identity(), NULL};
    vsl_grid_spacing(spacing, &in->grid);
    for (int d = 0; d < 3; d++) {
        const double voxels = (double)in->grid.n[d] * spacing[d] / spacing_mm;
        n[d] = spacing[d] < 0.95 * spacing_mm ? (int64_t)ceil(voxels - 0.05) : in->grid.n[d];
        n[d] = n[d] < 1 ? 1 : n[d];
        changed |= n[d] != in->grid.n[d];
    }
    VSL_TRY(vsl_volume_copy(&smooth, in));
    if (changed) {
        const VslGrid grid = vsl_grid_resampled(&in->grid, n);
        if (!is_mask) {
            VSL_TRY(vsl_smooth(&smooth, 0.5 * spacing_mm, threads));
        }
        VSL_TRY(vsl_apply_image(&coarse, &grid, &smooth, &identity, 1, VSL_INTERPOLATION_LINEAR, 0, threads));
        vsl_volume_move(&smooth, &coarse);
    }
    vsl_volume_move(out, &smooth);
out:
    vsl_volume_free(&smooth);
    vsl_volume_free(&coarse);
    return st;
}
