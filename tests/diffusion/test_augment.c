/* Augmentation by its identities: image and masks move together, draws are named, off is off. */
#include "diffusion/augment.h"

#include <string.h>

#include "core/random.h"
#include "tests/check.h"

enum { N = 48, PIXELS = N * N };
static const int64_t square[3] = {N, N, 1};

/* A smooth picture in [-1, 1] that has no symmetry. */
static void paint(float *image, const int64_t n[3])
{
    for (int64_t v = 0; v < n[0] * n[1] * n[2]; v++) {
        const double x = (double)(v % n[0]) / (double)n[0], y = (double)(v / n[0] % n[1]) / (double)n[1];
        image[v] = (float)(0.4 * sin(5 * x + 1) + 0.3 * cos(4 * y) + 0.25 * (x - 0.5));
    }
}

TEST(without_augmentation_nothing_changes)
{
    const VslAugment off = vsl_augment_preset(VSL_AUGMENT_OFF);
    float image[PIXELS], masks[2 * PIXELS], a[PIXELS], m[2 * PIXELS];
    paint(image, square);
    for (int i = 0; i < 2 * PIXELS; i++) {
        masks[i] = (float)vsl_random_uniform(2, 0, (uint64_t)i);
    }
    vsl_augment(a, m, image, 1, masks, 2, square, &off, 3, 4);
    for (int i = 0; i < PIXELS; i++) {
        CHECK_NEAR(a[i], image[i], 1e-5, "grey values of order 1");
        CHECK_NEAR(m[i], masks[i], 1e-5, "of order 1");
    }
    const int64_t slab[3] = {12, 10, 6};
    paint(image, slab);
    vsl_augment(a, NULL, image, 1, NULL, 0, slab, &off, 3, 4);
    for (int i = 0; i < 720; i++) {
        CHECK_NEAR(a[i], image[i], 1e-5, "grey values of order 1");
    }
}

TEST(image_and_masks_move_together)
{
    VslAugment how = vsl_augment_preset(VSL_AUGMENT_STRONG);
    how.log_gamma = how.log_contrast = how.brightness = how.noise = 0;
    float image[PIXELS], a[PIXELS], m[2 * PIXELS], masks[2 * PIXELS];
    paint(image, square);
    memcpy(masks, image, sizeof image);
    memcpy(masks + PIXELS, image, sizeof image);
    vsl_augment(a, m, image, 1, masks, 2, square, &how, 1, 7);
    double moved = 0;
    for (int i = 0; i < PIXELS; i++) {
        CHECK_NEAR(a[i], m[i], 1e-6, "the same picture");
        CHECK_NEAR(a[i], m[PIXELS + i], 1e-6, "the same picture");
        moved += fabs((double)(a[i] - image[i]));
    }
    CHECK(moved / PIXELS > 0.01);
}

TEST(a_mask_keeps_its_size_on_average_and_its_side_always)
{
    const VslAugment how = vsl_augment_preset(VSL_AUGMENT_STRONG);
    float image[PIXELS], mask[PIXELS], a[PIXELS], m[PIXELS];
    double size = 0;
    paint(image, square);
    for (int i = 0; i < PIXELS; i++) { /* a disk in the left half */
        const int x = i % N - 14, y = i / N - 22;
        mask[i] = x * x + y * y < 64 ? 1 : 0;
    }
    double true_size = 0;
    for (int i = 0; i < PIXELS; i++) {
        true_size += (double)mask[i];
    }
    enum { DRAWS = 200 };
    for (uint64_t draw = 0; draw < DRAWS; draw++) {
        vsl_augment(a, m, image, 1, mask, 1, square, &how, 11, draw);
        double here = 0, centre = 0;
        for (int i = 0; i < PIXELS; i++) {
            CHECK(isfinite(a[i]));
            here += (double)m[i];
            centre += (double)m[i] * (i % N);
        }
        CHECK(here > 0.3 * true_size && here < 3 * true_size);
        CHECK(centre / here < 0.5 * N);
        size += here / DRAWS;
    }
    CHECK_NEAR(size / true_size, 1, 0.12, "areas spread by a fifth, 200 draws, mean of exp(2 s) is 1.02");
}

TEST(a_draw_depends_on_its_name_alone)
{
    const VslAugment how = vsl_augment_preset(VSL_AUGMENT_STRONG);
    float image[PIXELS], a[PIXELS], b[PIXELS], c[PIXELS], d[PIXELS];
    paint(image, square);
    vsl_augment(a, NULL, image, 1, NULL, 0, square, &how, 5, 1);
    vsl_augment(c, NULL, image, 1, NULL, 0, square, &how, 5, 2);
    vsl_augment(d, NULL, image, 1, NULL, 0, square, &how, 6, 1);
    vsl_augment(b, NULL, image, 1, NULL, 0, square, &how, 5, 1);
    CHECK(memcmp(a, b, sizeof a) == 0);
    CHECK(memcmp(a, c, sizeof a) != 0);
    CHECK(memcmp(a, d, sizeof a) != 0);
}

TEST(the_same_draw_gives_the_same_picture_at_another_size)
{
    VslAugment how = vsl_augment_preset(VSL_AUGMENT_STRONG);
    how.noise = 0;
    const int64_t fine[3] = {2 * N, 2 * N, 1};
    static float small[PIXELS], large[4 * PIXELS], a[PIXELS], b[4 * PIXELS];
    for (int i = 0; i < 4 * PIXELS; i++) { /* a function of the place, sampled at both sizes */
        const double x = (i % (2 * N) + 0.5) / (2 * N), y = (double)(i / (2 * N) + 0.5) / (2 * N);
        large[i] = (float)(0.5 * sin(4 * x + 3 * y));
    }
    for (int i = 0; i < PIXELS; i++) {
        const double x = (i % N + 0.5) / N, y = (double)(i / N + 0.5) / N;
        small[i] = (float)(0.5 * sin(4 * x + 3 * y));
    }
    vsl_augment(a, NULL, small, 1, NULL, 0, square, &how, 5, 1);
    vsl_augment(b, NULL, large, 1, NULL, 0, fine, &how, 5, 1);
    for (int j = 8; j < N - 8; j++) {
        for (int i = 8; i < N - 8; i++) {
            const float *p = b + 2 * j * 2 * N + 2 * i;
            const double mean = 0.25 * (double)(p[0] + p[1] + p[2 * N] + p[2 * N + 1]);
            CHECK_NEAR(a[j * N + i], mean, 0.02, "half a pixel of a picture with slopes of 2 an extent");
        }
    }
}

int main(void)
{
    RUN(without_augmentation_nothing_changes);
    RUN(image_and_masks_move_together);
    RUN(a_mask_keeps_its_size_on_average_and_its_side_always);
    RUN(a_draw_depends_on_its_name_alone);
    RUN(the_same_draw_gives_the_same_picture_at_another_size);
    return CHECK_VERDICT();
}
