/* Shots, energies with their gradients, and whole registrations on the CPU and on the other side. */
#ifndef VSL_TESTS_PARITY_REGISTRATION_CASES_H
#define VSL_TESTS_PARITY_REGISTRATION_CASES_H

#include "registration/lddmm.h"
#include "registration/lddmm_problem.h"
#include "tests/parity/parity.h"

/* Random smooth texture inside a ball; `turn` bends it. */
static VslVolume texture(const VslGrid *grid, int channels, double turn)
{
    VslVolume v = {0};
    CHECK_OK(vsl_volume_new(&v, grid, channels));
    const int64_t count = vsl_grid_voxels(grid);
    for (int64_t q = 0; q < count; q++) {
        double r2 = 0, x[3];
        const int64_t at[3] = {q % grid->n[0], q / grid->n[0] % grid->n[1], q / (grid->n[0] * grid->n[1])};
        for (int d = 0; d < 3; d++) {
            x[d] = grid->n[d] > 1 ? 2 * (double)at[d] / (double)(grid->n[d] - 1) - 1 : 0;
        }
        x[0] += turn * sin(2 * x[1] + 0.4), x[1] += turn * cos(2.3 * x[0]);
        for (int d = 0; d < 3; d++) {
            r2 += x[d] * x[d];
        }
        for (int c = 0; c < channels; c++) {
            v.data[c * count + q] = (float)((2 + sin(5 * x[0] + c) * cos(4 * x[1]) + 0.7 * sin(6 * x[2] + 3 * x[0])) /
                                            (1 + exp(15 * (sqrt(r2) - 0.75))));
        }
    }
    return v;
}

/* A shift that is no multiple of a voxel, and some shear. */
static VslAffine general_map(void)
{
    VslAffine a = vsl_affine_identity();
    a.m[0][3] = 1.3;
    a.m[1][3] = -0.9;
    a.m[2][3] = 0.7;
    a.m[0][1] = 0.01;
    return a;
}

static void compare_registrations(const VslGrid *grid, int channels, int masked, VslAffine map, VslLddmmOptions opt,
                                  const char *what)
{
    VslVolume fixed = texture(grid, channels, 0), moving = texture(grid, channels, 0.12), mask = {0};
    VslLddmmResult r[SIDES] = {{.seconds = 0}, {.seconds = 0}};
    double spacing[3], worst = 0, moved = 0, energy[SIDES], before[SIDES];
    vsl_grid_spacing(spacing, grid);
    if (masked) {
        CHECK_OK(vsl_volume_new(&mask, grid, 1));
        for (int64_t q = 0; q < vsl_grid_voxels(grid); q++) {
            mask.data[q] = q % grid->n[0] > 2 ? 1 : 0;
        }
    }
    for (int s = 0; s < SIDES; s++) {
        CHECK_OK(vsl_lddmm(&r[s], &fixed, &moving, masked ? &mask : NULL, masked ? &mask : NULL, &map, &opt, sides[s]));
        energy[s] = r[s].energy_after;
        before[s] = r[s].energy_before;
    }
    for (int64_t i = 0; i < 3 * vsl_grid_voxels(grid); i++) {
        worst = fmax(worst, fabs((double)(r[CPU].shot.disp.data[i] - r[OTHER].shot.disp.data[i])));
        moved = fmax(moved, fabs((double)r[CPU].shot.disp.data[i]));
    }
    printf("  %s: energy %.6g, the CPU %.6g; displacement up to %.2f mm differs by up to %.2g mm\n", what,
           energy[OTHER], energy[CPU], moved, worst);
    CHECK(moved > 0.25 * spacing[0]);
    CHECK_NEAR(worst, 0, 0.02 * fmin(spacing[0], spacing[1]), "mm; 0.02 voxels");
    /* MI's bins span percentiles of the first warped image of a level, which follow the level before */
    numbers_check(energy, opt.similarity == VSL_SIMILARITY_MI ? 2e-3 : 1e-4, "energy after");
    numbers_check(before, opt.similarity == VSL_SIMILARITY_MI ? 2e-3 : 1e-4, "energy before");
    for (int s = 0; s < SIDES; s++) {
        vsl_lddmm_result_free(&r[s]);
    }
    vsl_volume_free(&fixed);
    vsl_volume_free(&moving);
    vsl_volume_free(&mask);
}

/* One evaluation of energy and gradient: everything of an iteration, without an optimiser to amplify rounding. */
static void compare_evaluations(const VslGrid *grid, int channels, int masked, VslSimilarity kind, double size)
{
    const int64_t n[3] = {14, 15, grid->n[2] == 1 ? 1 : 12};
    VslGrid band = {{n[0], n[1], n[2]}, vsl_affine_identity()};
    VslAffine step = vsl_affine_identity();
    VslVolume fixed = texture(grid, channels, 0), moving = texture(grid, channels, 0.12), mask = {0};
    const VslKernel kernel = {1, {100}, {1}, 1, 2};
    const VslAffine map = general_map();
    RegSimilarityOptions sim = {
        .kind = kind, .windows = 2, .radius_vox = {{4, 4, 4}, {2, 2, 2}}, .eps = 1e-4, .bins = 32};
    double energy[SIDES], similarity[SIDES], norm[SIDES];
    Pair gradient = pair_new(n, 3, 60, 1, 0), x = pair_new(n, 3, 61, size, 0);
    vsl_grid_spacing(sim.spacing_mm, grid);
    for (int d = 0; d < 3; d++) { /* a third larger than the image */
        step.m[d][d] = n[d] > 1 ? 1.35 * (double)grid->n[d] / (double)n[d] : 1;
        step.m[d][3] = 0.5 * (double)(grid->n[d] - 1) - 0.5 * (double)(n[d] - 1) * step.m[d][d];
    }
    band.to_ras = vsl_affine_compose(&grid->to_ras, &step);
    if (masked) {
        CHECK_OK(vsl_volume_new(&mask, grid, 1));
        for (int64_t q = 0; q < vsl_grid_voxels(grid); q++) {
            mask.data[q] = q % grid->n[0] > 2 ? 1 : 0;
        }
    }
    for (int s = 0; s < SIDES; s++) {
        RegProblem p = {0};
        CHECK_OK(reg_problem_new(&p, sides[s], &band, &kernel, 3, &fixed, &moving, masked ? &mask : NULL,
                                 masked ? &mask : NULL, &map, &sim, 100, 0.9));
        p.volume_weight = 50;
        CHECK_OK(reg_problem_evaluate(&p, &energy[s], &gradient.on[s], &x.on[s]));
        similarity[s] = p.last_similarity;
        norm[s] = p.last_norm2;
        reg_problem_free(&p);
    }
    numbers_check(energy, 1e-5, "energy");
    numbers_check(similarity, 1e-5, "similarity");
    numbers_check(norm, 1e-5, "norm of the velocity");
    pair_check(&gradient, 2e-4, "gradient of the energy");
    pair_free(&gradient), pair_free(&x);
    vsl_volume_free(&fixed);
    vsl_volume_free(&moving);
    vsl_volume_free(&mask);
}

TEST(energies_and_gradients_agree)
{
    const VslGrid grid = vsl_grid_centred((int64_t[3]){20, 22, 18}, (double[3]){4, 4, 5}),
                  flat = vsl_grid_centred((int64_t[3]){28, 26, 1}, (double[3]){3, 3, 3});
    const VslSimilarity kinds[3] = {VSL_SIMILARITY_LNCC, VSL_SIMILARITY_SSD, VSL_SIMILARITY_MI};
    for (int k = 0; k < 3; k++) {
        compare_evaluations(&grid, 1, 0, kinds[k], 0);
        compare_evaluations(&grid, 1, 0, kinds[k], 2);
        compare_evaluations(&grid, 2, 1, kinds[k], 2);
        compare_evaluations(&flat, 1, 0, kinds[k], 2);
    }
}

static void compare_by_lncc(const VslGrid *grid, const VslGrid *flat, VslAffine map, VslLddmmOptions opt)
{
    opt.similarity = VSL_SIMILARITY_LNCC;
    compare_registrations(grid, 1, 0, map, opt, "lncc");
    compare_registrations(grid, 2, 1, map, opt, "lncc, two channels, masks");
    compare_registrations(flat, 1, 0, map, opt, "lncc in a plane");
}

TEST(whole_registrations_agree)
{
    const VslGrid grid = vsl_grid_centred((int64_t[3]){20, 22, 18}, (double[3]){4, 4, 5}),
                  flat = vsl_grid_centred((int64_t[3]){28, 26, 1}, (double[3]){3, 3, 3});
    const VslAffine map = general_map();
    VslLddmmOptions opt = {.band_mm = 8, .levels = 2, .iterations = 4};
    opt.fine_iterations = 4;
    compare_by_lncc(&grid, &flat, map, opt);
    opt.similarity = VSL_SIMILARITY_SSD;
    opt.weight = 40000;
    compare_registrations(&grid, 1, 1, map, opt, "ssd, masks");
    opt.similarity = VSL_SIMILARITY_MI;
    opt.weight = 8000;
    compare_registrations(&grid, 1, 0, map, opt, "mi");
}

/* Every sample starts on a voxel centre, where the slope of the linear interpolant jumps and rounding chooses a side.
 */
TEST(registrations_from_the_identity_agree)
{
    const VslGrid grid = vsl_grid_centred((int64_t[3]){36, 40, 32}, (double[3]){4, 4, 5}),
                  flat = vsl_grid_centred((int64_t[3]){56, 52, 1}, (double[3]){3, 3, 3});
    const VslAffine map = vsl_affine_identity();
    VslLddmmOptions opt = {.band_mm = 12, .levels = 2, .iterations = 8};
    opt.fine_iterations = 8;
    compare_by_lncc(&grid, &flat, map, opt);
    opt.similarity = VSL_SIMILARITY_SSD;
    opt.weight = 40000;
    compare_registrations(&grid, 1, 0, map, opt, "ssd");
    opt.levels = 1;
    compare_registrations(&grid, 1, 0, map, opt, "ssd, one level");
}

static RegFlow flow_new(int side, const int64_t n[3], int steps)
{
    RegFlow f = {.steps = 0};
    const VslKernel kernel = {1, {60}, {1}, 1, 2};
    CHECK_OK(reg_flow_new(&f, sides[side], n, (double[3]){2, 2, 3}, &kernel, steps));
    return f;
}

/* A shot from random momenta and its transpose, into 3 * count values. */
static void there_and_back(float *host, RegFlow *f, int side, uint64_t stream)
{
    const VslAffine to_band = {{{0.9, 0, 0, 1.1}, {0, 0.9, 0, 1.2}, {0, 0, 0.9, 1}}};
    Pair m = pair_new(f->n, 3, stream, 20, 0), eta = pair_new((int64_t[3]){6, 5, 5}, 3, stream + 1, 1, 0);
    VslField cot = {0};
    double norm2 = 0, drift = 0;
    CHECK_OK(vsl_field_new(&cot, sides[side], f->n, 3));
    CHECK_OK(vsl_field_copy(&f->m[0], &m.on[side]));
    CHECK_OK(reg_flow_shoot(f, &norm2, &drift));
    CHECK_OK(reg_flow_pull_back(f, eta.on[side].n, &to_band));
    CHECK_OK(reg_flow_adjoint(f, &cot, &eta.on[side]));
    CHECK(norm2 > 0);
    CHECK_OK(vsl_field_download(host, &cot, vsl_field_count(&cot)));
    vsl_field_free(&cot);
    pair_free(&m), pair_free(&eta);
}

/* The first run is launched, the second recorded where the backend can, the others are replayed. */
TEST(shots_give_the_same_bits_every_time)
{
    enum { RUNS = 5 };
    const int64_t n[3] = {10, 9, 8}, count = 3 * n[0] * n[1] * n[2];
    float *host = NULL;
    CHECK_OK(VSL_NEW(&host, RUNS * count, "host values"));
    for (int s = 0; s < SIDES; s++) {
        RegFlow f = flow_new(s, n, 3);
        for (int run = 0; run < RUNS; run++) {
            there_and_back(host + run * count, &f, s, run % 2 ? 92 : 90);
        }
        for (int run = 2; run < RUNS; run++) {
            CHECK(memcmp(host + run * count, host + (run - 2) * count, (size_t)count * sizeof *host) == 0);
        }
        CHECK(memcmp(host, host + count, (size_t)count * sizeof *host) != 0);
        reg_flow_free(&f);
    }
    vsl_free(host);
}

TEST(random_geodesics_take_any_backend)
{
    const VslGrid grid = vsl_grid_centred((int64_t[3]){18, 20, 16}, (double[3]){4, 4, 5});
    const VslKernel kernel = {1, {600}, {1}, 1, 2};
    VslShootResult shot[SIDES] = {{.energy_drift = 0}, {.energy_drift = 0}};
    double worst = 0;
    for (int s = 0; s < SIDES; s++) {
        VslGeodesic g = {0};
        CHECK_OK(vsl_geodesic_random(&g, &grid, &kernel, 20, 5, 9, 1, sides[s]));
        CHECK_OK(vsl_shoot(&shot[s], &g, &grid, 1, 4, 1, sides[s]));
        vsl_geodesic_free(&g);
    }
    for (int64_t i = 0; i < 3 * vsl_grid_voxels(&grid); i++) {
        worst = fmax(worst, fabs((double)(shot[CPU].disp.data[i] - shot[OTHER].disp.data[i])));
        worst = fmax(worst, fabs((double)(shot[CPU].inverse_disp.data[i] - shot[OTHER].inverse_disp.data[i])));
    }
    CHECK_NEAR(worst, 0, 1e-3, "mm; float32 rounding along one geodesic");
    for (int s = 0; s < SIDES; s++) {
        vsl_shoot_result_free(&shot[s]);
    }
}
static inline void run_registration_cases(void)
{
    RUN(energies_and_gradients_agree);
    RUN(whole_registrations_agree);
    RUN(registrations_from_the_identity_agree);
    RUN(shots_give_the_same_bits_every_time);
    RUN(random_geodesics_take_any_backend);
}

#endif
