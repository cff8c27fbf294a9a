/* The U-Net in 2D and 3D: gradients against central differences in float64, shapes and conditions, heads on one body,
 * memory of checkpointing, refusals. */
#include "diffusion/unet.h"

#include <string.h>

#include "core/memory.h"
#include "core/random.h"
#include "tests/diffusion/mixture.h"

static VslUnetOptions small_net(int dims, int checkpoint)
{
    return (VslUnetOptions){.dims = dims,
                            .spatial_channels = 1,
                            .width = 8,
                            .multipliers = {1, 2},
                            .blocks = 1,
                            .attention_levels = 1,
                            .heads = 2,
                            .vector_width = 3,
                            .token_width = 4,
                            .dropout = 0.2,
                            .checkpoint = checkpoint};
}

typedef struct Net {
    NnRuntime *rt;
    NnParams *params;
    VslUnet *unet;
} Net;

static Net open_net(VslUnetOptions opt, NnPrecision precision)
{
    Net n = {.rt = runtime(precision)};
    CHECK_OK(nn_params_new(&n.params, n.rt, 3));
    CHECK_OK(vsl_unet_new(&n.unet, n.params, &opt));
    return n;
}

static void close_net(Net *n)
{
    vsl_unet_free(&n->unet);
    nn_params_free(&n->params);
    nn_runtime_close(&n->rt);
}

/* What starts at zero hides what lies before it: every number is moved. */
static void shake(NnParams *p)
{
    for (int64_t i = 0; i < nn_params_count(p); i++) {
        float *v = NULL;
        const NnShape n = nn_params_shape(p, i);
        int64_t count = 1;
        for (int a = 0; a < n.rank; a++) {
            count *= n.n[a];
        }
        CHECK_OK(VSL_NEW(&v, count, "a weight"));
        CHECK_OK(nn_params_get(p, i, v));
        for (int64_t e = 0; e < count; e++) {
            v[e] += (float)(0.15 * vsl_random_normal(8, (uint64_t)i, (uint64_t)e));
        }
        CHECK_OK(nn_params_set(p, i, v));
        vsl_free(v);
    }
}

static NnShape image(int dims, int64_t batch, int64_t channels, int64_t n)
{
    return (NnShape){.rank = 2 + dims, .n = {batch, channels, n, n, n}};
}

static VslUnetInput input_of(NnScope *s, int dims, int64_t batch, int64_t n)
{
    return (VslUnetInput){.x = nn_randn(s, image(dims, batch, 1, n), 1, 1, 0),
                          .time = nn_affine(s, nn_rand(s, NN_SHAPE(batch), 1, 2, 0), 50, 0),
                          .spatial = nn_randn(s, image(dims, batch, 1, n), 1, 3, 0),
                          .vector = nn_randn(s, NN_SHAPE(batch, 3), 1, 4, 0),
                          .tokens = nn_randn(s, NN_SHAPE(batch, 2, 4), 1, 5, 0),
                          .dropout_seed = 9};
}

static double loss_of(const Net *n, int dims, int backward)
{
    NnScope *s = nn_scope_open(n->rt, NN_TRAIN);
    const VslUnetInput in = input_of(s, dims, 2, 4);
    NnTensor *out = vsl_unet_forward(s, n->unet, &in);
    NnTensor *loss = nn_mse(s, out, nn_randn(s, image(dims, 2, 1, 4), 1, 6, 0));
    if (backward) {
        nn_zero_grad(s, n->params);
        nn_backward(s, loss);
    }
    const double value = nn_item(s, loss);
    CHECK_OK(nn_scope_close(&s));
    return value;
}

/* Each tensor of parameters is moved along a random direction: the derivative of the loss is <gradient, direction>. */
static void check_gradient(int dims, int checkpoint)
{
    Net n = open_net(small_net(dims, checkpoint), NN_FLOAT64);
    shake(n.params);
    loss_of(&n, dims, 1);
    double worst = 0;
    for (int64_t i = 0; i < nn_params_count(n.params); i++) {
        const NnShape shape = nn_params_shape(n.params, i);
        int64_t count = 1;
        for (int a = 0; a < shape.rank; a++) {
            count *= shape.n[a];
        }
        float *at = NULL, *moved = NULL, *gradient = NULL;
        CHECK_OK(VSL_NEW(&at, count, "a weight"));
        CHECK_OK(VSL_NEW(&moved, count, "a weight"));
        CHECK_OK(VSL_NEW(&gradient, count, "a gradient"));
        CHECK_OK(nn_params_get(n.params, i, at));
        CHECK_OK(nn_params_grad(n.params, i, gradient));
        const double h = 1e-3 / sqrt((double)count);
        double slope = 0, ends[2], size = 0;
        for (int side = 0; side < 2; side++) {
            for (int64_t e = 0; e < count; e++) { /* in float32, which holds what nn_params_set takes */
                const double step = h * vsl_random_normal(2, (uint64_t)i, (uint64_t)e);
                moved[e] = (float)((double)at[e] + (side ? step : -step));
                slope += (side ? 1 : -1) * (double)gradient[e] * (double)moved[e];
                size += fabs((double)gradient[e] * step);
            }
            CHECK_OK(nn_params_set(n.params, i, moved));
            ends[side] = loss_of(&n, dims, 0);
        }
        CHECK_OK(nn_params_set(n.params, i, at));
        const double error = fabs(ends[1] - ends[0] - slope) / (size + 1e-12);
        worst = fmax(worst, error);
        CHECK_NEAR(error, 0, 1e-4, nn_params_name(n.params, i));
        vsl_free(gradient);
        vsl_free(moved);
        vsl_free(at);
    }
    printf("  %dD: %lld tensors, worst relative error %.2g\n", dims, (long long)nn_params_count(n.params), worst);
    close_net(&n);
}

TEST(the_gradient_is_that_of_central_differences)
{
    check_gradient(2, 1);
    check_gradient(3, 1);
    check_gradient(2, 2);
}

TEST(an_absent_condition_is_a_dropped_one)
{
    enum { N = 2 * 16 };
    Net n = open_net(small_net(2, 1), NN_FLOAT64);
    shake(n.params);
    double full[N], dropped[N], absent[N], half[N];
    NnScope *s = nn_scope_open(n.rt, NN_INFER);
    VslUnetInput in = input_of(s, 2, 2, 4);
    nn_to_doubles(s, full, N, vsl_unet_forward(s, n.unet, &in));
    in.keep = nn_from_floats(s, (float[]){1, 0}, NN_SHAPE(2));
    nn_to_doubles(s, half, N, vsl_unet_forward(s, n.unet, &in));
    in.keep = nn_full(s, NN_SHAPE(2), 0);
    nn_to_doubles(s, dropped, N, vsl_unet_forward(s, n.unet, &in));
    in.keep = in.vector = in.tokens = NULL;
    nn_to_doubles(s, absent, N, vsl_unet_forward(s, n.unet, &in));
    CHECK_OK(nn_scope_close(&s));
    for (int i = 0; i < N; i++) {
        CHECK_NEAR(dropped[i], absent[i], 1e-12, "float64");
        CHECK_NEAR(half[i], i < N / 2 ? full[i] : dropped[i], 1e-12, "sample by sample");
    }
    CHECK(fabs(full[0] - absent[0]) > 1e-3);
    close_net(&n);
}

TEST(a_new_network_says_zero_and_each_condition_is_heard)
{
    Net n = open_net(small_net(3, 1), NN_FLOAT64);
    double before[64], after[64];
    NnScope *s = nn_scope_open(n.rt, NN_INFER);
    VslUnetInput in = input_of(s, 3, 1, 4);
    nn_to_doubles(s, before, 64, vsl_unet_forward(s, n.unet, &in));
    for (int i = 0; i < 64; i++) {
        CHECK(before[i] == 0);
    }
    shake(n.params);
    nn_to_doubles(s, before, 64, vsl_unet_forward(s, n.unet, &in));
    NnTensor **const heard[] = {&in.x, &in.time, &in.spatial, &in.vector, &in.tokens};
    for (size_t i = 0; i < sizeof heard / sizeof *heard; i++) {
        NnTensor *kept = *heard[i];
        *heard[i] = nn_affine(s, kept, 1, 0.5);
        nn_to_doubles(s, after, 64, vsl_unet_forward(s, n.unet, &in));
        CHECK(fabs(after[20] - before[20]) > 1e-4);
        *heard[i] = kept;
    }
    CHECK_OK(nn_scope_close(&s));
    close_net(&n);
}

TEST(a_sample_knows_nothing_of_its_batch)
{
    Net n = open_net(small_net(2, 1), NN_FLOAT32);
    shake(n.params);
    float whole[4 * 64], one[64];
    NnScope *s = nn_scope_open(n.rt, NN_INFER);
    const VslUnetInput in = input_of(s, 2, 4, 8);
    nn_to_floats(s, whole, 4 * 64, vsl_unet_forward(s, n.unet, &in));
    for (int b = 0; b < 4; b++) {
#define OF(t) nn_slice(s, in.t, 0, b, b + 1)
        const VslUnetInput single = {
            .x = OF(x), .time = OF(time), .spatial = OF(spatial), .vector = OF(vector), .tokens = OF(tokens)};
#undef OF
        nn_to_floats(s, one, 64, vsl_unet_forward(s, n.unet, &single));
        for (int i = 0; i < 64; i++) {
            CHECK_NEAR(one[i], whole[b * 64 + i], 1e-5, "float32; the convolution may choose another order of sums");
        }
    }
    CHECK_OK(nn_scope_close(&s));
    close_net(&n);
}

TEST(bf16_stays_near_float32)
{
    double out[2][64], most = 0, size = 0, loss[2];
    for (int i = 0; i < 2; i++) {
        VslUnetOptions opt = small_net(2, 2);
        opt.dropout = 0;
        Net n = open_net(opt, i ? NN_BF16 : NN_FLOAT32);
        shake(n.params);
        NnScope *s = nn_scope_open(n.rt, NN_INFER);
        const VslUnetInput in = input_of(s, 2, 1, 8);
        nn_to_doubles(s, out[i], 64, vsl_unet_forward(s, n.unet, &in));
        CHECK_OK(nn_scope_close(&s));
        loss[i] = loss_of(&n, 2, 1);
        close_net(&n);
    }
    for (int e = 0; e < 64; e++) {
        most = fmax(most, fabs(out[1][e] - out[0][e]));
        size = fmax(size, fabs(out[0][e]));
    }
    CHECK(most > 0);
    CHECK_NEAR(most / size, 0, 0.05, "eight bits of mantissa through some thirty layers");
    CHECK_NEAR(loss[1], loss[0], 0.05 * loss[0], "the same");
}

TEST(a_second_head_takes_over_the_body_by_name)
{
    VslUnetOptions opt = small_net(2, 1);
    Net from = open_net(opt, NN_FLOAT32), to = open_net(opt, NN_FLOAT32);
    shake(from.params);
    const int64_t shared = nn_params_count(to.params);
    const NnConv head = vsl_unet_head_new(to.params, "segment", to.unet, 5);
    CHECK_OK(nn_params_status(to.params));
    int64_t copied = 0;
    CHECK_OK(nn_params_copy(to.params, from.params, &copied));
    CHECK(copied == shared && nn_params_count(to.params) == shared + 2);
    float a[8 * 64], b[8 * 64];
    NnTensor *taps[2];
    NnScope *s = nn_scope_open(from.rt, NN_INFER);
    VslUnetInput in = input_of(s, 2, 1, 8);
    nn_to_floats(s, a, 8 * 64, vsl_unet_body(s, from.unet, &in, NULL));
    CHECK_OK(nn_scope_close(&s));
    s = nn_scope_open(to.rt, NN_INFER);
    in = input_of(s, 2, 1, 8);
    NnTensor *features = vsl_unet_body(s, to.unet, &in, taps);
    nn_to_floats(s, b, 8 * 64, features);
    const NnShape mask = nn_shape(nn_conv(s, &head, features));
    CHECK(mask.n[1] == 5 && mask.n[2] == 8 && mask.n[3] == 8);
    CHECK(vsl_unet_tap_count(to.unet) == 2);
    for (int i = 0; i < 2; i++) {
        const NnShape tap = nn_shape(taps[i]);
        CHECK(tap.n[1] == vsl_unet_tap_channels(to.unet, i) && tap.n[2] == (i ? 8 : 4));
    }
    CHECK_OK(nn_scope_close(&s));
    CHECK(memcmp(a, b, sizeof a) == 0);
    close_net(&to);
    close_net(&from);
}

static int64_t elements(int preset, int dims)
{
    Net n = open_net((VslUnetOptions){.preset = preset, .dims = dims}, NN_FLOAT32);
    const int64_t count = nn_params_elements(n.params);
    close_net(&n);
    return count;
}

TEST(presets_have_their_size)
{
    const double small = (double)elements(VSL_UNET_SMALL, 2), base = (double)elements(VSL_UNET_BASE, 2);
    printf("  millions: tiny %.3f, small %.2f, base %.1f, latent-small %.1f, tiny in 3D %.3f\n",
           (double)elements(VSL_UNET_TINY, 2) / 1e6, small / 1e6, base / 1e6,
           (double)elements(VSL_UNET_LATENT_SMALL, 2) / 1e6, (double)elements(VSL_UNET_TINY, 3) / 1e6);
    CHECK_NEAR(small, 2.5e6, 0.1e6, "two and a half million");
    CHECK_NEAR(base, 30e6, 4e6, "about 30 million");
}

/* MB at most during a training step, or during a pass of inference */
static double peak_of(NnMode mode, int dims, int64_t batch, int64_t extent, int checkpoint)
{
    const VslUnetOptions opt = {.preset = VSL_UNET_TINY, .dims = dims, .blocks = 3, .checkpoint = checkpoint};
    Net n = open_net(opt, NN_FLOAT32);
    NnScope *s = nn_scope_open(n.rt, mode);
    const VslUnetInput in = {.x = nn_randn(s, image(dims, batch, 1, extent), 1, 1, 0),
                             .time = nn_full(s, NN_SHAPE(batch), 5)};
    NnTensor *sum = nn_sum(s, nn_square(s, vsl_unet_forward(s, n.unet, &in)), NN_ALL);
    if (mode == NN_TRAIN) {
        nn_backward(s, sum);
    }
    CHECK_OK(nn_scope_close(&s));
    const double peak = (double)nn_memory(n.rt).peak_bytes;
    close_net(&n);
    return peak / 1e6;
}

TEST(checkpointing_and_inference_save_memory)
{
    const double plain = peak_of(NN_TRAIN, 2, 8, 64, 1), checkpointed = peak_of(NN_TRAIN, 2, 8, 64, 2);
    const double solid = peak_of(NN_TRAIN, 3, 1, 32, 1), solid_checkpointed = peak_of(NN_TRAIN, 3, 1, 32, 2);
    const double inference = peak_of(NN_INFER, 2, 8, 64, 1), solid_inference = peak_of(NN_INFER, 3, 1, 32, 1);
    printf("  three blocks a level, MB of a training step, checkpointed, of inference: 8 x 64x64 %.0f %.0f %.0f; "
           "32x32x32 %.0f %.0f %.0f\n",
           plain, checkpointed, inference, solid, solid_checkpointed, solid_inference);
    CHECK(checkpointed < 0.7 * plain && inference < 0.35 * plain);
    CHECK(solid_checkpointed < 0.75 * solid && solid_inference < solid_checkpointed);
}

static VslStatus forward_status(const Net *n, const char **sentence, void (*spoil)(NnScope *, VslUnetInput *))
{
    NnScope *s = nn_scope_open(n->rt, NN_INFER);
    VslUnetInput in = input_of(s, 2, 1, 8);
    in.spatial = in.vector = in.tokens = NULL;
    spoil(s, &in);
    vsl_unet_forward(s, n->unet, &in);
    const VslStatus st = nn_scope_close(&s);
    *sentence = vsl_error();
    return st;
}

static void odd_extent(NnScope *s, VslUnetInput *in)
{
    in->x = nn_full(s, NN_SHAPE(1, 1, 8, 7), 0);
}

static void two_channels(NnScope *s, VslUnetInput *in)
{
    in->x = nn_full(s, NN_SHAPE(1, 2, 8, 8), 0);
}

static void solid(NnScope *s, VslUnetInput *in)
{
    in->x = nn_full(s, NN_SHAPE(1, 1, 8, 8, 8), 0);
}

static void token(NnScope *s, VslUnetInput *in)
{
    in->tokens = nn_full(s, NN_SHAPE(1, 1, 8), 0);
}

TEST(what_does_not_fit_is_refused_with_a_sentence)
{
    Net n = open_net((VslUnetOptions){.preset = VSL_UNET_TINY}, NN_FLOAT32);
    const char *sentence;
    CHECK_STATUS(forward_status(&n, &sentence, odd_extent), VSL_E_ARG);
    CHECK(strstr(sentence, "axis 3 has 7 voxels, expected a multiple of 2"));
    CHECK_STATUS(forward_status(&n, &sentence, two_channels), VSL_E_ARG);
    CHECK(strstr(sentence, "2 channels, expected 4 and 1"));
    CHECK_STATUS(forward_status(&n, &sentence, solid), VSL_E_ARG);
    CHECK_STATUS(forward_status(&n, &sentence, token), VSL_E_ARG);
    CHECK(strstr(sentence, "not made for"));
    close_net(&n);

    const VslUnetOptions wrong[] = {{.dims = 4},
                                    {.width = 30},
                                    {.in_channels = -1},
                                    {.multipliers = {1, 0, 2}},
                                    {.preset = VSL_UNET_BASE, .heads = 7},
                                    {.dropout = 2},
                                    {.token_width = -1}};
    NnRuntime *rt = runtime(NN_FLOAT32);
    NnParams *p = NULL;
    CHECK_OK(nn_params_new(&p, rt, 0));
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
        VslUnet *net = NULL;
        CHECK_STATUS(vsl_unet_new(&net, p, &wrong[i]), VSL_E_ARG);
        CHECK(net == NULL);
    }
    nn_params_free(&p);
    nn_runtime_close(&rt);
}

int main(void)
{
    RUN(the_gradient_is_that_of_central_differences);
    RUN(an_absent_condition_is_a_dropped_one);
    RUN(a_new_network_says_zero_and_each_condition_is_heard);
    RUN(a_sample_knows_nothing_of_its_batch);
    RUN(bf16_stays_near_float32);
    RUN(a_second_head_takes_over_the_body_by_name);
    RUN(presets_have_their_size);
    RUN(checkpointing_and_inference_save_memory);
    RUN(what_does_not_fit_is_refused_with_a_sentence);
    return CHECK_VERDICT();
}
