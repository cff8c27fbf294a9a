/*
 * Convex solids that a straight ray enters once and leaves once, at places that follow in closed form (for the barrel:
 * from a Newton iteration on a convex function). A solid is a canonical shape behind an affine map, so that one routine
 * serves flattened, stretched and turned ones; chords keep their length because the ray's parameter is mm in the world.
 *     ball    |q| <= 1
 *     hull    convex hull of the balls |q - (0,0,-h)| <= 1 and |q - (0,0,h)| <= tip, a tapered capsule
 *     drum    q_x^2 + q_y^2 <= 1, |q_z| <= 1
 *     barrel  q_x^2 + q_y^2 + q_z^4 <= 1
 * World: mm, RAS+, double. @test phantom/test_solid.c
 */
#ifndef VSL_PHANTOM_SOLID_H
#define VSL_PHANTOM_SOLID_H

#include <math.h>

typedef struct PhPoint { /* a point or a direction, mm */
    double x, y, z;
} PhPoint;

typedef enum PhSolidKind { PH_BALL = 1, PH_HULL, PH_DRUM, PH_BARREL } PhSolidKind;

typedef struct PhSolid { /* what most rays need to pass it by comes first */
    PhPoint centre;      /* mm */
    double reach;        /* mm: no point of the solid is farther from the centre */
    PhSolidKind kind;
    int is_clipped;    /* only the part with cut . p <= cut_at belongs to it */
    int body;          /* whom it is part of; set by the scene */
    double map[3][3];  /* q = map (p - centre) */
    double half, tip;  /* of a hull, canonical */
    double lo, hi;     /* of a hull: q_z where the cone begins and ends */
    double wide, lean; /* of a hull: the cone's radius at q_z is wide + lean * q_z */
    PhPoint cut;
    double cut_at;
} PhSolid;

typedef struct PhRay {     /* origin + t * along, t in mm from near to far */
    PhPoint origin, along; /* along has length 1 */
    double near, far;
} PhRay;

static inline PhPoint ph_point(double x, double y, double z)
{
    const PhPoint p = {x, y, z};
    return p;
}
static inline PhPoint ph_plus(PhPoint a, double s, PhPoint b)
{
    return ph_point(a.x + s * b.x, a.y + s * b.y, a.z + s * b.z);
}
static inline PhPoint ph_between(PhPoint a, PhPoint b, double t)
{
    return ph_point(a.x + t * (b.x - a.x), a.y + t * (b.y - a.y), a.z + t * (b.z - a.z));
}
static inline double ph_inner(PhPoint a, PhPoint b)
{
    return a.x * b.x + a.y * b.y + a.z * b.z;
}
static inline double ph_norm(PhPoint a)
{
    return sqrt(ph_inner(a, a));
}
static inline PhPoint ph_cross(PhPoint a, PhPoint b)
{
    return ph_point(a.y * b.z - a.z * b.y, a.z * b.x - a.x * b.z, a.x * b.y - a.y * b.x);
}
static inline PhPoint ph_unit(PhPoint a)
{
    const double n = ph_norm(a);
    return ph_point(a.x / n, a.y / n, a.z / n);
}

/** radii along the directions of `frame` (unit, orthogonal; NULL: x, y, z). */
PhSolid ph_ball(PhPoint centre, PhPoint radii, const PhPoint frame[3]);
PhSolid ph_drum(PhPoint centre, PhPoint radii, const PhPoint frame[3]);
PhSolid ph_barrel(PhPoint centre, PhPoint radii, const PhPoint frame[3]);
/** From a with radius ra to b with radius rb. Across the axis it is `flat` times as thick along the part of `side` that
 * is square to the axis (flat 1: round; side may then be anything). */
PhSolid ph_hull(PhPoint a, double ra, PhPoint b, double rb, PhPoint side, double flat);
/** Keeps the part with cut . p <= cut_at. */
PhSolid ph_clip(PhSolid s, PhPoint cut, double cut_at);

/** Where the ray is inside, clipped to near..far. 0 when it is nowhere. */
int ph_solid_chord(const PhSolid *s, const PhRay *ray, double *enter, double *leave);
/** Whether p is inside: the definition that the chord follows. */
int ph_solid_holds(const PhSolid *s, PhPoint p);

#endif
