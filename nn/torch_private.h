/* What the sources of this floor that see LibTorch share: the structs behind the handles of tensor.h, and the guard
 * that keeps C++ exceptions on this side of the C boundary. Written against the API that LibTorch 1.13 and 2.x have in
 * common. */
#ifndef VSL_NN_TORCH_PRIVATE_H
#define VSL_NN_TORCH_PRIVATE_H

#include <ATen/ATen.h>
#include <c10/core/GradMode.h>

#include <atomic>
#include <deque>
#include <exception>
#include <initializer_list>
#include <string>
#include <vector>

#include "nn/params.h"

struct NnTensor {
    at::Tensor t;
    bool is_poison = false;
};

struct NnRuntime {
    at::Device device = at::kCPU;
    NnPrecision precision = NN_FLOAT32;
    at::ScalarType type = at::kFloat; /* of tensors: float, or double for gradient checks */
    std::string name;
    int64_t peak_bytes = 0; /* of tensors in host memory while it was open */
    bool leaf_only = false; /* nn_grad is at work: parameters' gradients must stay as they are */
};

namespace vsl
{

/* A failure that knows its code and sentence, thrown by our own code inside a guard. */
class Failure : public std::exception
{
  public:
    Failure(VslStatus code, const char *fmt, ...) VSL_PRINTF(3, 4);
    const char *what() const noexcept override
    {
        return sentence;
    }
    VslStatus code;

  private:
    char sentence[768];
};

/* Code and sentence of the exception being handled. */
VslStatus caught(char *sentence, size_t size) noexcept;

} // namespace vsl

struct NnScope {
    NnRuntime *rt = nullptr;
    NnScope *parent = nullptr;
    bool is_training = false;
    int recording = 0;     /* depth of nn_grad_begin */
    bool is_muted = false; /* the first pass of a checkpoint records nothing */
    VslStatus status = VSL_OK;
    char where[512] = {0}, sentence[768] = {0}; /* "nn_add (2,3) (4)", what went wrong */
    NnTensor poison;
    std::deque<NnTensor> owned; /* addresses stay when it grows */

    bool records() const
    {
        return !is_muted && (is_training || recording > 0);
    }
    NnTensor *own(at::Tensor &&t)
    {
        owned.push_back({std::move(t), false});
        return &owned.back();
    }
    void inherit(const NnScope &from)
    {
        rt = from.rt;
        is_training = from.is_training;
        recording = from.recording;
        is_muted = from.is_muted;
        take_failure(from);
    }
    void take_failure(const NnScope &from);
    /* The first failure stays. */
    NnTensor *fail(VslStatus code, const char *op, std::initializer_list<const NnTensor *> args,
                   const char *text) noexcept;
    NnTensor *fail_caught(const char *op, std::initializer_list<const NnTensor *> args) noexcept;
};

namespace vsl
{

using Args = std::initializer_list<const NnTensor *>;

/* Refuses NULL (a parameter that could not be made) and tensors of a scope that failed. */
void check_args(Args args);
at::IntArrayRef extents(const NnShape &shape);
NnShape shape_of(const at::Tensor &t);

/* The guard of every operation with a result. */
template <class F> NnTensor *run(NnScope *s, const char *op, Args args, F body) noexcept
{
    if (s->status != VSL_OK) {
        return &s->poison;
    }
    try {
        check_args(args);
        c10::AutoGradMode mode(s->records());
        return s->own(body());
    } catch (...) {
        return s->fail_caught(op, args);
    }
}

/* The guard of every operation with an effect, which never records. */
template <class F> void effect(NnScope *s, const char *op, Args args, F body) noexcept
{
    if (s->status != VSL_OK) {
        return;
    }
    try {
        check_args(args);
        c10::AutoGradMode mode(false);
        body();
    } catch (...) {
        s->fail_caught(op, args);
    }
}

/* The guard of functions that return a status. */
template <class F> VslStatus guarded(const char *where, F body) noexcept
{
    try {
        c10::AutoGradMode mode(false);
        body();
        return VSL_OK;
    } catch (...) {
        char text[768];
        const VslStatus st = caught(text, sizeof text);
        return vsl_fail(st, where, "%s", text);
    }
}

/* Operands of convolutions and matrix products: bf16 where the runtime wants it. */
inline at::Tensor narrow(const NnScope *s, const at::Tensor &t)
{
    return s->rt->precision == NN_BF16 && t.is_floating_point() ? t.to(at::kBFloat16) : t;
}
/* Operands of norms, sums, losses: never bf16. */
inline at::Tensor wide(const at::Tensor &t)
{
    return t.scalar_type() == at::kBFloat16 ? t.to(at::kFloat) : t;
}

/* memory_torch.cpp: counts and keeps blocks of host memory for LibTorch. */
void install_allocator();
NnMemory host_memory(const NnRuntime *rt);
void watch_memory(NnRuntime *rt);
void unwatch_memory(NnRuntime *rt);
/* params_torch.cpp: the weights, in their order. */
std::vector<at::Tensor> tensors_of(NnParams *p);
/* cuda_torch.cpp or cuda_none.cpp */
NnMemory device_memory(const NnRuntime *rt);
void prepare_device(NnRuntime *rt);

} // namespace vsl

#endif
