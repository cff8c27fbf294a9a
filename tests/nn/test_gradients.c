/* Every differentiable operation against central differences in float64: each case is a function of up to three leaves;
 * the loss is the sum of its result times fixed random numbers. */
#include <string.h>

#include "nn/params.h"
#include "nn/tensor.h"
#include "tests/check.h"

enum { MOST = 3, NUMBERS = 512 };
typedef NnTensor *CaseFn(NnScope *s, NnTensor *const *x);
typedef struct Case {
    const char *name;
    CaseFn *fn;
    int inputs;
    NnShape shape[MOST];
    double scale, shift; /* of the standard normal values of the leaves; positive ones where a domain asks */
} Case;

static NnRuntime *rt;

static int64_t count_of(NnShape n)
{
    int64_t count = 1;
    for (int i = 0; i < n.rank; i++) {
        count *= n.n[i];
    }
    return count;
}

static NnTensor *leaf(NnScope *s, const Case *c, int k)
{
    NnTensor *x = nn_randn(s, c->shape[k], 77, (uint64_t)k, 0);
    x = c->shift > 0 ? nn_abs(s, x) : x;
    return nn_affine(s, x, c->scale, c->shift);
}

static NnTensor *weighted_sum(NnScope *s, NnTensor *y)
{
    return nn_sum(s, nn_mul(s, y, nn_randn(s, nn_shape(y), 78, 0, 0)), NN_ALL);
}

/* The loss with leaf k moved by `step` at element e. */
static double loss_at(const Case *c, int k, int64_t e, double step)
{
    float nudge[NUMBERS] = {0};
    NnTensor *x[MOST] = {NULL};
    NnScope *s = nn_scope_open(rt, NN_INFER);
    nudge[e] = 1;
    for (int i = 0; i < c->inputs; i++) {
        x[i] = leaf(s, c, i);
    }
    x[k] = nn_add(s, x[k], nn_affine(s, nn_from_floats(s, nudge, c->shape[k]), step, 0));
    const double loss = nn_item(s, weighted_sum(s, c->fn(s, x)));
    CHECK_OK(nn_scope_close(&s));
    return loss;
}

static void check_case(const Case *c)
{
    const double step = 1e-5;
    for (int k = 0; k < c->inputs; k++) {
        const int64_t count = count_of(c->shape[k]);
        double gradient[NUMBERS] = {0}, largest = 0;
        NnTensor *x[MOST] = {NULL};
        NnScope *s = nn_scope_open(rt, NN_TRAIN);
        for (int i = 0; i < c->inputs; i++) {
            x[i] = leaf(s, c, i);
        }
        nn_require_grad(s, x[k]);
        nn_to_doubles(s, gradient, count, nn_grad(s, weighted_sum(s, c->fn(s, x)), x[k]));
        CHECK_OK(nn_scope_close(&s));
        for (int64_t e = 0; e < count; e++) {
            largest = fmax(largest, fabs(gradient[e]));
        }
        CHECK(largest > 0);
        const int64_t stride = count / 24 + 1; /* enough elements to see a wrong one, few enough to be quick */
        for (int64_t e = 0; e < count; e += stride) {
            const double difference = (loss_at(c, k, e, step) - loss_at(c, k, e, -step)) / (2 * step);
            CHECK_NEAR(gradient[e], difference, 1e-7 * fmax(1, largest), c->name);
        }
    }
}

#define OF_ONE(name, expression)                                 \
    static NnTensor *case_##name(NnScope *s, NnTensor *const *x) \
    {                                                            \
        return expression;                                       \
    }
OF_ONE(add, nn_add(s, x[0], x[1]))
OF_ONE(sub, nn_sub(s, x[0], x[1]))
OF_ONE(mul, nn_mul(s, x[0], x[1]))
OF_ONE(div, nn_div(s, x[0], x[1]))
OF_ONE(affine, nn_affine(s, x[0], -1.5, 0.25))
OF_ONE(exp, nn_exp(s, x[0]))
OF_ONE(log, nn_log(s, x[0]))
OF_ONE(sqrt, nn_sqrt(s, x[0]))
OF_ONE(square, nn_square(s, x[0]))
OF_ONE(abs, nn_abs(s, x[0]))
OF_ONE(sin, nn_sin(s, x[0]))
OF_ONE(cos, nn_cos(s, x[0]))
OF_ONE(tanh, nn_tanh(s, x[0]))
OF_ONE(sigmoid, nn_sigmoid(s, x[0]))
OF_ONE(relu, nn_relu(s, x[0]))
OF_ONE(silu, nn_silu(s, x[0]))
OF_ONE(gelu, nn_gelu(s, x[0]))
OF_ONE(clamp, nn_clamp(s, x[0], -0.7, 0.6))
OF_ONE(softmax, nn_softmax(s, x[0], 1))
OF_ONE(log_softmax, nn_log_softmax(s, x[0], -1))
OF_ONE(dropout, nn_mul(s, x[0], nn_dropout(s, nn_affine(s, x[0], 0, 1), 0, 1, 1)))
OF_ONE(matmul, nn_matmul(s, x[0], x[1]))
OF_ONE(sum_all, nn_sum(s, nn_square(s, x[0]), NN_ALL))
OF_ONE(sum_axis, nn_sum(s, nn_square(s, x[0]), 1))
OF_ONE(mean_all, nn_mean(s, nn_square(s, x[0]), NN_ALL))
OF_ONE(mean_axis, nn_mean(s, nn_square(s, x[0]), 0))
OF_ONE(reshape, nn_reshape(s, nn_square(s, x[0]), NN_SHAPE(4, -1)))
OF_ONE(permute, nn_permute(s, nn_square(s, x[0]), (const int[]){2, 0, 1}))
OF_ONE(concat, nn_concat(s, 2, (NnTensor *[]){x[0], nn_square(s, x[1])}, 1))
OF_ONE(slice, nn_slice(s, nn_square(s, x[0]), 1, 1, 3))
OF_ONE(pad, nn_pad(s, nn_square(s, x[0]), (const int64_t[]){0, 0, 1, 2, 3, 0}))
OF_ONE(spatial, nn_mul(s, x[1], nn_spatial(s, x[0], x[1])))
OF_ONE(contiguous, nn_contiguous(s, nn_permute(s, nn_square(s, x[0]), (const int[]){2, 0, 1})))
OF_ONE(gather_rows, nn_gather_rows(s, nn_square(s, x[0]), nn_from_int64(s, (const int64_t[]){2, 0, 2}, NN_SHAPE(3))))
OF_ONE(convolve, nn_convolve(s, x[0], x[1], x[2], 1, 1))
OF_ONE(convolve_stride, nn_convolve(s, x[0], x[1], NULL, 2, 1))
OF_ONE(convolve_transposed, nn_convolve_transposed(s, x[0], x[1], x[2], 2, 1))
OF_ONE(group_norm, nn_group_norm(s, x[0], 2, x[1], x[2], 1e-5))
OF_ONE(group_norm_plain, nn_group_norm(s, x[0], 2, NULL, NULL, 1e-5))
OF_ONE(norm_silu, nn_group_norm_silu(s, x[0], 2, x[1], x[2], NULL, NULL, 1e-5))
OF_ONE(norm_silu_condition, nn_group_norm_silu(s, x[0], 3, nn_randn(s, NN_SHAPE(6), 5, 0, 0),
                                               nn_randn(s, NN_SHAPE(6), 5, 1, 0), x[1], x[2], 1e-5))
OF_ONE(norm_silu_layer, nn_group_norm_silu(s, nn_randn(s, NN_SHAPE(2, 4, 3, 5), 5, 2, 0), 2, x[0], x[1],
                                           nn_randn(s, NN_SHAPE(2, 4), 5, 3, 0), nn_affine(s, x[2], 2, 0), 1e-5))
OF_ONE(layer_norm, nn_layer_norm(s, x[0], x[1], x[2], 1e-5))
OF_ONE(linear_map, nn_linear_map(s, x[0], x[1], x[2]))
OF_ONE(linear_map_plain, nn_linear_map(s, x[0], x[1], NULL))
OF_ONE(attend, nn_attend(s, x[0], x[1], x[2]))
OF_ONE(avg_pool, nn_avg_pool(s, x[0], 2))
OF_ONE(upsample_nearest, nn_upsample_nearest(s, x[0], 2))
OF_ONE(resize_linear_2d, nn_resize_linear(s, x[0], (const int64_t[]){7, 3}))
OF_ONE(resize_linear_3d, nn_resize_linear(s, x[0], (const int64_t[]){3, 5, 2}))
OF_ONE(mse, nn_mse(s, x[0], x[1]))
OF_ONE(l1, nn_l1(s, x[0], x[1]))
OF_ONE(bce, nn_bce(s, x[0], nn_sigmoid(s, x[1])))
OF_ONE(cross_entropy, nn_cross_entropy(s, x[0], nn_randint(s, 3, NN_SHAPE(2, 4), 1, 1, 0)))

#define S(...)                                                     \
    {                                                              \
        (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
        {                                                          \
            __VA_ARGS__                                            \
        }                                                          \
    }
static const Case cases[] = {
    {"add, broadcast", case_add, 2, {S(2, 3), S(3)}, 1, 0},
    {"sub", case_sub, 2, {S(2, 1, 3), S(4, 1)}, 1, 0},
    {"mul", case_mul, 2, {S(2, 3), S(2, 1)}, 1, 0},
    {"div", case_div, 2, {S(2, 3), S(3)}, 1, 0.5},
    {"affine", case_affine, 1, {S(2, 3)}, 1, 0},
    {"exp", case_exp, 1, {S(7)}, 1, 0},
    {"log", case_log, 1, {S(7)}, 1, 0.5},
    {"sqrt", case_sqrt, 1, {S(7)}, 1, 0.5},
    {"square", case_square, 1, {S(7)}, 1, 0},
    {"abs", case_abs, 1, {S(7)}, 1, 0},
    {"sin", case_sin, 1, {S(7)}, 2, 0},
    {"cos", case_cos, 1, {S(7)}, 2, 0},
    {"tanh", case_tanh, 1, {S(7)}, 1, 0},
    {"sigmoid", case_sigmoid, 1, {S(7)}, 1, 0},
    {"relu", case_relu, 1, {S(9)}, 1, 0},
    {"silu", case_silu, 1, {S(9)}, 2, 0},
    {"gelu", case_gelu, 1, {S(9)}, 2, 0},
    {"clamp", case_clamp, 1, {S(9)}, 1, 0},
    {"softmax", case_softmax, 1, {S(2, 4, 3)}, 1, 0},
    {"log_softmax", case_log_softmax, 1, {S(2, 4)}, 1, 0},
    {"dropout of nothing", case_dropout, 1, {S(2, 4)}, 1, 0},
    {"matmul", case_matmul, 2, {S(2, 3, 4), S(4, 5)}, 1, 0},
    {"sum of all", case_sum_all, 1, {S(3, 4)}, 1, 0},
    {"sum of an axis", case_sum_axis, 1, {S(3, 4, 2)}, 1, 0},
    {"mean of all", case_mean_all, 1, {S(3, 4)}, 1, 0},
    {"mean of an axis", case_mean_axis, 1, {S(3, 4)}, 1, 0},
    {"reshape", case_reshape, 1, {S(2, 6)}, 1, 0},
    {"permute", case_permute, 1, {S(2, 3, 4)}, 1, 0},
    {"concat", case_concat, 2, {S(2, 3), S(2, 2)}, 1, 0},
    {"slice", case_slice, 1, {S(2, 4, 3)}, 1, 0},
    {"pad", case_pad, 1, {S(2, 2, 3)}, 1, 0},
    {"spatial", case_spatial, 2, {S(2, 3), S(2, 3, 2, 2)}, 1, 0},
    {"contiguous", case_contiguous, 1, {S(2, 3, 4)}, 1, 0},
    {"gather_rows", case_gather_rows, 1, {S(4, 3)}, 1, 0},
    {"convolve 2D", case_convolve, 3, {S(2, 3, 5, 4), S(4, 3, 3, 3), S(4)}, 1, 0},
    {"convolve 2D, groups", case_convolve, 3, {S(2, 4, 5, 4), S(6, 2, 3, 3), S(6)}, 1, 0},
    {"convolve 3D", case_convolve, 3, {S(1, 2, 3, 4, 5), S(3, 2, 3, 3, 3), S(3)}, 1, 0},
    {"convolve, stride", case_convolve_stride, 2, {S(2, 3, 6, 6), S(4, 3, 4, 4)}, 1, 0},
    {"convolve 3D, stride", case_convolve_stride, 2, {S(1, 2, 4, 5, 6), S(2, 2, 3, 3, 3)}, 1, 0},
    {"convolve_transposed", case_convolve_transposed, 3, {S(2, 3, 3, 4), S(3, 2, 4, 4), S(2)}, 1, 0},
    {"convolve_transposed 3D", case_convolve_transposed, 3, {S(1, 2, 2, 3, 2), S(2, 2, 4, 4, 4), S(2)}, 1, 0},
    {"group_norm", case_group_norm, 3, {S(2, 4, 3, 3), S(4), S(4)}, 1, 0},
    {"group_norm without parameters", case_group_norm_plain, 1, {S(2, 4, 2, 3, 2)}, 1, 0},
    {"group_norm_silu", case_norm_silu, 3, {S(2, 4, 3, 3), S(4), S(4)}, 1, 0},
    {"group_norm_silu 3D", case_norm_silu, 3, {S(3, 4, 2, 3, 2), S(4), S(4)}, 1, 0},
    {"group_norm_silu, condition", case_norm_silu_condition, 3, {S(2, 6, 3, 5), S(2, 6), S(2, 6)}, 1, 0},
    {"group_norm_silu, layer under a condition", case_norm_silu_layer, 3, {S(4), S(4), S(2, 4)}, 1, 0},
    {"layer_norm", case_layer_norm, 3, {S(2, 3, 5), S(5), S(5)}, 1, 0},
    {"linear_map", case_linear_map, 3, {S(2, 3, 4), S(5, 4), S(5)}, 1, 0},
    {"linear_map without bias", case_linear_map_plain, 2, {S(3, 4), S(5, 4)}, 1, 0},
    {"attend", case_attend, 3, {S(2, 2, 3, 4), S(2, 2, 5, 4), S(2, 2, 5, 4)}, 1, 0},
    {"avg_pool 2D", case_avg_pool, 1, {S(2, 2, 4, 6)}, 1, 0},
    {"avg_pool 3D", case_avg_pool, 1, {S(1, 2, 4, 2, 4)}, 1, 0},
    {"upsample_nearest 2D", case_upsample_nearest, 1, {S(2, 2, 2, 3)}, 1, 0},
    {"upsample_nearest 3D", case_upsample_nearest, 1, {S(1, 2, 2, 3, 2)}, 1, 0},
    {"resize_linear 2D", case_resize_linear_2d, 1, {S(2, 2, 4, 5)}, 1, 0},
    {"resize_linear 3D", case_resize_linear_3d, 1, {S(1, 2, 4, 3, 3)}, 1, 0},
    {"mse", case_mse, 2, {S(2, 3), S(2, 3)}, 1, 0},
    {"l1", case_l1, 2, {S(2, 3), S(2, 3)}, 1, 0},
    {"bce", case_bce, 2, {S(2, 3), S(2, 3)}, 1, 0},
    {"cross_entropy", case_cross_entropy, 1, {S(2, 3, 4)}, 1, 0},
};

TEST(every_operation_has_the_gradient_of_its_differences)
{
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const int before = check_failures;
        check_case(&cases[i]);
        if (check_failures != before) {
            printf("  of: %s\n", cases[i].name);
        }
    }
}

/* --- custom operations and checkpoints -------------------------------------------------------------------------- */

typedef struct Calls {
    int forward, backward;
    VslStatus fail_backward;
} Calls;

/* y[i] = x0[i]^2 * x1[i % count(x1)] */
static VslStatus product_shape(NnShape *out, int inputs, const NnShape *in, void *user)
{
    (void)user;
    if (inputs != 2 || count_of(in[0]) % count_of(in[1]) != 0) {
        return vsl_fail(VSL_E_SPACE, __func__, "%d tensors that do not fit", inputs);
    }
    *out = in[0];
    return VSL_OK;
}

static VslStatus product_forward(NnBuffer out, int inputs, const NnBuffer *in, void *user)
{
    (void)inputs;
    const int64_t n1 = count_of(in[1].shape);
    const double *a = in[0].data, *b = in[1].data;
    ((Calls *)user)->forward++;
    for (int64_t i = 0; i < count_of(out.shape); i++) {
        ((double *)out.data)[i] = a[i] * a[i] * b[i % n1];
    }
    return VSL_OK;
}

static VslStatus product_backward(const NnBuffer *grad_in, NnBuffer grad_out, NnBuffer out, int inputs,
                                  const NnBuffer *in, void *user)
{
    (void)inputs;
    (void)out;
    const int64_t n1 = count_of(in[1].shape);
    const double *a = in[0].data, *b = in[1].data, *g = grad_out.data;
    Calls *calls = user;
    calls->backward++;
    if (calls->fail_backward != VSL_OK) {
        return vsl_fail(calls->fail_backward, __func__, "it does not want to");
    }
    for (int64_t i = 0; i < count_of(grad_out.shape); i++) {
        if (grad_in[0].data) {
            ((double *)grad_in[0].data)[i] += g[i] * 2 * a[i] * b[i % n1];
        }
        if (grad_in[1].data) {
            ((double *)grad_in[1].data)[i % n1] += g[i] * a[i] * a[i];
        }
    }
    return VSL_OK;
}

static Calls calls;
static const NnCustom product = {"product", product_shape, product_forward, product_backward, &calls};

static NnTensor *case_custom(NnScope *s, NnTensor *const *x)
{
    return nn_custom(s, &product, 2, (NnTensor *[]){nn_sin(s, x[0]), nn_permute(s, x[1], (const int[]){1, 0})});
}

/* Two convolutions and a custom operation around captured leaves. */
static NnTensor *body(NnScope *s, NnTensor *const *in, void *user)
{
    NnTensor *const *captured = user;
    NnTensor *h = nn_silu(s, nn_convolve(s, in[0], captured[1], NULL, 1, 1));
    h = nn_custom(s, &product, 2, (NnTensor *[]){h, captured[2]});
    return nn_convolve(s, h, captured[1], NULL, 1, 1);
}

static NnTensor *case_checkpoint(NnScope *s, NnTensor *const *x)
{
    return nn_sin(s, nn_checkpoint(s, body, 1, (NnTensor *[]){nn_square(s, x[0])}, (void *)(uintptr_t)x, 0));
}

TEST(a_custom_operation_has_the_gradient_that_its_function_gives)
{
    const Case c = {"custom", case_custom, 2, {S(4, 3), S(3, 2)}, 1, 0};
    check_case(&c);
}

TEST(a_checkpointed_part_has_the_gradient_of_the_part)
{
    /* in nn_grad the captured leaves are not reached: only the input's gradient is asked of a checkpoint */
    const Case c = {"checkpoint", case_checkpoint, 1, {S(2, 2, 3, 4), S(2, 2, 3, 3), S(4)}, 0.5, 0};
    Case with = c;
    with.inputs = 3;
    double gradient[48], difference;
    NnTensor *x[MOST];
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    for (int i = 0; i < 3; i++) {
        x[i] = leaf(s, &with, i);
    }
    nn_require_grad(s, x[0]);
    nn_to_doubles(s, gradient, 48, nn_grad(s, weighted_sum(s, case_checkpoint(s, x)), x[0]));
    CHECK_OK(nn_scope_close(&s));
    for (int64_t e = 0; e < 48; e += 5) {
        difference = (loss_at(&with, 0, e, 1e-5) - loss_at(&with, 0, e, -1e-5)) / 2e-5;
        CHECK_NEAR(gradient[e], difference, 1e-7, "order of the gradient");
    }
}

/* The same loss with and without a checkpoint: gradients of parameters, values, number of calls. */
static void loss_with_params(double *loss, float *grad, float *input_grad, int is_checkpointed, int only_leaf)
{
    NnParams *p = NULL;
    CHECK_OK(nn_params_new(&p, rt, 4));
    NnTensor *x[MOST] = {NULL, nn_param(p, "w", NN_SHAPE(2, 2, 3, 3), NN_INIT_KAIMING_UNIFORM, 18),
                         nn_param(p, "b", NN_SHAPE(4), NN_INIT_KAIMING_UNIFORM, 1)};
    CHECK_OK(nn_params_status(p));
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    x[0] = nn_randn(s, NN_SHAPE(2, 2, 3, 4), 1, 1, 0);
    if (input_grad) {
        nn_require_grad(s, x[0]);
    }
    NnTensor *y = is_checkpointed ? nn_checkpoint(s, body, 1, x, (void *)x, 0) : body(s, x, x);
    NnTensor *total = nn_sum(s, nn_square(s, y), NN_ALL);
    if (only_leaf) {
        nn_to_floats(s, input_grad, 48, nn_grad(s, total, x[0]));
    } else {
        nn_backward(s, total);
    }
    *loss = nn_item(s, total);
    CHECK_OK(nn_scope_close(&s));
    CHECK_OK(nn_params_grad(p, 0, grad));
    CHECK_OK(nn_params_grad(p, 1, grad + 36));
    nn_params_free(&p);
}

TEST(a_checkpoint_gives_parameters_the_same_gradients)
{
    double loss[2];
    float grad[2][40], input_grad[2][48];
    for (int has_leaf = 0; has_leaf < 2; has_leaf++) { /* data as input want no gradient; parameters inside do */
        calls = (Calls){0};
        loss_with_params(&loss[0], grad[0], has_leaf ? input_grad[0] : NULL, 0, 0);
        CHECK(calls.forward == 1 && calls.backward == 1);
        loss_with_params(&loss[1], grad[1], has_leaf ? input_grad[1] : NULL, 1, 0);
        CHECK(calls.forward == 3 && calls.backward == 2);
        CHECK(loss[0] == loss[1]);
        CHECK(memcmp(grad[0], grad[1], sizeof grad[0]) == 0);
        CHECK(grad[0][0] != 0 && grad[0][36] != 0);
    }
}

static NnTensor *deep_body(NnScope *s, NnTensor *const *in, void *user)
{
    NnTensor *x = in[0];
    (void)user;
    for (int i = 0; i < 10; i++) {
        x = nn_sin(s, x);
    }
    return x;
}

/* Memory kept for the backward pass of ten sines, in tensors of the size of x. */
static double memory_kept(int is_checkpointed)
{
    enum { BYTES = 8 * 10000 };
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    NnTensor *x = nn_require_grad(s, nn_full(s, NN_SHAPE(10000), 0.5));
    const double before = (double)nn_memory(rt).now_bytes;
    NnScope *child = nn_scope_child(s);
    nn_keep(child, is_checkpointed ? nn_checkpoint(child, deep_body, 1, &x, NULL, 0) : deep_body(child, &x, NULL));
    nn_scope_join(&child);
    const double kept = ((double)nn_memory(rt).now_bytes - before) / BYTES;
    CHECK_OK(nn_scope_close(&s));
    return kept;
}

TEST(a_checkpoint_keeps_only_its_input)
{
    CHECK_NEAR(memory_kept(0), 10, 1.5, "ten sines keep ten inputs");
    CHECK_NEAR(memory_kept(1), 1, 0.2, "the result");
}

TEST(the_gradient_at_a_leaf_leaves_parameters_alone)
{
    double loss[2];
    float grad[40], input_grad[2][48];
    for (int is_checkpointed = 0; is_checkpointed < 2; is_checkpointed++) {
        loss_with_params(&loss[is_checkpointed], grad, input_grad[is_checkpointed], is_checkpointed, 1);
        for (int i = 0; i < 40; i++) {
            CHECK(grad[i] == 0);
        }
    }
    CHECK(memcmp(input_grad[0], input_grad[1], sizeof input_grad[0]) == 0);
}

TEST(a_custom_operation_that_refuses_fails_the_scope_with_its_code)
{
    calls = (Calls){.fail_backward = VSL_E_NUMERIC};
    for (int k = 0; k < 2; k++) {
        NnScope *s = nn_scope_open(rt, NN_TRAIN);
        NnTensor *x = nn_require_grad(s, nn_randn(s, NN_SHAPE(4), 1, 1, 0));
        NnTensor *other = nn_randn(s, k == 0 ? NN_SHAPE(4) : NN_SHAPE(3), 1, 2, 0);
        nn_backward(s, nn_sum(s, nn_custom(s, &product, 2, (NnTensor *[]){x, other}), NN_ALL));
        CHECK_STATUS(nn_scope_close(&s), k == 0 ? VSL_E_NUMERIC : VSL_E_SPACE);
        CHECK(strstr(vsl_error(), k == 0 ? "backward of 'product': it does not want to"
                                         : "shape of 'product': 2 tensors that do not fit") != NULL);
    }
    calls = (Calls){0};
}

static NnTensor *failing_body(NnScope *s, NnTensor *const *in, void *user)
{
    int *runs = user;
    return ++*runs == 2 ? nn_refuse(s, VSL_E_CANCELLED, "body", "not a second time") : nn_square(s, in[0]);
}

/* in[0]^2 in[1] times the number that user points to */
static NnTensor *scaled_body(NnScope *s, NnTensor *const *in, void *user)
{
    return nn_affine(s, nn_mul(s, nn_square(s, in[0]), in[1]), *(double *)user, 0);
}

TEST(a_checkpoint_has_the_gradient_of_each_input_and_its_own_copy_of_user)
{
    double number = 3, found[2];
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    NnTensor *x[2] = {nn_full(s, NN_SHAPE(1), 2), nn_require_grad(s, nn_full(s, NN_SHAPE(1), 5))};
    NnTensor *y = nn_checkpoint(s, scaled_body, 2, x, &number, sizeof number);
    x[0] = nn_require_grad(s, x[0]); /* after the first checkpoint, which therefore wants no gradient of it */
    y = nn_add(s, y, nn_checkpoint(s, scaled_body, 2, x, &number, sizeof number));
    number = 0;
    NnTensor *sum = nn_sum(s, y, NN_ALL);
    nn_to_doubles(s, &found[0], 1, nn_grad(s, sum, x[0]));
    nn_to_doubles(s, &found[1], 1, nn_grad(s, sum, x[1]));
    CHECK_OK(nn_scope_close(&s));
    CHECK_NEAR(found[0], 2 * 2 * 5 * 3, 1e-12, "once, as only the second checkpoint wanted it");
    CHECK_NEAR(found[1], 2 * 2 * 2 * 3, 1e-12, "twice 4 times 3");
}

TEST(a_failure_inside_a_checkpoint_keeps_its_code)
{
    int runs = 0;
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    NnTensor *x = nn_require_grad(s, nn_randn(s, NN_SHAPE(4), 1, 1, 0));
    nn_backward(s, nn_sum(s, nn_checkpoint(s, failing_body, 1, &x, &runs, 0), NN_ALL));
    CHECK_STATUS(nn_scope_close(&s), VSL_E_CANCELLED);
    CHECK(strstr(vsl_error(), "body: not a second time") != NULL);
}

TEST(an_inference_scope_records_between_begin_and_end_only)
{
    float g[2] = {0};
    NnScope *s = nn_scope_open(rt, NN_INFER);
    NnTensor *x = nn_require_grad(s, nn_full(s, NN_SHAPE(2), 3));
    nn_grad_begin(s);
    nn_to_floats(s, g, 2, nn_grad(s, nn_sum(s, nn_square(s, x), NN_ALL), x));
    nn_grad_end(s);
    CHECK_OK(nn_scope_status(s));
    CHECK(g[0] == 6 && g[1] == 6);
    nn_grad(s, nn_sum(s, nn_square(s, x), NN_ALL), x);
    CHECK_STATUS(nn_scope_close(&s), VSL_E_ARG);
    CHECK(strstr(vsl_error(), "depends on nothing that wants a gradient") != NULL);
}

TEST(what_has_no_gradient_takes_part_as_a_constant)
{
    float g[6];
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    NnTensor *x = nn_require_grad(s, nn_randn(s, NN_SHAPE(2, 3), 5, 5, 0));
    NnTensor *hot = nn_one_hot(s, nn_argmax(s, x, 1), 3, 1);
    NnTensor *y = nn_sum(s, nn_mul(s, nn_detach(s, nn_square(s, x)), nn_mul(s, hot, x)), NN_ALL);
    float v[6], h[6];
    nn_to_floats(s, g, 6, nn_grad(s, y, x));
    nn_to_floats(s, v, 6, x);
    nn_to_floats(s, h, 6, hot);
    CHECK_OK(nn_scope_close(&s));
    for (int b = 0; b < 2; b++) {
        CHECK(h[3 * b] + h[3 * b + 1] + h[3 * b + 2] == 1);
        for (int k = 0; k < 3; k++) {
            CHECK_NEAR(g[3 * b + k], v[3 * b + k] * v[3 * b + k] * h[3 * b + k], 1e-6, "float32 of float64");
            CHECK(h[3 * b + k] == 0 || (v[3 * b + k] >= v[3 * b] && v[3 * b + k] >= v[3 * b + 2]));
        }
    }
}

int main(void)
{
    CHECK_OK(nn_runtime_open(&rt, "cpu", NN_FLOAT64, 1));
    RUN(every_operation_has_the_gradient_of_its_differences);
    RUN(a_custom_operation_has_the_gradient_that_its_function_gives);
    RUN(a_checkpointed_part_has_the_gradient_of_the_part);
    RUN(a_checkpoint_gives_parameters_the_same_gradients);
    RUN(a_checkpoint_keeps_only_its_input);
    RUN(the_gradient_at_a_leaf_leaves_parameters_alone);
    RUN(a_custom_operation_that_refuses_fails_the_scope_with_its_code);
    RUN(a_checkpoint_has_the_gradient_of_each_input_and_its_own_copy_of_user);
    RUN(a_failure_inside_a_checkpoint_keeps_its_code);
    RUN(an_inference_scope_records_between_begin_and_end_only);
    RUN(what_has_no_gradient_takes_part_as_a_constant);
    nn_runtime_close(&rt);
    return CHECK_VERDICT();
}
