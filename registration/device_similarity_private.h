/* Device loops of the similarities.
 *
 * LNCC: window sums of three quantities, once going in (the products wJ, wJ^2, wIJ, used for the correlation) and once
 * coming back (its derivative terms, used for the gradient). Each way is one pass over the grid: a team of threads owns
 * a tile of columns, marches along k, and keeps what windows share in its shared memory, so that every value is read
 * from memory once, by one team besides its neighbours' halos.
 *
 * A step of the march takes some rows of one plane with their halo ("stage"), sums them along i ("rows"), and, once the
 * plane is complete, along j; every column then adds its value to the sum of the last 2 r + 1 planes ("ring"). No
 * running sum is ever subtracted from, as that would drift: planes are counted in groups of 2 r + 1, and a window is
 * what is left of the group before, summed from its end, plus what there is of the group now (van Herk 1992).
 * Common subset of C17 and CUDA C++; core/device_reduce_private.h says how it is launched. */
#ifndef VSL_REGISTRATION_DEVICE_SIMILARITY_PRIVATE_H
#define VSL_REGISTRATION_DEVICE_SIMILARITY_PRIVATE_H

#include <string.h>

#include "core/device_reduce_private.h"
#include "registration/kernels_cuda.h"
#include "registration/point.h"

enum { REG_TILE = 32, REG_TILE_PITCH = REG_TILE + 1, REG_RUN = 4 };
enum { REG_STAGED_FLOATS = 4096, REG_SHARED_BYTES = 98304, REG_TEAMS = 768, REG_LEAST_PLANES = 16 };
/* What is summed: (w, wI, wI^2), (wJ, wJ^2, wIJ), or three planes as they are. */
enum { REG_SUM_IMAGE, REG_SUM_PRODUCTS, REG_SUM_TERMS };

typedef struct RegLnccArgs {
    int32_t n[3], radius[3];
    int64_t plane, count;                        /* voxels of one k, of all */
    int32_t tiles[2], tile_j, planes;            /* tiles along i and j, rows of a tile, planes of a march */
    int32_t rows, width, pitch, staged, batches; /* rows of a tile with their halo, their length, how it is laid out,
                                                  * how many are staged at a time, and how many times a plane */
    const float *image, *warped, *weight, *fixed;
    const float *from; /* 3 planes of terms */
    float *to, *grad;
    double *partial;
    float eps, scale;
    int add; /* the derivative is added to what grad held */
} RegLnccArgs;

/* The shared memory of a team. Three of each, for the three quantities. */
typedef struct RegTeam {
    double *energy; /* per thread */
    float *stage;   /* staged rows of `pitch` */
    float *rows;    /* rows of REG_TILE_PITCH, summed along i */
    float *ring;    /* per column: the last planes, and the sum of those of this group */
    float *sums;    /* per column: the window of the plane that has just been completed */
} RegTeam;

VSL_BODY int32_t reg_team_columns(const RegLnccArgs *s)
{
    return REG_TILE * s->tile_j;
}

VSL_BODY RegTeam reg_team(const RegLnccArgs *s, double *shared)
{
    RegTeam t;
    t.energy = shared;
    t.stage = (float *)(void *)(shared + VSL_TEAM);
    t.rows = t.stage + 3 * s->staged * s->pitch;
    t.ring = t.rows + 3 * s->rows * REG_TILE_PITCH;
    t.sums = t.ring + 3 * (2 * s->radius[2] + 2) * reg_team_columns(s);
    return t;
}

/* First voxel of a team's tile and march. */
VSL_BODY void reg_team_origin(int32_t at[3], const RegLnccArgs *s, int64_t team)
{
    const int32_t t = (int32_t)team;
    at[0] = t % s->tiles[0] * REG_TILE;
    at[1] = t / s->tiles[0] % s->tiles[1] * s->tile_j;
    at[2] = t / (s->tiles[0] * s->tiles[1]) * s->planes;
}

/* What is summed at a voxel, 0 outside the grid. */
VSL_BODY void reg_lncc_source(float v[3], const RegLnccArgs *s, int use, int32_t i, int32_t j, int32_t k)
{
    const int64_t q = (int64_t)k * s->plane + (int64_t)j * s->n[0] + i;
    v[0] = v[1] = v[2] = 0;
    if (i < 0 || i >= s->n[0] || j < 0 || j >= s->n[1] || k < 0 || k >= s->n[2]) {
        return;
    }
    if (use == REG_SUM_TERMS) {
        v[0] = s->from[q];
        v[1] = s->from[q + s->count];
        v[2] = s->from[q + 2 * s->count];
    } else if (use == REG_SUM_IMAGE) {
        v[0] = s->weight[q];
        v[1] = v[0] * s->image[q];
        v[2] = v[1] * s->image[q];
    } else {
        v[0] = s->weight[q] * s->warped[q];
        v[1] = v[0] * s->warped[q];
        v[2] = v[0] * s->image[q];
    }
}

/* sum[o] = x[o] + .. + x[o + width - 1] in steps of `stride`, for o < count <= REG_RUN: what the four share is summed
 * once. */
VSL_BODY void reg_run_sums(float sum[REG_RUN], const float *x, int32_t stride, int32_t width, int32_t count)
{
    float shared = 0;
    for (int o = 0; o < REG_RUN; o++) {
        sum[o] = 0;
    }
    if (count < REG_RUN || width < REG_RUN) {
        for (int o = 0; o < REG_RUN; o++) {
            for (int32_t q = 0; q < width && o < count; q++) {
                sum[o] += x[(o + q) * stride];
            }
        }
        return;
    }
    for (int32_t q = REG_RUN - 1; q < width; q++) {
        shared += x[q * stride];
    }
    const float a = x[0], b = x[stride], c = x[2 * stride];
    const float d = x[width * stride], e = x[(width + 1) * stride], f = x[(width + 2) * stride];
    sum[0] = shared + (c + b + a);
    sum[1] = shared + (c + b) + d;
    sum[2] = shared + c + (d + e);
    sum[3] = shared + (d + e + f);
}

/* Stages batch `batch` of plane k. */
VSL_BODY void reg_team_stage(const RegLnccArgs *s, const RegTeam *t, int use, const int32_t at[3], int thread,
                             int32_t batch, int32_t k)
{
    const int32_t first = batch * s->staged, rest = s->rows - first, rows = rest < s->staged ? rest : s->staged;
    for (int32_t q = thread; q < rows * s->width; q += VSL_TEAM) {
        const int32_t row = q / s->width, column = q % s->width;
        float v[3];
        reg_lncc_source(v, s, use, at[0] - s->radius[0] + column, at[1] - s->radius[1] + first + row, k);
        for (int f = 0; f < 3; f++) {
            t->stage[(f * s->staged + row) * s->pitch + column] = v[f];
        }
    }
}

/* Sums the staged rows along i. */
VSL_BODY void reg_team_rows(const RegLnccArgs *s, const RegTeam *t, int thread, int32_t batch)
{
    const int32_t first = batch * s->staged, rest = s->rows - first, rows = rest < s->staged ? rest : s->staged;
    for (int32_t q = thread; q < 3 * rows * (REG_TILE / REG_RUN); q += VSL_TEAM) {
        const int32_t row = q % rows, run = q / rows % (REG_TILE / REG_RUN), f = q / rows / (REG_TILE / REG_RUN);
        float *to = t->rows + (f * s->rows + first + row) * REG_TILE_PITCH + run * REG_RUN;
        float sum[REG_RUN];
        reg_run_sums(sum, t->stage + (f * s->staged + row) * s->pitch + run * REG_RUN, 1, 2 * s->radius[0] + 1,
                     REG_RUN);
        for (int o = 0; o < REG_RUN; o++) {
            to[o] = sum[o];
        }
    }
}

/* Adds the next value of a column, plane `p` of the march, to its ring. Returns the sum of the last `width`. */
VSL_BODY float reg_ring_add(float *ring, int32_t stride, int32_t width, int32_t p, float value)
{
    const int32_t here = p % width;
    const float group = here > 0 ? ring[width * stride] + value : value;
    const float before = p >= width && here + 1 < width ? ring[(here + 1) * stride] : 0;
    ring[width * stride] = group;
    ring[here * stride] = value;
    if (here + 1 == width) { /* the group is complete: sums from its end take the place of its values */
        for (int32_t q = width - 2; q >= 0; q--) {
            ring[q * stride] += ring[(q + 1) * stride];
        }
    }
    return group + before;
}

/* Sums plane `p` of the march along j, and along k with the planes before it. */
VSL_BODY void reg_team_columns_add(const RegLnccArgs *s, const RegTeam *t, int thread, int32_t p)
{
    const int32_t runs = (s->tile_j + REG_RUN - 1) / REG_RUN, count = s->tile_j < REG_RUN ? s->tile_j : REG_RUN,
                  columns = reg_team_columns(s), width = 2 * s->radius[2] + 1;
    for (int32_t q = thread; q < 3 * runs * REG_TILE; q += VSL_TEAM) {
        const int32_t i = q % REG_TILE, run = q / REG_TILE % runs, f = q / REG_TILE / runs;
        float sum[REG_RUN];
        reg_run_sums(sum, t->rows + (f * s->rows + run * REG_RUN) * REG_TILE_PITCH + i, REG_TILE_PITCH,
                     2 * s->radius[1] + 1, count);
        for (int o = 0; o < REG_RUN; o++) {
            const int32_t column = (run * REG_RUN + o) * REG_TILE + i;
            if (o < count) {
                t->sums[f * columns + column] =
                    reg_ring_add(t->ring + f * (width + 1) * columns + column, columns, width, p, sum[o]);
            }
        }
    }
}

/* From the window sums a, b, c of voxel q: statistics of the fixed image. */
VSL_BODY void reg_lncc_moments(const RegLnccArgs *s, int64_t q, float sw, float sx, float sxx)
{
    const float inv = sw > 1e-6f ? 1.0f / sw : 0.0f, m = sx * inv, v = sxx * inv - m * m;
    s->to[q] = m;
    s->to[q + s->count] = (v > 0 ? v : 0) + s->eps;
    s->to[q + 2 * s->count] = inv;
}

/* The correlation, returned, and its derivative terms. */
VSL_BODY double reg_lncc_correlation(const RegLnccArgs *s, int64_t q, float sy, float syy, float sxy)
{
    const int64_t n = s->count;
    const float mean = s->fixed[q], variance = s->fixed[q + n], inverse = s->fixed[q + 2 * n], w = s->weight[q];
    const float my = sy * inverse, vy = syy * inverse - my * my, covariance = sxy * inverse - mean * my;
    const RegLncc t = reg_lncc_terms(covariance, variance, (vy > 0 ? vy : 0) + s->eps);
    if (s->grad) {
        const float wn = w * inverse, a = wn * t.p, b = wn * t.q;
        s->to[q] = a;
        s->to[q + n] = b;
        s->to[q + 2 * n] = a * mean - b * my;
    }
    return (double)(w * t.e);
}

/* The derivative, from the sums of its terms. */
VSL_BODY void reg_lncc_derivative(const RegLnccArgs *s, int64_t q, float a, float b, float c)
{
    s->grad[q] = (s->add ? s->grad[q] : 0) + s->scale * s->weight[q] * (s->warped[q] * b - s->image[q] * a + c);
}

/* Uses the windows of the voxels whose last plane was `p` of the march. */
VSL_BODY void reg_team_use(const RegLnccArgs *s, const RegTeam *t, int use, const int32_t at[3], int thread, int32_t p)
{
    const int32_t columns = reg_team_columns(s), i = at[0] + thread % REG_TILE, j = at[1] + thread / REG_TILE,
                  k = at[2] + p - 2 * s->radius[2], end = at[2] + s->planes;
    if (thread >= columns || i >= s->n[0] || j >= s->n[1] || k < at[2] || k >= end || k >= s->n[2]) {
        return;
    }
    const int64_t q = (int64_t)k * s->plane + (int64_t)j * s->n[0] + i;
    const float a = t->sums[thread], b = t->sums[columns + thread], c = t->sums[2 * columns + thread];
    if (use == REG_SUM_IMAGE) {
        reg_lncc_moments(s, q, a, b, c);
    } else if (use == REG_SUM_PRODUCTS) {
        t->energy[thread] += reg_lncc_correlation(s, q, a, b, c);
    } else {
        reg_lncc_derivative(s, q, a, b, c);
    }
}

/* Steps of a march: each batch of rows is staged in one, summed in its second phase, and the plane that it completes is
 * used in the next; then the team's energies are added. */
static inline int64_t reg_march_steps(const RegLnccArgs *s)
{
    return (int64_t)(s->planes + 2 * s->radius[2]) * s->batches + 2;
}

VSL_BODY void reg_march(const RegLnccArgs *s, double *shared, int64_t team, int thread, int64_t step, int phase,
                        int use)
{
    const RegTeam t = reg_team(s, shared);
    const int32_t batches = (s->planes + 2 * s->radius[2]) * s->batches, now = (int32_t)step, before = now - 1;
    const int completed = before >= 0 && before < batches && before % s->batches == s->batches - 1;
    int32_t at[3];
    reg_team_origin(at, s, team);
    if (phase == 0) {
        if (now == 0) {
            t.energy[thread] = 0;
        }
        if (now < batches) {
            reg_team_stage(s, &t, use, at, thread, now % s->batches, at[2] - s->radius[2] + now / s->batches);
        }
        if (completed) {
            reg_team_columns_add(s, &t, thread, before / s->batches);
        }
        if (before == batches && thread == 0 && use == REG_SUM_PRODUCTS) {
            double sum = 0;
            for (int q = 0; q < VSL_TEAM; q++) {
                sum += t.energy[q];
            }
            s->partial[team] = sum;
        }
    } else {
        if (now < batches) {
            reg_team_rows(s, &t, thread, now % s->batches);
        }
        if (completed) {
            reg_team_use(s, &t, use, at, thread, before / s->batches);
        }
    }
}

VSL_BODY void reg_march_image(const RegLnccArgs *s, double *shared, int64_t team, int thread, int64_t step, int phase)
{
    reg_march(s, shared, team, thread, step, phase, REG_SUM_IMAGE);
}
VSL_TEAM_KERNEL(reg_march_image, RegLnccArgs)

VSL_BODY void reg_march_products(const RegLnccArgs *s, double *shared, int64_t team, int thread, int64_t step,
                                 int phase)
{
    reg_march(s, shared, team, thread, step, phase, REG_SUM_PRODUCTS);
}
VSL_TEAM_KERNEL(reg_march_products, RegLnccArgs)

VSL_BODY void reg_march_terms(const RegLnccArgs *s, double *shared, int64_t team, int thread, int64_t step, int phase)
{
    reg_march(s, shared, team, thread, step, phase, REG_SUM_TERMS);
}
VSL_TEAM_KERNEL(reg_march_terms, RegLnccArgs)

static int32_t reg_ratio_up(int32_t a, int32_t b)
{
    return (a + b - 1) / b;
}

/* Lays a team's memory out for tiles of `tile_j` rows. Returns its bytes. */
static int64_t reg_lncc_layout(RegLnccArgs *s, int32_t tile_j)
{
    s->tile_j = tile_j;
    s->rows = tile_j + 2 * s->radius[1];
    s->width = REG_TILE + 2 * s->radius[0];
    s->pitch = s->width + 1; /* odd: rows lie in different banks */
    s->staged = REG_STAGED_FLOATS / (3 * s->pitch) < s->rows ? REG_STAGED_FLOATS / (3 * s->pitch) : s->rows;
    s->batches = reg_ratio_up(s->rows, s->staged);
    const int64_t floats =
        (int64_t)s->staged * s->pitch + s->rows * REG_TILE_PITCH + (int64_t)(2 * s->radius[2] + 3) * REG_TILE * tile_j;
    return VSL_TEAM * (int64_t)sizeof(double) + (3 * floats + 1) / 2 * 2 * (int64_t)sizeof(float);
}

/* Teams, and bytes of shared memory of each. All depends on the grid and the window alone, so that sums have one
 * order: tiles as tall as the shared memory of most devices allows, marches as long as still leave REG_TEAMS. */
static RegLnccArgs reg_lncc_args(int64_t *teams, int64_t *shared, const VslField *image, const VslField *weight,
                                 const int radius[3], double eps)
{
    RegLnccArgs s;
    memset(&s, 0, sizeof s);
    for (int d = 0; d < 3; d++) {
        s.n[d] = (int32_t)image->n[d];
        s.radius[d] = image->n[d] > 1 ? radius[d] : 0;
    }
    s.plane = image->n[0] * image->n[1];
    s.count = s.plane * image->n[2];
    s.image = image->data;
    s.weight = weight->data;
    s.eps = (float)eps;
    int32_t tile_j = VSL_TEAM / REG_TILE;
    while ((*shared = reg_lncc_layout(&s, tile_j)) > REG_SHARED_BYTES && tile_j > 1) {
        tile_j /= 2;
    }
    s.tiles[0] = reg_ratio_up(s.n[0], REG_TILE);
    s.tiles[1] = reg_ratio_up(s.n[1], tile_j);
    const int32_t tiles = s.tiles[0] * s.tiles[1], most = reg_ratio_up(s.n[2], REG_LEAST_PLANES),
                  wanted = reg_ratio_up(REG_TEAMS, tiles);
    s.planes = reg_ratio_up(s.n[2], wanted < most ? wanted : most);
    *teams = (int64_t)tiles * reg_ratio_up(s.n[2], s.planes);
    return s;
}

VslStatus reg_device_lncc_prepare(VslField *fixed, const VslField *image, const VslField *weight, const int radius[3],
                                  double eps)
{
    int64_t teams, shared;
    RegLnccArgs s = reg_lncc_args(&teams, &shared, image, weight, radius, eps);
    s.to = fixed->data;
    return reg_march_image_launch(image->be, s, teams, reg_march_steps(&s), shared);
}

VslStatus reg_device_lncc(double *energy, VslField *grad, const VslField *image, const VslField *warped,
                          const VslField *weight, const VslField *fixed, VslField *scratch, const int radius[3],
                          double eps, double scale, int add)
{
    VslStatus st = VSL_OK;
    VslBackend *be = image->be;
    int64_t teams, shared;
    RegLnccArgs s = reg_lncc_args(&teams, &shared, image, weight, radius, eps);
    float *memory = NULL;
    VSL_TRY(vsl_backend_scratch(&memory, be, vsl_device_reduce_floats(teams, 1)));
    s.partial = (double *)(void *)memory;
    s.warped = warped->data;
    s.fixed = fixed->data;
    s.from = s.to = scratch->data;
    s.add = add;
    s.grad = grad ? grad->data : NULL;
    s.scale = (float)scale;
    VSL_TRY(reg_march_products_launch(be, s, teams, reg_march_steps(&s), shared));
    if (grad) {
        VSL_TRY(reg_march_terms_launch(be, s, teams, reg_march_steps(&s), shared));
    }
    VSL_TRY(vsl_device_reduce(energy, be, s.partial, teams, 1, VSL_REDUCE_SUM));
out:
    return st;
}

/* One thread is one voxel, or one part of a sum. */
typedef struct RegVoxelArgs {
    int64_t count, parts;
    const float *image, *warped, *weight;
    float *to;
    double *partial;
    float scale, value;
} RegVoxelArgs;

VSL_BODY void reg_ssd_part(const RegVoxelArgs *s, int64_t part)
{
    double energy = 0;
    for (int64_t i = part; i < s->count; i += s->parts) {
        const float d = s->warped[i] - s->image[i], wd = s->weight[i] * d;
        energy += 0.5 * (double)wd * (double)d;
        if (s->to) {
            s->to[i] = s->scale * wd;
        }
    }
    s->partial[part] = energy;
}
VSL_KERNEL(reg_ssd_part, RegVoxelArgs)

VslStatus reg_device_ssd(double *energy, VslField *grad, const VslField *image, const VslField *warped,
                         const VslField *weight, double scale)
{
    VslStatus st = VSL_OK;
    RegVoxelArgs s;
    float *scratch = NULL;
    memset(&s, 0, sizeof s);
    s.count = vsl_field_count(image);
    s.image = image->data;
    s.weight = weight->data;
    s.parts = vsl_device_parts(s.count);
    VSL_TRY(vsl_backend_scratch(&scratch, image->be, vsl_device_reduce_floats(s.parts, 1)));
    s.partial = (double *)(void *)scratch;
    s.warped = warped->data;
    s.to = grad ? grad->data : NULL;
    s.scale = (float)scale;
    VSL_TRY(reg_ssd_part_launch(image->be, s, s.parts));
    VSL_TRY(vsl_device_reduce(energy, image->be, s.partial, s.parts, 1, VSL_REDUCE_SUM));
out:
    return st;
}

VSL_BODY void reg_product_value(const RegVoxelArgs *s, int64_t i)
{
    s->to[i] = s->image ? s->image[i] * s->weight[i] : s->value;
}
VSL_KERNEL(reg_product_value, RegVoxelArgs)

VslStatus reg_device_fill(VslField *out, float value)
{
    RegVoxelArgs s;
    memset(&s, 0, sizeof s);
    s.to = out->data;
    s.value = value;
    return reg_product_value_launch(out->be, s, vsl_field_count(out));
}

VslStatus reg_device_multiply(VslField *out, const VslField *a, const VslField *b)
{
    RegVoxelArgs s;
    memset(&s, 0, sizeof s);
    s.to = out->data;
    s.image = a->data;
    s.weight = b->data;
    return reg_product_value_launch(out->be, s, vsl_field_count(out));
}

#endif
