/**
 * A model's folder: config.yaml, weights.h5 and the same weights as weights.safetensors, metrics.json, log.jsonl,
 * loss.png, and checkpoints/ with the last two states of its training. docs/diffusion-training.md names every file.
 * @test cli/train.sh, cli/sample.sh
 */
#ifndef VSL_CLI_MODEL_H
#define VSL_CLI_MODEL_H

#include "cli/files.h"
#include "cli/settings.h"
#include "core/weights.h"

typedef struct CliModel { /* {0} is empty */
    CliPath config_path;  /* for sentences */
    VslConfig config;
    VslWeights weights;
} CliModel;

/** Reads settings and weights (weights.h5, or weights.safetensors when that is not there). task: what the model must be
 * for ("denoise", ...), or NULL. @return VSL_E_IO, VSL_E_FORMAT, VSL_E_UNSUPPORTED. */
VSL_MUST_USE VslStatus cli_model_read(CliModel *out, const char *folder, const char *task);
void cli_model_free(CliModel *m);
/** Both weight files. */
VSL_MUST_USE VslStatus cli_model_write_weights(const char *folder, const VslWeights *w);

/** Saves a state as checkpoints/step-N, whole or not at all, and drops all but the newest two. */
VSL_MUST_USE VslStatus cli_checkpoint_write(const char *folder, const VslWeights *state, int64_t step);
/** The newest state whose content is what was written; damaged ones are told about and passed over.
 * *step = -1 when there is none. */
VSL_MUST_USE VslStatus cli_checkpoint_read(Cli *cli, VslWeights *out, int64_t *step, CliPath *where,
                                           const char *folder);
VSL_MUST_USE VslStatus cli_checkpoints_remove(const char *folder);

#endif
