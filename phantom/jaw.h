/*
 * Jaws and teeth of solids. The arch is the parabola y = -x^2 / (2 arch_mm) in the plane of the bite, from the incisors
 * (origin) back to the joints; teeth stand on it side by side, and a panoramic film unrolls it. World: mm, RAS+.
 */
#ifndef VSL_PHANTOM_JAW_H
#define VSL_PHANTOM_JAW_H

#include "phantom/draw.h"
#include "phantom/scene.h"

enum { /* organs whose bits a projection keeps: four classes of upper teeth, four of lower ones */
       PH_O_UPPER_INCISOR = 1,
       PH_O_LOWER_INCISOR = 5,
       PH_O_MANDIBLE = 9,
       PH_O_CARIES
};
enum { PH_TEETH = 32, PH_MAX_CARIES = 6, PH_ARCH_STEPS = 400 };

typedef enum PhToothState {
    PH_TOOTH_SOUND = 1,
    PH_TOOTH_MISSING,
    PH_TOOTH_FILLED,
    PH_TOOTH_CROWNED,
    PH_TOOTH_IMPLANT
} PhToothState;

typedef struct PhTooth {
    int fdi; /* number of the World Dental Federation: quadrant and place, 11..48 */
    PhToothState state;
    int has_root_filling;
    double width, depth, crown, root; /* mm: along the arch, across it, heights */
    PhPoint neck;                     /* where crown and root meet */
    PhPoint along, out, up;           /* to the distal neighbour, to the lips, to the crown */
} PhTooth;

typedef struct PhCavity {
    int fdi;
    PhPoint centre;
    double radius_mm;
} PhCavity;

typedef struct PhJaw {
    int is_male;
    double age_years, size;
    double arch_mm;                /* radius of the arch at the incisors */
    double smile_mm;               /* how much higher the bite is 45 mm along the arch */
    double arc[PH_ARCH_STEPS + 1]; /* length of the arch from the incisors to x = i * arch_step */
    double arch_step;
    PhTooth tooth[PH_TEETH];
    int cavities;
    PhCavity cavity[PH_MAX_CARIES];
} PhJaw;

void ph_jaw_person(PhJaw *j, double age_years, int is_male, PhDraw *draw);
/** 1 to 4 cavities in teeth that are there; they grow by `years`. */
void ph_jaw_cavities(PhJaw *j, double years, PhDraw *draw);
void ph_jaw_build(PhScene *s, const PhJaw *j, uint64_t seed, uint64_t stream);

/** The arch at signed length s from the incisors (right side positive): the point at z = 0, and the unit vectors along
 * it (away from the midline) and outward. */
void ph_arch(const PhJaw *j, double s, PhPoint *at, PhPoint *along, PhPoint *out);
/** Height of the bite there. */
double ph_bite(const PhJaw *j, double s);
void ph_teeth_place(PhJaw *j, PhDraw *draw);
void ph_teeth_add(PhScene *s, const PhJaw *j, PhDraw *draw);

#endif
