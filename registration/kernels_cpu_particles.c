/* CPU loops over particles: backward tracking through the velocities and its transpose.
 *
 * The transpose scatters into the band grid. Lattice planes go in groups of GROUP, whatever the number of threads; a
 * group adds into its own slab of band planes, as thick as its particles reach, and the slabs are added in group order.
 * So sums have one order and threads never meet. */
#include <string.h>

#include "core/parallel.h"
#include "registration/kernels_cpu.h"
#include "registration/point.h"

enum { GROUP = 8 };

typedef struct Track {
    RegSize band;
    int64_t band_plane; /* values per component of a band field */
    int64_t row, count; /* particles per row, per component */
    int64_t planes;     /* lattice planes along k */
    int64_t rows_per_plane;
    const float *y, *first, *mid;
    float *out, *eta, *middle; /* middle: the midpoint positions, 3 planes */
    float half[3], full[3];    /* dt/2 and dt, in band voxels per mm per unit time */
    const VslAffine *to_band;
    float *slabs;        /* scratch: per group 2 x 3 x planes of the slab */
    int32_t *low, *high; /* band planes that a group reaches, unwrapped; high is inclusive */
    int64_t *start;      /* first value of the group's slab in slabs */
    float *cot_first, *cot_mid;
} Track;

static Track make_track(const VslField *y, const VslField *v)
{
    Track t = {.band = {(int32_t)v->n[0], (int32_t)v->n[1], (int32_t)v->n[2]}};
    t.band_plane = v->n[0] * v->n[1] * v->n[2];
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

/* Midpoint y + dt/2 v(y) of one particle. */
VSL_HD RegVec3 midpoint(const Track *t, const float *v, RegVec3 y)
{
    const RegVec3 u = reg_sample3(v, v + t->band_plane, v + 2 * t->band_plane, reg_cell_periodic(t->band, y));
    const RegVec3 m = {y.x + t->half[0] * u.x, y.y + t->half[1] * u.y, y.z + t->half[2] * u.z};
    return m;
}

static void step_row(void *ctx, int64_t item, int worker)
{
    const Track *t = ctx;
    (void)worker;
    const int64_t n = t->count, p = t->band_plane, begin = item * t->row;
    const float *first = t->first, *mid = t->mid, *y = t->y + begin;
    float *out = t->out + begin;
    const RegSize band = t->band;
    const Track local = *t;
#pragma GCC ivdep
    for (int64_t i = 0; i < local.row; i++) {
        const RegVec3 at = {y[i], y[i + n], y[i + 2 * n]};
        const RegVec3 m = midpoint(&local, first, at);
        const RegVec3 v = reg_sample3(mid, mid + p, mid + 2 * p, reg_cell_periodic(band, m));
        out[i] = at.x + local.full[0] * v.x;
        out[i + n] = at.y + local.full[1] * v.y;
        out[i + 2 * n] = at.z + local.full[2] * v.z;
    }
}

static void set_step(Track *t, double dt, const double h[3])
{
    for (int d = 0; d < 3; d++) {
        t->half[d] = (float)(0.5 * dt / h[d]);
        t->full[d] = (float)(dt / h[d]);
    }
}

VslStatus reg_cpu_particles_step(VslField *out, const VslField *y, const VslField *v_first, const VslField *v_mid,
                                 double dt, const double h[3])
{
    Track t = make_track(y, v_first);
    t.first = v_first->data;
    t.mid = v_mid->data;
    t.out = out->data;
    set_step(&t, dt, h);
    vsl_parallel_for(t.planes * t.rows_per_plane, vsl_backend_threads(y->be), step_row, &t);
    return VSL_OK;
}

/* Midpoints of a group's particles, and the band planes that it reaches. */
static void reach_group(void *ctx, int64_t item, int worker)
{
    const Track *t = ctx;
    (void)worker;
    const Track local = *t;
    const int64_t n = t->count, plane = t->row * t->rows_per_plane;
    const int64_t begin = item * GROUP * plane, last = begin + GROUP * plane, end = last < n ? last : n;
    const float *y = t->y;
    float *m = t->middle;
#pragma GCC ivdep
    for (int64_t i = begin; i < end; i++) {
        const RegVec3 at = {y[i], y[i + n], y[i + 2 * n]};
        const RegVec3 p = midpoint(&local, local.first, at);
        m[i] = p.x;
        m[i + n] = p.y;
        m[i + 2 * n] = p.z;
    }
    float low = y[begin + 2 * n], high = low;
    for (int64_t i = begin; i < end; i++) {
        const float a = y[i + 2 * n], b = m[i + 2 * n];
        low = a < low ? a : low;
        low = b < low ? b : low;
        high = a > high ? a : high;
        high = b > high ? b : high;
    }
    t->low[item] = reg_floor_index(low);
    t->high[item] = reg_floor_index(high) + 1;
}

/* Adds w e into the eight corners of a cell, three components. */
VSL_HD void scatter3(float *restrict x, float *restrict y, float *restrict z, RegCell c, RegVec3 e)
{
    const float gx = 1.0f - c.fx, gy = 1.0f - c.fy, gz = 1.0f - c.fz;
    const int32_t at[8] = {c.z0 + c.y0 + c.x0, c.z0 + c.y0 + c.x1, c.z0 + c.y1 + c.x0, c.z0 + c.y1 + c.x1,
                           c.z1 + c.y0 + c.x0, c.z1 + c.y0 + c.x1, c.z1 + c.y1 + c.x0, c.z1 + c.y1 + c.x1};
    const float w[8] = {gz * gy * gx,   gz * gy * c.fx,   gz * c.fy * gx,   gz * c.fy * c.fx,
                        c.fz * gy * gx, c.fz * gy * c.fx, c.fz * c.fy * gx, c.fz * c.fy * c.fx};
    for (int q = 0; q < 8; q++) {
        x[at[q]] += w[q] * e.x;
        y[at[q]] += w[q] * e.y;
        z[at[q]] += w[q] * e.z;
    }
}

/* Cotangent of a sample position: sum_c e_c grad v_c, from the slopes of the three components. */
VSL_HD RegVec3 position_cotangent(const float *v, int64_t p, RegCell c, RegVec3 e)
{
    const RegSlope a = reg_sample_slope(v, c), b = reg_sample_slope(v + p, c), d = reg_sample_slope(v + 2 * p, c);
    const RegVec3 g = {e.x * a.dx + e.y * b.dx + e.z * d.dx, e.x * a.dy + e.y * b.dy + e.z * d.dy,
                       e.x * a.dz + e.y * b.dz + e.z * d.dz};
    return g;
}

/* The same cell inside a group's slab, whose plane 0 is band plane `low`. */
VSL_HD RegCell cell_in_slab(RegCell c, float z, int32_t low, int32_t slab_plane)
{
    c.z0 = (reg_floor_index(z) - low) * slab_plane;
    c.z1 = c.z0 + slab_plane;
    return c;
}

static void scatter_group(void *ctx, int64_t item, int worker)
{
    const Track *t = ctx;
    (void)worker;
    const int64_t n = t->count, p = t->band_plane, plane = t->row * t->rows_per_plane;
    const int64_t begin = item * GROUP * plane, last = begin + GROUP * plane, end = last < n ? last : n;
    const int32_t low = t->low[item], slab_plane = t->band.nx * t->band.ny;
    const int64_t slab = (int64_t)(t->high[item] - low + 1) * slab_plane;
    float *first = t->slabs + t->start[item], *mid = first + 3 * slab;
    memset(first, 0, (size_t)(6 * slab) * sizeof *first);
    for (int64_t i = begin; i < end; i++) {
        const RegVec3 y = {t->y[i], t->y[i + n], t->y[i + 2 * n]};
        const RegVec3 m = {t->middle[i], t->middle[i + n], t->middle[i + 2 * n]};
        const RegVec3 eta = {t->eta[i], t->eta[i + n], t->eta[i + 2 * n]};
        const RegCell at_m = reg_cell_periodic(t->band, m), at_y = reg_cell_periodic(t->band, y);
        const RegVec3 e_mid = {t->full[0] * eta.x, t->full[1] * eta.y, t->full[2] * eta.z};
        scatter3(mid, mid + slab, mid + 2 * slab, cell_in_slab(at_m, m.z, low, slab_plane), e_mid);
        const RegVec3 eta_m = position_cotangent(t->mid, p, at_m, e_mid);
        const RegVec3 e_first = {t->half[0] * eta_m.x, t->half[1] * eta_m.y, t->half[2] * eta_m.z};
        scatter3(first, first + slab, first + 2 * slab, cell_in_slab(at_y, y.z, low, slab_plane), e_first);
        const RegVec3 eta_y = position_cotangent(t->first, p, at_y, e_first);
        t->eta[i] = eta.x + eta_m.x + eta_y.x;
        t->eta[i + n] = eta.y + eta_m.y + eta_y.y;
        t->eta[i + 2 * n] = eta.z + eta_m.z + eta_y.z;
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
            const int64_t k = ((t->low[g] + q) % t->band.nz + t->band.nz) % t->band.nz;
            if (k != item) {
                continue;
            }
            for (int c = 0; c < 6; c++) {
                const float *restrict from = t->slabs + t->start[g] + (c * planes + q) * slab_plane;
                float *restrict to =
                    (c < 3 ? t->cot_first + c * t->band_plane : t->cot_mid + (c - 3) * t->band_plane) + k * slab_plane;
                for (int64_t i = 0; i < slab_plane; i++) {
                    to[i] += from[i];
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
    float *scratch = NULL, *slabs = NULL;
    VSL_TRY(vsl_backend_scratch(&scratch, y->be, 3 * t.count + 4 * groups + 16));
    t.first = v_first->data;
    t.mid = v_mid->data;
    t.eta = eta->data;
    t.cot_first = cot_first->data;
    t.cot_mid = cot_mid->data;
    t.middle = scratch + (4 * groups + 15) / 16 * 16;
    t.start = (int64_t *)(void *)scratch;
    t.low = (int32_t *)(void *)(scratch + 2 * groups);
    t.high = t.low + groups;
    set_step(&t, dt, h);
    vsl_parallel_for(groups, threads, reach_group, &t);
    for (int64_t g = 0; g < groups; g++) {
        const int64_t planes = (int64_t)t.high[g] - t.low[g] + 1;
        VSL_CHECK(planes > 0 && planes <= 3 * (int64_t)t.band.nz, VSL_E_NUMERIC,
                  "particles left the velocity's domain; the deformation has diverged");
        t.start[g] = values;
        values += 6 * planes * t.band.nx * t.band.ny;
    }
    VSL_TRY(VSL_NEW(&slabs, values, "scatter slabs"));
    t.slabs = slabs;
    vsl_parallel_for(groups, threads, scatter_group, &t);
    vsl_parallel_for(t.band.nz, threads, gather_plane, &t);
out:
    vsl_free(slabs);
    return st;
}
