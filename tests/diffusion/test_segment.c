/* Segmentation and its rivals: losses by hand, gradients by central differences, what is trained and what is not. */
#include "diffusion/segment.h"

#include <string.h>

#include "core/memory.h"
#include "core/random.h"
#include "diffusion/augmented.h"
#include "diffusion/parts.h"
#include "diffusion/pretext.h"
#include "tests/check.h"

enum { N = 16, VOXELS = N * N, K = 3, B = 4 };
static const int64_t extents[3] = {N, N, 1};
static const VslUnetOptions small = {.preset = VSL_UNET_TINY, .width = 8};
static NnRuntime *rt;
static VslDiffusion *diffusion;
static VslSegmentOptions options;

static VslSegmentSetup setup_of(VslSegmentKind kind)
{
    return (VslSegmentSetup){.kind = kind, .unet = &small, .diffusion = diffusion, .opt = &options, .structures = K};
}

typedef struct Data {
    float image[B * VOXELS], mask[B * K * VOXELS];
    int64_t item[B];
    unsigned char seen[B];
    VslBatch batch;
} Data;

static void fill(Data *d, int labelled)
{
    for (int i = 0; i < B * VOXELS; i++) {
        d->image[i] = (float)(2 * vsl_random_uniform(1, 1, (uint64_t)i) - 1);
    }
    for (int i = 0; i < B * K * VOXELS; i++) {
        d->mask[i] = vsl_random_uniform(1, 2, (uint64_t)i) < 0.3 ? 1 : 0;
    }
    for (int b = 0; b < B; b++) {
        d->item[b] = b;
        d->seen[b] = b < labelled;
    }
    d->batch = (VslBatch){.count = B,
                          .n = {N, N, 1},
                          .channels = 1,
                          .masks = K,
                          .image = d->image,
                          .mask = d->mask,
                          .item = d->item,
                          .seen = d->seen};
}

TEST(the_loss_is_cross_entropy_and_soft_dice)
{
    enum { PIXELS = 4 };
    const float logit[2 * PIXELS] = {1, -2, 0.5F, 0, 3, -1, -1, 2}, mask[2 * PIXELS] = {1, 0, 0, 1, 1, 0, 1, 1};
    double entropy = 0, dice = 0;
    for (int k = 0; k < 2; k++) {
        double both = 0, sum = 0;
        for (int i = k * PIXELS; i < (k + 1) * PIXELS; i++) {
            const double p = 1 / (1 + exp(-(double)logit[i])), m = (double)mask[i];
            entropy -= (m * log(p) + (1 - m) * log(1 - p)) / (2 * PIXELS);
            both += p * m;
            sum += p + m;
        }
        dice += (2 * both + 1) / (sum + 1) / 2;
    }
    NnScope *s = nn_scope_open(rt, NN_INFER);
    NnTensor *loss = vsl_segment_loss(s, nn_from_floats(s, logit, NN_SHAPE(1, 2, 2, 2)),
                                      nn_from_floats(s, mask, NN_SHAPE(1, 2, 2, 2)), 0);
    CHECK_NEAR(nn_item(s, loss), entropy + 1 - dice, 1e-6, "float rounding of values of 1");
    CHECK_OK(nn_scope_close(&s));
}

TEST(a_head_follows_its_structures_by_name)
{
    static const char *const have[] = {"heart", "lung"}, *const want[] = {"lung", "rib", "heart"};
    const int64_t shape[] = {2, 3, 1, 1}, bias_shape[] = {2};
    VslWeights w = {0};
    float *weight, *bias;
    CHECK_OK(vsl_segment_head_for(&w, have, 2, want, 3, "model")); /* no head: nothing to do */
    CHECK(w.count == 0);
    CHECK_OK(vsl_weights_add(&w, "segment.head.weight", 4, shape, &weight));
    CHECK_OK(vsl_weights_add(&w, "segment.head.bias", 1, bias_shape, &bias));
    for (int i = 0; i < 6; i++) {
        weight[i] = (float)(i + 1);
    }
    bias[0] = 10;
    bias[1] = 20;
    CHECK_STATUS(vsl_segment_head_for(&w, have, 1, want, 3, "model"), VSL_E_FORMAT);
    CHECK(w.item[0].n[0] == 2 && w.item[0].data[5] == 6);
    CHECK_OK(vsl_segment_head_for(&w, have, 2, want, 3, "model"));
    const float weights[] = {4, 5, 6, 0, 0, 0, 1, 2, 3}, biases[] = {20, 0, 10};
    CHECK(w.item[0].n[0] == 3 && w.item[0].count == 9 && memcmp(w.item[0].data, weights, sizeof weights) == 0);
    CHECK(w.item[1].n[0] == 3 && w.item[1].count == 3 && memcmp(w.item[1].data, biases, sizeof biases) == 0);
    vsl_weights_free(&w);
}

/* Masks that are the sigmoids of the logits: least loss with squares, less still when hardened without them. */
TEST(soft_masks_are_matched_not_hardened)
{
    enum { PIXELS = 6 };
    const float logit[PIXELS] = {2, 1, 0.4F, -0.3F, -1, -2};
    float mask[PIXELS];
    for (int i = 0; i < PIXELS; i++) {
        mask[i] = (float)(1 / (1 + exp(-(double)logit[i])));
    }
    double loss[2][3];
    for (int soft = 0; soft < 2; soft++) {
        for (int k = 0; k < 3; k++) { /* hardened, as they are, softened */
            float moved[PIXELS];
            for (int i = 0; i < PIXELS; i++) {
                moved[i] = logit[i] * (k == 0 ? 1.1F : k == 1 ? 1 : 0.9F);
            }
            NnScope *s = nn_scope_open(rt, NN_INFER);
            loss[soft][k] = nn_item(s, vsl_segment_loss(s, nn_from_floats(s, moved, NN_SHAPE(1, 1, 2, 3)),
                                                        nn_from_floats(s, mask, NN_SHAPE(1, 1, 2, 3)), soft));
            CHECK_OK(nn_scope_close(&s));
        }
    }
    CHECK(loss[1][1] < loss[1][0] && loss[1][1] < loss[1][2]);
    CHECK(loss[0][0] < loss[0][1]);
    double entropy = 0;
    for (int i = 0; i < PIXELS; i++) {
        const double m = (double)mask[i];
        entropy -= (m * log(m) + (1 - m) * log(1 - m)) / PIXELS;
    }
    CHECK_NEAR(loss[1][1], entropy, 1e-6, "its Dice is 1: float rounding of values of 1");
}

/* The loss of a task at parameters that were moved by `by` along element `at` of tensor i. */
static double loss_at(const VslTask *task, const void *model, NnParams *p, const VslBatch *batch, int64_t i, int64_t at,
                      float *values, double by)
{
    const float keep = values[at];
    values[at] = (float)((double)keep + by);
    CHECK_OK(nn_params_set(p, i, values));
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    const double loss = nn_item(s, task->loss(s, model, batch, 5, task->user));
    CHECK_OK(nn_scope_close(&s));
    values[at] = keep;
    CHECK_OK(nn_params_set(p, i, values));
    return loss;
}

static int64_t count_of(const NnParams *p, int64_t i)
{
    const NnShape shape = nn_params_shape(p, i);
    int64_t count = 1;
    for (int d = 0; d < shape.rank; d++) {
        count *= shape.n[d];
    }
    return count;
}

/* Away from the start, where many layers are zero and the network does not yet listen to its time. */
static void shake(NnParams *p)
{
    for (int64_t i = 0; i < nn_params_count(p); i++) {
        const int64_t count = count_of(p, i);
        float *values = NULL;
        CHECK_OK(VSL_NEW(&values, count, "values"));
        CHECK_OK(nn_params_get(p, i, values));
        for (int64_t e = 0; e < count; e++) {
            values[e] += (float)(0.1 * vsl_random_normal(9, (uint64_t)i, (uint64_t)e));
        }
        CHECK_OK(nn_params_set(p, i, values));
        vsl_free(values);
    }
}

/* Some numbers of every tensor against central differences. */
static void check_gradients(const VslTask *task, const VslBatch *batch, const char *frozen)
{
    NnParams *p = NULL;
    void *model = NULL;
    CHECK_OK(nn_params_new(&p, rt, 3));
    CHECK_OK(task->build(&model, p, task->user));
    shake(p);
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    nn_backward(s, task->loss(s, model, batch, 5, task->user));
    CHECK_OK(nn_scope_close(&s));
    for (int64_t i = 0; i < nn_params_count(p); i++) {
        const int64_t count = count_of(p, i);
        float *values = NULL, *grad = NULL;
        CHECK_OK(VSL_NEW(&values, count, "values"));
        CHECK_OK(VSL_NEW(&grad, count, "gradient"));
        CHECK_OK(nn_params_get(p, i, values));
        CHECK_OK(nn_params_grad(p, i, grad));
        const int64_t at = (int64_t)(vsl_random_uniform(4, 0, (uint64_t)i) * (double)count);
        const int is_frozen = frozen && strncmp(nn_params_name(p, i), frozen, strlen(frozen)) != 0;
        const float middle = values[at]; /* steps of a float32 number that are exact */
        const double step = (double)((middle + 1e-3F) - middle);
        const double up = loss_at(task, model, p, batch, i, at, values, step);
        const double down = loss_at(task, model, p, batch, i, at, values, -step);
        const double slope = (up - down) / (2 * step);
        if (is_frozen) {
            CHECK_NEAR(grad[at], 0, 0, "frozen");
        } else {
            CHECK_NEAR(grad[at], slope, 1e-4 * (1 + fabs(slope)), "central differences in float64 over 1e-3");
        }
        vsl_free(values);
        vsl_free(grad);
    }
    task->drop(&model);
    nn_params_free(&p);
}

TEST(gradients_of_fine_tuning_are_those_of_central_differences)
{
    static Data d;
    fill(&d, B);
    VslSegmentSetup setup = setup_of(VSL_SEGMENT_FINE_TUNE);
    for (setup.has_soft_masks = 0; setup.has_soft_masks < 2; setup.has_soft_masks++) {
        const VslTask task = vsl_segment_task(&setup);
        check_gradients(&task, &d.batch, NULL);
    }
}

TEST(gradients_of_the_joint_model_are_those_of_central_differences)
{
    static Data d;
    fill(&d, 2);
    const VslSegmentSetup setup = setup_of(VSL_SEGMENT_JOINT);
    const VslTask task = vsl_segment_task(&setup);
    check_gradients(&task, &d.batch, NULL);
}

TEST(stacked_features_train_the_perceptron_alone)
{
    static Data d;
    fill(&d, B);
    const VslSegmentSetup setup = setup_of(VSL_SEGMENT_STACK);
    const VslTask task = vsl_segment_task(&setup);
    check_gradients(&task, &d.batch, "segment.");
}

TEST(gradients_of_the_rivals_are_those_of_central_differences)
{
    static Data d;
    fill(&d, 0);
    for (int kind = VSL_PRETEXT_DAE; kind <= VSL_PRETEXT_MAE; kind++) {
        const VslPretextSetup setup = {(VslPretextKind)kind, &small, diffusion};
        const VslTask task = vsl_pretext_task(&setup);
        check_gradients(&task, &d.batch, NULL);
    }
}

TEST(the_masked_auto_encoder_is_not_shown_what_it_predicts)
{
    static Data d;
    fill(&d, 0);
    const VslPretextSetup setup = {VSL_PRETEXT_MAE, &small, diffusion};
    const VslTask task = vsl_pretext_task(&setup);
    NnParams *p = NULL;
    void *model = NULL;
    CHECK_OK(nn_params_new(&p, rt, 3));
    CHECK_OK(task.build(&model, p, task.user)); /* the last layer starts at 0: it predicts 0 everywhere */
    double before = 0, after = 0;
    int counted = 0;
    for (int v = 0; v < VOXELS; v++) { /* the loss is the mean square over hidden pixels: which are they? */
        const float keep = d.image[v];
        NnScope *s = nn_scope_open(rt, NN_INFER);
        before = nn_item(s, task.loss(s, model, &d.batch, 5, task.user));
        d.image[v] = 3;
        after = nn_item(s, task.loss(s, model, &d.batch, 5, task.user));
        d.image[v] = keep;
        CHECK_OK(nn_scope_close(&s));
        counted += fabs(after - before) > 1e-9;
    }
    CHECK_NEAR((double)counted / VOXELS, 0.6, 0.2, "64 patches drawn with 0.6: sd 0.06");
    CHECK(counted % 4 == 0); /* patches of 2x2 */
    task.drop(&model);
    nn_params_free(&p);
}

TEST(several_levels_are_averaged_and_their_spread_is_told)
{
    static Data d;
    static float once[B * K * VOXELS], twice[B * K * VOXELS], three[B * K * VOXELS], spread[B * K * VOXELS];
    fill(&d, 0);
    const VslSegmentSetup setup = setup_of(VSL_SEGMENT_FINE_TUNE);
    const double same[] = {options.time, options.time}, different[] = {1, 100, 400};
    NnParams *p = NULL;
    VslSegmenter *m = NULL;
    CHECK_OK(nn_params_new(&p, rt, 3));
    CHECK_OK(vsl_segmenter_new(&m, p, &setup));
    shake(p);
    CHECK_OK(vsl_segment_predict(once, NULL, rt, m, d.image, B, extents, NULL, 0));
    CHECK_OK(vsl_segment_predict(twice, spread, rt, m, d.image, B, extents, same, 2));
    double largest = 0, mean = 0;
    for (int i = 0; i < B * K * VOXELS; i++) {
        CHECK_NEAR(twice[i], once[i], 1e-6, "float rounding");
        CHECK_NEAR(spread[i], 0, 1e-6, "float rounding");
    }
    CHECK_OK(vsl_segment_predict(three, spread, rt, m, d.image, B, extents, different, 3));
    for (int i = 0; i < B * K * VOXELS; i++) {
        largest = fmax(largest, (double)spread[i]);
    }
    CHECK(largest > 1e-6);
    /* the mean logit, from each level alone */
    for (int t = 0; t < 3; t++) {
        CHECK_OK(vsl_segment_predict(once, NULL, rt, m, d.image, B, extents, &different[t], 1));
        mean += log((double)once[7] / (1 - (double)once[7])) / 3;
    }
    CHECK_NEAR(three[7], 1 / (1 + exp(-mean)), 1e-6, "float rounding");
    CHECK_STATUS(vsl_segment_predict(three, NULL, rt, m, d.image, 0, extents, NULL, 0), VSL_E_ARG);
    CHECK_STATUS(vsl_segment_predict(three, NULL, rt, m, d.image, 1, extents, different, VSL_SEGMENT_TIMES + 1),
                 VSL_E_ARG);
    d.image[3] = NAN;
    CHECK_STATUS(vsl_segment_predict(three, NULL, rt, m, d.image, 1, extents, NULL, 0), VSL_E_NUMERIC);
    CHECK(strstr(vsl_error(), "not finite"));
    vsl_segmenter_free(&m);
    nn_params_free(&p);
}

TEST(only_structures_in_one_part_lose_their_smaller_parts)
{
    static Data d;
    static float raw[B * K * VOXELS], whole[B * K * VOXELS];
    static const unsigned char in_one_part[K] = {0, 1, 0};
    fill(&d, 0);
    VslSegmentSetup setup = setup_of(VSL_SEGMENT_FINE_TUNE);
    NnParams *p = NULL;
    VslSegmenter *m = NULL;
    CHECK_OK(nn_params_new(&p, rt, 3));
    CHECK_OK(vsl_segmenter_new(&m, p, &setup));
    shake(p);
    CHECK_OK(vsl_segment_predict(raw, NULL, rt, m, d.image, B, extents, NULL, 0));
    setup.in_one_part = in_one_part;
    CHECK_OK(vsl_segment_predict(whole, NULL, rt, m, d.image, B, extents, NULL, 0));
    int cleared = 0;
    for (int i = 0; i < B * K; i++) {
        float *one = raw + i * VOXELS;
        if (i % K == 1) {
            CHECK_OK(vsl_largest_part(one, NULL, extents));
        }
        CHECK(memcmp(one, whole + i * VOXELS, VOXELS * sizeof *one) == 0);
        for (int v = 0; v < VOXELS; v++) {
            cleared += one[v] == 0;
        }
    }
    CHECK(cleared > 0);
    vsl_segmenter_free(&m);
    nn_params_free(&p);
}

static VslDataset dataset_of(int64_t count, int64_t labelled)
{
    const char *const names[K] = {"a", "b", "c"};
    VslDataset d = {0};
    CHECK_OK(vsl_dataset_new(&d, count, extents, 1, K, names));
    for (int64_t i = 0; i < count; i++) {
        VslVolume image = {0}, masks = {0};
        VslGrid grid = {.n = {N, N, 1}, .to_ras = {{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}}};
        char name[16];
        snprintf(name, sizeof name, "film-%d", (int)i);
        CHECK_OK(vsl_volume_new(&image, &grid, 1));
        CHECK_OK(vsl_volume_new(&masks, &grid, K));
        for (int v = 0; v < VOXELS; v++) {
            image.data[v] = (float)vsl_random_uniform(2, (uint64_t)i, (uint64_t)v);
            masks.data[v] = v % N < N / 2;
        }
        CHECK_OK(vsl_dataset_put(&d, i, name, NULL, VSL_SPLIT_TRAIN, &image, i < labelled ? &masks : NULL));
        vsl_volume_free(&image);
        vsl_volume_free(&masks);
    }
    return d;
}

TEST(a_joint_batch_begins_with_labelled_pictures)
{
    VslDataset d = dataset_of(6, 2);
    VslSubset all = {0}, labelled = {0};
    VslAugmentedSource *a = NULL;
    const VslAugment off = vsl_augment_preset(VSL_AUGMENT_OFF);
    float image[VOXELS], mask[K * VOXELS], again[VOXELS];
    int seen_of[6] = {0};
    CHECK_OK(vsl_subset_of(&all, &d, VSL_SPLIT_NONE, 0));
    CHECK_OK(vsl_subset_of(&labelled, &d, VSL_SPLIT_NONE, 1));
    CHECK(all.count == 6 && labelled.count == 2);
    CHECK_STATUS(vsl_augmented_source_new(&a, &d, &all, &labelled, 1, &off, 7), VSL_E_ARG);
    CHECK_OK(vsl_augmented_source_new(&a, &d, &all, &labelled, B, &off, 7));
    const VslSource source = vsl_augmented_source(a);
    for (uint64_t sample = 0; sample < 24; sample++) {
        int64_t item = -1, other = -1;
        unsigned char seen = 2;
        source.fill(source.user, sample, (int)(sample % B), image, mask, &item, &seen);
        source.fill(source.user, sample, (int)(sample % B), again, mask, &other, &seen);
        CHECK(item == other && memcmp(image, again, sizeof image) == 0);
        CHECK(seen == (sample % B < B / 2));
        CHECK(item >= 0 && item < (seen ? 2 : 6));
        CHECK_NEAR(mask[0], seen, 0, "exact");
        CHECK_NEAR(image[5], vsl_dataset_image(&d, item)[5], 1e-5, "values of 1");
        seen_of[item] += !seen;
    }
    for (int i = 0; i < 6; i++) {
        CHECK(seen_of[i] == 2); /* twelve draws of six pictures, each as often */
    }
    vsl_augmented_source_free(&a);
    vsl_subset_free(&all);
    vsl_subset_free(&labelled);
    vsl_dataset_free(&d);
}

int main(void)
{
    CHECK_OK(nn_runtime_open(&rt, "cpu", NN_FLOAT64, 1));
    const VslDiffusionOptions ddpm = {0};
    CHECK_OK(vsl_diffusion_new(&diffusion, &ddpm));
    CHECK_OK(vsl_options_resolve(&options, vsl_segment_option_table));
    RUN(the_loss_is_cross_entropy_and_soft_dice);
    RUN(a_head_follows_its_structures_by_name);
    RUN(soft_masks_are_matched_not_hardened);
    RUN(gradients_of_fine_tuning_are_those_of_central_differences);
    RUN(gradients_of_the_joint_model_are_those_of_central_differences);
    RUN(stacked_features_train_the_perceptron_alone);
    RUN(gradients_of_the_rivals_are_those_of_central_differences);
    RUN(the_masked_auto_encoder_is_not_shown_what_it_predicts);
    RUN(only_structures_in_one_part_lose_their_smaller_parts);
    RUN(several_levels_are_averaged_and_their_spread_is_told);
    RUN(a_joint_batch_begins_with_labelled_pictures);
    vsl_diffusion_free(&diffusion);
    nn_runtime_close(&rt);
    return CHECK_VERDICT();
}
