/*
 * A scene: bodies of one material each, made of solids, painted one over the other. Where bodies overlap, the later one
 * counts, but only over materials that it says it replaces; so every point has one material and no density is counted
 * twice. A ray's way through each material is the sum of exact chords, no samples along the ray.
 *
 * Building never fails aloud: a scene keeps its first failure in `status`, and later additions do nothing.
 * @test phantom/test_solid.c
 */
#ifndef VSL_PHANTOM_SCENE_H
#define VSL_PHANTOM_SCENE_H

#include <stdint.h>

#include "core/status.h"
#include "phantom/solid.h"

typedef enum PhMaterial {
    PH_AIR_GAS = 0,
    PH_FAT,
    PH_SOFT,  /* muscle, blood, liver */
    PH_FLUID, /* as dense as what is soft, but lung may be painted over it */
    PH_LUNG_TISSUE,
    PH_INFILTRATE, /* lung with fluid in part of its air */
    PH_SPONGY,     /* bone with marrow */
    PH_CORTICAL,
    PH_DENTIN,
    PH_ENAMEL,
    PH_LIGHT_METAL, /* titanium */
    PH_HEAVY_METAL, /* amalgam, gold, lead */
    PH_MATERIALS
} PhMaterial;

enum {
    PH_INTO_ALL = -1,
    PH_MAX_BODIES = 128,
    PH_MAX_SPANS = 256 /* pieces that a ray can be cut into */
};
#define PH_INTO(material) (1 << (material))

typedef struct PhBody {
    PhMaterial material;
    int into;  /* materials that it replaces: PH_INTO(..) | PH_INTO(..), or PH_INTO_ALL */
    int organ; /* of whom lengths are asked, 0 = of nobody */
} PhBody;

typedef struct PhScene { /* {0} is empty: air; free with ph_scene_free */
    VslStatus status;
    int bodies;
    PhBody body[PH_MAX_BODIES];
    int64_t solids, room;
    PhSolid *solid; /* in the order of their bodies */
} PhScene;

enum { PH_MAX_ORGANS = 24 };

typedef struct PhPath {                             /* one ray */
    double layer[PH_MATERIALS], rest[PH_MATERIALS]; /* mm in each material: inside the layer, and outside */
    double seen[PH_MAX_ORGANS];                     /* in the layer: mm of the organ that no later body replaced */
    uint32_t touched; /* in the layer: bit per organ, one of its solids is hit, replaced or not */
} PhPath;

/** A new body; solids that are added belong to it. */
void ph_scene_body(PhScene *s, PhMaterial material, int into, int organ);
void ph_scene_add(PhScene *s, PhSolid solid);
typedef struct PhKnot { /* of a tube */
    PhPoint at;
    double r;
} PhKnot;
/** A tube through n balls, all `shrink_mm` smaller, added to the body; side and flat as in ph_hull. */
void ph_scene_tube(PhScene *s, const PhKnot *knot, int n, double shrink_mm, PhPoint side, double flat);
/** Two bodies: the tube of cortical bone, and marrow `shell_mm` below its surface. */
void ph_scene_bone(PhScene *s, const PhKnot *knot, int n, double shell_mm, PhPoint side, double flat, int organ);
void ph_scene_free(PhScene *s);

/* Rays around a middle one: on the plane square to it at at[i] mm along it, none is farther than stray[i] mm away. Rays
 * are straight, so the distance is convex between the planes and below the lines that join them. at rises. */
typedef struct PhBundle {
    PhRay middle;
    double at[3], stray[3];
} PhBundle;
/** Those of the `count` solids of `among` (NULL: the first `count`) that rays of a bundle can meet. list has room for
 * all. @return how many. */
int ph_scene_near(const PhScene *s, const int *among, int count, const PhBundle *bundle, int *list);
/** Ways of one ray through the listed solids (in scene order); the layer is from..to in mm along the ray. */
void ph_scene_cast(const PhScene *s, const int *list, int count, const PhRay *ray, double from, double to, PhPath *out);
/** The body at a point, or -1 for air around: the definition that a cast follows. */
int ph_scene_body_at(const PhScene *s, PhPoint p);

#endif
