/* Every entry of the kernel table on the CPU and on the other side. */
#ifndef VSL_TESTS_PARITY_KERNEL_CASES_H
#define VSL_TESTS_PARITY_KERNEL_CASES_H

#include "registration/kernels.h"
#include "tests/parity/parity.h"

/* One table of grids for all kernels: odd sizes, anisotropic spacing, flat axes, channels, masks. */
typedef struct Setting {
    const char *name;
    int64_t band[3], lattice[3], image[3], moving[3];
    double h[3];
    int channels, masked, radius[3];
} Setting;

static const Setting settings[] = {
    {"cubes", {12, 10, 8}, {9, 8, 7}, {20, 18, 14}, {19, 17, 15}, {2, 3, 4}, 1, 0, {2, 2, 2}},
    {"odd sizes, two channels, masks", {9, 7, 5}, {7, 6, 5}, {13, 11, 9}, {11, 12, 13}, {3, 2, 2.5}, 2, 1, {1, 2, 3}},
    {"flat along k", {14, 11, 1}, {11, 9, 1}, {23, 17, 1}, {21, 19, 1}, {2, 3, 1}, 1, 1, {3, 3, 3}},
    {"flat along i", {1, 12, 10}, {1, 8, 7}, {1, 15, 13}, {1, 14, 16}, {1, 2, 2}, 3, 0, {2, 1, 2}},
    {"image coarser than the band", {16, 12, 14}, {14, 10, 12}, {5, 4, 6}, {6, 5, 4}, {2, 2, 2}, 1, 0, {4, 4, 4}},
};
enum { SETTINGS = sizeof settings / sizeof *settings };

static const RegKernels *table(int side)
{
    return reg_kernels(sides[side]);
}

static RegLattice lattice_of(const Setting *c)
{
    RegLattice l;
    for (int d = 0; d < 3; d++) {
        l.n[d] = c->lattice[d];
        l.origin[d] = c->band[d] > 1 ? 1 : 0;
        l.offset[d] = c->lattice[d] > 1 ? 1.2 : 0;
        l.scale[d] = c->lattice[d] > 1 ? ((double)c->lattice[d] - 3.3) / (double)(c->image[d] - 1) : 1;
    }
    return l;
}

/* Lattice nodes in band voxels, turned a little and moved at random: some leave the image and the band's period. */
static Pair positions_new(const Setting *c, double size)
{
    Pair y = pair_new(c->lattice, 3, 20, size, 0), start = pair_new(c->lattice, 3, 21, 1, 0);
    VslAffine a = {{{0.98, 0.03, 0, 1}, {-0.02, 1.01, 0.04, 0.7}, {0.01, 0, 1, 1.3}}};
    for (int s = 0; s < SIDES; s++) {
        CHECK_OK(table(s)->particles_start(&start.on[s], &a));
        CHECK_OK(vsl_field_axpby(&y.on[s], 1, &start.on[s], 1));
    }
    pair_check(&start, 3e-7, "particles_start");
    pair_free(&start);
    return y;
}

TEST(epdiff_agrees)
{
    for (int q = 0; q < SETTINGS; q++) {
        const Setting *c = settings + q;
        Pair m = pair_new(c->band, 3, 1, 1, 0), v = pair_new(c->band, 3, 2, 1, 0.3),
             base = pair_new(c->band, 3, 3, 1, 0), next = pair_new(c->band, 3, 4, 1, 0),
             sum = pair_new(c->band, 3, 5, 1, 0);
        for (int s = 0; s < SIDES; s++) {
            CHECK_OK(table(s)->epdiff(&next.on[s], &base.on[s], 0.25, &sum.on[s], 0.125, &m.on[s], &v.on[s], c->h));
            CHECK_OK(table(s)->epdiff(NULL, NULL, 0, &sum.on[s], 0.5, &m.on[s], &v.on[s], c->h));
        }
        pair_check(&next, 1e-6, "epdiff next");
        pair_check(&sum, 1e-6, "epdiff sum");
        pair_free(&m), pair_free(&v), pair_free(&base), pair_free(&next), pair_free(&sum);
    }
}

TEST(the_transpose_of_epdiff_agrees)
{
    for (int q = 0; q < SETTINGS; q++) {
        const Setting *c = settings + q;
        Pair m = pair_new(c->band, 3, 1, 1, 0), v = pair_new(c->band, 3, 2, 1, 0.3), a = pair_new(c->band, 3, 3, 1, 0),
             direct = pair_new(c->band, 3, 4, 1, 0), smooth = pair_new(c->band, 3, 5, 1, 0),
             sum = pair_new(c->band, 3, 6, 1, 0), out = pair_new(c->band, 3, 7, 1, 0);
        for (int s = 0; s < SIDES; s++) {
            CHECK_OK(table(s)->epdiff_adjoint(&direct.on[s], &smooth.on[s], &m.on[s], &v.on[s], &a.on[s], c->h));
            CHECK_OK(table(s)->stage_adjoint(&out.on[s], &sum.on[s], &direct.on[s], &smooth.on[s], &a.on[s], 0.3, 0.7));
            CHECK_OK(table(s)->stage_adjoint(NULL, &sum.on[s], &direct.on[s], &smooth.on[s], &a.on[s], 0, 0));
        }
        pair_check(&direct, 1e-6, "epdiff_adjoint direct");
        pair_check(&smooth, 1e-6, "epdiff_adjoint smooth");
        pair_check(&out, 1e-6, "stage_adjoint a");
        pair_check(&sum, 1e-6, "stage_adjoint sum");
        pair_free(&m), pair_free(&v), pair_free(&a), pair_free(&direct), pair_free(&smooth), pair_free(&sum);
        pair_free(&out);
    }
}

TEST(velocity_bounds_agree)
{
    for (int q = 0; q < SETTINGS; q++) {
        const Setting *c = settings + q;
        Pair v = pair_new(c->band, 3, 2, 1, 0.3);
        double speed[SIDES], slope[SIDES];
        for (int s = 0; s < SIDES; s++) {
            CHECK_OK(table(s)->velocity_bounds(&speed[s], &slope[s], &v.on[s], c->h));
        }
        numbers_check(speed, 0, "largest speed");
        numbers_check(slope, 1e-6, "largest slope");
        pair_free(&v);
    }
}

TEST(particles_agree)
{
    for (int q = 0; q < SETTINGS; q++) {
        const Setting *c = settings + q;
        Pair y = positions_new(c, 0.4), first = pair_new(c->band, 3, 22, 1.5, 0),
             mid = pair_new(c->band, 3, 23, 1.5, 0), out = pair_new(c->lattice, 3, 24, 1, 0),
             eta = pair_new(c->lattice, 3, 25, 1, 0), cot_first = pair_new(c->band, 3, 26, 0.5, 0),
             cot_mid = pair_new(c->band, 3, 27, 0.5, 0);
        for (int s = 0; s < SIDES; s++) {
            CHECK_OK(table(s)->particles_step(&out.on[s], &y.on[s], &first.on[s], &mid.on[s], -0.4, c->h));
            CHECK_OK(table(s)->particles_adjoint(&eta.on[s], &cot_first.on[s], &cot_mid.on[s], &y.on[s], &first.on[s],
                                                 &mid.on[s], -0.4, c->h));
        }
        pair_check(&out, 1e-6, "particles_step");
        pair_check(&eta, 1e-5, "particles_adjoint eta");
        pair_check(&cot_first, 1e-5, "particles_adjoint, first velocity");
        pair_check(&cot_mid, 1e-5, "particles_adjoint, mid velocity");
        for (int s = 0; s < SIDES; s++) {
            CHECK_OK(table(s)->particles_step(&y.on[s], &y.on[s], &first.on[s], &mid.on[s], -0.4, c->h)); /* in place */
        }
        pair_check(&y, 1e-6, "particles_step in place");
        pair_free(&y), pair_free(&first), pair_free(&mid), pair_free(&out), pair_free(&eta), pair_free(&cot_first);
        pair_free(&cot_mid);
    }
}

TEST(cotangents_of_every_size_are_scattered_to_float_accuracy)
{
    const Setting *c = settings;
    const double sizes[4] = {0, 1e-20, 1e-3, 1e12};
    for (int q = 0; q < 4; q++) {
        Pair y = positions_new(c, 0.4), first = pair_new(c->band, 3, 22, 1.5, 0),
             mid = pair_new(c->band, 3, 23, 1.5, 0), eta = pair_new(c->lattice, 3, 25, sizes[q], 0),
             cot_first = pair_new(c->band, 3, 26, 0, 0), cot_mid = pair_new(c->band, 3, 27, 0, 0);
        for (int s = 0; s < SIDES; s++) {
            CHECK_OK(table(s)->particles_adjoint(&eta.on[s], &cot_first.on[s], &cot_mid.on[s], &y.on[s], &first.on[s],
                                                 &mid.on[s], -0.4, c->h));
        }
        double scale;
        CHECK(pair_difference(&cot_first, &scale) <= 1e-5 * scale);
        CHECK(pair_difference(&cot_mid, &scale) <= 1e-5 * scale);
        CHECK((scale > 0) == (sizes[q] > 0));
        pair_free(&y), pair_free(&first), pair_free(&mid), pair_free(&eta), pair_free(&cot_first), pair_free(&cot_mid);
    }
}

TEST(a_scatter_gives_the_same_bits_every_time)
{
    const Setting *c = settings;
    VslField kept = {0};
    float *a = NULL, *b = NULL;
    CHECK_OK(vsl_field_new(&kept, sides[OTHER], c->band, 3));
    const int64_t count = vsl_field_count(&kept);
    CHECK_OK(VSL_NEW(&a, count, "host values"));
    CHECK_OK(VSL_NEW(&b, count, "host values"));
    for (int repeat = 0; repeat < 4; repeat++) {
        Pair y = positions_new(c, 0.4), first = pair_new(c->band, 3, 22, 1.5, 0),
             mid = pair_new(c->band, 3, 23, 1.5, 0), eta = pair_new(c->lattice, 3, 25, 1, 0),
             cot_first = pair_new(c->band, 3, 26, 0, 0), cot_mid = pair_new(c->band, 3, 27, 0, 0);
        CHECK_OK(table(OTHER)->particles_adjoint(&eta.on[OTHER], &cot_first.on[OTHER], &cot_mid.on[OTHER], &y.on[OTHER],
                                                 &first.on[OTHER], &mid.on[OTHER], -0.4, c->h));
        CHECK_OK(vsl_field_download(repeat ? b : a, &cot_mid.on[OTHER], count));
        CHECK(repeat == 0 || memcmp(a, b, (size_t)count * sizeof *a) == 0);
        pair_free(&y), pair_free(&first), pair_free(&mid), pair_free(&eta), pair_free(&cot_first), pair_free(&cot_mid);
    }
    vsl_free(a);
    vsl_free(b);
    vsl_field_free(&kept);
}

TEST(velocities_that_are_not_finite_are_refused)
{
    const Setting *c = settings;
    Pair y = positions_new(c, 0.4), bad = pair_new(c->band, 3, 22, 1, (double)NAN),
         mid = pair_new(c->band, 3, 23, 1.5, 0), eta = pair_new(c->lattice, 3, 25, 1, 0),
         a = pair_new(c->band, 3, 26, 0, 0), b = pair_new(c->band, 3, 27, 0, 0);
    CHECK_STATUS(table(OTHER)->particles_adjoint(&eta.on[OTHER], &a.on[OTHER], &b.on[OTHER], &y.on[OTHER],
                                                 &bad.on[OTHER], &mid.on[OTHER], -0.4, c->h),
                 VSL_E_NUMERIC);
    pair_free(&y), pair_free(&bad), pair_free(&mid), pair_free(&eta), pair_free(&a), pair_free(&b);
}

TEST(warps_and_their_transpose_agree)
{
    for (int q = 0; q < SETTINGS; q++) {
        const Setting *c = settings + q;
        const RegLattice lattice = lattice_of(c);
        const int64_t slopes = 3 * c->channels;
        VslAffine to_moving = {{{0}}};
        for (int d = 0; d < 3; d++) { /* a little larger than the moving image, and sheared */
            to_moving.m[d][d] = 1.1 * (double)c->moving[d] / (double)c->band[d];
            to_moving.m[d][(d + 1) % 3] = 0.05;
            to_moving.m[d][3] = -0.4;
        }
        Pair y = positions_new(c, 0.2), moving = pair_new(c->moving, c->channels, 30, 1, 2),
             warped = pair_new(c->image, c->channels, 31, 1, 0), plain = pair_new(c->image, c->channels, 32, 1, 0),
             slope = pair_new(c->image, (int)slopes, 33, 1, 0), mask = pair_new(c->moving, 1, 34, 1, 0),
             warped_mask = pair_new(c->image, 1, 35, 1, 0), grad = pair_new(c->image, c->channels, 36, 1, 0),
             eta = pair_new(c->lattice, 3, 37, 1, 0);
        for (int s = 0; s < SIDES; s++) {
            const RegKernels *k = table(s);
            CHECK_OK(k->warp(&warped.on[s], &slope.on[s], &moving.on[s], &y.on[s], &lattice, &to_moving));
            CHECK_OK(k->warp(&plain.on[s], NULL, &moving.on[s], &y.on[s], &lattice, &to_moving));
            CHECK_OK(k->warp_mask(&warped_mask.on[s], &mask.on[s], &y.on[s], &lattice, &to_moving));
        }
        pair_check(&warped, 5e-6, "warp");
        pair_check(&plain, 5e-6, "warp without its slope");
        /* near voxel centres rounding of a position counts 1 / (2 REG_KINK) times, and neighbours are pure noise here
         */
        pair_check(&slope, 1e-3, "slope of the warp");
        pair_check(&warped_mask, 0, "warp_mask");
        pair_equalise(&slope);
        for (int s = 0; s < SIDES; s++) {
            CHECK_OK(table(s)->restrict_force(&eta.on[s], &grad.on[s], &slope.on[s], &lattice, 1.7));
        }
        pair_check(&eta, 1e-5, "restrict_force");
        pair_free(&y), pair_free(&moving), pair_free(&warped), pair_free(&plain), pair_free(&slope), pair_free(&mask);
        pair_free(&warped_mask), pair_free(&grad), pair_free(&eta);
    }
}

TEST(volume_penalties_agree)
{
    for (int q = 0; q < SETTINGS; q++) {
        const Setting *c = settings + q;
        Pair y = positions_new(c, 0.35), eta = pair_new(c->lattice, 3, 70, 0.1, 0),
             jac = pair_new(c->lattice, 1, 71, 1, 0), floor = pair_new(c->lattice, 1, 72, 0.05, 0.7);
        double with[SIDES], without[SIDES];
        for (int s = 0; s < SIDES; s++) {
            CHECK_OK(table(s)->volume_penalty(&without[s], NULL, &jac.on[s], &y.on[s], &floor.on[s], 0));
            CHECK_OK(table(s)->volume_penalty(&with[s], &eta.on[s], &jac.on[s], &y.on[s], &floor.on[s], 2.5));
        }
        CHECK(with[CPU] > 0); /* some nodes are below the floor */
        numbers_check(without, 1e-5, "volume penalty without its derivative");
        numbers_check(with, 1e-5, "volume penalty");
        pair_check(&jac, 1e-6, "determinants");
        pair_check(&eta, 1e-5, "derivative of the volume penalty");
        pair_free(&y), pair_free(&eta), pair_free(&jac), pair_free(&floor);
    }
}

/* 1 in the middle, 0 towards the edges, a soft step between. */
static Pair weight_new(const Setting *c)
{
    Pair p = pair_new(c->image, 1, 40, 1, 0);
    float *host = NULL;
    const int64_t count = vsl_field_count(&p.on[CPU]);
    CHECK_OK(VSL_NEW(&host, count, "weights"));
    for (int64_t q = 0; q < count; q++) {
        double r2 = 0;
        const int64_t at[3] = {q % c->image[0], q / c->image[0] % c->image[1], q / (c->image[0] * c->image[1])};
        for (int d = 0; d < 3; d++) {
            r2 += c->image[d] > 1 ? pow(2 * (double)at[d] / (double)(c->image[d] - 1) - 1, 2) : 0;
        }
        host[q] = c->masked ? (r2 > 1 ? 0 : (r2 > 0.7 ? 0.5f : 1)) : 1;
    }
    pair_upload(&p, host);
    vsl_free(host);
    return p;
}

TEST(similarities_agree)
{
    for (int q = 0; q < SETTINGS; q++) {
        const Setting *c = settings + q;
        Pair image = pair_new(c->image, 1, 41, 1, 2), warped = pair_new(c->image, 1, 42, 1, 1), weight = weight_new(c),
             grad = pair_new(c->image, 1, 43, 1, 0), fixed = pair_new(c->image, 3, 44, 1, 0),
             scratch = pair_new(c->image, 3, 45, 1, 0);
        double ssd[SIDES], plain[SIDES], lncc[SIDES], lncc_plain[SIDES];
        for (int s = 0; s < SIDES; s++) { /* some likeness, so that correlations are not all near zero */
            CHECK_OK(vsl_field_axpby(&warped.on[s], 0.8, &image.on[s], 0.6));
            CHECK_OK(table(s)->ssd(&ssd[s], &grad.on[s], &image.on[s], &warped.on[s], &weight.on[s], 3));
            CHECK_OK(table(s)->ssd(&plain[s], NULL, &image.on[s], &warped.on[s], &weight.on[s], 3));
        }
        numbers_check(ssd, 1e-6, "ssd");
        numbers_check(plain, 1e-6, "ssd without its derivative");
        pair_check(&grad, 1e-6, "derivative of ssd");
        for (int s = 0; s < SIDES; s++) {
            const RegKernels *k = table(s);
            CHECK_OK(k->lncc_prepare(&fixed.on[s], &image.on[s], &weight.on[s], c->radius, 1e-3));
            CHECK_OK(k->lncc(&lncc_plain[s], NULL, &image.on[s], &warped.on[s], &weight.on[s], &fixed.on[s],
                             &scratch.on[s], c->radius, 1e-3, 3, 0));
            CHECK_OK(k->lncc(&lncc[s], &grad.on[s], &image.on[s], &warped.on[s], &weight.on[s], &fixed.on[s],
                             &scratch.on[s], c->radius, 1e-3, 3, 0));
            CHECK_OK(k->lncc(&lncc[s], &grad.on[s], &image.on[s], &warped.on[s], &weight.on[s], &fixed.on[s],
                             &scratch.on[s], c->radius, 1e-3, 2, 1)); /* added */
        }
        pair_check(&fixed, 1e-5, "lncc_prepare");
        numbers_check(lncc, 2e-5, "lncc");
        numbers_check(lncc_plain, 2e-5, "lncc without its derivative");
        pair_check(&grad, 1e-4, "derivative of lncc"); /* variances are differences of nearly equal sums */
        pair_free(&image), pair_free(&warped), pair_free(&weight), pair_free(&grad), pair_free(&fixed);
        pair_free(&scratch);
    }
}

/* Several tiles and marches of a device's teams, and windows too wide for its usual tiles. */
TEST(windows_of_any_size_agree)
{
    const struct {
        int64_t n[3];
        int radius[3];
    } cases[] = {{{70, 19, 50}, {7, 7, 7}},  {{33, 18, 17}, {2, 2, 2}},   {{40, 9, 18}, {64, 64, 64}},
                 {{64, 13, 20}, {1, 20, 3}}, {{31, 35, 16}, {17, 1, 30}}, {{5, 70, 1}, {3, 12, 9}}};
    for (size_t q = 0; q < sizeof cases / sizeof *cases; q++) {
        Pair image = pair_new(cases[q].n, 1, 46, 1, 1), warped = pair_new(cases[q].n, 1, 47, 1, 1),
             weight = pair_new(cases[q].n, 1, 48, 0.1, 1), grad = pair_new(cases[q].n, 1, 49, 1, 0),
             fixed = pair_new(cases[q].n, 3, 54, 1, 0), scratch = pair_new(cases[q].n, 3, 55, 1, 0);
        double energy[SIDES];
        for (int s = 0; s < SIDES; s++) {
            const RegKernels *k = table(s);
            CHECK_OK(vsl_field_axpby(&warped.on[s], 0.8, &image.on[s], 0.6));
            CHECK_OK(k->lncc_prepare(&fixed.on[s], &image.on[s], &weight.on[s], cases[q].radius, 1e-3));
            CHECK_OK(k->lncc(&energy[s], &grad.on[s], &image.on[s], &warped.on[s], &weight.on[s], &fixed.on[s],
                             &scratch.on[s], cases[q].radius, 1e-3, 3, 0));
        }
        pair_check(&fixed, 2e-5, "lncc_prepare");
        numbers_check(energy, 2e-5, "lncc");
        pair_check(&grad, 1e-4, "derivative of lncc");
        pair_free(&image), pair_free(&warped), pair_free(&weight), pair_free(&grad), pair_free(&fixed);
        pair_free(&scratch);
    }
}

TEST(fill_and_multiply_agree)
{
    for (int q = 0; q < SETTINGS; q++) {
        const Setting *c = settings + q;
        Pair a = pair_new(c->image, 1, 50, 1, 0), b = pair_new(c->image, 1, 51, 1, 0),
             out = pair_new(c->image, 1, 52, 1, 0), same = pair_new(c->image, 1, 53, 1, 0);
        for (int s = 0; s < SIDES; s++) {
            CHECK_OK(table(s)->multiply(&out.on[s], &a.on[s], &b.on[s]));
            CHECK_OK(table(s)->fill(&same.on[s], 0.25f));
        }
        pair_check(&out, 0, "multiply");
        pair_check(&same, 0, "fill");
        pair_free(&a), pair_free(&b), pair_free(&out), pair_free(&same);
    }
}

static inline void run_kernel_cases(void)
{
    RUN(epdiff_agrees);
    RUN(the_transpose_of_epdiff_agrees);
    RUN(velocity_bounds_agree);
    RUN(particles_agree);
    RUN(cotangents_of_every_size_are_scattered_to_float_accuracy);
    RUN(a_scatter_gives_the_same_bits_every_time);
    RUN(velocities_that_are_not_finite_are_refused);
    RUN(warps_and_their_transpose_agree);
    RUN(volume_penalties_agree);
    RUN(similarities_agree);
    RUN(windows_of_any_size_agree);
    RUN(fill_and_multiply_agree);
}

#endif
