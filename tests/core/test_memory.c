/* Allocation: alignment, bookkeeping, budget, overflow, and a failure at every allocation of what core builds. */
#include <string.h>

#include "core/backend.h"
#include "tests/check.h"

TEST(blocks_are_aligned_and_counted)
{
    const int64_t before = vsl_memory_now();
    float *f = NULL;
    CHECK_OK(VSL_NEW(&f, 1001, "floats"));
    CHECK((uintptr_t)f % 64 == 0);
    CHECK(vsl_memory_now() - before == 4004);
    CHECK(vsl_memory_peak() >= before + 4004);
    vsl_free(f);
    CHECK(vsl_memory_now() == before);
    CHECK(vsl_memory_peak() >= before + 4004);
    vsl_free(NULL);
}

TEST(cleared_blocks_are_zero)
{
    for (int round = 0; round < 3; round++) { /* later rounds reuse dirty memory */
        unsigned char *p = NULL;
        CHECK_OK(VSL_NEW0(&p, 100000, "bytes"));
        int64_t sum = 0;
        for (int i = 0; i < 100000; i++) {
            sum += p[i];
        }
        CHECK(sum == 0);
        memset(p, 255, 100000);
        vsl_free(p);
    }
}

TEST(nothing_is_a_valid_size)
{
    char *p = NULL;
    CHECK_OK(VSL_NEW(&p, 0, "nothing"));
    CHECK(p != NULL);
    vsl_free(p);
}

TEST(sizes_that_wrap_are_refused)
{
    double *p = NULL;
    CHECK_STATUS(VSL_NEW(&p, INT64_MAX / 4, "too many"), VSL_E_NOMEM);
    CHECK(strstr(vsl_error(), "too many") != NULL);
    CHECK_STATUS(VSL_NEW(&p, INT64_MAX / 8, "nearly too many"), VSL_E_NOMEM);
    CHECK_STATUS(VSL_NEW(&p, -1, "less than none"), VSL_E_NOMEM);
    CHECK(p == NULL);
    int64_t product = 7;
    CHECK(vsl_mul_ok(INT64_C(3037000499), INT64_C(3037000499), &product) && product == INT64_C(9223372030926249001));
    CHECK(!vsl_mul_ok(INT64_C(3037000500), INT64_C(3037000500), &product));
    CHECK(!vsl_mul_ok(-1, 2, &product));
    CHECK(vsl_mul_ok(0, INT64_MAX, &product) && product == 0);
}

TEST(the_budget_is_kept)
{
    char *a = NULL, *b = NULL;
    vsl_memory_set_budget(vsl_memory_now() + 1000000);
    CHECK_OK(VSL_NEW(&a, 600000, "first"));
    CHECK_STATUS(VSL_NEW(&b, 600000, "second"), VSL_E_NOMEM);
    CHECK(b == NULL && strstr(vsl_error(), "second") && strstr(vsl_error(), "budget"));
    vsl_free(a);
    CHECK_OK(VSL_NEW(&b, 600000, "second"));
    vsl_free(b);
    vsl_memory_set_budget(0);
    CHECK(vsl_memory_budget() == 0);
}

TEST(an_injected_failure_comes_once_and_at_its_turn)
{
    char *p[3] = {NULL, NULL, NULL};
    vsl_memory_fail_after(2);
    CHECK_OK(VSL_NEW(&p[0], 10, "one"));
    CHECK_STATUS(VSL_NEW(&p[1], 10, "two"), VSL_E_NOMEM);
    CHECK_OK(VSL_NEW(&p[2], 10, "three"));
    CHECK(p[1] == NULL);
    vsl_free(p[0]);
    vsl_free(p[2]);
}

/* Everything that core allocates for, in one sequence. */
static VslStatus build_it_all(VslVolume *kept)
{
    VslStatus st = VSL_OK;
    const int64_t n[3] = {8, 6, 4};
    const double spacing[3] = {1, 1, 1};
    const VslGrid grid = vsl_grid_centred(n, spacing);
    VslVolume v = {0}, copy = {0};
    VslLabels l = {0};
    VslBackend *be = NULL;
    VslField f = {0}, symbol = {0};
    VslFilter *filter = NULL;
    VSL_TRY(vsl_volume_new(&v, &grid, 2));
    VSL_TRY(vsl_volume_copy(&copy, &v));
    VSL_TRY(vsl_labels_new(&l, &grid));
    VSL_TRY(vsl_backend_open(&be, "cpu", 2));
    VSL_TRY(vsl_field_new(&f, be, n, 2));
    VSL_TRY(vsl_field_new(&symbol, be, (const int64_t[3]){5, 6, 4}, 1));
    VSL_TRY(vsl_field_upload(&f, v.data, vsl_field_count(&f)));
    VSL_TRY(vsl_filter_new(&filter, be, n, 2));
    VSL_TRY(vsl_filter_apply(filter, &f, &f, &symbol));
    double dot = 0;
    VSL_TRY(vsl_field_dot(&dot, &f, &f));
    vsl_volume_move(kept, &copy);
out:
    vsl_filter_free(&filter);
    vsl_field_free(&symbol);
    vsl_field_free(&f);
    vsl_backend_close(&be);
    vsl_labels_free(&l);
    vsl_volume_free(&copy);
    vsl_volume_free(&v);
    return st;
}

TEST(a_failure_at_any_allocation_leaks_nothing_and_changes_nothing)
{
    VslVolume kept = {0};
    CHECK_OK(build_it_all(&kept)); /* what the FFT library keeps for itself it has now */
    vsl_volume_free(&kept);
    const int64_t before = vsl_memory_now();
    int failures = 0;
    for (int n = 1; n < 1000; n++) {
        vsl_memory_fail_after(n);
        const VslStatus st = build_it_all(&kept);
        vsl_memory_fail_after(0);
        if (st == VSL_OK) {
            vsl_volume_free(&kept);
            break;
        }
        failures++;
        CHECK_STATUS(st, VSL_E_NOMEM);
        CHECK(kept.data == NULL);
        CHECK(vsl_memory_now() == before);
    }
    CHECK(failures >= 6 && failures < 999);
    CHECK(vsl_memory_now() == before);
}

int main(void)
{
    RUN(blocks_are_aligned_and_counted);
    RUN(cleared_blocks_are_zero);
    RUN(nothing_is_a_valid_size);
    RUN(sizes_that_wrap_are_refused);
    RUN(the_budget_is_kept);
    RUN(an_injected_failure_comes_once_and_at_its_turn);
    RUN(a_failure_at_any_allocation_leaks_nothing_and_changes_nothing);
    return CHECK_VERDICT();
}
