/* Arrays of counter-based random numbers. */
#include "nn/draw.h"

#include "core/random.h"

static const uint64_t stride = (uint64_t)1 << 32;

bool nn_draw_is_addressable(const NnDraw *d)
{
    return (uint64_t)d->per_sample <= stride && d->first < stride && (uint64_t)d->samples <= stride - d->first;
}

uint64_t nn_draw_index(uint64_t sample, int64_t e)
{
    return sample * stride + (uint64_t)e;
}

/* A double just below 1 rounds to 1.0f, which is not in (0, 1). */
static float below_one(double u)
{
    const float f = (float)u;
    return f < 1.0f ? f : 0x1.fffffep-1f;
}

void nn_draw_span(const NnDraw *d, int64_t begin, int64_t end)
{
    for (int64_t i = begin; i < end; i++) {
        const uint64_t index = nn_draw_index(d->first + (uint64_t)(i / d->per_sample), i % d->per_sample);
        switch (d->kind) {
        case NN_DRAW_NORMAL: ((float *)d->values)[i] = (float)vsl_random_normal(d->seed, d->stream, index); break;
        case NN_DRAW_UNIFORM: ((float *)d->values)[i] = below_one(vsl_random_uniform(d->seed, d->stream, index)); break;
        case NN_DRAW_INTEGER: {
            const int64_t k = (int64_t)(vsl_random_uniform(d->seed, d->stream, index) * (double)d->n);
            ((int64_t *)d->values)[i] = k < d->n ? k : d->n - 1;
            break;
        }
        }
    }
}
