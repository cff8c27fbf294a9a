/* Linear alignment and joint histograms on the CPU and on the other side. */
#ifndef VSL_TESTS_PARITY_LINEAR_CASES_H
#define VSL_TESTS_PARITY_LINEAR_CASES_H

#include "registration/affine.h"
#include "tests/parity/kernel_cases.h"
#include "tests/parity/registration_cases.h"

TEST(linear_warps_and_moments_agree)
{
    for (int q = 0; q < SETTINGS; q++) {
        const Setting *c = settings + q;
        Pair moving = pair_new(c->moving, 1, 70, 1, 0), moving_mask = pair_new(c->moving, 1, 71, 0.3, 0.5),
             mask = pair_new(c->image, 1, 72, 1, 0.5), warped = pair_new(c->image, 1, 73, 1, 0),
             weight = pair_new(c->image, 1, 74, 1, 0), slope = pair_new(c->image, 3, 75, 1, 0),
             grad = pair_new(c->image, 1, 76, 1, 0);
        VslAffine a = {{{0.93, 0.05, -0.03, 0.6}, {-0.04, 1.04, 0.02, -1.2}, {0.03, -0.02, 1.1, 0.7}}};
        for (int d = 0; d < 3; d++) { /* a flat moving axis is met only in its plane */
            for (int e = 0; e < 4 && c->moving[d] == 1; e++) {
                a.m[d][e] = 0;
            }
        }
        double met[SIDES], moment[SIDES][3][4];
        for (int masked = 0; masked < 2; masked++) {
            for (int s = 0; s < SIDES; s++) {
                CHECK_OK(table(s)->linear_warp(&met[s], &warped.on[s], &weight.on[s], &slope.on[s], &moving.on[s],
                                               masked ? &moving_mask.on[s] : NULL, &mask.on[s], &a));
                CHECK_OK(table(s)->linear_moments(moment[s], &grad.on[s], &slope.on[s]));
            }
            CHECK(met[CPU] > 0);
            numbers_check(met, 1e-5, "weight that is met");
            pair_check(&warped, 2e-6, "linear warp");
            pair_check(&weight, 2e-5, "weights of a linear warp"); /* float32 positions of some ten voxels */
            pair_check(&slope, 2e-5, "slopes of a linear warp");
            double largest = 0;
            for (int e = 0; e < 12; e++) {
                largest = fmax(largest, fabs(moment[CPU][e / 4][e % 4]));
            }
            for (int e = 0; e < 12; e++) {
                CHECK_NEAR(moment[OTHER][e / 4][e % 4], moment[CPU][e / 4][e % 4], 2e-5 * largest, "of the largest");
            }
        }
        pair_free(&moving), pair_free(&moving_mask), pair_free(&mask), pair_free(&warped), pair_free(&weight);
        pair_free(&slope), pair_free(&grad);
    }
}

TEST(histograms_and_their_slopes_agree)
{
    for (int q = 0; q < SETTINGS; q++) {
        const Setting *c = settings + q;
        Pair fixed = pair_new(c->image, 1, 80, 1, 0), warped = pair_new(c->image, 1, 81, 1, 0.2),
             mask = pair_new(c->image, 1, 82, 0.4, 0.5), weight = pair_new(c->image, 1, 83, 0.4, 0.5),
             grad = pair_new(c->image, 1, 84, 1, 0);
        for (int bins = 8; bins <= 32; bins += 24) { /* some intensities lie outside of what the bins span */
            const RegMiBins b = {bins, {-2, (bins - 1) / 4.0, 0, bins - 1}, {-1.8, (bins - 3) / 4.0, 1, bins - 2}};
            double joint[SIDES][32 * 32], total[SIDES], slopes[32 * 32], worst = 0;
            for (int i = 0; i < bins * bins; i++) {
                slopes[i] = vsl_random_normal(11, 85, (uint64_t)i);
            }
            for (int masked = 0; masked < 2; masked++) {
                for (int s = 0; s < SIDES; s++) {
                    const VslField *m = masked ? &mask.on[s] : NULL, *w = masked ? &weight.on[s] : NULL;
                    CHECK_OK(table(s)->mi_count(joint[s], &total[s], &fixed.on[s], &warped.on[s], m, w, &b));
                    CHECK_OK(table(s)->mi_derive(&grad.on[s], slopes, &fixed.on[s], &warped.on[s], m, w, &b, -0.7));
                }
                for (int i = 0; i < bins * bins; i++) {
                    worst = fmax(worst, fabs(joint[OTHER][i] - joint[CPU][i]));
                }
                CHECK(total[CPU] > 0);
                CHECK_NEAR(worst, 0, 1e-12 * total[CPU], "sums in double, in another order");
                numbers_check(total, 1e-12, "sum of weights");
                pair_check(&grad, 1e-6, "derivative of mutual information");
            }
        }
        pair_free(&fixed), pair_free(&warped), pair_free(&mask), pair_free(&weight), pair_free(&grad);
    }
}

/* Largest distance, mm, between where two maps bring the corners of a grid. */
static double corner_distance(const VslGrid *g, const VslAffine *a, const VslAffine *b)
{
    double worst = 0;
    for (int corner = 0; corner < 8; corner++) {
        double at[3], x[3], p[3], q[3], sum = 0;
        for (int d = 0; d < 3; d++) {
            at[d] = corner >> d & 1 ? (double)(g->n[d] - 1) : 0;
        }
        vsl_affine_point(x, &g->to_ras, at);
        vsl_affine_point(p, a, x);
        vsl_affine_point(q, b, x);
        for (int d = 0; d < 3; d++) {
            sum += (p[d] - q[d]) * (p[d] - q[d]);
        }
        worst = fmax(worst, sqrt(sum));
    }
    return worst;
}

TEST(linear_registrations_agree)
{
    const VslGrid grids[2] = {vsl_grid_centred((int64_t[3]){18, 20, 16}, (double[3]){4, 4, 5}),
                              vsl_grid_centred((int64_t[3]){28, 26, 1}, (double[3]){3, 3, 3})};
    static const VslSimilarity metrics[3] = {VSL_SIMILARITY_LNCC, VSL_SIMILARITY_SSD, VSL_SIMILARITY_MI};
    const VslAffine start = general_map(), *starts[2] = {NULL, &start};
    for (int q = 0; q < 2; q++) {
        VslVolume fixed = texture(&grids[q], 1, 0), moving = texture(&grids[q], 1, 0.05), mask = {0};
        CHECK_OK(vsl_volume_new(&mask, &grids[q], 1));
        for (int64_t v = 0; v < vsl_grid_voxels(&grids[q]); v++) {
            mask.data[v] = v % grids[q].n[0] > 1 ? 1 : 0;
        }
        for (int m = 0; m < 6; m++) {
            const VslAffineOptions opt = {.similarity = metrics[m % 3], .iterations = 8, .levels = 2};
            const VslVolume *masked = m < 3 ? NULL : &mask;
            VslAffineResult r[SIDES];
            double after[SIDES];
            for (int s = 0; s < SIDES; s++) {
                CHECK_OK(vsl_affine_register(&r[s], &fixed, &moving, masked, masked, starts[m / 3],
                                             m < 3 ? VSL_LINEAR_AFFINE : VSL_LINEAR_RIGID, &opt, sides[s]));
                after[s] = r[s].similarity_after;
            }
            const double apart = corner_distance(&grids[q], &r[CPU].affine, &r[OTHER].affine);
            printf("  metric %d, %s: corners %.2g mm apart\n", (int)metrics[m % 3], masked ? "rigid" : "affine", apart);
            CHECK_NEAR(apart, 0, 0.02 * 3, "mm; 0.02 voxels");
            numbers_check(after, 1e-4, "similarity of a linear registration");
        }
        vsl_volume_free(&fixed);
        vsl_volume_free(&moving);
        vsl_volume_free(&mask);
    }
}

static inline void run_linear_cases(void)
{
    RUN(linear_warps_and_moments_agree);
    RUN(histograms_and_their_slopes_agree);
    RUN(linear_registrations_agree);
}

#endif
