/**
 * The arithmetic of one voxel of linear alignment, for the CPU's loops and the GPU's threads. @test
 * registration/test_affine.c, parity/
 */
#ifndef VSL_REGISTRATION_POINT_LINEAR_H
#define VSL_REGISTRATION_POINT_LINEAR_H

#include <stdint.h>

#include "core/hd.h"

/* Value and derivative by voxel index of the trilinear interpolant, continued by the nearest edge value. Returns how
 * much q is inside: 0 from half a voxel outside the outer centres, rising to 1 half a voxel inside them. */
VSL_HD float reg_sample_edge(float *value, float slope[3], const float *data, const int64_t n[3], const float q[3])
{
    int64_t offset = 0, step[3], stride = 1;
    float w[3], along[3];
    float inside = 1;
    for (int d = 0; d < 3; d++) {
        const float top = (float)(n[d] - 1), depth = (q[d] < top - q[d] ? q[d] : top - q[d]) + 0.5f;
        const float share = n[d] > 1 ? depth : depth >= 0 ? 1.0f : 0.0F;
        inside = share < inside ? (share > 0 ? share : 0) : inside;
        along[d] = q[d] > 0 && q[d] < top ? 1.0f : 0.0F;
        const float c = q[d] > 0 ? (q[d] < top ? q[d] : top) : 0;
        int64_t i = (int64_t)c;
        i = i < n[d] - 1 ? i : n[d] > 1 ? n[d] - 2 : 0;
        w[d] = c - (float)i;
        offset += i * stride;
        step[d] = n[d] > 1 ? stride : 0;
        stride *= n[d];
    }
    const float *p = data + offset, *p2 = p + step[2];
    const float a0 = p[step[0]] - p[0], a1 = p[step[1] + step[0]] - p[step[1]];
    const float a2 = p2[step[0]] - p2[0], a3 = p2[step[1] + step[0]] - p2[step[1]];
    const float b0 = p[0] + w[0] * a0, b1 = p[step[1]] + w[0] * a1;
    const float b2 = p2[0] + w[0] * a2, b3 = p2[step[1]] + w[0] * a3;
    const float c0 = b0 + w[1] * (b1 - b0), c1 = b2 + w[1] * (b3 - b2);
    const float e0 = a0 + w[1] * (a1 - a0), e1 = a2 + w[1] * (a3 - a2);
    *value = c0 + w[2] * (c1 - c0);
    slope[0] = along[0] * (e0 + w[2] * (e1 - e0));
    slope[1] = along[1] * ((b1 - b0) + w[2] * ((b3 - b2) - (b1 - b0)));
    slope[2] = along[2] * (c1 - c0);
    return inside;
}

typedef struct RegLinearImages { /* planes; see RegLinearWarpFn */
    float *warped, *weight, *slope;
    const float *mask, *moving, *moving_mask;
    int64_t voxels, moving_n[3]; /* of the fixed image; extent of the moving one */
} RegLinearImages;

/* Fixed voxel `at`, which lies at moving voxel q. Returns its mask times its weight. */
VSL_HD double reg_linear_voxel(const RegLinearImages *m, int64_t at, const float q[3])
{
    float value = 0, slope[3] = {0, 0, 0}, ignored[3], weight = 0;
    double met = 0;
    if (m->mask[at] > 0) {
        weight = reg_sample_edge(&value, slope, m->moving, m->moving_n, q);
        if (m->moving_mask) {
            float marked;
            (void)reg_sample_edge(&marked, ignored, m->moving_mask, m->moving_n, q);
            weight *= marked;
        }
        met = (double)weight * (double)m->mask[at];
    }
    m->warped[at] = value;
    m->weight[at] = weight;
    for (int d = 0; d < 3; d++) {
        m->slope[d * m->voxels + at] = slope[d];
    }
    return met;
}

#endif
