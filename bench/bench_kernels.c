/* bench_kernels [--size N] [--threads N] [--device NAME] [--out FILE]: every kernel of a registration is checked, then
 * timed, beside the memory bandwidth that a triad reaches in the same run (on a device: a copy). Writes a table with
 * tabs to FILE or to stdout. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "bench/kernel_cases.h"
#include "core/parallel.h"

enum { MOST_RUNS = 200, DEVICE_RUNS = 20, TRIAD_ITEMS = 512, TRIAD_FLOATS = 1 << 17, COPY_RUNS = 20 };

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

/* Runs `times` times and waits until all is computed. */
static VslStatus run_times(VslStatus (*run)(Setup *s), Setup *s, int times)
{
    VslStatus st = VSL_OK;
    float value;
    for (int i = 0; i < times; i++) {
        VSL_TRY(run(s));
    }
    VSL_TRY(vsl_field_download(&value, &s->tick, 1));
out:
    return st;
}

/* Median seconds of a run: at least 7 samples and a quarter of a second of them. A device is asked for several runs at
 * a time, so that waiting for it does not count. */
static VslStatus median_seconds(double *out, VslStatus (*run)(Setup *s), Setup *s)
{
    VslStatus st = VSL_OK;
    double seconds[MOST_RUNS], sum = 0;
    int runs = 0;
    const int times = vsl_backend_is_host(s->tick.be) ? 1 : DEVICE_RUNS;
    VSL_TRY(run_times(run, s, times));
    while (runs < MOST_RUNS && (runs < 7 || sum < 0.25)) {
        const double start = now();
        VSL_TRY(run_times(run, s, times));
        seconds[runs] = (now() - start) / times;
        sum += seconds[runs++] * times;
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

/* Bytes per second, read and written, of copying 256 MiB on a device. Best of ten. */
static VslStatus measure_copy(double *out, VslBackend *be)
{
    VslStatus st = VSL_OK;
    VslField x = {0}, y = {0}, tick = {0};
    const int64_t n[3] = {TRIAD_FLOATS, TRIAD_ITEMS, 1};
    float value;
    double best = 0;
    VSL_TRY(vsl_field_new(&x, be, n, 1));
    VSL_TRY(vsl_field_new(&y, be, n, 1));
    VSL_TRY(vsl_field_new(&tick, be, (int64_t[3]){1, 1, 1}, 1));
    for (int run = 0; run < 10; run++) {
        VSL_TRY(vsl_field_download(&value, &tick, 1));
        const double start = now();
        for (int i = 0; i < COPY_RUNS; i++) {
            VSL_TRY(vsl_field_copy(&y, &x));
        }
        VSL_TRY(vsl_field_download(&value, &tick, 1));
        const double rate = COPY_RUNS * 8.0 * (double)vsl_field_count(&x) / (now() - start);
        best = rate > best ? rate : best;
    }
    *out = best;
out:
    vsl_field_free(&x);
    vsl_field_free(&y);
    vsl_field_free(&tick);
    return st;
}

static VslStatus run_all(FILE *f, int64_t size, const char *device, int threads)
{
    VslStatus st = VSL_OK;
    VslBackend *be = NULL;
    Setup s = {0};
    const int64_t n[3] = {size, size, size};
    double bandwidth = 0;
    VSL_TRY(vsl_backend_open(&be, device, threads));
    const int is_host = vsl_backend_is_host(be);
    VSL_TRY(is_host ? measure_bandwidth(&bandwidth, threads) : measure_copy(&bandwidth, be));
    VSL_TRY(setup_new(&s, be, n));
    const double bytes = (is_host ? 12.0 : 8.0) * TRIAD_ITEMS * TRIAD_FLOATS;
    fprintf(f, "kernel\tgrid\tms\tMvoxel/s\tGB/s\tshare of bandwidth\n");
    fprintf(f, "%s\t%.2f\t%.0f\t%.1f\t100 %%\n", is_host ? "triad\t3 x 256 MiB" : "copy\t2 x 256 MiB",
            1e3 * bytes / bandwidth, 1e-6 * bandwidth / (is_host ? 12 : 8), 1e-9 * bandwidth);
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
    const char *path = NULL, *device = "cpu";
    for (int i = 1; i < argc; i += 2) {
        const char *value = i + 1 < argc ? argv[i + 1] : "";
        if (strcmp(argv[i], "--size") == 0) {
            size = strtol(value, NULL, 10);
        } else if (strcmp(argv[i], "--threads") == 0) {
            threads = strtol(value, NULL, 10);
        } else if (strcmp(argv[i], "--device") == 0) {
            device = value;
        } else if (strcmp(argv[i], "--out") == 0) {
            path = value;
        } else {
            size = 0;
        }
    }
    if (size < 32 || size > 1024 || threads < 0 || threads > 1024) {
        fprintf(stderr, "bench_kernels [--size 32..1024] [--threads N] [--device NAME] [--out FILE]\n");
        return 2;
    }
    FILE *f = path ? fopen(path, "w") : stdout;
    if (!f) {
        fprintf(stderr, "%s cannot be written\n", path);
        return 5;
    }
    const VslStatus st = run_all(f, size, device, vsl_threads_resolve((int)threads));
    if (st != VSL_OK) {
        fprintf(stderr, "%s\n", vsl_error());
    }
    const int closed = f == stdout ? fflush(f) : fclose(f);
    return st != VSL_OK || closed != 0;
}
