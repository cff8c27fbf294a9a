/**
 * Parameters by name: created when a model is built, initialised by counter-based numbers keyed by (seed, name), so
 * that adding a layer changes no other layer's start. The moving average (EMA), AdamW and gradient clipping work on a
 * whole NnParams. Names are dotted paths ("down.0.block.1.conv1.weight"); the same names go into weight files.
 * @test nn/test_params.c
 */
#ifndef VSL_NN_PARAMS_H
#define VSL_NN_PARAMS_H

#include "nn/tensor.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct NnParams NnParams;

typedef enum NnInit {
    NN_INIT_ZERO = 0,
    NN_INIT_ONE,
    NN_INIT_KAIMING_UNIFORM, /* U(-b, b), b = 1/sqrt(fan_in): the PyTorch default of convolutions and linear maps */
    NN_INIT_NORMAL           /* N(0, 0.02^2) */
} NnInit;

VSL_API VSL_MUST_USE VslStatus nn_params_new(NnParams **out, NnRuntime *rt, uint64_t seed);
VSL_API void nn_params_free(NnParams **p);
/** Creates and initialises one; the returned tensor is owned by p. fan_in of weights = elements / shape.n[0]; for a
 * bias give the weight's. A failure (duplicate name, memory) is remembered: returns NULL and nn_params_status tells. */
VSL_API NnTensor *nn_param(NnParams *p, const char *name, NnShape shape, NnInit init, int64_t fan_in);
VSL_API VslStatus nn_params_status(const NnParams *p);
VSL_API int64_t nn_params_count(const NnParams *p);    /* tensors */
VSL_API int64_t nn_params_elements(const NnParams *p); /* numbers */
VSL_API const char *nn_params_name(const NnParams *p, int64_t i);
VSL_API NnShape nn_params_shape(const NnParams *p, int64_t i);
/** Copies tensor i to or from float32 values (count = its elements). grad: the gradient, zeros where there is none. */
VSL_API VSL_MUST_USE VslStatus nn_params_get(const NnParams *p, int64_t i, float *values);
VSL_API VSL_MUST_USE VslStatus nn_params_set(NnParams *p, int64_t i, const float *values);
VSL_API VSL_MUST_USE VslStatus nn_params_grad(const NnParams *p, int64_t i, float *values);
/** Learning-rate factor of every parameter whose name begins with prefix (1 at creation; 0 freezes it). */
VSL_API void nn_params_rate(NnParams *p, const char *prefix, double factor);
/** Copies values of equally named, equally shaped tensors from src; *copied of them. */
VSL_API VSL_MUST_USE VslStatus nn_params_copy(NnParams *dst, const NnParams *src, int64_t *copied);
/** to <- decay * to + (1 - decay) * from, name by name (both made by the same builder). */
VSL_API void nn_ema_update(NnScope *s, NnParams *to, const NnParams *from, double decay);
/** Scales all gradients so that their joint norm is at most max_norm; returns the norm before. */
VSL_API double nn_clip_grad_norm(NnScope *s, NnParams *p, double max_norm);
VSL_API void nn_zero_grad(NnScope *s, NnParams *p);

/** AdamW (Loshchilov and Hutter 2019, Algorithm 2). The state (two moments a tensor, step count) can be saved. */
typedef struct NnAdamW NnAdamW;
typedef struct NnAdamWOptions {
    double lr, beta1, beta2, eps, weight_decay; /* 0 = 1e-4, 0.9, 0.999, 1e-8, no decay */
} NnAdamWOptions;
VSL_API VSL_MUST_USE VslStatus nn_adamw_new(NnAdamW **out, NnParams *p, const NnAdamWOptions *opt);
VSL_API void nn_adamw_free(NnAdamW **o);
/** One step with learning rate lr (a schedule's value), then clears the gradients. */
VSL_API void nn_adamw_step(NnScope *s, NnAdamW *o, double lr);
VSL_API int64_t nn_adamw_steps(const NnAdamW *o);
VSL_API VSL_MUST_USE VslStatus nn_adamw_get(const NnAdamW *o, int64_t i, float *first, float *second);
VSL_API VSL_MUST_USE VslStatus nn_adamw_set(NnAdamW *o, int64_t i, const float *first, const float *second);
VSL_API void nn_adamw_set_steps(NnAdamW *o, int64_t steps);

#ifdef __cplusplus
}
#endif
#endif
