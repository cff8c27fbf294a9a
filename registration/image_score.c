/*
 * How alike two images on one grid are, voxel by voxel and by structure.
 *
 * With r the range (max - min) of b over the mask, e = a - b:
 *   nrmse = rms(e) / r,   psnr = -20 log10(nrmse),   correlation: Pearson's,
 *   mutual information: plain histogram of 64 x 64 bins between the extremes of each image, nats,
 *   ssim: mean over the mask of Wang et al. (IEEE TIP 2004, eq. 13) with K1 = 0.01, K2 = 0.03 and a Gaussian window of
 *         1.5 voxels sigma cut at 3.5 sigma, biased local variances; windows reach across the mask's border.
 * Only the first channel of each image is read. Voxels that are not finite are refused inside the mask and count as b's
 * mean outside it.
 */
#include "registration/quality.h"

#include <math.h>
#include <string.h>

#include "core/parallel.h"
#include "registration/smooth.h"

enum { BINS = 64 };

typedef struct Moments {
    double count, a, b, aa, bb, ab, ee;
    double lo[2], hi[2];
} Moments;

static int counts(const VslVolume *mask, int64_t i)
{
    return !mask || mask->data[i] != 0;
}

static void first_pass(Moments *m, const float *a, const float *b, const VslVolume *mask, int64_t n)
{
    *m = (Moments){.lo = {INFINITY, INFINITY}, .hi = {-INFINITY, -INFINITY}};
    for (int64_t i = 0; i < n; i++) {
        if (!counts(mask, i)) {
            continue;
        }
        const double p = (double)a[i], q = (double)b[i];
        m->count++;
        m->a += p;
        m->b += q;
        m->ee += (p - q) * (p - q);
        m->lo[0] = p < m->lo[0] ? p : m->lo[0];
        m->hi[0] = p > m->hi[0] ? p : m->hi[0];
        m->lo[1] = q < m->lo[1] ? q : m->lo[1];
        m->hi[1] = q > m->hi[1] ? q : m->hi[1];
    }
    m->a /= m->count;
    m->b /= m->count;
    m->ee /= m->count;
    for (int64_t i = 0; i < n; i++) { /* central moments in a second sweep: no cancellation */
        if (counts(mask, i)) {
            const double p = (double)a[i] - m->a, q = (double)b[i] - m->b;
            m->aa += p * p;
            m->bb += q * q;
            m->ab += p * q;
        }
    }
}

static double mutual_information(const Moments *m, const float *a, const float *b, const VslVolume *mask, int64_t n)
{
    double joint[BINS][BINS] = {{0}}, pa[BINS] = {0}, pb[BINS] = {0}, sum = 0;
    const double sa = BINS / (m->hi[0] - m->lo[0]), sb = BINS / (m->hi[1] - m->lo[1]);
    for (int64_t i = 0; i < n; i++) {
        if (counts(mask, i)) {
            const int p = (int)(((double)a[i] - m->lo[0]) * sa), q = (int)(((double)b[i] - m->lo[1]) * sb);
            joint[p < BINS ? p : BINS - 1][q < BINS ? q : BINS - 1] += 1 / m->count;
        }
    }
    for (int p = 0; p < BINS; p++) {
        for (int q = 0; q < BINS; q++) {
            pa[p] += joint[p][q];
            pb[q] += joint[p][q];
        }
    }
    for (int p = 0; p < BINS; p++) {
        for (int q = 0; q < BINS; q++) {
            if (joint[p][q] > 0) {
                sum += joint[p][q] * log(joint[p][q] / (pa[p] * pb[q]));
            }
        }
    }
    return sum;
}

static VslStatus structural_similarity(double *out, const Moments *m, const float *a, const float *b,
                                       const VslVolume *mask, const VslGrid *grid, int threads)
{
    VslStatus st = VSL_OK;
    const int64_t n = vsl_grid_voxels(grid);
    const double sigma[3] = {1.5, 1.5, 1.5}, scale = 1 / (m->hi[1] - m->lo[1]), c1 = 1e-4, c2 = 9e-4;
    VslVolume w = {0}; /* windows' means of a, b, a^2, b^2, ab, in units of b's range about b's mean */
    double sum = 0, count = 0;
    const double shift = m->b * scale;
    VSL_TRY(vsl_volume_new(&w, grid, 5));
    for (int64_t i = 0; i < n; i++) {
        /* what is not a number, outside the mask, must not spread through the windows */
        const float p = isfinite(a[i]) ? (float)(((double)a[i] - m->b) * scale) : 0;
        const float q = isfinite(b[i]) ? (float)(((double)b[i] - m->b) * scale) : 0;
        w.data[i] = p;
        w.data[n + i] = q;
        w.data[2 * n + i] = p * p;
        w.data[3 * n + i] = q * q;
        w.data[4 * n + i] = p * q;
    }
    VSL_TRY(reg_smooth_voxels(&w, sigma, 3.5, threads));
    for (int64_t i = 0; i < n; i++) {
        if (!counts(mask, i)) {
            continue;
        }
        const double p = (double)w.data[i], q = (double)w.data[n + i];
        const double vp = (double)w.data[2 * n + i] - p * p, vq = (double)w.data[3 * n + i] - q * q;
        const double pq = (double)w.data[4 * n + i] - p * q;
        const double mp = p + shift, mq = q + shift; /* means need the offset that variances do not have */
        sum += (2 * mp * mq + c1) * (2 * pq + c2) / ((mp * mp + mq * mq + c1) * (vp + vq + c2));
        count++;
    }
    *out = sum / count;
out:
    vsl_volume_free(&w);
    return st;
}

VslStatus vsl_image_score(VslImageScore *out, const VslVolume *a, const VslVolume *b, const VslVolume *mask,
                          int threads)
{
    VslStatus st = VSL_OK;
    const int64_t n = vsl_grid_voxels(&a->grid);
    Moments m;
    VslImageScore s = {0};
    VSL_CHECK(a->data && b->data, VSL_E_ARG, "an image to compare is empty");
    VSL_TRY(vsl_grid_check_same(&a->grid, "first image", &b->grid, "second image"));
    if (mask) {
        VSL_TRY(vsl_grid_check_same(&a->grid, "first image", &mask->grid, "mask"));
    }
    first_pass(&m, a->data, b->data, mask, n);
    VSL_CHECK(m.count > 0, VSL_E_ARG, "the mask is empty, so that no voxel can be compared");
    VSL_CHECK(isfinite(m.ee), VSL_E_NUMERIC, "an image to compare holds values that are not finite");
    VSL_CHECK(m.hi[0] > m.lo[0] && m.hi[1] > m.lo[1], VSL_E_NUMERIC,
              "the %s image is constant (%g) where it is compared", m.hi[0] > m.lo[0] ? "second" : "first",
              m.hi[0] > m.lo[0] ? m.lo[1] : m.lo[0]);
    VSL_TRY(structural_similarity(&s.ssim, &m, a->data, b->data, mask, &a->grid, threads));
    s.nrmse = sqrt(m.ee) / (m.hi[1] - m.lo[1]);
    s.psnr_db = -20 * log10(s.nrmse);
    s.correlation = m.ab / sqrt(m.aa * m.bb);
    s.mutual_information_nats = mutual_information(&m, a->data, b->data, mask, n);
    *out = s;
out:
    return st;
}
