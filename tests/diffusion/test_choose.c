/* Which pictures to label first: the greedy choice against its equation, and what features are made of. */
#include "diffusion/choose.h"

#include <string.h>

#include "core/random.h"
#include "tests/check.h"

enum { POINTS = 40, WIDTH = 3 };

static void scatter(float *f, int64_t count, int64_t width)
{
    for (int64_t i = 0; i < count * width; i++) {
        f[i] = (float)vsl_random_normal(5, 1, (uint64_t)i);
    }
}

static double apart(const float *f, int64_t i, int64_t j)
{
    double sum = 0;
    for (int k = 0; k < WIDTH; k++) {
        const double d = (double)f[i * WIDTH + k] - (double)f[j * WIDTH + k];
        sum += d * d;
    }
    return sqrt(sum);
}

/* sum over points of the distance to the nearest of `chosen` */
static double cost(const float *f, const int64_t *chosen, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < POINTS; i++) {
        double least = INFINITY;
        for (int64_t k = 0; k < count; k++) {
            least = fmin(least, apart(f, i, chosen[k]));
        }
        sum += least;
    }
    return sum;
}

TEST(each_choice_lowers_the_sum_of_distances_most)
{
    float f[POINTS * WIDTH];
    int64_t chosen[5], nearest[POINTS], known[6] = {7};
    unsigned char labelled[POINTS] = {[7] = 1};
    scatter(f, POINTS, WIDTH);
    CHECK_OK(vsl_choose(chosen, nearest, 5, f, POINTS, WIDTH, labelled, 2));
    for (int k = 0; k < 5; k++) {
        known[k + 1] = chosen[k];
        const double got = cost(f, known, k + 2);
        for (int64_t i = 0; i < POINTS; i++) {
            known[k + 1] = i;
            CHECK(cost(f, known, k + 2) >= got - 1e-4); /* distances are float */
        }
        known[k + 1] = chosen[k];
        CHECK(chosen[k] != 7);
    }
    for (int64_t i = 0; i < POINTS; i++) {
        for (int k = 0; k < 6; k++) {
            CHECK(apart(f, i, nearest[i]) <= apart(f, i, known[k]) + 1e-6);
        }
    }
}

TEST(labelled_ones_count_as_chosen_before)
{
    float f[POINTS * WIDTH];
    int64_t six[6], rest[4], alone[6];
    unsigned char labelled[POINTS] = {0};
    scatter(f, POINTS, WIDTH);
    CHECK_OK(vsl_choose(six, NULL, 6, f, POINTS, WIDTH, NULL, 1));
    labelled[six[0]] = labelled[six[1]] = 1;
    CHECK_OK(vsl_choose(rest, NULL, 4, f, POINTS, WIDTH, labelled, 1));
    CHECK(memcmp(rest, six + 2, sizeof rest) == 0);
    CHECK_OK(vsl_choose(alone, NULL, 6, f, POINTS, WIDTH, NULL, 3)); /* and threads change nothing */
    CHECK(memcmp(alone, six, sizeof six) == 0);
}

TEST(of_three_groups_one_each_and_of_equals_the_first)
{
    /* groups at 0, 100 and 250 on a line, of sizes 3, 4 and 3; the middle one of each costs least */
    const float f[] = {250, 0, 100, 251, 1, 101, 249, 2, 102, 100};
    int64_t chosen[3], nearest[10];
    CHECK_OK(vsl_choose(chosen, nearest, 3, f, 10, 1, NULL, 1));
    CHECK(chosen[0] == 5 || chosen[0] == 2 || chosen[0] == 8 || chosen[0] == 9);
    CHECK(chosen[1] == 0 && chosen[2] == 4);
    CHECK(nearest[3] == 0 && nearest[6] == 0 && nearest[1] == 4 && nearest[7] == 4 && nearest[9] == chosen[0]);
    const float same[] = {3, 3, 3, 3};
    CHECK_OK(vsl_choose(chosen, NULL, 2, same, 4, 1, NULL, 1));
    CHECK(chosen[0] == 0 && chosen[1] == 1);
}

TEST(more_than_there_are_is_refused)
{
    float f[POINTS * WIDTH];
    int64_t chosen[POINTS] = {-7};
    unsigned char labelled[POINTS] = {1};
    scatter(f, POINTS, WIDTH);
    CHECK_OK(vsl_choose(chosen, NULL, POINTS, f, POINTS, WIDTH, NULL, 1));
    chosen[0] = -7;
    CHECK_STATUS(vsl_choose(chosen, NULL, POINTS, f, POINTS, WIDTH, labelled, 1), VSL_E_ARG);
    CHECK_STATUS(vsl_choose(chosen, NULL, 1, f, VSL_CHOOSE_MOST + 1, WIDTH, NULL, 1), VSL_E_ARG);
    CHECK(chosen[0] == -7);
}

enum { N = 8, IMAGES = 11, CHANNELS = 16, PLACES = 16 };

/* A network of random weights on random pictures: the middle of two levels is CHANNELS x 4 x 4. */
TEST(features_are_the_middle_standardised)
{
    static float image[IMAGES * N * N], got[IMAGES * CHANNELS * PLACES], raw[IMAGES * CHANNELS * PLACES];
    const int64_t n[3] = {N, N, 1};
    const VslUnetOptions small = {.preset = VSL_UNET_TINY, .width = 8};
    const VslDiffusionOptions edm = {.process = VSL_PROCESS_EDM}; /* its level scales what goes in */
    NnRuntime *rt = NULL;
    NnParams *p = NULL;
    VslUnet *net = NULL;
    VslDiffusion *diffusion = NULL;
    CHECK_OK(nn_runtime_open(&rt, "cpu", NN_FLOAT32, 1));
    CHECK_OK(nn_params_new(&p, rt, 3));
    CHECK_OK(vsl_unet_new(&net, p, &small));
    CHECK_OK(vsl_diffusion_new(&diffusion, &edm));
    scatter(image, IMAGES, N * N);
    CHECK(vsl_choose_width(net, n) == CHANNELS * PLACES);
    CHECK_OK(vsl_choose_features(got, rt, net, diffusion, 0.2, image, IMAGES, n));
    const VslLevel level = vsl_diffusion_level(diffusion, 0.2);
    for (int i = 0; i < IMAGES; i++) { /* one at a time */
        NnScope *s = nn_scope_open(rt, NN_INFER);
        NnTensor *x = nn_affine(s, nn_from_floats(s, image + i * N * N, NN_SHAPE(1, 1, N, N)), level.in, 0);
        const VslUnetInput in = {.x = x, .time = nn_full(s, NN_SHAPE(1), level.time)};
        nn_to_floats(s, raw + i * CHANNELS * PLACES, CHANNELS * PLACES, vsl_unet_middle(s, net, &in));
        CHECK_OK(nn_scope_close(&s));
    }
    for (int c = 0; c < CHANNELS; c++) {
        double mean = 0, square = 0;
        for (int i = 0; i < IMAGES * PLACES; i++) {
            const double v = (double)raw[(i / PLACES * CHANNELS + c) * PLACES + i % PLACES];
            mean += v / (IMAGES * PLACES);
            square += v * v / (IMAGES * PLACES);
        }
        for (int q = 0; q < PLACES; q++) {
            double here = 0;
            for (int i = 0; i < IMAGES; i++) {
                here += (double)raw[(i * CHANNELS + c) * PLACES + q] / IMAGES;
            }
            for (int i = 0; i < IMAGES; i++) {
                const int at = (i * CHANNELS + c) * PLACES + q;
                CHECK_NEAR(got[at], ((double)raw[at] - here) / sqrt(square - mean * mean), 1e-4, "values of 1");
            }
        }
    }
    image[5] = NAN;
    CHECK_STATUS(vsl_choose_features(got, rt, net, diffusion, 0.2, image, IMAGES, n), VSL_E_NUMERIC);
    CHECK_STATUS(vsl_choose_features(got, rt, net, diffusion, 0.2, image, 0, n), VSL_E_ARG);
    vsl_diffusion_free(&diffusion);
    vsl_unet_free(&net);
    nn_params_free(&p);
    nn_runtime_close(&rt);
}

int main(void)
{
    RUN(each_choice_lowers_the_sum_of_distances_most);
    RUN(labelled_ones_count_as_chosen_before);
    RUN(of_three_groups_one_each_and_of_equals_the_first);
    RUN(more_than_there_are_is_refused);
    RUN(features_are_the_middle_standardised);
    return CHECK_VERDICT();
}
