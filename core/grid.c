/* Grid geometry. */
#include "core/grid.h"

#include <math.h>

int64_t vsl_grid_voxels(const VslGrid *g)
{
    return g->n[0] * g->n[1] * g->n[2];
}

void vsl_grid_spacing(double spacing_mm[3], const VslGrid *g)
{
    for (int c = 0; c < 3; c++) {
        spacing_mm[c] = sqrt(g->to_ras.m[0][c] * g->to_ras.m[0][c] + g->to_ras.m[1][c] * g->to_ras.m[1][c] +
                             g->to_ras.m[2][c] * g->to_ras.m[2][c]);
    }
}

double vsl_grid_voxel_mm3(const VslGrid *g)
{
    return fabs(vsl_affine_det(&g->to_ras));
}

VslStatus vsl_grid_from_ras(VslAffine *out, const VslGrid *g)
{
    return vsl_affine_invert(out, &g->to_ras);
}

void vsl_grid_orientation(char out[4], const VslGrid *g)
{
    /* Axes are assigned greedily by the largest cosine, so that each world axis is used once even for oblique grids. */
    static const char letters[2][4] = {"RAS", "LPI"};
    double spacing[3];
    vsl_grid_spacing(spacing, g);
    int world_used[3] = {0}, voxel_done[3] = {0};
    for (int round = 0; round < 3; round++) {
        double best = -1;
        int bw = 0, bv = 0;
        for (int w = 0; w < 3; w++) {
            for (int v = 0; v < 3; v++) {
                const double cosine = spacing[v] > 0 ? fabs(g->to_ras.m[w][v]) / spacing[v] : 0;
                if (!world_used[w] && !voxel_done[v] && cosine > best) {
                    best = cosine;
                    bw = w;
                    bv = v;
                }
            }
        }
        world_used[bw] = voxel_done[bv] = 1;
        out[bv] = letters[g->to_ras.m[bw][bv] < 0][bw];
    }
    out[3] = '\0';
}

int vsl_grid_same(const VslGrid *a, const VslGrid *b, double tol_vox)
{
    VslAffine to_vox;
    if (a->n[0] != b->n[0] || a->n[1] != b->n[1] || a->n[2] != b->n[2] || vsl_grid_from_ras(&to_vox, a) != VSL_OK) {
        return 0;
    }
    const VslAffine b_in_a = vsl_affine_compose(&to_vox, &b->to_ras);
    for (int corner = 0; corner < 8; corner++) {
        double p[3], q[3];
        for (int d = 0; d < 3; d++) {
            p[d] = (corner >> d & 1) ? (double)(a->n[d] - 1) : 0.0;
        }
        vsl_affine_point(q, &b_in_a, p);
        for (int d = 0; d < 3; d++) {
            if (!(fabs(q[d] - p[d]) <= tol_vox)) {
                return 0;
            }
        }
    }
    return 1;
}

VslStatus vsl_grid_check_same(const VslGrid *a, const char *name_a, const VslGrid *b, const char *name_b)
{
    if (vsl_grid_same(a, b, 1e-3)) {
        return VSL_OK;
    }
    double sa[3], sb[3];
    char oa[4], ob[4];
    vsl_grid_spacing(sa, a);
    vsl_grid_spacing(sb, b);
    vsl_grid_orientation(oa, a);
    vsl_grid_orientation(ob, b);
    return vsl_fail(VSL_E_SPACE, __func__,
                    "%s and %s are not on one grid: %lldx%lldx%lld voxels of %.4gx%.4gx%.4g mm %s, first voxel at "
                    "(%.3f, %.3f, %.3f) mm, against %lldx%lldx%lld voxels of %.4gx%.4gx%.4g mm %s, first voxel at "
                    "(%.3f, %.3f, %.3f) mm",
                    name_a, name_b, (long long)a->n[0], (long long)a->n[1], (long long)a->n[2], sa[0], sa[1], sa[2], oa,
                    a->to_ras.m[0][3], a->to_ras.m[1][3], a->to_ras.m[2][3], (long long)b->n[0], (long long)b->n[1],
                    (long long)b->n[2], sb[0], sb[1], sb[2], ob, b->to_ras.m[0][3], b->to_ras.m[1][3],
                    b->to_ras.m[2][3]);
}

VslGrid vsl_grid_centred(const int64_t n[3], const double spacing_mm[3])
{
    VslGrid g = {{n[0], n[1], n[2]}, vsl_affine_identity()};
    for (int d = 0; d < 3; d++) {
        g.to_ras.m[d][d] = spacing_mm[d];
        g.to_ras.m[d][3] = -0.5 * spacing_mm[d] * (double)(n[d] - 1);
    }
    return g;
}

VslGrid vsl_grid_resampled(const VslGrid *g, const int64_t n[3])
{
    VslAffine step = vsl_affine_identity(); /* new voxel -> old voxel */
    for (int d = 0; d < 3; d++) {
        step.m[d][d] = (double)g->n[d] / (double)n[d];
        step.m[d][3] = 0.5 * (step.m[d][d] - 1.0);
    }
    return (VslGrid){{n[0], n[1], n[2]}, vsl_affine_compose(&g->to_ras, &step)};
}
