/* CPU loops of the similarities.
 *
 * LNCC needs box-window sums of wJ, wJ^2, wIJ going in and of three fields coming back. Window sums along an axis are
 * made by factors (15 terms: fives of threes): no running sum that drifts, and the same code for every axis because a
 * step along j or k is only a longer stride. Three rounds:
 *   1 planes k:  products of one plane, summed along i and j                     -> t (3 planes)
 *   2 rows j:    t summed along k, the correlation of every window, its derivative terms summed along k  -> t
 *   3 planes k:  t summed along i and j, the derivative at every voxel           -> grad */
#include <string.h>

#include "core/parallel.h"
#include "registration/kernels_cpu.h"
#include "registration/point.h"

typedef struct Lncc {
    int64_t n[3], plane, count;
    int radius[3];
    const float *image, *warped, *weight, *fixed;
    float *t, *grad;
    float *buffers; /* scratch per worker */
    int64_t buffer;
    double *energy; /* per row j */
    float eps, scale;
    int add;
} Lncc;

/* out[i] = in[i] + in[i + step] + .. (an odd number of terms, at least 3). In pieces that stay in the first cache. */
static void add_terms(float *restrict out, const float *restrict in, int64_t count, int64_t step, int terms)
{
    enum { PIECE = 1024 };
    for (int64_t begin = 0; begin < count; begin += PIECE) {
        const int64_t n = count - begin < PIECE ? count - begin : PIECE;
        float *restrict o = out + begin;
        const float *restrict a = in + begin, *restrict b = a + step, *restrict c = b + step;
        for (int64_t i = 0; i < n; i++) {
            o[i] = a[i] + b[i] + c[i];
        }
        for (int t = 3; t < terms; t += 2) {
            b += 2 * step;
            c += 2 * step;
            for (int64_t i = 0; i < n; i++) {
                o[i] += b[i] + c[i];
            }
        }
    }
}

/* s[i] becomes the sum of s[i], s[i + step], .. (width terms, an odd number); valid for i < count - (width - 1) step.
 * One pass for each prime factor of the width. work: count. */
static void window_sums(float *s, float *work, int64_t count, int64_t step, int width)
{
    float *from = s, *to = work;
    while (width > 1) {
        int terms = 3;
        while (width % terms != 0) {
            terms += 2;
        }
        count -= (terms - 1) * step;
        add_terms(to, from, count, step, terms);
        step *= terms;
        width /= terms;
        float *const swap = from;
        from = to;
        to = swap;
    }
    if (from != s) {
        memcpy(s, from, (size_t)count * sizeof *s);
    }
}

/* A padded plane: rows of nx + 2 r0 values, ny + 2 r1 rows; the inner part starts at (r0, r1). */
static int64_t padded_row(const Lncc *s)
{
    return s->n[0] + 2 * s->radius[0];
}

static int64_t padded_plane(const Lncc *s)
{
    return padded_row(s) * (s->n[1] + 2 * s->radius[1]);
}

/* Sums along i, then j; afterwards the window of voxel (i, j) stands at row j, column i (not shifted by the radius). */
static void sum_plane(const Lncc *s, float *padded, float *work)
{
    const int64_t row = padded_row(s);
    window_sums(padded, work, padded_plane(s), 1, 2 * s->radius[0] + 1);
    window_sums(padded, work, padded_plane(s), row, 2 * s->radius[1] + 1);
}

/* Products of plane k into three padded planes. warped == NULL: those of the image alone (1, I, I^2). */
static void products_plane(const Lncc *s, int64_t k, float *padded)
{
    const int64_t row = padded_row(s), size = padded_plane(s);
    memset(padded, 0, (size_t)(3 * size) * sizeof *padded);
    for (int64_t j = 0; j < s->n[1]; j++) {
        const int64_t at = k * s->plane + j * s->n[0];
        float *restrict a = padded + (j + s->radius[1]) * row + s->radius[0], *restrict b = a + size,
                        *restrict c = b + size;
        const float *restrict w = s->weight + at, *restrict x = s->image + at;
        if (s->warped) {
            const float *restrict y = s->warped + at;
            for (int64_t i = 0; i < s->n[0]; i++) {
                const float wy = w[i] * y[i];
                a[i] = wy;
                b[i] = wy * y[i];
                c[i] = wy * x[i];
            }
        } else {
            for (int64_t i = 0; i < s->n[0]; i++) {
                a[i] = w[i];
                b[i] = w[i] * x[i];
                c[i] = w[i] * x[i] * x[i];
            }
        }
    }
}

static void forward_plane(void *ctx, int64_t item, int worker)
{
    const Lncc *s = ctx;
    float *padded = s->buffers + worker * s->buffer, *work = padded + 3 * padded_plane(s);
    products_plane(s, item, padded);
    for (int c = 0; c < 3; c++) {
        float *from = padded + c * padded_plane(s), *to = s->t + c * s->count + item * s->plane;
        sum_plane(s, from, work);
        for (int64_t j = 0; j < s->n[1]; j++) {
            memcpy(to + j * s->n[0], from + j * padded_row(s), (size_t)s->n[0] * sizeof *to);
        }
    }
}

/* Row j of the three planes of t, all k: into buffers of (n2 + 2 r2) rows, summed along k. */
static void column_sums(const Lncc *s, int64_t j, float *rows, float *work)
{
    const int64_t n0 = s->n[0], n2 = s->n[2], r = s->radius[2], size = (n2 + 2 * r) * n0;
    for (int c = 0; c < 3; c++) {
        float *to = rows + c * size;
        memset(to, 0, (size_t)(r * n0) * sizeof *to);
        memset(to + (r + n2) * n0, 0, (size_t)(r * n0) * sizeof *to);
        for (int64_t k = 0; k < n2; k++) {
            memcpy(to + (r + k) * n0, s->t + c * s->count + k * s->plane + j * n0, (size_t)n0 * sizeof *to);
        }
        window_sums(to, work, size, n0, 2 * (int)r + 1);
    }
}

static void prepare_row(void *ctx, int64_t item, int worker)
{
    const Lncc *s = ctx;
    const int64_t n0 = s->n[0], n2 = s->n[2], size = (n2 + 2 * s->radius[2]) * n0;
    float *rows = s->buffers + worker * s->buffer;
    column_sums(s, item, rows, rows + 3 * size);
    for (int64_t k = 0; k < n2; k++) {
        const float *restrict sw = rows + k * n0, *restrict sx = sw + size, *restrict sxx = sx + size;
        float *restrict mean = s->t + k * s->plane + item * n0, *restrict variance = mean + s->count,
                        *restrict inverse = variance + s->count;
        for (int64_t i = 0; i < n0; i++) {
            const float inv = sw[i] > 1e-6f ? 1.0f / sw[i] : 0.0f, m = sx[i] * inv, v = sxx[i] * inv - m * m;
            mean[i] = m;
            variance[i] = (v > 0 ? v : 0) + s->eps;
            inverse[i] = inv;
        }
    }
}

static double correlation_row(void *ctx, int64_t item, int worker)
{
    const Lncc *s = ctx;
    const int64_t n0 = s->n[0], n2 = s->n[2], r = s->radius[2], size = (n2 + 2 * r) * n0;
    float *rows = s->buffers + worker * s->buffer, *work = rows + 3 * size, *e = work + size;
    double energy = 0;
    column_sums(s, item, rows, work);
    /* windows of row k stand at row k; the derivative terms are written r rows further, where voxel k belongs. Going
     * down in k keeps what is still needed: row k + r is read as a window sum before it is overwritten. */
    for (int64_t k = n2 - 1; k >= 0; k--) {
        const int64_t at = k * s->plane + item * n0;
        const float *restrict mean = s->fixed + at, *restrict variance = mean + s->count,
                              *restrict inverse = variance + s->count, *restrict w = s->weight + at;
        const float *sy = rows + k * n0, *syy = sy + size, *sxy = syy + size;
        float *q1 = rows + (k + r) * n0, *q2 = q1 + size, *q3 = q2 + size;
        VSL_INDEPENDENT
        for (int64_t i = 0; i < n0; i++) {
            const float my = sy[i] * inverse[i], vy = syy[i] * inverse[i] - my * my;
            const RegLncc t =
                reg_lncc_terms(sxy[i] * inverse[i] - mean[i] * my, variance[i], (vy > 0 ? vy : 0) + s->eps);
            const float wn = w[i] * inverse[i];
            const float p = wn * t.p, q = wn * t.q;
            e[i] = w[i] * t.e;
            q1[i] = p;
            q2[i] = q;
            q3[i] = p * mean[i] - q * my;
        }
        double sum = 0;
        for (int64_t i = 0; i < n0; i++) {
            sum += (double)e[i];
        }
        energy += sum;
    }
    if (s->grad) {
        for (int c = 0; c < 3; c++) {
            float *q = rows + c * size;
            memset(q, 0, (size_t)(r * n0) * sizeof *q);
            memset(q + (r + n2) * n0, 0, (size_t)(r * n0) * sizeof *q);
            window_sums(q, work, size, n0, 2 * (int)r + 1);
            for (int64_t k = 0; k < n2; k++) {
                memcpy(s->t + c * s->count + k * s->plane + item * n0, q + k * n0, (size_t)n0 * sizeof *q);
            }
        }
    }
    return energy;
}

static void backward_plane(void *ctx, int64_t item, int worker)
{
    const Lncc *s = ctx;
    const int64_t row = padded_row(s), size = padded_plane(s);
    float *padded = s->buffers + worker * s->buffer, *work = padded + 3 * size;
    memset(padded, 0, (size_t)(3 * size) * sizeof *padded);
    for (int c = 0; c < 3; c++) {
        float *to = padded + c * size + s->radius[1] * row + s->radius[0];
        for (int64_t j = 0; j < s->n[1]; j++) {
            memcpy(to + j * row, s->t + c * s->count + item * s->plane + j * s->n[0], (size_t)s->n[0] * sizeof *to);
        }
        sum_plane(s, padded + c * size, work);
    }
    for (int64_t j = 0; j < s->n[1]; j++) {
        const int64_t at = item * s->plane + j * s->n[0];
        const float *restrict q1 = padded + j * row, *restrict q2 = q1 + size, *restrict q3 = q2 + size;
        const float *restrict x = s->image + at, *restrict y = s->warped + at, *restrict w = s->weight + at;
        float *restrict g = s->grad + at;
        if (!s->add) {
            memset(g, 0, (size_t)s->n[0] * sizeof *g);
        }
        for (int64_t i = 0; i < s->n[0]; i++) {
            g[i] = g[i] + s->scale * w[i] * (y[i] * q2[i] - x[i] * q1[i] + q3[i]);
        }
    }
}

static VslStatus make_lncc(Lncc *s, const VslField *image, const VslField *weight, const int radius[3], double eps)
{
    VslStatus st = VSL_OK;
    float *scratch = NULL;
    const int threads = vsl_backend_threads(image->be);
    memset(s, 0, sizeof *s);
    for (int d = 0; d < 3; d++) {
        s->n[d] = image->n[d];
        s->radius[d] = image->n[d] > 1 ? radius[d] : 0;
    }
    s->plane = s->n[0] * s->n[1];
    s->count = s->plane * s->n[2];
    s->image = image->data;
    s->weight = weight->data;
    s->eps = (float)eps;
    const int64_t column = (s->n[2] + 2 * s->radius[2]) * s->n[0] * 4 + s->n[0], slab = padded_plane(s) * 4;
    s->buffer = ((column > slab ? column : slab) + 15) / 16 * 16;
    VSL_TRY(vsl_backend_scratch(&scratch, image->be, threads * s->buffer + 2 * s->n[1] + 16));
    s->buffers = scratch;
    s->energy = (double *)(void *)(scratch + threads * s->buffer);
out:
    return st;
}

VslStatus reg_cpu_lncc_prepare(VslField *fixed, const VslField *image, const VslField *weight, const int radius[3],
                               double eps)
{
    VslStatus st = VSL_OK;
    Lncc s;
    const int threads = vsl_backend_threads(image->be);
    VSL_TRY(make_lncc(&s, image, weight, radius, eps));
    s.t = fixed->data;
    vsl_parallel_for(s.n[2], threads, forward_plane, &s);
    vsl_parallel_for(s.n[1], threads, prepare_row, &s);
out:
    return st;
}

VslStatus reg_cpu_lncc(double *energy, VslField *grad, const VslField *image, const VslField *warped,
                       const VslField *weight, const VslField *fixed, VslField *scratch, const int radius[3],
                       double eps, double scale, int add)
{
    VslStatus st = VSL_OK;
    Lncc s;
    const int threads = vsl_backend_threads(image->be);
    VSL_TRY(make_lncc(&s, image, weight, radius, eps));
    s.t = scratch->data;
    s.warped = warped->data;
    s.fixed = fixed->data;
    s.grad = grad ? grad->data : NULL;
    s.scale = (float)scale;
    s.add = add;
    vsl_parallel_for(s.n[2], threads, forward_plane, &s);
    *energy = vsl_parallel_sum(s.n[1], threads, correlation_row, &s, s.energy);
    if (grad) {
        vsl_parallel_for(s.n[2], threads, backward_plane, &s);
    }
out:
    return st;
}

static double ssd_plane(void *ctx, int64_t item, int worker)
{
    const Lncc *s = ctx;
    (void)worker;
    double energy = 0;
    for (int64_t i = item * s->plane, end = i + s->plane; i < end; i++) {
        const float d = s->warped[i] - s->image[i], wd = s->weight[i] * d;
        energy += 0.5 * (double)wd * (double)d;
        if (s->grad) {
            s->grad[i] = s->scale * wd;
        }
    }
    return energy;
}

VslStatus reg_cpu_ssd(double *energy, VslField *grad, const VslField *image, const VslField *warped,
                      const VslField *weight, double scale)
{
    VslStatus st = VSL_OK;
    Lncc s = {.n = {image->n[0], image->n[1], image->n[2]}};
    float *partial = NULL;
    VSL_TRY(vsl_backend_scratch(&partial, image->be, 2 * image->n[2]));
    s.plane = s.n[0] * s.n[1];
    s.image = image->data;
    s.warped = warped->data;
    s.weight = weight->data;
    s.grad = grad ? grad->data : NULL;
    s.scale = (float)scale;
    *energy = vsl_parallel_sum(s.n[2], vsl_backend_threads(image->be), ssd_plane, &s, (double *)(void *)partial);
out:
    return st;
}

typedef struct Product {
    float *out;
    const float *a, *b;
    float value;
    int64_t row;
} Product;

static void product_row(void *ctx, int64_t item, int worker)
{
    const Product *p = ctx;
    (void)worker;
    float *out = p->out + item * p->row;
    for (int64_t i = 0; i < p->row; i++) {
        out[i] = p->a ? p->a[item * p->row + i] * p->b[item * p->row + i] : p->value;
    }
}

VslStatus reg_cpu_fill(VslField *out, float value)
{
    Product p = {out->data, NULL, NULL, value, out->n[0] * out->n[1]};
    vsl_parallel_for(out->n[2] * out->channels, vsl_backend_threads(out->be), product_row, &p);
    return VSL_OK;
}

VslStatus reg_cpu_multiply(VslField *out, const VslField *a, const VslField *b)
{
    Product p = {out->data, a->data, b->data, 0, out->n[0] * out->n[1]};
    vsl_parallel_for(out->n[2] * out->channels, vsl_backend_threads(out->be), product_row, &p);
    return VSL_OK;
}
