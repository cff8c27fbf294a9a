/* Host memory and FFTW (its only mention).
 *
 * A spectral filter runs in three rounds of independent tasks: 2D r2c of every k-plane; 1D transforms along k of one
 * row of modes, times the symbol, and back (the fused middle saves two passes over memory); 2D c2r of every plane. A
 * task runs one single-threaded plan on its own data, so the bits are the same for any number of threads. Plans are
 * made with FFTW_ESTIMATE under one lock: measured plans may differ from run to run (docs/maths/fft.md). */
#define _GNU_SOURCE /* the machine's memory */
#include <fftw3.h>
#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/backend_private.h"
#include "core/parallel.h"

static pthread_mutex_t planner_lock = PTHREAD_MUTEX_INITIALIZER;

static VslStatus cpu_alloc(VslBackend *be, float **out, int64_t count)
{
    (void)be;
    return VSL_NEW0(out, count, "field");
}

static void cpu_release(VslBackend *be, float *data)
{
    (void)be;
    vsl_free(data);
}

static VslStatus cpu_memory(VslBackend *be, int64_t *available, int64_t *total)
{
    (void)be;
    const int64_t budget = vsl_memory_budget(), held = vsl_memory_now();
    *total = budget > 0 ? budget : (int64_t)sysconf(_SC_PHYS_PAGES) * sysconf(_SC_PAGESIZE);
    *available = *total > held ? *total - held : 0;
    return VSL_OK;
}

static VslStatus cpu_copy_in(VslBackend *be, float *to, const float *from, int64_t count)
{
    (void)be;
    memcpy(to, from, (size_t)count * sizeof *to);
    return VSL_OK;
}

/* Element-wise loops go in chunks of this many values, whatever the number of threads. */
enum { CHUNK = 1 << 14 };

typedef struct Blas {
    float *y;
    const float *x;
    double a, b;
    int64_t count;
} Blas;

static int64_t chunk_end(int64_t item, int64_t count)
{
    return (item + 1) * CHUNK < count ? (item + 1) * CHUNK : count;
}

static void axpby_item(void *ctx, int64_t item, int worker)
{
    const Blas *s = ctx;
    (void)worker;
    const float a = (float)s->a, b = (float)s->b;
    const int64_t end = chunk_end(item, s->count);
    if (b == 0) { /* what y held, NaN perhaps, does not matter */
        for (int64_t i = item * CHUNK; i < end; i++) {
            s->y[i] = a * s->x[i];
        }
    } else {
        for (int64_t i = item * CHUNK; i < end; i++) {
            s->y[i] = a * s->x[i] + b * s->y[i];
        }
    }
}

static VslStatus cpu_axpby(VslBackend *be, float *y, double a, const float *x, double b, int64_t count)
{
    Blas s = {y, x, a, b, count};
    vsl_parallel_for((count + CHUNK - 1) / CHUNK, be->threads, axpby_item, &s);
    return VSL_OK;
}

static double dot_item(void *ctx, int64_t item, int worker)
{
    const Blas *s = ctx;
    (void)worker;
    double lanes[8] = {0}, sum = 0; /* fixed lanes: vector code and scalar code add in one order */
    const int64_t begin = item * CHUNK, end = chunk_end(item, s->count);
    int64_t i = begin;
    for (; i + 8 <= end; i += 8) {
        for (int k = 0; k < 8; k++) {
            lanes[k] += (double)s->x[i + k] * (double)s->y[i + k];
        }
    }
    for (; i < end; i++) {
        sum += (double)s->x[i] * (double)s->y[i];
    }
    for (int k = 0; k < 8; k++) {
        sum += lanes[k];
    }
    return sum;
}

static VslStatus cpu_dots(VslBackend *be, double *out, const VslField *const *x, const VslField *const *y, int count)
{
    VslStatus st = VSL_OK;
    double *partial = NULL;
    const int64_t values = vsl_field_count(x[0]), items = (values + CHUNK - 1) / CHUNK;
    VSL_TRY(VSL_NEW(&partial, items, "partial sums"));
    for (int q = 0; q < count; q++) {
        Blas s = {y[q]->data, x[q]->data, 0, 0, values}; /* only read */
        out[q] = vsl_parallel_sum(items, be->threads, dot_item, &s, partial);
    }
out:
    vsl_free(partial);
    return st;
}

typedef struct CpuFilter {
    fftwf_plan plane_forward, plane_backward; /* one k-plane, n[1] x n[0] */
    fftwf_plan row_forward, row_backward;     /* n[0]/2+1 columns along k of one row of modes, in place */
    fftwf_complex *spectrum;                  /* (channels, n[2], n[1], n[0]/2+1) */
} CpuFilter;

static int64_t modes_per_row(const VslFilter *f)
{
    return f->n[0] / 2 + 1;
}

static void cpu_filter_free(VslFilter *f)
{
    CpuFilter *s = f->state;
    if (s) {
        pthread_mutex_lock(&planner_lock);
        fftwf_plan plans[4] = {s->plane_forward, s->plane_backward, s->row_forward, s->row_backward};
        for (int i = 0; i < 4; i++) {
            if (plans[i]) {
                fftwf_destroy_plan(plans[i]);
            }
        }
        pthread_mutex_unlock(&planner_lock);
        vsl_free(s->spectrum);
        vsl_free(s);
        f->state = NULL;
    }
}

static VslStatus cpu_filter_new(VslFilter *f)
{
    VslStatus st = VSL_OK;
    CpuFilter *s = NULL;
    float *plane = NULL;
    const int n0 = (int)f->n[0], n1 = (int)f->n[1], n2 = (int)f->n[2], m0 = n0 / 2 + 1, stride = n1 * m0;
    VSL_TRY(VSL_NEW0(&s, 1, "transform plans"));
    f->state = s;
    VSL_TRY(VSL_NEW0(&s->spectrum, (int64_t)stride * n2 * f->channels, "spectrum"));
    VSL_TRY(VSL_NEW0(&plane, (int64_t)n0 * n1, "transform plane"));
    pthread_mutex_lock(&planner_lock);
    /* FFTW vectorizes better where every plane starts on 16 bytes. c2r may destroy its input, which is scratch. */
    const unsigned start = n0 * n1 % 4 == 0 && stride % 2 == 0 ? 0u : FFTW_UNALIGNED;
    s->plane_forward = fftwf_plan_dft_r2c_2d(n1, n0, plane, s->spectrum, FFTW_ESTIMATE | start);
    s->plane_backward = fftwf_plan_dft_c2r_2d(n1, n0, s->spectrum, plane, FFTW_ESTIMATE | start);
    s->row_forward = fftwf_plan_many_dft(1, &n2, m0, s->spectrum, NULL, stride, 1, s->spectrum, NULL, stride, 1,
                                         FFTW_FORWARD, FFTW_ESTIMATE | FFTW_UNALIGNED);
    s->row_backward = fftwf_plan_many_dft(1, &n2, m0, s->spectrum, NULL, stride, 1, s->spectrum, NULL, stride, 1,
                                          FFTW_BACKWARD, FFTW_ESTIMATE | FFTW_UNALIGNED);
    pthread_mutex_unlock(&planner_lock);
    VSL_CHECK(s->plane_forward && s->plane_backward && s->row_forward && s->row_backward, VSL_E_EXTERNAL,
              "FFTW cannot plan %dx%dx%d transforms", n0, n1, n2);
out:
    vsl_free(plane);
    if (st != VSL_OK) {
        cpu_filter_free(f);
    }
    return st;
}

typedef struct Pass {
    const VslFilter *f;
    const CpuFilter *s;
    float *out;
    const float *in;
    const float *symbol;
} Pass;

static void forward_plane(void *ctx, int64_t item, int worker)
{
    const Pass *p = ctx;
    (void)worker;
    const int64_t *n = p->f->n;
    fftwf_execute_dft_r2c(p->s->plane_forward,
                          (float *)(uintptr_t)(p->in + item * n[0] * n[1]), /* r2c keeps its input */
                          p->s->spectrum + item * n[1] * modes_per_row(p->f));
}

static void backward_plane(void *ctx, int64_t item, int worker)
{
    const Pass *p = ctx;
    (void)worker;
    const int64_t *n = p->f->n;
    fftwf_execute_dft_c2r(p->s->plane_backward, p->s->spectrum + item * n[1] * modes_per_row(p->f),
                          p->out + item * n[0] * n[1]);
}

/* item = channel * n[1] + row of modes */
static void filter_row(void *ctx, int64_t item, int worker)
{
    const Pass *p = ctx;
    (void)worker;
    const int64_t *n = p->f->n, m0 = modes_per_row(p->f), stride = n[1] * m0, row = item % n[1];
    fftwf_complex *z = p->s->spectrum + (item / n[1] * n[2] * n[1] + row) * m0;
    const float scale = 1.0f / (float)(n[0] * n[1] * n[2]);
    fftwf_execute_dft(p->s->row_forward, z, z);
    for (int64_t k = 0; k < n[2]; k++) {
        float *line = (float *)(z + k * stride);
        const float *symbol = p->symbol + (k * n[1] + row) * m0;
        for (int64_t i = 0; i < m0; i++) {
            const float w = symbol[i] * scale;
            line[2 * i] *= w;
            line[2 * i + 1] *= w;
        }
    }
    fftwf_execute_dft(p->s->row_backward, z, z);
}

static VslStatus cpu_filter_apply(VslFilter *f, float *out, const float *in, int channels, const float *symbol)
{
    Pass p = {f, f->state, out, in, symbol};
    vsl_parallel_for(f->n[2] * channels, f->be->threads, forward_plane, &p);
    vsl_parallel_for(f->n[1] * channels, f->be->threads, filter_row, &p);
    vsl_parallel_for(f->n[2] * channels, f->be->threads, backward_plane, &p);
    return VSL_OK;
}

static void forward_row(void *ctx, int64_t item, int worker)
{
    const Pass *p = ctx;
    (void)worker;
    const int64_t *n = p->f->n;
    fftwf_complex *z = p->s->spectrum + (item / n[1] * n[2] * n[1] + item % n[1]) * modes_per_row(p->f);
    fftwf_execute_dft(p->s->row_forward, z, z);
}

static void backward_row(void *ctx, int64_t item, int worker)
{
    const Pass *p = ctx;
    (void)worker;
    const int64_t *n = p->f->n;
    fftwf_complex *z = p->s->spectrum + (item / n[1] * n[2] * n[1] + item % n[1]) * modes_per_row(p->f);
    fftwf_execute_dft(p->s->row_backward, z, z);
}

/* Position of signed mode q of an axis with n samples, or -1 when it is at or beyond the Nyquist mode of `shared`. */
static int64_t mode_at(int64_t q, int64_t n, int64_t shared)
{
    return 2 * (q < 0 ? -q : q) >= shared ? -1 : (q < 0 ? q + n : q);
}

static VslStatus cpu_filter_resample(VslFilter *to, float *out, VslFilter *from, const float *in, int channels)
{
    Pass a = {from, from->state, NULL, in, NULL}, b = {to, to->state, out, NULL, NULL};
    const int64_t *n = from->n, *m = to->n, from_row = modes_per_row(from), to_row = modes_per_row(to);
    const float scale = 1.0f / (float)(n[0] * n[1] * n[2]);
    int64_t shared[3];
    for (int d = 0; d < 3; d++) {
        shared[d] = n[d] < m[d] ? n[d] : m[d];
    }
    vsl_parallel_for(n[2] * channels, from->be->threads, forward_plane, &a);
    vsl_parallel_for(n[1] * channels, from->be->threads, forward_row, &a);
    memset(b.s->spectrum, 0, (size_t)(channels * m[2] * m[1] * to_row) * sizeof *b.s->spectrum);
    for (int64_t c = 0; c < channels; c++) {
        for (int64_t k = -(shared[2] / 2); k <= shared[2] / 2; k++) {
            for (int64_t j = -(shared[1] / 2); j <= shared[1] / 2; j++) {
                const int64_t kf = mode_at(k, n[2], shared[2]), jf = mode_at(j, n[1], shared[1]);
                if (kf < 0 || jf < 0) {
                    continue;
                }
                const int64_t kt = mode_at(k, m[2], shared[2]), jt = mode_at(j, m[1], shared[1]);
                const float *src = (const float *)(a.s->spectrum + ((c * n[2] + kf) * n[1] + jf) * from_row);
                float *dst = (float *)(b.s->spectrum + ((c * m[2] + kt) * m[1] + jt) * to_row);
                for (int64_t i = 0; 2 * i < shared[0]; i++) {
                    dst[2 * i] = src[2 * i] * scale;
                    dst[2 * i + 1] = src[2 * i + 1] * scale;
                }
            }
        }
    }
    vsl_parallel_for(m[1] * channels, to->be->threads, backward_row, &b);
    vsl_parallel_for(m[2] * channels, to->be->threads, backward_plane, &b);
    return VSL_OK;
}

static void cpu_close(VslBackend *be)
{
    (void)be;
}

static const VslBackendTable cpu_table = {
    .is_host = 1,
    .alloc = cpu_alloc,
    .release = cpu_release,
    .memory = cpu_memory,
    .upload = cpu_copy_in,
    .download = cpu_copy_in,
    .copy = cpu_copy_in,
    .axpby = cpu_axpby,
    .dots = cpu_dots,
    .filter_new = cpu_filter_new,
    .filter_free = cpu_filter_free,
    .filter_apply = cpu_filter_apply,
    .filter_resample = cpu_filter_resample,
    .close = cpu_close,
};

VslStatus vsl_backend_open_cpu(VslBackend *be)
{
    be->table = &cpu_table;
    snprintf(be->name, sizeof be->name, "cpu");
    return VSL_OK;
}
