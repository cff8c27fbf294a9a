/* Spine, ribs, collar bones, shoulder blades, upper arms, breast bone; and what metal people carry. */
#include <stddef.h>

#include "phantom/thorax.h"

#define P ph_point

enum { RIB_KNOTS = 22 };

static double vertebra_z(const PhThorax *t, double level) /* T1 = 1 .. L2 = 14; C5 = -2 */
{
    return t->size * (142 - (18.5 + 0.36 * level) * level);
}

static void spine(PhScene *s, const PhThorax *t, PhDraw *d)
{
    const double k = t->size, bend = ph_about(d, 0, 3.5);
    enum { FIRST = -3, LAST = 14 };
    for (int pass = 0; pass < 2; pass++) { /* shells, then marrow */
        const double in = pass ? 0.35 : 0;
        ph_scene_body(s, pass ? PH_SPONGY : PH_CORTICAL, pass ? PH_INTO(PH_CORTICAL) : PH_INTO_ALL, 0);
        for (int v = FIRST; v <= LAST; v++) {
            const double z = vertebra_z(t, v), half = 0.40 * (vertebra_z(t, v) - vertebra_z(t, v + 1));
            const double w = k * (v < 1 ? 12.5 : 14 + 0.45 * v), x = bend * sin(0.4 * v);
            const double y = v < 1 ? ph_thorax_spine(t, 130) + 4 * (1 - v) : ph_thorax_spine(t, z);
            ph_scene_add(s, ph_drum(P(x, y, z), P(w - in, 0.8 * w - in, half - 0.7 * in), NULL));
            for (int side = -1; side <= 1; side += 2) {
                /* pedicle, seen end on; transverse process; joint */
                ph_scene_add(s, ph_hull(P(x + side * 0.62 * w, y - 8, z + 3), 4.4 * k - 0.6 * in,
                                        P(x + side * 0.66 * w, y - 26, z + 2), 3.6 * k - 0.6 * in, P(0, 0, 1), 1.4));
                ph_scene_add(s, ph_hull(P(x + side * 0.7 * w, y - 24, z + 2), 4.5 * k - in,
                                        P(x + side * k * (v < 1 ? 20 : 28 - 0.5 * v), y - 34, z + 5), 3.4 * k - in,
                                        P(0, 0, 1), 1));
            }
            ph_scene_add(s, ph_hull(P(x, y - 28, z), 4.5 * k - in, P(x, y - 46, z - (v < 1 ? 4 : 18)), 3.4 * k - in,
                                    P(0, 0, 1), 1));
        }
    }
}

/* Along the cage from beside the spine to the front; t: 0..1. */
static PhKnot rib_point(const PhThorax *t, int rib, double u, double drop, double reach, double start, double thick)
{
    const double top = vertebra_z(t, rib) + 7, angle = start + u * (reach - start);
    const double z = top - drop * (0.5 - 0.5 * cos(angle)) - (rib > 9 ? 10 * u : 0);
    const double grow = 7, h = (z - t->base_z) / (t->tall + 14), share = sqrt(fmax(1 - h * h, 0.05));
    const double narrow = rib == 1 ? 0.78 : rib == 2 ? 0.93 : 1; /* the first stay under the top of the lung */
    const double w = narrow * (t->wide * (PH_LUNG_AXIS + (1 - PH_LUNG_AXIS) * share) + grow),
                 deep = t->deep * share + grow;
    return (PhKnot){P(w * sin(angle), -deep * cos(angle) - PH_LUNG_LEAN * (z - t->base_z), z), thick};
}

static void rib_path(PhKnot knot[RIB_KNOTS], const PhThorax *t, int rib, int side, PhDraw *d)
{
    static const double drops[12] = {62, 82, 95, 105, 113, 120, 124, 124, 118, 108, 80, 48};
    static const double reaches[12] = {2.80, 2.69, 2.62, 2.54, 2.44, 2.33, 2.20, 2.05, 1.9, 1.75, 1.35, 0.95};
    const double k = t->size, drop = k * drops[rib - 1] * ph_about(d, 1, 0.05),
                 reach = reaches[rib - 1] * ph_about(d, 1, 0.02);
    const double start = 0.34, thick = k * (rib < 3 ? 5.6 : 6.3) * ph_about(d, 1, 0.06), lift = ph_about(d, 0, 1.2);
    /* the cartilage of the first rib turns to bone early */
    const double knob = rib == 1 ? fmax(ph_about(d, 0.1 + 0.008 * (t->age_years - 20), 0.2), 0) : 0;
    const double spine_y = ph_thorax_spine(t, vertebra_z(t, rib));
    for (int i = 0; i < RIB_KNOTS; i++) {
        const double u = fmax((double)(i - 3) / (RIB_KNOTS - 4), 0);
        knot[i] = rib_point(t, rib, u, drop, reach, start, thick);
        if (i < 3) { /* head and neck: from the vertebra back and out to the cage */
            const PhPoint head = P(13 * k, spine_y - 8, vertebra_z(t, rib) + 8);
            const PhPoint tubercle = P(38 * k, spine_y - 24, vertebra_z(t, rib) + 5);
            knot[i].at = i == 0 ? head : i == 1 ? tubercle : ph_between(tubercle, knot[2].at, 0.6);
            knot[i].r = thick * (i == 0 ? 0.6 : 0.7);
        } else {
            /* flared in front, where the cartilage begins */
            knot[i].r *= 0.92 + 0.1 * u * u + knob * pow(u, 8);
        }
        knot[i].at.z += lift * sin(3 * u + rib);
        knot[i].at.x *= side;
    }
}

static void ribs(PhScene *s, const PhThorax *t, PhDraw *d)
{
    const double shell = fmax(0.8 - 0.004 * (t->age_years - 40), 0.5);
    PhKnot knot[24][RIB_KNOTS];
    for (int i = 0; i < 24; i++) {
        rib_path(knot[i], t, i / 2 + 1, i % 2 ? -1 : 1, d);
    }
    for (int pass = 0; pass < 2; pass++) {
        ph_scene_body(s, pass ? PH_SPONGY : PH_CORTICAL, pass ? PH_INTO(PH_CORTICAL) : PH_INTO_ALL, 0);
        for (int i = 0; i < 24; i++) {
            for (int j = 0; j + 1 < RIB_KNOTS; j++) {
                /* flat against the lung: thin towards the axis of the chest */
                const PhPoint a = knot[i][j].at, b = knot[i][j + 1].at, out = P(a.x + b.x, (a.y + b.y), 0);
                const double in = pass ? shell : 0;
                const double ra = knot[i][j].r - in, rb = knot[i][j + 1].r - in;
                const double flat = (0.48 * knot[i][j].r - 0.9 * in) / ra;
                ph_scene_add(s, ph_hull(a, ra, b, rb, out, flat));
            }
        }
    }
}

static void shoulders(PhScene *s, const PhThorax *t, PhDraw *d)
{
    const double k = t->size, rise = t->shoulder_mm, inner = ph_about(d, 92, 6) * k;
    const double out = ph_about(d, 1.0, 0.05);
    for (int i = 0; i < 2; i++) {
        const double side = i ? -1 : 1, uneven = ph_about(d, 0, 3), zi = inner + uneven, zo = inner + rise + uneven;
        const PhKnot clavicle[] = {{P(side * 25 * k, 0.60 * t->deep, zi + 1.5), 11 * k},
                                   {P(side * 34 * k, 0.64 * t->deep, zi + 1), 9 * k},
                                   {P(side * 50 * k, 0.66 * t->deep, zi + 0.12 * rise + 1), 6.3 * k},
                                   {P(side * 74 * k, 0.58 * t->deep, zi + 0.4 * rise + 2), 5.4 * k},
                                   {P(side * 100 * k, 0.36 * t->deep, zi + 0.75 * rise + 5), 5.6 * k},
                                   {P(side * 124 * k, 0.16 * t->deep, zo + 4), 6.2 * k},
                                   {P(side * 146 * k, 0.06 * t->deep, zo), 6.8 * k}};
        ph_scene_bone(s, clavicle, 7, 1.6, P(0, 0, 1), 1, i ? PH_O_LEFT_CLAVICLE : PH_O_RIGHT_CLAVICLE);
        /* shoulder blade, drawn away from the lungs */
        const double x0 = side * 112 * k * out, back = -0.86 * t->deep;
        const PhPoint angle = P(x0 + side * 8, back - 6, -48 * k), corner = P(x0 + side * 2, back + 4, 62 * k),
                      socket = P(side * 158 * k * out, -0.25 * t->deep, 58 * k + rise);
        const PhPoint plane = ph_unit(ph_cross(ph_plus(corner, -1, angle), ph_plus(socket, -1, angle)));
        ph_scene_body(s, PH_CORTICAL, PH_INTO_ALL, 0);
        for (int strip = 0; strip < 5; strip++) { /* the thin blade as strips from the lower angle */
            const PhPoint to = ph_between(corner, socket, 0.12 + 0.19 * strip);
            ph_scene_add(s, ph_hull(ph_between(angle, to, 0.1), 5, to, 14 * k, plane, 0.075));
        }
        const PhKnot edge[] = {{angle, 4.2}, {ph_between(angle, socket, 0.5), 4.6}, {socket, 9 * k}};
        const PhKnot inner_edge[] = {{angle, 3}, {ph_between(angle, corner, 0.5), 2}, {corner, 2.4}};
        const PhKnot crest[] = {{ph_between(corner, angle, 0.25), 2.4},
                                {P(side * 140 * k, back + 20, 80 * k + rise), 4.5},
                                {P(side * 162 * k, -12, zo - 2), 7}};
        const PhKnot coracoid[] = {{P(side * 148 * k, 0, 72 * k + rise), 6},
                                   {P(side * 138 * k, 0.3 * t->deep, 70 * k + rise), 5}};
        ph_scene_bone(s, edge, 3, 1.4, P(0, 0, 1), 1, 0);
        ph_scene_tube(s, inner_edge, 3, 0, P(0, 0, 1), 1);
        ph_scene_bone(s, crest, 3, 1.4, P(0, 0, 1), 1, 0);
        ph_scene_bone(s, coracoid, 2, 1.3, P(0, 0, 1), 1, 0);
        const PhKnot humerus[] = {{P(side * 178 * k, -4, 64 * k + rise), 23 * k},
                                  {P(side * 186 * k, -4, 44 * k + rise), 17 * k},
                                  {P(side * 196 * k, -2, 10 * k), 12 * k},
                                  {P(side * 228 * k, 0, -120 * k), 11 * k}};
        ph_scene_bone(s, humerus, 2, 1.4, P(0, 0, 1), 1, 0);
        ph_scene_bone(s, humerus + 1, 3, 3.4, P(0, 0, 1), 1, 0);
    }
    /* handle and body of the breast bone */
    const PhKnot sternum[] = {{P(0, 0.62 * t->deep, inner - 12), 17 * k},
                              {P(0, 0.78 * t->deep, inner - 50 * k), 13 * k},
                              {P(0, 0.95 * t->deep, inner - 150 * k), 16 * k}};
    ph_scene_body(s, PH_SPONGY, PH_INTO_ALL, 0);
    ph_scene_tube(s, sternum, 3, 0, P(0, 1, 0), 0.32);
}

void ph_thorax_bones(PhScene *s, const PhThorax *t, PhDraw *d)
{
    spine(s, t, d);
    ribs(s, t, d);
    shoulders(s, t, d);
}

/* A cable through the knots, bent smoothly (Catmull and Rom). */
static void cable(PhScene *s, const PhKnot *knot, int n)
{
    enum { PARTS = 7 };
    PhKnot last = knot[0];
    for (int i = 0; i + 1 < n; i++) {
        const PhPoint a = knot[i > 0 ? i - 1 : 0].at, b = knot[i].at, c = knot[i + 1].at,
                      d = knot[i + 2 < n ? i + 2 : n - 1].at;
        for (int k = 1; k <= PARTS; k++) {
            const double t = (double)k / PARTS, tt = t * t, ttt = tt * t;
            PhPoint at = ph_plus(ph_point(0, 0, 0), -0.5 * t + tt - 0.5 * ttt, a);
            at = ph_plus(at, 1 - 2.5 * tt + 1.5 * ttt, b);
            at = ph_plus(at, 0.5 * t + 2 * tt - 1.5 * ttt, c);
            at = ph_plus(at, -0.5 * tt + 0.5 * ttt, d);
            const PhKnot next = {at, knot[i].r + t * (knot[i + 1].r - knot[i].r)}, pair[2] = {last, next};
            ph_scene_tube(s, pair, 2, 0, P(0, 0, 1), 1);
            last = next;
        }
    }
}

void ph_thorax_devices(PhScene *s, const PhThorax *t, PhDraw *d)
{
    const double k = t->size;
    ph_scene_body(s, PH_HEAVY_METAL, PH_INTO_ALL, 0);
    if (ph_chance(d, 0.5)) { /* wires in the breast bone, after an operation on the heart */
        for (int i = 0; i < 6; i++) {
            const double z = (58 - 24 * i) * k, w = 9, y = (0.66 + 0.05 * i) * t->deep;
            const PhKnot loop[] = {
                {P(-w, y, z), 0.5}, {P(-0.5 * w, y + 7, z + 4), 0.5}, {P(0.5 * w, y + 7, z + 3), 0.5},
                {P(w, y, z), 0.5},  {P(0.5 * w, y - 4, z - 4), 0.5},  {P(-0.6 * w, y - 4, z - 3), 0.5}};
            ph_scene_tube(s, loop, 6, 0, P(0, 0, 1), 1);
        }
    } else { /* a pacemaker on the left with two leads */
        const double x = -78 * k, z = ph_about(d, 52, 6) * k, y = t->deep + 12;
        const PhPoint tip[2] = {P(-40 * k, 40, t->dome_z[1] + 8), P(30 * k, 30, t->dome_z[0] + 40)};
        for (int lead = 0; lead < 2; lead++) {
            const PhKnot wire[] = {{P(x + 10, y, z + 12), 0.8},
                                   {P(-60 * k, 0.6 * t->deep, 84 * k), 0.8},
                                   {P(-20 * k, 20, 72 * k), 0.8},
                                   {P(16 * k, 12, 62 * k), 0.8},
                                   {P(25 * k + 2 * lead, 14, 10 * k), 0.8},
                                   {P(26 * k, 20, -30 * k), 0.8},
                                   {tip[lead], 1.1}};
            cable(s, wire, 7);
        }
        ph_scene_body(s, PH_LIGHT_METAL, PH_INTO_ALL, 0);
        ph_scene_add(s, ph_ball(P(x, y, z), P(24, 4.5, 21), NULL));
    }
}
