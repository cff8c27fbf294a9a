/**
 * Which pictures to label first: those that stand for most of the others.
 *
 * Where anatomy is and how it lies is what a few labelled pictures must show, and what a network that has learnt to
 * denoise pictures without labels knows of them: at its coarsest level two pictures are alike whose masks are alike
 * (docs/ptdr.md has the measurements). There, pictures are chosen one after the other, each the one that lowers the sum
 * of distances from every picture to the nearest chosen one the most: the first phase (BUILD) of partitioning around
 * medoids, Kaufman and Rousseeuw 1990, chapter 2. The first of them are therefore the choice of fewer, and pictures
 * that have labels already count as chosen before.
 * @test diffusion/test_choose.c
 */
#ifndef VSL_DIFFUSION_CHOOSE_H
#define VSL_DIFFUSION_CHOOSE_H

#include "diffusion/schedule.h"
#include "diffusion/unet.h"

#ifdef __cplusplus
extern "C" {
#endif

/** More pictures than that are too many to compare each with each. */
enum { VSL_CHOOSE_MOST = 4096 };

/** Numbers that a picture of extents n has in vsl_choose_features. */
VSL_API int64_t vsl_choose_width(const VslUnet *net, const int64_t n[3]);
/**
 * What a network sees in clean pictures: vsl_unet_middle at one noise level; of every number the mean over pictures is
 * taken off, and every channel divided by its standard deviation over pictures and places (constant ones are 0).
 * @param out   (count, vsl_choose_width).
 * @param image (count, channels, n) in [-1, 1].
 * @param time  the noise level, as vsl_diffusion_level takes it.
 * @return VSL_E_ARG (count, extents), VSL_E_NUMERIC (not finite), VSL_E_NOMEM, failures of the network.
 */
VSL_API VSL_MUST_USE VslStatus vsl_choose_features(float *out, NnRuntime *rt, const VslUnet *net,
                                                   const VslDiffusion *diffusion, double time, const float *image,
                                                   int64_t count, const int64_t n[3]);
/**
 * Chooses `wanted` of `count` points by Euclidean distance; of equally good ones the first.
 * @param chosen   (wanted) their numbers, in the order of the choice.
 * @param nearest  (count) for each point its nearest chosen or labelled one, -1 where there is none; or NULL.
 * @param feature  (count, width).
 * @param labelled (count) 1: counts as chosen before, and is not chosen again; NULL = none.
 * @param threads  results do not depend on it.
 * @return VSL_E_ARG (more than VSL_CHOOSE_MOST points, or fewer without labels than wanted), VSL_E_NOMEM.
 */
VSL_API VSL_MUST_USE VslStatus vsl_choose(int64_t *chosen, int64_t *nearest, int64_t wanted, const float *feature,
                                          int64_t count, int64_t width, const unsigned char *labelled, int threads);

#ifdef __cplusplus
}
#endif
#endif
