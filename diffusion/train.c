/* The loop: batches in, gradients, clip, AdamW, average; records, validations and states at their steps. */
#include "diffusion/train.h"

#include <math.h>
#include <string.h>
#include <time.h>

#include "core/random.h"
#include "diffusion/train_private.h"

static double seconds_now(void)
{
    struct timespec now;
    timespec_get(&now, TIME_UTC);
    return (double)now.tv_sec + 1e-9 * (double)now.tv_nsec;
}

/* (B, channels, [D,] H, W) */
static NnShape batch_shape(const VslBatch *b, int channels)
{
    return b->n[2] == 1 ? NN_SHAPE(b->count, channels, b->n[1], b->n[0])
                        : NN_SHAPE(b->count, channels, b->n[2], b->n[1], b->n[0]);
}

NnTensor *vsl_batch_image(NnScope *s, const VslBatch *b)
{
    return nn_from_floats(s, b->image, batch_shape(b, b->channels));
}

NnTensor *vsl_batch_mask(NnScope *s, const VslBatch *b)
{
    return b->mask ? nn_from_floats(s, b->mask, batch_shape(b, b->masks))
                   : nn_refuse(s, VSL_E_ARG, __func__, "these images have no masks");
}

static VslStatus new_buffers(VslTrainer *t)
{
    VslStatus st = VSL_OK;
    const VslSource *v = t->setup.validation;
    if (!v) {
        return VSL_OK;
    }
    const int64_t voxels = v->n[0] * v->n[1] * v->n[2];
    VSL_TRY(VSL_NEW0(&t->image, t->opt.batch * v->channels * voxels, "batch for validation"));
    VSL_TRY(VSL_NEW0(&t->item, t->opt.batch, "batch for validation"));
    VSL_TRY(VSL_NEW0(&t->seen, t->opt.batch, "batch for validation"));
    if (v->masks > 0) {
        VSL_TRY(VSL_NEW0(&t->mask, t->opt.batch * v->masks * voxels, "batch for validation"));
    }
out:
    return st;
}

VslStatus vsl_trainer_new(VslTrainer **out, const VslTrainSetup *setup)
{
    VslStatus st = VSL_OK;
    VslTrainer *t = NULL;
    const VslTask *task = setup->task;

    VSL_TRY(VSL_NEW0(&t, 1, "trainer"));
    t->setup = *setup;
    t->opt = *setup->opt;
    t->rank = setup->group ? nn_group_rank(setup->group) : 0;
    t->ranks = setup->group ? nn_group_size(setup->group) : 1;
    t->best = NAN;
    t->last_loss = NAN;
    VSL_TRY(vsl_options_resolve(&t->opt, vsl_train_option_table));
    VSL_CHECK(setup->validation_count >= 0 && (setup->validation_count == 0 || setup->validation || task->score),
              VSL_E_ARG, "%lld images for validation, but no source of them", (long long)setup->validation_count);
    VSL_TRY(nn_params_new(&t->params, setup->rt, setup->seed));
    VSL_TRY(nn_params_new(&t->average, setup->rt, setup->seed)); /* the same seed: the same start */
    VSL_TRY(task->build(&t->model, t->params, task->user));
    VSL_TRY(task->build(&t->average_model, t->average, task->user));
    VSL_TRY(nn_params_status(t->params));
    VSL_TRY(nn_params_status(t->average));
    const NnAdamWOptions how = {.lr = t->opt.lr, .weight_decay = t->opt.weight_decay};
    VSL_TRY(nn_adamw_new(&t->adamw, t->params, &how));
    VSL_TRY(new_buffers(t));
    *out = t;
    t = NULL;
out:
    vsl_trainer_free(&t);
    return st;
}

void vsl_trainer_free(VslTrainer **trainer)
{
    VslTrainer *t = *trainer;
    if (!t) {
        return;
    }
    nn_adamw_free(&t->adamw);
    if (t->model) {
        t->setup.task->drop(&t->model);
    }
    if (t->average_model) {
        t->setup.task->drop(&t->average_model);
    }
    nn_params_free(&t->params);
    nn_params_free(&t->average);
    vsl_weights_free(&t->best_weights);
    vsl_free(t->image);
    vsl_free(t->mask);
    vsl_free(t->item);
    vsl_free(t->seen);
    vsl_free(t);
    *trainer = NULL;
}

NnParams *vsl_trainer_params(VslTrainer *t)
{
    return t->params;
}

VslStatus vsl_trainer_start_from(VslTrainer *t, const VslWeights *w, int64_t *copied)
{
    VslStatus st = VSL_OK;
    int64_t count = 0;
    for (int64_t i = 0; i < nn_params_count(t->params); i++) {
        const NnShape shape = nn_params_shape(t->params, i);
        const VslWeight *item = vsl_weights_find(w, nn_params_name(t->params, i));
        if (item && item->rank == shape.rank && memcmp(item->n, shape.n, (size_t)shape.rank * sizeof *item->n) == 0) {
            VSL_TRY(nn_params_set(t->params, i, item->data));
            VSL_TRY(nn_params_set(t->average, i, item->data));
            count++;
        }
    }
    *copied = count;
out:
    return st;
}

VslStatus vsl_trainer_restore(VslTrainer *t, const VslWeights *state, const char *where)
{
    return train_state_give(t, state, where);
}

VslStatus vsl_trainer_weights(VslTrainer *t, VslWeights *out)
{
    VslStatus st = VSL_OK;
    VslWeights w = {0};
    if (t->best_weights.count > 0) {
        for (int64_t i = 0; i < t->best_weights.count; i++) {
            const VslWeight *item = &t->best_weights.item[i];
            float *data = NULL;
            VSL_TRY(vsl_weights_add(&w, item->name, item->rank, item->n, &data));
            memcpy(data, item->data, (size_t)item->count * sizeof *data);
        }
    } else {
        VSL_TRY(vsl_weights_from_params(&w, t->average, ""));
    }
    vsl_weights_move(out, &w);
out:
    vsl_weights_free(&w);
    return st;
}

VslTrainResult vsl_trainer_result(const VslTrainer *t)
{
    return (VslTrainResult){.steps = t->step,
                            .loss = t->last_loss,
                            .validation = t->best,
                            .best_step = t->best_step,
                            .stopped_early = t->has_stopped,
                            .seconds = t->seconds,
                            .samples_per_s = t->seconds > 0 ? t->samples / t->seconds : 0,
                            .parameters = nn_params_elements(t->params)};
}

/* Forward and backward of one batch; *loss grows by its share of the step's mean. */
static VslStatus take_batch(VslTrainer *t, const VslBatch *batch, double share, double *loss)
{
    const VslTask *task = t->setup.task;
    NnScope *s = nn_scope_open(t->setup.rt, NN_TRAIN);
    NnTensor *mean = task->loss(s, t->model, batch, t->setup.seed, task->user);
    nn_backward(s, nn_affine(s, mean, share, 0));
    *loss += share * nn_item(s, mean);
    return nn_scope_close(&s);
}

/* Numbers added up over the ranks. */
static VslStatus sum_ranks(VslTrainer *t, double *numbers, int count)
{
    if (!t->setup.group) {
        return VSL_OK;
    }
    NnScope *s = nn_scope_open(t->setup.rt, NN_TRAIN);
    nn_group_sum(s, t->setup.group, numbers, count);
    return nn_scope_close(&s);
}

/* Gradients and loss become those of all ranks. One whose part failed takes part too, so that all of them fail. */
static VslStatus join_ranks(VslTrainer *t, VslStatus own, double *loss)
{
    if (!t->setup.group) {
        return own;
    }
    NnScope *s = nn_scope_open(t->setup.rt, NN_TRAIN);
    if (own != VSL_OK) {
        nn_refuse(s, own, "train", "%s", vsl_error());
    }
    nn_group_mean_gradients(s, t->setup.group, t->params);
    nn_group_sum(s, t->setup.group, loss, 1);
    *loss /= t->ranks;
    return nn_scope_close(&s);
}

/* One step; the weights change only when loss and gradients are finite. */
static VslStatus take_step(VslTrainer *t, VslLoader *loader, VslTrainRecord *r)
{
    VslStatus st = VSL_OK;
    const VslTrainOptions *o = &t->opt;
    double loss = 0;

    for (int turn = 0; turn < o->accumulate && st == VSL_OK; turn++) {
        st = take_batch(t, vsl_loader_next(loader), 1.0 / o->accumulate, &loss);
    }
    VSL_TRY(join_ranks(t, st, &loss));
    VSL_CHECK(isfinite(loss), VSL_E_NUMERIC,
              "the loss of step %lld is %g: the learning rate (%g) may be too high, or an image unsound",
              (long long)t->step + 1, loss, o->lr);
    r->rate = vsl_train_rate(o, t->step);
    NnScope *s = nn_scope_open(t->setup.rt, NN_TRAIN);
    r->grad_norm = nn_clip_grad_norm(s, t->params, o->clip > 0 ? o->clip : INFINITY);
    nn_adamw_step(s, t->adamw, r->rate);
    nn_ema_update(s, t->average, t->params, fmin(o->ema, (1 + (double)t->step) / (10 + (double)t->step)));
    st = nn_scope_close(&s);
    VSL_CHECK(st != VSL_E_NUMERIC, VSL_E_NUMERIC, "step %lld: %s", (long long)t->step + 1, vsl_error());
    VSL_TRY(st);
    t->step++;
    t->loss_sum += loss;
    t->loss_steps++;
out:
    return st;
}

/* Mean loss of the average over the validation source: the same draws every time. */
static VslStatus mean_loss(VslTrainer *t, double *out)
{
    VslStatus st = VSL_OK;
    const VslTask *task = t->setup.task;
    const VslSource *v = t->setup.validation;
    const int64_t voxels = v->n[0] * v->n[1] * v->n[2];
    const uint64_t seed = t->setup.seed ^ vsl_random_stream("validation");
    double sum = 0;

    for (int64_t at = 0; at < t->setup.validation_count; at += t->opt.batch) {
        const int64_t left = t->setup.validation_count - at;
        VslBatch b = {.count = left < t->opt.batch ? (int)left : t->opt.batch,
                      .number = at / t->opt.batch,
                      .first = (uint64_t)at,
                      .n = {v->n[0], v->n[1], v->n[2]},
                      .channels = v->channels,
                      .masks = v->masks,
                      .image = t->image,
                      .mask = t->mask,
                      .item = t->item,
                      .seen = t->seen};
        for (int i = 0; i < b.count; i++) {
            v->fill(v->user, b.first + (uint64_t)i, i, t->image + i * v->channels * voxels,
                    t->mask ? t->mask + i * v->masks * voxels : NULL, &t->item[i], &t->seen[i]);
        }
        NnScope *s = nn_scope_open(t->setup.rt, NN_INFER);
        const double loss = nn_item(s, task->loss(s, t->average_model, &b, seed, task->user));
        VSL_TRY(nn_scope_close(&s));
        sum += loss * b.count;
    }
    *out = sum / (double)t->setup.validation_count;
out:
    return st;
}

/* Validates the average; keeps it when it is the best so far and early stop wants it. */
static VslStatus validate(VslTrainer *t, double *score)
{
    VslStatus st = VSL_OK;
    const VslTask *task = t->setup.task;
    VslWeights now = {0};
    double found = NAN;

    VSL_TRY(task->score ? task->score(&found, t->setup.rt, t->average_model, task->user) : mean_loss(t, &found));
    found = t->rank == 0 ? found : 0; /* all follow rank 0 */
    VSL_TRY(sum_ranks(t, &found, 1));
    VSL_CHECK(isfinite(found), VSL_E_NUMERIC, "the validation after step %lld gave %g", (long long)t->step, found);
    if (!(t->best <= found)) {
        t->best = found;
        t->best_step = t->step;
        t->without_better = 0;
        if (t->opt.patience > 0) {
            VSL_TRY(vsl_weights_from_params(&now, t->average, ""));
            vsl_weights_move(&t->best_weights, &now);
        }
    } else {
        t->without_better++;
        t->has_stopped = t->opt.patience > 0 && t->without_better >= t->opt.patience;
    }
    *score = found;
out:
    vsl_weights_free(&now);
    return st;
}

/* All ranks must have taken up the same state. */
static VslStatus check_ranks(VslTrainer *t)
{
    VslStatus st = VSL_OK;
    double steps = (double)t->step;
    VSL_TRY(sum_ranks(t, &steps, 1));
    VSL_CHECK(steps == (double)t->step * t->ranks, VSL_E_STATE,
              "rank %d is at step %lld, others are not: every rank must see the same saved states", t->rank,
              (long long)t->step);
out:
    return st;
}

static VslStatus save(VslTrainer *t, const VslTrainHooks *hooks)
{
    VslStatus st = VSL_OK;
    VslWeights state = {0};
    if (hooks->save && t->rank == 0) {
        VSL_TRY(train_state_take(&state, t));
        VSL_TRY(hooks->save(&state, t->step, hooks->user));
    }
out:
    vsl_weights_free(&state);
    return st;
}

typedef struct Since { /* the last record, or the start of this run */
    double time;
    int64_t step;
} Since;

/* What is due after a step: validation, a record, a state, the question whether to go on. */
static VslStatus after_step(VslTrainer *t, const VslTrainHooks *hooks, VslTrainRecord *r, Since *since)
{
    VslStatus st = VSL_OK;
    const VslTrainOptions *o = &t->opt;
    const int is_last = t->step == o->steps;

    r->step = t->step;
    r->loss = t->loss_sum / (double)t->loss_steps;
    r->validation = NAN;
    r->samples_per_s =
        (double)(t->step - since->step) * o->batch * o->accumulate * t->ranks / fmax(seconds_now() - since->time, 1e-9);
    if (t->setup.validation_count > 0 && o->validate_every > 0 && (t->step % o->validate_every == 0 || is_last)) {
        VSL_TRY(validate(t, &r->validation));
    }
    if (t->step % o->log_every == 0 || is_last || !isnan(r->validation) || t->has_stopped) {
        VSL_TRY(hooks->log && t->rank == 0 ? hooks->log(r, hooks->user) : VSL_OK);
        t->last_loss = r->loss;
        t->loss_sum = 0;
        t->loss_steps = 0;
        *since = (Since){seconds_now(), t->step};
    }
    double is_stopping = hooks->progress ? hooks->progress(r, o->steps, hooks->user) != 0 : 0;
    VSL_TRY(sum_ranks(t, &is_stopping, 1));
    if (is_stopping > 0 || t->step % o->save_every == 0 || is_last || t->has_stopped) {
        VSL_TRY(save(t, hooks));
    }
    VSL_CHECK(!(is_stopping > 0) || is_last || t->has_stopped, VSL_E_CANCELLED, "stopped after step %lld of %d",
              (long long)t->step, o->steps);
out:
    return st;
}

VslStatus vsl_trainer_run(VslTrainer *t, const VslTrainHooks *hooks)
{
    VslStatus st = VSL_OK;
    const VslTrainHooks none = {0};
    VslLoader *loader = NULL;
    VslTrainRecord r = {0};
    const double start = seconds_now();
    Since since = {start, t->step};

    hooks = hooks ? hooks : &none;
    VSL_TRY(check_ranks(t));
    if (t->step < t->opt.steps && !t->has_stopped) {
        VSL_TRY(vsl_loader_new(&loader, t->setup.source, t->opt.batch, t->opt.accumulate, t->ranks, t->rank, t->step));
    }
    while (t->step < t->opt.steps && !t->has_stopped) {
        VSL_TRY(take_step(t, loader, &r));
        t->samples += (double)t->opt.batch * t->opt.accumulate;
        t->seconds = seconds_now() - start;
        VSL_TRY(after_step(t, hooks, &r, &since));
    }
out:
    t->seconds = seconds_now() - start;
    vsl_loader_free(&loader);
    return st;
}
