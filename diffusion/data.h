/**
 * Images for a network, in memory: each brought to one size and to [-1, 1], with its masks, its subject and its part of
 * the split. Files are the caller's; nothing here opens one.
 *
 * An image becomes a picture by a VslFit: a window of grey values (percentiles 0.5 and 99.5 of the voxels above the
 * image's least value, which padding and collimation have) brought to [-1, 1], and an area filter onto n voxels, aspect
 * in mm kept, centred, padded with -1. Predictions go back by vsl_fit_back.
 *
 * Everything random is a function of (seed, name or number): the order of files, threads and batches does not matter.
 * @test diffusion/test_data.c
 */
#ifndef VSL_DIFFUSION_DATA_H
#define VSL_DIFFUSION_DATA_H

#include "core/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslFit {
    int64_t from[3], to[3]; /* voxels of the image and of the picture; n[2] = 1 in 2D */
    double scale[3];        /* image voxels per picture voxel */
    double before[3];       /* picture voxels of padding before the image */
    double low, high;       /* grey values that become -1 and 1 */
} VslFit;

/** @param image one channel is read (`channel`); extents n[2] = 1 need to[2] = 1.
 * @return VSL_E_ARG (sizes), VSL_E_NUMERIC (blank, or not a single finite value), VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_fit_make(VslFit *out, const VslVolume *image, int channel, const int64_t to[3]);
/** The picture, (to[2], to[1], to[0]), in [-1, 1]; values that are not finite count as the window's low end. */
VSL_API VSL_MUST_USE VslStatus vsl_fit_image(float *out, const VslFit *fit, const VslVolume *image, int channel);
/** The share of each picture voxel that a mask covers (image > 0), in [0, 1]. Of the same grid as the image. */
VSL_API VSL_MUST_USE VslStatus vsl_fit_mask(float *out, const VslFit *fit, const VslVolume *mask, int channel);
/** Back onto the image's own voxels, (from[2], from[1], from[0]), by linear interpolation between voxel centres. */
VSL_API VSL_MUST_USE VslStatus vsl_fit_back(float *out, const VslFit *fit, const float *picture);
/** Likewise a probability, by cubic convolution of its logarithm of the odds: a network that is sure beside an edge has
 * probabilities near 0 and 1 there, which say hardly where between two voxels the edge is; their logits do. */
VSL_API VSL_MUST_USE VslStatus vsl_fit_probability_back(float *out, const VslFit *fit, const float *probability);

typedef enum VslSplit { VSL_SPLIT_NONE = 0, VSL_SPLIT_TRAIN, VSL_SPLIT_VALIDATION, VSL_SPLIT_TEST } VslSplit;

typedef struct VslItem {
    char *name, *subject; /* owned; subject is never empty */
    VslFit fit;           /* of channel 0 */
    VslSplit split;
    int has_masks;
} VslItem;

typedef struct VslDataset { /* {0} is empty */
    int64_t n[3];
    int channels, masks; /* per item */
    int64_t count;
    VslItem *item;
    char **mask_name; /* masks of them */
    float *image;     /* (count, channels, n[2], n[1], n[0]) */
    float *mask;      /* (count, masks, n[2], n[1], n[0]); zeros where an item has none; NULL when masks is 0 */
} VslDataset;

/** Room for `count` items. @return VSL_E_ARG, VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_dataset_new(VslDataset *out, int64_t count, const int64_t n[3], int channels,
                                               int masks, const char *const *mask_name);
VSL_API void vsl_dataset_free(VslDataset *d);
/** Fills item i. masks: one volume of `masks` channels on the image's grid, or NULL. subject NULL or "": the name is
 * the subject. @return as vsl_fit_make, naming the item; VSL_E_SPACE (masks on another grid). */
VSL_API VSL_MUST_USE VslStatus vsl_dataset_put(VslDataset *d, int64_t i, const char *name, const char *subject,
                                               VslSplit split, const VslVolume *image, const VslVolume *masks);
/** Gives every item without a split one by its subject: a hash of (seed, subject) below validation, or below validation
 * + test, else training; of a share above 0 at least one subject. Subjects whose items disagree are refused.
 * @return VSL_E_ARG (a subject in two parts, named). */
VSL_API VSL_MUST_USE VslStatus vsl_dataset_split(VslDataset *d, uint64_t seed, double validation, double test);
VSL_API const float *vsl_dataset_image(const VslDataset *d, int64_t i);
/** NULL when the item has none. */
VSL_API const float *vsl_dataset_mask(const VslDataset *d, int64_t i);
/** Floats of one picture of all channels, and of its masks. */
VSL_API int64_t vsl_dataset_image_size(const VslDataset *d);
VSL_API int64_t vsl_dataset_mask_size(const VslDataset *d);

/** Some items of a dataset, by number. */
typedef struct VslSubset {
    int64_t count;
    int64_t *item; /* owned */
} VslSubset;
/** Items of a part (NONE: all), with_masks: only those that have masks. It may be empty. @return VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_subset_of(VslSubset *out, const VslDataset *d, VslSplit part, int with_masks);
/** `keep` of the items, drawn by whole subjects in a random order of (seed, subject).
 * @return VSL_E_ARG (fewer than keep), VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_subset_draw(VslSubset *out, const VslDataset *d, const VslSubset *from, int64_t keep,
                                               uint64_t seed);
VSL_API void vsl_subset_free(VslSubset *s);
/** The item of a draw: draws count*e .. count*e + count-1 are a random order of all items, another one for each e. */
VSL_API int64_t vsl_subset_item(const VslSubset *s, uint64_t seed, uint64_t draw);

#ifdef __cplusplus
}
#endif
#endif
