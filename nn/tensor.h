/**
 * Tensors with gradients, from C. Model code reads like the lines of a paper: no `if` after an operation.
 *
 * - A scope owns every tensor that an operation returns; closing the scope frees them together. Parameters live in
 *   NnParams, state that outlives a step in tensors made by nn_state_new.
 * - A scope remembers its first failure (operation, shapes, sentence). From then on operations do nothing and return a
 *   poison tensor, and operations with effects (backward, optimiser, copies out) are skipped, so that a failed step
 *   cannot change weights. One check, at nn_scope_close.
 * - Training or inference is the scope's mode, not the process's.
 *
 * Axes: (B, C, H, W) in 2D, (B, C, D, H, W) in 3D, the bytes of a VslVolume being (C, D, H, W). Every operation takes
 * both; "spatial" means the axes after C. Elementwise operations broadcast as NumPy does. Everything is float32 on the
 * runtime's device unless it says otherwise; nn_runtime_open may ask for bf16 in convolutions and matrix products
 * (float32 weights and sums) or for float64 (gradient checks).
 * @test nn/test_tensor.c, nn/test_gradients.c, nn/test_golden.c
 */
#ifndef VSL_NN_TENSOR_H
#define VSL_NN_TENSOR_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "core/api.h"
#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct NnRuntime NnRuntime; /* device, precision, threads */
typedef struct NnScope NnScope;
typedef struct NnTensor NnTensor;

typedef enum NnMode { NN_INFER = 0, NN_TRAIN } NnMode;
typedef enum NnPrecision { NN_FLOAT32 = 0, NN_BF16, NN_FLOAT64 } NnPrecision;
enum { NN_MAX_RANK = 6 };
typedef struct NnShape {
    int rank;
    int64_t n[NN_MAX_RANK];
} NnShape;

/* --- runtime ---------------------------------------------------------------------------------------------------- */

/** device: "auto", "cpu", "cuda", "cuda:N". threads: 0 = granted to this process. @return VSL_E_ARG, VSL_E_DEVICE. */
VSL_API VSL_MUST_USE VslStatus nn_runtime_open(NnRuntime **out, const char *device, NnPrecision precision, int threads);
VSL_API void nn_runtime_close(NnRuntime **rt);
/** "LibTorch 1.13.1, cpu, 2 threads". Borrowed. */
VSL_API const char *nn_runtime_name(const NnRuntime *rt);
typedef struct NnMemory {
    int64_t now_bytes, peak_bytes; /* of tensors' storage on the device, since the runtime was opened */
} NnMemory;
VSL_API NnMemory nn_memory(const NnRuntime *rt);

/* --- scopes ----------------------------------------------------------------------------------------------------- */

/** Never NULL: a scope can open already failed. */
VSL_API NnScope *nn_scope_open(NnRuntime *rt, NnMode mode);
/** A scope inside another, of the same mode; nn_scope_join frees its tensors and moves its failure to the parent. */
VSL_API NnScope *nn_scope_child(NnScope *parent);
VSL_API void nn_scope_join(NnScope **child);
/** Frees every tensor of the scope. @return its first failure (sentence in vsl_error), or VSL_OK. */
VSL_API VSL_MUST_USE VslStatus nn_scope_close(NnScope **s);
VSL_API VslStatus nn_scope_status(const NnScope *s);
/** Makes the scope fail with a caller's sentence (shapes that a model refuses, say). Returns the poison tensor. */
VSL_API NnTensor *nn_refuse(NnScope *s, VslStatus code, const char *op, const char *fmt, ...) VSL_PRINTF(4, 5);
/** Moves t to the parent of a child scope, so that it outlives the child. */
VSL_API NnTensor *nn_keep(NnScope *child, NnTensor *t);

/* --- in and out ------------------------------------------------------------------------------------------------- */

VSL_API NnShape nn_shape(const NnTensor *t);
VSL_API NnShape nn_dims(int rank, const int64_t *n); /* n[rank] */
#define NN_SHAPE(...) nn_dims((int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), (int64_t[]){__VA_ARGS__})
/** Copies count(shape) float32 values in, row-major (last axis fastest). */
VSL_API NnTensor *nn_from_floats(NnScope *s, const float *values, NnShape shape);
VSL_API NnTensor *nn_from_int64(NnScope *s, const int64_t *values, NnShape shape);
/** Copies out, converted to float32; count must be the tensor's. Skipped in a failed scope (values unchanged). */
VSL_API void nn_to_floats(NnScope *s, float *values, int64_t count, const NnTensor *t);
VSL_API void nn_to_doubles(NnScope *s, double *values, int64_t count, const NnTensor *t);
VSL_API void nn_to_int64(NnScope *s, int64_t *values, int64_t count, const NnTensor *t);
/** The one value of t; waits for the device; NAN in a failed scope. */
VSL_API double nn_item(NnScope *s, const NnTensor *t);
VSL_API NnTensor *nn_full(NnScope *s, NnShape shape, double value);
/** A tensor that outlives scopes (loop-carried latent, running state); free with nn_state_free. */
VSL_API VSL_MUST_USE VslStatus nn_state_new(NnTensor **out, NnRuntime *rt, NnShape shape);
VSL_API void nn_state_free(NnTensor **t);
VSL_API void nn_copy_into(NnScope *s, NnTensor *state, const NnTensor *t);
/** Normal / uniform (0,1) / integer in [0, n) draws: element e of sample b is a function of (seed, stream, first + b,
 * e) alone, the same on every device, batch split and thread count (core/random.h). shape.n[0] is the batch. */
VSL_API NnTensor *nn_randn(NnScope *s, NnShape shape, uint64_t seed, uint64_t stream, uint64_t first);
VSL_API NnTensor *nn_rand(NnScope *s, NnShape shape, uint64_t seed, uint64_t stream, uint64_t first);
VSL_API NnTensor *nn_randint(NnScope *s, int64_t n, NnShape shape, uint64_t seed, uint64_t stream, uint64_t first);

/* --- arithmetic ------------------------------------------------------------------------------------------------- */

VSL_API NnTensor *nn_add(NnScope *s, NnTensor *a, NnTensor *b);
VSL_API NnTensor *nn_sub(NnScope *s, NnTensor *a, NnTensor *b);
VSL_API NnTensor *nn_mul(NnScope *s, NnTensor *a, NnTensor *b);
VSL_API NnTensor *nn_div(NnScope *s, NnTensor *a, NnTensor *b);
/** scale * a + shift */
VSL_API NnTensor *nn_affine(NnScope *s, NnTensor *a, double scale, double shift);
VSL_API NnTensor *nn_exp(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_log(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_sqrt(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_square(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_abs(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_sin(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_cos(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_tanh(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_sigmoid(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_relu(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_silu(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_gelu(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_clamp(NnScope *s, NnTensor *a, double low, double high);
VSL_API NnTensor *nn_softmax(NnScope *s, NnTensor *a, int axis);
VSL_API NnTensor *nn_log_softmax(NnScope *s, NnTensor *a, int axis);
VSL_API NnTensor *nn_dropout(NnScope *s, NnTensor *a, double p, uint64_t seed,
                             uint64_t stream); /* identity in NN_INFER */
/** (.., M, K) x (.., K, N) -> (.., M, N) */
VSL_API NnTensor *nn_matmul(NnScope *s, NnTensor *a, NnTensor *b);
/** Sums and means over one axis (kept as extent 1), or over everything (axis = NN_ALL -> a scalar, summed in double).
 */
enum { NN_ALL = 1000 };
VSL_API NnTensor *nn_sum(NnScope *s, NnTensor *a, int axis);
VSL_API NnTensor *nn_mean(NnScope *s, NnTensor *a, int axis);
VSL_API NnTensor *nn_argmax(NnScope *s, NnTensor *a, int axis); /* int64, axis removed; no gradient */

/* --- shape ------------------------------------------------------------------------------------------------------ */

VSL_API NnTensor *nn_reshape(NnScope *s, NnTensor *a, NnShape shape);   /* one extent may be -1 */
VSL_API NnTensor *nn_permute(NnScope *s, NnTensor *a, const int *axes); /* axes[rank] */
VSL_API NnTensor *nn_concat(NnScope *s, int count, NnTensor *const *parts, int axis);
VSL_API NnTensor *nn_slice(NnScope *s, NnTensor *a, int axis, int64_t begin, int64_t end);
VSL_API NnTensor *nn_pad(NnScope *s, NnTensor *a, const int64_t *before_after); /* pairs, first axis first; zeros */
/** (B, C) -> (B, C, 1, ..) with like's rank: a per-channel value made to broadcast over space. */
VSL_API NnTensor *nn_spatial(NnScope *s, NnTensor *a, const NnTensor *like);
VSL_API NnTensor *nn_detach(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_contiguous(NnScope *s, NnTensor *a);
VSL_API NnTensor *nn_one_hot(NnScope *s, NnTensor *labels_int64, int64_t classes, int axis); /* new axis at `axis` */
VSL_API NnTensor *nn_gather_rows(NnScope *s, NnTensor *table, NnTensor *index_int64);        /* (N, E), (B) -> (B, E) */

/* --- layers' arithmetic (bundles of parameters are in layers.h) --------------------------------------------------- */

/** x (B,Cin,[D,]H,W), weight (Cout,Cin/groups,[k,]k,k), bias (Cout) or NULL; 2D or 3D by rank. */
VSL_API NnTensor *nn_convolve(NnScope *s, NnTensor *x, NnTensor *weight, NnTensor *bias, int stride, int pad);
VSL_API NnTensor *nn_convolve_transposed(NnScope *s, NnTensor *x, NnTensor *weight, NnTensor *bias, int stride,
                                         int pad);
VSL_API NnTensor *nn_group_norm(NnScope *s, NnTensor *x, int groups, NnTensor *scale, NnTensor *shift, double eps);
/** silu(group_norm(x) (1 + scale) + shift), which a diffusion network computes before most of its convolutions, in one
 * pass over host memory and with x alone kept for the way back. layer_scale, layer_shift (C); scale, shift (B,C), or
 * both NULL = 0. */
VSL_API NnTensor *nn_group_norm_silu(NnScope *s, NnTensor *x, int groups, NnTensor *layer_scale, NnTensor *layer_shift,
                                     NnTensor *scale, NnTensor *shift, double eps);
VSL_API NnTensor *nn_layer_norm(NnScope *s, NnTensor *x, NnTensor *scale, NnTensor *shift, double eps); /* last axis */
/** x (.., In), weight (Out, In), bias (Out) or NULL -> (.., Out) */
VSL_API NnTensor *nn_linear_map(NnScope *s, NnTensor *x, NnTensor *weight, NnTensor *bias);
/** q (B,heads,N,d), k, v (B,heads,M,d) -> (B,heads,N,d): softmax(q k^T / sqrt d) v */
VSL_API NnTensor *nn_attend(NnScope *s, NnTensor *q, NnTensor *k, NnTensor *v);
VSL_API NnTensor *nn_avg_pool(NnScope *s, NnTensor *x, int factor);
VSL_API NnTensor *nn_upsample_nearest(NnScope *s, NnTensor *x, int factor);
/** Linear interpolation to spatial extents n (voxel centres aligned as in align_corners=false). */
VSL_API NnTensor *nn_resize_linear(NnScope *s, NnTensor *x, const int64_t *n);

/* --- losses: scalars -------------------------------------------------------------------------------------------- */

VSL_API NnTensor *nn_mse(NnScope *s, NnTensor *a, NnTensor *b);
VSL_API NnTensor *nn_l1(NnScope *s, NnTensor *a, NnTensor *b);
/** Mean binary cross-entropy of logits against targets in [0,1]. */
VSL_API NnTensor *nn_bce(NnScope *s, NnTensor *logits, NnTensor *target);
/** Mean cross-entropy over classes (axis 1) of logits against int64 labels. */
VSL_API NnTensor *nn_cross_entropy(NnScope *s, NnTensor *logits, NnTensor *labels);

/* --- gradients -------------------------------------------------------------------------------------------------- */

VSL_API void nn_backward(NnScope *s, NnTensor *loss);
/** Marks a leaf of this scope as one whose gradient is wanted (guidance by a caller's energy, gradient checks). */
VSL_API NnTensor *nn_require_grad(NnScope *s, NnTensor *leaf);
/** d loss / d leaf without touching parameters' gradients; works in NN_INFER scopes too between nn_grad_begin/end. */
VSL_API NnTensor *nn_grad(NnScope *s, NnTensor *loss, NnTensor *leaf);
/** Inside, an NN_INFER scope records operations. */
VSL_API void nn_grad_begin(NnScope *s);
VSL_API void nn_grad_end(NnScope *s);

/**
 * A custom operation: forward and backward are C functions on contiguous float32 (or float64, in a float64 runtime)
 * buffers on the host; on another device they are handed copies. So LDDMM, warps and moments enter training as layers.
 */
typedef struct NnBuffer {
    NnShape shape;
    void *data; /* float *, or double * in a float64 runtime */
} NnBuffer;
typedef struct NnCustom {
    const char *name;
    /** Says the output's shape. A refusal is a status with its sentence. */
    VslStatus (*shape)(NnShape *out, int inputs, const NnShape *in, void *user);
    VslStatus (*forward)(NnBuffer out, int inputs, const NnBuffer *in, void *user);
    /** grad_in[i].data is NULL where no gradient is wanted; otherwise zero-filled: add to it. */
    VslStatus (*backward)(const NnBuffer *grad_in, NnBuffer grad_out, NnBuffer out, int inputs, const NnBuffer *in,
                          void *user);
    void *user; /* borrowed; must live until the scope closes */
} NnCustom;
VSL_API NnTensor *nn_custom(NnScope *s, const NnCustom *op, int inputs, NnTensor *const *in);

/** Activation checkpointing: runs body on inputs now without recording, and again in the backward pass. body must be a
 * function of its inputs, parameters and user alone. user_bytes > 0: body gets a copy of so many bytes at user; 0: user
 * itself, which must live until the scope closes. */
typedef NnTensor *NnBody(NnScope *s, NnTensor *const *in, void *user);
VSL_API NnTensor *nn_checkpoint(NnScope *s, NnBody *body, int inputs, NnTensor *const *in, void *user,
                                size_t user_bytes);

#ifdef __cplusplus
}
#endif
#endif
