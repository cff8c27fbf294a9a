/**
 * Parallel loops whose results do not depend on the number of threads.
 *
 * Work is given out as items (usually k-slabs or rows). A body writes only what belongs to its item. Sums are formed
 * per item in double and added in item order. Nested calls run serially. @test core/test_parallel.c
 */
#ifndef VSL_CORE_PARALLEL_H
#define VSL_CORE_PARALLEL_H

#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Cores granted to this process (affinity mask, OMP_NUM_THREADS); at least 1. */
VSL_API int vsl_threads_available(void);
/** requested > 0 ? requested : vsl_threads_available(). */
VSL_API int vsl_threads_resolve(int requested);

typedef void VslItemFn(void *ctx, int64_t item, int worker);
/** Runs fn(ctx, item, worker) for item = 0..items-1; worker < threads identifies scratch memory. */
VSL_API void vsl_parallel_for(int64_t items, int threads, VslItemFn *fn, void *ctx);

typedef double VslItemSumFn(void *ctx, int64_t item, int worker);
/** Sum of fn over items, added in item order. The partial sums
 * live in `partial`, an array of `items` doubles that the caller owns. */
VSL_API double vsl_parallel_sum(int64_t items, int threads, VslItemSumFn *fn, void *ctx, double *partial);

#ifdef __cplusplus
}
#endif
#endif
