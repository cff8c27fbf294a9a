/* Arrays of counter-based numbers: nn/draw.h. */
#include "core/random.h"
#include "nn/draw.h"
#include "tests/check.h"

enum { SAMPLES = 3, PER_SAMPLE = 35, COUNT = SAMPLES * PER_SAMPLE };

static NnDraw draw(NnDrawKind kind, void *values)
{
    return (NnDraw){kind, 7, 11, 5, 10, SAMPLES, PER_SAMPLE, values};
}

TEST(numbers_are_those_of_the_counter)
{
    float normal[COUNT], uniform[COUNT];
    int64_t integer[COUNT];
    NnDraw d = draw(NN_DRAW_NORMAL, normal), u = draw(NN_DRAW_UNIFORM, uniform), k = draw(NN_DRAW_INTEGER, integer);
    nn_draw_span(&d, 0, COUNT);
    nn_draw_span(&u, 0, COUNT);
    nn_draw_span(&k, 0, COUNT);
    for (int b = 0; b < SAMPLES; b++) {
        for (int e = 0; e < PER_SAMPLE; e++) {
            const uint64_t index = ((uint64_t)(5 + b) << 32) + (uint64_t)e;
            const int i = b * PER_SAMPLE + e;
            CHECK(normal[i] == (float)vsl_random_normal(7, 11, index));
            CHECK(uniform[i] == (float)vsl_random_uniform(7, 11, index));
            CHECK(integer[i] == (int64_t)(vsl_random_uniform(7, 11, index) * 10));
        }
    }
}

TEST(any_split_of_an_array_gives_the_same_numbers)
{
    float whole[COUNT], parts[COUNT];
    NnDraw d = draw(NN_DRAW_NORMAL, whole), p = draw(NN_DRAW_NORMAL, parts);
    nn_draw_span(&d, 0, COUNT);
    nn_draw_span(&p, 50, COUNT);
    nn_draw_span(&p, 0, 13);
    nn_draw_span(&p, 13, 50);
    for (int i = 0; i < COUNT; i++) {
        CHECK(whole[i] == parts[i]);
    }
}

TEST(a_sample_without_an_index_of_its_own_is_noticed)
{
    NnDraw d = draw(NN_DRAW_NORMAL, NULL);
    CHECK(nn_draw_is_addressable(&d));
    d.first = ((uint64_t)1 << 32) - SAMPLES;
    CHECK(nn_draw_is_addressable(&d));
    d.first++;
    CHECK(!nn_draw_is_addressable(&d));
    d.first = UINT64_MAX;
    CHECK(!nn_draw_is_addressable(&d));
    d = draw(NN_DRAW_NORMAL, NULL);
    d.per_sample = ((int64_t)1 << 32) + 1;
    CHECK(!nn_draw_is_addressable(&d));
}

int main(void)
{
    RUN(numbers_are_those_of_the_counter);
    RUN(any_split_of_an_array_gives_the_same_numbers);
    RUN(a_sample_without_an_index_of_its_own_is_noticed);
    return CHECK_VERDICT();
}
