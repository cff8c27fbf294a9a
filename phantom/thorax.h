/*
 * A thorax of solids. A lung is half an ellipsoid that stands on the base of the chest, its axis at PH_LUNG_AXIS of the
 * half width, cut by the diaphragm, heart and mediastinum; ribs run around both lungs at a distance, so that they fit
 * in everybody. World: mm, RAS+, the origin in the midline near the carina. Sizes, slopes and how much people differ in
 * them were set so that shadows and greys come out as on real films: docs/phantom.md compares.
 */
#ifndef VSL_PHANTOM_THORAX_H
#define VSL_PHANTOM_THORAX_H

#include "phantom/draw.h"
#include "phantom/scene.h"

enum { /* organs whose bits a projection keeps */
       PH_O_RIGHT_LUNG = 1,
       PH_O_LEFT_LUNG,
       PH_O_HEART,
       PH_O_MEDIASTINUM,
       PH_O_ABDOMEN,
       PH_O_CAGE, /* all within the ribs; paints nothing */
       PH_O_RIGHT_CLAVICLE,
       PH_O_LEFT_CLAVICLE,
       PH_O_NODULE,
       PH_O_EFFUSION,
       PH_O_PNEUMONIA
};

#define PH_LUNG_AXIS 0.3  /* of the half width: where the axis of a lung stands */
#define PH_LUNG_LEAN 0.14 /* how far the axis leans back, mm per mm of height */
enum { PH_MAX_FINDINGS = 8 };

typedef struct PhFinding {
    int organ;
    int is_right;
    PhPoint centre;   /* mm */
    double radius_mm; /* of a nodule or the core of a pneumonia; of an effusion: height of the fluid above the base */
} PhFinding;

typedef struct PhThorax {
    /* the person */
    int is_male;
    double age_years, size;
    double wide, deep, tall; /* half width and depth of the cavity at its base, and its height above it */
    double base_z;
    double fat_mm, muscle_mm;
    double heart_scale, kyphosis_mm, aorta_mm;
    double shoulder_mm; /* how much higher the collar bones end than they begin */
    /* this visit */
    double dome_z[2]; /* tops of the diaphragm, right and left */
    int findings;
    PhFinding finding[PH_MAX_FINDINGS];
} PhThorax;

/** Draws a person of this age; breath (about -1..1) lowers the diaphragm. */
void ph_thorax_person(PhThorax *t, double age_years, int is_male, double breath, PhDraw *draw);
/** The whole scene: body, lungs, findings of t, bones; has_devices adds wires and lines. */
void ph_thorax_build(PhScene *s, const PhThorax *t, uint64_t seed, uint64_t stream, int has_devices);
/** Draws 1 to 4 findings, grown by `years`; healthy: ph_thorax_soft of t at rest, in which nodules are placed. */
void ph_thorax_findings(PhThorax *t, const PhScene *healthy, double years, PhDraw *draw);

/* Parts of the build, in painting order; the first needs the stream of the build. */
void ph_thorax_soft(PhScene *s, const PhThorax *t, PhDraw *draw);
void ph_thorax_lungs(PhScene *s, const PhThorax *t, PhDraw *draw);
void ph_thorax_lesions(PhScene *s, const PhThorax *t, PhDraw *draw);
void ph_thorax_bones(PhScene *s, const PhThorax *t, PhDraw *draw);
void ph_thorax_devices(PhScene *s, const PhThorax *t, PhDraw *draw);

/* Half width and half depth of the cavity at height z; 0 outside it. */
double ph_thorax_width(const PhThorax *t, double z);
double ph_thorax_depth(const PhThorax *t, double z);
/* The ellipsoid of a lung, grown on all sides. */
PhSolid ph_thorax_lung(const PhThorax *t, double side, double grow_mm);
/* Centre of the spine's vertebral bodies at height z: y. */
double ph_thorax_spine(const PhThorax *t, double z);

#endif
