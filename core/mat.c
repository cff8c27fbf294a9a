/* 3x4 affine algebra. */
#include "core/mat.h"

#include <math.h>
#include <string.h>

VslAffine vsl_affine_identity(void)
{
    return (VslAffine){{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
}

VslAffine vsl_affine_compose(const VslAffine *a, const VslAffine *b)
{
    VslAffine c;
    for (int r = 0; r < 3; r++) {
        for (int k = 0; k < 4; k++) {
            c.m[r][k] = a->m[r][0] * b->m[0][k] + a->m[r][1] * b->m[1][k] + a->m[r][2] * b->m[2][k] +
                        (k == 3 ? a->m[r][3] : 0.0);
        }
    }
    return c;
}

double vsl_affine_det(const VslAffine *a)
{
    const double(*m)[4] = a->m;
    return m[0][0] * (m[1][1] * m[2][2] - m[1][2] * m[2][1]) - m[0][1] * (m[1][0] * m[2][2] - m[1][2] * m[2][0]) +
           m[0][2] * (m[1][0] * m[2][1] - m[1][1] * m[2][0]);
}

VslStatus vsl_affine_invert(VslAffine *out, const VslAffine *a)
{
    const double(*m)[4] = a->m;
    const double det = vsl_affine_det(a);
    double scale = 0;
    for (int r = 0; r < 3; r++) {
        scale = fmax(scale, fmax(fabs(m[r][0]), fmax(fabs(m[r][1]), fabs(m[r][2]))));
    }
    if (!isfinite(det) || !(fabs(det) > 1e-12 * scale * scale * scale)) {
        return vsl_fail(VSL_E_NUMERIC, __func__, "an affine with determinant %g cannot be inverted", det);
    }
    VslAffine inv;
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++) {
            const int r1 = (c + 1) % 3, r2 = (c + 2) % 3, c1 = (r + 1) % 3, c2 = (r + 2) % 3;
            inv.m[r][c] = (m[r1][c1] * m[r2][c2] - m[r1][c2] * m[r2][c1]) / det;
        }
    }
    for (int r = 0; r < 3; r++) {
        inv.m[r][3] = -(inv.m[r][0] * m[0][3] + inv.m[r][1] * m[1][3] + inv.m[r][2] * m[2][3]);
    }
    *out = inv;
    return VSL_OK;
}

void vsl_affine_point(double out[3], const VslAffine *a, const double x[3])
{
    double y[3];
    for (int r = 0; r < 3; r++) {
        y[r] = a->m[r][0] * x[0] + a->m[r][1] * x[1] + a->m[r][2] * x[2] + a->m[r][3];
    }
    memcpy(out, y, sizeof y);
}

void vsl_affine_vector(double out[3], const VslAffine *a, const double x[3])
{
    double y[3];
    for (int r = 0; r < 3; r++) {
        y[r] = a->m[r][0] * x[0] + a->m[r][1] * x[1] + a->m[r][2] * x[2];
    }
    memcpy(out, y, sizeof y);
}

VslAffine vsl_affine_flip_xy(const VslAffine *a)
{
    VslAffine f = *a;
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            const int flips = (r < 2) + (c < 2);
            f.m[r][c] = flips == 1 ? -f.m[r][c] : f.m[r][c];
        }
    }
    return f;
}

void vsl_mat3_polar(double out[3][3], const double a[3][3])
{
    /* Newton's iteration X <- (X + X^-T) / 2 (Higham 1986); quadratic, a handful of rounds reach machine precision. */
    double x[3][3];
    memcpy(x, a, sizeof x);
    for (int it = 0; it < 100; it++) {
        VslAffine t = vsl_affine_identity(), inv;
        for (int r = 0; r < 3; r++) {
            memcpy(t.m[r], x[r], sizeof x[r]);
        }
        if (vsl_affine_invert(&inv, &t) != VSL_OK) {
            break;
        }
        double change = 0;
        for (int r = 0; r < 3; r++) {
            for (int c = 0; c < 3; c++) {
                const double next = 0.5 * (x[r][c] + inv.m[c][r]);
                change = fmax(change, fabs(next - x[r][c]));
                x[r][c] = next;
            }
        }
        if (change < 1e-14) {
            break;
        }
    }
    memcpy(out, x, sizeof x);
}
