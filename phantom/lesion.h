/* Lesions of one subject at one visit, in template space: balls with a wavy surface, cut to white matter. */
#ifndef VSL_PHANTOM_LESION_H
#define VSL_PHANTOM_LESION_H

#include "phantom/anatomy.h"
#include "phantom/phantom.h"

typedef struct PhLesions {
    int count;
    PhVec centre[VSL_PHANTOM_MAX_LESIONS];
    float radius[VSL_PHANTOM_MAX_LESIONS]; /* mm, at this visit */
    VslLesionKind kind[VSL_PHANTOM_MAX_LESIONS];
    PhWaves wavy;
} PhLesions;

/* years: since the first visit, by which lesions have grown. */
void ph_lesions_place(PhLesions *l, const PhAnatomy *a, uint64_t seed, uint64_t stream, double age_years, double years);
/* Number 1..count of the lesion that covers p and changes s->value, or 0. */
int ph_lesion_at(const PhLesions *l, PhVec p, PhSample *s);

#endif
