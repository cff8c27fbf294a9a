/**
 * KL-regularised autoencoder for latent diffusion, 2D and 3D: levels of residual blocks without attention, strided
 * convolutions between them, so that the latent has the image's extents divided by 2^(levels - 1); 1x1 convolutions
 * give mean and log variance; the decoder mirrors the encoder with nearest up-sampling. Source: Rombach et al., CVPR
 * 2022, section 3.1 and appendix G (the KL form, without their attention). docs/maths/diffusion.md.
 *
 *     loss = mean |x - decode(z)| + w KL,  z = mu + exp(log_var / 2) n,  KL = 1/2 sum (mu^2 + e^log_var - 1 - log_var)
 * a sample
 *
 * Train with a drawn z, diffuse mu times `scale`, 1/sd of mu over many images: a drawn z would put its own noise under
 * the diffusion's.
 * @test diffusion/test_autoencoder.c
 */
#ifndef VSL_DIFFUSION_AUTOENCODER_H
#define VSL_DIFFUSION_AUTOENCODER_H

#include "core/options.h"
#include "nn/layers.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VSL_AUTOENCODER_LEVELS = 6 };

typedef struct VslAutoencoderOptions { /* {0} = 2D, one channel, 64-128-128-128, latent 3, factor 8 */
    int dims;                          /* 2 or 3 */
    int in_channels, out_channels;     /* 0 = 1, and as many out as in (labels: one-hot in, logits out) */
    int latent_channels;
    int width;                               /* of the finest level, a multiple of 4 */
    int multipliers[VSL_AUTOENCODER_LEVELS]; /* a level, up to the first 0; all 0 = 1-2-2-2 */
    int blocks;                              /* residual blocks a level */
} VslAutoencoderOptions;
/** latent-channels, encoder-width, encoder-blocks. */
extern VSL_API const VslOption vsl_autoencoder_option_table[];

typedef struct VslAutoencoder VslAutoencoder;

/** Creates the parameters in p, which must outlive it: encoder.*, decoder.*. opt is resolved in a copy.
 * @return VSL_E_ARG, VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_autoencoder_new(VslAutoencoder **out, NnParams *p, const VslAutoencoderOptions *opt);
VSL_API void vsl_autoencoder_free(VslAutoencoder **a);
/** The resolved options. Borrowed. */
VSL_API const VslAutoencoderOptions *vsl_autoencoder_options(const VslAutoencoder *a);
/** Image voxels per latent voxel along each axis, 2^(levels - 1). */
VSL_API int vsl_autoencoder_factor(const VslAutoencoder *a);

/** A latent normal distribution per voxel: (B, latent_channels, [d,] h, w), log variances within [-30, 20]. */
typedef struct VslLatent {
    NnTensor *mean, *log_var;
} VslLatent;

/** x (B, in_channels, [D,] H, W), extents multiples of the factor. */
VSL_API VslLatent vsl_autoencoder_encode(NnScope *s, const VslAutoencoder *a, NnTensor *x);
/** z (B, latent_channels, ..) -> (B, out_channels, ..) at `factor` times the extents. */
VSL_API NnTensor *vsl_autoencoder_decode(NnScope *s, const VslAutoencoder *a, NnTensor *z);
/** A draw from the latent: sample b depends on (seed, stream, first + b) alone. */
VSL_API NnTensor *vsl_latent_draw(NnScope *s, const VslLatent *latent, uint64_t seed, uint64_t stream, uint64_t first);
/** KL to N(0, 1), summed over a sample's latent numbers, mean over samples: a scalar. */
VSL_API NnTensor *vsl_latent_kl(NnScope *s, const VslLatent *latent);

/** Running moments of latent means, for the scale: add many images (64 at least), then ask. */
typedef struct VslLatentMoments {
    double count, sum, squares;
} VslLatentMoments;
VSL_API void vsl_latent_add(NnScope *s, VslLatentMoments *m, const VslLatent *latent);
/** 1 / sd of what was added. @return VSL_E_ARG (nothing added), VSL_E_NUMERIC (no spread). */
VSL_API VSL_MUST_USE VslStatus vsl_latent_scale(double *scale, const VslLatentMoments *m);

#ifdef __cplusplus
}
#endif
#endif
