/* The generator against its authors' vectors, and the moments of what is made of it. */
#include "core/random.h"

#include <string.h>

#include "tests/check.h"

TEST(philox_gives_the_authors_known_answers)
{
    /* Random123 1.14.0, tests/kat_vectors: philox4x32, 10 rounds; counter words 0..3, key words 0..1, answer. */
    static const uint32_t known[3][10] = {
        {0, 0, 0, 0, 0, 0, 0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8},
        {0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0xffffffff, 0x408f276d, 0x41c83b0e, 0xa20bc7c6,
         0x6d5451fd},
        {0x243f6a88, 0x85a308d3, 0x13198a2e, 0x03707344, 0xa4093822, 0x299f31d0, 0xd16cfe09, 0x94fdcceb, 0x5001e420,
         0x24126ea1},
    };
    for (int i = 0; i < 3; i++) {
        const uint32_t *k = known[i];
        uint32_t got[4];
        vsl_random_bits(got, (uint64_t)k[5] << 32 | k[4], (uint64_t)k[3] << 32 | k[2], (uint64_t)k[1] << 32 | k[0]);
        CHECK(memcmp(got, k + 6, sizeof got) == 0);
    }
}

TEST(a_stream_is_the_fnv_1a_hash_of_its_name)
{
    /* Fowler, Noll, Vo: the published 64-bit test values. */
    CHECK(vsl_random_stream("") == UINT64_C(0xcbf29ce484222325));
    CHECK(vsl_random_stream("a") == UINT64_C(0xaf63dc4c8601ec8c));
    CHECK(vsl_random_stream("foobar") == UINT64_C(0x85944171f73967e8));
}

TEST(a_draw_depends_on_its_name_alone)
{
    const double first = vsl_random_uniform(1, 2, 3);
    (void)vsl_random_uniform(9, 9, 9);
    CHECK(vsl_random_uniform(1, 2, 3) == first);
    CHECK(vsl_random_uniform(2, 2, 3) != first);
    CHECK(vsl_random_uniform(1, 3, 3) != first);
    CHECK(vsl_random_uniform(1, 2, 4) != first);
    CHECK(vsl_random_uniform(1, 2, UINT64_C(3) << 32) != first);
}

enum { DRAWS = 200000 };

TEST(uniform_draws_fill_the_open_interval_evenly)
{
    int bins[20] = {0};
    double sum = 0, squares = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        const double u = vsl_random_uniform(5, 6, i);
        CHECK(u > 0 && u < 1);
        sum += u;
        squares += u * u;
        bins[(int)(20 * u)]++;
    }
    const double se = sqrt(1.0 / 12 / DRAWS);
    CHECK_NEAR(sum / DRAWS, 0.5, 5 * se, "five standard errors");
    CHECK_NEAR(squares / DRAWS, 1.0 / 3, 5 * se, "five standard errors");
    double chi2 = 0;
    for (int b = 0; b < 20; b++) {
        const double expected = DRAWS / 20.0;
        chi2 += (bins[b] - expected) * (bins[b] - expected) / expected;
    }
    CHECK(chi2 < 45); /* 19 degrees of freedom: 0.1 % lie above 43.8; the draws are fixed */
}

TEST(normal_draws_have_the_moments_of_a_normal)
{
    double m1 = 0, m2 = 0, m3 = 0, m4 = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        const double z = vsl_random_normal(7, 8, i);
        CHECK(isfinite(z));
        m1 += z;
        m2 += z * z;
        m3 += z * z * z;
        m4 += z * z * z * z;
    }
    const double root = sqrt((double)DRAWS);
    CHECK_NEAR(m1 / DRAWS, 0, 5 * 1 / root, "five standard errors");
    CHECK_NEAR(m2 / DRAWS, 1, 5 * sqrt(2) / root, "five standard errors");
    CHECK_NEAR(m3 / DRAWS, 0, 5 * sqrt(15) / root, "five standard errors");
    CHECK_NEAR(m4 / DRAWS, 3, 5 * sqrt(96) / root, "five standard errors");
}

TEST(neighbouring_draws_and_streams_are_uncorrelated)
{
    double next = 0, stream = 0, seed = 0;
    for (uint64_t i = 0; i < DRAWS; i++) {
        const double z = vsl_random_normal(1, 1, i);
        next += z * vsl_random_normal(1, 1, i + 1);
        stream += z * vsl_random_normal(1, 2, i);
        seed += z * vsl_random_normal(2, 1, i);
    }
    const double se = 1 / sqrt((double)DRAWS);
    CHECK_NEAR(next / DRAWS, 0, 5 * se, "five standard errors");
    CHECK_NEAR(stream / DRAWS, 0, 5 * se, "five standard errors");
    CHECK_NEAR(seed / DRAWS, 0, 5 * se, "five standard errors");
}

int main(void)
{
    RUN(philox_gives_the_authors_known_answers);
    RUN(a_stream_is_the_fnv_1a_hash_of_its_name);
    RUN(a_draw_depends_on_its_name_alone);
    RUN(uniform_draws_fill_the_open_interval_evenly);
    RUN(normal_draws_have_the_moments_of_a_normal);
    RUN(neighbouring_draws_and_streams_are_uncorrelated);
    return CHECK_VERDICT();
}
