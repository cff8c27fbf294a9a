/**
 * Counter-based random numbers: (seed, stream, index) -> value, without state, so that a draw depends on its name
 * alone and never on order, threads or a resume point. Philox 4x32-10 (Salmon et al., SC 2011) by Random123; the same
 * numbers come out on a GPU. @test core/test_random.c
 */
#ifndef VSL_CORE_RANDOM_H
#define VSL_CORE_RANDOM_H

#include <stdint.h>

#include "core/api.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Four independent 32-bit words. */
VSL_API void vsl_random_bits(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t index);
/** Uniform in (0, 1): 53 bits, never 0 or 1. */
VSL_API double vsl_random_uniform(uint64_t seed, uint64_t stream, uint64_t index);
/** Standard normal (Box-Muller on the words of one counter). */
VSL_API double vsl_random_normal(uint64_t seed, uint64_t stream, uint64_t index);
/** A stream number from a name: FNV-1a of the bytes, e.g. a subject label or a stage. */
VSL_API uint64_t vsl_random_stream(const char *name);

#ifdef __cplusplus
}
#endif
#endif
