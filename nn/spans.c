/* Loops over parameter arrays. AdamW: Loshchilov and Hutter 2019, Algorithm 2, with the learning rate as the schedule
 * multiplier of both the step and the decay, as PyTorch has it. */
#include "nn/spans.h"

#include <math.h>

void nn_adamw_span(const NnAdamWSpan *p, int64_t begin, int64_t end)
{
    const double unbias1 = 1 - pow(p->beta1, (double)p->step), unbias2 = 1 - pow(p->beta2, (double)p->step);
    const float keep = (float)(1 - p->lr * p->weight_decay), rate = (float)(p->lr / unbias1);
    const float scale2 = (float)(1 / sqrt(unbias2)), eps = (float)p->eps;
    const float b1 = (float)p->beta1, b2 = (float)p->beta2;
    const float c1 = (float)(1 - p->beta1), c2 = (float)(1 - p->beta2);
    float *restrict w = p->w, *restrict first = p->first, *restrict second = p->second;
    const float *restrict grad = p->grad;
    for (int64_t i = begin; i < end; i++) {
        const float g = grad[i];
        first[i] = b1 * first[i] + c1 * g;
        second[i] = b2 * second[i] + c2 * g * g;
        w[i] = keep * w[i] - rate * first[i] / (sqrtf(second[i]) * scale2 + eps);
    }
}

void nn_average_span(float *to, const float *from, double decay, int64_t begin, int64_t end)
{
    const float keep = (float)decay, take = (float)(1 - decay);
    for (int64_t i = begin; i < end; i++) {
        to[i] = keep * to[i] + take * from[i];
    }
}

double nn_squares_span(const float *x, int64_t begin, int64_t end)
{
    enum { LANES = 8 }; /* independent sums, so that the loop may run as vectors in a stated order */
    double sums[LANES] = {0}, total = 0;
    int64_t i = begin;
    for (; i + LANES <= end; i += LANES) {
        for (int k = 0; k < LANES; k++) {
            sums[k] += (double)x[i + k] * (double)x[i + k];
        }
    }
    for (; i < end; i++) {
        sums[0] += (double)x[i] * (double)x[i];
    }
    for (int k = 0; k < LANES; k++) {
        total += sums[k];
    }
    return total;
}
