/**
 * A training run with a folder: what every learned verb that trains shares. It writes the settings, takes up the newest
 * sound state when the settings agree, trains under a live line, logs, saves states, and ends with weights,
 * metrics.json and loss.png. TERM, INT and USR1 save the state and end with exit code 75. @test cli/train.sh
 */
#ifndef VSL_CLI_TRAIN_RUN_H
#define VSL_CLI_TRAIN_RUN_H

#include "cli/model.h"
#include "diffusion/train.h"

typedef struct CliTrainJob { /* everything borrowed */
    const char *folder;      /* of the model; made when it is not there */
    const char *settings;    /* YAML; decides whether an earlier state is this run's */
    VslTrainSetup setup;
    const VslWeights *start; /* weights to start from where name and shape fit, or NULL */
    /** More for metrics.json, or NULL; taken over. */
    json_t *about;
    /** Called once the trainer is made and before its first step (learning rates by prefix), or NULL. */
    VslStatus (*prepare)(VslTrainer *t, void *user);
    void *user;
} CliTrainJob;

/** Trains, or finishes what was begun. *weights (may be NULL): the result. cli->result becomes metrics.json's content.
 * @return also VSL_E_STATE (other settings, another run in the folder), VSL_E_CANCELLED. */
VSL_MUST_USE VslStatus cli_train(Cli *cli, VslWeights *weights, CliTrainJob *job);

/** The ranks that a launcher has started this process among: RANK and WORLD_SIZE with MASTER_ADDR and MASTER_PORT (as
 * torchrun sets them), or SLURM_PROCID and SLURM_NTASKS; `meet` ("file:PATH" or "tcp:HOST:PORT") replaces the address.
 * *out stays NULL without them, or with one rank. All but the first then say only warnings. @return VSL_E_ARG. */
VSL_MUST_USE VslStatus cli_train_group(Cli *cli, NnGroup **out, NnRuntime *rt, const char *meet);

/** In "generated_by" of value: what the tensors were computed on. */
void cli_generator_device(json_t *value, const NnRuntime *rt);

/** The picture of a log: loss and validation over steps. @return VSL_E_WRITE. */
VSL_MUST_USE VslStatus cli_loss_picture(const char *png_path, const char *log_path, const char *title);

#endif
