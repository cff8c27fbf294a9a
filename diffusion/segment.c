/* Heads, losses and prediction of segmentation; the rates that make PTDR of it. */
#include "diffusion/segment.h"

#include <math.h>
#include <stddef.h>
#include <string.h>

#include "core/memory.h"
#include "diffusion/parts.h"

#define AT(field) offsetof(VslSegmentOptions, field)

enum { STACK_HIDDEN = 128, STACK_HIDDEN_2 = 32, PREDICT_BATCH = 16 };
static const double stack_times[] = {50, 150, 250}; /* Baranchuk et al., section 4.1 */
enum { STACK_TIMES = sizeof stack_times / sizeof *stack_times };

const VslOption vsl_segment_option_table[] = {
    {"time", VSL_OPT_DOUBLE, AT(time), 50, 0, 1000, "",
     "noise level that the clean picture is shown at; when not given 0.2 with edm, 0.05 with flow", NULL},
    {"head-rate", VSL_OPT_DOUBLE, AT(head_rate), 3, 0.01, 1000, "",
     "learning rate of the new head, in those of the rest", NULL},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL}};

VslStatus vsl_segment_resolve(VslSegmentOptions *opt, VslProcess process)
{
    if (!vsl_option_is_given(opt->time)) {
        opt->time = process == VSL_PROCESS_EDM ? 0.2 : process == VSL_PROCESS_FLOW ? 0.05 : 0;
    }
    return vsl_options_resolve(opt, vsl_segment_option_table);
}

struct VslSegmenter {
    const VslSegmentSetup *setup;
    VslUnet *net;
    NnConv head;            /* one convolution on the body's features */
    NnConv hidden, hidden2; /* STACK: 1x1 convolutions, a perceptron per pixel, before the head */
};

/* --- the network -------------------------------------------------------------------------------------------------- */

VslStatus vsl_segmenter_new(VslSegmenter **out, NnParams *p, const VslSegmentSetup *setup)
{
    VslStatus st = VSL_OK;
    VslSegmenter *m = NULL;
    VSL_CHECK(setup->structures > 0, VSL_E_ARG, "%d structures, expected at least 1", setup->structures);
    VSL_TRY(VSL_NEW0(&m, 1, "a segmentation network"));
    m->setup = setup;
    VSL_TRY(vsl_unet_new(&m->net, p, setup->unet));
    if (setup->kind == VSL_SEGMENT_STACK) {
        const int dims = vsl_unet_options(m->net)->dims;
        int64_t channels = 0;
        for (int i = 0; i < vsl_unet_tap_count(m->net); i++) {
            channels += vsl_unet_tap_channels(m->net, i);
        }
        channels *= STACK_TIMES;
        m->hidden = nn_conv_new(p, "segment.hidden.0", dims, channels, STACK_HIDDEN, 1, 1, NN_INIT_KAIMING_UNIFORM);
        m->hidden2 =
            nn_conv_new(p, "segment.hidden.1", dims, STACK_HIDDEN, STACK_HIDDEN_2, 1, 1, NN_INIT_KAIMING_UNIFORM);
        m->head =
            nn_conv_new(p, "segment.head", dims, STACK_HIDDEN_2, setup->structures, 1, 1, NN_INIT_KAIMING_UNIFORM);
    } else {
        m->head = vsl_unet_head_new(p, "segment.head", m->net, setup->structures);
    }
    VSL_TRY(nn_params_status(p));
    *out = m;
    m = NULL;
out:
    vsl_segmenter_free(&m);
    return st;
}

void vsl_segmenter_free(VslSegmenter **m)
{
    if (*m) {
        vsl_unet_free(&(*m)->net);
    }
    vsl_free(*m);
    *m = NULL;
}

void vsl_segment_rates(NnParams *p, const VslSegmentSetup *setup)
{
    if (setup->kind == VSL_SEGMENT_STACK) {
        nn_params_rate(p, "", 0);
    }
    nn_params_rate(p, "segment.", setup->kind == VSL_SEGMENT_STACK ? 1 : setup->opt->head_rate);
}

static int place_of(const char *name, const char *const *names, int count)
{
    int at = 0;
    while (at < count && strcmp(names[at], name) != 0) {
        at++;
    }
    return at < count ? at : -1;
}

VslStatus vsl_segment_head_for(VslWeights *w, const char *const *have, int have_count, const char *const *want,
                               int want_count, const char *where)
{
    static const char *const names[] = {"segment.head.weight", "segment.head.bias"};
    VslStatus st = VSL_OK;
    float *data[2] = {NULL, NULL};
    VslWeight *item[2] = {NULL, NULL};
    int64_t row[2] = {0, 0};
    for (int i = 0; i < 2; i++) {
        const VslWeight *found = vsl_weights_find(w, names[i]);
        if (!found) {
            goto out;
        }
        item[i] = &w->item[found - w->item];
        VSL_CHECK(item[i]->rank > 0 && item[i]->n[0] == have_count, VSL_E_FORMAT,
                  "%s: %s has %lld outputs, expected one for each of %d structures", where, names[i],
                  (long long)(item[i]->rank > 0 ? item[i]->n[0] : 0), have_count);
        row[i] = item[i]->count / have_count;
        VSL_TRY(VSL_NEW0(&data[i], want_count * row[i], "the head of other structures"));
        for (int k = 0; k < want_count; k++) {
            const int from = place_of(want[k], have, have_count);
            if (from >= 0) {
                memcpy(data[i] + k * row[i], item[i]->data + from * row[i], (size_t)row[i] * sizeof **data);
            }
        }
    }
    for (int i = 0; i < 2; i++) {
        vsl_free(item[i]->data);
        item[i]->data = data[i];
        item[i]->n[0] = want_count;
        item[i]->count = want_count * row[i];
        data[i] = NULL;
    }
out:
    vsl_free(data[0]);
    vsl_free(data[1]);
    return st;
}

/* x at a level without noise: the network's usual scale and time */
static VslUnetInput clean_input(NnScope *s, const VslLevel *level, NnTensor *x)
{
    const int64_t batch = nn_shape(x).n[0];
    return (VslUnetInput){.x = nn_affine(s, x, level->in, 0), .time = nn_full(s, NN_SHAPE(batch), level->time)};
}

/* The decoder's activations at one level, all at x's extents: (B, sum of tap channels, ..). */
static NnTensor *stacked(NnScope *s, const VslSegmenter *m, NnTensor *x, double time)
{
    const VslLevel level = vsl_diffusion_level(m->setup->diffusion, time);
    const VslUnetInput in = clean_input(s, &level, x);
    NnTensor *taps[VSL_UNET_LEVELS];
    const NnShape shape = nn_shape(x);
    const int count = vsl_unet_tap_count(m->net);
    vsl_unet_body(s, m->net, &in, taps);
    for (int i = 0; i < count; i++) {
        taps[i] = nn_resize_linear(s, nn_detach(s, taps[i]), shape.n + 2);
    }
    return nn_concat(s, count, taps, 1);
}

NnTensor *vsl_segment_logits(NnScope *s, const VslSegmenter *m, NnTensor *x, double time)
{
    if (m->setup->kind == VSL_SEGMENT_STACK) {
        NnTensor *each[STACK_TIMES];
        for (int i = 0; i < STACK_TIMES; i++) {
            each[i] = stacked(s, m, x, stack_times[i]);
        }
        NnTensor *h = nn_concat(s, STACK_TIMES, each, 1);
        h = nn_relu(s, nn_conv(s, &m->hidden, h));
        h = nn_relu(s, nn_conv(s, &m->hidden2, h));
        return nn_conv(s, &m->head, h);
    }
    const VslLevel level = vsl_diffusion_level(m->setup->diffusion, time);
    const VslUnetInput in = clean_input(s, &level, x);
    return nn_conv(s, &m->head, vsl_unet_body(s, m->net, &in, NULL));
}

/* --- the loss ----------------------------------------------------------------------------------------------------- */

NnTensor *vsl_segment_loss(NnScope *s, NnTensor *logits, NnTensor *masks, int are_soft)
{
    const NnShape shape = nn_shape(logits);
    const NnShape flat = NN_SHAPE(shape.n[0], shape.n[1], -1);
    NnTensor *p = nn_reshape(s, nn_sigmoid(s, logits), flat), *m = nn_reshape(s, masks, flat);
    NnTensor *both = nn_sum(s, nn_mul(s, p, m), 2);
    NnTensor *each = are_soft ? nn_add(s, nn_sum(s, nn_mul(s, p, p), 2), nn_sum(s, nn_mul(s, m, m), 2))
                              : nn_add(s, nn_sum(s, p, 2), nn_sum(s, m, 2));
    NnTensor *dice = nn_div(s, nn_affine(s, both, 2, 1), nn_affine(s, each, 1, 1));
    return nn_add(s, nn_bce(s, logits, masks), nn_affine(s, nn_mean(s, dice, NN_ALL), -1, 1));
}

/* Joint: the labelled samples of a batch come first. */
static NnTensor *joint_loss(NnScope *s, const VslSegmenter *m, const VslBatch *b, NnTensor *x, NnTensor *masks,
                            uint64_t seed)
{
    const VslDiffusion *d = m->setup->diffusion;
    int labelled = 0;
    while (labelled < b->count && b->seen[labelled]) {
        labelled++;
    }
    const VslNoised noised = vsl_diffusion_noise(s, d, x, seed, 0, b->first);
    const VslUnetInput in = {.x = noised.z, .time = noised.time};
    NnTensor *loss = vsl_diffusion_loss(s, &noised, vsl_unet_forward(s, m->net, &in));
    if (labelled > 0) {
        NnTensor *logits = vsl_segment_logits(s, m, nn_slice(s, x, 0, 0, labelled), m->setup->opt->time);
        loss = nn_add(s, loss, vsl_segment_loss(s, logits, nn_slice(s, masks, 0, 0, labelled), 0));
    }
    return loss;
}

static NnTensor *task_loss(NnScope *s, const void *model, const VslBatch *b, uint64_t seed, void *user)
{
    const VslSegmenter *m = model;
    const VslSegmentSetup *setup = user;
    NnTensor *x = vsl_batch_image(s, b), *masks = vsl_batch_mask(s, b);
    if (setup->kind == VSL_SEGMENT_JOINT) {
        return joint_loss(s, m, b, x, masks, seed);
    }
    return vsl_segment_loss(s, vsl_segment_logits(s, m, x, setup->opt->time), masks, setup->has_soft_masks);
}

static VslStatus task_build(void **model, NnParams *p, void *user)
{
    return vsl_segmenter_new((VslSegmenter **)model, p, user);
}

static void task_drop(void **model)
{
    vsl_segmenter_free((VslSegmenter **)model);
}

VslTask vsl_segment_task(const VslSegmentSetup *setup)
{
    static const char *const names[] = {"segment", "stack", "joint"};
    return (VslTask){.name = names[setup->kind - VSL_SEGMENT_FINE_TUNE],
                     .build = task_build,
                     .drop = task_drop,
                     .loss = task_loss,
                     .user = (void *)setup};
}

/* --- prediction --------------------------------------------------------------------------------------------------- */

typedef struct Sums { /* over levels, of one batch; (batch, structures, voxels) each */
    float *logit;
    double *mean, *probability, *square;
} Sums;

static VslStatus add_level(Sums *sums, NnRuntime *rt, const VslSegmenter *m, const float *image, NnShape shape,
                           int64_t values, double time)
{
    NnScope *s = nn_scope_open(rt, NN_INFER);
    nn_to_floats(s, sums->logit, values, vsl_segment_logits(s, m, nn_from_floats(s, image, shape), time));
    VslStatus st = nn_scope_close(&s);
    for (int64_t i = 0; st == VSL_OK && i < values; i++) {
        const double logit = (double)sums->logit[i], p = 1 / (1 + exp(-logit));
        VSL_CHECK(isfinite(logit), VSL_E_NUMERIC,
                  "the network answers with %g: its weights or the picture have values that are not finite", logit);
        sums->mean[i] += logit;
        sums->probability[i] += p;
        sums->square[i] += p * p;
    }
out:
    return st;
}

static void finish(float *probability, float *spread, const Sums *sums, int64_t values, int levels)
{
    for (int64_t i = 0; i < values; i++) {
        const double mean = sums->probability[i] / levels, variance = sums->square[i] / levels - mean * mean;
        probability[i] = (float)(1 / (1 + exp(-sums->mean[i] / levels)));
        if (spread) {
            spread[i] = (float)sqrt(variance > 0 ? variance : 0);
        }
    }
}

VslStatus vsl_segment_predict(float *probability, float *spread, NnRuntime *rt, const VslSegmenter *m,
                              const float *image, int64_t count, const int64_t n[3], const double *times,
                              int time_count)
{
    VslStatus st = VSL_OK;
    Sums sums = {0};
    float *result = NULL, *result_spread = NULL;
    const VslUnetOptions *o = vsl_unet_options(m->net);
    const int64_t voxels = n[0] * n[1] * n[2], each = m->setup->structures * voxels, all = count * each;
    const int levels = time_count > 0 ? time_count : 1;
    VSL_CHECK(count > 0 && time_count >= 0 && time_count <= VSL_SEGMENT_TIMES, VSL_E_ARG,
              "%lld pictures at %d noise levels, expected at least 1 and at most %d", (long long)count, time_count,
              VSL_SEGMENT_TIMES);
    VSL_TRY(VSL_NEW(&sums.logit, PREDICT_BATCH * each, "logits"));
    VSL_TRY(VSL_NEW(&sums.mean, PREDICT_BATCH * each, "sums of logits"));
    VSL_TRY(VSL_NEW(&sums.probability, PREDICT_BATCH * each, "sums of probabilities"));
    VSL_TRY(VSL_NEW(&sums.square, PREDICT_BATCH * each, "sums of probabilities"));
    VSL_TRY(VSL_NEW(&result, all, "probabilities"));
    VSL_TRY(VSL_NEW(&result_spread, all, "spread of probabilities"));
    for (int64_t first = 0; first < count; first += PREDICT_BATCH) {
        const int64_t batch = count - first < PREDICT_BATCH ? count - first : PREDICT_BATCH, values = batch * each;
        const NnShape shape = o->dims == 3 ? NN_SHAPE(batch, o->in_channels, n[2], n[1], n[0])
                                           : NN_SHAPE(batch, o->in_channels, n[1], n[0]);
        memset(sums.mean, 0, (size_t)values * sizeof *sums.mean);
        memset(sums.probability, 0, (size_t)values * sizeof *sums.probability);
        memset(sums.square, 0, (size_t)values * sizeof *sums.square);
        for (int t = 0; t < levels; t++) {
            VSL_TRY(add_level(&sums, rt, m, image + first * o->in_channels * voxels, shape, values,
                              time_count > 0 ? times[t] : m->setup->opt->time));
        }
        finish(result + first * each, result_spread + first * each, &sums, values, levels);
    }
    for (int64_t i = 0; m->setup->in_one_part && i < count * m->setup->structures; i++) {
        if (m->setup->in_one_part[i % m->setup->structures]) {
            VSL_TRY(vsl_largest_part(result + i * voxels, NULL, n));
        }
    }
    memcpy(probability, result, (size_t)all * sizeof *result);
    if (spread) {
        memcpy(spread, result_spread, (size_t)all * sizeof *result_spread);
    }
out:
    vsl_free(sums.logit);
    vsl_free(sums.mean);
    vsl_free(sums.probability);
    vsl_free(sums.square);
    vsl_free(result);
    vsl_free(result_spread);
    return st;
}
