/* Philox draws. */
#include "core/random.h"

#include <Random123/philox.h>
#include <math.h>

static const double two_pi = 6.283185307179586476925;

void vsl_random_bits(uint32_t out[4], uint64_t seed, uint64_t stream, uint64_t index)
{
    const philox4x32_key_t key = {{(uint32_t)seed, (uint32_t)(seed >> 32)}};
    const philox4x32_ctr_t ctr = {
        {(uint32_t)index, (uint32_t)(index >> 32), (uint32_t)stream, (uint32_t)(stream >> 32)}};
    const philox4x32_ctr_t r = philox4x32(ctr, key);
    for (int i = 0; i < 4; i++) {
        out[i] = r.v[i];
    }
}

static double unit_interval(uint32_t hi, uint32_t lo)
{
    const uint64_t bits = ((uint64_t)hi << 32 | lo) >> 11;
    return ((double)bits + 0.5) * 0x1p-53;
}

double vsl_random_uniform(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t r[4];
    vsl_random_bits(r, seed, stream, index);
    return unit_interval(r[0], r[1]);
}

double vsl_random_normal(uint64_t seed, uint64_t stream, uint64_t index)
{
    uint32_t r[4];
    vsl_random_bits(r, seed, stream, index);
    return sqrt(-2.0 * log(unit_interval(r[0], r[1]))) * cos(two_pi * unit_interval(r[2], r[3]));
}

uint64_t vsl_random_stream(const char *name)
{
    uint64_t h = 14695981039346656037u;
    for (; *name; name++) {
        h = (h ^ (unsigned char)*name) * 1099511628211u;
    }
    return h;
}
