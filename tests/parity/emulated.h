/* A device on the host: the same kernel bodies and launchers as on CUDA, run as loops over blocks and threads, and a
 * backend whose memory the host may not touch outside a kernel, a copy or a transform. Such memory is made unreadable
 * in between, so that an algorithm that follows a device pointer ends with a fault here and not on somebody's GPU.
 * Transforms are plain discrete Fourier sums: an independent statement of what cuFFT is asked for. Launches between the
 * beginning and the end of a record are kept with a copy of their arguments and not run; whatever a capture of a CUDA
 * stream forbids spoils the record.
 * To be included once, by a test that defines _GNU_SOURCE (mmap of no file), before any device_*_private.h. */
#ifndef VSL_TESTS_PARITY_EMULATED_H
#define VSL_TESTS_PARITY_EMULATED_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "core/backend_private.h"

enum { EMULATED_BLOCK = 64, MOST_ALLOCATIONS = 4096, MOST_LAUNCHES = 4096 };

/* What a launch does, given its arguments, threads (or teams), steps and bytes of shared memory. */
typedef VslStatus EmulatedRun(void *args, int64_t threads, int64_t steps, int64_t bytes);
typedef struct EmulatedRecord {
    struct {
        EmulatedRun *run;
        void *args;
        int64_t threads, steps, bytes;
    } launches[MOST_LAUNCHES];
    int count;
} EmulatedRecord;

static struct {
    struct {
        float *data;
        size_t bytes; /* whole pages */
        int64_t count;
    } held[MOST_ALLOCATIONS];
    int count, depth;
    int64_t launches, waits, transforms; /* kernels; copies from and to the host; transforms of all components */
    int64_t bytes, peak;                 /* held now, and at most */
    int64_t total;                       /* what the device says it has */
    int64_t fail_after;                  /* the n-th allocation from now fails once; 0 = none does */
    int64_t replays, spoilt;             /* records run again; calls that a record forbids */
    int recording, never_record;
    struct EmulatedRecord *record; /* being made */
    int backwards;                 /* blocks and threads run from last to first: what depends on their order shows */
} emulated;

/* The device's memory is open between these two. */
static void emulated_protect(int rights)
{
    for (int i = 0; i < emulated.count; i++) {
        if (mprotect(emulated.held[i].data, emulated.held[i].bytes, rights) != 0) {
            perror("mprotect");
            abort();
        }
    }
}

static void emulated_enter(void)
{
    if (emulated.depth++ == 0) {
        emulated_protect(PROT_READ | PROT_WRITE);
    }
}

static void emulated_leave(void)
{
    if (--emulated.depth == 0) {
        emulated_protect(PROT_NONE);
    }
}

/* Runs it, or keeps it in the record that is being made. */
static VslStatus emulated_launch(EmulatedRun *run, void *args, size_t size, int64_t threads, int64_t steps,
                                 int64_t bytes)
{
    VslStatus st = VSL_OK;
    if (!emulated.recording) {
        emulated_enter();
        st = run(args, threads, steps, bytes);
        emulated_leave();
        return st;
    }
    EmulatedRecord *r = emulated.record;
    if (r->count == MOST_LAUNCHES) {
        abort();
    }
    char *copy = NULL;
    VSL_TRY(VSL_NEW(&copy, (int64_t)size, "arguments"));
    memcpy(copy, args, size);
    r->launches[r->count].run = run;
    r->launches[r->count].args = copy;
    r->launches[r->count].threads = threads;
    r->launches[r->count].steps = steps;
    r->launches[r->count++].bytes = bytes;
out:
    return st;
}

/* Called by what may not happen while a record is made. */
static VslStatus emulated_forbidden(void)
{
    if (emulated.recording) {
        emulated.spoilt++;
        return vsl_fail(VSL_E_DEVICE, __func__, "this may not be recorded");
    }
    return VSL_OK;
}

#define VSL_BODY static inline
#define VSL_KERNEL(body, Args)                                                                     \
    static VslStatus body##_run(void *args, int64_t threads, int64_t steps, int64_t bytes)         \
    {                                                                                              \
        const int64_t blocks = (threads + EMULATED_BLOCK - 1) / EMULATED_BLOCK;                    \
        (void)steps;                                                                               \
        (void)bytes;                                                                               \
        for (int64_t b = 0; b < blocks; b++) {                                                     \
            for (int64_t t = 0; t < EMULATED_BLOCK; t++) {                                         \
                const int64_t at = b * EMULATED_BLOCK + t;                                         \
                const int64_t thread = emulated.backwards ? blocks * EMULATED_BLOCK - 1 - at : at; \
                if (thread < threads) {                                                            \
                    body((const Args *)args, thread);                                              \
                }                                                                                  \
            }                                                                                      \
        }                                                                                          \
        return VSL_OK;                                                                             \
    }                                                                                              \
    static VslStatus body##_launch(VslBackend *be, Args args, int64_t threads)                     \
    {                                                                                              \
        (void)be;                                                                                  \
        emulated.launches++;                                                                       \
        return emulated_launch(body##_run, &args, sizeof args, threads, 0, 0);                     \
    }

/* Shared memory begins as NaN. */
#define VSL_TEAM_KERNEL(body, Args)                                                                        \
    static VslStatus body##_run(void *args, int64_t teams, int64_t steps, int64_t bytes)                   \
    {                                                                                                      \
        VslStatus st = VSL_OK;                                                                             \
        double *shared = NULL;                                                                             \
        VSL_TRY(VSL_NEW(&shared, bytes / (int64_t)sizeof *shared, "shared memory"));                       \
        for (int64_t q = 0; q < teams; q++) {                                                              \
            memset(shared, 0xff, (size_t)bytes);                                                           \
            for (int64_t phase = 0; phase < 2 * steps; phase++) {                                          \
                for (int t = 0; t < VSL_TEAM; t++) {                                                       \
                    body((const Args *)args, shared, emulated.backwards ? teams - 1 - q : q,               \
                         emulated.backwards ? VSL_TEAM - 1 - t : t, phase / 2, (int)(phase % 2));          \
                }                                                                                          \
            }                                                                                              \
        }                                                                                                  \
    out:                                                                                                   \
        vsl_free(shared);                                                                                  \
        return st;                                                                                         \
    }                                                                                                      \
    static VslStatus body##_launch(VslBackend *be, Args args, int64_t teams, int64_t steps, int64_t bytes) \
    {                                                                                                      \
        (void)be;                                                                                          \
        emulated.launches++;                                                                               \
        return emulated_launch(body##_run, &args, sizeof args, teams, steps, bytes);                       \
    }

VSL_BODY void vsl_device_add(int64_t *at, int64_t value)
{
    *at += value;
}

#include "core/device_private.h"

static VslStatus emulated_alloc(VslBackend *be, float **out, int64_t count)
{
    VslStatus st = VSL_OK;
    const size_t page = (size_t)sysconf(_SC_PAGESIZE), bytes = ((size_t)count * sizeof(float) + page - 1) / page * page;
    (void)be;
    VSL_TRY(emulated_forbidden());
    VSL_CHECK(emulated.count < MOST_ALLOCATIONS, VSL_E_NOMEM, "more than %d allocations", MOST_ALLOCATIONS);
    VSL_CHECK(emulated.fail_after == 0 || --emulated.fail_after > 0, VSL_E_NOMEM, "the emulated device is full");
    void *data = mmap(NULL, bytes, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    VSL_CHECK(data != MAP_FAILED, VSL_E_NOMEM, "%zu bytes", bytes);
    emulated.held[emulated.count].data = data;
    emulated.held[emulated.count].bytes = bytes;
    emulated.held[emulated.count].count = count;
    emulated.count++;
    emulated.bytes += count * (int64_t)sizeof(float);
    emulated.peak = emulated.bytes > emulated.peak ? emulated.bytes : emulated.peak;
    *out = data;
out:
    return st;
}

static void emulated_release(VslBackend *be, float *data)
{
    (void)be;
    (void)emulated_forbidden();
    for (int i = 0; i < emulated.count; i++) {
        if (emulated.held[i].data == data) {
            munmap(data, emulated.held[i].bytes);
            emulated.bytes -= emulated.held[i].count * (int64_t)sizeof(float);
            emulated.held[i] = emulated.held[--emulated.count];
            return;
        }
    }
    abort(); /* not ours, or freed twice */
}

static VslStatus emulated_memory(VslBackend *be, int64_t *available, int64_t *total)
{
    (void)be;
    *total = emulated.total;
    *available = emulated.total - emulated.bytes;
    return VSL_OK;
}

typedef struct EmulatedCopy {
    float *to;
    const float *from;
    int64_t count;
} EmulatedCopy;

static VslStatus emulated_copy_run(void *args, int64_t threads, int64_t steps, int64_t bytes)
{
    const EmulatedCopy *c = args;
    (void)threads;
    (void)steps;
    (void)bytes;
    memmove(c->to, c->from, (size_t)c->count * sizeof *c->to);
    return VSL_OK;
}

static VslStatus emulated_copy(VslBackend *be, float *to, const float *from, int64_t count)
{
    EmulatedCopy c = {to, from, count};
    (void)be;
    return emulated_launch(emulated_copy_run, &c, sizeof c, 0, 0, 0);
}

static VslStatus emulated_cross(VslBackend *be, float *to, const float *from, int64_t count)
{
    VslStatus st = VSL_OK;
    VSL_TRY(emulated_forbidden());
    emulated.waits++;
    VSL_TRY(emulated_copy(be, to, from, count));
out:
    return st;
}

typedef struct EmulatedFilter {
    VslSpectrum spectrum;
    float *z;    /* device: what the symbol's kernel sees */
    double *all; /* host: all modes of one channel, complex */
} EmulatedFilter;

static void emulated_filter_free(VslFilter *f)
{
    EmulatedFilter *s = f->state;
    emulated_release(f->be, s->z);
    vsl_free(s->all);
    vsl_free(s);
}

static VslStatus emulated_filter_new(VslFilter *f)
{
    VslStatus st = VSL_OK;
    EmulatedFilter *s = NULL;
    VSL_TRY(VSL_NEW0(&s, 1, "transform"));
    f->state = s;
    s->spectrum = vsl_spectrum(f->n);
    VSL_TRY(emulated_alloc(f->be, &s->z, 2 * s->spectrum.count * f->channels));
    VSL_TRY(VSL_NEW0(&s->all, 2 * f->n[0] * f->n[1] * f->n[2], "transform"));
out:
    return st;
}

/* One axis of complex values z, every line along it; sign -1 forward, +1 back, no factor. */
static void fourier_axis(double *z, const int64_t n[3], int d, int sign)
{
    const int64_t length = n[d], stride = d == 0 ? 1 : (d == 1 ? n[0] : n[0] * n[1]), count = n[0] * n[1] * n[2];
    double line[2 * 256], turn[2 * 256];
    if (length > 256) {
        abort(); /* tests are small */
    }
    for (int64_t q = 0; q < length; q++) {
        turn[2 * q] = cos(6.283185307179586477 * (double)q / (double)length);
        turn[2 * q + 1] = sign * sin(6.283185307179586477 * (double)q / (double)length);
    }
    for (int64_t at = 0; at < count; at++) {
        if (at / stride % length != 0) {
            continue;
        }
        double *x = z + 2 * at;
        for (int64_t k = 0; k < length; k++) {
            double re = 0, im = 0;
            for (int64_t i = 0, t = 0; i < length; i++, t = t + k < length ? t + k : t + k - length) {
                const double a = x[2 * i * stride], b = x[2 * i * stride + 1], c = turn[2 * t], s = turn[2 * t + 1];
                re += a * c - b * s;
                im += a * s + b * c;
            }
            line[2 * k] = re;
            line[2 * k + 1] = im;
        }
        for (int64_t k = 0; k < length; k++) {
            x[2 * k * stride] = line[2 * k];
            x[2 * k * stride + 1] = line[2 * k + 1];
        }
    }
}

/* Where the mode with wave (i, j, k) stands in the half spectrum, or -1 for one that only its mirror image shows. */
static int64_t half_index(const VslSpectrum *s, const int64_t at[3])
{
    return at[s->half] >= s->modes[s->half] ? -1 : (at[2] * s->modes[1] + at[1]) * s->modes[0] + at[0];
}

typedef struct EmulatedTransform {
    VslFilter *f;
    float *real;
    int channels, back;
} EmulatedTransform;

static VslStatus emulated_transform_run(void *args, int64_t threads, int64_t steps, int64_t bytes)
{
    const EmulatedTransform *t = args;
    const EmulatedFilter *s = t->f->state;
    const int channels = t->channels, back = t->back;
    const int64_t *n = t->f->n, count = n[0] * n[1] * n[2];
    float *real = t->real;
    (void)threads;
    (void)steps;
    (void)bytes;
    for (int c = 0; c < channels; c++) {
        float *z = s->z + 2 * c * s->spectrum.count, *x = real + c * count;
        for (int64_t q = 0; q < count; q++) {
            const int64_t at[3] = {q % n[0], q / n[0] % n[1], q / (n[0] * n[1])};
            const int64_t mirror[3] = {(n[0] - at[0]) % n[0], (n[1] - at[1]) % n[1], (n[2] - at[2]) % n[2]};
            const int64_t here = half_index(&s->spectrum, at), there = half_index(&s->spectrum, mirror);
            if (!back) {
                s->all[2 * q] = (double)x[q];
                s->all[2 * q + 1] = 0;
            } else {
                s->all[2 * q] = (double)z[2 * (here >= 0 ? here : there)];
                s->all[2 * q + 1] = here >= 0 ? (double)z[2 * here + 1] : -(double)z[2 * there + 1];
            }
        }
        for (int d = 0; d < 3; d++) {
            fourier_axis(s->all, n, d, back ? 1 : -1);
        }
        for (int64_t q = 0; q < count; q++) {
            const int64_t at[3] = {q % n[0], q / n[0] % n[1], q / (n[0] * n[1])};
            const int64_t here = half_index(&s->spectrum, at);
            if (back) {
                x[q] = (float)s->all[2 * q];
            } else if (here >= 0) {
                z[2 * here] = (float)s->all[2 * q];
                z[2 * here + 1] = (float)s->all[2 * q + 1];
            }
        }
    }
    return VSL_OK;
}

static VslStatus emulated_transform(VslFilter *f, float *real, int channels, int back)
{
    EmulatedTransform t = {f, real, channels, back};
    emulated.transforms++;
    return emulated_launch(emulated_transform_run, &t, sizeof t, 0, 0, 0);
}

static VslStatus emulated_filter_apply(VslFilter *f, float *out, const float *in, int channels, const float *symbol)
{
    VslStatus st = VSL_OK;
    const EmulatedFilter *s = f->state;
    VSL_TRY(emulated_transform(f, (float *)(uintptr_t)in, channels, 0));
    VSL_TRY(vsl_device_symbol(f->be, s->z, symbol, &s->spectrum, channels));
    VSL_TRY(emulated_transform(f, out, channels, 1));
out:
    return st;
}

static VslStatus emulated_filter_resample(VslFilter *to, float *out, VslFilter *from, const float *in, int channels)
{
    VslStatus st = VSL_OK;
    const EmulatedFilter *t = to->state, *f = from->state;
    VSL_TRY(emulated_transform(from, (float *)(uintptr_t)in, channels, 0));
    VSL_TRY(vsl_device_resample(to->be, t->z, &t->spectrum, f->z, &f->spectrum, channels));
    VSL_TRY(emulated_transform(to, out, channels, 1));
out:
    return st;
}

static VslStatus emulated_record_begin(VslBackend *be)
{
    VslStatus st = VSL_OK;
    (void)be;
    VSL_CHECK(!emulated.never_record, VSL_E_DEVICE, "the emulated device records nothing");
    VSL_TRY(VSL_NEW0(&emulated.record, 1, "record"));
    emulated.recording = 1;
    emulated.spoilt = 0;
out:
    return st;
}

static void emulated_record_free(VslBackend *be, void *launches)
{
    EmulatedRecord *r = launches;
    (void)be;
    for (int i = 0; i < r->count; i++) {
        vsl_free(r->launches[i].args);
    }
    vsl_free(r);
}

static VslStatus emulated_record_end(VslBackend *be, void **launches)
{
    VslStatus st = VSL_OK;
    emulated.recording = 0;
    if (emulated.spoilt) {
        emulated_record_free(be, emulated.record);
        VSL_CHECK(0, VSL_E_DEVICE, "the record was spoilt");
    }
    *launches = emulated.record;
out:
    emulated.record = NULL;
    return st;
}

static VslStatus emulated_replay(VslBackend *be, void *launches)
{
    VslStatus st = VSL_OK;
    EmulatedRecord *r = launches;
    (void)be;
    VSL_TRY(emulated_forbidden());
    emulated.replays++;
    for (int i = 0; i < r->count; i++) {
        VSL_TRY(emulated_launch(r->launches[i].run, r->launches[i].args, 0, r->launches[i].threads,
                                r->launches[i].steps, r->launches[i].bytes));
    }
out:
    return st;
}

static void emulated_close(VslBackend *be)
{
    (void)be;
}

static const VslBackendTable emulated_table = {
    .is_host = 0,
    .alloc = emulated_alloc,
    .release = emulated_release,
    .memory = emulated_memory,
    .upload = emulated_cross,
    .download = emulated_cross,
    .copy = emulated_copy,
    .axpby = vsl_device_axpby,
    .dots = vsl_device_dots,
    .filter_new = emulated_filter_new,
    .filter_free = emulated_filter_free,
    .filter_apply = emulated_filter_apply,
    .filter_resample = emulated_filter_resample,
    .close = emulated_close,
    .record_begin = emulated_record_begin,
    .record_end = emulated_record_end,
    .replay = emulated_replay,
    .record_free = emulated_record_free,
};

static VslStatus emulated_open(VslBackend **out, int threads)
{
    VslStatus st = VSL_OK;
    VSL_TRY(VSL_NEW0(out, 1, "backend"));
    (*out)->table = &emulated_table;
    (*out)->threads = threads;
    emulated.total = (int64_t)1 << 40;
    snprintf((*out)->name, sizeof(*out)->name, "emulated");
out:
    return st;
}

#endif
