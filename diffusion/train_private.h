/* The trainer's parts, shared by the loop and by what saves and restores it. */
#ifndef VSL_DIFFUSION_TRAIN_PRIVATE_H
#define VSL_DIFFUSION_TRAIN_PRIVATE_H

#include "diffusion/train.h"

struct VslTrainer {
    VslTrainSetup setup; /* its opt points to opt */
    VslTrainOptions opt; /* resolved */
    int rank, ranks;
    NnParams *params, *average;
    void *model, *average_model;
    NnAdamW *adamw;
    /* What a state holds besides the arrays. */
    int64_t step;            /* steps done */
    double loss_sum;         /* of the steps since the last record */
    int64_t loss_steps;      /* how many these are */
    double last_loss;        /* of the last record */
    double best;             /* validation; NAN: none yet */
    int64_t best_step;       /* of it */
    int64_t without_better;  /* validations since then */
    int has_stopped;         /* early */
    VslWeights best_weights; /* when patience asks for them */
    /* This run only. */
    float *image, *mask; /* a batch of the validation source */
    int64_t *item;
    unsigned char *seen;
    double seconds, samples;
};

/** Everything that a state holds, out of the trainer and back. */
VSL_MUST_USE VslStatus train_state_take(VslWeights *out, VslTrainer *t);
VSL_MUST_USE VslStatus train_state_give(VslTrainer *t, const VslWeights *state, const char *where);

#endif
