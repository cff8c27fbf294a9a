/* The person, and all that is soft: skin to diaphragm, heart and great vessels, airways. */
#include "phantom/thorax.h"

#include <stddef.h>

#define P ph_point

/* Half width of an ellipsoid's cut at height u of its half axis. */
static double round_at(double u)
{
    return u * u < 1 ? sqrt(1 - u * u) : 0;
}

double ph_thorax_width(const PhThorax *t, double z)
{
    const double e = round_at((z - t->base_z) / t->tall);
    return e > 0 ? t->wide * (PH_LUNG_AXIS + (1 - PH_LUNG_AXIS) * e) : 0;
}

double ph_thorax_depth(const PhThorax *t, double z)
{
    return t->deep * round_at((z - t->base_z) / t->tall);
}

PhSolid ph_thorax_lung(const PhThorax *t, double side, double grow_mm)
{
    const double length = sqrt(1 + PH_LUNG_LEAN * PH_LUNG_LEAN), c = 1 / length, s = PH_LUNG_LEAN / length;
    const PhPoint centre = P(side * PH_LUNG_AXIS * t->wide, 0, t->base_z),
                  frame[3] = {{1, 0, 0}, {0, c, s}, {0, -s, c}};
    return ph_ball(centre, P((1 - PH_LUNG_AXIS) * t->wide + grow_mm, t->deep + grow_mm, t->tall + grow_mm), frame);
}

double ph_thorax_spine(const PhThorax *t, double z)
{
    const double u = (z - 10) / 150; /* most bent in the middle of the chest */
    return -t->deep * 0.62 - t->kyphosis_mm * (1 - u * u);
}

void ph_thorax_person(PhThorax *t, double age_years, int is_male, double breath, PhDraw *d)
{
    const double old = (age_years - 50) / 30;
    *t = (PhThorax){.is_male = is_male, .age_years = age_years};
    t->size = ph_about(d, is_male ? 1.03 : 0.95, 0.035);
    t->wide = t->size * ph_about(d, 131, 8);
    t->deep = t->size * ph_about(d, 84 + 4 * old, 5);
    t->base_z = -t->size * ph_about(d, 124, 18);
    t->tall = t->size * ph_about(d, 131, 7) - t->base_z;
    t->fat_mm = fmax(ph_about(d, is_male ? 11 : 14, 6), 4);
    t->muscle_mm = ph_about(d, is_male ? 15 : 11, 2.5);
    t->heart_scale = t->size * ph_about(d, 1 + 0.05 * old, 0.055);
    t->shoulder_mm = t->size * ph_about(d, 27, 13);
    t->kyphosis_mm = fmax(ph_about(d, 10 + 5 * old, 4), 2);
    t->aorta_mm = ph_about(d, 13.5 + 1.8 * old, 1.2);
    t->dome_z[0] = t->base_z + t->size * (ph_about(d, 52, 9) - 11 * breath);
    t->dome_z[1] = t->dome_z[0] - t->size * ph_about(d, 13, 5);
}

/* Skin (shrink 0), then what lies `shrink` mm deeper. */
static void trunk(PhScene *s, const PhThorax *t, double shrink)
{
    const double wall = t->muscle_mm + t->fat_mm - shrink, k = t->size, up = t->shoulder_mm;
    const double arm = 44 * k + 0.6 * t->fat_mm + 0.4 * t->muscle_mm - shrink;
    ph_scene_add(
        s, ph_barrel(P(0, -4, t->base_z - 60), P(t->wide + 6 + wall, t->deep + 8 + wall, t->tall + 95 + wall), NULL));
    for (int side = -1; side <= 1; side += 2) {
        /* broad muscles of flank and back */
        ph_scene_add(s, ph_hull(P(side * (t->wide - 2), -10, 70 * k), 30 * k - 0.4 * shrink,
                                P(side * (t->wide - 2), -6, t->base_z), 33 * k - 0.4 * shrink, P(0, 1, 0), 3.2));
        ph_scene_add(s, ph_hull(P(side * 82 * k, -22, 112 * k), 40 * k - shrink, P(side * 165 * k, -12, 84 * k + up),
                                arm + 2, P(0, 1, 0), 1.85));
        ph_scene_add(s, ph_hull(P(side * 172 * k, -12, 82 * k + up), arm, P(side * 232 * k, 0, -120 * k), arm - 6,
                                P(0, 1, 0), 1));
        /* the fold before the armpit */
        ph_scene_add(s, ph_hull(P(side * 90 * k, 0.5 * t->deep, 30 * k), 34 * k - shrink,
                                P(side * 160 * k, 0, 62 * k + up), arm - 6, P(0, 1, 0), 0.8));
        ph_scene_add(s, ph_hull(P(side * 22 * k, -30, 178 * k), 24 * k - shrink, P(side * 140 * k, -24, 96 * k + up),
                                22 * k - shrink, P(0, 1, 0), 1));
        ph_scene_add(s, ph_hull(P(side * 12 * k, -20, 240 * k), 50 * k + 0.5 * t->fat_mm - shrink,
                                P(side * 26 * k, -26, 136 * k), 38 * k - shrink, P(0, 1, 0), 1));
    }
}

static void breasts(PhScene *s, const PhThorax *t, PhDraw *d)
{
    const double full = t->is_male ? 0 : ph_about(d, 1, 0.22) * (0.8 + 0.016 * t->fat_mm),
                 gland = ph_uniform(d, 0.3, 0.8);
    const double sag = ph_about(d, 0, 7) - 0.25 * (t->age_years - 50), x = ph_about(d, 68, 5) * t->size;
    const double z = -42 * t->size + sag;
    if (full <= 0) {
        return;
    }
    for (int pass = 0; pass < 2; pass++) { /* a drop that thins out upwards, pressed flat against the film; its gland */
        const double r = (pass ? gland * 44 : 52) * full;
        ph_scene_body(s, pass ? PH_SOFT : PH_FAT, pass ? PH_INTO(PH_FAT) : PH_INTO(PH_AIR_GAS), 0);
        for (int side = -1; side <= 1; side += 2) {
            const PhPoint low = P(side * x, t->deep + 10, z), high = P(side * (x + 6), t->deep - 12, z + 78);
            ph_scene_add(s, ph_hull(low, r, high, 0.5 * r, P(0, 1, 0), pass ? 0.3 : 0.55));
        }
    }
}

/* Dense core: right atrium, ventricles, the base with the great vessels. */
static void heart(PhScene *s, const PhThorax *t, PhDraw *d)
{
    const double k = t->heart_scale, tilt = ph_about(d, 0.54, 0.15), x = ph_about(d, -16, 4) * k;
    const double reach = ph_about(d, 1.02, 0.11);
    const double floor_z = 0.5 * (t->dome_z[0] + t->dome_z[1]);
    /* a low diaphragm draws the heart long: 209 mm is the usual way from it to the top of the lungs */
    const double high = (t->base_z + t->tall - floor_z) / (209 * t->size);
    const double z = floor_z + ph_about(d, 32, 6) * k * high, y = 0.28 * t->deep;
    /* the long axis points to the left, forward and down */
    const PhPoint axis = ph_unit(P(-cos(tilt), 0.35, -sin(tilt)));
    PhPoint frame[3] = {axis, {0, 0, 0}, {0, 0, 0}};
    frame[1] = ph_unit(ph_cross(P(0, 1, 0), axis));
    frame[2] = ph_cross(axis, frame[1]);
    ph_scene_body(s, PH_SOFT, PH_INTO(PH_LUNG_TISSUE) | PH_INTO(PH_FAT), PH_O_HEART);
    ph_scene_add(s, ph_ball(P(x - 10 * k, y, z), P(63 * k * reach, 39 * k * high, 52 * k), frame));
    ph_scene_add(s, ph_ball(P(x + 25 * k, y - 6, z + 10 * k * high), P(30 * k, 40 * k, 42 * k * high), NULL));
    ph_scene_add(s, ph_ball(P(x + 4 * k, y - 10, z + 23 * k * high), P(42 * k, 44 * k, 35 * k * high), NULL));
}

static void great_vessels(PhScene *s, const PhThorax *t, PhDraw *d)
{
    const double k = t->size, r = t->aorta_mm * k, unfold = ph_about(d, 0, 3) + 0.12 * (t->age_years - 50);
    const double knob_x = -(25 + 0.5 * unfold) * k, top = (49 + 0.3 * unfold + ph_about(d, 0, 7)) * k;
    const PhKnot arch[] = {{P(6 * k, 28, -40 * k), r + 2},
                           {P((14 + 0.3 * unfold) * k, 26, -8 * k), r + 1.5},
                           {P(8 * k, 18, top - 8), r + 0.5},
                           {P(-8 * k, 0, top), r},
                           {P(knob_x, -22, top - 6), r},
                           {P(knob_x - 1, -38, top - 24 * k), r - 1},
                           {P(-(22 + 0.3 * unfold) * k, -44, -20 * k), r - 1.5},
                           {P(-(17 + 0.2 * unfold) * k, -46, -80 * k), r - 2.5},
                           {P(-8 * k, -44, -150 * k), r - 3}};
    const PhKnot cava[] = {{P(9 * k, 10, 96 * k), 8}, {P(16 * k, 14, 40 * k), 10}, {P(20 * k, 16, -40 * k), 11}};
    const PhKnot branches[3][2] = {{{P(10 * k, 8, top), 7}, {P(20 * k, 4, 120 * k), 6.5}},
                                   {{P(-10 * k, 2, top), 5}, {P(-14 * k, 0, 120 * k), 5}},
                                   {{P(-20 * k, -8, top), 6}, {P(-30 * k, -6, 108 * k), 6}}};
    const PhKnot trunk_of_lungs[] = {{P(-14 * k, 40, -45 * k), 15},
                                     {P(-24 * k, 24, -14 * k), 14},
                                     {P(-30 * k, 0, -6 * k), 12},
                                     {P(-42 * k, -8, -12 * k), 10}};
    const PhKnot right_artery[] = {
        {P(-20 * k, 12, -12 * k), 11}, {P(15 * k, 4, -16 * k), 10.5}, {P(40 * k, -2, -24 * k), 9.5}};
    ph_scene_body(s, PH_SOFT, PH_INTO(PH_LUNG_TISSUE) | PH_INTO(PH_FAT), PH_O_MEDIASTINUM);
    ph_scene_tube(s, arch, 9, 0, P(0, 0, 1), 1);
    ph_scene_tube(s, cava, 3, 0, P(0, 0, 1), 1);
    for (int i = 0; i < 3; i++) {
        ph_scene_tube(s, branches[i], 2, 0, P(0, 0, 1), 1);
    }
    /* the arteries of the lungs leave the middle: readers draw a lung's outline across its hilum */
    ph_scene_body(s, PH_SOFT, PH_INTO(PH_LUNG_TISSUE) | PH_INTO(PH_FAT), 0);
    ph_scene_tube(s, trunk_of_lungs, 4, 0, P(0, 0, 1), 1);
    ph_scene_tube(s, right_artery, 3, 0, P(0, 0, 1), 1);
    ph_scene_body(s, PH_SOFT, PH_INTO(PH_LUNG_TISSUE) | PH_INTO(PH_FAT), PH_O_MEDIASTINUM);
    /* around the spine, the windpipe and the gullet */
    ph_scene_add(s, ph_hull(P(-6, -28, t->base_z - 60), 14 * k, P(-3, -14, 70 * k), 15 * k, P(0, 1, 0), 1.9));
    ph_scene_add(s, ph_hull(P(-3, -14, 70 * k), 15 * k, P(0, -10, 170 * k), 15 * k, P(0, 1, 0), 1.5));
    ph_scene_add(s, ph_hull(P(-6, 30, t->base_z), 16 * k, P(0, 18, 90 * k), 17 * k, P(0, 1, 0), 2.0));
    ph_scene_add(s, ph_hull(P(0, 18, 90 * k), 17 * k, P(0, 0, 160 * k), 20 * k, P(0, 1, 0), 1.6));
    ph_scene_add(s, ph_hull(P(0, ph_thorax_spine(t, -120) - 4, -150 * k), 21 * k, P(0, ph_thorax_spine(t, 20) - 4, 20),
                            18 * k, P(0, 1, 0), 1));
    ph_scene_add(s, ph_hull(P(0, ph_thorax_spine(t, 20) - 4, 20), 18 * k, P(0, ph_thorax_spine(t, 130) - 4, 140 * k),
                            17 * k, P(0, 1, 0), 1));
}

/* Everything below the diaphragm, up to its two domes. */
static void abdomen(PhScene *s, const PhThorax *t, PhDraw *d)
{
    const int into = PH_INTO(PH_LUNG_TISSUE);
    const double lowest = t->base_z - ph_about(d, 14, 5) * t->size;
    ph_scene_body(s, PH_SOFT, into, PH_O_ABDOMEN);
    for (int i = 0; i < 2; i++) {
        const double side = i ? -1 : 1, x = side * t->wide * 0.47, height = t->dome_z[i] - lowest;
        const double w = ph_thorax_width(t, lowest + 0.2 * height) - fabs(x) + 1.5;
        ph_scene_add(s, ph_ball(P(x, 6, lowest), P(w, 0.98 * t->deep, height), NULL));
    }
    /* between the domes, under the heart */
    ph_scene_add(s, ph_hull(P(0.42 * t->wide, 6, t->dome_z[0] - 36 * t->size), 32 * t->size,
                            P(-0.42 * t->wide, 6, t->dome_z[1] - 36 * t->size), 32 * t->size, P(0, 1, 0), 2.2));
    ph_scene_add(s, ph_drum(P(0, 0, lowest - 150), P(2 * t->wide, 2 * t->deep, 150), NULL));
    /* gas in the stomach and the bowel */
    const double gas = ph_about(d, 1, 0.4);
    ph_scene_body(s, PH_AIR_GAS, PH_INTO(PH_SOFT), 0);
    if (ph_chance(d, 0.8) && gas > 0.4) {
        ph_scene_add(s, ph_ball(P(-t->wide * ph_about(d, 0.5, 0.08), 8, t->dome_z[1] - 22 - 6 * gas),
                                P(24 * gas, 20 * gas, 11 * gas), NULL));
        if (ph_chance(d, 0.5)) {
            ph_scene_add(s, ph_ball(P(-t->wide * 0.3, 15, t->dome_z[1] - 40), P(15 * gas, 14 * gas, 9 * gas), NULL));
        }
    }
    for (int i = (int)ph_uniform(d, -3, 6); i > 0; i--) {
        const double r = ph_uniform(d, 5, 13);
        ph_scene_add(s, ph_ball(P(ph_uniform(d, -95, 40), 30, lowest - ph_uniform(d, 0, 60)), P(1.6 * r, r, r), NULL));
    }
}

static void airways(PhScene *s, const PhThorax *t, PhDraw *d)
{
    const double k = t->size, r = (t->is_male ? 9.5 : 8) * ph_about(d, 1, 0.06), bend = ph_about(d, 2.5, 2);
    const PhKnot trachea[] = {
        {P(0, 12, 230 * k), r}, {P(0, 4, 140 * k), r}, {P(bend, -6, 70 * k), r}, {P(bend, -14, 14 * k), r}};
    const PhKnot right[] = {{P(bend, -14, 14 * k), r - 1}, {P(16 * k, -18, -6 * k), 7}, {P(27 * k, -20, -28 * k), 5.5}};
    const PhKnot left[] = {{P(bend, -14, 14 * k), r - 1}, {P(-20 * k, -20, -8 * k), 6}, {P(-36 * k, -24, -20 * k), 5}};
    ph_scene_body(s, PH_AIR_GAS, PH_INTO(PH_SOFT) | PH_INTO(PH_FAT), 0);
    ph_scene_tube(s, trachea, 4, 0, P(0, 0, 1), 1);
    ph_scene_tube(s, right, 3, 0, P(0, 0, 1), 1);
    ph_scene_tube(s, left, 3, 0, P(0, 0, 1), 1);
}

void ph_thorax_soft(PhScene *s, const PhThorax *t, PhDraw *d)
{
    ph_scene_body(s, PH_FAT, PH_INTO_ALL, 0);
    trunk(s, t, 0);
    breasts(s, t, d);
    ph_scene_body(s, PH_SOFT, PH_INTO_ALL, 0);
    trunk(s, t, t->fat_mm);
    ph_scene_body(s, PH_SOFT, 0, PH_O_CAGE);
    for (int side = -1; side <= 1; side += 2) {
        ph_scene_add(s, ph_thorax_lung(t, side, 10));
    }
    for (int i = 0; i < 2; i++) {
        const double side = i ? -1 : 1;
        ph_scene_body(s, PH_LUNG_TISSUE, PH_INTO_ALL, i ? PH_O_LEFT_LUNG : PH_O_RIGHT_LUNG);
        ph_scene_add(s, ph_clip(ph_thorax_lung(t, side, 0), P(-side, 0, 0), -0.5));
    }
    heart(s, t, d);
    great_vessels(s, t, d);
    abdomen(s, t, d);
    airways(s, t, d);
}

void ph_thorax_build(PhScene *s, const PhThorax *t, uint64_t seed, uint64_t stream, int has_devices)
{
    /* a stream per part: what one part draws never moves another */
    PhDraw soft = {seed, stream + 1, 0}, lungs = {seed, stream + 2, 0}, lesions = {seed, stream + 3, 0},
           bones = {seed, stream + 4, 0}, devices = {seed, stream + 5, 0};
    ph_thorax_soft(s, t, &soft);
    ph_thorax_lungs(s, t, &lungs);
    ph_thorax_lesions(s, t, &lesions);
    ph_thorax_bones(s, t, &bones);
    if (has_devices) {
        ph_thorax_devices(s, t, &devices);
    }
}
