/* bench_films [--threads N]: seconds per simulated radiograph of each view and size, and the processor's time, which
 * other programs on the machine change less. Each film is looked at. A table with tabs on stdout. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/parallel.h"
#include "phantom/radiograph.h"

static double now(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int is_film(const VslRadiograph *r)
{
    float low = 65536, high = -1;
    for (int64_t i = 0; i < vsl_grid_voxels(&r->film.grid); i++) {
        const float v = r->film.data[i];
        if (!(v >= 0 && v <= 65535 && v == rintf(v))) {
            return 0;
        }
        low = v < low ? v : low;
        high = v > high ? v : high;
    }
    return high - low > 1000;
}

/* Mean seconds of `films` people, of whom none is timed before. */
static int timed(int view, int64_t columns, int64_t rows, int films, int threads)
{
    const VslRadiographOptions opt = {.size = {columns, rows}, .seed = 1, .view = view, .threads = threads};
    VslRadiograph r = {0};
    double seconds = 0, busy = 0;
    for (int i = 1; i <= films; i++) {
        const double start = now(CLOCK_MONOTONIC), start_busy = now(CLOCK_PROCESS_CPUTIME_ID);
        if (vsl_radiograph_make(&r, &opt, i, 1) != VSL_OK || !is_film(&r)) {
            fprintf(stderr, "bench_films: film %d of view %d is none: %s\n", i, view, vsl_error());
            return 1;
        }
        seconds += now(CLOCK_MONOTONIC) - start;
        busy += now(CLOCK_PROCESS_CPUTIME_ID) - start_busy;
    }
    printf("%s\t%lldx%lld\t%d\t%d\t%.4f\t%.4f\n", view == VSL_VIEW_CHEST ? "chest" : "panoramic", (long long)columns,
           (long long)rows, threads, films, seconds / films, busy / films);
    vsl_radiograph_free(&r);
    return 0;
}

int main(int argc, char **argv)
{
    const int threads = vsl_threads_resolve(argc == 3 && strcmp(argv[1], "--threads") == 0 ? atoi(argv[2]) : 0);
    printf("view\tsize\tthreads\tfilms\tseconds_per_film\tcpu_seconds_per_film\n");
    return timed(VSL_VIEW_CHEST, 64, 64, 40, threads) || timed(VSL_VIEW_CHEST, 256, 256, 10, threads) ||
           timed(VSL_VIEW_CHEST, 1024, 1024, 3, threads) || timed(VSL_VIEW_PANORAMIC, 128, 64, 40, threads) ||
           timed(VSL_VIEW_PANORAMIC, 512, 256, 10, threads) || timed(VSL_VIEW_PANORAMIC, 1024, 512, 3, threads);
}
