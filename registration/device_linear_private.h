/* Device loops of linear alignment. One thread is one part of a sum and the voxels that belong to it.
 * Common subset of C17 and CUDA C++; core/device_reduce_private.h says how it is launched. */
#ifndef VSL_REGISTRATION_DEVICE_LINEAR_PRIVATE_H
#define VSL_REGISTRATION_DEVICE_LINEAR_PRIVATE_H

#include <string.h>

#include "core/device_reduce_private.h"
#include "registration/kernels_cuda.h"
#include "registration/point_linear.h"

typedef struct RegLinearArgs {
    RegLinearImages images;
    const float *grad;
    int64_t n[3], parts;
    double a[3][4]; /* fixed voxel -> moving voxel */
    double *partial;
} RegLinearArgs;

VSL_BODY void reg_linear_warp_part(const RegLinearArgs *w, int64_t part)
{
    double met = 0;
    for (int64_t at = part; at < w->images.voxels; at += w->parts) {
        const double i = (double)(at % w->n[0]), j = (double)(at / w->n[0] % w->n[1]),
                     k = (double)(at / (w->n[0] * w->n[1]));
        float q[3];
        for (int d = 0; d < 3; d++) {
            q[d] = (float)(w->a[d][1] * j + w->a[d][2] * k + w->a[d][3] + w->a[d][0] * i);
        }
        met += reg_linear_voxel(&w->images, at, q);
    }
    w->partial[part] = met;
}
VSL_KERNEL(reg_linear_warp_part, RegLinearArgs)

VslStatus reg_device_linear_warp(double *met, VslField *warped, VslField *weight, VslField *slope,
                                 const VslField *moving, const VslField *moving_mask, const VslField *mask,
                                 const VslAffine *to_moving)
{
    VslStatus st = VSL_OK;
    float *scratch = NULL;
    RegLinearArgs w;
    memset(&w, 0, sizeof w);
    w.images.warped = warped->data;
    w.images.weight = weight->data;
    w.images.slope = slope->data;
    w.images.mask = mask->data;
    w.images.moving = moving->data;
    w.images.moving_mask = moving_mask ? moving_mask->data : NULL;
    w.images.voxels = vsl_field_count(warped);
    memcpy(w.images.moving_n, moving->n, sizeof w.images.moving_n);
    memcpy(w.n, warped->n, sizeof w.n);
    memcpy(w.a, to_moving->m, sizeof w.a);
    w.parts = vsl_device_parts(w.images.voxels);
    VSL_TRY(vsl_backend_scratch(&scratch, warped->be, vsl_device_reduce_floats(w.parts, 1)));
    w.partial = (double *)(void *)scratch;
    VSL_TRY(reg_linear_warp_part_launch(warped->be, w, w.parts));
    VSL_TRY(vsl_device_reduce(met, warped->be, w.partial, w.parts, 1, VSL_REDUCE_SUM));
out:
    return st;
}

/* partial[(4 d + c) parts + part] = the part's sum of grad slope_d (i, j, k, 1)_c */
VSL_BODY void reg_linear_moment_part(const RegLinearArgs *w, int64_t part)
{
    double sums[12];
    for (int e = 0; e < 12; e++) {
        sums[e] = 0;
    }
    for (int64_t at = part; at < w->images.voxels; at += w->parts) {
        const double i = (double)(at % w->n[0]), j = (double)(at / w->n[0] % w->n[1]),
                     k = (double)(at / (w->n[0] * w->n[1]));
        for (int d = 0; d < 3; d++) {
            const double f = (double)(w->grad[at] * w->images.slope[d * w->images.voxels + at]);
            sums[4 * d] += f * i;
            sums[4 * d + 1] += f * j;
            sums[4 * d + 2] += f * k;
            sums[4 * d + 3] += f;
        }
    }
    for (int e = 0; e < 12; e++) {
        w->partial[e * w->parts + part] = sums[e];
    }
}
VSL_KERNEL(reg_linear_moment_part, RegLinearArgs)

VslStatus reg_device_linear_moments(double moment[3][4], const VslField *grad, const VslField *slope)
{
    VslStatus st = VSL_OK;
    float *scratch = NULL;
    RegLinearArgs w;
    memset(&w, 0, sizeof w);
    w.grad = grad->data;
    w.images.slope = slope->data;
    w.images.voxels = vsl_field_count(grad);
    memcpy(w.n, grad->n, sizeof w.n);
    w.parts = vsl_device_parts((w.images.voxels + 7) / 8); /* twelve sums of fewer voxels would be mostly sums */
    VSL_TRY(vsl_backend_scratch(&scratch, grad->be, vsl_device_reduce_floats(w.parts, 12)));
    w.partial = (double *)(void *)scratch;
    VSL_TRY(reg_linear_moment_part_launch(grad->be, w, w.parts));
    VSL_TRY(vsl_device_reduce(&moment[0][0], grad->be, w.partial, w.parts, 12, VSL_REDUCE_SUM));
out:
    return st;
}

#endif
