/* Device loops on the periodic band grid: EPDiff, its transpose, bounds. One thread is one voxel.
 * Common subset of C17 and CUDA C++; core/device_reduce_private.h says how it is launched. */
#ifndef VSL_REGISTRATION_DEVICE_BAND_PRIVATE_H
#define VSL_REGISTRATION_DEVICE_BAND_PRIVATE_H

#include <string.h>

#include "core/device_reduce_private.h"
#include "registration/kernels_cuda.h"
#include "registration/point.h"

typedef struct RegBandArgs {
    int32_t nx, ny, nz;
    int64_t plane;
    float rx, ry, rz; /* 1 / (2 h) */
    const float *m, *v, *a, *base, *lambda, *direct_in, *smooth_in;
    float *next, *sum, *direct, *smooth, *a_out;
    float c, w;
    double *partial; /* two sets: speed, slope */
    int64_t parts;
} RegBandArgs;

static RegBandArgs reg_band_args(const VslField *f, const double h[3])
{
    RegBandArgs b;
    memset(&b, 0, sizeof b);
    b.nx = (int32_t)f->n[0];
    b.ny = (int32_t)f->n[1];
    b.nz = (int32_t)f->n[2];
    b.plane = f->n[0] * f->n[1] * f->n[2];
    b.rx = f->n[0] > 1 ? (float)(0.5 / h[0]) : 0.0f; /* a flat axis has no derivative */
    b.ry = f->n[1] > 1 ? (float)(0.5 / h[1]) : 0.0f;
    b.rz = f->n[2] > 1 ? (float)(0.5 / h[2]) : 0.0f;
    return b;
}

VSL_BODY RegStencil reg_band_stencil(const RegBandArgs *b, int64_t voxel)
{
    const int32_t q = (int32_t)voxel, nx = b->nx, slab = b->nx * b->ny, i = q % nx, j = q / nx % b->ny, k = q / slab;
    RegStencil s;
    s.c = q;
    s.xm = i > 0 ? q - 1 : q + nx - 1;
    s.xp = i + 1 < nx ? q + 1 : q - i;
    s.ym = j > 0 ? q - nx : q + slab - nx;
    s.yp = j + 1 < b->ny ? q + nx : q - j * nx;
    s.zm = k > 0 ? q - slab : q + (b->nz - 1) * slab;
    s.zp = k + 1 < b->nz ? q + slab : q - k * slab;
    s.rx = b->rx;
    s.ry = b->ry;
    s.rz = b->rz;
    return s;
}

VSL_BODY void reg_epdiff_voxel(const RegBandArgs *b, int64_t voxel)
{
    const RegVec3 t = reg_transport(b->m, b->v, b->plane, reg_band_stencil(b, voxel));
    const int64_t x = voxel, y = x + b->plane, z = y + b->plane;
    if (b->next) {
        b->next[x] = b->base[x] - b->c * t.x;
        b->next[y] = b->base[y] - b->c * t.y;
        b->next[z] = b->base[z] - b->c * t.z;
    }
    if (b->sum) {
        b->sum[x] -= b->w * t.x;
        b->sum[y] -= b->w * t.y;
        b->sum[z] -= b->w * t.z;
    }
}
VSL_KERNEL(reg_epdiff_voxel, RegBandArgs)

VslStatus reg_device_epdiff(VslField *next, const VslField *base, double c, VslField *sum, double w, const VslField *m,
                            const VslField *v, const double h[3])
{
    RegBandArgs b = reg_band_args(m, h);
    b.m = m->data;
    b.v = v->data;
    b.next = next ? next->data : NULL;
    b.base = base ? base->data : NULL;
    b.sum = sum ? sum->data : NULL;
    b.c = (float)c;
    b.w = (float)w;
    return reg_epdiff_voxel_launch(m->be, b, b.plane);
}

VSL_BODY void reg_epdiff_adjoint_voxel(const RegBandArgs *b, int64_t voxel)
{
    const RegStencil s = reg_band_stencil(b, voxel);
    const int64_t p = b->plane, x = voxel, y = x + p, z = y + p;
    const float *v = b->v, *a = b->a;
    const RegVec3 t = reg_transport(b->m, a, p, s);
    RegVec3 av, vv;
    av.x = a[x];
    av.y = a[y];
    av.z = a[z];
    vv.x = v[x];
    vv.y = v[y];
    vv.z = v[z];
    b->smooth[x] += t.x;
    b->smooth[y] += t.y;
    b->smooth[z] += t.z;
    b->direct[x] = reg_directional(a, vv, s) - reg_directional(v, av, s);
    b->direct[y] = reg_directional(a + p, vv, s) - reg_directional(v + p, av, s);
    b->direct[z] = reg_directional(a + 2 * p, vv, s) - reg_directional(v + 2 * p, av, s);
}
VSL_KERNEL(reg_epdiff_adjoint_voxel, RegBandArgs)

VslStatus reg_device_epdiff_adjoint(VslField *direct, VslField *smooth, const VslField *m, const VslField *v,
                                    const VslField *a, const double h[3])
{
    RegBandArgs b = reg_band_args(m, h);
    b.m = m->data;
    b.v = v->data;
    b.a = a->data;
    b.direct = direct->data;
    b.smooth = smooth->data;
    return reg_epdiff_adjoint_voxel_launch(m->be, b, b.plane);
}

VSL_BODY void reg_stage_value(const RegBandArgs *b, int64_t i)
{
    const float g = b->direct_in[i] + b->smooth_in[i];
    b->sum[i] += g;
    if (b->a_out) {
        b->a_out[i] = b->c * b->lambda[i] + b->w * g;
    }
}
VSL_KERNEL(reg_stage_value, RegBandArgs)

VslStatus reg_device_stage_adjoint(VslField *a, VslField *sum, const VslField *direct, const VslField *smooth,
                                   const VslField *lambda, double c1, double c2)
{
    const double unit[3] = {1, 1, 1};
    RegBandArgs b = reg_band_args(sum, unit);
    b.a_out = a ? a->data : NULL;
    b.sum = sum->data;
    b.direct_in = direct->data;
    b.smooth_in = smooth->data;
    b.lambda = lambda->data;
    b.c = (float)c1;
    b.w = (float)c2;
    return reg_stage_value_launch(sum->be, b, 3 * b.plane);
}

VSL_BODY void reg_bounds_part(const RegBandArgs *b, int64_t part)
{
    double speed = 0, slope = 0;
    for (int64_t q = part; q < b->plane; q += b->parts) {
        const RegStencil s = reg_band_stencil(b, q);
        for (int c = 0; c < 3; c++) {
            const float *v = b->v + c * b->plane;
            speed = vsl_larger(speed, (double)fabsf(v[s.c]));
            slope = vsl_larger(slope, (double)(fabsf(s.rx * (v[s.xp] - v[s.xm])) + fabsf(s.ry * (v[s.yp] - v[s.ym])) +
                                               fabsf(s.rz * (v[s.zp] - v[s.zm]))));
        }
    }
    b->partial[part] = speed;
    b->partial[part + b->parts] = slope;
}
VSL_KERNEL(reg_bounds_part, RegBandArgs)

VslStatus reg_device_velocity_bounds(double *max_speed, double *max_slope, const VslField *v, const double h[3])
{
    VslStatus st = VSL_OK;
    RegBandArgs b = reg_band_args(v, h);
    float *scratch = NULL;
    double largest[2];
    b.v = v->data;
    b.parts = vsl_device_parts(b.plane);
    VSL_TRY(vsl_backend_scratch(&scratch, v->be, vsl_device_reduce_floats(b.parts, 2)));
    b.partial = (double *)(void *)scratch;
    VSL_TRY(reg_bounds_part_launch(v->be, b, b.parts));
    VSL_TRY(vsl_device_reduce(largest, v->be, b.partial, b.parts, 2, VSL_REDUCE_LARGEST));
    *max_speed = largest[0];
    *max_slope = largest[1];
out:
    return st;
}

#endif
