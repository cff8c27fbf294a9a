/*
 * Periventricular lesions: 5 to 18, more with age, their centres 1.5 to 6 mm from the ventricle. One focal lesion: deep
 * in white matter, with a bright rim. All grow; a lesion keeps its place and its shape.
 */
#include "phantom/lesion.h"

#include "core/random.h"

static int is_white(const PhAnatomy *a, PhVec p)
{
    const int label = ph_anatomy_at(a, p).label;
    return label == PH_LEFT_WHITE || label == PH_RIGHT_WHITE;
}

static int ball_is_white(const PhAnatomy *a, PhVec c, float r)
{
    for (int i = 0; i < 14; i++) {
        const float e = i < 6 ? r : 0.577f * r;
        const PhVec d = i < 6 ? (PhVec){i / 2 == 0 ? e : 0, i / 2 == 1 ? e : 0, i / 2 == 2 ? e : 0}
                              : (PhVec){i & 1 ? e : -e, i & 2 ? e : -e, e};
        const float sign = i < 6 ? (i & 1 ? -1.0f : 1.0f) : (i < 10 ? -1.0f : 1.0f);
        if (!is_white(a, (PhVec){c.x + sign * d.x, c.y + sign * d.y, c.z + sign * d.z})) {
            return 0;
        }
    }
    return is_white(a, c);
}

static PhVec candidate(uint64_t seed, uint64_t stream, uint64_t index)
{
    const double u = vsl_random_uniform(seed, stream, 3 * index), v = vsl_random_uniform(seed, stream, 3 * index + 1),
                 w = vsl_random_uniform(seed, stream, 3 * index + 2);
    return (PhVec){(float)(-46 + 92 * u), (float)(-72 + 122 * v), (float)(-10 + 60 * w)};
}

void ph_lesions_place(PhLesions *l, const PhAnatomy *a, uint64_t seed, uint64_t stream, double age_years, double years)
{
    const uint64_t sizes = stream + 1, count_stream = stream + 2;
    const double older = (age_years - 40) / 45;
    const int wanted = 5 + (int)(13 * older * vsl_random_uniform(seed, count_stream, 0)) + 1;
    uint64_t tries = 0;
    ph_waves_random(&l->wavy, 1, 6, 14, seed, stream + 3);
    l->count = 0;
    /* the focal one first: it is never left out */
    for (; tries < 20000 && l->count == 0; tries++) {
        const PhVec c = candidate(seed, stream, tries);
        const float r = (float)(5.5 + 2.5 * vsl_random_uniform(seed, sizes, 0));
        const PhVec m = {fabsf(c.x), c.y, c.z};
        if (m.x > 10 && ph_lateral_ventricle(m) > r + 5 && ball_is_white(a, c, 0.8f * r)) {
            l->centre[0] = c;
            l->radius[0] = r + (float)(0.35 * years);
            l->kind[0] = VSL_LESION_FOCAL;
            l->count = 1;
        }
    }
    for (; tries < 60000 && l->count < wanted && l->count < VSL_PHANTOM_MAX_LESIONS; tries++) {
        const PhVec c = candidate(seed, stream, tries), m = {fabsf(c.x), c.y, c.z};
        const float away = ph_lateral_ventricle(m);
        if (m.x < 6 || away < 1.5f || away > 6 || !is_white(a, c)) {
            continue;
        }
        const int i = l->count++;
        const double u = vsl_random_uniform(seed, sizes, (uint64_t)(2 * i));
        const double growth = 0.12 + 0.25 * vsl_random_uniform(seed, sizes, (uint64_t)(2 * i + 1));
        l->centre[i] = c;
        l->radius[i] = (float)(2.0 + 2.2 * u * u + growth * years);
        l->kind[i] = VSL_LESION_PERIVENTRICULAR;
    }
}

int ph_lesion_at(const PhLesions *l, PhVec p, PhSample *s)
{
    if (s->label != PH_LEFT_WHITE && s->label != PH_RIGHT_WHITE) {
        return 0;
    }
    for (int i = 0; i < l->count; i++) {
        const PhVec d = ph_sub(p, l->centre[i]);
        const float r = l->radius[i], far = 1.35f * r;
        if (ph_dot(d, d) > far * far) {
            continue;
        }
        const float inside = r * (1 + 0.14f * ph_clamp(ph_wave(&l->wavy, p), -2, 2)) - ph_length(d);
        if (inside > 0) {
            if (l->kind[i] == VSL_LESION_FOCAL) {
                s->value = inside < 1.8f ? 1.12f : 0.34f;
            } else {
                s->value = PH_WHITE - 0.30f * ph_step(0, 1.5f, inside) - 0.05f;
            }
            return i + 1;
        }
    }
    return 0;
}
