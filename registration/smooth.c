/*
 * Separable Gaussian smoothing by sampled, truncated and renormalised kernels, borders reflected about the outer voxel
 * faces (so that the sum over the image is kept). Lines along i are filtered by themselves; along j and k whole rows
 * are added, which runs at the speed of the cache.
 */
#include "registration/smooth.h"

#include <math.h>
#include <string.h>

#include "core/parallel.h"
#include "registration/transform.h"

typedef struct Smoothing {
    float *data; /* one plane */
    int64_t n[3];
    int axis;
    int radius;
    float *taps;     /* radius + 1: centre first */
    float **scratch; /* per worker */
} Smoothing;

/* Reflection about the faces: ... 1 0 | 0 1 ... n-1 | n-1 n-2 ... */
static int64_t reflected(int64_t i, int64_t n)
{
    const int64_t period = 2 * n, m = ((i % period) + period) % period;
    return m < n ? m : period - 1 - m;
}

static void line_i(Smoothing *s, int64_t item, float *scratch)
{
    const int64_t n = s->n[0], r = s->radius;
    float *restrict row = s->data + item * n, *restrict padded = scratch;
    for (int64_t i = -r; i < n + r; i++) {
        padded[i + r] = row[i >= 0 && i < n ? i : reflected(i, n)];
    }
    for (int64_t i = 0; i < n; i++) {
        row[i] = s->taps[0] * padded[i + r];
    }
    for (int64_t t = 1; t <= r; t++) {
        const float w = s->taps[t];
        for (int64_t i = 0; i < n; i++) {
            row[i] += w * (padded[i + r - t] + padded[i + r + t]);
        }
    }
}

/* Rows of one (i, axis) sheet, filtered along the axis; item is the index along the remaining axis. */
static void sheet(Smoothing *s, int64_t item, float *scratch)
{
    const int64_t n0 = s->n[0], n = s->n[s->axis];
    const int64_t stride = s->axis == 1 ? n0 : n0 * s->n[1], base = item * (s->axis == 1 ? n0 * s->n[1] : n0);
    for (int64_t a = 0; a < n; a++) {
        memcpy(scratch + a * n0, s->data + base + a * stride, (size_t)n0 * sizeof(float));
    }
    for (int64_t a = 0; a < n; a++) {
        float *restrict out = s->data + base + a * stride;
        const float *restrict centre = scratch + a * n0;
        for (int64_t i = 0; i < n0; i++) {
            out[i] = s->taps[0] * centre[i];
        }
        for (int64_t t = 1; t <= s->radius; t++) {
            const float w = s->taps[t];
            const float *restrict lo = scratch + reflected(a - t, n) * n0;
            const float *restrict hi = scratch + reflected(a + t, n) * n0;
            for (int64_t i = 0; i < n0; i++) {
                out[i] += w * (lo[i] + hi[i]);
            }
        }
    }
}

static void smooth_item(void *ctx, int64_t item, int worker)
{
    Smoothing *s = ctx;
    if (s->axis == 0) {
        line_i(s, item, s->scratch[worker]);
    } else {
        sheet(s, item, s->scratch[worker]);
    }
}

static VslStatus make_taps(Smoothing *s, double sigma_vox, double truncate)
{
    VslStatus st = VSL_OK;
    double sum = 1;
    const int radius = (int)floor(truncate * sigma_vox + 0.5);
    VSL_TRY(VSL_NEW(&s->taps, radius + 1, "smoothing kernel"));
    for (int t = 1; t <= radius; t++) {
        sum += 2 * exp(-0.5 * t * t / (sigma_vox * sigma_vox));
    }
    for (int t = 0; t <= radius; t++) {
        s->taps[t] = (float)(exp(-0.5 * t * t / (sigma_vox * sigma_vox)) / sum);
    }
    s->radius = radius;
out:
    return st;
}

VslStatus reg_smooth_voxels(VslVolume *v, const double sigma_vox[3], double truncate, int threads)
{
    VslStatus st = VSL_OK;
    const int64_t *n = v->grid.n, plane = vsl_grid_voxels(&v->grid);
    Smoothing axes[3] = {{.axis = 0}, {.axis = 1}, {.axis = 2}};
    float **scratch = NULL, *block = NULL;
    int64_t longest = 0;
    threads = vsl_threads_resolve(threads);
    for (int d = 0; d < 3; d++) { /* all memory first: a failure leaves v as it was */
        Smoothing *s = &axes[d];
        memcpy(s->n, n, sizeof s->n);
        /* Below a tenth of a voxel the neighbours' weight is under float's resolution. */
        if (n[d] > 1 && sigma_vox[d] > 0.1) {
            VSL_TRY(make_taps(s, sigma_vox[d], truncate));
            const int64_t length = d == 0 ? n[0] + 2 * (int64_t)s->radius : n[0] * n[d];
            longest = length > longest ? length : longest;
        }
    }
    VSL_TRY(VSL_NEW(&scratch, threads, "smoothing rows"));
    VSL_TRY(VSL_NEW(&block, threads * longest + 1, "smoothing rows"));
    for (int t = 0; t < threads; t++) {
        scratch[t] = block + t * longest;
    }
    for (int d = 0; d < 3; d++) {
        Smoothing *s = &axes[d];
        s->scratch = scratch;
        for (int c = 0; c < v->channels && s->taps; c++) {
            s->data = v->data + c * plane;
            vsl_parallel_for(d == 0 ? n[1] * n[2] : d == 1 ? n[2] : n[1], threads, smooth_item, s);
        }
    }
out:
    for (int d = 0; d < 3; d++) {
        vsl_free(axes[d].taps);
    }
    vsl_free(scratch);
    vsl_free(block);
    return st;
}

VslStatus vsl_smooth(VslVolume *v, double sigma_mm, int threads)
{
    VslStatus st = VSL_OK;
    double spacing[3];
    VSL_CHECK(sigma_mm >= 0 && sigma_mm < 1e4, VSL_E_ARG, "smoothing width is %g mm, expected 0 to 10000", sigma_mm);
    vsl_grid_spacing(spacing, &v->grid);
    const double sigma_vox[3] = {sigma_mm / spacing[0], sigma_mm / spacing[1], sigma_mm / spacing[2]};
    VSL_TRY(reg_smooth_voxels(v, sigma_vox, 4.0, threads));
out:
    return st;
}
