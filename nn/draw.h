/** Arrays of counter-based random numbers: what nn_randn, nn_rand and nn_randint put into tensors. Number e of sample b
 * is the value of core/random.h at index (first + b) * 2^32 + e. @test nn/test_draw.c */
#ifndef VSL_NN_DRAW_H
#define VSL_NN_DRAW_H

#include <stdbool.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

typedef enum NnDrawKind { NN_DRAW_NORMAL = 1, NN_DRAW_UNIFORM, NN_DRAW_INTEGER } NnDrawKind;
typedef struct NnDraw {
    NnDrawKind kind;
    uint64_t seed, stream, first;
    int64_t n;                   /* integers are in [0, n) */
    int64_t samples, per_sample; /* values holds samples * per_sample numbers */
    void *values;                /* float, for integers int64_t; borrowed */
} NnDraw;

/** False when a sample or a number in it has no index of its own: 2^32 of either, or more. */
bool nn_draw_is_addressable(const NnDraw *d);
/** Fills values[begin..end). Any split of the array gives the same numbers. */
void nn_draw_span(const NnDraw *d, int64_t begin, int64_t end);
/** The index of core/random.h of number e of a sample. */
uint64_t nn_draw_index(uint64_t sample, int64_t e);

#ifdef __cplusplus
}
#endif
#endif
