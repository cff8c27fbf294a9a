#include "registration/chain.h"

#include <math.h>

/* --- preparation ------------------------------------------------------------------------------------------------ */

static int is_finite_affine(const VslAffine *a)
{
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            if (!isfinite(a->m[r][c])) {
                return 0;
            }
        }
    }
    return 1;
}

VslStatus reg_chain_new(RegChain *out, const VslGrid *grid, const VslMap *chain, int links, const VslAffine *to)
{
    VslStatus st = VSL_OK;
    RegChain c = {0};
    VSL_CHECK(links >= 0 && (chain || links == 0), VSL_E_ARG, "a chain needs its links, got %d and %s", links,
              chain ? "an array" : "no array");
    VSL_TRY(VSL_NEW0(&c.stage, links + 1, "chain of maps"));
    VslAffine pending = grid ? grid->to_ras : vsl_affine_identity();
    int at_start = grid != NULL; /* no link has acted yet: positions are still the grid's own voxels */
    for (int l = links - 1; l >= 0; l--) {
        if (!chain[l].disp) {
            VSL_CHECK(is_finite_affine(&chain[l].affine), VSL_E_NUMERIC, "the affine of link %d is not finite", l);
            pending = vsl_affine_compose(&chain[l].affine, &pending);
            at_start = 0;
            continue;
        }
        const VslVolume *disp = chain[l].disp;
        VSL_CHECK(disp->channels == 3 && disp->data, VSL_E_ARG,
                  "link %d is a displacement with %d channels, expected 3 (x, y, z in mm)", l, disp->channels);
        RegStage *s = &c.stage[c.stages++];
        VslAffine from_ras;
        VSL_TRY(vsl_grid_from_ras(&from_ras, &disp->grid));
        s->disp = disp;
        s->world = pending;
        s->voxel = vsl_affine_compose(&from_ras, &pending);
        s->direct = at_start && vsl_grid_same(grid, &disp->grid, 1e-4);
        pending = vsl_affine_identity();
        at_start = 0;
    }
    c.last = to ? vsl_affine_compose(to, &pending) : pending;
    *out = c;
    c.stage = NULL;
out:
    vsl_free(c.stage);
    return st;
}

void reg_chain_free(RegChain *c)
{
    vsl_free(c->stage);
    *c = (RegChain){0};
}

VslStatus reg_rows_new(RegRow **out, int workers, int64_t n)
{
    VslStatus st = VSL_OK;
    /* One block: the headers, then per worker 3 double and 6 float arrays, each padded to a cache line. */
    const int64_t padded = (n + 15) / 16 * 16, row_bytes = padded * (int64_t)(3 * sizeof(double) + 6 * sizeof(float));
    const int64_t head = (workers * (int64_t)sizeof(RegRow) + 63) / 64 * 64;
    char *block = NULL;
    VSL_TRY(VSL_NEW(&block, head + workers * row_bytes, "rows of points"));
    RegRow *rows = (RegRow *)(void *)block;
    for (int w = 0; w < workers; w++) {
        double *x = (double *)(void *)(block + head + w * row_bytes);
        float *f = (float *)(void *)(x + 3 * padded);
        rows[w].n = n;
        for (int d = 0; d < 3; d++) {
            rows[w].x[d] = x + d * padded;
            rows[w].q[d] = f + d * padded;
            rows[w].u[d] = f + (3 + d) * padded;
        }
    }
    *out = rows;
out:
    return st;
}

void reg_rows_free(RegRow **rows)
{
    vsl_free(*rows);
    *rows = NULL;
}

/* --- positions -------------------------------------------------------------------------------------------------- */

void reg_row_start(RegRow *row, int64_t count, int64_t j, int64_t k)
{
    for (int64_t i = 0; i < count; i++) {
        row->x[0][i] = (double)i;
        row->x[1][i] = (double)j;
        row->x[2][i] = (double)k;
    }
}

void reg_row_index(RegRow *row, int64_t count)
{
    for (int d = 0; d < 3; d++) {
        const double *restrict x = row->x[d];
        float *restrict q = row->q[d];
        for (int64_t i = 0; i < count; i++) {
            q[i] = (float)x[i];
        }
    }
}

static void transform_row(RegRow *row, int64_t count, const VslAffine *a)
{
    double *restrict x = row->x[0], *restrict y = row->x[1], *restrict z = row->x[2];
    const double(*m)[4] = a->m;
    for (int64_t i = 0; i < count; i++) {
        const double p = x[i], q = y[i], r = z[i];
        x[i] = m[0][0] * p + m[0][1] * q + m[0][2] * r + m[0][3];
        y[i] = m[1][0] * p + m[1][1] * q + m[1][2] * r + m[1][3];
        z[i] = m[2][0] * p + m[2][1] * q + m[2][2] * r + m[2][3];
    }
}

static void index_row(RegRow *row, int64_t count, const VslAffine *a)
{
    const double *restrict x = row->x[0], *restrict y = row->x[1], *restrict z = row->x[2];
    for (int d = 0; d < 3; d++) {
        const double a0 = a->m[d][0], a1 = a->m[d][1], a2 = a->m[d][2], a3 = a->m[d][3];
        float *restrict q = row->q[d];
        for (int64_t i = 0; i < count; i++) {
            q[i] = (float)(a0 * x[i] + a1 * y[i] + a2 * z[i] + a3);
        }
    }
}

static void add_row(double *restrict x, const float *restrict u, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        x[i] += (double)u[i];
    }
}

void reg_chain_run(const RegChain *c, RegRow *row, int64_t count, int64_t voxel)
{
    for (int s = 0; s < c->stages; s++) {
        const RegStage *g = &c->stage[s];
        const float *u[3] = {row->u[0], row->u[1], row->u[2]};
        if (g->direct) {
            const int64_t plane = vsl_grid_voxels(&g->disp->grid);
            for (int d = 0; d < 3; d++) {
                u[d] = g->disp->data + d * plane + voxel;
            }
        } else {
            index_row(row, count, &g->voxel);
            reg_sample_linear(row->u[0], row->u[1] - row->u[0], row, count, g->disp, 0.0F);
        }
        transform_row(row, count, &g->world);
        for (int d = 0; d < 3; d++) {
            add_row(row->x[d], u[d], count);
        }
    }
    transform_row(row, count, &c->last);
}

/* --- sampling --------------------------------------------------------------------------------------------------- */

/* A zero weight does not touch its voxel: NaN next door stays there when positions fall on voxel centres. */
static inline float mix(float a, float b, float w)
{
    return w > 0 ? a + w * (b - a) : a;
}

/* Left neighbour offset, step to the right one and weight along one axis; 0 when q is outside. */
static inline int cell(int64_t *offset, int64_t *step, float *w, float q, int64_t n, int64_t stride)
{
    if (!(q >= -0.5F && q <= (float)n - 0.5F)) {
        return 0;
    }
    const float f = floorf(q);
    const int64_t i = (int64_t)f;
    *w = q - f > 1e-6F ? q - f : 0; /* rounding of a position on a voxel centre is no reason to look next door */
    *offset = (i < 0 ? 0 : i > n - 1 ? n - 1 : i) * stride;
    *step = i >= 0 && i < n - 1 ? stride : 0;
    return 1;
}

static inline void sample_row(float *restrict out, int64_t out_stride, const RegRow *row, int64_t count,
                              const VslVolume *v, float outside, int channels)
{
    const int64_t nx = v->grid.n[0], ny = v->grid.n[1], nz = v->grid.n[2], plane = nx * ny * nz;
    const float *restrict qx = row->q[0], *restrict qy = row->q[1], *restrict qz = row->q[2];
    for (int64_t i = 0; i < count; i++) {
        int64_t ox, oy, oz, sx, sy, sz;
        float wx, wy, wz;
        if (!cell(&ox, &sx, &wx, qx[i], nx, 1) || !cell(&oy, &sy, &wy, qy[i], ny, nx) ||
            !cell(&oz, &sz, &wz, qz[i], nz, nx * ny)) {
            for (int c = 0; c < channels; c++) {
                out[c * out_stride + i] = outside;
            }
            continue;
        }
        const float *p = v->data + ox + oy + oz;
        for (int c = 0; c < channels; c++, p += plane) {
            const float a = mix(mix(p[0], p[sx], wx), mix(p[sy], p[sy + sx], wx), wy);
            const float b = mix(mix(p[sz], p[sz + sx], wx), mix(p[sz + sy], p[sz + sy + sx], wx), wy);
            out[c * out_stride + i] = mix(a, b, wz);
        }
    }
}

void reg_sample_linear(float *out, int64_t stride, const RegRow *row, int64_t count, const VslVolume *v, float outside)
{
    switch (v->channels) { /* constants let the compiler unroll the two common cases */
    case 1: sample_row(out, stride, row, count, v, outside, 1); break;
    case 3: sample_row(out, stride, row, count, v, outside, 3); break;
    default: sample_row(out, stride, row, count, v, outside, v->channels); break;
    }
}

int64_t reg_nearest(const RegRow *row, int64_t i, const int64_t n[3])
{
    int64_t at[3];
    for (int d = 0; d < 3; d++) {
        const float q = row->q[d][i];
        if (!(q >= -0.5F && q <= (float)n[d] - 0.5F)) {
            return -1;
        }
        const int64_t r = (int64_t)floorf(q + 0.5F);
        at[d] = r > n[d] - 1 ? n[d] - 1 : r;
    }
    return (at[2] * n[1] + at[1]) * n[0] + at[0];
}
