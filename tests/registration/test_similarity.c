/* SSD and LNCC: values against plain double-precision sums over every window, derivatives against central differences,
 * masks, every window size, thread counts. */
#include <string.h>

#include "core/random.h"
#include "registration/similarity.h"
#include "tests/check.h"

typedef struct Pair {
    VslBackend *be;
    int64_t n[3], count;
    VslField fixed, warped, mask, weight, grad;
} Pair;

static Pair make_pair(const int64_t n[3], int threads)
{
    Pair p = {.n = {n[0], n[1], n[2]}, .count = n[0] * n[1] * n[2]};
    CHECK_OK(vsl_backend_open(&p.be, "cpu", threads));
    VslField *all[5] = {&p.fixed, &p.warped, &p.mask, &p.weight, &p.grad};
    for (int i = 0; i < 5; i++) {
        CHECK_OK(vsl_field_new(all[i], p.be, n, 1));
    }
    for (int64_t i = 0; i < p.count; i++) {
        const double common = vsl_random_uniform(1, 1, (uint64_t)i);
        p.fixed.data[i] = (float)(0.7 * common + 0.3 * vsl_random_uniform(1, 2, (uint64_t)i));
        p.warped.data[i] = (float)(0.5 * common + 0.4 * vsl_random_uniform(1, 3, (uint64_t)i));
        p.mask.data[i] = i % 5 ? (i % 3 ? 1.0f : 0.5f) : 0.0f;
        p.weight.data[i] = i % 7 ? 1.0f : 0.0f;
    }
    return p;
}

static void free_pair(Pair *p)
{
    VslField *all[5] = {&p->fixed, &p->warped, &p->mask, &p->weight, &p->grad};
    for (int i = 0; i < 5; i++) {
        vsl_field_free(all[i]);
    }
    vsl_backend_close(&p->be);
}

/* The equation as it is written: sum over voxels of -w c^2 / (a b), windows of (2 r + 1) voxels, weighted moments. */
static double plain_lncc(const Pair *p, const int radius[3], double eps, int use_mask, int use_weight)
{
    double energy = 0;
    const int64_t *n = p->n;
    for (int64_t q = 0; q < p->count; q++) {
        const int64_t x[3] = {q % n[0], q / n[0] % n[1], q / (n[0] * n[1])};
        double s = 0, si = 0, sj = 0, sii = 0, sjj = 0, sij = 0;
        for (int64_t k = x[2] - radius[2]; k <= x[2] + radius[2]; k++) {
            for (int64_t j = x[1] - radius[1]; j <= x[1] + radius[1]; j++) {
                for (int64_t i = x[0] - radius[0]; i <= x[0] + radius[0]; i++) {
                    if (i < 0 || j < 0 || k < 0 || i >= n[0] || j >= n[1] || k >= n[2]) {
                        continue;
                    }
                    const int64_t at = (k * n[1] + j) * n[0] + i;
                    const double w = (use_mask ? (double)p->mask.data[at] : 1) *
                                     (use_weight ? (double)p->weight.data[at] : 1),
                                 a = (double)p->fixed.data[at], b = (double)p->warped.data[at];
                    s += w;
                    si += w * a;
                    sj += w * b;
                    sii += w * a * a;
                    sjj += w * b * b;
                    sij += w * a * b;
                }
            }
        }
        const double w = (use_mask ? (double)p->mask.data[q] : 1) * (use_weight ? (double)p->weight.data[q] : 1);
        if (w > 0) {
            const double c = sij / s - si * sj / (s * s);
            energy -= w * c * c / ((sii / s - si * si / (s * s) + eps) * (sjj / s - sj * sj / (s * s) + eps));
        }
    }
    return energy;
}

static const int64_t sizes[4][3] = {{11, 9, 7}, {6, 13, 5}, {17, 4, 1}, {3, 3, 3}};

TEST(lncc_is_the_plain_sum_for_every_window_and_mask)
{
    const double voxel = 2 * 1.5 * 3;
    for (int q = 0; q < 4; q++) {
        Pair p = make_pair(sizes[q], 2);
        for (int r = 0; r <= 8; r++) {
            for (int masks = 0; masks < 4; masks++) {
                RegSimilarity *s = NULL;
                const int flat = sizes[q][2] == 1;
                const RegSimilarityOptions opt = {.kind = VSL_SIMILARITY_LNCC,
                                                  .radius_vox = {{r, (r + 1) % 5, flat ? 0 : r % 4}},
                                                  .eps = 1e-2,
                                                  .spacing_mm = {2, 1.5, 3}};
                double e = 0;
                CHECK_OK(reg_similarity_new(&s, p.be, &p.fixed, masks & 1 ? &p.mask : NULL, &opt));
                CHECK_OK(reg_similarity_eval(s, &e, NULL, &p.warped, masks & 2 ? &p.weight : NULL));
                const double want = voxel * plain_lncc(&p, opt.radius_vox[0], 1e-2, masks & 1, masks & 2);
                CHECK_NEAR(e, want, 1e-5 * fabs(want) + 1e-4, "float32 window sums of values of order one");
                reg_similarity_free(&s);
            }
        }
        free_pair(&p);
    }
}

static void check_gradient(VslSimilarity kind, int masks)
{
    const int64_t n[3] = {11, 9, 7};
    Pair p = make_pair(n, 2);
    RegSimilarity *s = NULL;
    const RegSimilarityOptions opt = {
        .kind = kind, .radius_vox = {{2, 3, 1}}, .eps = 1e-2, .spacing_mm = {2, 1.5, 3}, .channel_weight = {0.7}};
    double e = 0;
    CHECK_OK(reg_similarity_new(&s, p.be, &p.fixed, masks & 1 ? &p.mask : NULL, &opt));
    CHECK_OK(reg_similarity_eval(s, &e, &p.grad, &p.warped, masks & 2 ? &p.weight : NULL));
    double error = 0, size = 0;
    for (int64_t at = 0; at < p.count; at += 13) {
        double plus = 0, minus = 0;
        const float keep = p.warped.data[at], eps = 0.02f;
        p.warped.data[at] = keep + eps;
        CHECK_OK(reg_similarity_eval(s, &plus, NULL, &p.warped, masks & 2 ? &p.weight : NULL));
        p.warped.data[at] = keep - eps;
        CHECK_OK(reg_similarity_eval(s, &minus, NULL, &p.warped, masks & 2 ? &p.weight : NULL));
        p.warped.data[at] = keep;
        const double difference = (plus - minus) / (2 * (double)eps);
        error += pow(difference - (double)p.grad.data[at], 2);
        size += difference * difference;
    }
    CHECK_NEAR(sqrt(error / size), 0, 3e-3, "third-order term of a step of 0.02 and float32 rounding");
    reg_similarity_free(&s);
    free_pair(&p);
}

TEST(derivatives_agree_with_central_differences_under_every_mask)
{
    for (int masks = 0; masks < 4; masks++) {
        check_gradient(VSL_SIMILARITY_LNCC, masks);
        check_gradient(VSL_SIMILARITY_SSD, masks);
    }
}

TEST(two_window_sizes_give_the_mean_of_both)
{
    const int64_t n[3] = {11, 9, 7};
    Pair p = make_pair(n, 2);
    RegSimilarityOptions opt = {.kind = VSL_SIMILARITY_LNCC,
                                .windows = 2,
                                .radius_vox = {{3, 3, 3}, {1, 1, 1}},
                                .eps = 1e-2,
                                .spacing_mm = {1, 1, 1}};
    double e[3] = {0}, g[3] = {0};
    for (int q = 0; q < 3; q++) {
        RegSimilarity *s = NULL;
        CHECK_OK(reg_similarity_new(&s, p.be, &p.fixed, &p.mask, &opt));
        CHECK_OK(reg_similarity_eval(s, &e[q], &p.grad, &p.warped, NULL));
        g[q] = (double)p.grad.data[401];
        reg_similarity_free(&s);
        opt.windows = 1;
        opt.radius_vox[0][0] = opt.radius_vox[0][1] = opt.radius_vox[0][2] = q == 0 ? 3 : 1;
    }
    CHECK_NEAR(e[0], 0.5 * (e[1] + e[2]), 1e-5 * fabs(e[0]), "sums of float32 windows");
    CHECK_NEAR(g[0], 0.5 * (g[1] + g[2]), 1e-5 * (fabs(g[1]) + fabs(g[2])), "float32");
    free_pair(&p);
}

TEST(a_perfect_match_scores_one_per_voxel_up_to_the_variance_floor)
{
    const int64_t n[3] = {12, 10, 8};
    Pair p = make_pair(n, 1);
    RegSimilarity *s = NULL;
    const RegSimilarityOptions opt = {
        .kind = VSL_SIMILARITY_LNCC, .radius_vox = {{3, 3, 3}}, .eps = 1e-9, .spacing_mm = {1, 1, 1}};
    double e = 0;
    for (int64_t i = 0; i < p.count; i++) {
        p.warped.data[i] = 0.2f + 0.5f * p.fixed.data[i]; /* contrast and offset do not matter */
    }
    CHECK_OK(reg_similarity_new(&s, p.be, &p.fixed, NULL, &opt));
    CHECK_OK(reg_similarity_eval(s, &e, NULL, &p.warped, NULL));
    CHECK_NEAR(e / (double)p.count, -1, 1e-4, "float32 cancellation in variances of order 0.05");
    reg_similarity_free(&s);
    free_pair(&p);
}

TEST(the_number_of_threads_changes_no_bit)
{
    const int64_t n[3] = {37, 29, 23};
    double energy[3] = {0};
    static float grad[3][37 * 29 * 23];
    for (int t = 0; t < 3; t++) {
        Pair p = make_pair(n, t + 1);
        RegSimilarity *s = NULL;
        const RegSimilarityOptions opt = {
            .kind = VSL_SIMILARITY_LNCC, .radius_vox = {{4, 4, 4}}, .eps = 1e-4, .spacing_mm = {1, 1, 1}};
        CHECK_OK(reg_similarity_new(&s, p.be, &p.fixed, &p.mask, &opt));
        CHECK_OK(reg_similarity_eval(s, &energy[t], &p.grad, &p.warped, NULL));
        memcpy(grad[t], p.grad.data, sizeof grad[t]);
        reg_similarity_free(&s);
        free_pair(&p);
    }
    CHECK(energy[0] == energy[1] && energy[0] == energy[2]);
    CHECK(memcmp(grad[0], grad[1], sizeof grad[0]) == 0 && memcmp(grad[0], grad[2], sizeof grad[0]) == 0);
}

TEST(wrong_options_are_refused)
{
    const int64_t n[3] = {4, 4, 4};
    Pair p = make_pair(n, 1);
    RegSimilarity *s = NULL;
    RegSimilarityOptions opt = {.kind = VSL_SIMILARITY_LNCC, .radius_vox = {{1, 1, 1}}, .spacing_mm = {1, 1, 1}};
    CHECK_STATUS(reg_similarity_new(&s, p.be, &p.fixed, NULL, &opt), VSL_E_ARG); /* no variance floor */
    opt = (RegSimilarityOptions){0};
    CHECK_STATUS(reg_similarity_new(&s, p.be, &p.fixed, NULL, &opt), VSL_E_ARG);
    CHECK(s == NULL);
    free_pair(&p);
}

int main(void)
{
    RUN(lncc_is_the_plain_sum_for_every_window_and_mask);
    RUN(derivatives_agree_with_central_differences_under_every_mask);
    RUN(two_window_sizes_give_the_mean_of_both);
    RUN(a_perfect_match_scores_one_per_voxel_up_to_the_variance_floor);
    RUN(the_number_of_threads_changes_no_bit);
    RUN(wrong_options_are_refused);
    return CHECK_VERDICT();
}
