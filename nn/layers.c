/* Layers as bundles of parameters. Names follow PyTorch (.weight, .bias), so that golden files carry weights by name.
 */
#include "nn/layers.h"

#include <stdio.h>

enum { NAME_BYTES = 128 };
static const double eps = 1e-5; /* of the norms, as PyTorch has it */

static NnTensor *param(NnParams *p, const char *path, const char *leaf, NnShape shape, NnInit init, int64_t fan_in)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.%s", path, leaf);
    return nn_param(p, name, shape, init, fan_in);
}

static NnInit bias_start(NnInit weight)
{
    return weight == NN_INIT_KAIMING_UNIFORM ? NN_INIT_KAIMING_UNIFORM : NN_INIT_ZERO;
}

NnConv nn_conv_new(NnParams *p, const char *path, int dims, int64_t in, int64_t out, int kernel, int stride,
                   NnInit init)
{
    NnShape shape = {.rank = 2 + dims, .n = {out, in, kernel, kernel, kernel}};
    int64_t fan_in = in;
    for (int i = 0; i < dims; i++) {
        fan_in *= kernel;
    }
    return (NnConv){.weight = param(p, path, "weight", shape, init, fan_in),
                    .bias = param(p, path, "bias", NN_SHAPE(out), bias_start(init), fan_in),
                    .stride = stride,
                    .pad = kernel / 2};
}

NnNorm nn_norm_new(NnParams *p, const char *path, int64_t channels)
{
    int64_t groups = channels / 4 < 1 ? 1 : channels / 4 > 32 ? 32 : channels / 4;
    while (channels % groups != 0) {
        groups--;
    }
    return (NnNorm){.scale = param(p, path, "weight", NN_SHAPE(channels), NN_INIT_ONE, channels),
                    .shift = param(p, path, "bias", NN_SHAPE(channels), NN_INIT_ZERO, channels),
                    .groups = (int)groups};
}

NnLinear nn_linear_new(NnParams *p, const char *path, int64_t in, int64_t out, NnInit init)
{
    return (NnLinear){.weight = param(p, path, "weight", NN_SHAPE(out, in), init, in),
                      .bias = param(p, path, "bias", NN_SHAPE(out), bias_start(init), in)};
}

static NnLinear part(NnParams *p, const char *path, const char *leaf, int64_t in, int64_t out, NnInit init)
{
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.%s", path, leaf);
    return nn_linear_new(p, name, in, out, init);
}

NnAttention nn_attention_new(NnParams *p, const char *path, int64_t channels, int64_t context, int heads)
{
    const int64_t from = context > 0 ? context : channels;
    char name[NAME_BYTES];
    snprintf(name, sizeof name, "%s.norm", path);
    /* Without a bias in the keys: it would add one number to all logits of a query, which softmax does not see. */
    NnTensor *key = param(p, path, "key.weight", NN_SHAPE(channels, from), NN_INIT_KAIMING_UNIFORM, from);
    return (NnAttention){.norm = nn_norm_new(p, name, channels),
                         .query = part(p, path, "query", channels, channels, NN_INIT_KAIMING_UNIFORM),
                         .key = {.weight = key},
                         .value = part(p, path, "value", from, channels, NN_INIT_KAIMING_UNIFORM),
                         .out = part(p, path, "out", channels, channels, NN_INIT_ZERO),
                         .heads = heads};
}

NnTensor *nn_conv(NnScope *s, const NnConv *l, NnTensor *x)
{
    return l->weight ? nn_convolve(s, x, l->weight, l->bias, l->stride, l->pad) : x;
}

NnTensor *nn_norm(NnScope *s, const NnNorm *l, NnTensor *x)
{
    return l->scale ? nn_group_norm(s, x, l->groups, l->scale, l->shift, eps) : x;
}

NnTensor *nn_norm_silu(NnScope *s, const NnNorm *l, NnTensor *x, NnTensor *scale, NnTensor *shift)
{
    return nn_group_norm_silu(s, x, l->groups, l->scale, l->shift, scale, shift, eps);
}

NnTensor *nn_linear(NnScope *s, const NnLinear *l, NnTensor *x)
{
    return l->weight ? nn_linear_map(s, x, l->weight, l->bias) : x;
}

/* (B, N, C) -> (B, heads, N, C/heads) */
static NnTensor *split_heads(NnScope *s, NnTensor *x, int heads)
{
    const NnShape n = nn_shape(x);
    return nn_permute(s, nn_reshape(s, x, NN_SHAPE(n.n[0], n.n[1], heads, n.n[2] / heads)), (int[]){0, 2, 1, 3});
}

NnTensor *nn_attention(NnScope *s, const NnAttention *l, NnTensor *x, NnTensor *tokens)
{
    if (!l->query.weight) {
        return x;
    }
    const NnShape shape = nn_shape(x);
    const int64_t batch = shape.n[0], channels = shape.n[1];
    NnTensor *h = nn_reshape(s, nn_norm(s, &l->norm, x), NN_SHAPE(batch, channels, -1));
    h = nn_permute(s, h, (int[]){0, 2, 1}); /* (B, N, C) */
    NnTensor *y = tokens ? tokens : h;
    NnTensor *a = nn_attend(s, split_heads(s, nn_linear(s, &l->query, h), l->heads),
                            split_heads(s, nn_linear(s, &l->key, y), l->heads),
                            split_heads(s, nn_linear(s, &l->value, y), l->heads)); /* (B, heads, N, d) */
    a = nn_reshape(s, nn_permute(s, a, (int[]){0, 2, 1, 3}), NN_SHAPE(batch, -1, channels));
    a = nn_permute(s, nn_linear(s, &l->out, a), (int[]){0, 2, 1}); /* (B, C, N) */
    return nn_add(s, x, nn_reshape(s, a, shape));
}
