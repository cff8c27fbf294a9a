/* Draws in a row from one named stream, for people and shapes: the n-th draw of a name is always the same. */
#ifndef VSL_PHANTOM_DRAW_H
#define VSL_PHANTOM_DRAW_H

#include <math.h>

#include "core/random.h"

typedef struct PhDraw {
    uint64_t seed, stream, next;
} PhDraw;

static inline double ph_uniform(PhDraw *d, double lo, double hi)
{
    return lo + (hi - lo) * vsl_random_uniform(d->seed, d->stream, d->next++);
}
/* Normal, cut at 2.2 standard deviations: shapes stay those of a body. */
static inline double ph_about(PhDraw *d, double mean, double sd)
{
    const double z = vsl_random_normal(d->seed, d->stream, d->next++);
    return mean + sd * fmin(fmax(z, -2.2), 2.2);
}
static inline int ph_chance(PhDraw *d, double share)
{
    return vsl_random_uniform(d->seed, d->stream, d->next++) < share;
}

#endif
