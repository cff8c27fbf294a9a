/*
 * Volume change of a displacement. With phi = x + u, x = A i + b on the voxel grid and G = du/di (mm per voxel),
 *
 *     det D phi = det(A + G) / det A,
 *
 * so that no inverse is needed and oblique, sheared and left-handed grids need no special case. Differences are central
 * inside and one-sided at the faces (numpy.gradient); along an axis one voxel thick G = 0.
 */
#include "registration/quality.h"

#include <math.h>
#include <string.h>

#include "core/parallel.h"
#include "core/select.h"

typedef struct Jacobian {
    const VslVolume *disp;
    float *out;
    double inverse_det;
} Jacobian;

static double det3(const double m[3][3])
{
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

static void jacobian_row(void *ctx, int64_t item, int worker)
{
    (void)worker;
    const Jacobian *job = ctx;
    const VslGrid *g = &job->disp->grid;
    const int64_t *n = g->n, plane = vsl_grid_voxels(g), stride[3] = {1, n[0], n[0] * n[1]};
    const int64_t at[3] = {0, item % n[1], item / n[1]};
    int64_t lo[3], hi[3];
    double scale[3];
    for (int d = 1; d < 3; d++) {
        lo[d] = at[d] > 0 ? stride[d] : 0;
        hi[d] = at[d] < n[d] - 1 ? stride[d] : 0;
        scale[d] = lo[d] && hi[d] ? 0.5 : 1.0;
    }
    for (int64_t i = 0; i < n[0]; i++) {
        double m[3][3];
        lo[0] = i > 0;
        hi[0] = i < n[0] - 1;
        scale[0] = lo[0] && hi[0] ? 0.5 : 1.0;
        for (int c = 0; c < 3; c++) {
            const float *p = job->disp->data + c * plane + item * n[0] + i;
            for (int d = 0; d < 3; d++) {
                m[c][d] = g->to_ras.m[c][d] + scale[d] * ((double)p[hi[d]] - (double)p[-lo[d]]);
            }
        }
        job->out[item * n[0] + i] = (float)(det3((const double(*)[3])m) * job->inverse_det);
    }
}

VslStatus vsl_jacobian(VslVolume *out, const VslVolume *disp, int threads)
{
    VslStatus st = VSL_OK;
    VslVolume v = {0};
    VSL_CHECK(disp->channels == 3 && disp->data, VSL_E_ARG, "the displacement has %d channels, expected 3 (x, y, z)",
              disp->channels);
    const double det = vsl_affine_det(&disp->grid.to_ras);
    VSL_CHECK(isfinite(1 / det), VSL_E_NUMERIC, "the displacement's grid has a singular affine (determinant %g)", det);
    VSL_TRY(vsl_volume_new(&v, &disp->grid, 1));
    Jacobian job = {disp, v.data, 1 / det};
    vsl_parallel_for(v.grid.n[1] * v.grid.n[2], vsl_threads_resolve(threads), jacobian_row, &job);
    vsl_volume_move(out, &v);
out:
    vsl_volume_free(&v);
    return st;
}

VslStatus vsl_jacobian_stats(VslJacobianStats *out, const VslVolume *jac, const VslVolume *mask)
{
    VslStatus st = VSL_OK;
    const int64_t total = vsl_grid_voxels(&jac->grid);
    VslJacobianStats s = {0};
    float *finite = NULL;
    int64_t count = 0, positive = 0;
    double sum = 0, squares = 0;
    VSL_CHECK(jac->channels == 1 && jac->data, VSL_E_ARG, "the Jacobian map has %d channels, expected 1",
              jac->channels);
    if (mask) {
        VSL_CHECK(mask->channels == 1, VSL_E_ARG, "the mask has %d channels, expected 1", mask->channels);
        VSL_TRY(vsl_grid_check_same(&jac->grid, "Jacobian map", &mask->grid, "mask"));
    }
    VSL_TRY(VSL_NEW(&finite, total, "Jacobian values"));
    for (int64_t i = 0; i < total; i++) {
        if (mask && !(mask->data[i] != 0)) {
            continue;
        }
        const float d = jac->data[i];
        s.voxels++;
        s.folds += !(isfinite(d) && d > 0);
        if (isfinite(d)) {
            finite[count++] = d;
        }
        if (isfinite(d) && d > 0) {
            const double l = log((double)d);
            sum += l;
            squares += l * l;
            positive++;
        }
    }
    VSL_CHECK(count > 0, VSL_E_ARG, "no finite Jacobian value is inside the mask (%lld voxels)", (long long)s.voxels);
    s.p001 = vsl_percentile(finite, count, 0.1);
    s.median = vsl_percentile(finite, count, 50);
    s.p999 = vsl_percentile(finite, count, 99.9);
    s.min = vsl_percentile(finite, count, 0);
    s.max = vsl_percentile(finite, count, 100);
    if (positive > 0) {
        const double mean = sum / (double)positive, variance = squares / (double)positive - mean * mean;
        s.sd_log = sqrt(variance > 0 ? variance : 0);
    }
    *out = s;
out:
    vsl_free(finite);
    return st;
}
