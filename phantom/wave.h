/*
 * A random field as a sum of plane waves, with its gradient: value at any point, no lattice, the same everywhere.
 *     g(x) = sqrt(2/N) sum_i cos(k_i . x + p_i),   |k_i| = 2 pi / wavelength_i,   variance 1
 * Waves are laid out in lanes, so that the compiler can use vectors without reordering sums behind our back; the cosine
 * is a polynomial (error 2e-5) and so does not depend on the C library.
 */
#ifndef VSL_PHANTOM_WAVE_H
#define VSL_PHANTOM_WAVE_H

#include <stdint.h>

#include "phantom/shape.h"

enum { PH_LANES = 8, PH_MAX_WAVES = 32 };

typedef struct PhWaves {
    int blocks;                                                                      /* of PH_LANES waves */
    float kx[PH_MAX_WAVES], ky[PH_MAX_WAVES], kz[PH_MAX_WAVES], phase[PH_MAX_WAVES]; /* turns per mm, turns */
    float amplitude;
} PhWaves;

/* Fills w with blocks * PH_LANES waves of lengths between shortest_mm and longest_mm in random directions. */
void ph_waves_random(PhWaves *w, int blocks, double shortest_mm, double longest_mm, uint64_t seed, uint64_t stream);

/* cos and sin of 2 pi t */
static inline void ph_turns(float t, float *c, float *s)
{
    const float shift = 12582912.0f; /* 1.5 * 2^23: adding it rounds to a whole number */
    const float f = t - ((t + shift) - shift), q = f * f;
    const float odd =
        6.28318531f +
        q * (-41.3417022f +
             q * (81.6052493f + q * (-76.7058597f + q * (42.0586939f + q * (-15.0946426f + q * 3.81995258f)))));
    const float even =
        1.0f +
        q * (-19.7392088f +
             q * (64.9393940f +
                  q * (-85.4568172f + q * (60.2446414f + q * (-26.4262568f + q * (7.90353637f - q * 1.71439071f))))));
    *s = f * odd;
    *c = even;
}

static inline float ph_wave(const PhWaves *w, PhVec p)
{
    float lane[PH_LANES] = {0};
    for (int b = 0; b < w->blocks; b++) {
        const int o = b * PH_LANES;
        for (int l = 0; l < PH_LANES; l++) {
            float c, s;
            ph_turns(w->kx[o + l] * p.x + w->ky[o + l] * p.y + w->kz[o + l] * p.z + w->phase[o + l], &c, &s);
            lane[l] += c;
        }
    }
    return w->amplitude * (((lane[0] + lane[4]) + (lane[2] + lane[6])) + ((lane[1] + lane[5]) + (lane[3] + lane[7])));
}

/* Also the gradient, per mm. */
static inline float ph_wave_gradient(const PhWaves *w, PhVec p, PhVec *gradient)
{
    float lane[4][PH_LANES] = {{0}}, sum[4];
    for (int b = 0; b < w->blocks; b++) {
        const int o = b * PH_LANES;
        for (int l = 0; l < PH_LANES; l++) {
            float c, s;
            ph_turns(w->kx[o + l] * p.x + w->ky[o + l] * p.y + w->kz[o + l] * p.z + w->phase[o + l], &c, &s);
            lane[0][l] += c;
            lane[1][l] += s * w->kx[o + l];
            lane[2][l] += s * w->ky[o + l];
            lane[3][l] += s * w->kz[o + l];
        }
    }
    for (int i = 0; i < 4; i++) {
        const float *a = lane[i];
        sum[i] = w->amplitude * (((a[0] + a[4]) + (a[2] + a[6])) + ((a[1] + a[5]) + (a[3] + a[7])));
    }
    const float turn = -6.28318531f;
    *gradient = ph_vec(turn * sum[1], turn * sum[2], turn * sum[3]);
    return sum[0];
}

#endif
