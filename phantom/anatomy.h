/*
 * The head as a function of a point: label and T1-weighted signal at any place of template space, without a lattice.
 *
 * Template space is RAS+ mm with the origin near the anterior commissure, laid out like a common adult atlas: brain
 * from x -68 to 68, y -104 to 70, z -60 to 78. Sides are alike, not equal: folds have their own phase on each side, the
 * right front and the left back of the brain are wider, and a bright capsule is taped to the RIGHT temple.
 */
#ifndef VSL_PHANTOM_ANATOMY_H
#define VSL_PHANTOM_ANATOMY_H

#include "phantom/wave.h"

/* Signal of tissues, 1 = bright white matter. */
#define PH_AIR 0.015f
#define PH_BONE 0.07f
#define PH_MARROW 0.42f
#define PH_MUSCLE 0.40f
#define PH_FAT 1.05f
#define PH_SKIN 0.55f
#define PH_CSF 0.17f
#define PH_GREY 0.58f
#define PH_WHITE 0.92f

enum { /* left; the right one is PH_RIGHT[] of it. Numbers are those of the FreeSurfer colour table. */
       PH_LEFT_WHITE = 2,
       PH_LEFT_CORTEX = 3,
       PH_LEFT_VENTRICLE = 4,
       PH_LEFT_CEREBELLUM_WHITE = 7,
       PH_LEFT_CEREBELLUM_CORTEX = 8,
       PH_LEFT_THALAMUS = 10,
       PH_LEFT_CAUDATE = 11,
       PH_LEFT_PUTAMEN = 12,
       PH_LEFT_PALLIDUM = 13,
       PH_THIRD_VENTRICLE = 14,
       PH_FOURTH_VENTRICLE = 15,
       PH_BRAINSTEM = 16,
       PH_LEFT_HIPPOCAMPUS = 17,
       PH_LEFT_AMYGDALA = 18,
       PH_CSF_LABEL = 24,
       PH_RIGHT_WHITE = 41,
       PH_RIGHT_CORTEX = 42,
       PH_RIGHT_VENTRICLE = 43,
       PH_RIGHT_CEREBELLUM_WHITE = 46,
       PH_RIGHT_CEREBELLUM_CORTEX = 47,
       PH_RIGHT_THALAMUS = 49,
       PH_RIGHT_CAUDATE = 50,
       PH_RIGHT_PUTAMEN = 51,
       PH_RIGHT_PALLIDUM = 52,
       PH_RIGHT_HIPPOCAMPUS = 53,
       PH_RIGHT_AMYGDALA = 54
};

typedef struct PhSample {
    int label;   /* 0 outside the cranial cavity */
    float value; /* signal, about 0..1.2 */
} PhSample;

typedef struct PhAnatomy {
    PhWaves folds, folds_of_side, meander, sulcus_depth, folia, soft, fine;
} PhAnatomy;

typedef struct PhPlace { /* a point, seen from the symmetric template */
    PhVec p;             /* after the asymmetry of the midline and of the lobes was taken out */
    PhVec m;             /* the same on the right-hand side: m.x = |p.x| */
    int is_right;
} PhPlace;

void ph_anatomy_init(PhAnatomy *a);
PhSample ph_anatomy_at(const PhAnatomy *a, PhVec p);

/* Parts. Each returns 1 and fills *out where it has something to say. */
int ph_deep_at(const PhAnatomy *a, const PhPlace *at, PhSample *out);       /* ventricles, nuclei, brainstem */
int ph_cerebellum_at(const PhAnatomy *a, const PhPlace *at, PhSample *out); /* cerebellum */
int ph_cerebrum_at(const PhAnatomy *a, const PhPlace *at, PhSample *out);   /* cortex and white matter */
/* Everything outside the brain; cavity: signed distance to the inner table of the skull, mm. */
PhSample ph_head_at(const PhAnatomy *a, PhVec p, float cavity);
float ph_cavity(PhVec p);
/* Signed distance to the outer surface of the head and of the marker. */
float ph_skin(PhVec p);
/* Signed distance to the lateral ventricle of the point's side, and to the deep core of the hemispheres. */
float ph_lateral_ventricle(PhVec m);
float ph_core(PhVec m);

#endif
