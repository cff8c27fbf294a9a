/* The options of training, and the learning rate of each step. */
#include <math.h>

#include "diffusion/train.h"

#define AT(field) offsetof(VslTrainOptions, field)

const VslOption vsl_train_option_table[] = {
    {"steps", VSL_OPT_INT, AT(steps), 2500, 1, 100000000, "", "optimiser steps", NULL},
    {"batch", VSL_OPT_INT, AT(batch), 16, 1, 65536, "", "images a step (a rank, and a turn of --accumulate)", NULL},
    {"accumulate", VSL_OPT_INT, AT(accumulate), 1, 1, 4096, "",
     "batches whose gradients are added up before a step, when a large batch does not fit", NULL},
    {"lr", VSL_OPT_DOUBLE, AT(lr), 2e-4, 1e-9, 10, "", "highest learning rate of AdamW", NULL},
    {"lr-schedule", VSL_OPT_CHOICE, AT(schedule), VSL_RATE_COSINE, 0, 0, "",
     "cosine: down to 0 after the warm-up; constant; one-cycle: up for 30 % of the steps, then down",
     "cosine,constant,one-cycle"},
    {"warmup", VSL_OPT_INT, AT(warmup), 100, -1, 10000000, "", "steps of linear warm-up, -1 = none", NULL},
    {"weight-decay", VSL_OPT_DOUBLE, AT(weight_decay), 0, 0, 10, "", "decoupled weight decay", NULL},
    {"clip", VSL_OPT_DOUBLE, AT(clip), 1, -1, 1e9, "", "largest joint norm of the gradients, -1 = none", NULL},
    {"ema", VSL_OPT_DOUBLE, AT(ema), 0.999, 0, 0.999999, "",
     "decay of the moving average of the weights, which is what is used in the end", NULL},
    {"validate-every", VSL_OPT_INT, AT(validate_every), 250, -1, 100000000, "",
     "steps between validations of the average, -1 = never", NULL},
    {"patience", VSL_OPT_INT, AT(patience), 0, 0, 1000000, "",
     "stop after so many validations without a better one and keep the best weights, 0 = never", NULL},
    {"log-every", VSL_OPT_INT, AT(log_every), 10, 1, 10000000, "", "steps a line of log.jsonl", NULL},
    {"save-every", VSL_OPT_INT, AT(save_every), 500, 1, 100000000, "", "steps between saved states", NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

/* From a at x = 0 to b at x = 1 by half a cosine. */
static double half_cosine(double a, double b, double x)
{
    return b + (a - b) * (1 + cos(3.14159265358979323846 * x)) / 2;
}

double vsl_train_rate(const VslTrainOptions *opt, int64_t step)
{
    const double rise = 0.3, start = 25, end = 250000;
    const double at = (double)step, steps = (double)opt->steps;
    if (opt->schedule == VSL_RATE_ONE_CYCLE) {
        const double top = rise * steps;
        return at < top ? half_cosine(opt->lr / start, opt->lr, at / top)
                        : half_cosine(opt->lr, opt->lr / end, (at - top) / fmax(steps - 1 - top, 1));
    }
    const double warmup = opt->warmup > 0 ? fmin(opt->warmup, steps) : 0;
    if (at < warmup) {
        return opt->lr * (at + 1) / warmup;
    }
    return opt->schedule == VSL_RATE_CONSTANT ? opt->lr : half_cosine(opt->lr, 0, (at - warmup) / (steps - warmup));
}
