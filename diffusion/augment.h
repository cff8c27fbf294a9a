/**
 * Augmentation of an image and its masks together: a random affine map, a random smooth deformation, and a change of
 * grey values (gamma, contrast, brightness, noise) of the image alone. Never a mirror image: the heart has a side.
 *
 *     y(x) = image(A x + u(x)),   masks likewise,   linear interpolation, the border held outside
 * A = rotation . shear . stretch about the centre, plus a shift; u = cubic B-spline of a coarse lattice of normal
 * draws, which is smooth and does not depend on the image's extents: the same draws at 64x64 and 256x256 give the same
 * picture. Grey values are taken to lie in [-1, 1]; g = (v + 1) / 2 becomes g^gamma, then contrast * v + brightness.
 *
 * Draws come from counters named by (seed, sample): a sample's augmentation depends on nothing else, neither on
 * threads, batch size nor resume. @test diffusion/test_augment.c
 */
#ifndef VSL_DIFFUSION_AUGMENT_H
#define VSL_DIFFUSION_AUGMENT_H

#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VslAugmentStrength { VSL_AUGMENT_OFF = 1, VSL_AUGMENT_LIGHT, VSL_AUGMENT_STRONG } VslAugmentStrength;

/** Standard deviations of the normal draws; 0 = that part is off. */
typedef struct VslAugment {
    double rotate_deg;
    double log_scale;   /* of the natural logarithm of the size */
    double log_stretch; /* of one axis against the others */
    double shear;       /* tangent */
    double shift;       /* share of the extent */
    double elastic;     /* of the lattice's displacements, share of the extent */
    double log_gamma, log_contrast;
    double brightness; /* in units of [-1, 1] */
    double noise; /* most sd of the pixel noise of a sample, in units of [-1, 1]; a sample's own is uniform below */
} VslAugment;

/** LIGHT: for denoising pre-training, where each sample should still be a likely film. STRONG: for few labels. */
VSL_API VslAugment vsl_augment_preset(VslAugmentStrength strength);

/**
 * One sample.
 * @param image_out,masks_out (channels, n[2], n[1], n[0]) and (mask_count, ..); may not alias the inputs.
 * @param image   (channels, n[2], n[1], n[0]), [-1, 1]; n[2] = 1 in 2D: then nothing moves along the third axis.
 * @param masks   (mask_count, n[2], n[1], n[0]) in [0, 1]; overlaps are allowed. NULL with mask_count 0.
 * @param sample  number of the draw: another one for each time that a film is seen.
 */
VSL_API void vsl_augment(float *image_out, float *masks_out, const float *image, int channels, const float *masks,
                         int mask_count, const int64_t n[3], const VslAugment *how, uint64_t seed, uint64_t sample);

#ifdef __cplusplus
}
#endif
#endif
