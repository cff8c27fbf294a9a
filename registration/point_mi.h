/**
 * The arithmetic of one voxel of the joint histogram, for the CPU's loops and the GPU's threads: a hat in the fixed
 * image's intensity, a cubic B-spline in the warped one's (similarity_mi.h). @test registration/test_similarity_mi.c
 */
#ifndef VSL_REGISTRATION_POINT_MI_H
#define VSL_REGISTRATION_POINT_MI_H

#include <stdint.h>

#include "core/hd.h"
#include "registration/kernels.h"

typedef struct RegMiImages { /* planes of the fixed grid; mask and weight may be NULL */
    const float *fixed, *warped, *mask, *weight;
} RegMiImages;

/* Bin to the left and distance from it; the distance may be 1 at the upper end. inside: 0 where held at an end. */
VSL_HD int reg_mi_bin(double *t, int *inside, const RegMiAxis *a, float value)
{
    double p = ((double)value - a->low) * a->scale + a->first;
    *inside = p > a->first && p < a->last;
    p = p > a->first ? (p < a->last ? p : a->last) : a->first;
    const int top = (int)a->last - 1, b = (int)p;
    const int left = b < top ? b : top;
    *t = p - left;
    return left;
}

/* What voxel v counts; 0 where an intensity is not finite. */
VSL_HD double reg_mi_weight(const RegMiImages *m, int64_t v)
{
    double w = m->mask ? (double)m->mask[v] : 1;
    w *= m->weight ? (double)m->weight[v] : 1;
    return w > 0 && m->warped[v] - m->warped[v] == 0 && m->fixed[v] - m->fixed[v] == 0 ? w : 0;
}

/* Adds voxel v to h, bins x bins, the warped image's bins fastest. Returns its weight. */
VSL_HD double reg_mi_add(double *h, const RegMiImages *m, const RegMiBins *bins, int64_t v)
{
    const double w = reg_mi_weight(m, v);
    if (!(w > 0)) {
        return 0;
    }
    double s, t;
    int inside;
    const int a = reg_mi_bin(&s, &inside, &bins->fixed, m->fixed[v]);
    const int b = reg_mi_bin(&t, &inside, &bins->warped, m->warped[v]);
    const double r = 1 - t, k = w / 6;
    const double spline[4] = {k * r * r * r, k * ((3 * t - 6) * t * t + 4), k * (((3 - 3 * t) * t + 3) * t + 1),
                              k * t * t * t};
    double *lo = h + a * bins->bins + b - 1, *hi = lo + bins->bins;
    for (int c = 0; c < 4; c++) {
        lo[c] += (1 - s) * spline[c];
        hi[c] += s * spline[c];
    }
    return w;
}

/* scale times weight of voxel v times the slope of its spline times the table. */
VSL_HD double reg_mi_slope(double scale, const double *table, const RegMiImages *m, const RegMiBins *bins, int64_t v)
{
    const double w = reg_mi_weight(m, v);
    double s, t, sum = 0;
    int inside, within;
    const int a = reg_mi_bin(&s, &inside, &bins->fixed, m->fixed[v]);
    const int b = reg_mi_bin(&t, &within, &bins->warped, m->warped[v]);
    if (w > 0 && within) {
        const double r = 1 - t;
        const double slope[4] = {-0.5 * r * r, 0.5 * (3 * t - 4) * t, 0.5 * ((2 - 3 * t) * t + 1), 0.5 * t * t};
        const double *lo = table + a * bins->bins + b - 1, *hi = lo + bins->bins;
        for (int c = 0; c < 4; c++) {
            sum += slope[c] * ((1 - s) * lo[c] + s * hi[c]);
        }
    }
    return scale * w * sum;
}

#endif
