/** One pass over parameter arrays in host memory: AdamW, the moving average, sums of squares. Each is a span of a loop,
 * so that a caller may share an array out to threads; results do not depend on the split. @test nn/test_params.c */
#ifndef VSL_NN_SPANS_H
#define VSL_NN_SPANS_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef struct NnAdamWSpan {
    float *w, *first, *second; /* weights and their two moments */
    const float *grad;
    double lr, beta1, beta2, eps, weight_decay;
    int64_t step; /* 1 at the first */
} NnAdamWSpan;
/** Elements [begin, end) of one AdamW step. */
void nn_adamw_span(const NnAdamWSpan *p, int64_t begin, int64_t end);
/** to <- decay * to + (1 - decay) * from */
void nn_average_span(float *to, const float *from, double decay, int64_t begin, int64_t end);
/** Sum of squares of [begin, end), in double, in an order that depends on the span alone. */
double nn_squares_span(const float *x, int64_t begin, int64_t end);

#ifdef __cplusplus
}
#endif
#endif
