/* CPU loops of linear alignment: slabs in parallel, sums per slab in double, added in order. */
#include <string.h>

#include "core/parallel.h"
#include "registration/kernels_cpu.h"
#include "registration/point_linear.h"

enum { MOMENTS = 12 };

typedef struct Warp {
    RegLinearImages images;
    int64_t n[3];
    double a[3][4]; /* fixed voxel -> moving voxel */
    double *met;    /* per slab */
} Warp;

static void warp_slab(void *ctx, int64_t k, int worker)
{
    (void)worker;
    const Warp *w = ctx;
    double met = 0;
    for (int64_t j = 0; j < w->n[1]; j++) {
        const int64_t row = (k * w->n[1] + j) * w->n[0];
        double start[3];
        for (int d = 0; d < 3; d++) {
            start[d] = w->a[d][1] * (double)j + w->a[d][2] * (double)k + w->a[d][3];
        }
        for (int64_t i = 0; i < w->n[0]; i++) {
            const float q[3] = {(float)(start[0] + w->a[0][0] * (double)i), (float)(start[1] + w->a[1][0] * (double)i),
                                (float)(start[2] + w->a[2][0] * (double)i)};
            met += reg_linear_voxel(&w->images, row + i, q);
        }
    }
    w->met[k] = met;
}

VslStatus reg_cpu_linear_warp(double *met, VslField *warped, VslField *weight, VslField *slope, const VslField *moving,
                              const VslField *moving_mask, const VslField *mask, const VslAffine *to_moving)
{
    VslStatus st = VSL_OK;
    const int64_t *n = warped->n, *m = moving->n;
    float *scratch = NULL;
    Warp w = {.images = {warped->data,
                         weight->data,
                         slope->data,
                         mask->data,
                         moving->data,
                         moving_mask ? moving_mask->data : NULL,
                         vsl_field_count(warped),
                         {m[0], m[1], m[2]}},
              .n = {n[0], n[1], n[2]}};
    VSL_TRY(vsl_backend_scratch(&scratch, warped->be, 2 * n[2]));
    w.met = (double *)(void *)scratch;
    memcpy(w.a, to_moving->m, sizeof w.a);
    vsl_parallel_for(n[2], vsl_backend_threads(warped->be), warp_slab, &w);
    *met = 0;
    for (int64_t k = 0; k < n[2]; k++) {
        *met += w.met[k];
    }
out:
    return st;
}

typedef struct Moments {
    const float *grad, *slope;
    int64_t n[3], voxels;
    double *sums; /* MOMENTS per slab */
} Moments;

static void moment_slab(void *ctx, int64_t k, int worker)
{
    (void)worker;
    const Moments *m = ctx;
    double *sums = m->sums + k * MOMENTS;
    memset(sums, 0, MOMENTS * sizeof *sums);
    for (int64_t j = 0; j < m->n[1]; j++) {
        const int64_t row = (k * m->n[1] + j) * m->n[0];
        const float *g = m->grad + row;
        for (int d = 0; d < 3; d++) {
            const float *slope = m->slope + d * m->voxels + row;
            double s = 0, si = 0;
            for (int64_t i = 0; i < m->n[0]; i++) {
                const double f = (double)(g[i] * slope[i]);
                s += f;
                si += f * (double)i;
            }
            sums[d * 4] += si;
            sums[d * 4 + 1] += s * (double)j;
            sums[d * 4 + 2] += s * (double)k;
            sums[d * 4 + 3] += s;
        }
    }
}

VslStatus reg_cpu_linear_moments(double moment[3][4], const VslField *grad, const VslField *slope)
{
    VslStatus st = VSL_OK;
    const int64_t *n = grad->n;
    float *scratch = NULL;
    Moments m = {grad->data, slope->data, {n[0], n[1], n[2]}, vsl_field_count(grad), NULL};
    VSL_TRY(vsl_backend_scratch(&scratch, grad->be, 2 * MOMENTS * n[2]));
    m.sums = (double *)(void *)scratch;
    vsl_parallel_for(n[2], vsl_backend_threads(grad->be), moment_slab, &m);
    for (int e = 0; e < MOMENTS; e++) {
        double sum = 0;
        for (int64_t k = 0; k < n[2]; k++) {
            sum += m.sums[k * MOMENTS + e];
        }
        moment[e / 4][e % 4] = sum;
    }
out:
    return st;
}
