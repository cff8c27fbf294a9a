/**
 * The training loop, one for every task: denoising, its rivals, segmentation, both jointly. A task says how a model is
 * built and what the loss of a batch is; the loop does the rest: AdamW, learning-rate schedule, clipping, accumulation,
 * moving average (EMA), validation with early stop, states to resume from, several ranks. It opens no file and prints
 * nothing: states, log records and progress go to the caller's hooks.
 *
 * A run is a function of (options, data, seed, device, threads): stopped anywhere and restored from the last state, it
 * ends in the same weights to the bit. @test diffusion/test_train.c
 */
#ifndef VSL_DIFFUSION_TRAIN_H
#define VSL_DIFFUSION_TRAIN_H

#include "core/options.h"
#include "core/weights.h"
#include "diffusion/loader.h"
#include "nn/parallel.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VslRateSchedule { VSL_RATE_COSINE = 1, VSL_RATE_CONSTANT, VSL_RATE_ONE_CYCLE } VslRateSchedule;

typedef struct VslTrainOptions { /* {0} = all defaults, see the table */
    int steps;
    int batch;           /* samples a step, a rank and a turn of accumulation */
    int accumulate;      /* turns whose gradients are added up before a step */
    double lr;           /* the highest */
    int warmup;          /* steps; negative: none */
    int schedule;        /* VslRateSchedule */
    double weight_decay; /* AdamW's */
    double clip;         /* largest joint norm of the gradients; negative: none */
    double ema;          /* decay of the moving average, reached slowly: min(ema, (1 + step)/(10 + step)) */
    int validate_every;  /* steps; negative: never */
    int patience;        /* validations without a better one after which it stops; 0: never */
    int log_every;       /* steps a log record */
    int save_every;      /* steps a saved state */
} VslTrainOptions;
extern VSL_API const VslOption vsl_train_option_table[];

/** Learning rate of step 0..steps-1; opt is resolved. one-cycle: lr/25 up to lr at 30 %, down to lr/250000, both by
 * cosines (Smith and Topin 2019); it has its own warm-up. */
VSL_API double vsl_train_rate(const VslTrainOptions *opt, int64_t step);

typedef struct VslTask {
    const char *name; /* "denoise": part of every state */
    /** Makes parameters in p and the structures that refer to them. Called twice: for the trained weights, the EMA. */
    VslStatus (*build)(void **model, NnParams *p, void *user);
    void (*drop)(void **model);
    /** A scalar, the mean over the batch. Everything random in it is named by seed and batch->first + b. */
    NnTensor *(*loss)(NnScope *s, const void *model, const VslBatch *batch, uint64_t seed, void *user);
    /** Validation of a model, lower is better; NULL: the mean loss over the validation source. */
    VslStatus (*score)(double *score, NnRuntime *rt, const void *model, void *user);
    void *user;
} VslTask;

/** The batch's pictures as (B, C, [D,] H, W), and its masks: 2D when n[2] is 1. */
VSL_API NnTensor *vsl_batch_image(NnScope *s, const VslBatch *b);
VSL_API NnTensor *vsl_batch_mask(NnScope *s, const VslBatch *b);

typedef struct VslTrainRecord { /* one line of the log */
    int64_t step;               /* steps done */
    double loss;                /* mean of the steps since the last record */
    double grad_norm, rate;     /* of the last of them, before clipping */
    double validation;          /* NAN: none at this step */
    double samples_per_s;       /* since the last record; not part of the state */
} VslTrainRecord;

typedef struct VslTrainHooks { /* any may be NULL */
    /** After each step. Non-zero: the state is saved, and the run ends in VSL_E_CANCELLED. */
    int (*progress)(const VslTrainRecord *r, int64_t steps, void *user);
    VslStatus (*log)(const VslTrainRecord *r, void *user);
    /** A state to resume from; notes of it: "task", "step". Only rank 0 is asked to save. */
    VslStatus (*save)(const VslWeights *state, int64_t step, void *user);
    void *user;
} VslTrainHooks;

typedef struct VslTrainer VslTrainer;

typedef struct VslTrainSetup { /* everything is borrowed for the trainer's life; opt is resolved in a copy */
    NnRuntime *rt;
    const VslTask *task;
    const VslSource *source;
    const VslSource *validation; /* NULL: none; samples 0 .. validation_count - 1 are looked at */
    int64_t validation_count;
    const VslTrainOptions *opt;
    NnGroup *group; /* ranks that train together, each its part of every step; NULL: alone */
    uint64_t seed;
} VslTrainSetup;

VSL_API VSL_MUST_USE VslStatus vsl_trainer_new(VslTrainer **out, const VslTrainSetup *setup);
VSL_API void vsl_trainer_free(VslTrainer **t);
/** The weights that are trained, before the first step: to set rates by prefix. */
VSL_API NnParams *vsl_trainer_params(VslTrainer *t);
/** Starts from another model's weights: every array whose name and shape fit goes into the weights and the EMA.
 * *copied: how many. */
VSL_API VSL_MUST_USE VslStatus vsl_trainer_start_from(VslTrainer *t, const VslWeights *w, int64_t *copied);
/** Continues from a saved state. @return VSL_E_STATE (another task), VSL_E_FORMAT (another network, all differences).
 */
VSL_API VSL_MUST_USE VslStatus vsl_trainer_restore(VslTrainer *t, const VslWeights *state, const char *where);
/** Trains to the last step, or until early stop or the progress hook ends it.
 * @return VSL_E_NUMERIC (loss or gradient not finite: the step is named), VSL_E_CANCELLED, what hooks return. */
VSL_API VSL_MUST_USE VslStatus vsl_trainer_run(VslTrainer *t, const VslTrainHooks *hooks);
/** The weights for use: the EMA's, of the best validation when patience asks for it. */
VSL_API VSL_MUST_USE VslStatus vsl_trainer_weights(VslTrainer *t, VslWeights *out);

typedef struct VslTrainResult {
    int64_t steps;     /* done */
    double loss;       /* of the last record */
    double validation; /* the best, NAN when there was none */
    int64_t best_step; /* of it */
    int stopped_early;
    double seconds;       /* of this run of the loop */
    double samples_per_s; /* likewise, this rank */
    int64_t parameters;   /* numbers that are trained */
} VslTrainResult;
VSL_API VslTrainResult vsl_trainer_result(const VslTrainer *t);

/** All parameters under "prefix" + name, and back: arrays of w that begin with prefix must be exactly p's.
 * @return VSL_E_FORMAT (all differences in one sentence that begins with where). */
VSL_API VSL_MUST_USE VslStatus vsl_weights_from_params(VslWeights *w, const NnParams *p, const char *prefix);
VSL_API VSL_MUST_USE VslStatus vsl_weights_to_params(NnParams *p, const VslWeights *w, const char *prefix,
                                                     const char *where);

#ifdef __cplusplus
}
#endif
#endif
