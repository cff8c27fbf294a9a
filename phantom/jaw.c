/* The arch, the jaws and what surrounds them. */
#include "phantom/jaw.h"

#include <stddef.h>

#define P ph_point

void ph_arch(const PhJaw *j, double s, PhPoint *at, PhPoint *along, PhPoint *out)
{
    const double side = s < 0 ? -1 : 1, length = fmin(fabs(s), j->arc[PH_ARCH_STEPS]);
    int lo = 0, hi = PH_ARCH_STEPS;
    while (hi - lo > 1) {
        const int mid = (lo + hi) / 2;
        if (j->arc[mid] <= length) {
            lo = mid;
        } else {
            hi = mid;
        }
    }
    const double x = j->arch_step * (lo + (length - j->arc[lo]) / (j->arc[hi] - j->arc[lo])), slope = -x / j->arch_mm;
    const double n = sqrt(1 + slope * slope);
    *at = P(side * x, -0.5 * x * x / j->arch_mm, 0);
    *along = P(side / n, slope / n, 0);
    *out = P(side * -slope / n, 1 / n, 0);
}

double ph_bite(const PhJaw *j, double s)
{
    return j->smile_mm * (s / 45) * (s / 45);
}

void ph_jaw_person(PhJaw *j, double age_years, int is_male, PhDraw *d)
{
    *j = (PhJaw){.is_male = is_male, .age_years = age_years, .arch_step = 0.2};
    j->size = ph_about(d, is_male ? 1.02 : 0.96, 0.03);
    j->arch_mm = j->size * ph_about(d, 10.5, 0.9);
    j->smile_mm = ph_about(d, 6, 3);
    for (int i = 1; i <= PH_ARCH_STEPS; i++) {
        const double x = j->arch_step * (i - 0.5) / j->arch_mm;
        j->arc[i] = j->arc[i - 1] + j->arch_step * sqrt(1 + x * x);
    }
    ph_teeth_place(j, d);
}

/* A point beside the arch. */
static PhPoint beside(const PhJaw *j, double s, double out_mm, double z)
{
    PhPoint at, along, out;
    ph_arch(j, s, &at, &along, &out);
    at = ph_plus(at, out_mm, out);
    at.z = z;
    return at;
}

static PhPoint outward(const PhJaw *j, double s)
{
    PhPoint at, along, out;
    ph_arch(j, s, &at, &along, &out);
    return out;
}

typedef struct PhWall {             /* a ridge of bone along the arch, at the midline and at its end */
    double z[2], tall[2], thick[2]; /* mm: middle, half height, half thickness */
    double out_end;                 /* mm: how far outside of the arch it ends */
} PhWall;

/* From the midline to length `to`, `in` mm below its surface: tubes one above the other, since the arch is more bent
 * than a plate of that height could follow. */
static void wall(PhScene *s, const PhJaw *j, double to, const PhWall *w, double in)
{
    enum { STEPS = 16, TUBES = 12 };
    for (int tube = 0; tube < TUBES; tube++) {
        const double level = 2.0 * tube / (TUBES - 1) - 1;
        PhKnot knot[STEPS + 1];
        for (int i = 0; i <= STEPS; i++) {
            const double f = (double)i / STEPS, r = w->thick[0] + (w->thick[1] - w->thick[0]) * f;
            const double half = w->tall[0] + (w->tall[1] - w->tall[0]) * f;
            const double z = w->z[0] + (w->z[1] - w->z[0]) * f * f;
            knot[i] = (PhKnot){beside(j, to * f, -0.5 + w->out_end * f * f, z + level * (half - r)), r};
        }
        ph_scene_tube(s, knot, STEPS + 1, in, P(0, 0, 1), 1);
    }
}

static void mandible(PhScene *s, const PhJaw *j, PhDraw *d)
{
    const double k = j->size, loss = 0.05 * fmax(j->age_years - 45, 0), tall = ph_about(d, 15.5, 0.8) * k;
    const double angle_s = 74 * k, angle_z = ph_about(d, -24, 3) * k, joint_s = 102 * k,
                 joint_z = ph_about(d, 46, 3) * k;
    const PhWall body = {{(-29 - 0.5 * loss) * k, angle_z + 6}, {tall - 0.5 * loss, 14 * k}, {6.2 * k, 3 * k}, 3.5};
    for (int pass = 0; pass < 2; pass++) {
        const double in = pass ? 1.9 : 0;
        ph_scene_body(s, pass ? PH_SPONGY : PH_CORTICAL, pass ? PH_INTO(PH_CORTICAL) : PH_INTO_ALL, PH_O_MANDIBLE);
        for (int side = -1; side <= 1; side += 2) {
            wall(s, j, side * angle_s, &body, in);
            /* the ramus: strips from the angle to the joint and to the process in front of it */
            const PhPoint corner = beside(j, side * (angle_s + 7), 4, angle_z + 6),
                          front = beside(j, side * (angle_s - 5), 2, 2 * k);
            const PhPoint joint = beside(j, side * joint_s, 4, joint_z),
                          process = beside(j, side * (angle_s + 6), 1, joint_z - 8);
            const PhPoint neck = ph_between(joint, corner, 0.24), out = outward(j, side * angle_s);
            ph_scene_add(s, ph_hull(corner, 11 * k - in, ph_between(corner, joint, 0.6), 11 * k - in, out,
                                    (4.2 - in) / (11 - in)));
            ph_scene_add(s, ph_hull(front, 12 * k - in, ph_between(front, process, 0.6), 10 * k - in, out,
                                    (4.2 - in) / (11 - in)));
            ph_scene_add(s, ph_hull(ph_between(corner, joint, 0.35), 12 * k - in, ph_between(front, process, 0.4),
                                    11 * k - in, out, (4 - in) / (11 - in)));
            ph_scene_add(s, ph_hull(corner, 10 * k - in, front, 13 * k - in, out, (4.6 - in) / (11 - in)));
            ph_scene_add(s, ph_hull(ph_between(front, process, 0.5), 8 * k - in, process, 2.6 * k - 0.6 * in, out,
                                    (3.4 - 0.8 * in) / (8 - in)));
            ph_scene_add(s, ph_hull(ph_between(corner, joint, 0.5), 8 * k - in, neck, 5 * k - 0.8 * in, out,
                                    (4 - in) / (8 - in)));
            ph_scene_add(s, ph_hull(neck, 4.6 * k - 0.6 * in, joint, 6 * k - 0.6 * in, out, 1.1));
        }
    }
    ph_scene_body(s, PH_SOFT, PH_INTO(PH_SPONGY),
                  0); /* the canal of the nerve, from the ramus to beside the premolars */
    for (int side = -1; side <= 1; side += 2) {
        const PhKnot canal[] = {
            {beside(j, side * 92 * k, 3, 16 * k), 1.7},      {beside(j, side * 80 * k, 3, -6 * k), 1.6},
            {beside(j, side * 66 * k, 0, angle_z - 2), 1.5}, {beside(j, side * 46 * k, -1, angle_z - 7), 1.5},
            {beside(j, side * 28 * k, 1, angle_z - 4), 1.4}, {beside(j, side * 26 * k, 6, angle_z - 1), 1.6}};
        ph_scene_tube(s, canal, 6, 0, P(0, 0, 1), 1);
    }
}

static void maxilla(PhScene *s, const PhJaw *j, PhDraw *d)
{
    const double k = j->size, palate_z = ph_about(d, 25, 2) * k, loss = 0.04 * fmax(j->age_years - 45, 0);
    const PhWall ridge = {{(20 + loss) * k, 23 * k}, {11 * k, 9 * k}, {5 * k, 5.5 * k}, 0};
    for (int pass = 0; pass < 2; pass++) {
        const double in = pass ? 0.8 : 0;
        ph_scene_body(s, pass ? PH_SPONGY : PH_CORTICAL, pass ? PH_INTO(PH_CORTICAL) : PH_INTO_ALL, 0);
        for (int side = -1; side <= 1; side += 2) {
            wall(s, j, side * 62 * k, &ridge, in);
            /* cheek bone and its arch */
            const PhPoint root = beside(j, side * 56 * k, 8, 34 * k), arch = beside(j, side * 92 * k, 14, 44 * k);
            ph_scene_add(s, ph_hull(beside(j, side * 50 * k, 2, 28 * k), 5 - in, root, 8 - in, P(0, 0, 1), 1));
            ph_scene_add(s, ph_hull(root, 6 - in, arch, 3.4 - 0.8 * in, P(0, 0, 1), 1));
            /* rim of the orbit, and the bone beside the nose */
            ph_scene_add(s, ph_hull(P(side * 16 * k, -6, 62 * k), 2 - in, P(side * 34 * k, -30, 54 * k), 2.2 - in,
                                    P(0, 0, 1), 1));
            ph_scene_add(
                s, ph_hull(P(side * 14 * k, -8, 28 * k), 2 - in, P(side * 7 * k, -2, 70 * k), 1.4 - in, P(0, 1, 0), 2));
        }
    }
    ph_scene_body(s, PH_CORTICAL, PH_INTO_ALL, 0);
    ph_scene_add(s, ph_drum(P(0, -26, palate_z), P(25 * k, 30 * k, 0.6), NULL)); /* hard palate */
    ph_scene_body(s, PH_SPONGY, PH_INTO_ALL, 0);
    for (int side = -1; side <= 1; side += 2) { /* plates behind the upper jaw */
        ph_scene_add(s, ph_hull(P(side * 24 * k, -54, 14 * k), 3, P(side * 20 * k, -56, 50 * k), 5, P(0, 1, 0), 0.4));
    }
    for (int pass = 0; pass < 2; pass++) { /* sinuses over the back teeth: thin walls, air within */
        ph_scene_body(s, pass ? PH_AIR_GAS : PH_CORTICAL, pass ? PH_INTO_ALL : PH_INTO(PH_SOFT) | PH_INTO(PH_SPONGY),
                      0);
        for (int side = -1; side <= 1; side += 2) {
            const double in = pass ? 0.4 : 0, low = 26 * k + fmin(loss, 2);
            const PhPoint back = beside(j, side * 44 * k, -3, low + 9 * k),
                          front = beside(j, side * 30 * k, -4, low + 12 * k),
                          top = beside(j, side * 36 * k, -4, low + 26 * k);
            ph_scene_add(s, ph_hull(back, 9 * k - in, front, 7 * k - in, outward(j, side * 38), 0.7));
            ph_scene_add(s, ph_hull(back, 9 * k - in, top, 12 * k - in, outward(j, side * 38), 0.6));
            ph_scene_add(s, ph_hull(front, 7 * k - in, top, 12 * k - in, outward(j, side * 38), 0.6));
        }
    }
    /* nose: two passages, shells, and the wall between them */
    ph_scene_body(s, PH_AIR_GAS, PH_INTO(PH_SOFT) | PH_INTO(PH_FAT), 0);
    for (int side = -1; side <= 1; side += 2) {
        ph_scene_add(
            s, ph_hull(P(side * 7.5 * k, -6, 36 * k), 8 * k, P(side * 6 * k, -45, 42 * k), 11 * k, P(1, 0, 0), 0.7));
        ph_scene_add(s,
                     ph_hull(P(side * 5 * k, -4, 56 * k), 5 * k, P(side * 5 * k, -40, 58 * k), 7 * k, P(1, 0, 0), 0.6));
    }
    ph_scene_body(s, PH_SOFT, PH_INTO(PH_AIR_GAS), 0);
    for (int side = -1; side <= 1; side += 2) {
        ph_scene_add(
            s, ph_hull(P(side * 8 * k, -4, 34 * k), 3.8 * k, P(side * 7 * k, -44, 36 * k), 4.4 * k, P(0, 0, 1), 1.2));
        ph_scene_add(
            s, ph_hull(P(side * 7 * k, -10, 48 * k), 2.6 * k, P(side * 6 * k, -42, 50 * k), 3 * k, P(0, 0, 1), 1.2));
    }
    ph_scene_body(s, PH_SPONGY, PH_INTO_ALL, 0);
    ph_scene_add(s, ph_drum(P(ph_about(d, 0, 0.8), -28, 44 * k), P(0.8, 26 * k, 22 * k), NULL));
}

static void head(PhScene *s, const PhJaw *j, PhDraw *d)
{
    const double k = j->size, fat = ph_about(d, 5, 1.5);
    for (int pass = 0; pass < 2; pass++) {
        const double in = pass ? fat : 0;
        ph_scene_body(s, pass ? PH_SOFT : PH_FAT, PH_INTO_ALL, 0);
        ph_scene_add(s, ph_ball(P(0, -72, 55 * k), P(76 * k - in, 98 * k - in, 92 * k - in), NULL));
        ph_scene_add(s, ph_hull(P(0, -32, -18 * k), 48 * k - in, P(0, -50, 30 * k), 66 * k - in, P(1, 0, 0), 1));
        ph_scene_add(s, ph_hull(P(0, -12, -34 * k), 23 * k - in, P(0, -14, 20 * k), 30 * k - in, P(1, 0, 0), 1.2));
        ph_scene_add(s, ph_hull(P(0, -85, -120 * k), 56 * k - in, P(0, -85, -10 * k), 58 * k - in, P(1, 0, 0), 1));
    }
    /* throat, and the air between tongue and palate and between the lips */
    ph_scene_body(s, PH_AIR_GAS, PH_INTO(PH_SOFT), 0);
    ph_scene_add(s, ph_hull(P(0, -70, -90 * k), 8 * k, P(0, -66, 44 * k), 11 * k, P(1, 0, 0), 1.8));
    if (ph_chance(d, 0.8)) {
        const double thick = ph_uniform(d, 2, 5);
        ph_scene_add(s, ph_ball(P(0, -28, 18 * k), P(24 * k, 26 * k, thick), NULL));
    }
    ph_scene_add(s, ph_ball(P(0, -8, 1), P(38 * k, 18 * k, ph_uniform(d, 0.8, 2.6)), NULL));
}

static void neck(PhScene *s, const PhJaw *j, PhDraw *d)
{
    const double k = j->size, y = ph_about(d, -96, 3);
    for (int pass = 0; pass < 2; pass++) {
        const double in = pass ? 1 : 0;
        ph_scene_body(s, pass ? PH_SPONGY : PH_CORTICAL, pass ? PH_INTO(PH_CORTICAL) : PH_INTO_ALL, 0);
        for (int v = 0; v < 6; v++) {
            const double z = (30 - 19 * v) * k;
            ph_scene_add(s, ph_drum(P(0, y, z), P(10 * k - in, 8 * k - in, 7.4 * k - in), NULL));
            for (int side = -1; side <= 1; side += 2) {
                ph_scene_add(s, ph_hull(P(side * 14 * k, y - 8, z - 4), 5.5 * k - in, P(side * 14 * k, y - 10, z + 4),
                                        5.5 * k - in, P(0, 1, 0), 1));
            }
            ph_scene_add(s, ph_hull(P(0, y - 20, z), 3.6 * k - in, P(0, y - 36, z - 6), 4 * k - in, P(0, 0, 1), 1));
        }
        /* base of the skull and the bone behind the ear */
        for (int side = -1; side <= 1; side += 2) {
            ph_scene_add(s, ph_hull(P(side * 30 * k, -92, 58 * k), 9 * k - in, P(side * 58 * k, -100, 62 * k),
                                    12 * k - in, P(0, 1, 0), 1));
            ph_scene_add(s, ph_hull(P(side * 55 * k, -106, 58 * k), 10 * k - in, P(side * 50 * k, -106, 34 * k),
                                    5 * k - in, P(0, 1, 0), 1));
        }
    }
}

void ph_jaw_build(PhScene *s, const PhJaw *j, uint64_t seed, uint64_t stream)
{
    PhDraw soft = {seed, stream + 1, 0}, upper = {seed, stream + 2, 0}, lower = {seed, stream + 3, 0},
           behind = {seed, stream + 4, 0}, teeth = {seed, stream + 5, 0};
    head(s, j, &soft);
    neck(s, j, &behind);
    maxilla(s, j, &upper);
    mandible(s, j, &lower);
    ph_teeth_add(s, j, &teeth);
}
