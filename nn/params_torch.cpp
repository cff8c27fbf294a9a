/* Parameters by name, AdamW, the moving average, clipping. In float32 on the host each of these is one pass of spans.h
 * over memory; elsewhere it is LibTorch's operations on lists of tensors. */
#include "nn/params.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <cstring>
#include <string>
#include <unordered_map>
#include <vector>

#include "core/random.h"
#include "nn/spans.h"
#include "nn/torch_private.h"

using at::Tensor;
using vsl::effect;
using vsl::extents;
using vsl::Failure;
using vsl::guarded;

namespace
{

constexpr int64_t grain = 1 << 15; /* numbers a thread takes at a time */

struct Param {
    std::string name;
    NnTensor handle;
    double rate = 1;
};

/* float32 in host memory, row-major: what spans.h takes. */
bool is_plain(const Tensor &t)
{
    return t.is_cpu() && t.scalar_type() == at::kFloat && t.is_contiguous();
}

} // namespace

struct NnParams {
    NnRuntime *rt = nullptr;
    uint64_t seed = 0;
    std::deque<Param> list;
    std::unordered_map<std::string, int64_t> index;
    VslStatus status = VSL_OK;
    std::string sentence;

    const Param &at(int64_t i) const
    {
        if (i < 0 || i >= (int64_t)list.size()) {
            throw Failure(VSL_E_ARG, "parameter %lld of %zu", (long long)i, list.size());
        }
        return list[(size_t)i];
    }
};

struct NnAdamW {
    NnParams *params = nullptr;
    NnAdamWOptions opt = {};
    std::vector<Tensor> first, second; /* moments, in the order of the parameters */
    int64_t steps = 0;
};

/* --- parameters ------------------------------------------------------------------------------------------------- */

extern "C" VslStatus nn_params_new(NnParams **out, NnRuntime *rt, uint64_t seed)
{
    return guarded("nn_params_new", [&] {
        NnParams *p = new NnParams;
        p->rt = rt;
        p->seed = seed;
        *out = p;
    });
}

extern "C" void nn_params_free(NnParams **p)
{
    if (p) {
        delete *p;
        *p = nullptr;
    }
}

std::vector<Tensor> vsl::tensors_of(NnParams *p)
{
    std::vector<Tensor> out;
    for (const Param &one : p->list) {
        out.push_back(one.handle.t);
    }
    return out;
}

static Tensor initial(const NnParams *p, const char *name, const NnShape &shape, NnInit init, int64_t fan_in)
{
    const Tensor t = at::empty(extents(shape), at::TensorOptions().dtype(at::kFloat));
    float *values = t.data_ptr<float>();
    const uint64_t stream = vsl_random_stream(name), seed = p->seed;
    const double bound = fan_in > 0 ? 1 / std::sqrt((double)fan_in) : 0;
    at::parallel_for(0, t.numel(), grain, [&](int64_t begin, int64_t end) {
        for (int64_t i = begin; i < end; i++) {
            switch (init) {
            case NN_INIT_ZERO: values[i] = 0; break;
            case NN_INIT_ONE: values[i] = 1; break;
            case NN_INIT_KAIMING_UNIFORM:
                values[i] = (float)(bound * (2 * vsl_random_uniform(seed, stream, (uint64_t)i) - 1));
                break;
            case NN_INIT_NORMAL: values[i] = (float)(0.02 * vsl_random_normal(seed, stream, (uint64_t)i)); break;
            }
        }
    });
    return t;
}

extern "C" NnTensor *nn_param(NnParams *p, const char *name, NnShape shape, NnInit init, int64_t fan_in)
{
    if (p->status != VSL_OK) {
        return nullptr;
    }
    NnTensor *made = nullptr;
    const VslStatus st = guarded("nn_param", [&] {
        if (p->index.count(name)) {
            throw Failure(VSL_E_ARG, "there is a parameter '%s' already", name);
        }
        for (int i = 0; i < shape.rank; i++) {
            if (shape.n[i] < 1) {
                throw Failure(VSL_E_ARG, "parameter '%s': extent %d is %lld", name, i, (long long)shape.n[i]);
            }
        }
        if (init == NN_INIT_KAIMING_UNIFORM && fan_in < 1) {
            throw Failure(VSL_E_ARG, "parameter '%s': fan_in is %lld", name, (long long)fan_in);
        }
        Tensor t = initial(p, name, shape, init, fan_in).to(p->rt->device, p->rt->type);
        t.requires_grad_(true);
        p->list.push_back({name, {t, false}, 1});
        p->index[name] = (int64_t)p->list.size() - 1;
        made = &p->list.back().handle;
    });
    if (st != VSL_OK) {
        p->status = st;
        p->sentence = vsl_error();
    }
    return made;
}

extern "C" VslStatus nn_params_status(const NnParams *p)
{
    return p->status == VSL_OK ? VSL_OK : vsl_fail(p->status, "parameters", "%s", p->sentence.c_str());
}

extern "C" int64_t nn_params_count(const NnParams *p)
{
    return (int64_t)p->list.size();
}

extern "C" int64_t nn_params_elements(const NnParams *p)
{
    int64_t count = 0;
    for (const Param &one : p->list) {
        count += one.handle.t.numel();
    }
    return count;
}

extern "C" const char *nn_params_name(const NnParams *p, int64_t i)
{
    return i >= 0 && i < nn_params_count(p) ? p->list[(size_t)i].name.c_str() : "";
}

extern "C" NnShape nn_params_shape(const NnParams *p, int64_t i)
{
    return i >= 0 && i < nn_params_count(p) ? vsl::shape_of(p->list[(size_t)i].handle.t) : NnShape{0, {0}};
}

static void read_floats(float *values, const Tensor &t)
{
    const Tensor host = t.detach().to(at::kCPU, at::kFloat).contiguous();
    memcpy(values, host.data_ptr(), (size_t)host.numel() * sizeof *values);
}

static void write_floats(Tensor t, const float *values)
{
    const Tensor host = at::empty(t.sizes(), at::TensorOptions().dtype(at::kFloat));
    memcpy(host.data_ptr(), values, (size_t)host.numel() * sizeof *values);
    t.copy_(host);
}

extern "C" VslStatus nn_params_get(const NnParams *p, int64_t i, float *values)
{
    return guarded("nn_params_get", [&] { read_floats(values, p->at(i).handle.t); });
}

extern "C" VslStatus nn_params_set(NnParams *p, int64_t i, const float *values)
{
    return guarded("nn_params_set", [&] { write_floats(p->at(i).handle.t, values); });
}

extern "C" VslStatus nn_params_grad(const NnParams *p, int64_t i, float *values)
{
    return guarded("nn_params_grad", [&] {
        const Tensor &t = p->at(i).handle.t;
        if (t.grad().defined()) {
            read_floats(values, t.grad());
        } else {
            memset(values, 0, (size_t)t.numel() * sizeof *values);
        }
    });
}

extern "C" void nn_params_rate(NnParams *p, const char *prefix, double factor)
{
    for (Param &one : p->list) {
        if (one.name.compare(0, strlen(prefix), prefix) == 0) {
            one.rate = factor;
            one.handle.t.requires_grad_(factor != 0);
        }
    }
}

extern "C" VslStatus nn_params_copy(NnParams *dst, const NnParams *src, int64_t *copied)
{
    return guarded("nn_params_copy", [&] {
        int64_t count = 0;
        for (Param &to : dst->list) {
            const auto found = src->index.find(to.name);
            if (found == src->index.end()) {
                continue;
            }
            const Tensor &from = src->list[(size_t)found->second].handle.t;
            if (from.sizes() == to.handle.t.sizes()) {
                to.handle.t.copy_(from);
                count++;
            }
        }
        if (copied) {
            *copied = count;
        }
    });
}

extern "C" void nn_ema_update(NnScope *s, NnParams *to, const NnParams *from, double decay)
{
    effect(s, "nn_ema_update", {}, [&] {
        if (to->list.size() != from->list.size()) {
            throw Failure(VSL_E_ARG, "%zu parameters and %zu: these were not made by one builder", to->list.size(),
                          from->list.size());
        }
        for (size_t i = 0; i < to->list.size(); i++) {
            if (to->list[i].name != from->list[i].name ||
                to->list[i].handle.t.sizes() != from->list[i].handle.t.sizes()) {
                throw Failure(VSL_E_ARG, "'%s' and '%s': these were not made by one builder", to->list[i].name.c_str(),
                              from->list[i].name.c_str());
            }
        }
        for (size_t i = 0; i < to->list.size(); i++) {
            Tensor a = to->list[i].handle.t;
            const Tensor &b = from->list[i].handle.t;
            if (is_plain(a) && is_plain(b)) {
                float *x = a.data_ptr<float>();
                const float *y = b.data_ptr<float>();
                at::parallel_for(0, a.numel(), grain,
                                 [&](int64_t begin, int64_t end) { nn_average_span(x, y, decay, begin, end); });
            } else {
                a.mul_(decay).add_(b, 1 - decay);
            }
        }
    });
}

/* --- gradients -------------------------------------------------------------------------------------------------- */

/* Partial sums of fixed blocks, added in order: the same for any number of threads. */
static double squares(const Tensor &g)
{
    if (!is_plain(g)) {
        return g.to(at::kDouble).square().sum().item<double>();
    }
    const float *x = g.data_ptr<float>();
    const int64_t n = g.numel(), blocks = (n + grain - 1) / grain;
    std::vector<double> partial((size_t)blocks);
    at::parallel_for(0, blocks, 1, [&](int64_t begin, int64_t end) {
        for (int64_t k = begin; k < end; k++) {
            partial[(size_t)k] = nn_squares_span(x, k * grain, std::min(n, (k + 1) * grain));
        }
    });
    double sum = 0;
    for (const double part : partial) {
        sum += part;
    }
    return sum;
}

extern "C" double nn_clip_grad_norm(NnScope *s, NnParams *p, double max_norm)
{
    double norm = NAN;
    effect(s, "nn_clip_grad_norm", {}, [&] {
        double sum = 0;
        const char *bad = nullptr;
        for (const Param &one : p->list) {
            if (one.handle.t.grad().defined()) {
                sum += squares(one.handle.t.grad());
                bad = !bad && !std::isfinite(sum) ? one.name.c_str() : bad;
            }
        }
        if (bad) {
            throw Failure(VSL_E_NUMERIC, "the gradient of '%s' is not finite", bad);
        }
        norm = std::sqrt(sum);
        if (norm > max_norm) {
            for (Param &one : p->list) {
                if (one.handle.t.grad().defined()) {
                    one.handle.t.mutable_grad().mul_(max_norm / norm);
                }
            }
        }
    });
    return norm;
}

static void clear_gradients(NnParams *p)
{
    for (Param &one : p->list) {
        one.handle.t.mutable_grad().reset();
    }
}

extern "C" void nn_zero_grad(NnScope *s, NnParams *p)
{
    effect(s, "nn_zero_grad", {}, [&] { clear_gradients(p); });
}

/* --- AdamW ------------------------------------------------------------------------------------------------------ */

extern "C" VslStatus nn_adamw_new(NnAdamW **out, NnParams *p, const NnAdamWOptions *opt)
{
    const VslStatus st = nn_params_status(p);
    if (st != VSL_OK) {
        return st;
    }
    NnAdamW *o = nullptr;
    const VslStatus made = guarded("nn_adamw_new", [&] {
        o = new NnAdamW;
        o->params = p;
        o->opt = opt ? *opt : NnAdamWOptions{};
        o->opt.lr = o->opt.lr > 0 ? o->opt.lr : 1e-4;
        o->opt.beta1 = o->opt.beta1 > 0 ? o->opt.beta1 : 0.9;
        o->opt.beta2 = o->opt.beta2 > 0 ? o->opt.beta2 : 0.999;
        o->opt.eps = o->opt.eps > 0 ? o->opt.eps : 1e-8;
        if (!(o->opt.beta1 < 1 && o->opt.beta2 < 1 && o->opt.weight_decay >= 0)) {
            throw Failure(VSL_E_ARG, "beta1 %g and beta2 %g are below 1, weight_decay %g is not negative", o->opt.beta1,
                          o->opt.beta2, o->opt.weight_decay);
        }
        for (const Param &one : p->list) {
            o->first.push_back(at::zeros_like(one.handle.t));
            o->second.push_back(at::zeros_like(one.handle.t));
        }
    });
    if (made != VSL_OK) {
        delete o;
        return made;
    }
    *out = o;
    return VSL_OK;
}

extern "C" void nn_adamw_free(NnAdamW **o)
{
    if (o) {
        delete *o;
        *o = nullptr;
    }
}

static void step_on_host(NnAdamW *o, size_t i, const Tensor &grad, double lr)
{
    const Tensor &w = o->params->list[i].handle.t;
    const NnAdamWSpan span = {w.data_ptr<float>(),
                              o->first[i].data_ptr<float>(),
                              o->second[i].data_ptr<float>(),
                              grad.data_ptr<float>(),
                              lr,
                              o->opt.beta1,
                              o->opt.beta2,
                              o->opt.eps,
                              o->opt.weight_decay,
                              o->steps};
    at::parallel_for(0, w.numel(), grain, [&](int64_t begin, int64_t end) { nn_adamw_span(&span, begin, end); });
}

/* The tensors whose step LibTorch takes, as lists: few launches on a device. */
struct Lists {
    std::vector<Tensor> w, grad, first, second;
    std::vector<at::Scalar> keep, rate;
};

static void step_elsewhere(const NnAdamW *o, Lists &l)
{
    const double unbias1 = 1 - std::pow(o->opt.beta1, (double)o->steps);
    const double unbias2 = 1 - std::pow(o->opt.beta2, (double)o->steps);
    at::_foreach_mul_(l.first, o->opt.beta1);
    at::_foreach_add_(l.first, l.grad, 1 - o->opt.beta1);
    at::_foreach_mul_(l.second, o->opt.beta2);
    at::_foreach_addcmul_(l.second, l.grad, l.grad, 1 - o->opt.beta2);
    std::vector<Tensor> size = at::_foreach_sqrt(l.second);
    at::_foreach_mul_(size, 1 / std::sqrt(unbias2));
    at::_foreach_add_(size, o->opt.eps);
    for (at::Scalar &rate : l.rate) {
        rate = rate.toDouble() / unbias1;
    }
    at::_foreach_mul_(l.w, l.keep);
    at::_foreach_addcdiv_(l.w, l.first, size, l.rate);
}

extern "C" void nn_adamw_step(NnScope *s, NnAdamW *o, double lr)
{
    effect(s, "nn_adamw_step", {}, [&] {
        if (o->first.size() != o->params->list.size()) {
            throw Failure(VSL_E_ARG, "%zu parameters, but the optimiser was made for %zu", o->params->list.size(),
                          o->first.size());
        }
        Lists elsewhere;
        o->steps++;
        for (size_t i = 0; i < o->first.size(); i++) {
            const Param &one = o->params->list[i];
            const Tensor &w = one.handle.t;
            if (!w.grad().defined() || one.rate == 0) {
                continue;
            }
            const Tensor grad = w.grad().contiguous();
            const double rate = lr * one.rate;
            if (is_plain(w) && is_plain(grad)) {
                step_on_host(o, i, grad, rate);
            } else {
                elsewhere.w.push_back(w);
                elsewhere.grad.push_back(grad);
                elsewhere.first.push_back(o->first[i]);
                elsewhere.second.push_back(o->second[i]);
                elsewhere.keep.push_back(1 - rate * o->opt.weight_decay);
                elsewhere.rate.push_back(-rate);
            }
        }
        if (!elsewhere.w.empty()) {
            step_elsewhere(o, elsewhere);
        }
        clear_gradients(o->params);
    });
}

extern "C" int64_t nn_adamw_steps(const NnAdamW *o)
{
    return o->steps;
}

extern "C" void nn_adamw_set_steps(NnAdamW *o, int64_t steps)
{
    o->steps = steps;
}

extern "C" VslStatus nn_adamw_get(const NnAdamW *o, int64_t i, float *first, float *second)
{
    return guarded("nn_adamw_get", [&] {
        o->params->at(i);
        read_floats(first, o->first.at((size_t)i));
        read_floats(second, o->second.at((size_t)i));
    });
}

extern "C" VslStatus nn_adamw_set(NnAdamW *o, int64_t i, const float *first, const float *second)
{
    return guarded("nn_adamw_set", [&] {
        o->params->at(i);
        write_floats(o->first.at((size_t)i), first);
        write_floats(o->second.at((size_t)i), second);
    });
}
