/* CPU loops over particles: tracking through the velocities and its transpose.
 *
 * Velocities are cubic between band nodes (point.h has the formula, reg_cubic_periodic). A sample needs the three
 * components at 64 nodes, so the two velocities of a step are first interleaved as x, y, z, 0, in rows that are padded
 * by their periodic continuation: four neighbours along i are then 16 floats in one piece, one vector, and a sample is
 * 16 multiply-adds of such vectors.
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
typedef float Vec16 __attribute__((vector_size(64), aligned(16))); /* four Vec4 of one row */

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
    int64_t group, end;  /* the groups whose slabs exist now: [group, end) */
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

/* Padded rows hold nodes -1 .. nx + 1 of the periodic row. */
enum { PAD = 3 };

VSL_HD int32_t padded_row(RegSize band)
{
    return band.nx + PAD;
}

/* item = row of the two velocities, one after the other */
static void interleave_row(void *ctx, int64_t item, int worker)
{
    const Track *t = ctx;
    (void)worker;
    const int64_t rows = (int64_t)t->band.ny * t->band.nz;
    const int which = item >= rows;
    const int32_t nx = t->band.nx;
    const int64_t row = item - which * rows;
    const float *x = t->velocity[which] + row * nx, *y = x + t->band_count, *z = y + t->band_count;
    Vec4 *out = (which ? t->mid : t->first) + row * padded_row(t->band);
    for (int32_t i = 0; i < nx; i++) {
        out[i + 1] = (Vec4){x[i], y[i], z[i], 0};
    }
    out[0] = out[nx];
    for (int32_t i = nx; i < nx + PAD - 1; i++) {
        out[i + 1] = out[i - nx + 1];
    }
}

/* Sets the step and interleaves its velocities into scratch; `extra` more values of scratch lie at *rest. */
static VslStatus set_step(Track *t, VslBackend *be, const VslField *v_first, const VslField *v_mid, double dt,
                          const double h[3], int64_t extra, float **rest)
{
    VslStatus st = VSL_OK;
    float *scratch = NULL;
    const int64_t rows = (int64_t)t->band.ny * t->band.nz, padded = (rows * padded_row(t->band) + 3) / 4 * 4;
    t->half = (Vec4){(float)(0.5 * dt / h[0]), (float)(0.5 * dt / h[1]), (float)(0.5 * dt / h[2]), 0};
    t->full = (Vec4){(float)(dt / h[0]), (float)(dt / h[1]), (float)(dt / h[2]), 0};
    t->velocity[0] = v_first->data;
    t->velocity[1] = v_mid->data;
    VSL_TRY(vsl_backend_scratch(&scratch, be, 8 * padded + extra));
    t->first = (Vec4 *)(void *)scratch;
    t->mid = t->first + padded;
    *rest = scratch + 8 * padded;
    vsl_parallel_for(2 * rows, vsl_backend_threads(be), interleave_row, t);
out:
    return st;
}

/* The 4 x 4 row pieces of a point, and the weights. */
typedef struct Cell {
    int32_t y[4], z[4]; /* offsets of the pieces; y includes the column */
    float wy[4], wz[4], dy[4], dz[4];
    Vec16 wx, dx; /* weight of each of the four nodes, three components wide */
} Cell;

VSL_HD Vec16 spread(const float w[4])
{
    return (Vec16){w[0], w[0], w[0], 0, w[1], w[1], w[1], 0, w[2], w[2], w[2], 0, w[3], w[3], w[3], 0};
}

VSL_HD int32_t axis_weights(float w[4], float d[4], float x)
{
    const int32_t node = reg_floor_index(x);
    reg_cubic_weights(w, x - (float)node);
    reg_cubic_slopes(d, x - (float)node);
    return node;
}

VSL_HD Cell cell_at(RegSize band, RegVec3 p)
{
    Cell c;
    float wx[4], dx[4];
    const int32_t i = axis_weights(wx, dx, p.x), j = axis_weights(c.wy, c.dy, p.y), k = axis_weights(c.wz, c.dz, p.z);
    const int32_t row = padded_row(band), x = reg_wrap_index(i, band.nx); /* padded index of node i - 1 */
    for (int q = 0; q < 4; q++) {
        c.y[q] = reg_wrap_index(j - 1 + q, band.ny) * row + x;
        c.z[q] = reg_wrap_index(k - 1 + q, band.nz) * row * band.ny;
    }
    c.wx = spread(wx);
    c.dx = spread(dx);
    return c;
}

VSL_HD Vec16 load16(const Vec4 *f)
{
    return *(const Vec16 *)(const void *)f;
}

/* Sum of the four nodes' parts: three components. */
VSL_HD Vec4 fold(Vec16 v)
{
    Vec4 part[4];
    memcpy(part, &v, sizeof part);
    return (part[0] + part[1]) + (part[2] + part[3]);
}

VSL_HD Vec4 sample4(const Vec4 *f, const Cell *c)
{
    Vec16 sum = {0};
    for (int k = 0; k < 4; k++) {
        const Vec4 *g = f + c->z[k];
        sum += c->wz[k] * (c->wy[0] * load16(g + c->y[0]) + c->wy[1] * load16(g + c->y[1]) +
                           c->wy[2] * load16(g + c->y[2]) + c->wy[3] * load16(g + c->y[3]));
    }
    return fold(c->wx * sum);
}

/* Three components and their derivatives along x, y, z. */
typedef struct Slope4 {
    Vec4 value, dx, dy, dz;
} Slope4;

VSL_HD Slope4 slope4(const Vec4 *f, const Cell *c)
{
    Vec16 sum = {0}, sum_y = {0}, sum_z = {0};
    for (int k = 0; k < 4; k++) {
        const Vec4 *g = f + c->z[k];
        const Vec16 v0 = load16(g + c->y[0]), v1 = load16(g + c->y[1]), v2 = load16(g + c->y[2]),
                    v3 = load16(g + c->y[3]);
        const Vec16 plane = c->wy[0] * v0 + c->wy[1] * v1 + c->wy[2] * v2 + c->wy[3] * v3;
        sum += c->wz[k] * plane;
        sum_y += c->wz[k] * (c->dy[0] * v0 + c->dy[1] * v1 + c->dy[2] * v2 + c->dy[3] * v3);
        sum_z += c->dz[k] * plane;
    }
    const Slope4 s = {fold(c->wx * sum), fold(c->dx * sum), fold(c->wx * sum_y), fold(c->wx * sum_z)};
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
        const Cell at_y = cell_at(band, as_point(at));
        const Vec4 m = at + half * sample4(first, &at_y);
        const Cell at_m = cell_at(band, as_point(m));
        const Vec4 next = at + full * sample4(mid, &at_m);
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
        most = most >= s || most != most ? most : s; /* a NaN wins */
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
    t->low[item] = reg_floor_index(low - t->reach) - 1;
    t->high[item] = reg_floor_index(high + t->reach) + 2;
}

/* Adds the weighted e (its fourth lane 0) into the 64 nodes of a cell. */
VSL_HD void scatter4(Vec4 *f, const Cell *c, Vec4 e)
{
    const Vec4 four[4] = {e, e, e, e};
    Vec16 v;
    memcpy(&v, four, sizeof v);
    v *= c->wx;
    for (int k = 0; k < 4; k++) {
        Vec4 *g = f + c->z[k];
        const Vec16 u = c->wz[k] * v;
        for (int j = 0; j < 4; j++) {
            *(Vec16 *)(void *)(g + c->y[j]) += c->wy[j] * u;
        }
    }
}

/* Cotangent of a sample position: sum_c e_c grad v_c. */
VSL_HD Vec4 position_cotangent(Slope4 s, Vec4 e)
{
    const Vec4 x = e * s.dx, y = e * s.dy, z = e * s.dz;
    return (Vec4){x[0] + x[1] + x[2], y[0] + y[1] + y[2], z[0] + z[1] + z[2], 0}; /* lane 3 of e is 0 */
}

/* The same cell inside a group's slab, whose plane 0 is band plane `low`; clamped, should a NaN have come this far. */
VSL_HD Cell cell_in_slab(Cell c, RegSize band, float z, int32_t low, int32_t planes)
{
    const int32_t plane = padded_row(band) * band.ny, k = reg_floor_index(z) - low;
    for (int q = 0; q < 4; q++) {
        c.z[q] = reg_clamp_index(k - 1 + q, planes) * plane;
    }
    return c;
}

static void scatter_group(void *ctx, int64_t item_in_batch, int worker)
{
    const Track *t = ctx;
    (void)worker;
    const int64_t item = t->group + item_in_batch, n = t->count, plane = t->row * t->rows_per_plane;
    const int64_t begin = item * GROUP * plane, last = begin + GROUP * plane, end = last < n ? last : n;
    const int32_t low = t->low[item], slab_plane = padded_row(t->band) * t->band.ny, planes = t->high[item] - low + 1;
    const int64_t slab = (int64_t)planes * slab_plane;
    Vec4 *to_first = t->slabs + t->start[item], *to_mid = to_first + slab;
    const RegSize band = t->band;
    const Vec4 half = t->half, full = t->full;
    memset(to_first, 0, (size_t)(2 * slab) * sizeof *to_first);
    for (int64_t i = begin; i < end; i++) {
        const Vec4 y = {t->y[i], t->y[i + n], t->y[i + 2 * n], 0};
        const Vec4 eta = {t->eta[i], t->eta[i + n], t->eta[i + 2 * n], 0};
        if (eta[0] == 0 && eta[1] == 0 && eta[2] == 0) {
            continue; /* no force reached this particle: background, which is a third of a stripped head's box */
        }
        const Cell at_y = cell_at(band, as_point(y));
        const Slope4 first = slope4(t->first, &at_y);
        const Vec4 m = y + half * first.value;
        const Cell at_m = cell_at(band, as_point(m));
        const Cell in_y = cell_in_slab(at_y, band, y[2], low, planes);
        const Cell in_m = cell_in_slab(at_m, band, m[2], low, planes);
        const Vec4 e_mid = full * eta;
        scatter4(to_mid, &in_m, e_mid);
        const Vec4 eta_m = position_cotangent(slope4(t->mid, &at_m), e_mid);
        const Vec4 e_first = half * eta_m;
        scatter4(to_first, &in_y, e_first);
        const Vec4 eta_y = eta + eta_m + position_cotangent(first, e_first);
        t->eta[i] = eta_y[0];
        t->eta[i + n] = eta_y[1];
        t->eta[i + 2 * n] = eta_y[2];
    }
}

/* Adds one slab plane to a band plane; what was scattered into the padding belongs to the row's other end. */
static void add_unpadded(const Track *t, float *to, const Vec4 *from)
{
    const int32_t nx = t->band.nx;
    float *x = to, *y = x + t->band_count, *z = y + t->band_count;
    for (int32_t j = 0; j < t->band.ny; j++, x += nx, y += nx, z += nx, from += padded_row(t->band)) {
        for (int32_t i = 0; i < nx; i++) {
            x[i] += from[i + 1][0];
            y[i] += from[i + 1][1];
            z[i] += from[i + 1][2];
        }
        const int32_t pads[PAD] = {0, nx + 1, nx + 2};
        for (int q = 0; q < PAD; q++) {
            const int32_t i = (pads[q] - 1 + nx) % nx;
            x[i] += from[pads[q]][0];
            y[i] += from[pads[q]][1];
            z[i] += from[pads[q]][2];
        }
    }
}

/* item = band plane: adds the contributions of the groups at hand in group order. */
static void gather_plane(void *ctx, int64_t item, int worker)
{
    const Track *t = ctx;
    (void)worker;
    const int64_t slab_plane = (int64_t)padded_row(t->band) * t->band.ny;
    for (int64_t g = t->group; g < t->end; g++) {
        const int64_t planes = t->high[g] - t->low[g] + 1;
        for (int64_t q = 0; q < planes; q++) {
            if (((t->low[g] + q) % t->band.nz + t->band.nz) % t->band.nz != item) {
                continue;
            }
            for (int which = 0; which < 2; which++) {
                const Vec4 *from = t->slabs + t->start[g] + (which * planes + q) * slab_plane;
                add_unpadded(t, t->cot[which] + item * t->band.nx * t->band.ny, from);
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
    /* Slabs are large: those of a few groups at a time. Groups add in their order whatever the size of a batch. */
    const int64_t batch = threads;
    int64_t values = 0, most = 0;
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
        speed = speed >= t.plane_speed[k] || speed != speed ? speed : t.plane_speed[k];
    }
    t.reach = (float)(0.5001 * fabs(dt) / h[2]) * speed;
    VSL_CHECK(t.reach < (float)t.band.nz, VSL_E_NUMERIC, "the velocity is not finite or crosses the whole image");
    vsl_parallel_for(groups, threads, reach_group, &t);
    for (int64_t g = 0; g < groups; g++) {
        const int64_t planes = (int64_t)t.high[g] - t.low[g] + 1;
        VSL_CHECK(planes > 0 && planes <= 3 * (int64_t)t.band.nz + 8, VSL_E_NUMERIC,
                  "particles left the velocity's domain; the deformation has diverged");
        values = g % batch == 0 ? 0 : values;
        t.start[g] = values;
        values += 2 * planes * padded_row(t.band) * t.band.ny;
        most = values > most ? values : most;
    }
    VSL_TRY(set_step(&t, y->be, v_first, v_mid, dt, h, 4 * most, &rest));
    t.slabs = (Vec4 *)(void *)rest;
    for (t.group = 0; t.group < groups; t.group = t.end) {
        t.end = t.group + batch < groups ? t.group + batch : groups;
        vsl_parallel_for(t.end - t.group, threads, scatter_group, &t);
        vsl_parallel_for(t.band.nz, threads, gather_plane, &t);
    }
out:
    vsl_free(t.start);
    vsl_free(t.low);
    vsl_free(t.plane_speed);
    return st;
}
