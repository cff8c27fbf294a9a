/* CPU loops between the lattice of particles and the image grid: warp with its slope, and the transpose.
 *
 * Particle positions are cubic between lattice nodes (Keys), which reproduces affine maps exactly, so positions rather
 * than displacements are interpolated. Weights are separable: a plane of voxels combines four lattice planes, a row of
 * it four rows of that, which then expand along i. The transpose runs the same tables backward: plane by plane into
 * lattice rows, then along k. */
#include <string.h>

#include "core/parallel.h"
#include "registration/kernels_cpu.h"
#include "registration/point.h"

typedef struct Taps { /* of one axis: voxel i uses nodes first[i] .. first[i] + 3 */
    int32_t *first;
    float (*weight)[4];
} Taps;

typedef struct Warp {
    int64_t n[3], plane; /* image grid */
    int64_t m[3], nodes; /* lattice */
    Taps taps[3];
    RegSize moving_size;
    int64_t moving_plane;
    int channels;
    float a[3][4]; /* band voxel -> moving voxel */
    float *rows;   /* scratch per worker */
    int64_t rows_per_worker;
    float *planes; /* per worker: the image plane (an int32_t), then the lattice at it, 3 x m[1] x m[0] */
    const float *y, *moving, *mask, *grad, *slope_in;
    float *warped, *slope, *partial, *eta;
    float scale;
} Warp;

/* Floats of scratch for the tap tables of an image of extent n. */
static int64_t taps_count(const int64_t n[3])
{
    return 5 * (n[0] + n[1] + n[2]);
}

static float *make_taps(Warp *w, const RegLattice *lattice, float *scratch)
{
    for (int d = 0; d < 3; d++) {
        w->taps[d].first = (int32_t *)(void *)scratch;
        w->taps[d].weight = (float(*)[4])(void *)(scratch + w->n[d]);
        scratch += 5 * w->n[d];
        for (int64_t i = 0; i < w->n[d]; i++) {
            const double at = lattice->scale[d] * (double)i + lattice->offset[d];
            const double low = floor(at);
            if (lattice->n[d] < 4) { /* a flat axis: one node */
                w->taps[d].first[i] = 0;
                memset(w->taps[d].weight[i], 0, sizeof w->taps[d].weight[i]);
                w->taps[d].weight[i][0] = 1;
            } else {
                w->taps[d].first[i] = (int32_t)low - 1;
                reg_cubic_weights(w->taps[d].weight[i], (float)(at - low));
            }
        }
    }
    return scratch;
}

static int tap_count(const Warp *w, int d)
{
    return w->m[d] < 4 ? 1 : 4;
}

static int64_t floats_of_plane(const int64_t m[3])
{
    return 1 + 3 * m[0] * m[1];
}

/* The lattice at image plane k. Workers walk through rows in order, so that it is there for all but the first. */
static const float *plane_nodes(const Warp *w, int64_t k, int worker)
{
    float *own = w->planes + worker * floats_of_plane(w->m), *nodes = own + 1;
    int32_t *const is_of = (int32_t *)(void *)own;
    if (*is_of != k) {
        const int64_t plane = w->m[0] * w->m[1];
        const int tk = tap_count(w, 2);
        for (int c = 0; c < 3; c++) {
            float *restrict to = nodes + c * plane;
            const float *restrict from = w->y + c * w->nodes + w->taps[2].first[k] * plane;
            for (int b = 0; b < tk; b++) {
                const float weight = w->taps[2].weight[k][b];
                for (int64_t i = 0; i < plane; i++) {
                    to[i] = (b ? to[i] : 0) + weight * from[b * plane + i];
                }
            }
        }
        *is_of = (int32_t)k;
    }
    return nodes;
}

/* Positions of one row of voxels, in band voxels: three rows of n[0] values, which the caller may change. */
static float *row_positions(const Warp *w, int64_t item, int worker)
{
    const int64_t m0 = w->m[0], n0 = w->n[0], plane = m0 * w->m[1];
    const int tj = tap_count(w, 1), ti = tap_count(w, 0);
    const int64_t j = item % w->n[1];
    const float *nodes = plane_nodes(w, item / w->n[1], worker);
    float *coarse = w->rows + worker * w->rows_per_worker, *fine = coarse + 3 * m0;
    for (int c = 0; c < 3; c++) {
        float *restrict to = coarse + c * m0;
        const float *restrict from = nodes + c * plane + w->taps[1].first[j] * m0;
        for (int a = 0; a < tj; a++) {
            const float weight = w->taps[1].weight[j][a];
            for (int64_t i = 0; i < m0; i++) {
                to[i] = (a ? to[i] : 0) + weight * from[a * m0 + i];
            }
        }
        float *restrict out = fine + c * n0;
        const int32_t *first = w->taps[0].first;
        const float(*weight)[4] = (const float(*)[4])w->taps[0].weight;
        if (ti == 1) {
            for (int64_t i = 0; i < n0; i++) {
                out[i] = to[0];
            }
        } else {
            for (int64_t i = 0; i < n0; i++) {
                const float *s = to + first[i];
                out[i] = weight[i][0] * s[0] + weight[i][1] * s[1] + weight[i][2] * s[2] + weight[i][3] * s[3];
            }
        }
    }
    return fine;
}

/* Band positions to moving positions, in place. */
static void to_moving_row(const Warp *w, float *p)
{
    const int64_t n = w->n[0];
    float *restrict x = p, *restrict y = p + n, *restrict z = p + 2 * n;
    for (int64_t i = 0; i < n; i++) {
        const float a = x[i], b = y[i], c = z[i];
        x[i] = w->a[0][0] * a + w->a[0][1] * b + w->a[0][2] * c + w->a[0][3];
        y[i] = w->a[1][0] * a + w->a[1][1] * b + w->a[1][2] * c + w->a[1][3];
        z[i] = w->a[2][0] * a + w->a[2][1] * b + w->a[2][2] * c + w->a[2][3];
    }
}

/* Slopes of the few voxels of a row that are near a kink, which would keep the loop over all from being vectorized.
 * p: positions, with room for a mark per voxel behind them. */
static void average_slopes(const Warp *w, const float *moving, float *slope, float *p)
{
    const int64_t n0 = w->n[0];
    const RegSize size = w->moving_size;
    uint8_t *near = (uint8_t *)(p + 3 * n0);
    VSL_INDEPENDENT
    for (int64_t i = 0; i < n0; i++) {
        const RegVec3 at = {p[i], p[i + n0], p[i + 2 * n0]};
        near[i] = (uint8_t)reg_near_kink(size, at, reg_cell_clamped(size, at));
    }
    for (const uint8_t *q = memchr(near, 1, (size_t)n0); q; q = memchr(q + 1, 1, (size_t)(near + n0 - q - 1))) {
        const int64_t i = q - near;
        const RegVec3 at = {p[i], p[i + n0], p[i + 2 * n0]};
        const RegSlope s = reg_slope_averaged(moving, size, at);
        for (int d = 0; d < 3; d++) {
            slope[i + d * w->plane] = w->a[0][d] * s.dx + w->a[1][d] * s.dy + w->a[2][d] * s.dz;
        }
    }
}

static void warp_row(void *ctx, int64_t item, int worker)
{
    const Warp *w = ctx;
    const int64_t n0 = w->n[0], n = w->plane;
    const RegSize size = w->moving_size;
    float *p = row_positions(w, item, worker);
    to_moving_row(w, p);
    for (int c = 0; c < w->channels; c++) {
        const float *moving = w->moving + c * w->moving_plane;
        float *warped = w->warped + c * n + item * n0;
        if (!w->slope) {
            VSL_INDEPENDENT
            for (int64_t i = 0; i < n0; i++) {
                const RegVec3 at = {p[i], p[i + n0], p[i + 2 * n0]};
                warped[i] = reg_sample(moving, reg_cell_clamped(size, at));
            }
            continue;
        }
        float *slope = w->slope + 3 * c * n + item * n0;
        float a[3][4];
        memcpy(a, w->a, sizeof a);
        VSL_INDEPENDENT
        for (int64_t i = 0; i < n0; i++) {
            const RegVec3 at = {p[i], p[i + n0], p[i + 2 * n0]};
            const RegSlope s = reg_sample_slope(moving, reg_cell_clamped(size, at));
            warped[i] = s.value;
            slope[i] = a[0][0] * s.dx + a[1][0] * s.dy + a[2][0] * s.dz;
            slope[i + n] = a[0][1] * s.dx + a[1][1] * s.dy + a[2][1] * s.dz;
            slope[i + 2 * n] = a[0][2] * s.dx + a[1][2] * s.dy + a[2][2] * s.dz;
        }
        average_slopes(w, moving, slope, p);
    }
}

static void warp_mask_row(void *ctx, int64_t item, int worker)
{
    const Warp *w = ctx;
    const int64_t n0 = w->n[0];
    const RegSize s = w->moving_size;
    float *p = row_positions(w, item, worker);
    to_moving_row(w, p);
    float *warped = w->warped + item * n0;
    for (int64_t i = 0; i < n0; i++) {
        const int32_t x = reg_floor_index(p[i] + 0.5f), y = reg_floor_index(p[i + n0] + 0.5f),
                      z = reg_floor_index(p[i + 2 * n0] + 0.5f);
        const int inside = x >= 0 && x < s.nx && y >= 0 && y < s.ny && z >= 0 && z < s.nz;
        warped[i] = inside ? w->mask[((int64_t)z * s.ny + y) * s.nx + x] : 0;
    }
}

static VslStatus make_warp(Warp *w, const VslField *grid, const RegLattice *lattice, int64_t extra)
{
    VslStatus st = VSL_OK;
    float *scratch = NULL;
    const int threads = vsl_backend_threads(grid->be);
    memset(w, 0, sizeof *w);
    for (int d = 0; d < 3; d++) {
        w->n[d] = grid->n[d];
        w->m[d] = lattice->n[d];
    }
    w->plane = w->n[0] * w->n[1] * w->n[2];
    w->nodes = w->m[0] * w->m[1] * w->m[2];
    w->rows_per_worker = (3 * w->m[0] + 4 * w->n[0] + 15) / 16 * 16;
    VSL_TRY(vsl_backend_scratch(&scratch, grid->be, taps_count(w->n) + 16 + threads * w->rows_per_worker + extra));
    scratch = make_taps(w, lattice, scratch);
    w->rows = scratch;
    w->partial = scratch + threads * w->rows_per_worker;
out:
    return st;
}

/* A warp of `moving` onto `grid` at the particles y. */
static VslStatus make_moving(Warp *w, const VslField *grid, const VslField *moving, const VslField *y,
                             const RegLattice *lattice, const VslAffine *to_moving)
{
    VslStatus st = VSL_OK;
    const int threads = vsl_backend_threads(grid->be);
    VSL_TRY(make_warp(w, grid, lattice, threads * floats_of_plane(lattice->n)));
    w->planes = w->partial;
    for (int worker = 0; worker < threads; worker++) {
        *(int32_t *)(void *)(w->planes + worker * floats_of_plane(w->m)) = -1;
    }
    w->moving_size = (RegSize){(int32_t)moving->n[0], (int32_t)moving->n[1], (int32_t)moving->n[2]};
    w->moving_plane = moving->n[0] * moving->n[1] * moving->n[2];
    w->channels = moving->channels;
    w->y = y->data;
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            w->a[r][c] = (float)to_moving->m[r][c];
        }
    }
out:
    return st;
}

VslStatus reg_cpu_warp(VslField *warped, VslField *slope, const VslField *moving, const VslField *y,
                       const RegLattice *lattice, const VslAffine *to_moving)
{
    VslStatus st = VSL_OK;
    Warp w;
    VSL_TRY(make_moving(&w, warped, moving, y, lattice, to_moving));
    w.moving = moving->data;
    w.warped = warped->data;
    w.slope = slope ? slope->data : NULL;
    vsl_parallel_for(w.n[1] * w.n[2], vsl_backend_threads(warped->be), warp_row, &w);
out:
    return st;
}

VslStatus reg_cpu_warp_mask(VslField *warped, const VslField *mask, const VslField *y, const RegLattice *lattice,
                            const VslAffine *to_moving)
{
    VslStatus st = VSL_OK;
    Warp w;
    VSL_TRY(make_moving(&w, warped, mask, y, lattice, to_moving));
    w.mask = mask->data;
    w.warped = warped->data;
    vsl_parallel_for(w.n[1] * w.n[2], vsl_backend_threads(warped->be), warp_mask_row, &w);
out:
    return st;
}

/* Values of the per-plane accumulators: rows of fine voxels, one per lattice row, then their contraction. */
static int64_t restrict_rows(const Warp *w)
{
    return (3 * w->m[1] * w->n[0] + 15) / 16 * 16;
}

/* item = image plane k: its force contracted along j and i, into partial[k] (3, m1, m0). */
static void restrict_plane(void *ctx, int64_t item, int worker)
{
    const Warp *w = ctx;
    const int64_t n0 = w->n[0], n1 = w->n[1], n = w->plane, m0 = w->m[0], m1 = w->m[1];
    const int tj = tap_count(w, 1), ti = tap_count(w, 0);
    float *rows = w->rows + worker * restrict_rows(w), *out = w->partial + item * 3 * m0 * m1;
    memset(rows, 0, (size_t)(3 * m1 * n0) * sizeof *rows);
    memset(out, 0, (size_t)(3 * m1 * m0) * sizeof *out);
    for (int64_t j = 0; j < n1; j++) {
        const int64_t at = (item * n1 + j) * n0;
        for (int q = 0; q < w->channels; q++) {
            const float *restrict g = w->grad + q * n + at;
            for (int c = 0; c < 3; c++) {
                const float *restrict s = w->slope_in + (3 * q + c) * n + at;
                for (int a = 0; a < tj; a++) {
                    const float weight = w->taps[1].weight[j][a];
                    float *restrict to = rows + (c * m1 + w->taps[1].first[j] + a) * n0;
                    for (int64_t i = 0; i < n0; i++) {
                        to[i] += weight * (g[i] * s[i]);
                    }
                }
            }
        }
    }
    for (int64_t r = 0; r < 3 * m1; r++) {
        for (int64_t i = 0; i < n0; i++) {
            for (int a = 0; a < ti; a++) {
                out[r * m0 + w->taps[0].first[i] + a] += w->taps[0].weight[i][a] * rows[r * n0 + i];
            }
        }
    }
}

/* item = component * m[2] + lattice plane: sums the image planes that reach it, in order. */
static void restrict_gather(void *ctx, int64_t item, int worker)
{
    const Warp *w = ctx;
    (void)worker;
    const int64_t plane = w->m[0] * w->m[1], c = item / w->m[2], node = item % w->m[2];
    const int tk = tap_count(w, 2);
    float *restrict out = w->eta + item * plane;
    memset(out, 0, (size_t)plane * sizeof *out);
    for (int64_t k = 0; k < w->n[2]; k++) {
        const int64_t a = node - w->taps[2].first[k];
        if (a < 0 || a >= tk) {
            continue;
        }
        const float weight = w->scale * w->taps[2].weight[k][a];
        const float *restrict from = w->partial + (k * 3 + c) * plane;
        for (int64_t i = 0; i < plane; i++) {
            out[i] += weight * from[i];
        }
    }
}

VslStatus reg_cpu_restrict_force(VslField *eta, const VslField *grad, const VslField *slope, const RegLattice *lattice,
                                 double scale)
{
    VslStatus st = VSL_OK;
    Warp w;
    const int threads = vsl_backend_threads(grad->be);
    const int64_t partial = 3 * lattice->n[0] * lattice->n[1] * grad->n[2];
    const int64_t rows = threads * ((3 * lattice->n[1] * grad->n[0] + 15) / 16 * 16);
    VSL_TRY(make_warp(&w, grad, lattice, partial + rows));
    w.partial = w.rows + rows; /* the warp's own row buffers are not needed here */
    w.grad = grad->data;
    w.slope_in = slope->data;
    w.channels = grad->channels;
    w.eta = eta->data;
    w.scale = (float)scale;
    vsl_parallel_for(w.n[2], threads, restrict_plane, &w);
    vsl_parallel_for(3 * w.m[2], threads, restrict_gather, &w);
out:
    return st;
}
