/* Grids: spacing, orientation of all 48 axis orders and flips, sameness, resampling. */
#include "core/grid.h"

#include <string.h>

#include "tests/check.h"

/* A grid whose voxel axis d points along world axis order[d], negative when flip has bit d, spacing 1, 2, 3 mm. */
static VslGrid permuted(const int order[3], int flip)
{
    VslGrid g = {{4, 5, 6}, {{{0}}}};
    for (int d = 0; d < 3; d++) {
        g.to_ras.m[order[d]][d] = (d + 1) * (flip >> d & 1 ? -1.0 : 1.0);
    }
    return g;
}

static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};

/* Turns a grid a little about (1, 2, 3): oblique, the nearest axes stay the same. */
static VslGrid tilted(const VslGrid *g, double angle)
{
    const double norm = sqrt(14.0), c = cos(angle), s = sin(angle);
    const double u[3] = {1 / norm, 2 / norm, 3 / norm};
    const VslAffine r = {
        {{c + u[0] * u[0] * (1 - c), u[0] * u[1] * (1 - c) - u[2] * s, u[0] * u[2] * (1 - c) + u[1] * s, 0},
         {u[1] * u[0] * (1 - c) + u[2] * s, c + u[1] * u[1] * (1 - c), u[1] * u[2] * (1 - c) - u[0] * s, 0},
         {u[2] * u[0] * (1 - c) - u[1] * s, u[2] * u[1] * (1 - c) + u[0] * s, c + u[2] * u[2] * (1 - c), 0}}};
    return (VslGrid){{g->n[0], g->n[1], g->n[2]}, vsl_affine_compose(&r, &g->to_ras)};
}

TEST(all_48_orientations_are_named_straight_and_oblique)
{
    static const char letters[2][4] = {"RAS", "LPI"};
    for (int o = 0; o < 6; o++) {
        for (int flip = 0; flip < 8; flip++) {
            const VslGrid g = permuted(orders[o], flip), t = tilted(&g, 0.3);
            char expected[4] = "", straight[4], oblique[4];
            for (int d = 0; d < 3; d++) {
                expected[d] = letters[flip >> d & 1][orders[o][d]];
            }
            vsl_grid_orientation(straight, &g);
            vsl_grid_orientation(oblique, &t);
            CHECK(strcmp(straight, expected) == 0);
            CHECK(strcmp(oblique, expected) == 0);
        }
    }
}

TEST(spacing_and_volume_do_not_depend_on_direction)
{
    for (int o = 0; o < 6; o++) {
        for (int flip = 0; flip < 8; flip++) {
            const VslGrid straight = permuted(orders[o], flip), g = tilted(&straight, 1.1);
            double spacing[3];
            vsl_grid_spacing(spacing, &g);
            for (int d = 0; d < 3; d++) {
                CHECK_NEAR(spacing[d], d + 1, 1e-12, "lengths near 1");
            }
            CHECK_NEAR(vsl_grid_voxel_mm3(&g), 6, 1e-11, "product of the spacings");
        }
    }
    const VslGrid g = permuted(orders[0], 0);
    CHECK(vsl_grid_voxels(&g) == 120);
    const VslGrid large = {{100000, 100000, 100000}, g.to_ras};
    CHECK(vsl_grid_voxels(&large) == INT64_C(1000000000000000));
}

TEST(world_to_voxel_undoes_voxel_to_world)
{
    const VslGrid straight = permuted(orders[3], 5), g = tilted(&straight, 0.9);
    VslAffine to_voxel;
    CHECK_OK(vsl_grid_from_ras(&to_voxel, &g));
    const double v[3] = {1, 2.5, -3};
    double x[3], w[3];
    vsl_affine_point(x, &g.to_ras, v);
    vsl_affine_point(w, &to_voxel, x);
    for (int d = 0; d < 3; d++) {
        CHECK_NEAR(w[d], v[d], 1e-12, "voxels near 1");
    }
    VslGrid flat = g;
    memset(flat.to_ras.m[2], 0, sizeof flat.to_ras.m[2]);
    CHECK_STATUS(vsl_grid_from_ras(&to_voxel, &flat), VSL_E_NUMERIC);
}

TEST(same_space_is_judged_in_voxels)
{
    const int64_t n[3] = {100, 100, 100};
    for (int scale = -4; scale <= 3; scale++) { /* microscope to map: 1e-4 to 1e3 mm */
        const double mm = pow(10, scale), spacing[3] = {mm, mm, mm};
        const VslGrid a = vsl_grid_centred(n, spacing);
        VslGrid b = a;
        b.to_ras.m[0][3] += 5e-4 * mm;
        CHECK(vsl_grid_same(&a, &b, 1e-3));
        b.to_ras.m[0][3] += 1e-3 * mm;
        CHECK(!vsl_grid_same(&a, &b, 1e-3));
    }
    const double spacing[3] = {1, 1, 1};
    const VslGrid a = vsl_grid_centred(n, spacing);
    VslGrid turned = a, longer = a, broken = a;
    turned.to_ras.m[0][1] += 1.5e-5; /* 1.5e-3 voxel at the far corner, half of that in the middle */
    CHECK(!vsl_grid_same(&a, &turned, 1e-3));
    longer.n[1] = 101;
    CHECK(!vsl_grid_same(&a, &longer, 1e-3));
    broken.to_ras.m[1][1] = (double)NAN;
    CHECK(!vsl_grid_same(&a, &broken, 1e-3));
    CHECK(!vsl_grid_same(&broken, &a, 1e-3));
}

TEST(grids_that_disagree_are_shown)
{
    const int64_t n[3] = {4, 5, 6};
    const double mm[3] = {1, 1, 2};
    const VslGrid a = vsl_grid_centred(n, mm), b = permuted(orders[2], 1);
    CHECK_OK(vsl_grid_check_same(&a, "fixed", &a, "mask"));
    CHECK_STATUS(vsl_grid_check_same(&a, "fixed", &b, "mask"), VSL_E_SPACE);
    CHECK(strstr(vsl_error(), "fixed") && strstr(vsl_error(), "mask") && strstr(vsl_error(), "4x5x6"));
    CHECK(strstr(vsl_error(), "RAS") && strstr(vsl_error(), "PRS"));
}

TEST(a_centred_grid_has_the_origin_in_its_middle)
{
    const int64_t n[3] = {4, 5, 1};
    const double mm[3] = {1.5, 2, 3};
    const VslGrid g = vsl_grid_centred(n, mm);
    const double middle[3] = {1.5, 2, 0};
    double x[3];
    vsl_affine_point(x, &g.to_ras, middle);
    CHECK(fabs(x[0]) + fabs(x[1]) + fabs(x[2]) < 1e-12);
}

TEST(resampling_keeps_the_box)
{
    const VslGrid straight = permuted(orders[4], 3), g = tilted(&straight, 0.4);
    const int64_t n[3] = {7, 10, 3};
    const VslGrid r = vsl_grid_resampled(&g, n);
    for (int corner = 0; corner < 8; corner++) {
        double p[3], q[3], x[3], y[3];
        for (int d = 0; d < 3; d++) { /* outer edges lie half a voxel beyond the centres */
            p[d] = corner >> d & 1 ? (double)g.n[d] - 0.5 : -0.5;
            q[d] = corner >> d & 1 ? (double)n[d] - 0.5 : -0.5;
        }
        vsl_affine_point(x, &g.to_ras, p);
        vsl_affine_point(y, &r.to_ras, q);
        CHECK(fabs(x[0] - y[0]) + fabs(x[1] - y[1]) + fabs(x[2] - y[2]) < 1e-11);
    }
    const VslGrid same = vsl_grid_resampled(&g, g.n);
    CHECK(vsl_grid_same(&g, &same, 1e-9));
}

int main(void)
{
    RUN(all_48_orientations_are_named_straight_and_oblique);
    RUN(spacing_and_volume_do_not_depend_on_direction);
    RUN(world_to_voxel_undoes_voxel_to_world);
    RUN(same_space_is_judged_in_voxels);
    RUN(grids_that_disagree_are_shown);
    RUN(a_centred_grid_has_the_origin_in_its_middle);
    RUN(resampling_keeps_the_box);
    return CHECK_VERDICT();
}
