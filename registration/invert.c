/*
 * The inverse of a displacement field: for each voxel centre y of the wanted grid the root v of
 *
 *     g(v) = v + u(y + v) = 0,      so that phi(y + v) = y,
 *
 * by Newton steps with the derivative of the trilinear interpolant, halved until |g| falls; where the derivative is
 * singular the step is that of the fixed-point iteration v <- -u(y + v). For this search alone u is continued outside
 * its field by its nearest edge value, so that the inverse of a translation is a translation up to the border.
 */
#include "registration/transform.h"

#include <math.h>

#include "core/parallel.h"

enum { MAX_STEPS = 40, MAX_HALVINGS = 8 };

typedef struct Inversion {
    const VslVolume *disp;
    VslAffine to_voxel;
    VslGrid grid;
    float *out;       /* 3 planes */
    double *residual; /* largest |g| of each row, mm */
    double tolerance; /* mm */
} Inversion;

/* u and its derivative by world coordinates at world point x. */
static void displacement_at(double u[3], double du[3][3], const Inversion *inv, const double x[3])
{
    const VslVolume *v = inv->disp;
    const int64_t *n = v->grid.n, stride[3] = {1, n[0], n[0] * n[1]}, plane = stride[2] * n[2];
    double q[3], w[3][2], slope[3];
    int64_t at = 0, step[3];
    vsl_affine_point(q, &inv->to_voxel, x);
    for (int d = 0; d < 3; d++) {
        const double top = (double)(n[d] - 1), c = q[d] > 0 ? (q[d] < top ? q[d] : top) : 0;
        const int64_t i = n[d] > 1 ? ((int64_t)c < n[d] - 2 ? (int64_t)c : n[d] - 2) : 0;
        w[d][1] = c - (double)i;
        w[d][0] = 1 - w[d][1];
        slope[d] = n[d] > 1 && q[d] >= 0 && q[d] <= top ? 1 : 0;
        step[d] = n[d] > 1 ? stride[d] : 0;
        at += i * stride[d];
    }
    double dq[3][3] = {{0}};
    for (int c = 0; c < 3; c++) {
        const float *p = v->data + c * plane + at;
        u[c] = 0;
        for (int b = 0; b < 8; b++) {
            const int bi = b & 1, bj = (b >> 1) & 1, bk = b >> 2;
            const double f = (double)p[bi * step[0] + bj * step[1] + bk * step[2]];
            u[c] += w[0][bi] * w[1][bj] * w[2][bk] * f;
            dq[c][0] += (bi ? 1 : -1) * w[1][bj] * w[2][bk] * f;
            dq[c][1] += (bj ? 1 : -1) * w[0][bi] * w[2][bk] * f;
            dq[c][2] += (bk ? 1 : -1) * w[0][bi] * w[1][bj] * f;
        }
    }
    for (int c = 0; c < 3; c++) {
        for (int d = 0; d < 3; d++) {
            du[c][d] = 0;
            for (int e = 0; e < 3; e++) {
                du[c][d] += dq[c][e] * slope[e] * inv->to_voxel.m[e][d];
            }
        }
    }
}

/* g and the length of it at v; the derivative too. */
static double residual_at(double g[3], double dg[3][3], const Inversion *inv, const double y[3], const double v[3])
{
    const double x[3] = {y[0] + v[0], y[1] + v[1], y[2] + v[2]};
    displacement_at(g, dg, inv, x);
    double sum = 0;
    for (int d = 0; d < 3; d++) {
        g[d] += v[d];
        dg[d][d] += 1;
        sum += g[d] * g[d];
    }
    return sqrt(sum);
}

/* step = -dg^-1 g, or -g where dg is close to singular. */
static void newton_step(double step[3], const double g[3], const double dg[3][3])
{
    VslAffine a = {{{0}}}, inverse;
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++) {
            a.m[r][c] = dg[r][c];
        }
        step[r] = -g[r];
    }
    if (fabs(vsl_affine_det(&a)) > 1e-6 && vsl_affine_invert(&inverse, &a) == VSL_OK) {
        double s[3];
        vsl_affine_vector(s, &inverse, step);
        for (int d = 0; d < 3; d++) {
            step[d] = s[d];
        }
    }
}

static double solve(double v[3], const Inversion *inv, const double y[3])
{
    double g[3], dg[3][3], step[3];
    double r = residual_at(g, dg, inv, y, v);
    for (int n = 0; n < MAX_STEPS && r > inv->tolerance; n++) {
        newton_step(step, g, (const double(*)[3])dg);
        double share = 1, trial_r = r, trial[3];
        for (int h = 0; h <= MAX_HALVINGS; h++, share *= 0.5) {
            for (int d = 0; d < 3; d++) {
                trial[d] = v[d] + share * step[d];
            }
            trial_r = residual_at(g, dg, inv, y, trial);
            if (trial_r < r) {
                break;
            }
        }
        if (!(trial_r < r)) {
            return r;
        }
        r = trial_r;
        for (int d = 0; d < 3; d++) {
            v[d] = trial[d];
        }
    }
    return r;
}

static void invert_row(void *ctx, int64_t item, int worker)
{
    (void)worker;
    const Inversion *inv = ctx;
    const int64_t n0 = inv->grid.n[0], n1 = inv->grid.n[1], plane = vsl_grid_voxels(&inv->grid);
    double last[3] = {0}, worst = 0;
    for (int64_t i = 0; i < n0; i++) {
        const double index[3] = {(double)i, (double)(item % n1), (double)(item / n1)};
        double y[3], g[3], dg[3][3], u[3], v[3];
        vsl_affine_point(y, &inv->grid.to_ras, index);
        /* Start from the neighbour's root or from one fixed-point step, whichever is nearer. */
        displacement_at(u, dg, inv, y);
        const double start[3] = {-u[0], -u[1], -u[2]};
        const double r_start = residual_at(g, dg, inv, y, start), r_last = residual_at(g, dg, inv, y, last);
        for (int d = 0; d < 3; d++) {
            v[d] = r_last < r_start ? last[d] : start[d];
        }
        double r = solve(v, inv, y);
        if (!(r <= inv->tolerance)) { /* the other start, before giving up */
            double other[3];
            for (int d = 0; d < 3; d++) {
                other[d] = r_last < r_start ? start[d] : last[d];
            }
            const double r_other = solve(other, inv, y);
            if (r_other < r) {
                r = r_other;
                for (int d = 0; d < 3; d++) {
                    v[d] = other[d];
                }
            }
        }
        for (int d = 0; d < 3; d++) {
            inv->out[d * plane + item * n0 + i] = (float)v[d];
            last[d] = isfinite(v[d]) ? v[d] : 0;
        }
        worst = r <= worst ? worst : r; /* NaN goes through */
    }
    inv->residual[item] = worst;
}

VslStatus vsl_invert_displacement(VslVolume *out, double *max_residual_mm, const VslVolume *disp, const VslGrid *grid,
                                  int threads)
{
    VslStatus st = VSL_OK;
    VslVolume v = {0};
    Inversion inv = {.disp = disp, .grid = *grid};
    double spacing[3], worst = 0, smallest = INFINITY;
    const int64_t rows = grid->n[1] * grid->n[2];
    VSL_CHECK(disp->channels == 3 && disp->data, VSL_E_ARG, "the displacement has %d channels, expected 3 (x, y, z)",
              disp->channels);
    VSL_TRY(vsl_grid_from_ras(&inv.to_voxel, &disp->grid));
    vsl_grid_spacing(spacing, &disp->grid);
    for (int d = 0; d < 3; d++) {
        smallest = spacing[d] < smallest ? spacing[d] : smallest;
    }
    inv.tolerance = 1e-4 * smallest;
    VSL_TRY(vsl_volume_new(&v, grid, 3));
    VSL_TRY(VSL_NEW(&inv.residual, rows, "residuals of rows"));
    inv.out = v.data;
    vsl_parallel_for(rows, vsl_threads_resolve(threads), invert_row, &inv);
    for (int64_t r = 0; r < rows; r++) {
        worst = inv.residual[r] <= worst ? worst : inv.residual[r];
    }
    VSL_CHECK(worst <= smallest, VSL_E_NUMERIC,
              "the displacement folds: its inverse misses by up to %g mm, expected at most one voxel (%g mm)", worst,
              smallest);
    vsl_volume_move(out, &v);
    if (max_residual_mm) {
        *max_residual_mm = worst;
    }
out:
    vsl_free(inv.residual);
    vsl_volume_free(&v);
    return st;
}
