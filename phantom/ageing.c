/* Where and how much a head ages. No map folds up to the oldest anatomy (a test watches). */
#include "phantom/ageing.h"

#include "phantom/phantom.h"

typedef struct Ball {
    float x, y, z; /* right-hand side; the left one is its mirror image */
    float reach_mm, k;
} Ball;

static const Ball balls[] = {
    {9, 24, 6, 17, 0.32f},    {7, 10, 13, 17, 0.32f},     {8, -6, 17, 17, 0.32f},     {13, -24, 18, 17, 0.32f},
    {23, -40, 12, 18, 0.34f}, {25, -58, 5, 16, 0.24f},    {35, -32, -6, 12, 0.26f},   {34, -14, -16, 10, 0.22f},
    {1, -10, -1, 13, 0.2f},   {25, -10, -21, 12, -0.16f}, {29, -19, -17, 12, -0.16f}, {28, -30, -9, 11, -0.14f},
};

float ph_ageing_time(double age_years)
{
    return ph_clamp((float)((age_years - VSL_PHANTOM_TEMPLATE_AGE) / 22.5), -1.6f, 1.6f);
}

static void push(PhVec *shift, PhVec y, const Ball *b, float sign)
{
    const PhVec d = {y.x - sign * b->x, y.y - b->y, y.z - b->z};
    const float q = 1 - ph_dot(d, d) / (b->reach_mm * b->reach_mm);
    if (q > 0) {
        const float w = b->k * q * q * q;
        *shift = (PhVec){shift->x - w * d.x, shift->y - w * d.y, shift->z - w * d.z};
    }
}

PhVec ph_ageing(PhVec y, float t)
{
    PhVec shift = {0, 0, 0};
    for (int i = 0; i < (int)(sizeof balls / sizeof balls[0]); i++) {
        push(&shift, y, &balls[i], 1);
        push(&shift, y, &balls[i], -1);
    }
    const PhVec c = {0, -17, 14}, r = {69, 87, 64};
    const float depth = -ph_ellipsoid(y, c, r);
    const float inward = 1.5f * ph_step(-5, 2, depth) * ph_step(34, 4, depth);
    if (inward > 0) {
        PhVec n = {(y.x - c.x) / (r.x * r.x), (y.y - c.y) / (r.y * r.y), (y.z - c.z) / (r.z * r.z)};
        const float s = inward / ph_max(ph_length(n), 1e-6f);
        shift = (PhVec){shift.x + s * n.x, shift.y + s * n.y, shift.z + s * n.z};
    }
    return (PhVec){y.x + t * shift.x, y.y + t * shift.y, y.z + t * shift.z};
}
