/* The CUDA kernels and their launchers without CUDA: the same bodies, run as host loops over blocks and threads on a
 * backend whose memory the host cannot read in between (emulated.h), through the same cases as on a device. What this
 * cannot show: cuFFT, the memory model of a GPU, speed. */
#define _GNU_SOURCE /* emulated.h */
#include "tests/parity/emulated.h"

#include "registration/device_band_private.h"
#include "registration/forecast.h"
#include "registration/device_linear_private.h"
#include "registration/device_mi_private.h"
#include "registration/device_particles_private.h"
#include "registration/device_similarity_private.h"
#include "registration/device_volume_private.h"
#include "registration/device_warp_private.h"
#include "registration/kernels_cuda.c" /* this program's own table: it replaces the library's */
#include "tests/parity/backend_cases.h"
#include "tests/parity/kernel_cases.h"
#include "tests/parity/linear_cases.h"
#include "tests/parity/registration_cases.h"

TEST(every_kernel_of_the_table_has_a_device_version)
{
    void *entries[sizeof(RegKernels) / sizeof(void *)];
    memcpy(entries, &device_table, sizeof entries);
    for (size_t i = 0; i < sizeof entries / sizeof *entries; i++) {
        CHECK(entries[i] != NULL);
    }
}

TEST(the_order_of_threads_changes_no_bit)
{
    const Setting *c = settings;
    const RegKernels *k = table(OTHER);
    Pair first = pair_new(c->band, 3, 22, 1.5, 0), mid = pair_new(c->band, 3, 23, 1.5, 0), y = positions_new(c, 0.4);
    float *host[2] = {NULL, NULL};
    double dot[2], energy[2];
    const int64_t count = vsl_field_count(&first.on[OTHER]);
    for (int way = 0; way < 2; way++) {
        Pair eta = pair_new(c->lattice, 3, 25, 1, 0), a = pair_new(c->band, 3, 26, 0, 0),
             b = pair_new(c->band, 3, 27, 0, 0);
        emulated.backwards = way;
        CHECK_OK(VSL_NEW(&host[way], count, "host values"));
        CHECK_OK(k->particles_adjoint(&eta.on[OTHER], &a.on[OTHER], &b.on[OTHER], &y.on[OTHER], &first.on[OTHER],
                                      &mid.on[OTHER], -0.4, c->h));
        CHECK_OK(vsl_field_download(host[way], &a.on[OTHER], count));
        CHECK_OK(vsl_field_dot(&dot[way], &first.on[OTHER], &mid.on[OTHER]));
        CHECK_OK(k->ssd(&energy[way], NULL, &first.on[OTHER], &mid.on[OTHER], &first.on[OTHER], 1));
        pair_free(&eta), pair_free(&a), pair_free(&b);
    }
    emulated.backwards = 0;
    CHECK(memcmp(host[0], host[1], (size_t)count * sizeof *host[0]) == 0);
    CHECK(dot[0] == dot[1]);
    CHECK(energy[0] == energy[1]);
    vsl_free(host[0]);
    vsl_free(host[1]);
    pair_free(&first), pair_free(&mid), pair_free(&y);
}

/* What a thread of a team writes, no other may read before the next phase. */
TEST(the_order_of_threads_in_a_team_changes_no_bit)
{
    const int64_t n[3] = {35, 21, 19}, count = n[0] * n[1] * n[2];
    const int radius[3] = {4, 3, 2};
    const RegKernels *k = table(OTHER);
    Pair image = pair_new(n, 1, 80, 1, 1), warped = pair_new(n, 1, 81, 1, 1), weight = pair_new(n, 1, 82, 0.1, 1),
         grad = pair_new(n, 1, 83, 1, 0), fixed = pair_new(n, 3, 84, 1, 0), scratch = pair_new(n, 3, 85, 1, 0);
    float *host[2] = {NULL, NULL};
    double energy[2];
    for (int way = 0; way < 2; way++) {
        emulated.backwards = way;
        CHECK_OK(VSL_NEW(&host[way], count, "host values"));
        CHECK_OK(k->lncc_prepare(&fixed.on[OTHER], &image.on[OTHER], &weight.on[OTHER], radius, 1e-3));
        CHECK_OK(k->lncc(&energy[way], &grad.on[OTHER], &image.on[OTHER], &warped.on[OTHER], &weight.on[OTHER],
                         &fixed.on[OTHER], &scratch.on[OTHER], radius, 1e-3, 3, 0));
        CHECK_OK(vsl_field_download(host[way], &grad.on[OTHER], count));
    }
    emulated.backwards = 0;
    CHECK(energy[0] == energy[1]);
    CHECK(memcmp(host[0], host[1], (size_t)count * sizeof *host[0]) == 0);
    vsl_free(host[0]);
    vsl_free(host[1]);
    pair_free(&image), pair_free(&warped), pair_free(&weight), pair_free(&grad), pair_free(&fixed), pair_free(&scratch);
}

/* Other momenta every time, the number of steps changed in between, scratch that moves: what is replayed must follow.
 */
TEST(replayed_launches_give_the_same_bits)
{
    enum { RUNS = 12 };
    const int64_t n[3] = {10, 9, 8}, count = 3 * n[0] * n[1] * n[2];
    float *host[2] = {NULL, NULL}, *scratch = NULL;
    for (int way = 0; way < 2; way++) { /* recorded, and not */
        RegFlow f = flow_new(OTHER, n, 2);
        const int64_t before = emulated.replays;
        emulated.never_record = way;
        CHECK_OK(VSL_NEW(&host[way], RUNS * count, "host values"));
        for (int run = 0; run < RUNS; run++) {
            if (run == 4) {
                CHECK_OK(reg_flow_set_steps(&f, 3));
            }
            if (run == 8) {
                CHECK_OK(vsl_backend_scratch(&scratch, sides[OTHER], (way + 2) * 1000000));
            }
            there_and_back(host[way] + run * count, &f, OTHER, 90 + 2 * (uint64_t)run);
        }
        /* of each four the first is an ordinary one */
        CHECK(way == 1 ? emulated.replays == before : emulated.replays >= before + 2 * (RUNS - 3 - 2));
        CHECK(emulated.spoilt == 0);
        reg_flow_free(&f);
    }
    emulated.never_record = 0;
    CHECK(memcmp(host[0], host[1], (size_t)(RUNS * count) * sizeof *host[0]) == 0);
    CHECK(memcmp(host[0], host[0] + count, (size_t)count * sizeof *host[0]) != 0);
    vsl_free(host[0]);
    vsl_free(host[1]);
}

static VslStatus double_and_look(void *ctx)
{
    VslStatus st = VSL_OK;
    VslField *f = ctx;
    double ff = 0;
    VSL_TRY(vsl_field_axpby(f, 2, f, 0));
    VSL_TRY(vsl_field_dot(&ff, f, f));
out:
    return st;
}

TEST(work_that_cannot_be_recorded_is_done_all_the_same)
{
    Pair p = pair_new((int64_t[3]){4, 3, 2}, 1, 90, 1, 0);
    VslRecord *record[SIDES] = {NULL, NULL};
    const int64_t before = emulated.replays;
    for (int run = 0; run < 5; run++) {
        for (int s = 0; s < SIDES; s++) {
            CHECK_OK(vsl_record_run(&record[s], sides[s], double_and_look, &p.on[s]));
        }
    }
    pair_check(&p, 0, "doubled five times");
    CHECK(emulated.replays == before && emulated.spoilt > 0);
    for (int s = 0; s < SIDES; s++) {
        vsl_record_free(&record[s]);
    }
    pair_free(&p);
}

/* Allocations of a registration fail one by one, at distances that grow. */
TEST(memory_of_a_device_that_runs_out_is_an_error_and_leaves_nothing)
{
    const VslGrid grid = vsl_grid_centred((int64_t[3]){14, 15, 12}, (double[3]){4, 4, 5});
    const VslLddmmOptions opt = {.band_mm = 9, .levels = 2, .iterations = 1, .fine_iterations = 1};
    const VslAffineOptions linear = {.levels = 1, .iterations = 1};
    const VslAffine start = general_map();
    VslVolume fixed = texture(&grid, 1, 0), moving = texture(&grid, 1, 0.12);
    int failures = 0;
    for (int64_t n = 1, ended = 0; !ended; n += 1 + n / 3) {
        const int held = emulated.count;
        VslAffineResult a = {.seconds = -1};
        VslLddmmResult r = {.seconds = -1};
        emulated.fail_after = n;
        VslStatus st =
            vsl_affine_register(&a, &fixed, &moving, NULL, NULL, &start, VSL_LINEAR_RIGID, &linear, sides[OTHER]);
        if (st == VSL_OK) {
            st = vsl_lddmm(&r, &fixed, &moving, NULL, NULL, &start, &opt, sides[OTHER]);
        }
        ended = emulated.fail_after > 0;
        emulated.fail_after = 0;
        CHECK(st == (ended ? VSL_OK : VSL_E_NOMEM));
        CHECK(ended || r.seconds == -1); /* outputs change on success only */
        failures += !ended;
        vsl_lddmm_result_free(&r);
        CHECK(emulated.count <= held + 1); /* the backend's scratch may have been made */
    }
    CHECK(failures >= 8);
    vsl_volume_free(&fixed);
    vsl_volume_free(&moving);
}

TEST(what_cannot_fit_is_refused_before_and_nothing_else_is)
{
    const VslGrid fixed_grid = vsl_grid_centred((int64_t[3]){44, 42, 40}, (double[3]){2, 2, 2.2}),
                  moving_grid = vsl_grid_centred((int64_t[3]){40, 44, 38}, (double[3]){2.1, 2, 2.2});
    const VslAffine start = general_map();
    for (int c = 0; c < 4; c++) {
        VslLddmmOptions opt = {.similarity = c % 2 ? VSL_SIMILARITY_SSD : VSL_SIMILARITY_LNCC,
                               .band_mm = 15,
                               .levels = 1,
                               .fine_iterations = 1,
                               .finest_mm = c == 2 ? 3 : 0.1};
        const int channels = c == 3 ? 2 : 1;
        VslVolume fixed = texture(&fixed_grid, channels, 0), moving = texture(&moving_grid, channels, 0.1), mask = {0};
        VslLddmmResult r = {.seconds = -1};
        CHECK_OK(vsl_volume_new(&mask, &moving_grid, 1));
        for (int64_t v = 0; v < vsl_grid_voxels(&moving_grid); v++) {
            mask.data[v] = 1;
        }
        CHECK_OK(vsl_options_resolve(&opt, vsl_lddmm_option_table));
        const int64_t least = vsl_lddmm_least_bytes(&fixed_grid, &moving_grid, channels, c > 1, &opt),
                      held = emulated.bytes;
        emulated.peak = held;
        CHECK_OK(vsl_lddmm(&r, &fixed, &moving, NULL, c > 1 ? &mask : NULL, &start, &opt, sides[OTHER]));
        printf("  at least %.2f MB foreseen, %.2f MB held\n", 1e-6 * (double)least,
               1e-6 * (double)(emulated.peak - held));
        CHECK(emulated.peak - held >= least);
        CHECK((double)(emulated.peak - held) < 1.8 * (double)least);
        emulated.total = held + least - 1;
        CHECK_STATUS(vsl_lddmm_check_memory(&fixed_grid, &moving_grid, channels, c > 1, &opt, sides[OTHER]),
                     VSL_E_NOMEM);
        CHECK(strstr(vsl_error(), "at least") != NULL && strstr(vsl_error(), "--device cpu") != NULL);
        emulated.total = held + least;
        CHECK_OK(vsl_lddmm_check_memory(&fixed_grid, &moving_grid, channels, c > 1, &opt, sides[OTHER]));
        emulated.total = (int64_t)1 << 40;
        vsl_lddmm_result_free(&r);
        vsl_volume_free(&fixed);
        vsl_volume_free(&moving);
        vsl_volume_free(&mask);
    }
}

int main(void)
{
    CHECK_OK(vsl_backend_open(&sides[CPU], "cpu", 2));
    CHECK_OK(emulated_open(&sides[OTHER], 2));
    run_backend_cases();
    RUN(every_kernel_of_the_table_has_a_device_version);
    RUN(the_order_of_threads_changes_no_bit);
    RUN(the_order_of_threads_in_a_team_changes_no_bit);
    RUN(replayed_launches_give_the_same_bits);
    RUN(work_that_cannot_be_recorded_is_done_all_the_same);
    RUN(memory_of_a_device_that_runs_out_is_an_error_and_leaves_nothing);
    RUN(what_cannot_fit_is_refused_before_and_nothing_else_is);
    run_kernel_cases();
    run_linear_cases();
    run_registration_cases();
    CHECK(emulated.launches > 1000);
    vsl_backend_close(&sides[CPU]);
    vsl_backend_close(&sides[OTHER]);
    CHECK(emulated.count == 0); /* everything was given back */
    return CHECK_VERDICT();
}
