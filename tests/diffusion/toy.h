/* A task small enough for tests of the training loop: a two-layer network that takes fixed noise out of pictures, and
 * pictures that are functions of their number. */
#ifndef VSL_TESTS_DIFFUSION_TOY_H
#define VSL_TESTS_DIFFUSION_TOY_H

#include <string.h>

#include "core/random.h"
#include "diffusion/train.h"
#include "tests/check.h"

enum { TOY_SIDE = 8, TOY_PIXELS = TOY_SIDE * TOY_SIDE, TOY_WIDTH = 6 };

typedef struct ToyModel {
    NnTensor *first, *first_bias, *second, *second_bias;
} ToyModel;

typedef struct ToyUser {
    int width;            /* 0 = TOY_WIDTH */
    int64_t poison_first; /* the batch with this first sample + 1 has a loss that is not a number; 0: none */
    double fake_score;    /* of validation, falls by 1 down to `floor_score`, then rises */
    int uses_score, scores;
} ToyUser;

static VslStatus toy_build(void **model, NnParams *p, void *user)
{
    VslStatus st = VSL_OK;
    ToyModel *m = NULL;
    const int64_t width = ((ToyUser *)user)->width ? ((ToyUser *)user)->width : TOY_WIDTH;
    VSL_TRY(VSL_NEW0(&m, 1, "toy"));
    m->first = nn_param(p, "first.weight", NN_SHAPE(width, 1, 3, 3), NN_INIT_KAIMING_UNIFORM, 9);
    m->first_bias = nn_param(p, "first.bias", NN_SHAPE(width), NN_INIT_ZERO, 9);
    m->second = nn_param(p, "second.weight", NN_SHAPE(1, width, 3, 3), NN_INIT_KAIMING_UNIFORM, 9 * width);
    m->second_bias = nn_param(p, "second.bias", NN_SHAPE(1), NN_INIT_ZERO, 9 * width);
    *model = m;
out:
    return st;
}

static void toy_drop(void **model)
{
    vsl_free(*model);
    *model = NULL;
}

static NnTensor *toy_loss(NnScope *s, const void *model, const VslBatch *batch, uint64_t seed, void *user)
{
    const ToyModel *m = model;
    const ToyUser *u = user;
    NnTensor *x = vsl_batch_image(s, batch);
    NnTensor *noise = nn_randn(s, nn_shape(x), seed, 7, batch->first);
    NnTensor *y = nn_silu(s, nn_convolve(s, nn_add(s, x, noise), m->first, m->first_bias, 1, 1));
    NnTensor *loss = nn_mse(s, nn_convolve(s, y, m->second, m->second_bias, 1, 1), x);
    return u->poison_first && batch->first + 1 == (uint64_t)u->poison_first ? nn_log(s, nn_affine(s, loss, 0, -1))
                                                                            : loss;
}

static VslStatus toy_score(double *score, NnRuntime *rt, const void *model, void *user)
{
    ToyUser *u = user;
    (void)rt;
    (void)model;
    u->scores++;
    *score = u->scores <= 4 ? 10 - u->scores : 10; /* the best is the fourth */
    return VSL_OK;
}

static void toy_fill(void *user, uint64_t sample, int position, float *image, float *mask, int64_t *item,
                     unsigned char *seen)
{
    const double phase = vsl_random_uniform(21, 0, sample);
    (void)user;
    (void)position;
    (void)mask;
    for (int i = 0; i < TOY_PIXELS; i++) {
        const int x = i % TOY_SIDE, y = i / TOY_SIDE;
        image[i] = (float)sin(6.28 * phase + 0.8 * x - 0.4 * y);
    }
    *item = (int64_t)(sample % 100);
    *seen = 0;
}

static const VslSource toy_source = {toy_fill, NULL, {TOY_SIDE, TOY_SIDE, 1}, 1, 0};

/* What the hooks saw. */
typedef struct ToyLog {
    int records;
    double step[1000], loss[1000], validation[1000];
    int64_t stop_at;  /* the progress hook stops after this step; 0: never */
    VslWeights state; /* the last one saved */
    int64_t saved_step, saves;
} ToyLog;

static VslStatus toy_log(const VslTrainRecord *r, void *user)
{
    ToyLog *l = user;
    l->step[l->records] = (double)r->step;
    l->validation[l->records] = r->validation;
    l->loss[l->records++] = r->loss;
    return VSL_OK;
}

static int toy_progress(const VslTrainRecord *r, int64_t steps, void *user)
{
    (void)steps;
    return r->step == ((ToyLog *)user)->stop_at;
}

static VslStatus toy_save(const VslWeights *state, int64_t step, void *user)
{
    VslStatus st = VSL_OK;
    ToyLog *l = user;
    vsl_weights_free(&l->state);
    for (int64_t i = 0; i < state->count; i++) {
        float *data = NULL;
        VSL_TRY(vsl_weights_add(&l->state, state->item[i].name, state->item[i].rank, state->item[i].n, &data));
        memcpy(data, state->item[i].data, (size_t)state->item[i].count * sizeof *data);
    }
    for (int64_t i = 0; i < state->notes; i++) {
        VSL_TRY(vsl_weights_put_note(&l->state, state->note[i].key, state->note[i].value));
    }
    l->saved_step = step;
    l->saves++;
out:
    return st;
}

static VslTrainHooks toy_hooks(ToyLog *l)
{
    return (VslTrainHooks){toy_progress, toy_log, toy_save, l};
}

/* 1 when both hold the same bits. */
static int toy_same(const VslWeights *a, const VslWeights *b)
{
    int same = a->count == b->count && a->count > 0;
    for (int64_t i = 0; same && i < a->count; i++) {
        const VslWeight *other = vsl_weights_find(b, a->item[i].name);
        same = other && memcmp(a->item[i].data, other->data, (size_t)other->count * sizeof(float)) == 0;
    }
    return same;
}

#endif
