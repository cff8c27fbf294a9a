/* The judges: Jacobians of known maps, label overlap and surfaces against their definitions, image scores against
 * values computed by hand or by direct sums. */
#include "registration/quality.h"

#include <string.h>

#include "core/random.h"
#include "tests/check.h"
#include "tests/registration/grids.h"

static VslVolume new_volume(const VslGrid *g, int channels)
{
    VslVolume v = {0};
    CHECK_OK(vsl_volume_new(&v, g, channels));
    return v;
}

/* u(x) = (M - I) x + t at every voxel. */
static VslVolume linear_field(const VslGrid *g, const VslAffine *map)
{
    VslVolume v = new_volume(g, 3);
    const int64_t plane = vsl_grid_voxels(g);
    for (int64_t p = 0; p < plane; p++) {
        double x[3], y[3];
        test_world(x, g, p);
        vsl_affine_point(y, map, x);
        for (int d = 0; d < 3; d++) {
            v.data[d * plane + p] = (float)(y[d] - x[d]);
        }
    }
    return v;
}

TEST(a_linear_map_has_its_determinant_everywhere)
{
    const VslAffine maps[3] = {{{{1, 0, 0, 7}, {0, 1, 0, -3}, {0, 0, 1, 2}}},
                               {{{1.2, 0, 0, 0}, {0, 1.2, 0, 0}, {0, 0, 1.2, 0}}},
                               {{{1.1, 0.3, -0.2, 1}, {0.1, 0.8, 0.2, 2}, {-0.3, 0.1, -0.9, 3}}}};
    const VslGrid grids[2] = {test_grid(7, 6, 5, 1.3, -2.1, 0.8, 0.7, 0.3), test_grid(2, 3, 2, 4, 1, 1, -0.4, 0)};
    for (int g = 0; g < 2; g++) {
        for (int m = 0; m < 3; m++) {
            VslVolume u = linear_field(&grids[g], &maps[m]), jac = {0};
            const double want = vsl_affine_det(&maps[m]);
            CHECK_OK(vsl_jacobian(&jac, &u, 2));
            for (int64_t p = 0; p < vsl_grid_voxels(&grids[g]) && jac.data; p++) {
                CHECK_NEAR(jac.data[p], want, 1e-5, "float displacements of some mm");
            }
            vsl_volume_free(&u);
            vsl_volume_free(&jac);
        }
    }
}

TEST(a_plane_has_the_determinant_of_its_plane)
{
    const int64_t n[3] = {9, 8, 1};
    const double h[3] = {0.7, 1.1, 3};
    const VslGrid g = vsl_grid_centred(n, h);
    const VslAffine map = {{{1.3, 0.2, 0, 0}, {0.1, 0.9, 0, 0}, {0, 0, 1, 0}}};
    VslVolume u = linear_field(&g, &map), jac = {0};
    CHECK_OK(vsl_jacobian(&jac, &u, 1));
    CHECK_NEAR(jac.data[31], 1.3 * 0.9 - 0.02, 1e-6, "2 x 2");
    vsl_volume_free(&u);
    vsl_volume_free(&jac);
}

TEST(jacobian_statistics_count_folds_and_order_values)
{
    const VslGrid g = test_grid(11, 10, 10, 1, 1, 1, 0, 0);
    VslVolume jac = new_volume(&g, 1), mask = new_volume(&g, 1);
    VslJacobianStats s = {0};
    double sum = 0, squares = 0;
    for (int64_t p = 0; p < 1100; p++) { /* the values 1..1001 shuffled, then what must not count or folds */
        jac.data[p] = p < 1001 ? (float)((p * 500) % 1001 + 1) : p < 1004 ? -2.0F : p == 1004 ? NAN : 1e9F;
        mask.data[p] = p <= 1004 ? 1.0F : 0.0F;
        sum += p < 1001 ? log((double)p + 1) : 0;
        squares += p < 1001 ? log((double)p + 1) * log((double)p + 1) : 0;
    }
    CHECK_OK(vsl_jacobian_stats(&s, &jac, &mask));
    CHECK(s.voxels == 1005 && s.folds == 4);
    CHECK_NEAR(s.min, -2, 0, "exact");
    CHECK_NEAR(s.max, 1001, 0, "exact");
    /* 1004 finite values: -2 three times, then 1..1001 */
    CHECK_NEAR(s.median, 499.5, 1e-9, "half way between positions 501 and 502");
    CHECK_NEAR(s.p001, -2, 1e-9, "position 1.003");
    CHECK_NEAR(s.p999, 999.997, 1e-6, "position 1001.997");
    CHECK_NEAR(s.sd_log, sqrt(squares / 1001 - (sum / 1001) * (sum / 1001)), 1e-9, "over positive values");
    memset(mask.data, 0, sizeof(float) * 1100);
    CHECK_STATUS(vsl_jacobian_stats(&s, &jac, &mask), VSL_E_ARG);
    vsl_volume_free(&jac);
    vsl_volume_free(&mask);
}

/* Whether voxel p of the map is on its label's surface. */
static int is_surface(const VslLabels *l, int64_t p, int32_t label)
{
    const int64_t *n = l->grid.n, at[3] = {p % n[0], p / n[0] % n[1], p / (n[0] * n[1])};
    const int64_t stride[3] = {1, n[0], n[0] * n[1]};
    if (l->data[p] != label) {
        return 0;
    }
    for (int d = 0; d < 3; d++) {
        if (at[d] == 0 || at[d] == n[d] - 1 || l->data[p - stride[d]] != label || l->data[p + stride[d]] != label) {
            return 1;
        }
    }
    return 0;
}

/* Directed sums of the definition, every surface voxel against every other. */
static void slow_surface(double *sum, double *most, int64_t *count, const VslLabels *a, const VslLabels *b,
                         int32_t label)
{
    const int64_t n = vsl_grid_voxels(&a->grid);
    for (int64_t p = 0; p < n; p++) {
        if (!is_surface(a, p, label)) {
            continue;
        }
        double x[3], best = INFINITY;
        test_world(x, &a->grid, p);
        for (int64_t q = 0; q < n; q++) {
            if (is_surface(b, q, label)) {
                double y[3];
                test_world(y, &b->grid, q);
                best = fmin(best, sqrt(pow(x[0] - y[0], 2) + pow(x[1] - y[1], 2) + pow(x[2] - y[2], 2)));
            }
        }
        *sum += best;
        *most = fmax(*most, best);
        (*count)++;
    }
}

TEST(label_scores_equal_their_definition_on_an_oblique_anisotropic_grid)
{
    const VslGrid g = test_grid(13, 11, 9, 0.9, -1.7, 2.6, 0.6, 0);
    const int32_t names[4] = {3, 4, 70000, 2000000000};
    VslLabels a = {0}, b = {0};
    CHECK_OK(vsl_labels_new(&a, &g));
    CHECK_OK(vsl_labels_new(&b, &g));
    const int64_t n = vsl_grid_voxels(&g);
    for (int64_t p = 0; p < n; p++) {
        const int64_t i = p % 13, j = p / 13 % 11, k = p / 143;
        a.data[p] = i < 6 ? (j < 5 ? names[0] : names[1]) : k > 3 ? names[2] : -5;
        b.data[p] = i + k / 3 < 7 ? (j + i / 3 < 6 ? names[0] : names[1]) : k > 4 ? names[2] : 0;
        b.data[p] = vsl_random_uniform(1, 2, (uint64_t)p) < 0.05 ? names[1] : b.data[p];
    }
    a.data[700] = names[3];
    VslLabelScore *rows = NULL;
    int count = 0;
    double mean = 0, sum_dice = 0;
    CHECK_OK(vsl_label_scores(&rows, &count, &mean, &a, &b, 1, 2));
    CHECK(count == 4);
    for (int l = 0; l < count && l < 4; l++) {
        int64_t na = 0, nb = 0, both = 0, surfaces = 0;
        double sum = 0, most = 0;
        CHECK(rows[l].label == names[l]);
        for (int64_t p = 0; p < n; p++) {
            na += a.data[p] == names[l];
            nb += b.data[p] == names[l];
            both += a.data[p] == names[l] && b.data[p] == names[l];
        }
        CHECK_NEAR(rows[l].dice, 2.0 * (double)both / (double)(na + nb), 1e-12, "counts");
        CHECK_NEAR(rows[l].volume_a_mm3, (double)na * 0.9 * 1.7 * 2.6, 1e-9 * (double)(na + 1), "mm^3");
        sum_dice += rows[l].dice;
        if (l == 3) {
            CHECK(isnan(rows[l].surface_mean_mm) && isnan(rows[l].surface_max_mm) && rows[l].dice == 0);
            continue;
        }
        slow_surface(&sum, &most, &surfaces, &a, &b, names[l]);
        slow_surface(&sum, &most, &surfaces, &b, &a, names[l]);
        CHECK_NEAR(rows[l].surface_mean_mm, sum / (double)surfaces, 1e-6, "mm, float squares");
        CHECK_NEAR(rows[l].surface_max_mm, most, 1e-5, "mm, float squares");
        CHECK(rows[l].surface_p95_mm <= rows[l].surface_max_mm && rows[l].surface_p95_mm >= 0);
    }
    CHECK_NEAR(mean, sum_dice / 4, 1e-12, "mean of the rows");
    VslLabelScore *again = NULL;
    int count3 = 0;
    CHECK_OK(vsl_label_scores(&again, &count3, &mean, &a, &b, 1, 3));
    for (int l = 0; l < 3 && count3 == 4; l++) {
        CHECK(again[l].dice == rows[l].dice && again[l].surface_mean_mm == rows[l].surface_mean_mm);
        CHECK(again[l].surface_p95_mm == rows[l].surface_p95_mm && again[l].surface_max_mm == rows[l].surface_max_mm);
    }
    CHECK(count3 == 4);
    vsl_free(again);
    vsl_free(rows);
    vsl_labels_free(&a);
    vsl_labels_free(&b);
}

TEST(equal_maps_of_a_thousand_labels_score_one)
{
    const int64_t n[3] = {40, 30, 1};
    const double h[3] = {2, 3, 1};
    const VslGrid g = vsl_grid_centred(n, h);
    VslLabels a = {0};
    VslLabelScore *rows = NULL;
    int count = 0;
    double mean = 0;
    CHECK_OK(vsl_labels_new(&a, &g));
    for (int i = 0; i < 1200; i++) {
        a.data[i] = 1200 - i;
    }
    CHECK_OK(vsl_label_scores(&rows, &count, &mean, &a, &a, 1, 1));
    CHECK(count == 1200);
    CHECK_NEAR(mean, 1, 1e-12, "identical");
    for (int l = 0; l < count; l++) {
        CHECK(rows[l].label == l + 1 && rows[l].surface_max_mm == 0 && rows[l].volume_b_mm3 == 6);
    }
    vsl_free(rows);
    vsl_labels_free(&a);
}

TEST(inverse_consistency_measures_a_known_mismatch)
{
    const VslGrid g = test_grid(12, 11, 10, 2, -1, 1.5, 0.4, 0);
    const VslAffine there = {{{1, 0, 0, 1.5}, {0, 1, 0, 0}, {0, 0, 1, 0}}};
    const VslAffine back = {{{1, 0, 0, -1.5}, {0, 1, 0, 0.3}, {0, 0, 1, 0.4}}};
    VslVolume u = linear_field(&g, &there), v = linear_field(&g, &back);
    VslInverseConsistency c = {0};
    CHECK_OK(vsl_inverse_consistency(&c, &u, &v, NULL, 2));
    CHECK_NEAR(c.mean_mm, 0.5, 1e-5, "3-4-5, float");
    CHECK_NEAR(c.max_mm, 0.5, 1e-5, "3-4-5, float");
    CHECK_NEAR(c.p95_mm, 0.5, 1e-5, "3-4-5, float");
    CHECK(c.mean_vox > 0.5 / 2 && c.mean_vox < 0.5 / 1);
    v.data[5] = NAN;
    VslInverseConsistency unchanged = c;
    CHECK_STATUS(vsl_inverse_consistency(&c, &u, &v, NULL, 2), VSL_E_NUMERIC);
    CHECK(!memcmp(&c, &unchanged, sizeof c));
    vsl_volume_free(&u);
    vsl_volume_free(&v);
}

TEST(image_scores_of_known_pictures)
{
    const VslGrid g = test_grid(24, 20, 18, 1, 1.2, 1.5, 0.2, 0);
    const int64_t n = vsl_grid_voxels(&g);
    VslVolume a = new_volume(&g, 1), b = new_volume(&g, 1), mask = new_volume(&g, 1);
    for (int64_t p = 0; p < n; p++) {
        b.data[p] = (float)(1000 + 50 * vsl_random_normal(1, 1, (uint64_t)p));
        a.data[p] = b.data[p];
        mask.data[p] = p % 3 ? 1.0F : 0.0F;
    }
    VslImageScore s = {0};
    CHECK_OK(vsl_image_score(&s, &a, &b, NULL, 2));
    CHECK_NEAR(s.ssim, 1, 1e-6, "equal images");
    CHECK_NEAR(s.correlation, 1, 1e-12, "equal images");
    CHECK(s.nrmse == 0 && isinf(s.psnr_db) && s.mutual_information_nats > 2);
    double lo = INFINITY, hi = -INFINITY;
    for (int64_t p = 0; p < n; p++) {
        lo = p % 3 ? fmin(lo, (double)b.data[p]) : lo;
        hi = p % 3 ? fmax(hi, (double)b.data[p]) : hi;
        a.data[p] = p % 3 ? b.data[p] + 7 : NAN; /* an offset alone, and nonsense outside the mask */
    }
    CHECK_OK(vsl_image_score(&s, &a, &b, &mask, 2));
    CHECK_NEAR(s.nrmse, 7 / (hi - lo), 1e-6, "share of the range");
    CHECK_NEAR(s.psnr_db, 20 * log10((hi - lo) / 7), 1e-4, "dB");
    CHECK_NEAR(s.correlation, 1, 1e-9, "an offset");
    CHECK(isfinite(s.ssim) && s.ssim < 1);
    CHECK_STATUS(vsl_image_score(&s, &a, &b, NULL, 2), VSL_E_NUMERIC);
    vsl_volume_free(&a);
    vsl_volume_free(&b);
    vsl_volume_free(&mask);
}

TEST(structural_similarity_is_that_of_its_equation)
{
    /* Far from the border, one voxel: the window's sums written out. */
    enum { SIDE = 15 };
    const VslGrid g = test_grid(SIDE, SIDE, SIDE, 1, 1, 1, 0, 0);
    VslVolume a = new_volume(&g, 1), b = new_volume(&g, 1), mask = new_volume(&g, 1);
    double lo = INFINITY, hi = -INFINITY;
    mask.data[(7 * SIDE + 7) * SIDE + 7] = 1;
    mask.data[(7 * SIDE + 7) * SIDE + 6] = 1;
    for (int64_t p = 0; p < SIDE * SIDE * SIDE; p++) {
        b.data[p] = (float)vsl_random_uniform(4, 1, (uint64_t)p);
        a.data[p] = 0.5F * b.data[p] + 0.4F * (float)vsl_random_uniform(4, 2, (uint64_t)p);
        if (mask.data[p] != 0) {
            lo = fmin(lo, (double)b.data[p]);
            hi = fmax(hi, (double)b.data[p]);
        }
    }
    double want = 0;
    for (int voxel = 6; voxel <= 7; voxel++) {
        double w1[11], sum = 0, m[5] = {0};
        for (int t = 0; t < 11; t++) {
            w1[t] = exp(-0.5 * (t - 5) * (t - 5) / 2.25);
            sum += w1[t];
        }
        for (int t = 0; t < 1331; t++) {
            const int i = t % 11, j = t / 11 % 11, k = t / 121;
            const int64_t p = ((int64_t)(k + 2) * SIDE + (j + 2)) * SIDE + (i + voxel - 5);
            const double w = w1[i] * w1[j] * w1[k] / (sum * sum * sum), x = (double)a.data[p], y = (double)b.data[p];
            const double term[5] = {x, y, x * x, y * y, x * y};
            for (int e = 0; e < 5; e++) {
                m[e] += w * term[e];
            }
        }
        const double r = hi - lo, c1 = pow(0.01 * r, 2), c2 = pow(0.03 * r, 2);
        want += 0.5 * (2 * m[0] * m[1] + c1) * (2 * (m[4] - m[0] * m[1]) + c2) /
                ((m[0] * m[0] + m[1] * m[1] + c1) * (m[2] - m[0] * m[0] + m[3] - m[1] * m[1] + c2));
    }
    VslImageScore s = {0};
    CHECK_OK(vsl_image_score(&s, &a, &b, &mask, 1));
    CHECK_NEAR(s.ssim, want, 1e-4, "float windows in units of a small range");
    vsl_volume_free(&a);
    vsl_volume_free(&b);
    vsl_volume_free(&mask);
}

TEST(what_cannot_be_judged_is_refused)
{
    const VslGrid g = test_grid(6, 5, 4, 1, 1, 1, 0, 0), other = test_grid(6, 5, 4, 1, 1, 1.1, 0, 0);
    const VslGrid sheared = test_grid(6, 5, 4, 1, 1, 1, 0, 0.3);
    VslVolume u = new_volume(&g, 3), one = new_volume(&g, 1), two = new_volume(&other, 1), out = {0};
    VslJacobianStats js;
    VslImageScore is;
    VslInverseConsistency ic;
    VslLabels a = {0}, b = {0}, c = {0};
    VslLabelScore *rows = NULL;
    int count = 0;
    double mean = 0;
    CHECK_OK(vsl_labels_new(&a, &g));
    CHECK_OK(vsl_labels_new(&b, &other));
    CHECK_OK(vsl_labels_new(&c, &sheared));
    CHECK_STATUS(vsl_jacobian(&out, &one, 1), VSL_E_ARG);
    CHECK_STATUS(vsl_jacobian_stats(&js, &u, NULL), VSL_E_ARG);
    CHECK_STATUS(vsl_jacobian_stats(&js, &one, &two), VSL_E_SPACE);
    CHECK_STATUS(vsl_image_score(&is, &one, &one, NULL, 1), VSL_E_NUMERIC);
    CHECK_STATUS(vsl_image_score(&is, &one, &two, NULL, 1), VSL_E_SPACE);
    CHECK_STATUS(vsl_image_score(&is, &one, &one, &one, 1), VSL_E_ARG);
    CHECK_STATUS(vsl_inverse_consistency(&ic, &one, &u, NULL, 1), VSL_E_ARG);
    CHECK_STATUS(vsl_label_scores(&rows, &count, &mean, &a, &b, 0, 1), VSL_E_SPACE);
    CHECK_STATUS(vsl_label_scores(&rows, &count, &mean, &c, &c, 1, 1), VSL_E_UNSUPPORTED);
    CHECK_OK(vsl_label_scores(&rows, &count, &mean, &a, &a, 1, 1));
    CHECK(count == 0 && isnan(mean));
    vsl_free(rows);
    rows = NULL;
    for (int i = 0; i < 60; i++) {
        a.data[i] = 1 + i % 2;
    }
    for (int n = 1; n <= 12; n++) {
        const int64_t before = vsl_memory_now();
        vsl_memory_fail_after(n);
        CHECK_STATUS(vsl_label_scores(&rows, &count, &mean, &a, &a, 1, 1), VSL_E_NOMEM);
        vsl_memory_fail_after(0);
        CHECK(!rows && vsl_memory_now() == before);
    }
    vsl_labels_free(&a);
    vsl_labels_free(&b);
    vsl_labels_free(&c);
    vsl_volume_free(&u);
    vsl_volume_free(&one);
    vsl_volume_free(&two);
    CHECK(vsl_memory_now() == 0);
}

int main(void)
{
    RUN(a_linear_map_has_its_determinant_everywhere);
    RUN(a_plane_has_the_determinant_of_its_plane);
    RUN(jacobian_statistics_count_folds_and_order_values);
    RUN(label_scores_equal_their_definition_on_an_oblique_anisotropic_grid);
    RUN(equal_maps_of_a_thousand_labels_score_one);
    RUN(inverse_consistency_measures_a_known_mismatch);
    RUN(image_scores_of_known_pictures);
    RUN(structural_similarity_is_that_of_its_equation);
    RUN(what_cannot_be_judged_is_refused);
    return CHECK_VERDICT();
}
