/* The operations: each one line over the guard of torch_private.h. */
#include "nn/torch_private.h"

#include <cmath>
#include <vector>

using at::Tensor;
using vsl::effect;
using vsl::extents;
using vsl::Failure;
using vsl::narrow;
using vsl::run;
using vsl::wide;

static c10::optional<Tensor> optional(const NnTensor *t)
{
    if (t && t->is_poison) {
        throw Failure(VSL_E_ARG, "an optional tensor comes from a scope that failed");
    }
    return t ? c10::optional<Tensor>(t->t) : c10::nullopt;
}

static int64_t spatial_rank(const Tensor &x)
{
    const int64_t rank = x.dim() - 2;
    if (rank != 2 && rank != 3) {
        throw Failure(VSL_E_ARG, "a tensor of rank %d, expected (B,C,H,W) or (B,C,D,H,W)", (int)x.dim());
    }
    return rank;
}

static std::vector<int64_t> repeated(int64_t value, int64_t times)
{
    return std::vector<int64_t>((size_t)times, value);
}

/* --- arithmetic ------------------------------------------------------------------------------------------------- */

extern "C" NnTensor *nn_add(NnScope *s, NnTensor *a, NnTensor *b)
{
    return run(s, "nn_add", {a, b}, [&] { return a->t + b->t; });
}

extern "C" NnTensor *nn_sub(NnScope *s, NnTensor *a, NnTensor *b)
{
    return run(s, "nn_sub", {a, b}, [&] { return a->t - b->t; });
}

extern "C" NnTensor *nn_mul(NnScope *s, NnTensor *a, NnTensor *b)
{
    return run(s, "nn_mul", {a, b}, [&] { return a->t * b->t; });
}

extern "C" NnTensor *nn_div(NnScope *s, NnTensor *a, NnTensor *b)
{
    return run(s, "nn_div", {a, b}, [&] { return a->t / b->t; });
}

extern "C" NnTensor *nn_affine(NnScope *s, NnTensor *a, double scale, double shift)
{
    return run(s, "nn_affine", {a}, [&] {
        const Tensor x = a->t.is_floating_point() ? a->t : a->t.to(s->rt->type);
        return shift == 0 ? x * scale : scale == 1 ? x + shift : x * scale + shift;
    });
}

extern "C" NnTensor *nn_exp(NnScope *s, NnTensor *a)
{
    return run(s, "nn_exp", {a}, [&] { return at::exp(wide(a->t)); });
}

extern "C" NnTensor *nn_log(NnScope *s, NnTensor *a)
{
    return run(s, "nn_log", {a}, [&] { return at::log(wide(a->t)); });
}

extern "C" NnTensor *nn_sqrt(NnScope *s, NnTensor *a)
{
    return run(s, "nn_sqrt", {a}, [&] { return at::sqrt(wide(a->t)); });
}

extern "C" NnTensor *nn_square(NnScope *s, NnTensor *a)
{
    return run(s, "nn_square", {a}, [&] { return at::square(a->t); });
}

extern "C" NnTensor *nn_abs(NnScope *s, NnTensor *a)
{
    return run(s, "nn_abs", {a}, [&] { return at::abs(a->t); });
}

extern "C" NnTensor *nn_sin(NnScope *s, NnTensor *a)
{
    return run(s, "nn_sin", {a}, [&] { return at::sin(wide(a->t)); });
}

extern "C" NnTensor *nn_cos(NnScope *s, NnTensor *a)
{
    return run(s, "nn_cos", {a}, [&] { return at::cos(wide(a->t)); });
}

extern "C" NnTensor *nn_tanh(NnScope *s, NnTensor *a)
{
    return run(s, "nn_tanh", {a}, [&] { return at::tanh(a->t); });
}

extern "C" NnTensor *nn_sigmoid(NnScope *s, NnTensor *a)
{
    return run(s, "nn_sigmoid", {a}, [&] { return at::sigmoid(a->t); });
}

extern "C" NnTensor *nn_relu(NnScope *s, NnTensor *a)
{
    return run(s, "nn_relu", {a}, [&] { return at::relu(a->t); });
}

extern "C" NnTensor *nn_silu(NnScope *s, NnTensor *a)
{
    return run(s, "nn_silu", {a}, [&] { return at::silu(a->t); });
}

extern "C" NnTensor *nn_gelu(NnScope *s, NnTensor *a)
{
    return run(s, "nn_gelu", {a}, [&] { return at::gelu(a->t); });
}

extern "C" NnTensor *nn_clamp(NnScope *s, NnTensor *a, double low, double high)
{
    return run(s, "nn_clamp", {a}, [&] { return at::clamp(a->t, low, high); });
}

extern "C" NnTensor *nn_softmax(NnScope *s, NnTensor *a, int axis)
{
    return run(s, "nn_softmax", {a}, [&] { return at::softmax(wide(a->t), axis); });
}

extern "C" NnTensor *nn_log_softmax(NnScope *s, NnTensor *a, int axis)
{
    return run(s, "nn_log_softmax", {a}, [&] { return at::log_softmax(wide(a->t), axis); });
}

extern "C" NnTensor *nn_matmul(NnScope *s, NnTensor *a, NnTensor *b)
{
    return run(s, "nn_matmul", {a, b}, [&] { return at::matmul(narrow(s, a->t), narrow(s, b->t)); });
}

extern "C" NnTensor *nn_sum(NnScope *s, NnTensor *a, int axis)
{
    return run(s, "nn_sum", {a}, [&] {
        const Tensor x = wide(a->t);
        return axis == NN_ALL ? x.sum(at::kDouble).to(x.scalar_type()) : x.sum({axis}, true);
    });
}

extern "C" NnTensor *nn_mean(NnScope *s, NnTensor *a, int axis)
{
    return run(s, "nn_mean", {a}, [&] {
        const Tensor x = wide(a->t);
        return axis == NN_ALL ? x.mean(at::kDouble).to(x.scalar_type()) : x.mean({axis}, true);
    });
}

extern "C" NnTensor *nn_argmax(NnScope *s, NnTensor *a, int axis)
{
    return run(s, "nn_argmax", {a}, [&] { return at::argmax(a->t.detach(), axis); });
}

/* --- shape ------------------------------------------------------------------------------------------------------ */

extern "C" NnTensor *nn_reshape(NnScope *s, NnTensor *a, NnShape shape)
{
    return run(s, "nn_reshape", {a}, [&] { return a->t.reshape(extents(shape)); });
}

extern "C" NnTensor *nn_permute(NnScope *s, NnTensor *a, const int *axes)
{
    return run(s, "nn_permute", {a}, [&] {
        const std::vector<int64_t> order(axes, axes + a->t.dim());
        return a->t.permute(order);
    });
}

extern "C" NnTensor *nn_concat(NnScope *s, int count, NnTensor *const *parts, int axis)
{
    return run(s, "nn_concat", {}, [&] {
        std::vector<Tensor> list;
        for (int i = 0; i < count; i++) {
            vsl::check_args({parts[i]});
            list.push_back(parts[i]->t);
        }
        return at::cat(list, axis);
    });
}

extern "C" NnTensor *nn_slice(NnScope *s, NnTensor *a, int axis, int64_t begin, int64_t end)
{
    return run(s, "nn_slice", {a}, [&] {
        const int64_t extent = a->t.size(axis);
        if (begin < 0 || end < begin || end > extent) { /* LibTorch would cut silently */
            throw Failure(VSL_E_ARG, "%lld to %lld of axis %d, whose extent is %lld", (long long)begin, (long long)end,
                          axis, (long long)extent);
        }
        return a->t.slice(axis, begin, end);
    });
}

extern "C" NnTensor *nn_pad(NnScope *s, NnTensor *a, const int64_t *before_after)
{
    return run(s, "nn_pad", {a}, [&] {
        std::vector<int64_t> last_axis_first;
        for (int64_t axis = a->t.dim() - 1; axis >= 0; axis--) {
            last_axis_first.push_back(before_after[2 * axis]);
            last_axis_first.push_back(before_after[2 * axis + 1]);
        }
        return at::constant_pad_nd(a->t, last_axis_first, 0);
    });
}

extern "C" NnTensor *nn_spatial(NnScope *s, NnTensor *a, const NnTensor *like)
{
    return run(s, "nn_spatial", {a, like}, [&] {
        if (a->t.dim() != 2) {
            throw Failure(VSL_E_ARG, "a tensor of rank %d, expected (B,C)", (int)a->t.dim());
        }
        std::vector<int64_t> n = repeated(1, like->t.dim());
        n.at(0) = a->t.size(0);
        n.at(1) = a->t.size(1);
        return a->t.reshape(n);
    });
}

extern "C" NnTensor *nn_detach(NnScope *s, NnTensor *a)
{
    return run(s, "nn_detach", {a}, [&] { return a->t.detach(); });
}

extern "C" NnTensor *nn_contiguous(NnScope *s, NnTensor *a)
{
    return run(s, "nn_contiguous", {a}, [&] { return a->t.contiguous(); });
}

extern "C" NnTensor *nn_one_hot(NnScope *s, NnTensor *labels, int64_t classes, int axis)
{
    return run(s, "nn_one_hot", {labels},
               [&] { return at::one_hot(labels->t, classes).movedim(-1, axis).to(s->rt->type).contiguous(); });
}

extern "C" NnTensor *nn_gather_rows(NnScope *s, NnTensor *table, NnTensor *index)
{
    return run(s, "nn_gather_rows", {table, index}, [&] { return table->t.index_select(0, index->t); });
}

/* --- layers' arithmetic ----------------------------------------------------------------------------------------- */

extern "C" NnTensor *nn_convolve(NnScope *s, NnTensor *x, NnTensor *weight, NnTensor *bias, int stride, int pad)
{
    return run(s, "nn_convolve", {x, weight}, [&] {
        const int64_t rank = spatial_rank(x->t);
        const int64_t groups = weight->t.size(1) > 0 ? x->t.size(1) / weight->t.size(1) : 1;
        const auto b = optional(bias);
        return at::convolution(narrow(s, x->t), narrow(s, weight->t), b ? narrow(s, *b) : b, repeated(stride, rank),
                               repeated(pad, rank), repeated(1, rank), false, repeated(0, rank), groups);
    });
}

extern "C" NnTensor *nn_convolve_transposed(NnScope *s, NnTensor *x, NnTensor *weight, NnTensor *bias, int stride,
                                            int pad)
{
    return run(s, "nn_convolve_transposed", {x, weight}, [&] {
        const int64_t rank = spatial_rank(x->t);
        const auto b = optional(bias);
        /* LibTorch 1.13 refuses it in bf16 on the host */
        const auto operand = [&](const Tensor &t) { return t.is_cpu() ? wide(t) : narrow(s, t); };
        return at::convolution(operand(x->t), operand(weight->t), b ? operand(*b) : b, repeated(stride, rank),
                               repeated(pad, rank), repeated(1, rank), true, repeated(0, rank), 1);
    });
}

extern "C" NnTensor *nn_group_norm(NnScope *s, NnTensor *x, int groups, NnTensor *scale, NnTensor *shift, double eps)
{
    return run(s, "nn_group_norm", {x},
               [&] { return at::group_norm(wide(x->t), groups, optional(scale), optional(shift), eps); });
}

extern "C" NnTensor *nn_layer_norm(NnScope *s, NnTensor *x, NnTensor *scale, NnTensor *shift, double eps)
{
    return run(s, "nn_layer_norm", {x},
               [&] { return at::layer_norm(wide(x->t), {x->t.size(-1)}, optional(scale), optional(shift), eps); });
}

extern "C" NnTensor *nn_linear_map(NnScope *s, NnTensor *x, NnTensor *weight, NnTensor *bias)
{
    return run(s, "nn_linear_map", {x, weight}, [&] {
        const auto b = optional(bias);
        return at::linear(narrow(s, x->t), narrow(s, weight->t), b ? narrow(s, *b) : b);
    });
}

extern "C" NnTensor *nn_attend(NnScope *s, NnTensor *q, NnTensor *k, NnTensor *v)
{
    return run(s, "nn_attend", {q, k, v}, [&] {
        const Tensor scaled = narrow(s, q->t * (1 / std::sqrt((double)q->t.size(-1))));
        const Tensor weight = at::softmax(wide(at::matmul(scaled, narrow(s, k->t).transpose(-2, -1))), -1);
        return at::matmul(narrow(s, weight), narrow(s, v->t));
    });
}

extern "C" NnTensor *nn_avg_pool(NnScope *s, NnTensor *x, int factor)
{
    return run(s, "nn_avg_pool", {x}, [&] {
        const int64_t rank = spatial_rank(x->t);
        const auto f = repeated(factor, rank);
        return rank == 2 ? at::avg_pool2d(x->t, f) : at::avg_pool3d(x->t, f);
    });
}

extern "C" NnTensor *nn_upsample_nearest(NnScope *s, NnTensor *x, int factor)
{
    return run(s, "nn_upsample_nearest", {x}, [&] {
        const int64_t rank = spatial_rank(x->t);
        std::vector<int64_t> n(x->t.sizes().begin() + 2, x->t.sizes().end());
        for (int64_t &extent : n) {
            extent *= factor;
        }
        return rank == 2 ? at::upsample_nearest2d(x->t, n) : at::upsample_nearest3d(x->t, n);
    });
}

extern "C" NnTensor *nn_resize_linear(NnScope *s, NnTensor *x, const int64_t *n)
{
    return run(s, "nn_resize_linear", {x}, [&] {
        const int64_t rank = spatial_rank(x->t);
        const at::IntArrayRef to(n, (size_t)rank);
        return rank == 2 ? at::upsample_bilinear2d(x->t, to, false) : at::upsample_trilinear3d(x->t, to, false);
    });
}

/* --- losses ----------------------------------------------------------------------------------------------------- */

/* A loss of broadcast shapes would hide a mistake. */
static void check_same(const NnTensor *a, const NnTensor *b)
{
    if (a->t.sizes() != b->t.sizes()) {
        throw Failure(VSL_E_ARG, "the two shapes differ");
    }
}

extern "C" NnTensor *nn_mse(NnScope *s, NnTensor *a, NnTensor *b)
{
    return run(s, "nn_mse", {a, b}, [&] {
        check_same(a, b);
        return at::mse_loss(wide(a->t), wide(b->t));
    });
}

extern "C" NnTensor *nn_l1(NnScope *s, NnTensor *a, NnTensor *b)
{
    return run(s, "nn_l1", {a, b}, [&] {
        check_same(a, b);
        return at::l1_loss(wide(a->t), wide(b->t));
    });
}

extern "C" NnTensor *nn_bce(NnScope *s, NnTensor *logits, NnTensor *target)
{
    return run(s, "nn_bce", {logits, target}, [&] {
        check_same(logits, target);
        return at::binary_cross_entropy_with_logits(wide(logits->t), wide(target->t));
    });
}

extern "C" NnTensor *nn_cross_entropy(NnScope *s, NnTensor *logits, NnTensor *labels)
{
    return run(s, "nn_cross_entropy", {logits, labels},
               [&] { return at::cross_entropy_loss(wide(logits->t), labels->t); });
}
