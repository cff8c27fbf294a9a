/* Device loops of the similarities. One thread is one voxel, or one part of a sum.
 *
 * LNCC: window sums of wJ, wJ^2, wIJ, one axis a pass, each a plain sum over the window of what caches hold; the last
 * axis is summed where its result is used, so that three passes go in (i with the products, j, k with the correlation)
 * and three come back (i, j, k with the derivative).
 * Common subset of C17 and CUDA C++; core/device_reduce_private.h says how it is launched. */
#ifndef VSL_REGISTRATION_DEVICE_SIMILARITY_PRIVATE_H
#define VSL_REGISTRATION_DEVICE_SIMILARITY_PRIVATE_H

#include <string.h>

#include "core/device_reduce_private.h"
#include "registration/kernels_cuda.h"
#include "registration/point.h"

typedef struct RegLnccArgs {
    int64_t n[3], plane, count; /* plane: of one k; count: voxels */
    int64_t stride;             /* of the axis summed along */
    int axis, radius[3];
    const float *image, *warped, *weight, *fixed;
    const float *from; /* 3 planes of sums */
    float *to, *grad;
    double *partial;
    int64_t parts;
    float eps, scale, value;
    int add; /* the derivative is added to what grad held */
} RegLnccArgs;

/* First and last voxel of the window along axis d about position p. */
VSL_BODY void reg_window(int64_t *low, int64_t *high, const RegLnccArgs *s, int d, int64_t p)
{
    *low = p - s->radius[d] > 0 ? p - s->radius[d] : 0;
    *high = p + s->radius[d] < s->n[d] - 1 ? p + s->radius[d] : s->n[d] - 1;
}

/* Window sums along i of (wJ, wJ^2, wIJ), or without J of (w, wI, wI^2). */
VSL_BODY void reg_lncc_products(const RegLnccArgs *s, int64_t q)
{
    const int64_t row = q - q % s->n[0];
    int64_t low, high;
    float a = 0, b = 0, c = 0;
    reg_window(&low, &high, s, 0, q - row);
    for (int64_t i = row + low; i <= row + high; i++) {
        const float w = s->weight[i], x = s->image[i];
        if (s->warped) {
            const float y = s->warped[i], wy = w * y;
            a += wy;
            b += wy * y;
            c += wy * x;
        } else {
            a += w;
            b += w * x;
            c += w * x * x;
        }
    }
    s->to[q] = a;
    s->to[q + s->count] = b;
    s->to[q + 2 * s->count] = c;
}
VSL_KERNEL(reg_lncc_products, RegLnccArgs)

/* Window sum of one plane of `from` along the axis. */
VSL_BODY float reg_window_sum(const RegLnccArgs *s, const float *from, int d, int64_t stride, int64_t q)
{
    const int64_t p = q / stride % s->n[d];
    int64_t low, high;
    float sum = 0;
    reg_window(&low, &high, s, d, p);
    from += q - p * stride;
    for (int64_t i = low; i <= high; i++) {
        sum += from[i * stride];
    }
    return sum;
}

/* thread = value of the three planes */
VSL_BODY void reg_lncc_box(const RegLnccArgs *s, int64_t thread)
{
    const int64_t q = thread % s->count;
    s->to[thread] = reg_window_sum(s, s->from + (thread - q), s->axis, s->stride, q);
}
VSL_KERNEL(reg_lncc_box, RegLnccArgs)

VSL_BODY void reg_lncc_moments(const RegLnccArgs *s, int64_t q)
{
    const int64_t n = s->count;
    const float sw = reg_window_sum(s, s->from, 2, s->plane, q), sx = reg_window_sum(s, s->from + n, 2, s->plane, q),
                sxx = reg_window_sum(s, s->from + 2 * n, 2, s->plane, q);
    const float inv = sw > 1e-6f ? 1.0f / sw : 0.0f, m = sx * inv, v = sxx * inv - m * m;
    s->to[q] = m;
    s->to[q + n] = (v > 0 ? v : 0) + s->eps;
    s->to[q + 2 * n] = inv;
}
VSL_KERNEL(reg_lncc_moments, RegLnccArgs)

VSL_BODY void reg_lncc_correlation(const RegLnccArgs *s, int64_t part)
{
    const int64_t n = s->count;
    double energy = 0;
    for (int64_t q = part; q < n; q += s->parts) {
        const float mean = s->fixed[q], variance = s->fixed[q + n], inverse = s->fixed[q + 2 * n], w = s->weight[q];
        const float my = reg_window_sum(s, s->from, 2, s->plane, q) * inverse,
                    vy = reg_window_sum(s, s->from + n, 2, s->plane, q) * inverse - my * my,
                    covariance = reg_window_sum(s, s->from + 2 * n, 2, s->plane, q) * inverse - mean * my;
        const RegLncc t = reg_lncc_terms(covariance, variance, (vy > 0 ? vy : 0) + s->eps);
        energy += (double)(w * t.e);
        if (s->grad) {
            const float wn = w * inverse, a = wn * t.p, b = wn * t.q;
            s->to[q] = a;
            s->to[q + n] = b;
            s->to[q + 2 * n] = a * mean - b * my;
        }
    }
    s->partial[part] = energy;
}
VSL_KERNEL(reg_lncc_correlation, RegLnccArgs)

VSL_BODY void reg_lncc_derivative(const RegLnccArgs *s, int64_t q)
{
    const int64_t n = s->count;
    const float a = reg_window_sum(s, s->from, 2, s->plane, q), b = reg_window_sum(s, s->from + n, 2, s->plane, q),
                c = reg_window_sum(s, s->from + 2 * n, 2, s->plane, q);
    s->grad[q] = (s->add ? s->grad[q] : 0) + s->scale * s->weight[q] * (s->warped[q] * b - s->image[q] * a + c);
}
VSL_KERNEL(reg_lncc_derivative, RegLnccArgs)

static RegLnccArgs reg_lncc_args(const VslField *image, const VslField *weight, const int radius[3], double eps)
{
    RegLnccArgs s;
    memset(&s, 0, sizeof s);
    for (int d = 0; d < 3; d++) {
        s.n[d] = image->n[d];
        s.radius[d] = image->n[d] > 1 ? radius[d] : 0;
    }
    s.plane = s.n[0] * s.n[1];
    s.count = s.plane * s.n[2];
    s.image = image->data;
    s.weight = weight->data;
    s.eps = (float)eps;
    return s;
}

/* Sums three planes along one axis. */
static VslStatus reg_lncc_sum(VslBackend *be, RegLnccArgs s, float *to, const float *from, int axis)
{
    s.axis = axis;
    s.stride = axis == 0 ? 1 : s.n[0];
    s.to = to;
    s.from = from;
    return reg_lncc_box_launch(be, s, 3 * s.count);
}

VslStatus reg_device_lncc_prepare(VslField *fixed, const VslField *image, const VslField *weight, const int radius[3],
                                  double eps)
{
    VslStatus st = VSL_OK;
    VslBackend *be = image->be;
    RegLnccArgs s = reg_lncc_args(image, weight, radius, eps);
    float *other = NULL;
    VSL_TRY(vsl_backend_scratch(&other, be, 3 * s.count));
    s.to = fixed->data;
    VSL_TRY(reg_lncc_products_launch(be, s, s.count));
    VSL_TRY(reg_lncc_sum(be, s, other, fixed->data, 1));
    s.from = other;
    VSL_TRY(reg_lncc_moments_launch(be, s, s.count));
out:
    return st;
}

VslStatus reg_device_lncc(double *energy, VslField *grad, const VslField *image, const VslField *warped,
                          const VslField *weight, const VslField *fixed, VslField *scratch, const int radius[3],
                          double eps, double scale, int add)
{
    VslStatus st = VSL_OK;
    VslBackend *be = image->be;
    RegLnccArgs s = reg_lncc_args(image, weight, radius, eps);
    float *t = scratch->data, *other = NULL, *memory = NULL;
    s.parts = vsl_device_parts(s.count);
    VSL_TRY(vsl_backend_scratch(&memory, be, vsl_device_reduce_floats(s.parts, 1) + 3 * s.count));
    s.partial = (double *)(void *)memory;
    other = memory + vsl_device_reduce_floats(s.parts, 1);
    s.warped = warped->data;
    s.fixed = fixed->data;
    s.add = add;
    s.grad = grad ? grad->data : NULL;
    s.scale = (float)scale;
    s.to = t;
    VSL_TRY(reg_lncc_products_launch(be, s, s.count));
    VSL_TRY(reg_lncc_sum(be, s, other, t, 1));
    s.from = other;
    s.to = t;
    VSL_TRY(reg_lncc_correlation_launch(be, s, s.parts));
    if (grad) {
        VSL_TRY(reg_lncc_sum(be, s, other, t, 0));
        VSL_TRY(reg_lncc_sum(be, s, t, other, 1));
        s.from = t;
        VSL_TRY(reg_lncc_derivative_launch(be, s, s.count));
    }
    VSL_TRY(vsl_device_reduce(energy, be, s.partial, s.parts, 1, VSL_REDUCE_SUM));
out:
    return st;
}

VSL_BODY void reg_ssd_part(const RegLnccArgs *s, int64_t part)
{
    double energy = 0;
    for (int64_t i = part; i < s->count; i += s->parts) {
        const float d = s->warped[i] - s->image[i], wd = s->weight[i] * d;
        energy += 0.5 * (double)wd * (double)d;
        if (s->grad) {
            s->grad[i] = s->scale * wd;
        }
    }
    s->partial[part] = energy;
}
VSL_KERNEL(reg_ssd_part, RegLnccArgs)

VslStatus reg_device_ssd(double *energy, VslField *grad, const VslField *image, const VslField *warped,
                         const VslField *weight, double scale)
{
    VslStatus st = VSL_OK;
    const int none[3] = {0, 0, 0};
    RegLnccArgs s = reg_lncc_args(image, weight, none, 0);
    float *scratch = NULL;
    s.parts = vsl_device_parts(s.count);
    VSL_TRY(vsl_backend_scratch(&scratch, image->be, vsl_device_reduce_floats(s.parts, 1)));
    s.partial = (double *)(void *)scratch;
    s.warped = warped->data;
    s.grad = grad ? grad->data : NULL;
    s.scale = (float)scale;
    VSL_TRY(reg_ssd_part_launch(image->be, s, s.parts));
    VSL_TRY(vsl_device_reduce(energy, image->be, s.partial, s.parts, 1, VSL_REDUCE_SUM));
out:
    return st;
}

VSL_BODY void reg_product_value(const RegLnccArgs *s, int64_t i)
{
    s->to[i] = s->image ? s->image[i] * s->weight[i] : s->value;
}
VSL_KERNEL(reg_product_value, RegLnccArgs)

VslStatus reg_device_fill(VslField *out, float value)
{
    RegLnccArgs s;
    memset(&s, 0, sizeof s);
    s.to = out->data;
    s.value = value;
    return reg_product_value_launch(out->be, s, vsl_field_count(out));
}

VslStatus reg_device_multiply(VslField *out, const VslField *a, const VslField *b)
{
    RegLnccArgs s;
    memset(&s, 0, sizeof s);
    s.to = out->data;
    s.image = a->data;
    s.weight = b->data;
    return reg_product_value_launch(out->be, s, vsl_field_count(out));
}

#endif
