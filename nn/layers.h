/**
 * Parameter bundles and one function each: convolution, group normalisation, linear map, attention. A bundle is a plain
 * struct of tensors that NnParams owns, made by nn_<layer>_new under a dotted path ("down.0.conv1" gives
 * "down.0.conv1.weight" and ".bias"). An empty bundle ({0}) is the identity, so that a skip connection without a
 * convolution or a block without attention needs no `if`. A failed nn_param is remembered by NnParams: check
 * nn_params_status once, when the whole model is made.
 * @test diffusion/test_unet.c, diffusion/test_unet_golden.c
 */
#ifndef VSL_NN_LAYERS_H
#define VSL_NN_LAYERS_H

#include "nn/params.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct NnConv {
    NnTensor *weight, *bias; /* (Cout, Cin, [k,] k, k), (Cout) */
    int stride, pad;
} NnConv;
typedef struct NnNorm {
    NnTensor *scale, *shift; /* (C), (C); names .weight and .bias */
    int groups;
} NnNorm;
typedef struct NnLinear {
    NnTensor *weight, *bias; /* (Out, In), (Out) or NULL */
} NnLinear;
/** Normalisation, multi-head attention and projection, added to what came in: x + out(attend(q(x), k(y), v(y))), where
 * y is the normalised x itself, or context tokens. */
typedef struct NnAttention {
    NnNorm norm;
    NnLinear query, key, value, out; /* (C,C), (C,Y) without bias, (C,Y), (C,C); Y = C, or the context's width */
    int heads;
} NnAttention;

/** dims: 2 or 3. Odd kernels are padded so that stride 1 keeps extents. init: of the weight, the bias starts as the
 * PyTorch default does (uniform) or at zero when the weight starts at zero or normal. */
VSL_API NnConv nn_conv_new(NnParams *p, const char *path, int dims, int64_t in, int64_t out, int kernel, int stride,
                           NnInit init);
/** min(32, C/4) groups, or the next smaller number that divides C (Karras et al. 2022, GroupNorm of their networks). */
VSL_API NnNorm nn_norm_new(NnParams *p, const char *path, int64_t channels);
VSL_API NnLinear nn_linear_new(NnParams *p, const char *path, int64_t in, int64_t out, NnInit init);
/** context: width of the context tokens, or 0 = attention of x to itself. The last projection starts at zero, so that
 * the layer starts as the identity. heads must divide channels. */
VSL_API NnAttention nn_attention_new(NnParams *p, const char *path, int64_t channels, int64_t context, int heads);

/** x (B, Cin, ..) -> (B, Cout, ..) */
VSL_API NnTensor *nn_conv(NnScope *s, const NnConv *l, NnTensor *x);
VSL_API NnTensor *nn_norm(NnScope *s, const NnNorm *l, NnTensor *x);
/** silu(norm(x) (1 + scale) + shift); scale, shift: (B, C), or both NULL = 0 */
VSL_API NnTensor *nn_norm_silu(NnScope *s, const NnNorm *l, NnTensor *x, NnTensor *scale, NnTensor *shift);
/** x (.., In) -> (.., Out) */
VSL_API NnTensor *nn_linear(NnScope *s, const NnLinear *l, NnTensor *x);
/** x (B, C, ..) -> same. tokens: (B, M, context), or NULL = x attends to itself. */
VSL_API NnTensor *nn_attention(NnScope *s, const NnAttention *l, NnTensor *x, NnTensor *tokens);

#ifdef __cplusplus
}
#endif
#endif
