/*
 * Distances to simple shapes, in mm, negative inside: the vocabulary of the anatomy. An ellipsoid's is exact on its
 * surface and first order near it, which is all that layers of a few mm need. Unions and intersections have a radius k
 * over which they are rounded (polynomial smooth minimum, I. Quilez).
 */
#ifndef VSL_PHANTOM_SHAPE_H
#define VSL_PHANTOM_SHAPE_H

#include <math.h>

typedef struct PhVec {
    float x, y, z;
} PhVec;

static inline PhVec ph_vec(float x, float y, float z)
{
    const PhVec v = {x, y, z};
    return v;
}
static inline float ph_min(float a, float b)
{
    return a < b ? a : b;
}
static inline float ph_max(float a, float b)
{
    return a > b ? a : b;
}
static inline float ph_clamp(float a, float lo, float hi)
{
    return ph_min(ph_max(a, lo), hi);
}
/* 0 below lo, 1 above hi, smooth between. lo > hi gives the falling step. */
static inline float ph_step(float lo, float hi, float a)
{
    const float t = ph_clamp((a - lo) / (hi - lo), 0, 1);
    return t * t * (3 - 2 * t);
}
static inline float ph_smooth_min(float a, float b, float k)
{
    const float h = ph_max(k - fabsf(a - b), 0) / k;
    return ph_min(a, b) - h * h * k * 0.25f;
}
static inline float ph_smooth_max(float a, float b, float k)
{
    return -ph_smooth_min(-a, -b, k);
}
static inline PhVec ph_sub(PhVec a, PhVec b)
{
    return ph_vec(a.x - b.x, a.y - b.y, a.z - b.z);
}
static inline float ph_dot(PhVec a, PhVec b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}
static inline float ph_length(PhVec a)
{
    return sqrtf(ph_dot(a, a));
}
/* c: centre, r: radii */
static inline float ph_ellipsoid(PhVec p, PhVec c, PhVec r)
{
    const PhVec d = ph_sub(p, c), q = {d.x / r.x, d.y / r.y, d.z / r.z}, s = {q.x / r.x, q.y / r.y, q.z / r.z};
    const float k0 = ph_length(q), k1 = ph_length(s);
    return k1 > 1e-6f ? k0 * (k0 - 1) / k1 : -ph_min(r.x, ph_min(r.y, r.z));
}
/* Turned by the angle whose cosine and sine are given: y towards x for ph_turn_z, z towards y for ph_turn_x. */
static inline PhVec ph_turn_z(PhVec d, float c, float s)
{
    return ph_vec(c * d.x + s * d.y, c * d.y - s * d.x, d.z);
}
static inline PhVec ph_turn_x(PhVec d, float c, float s)
{
    return ph_vec(d.x, c * d.y + s * d.z, c * d.z - s * d.y);
}

typedef struct PhNode { /* a ball on a tube */
    float x, y, z, r;
} PhNode;

/* Tube through n balls, radius linear between them. */
static inline float ph_tube(PhVec p, const PhNode *node, int n)
{
    float best = 1e9f;
    for (int i = 0; i + 1 < n; i++) {
        const PhNode a = node[i], b = node[i + 1];
        const PhVec ab = {b.x - a.x, b.y - a.y, b.z - a.z}, ap = {p.x - a.x, p.y - a.y, p.z - a.z};
        const float t = ph_clamp(ph_dot(ap, ab) / ph_dot(ab, ab), 0, 1);
        const PhVec d = {ap.x - t * ab.x, ap.y - t * ab.y, ap.z - t * ab.z};
        best = ph_min(best, ph_length(d) - (a.r + t * (b.r - a.r)));
    }
    return best;
}

#endif
