/* Grids and images that registration tests share: anisotropic, oblique, left-handed, sheared on request. */
#ifndef VSL_TESTS_REGISTRATION_GRIDS_H
#define VSL_TESTS_REGISTRATION_GRIDS_H

#include <math.h>

#include "core/volume.h"

/* Rotated by `angle` about (1, 2, 3), spacing h (negative flips an axis), centred at c, columns sheared by `shear`. */
static inline VslGrid test_grid(int64_t n0, int64_t n1, int64_t n2, double hx, double hy, double hz, double angle,
                                double shear)
{
    VslGrid g = {{n0, n1, n2}, vsl_affine_identity()};
    const double l = sqrt(14.0), a[3] = {1 / l, 2 / l, 3 / l}, s = sin(angle), c = cos(angle), h[3] = {hx, hy, hz};
    double r[3][3];
    for (int p = 0; p < 3; p++) {
        for (int q = 0; q < 3; q++) {
            const double cross = p == q ? 0 : ((q - p + 3) % 3 == 1 ? -1 : 1) * a[3 - p - q];
            r[p][q] = (p == q) * c + (1 - c) * a[p] * a[q] + s * cross;
        }
    }
    for (int p = 0; p < 3; p++) {
        for (int q = 0; q < 3; q++) {
            g.to_ras.m[p][q] = r[p][q] * h[q];
        }
        g.to_ras.m[p][1] += shear * g.to_ras.m[p][0];
        g.to_ras.m[p][3] = 3.0 * (p + 1);
        for (int q = 0; q < 3; q++) {
            g.to_ras.m[p][3] -= g.to_ras.m[p][q] * 0.5 * (double)(g.n[q] - 1);
        }
    }
    return g;
}

static inline void test_world(double x[3], const VslGrid *g, int64_t at)
{
    const double i[3] = {(double)(at % g->n[0]), (double)(at / g->n[0] % g->n[1]), (double)(at / (g->n[0] * g->n[1]))};
    vsl_affine_point(x, &g->to_ras, i);
}

/* Smooth displacement of about `size` mm with wave length about `length` mm. */
static inline void test_smooth_field(double u[3], const double x[3], double size, double length)
{
    const double w = 6.283185307179586 / length;
    u[0] = size * sin(w * x[1] + 0.3) * cos(0.7 * w * x[2]);
    u[1] = size * cos(w * x[0] - 0.2) * sin(0.6 * w * x[2] + 1);
    u[2] = size * sin(0.8 * w * x[0] + 0.5 * w * x[1]);
}

static inline void test_fill_field(VslVolume *v, double size, double length)
{
    const int64_t plane = vsl_grid_voxels(&v->grid);
    for (int64_t p = 0; p < plane; p++) {
        double x[3], u[3];
        test_world(x, &v->grid, p);
        test_smooth_field(u, x, size, length);
        for (int d = 0; d < 3; d++) {
            v->data[d * plane + p] = (float)u[d];
        }
    }
}

#endif
