/* The order of the parts: deep structures, cerebellum, cerebrum, then what surrounds the brain. */
#include "phantom/anatomy.h"

/* The template's own numbers: every cohort has the same template. */
#define TEMPLATE_SEED 20
enum { STREAM_FOLDS = 1, STREAM_SIDE, STREAM_MEANDER, STREAM_DEPTH, STREAM_FOLIA, STREAM_SOFT, STREAM_FINE };

void ph_anatomy_init(PhAnatomy *a)
{
    ph_waves_random(&a->folds, 3, 22, 29, TEMPLATE_SEED, STREAM_FOLDS);
    ph_waves_random(&a->folds_of_side, 1, 24, 40, TEMPLATE_SEED, STREAM_SIDE);
    ph_waves_random(&a->meander, 2, 24, 42, TEMPLATE_SEED, STREAM_MEANDER);
    ph_waves_random(&a->sulcus_depth, 1, 30, 60, TEMPLATE_SEED, STREAM_DEPTH);
    ph_waves_random(&a->folia, 1, 18, 40, TEMPLATE_SEED, STREAM_FOLIA);
    ph_waves_random(&a->soft, 2, 9, 30, TEMPLATE_SEED, STREAM_SOFT);
    ph_waves_random(&a->fine, 1, 14, 40, TEMPLATE_SEED, STREAM_FINE);
}

static PhPlace place(PhVec p)
{
    PhPlace at;
    const float bend = 2.0f * ph_step(-45, -105, p.y) - 0.8f * ph_step(30, 75, p.y);
    p.x -= bend; /* the back of the falx swerves to the right */
    p.x -= 0.045f * fabsf(p.x) * ph_step(-70, 50, p.y) - 0.0225f * fabsf(p.x);
    at.p = p;
    at.is_right = p.x > 0;
    at.m = (PhVec){fabsf(p.x), p.y, p.z};
    return at;
}

PhSample ph_anatomy_at(const PhAnatomy *a, PhVec p)
{
    PhSample s = {0, PH_AIR};
    const float cavity = ph_cavity(p);
    if (cavity > 0) {
        if (p.z < -35 && fabsf(p.x) < 16) { /* the medulla leaves the skull */
            const PhPlace at = place(p);
            if (ph_deep_at(a, &at, &s) && s.label == PH_BRAINSTEM) {
                s.label = p.z < -72 ? 0 : PH_BRAINSTEM; /* below it is the cord */
                return s;
            }
        }
        return ph_head_at(a, p, cavity);
    }
    const PhPlace at = place(p);
    if (ph_deep_at(a, &at, &s) || ph_cerebellum_at(a, &at, &s) || ph_cerebrum_at(a, &at, &s)) {
        return s;
    }
    s.label = PH_CSF_LABEL;
    s.value = PH_CSF;
    /* falx and tentorium: thin sheets of dura in the fluid */
    if (at.m.x < 0.3f && p.z > 0.0f && ph_core(at.m) > 3) {
        s.value = 0.36f;
    }
    return s;
}
