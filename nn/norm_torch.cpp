/* silu(group norm, scaled and shifted by a condition), in one pass each way over memory. As operations of their own
 * these are five passes forward and as many back, and keep three tensors for the way back; this keeps the input alone.
 */
#include "core/hd.h"
#include "nn/torch_node_private.h"
#include "nn/torch_private.h"

#include <ATen/Parallel.h>

#include <cmath>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

using at::Tensor;
using torch::autograd::variable_list;
using vsl::Failure;

namespace
{

/* --- numbers ----------------------------------------------------------------------------------------------------- */

/* e^x to 1e-7 of itself without a branch, so that loops become vectors; beyond +-80 it stays
 * as it is there, so that neither it nor 1 over it is subnormal, which is slow. Cody and Waite's reduction, the Taylor
 * polynomial up to r^6 for |r| <= ln 2 / 2. */
inline float exponential(float x)
{
    x = x < -80.0f ? -80.0f : x;
    x = x > 80.0f ? 80.0f : x;
    const float magic = 12582912.0f; /* 1.5 * 2^23: adding it rounds to whole numbers, which its last bits then hold */
    const float shifted = x * 1.44269504f + magic, n = shifted - magic;
    const float r = (x - n * 0.693359375f) + n * 2.12194440e-4f;
    float p = 1.0f / 720;
    p = p * r + 1.0f / 120;
    p = p * r + 1.0f / 24;
    p = p * r + 1.0f / 6;
    p = p * r + 0.5f;
    p = p * r + 1;
    p = p * r + 1;
    uint32_t bits;
    float power;
    memcpy(&bits, &shifted, sizeof bits);
    bits = (bits << 23) + 0x3F800000u; /* 2^n */
    memcpy(&power, &bits, sizeof power);
    return p * power;
}

inline double exponential(double x)
{
    return std::exp(x);
}

/* Sum of f(i), i < n, in double: eight sums side by side in a stated order, so that the loop may become vectors. */
template <class F> double sum_of(int64_t n, F f)
{
    double lanes[8] = {0}, total = 0;
    int64_t i = 0;
    for (; i + 8 <= n; i += 8) {
        for (int k = 0; k < 8; k++) {
            lanes[k] += (double)f(i + k);
        }
    }
    for (; i < n; i++) {
        lanes[0] += (double)f(i);
    }
    for (const double lane : lanes) {
        total += lane;
    }
    return total;
}

/* --- one group of one sample: `channels` rows of n values ----------------------------------------------------------
 */

template <class T> struct Moments {
    T mean, rate; /* rate: 1 / standard deviation */
};

template <class T> Moments<T> moments_of(const T *x, int64_t count, double eps)
{
    const double mean = sum_of(count, [=](int64_t i) { return x[i]; }) / (double)count;
    const T m = (T)mean;
    const double rest = mean - (double)m;
    const double square = sum_of(count, [=](int64_t i) { return (x[i] - m) * (x[i] - m); }) / (double)count;
    return {m, (T)(1 / std::sqrt(square - rest * rest + eps))};
}

template <class T>
inline __attribute__((always_inline)) void silu_row(T *__restrict y, const T *__restrict x, int64_t n, Moments<T> m,
                                                    T scale, T shift)
{
    for (int64_t i = 0; i < n; i++) {
        const T z = (x[i] - m.mean) * m.rate * scale + shift;
        y[i] = z / (1 + exponential(-z));
    }
}

/* dz = grad * silu'(z) */
template <class T>
inline __attribute__((always_inline)) void slope_row(T *__restrict dz, const T *__restrict grad, const T *__restrict x,
                                                     int64_t n, Moments<T> m, T scale, T shift)
{
    for (int64_t i = 0; i < n; i++) {
        const T z = (x[i] - m.mean) * m.rate * scale + shift, s = 1 / (1 + exponential(-z));
        dz[i] = grad[i] * s * (1 + z * (1 - s));
    }
}

VSL_CLONES void row_forward(float *y, const float *x, int64_t n, Moments<float> m, float scale, float shift)
{
    silu_row(y, x, n, m, scale, shift);
}
void row_forward(double *y, const double *x, int64_t n, Moments<double> m, double scale, double shift)
{
    silu_row(y, x, n, m, scale, shift);
}
VSL_CLONES void row_backward(float *dz, const float *grad, const float *x, int64_t n, Moments<float> m, float scale,
                             float shift)
{
    slope_row(dz, grad, x, n, m, scale, shift);
}
void row_backward(double *dz, const double *grad, const double *x, int64_t n, Moments<double> m, double scale,
                  double shift)
{
    slope_row(dz, grad, x, n, m, scale, shift);
}

/* From dz to the gradient of x: rate (scale dz - mean0 - xhat mean1), the means being of scale dz and scale dz xhat. */
template <class T>
void row_finish(T *__restrict dz, const T *__restrict x, int64_t n, Moments<T> m, T scale, T mean0, T mean1)
{
    for (int64_t i = 0; i < n; i++) {
        dz[i] = m.rate * (scale * dz[i] - mean0 - (x[i] - m.mean) * m.rate * mean1);
    }
}

/* --- whole tensors -------------------------------------------------------------------------------------------------
 */

struct Sizes {
    int64_t samples, channels, groups, n; /* n: values of a channel */
};

template <class T>
void all_forward(Tensor &y, Tensor &moments, const Tensor &x, const Tensor &scale, const Tensor &shift, const Sizes &z,
                 double eps)
{
    const T *from = x.data_ptr<T>(), *a = scale.data_ptr<T>(), *b = shift.data_ptr<T>();
    T *to = y.data_ptr<T>(), *kept = moments.data_ptr<T>();
    const int64_t each = z.channels / z.groups;
    at::parallel_for(0, z.samples * z.groups, 1, [&](int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; g++) {
            const Moments<T> m = moments_of(from + g * each * z.n, each * z.n, eps);
            kept[2 * g] = m.mean;
            kept[2 * g + 1] = m.rate;
            for (int64_t c = g * each; c < (g + 1) * each; c++) {
                row_forward(to + c * z.n, from + c * z.n, z.n, m, a[c], b[c]);
            }
        }
    });
}

/* sums: of dz and of dz xhat, for each channel of each sample */
template <class T>
void all_backward(Tensor &dx, std::vector<double> &sums, const Tensor &grad, const Tensor &x, const Tensor &moments,
                  const Tensor &scale, const Tensor &shift, const Sizes &z)
{
    const T *g0 = grad.data_ptr<T>(), *x0 = x.data_ptr<T>(), *kept = moments.data_ptr<T>();
    const T *a = scale.data_ptr<T>(), *b = shift.data_ptr<T>();
    T *to = dx.data_ptr<T>();
    const int64_t each = z.channels / z.groups;
    at::parallel_for(0, z.samples * z.groups, 1, [&](int64_t begin, int64_t end) {
        for (int64_t g = begin; g < end; g++) {
            const Moments<T> m = {kept[2 * g], kept[2 * g + 1]};
            double mean0 = 0, mean1 = 0;
            for (int64_t c = g * each; c < (g + 1) * each; c++) {
                T *dz = to + c * z.n;
                const T *xc = x0 + c * z.n;
                row_backward(dz, g0 + c * z.n, xc, z.n, m, a[c], b[c]);
                double *sum = &sums[(size_t)(2 * c)];
                sum[0] = sum_of(z.n, [=](int64_t i) { return dz[i]; });
                sum[1] = sum_of(z.n, [=](int64_t i) { return dz[i] * ((xc[i] - m.mean) * m.rate); });
                mean0 += (double)a[c] * sum[0] / (double)(each * z.n);
                mean1 += (double)a[c] * sum[1] / (double)(each * z.n);
            }
            for (int64_t c = g * each; c < (g + 1) * each; c++) {
                row_finish(to + c * z.n, x0 + c * z.n, z.n, m, a[c], (T)mean0, (T)mean1);
            }
        }
    });
}

/* --- as an operation that is differentiated --------------------------------------------------------------------------
 */

/* What multiplies and what is added after normalising, (B, C): that of the layer, then that of the condition. */
Tensor whole_scale(const Tensor &layer, const Tensor &condition, int64_t samples)
{
    return (condition.defined() ? layer * (condition + 1) : layer.expand({samples, layer.size(0)})).contiguous();
}
Tensor whole_shift(const Tensor &layer, const Tensor &scale, const Tensor &shift, int64_t samples)
{
    return (scale.defined() ? layer * (scale + 1) + shift : layer.expand({samples, layer.size(0)})).contiguous();
}

struct NormNode : public torch::autograd::Node {
    Tensor x, moments, layer_scale, layer_shift, scale,
        shift; /* detached; the last two undefined without a condition */
    Sizes sizes = {};

    std::string name() const override
    {
        return "nn_group_norm_silu";
    }
    void release_variables() override
    {
        x.reset();
    }

    /* -> gradients of x, the layer's scale and shift, the condition's scale and shift */
    variable_list apply(variable_list &&grads) override
    {
        variable_list result(scale.defined() ? 5 : 3);
        if (!x.defined()) {
            throw Failure(VSL_E_ARG, "nn_group_norm_silu: its gradient was taken twice");
        }
        if (!grads[0].defined()) {
            return result;
        }
        c10::AutoGradMode mode(false);
        std::vector<double> sums((size_t)(2 * sizes.samples * sizes.channels));
        const Tensor grad = grads[0].contiguous();
        const Tensor a = whole_scale(layer_scale, scale, sizes.samples);
        const Tensor b = whole_shift(layer_shift, scale, shift, sizes.samples);
        Tensor dx = at::empty_like(x);
        if (x.scalar_type() == at::kDouble) {
            all_backward<double>(dx, sums, grad, x, moments, a, b, sizes);
        } else {
            all_backward<float>(dx, sums, grad, x, moments, a, b, sizes);
        }
        const auto type = x.scalar_type();
        const Tensor both =
            at::from_blob(sums.data(), {sizes.samples, sizes.channels, 2}, at::kDouble).to(type).clone();
        const Tensor of_shift = both.select(2, 0), of_scale = both.select(2, 1);
        result[0] = dx;
        if (scale.defined()) {
            result[1] = (of_scale * (scale + 1)).sum(0);
            result[2] = (of_shift * (scale + 1)).sum(0);
            result[3] = of_scale * layer_scale + of_shift * layer_shift;
            result[4] = of_shift.contiguous();
        } else {
            result[1] = of_scale.sum(0);
            result[2] = of_shift.sum(0);
        }
        return result;
    }
};

Tensor on_host(const Tensor &x, int groups, const Tensor &layer_scale, const Tensor &layer_shift, const Tensor &scale,
               const Tensor &shift, double eps)
{
    const bool records = c10::GradMode::is_enabled();
    variable_list inputs = {x, layer_scale, layer_shift};
    if (scale.defined()) {
        inputs.insert(inputs.end(), {scale, shift});
    }
    const Tensor from = x.detach(), a0 = layer_scale.detach(), b0 = layer_shift.detach();
    const Tensor scale0 = scale.defined() ? scale.detach() : scale, shift0 = shift.defined() ? shift.detach() : shift;
    c10::AutoGradMode mode(false);
    const Sizes sizes = {x.size(0), x.size(1), groups, x.numel() / std::max<int64_t>(x.size(0) * x.size(1), 1)};
    const Tensor a = whole_scale(a0, scale0, sizes.samples), b = whole_shift(b0, scale0, shift0, sizes.samples);
    Tensor y = at::empty_like(from), moments = at::empty({sizes.samples, groups, 2}, from.options());
    if (from.scalar_type() == at::kDouble) {
        all_forward<double>(y, moments, from, a, b, sizes, eps);
    } else {
        all_forward<float>(y, moments, from, a, b, sizes, eps);
    }
    bool is_wanted = false;
    for (const Tensor &t : inputs) {
        is_wanted = is_wanted || t.requires_grad();
    }
    if (records && is_wanted) {
        auto node = vsl::new_node<NormNode>();
        node->x = from;
        node->moments = moments;
        node->layer_scale = a0;
        node->layer_shift = b0;
        node->scale = scale0;
        node->shift = shift0;
        node->sizes = sizes;
        node->set_next_edges(torch::autograd::collect_next_edges(inputs));
        torch::autograd::set_history(y, node);
    }
    return y;
}

Tensor elsewhere(const Tensor &x, int groups, const Tensor &layer_scale, const Tensor &layer_shift, const Tensor &scale,
                 const Tensor &shift, double eps)
{
    Tensor h = at::group_norm(x, groups, layer_scale, layer_shift, eps);
    if (scale.defined()) {
        std::vector<int64_t> n((size_t)x.dim(), 1);
        n[0] = x.size(0);
        n[1] = x.size(1);
        h = h * (scale + 1).reshape(n) + shift.reshape(n);
    }
    return at::silu(h);
}

} // namespace

extern "C" NnTensor *nn_group_norm_silu(NnScope *s, NnTensor *x, int groups, NnTensor *layer_scale,
                                        NnTensor *layer_shift, NnTensor *scale, NnTensor *shift, double eps)
{
    return vsl::run(s, "nn_group_norm_silu", {x, layer_scale, layer_shift}, [&] {
        if ((scale != nullptr) != (shift != nullptr)) {
            throw Failure(VSL_E_ARG, "a scale without a shift, or a shift without a scale");
        }
        const Tensor wide = vsl::wide(x->t).contiguous();
        const int64_t channels = wide.dim() > 1 ? wide.size(1) : 0;
        if (groups < 1 || channels < 1 || channels % groups != 0 || layer_scale->t.numel() != channels ||
            layer_shift->t.numel() != channels) {
            throw Failure(VSL_E_ARG, "%lld channels in %d groups, scaled by %lld and shifted by %lld numbers",
                          (long long)channels, groups, (long long)layer_scale->t.numel(),
                          (long long)layer_shift->t.numel());
        }
        Tensor a, b;
        if (scale) {
            vsl::check_args({scale, shift});
            a = vsl::wide(scale->t);
            b = vsl::wide(shift->t);
            if (a.sizes() != b.sizes() || a.dim() != 2 || a.size(0) != wide.size(0) || a.size(1) != channels) {
                throw Failure(VSL_E_ARG, "a condition that is not (%lld,%lld)", (long long)wide.size(0),
                              (long long)channels);
            }
        }
        return (wide.is_cpu() ? on_host : elsewhere)(wide, groups, layer_scale->t, layer_shift->t, a, b, eps);
    });
}
