/**
 * The U-Net of the diffusion literature, in 2D and 3D by one definition: residual blocks with group normalisation and a
 * scale-shift from the time embedding, self attention at the deepest levels, cross attention to context tokens, a
 * condition vector that joins the time embedding, spatial conditions concatenated to the input, strided convolutions
 * down, nearest up-sampling and a convolution up.
 * Sources: Dhariwal and Nichol, NeurIPS 2021 (blocks, scale-shift, zero starts); Rombach et al., CVPR 2022 (cross
 * attention; here without the feed-forward layer of their transformer); Karras et al., NeurIPS 2022 (groups of the
 * norms).
 *
 * Body and head are separate. vsl_unet_body ends in normalised, activated features of `width` channels at the input's
 * extents; a head is one convolution. So a network pre-trained to denoise gets a second head for segmentation by
 * vsl_unet_head_new (another name, hence not copied by nn_params_copy, while the body is), a joint model has two heads
 * on one body, and feature stacking reads the decoder's activations through `taps` of the same body.
 * @test diffusion/test_unet.c, diffusion/test_unet_golden.c
 */
#ifndef VSL_DIFFUSION_UNET_H
#define VSL_DIFFUSION_UNET_H

#include "core/options.h"
#include "nn/layers.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VSL_UNET_LEVELS = 8 };

typedef enum VslUnetPreset {
    VSL_UNET_SMALL = 1,    /* width 24, 1-2-2-4, no attention, 2.5 M parameters: 64x64 films on two cores */
    VSL_UNET_TINY,         /* width 16, 1-2, one block a level: 32x32, tests and first steps */
    VSL_UNET_BASE,         /* width 64, 1-1-2-2-4-4, attention at the two deepest levels, 31 M: 256x256 */
    VSL_UNET_LARGE,        /* as base, width 128 */
    VSL_UNET_LATENT,       /* width 96, 1-2-4, attention at the two deepest levels: latents */
    VSL_UNET_LATENT_SMALL, /* width 64 */
    VSL_UNET_LATENT_LARGE  /* width 256, 1-2-3, one head (the public chest and brain latent models' shape) */
} VslUnetPreset;

/** {0} = the small preset, 2D, one channel in and out. Fields named "preset's" take the preset's value when 0. */
typedef struct VslUnetOptions {
    int preset;                       /* VslUnetPreset */
    int dims;                         /* 2 or 3 */
    int in_channels;                  /* of the noisy image or latent */
    int spatial_channels;             /* of the condition image concatenated to it; 0 = none */
    int out_channels;                 /* of the head named "out"; 0 = in_channels */
    int width;                        /* channels of the finest level, a multiple of 4; preset's */
    int multipliers[VSL_UNET_LEVELS]; /* width factor a level, finest first, up to the first 0; preset's */
    int blocks;                       /* residual blocks a level; preset's */
    int attention_levels;             /* so many of the deepest levels attend; preset's; -1 = none */
    int heads;                        /* of the attention; preset's */
    int vector_width;                 /* K of the condition vector (B, K); 0 = none. A class is a one-hot vector */
    int token_width;                  /* of context tokens (B, M, width); 0 = no cross attention */
    double dropout;                   /* in residual blocks, 0 = none */
    int checkpoint;                   /* 1 = off, 2 = on: residual blocks are computed again in the backward pass */
} VslUnetOptions;

/** The scalar options as rows (preset, unet-width, unet-blocks, attention-levels, heads, dropout, checkpoint). */
extern VSL_API const VslOption vsl_unet_option_table[];
/** Replaces zeros by the preset's values and checks all. @return VSL_E_ARG. */
VSL_API VSL_MUST_USE VslStatus vsl_unet_resolve(VslUnetOptions *opt);

typedef struct VslUnet VslUnet;

/** Creates the parameters in p (the model's; names below) and the structure that refers to them; p must outlive it.
 * Names: time.0 time.1 vector.0 vector.1 vector.null token.null in down.L.block.J.{norm1 conv1 time norm2 conv2 skip}
 * down.L.attention.J.{self cross}.{norm query key value out} down.L.sample middle.. up.. norm out, each with .weight
 * and .bias. opt is resolved in a copy. @return VSL_E_ARG, VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_unet_new(VslUnet **out, NnParams *p, const VslUnetOptions *opt);
VSL_API void vsl_unet_free(VslUnet **net);
/** The resolved options. Borrowed. */
VSL_API const VslUnetOptions *vsl_unet_options(const VslUnet *net);

/** What a network sees. Absent conditions (NULL) become the learned null condition. */
typedef struct VslUnetInput {
    NnTensor *x;       /* (B, in_channels, [D,] H, W); extents multiples of 2^(levels-1) */
    NnTensor *time;    /* (B): VslLevel.time, 0 to about 1000 */
    NnTensor *spatial; /* (B, spatial_channels, [D,] H, W) or NULL = zeros */
    NnTensor *vector;  /* (B, K) or NULL */
    NnTensor *tokens;  /* (B, M, token_width) or NULL */
    NnTensor *keep; /* (B): 1 = as given, 0 = the null condition for vector and tokens (drop in training); NULL = 1 */
    uint64_t dropout_seed; /* another one each step; element masks are functions of it alone */
} VslUnetInput;

/** x and conditions -> the head "out": (B, out_channels, [D,] H, W). */
VSL_API NnTensor *vsl_unet_forward(NnScope *s, const VslUnet *net, const VslUnetInput *in);
/** As far as a head: (B, width, [D,] H, W). taps: NULL, or vsl_unet_tap_count places for the decoder's activations,
 * coarsest first: one after each level's last block (before up-sampling), owned by s. */
VSL_API NnTensor *vsl_unet_body(NnScope *s, const VslUnet *net, const VslUnetInput *in, NnTensor **taps);
/** As far as the middle: the activations between the way down and the way up, (B, channels of tap 0, extents of tap 0).
 */
VSL_API NnTensor *vsl_unet_middle(NnScope *s, const VslUnet *net, const VslUnetInput *in);
/** Number of taps (= levels) and the channels of tap i. Tap i has the input's extents divided by 2^(levels-1-i). */
VSL_API int vsl_unet_tap_count(const VslUnet *net);
VSL_API int64_t vsl_unet_tap_channels(const VslUnet *net, int i);
/** Another head for the body's features: a convolution "name.weight" (out, width, 3, 3[, 3]) that starts with small
 * normal weights and zero bias. Apply with nn_conv. */
VSL_API NnConv vsl_unet_head_new(NnParams *p, const char *name, const VslUnet *net, int channels);

#ifdef __cplusplus
}
#endif
#endif
