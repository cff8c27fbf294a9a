#include "diffusion/pretext.h"

#include <string.h>

#include "core/memory.h"
#include "core/random.h"

static const double dae_time = 150;   /* a noise of 0.46 under the linear schedule */
static const double mae_hidden = 0.6; /* share of patches */
enum { MAE_PATCHES = 8 };             /* along each axis */

/* Masks of dropout are drawn anew for every batch. */
static uint64_t dropout_seed(uint64_t seed, const VslBatch *b)
{
    return seed ^ vsl_random_stream("dropout") ^ b->first;
}

static NnTensor *denoise_loss(NnScope *s, const VslUnet *net, const VslPretextSetup *setup, const VslBatch *b,
                              uint64_t seed)
{
    const VslNoised noised = vsl_diffusion_noise(s, setup->diffusion, vsl_batch_image(s, b), seed, 0, b->first);
    const VslUnetInput in = {.x = noised.z, .time = noised.time, .dropout_seed = dropout_seed(seed, b)};
    return vsl_diffusion_loss(s, &noised, vsl_unet_forward(s, net, &in));
}

static NnTensor *dae_loss(NnScope *s, const VslUnet *net, const VslPretextSetup *setup, const VslBatch *b,
                          uint64_t seed)
{
    const VslLevel level = vsl_diffusion_level(setup->diffusion, dae_time);
    const VslNoised noised = vsl_diffusion_noise_at(s, &level, vsl_batch_image(s, b), seed, 0, b->first);
    const VslUnetInput in = {.x = noised.z, .time = noised.time, .dropout_seed = dropout_seed(seed, b)};
    return vsl_diffusion_loss(s, &noised, vsl_unet_forward(s, net, &in));
}

/* 1 on hidden pixels: (B, 1, [D,] H, W). Patches are drawn by sample and place. */
static NnTensor *hidden_patches(NnScope *s, const VslBatch *b, uint64_t seed)
{
    const int64_t patch[3] = {b->n[0] / MAE_PATCHES, b->n[1] / MAE_PATCHES, b->n[2] > 1 ? b->n[2] / MAE_PATCHES : 1};
    const int64_t voxels = b->n[0] * b->n[1] * b->n[2];
    float *hidden = NULL;
    if (patch[0] < 1 || patch[1] < 1 || patch[2] < 1) {
        return nn_refuse(s, VSL_E_ARG, "mae", "%lldx%lldx%lld voxels, expected at least %d along each axis",
                         (long long)b->n[0], (long long)b->n[1], (long long)b->n[2], MAE_PATCHES);
    }
    if (VSL_NEW(&hidden, b->count * voxels, "hidden patches") != VSL_OK) {
        return nn_refuse(s, VSL_E_NOMEM, "mae", "no memory for the hidden patches");
    }
    for (int64_t i = 0; i < b->count * voxels; i++) {
        const int64_t v = i % voxels, x = v % b->n[0] / patch[0], y = v / b->n[0] % b->n[1] / patch[1];
        const int64_t z = v / (b->n[0] * b->n[1]) / patch[2];
        const uint64_t place = (uint64_t)((z * b->n[1] + y) * b->n[0] + x);
        hidden[i] = vsl_random_uniform(seed, b->first + (uint64_t)(i / voxels), place) < mae_hidden ? 1 : 0;
    }
    const NnShape shape =
        b->n[2] > 1 ? NN_SHAPE(b->count, 1, b->n[2], b->n[1], b->n[0]) : NN_SHAPE(b->count, 1, b->n[1], b->n[0]);
    NnTensor *t = nn_from_floats(s, hidden, shape);
    vsl_free(hidden);
    return t;
}

static NnTensor *mae_loss(NnScope *s, const VslUnet *net, const VslPretextSetup *setup, const VslBatch *b,
                          uint64_t seed)
{
    const VslLevel level = vsl_diffusion_level(setup->diffusion, 0);
    NnTensor *x = vsl_batch_image(s, b), *hidden = hidden_patches(s, b, seed);
    const VslUnetInput in = {.x = nn_mul(s, x, nn_affine(s, hidden, -1, 1)),
                             .time = nn_full(s, NN_SHAPE(b->count), level.time),
                             .dropout_seed = dropout_seed(seed, b)};
    NnTensor *error = nn_square(s, nn_sub(s, vsl_unet_forward(s, net, &in), x));
    NnTensor *sum = nn_sum(s, nn_mul(s, error, hidden), NN_ALL);
    return nn_div(s, sum, nn_affine(s, nn_sum(s, hidden, NN_ALL), b->channels, 0));
}

static NnTensor *task_loss(NnScope *s, const void *model, const VslBatch *b, uint64_t seed, void *user)
{
    const VslPretextSetup *setup = user;
    switch (setup->kind) {
    case VSL_PRETEXT_DAE: return dae_loss(s, model, setup, b, seed);
    case VSL_PRETEXT_MAE: return mae_loss(s, model, setup, b, seed);
    default: return denoise_loss(s, model, setup, b, seed);
    }
}

static VslStatus task_build(void **model, NnParams *p, void *user)
{
    const VslPretextSetup *setup = user;
    return vsl_unet_new((VslUnet **)model, p, setup->unet);
}

static void task_drop(void **model)
{
    vsl_unet_free((VslUnet **)model);
}

VslTask vsl_pretext_task(const VslPretextSetup *setup)
{
    static const char *const names[] = {"", "denoise", "dae", "mae"};
    return (VslTask){
        .name = names[setup->kind], .build = task_build, .drop = task_drop, .loss = task_loss, .user = (void *)setup};
}
