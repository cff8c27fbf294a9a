/**
 * Where a training's samples come from: random order, augmentation, and for joint training labelled pictures first.
 * @test diffusion/test_segment.c
 */
#ifndef VSL_DIFFUSION_AUGMENTED_H
#define VSL_DIFFUSION_AUGMENTED_H

#include "diffusion/augment.h"
#include "diffusion/loader.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslAugmentedSource VslAugmentedSource;

/** Samples of `all`, each augmented anew. labelled (may be NULL): the first half of each batch comes from it instead,
 * with its masks. Everything is borrowed and lives as long as the source. @return VSL_E_ARG (an empty subset),
 * VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_augmented_source_new(VslAugmentedSource **out, const VslDataset *data,
                                                        const VslSubset *all, const VslSubset *labelled, int batch,
                                                        const VslAugment *how, uint64_t seed);
VSL_API void vsl_augmented_source_free(VslAugmentedSource **s);
VSL_API VslSource vsl_augmented_source(VslAugmentedSource *s);

#ifdef __cplusplus
}
#endif
#endif
