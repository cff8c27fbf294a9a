/* Images that become pictures and back, the split by subject, the order of draws, and the loader. */
#define _GNU_SOURCE
#include <string.h>
#include <time.h>

#include "core/random.h"
#include "diffusion/loader.h"
#include "tests/check.h"

static VslVolume image_of(int64_t ni, int64_t nj, int64_t nk, const double spacing_mm[3])
{
    VslVolume v = {0};
    const int64_t n[3] = {ni, nj, nk};
    const VslGrid g = vsl_grid_centred(n, spacing_mm);
    CHECK_OK(vsl_volume_new(&v, &g, 1));
    return v;
}

static const double flat_mm[3] = {1, 1, 1};

TEST(an_image_of_the_picture_s_size_is_only_windowed)
{
    VslVolume v = image_of(32, 24, 1, flat_mm);
    VslFit fit = {0};
    float out[32 * 24];
    for (int64_t i = 0; i < 32 * 24; i++) {
        v.data[i] = (float)(100 + i);
    }
    CHECK_OK(vsl_fit_make(&fit, &v, 0, (int64_t[]){32, 24, 1}));
    CHECK_NEAR(fit.low, 101 + 0.005 * 766, 1e-3, "percentile of 101..867");
    CHECK_NEAR(fit.high, 101 + 0.995 * 766, 1e-3, "percentile of 101..867");
    CHECK_OK(vsl_fit_image(out, &fit, &v, 0));
    double worst = 0;
    for (int64_t i = 0; i < 32 * 24; i++) {
        const double want = fmin(fmax((100 + (double)i - fit.low) / (fit.high - fit.low) * 2 - 1, -1), 1);
        worst = fmax(worst, fabs((double)out[i] - want));
    }
    CHECK_NEAR(worst, 0, 1e-5, "float rounding");
    vsl_volume_free(&v);
}

TEST(a_smaller_picture_keeps_means_and_aspect)
{
    VslVolume v = image_of(64, 32, 1, flat_mm), mask = image_of(64, 32, 1, flat_mm);
    VslFit fit = {0};
    float out[16 * 16], share[16 * 16];
    double sum = 0, mean = 0, covered = 0;
    for (int64_t i = 0; i < 64 * 32; i++) {
        v.data[i] = (float)vsl_random_uniform(1, 0, (uint64_t)i);
        mask.data[i] = i / 64 < 10 && i % 64 < 21; /* 210 pixels */
    }
    CHECK_OK(vsl_fit_make(&fit, &v, 0, (int64_t[]){16, 16, 1}));
    CHECK_NEAR(fit.scale[0], 4, 1e-12, "64 to 16");
    CHECK_NEAR(fit.scale[1], 4, 1e-12, "the same along the other axis");
    CHECK_NEAR(fit.before[0], 0, 1e-12, "no room beside");
    CHECK_NEAR(fit.before[1], 4, 1e-12, "four rows above");
    CHECK_OK(vsl_fit_image(out, &fit, &v, 0));
    CHECK_OK(vsl_fit_mask(share, &fit, &mask, 0));
    for (int64_t j = 0; j < 16; j++) {
        for (int64_t i = 0; i < 16; i++) {
            if (j < 4 || j >= 12) {
                CHECK(out[j * 16 + i] == -1 && share[j * 16 + i] == 0);
            } else {
                sum += (double)out[j * 16 + i];
                covered += (double)share[j * 16 + i];
            }
        }
    }
    for (int64_t i = 0; i < 64 * 32; i++) {
        mean += fmin(fmax(((double)v.data[i] - fit.low) / (fit.high - fit.low) * 2 - 1, -1), 1);
    }
    CHECK_NEAR(sum * 16, mean, 1e-2, "sum over 2048 pixels in float");
    CHECK_NEAR(covered * 16, 210, 1e-3, "pixels of the mask");
    vsl_volume_free(&v);
    vsl_volume_free(&mask);
}

TEST(a_smooth_picture_comes_back_onto_its_own_grid)
{
    static const int64_t sizes[][3] = {{100, 70, 1}, {48, 64, 1}, {33, 21, 1}};
    for (int k = 0; k < 3; k++) {
        VslVolume v = image_of(sizes[k][0], sizes[k][1], 1, flat_mm);
        VslFit fit = {0};
        static float picture[64 * 64], back[100 * 100];
        double worst = 0;
        const int64_t ni = sizes[k][0], nj = sizes[k][1];
        for (int64_t j = 0; j < nj; j++) {
            for (int64_t i = 0; i < ni; i++) {
                v.data[j * ni + i] = (float)(i + 2 * j); /* a ramp: linear interpolation is exact inside */
            }
        }
        CHECK_OK(vsl_fit_make(&fit, &v, 0, (int64_t[]){64, 64, 1}));
        fit.low = 0;
        fit.high = (double)(ni + 2 * nj);
        CHECK_OK(vsl_fit_image(picture, &fit, &v, 0));
        CHECK_OK(vsl_fit_back(back, &fit, picture));
        for (int64_t j = 4; j < nj - 4; j++) {
            for (int64_t i = 4; i < ni - 4; i++) {
                const double got = ((double)back[j * ni + i] + 1) / 2 * fit.high;
                worst = fmax(worst, fabs(got - (double)(i + 2 * j)));
            }
        }
        CHECK_NEAR(worst, 0, 0.3, "grey levels of one pixel step; the box filter is symmetric, so a ramp is kept");
        vsl_volume_free(&v);
    }
}

TEST(an_outline_comes_back_between_the_pixels_of_the_network)
{
    static const int64_t sizes[][3] = {{256, 256, 1}, {100, 70, 1}, {48, 64, 1}, {40, 36, 44}};
    for (int k = 0; k < 4; k++) {
        const int64_t *n = sizes[k], to[3] = {32, 32, n[2] > 1 ? 32 : 1};
        VslVolume v = image_of(n[0], n[1], n[2], flat_mm);
        VslFit fit = {0};
        static float picture[32 * 32 * 32], back[256 * 256], linear[256 * 256];
        double worst = 0, moved = 0, moved_linear = 0, inside = 0;
        v.data[0] = 1;
        CHECK_OK(vsl_fit_make(&fit, &v, 0, to));
        const double centre[3] = {15.3, 14.8, to[2] > 1 ? 15.6 : 0}, radius = 9.37;
        for (int64_t i = 0; i < to[0] * to[1] * to[2]; i++) { /* logits fall with the square of the distance */
            const double x = (double)(i % 32) - centre[0], y = (double)(i / 32 % 32) - centre[1],
                         z = (double)(i / 1024) - centre[2];
            picture[i] = (float)(1 / (1 + exp(0.2 * (x * x + y * y + z * z - radius * radius))));
        }
        CHECK_OK(vsl_fit_probability_back(back, &fit, picture));
        CHECK_OK(vsl_fit_back(linear, &fit, picture));
        for (int64_t i = 0; i < n[0] * n[1] * n[2]; i++) {
            const int64_t at[3] = {i % n[0], i / n[0] % n[1], i / (n[0] * n[1])};
            double far = 0;
            for (int d = 0; d < (to[2] > 1 ? 3 : 2); d++) {
                const double x = ((double)at[d] + 0.5) / fit.scale[d] + fit.before[d] - 0.5 - centre[d];
                far += x * x;
            }
            const double logit = 0.2 * (radius * radius - far);
            if (fabs(logit) < 9) { /* beyond, the logits of the picture are cut */
                worst = fmax(worst, fabs((double)back[i] - 1 / (1 + exp(-logit))));
            }
            inside += logit > 0;
            moved += (logit > 0) != (back[i] > 0.5F);
            moved_linear += (logit > 0) != (linear[i] > 0.5F);
        }
        CHECK_NEAR(worst, 0, 2e-3, "cubic convolution keeps a square, but for the cut logits two pixels off");
        CHECK(inside > 100 && moved <= 1 && moved_linear > moved);
        vsl_volume_free(&v);
    }
}

TEST(volumes_keep_their_aspect_in_millimetres)
{
    VslVolume v = image_of(20, 20, 10, (double[]){1, 1, 4});
    VslFit fit = {0};
    static float out[16 * 16 * 16];
    for (int64_t i = 0; i < 4000; i++) {
        v.data[i] = (float)i;
    }
    CHECK_OK(vsl_fit_make(&fit, &v, 0, (int64_t[]){16, 16, 16}));
    CHECK_NEAR(fit.scale[0], 2.5, 1e-12, "40 mm to 16 voxels");
    CHECK_NEAR(fit.scale[2], 0.625, 1e-12, "slices of 4 mm");
    CHECK_OK(vsl_fit_image(out, &fit, &v, 0));
    CHECK(out[0] == -1 && out[16 * 16 * 16 - 1] == -1);
    CHECK_STATUS(vsl_fit_make(&fit, &v, 0, (int64_t[]){16, 16, 1}), VSL_E_ARG);
    CHECK_STATUS(vsl_fit_make(&fit, &v, 1, (int64_t[]){16, 16, 16}), VSL_E_ARG);
    vsl_volume_free(&v);
}

TEST(blank_and_broken_images_are_told)
{
    VslVolume v = image_of(8, 8, 1, flat_mm);
    VslFit fit = {0};
    VslDataset d = {0};
    const int64_t n[3] = {8, 8, 1};
    float out[64];
    CHECK_STATUS(vsl_fit_make(&fit, &v, 0, n), VSL_E_NUMERIC);
    CHECK_OK(vsl_dataset_new(&d, 2, n, 1, 0, NULL));
    CHECK_STATUS(vsl_dataset_put(&d, 0, "film-7", "", VSL_SPLIT_NONE, &v, NULL), VSL_E_NUMERIC);
    CHECK(strstr(vsl_error(), "film-7"));
    for (int i = 0; i < 64; i++) {
        v.data[i] = NAN;
    }
    CHECK_STATUS(vsl_fit_make(&fit, &v, 0, n), VSL_E_NUMERIC);
    v.data[3] = 1;
    v.data[4] = INFINITY;
    v.data[5] = 2;
    CHECK_OK(vsl_fit_make(&fit, &v, 0, n));
    CHECK_OK(vsl_fit_image(out, &fit, &v, 0));
    for (int i = 0; i < 64; i++) {
        CHECK(out[i] >= -1 && out[i] <= 1);
    }
    vsl_dataset_free(&d);
    vsl_volume_free(&v);
}

/* 120 images of 40 subjects, three each, of distinct grey; every second has a mask. */
static VslDataset make_set(void)
{
    VslDataset d = {0};
    const int64_t n[3] = {8, 8, 1};
    VslVolume v = image_of(8, 8, 1, flat_mm), mask = image_of(8, 8, 1, flat_mm);
    CHECK_OK(vsl_dataset_new(&d, 120, n, 1, 1, (const char *const[]){"half"}));
    for (int64_t i = 0; i < 120; i++) {
        char name[32], subject[32];
        snprintf(name, sizeof name, "image-%d", (int)i);
        snprintf(subject, sizeof subject, "subject-%d", (int)(i % 40));
        for (int64_t k = 0; k < 64; k++) {
            v.data[k] = (float)vsl_random_uniform(9, (uint64_t)i, (uint64_t)k);
            mask.data[k] = k < i % 60;
        }
        CHECK_OK(vsl_dataset_put(&d, i, name, subject, VSL_SPLIT_NONE, &v, i % 2 ? &mask : NULL));
    }
    vsl_volume_free(&v);
    vsl_volume_free(&mask);
    return d;
}

TEST(no_subject_is_in_two_parts)
{
    VslDataset d = make_set();
    VslSubset part = {0};
    int64_t total = 0;
    CHECK_OK(vsl_dataset_split(&d, 3, 0.2, 0.2));
    for (int64_t i = 0; i < 40; i++) {
        CHECK(d.item[i].split == d.item[i + 40].split && d.item[i].split == d.item[i + 80].split);
    }
    for (int p = VSL_SPLIT_TRAIN; p <= VSL_SPLIT_TEST; p++) {
        CHECK_OK(vsl_subset_of(&part, &d, (VslSplit)p, 0));
        CHECK(part.count >= 3 && part.count < 120);
        total += part.count;
    }
    CHECK(total == 120);
    CHECK_OK(vsl_subset_of(&part, &d, VSL_SPLIT_NONE, 1));
    CHECK(part.count == 60);

    VslDataset again = make_set(), other = make_set();
    int differ = 0;
    CHECK_OK(vsl_dataset_split(&again, 3, 0.2, 0.2));
    CHECK_OK(vsl_dataset_split(&other, 4, 0.2, 0.2));
    for (int64_t i = 0; i < 120; i++) {
        CHECK(again.item[i].split == d.item[i].split);
        differ += other.item[i].split != d.item[i].split;
    }
    CHECK(differ > 0);
    again.item[7].split = VSL_SPLIT_TRAIN;
    again.item[47].split = VSL_SPLIT_TEST;
    CHECK_STATUS(vsl_dataset_split(&again, 3, 0.2, 0.2), VSL_E_ARG);
    CHECK(strstr(vsl_error(), "subject-7"));
    vsl_subset_free(&part);
    vsl_dataset_free(&d);
    vsl_dataset_free(&again);
    vsl_dataset_free(&other);
}

TEST(every_epoch_sees_each_item_once_in_another_order)
{
    VslSubset s = {.count = 37};
    int64_t items[37];
    int moved = 0;
    s.item = items;
    for (int64_t i = 0; i < 37; i++) {
        items[i] = 100 + i;
    }
    for (uint64_t epoch = 0; epoch < 20; epoch++) {
        int seen[37] = {0};
        for (uint64_t k = 0; k < 37; k++) {
            const int64_t item = vsl_subset_item(&s, 5, epoch * 37 + k);
            CHECK(item >= 100 && item < 137);
            seen[item - 100]++;
            moved += item != vsl_subset_item(&s, 5, (epoch + 1) * 37 + k);
        }
        for (int k = 0; k < 37; k++) {
            CHECK(seen[k] == 1);
        }
    }
    CHECK(moved > 20 * 37 / 2);
    s.count = 1;
    CHECK(vsl_subset_item(&s, 5, 12) == 100);
}

TEST(a_draw_of_few_is_part_of_a_draw_of_more)
{
    VslDataset d = make_set();
    VslSubset all = {0}, few = {0}, more = {0};
    CHECK_OK(vsl_subset_of(&all, &d, VSL_SPLIT_NONE, 0));
    CHECK_OK(vsl_subset_draw(&few, &d, &all, 5, 1));
    CHECK_OK(vsl_subset_draw(&more, &d, &all, 50, 1));
    CHECK(few.count == 5 && more.count == 50 && memcmp(few.item, more.item, 5 * sizeof *few.item) == 0);
    CHECK_STATUS(vsl_subset_draw(&few, &d, &all, 121, 1), VSL_E_ARG);
    vsl_subset_free(&all);
    vsl_subset_free(&few);
    vsl_subset_free(&more);
    vsl_dataset_free(&d);
}

/* A change that takes an odd time and marks the picture with its sample number. */
static void slow_mark(void *user, uint64_t sample, float *image, float *mask)
{
    const struct timespec nap = {0, (long)(vsl_random_uniform(1, 2, sample) * 2e6)};
    (void)mask;
    if (*(const int *)user) {
        nanosleep(&nap, NULL);
    }
    image[0] = (float)sample;
}

TEST(batches_do_not_depend_on_timing_ranks_or_where_one_starts)
{
    VslDataset d = make_set();
    VslSubset all = {0};
    int is_slow = 0;
    VslSubsetSource how = {&d, NULL, 11, 0, slow_mark, &is_slow};
    CHECK_OK(vsl_subset_of(&all, &d, VSL_SPLIT_NONE, 0));
    how.subset = &all;
    const VslSource source = vsl_subset_source(&how);
    static float first[60][4 * 64];
    static int64_t item[60][4];
    VslLoader *l = NULL;
    CHECK_OK(vsl_loader_new(&l, &source, 4, 2, 1, 0, 0)); /* 30 steps of two batches */
    for (int k = 0; k < 60; k++) {
        const VslBatch *b = vsl_loader_next(l);
        CHECK(b->number == k && b->first == (uint64_t)(4 * k) && b->count == 4);
        memcpy(first[k], b->image, sizeof first[k]);
        memcpy(item[k], b->item, sizeof item[k]);
        for (int i = 0; i < 4; i++) {
            CHECK(b->image[i * 64] == (float)(4 * k + i));
            CHECK(b->seen[i] == (b->item[i] % 2 == 1));
            CHECK(memcmp(b->image + i * 64 + 1, vsl_dataset_image(&d, b->item[i]) + 1, 63 * 4) == 0);
        }
    }
    vsl_loader_free(&l);
    is_slow = 1;
    CHECK_OK(vsl_loader_new(&l, &source, 4, 2, 1, 0, 10));
    for (int k = 20; k < 60; k++) {
        const VslBatch *b = vsl_loader_next(l);
        const struct timespec nap = {0, k % 3 ? 0 : 3000000};
        nanosleep(&nap, NULL);
        CHECK(memcmp(first[k], b->image, sizeof first[k]) == 0 && memcmp(item[k], b->item, sizeof item[k]) == 0);
    }
    vsl_loader_free(&l);
    is_slow = 0;
    for (int rank = 0; rank < 2; rank++) { /* two ranks of one turn see what one rank sees in two turns */
        CHECK_OK(vsl_loader_new(&l, &source, 4, 1, 2, rank, 5));
        for (int step = 5; step < 30; step++) {
            const VslBatch *b = vsl_loader_next(l);
            const struct timespec nap = {0, 2000000};
            nanosleep(&nap, NULL); /* long enough for the producer to come round to this batch, if it might */
            CHECK(b->number == 2 * step + rank);
            CHECK(memcmp(first[2 * step + rank], b->image, sizeof first[0]) == 0);
        }
        vsl_loader_free(&l);
    }
    CHECK_STATUS(vsl_loader_new(&l, &source, 4, 1, 2, 2, 0), VSL_E_ARG);
    vsl_subset_free(&all);
    vsl_dataset_free(&d);
    CHECK(vsl_memory_now() == 0);
}

int main(void)
{
    RUN(an_image_of_the_picture_s_size_is_only_windowed);
    RUN(a_smaller_picture_keeps_means_and_aspect);
    RUN(a_smooth_picture_comes_back_onto_its_own_grid);
    RUN(an_outline_comes_back_between_the_pixels_of_the_network);
    RUN(volumes_keep_their_aspect_in_millimetres);
    RUN(blank_and_broken_images_are_told);
    RUN(no_subject_is_in_two_parts);
    RUN(every_epoch_sees_each_item_once_in_another_order);
    RUN(a_draw_of_few_is_part_of_a_draw_of_more);
    RUN(batches_do_not_depend_on_timing_ranks_or_where_one_starts);
    return CHECK_VERDICT();
}
