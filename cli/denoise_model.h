/**
 * A model that has learnt to denoise, out of its folder, ready to be run. @test cli/sample.sh, cli/choose.sh
 */
#ifndef VSL_CLI_DENOISE_MODEL_H
#define VSL_CLI_DENOISE_MODEL_H

#include "cli/model.h"
#include "diffusion/schedule.h"
#include "diffusion/unet.h"

typedef struct CliDenoiser { /* {0} is empty; not to be moved: its parts point to each other */
    CliModel model;
    VslUnetOptions options;
    int64_t n[3]; /* of its pictures */
    NnRuntime *rt;
    NnParams *params;
    VslUnet *unet;
    VslDiffusion *process;
} CliDenoiser;

/** @return VSL_E_IO, VSL_E_FORMAT (another task, or a broken one), VSL_E_UNSUPPORTED (images of several channels),
 * VSL_E_DEVICE, VSL_E_NOMEM. */
VSL_MUST_USE VslStatus cli_denoiser_open(CliDenoiser *out, const Cli *cli, const char *folder);
void cli_denoiser_close(CliDenoiser *m);

#endif
