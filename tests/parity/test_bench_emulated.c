/* The cases of the benchmark hold on a device as on the processor: their checks, run on the emulated device
 * (emulated.h), and how many launches and waits a whole evaluation takes. */
#define _GNU_SOURCE /* emulated.h */
#include "tests/parity/emulated.h"

#include "bench/kernel_cases.h"
#include "registration/device_band_private.h"
#include "registration/device_linear_private.h"
#include "registration/device_mi_private.h"
#include "registration/device_particles_private.h"
#include "registration/device_similarity_private.h"
#include "registration/device_volume_private.h"
#include "registration/device_warp_private.h"
#include "registration/kernels_cuda.c" /* this program's own table: it replaces the library's */
#include "tests/check.h"

static VslBackend *be;

TEST(every_case_holds)
{
    Setup s = {.radius = {0}};
    CHECK_OK(setup_new(&s, be, (int64_t[3]){34, 32, 36}));
    for (const KernelCase *k = kernel_cases; k->name; k++) {
        const VslStatus st = k->check(&s);
        if (st != VSL_OK) {
            printf("  %s: %s\n", k->name, vsl_error());
        }
        CHECK(st == VSL_OK);
        CHECK_OK(k->run(&s));
    }
    setup_free(&s);
}

/* Numbers of docs/performance.md: whoever raises them sees it here. */
TEST(an_evaluation_takes_few_launches_and_waits)
{
    Setup s = {.radius = {0}};
    double energy;
    int64_t launches = 0, waits = 0, transforms = 0, replays = 0;
    CHECK_OK(setup_new(&s, be, (int64_t[3]){34, 32, 36}));
    for (int run = 0; run < 5; run++) { /* the last has nothing left to record */
        launches = emulated.launches;
        waits = emulated.waits;
        transforms = emulated.transforms;
        replays = emulated.replays;
        CHECK_OK(reg_problem_evaluate(&s.lncc, &energy, &s.b, &s.a));
        printf(
            "  with %d time steps: %lld launches, %lld transforms of 3 components, %lld replayed records, %lld waits\n",
            s.lncc.flow.steps, (long long)(emulated.launches - launches), (long long)(emulated.transforms - transforms),
            (long long)(emulated.replays - replays), (long long)(emulated.waits - waits));
    }
    CHECK(emulated.launches - launches <= 51);
    CHECK(emulated.transforms - transforms <= 4);
    CHECK(emulated.replays - replays == 2);
    CHECK(emulated.waits - waits <= 8);
    setup_free(&s);
}

int main(void)
{
    CHECK_OK(emulated_open(&be, 2));
    RUN(every_case_holds);
    RUN(an_evaluation_takes_few_launches_and_waits);
    vsl_backend_close(&be);
    CHECK(emulated.count == 0);
    return CHECK_VERDICT();
}
