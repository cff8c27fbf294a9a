/* bench_kernels [--size N] [--threads N] [--out FILE]: every kernel of a registration is checked, then timed, beside
 * the memory bandwidth that a triad reaches in the same run. Writes a table with tabs to FILE or to stdout. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/kernel_cases.h"
#include "core/parallel.h"

enum { MOST_RUNS = 200, TRIAD_ITEMS = 512, TRIAD_FLOATS = 1 << 17 };

static double now(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static int by_size(const void *a, const void *b)
{
    const double x = *(const double *)a, y = *(const double *)b;
    return (x > y) - (x < y);
}

/* Median seconds of a run: at least 7 runs and a quarter of a second of them. */
static VslStatus median_seconds(double *out, VslStatus (*run)(Setup *s), Setup *s)
{
    VslStatus st = VSL_OK;
    double seconds[MOST_RUNS], sum = 0;
    int runs = 0;
    VSL_TRY(run(s));
    while (runs < MOST_RUNS && (runs < 7 || sum < 0.25)) {
        const double start = now();
        VSL_TRY(run(s));
        seconds[runs] = now() - start;
        sum += seconds[runs++];
    }
    qsort(seconds, (size_t)runs, sizeof *seconds, by_size);
    *out = seconds[runs / 2];
out:
    return st;
}

typedef struct Triad {
    float *a, *b, *c;
} Triad;

static void triad_item(void *ctx, int64_t item, int worker)
{
    const Triad *t = ctx;
    (void)worker;
    float *restrict a = t->a + item * TRIAD_FLOATS;
    const float *restrict b = t->b + item * TRIAD_FLOATS, *restrict c = t->c + item * TRIAD_FLOATS;
    for (int i = 0; i < TRIAD_FLOATS; i++) {
        a[i] = b[i] + 3.0f * c[i];
    }
}

/* Bytes per second of a = b + 3 c over three arrays of 256 MiB: far beyond any cache. Best of ten, as STREAM has it. */
static VslStatus measure_bandwidth(double *out, int threads)
{
    VslStatus st = VSL_OK;
    Triad t = {NULL, NULL, NULL};
    const int64_t count = (int64_t)TRIAD_ITEMS * TRIAD_FLOATS;
    double best = 0;
    VSL_TRY(VSL_NEW0(&t.a, count, "triad"));
    VSL_TRY(VSL_NEW0(&t.b, count, "triad"));
    VSL_TRY(VSL_NEW0(&t.c, count, "triad"));
    for (int64_t i = 0; i < count; i++) {
        t.b[i] = 1;
        t.c[i] = (float)(i % 7);
    }
    for (int run = 0; run < 10; run++) {
        const double start = now();
        vsl_parallel_for(TRIAD_ITEMS, threads, triad_item, &t);
        const double rate = 12.0 * (double)count / (now() - start);
        best = rate > best ? rate : best;
    }
    for (int64_t i = 0; i < count; i += 1009) {
        VSL_CHECK(t.a[i] == 1 + 3 * (float)(i % 7), VSL_E_NUMERIC, "the triad is wrong at %lld", (long long)i);
    }
    *out = best;
out:
    vsl_free(t.a);
    vsl_free(t.b);
    vsl_free(t.c);
    return st;
}

static VslStatus run_all(FILE *f, int64_t size, int threads)
{
    VslStatus st = VSL_OK;
    VslBackend *be = NULL;
    Setup s = {0};
    const int64_t n[3] = {size, size, size};
    double bandwidth = 0;
    VSL_TRY(measure_bandwidth(&bandwidth, threads));
    VSL_TRY(vsl_backend_open(&be, "cpu", threads));
    VSL_TRY(setup_new(&s, be, n));
    fprintf(f, "kernel\tgrid\tms\tMvoxel/s\tGB/s\tshare of bandwidth\n");
    fprintf(f, "triad\t3 x 256 MiB\t%.2f\t%.0f\t%.1f\t100 %%\n", 1e3 * 12.0 * TRIAD_ITEMS * TRIAD_FLOATS / bandwidth,
            bandwidth / 12e6, bandwidth / 1e9);
    for (const KernelCase *k = kernel_cases; k->name; k++) {
        double seconds = 0;
        VSL_CHECK(k->check(&s) == VSL_OK, VSL_E_NUMERIC, "%s: %s", k->name, vsl_error());
        VSL_TRY(median_seconds(&seconds, k->run, &s));
        const VslField *like = k->grid == ON_BAND ? &s.a : k->grid == ON_LATTICE ? &s.eta : &s.c;
        const double voxels = (double)(like->n[0] * like->n[1] * like->n[2]);
        const double rate = 4.0 * k->floats * voxels / seconds;
        fprintf(f, "%s\t%lldx%lldx%lld\t%.3f\t%.0f\t%.1f\t%.0f %%\n", k->name, (long long)like->n[0],
                (long long)like->n[1], (long long)like->n[2], 1e3 * seconds, 1e-6 * voxels / seconds, 1e-9 * rate,
                100 * rate / bandwidth);
    }
out:
    setup_free(&s);
    vsl_backend_close(&be);
    return st;
}

int main(int argc, char **argv)
{
    long size = 160, threads = 0;
    const char *path = NULL;
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--size") == 0) {
            size = strtol(value, NULL, 10);
        } else if (strcmp(argv[i], "--threads") == 0) {
            threads = strtol(value, NULL, 10);
        } else if (strcmp(argv[i], "--out") == 0) {
            path = value;
        } else {
            size = 0;
        }
    }
    if (size < 32 || size > 1024 || threads < 0 || threads > 1024) {
        fprintf(stderr, "bench_kernels [--size 32..1024] [--threads N] [--out FILE]\n");
        return 2;
    }
    FILE *f = path ? fopen(path, "w") : stdout;
    if (!f) {
        fprintf(stderr, "%s cannot be written\n", path);
        return 5;
    }
    const VslStatus st = run_all(f, size, vsl_threads_resolve((int)threads));
    if (st != VSL_OK) {
        fprintf(stderr, "%s\n", vsl_error());
    }
    const int closed = f == stdout ? fflush(f) : fclose(f);
    return st != VSL_OK || closed != 0;
}
