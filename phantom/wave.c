/* Random directions, lengths and phases of waves. */
#include "phantom/wave.h"

#include "core/random.h"

void ph_waves_random(PhWaves *w, int blocks, double shortest_mm, double longest_mm, uint64_t seed, uint64_t stream)
{
    const int count = blocks * PH_LANES;
    w->blocks = blocks;
    w->amplitude = (float)sqrt(2.0 / count);
    for (int i = 0; i < count; i++) {
        double d[3], norm = 0;
        for (int c = 0; c < 3; c++) {
            d[c] = vsl_random_normal(seed, stream, (uint64_t)(5 * i + c));
            norm += d[c] * d[c];
        }
        const double u = vsl_random_uniform(seed, stream, (uint64_t)(5 * i + 3));
        const double k = 1.0 / ((shortest_mm + (longest_mm - shortest_mm) * u) * sqrt(norm));
        w->kx[i] = (float)(k * d[0]);
        w->ky[i] = (float)(k * d[1]);
        w->kz[i] = (float)(k * d[2]);
        w->phase[i] = (float)vsl_random_uniform(seed, stream, (uint64_t)(5 * i + 4));
    }
}
