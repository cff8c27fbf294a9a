#include "registration/transform.h"

#include <string.h>

#include "tests/check.h"
#include "core/random.h"
#include "tests/registration/grids.h"

static void fill_noise(VslVolume *v, uint64_t stream)
{
    const int64_t n = vsl_grid_voxels(&v->grid) * v->channels;
    for (int64_t i = 0; i < n; i++) {
        v->data[i] = (float)vsl_random_normal(7, stream, (uint64_t)i);
    }
}

static VslAffine some_affine(void)
{
    return (VslAffine){{{1.1, 0.1, -0.05, 1.5}, {-0.08, 0.95, 0.12, -2}, {0.02, -0.1, 1.05, 0.7}}};
}

/* The definition, point by point, all in double: what the fast code must equal. */
static double slow_sample(const VslVolume *v, int c, const double x[3], double outside)
{
    VslAffine from;
    double q[3], sum = 0;
    if (vsl_grid_from_ras(&from, &v->grid) != VSL_OK) {
        return NAN;
    }
    vsl_affine_point(q, &from, x);
    for (int d = 0; d < 3; d++) {
        if (!(q[d] >= -0.5 && q[d] <= (double)v->grid.n[d] - 0.5)) {
            return outside;
        }
    }
    for (int b = 0; b < 8; b++) {
        double w = 1;
        int64_t at[3];
        for (int d = 0; d < 3; d++) {
            const double f = floor(q[d]), t = q[d] - f;
            int64_t i = (int64_t)f + ((b >> d) & 1);
            w *= ((b >> d) & 1) ? t : 1 - t;
            at[d] = i < 0 ? 0 : i > v->grid.n[d] - 1 ? v->grid.n[d] - 1 : i;
        }
        sum += w * (double)v->data[((c * v->grid.n[2] + at[2]) * v->grid.n[1] + at[1]) * v->grid.n[0] + at[0]];
    }
    return sum;
}

static void slow_map(double x[3], const VslMap *chain, int links)
{
    for (int l = links - 1; l >= 0; l--) {
        double y[3];
        if (chain[l].disp) {
            for (int d = 0; d < 3; d++) {
                y[d] = x[d] + slow_sample(chain[l].disp, d, x, 0);
            }
        } else {
            vsl_affine_point(y, &chain[l].affine, x);
        }
        memcpy(x, y, sizeof y);
    }
}

TEST(the_identity_gives_every_bit_back)
{
    const VslGrid grids[] = {test_grid(9, 7, 5, 1.3, -0.9, 2.2, 0.6, 0.2), test_grid(8, 6, 1, 0.7, 0.7, 3, 0.4, 0)};
    for (int g = 0; g < 2; g++) {
        VslVolume m = {0}, out = {0};
        CHECK_OK(vsl_volume_new(&m, &grids[g], 2));
        fill_noise(&m, 1);
        m.data[17] = NAN;
        const VslMap id = {.affine = vsl_affine_identity()};
        CHECK_OK(vsl_apply_image(&out, &grids[g], &m, &id, 1, VSL_INTERPOLATION_LINEAR, -1, 2));
        CHECK(out.data && !memcmp(out.data, m.data, sizeof(float) * 2 * (size_t)vsl_grid_voxels(&grids[g])));
        CHECK_OK(vsl_apply_image(&out, &grids[g], &m, NULL, 0, VSL_INTERPOLATION_NEAREST, -1, 1));
        CHECK(out.data && !memcmp(out.data, m.data, sizeof(float) * 2 * (size_t)vsl_grid_voxels(&grids[g])));
        vsl_volume_free(&m);
        vsl_volume_free(&out);
    }
}

TEST(a_chain_of_two_fields_and_two_affines_equals_the_definition)
{
    const VslGrid fixed = test_grid(19, 16, 13, 1.1, 1.4, -1.7, 0.5, 0.1);
    const VslGrid other = test_grid(14, 17, 12, -1.6, 1.2, 1.5, -0.8, -0.15);
    const VslGrid image = test_grid(15, 13, 14, 1.5, 1.5, 1.4, 1.1, 0);
    VslVolume m = {0}, u0 = {0}, u1 = {0}, out = {0}, disp = {0};
    CHECK_OK(vsl_volume_new(&m, &image, 2));
    CHECK_OK(vsl_volume_new(&u0, &fixed, 3));
    CHECK_OK(vsl_volume_new(&u1, &other, 3));
    fill_noise(&m, 2);
    test_fill_field(&u0, 2, 30);
    test_fill_field(&u1, 3, 40);
    const VslMap chains[2][4] = {{{.affine = some_affine()}, {.disp = &u1}, {.affine = some_affine()}, {.disp = &u0}},
                                 {{.disp = &u1}, {.disp = &u0}, {.affine = some_affine()}, {.affine = some_affine()}}};
    for (int c = 0; c < 2; c++) {
        double worst = 0, worst_u = 0, worst_p = 0;
        int64_t inside = 0;
        CHECK_OK(vsl_apply_image(&out, &fixed, &m, chains[c], 4, VSL_INTERPOLATION_LINEAR, -5, 2));
        CHECK_OK(vsl_compose(&disp, &fixed, chains[c], 4, 2));
        const int64_t plane = vsl_grid_voxels(&fixed);
        for (int64_t p = 0; p < plane && out.data && disp.data; p++) {
            double x[3], y[1][3], start[3];
            test_world(x, &fixed, p);
            memcpy(start, x, sizeof x);
            memcpy(y, x, sizeof x);
            slow_map(x, chains[c], 4);
            CHECK(vsl_map_points(y, 1, chains[c], 4) == VSL_OK);
            for (int ch = 0; ch < 2; ch++) {
                const double want = slow_sample(&m, ch, x, -5);
                inside += want > -5;
                worst = fmax(worst, fabs((double)out.data[ch * plane + p] - want));
            }
            for (int d = 0; d < 3; d++) {
                worst_u = fmax(worst_u, fabs((double)disp.data[d * plane + p] - (x[d] - start[d])));
                worst_p = fmax(worst_p, fabs(y[0][d] - x[d]));
            }
        }
        CHECK(inside > plane / 2);
        CHECK_NEAR(worst, 0, 2e-4, "unit noise, float weights of about 20 voxels");
        CHECK_NEAR(worst_u, 0, 5e-6, "mm, float of values up to 10");
        CHECK_NEAR(worst_p, 0, 5e-6, "mm, float weights of a smooth field");
    }
    vsl_volume_free(&m);
    vsl_volume_free(&u0);
    vsl_volume_free(&u1);
    vsl_volume_free(&out);
    vsl_volume_free(&disp);
}

TEST(the_last_link_acts_first)
{
    const VslMap chain[2] = {{.affine = {{{2, 0, 0, 0}, {0, 2, 0, 0}, {0, 0, 2, 0}}}},
                             {.affine = {{{1, 0, 0, 1}, {0, 1, 0, 0}, {0, 0, 1, 0}}}}};
    double x[1][3] = {{3, 4, 5}};
    CHECK_OK(vsl_map_points(x, 1, chain, 2));
    CHECK_NEAR(x[0][0], 8, 1e-12, "2 (3 + 1)");
    CHECK_NEAR(x[0][1], 8, 1e-12, "2 * 4");
}

TEST(borders_reach_half_a_voxel_and_no_further)
{
    const double h[3] = {2, 2, 2};
    const int64_t n[3] = {4, 3, 1};
    VslVolume m = {0};
    const VslGrid g = vsl_grid_centred(n, h);
    CHECK_OK(vsl_volume_new(&m, &g, 1));
    for (int i = 0; i < 12; i++) {
        m.data[i] = (float)(i % 4);
    }
    const double shift[5] = {-0.99, -1.01, 0.99, 1.01, 0.5};
    const float want[5] = {0, -9, 3, -9, 0.25F}; /* first voxel twice, last voxel twice, first voxel */
    for (int s = 0; s < 5; s++) {
        VslMap t = {.affine = vsl_affine_identity()};
        VslVolume out = {0};
        t.affine.m[0][3] = shift[s];
        t.affine.m[2][3] = s == 4 ? 0.9 : 0; /* a 2D image is one voxel thick */
        CHECK_OK(vsl_apply_image(&out, &g, &m, &t, 1, VSL_INTERPOLATION_LINEAR, -9, 1));
        CHECK_NEAR(out.data[s == 2 || s == 3 ? 3 : 0], want[s], 1e-6, "clamped inside, background outside");
        vsl_volume_free(&out);
    }
    vsl_volume_free(&m);
}

TEST(labels_are_moved_whole)
{
    const VslGrid g = test_grid(12, 11, 10, 1, 1.5, -2, 0.3, 0);
    VslLabels l = {0}, out = {0};
    CHECK_OK(vsl_labels_new(&l, &g));
    for (int64_t i = 0; i < vsl_grid_voxels(&g); i++) {
        l.data[i] = (int32_t)(2000000000 - i);
    }
    VslMap t = {.affine = vsl_affine_identity()};
    double step[3] = {1.4, 0, 0}, mm[3]; /* nearest: one voxel */
    vsl_affine_vector(mm, &g.to_ras, step);
    for (int d = 0; d < 3; d++) {
        t.affine.m[d][3] = mm[d];
    }
    CHECK_OK(vsl_apply_labels(&out, &g, &l, &t, 1, 2));
    for (int64_t i = 0; i < vsl_grid_voxels(&g); i++) {
        if (i % 12 < 10) {
            CHECK(out.data[i] == l.data[i + 1]);
        } else if (i % 12 == 11) {
            CHECK(out.data[i] == 0);
        }
    }
    vsl_labels_free(&l);
    vsl_labels_free(&out);
}

TEST(nan_positions_and_values_stay_local)
{
    const VslGrid g = test_grid(8, 8, 8, 1, 1, 1, 0, 0);
    VslVolume m = {0}, u = {0}, out = {0};
    CHECK_OK(vsl_volume_new(&m, &g, 1));
    CHECK_OK(vsl_volume_new(&u, &g, 3));
    fill_noise(&m, 3);
    u.data[100] = NAN;
    u.data[101] = INFINITY;
    const VslMap chain = {.disp = &u};
    CHECK_OK(vsl_apply_image(&out, &g, &m, &chain, 1, VSL_INTERPOLATION_LINEAR, -7, 1));
    for (int64_t i = 0; i < 512; i++) {
        CHECK(out.data[i] == (i == 100 || i == 101 ? -7.0F : m.data[i]));
    }
    vsl_volume_free(&m);
    vsl_volume_free(&u);
    vsl_volume_free(&out);
}

TEST(a_field_after_its_inverse_is_the_identity)
{
    const VslGrid g = test_grid(24, 20, 18, 1.2, -1.6, 2.1, 0.7, 0.1),
                  wanted = test_grid(17, 22, 16, 1.5, 1.4, 2, 0, 0);
    VslVolume u = {0}, v = {0}, round_trip = {0};
    double residual = -1, worst = 0;
    CHECK_OK(vsl_volume_new(&u, &g, 3));
    test_fill_field(&u, 3, 45); /* |Du| up to 0.6: fixed-point iteration alone is slow here */
    CHECK_OK(vsl_invert_displacement(&v, &residual, &u, &wanted, 2));
    CHECK(residual >= 0 && residual < 1.2e-3);
    const VslMap chain[2] = {{.disp = &u}, {.disp = &v}};
    CHECK_OK(vsl_compose(&round_trip, &wanted, chain, 2, 1));
    const int64_t plane = vsl_grid_voxels(&wanted);
    int64_t inside = 0;
    VslAffine from;
    CHECK_OK(vsl_grid_from_ras(&from, &g));
    for (int64_t p = 0; p < plane && round_trip.data; p++) {
        double x[3], q[3];
        test_world(x, &wanted, p);
        for (int d = 0; d < 3; d++) {
            x[d] += (double)v.data[d * plane + p];
        }
        vsl_affine_point(q, &from, x);
        if (q[0] < 0 || q[1] < 0 || q[2] < 0 || q[0] > 23 || q[1] > 19 || q[2] > 17) {
            continue; /* the inverse continues the field outside, the field itself ends */
        }
        inside++;
        for (int d = 0; d < 3; d++) {
            worst = fmax(worst, fabs((double)round_trip.data[d * plane + p]));
        }
    }
    CHECK(inside > plane / 3);
    CHECK_NEAR(worst, 0, 1.2e-3, "mm: a thousandth of the smallest voxel");
    vsl_volume_free(&u);
    vsl_volume_free(&v);
    vsl_volume_free(&round_trip);
}

TEST(the_inverse_of_a_translation_is_a_translation_up_to_the_border)
{
    const VslGrid g = test_grid(9, 8, 7, 1, 2, 1, 0.2, 0);
    VslVolume u = {0}, v = {0};
    CHECK_OK(vsl_volume_new(&u, &g, 3));
    const int64_t n = vsl_grid_voxels(&g) * 3;
    for (int64_t i = 0; i < n; i++) {
        u.data[i] = 2.5F;
    }
    CHECK_OK(vsl_invert_displacement(&v, NULL, &u, &g, 1));
    for (int64_t i = 0; i < n && v.data; i++) {
        CHECK_NEAR(v.data[i], -2.5, 1e-6, "mm");
    }
    vsl_volume_free(&u);
    vsl_volume_free(&v);
}

TEST(smoothing_keeps_the_sum_and_adds_its_variance)
{
    const VslGrid g = test_grid(41, 31, 25, 1, 1.5, 2, 0.3, 0);
    VslVolume v = {0};
    CHECK_OK(vsl_volume_new(&v, &g, 1));
    v.data[(12 * 31 + 15) * 41 + 20] = 1;
    CHECK_OK(vsl_smooth(&v, 3, 2));
    double sum = 0, var[3] = {0};
    const double h[3] = {1, 1.5, 2};
    for (int64_t p = 0; p < vsl_grid_voxels(&g); p++) {
        const int64_t at[3] = {p % 41 - 20, p / 41 % 31 - 15, p / (41 * 31) - 12};
        sum += (double)v.data[p];
        for (int d = 0; d < 3; d++) {
            var[d] += (double)v.data[p] * (double)(at[d] * at[d]) * h[d] * h[d];
        }
    }
    CHECK_NEAR(sum, 1, 1e-5, "float sums");
    for (int d = 0; d < 3; d++) {
        CHECK_NEAR(var[d], 9, 0.05, "mm^2: kernel cut at 4 sigma");
    }
    CHECK_OK(vsl_volume_new(&v, &g, 1));
    v.data[0] = 1; /* in the corner: reflection keeps the sum too, even with kernels longer than the image */
    CHECK_OK(vsl_smooth(&v, 60, 1));
    sum = 0;
    for (int64_t p = 0; p < vsl_grid_voxels(&g); p++) {
        sum += (double)v.data[p];
    }
    CHECK_NEAR(sum, 1, 1e-4, "float sums of long kernels");
    vsl_volume_free(&v);
}

TEST(threads_do_not_change_a_bit)
{
    const VslGrid g = test_grid(21, 18, 15, 1.2, -1.1, 1.3, 0.4, 0.1);
    VslVolume m = {0}, u = {0}, one[4] = {{{{0}, {{{0}}}}, 0, NULL}}, three[4] = {{{{0}, {{{0}}}}, 0, NULL}};
    CHECK_OK(vsl_volume_new(&m, &g, 1));
    CHECK_OK(vsl_volume_new(&u, &g, 3));
    fill_noise(&m, 5);
    test_fill_field(&u, 2, 40);
    const VslMap chain[2] = {{.affine = some_affine()}, {.disp = &u}};
    for (int t = 1; t <= 3; t += 2) {
        VslVolume *o = t == 1 ? one : three;
        CHECK_OK(vsl_apply_image(&o[0], &g, &m, chain, 2, VSL_INTERPOLATION_LINEAR, 0, t));
        CHECK_OK(vsl_compose(&o[1], &g, chain, 2, t));
        CHECK_OK(vsl_invert_displacement(&o[2], NULL, &u, &g, t));
        CHECK_OK(vsl_volume_copy(&o[3], &m));
        CHECK_OK(vsl_smooth(&o[3], 2.5, t));
    }
    for (int o = 0; o < 4; o++) {
        const size_t bytes = sizeof(float) * (size_t)(vsl_grid_voxels(&g) * one[o].channels);
        CHECK(one[o].data && three[o].data && !memcmp(one[o].data, three[o].data, bytes));
        vsl_volume_free(&one[o]);
        vsl_volume_free(&three[o]);
    }
    vsl_volume_free(&m);
    vsl_volume_free(&u);
}

TEST(what_cannot_be_done_is_refused_and_changes_nothing)
{
    const VslGrid g = test_grid(6, 5, 4, 1, 1, 1, 0, 0);
    VslVolume m = {0}, out = {0}, u = {0};
    CHECK_OK(vsl_volume_new(&m, &g, 2));
    CHECK_OK(vsl_volume_new(&u, &g, 3));
    VslMap bad = {.disp = &m}, nan = {.affine = vsl_affine_identity()};
    CHECK_STATUS(vsl_apply_image(&out, &g, &m, &bad, 1, VSL_INTERPOLATION_LINEAR, 0, 1), VSL_E_ARG);
    CHECK_STATUS(vsl_compose(&out, &g, NULL, 1, 1), VSL_E_ARG);
    nan.affine.m[1][1] = NAN;
    CHECK_STATUS(vsl_compose(&out, &g, &nan, 1, 1), VSL_E_NUMERIC);
    CHECK_STATUS(vsl_invert_displacement(&out, NULL, &m, &g, 1), VSL_E_ARG);
    CHECK_STATUS(vsl_smooth(&m, -1, 1), VSL_E_ARG);
    VslVolume flat = u;
    flat.grid.to_ras.m[0][0] = 0;
    CHECK_STATUS(vsl_apply_image(&out, &g, &flat, NULL, 0, VSL_INTERPOLATION_LINEAR, 0, 1), VSL_E_NUMERIC);
    for (int64_t p = 0; p < 120; p++) { /* collapse onto a plane: no inverse */
        double x[3];
        test_world(x, &g, p);
        u.data[p] = (float)-x[0];
    }
    CHECK_STATUS(vsl_invert_displacement(&out, NULL, &u, &g, 1), VSL_E_NUMERIC);
    u.data[3] = NAN;
    CHECK_STATUS(vsl_invert_displacement(&out, NULL, &u, &g, 1), VSL_E_NUMERIC);
    for (int n = 1; n <= 4; n++) {
        const int64_t before = vsl_memory_now();
        const VslMap id = {.affine = vsl_affine_identity()};
        vsl_memory_fail_after(n);
        const VslStatus st = vsl_apply_image(&out, &g, &m, &id, 1, VSL_INTERPOLATION_LINEAR, 0, 1);
        vsl_memory_fail_after(0);
        CHECK(st == VSL_E_NOMEM || (n == 4 && st == VSL_OK));
        CHECK(st == VSL_OK || (!out.data && vsl_memory_now() == before));
    }
    vsl_volume_free(&m);
    vsl_volume_free(&out);
    vsl_volume_free(&u);
}

int main(void)
{
    RUN(the_identity_gives_every_bit_back);
    RUN(a_chain_of_two_fields_and_two_affines_equals_the_definition);
    RUN(the_last_link_acts_first);
    RUN(borders_reach_half_a_voxel_and_no_further);
    RUN(labels_are_moved_whole);
    RUN(nan_positions_and_values_stay_local);
    RUN(a_field_after_its_inverse_is_the_identity);
    RUN(the_inverse_of_a_translation_is_a_translation_up_to_the_border);
    RUN(smoothing_keeps_the_sum_and_adds_its_variance);
    RUN(threads_do_not_change_a_bit);
    RUN(what_cannot_be_done_is_refused_and_changes_nothing);
    return CHECK_VERDICT();
}
