/* Runtimes, scopes and the way of tensors in and out. */
#include "nn/torch_private.h"

#include <ATen/Parallel.h>
#include <torch/version.h>

#include <cmath>
#include <cstdarg>
#include <cstdlib>
#include <cstring>
#include <new>

#include "core/memory.h"
#include "core/parallel.h"
#include "nn/draw.h"

using vsl::effect;
using vsl::extents;
using vsl::Failure;
using vsl::guarded;
using vsl::run;

namespace vsl
{

Failure::Failure(VslStatus c, const char *fmt, ...) : code(c)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(sentence, sizeof sentence, fmt, args);
    va_end(args);
}

static VslStatus code_of(const char *text) noexcept
{
    if (strstr(text, "not enough memory") || strstr(text, "out of memory")) {
        return VSL_E_NOMEM;
    }
    return strstr(text, "CUDA") || strstr(text, "cuDNN") || strstr(text, "NCCL") ? VSL_E_DEVICE : VSL_E_ARG;
}

VslStatus caught(char *sentence, size_t size) noexcept
{
    try {
        throw;
    } catch (const Failure &e) {
        snprintf(sentence, size, "%s", e.what());
        return e.code;
    } catch (const c10::Error &e) { /* its first line says what; the rest is a backtrace */
        const char *text = e.what_without_backtrace();
        snprintf(sentence, size, "%.*s", (int)strcspn(text, "\n"), text);
        return code_of(text);
    } catch (const std::bad_alloc &) {
        snprintf(sentence, size, "memory ran out");
        return VSL_E_NOMEM;
    } catch (const std::exception &e) {
        snprintf(sentence, size, "%.*s", (int)strcspn(e.what(), "\n"), e.what());
        return code_of(e.what());
    } catch (...) {
        snprintf(sentence, size, "LibTorch failed without saying why");
        return VSL_E_EXTERNAL;
    }
}

void check_args(Args args)
{
    int place = 0;
    for (const NnTensor *a : args) {
        place++;
        if (!a) {
            throw Failure(VSL_E_ARG, "tensor argument %d is missing", place);
        }
        if (a->is_poison || !a->t.defined()) {
            throw Failure(VSL_E_ARG, "tensor argument %d comes from a scope that failed", place);
        }
    }
}

at::IntArrayRef extents(const NnShape &shape)
{
    if (shape.rank < 0 || shape.rank > NN_MAX_RANK) {
        throw Failure(VSL_E_ARG, "a shape of rank %d, expected 0 to %d", shape.rank, (int)NN_MAX_RANK);
    }
    return at::IntArrayRef(shape.n, (size_t)shape.rank);
}

NnShape shape_of(const at::Tensor &t)
{
    NnShape out = {0, {0}};
    if (t.defined()) {
        out.rank = (int)t.dim() < NN_MAX_RANK ? (int)t.dim() : NN_MAX_RANK;
        for (int i = 0; i < out.rank; i++) {
            out.n[i] = t.size(i);
        }
    }
    return out;
}

} // namespace vsl

/* --- scopes ----------------------------------------------------------------------------------------------------- */

void NnScope::take_failure(const NnScope &from)
{
    if (status == VSL_OK && from.status != VSL_OK) {
        status = from.status;
        memcpy(where, from.where, sizeof where);
        memcpy(sentence, from.sentence, sizeof sentence);
    }
}

NnTensor *NnScope::fail(VslStatus code, const char *op, vsl::Args args, const char *text) noexcept
{
    if (status != VSL_OK) {
        return &poison;
    }
    status = code;
    snprintf(sentence, sizeof sentence, "%s", text);
    size_t at = (size_t)snprintf(where, sizeof where, "%.200s", op);
    for (const NnTensor *a : args) {
        const NnShape n = a ? vsl::shape_of(a->t) : NnShape{0, {0}};
        char shape[160];
        size_t end = (size_t)snprintf(shape, sizeof shape, " (");
        for (int i = 0; i < n.rank; i++) {
            end += (size_t)snprintf(shape + end, sizeof shape - end, "%s%lld", i ? "," : "", (long long)n.n[i]);
        }
        snprintf(shape + end, sizeof shape - end, ")");
        if (at + strlen(shape) < sizeof where) {
            at += (size_t)snprintf(where + at, sizeof where - at, "%s", shape);
        }
    }
    return &poison;
}

NnTensor *NnScope::fail_caught(const char *op, vsl::Args args) noexcept
{
    char text[768];
    const VslStatus st = vsl::caught(text, sizeof text);
    return fail(st, op, args, text);
}

/* What nn_scope_open gives when there is no memory for a scope: one a thread, never freed. */
static NnScope *no_scope()
{
    static thread_local NnScope none;
    none.poison.is_poison = true;
    none.status = VSL_E_NOMEM;
    snprintf(none.where, sizeof none.where, "nn_scope_open");
    snprintf(none.sentence, sizeof none.sentence, "memory ran out");
    return &none;
}

static NnScope *new_scope()
{
    NnScope *s = new (std::nothrow) NnScope;
    if (!s) {
        return no_scope();
    }
    s->poison.is_poison = true;
    return s;
}

extern "C" NnScope *nn_scope_open(NnRuntime *rt, NnMode mode)
{
    NnScope *s = new_scope();
    s->rt = rt;
    s->is_training = mode == NN_TRAIN;
    if (!rt) {
        s->fail(VSL_E_ARG, "nn_scope_open", {}, "there is no runtime");
    }
    return s;
}

extern "C" NnScope *nn_scope_child(NnScope *parent)
{
    NnScope *s = new_scope();
    s->parent = parent;
    s->inherit(*parent);
    return s;
}

static void end_scope(NnScope **s)
{
    if (*s != no_scope()) {
        delete *s;
    }
    *s = nullptr;
}

extern "C" void nn_scope_join(NnScope **child)
{
    if (!child || !*child) {
        return;
    }
    if ((*child)->parent) {
        (*child)->parent->take_failure(**child);
    }
    end_scope(child);
}

extern "C" VslStatus nn_scope_close(NnScope **s)
{
    if (!s || !*s) {
        return VSL_OK;
    }
    const VslStatus st = nn_scope_status(*s);
    end_scope(s);
    return st;
}

extern "C" VslStatus nn_scope_status(const NnScope *s)
{
    return s->status == VSL_OK ? VSL_OK : vsl_fail(s->status, "network", "%s: %s", s->where, s->sentence);
}

extern "C" NnTensor *nn_refuse(NnScope *s, VslStatus code, const char *op, const char *fmt, ...)
{
    char text[512];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    return s->fail(code, op, {}, text);
}

extern "C" NnTensor *nn_keep(NnScope *child, NnTensor *t)
{
    if (!child->parent) {
        return child->fail(VSL_E_ARG, "nn_keep", {t}, "this scope has no parent");
    }
    if (child->status != VSL_OK) {
        return &child->parent->poison;
    }
    return run(child->parent, "nn_keep", {t}, [&] { return at::Tensor(t->t); });
}

/* --- runtime ---------------------------------------------------------------------------------------------------- */

static at::Device device_named(const char *device)
{
    const bool is_auto = !device || strcmp(device, "auto") == 0;
    if (device && strcmp(device, "cpu") == 0) {
        return at::kCPU;
    }
    if (is_auto) {
        return at::hasCUDA() ? at::Device(at::kCUDA, 0) : at::Device(at::kCPU);
    }
    if (strncmp(device, "cuda", 4) != 0 || (device[4] && device[4] != ':')) {
        throw Failure(VSL_E_ARG, "device '%s' is none of auto, cpu, cuda, cuda:N", device);
    }
    char *end = nullptr;
    const long index = device[4] ? strtol(device + 5, &end, 10) : 0;
    if (device[4] && (end == device + 5 || *end || index < 0 || index > 127)) {
        throw Failure(VSL_E_ARG, "device '%s' is none of auto, cpu, cuda, cuda:N", device);
    }
    if (!at::hasCUDA()) {
        throw Failure(VSL_E_DEVICE, "device '%s': this LibTorch has no CUDA, or the machine no such device", device);
    }
    return at::Device(at::kCUDA, (c10::DeviceIndex)index);
}

extern "C" VslStatus nn_runtime_open(NnRuntime **out, const char *device, NnPrecision precision, int threads)
{
    NnRuntime *rt = nullptr;
    const VslStatus st = guarded("nn_runtime_open", [&] {
        vsl::install_allocator();
        rt = new NnRuntime;
        rt->device = device_named(device);
        rt->precision = precision;
        rt->type = precision == NN_FLOAT64 ? at::kDouble : at::kFloat;
        at::set_num_threads(vsl_threads_resolve(threads));
        vsl::prepare_device(rt);
        rt->name = std::string("LibTorch ") + TORCH_VERSION + ", " + rt->device.str() + ", " +
                   std::to_string(at::get_num_threads()) + (at::get_num_threads() == 1 ? " thread" : " threads");
        vsl::watch_memory(rt);
    });
    if (st != VSL_OK) {
        delete rt;
        return st;
    }
    *out = rt;
    return VSL_OK;
}

extern "C" void nn_runtime_close(NnRuntime **rt)
{
    if (rt && *rt) {
        vsl::unwatch_memory(*rt);
        delete *rt;
        *rt = nullptr;
    }
}

extern "C" const char *nn_runtime_name(const NnRuntime *rt)
{
    return rt->name.c_str();
}

extern "C" NnMemory nn_memory(const NnRuntime *rt)
{
    return rt->device.is_cpu() ? vsl::host_memory(rt) : vsl::device_memory(rt);
}

/* --- in and out ------------------------------------------------------------------------------------------------- */

extern "C" NnShape nn_shape(const NnTensor *t)
{
    return t ? vsl::shape_of(t->t) : NnShape{0, {0}};
}

extern "C" NnShape nn_dims(int rank, const int64_t *n)
{
    NnShape out = {rank, {0}};
    for (int i = 0; i < rank && i < NN_MAX_RANK; i++) {
        out.n[i] = n[i];
    }
    return out;
}

/* A host tensor of this type for C code to fill, before it goes to the device. */
static at::Tensor host_tensor(const NnShape &shape, at::ScalarType type)
{
    for (int i = 0; i < shape.rank && i < NN_MAX_RANK; i++) {
        if (shape.n[i] < 0) {
            throw Failure(VSL_E_ARG, "extent %d of a new tensor is %lld", i, (long long)shape.n[i]);
        }
    }
    return at::empty(extents(shape), at::TensorOptions().dtype(type));
}

extern "C" NnTensor *nn_from_floats(NnScope *s, const float *values, NnShape shape)
{
    return run(s, "nn_from_floats", {}, [&] {
        at::Tensor t = host_tensor(shape, at::kFloat);
        memcpy(t.data_ptr(), values, (size_t)t.numel() * sizeof *values);
        return t.to(s->rt->device, s->rt->type);
    });
}

extern "C" NnTensor *nn_from_int64(NnScope *s, const int64_t *values, NnShape shape)
{
    return run(s, "nn_from_int64", {}, [&] {
        at::Tensor t = host_tensor(shape, at::kLong);
        memcpy(t.data_ptr(), values, (size_t)t.numel() * sizeof *values);
        return t.to(s->rt->device);
    });
}

static void copy_out(NnScope *s, void *values, at::ScalarType type, size_t size, int64_t count, const NnTensor *t)
{
    effect(s, "copy out", {t}, [&] {
        if (t->t.numel() != count) {
            throw Failure(VSL_E_ARG, "the tensor has %lld numbers, the caller expects %lld", (long long)t->t.numel(),
                          (long long)count);
        }
        const at::Tensor host = t->t.to(at::kCPU, type).contiguous();
        memcpy(values, host.data_ptr(), (size_t)count * size);
    });
}

extern "C" void nn_to_floats(NnScope *s, float *values, int64_t count, const NnTensor *t)
{
    copy_out(s, values, at::kFloat, sizeof *values, count, t);
}

extern "C" void nn_to_doubles(NnScope *s, double *values, int64_t count, const NnTensor *t)
{
    copy_out(s, values, at::kDouble, sizeof *values, count, t);
}

extern "C" void nn_to_int64(NnScope *s, int64_t *values, int64_t count, const NnTensor *t)
{
    copy_out(s, values, at::kLong, sizeof *values, count, t);
}

extern "C" double nn_item(NnScope *s, const NnTensor *t)
{
    double value = NAN;
    copy_out(s, &value, at::kDouble, sizeof value, 1, t);
    return value;
}

extern "C" NnTensor *nn_full(NnScope *s, NnShape shape, double value)
{
    return run(s, "nn_full", {}, [&] {
        return at::full(extents(shape), value, at::TensorOptions().dtype(s->rt->type).device(s->rt->device));
    });
}

extern "C" VslStatus nn_state_new(NnTensor **out, NnRuntime *rt, NnShape shape)
{
    return guarded("nn_state_new", [&] {
        *out = new NnTensor{at::zeros(extents(shape), at::TensorOptions().dtype(rt->type).device(rt->device)), false};
    });
}

extern "C" void nn_state_free(NnTensor **t)
{
    if (t) {
        delete *t;
        *t = nullptr;
    }
}

extern "C" void nn_copy_into(NnScope *s, NnTensor *state, const NnTensor *t)
{
    effect(s, "nn_copy_into", {state, t}, [&] {
        if (state->t.sizes() != t->t.sizes()) {
            throw Failure(VSL_E_ARG, "the two shapes differ");
        }
        state->t.copy_(t->t);
    });
}

/* --- draws ------------------------------------------------------------------------------------------------------ */

static at::Tensor drawn(NnScope *s, const NnShape &shape, at::ScalarType type, NnDraw d)
{
    at::Tensor t = host_tensor(shape, type);
    d.samples = shape.rank > 0 ? shape.n[0] : 1;
    d.per_sample = d.samples > 0 ? t.numel() / d.samples : 0;
    d.values = t.data_ptr();
    if (!nn_draw_is_addressable(&d)) {
        throw Failure(VSL_E_ARG, "more than 2^32 samples, or numbers in a sample");
    }
    at::parallel_for(0, t.numel(), 1 << 14, [&](int64_t begin, int64_t end) { nn_draw_span(&d, begin, end); });
    return t.to(s->rt->device, type == at::kLong ? at::kLong : s->rt->type);
}

extern "C" NnTensor *nn_randn(NnScope *s, NnShape shape, uint64_t seed, uint64_t stream, uint64_t first)
{
    return run(s, "nn_randn", {}, [&] {
        return drawn(s, shape, at::kFloat, {NN_DRAW_NORMAL, seed, stream, first, 0, 0, 0, nullptr});
    });
}

extern "C" NnTensor *nn_rand(NnScope *s, NnShape shape, uint64_t seed, uint64_t stream, uint64_t first)
{
    return run(s, "nn_rand", {}, [&] {
        return drawn(s, shape, at::kFloat, {NN_DRAW_UNIFORM, seed, stream, first, 0, 0, 0, nullptr});
    });
}

extern "C" NnTensor *nn_randint(NnScope *s, int64_t n, NnShape shape, uint64_t seed, uint64_t stream, uint64_t first)
{
    return run(s, "nn_randint", {}, [&] {
        if (n < 1) {
            throw Failure(VSL_E_ARG, "integers in [0, %lld) are asked for", (long long)n);
        }
        return drawn(s, shape, at::kLong, {NN_DRAW_INTEGER, seed, stream, first, n, 0, 0, nullptr});
    });
}

extern "C" NnTensor *nn_dropout(NnScope *s, NnTensor *a, double p, uint64_t seed, uint64_t stream)
{
    return run(s, "nn_dropout", {a}, [&] {
        if (!(p >= 0 && p < 1)) {
            throw Failure(VSL_E_ARG, "the probability is %g, expected 0 <= p < 1", p);
        }
        if (!s->is_training || p == 0) {
            return at::Tensor(a->t);
        }
        at::Tensor u = drawn(s, vsl::shape_of(a->t), at::kFloat, {NN_DRAW_UNIFORM, seed, stream, 0, 0, 0, 0, nullptr});
        return a->t * u.ge(p).to(a->t.scalar_type()) * (1 / (1 - p));
    });
}
