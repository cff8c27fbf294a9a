/*
 * Ageing as a smooth map of template space (a pull-back, not a change of parameters), so that its truth is a field.
 *
 *     age(y) = y - t sum_i k_i (y - c_i) w(|y - c_i| / r_i) + t shrink n(y) f(y)
 * Balls along the ventricles (k > 0) push tissue away, balls along the hippocampus (k < 0) draw it in; near the outer
 * surface of the brain tissue moves inward along the normal n of an ovoid, which leaves fluid below the skull. t grows
 * linearly with age and is 0 at the template's.
 */
#ifndef VSL_PHANTOM_AGEING_H
#define VSL_PHANTOM_AGEING_H

#include "phantom/shape.h"

/* t for an anatomical age in years; held beyond 25 and 105 years. */
float ph_ageing_time(double age_years);
/* Template point of y at time t. */
PhVec ph_ageing(PhVec y, float t);

#endif
