/* CPU loops over particles: tracking through the velocities and its transpose.
 *
 * A sample needs the three components at eight corners, so the two velocities of a step are first interleaved as x, y,
 * z, 0: one 16-byte load a corner, and the three components are interpolated in one vector.
 *
 * The transpose scatters into the band grid. Lattice planes go in groups of GROUP, whatever the number of threads; a
 * group adds into its own slab of band planes, as thick as its particles reach, and the slabs are added in group order.
 * So sums have one order and threads never meet. */
#include <string.h>

#include "core/parallel.h"
#include "registration/kernels_cpu.h"
#include "registration/point.h"

enum { GROUP = 8 };

typedef float Vec4 __attribute__((vector_size(16)));

typedef struct Track {
    RegSize band;
    int64_t band_count; /* values per component of a band field */
    int64_t row, count; /* particles per row, per component */
    int64_t planes;     /* lattice planes along k */
    int64_t rows_per_plane;
    const float *y, *velocity[2];
    float *out, *eta;
    Vec4 *first, *mid;
    Vec4 half, full; /* dt/2 and dt, in band voxels per mm per unit time */
    const VslAffine *to_band;
    float *plane_speed;  /* largest |v_z| of v_first per band plane */
    float reach;         /* farthest that a midpoint lies from its particle along k, band voxels */
    Vec4 *slabs;         /* per group: two slabs */
    int32_t *low, *high; /* band planes that a group reaches, unwrapped; high is inclusive */
    int64_t *start;      /* first value of the group's slabs */
    float *cot[2];       /* of v_first, v_mid */
} Track;

static Track make_track(const VslField *y, const VslField *v)
{
    Track t = {.band = {(int32_t)v->n[0], (int32_t)v->n[1], (int32_t)v->n[2]}};
    t.band_count = v->n[0] * v->n[1] * v->n[2];
    t.row = y->n[0];
    t.rows_per_plane = y->n[1];
    t.planes = y->n[2];
    t.count = y->n[0] * y->n[1] * y->n[2];
    t.y = y->data;
    return t;
}

static void start_row(void *ctx, int64_t item, int worker)
{
    const Track *t = ctx;
    (void)worker;
    const int64_t j = item % t->rows_per_plane, k = item / t->rows_per_plane;
    for (int c = 0; c < 3; c++) {
        const double *m = t->to_band->m[c];
        const double base = m[1] * (double)j + m[2] * (double)k + m[3];
        float *out = t->out + c * t->count + item * t->row;
        for (int64_t i = 0; i < t->row; i++) {
            out[i] = (float)(base + m[0] * (double)i);
        }
    }
}

VslStatus reg_cpu_particles_start(VslField *y, const VslAffine *to_band)
{
    Track t = make_track(y, y);
    t.out = y->data;
    t.to_band = to_band;
    vsl_parallel_for(t.planes * t.rows_per_plane, vsl_backend_threads(y->be), start_row, &t);
    return VSL_OK;
}

/* item = band plane of the two velocities, one after the other */
static void interleave_plane(void *ctx, int64_t item, int worker)
{
    const Track *t = ctx;
    (void)worker;
    const int which = item >= t->band.nz;
    const int64_t plane = (int64_t)t->band.nx * t->band.ny, begin = (item - which * t->band.nz) * plane;
    const float *x = t->velocity[which] + begin, *y = x + t->band_count, *z = y + t->band_count;
    Vec4 *out = (which ? t->mid : t->first) + begin;
    for (int64_t i = 0; i < plane; i++) {
        out[i] = (Vec4){x[i], y[i], z[i], 0};
    }
}

/* Sets the step and interleaves its velocities into scratch; `extra` more values of scratch lie at *rest. */
static VslStatus set_step(Track *t, VslBackend *be, const VslField *v_first, const VslField *v_mid, double dt,
                          const double h[3], int64_t extra, float **rest)
{
    VslStatus st = VSL_OK;
    float *scratch = NULL;
    t->half = (Vec4){(float)(0.5 * dt / h[0]), (float)(0.5 * dt / h[1]), (float)(0.5 * dt / h[2]), 0};
    t->full = (Vec4){(float)(dt / h[0]), (float)(dt / h[1]), (float)(dt / h[2]), 0};
    t->velocity[0] = v_first->data;
    t->velocity[1] = v_mid->data;
    VSL_TRY(vsl_backend_scratch(&scratch, be, 8 * t->band_count + extra));
    t->first = (Vec4 *)(void *)scratch;
    t->mid = t->first + t->band_count;
    *rest = scratch + 8 * t->band_count;
    vsl_parallel_for(2 * t->band.nz, vsl_backend_threads(be), interleave_plane, t);
out:
    return st;
}

VSL_HD Vec4 lerp4(Vec4 a, Vec4 b, float t)
{
    return a + t * (b - a);
}

VSL_HD Vec4 sample4(const Vec4 *f, RegCell c)
{
    const Vec4 *low = f + c.z0, *high = f + c.z1;
    const Vec4 a = lerp4(low[c.y0 + c.x0], low[c.y0 + c.x1], c.fx), b = lerp4(low[c.y1 + c.x0], low[c.y1 + c.x1], c.fx);
    const Vec4 d = lerp4(high[c.y0 + c.x0], high[c.y0 + c.x1], c.fx),
               e = lerp4(high[c.y1 + c.x0], high[c.y1 + c.x1], c.fx);
    return lerp4(lerp4(a, b, c.fy), lerp4(d, e, c.fy), c.fz);
}

/* Three components and their derivatives along x, y, z: reg_sample_slope for a vector. */
typedef struct Slope4 {
    Vec4 value, dx, dy, dz;
} Slope4;

VSL_HD Slope4 slope4(const Vec4 *f, RegCell c)
{
    const Vec4 *low = f + c.z0, *high = f + c.z1;
    const Vec4 f000 = low[c.y0 + c.x0], f010 = low[c.y1 + c.x0], f001 = high[c.y0 + c.x0], f011 = high[c.y1 + c.x0];
    const Vec4 d00 = low[c.y0 + c.x1] - f000, d10 = low[c.y1 + c.x1] - f010, d01 = high[c.y0 + c.x1] - f001,
               d11 = high[c.y1 + c.x1] - f011;
    const Vec4 a = f000 + c.fx * d00, b = f010 + c.fx * d10, d = f001 + c.fx * d01, e = f011 + c.fx * d11;
    const Vec4 below = lerp4(a, b, c.fy), above = lerp4(d, e, c.fy);
    Slope4 s;
    s.dz = above - below;
    s.value = below + c.fz * s.dz;
    s.dy = lerp4(b - a, e - d, c.fz);
    s.dx = lerp4(lerp4(d00, d10, c.fy), lerp4(d01, d11, c.fy), c.fz);
    return s;
}

VSL_HD RegVec3 as_point(Vec4 p)
{
    const RegVec3 r = {p[0], p[1], p[2]};
    return r;
}

static void step_row(void *ctx, int64_t item, int worker)
{
    const Track *t = ctx;
    (void)worker;
    const int64_t n = t->count, begin = item * t->row;
    const float *y = t->y + begin;
    float *out = t->out + begin;
    const RegSize band = t->band;
    const Vec4 *first = t->first, *mid = t->mid, half = t->half, full = t->full;
    for (int64_t i = 0; i < t->row; i++) {
        const Vec4 at = {y[i], y[i + n], y[i + 2 * n], 0};
        const Vec4 m = at + half * sample4(first, reg_cell_periodic(band, as_point(at)));
        const Vec4 next = at + full * sample4(mid, reg_cell_periodic(band, as_point(m)));
        out[i] = next[0];
        out[i + n] = next[1];
        out[i + 2 * n] = next[2];
    }
}

VslStatus reg_cpu_particles_step(VslField *out, const VslField *y, const VslField *v_first, const VslField *v_mid,
                                 double dt, const double h[3])
{
    VslStatus st = VSL_OK;
    Track t = make_track(y, v_first);
    float *rest = NULL;
    t.out = out->data;
    VSL_TRY(set_step(&t, y->be, v_first, v_mid, dt, h, 0, &rest));
    vsl_parallel_for(t.planes * t.rows_per_plane, vsl_backend_threads(y->be), step_row, &t);
out:
    return st;
}

static void speed_plane(void *ctx, int64_t item, int worker)
{
    const Track *t = ctx;
    (void)worker;
    const int64_t plane = (int64_t)t->band.nx * t->band.ny;
    const float *z = t->velocity[0] + 2 * t->band_count + item * plane;
    float most = 0;
    for (int64_t i = 0; i < plane; i++) {
        const float s = fabsf(z[i]);
        most = s <= most ? most : s; /* a NaN wins */
    }
    t->plane_speed[item] = most;
}

/* Band planes that a group's particles and their midpoints touch. */
static void reach_group(void *ctx, int64_t item, int worker)
{
    const Track *t = ctx;
    (void)worker;
    const int64_t n = t->count, plane = t->row * t->rows_per_plane;
    const int64_t begin = item * GROUP * plane, last = begin + GROUP * plane, end = last < n ? last : n;
    const float *z = t->y + 2 * n;
    float low = z[begin], high = low;
    for (int64_t i = begin; i < end; i++) {
        low = z[i] < low ? z[i] : low;
        high = z[i] > high ? z[i] : high;
    }
    t->low[item] = reg_floor_index(low - t->reach);
    t->high[item] = reg_floor_index(high + t->reach) + 1;
}

/* Adds w e into the eight corners of a cell. */
VSL_HD void scatter4(Vec4 *f, RegCell c, Vec4 e)
{
    Vec4 *low = f + c.z0, *high = f + c.z1;
    const Vec4 up = c.fz * e, down = e - up;
    const Vec4 d1 = c.fy * down, d0 = down - d1, u1 = c.fy * up, u0 = up - u1;
    const Vec4 d11 = c.fx * d1, d01 = c.fx * d0, u11 = c.fx * u1, u01 = c.fx * u0;
    low[c.y0 + c.x0] += d0 - d01;
    low[c.y0 + c.x1] += d01;
    low[c.y1 + c.x0] += d1 - d11;
    low[c.y1 + c.x1] += d11;
    high[c.y0 + c.x0] += u0 - u01;
    high[c.y0 + c.x1] += u01;
    high[c.y1 + c.x0] += u1 - u11;
    high[c.y1 + c.x1] += u11;
}

/* Cotangent of a sample position: sum_c e_c grad v_c. */
VSL_HD Vec4 position_cotangent(Slope4 s, Vec4 e)
{
    const Vec4 x = e * s.dx, y = e * s.dy, z = e * s.dz;
    return (Vec4){x[0] + x[1] + x[2], y[0] + y[1] + y[2], z[0] + z[1] + z[2], 0};
}

/* The same cell inside a group's slab, whose plane 0 is band plane `low`; clamped, should a NaN have come this far. */
VSL_HD RegCell cell_in_slab(RegCell c, float z, int32_t low, int32_t planes, int32_t slab_plane)
{
    c.z0 = reg_clamp_index(reg_floor_index(z) - low, planes - 1) * slab_plane;
    c.z1 = c.z0 + slab_plane;
    return c;
}

static void scatter_group(void *ctx, int64_t item, int worker)
{
    const Track *t = ctx;
    (void)worker;
    const int64_t n = t->count, plane = t->row * t->rows_per_plane;
    const int64_t begin = item * GROUP * plane, last = begin + GROUP * plane, end = last < n ? last : n;
    const int32_t low = t->low[item], slab_plane = t->band.nx * t->band.ny, planes = t->high[item] - low + 1;
    const int64_t slab = (int64_t)planes * slab_plane;
    Vec4 *to_first = t->slabs + t->start[item], *to_mid = to_first + slab;
    const RegSize band = t->band;
    const Vec4 half = t->half, full = t->full;
    memset(to_first, 0, (size_t)(2 * slab) * sizeof *to_first);
    for (int64_t i = begin; i < end; i++) {
        const Vec4 y = {t->y[i], t->y[i + n], t->y[i + 2 * n], 0};
        const Vec4 eta = {t->eta[i], t->eta[i + n], t->eta[i + 2 * n], 0};
        const RegCell at_y = reg_cell_periodic(band, as_point(y));
        const Slope4 first = slope4(t->first, at_y);
        const Vec4 m = y + half * first.value;
        const RegCell at_m = reg_cell_periodic(band, as_point(m));
        const Vec4 e_mid = full * eta;
        scatter4(to_mid, cell_in_slab(at_m, m[2], low, planes, slab_plane), e_mid);
        const Vec4 eta_m = position_cotangent(slope4(t->mid, at_m), e_mid);
        const Vec4 e_first = half * eta_m;
        scatter4(to_first, cell_in_slab(at_y, y[2], low, planes, slab_plane), e_first);
        const Vec4 eta_y = eta + eta_m + position_cotangent(first, e_first);
        t->eta[i] = eta_y[0];
        t->eta[i + n] = eta_y[1];
        t->eta[i + 2 * n] = eta_y[2];
    }
}

/* item = band plane: adds every group's contribution in group order. */
static void gather_plane(void *ctx, int64_t item, int worker)
{
    const Track *t = ctx;
    (void)worker;
    const int64_t groups = (t->planes + GROUP - 1) / GROUP, slab_plane = (int64_t)t->band.nx * t->band.ny;
    for (int64_t g = 0; g < groups; g++) {
        const int64_t planes = t->high[g] - t->low[g] + 1;
        for (int64_t q = 0; q < planes; q++) {
            if (((t->low[g] + q) % t->band.nz + t->band.nz) % t->band.nz != item) {
                continue;
            }
            for (int which = 0; which < 2; which++) {
                const Vec4 *from = t->slabs + t->start[g] + (which * planes + q) * slab_plane;
                float *restrict x = t->cot[which] + item * slab_plane, *restrict y = x + t->band_count,
                                *restrict z = y + t->band_count;
                for (int64_t i = 0; i < slab_plane; i++) {
                    x[i] += from[i][0];
                    y[i] += from[i][1];
                    z[i] += from[i][2];
                }
            }
        }
    }
}

VslStatus reg_cpu_particles_adjoint(VslField *eta, VslField *cot_first, VslField *cot_mid, const VslField *y,
                                    const VslField *v_first, const VslField *v_mid, double dt, const double h[3])
{
    VslStatus st = VSL_OK;
    Track t = make_track(y, v_first);
    const int threads = vsl_backend_threads(y->be);
    const int64_t groups = (t.planes + GROUP - 1) / GROUP;
    int64_t values = 0;
    float speed = 0, *rest = NULL;
    VSL_TRY(VSL_NEW(&t.start, groups, "scatter groups"));
    VSL_TRY(VSL_NEW(&t.low, 2 * groups, "scatter groups"));
    VSL_TRY(VSL_NEW(&t.plane_speed, t.band.nz, "scatter groups"));
    t.high = t.low + groups;
    t.velocity[0] = v_first->data;
    t.eta = eta->data;
    t.cot[0] = cot_first->data;
    t.cot[1] = cot_mid->data;
    vsl_parallel_for(t.band.nz, threads, speed_plane, &t);
    for (int64_t k = 0; k < t.band.nz; k++) {
        speed = t.plane_speed[k] <= speed ? speed : t.plane_speed[k];
    }
    t.reach = (float)(0.5001 * fabs(dt) / h[2]) * speed;
    VSL_CHECK(t.reach < (float)t.band.nz, VSL_E_NUMERIC, "the velocity is not finite or crosses the whole image");
    vsl_parallel_for(groups, threads, reach_group, &t);
    for (int64_t g = 0; g < groups; g++) {
        const int64_t planes = (int64_t)t.high[g] - t.low[g] + 1;
        VSL_CHECK(planes > 0 && planes <= 3 * (int64_t)t.band.nz, VSL_E_NUMERIC,
                  "particles left the velocity's domain; the deformation has diverged");
        t.start[g] = values;
        values += 2 * planes * t.band.nx * t.band.ny;
    }
    VSL_TRY(set_step(&t, y->be, v_first, v_mid, dt, h, 4 * values, &rest));
    t.slabs = (Vec4 *)(void *)rest;
    vsl_parallel_for(groups, threads, scatter_group, &t);
    vsl_parallel_for(t.band.nz, threads, gather_plane, &t);
out:
    vsl_free(t.start);
    vsl_free(t.low);
    vsl_free(t.plane_speed);
    return st;
}
