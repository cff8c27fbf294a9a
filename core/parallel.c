/* The only file with OpenMP pragmas; without OpenMP the loops run serially with the same results. */
#define _GNU_SOURCE
#include "core/parallel.h"

#include <stdlib.h>
#ifdef __linux__
#include <sched.h>
#endif
#include <unistd.h>

int vsl_threads_available(void)
{
    int n = 0;
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        n = CPU_COUNT(&set);
    }
#endif
    if (n < 1) {
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    }
    const char *limit = getenv("OMP_NUM_THREADS");
    const long wanted = limit ? strtol(limit, NULL, 10) : 0;
    if (wanted > 0 && wanted < n) {
        n = (int)wanted;
    }
    return n < 1 ? 1 : n;
}

int vsl_threads_resolve(int requested)
{
    return requested > 0 ? requested : vsl_threads_available();
}

#ifdef _OPENMP
#include <omp.h>
#define WORKER omp_get_thread_num()
#else
#define WORKER 0
#endif

void vsl_parallel_for(int64_t items, int threads, VslItemFn *fn, void *ctx)
{
    (void)threads;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && items > 1)
#endif
    for (int64_t i = 0; i < items; i++) {
        fn(ctx, i, WORKER);
    }
}

double vsl_parallel_sum(int64_t items, int threads, VslItemSumFn *fn, void *ctx, double *partial)
{
    (void)threads;
#ifdef _OPENMP
#pragma omp parallel for schedule(static) num_threads(threads) if (threads > 1 && items > 1)
#endif
    for (int64_t i = 0; i < items; i++) {
        partial[i] = fn(ctx, i, WORKER);
    }
    double sum = 0;
    for (int64_t i = 0; i < items; i++) {
        sum += partial[i];
    }
    return sum;
}
