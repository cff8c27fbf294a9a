/* Opening by name and the calls that forward to a backend's table. */
#include "core/backend.h"

#include <assert.h>
#include <stdio.h>
#include <string.h>

#include "core/backend_private.h"
#include "core/log.h"
#include "core/parallel.h"
#include "core/text.h"

VslStatus vsl_backend_open(VslBackend **out, const char *name, int threads)
{
    VslStatus st = VSL_OK;
    VslBackend *be = NULL;
    double device = 0;
    const int wants_cuda = strncmp(name, "cuda", 4) == 0;
    VSL_CHECK(strcmp(name, "auto") == 0 || strcmp(name, "cpu") == 0 || strcmp(name, "cuda") == 0 ||
                  (strncmp(name, "cuda:", 5) == 0 && vsl_text_to_double(name + 5, &device) && device >= 0 &&
                   device < 1024 && device == (double)(int)device),
              VSL_E_ARG, "device '%s' is unknown, expected auto, cpu, cuda or cuda:N", name);
    VSL_TRY(VSL_NEW0(&be, 1, "backend"));
    be->threads = vsl_threads_resolve(threads);
    int is_open = 0;
    if (wants_cuda) {
        VSL_TRY(vsl_backend_open_cuda(be, (int)device));
        is_open = 1;
    } else if (strcmp(name, "auto") == 0 &&
               vsl_backend_count_cuda() > 0) { /* a device that is busy is no reason to stop */
        is_open = vsl_backend_open_cuda(be, 0) == VSL_OK;
        if (!is_open) {
            vsl_log(VSL_LOG_WARNING, "the processor computes, for the device cannot: %s", vsl_error());
        }
    }
    if (!is_open) {
        VSL_TRY(vsl_backend_open_cpu(be));
    }
    *out = be;
    be = NULL;
out:
    vsl_free(be);
    return st;
}

void vsl_backend_close(VslBackend **be)
{
    if (*be) {
        if ((*be)->scratch) {
            (*be)->table->release(*be, (*be)->scratch);
        }
        (*be)->table->close(*be);
        vsl_free(*be);
        *be = NULL;
    }
}

const char *vsl_backend_name(const VslBackend *be)
{
    return be->name;
}

int vsl_backend_threads(const VslBackend *be)
{
    return be->threads;
}

int vsl_backend_is_host(const VslBackend *be)
{
    return be->table->is_host;
}

VslStatus vsl_backend_memory(int64_t *available, int64_t *total, VslBackend *be)
{
    return be->table->memory(be, available, total);
}

VslStatus vsl_backend_scratch(float **out, VslBackend *be, int64_t count)
{
    VslStatus st = VSL_OK;
    if (count > be->scratch_count) {
        if (be->scratch) {
            be->table->release(be, be->scratch);
            be->scratch = NULL;
            be->scratch_count = 0;
        }
        be->moves++;
        VSL_TRY(be->table->alloc(be, &be->scratch, count));
        be->scratch_count = count;
    }
    *out = be->scratch;
out:
    return st;
}

int64_t vsl_field_count(const VslField *f)
{
    return f->n[0] * f->n[1] * f->n[2] * f->channels;
}

VslStatus vsl_field_new(VslField *out, VslBackend *be, const int64_t n[3], int channels)
{
    VslStatus st = VSL_OK;
    VslField f = {be, {n[0], n[1], n[2]}, channels, NULL};
    int64_t count = channels;
    VSL_CHECK(vsl_mul_ok(count, n[0], &count) && vsl_mul_ok(count, n[1], &count) && vsl_mul_ok(count, n[2], &count) &&
                  count > 0,
              VSL_E_ARG, "a field of %lldx%lldx%lldx%d values cannot be made", (long long)n[0], (long long)n[1],
              (long long)n[2], channels);
    VSL_TRY(be->table->alloc(be, &f.data, count));
    *out = f;
out:
    return st;
}

void vsl_field_free(VslField *f)
{
    if (f->data) {
        f->be->table->release(f->be, f->data);
    }
    *f = (VslField){0};
}

VslStatus vsl_field_upload(VslField *f, const float *host, int64_t count)
{
    assert(count == vsl_field_count(f));
    return f->be->table->upload(f->be, f->data, host, count);
}

VslStatus vsl_field_download(float *host, const VslField *f, int64_t count)
{
    assert(count == vsl_field_count(f));
    return f->be->table->download(f->be, host, f->data, count);
}

VslStatus vsl_field_copy(VslField *y, const VslField *x)
{
    assert(vsl_field_count(y) == vsl_field_count(x) && y->be == x->be);
    return y->be->table->copy(y->be, y->data, x->data, vsl_field_count(x));
}

VslStatus vsl_field_axpby(VslField *y, double a, const VslField *x, double b)
{
    assert(vsl_field_count(y) == vsl_field_count(x) && y->be == x->be);
    return y->be->table->axpby(y->be, y->data, a, x->data, b, vsl_field_count(x));
}

VslStatus vsl_field_dot(double *out, const VslField *x, const VslField *y)
{
    return vsl_field_dots(out, &x, &y, 1);
}

VslStatus vsl_field_dots(double *out, const VslField *const *x, const VslField *const *y, int count)
{
    for (int q = 0; q < count; q++) {
        assert(vsl_field_count(x[q]) == vsl_field_count(x[0]) && vsl_field_count(y[q]) == vsl_field_count(x[0]));
        assert(x[q]->be == x[0]->be && y[q]->be == x[0]->be);
    }
    return count > 0 ? x[0]->be->table->dots(x[0]->be, out, x, y, count) : VSL_OK;
}

struct VslRecord {
    VslBackend *be;
    void *launches; /* the backend's own */
    int calls;
    int64_t moves; /* the backend's, when it was made */
};

static void forget(VslRecord *r)
{
    if (r->launches) {
        r->be->table->record_free(r->be, r->launches);
        r->launches = NULL;
    }
}

/* Keeps what `work` launches instead of running it. */
static VslStatus keep(VslRecord *r, VslWork *work, void *ctx)
{
    VslBackend *be = r->be;
    VslStatus st = be->table->record_begin(be);
    if (st == VSL_OK) {
        const VslStatus done = work(ctx), ended = be->table->record_end(be, &r->launches); /* ends it in any case */
        st = done != VSL_OK ? done : ended;
    }
    if (st != VSL_OK) {
        forget(r);
        vsl_log(VSL_LOG_INFO, "launches are made one by one, for they cannot be recorded: %s", vsl_error());
    }
    return st;
}

VslStatus vsl_record_run(VslRecord **record, VslBackend *be, VslWork *work, void *ctx)
{
    VslStatus st = VSL_OK;
    VslRecord *r = *record;
    if (!be->table->record_begin) {
        return work(ctx);
    }
    if (!r) {
        VSL_TRY(VSL_NEW0(record, 1, "record"));
        r = *record;
        r->be = be;
    }
    if (r->moves != be->moves) {
        forget(r);
        r->calls = 0;
        r->moves = be->moves;
    }
    /* the first call is an ordinary one: it lets the device load its code, which it may not do while recording */
    if (++r->calls == 2) {
        (void)keep(r, work, ctx);
    }
    st = r->launches ? be->table->replay(be, r->launches) : work(ctx);
out:
    return st;
}

void vsl_record_free(VslRecord **record)
{
    if (*record) {
        forget(*record);
        vsl_free(*record);
        *record = NULL;
    }
}

VslStatus vsl_filter_new(VslFilter **out, VslBackend *be, const int64_t n[3], int channels)
{
    VslStatus st = VSL_OK;
    VslFilter *f = NULL;
    VSL_TRY(VSL_NEW0(&f, 1, "spectral filter"));
    *f = (VslFilter){be, {n[0], n[1], n[2]}, channels, NULL};
    VSL_TRY(be->table->filter_new(f));
    *out = f;
    f = NULL;
out:
    vsl_free(f);
    return st;
}

void vsl_filter_free(VslFilter **f)
{
    if (*f) {
        (*f)->be->table->filter_free(*f);
        vsl_free(*f);
        *f = NULL;
    }
}

VslStatus vsl_filter_apply(VslFilter *f, VslField *out, const VslField *in, const VslField *symbol)
{
    assert(in->channels <= f->channels && vsl_field_count(out) == vsl_field_count(in));
    return f->be->table->filter_apply(f, out->data, in->data, in->channels, symbol->data);
}

VslStatus vsl_filter_resample(VslFilter *to, VslField *out, VslFilter *from, const VslField *in)
{
    assert(in->channels <= from->channels && in->channels <= to->channels && out->channels == in->channels);
    return to->be->table->filter_resample(to, out->data, from, in->data, in->channels);
}

int64_t vsl_fft_length(int64_t n)
{
    for (int64_t m = n < 2 ? 2 : n + n % 2;; m += 2) {
        int64_t rest = m;
        for (int p = 2; p <= 5; p++) {
            while (rest % p == 0) {
                rest /= p;
            }
        }
        if (rest == 1) {
            return m;
        }
    }
}
