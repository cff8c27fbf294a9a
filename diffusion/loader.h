/**
 * Batches made ahead of time by one background thread. A batch is a function of its number alone: which samples it
 * holds and how each is changed follow from counters, so that neither timing nor a resume can show in it.
 * @test diffusion/test_data.c
 */
#ifndef VSL_DIFFUSION_LOADER_H
#define VSL_DIFFUSION_LOADER_H

#include "diffusion/data.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslBatch {
    int count;                 /* B */
    int64_t number;            /* of the batch */
    uint64_t first;            /* sample b is number first + b of the whole training: name of its random draws */
    int64_t n[3];              /* n[2] = 1 in 2D */
    int channels, masks;       /* per sample */
    const float *image;        /* (B, channels, n[2], n[1], n[0]) */
    const float *mask;         /* (B, masks, ..), NULL when masks is 0 */
    const int64_t *item;       /* (B) where each comes from */
    const unsigned char *seen; /* (B) 1: its masks are known */
} VslBatch;

/** Where samples come from. fill writes sample `sample`, which stands at `position` of its batch: the picture, its
 * masks (zeros when there are none), the item, and whether the masks are known. It runs on another thread than its
 * caller and may read, never write, what `user` points to. */
typedef struct VslSource {
    void (*fill)(void *user, uint64_t sample, int position, float *image, float *mask, int64_t *item,
                 unsigned char *seen);
    void *user;
    int64_t n[3];
    int channels, masks;
} VslSource;

/** The plain source: samples of a subset in random order of (seed, epoch), unchanged or through `change`. */
typedef struct VslSubsetSource {
    const VslDataset *data;
    const VslSubset *subset;
    uint64_t seed;
    int is_ordered; /* 1: item sample % count, for validation */
    /** NULL, or what is done to a copy: augmentation. */
    void (*change)(void *user, uint64_t sample, float *image, float *mask);
    void *user;
} VslSubsetSource;
VSL_API VslSource vsl_subset_source(VslSubsetSource *s);

typedef struct VslLoader VslLoader;

/** Starts to make the batches of this rank from step first_step on: batch `turn` (of turns) of step s has the number
 * (s * ranks + rank) * turns + turn. source is copied, its user borrowed.
 * @return VSL_E_ARG, VSL_E_NOMEM, VSL_E_EXTERNAL (no thread). */
VSL_API VSL_MUST_USE VslStatus vsl_loader_new(VslLoader **out, const VslSource *source, int batch, int turns, int ranks,
                                              int rank, int64_t first_step);
/** Waits for the next batch, which is the caller's until the next call. */
VSL_API const VslBatch *vsl_loader_next(VslLoader *l);
VSL_API void vsl_loader_free(VslLoader **l);

#ifdef __cplusplus
}
#endif
#endif
