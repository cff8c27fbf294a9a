/* A training state as named arrays: "weights.", "average.", "first." and "second." (AdamW's moments), "best.", and
 * everything else as notes. Restored, it continues to the bit. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/text.h"
#include "diffusion/train_private.h"

static VslStatus prefixed(char out[VSL_WEIGHT_NAME], const char *prefix, const char *name)
{
    const int length = snprintf(out, VSL_WEIGHT_NAME, "%s%s", prefix, name);
    return length < VSL_WEIGHT_NAME ? VSL_OK : vsl_fail(VSL_E_ARG, __func__, "the name '%s' is too long", name);
}

VslStatus vsl_weights_from_params(VslWeights *w, const NnParams *p, const char *prefix)
{
    VslStatus st = VSL_OK;
    char name[VSL_WEIGHT_NAME];
    float *data = NULL;
    for (int64_t i = 0; i < nn_params_count(p); i++) {
        const NnShape shape = nn_params_shape(p, i);
        VSL_TRY(prefixed(name, prefix, nn_params_name(p, i)));
        VSL_TRY(vsl_weights_add(w, name, shape.rank, shape.n, &data));
        VSL_TRY(nn_params_get(p, i, data));
    }
out:
    return st;
}

/* The names and shapes of p under prefix, and what of w begins with prefix, as empty lists to be compared: arrays are
 * borrowed from w, so `found` must not be freed as a whole. */
static VslStatus check_names(const NnParams *p, const VslWeights *w, const char *prefix, const char *where)
{
    VslStatus st = VSL_OK;
    VslWeights expected = {0}, found = {0};
    const size_t skip = strlen(prefix);
    VSL_TRY(VSL_NEW0(&expected.item, nn_params_count(p) + 1, "names of weights"));
    VSL_TRY(VSL_NEW0(&found.item, w->count + 1, "names of weights"));
    for (int64_t i = 0; i < nn_params_count(p); i++) {
        const NnShape shape = nn_params_shape(p, i);
        VslWeight *item = &expected.item[expected.count++];
        VSL_TRY(prefixed(item->name, "", nn_params_name(p, i)));
        item->rank = shape.rank;
        for (int d = 0; d < shape.rank; d++) {
            item->n[d] = shape.n[d];
        }
    }
    for (int64_t i = 0; i < w->count; i++) {
        if (strncmp(w->item[i].name, prefix, skip) == 0) {
            VslWeight *item = &found.item[found.count++];
            *item = w->item[i];
            memmove(item->name, item->name + skip, strlen(item->name + skip) + 1);
        }
    }
    VSL_TRY(vsl_weights_check_same(&expected, &found, where));
out:
    vsl_free(expected.item);
    vsl_free(found.item);
    return st;
}

VslStatus vsl_weights_to_params(NnParams *p, const VslWeights *w, const char *prefix, const char *where)
{
    VslStatus st = VSL_OK;
    char name[VSL_WEIGHT_NAME];
    VSL_TRY(check_names(p, w, prefix, where));
    for (int64_t i = 0; i < nn_params_count(p); i++) {
        VSL_TRY(prefixed(name, prefix, nn_params_name(p, i)));
        VSL_TRY(nn_params_set(p, i, vsl_weights_find(w, name)->data));
    }
out:
    return st;
}

static VslStatus put_number(VslWeights *w, const char *key, double value)
{
    char text[64];
    if (isnan(value)) {
        return vsl_weights_put_note(w, key, "none");
    }
    vsl_text_from_double(text, sizeof text, value);
    return vsl_weights_put_note(w, key, text);
}

static VslStatus get_number(double *out, const VslWeights *w, const char *key, const char *where)
{
    VslStatus st = VSL_OK;
    const char *text = vsl_weights_find_note(w, key);
    double value = NAN;
    VSL_CHECK(text && (strcmp(text, "none") == 0 || vsl_text_to_double(text, &value)), VSL_E_FORMAT,
              "%s: its note '%s' is '%s', expected a number", where, key, text ? text : "missing");
    *out = value;
out:
    return st;
}

/* Whole numbers below 2^53 are exact as doubles. */
static VslStatus get_count(int64_t *out, const VslWeights *w, const char *key, const char *where)
{
    VslStatus st = VSL_OK;
    double value = 0;
    VSL_TRY(get_number(&value, w, key, where));
    VSL_CHECK(value >= 0 && value <= 0x1p53 && value == floor(value), VSL_E_FORMAT,
              "%s: its note '%s' is %g, expected a count", where, key, value);
    *out = (int64_t)value;
out:
    return st;
}

static VslStatus put_moments(VslWeights *w, const VslTrainer *t)
{
    VslStatus st = VSL_OK;
    char name[VSL_WEIGHT_NAME];
    for (int64_t i = 0; i < nn_params_count(t->params); i++) {
        const NnShape shape = nn_params_shape(t->params, i);
        float *first = NULL, *second = NULL;
        VSL_TRY(prefixed(name, "first.", nn_params_name(t->params, i)));
        VSL_TRY(vsl_weights_add(w, name, shape.rank, shape.n, &first));
        VSL_TRY(prefixed(name, "second.", nn_params_name(t->params, i)));
        VSL_TRY(vsl_weights_add(w, name, shape.rank, shape.n, &second));
        VSL_TRY(nn_adamw_get(t->adamw, i, first, second));
    }
out:
    return st;
}

static VslStatus get_moments(VslTrainer *t, const VslWeights *w, const char *where)
{
    VslStatus st = VSL_OK;
    char name[VSL_WEIGHT_NAME];
    VSL_TRY(check_names(t->params, w, "first.", where));
    VSL_TRY(check_names(t->params, w, "second.", where));
    for (int64_t i = 0; i < nn_params_count(t->params); i++) {
        VSL_TRY(prefixed(name, "first.", nn_params_name(t->params, i)));
        const VslWeight *first = vsl_weights_find(w, name);
        VSL_TRY(prefixed(name, "second.", nn_params_name(t->params, i)));
        VSL_TRY(nn_adamw_set(t->adamw, i, first->data, vsl_weights_find(w, name)->data));
    }
out:
    return st;
}

/* Every array of `from` whose name begins with one prefix, under another one. */
static VslStatus copy_arrays(VslWeights *to, const char *to_prefix, const VslWeights *from, const char *from_prefix)
{
    VslStatus st = VSL_OK;
    char name[VSL_WEIGHT_NAME];
    float *data = NULL;
    for (int64_t i = 0; i < from->count; i++) {
        const VslWeight *item = &from->item[i];
        if (strncmp(item->name, from_prefix, strlen(from_prefix)) == 0) {
            VSL_TRY(prefixed(name, to_prefix, item->name + strlen(from_prefix)));
            VSL_TRY(vsl_weights_add(to, name, item->rank, item->n, &data));
            memcpy(data, item->data, (size_t)item->count * sizeof *data);
        }
    }
out:
    return st;
}

VslStatus train_state_take(VslWeights *out, VslTrainer *t)
{
    VslStatus st = VSL_OK;
    VslWeights w = {0};
    VSL_TRY(vsl_weights_from_params(&w, t->params, "weights."));
    VSL_TRY(vsl_weights_from_params(&w, t->average, "average."));
    VSL_TRY(put_moments(&w, t));
    VSL_TRY(copy_arrays(&w, "best.", &t->best_weights, ""));
    VSL_TRY(vsl_weights_put_note(&w, "task", t->setup.task->name));
    VSL_TRY(put_number(&w, "step", (double)t->step));
    VSL_TRY(put_number(&w, "adamw-steps", (double)nn_adamw_steps(t->adamw)));
    VSL_TRY(put_number(&w, "loss-sum", t->loss_sum));
    VSL_TRY(put_number(&w, "loss-steps", (double)t->loss_steps));
    VSL_TRY(put_number(&w, "last-loss", t->last_loss));
    VSL_TRY(put_number(&w, "best", t->best));
    VSL_TRY(put_number(&w, "best-step", (double)t->best_step));
    VSL_TRY(put_number(&w, "without-better", (double)t->without_better));
    VSL_TRY(put_number(&w, "has-stopped", t->has_stopped));
    vsl_weights_move(out, &w);
out:
    vsl_weights_free(&w);
    return st;
}

VslStatus train_state_give(VslTrainer *t, const VslWeights *state, const char *where)
{
    VslStatus st = VSL_OK;
    int64_t step = 0, adamw_steps = 0, loss_steps = 0, best_step = 0, without_better = 0, has_stopped = 0;
    double loss_sum = 0, last_loss = 0, best = 0;
    VslWeights best_weights = {0};
    const char *task = vsl_weights_find_note(state, "task");

    VSL_CHECK(task && strcmp(task, t->setup.task->name) == 0, VSL_E_STATE,
              "%s: is a state of the task '%s', expected '%s'", where, task ? task : "none", t->setup.task->name);
    VSL_TRY(get_count(&step, state, "step", where));
    VSL_TRY(get_count(&adamw_steps, state, "adamw-steps", where));
    VSL_TRY(get_number(&loss_sum, state, "loss-sum", where));
    VSL_TRY(get_count(&loss_steps, state, "loss-steps", where));
    VSL_TRY(get_number(&last_loss, state, "last-loss", where));
    VSL_TRY(get_number(&best, state, "best", where));
    VSL_TRY(get_count(&best_step, state, "best-step", where));
    VSL_TRY(get_count(&without_better, state, "without-better", where));
    VSL_TRY(get_count(&has_stopped, state, "has-stopped", where));
    VSL_CHECK(step <= t->opt.steps, VSL_E_STATE, "%s: %lld steps were done, and only %d are wanted", where,
              (long long)step, t->opt.steps);
    VSL_TRY(copy_arrays(&best_weights, "", state, "best."));
    VSL_TRY(check_names(t->average, state, "average.", where)); /* all before anything changes */
    VSL_TRY(vsl_weights_to_params(t->params, state, "weights.", where));
    VSL_TRY(vsl_weights_to_params(t->average, state, "average.", where));
    VSL_TRY(get_moments(t, state, where));
    nn_adamw_set_steps(t->adamw, adamw_steps);
    vsl_weights_move(&t->best_weights, &best_weights);
    t->step = step;
    t->loss_sum = loss_sum;
    t->loss_steps = loss_steps;
    t->last_loss = last_loss;
    t->best = best;
    t->best_step = best_step;
    t->without_better = without_better;
    t->has_stopped = has_stopped != 0;
out:
    vsl_weights_free(&best_weights);
    return st;
}
