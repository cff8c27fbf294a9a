/**
 * Training without labels: diffusion itself, and what PTDR is compared with on the same network.
 *
 * - DENOISE: the diffusion loss at levels drawn anew for each sample (schedule.h).
 * - DAE: a denoising auto-encoder, the diffusion loss at one noise level (Brempong et al., CVPR workshops 2022).
 * - MAE: a masked auto-encoder, six of ten patches of an eighth of the extent are set to 0 and predicted from the rest,
 *   mean squared error over hidden pixels (He et al., CVPR 2022; here convolutions see the hidden patches as zeros).
 * @test diffusion/test_segment.c
 */
#ifndef VSL_DIFFUSION_PRETEXT_H
#define VSL_DIFFUSION_PRETEXT_H

#include "diffusion/schedule.h"
#include "diffusion/train.h"
#include "diffusion/unet.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VslPretextKind { VSL_PRETEXT_DENOISE = 1, VSL_PRETEXT_DAE, VSL_PRETEXT_MAE } VslPretextKind;

/** Everything is borrowed and lives as long as the task. */
typedef struct VslPretextSetup {
    VslPretextKind kind;
    const VslUnetOptions *unet;
    const VslDiffusion *diffusion; /* DDPM for DAE and MAE */
} VslPretextSetup;

/** The task of the training loop; its model is a VslUnet, setup is its `user`. */
VSL_API VslTask vsl_pretext_task(const VslPretextSetup *setup);

#ifdef __cplusplus
}
#endif
#endif
