/* 3x4 maps and the polar decomposition. */
#include "core/mat.h"
#include "core/random.h"
#include "tests/check.h"

static VslAffine random_affine(uint64_t index)
{
    VslAffine a;
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            a.m[r][c] = vsl_random_normal(1, 2, index * 12 + (uint64_t)(4 * r + c)) + 2 * (r == c);
        }
    }
    return a;
}

static double distance(const VslAffine *a, const VslAffine *b)
{
    double worst = 0;
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            worst = fmax(worst, fabs(a->m[r][c] - b->m[r][c]));
        }
    }
    return worst;
}

TEST(composing_is_applying_one_after_the_other)
{
    for (uint64_t i = 0; i < 50; i++) {
        const VslAffine a = random_affine(i), b = random_affine(i + 50), ab = vsl_affine_compose(&a, &b);
        const double x[3] = {1.5, -2, 0.25};
        double y[3], z[3], direct[3];
        vsl_affine_point(y, &b, x);
        vsl_affine_point(z, &a, y);
        vsl_affine_point(direct, &ab, x);
        for (int d = 0; d < 3; d++) {
            CHECK_NEAR(direct[d], z[d], 1e-12, "numbers near 10, a few roundings");
        }
        CHECK_NEAR(vsl_affine_det(&ab), vsl_affine_det(&a) * vsl_affine_det(&b), 1e-10, "determinants near 10");
    }
}

TEST(a_vector_ignores_the_translation)
{
    const VslAffine a = random_affine(7);
    const double p[3] = {1, 2, 3}, q[3] = {-1, 0, 5}, d[3] = {2, 2, -2};
    double ap[3], aq[3], ad[3];
    vsl_affine_point(ap, &a, p);
    vsl_affine_point(aq, &a, q);
    vsl_affine_vector(ad, &a, d);
    for (int i = 0; i < 3; i++) {
        CHECK_NEAR(ad[i], ap[i] - aq[i], 1e-12, "numbers near 10");
    }
}

TEST(outputs_may_be_inputs)
{
    const VslAffine a = random_affine(3);
    double x[3] = {1, 2, 3}, y[3];
    vsl_affine_point(y, &a, x);
    vsl_affine_point(x, &a, x);
    CHECK(x[0] == y[0] && x[1] == y[1] && x[2] == y[2]);
    VslAffine inverse = a, other;
    CHECK_OK(vsl_affine_invert(&other, &a));
    CHECK_OK(vsl_affine_invert(&inverse, &inverse));
    CHECK(distance(&inverse, &other) == 0);
}

TEST(the_inverse_undoes)
{
    const VslAffine one = vsl_affine_identity();
    int tried = 0;
    for (uint64_t i = 0; i < 50; i++) {
        const VslAffine a = random_affine(i);
        if (fabs(vsl_affine_det(&a)) < 0.5) {
            continue; /* ill conditioned: the tolerance below would not be fair */
        }
        VslAffine inverse;
        CHECK_OK(vsl_affine_invert(&inverse, &a));
        const VslAffine both = vsl_affine_compose(&inverse, &a), back = vsl_affine_compose(&a, &inverse);
        CHECK(distance(&both, &one) < 1e-10 && distance(&back, &one) < 1e-10);
        tried++;
    }
    CHECK(tried > 20);
}

TEST(what_has_no_inverse_is_refused_and_the_output_kept)
{
    VslAffine out = random_affine(1);
    const VslAffine before = out;
    const VslAffine flat = {{{1, 2, 3, 0}, {2, 4, 6, 0}, {0, 0, 1, 0}}}, zero = {{{0}}},
                    broken = {{{1, 0, 0, 0}, {0, (double)NAN, 0, 0}, {0, 0, 1, 0}}};
    CHECK_STATUS(vsl_affine_invert(&out, &flat), VSL_E_NUMERIC);
    CHECK_STATUS(vsl_affine_invert(&out, &zero), VSL_E_NUMERIC);
    CHECK_STATUS(vsl_affine_invert(&out, &broken), VSL_E_NUMERIC);
    CHECK(distance(&out, &before) == 0);
    const VslAffine small = {{{1e-4, 0, 0, 0}, {0, 1e-4, 0, 0}, {0, 0, 1e-4, 0}}}; /* a fine microscope is no error */
    CHECK_OK(vsl_affine_invert(&out, &small));
    CHECK_NEAR(out.m[0][0], 1e4, 1e-8, "exact up to rounding");
    const VslAffine thin = {{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1e-6, 0}}}; /* nor is one thin slice */
    CHECK_OK(vsl_affine_invert(&out, &thin));
}

TEST(flipping_x_and_y_twice_is_nothing_and_carries_points)
{
    const VslAffine a = random_affine(11), f = vsl_affine_flip_xy(&a), ff = vsl_affine_flip_xy(&f);
    CHECK(distance(&ff, &a) == 0);
    const double ras[3] = {3, -4, 5}, lps[3] = {-3, 4, 5};
    double y_ras[3], y_lps[3];
    vsl_affine_point(y_ras, &a, ras);
    vsl_affine_point(y_lps, &f, lps);
    CHECK_NEAR(y_lps[0], -y_ras[0], 1e-12, "same products");
    CHECK_NEAR(y_lps[1], -y_ras[1], 1e-12, "same products");
    CHECK_NEAR(y_lps[2], y_ras[2], 1e-12, "same products");
}

TEST(the_polar_part_is_the_rotation_that_was_put_in)
{
    const double angle = 0.7, c = cos(angle), s = sin(angle);
    for (int mirrored = 0; mirrored < 2; mirrored++) {
        const double sign = mirrored ? -1 : 1;
        const double rotation[3][3] = {{c, -s, 0}, {s, c, 0}, {0, 0, sign}};
        const double stretch[3][3] = {{2, 0.3, 0.1}, {0.3, 1, -0.2}, {0.1, -0.2, 3}}; /* symmetric, positive */
        double a[3][3], polar[3][3];
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 3; j++) {
                a[i][j] =
                    rotation[i][0] * stretch[0][j] + rotation[i][1] * stretch[1][j] + rotation[i][2] * stretch[2][j];
            }
        }
        vsl_mat3_polar(polar, (const double(*)[3])a);
        for (int i = 0; i < 3; i++) {
            for (int j = 0; j < 3; j++) {
                CHECK_NEAR(polar[i][j], rotation[i][j], 1e-9, "cosines; converged iteration");
            }
        }
    }
}

int main(void)
{
    RUN(composing_is_applying_one_after_the_other);
    RUN(a_vector_ignores_the_translation);
    RUN(outputs_may_be_inputs);
    RUN(the_inverse_undoes);
    RUN(what_has_no_inverse_is_refused_and_the_output_kept);
    RUN(flipping_x_and_y_twice_is_nothing_and_carries_points);
    RUN(the_polar_part_is_the_rotation_that_was_put_in);
    return CHECK_VERDICT();
}
