/* Percentiles against sorting. */
#include "core/select.h"

#include "core/random.h"
#include "tests/check.h"

enum { COUNT = 1001 };

static int ascending(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

TEST(a_percentile_is_the_one_of_the_sorted_values)
{
    const double percent[] = {0, 0.05, 12.5, 50, 99.9, 100};
    float sorted[COUNT];
    for (int i = 0; i < COUNT; i++) {
        sorted[i] = (float)floor(50 * vsl_random_normal(1, 0, (uint64_t)i)); /* many are equal */
    }
    float values[COUNT];
    for (int i = 0; i < COUNT; i++) {
        values[i] = sorted[i];
    }
    qsort(sorted, COUNT, sizeof *sorted, ascending);
    for (size_t p = 0; p < sizeof percent / sizeof *percent; p++) {
        const double at = percent[p] / 100 * (COUNT - 1), share = at - floor(at);
        const int below = (int)floor(at), above = below + 1 < COUNT ? below + 1 : below;
        CHECK_NEAR(vsl_percentile(values, COUNT, percent[p]),
                   (1 - share) * (double)sorted[below] + share * (double)sorted[above], 1e-4, "values of about 100");
    }
}

TEST(one_value_is_every_percentile_of_itself)
{
    float one = 3;
    CHECK_NEAR(vsl_percentile(&one, 1, 0), 3, 0, "exact");
    CHECK_NEAR(vsl_percentile(&one, 1, 99.5), 3, 0, "exact");
}

int main(void)
{
    RUN(a_percentile_is_the_one_of_the_sorted_values);
    RUN(one_value_is_every_percentile_of_itself);
    return CHECK_VERDICT();
}
