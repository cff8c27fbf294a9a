/* CPU loops on the periodic band grid: EPDiff, its transpose, bounds. One item is one row of voxels. */
#include "core/parallel.h"
#include "registration/kernels_cpu.h"
#include "registration/point.h"

typedef struct Band {
    int32_t nx, ny, nz;
    int64_t plane;
    float r[3]; /* 1 / (2 h) */
    const float *m, *v, *a, *base, *lambda, *direct_in, *smooth_in;
    float *next, *sum, *direct, *smooth, *a_out;
    float c, w;
    float *rows; /* scratch: 3 rows per worker */
    double *row_max;
} Band;

static Band make_band(const VslField *f, const double h[3])
{
    Band b = {.nx = (int32_t)f->n[0], .ny = (int32_t)f->n[1], .nz = (int32_t)f->n[2]};
    b.plane = f->n[0] * f->n[1] * f->n[2];
    for (int d = 0; d < 3; d++) {
        b.r[d] = f->n[d] > 1 ? (float)(0.5 / h[d]) : 0.0f; /* a flat axis has no derivative */
    }
    return b;
}

/* Stencil of the row's first voxel with wrapped y and z neighbours; x neighbours are set per voxel. */
static RegStencil row_stencil(const Band *b, int64_t item)
{
    const int32_t j = (int32_t)(item % b->ny), k = (int32_t)(item / b->ny), nx = b->nx, slab = b->nx * b->ny;
    RegStencil s = {.rx = b->r[0], .ry = b->r[1], .rz = b->r[2]};
    s.c = k * slab + j * nx;
    s.ym = k * slab + (j > 0 ? j - 1 : b->ny - 1) * nx;
    s.yp = k * slab + (j + 1 < b->ny ? j + 1 : 0) * nx;
    s.zm = (k > 0 ? k - 1 : b->nz - 1) * slab + j * nx;
    s.zp = (k + 1 < b->nz ? k + 1 : 0) * slab + j * nx;
    return s;
}

VSL_HD RegStencil stencil_at(RegStencil row, int32_t i, int32_t im, int32_t ip)
{
    RegStencil s = row;
    s.xm = row.c + im;
    s.xp = row.c + ip;
    s.c += i;
    s.ym += i;
    s.yp += i;
    s.zm += i;
    s.zp += i;
    return s;
}

/* Row of the transport term, (Du)^T m + div(m (x) u), into three rows of `out`. The interior loop has no wrap-around,
 * so that it vectorizes; the pragma says that rows of `out` never overlap the inputs. */
static void transport_row(float *out, const Band *b, RegStencil row, const float *m, const float *u)
{
    const int32_t nx = b->nx;
    const int64_t plane = b->plane;
    float *ox = out, *oy = out + nx, *oz = out + 2 * nx;
    VSL_INDEPENDENT
    for (int32_t i = 1; i < nx - 1; i++) {
        const RegVec3 t = reg_transport(m, u, plane, stencil_at(row, i, i - 1, i + 1));
        ox[i] = t.x;
        oy[i] = t.y;
        oz[i] = t.z;
    }
    for (int32_t i = 0; i<nx; i += nx> 1 ? nx - 1 : 1) {
        const RegVec3 t =
            reg_transport(m, u, plane, stencil_at(row, i, i > 0 ? i - 1 : nx - 1, i + 1 < nx ? i + 1 : 0));
        ox[i] = t.x;
        oy[i] = t.y;
        oz[i] = t.z;
    }
}

/* y = base + a x along one row. */
static void add_row(float *restrict y, const float *restrict base, float a, const float *restrict x, int32_t n)
{
    for (int32_t i = 0; i < n; i++) {
        y[i] = base[i] + a * x[i];
    }
}

static void epdiff_row(void *ctx, int64_t item, int worker)
{
    const Band *b = ctx;
    const RegStencil row = row_stencil(b, item);
    float *t = b->rows + (int64_t)worker * 3 * b->nx;
    transport_row(t, b, row, b->m, b->v);
    for (int c = 0; c < 3; c++) {
        const int64_t at = row.c + c * b->plane;
        if (b->next) {
            add_row(b->next + at, b->base + at, -b->c, t + c * b->nx, b->nx);
        }
        if (b->sum) {
            float *restrict sum = b->sum + at;
            for (int32_t i = 0; i < b->nx; i++) {
                sum[i] -= b->w * t[c * b->nx + i];
            }
        }
    }
}

VslStatus reg_cpu_epdiff(VslField *next, const VslField *base, double c, VslField *sum, double w, const VslField *m,
                         const VslField *v, const double h[3])
{
    VslStatus st = VSL_OK;
    Band b = make_band(m, h);
    VSL_TRY(vsl_backend_scratch(&b.rows, m->be, 3 * m->n[0] * vsl_backend_threads(m->be)));
    b.m = m->data;
    b.v = v->data;
    b.next = next ? next->data : NULL;
    b.base = base ? base->data : NULL;
    b.sum = sum ? sum->data : NULL;
    b.c = (float)c;
    b.w = (float)w;
    vsl_parallel_for((int64_t)b.ny * b.nz, vsl_backend_threads(m->be), epdiff_row, &b);
out:
    return st;
}

VSL_HD void direct_voxel(float *direct, const float *v, const float *a, int64_t p, RegStencil s)
{
    const int64_t i = s.c;
    const RegVec3 av = {a[i], a[i + p], a[i + 2 * p]}, vv = {v[i], v[i + p], v[i + 2 * p]};
    direct[i] = reg_directional(a, vv, s) - reg_directional(v, av, s);
    direct[i + p] = reg_directional(a + p, vv, s) - reg_directional(v + p, av, s);
    direct[i + 2 * p] = reg_directional(a + 2 * p, vv, s) - reg_directional(v + 2 * p, av, s);
}

static void adjoint_row(void *ctx, int64_t item, int worker)
{
    const Band *b = ctx;
    const RegStencil row = row_stencil(b, item);
    const int32_t nx = b->nx;
    const int64_t plane = b->plane;
    const float *v = b->v, *a = b->a;
    float *t = b->rows + (int64_t)worker * 3 * nx, *direct = b->direct;
    transport_row(t, b, row, b->m, a);
    for (int c = 0; c < 3; c++) {
        float *restrict smooth = b->smooth + row.c + c * plane;
        for (int32_t i = 0; i < nx; i++) {
            smooth[i] += t[c * nx + i];
        }
    }
    VSL_INDEPENDENT
    for (int32_t i = 1; i < nx - 1; i++) {
        direct_voxel(direct, v, a, plane, stencil_at(row, i, i - 1, i + 1));
    }
    for (int32_t i = 0; i<nx; i += nx> 1 ? nx - 1 : 1) {
        direct_voxel(direct, v, a, plane, stencil_at(row, i, i > 0 ? i - 1 : nx - 1, i + 1 < nx ? i + 1 : 0));
    }
}

VslStatus reg_cpu_epdiff_adjoint(VslField *direct, VslField *smooth, const VslField *m, const VslField *v,
                                 const VslField *a, const double h[3])
{
    VslStatus st = VSL_OK;
    Band b = make_band(m, h);
    VSL_TRY(vsl_backend_scratch(&b.rows, m->be, 3 * m->n[0] * vsl_backend_threads(m->be)));
    b.m = m->data;
    b.v = v->data;
    b.a = a->data;
    b.direct = direct->data;
    b.smooth = smooth->data;
    vsl_parallel_for((int64_t)b.ny * b.nz, vsl_backend_threads(m->be), adjoint_row, &b);
out:
    return st;
}

static void stage_row(void *ctx, int64_t item, int worker)
{
    const Band *b = ctx;
    (void)worker;
    const float *restrict direct = b->direct_in, *restrict smooth = b->smooth_in, *restrict lambda = b->lambda;
    float *restrict sum = b->sum, *restrict a = b->a_out;
    for (int64_t i = item * b->nx, end = i + b->nx; i < end; i++) {
        const float g = direct[i] + smooth[i];
        sum[i] += g;
        if (a) {
            a[i] = b->c * lambda[i] + b->w * g;
        }
    }
}

VslStatus reg_cpu_stage_adjoint(VslField *a, VslField *sum, const VslField *direct, const VslField *smooth,
                                const VslField *lambda, double c1, double c2)
{
    const double unit[3] = {1, 1, 1};
    Band b = make_band(sum, unit);
    b.a_out = a ? a->data : NULL;
    b.sum = sum->data;
    b.direct_in = direct->data;
    b.smooth_in = smooth->data;
    b.lambda = lambda->data;
    b.c = (float)c1;
    b.w = (float)c2;
    vsl_parallel_for(3 * (int64_t)b.ny * b.nz, vsl_backend_threads(sum->be), stage_row, &b);
    return VSL_OK;
}

/* The larger of two, or NaN when one is: a field that is not finite must not look small. */
static float larger(float a, float b)
{
    return a >= b || a != a ? a : b;
}

static void bounds_row(void *ctx, int64_t item, int worker)
{
    const Band *b = ctx;
    (void)worker;
    const RegStencil row = row_stencil(b, item);
    float speed = 0, slope = 0;
    for (int32_t i = 0; i < b->nx; i++) {
        const RegStencil s = stencil_at(row, i, i > 0 ? i - 1 : b->nx - 1, i + 1 < b->nx ? i + 1 : 0);
        for (int c = 0; c < 3; c++) {
            const float *v = b->v + c * b->plane;
            const float magnitude = fabsf(v[s.c]);
            const float sum = fabsf(s.rx * (v[s.xp] - v[s.xm])) + fabsf(s.ry * (v[s.yp] - v[s.ym])) +
                              fabsf(s.rz * (v[s.zp] - v[s.zm]));
            speed = larger(speed, magnitude);
            slope = larger(slope, sum);
        }
    }
    b->row_max[2 * item] = speed;
    b->row_max[2 * item + 1] = slope;
}

VslStatus reg_cpu_velocity_bounds(double *max_speed, double *max_slope, const VslField *v, const double h[3])
{
    VslStatus st = VSL_OK;
    Band b = make_band(v, h);
    const int64_t rows = (int64_t)b.ny * b.nz;
    float *scratch = NULL;
    b.v = v->data;
    VSL_TRY(vsl_backend_scratch(&scratch, v->be, 4 * rows));
    b.row_max = (double *)(void *)scratch; /* scratch is 64-byte aligned */
    vsl_parallel_for(rows, vsl_backend_threads(v->be), bounds_row, &b);
    float speed = 0, slope = 0;
    for (int64_t i = 0; i < rows; i++) {
        speed = larger(speed, (float)b.row_max[2 * i]);
        slope = larger(slope, (float)b.row_max[2 * i + 1]);
    }
    *max_speed = (double)speed;
    *max_slope = (double)slope;
out:
    return st;
}

const RegKernels reg_kernels_cpu = {
    .epdiff = reg_cpu_epdiff,
    .epdiff_adjoint = reg_cpu_epdiff_adjoint,
    .stage_adjoint = reg_cpu_stage_adjoint,
    .particles_start = reg_cpu_particles_start,
    .particles_step = reg_cpu_particles_step,
    .particles_adjoint = reg_cpu_particles_adjoint,
    .warp = reg_cpu_warp,
    .warp_mask = reg_cpu_warp_mask,
    .restrict_force = reg_cpu_restrict_force,
    .volume_penalty = reg_cpu_volume_penalty,
    .lncc_prepare = reg_cpu_lncc_prepare,
    .lncc = reg_cpu_lncc,
    .ssd = reg_cpu_ssd,
    .linear_warp = reg_cpu_linear_warp,
    .linear_moments = reg_cpu_linear_moments,
    .mi_count = reg_cpu_mi_count,
    .mi_derive = reg_cpu_mi_derive,
    .fill = reg_cpu_fill,
    .multiply = reg_cpu_multiply,
    .velocity_bounds = reg_cpu_velocity_bounds,
};
