/*
 * What fills the lungs: arteries and veins as branching trees, and findings. A tree grows from the hilum: at a fork the
 * children keep r^2.7 together and turn from their parent by tens of degrees; a branch ends when it is thin or leaves
 * the lung.
 */
#include "phantom/thorax.h"

#include <stddef.h>

#define P ph_point

enum { MOST_BRANCHES = 1200, STACK = 64 };
#define BREATH_MM 14 /* how much higher than at rest the diaphragm stands in the least breath */

typedef struct Branch {
    PhPoint at, along;
    double r;
} Branch;

static int in_lung(const PhThorax *t, PhPoint p, double side, double margin)
{
    const PhSolid lung = ph_thorax_lung(t, side, -margin);
    return side * p.x > 10 && p.z > t->base_z - 15 && ph_solid_holds(&lung, p);
}

static PhPoint any_direction(PhDraw *d)
{
    const double z = ph_uniform(d, -1, 1), a = ph_uniform(d, 0, 6.283185307179586), r = sqrt(1 - z * z);
    return P(r * cos(a), r * sin(a), z);
}

/* One tree. Branches turn away from the hilum. */
static void tree(PhScene *s, const PhThorax *t, PhDraw *d, double side, Branch root, double thinnest)
{
    const PhPoint hilum = P(side * 15, -10, -15);
    Branch stack[STACK];
    int depth = 0, made = 0;
    stack[depth++] = root;
    while (depth > 0 && made < MOST_BRANCHES) {
        Branch b = stack[--depth];
        const int steps = 3;
        const double length = b.r * ph_uniform(d, 2.4, 4.0) + ph_uniform(d, 4, 9);
        const double taper = 0.96;
        for (int i = 0; i < steps; i++) {
            const PhPoint jitter = any_direction(d);
            b.along = ph_unit(ph_plus(ph_plus(b.along, 0.24, jitter), 0.06, ph_unit(ph_plus(b.at, -1, hilum))));
            const PhPoint to = ph_plus(b.at, length / steps, b.along);
            ph_scene_add(s, ph_hull(b.at, b.r, to, b.r * taper, P(0, 0, 1), 1));
            b.at = to;
            b.r *= taper;
            made++;
        }
        if (!in_lung(t, b.at, side, 2) || b.r < thinnest) {
            continue;
        }
        /* children share the area as Murray has it, unevenly */
        const double share = ph_uniform(d, 0.2, 0.5), turn = ph_uniform(d, 0.5, 1.05);
        const PhPoint aside = ph_unit(ph_cross(b.along, any_direction(d)));
        for (int child = 0; child < 2 && depth < STACK; child++) {
            const double part = child ? share : 1 - share, bend = child ? -turn * (1 - share) : turn * share;
            Branch c = {b.at, ph_unit(ph_plus(b.along, tan(fmin(fmax(bend, -1.1), 1.1)), aside)),
                        b.r * pow(part, 1 / 2.9)};
            stack[depth++] = c;
        }
    }
}

void ph_thorax_lungs(PhScene *s, const PhThorax *t, PhDraw *d)
{
    const double k = t->size, thinnest = 0.42;
    ph_scene_body(s, PH_SOFT, PH_INTO(PH_LUNG_TISSUE), 0);
    for (int i = 0; i < 2; i++) {
        const double side = i ? -1 : 1, z = (i ? -12 : -22) * k;
        /* directions of the great branches: upper lobe, front, side, and the fan of the lower lobe */
        static const double fan[11][4] = {{0.35, -0.1, 1, 3.0},   {0.8, 0.4, 0.75, 2.6},  {1, 0.3, 0.2, 2.3},
                                          {0.9, 0.7, -0.35, 2.6}, {0.55, 0.4, -1, 3.2},   {0.9, -0.2, -0.75, 3.1},
                                          {0.35, -0.5, -1, 3.6},  {0.7, -0.7, -0.6, 2.7}, {0.6, -0.6, 0.3, 2.2},
                                          {0.5, 0.5, 1, 2.3},     {0.15, 0.0, -1, 2.8}};
        for (int b = 0; b < 11; b++) {
            const PhPoint along = P(side * fan[b][0] + ph_about(d, 0, 0.12), fan[b][1] + ph_about(d, 0, 0.12),
                                    fan[b][2] + ph_about(d, 0, 0.12));
            const double low = fan[b][2] < -0.5 ? 14 : 0;
            const Branch root = {
                P(side * (34 + ph_about(d, 0, 2.5)) * k, -8 + ph_about(d, 0, 5), z + 9 * fan[b][2] - low),
                ph_unit(along), 1.9 * fan[b][3] * k};
            tree(s, t, d, side, root, thinnest);
        }
        /* the descending artery and the vessels of the hilum, seen end on */
        const PhKnot hilum[] = {{P(side * 30 * k, -4, z + 8), 7.5},
                                {P(side * 38 * k, -10, z - 10), 7},
                                {P(side * 42 * k, -16, z - 34), 5.5},
                                {P(side * 45 * k, -20, z - 55), 4}};
        ph_scene_tube(s, hilum, 4, 0, P(0, 0, 1), 1);
        for (int n = 0; n < 7; n++) {
            const double r = ph_uniform(d, 1.8, 4);
            ph_scene_add(s, ph_hull(P(side * ph_about(d, 38, 6) * k, ph_about(d, -20, 8), z + ph_about(d, 0, 12)), r,
                                    P(side * ph_about(d, 44, 6) * k, ph_about(d, 20, 8), z + ph_about(d, 0, 12)),
                                    0.8 * r, P(0, 0, 1), 1));
        }
    }
}

/* A place where a ball of this radius lies in lung, away from the diaphragm; the last try if none does. */
static PhPoint place_in_lung(const PhThorax *t, const PhScene *healthy, PhDraw *d, double side, double radius,
                             const double height[2])
{
    const int organ = side > 0 ? PH_O_RIGHT_LUNG : PH_O_LEFT_LUNG;
    PhPoint c = P(side * 0.55 * t->wide, 0, 0);
    for (int tries = 0; tries < 200; tries++) {
        c = P(side * ph_uniform(d, 0.3, 0.95) * t->wide, ph_uniform(d, -0.8, 0.7) * t->deep,
              ph_uniform(d, height[0], height[1]) * t->size);
        int is_lung = c.z > t->dome_z[side < 0] + radius + BREATH_MM;
        for (int i = 0; i < 7 && is_lung; i++) {
            const double r = i < 6 ? (i % 2 ? -1.1 : 1.1) * radius : 0;
            const PhPoint q = ph_plus(c, r, P(i / 2 == 0, i / 2 == 1, i / 2 == 2));
            const int body = ph_scene_body_at(healthy, q);
            is_lung = body >= 0 && healthy->body[body].organ == organ;
        }
        if (is_lung) {
            break;
        }
    }
    return c;
}

void ph_thorax_findings(PhThorax *t, const PhScene *healthy, double years, PhDraw *d)
{
    const int nodules = (int)ph_uniform(d, 0, 2.999), side = ph_chance(d, 0.5), other = ph_chance(d, 0.5);
    const int has_effusion = ph_chance(d, 0.4), has_pneumonia = ph_chance(d, 0.45);
    static const double high[2] = {-60, 95}, low[2] = {-60, 70};
    t->findings = 0;
    for (int i = 0; i < 2; i++) { /* drawn whether used or not: a count never moves the next finding */
        const int is_right = ph_chance(d, 0.5);
        const double r = ph_uniform(d, 5, 12);
        const PhPoint c = place_in_lung(t, healthy, d, is_right ? 1 : -1, r, high);
        const double growth = ph_uniform(d, 0.2, 1.2);
        if (i < nodules || (i == 0 && !has_effusion && !has_pneumonia)) {
            t->finding[t->findings++] = (PhFinding){PH_O_NODULE, is_right, c, r + growth * years};
        }
    }
    const double level = ph_uniform(d, 18, 75), r = ph_uniform(d, 20, 38);
    const PhPoint spot = place_in_lung(t, healthy, d, other ? 1 : -1, 0.6 * r, low);
    if (has_effusion) {
        const double z = t->base_z - 10;
        t->finding[t->findings++] = (PhFinding){PH_O_EFFUSION, side, P((side ? 1 : -1) * 0.8 * t->wide, 0, z), level};
    }
    if (has_pneumonia) {
        t->finding[t->findings++] = (PhFinding){PH_O_PNEUMONIA, other, spot, r};
    }
}

static void pneumonia(PhScene *s, const PhFinding *f, PhDraw *d)
{
    /* a patch of clusters, denser in the middle, ragged at the edge */
    ph_scene_body(s, PH_INFILTRATE, PH_INTO(PH_LUNG_TISSUE), PH_O_PNEUMONIA);
    for (int i = 0; i < 130; i++) {
        const double out = pow(ph_uniform(d, 0, 1), 0.6),
                     r = f->radius_mm * ph_uniform(d, 0.07, 0.22) * (1.25 - 0.7 * out);
        const PhPoint c = ph_plus(f->centre, f->radius_mm * out, any_direction(d));
        ph_scene_add(s, ph_ball(c, P(r, 1.3 * r, 0.8 * r), NULL));
    }
}

static void effusion(PhScene *s, const PhThorax *t, const PhFinding *f)
{
    /* fluid up to a height, of which lung takes back what lies in a ball: the surface climbs along the wall */
    const double side = f->is_right ? 1 : -1, level = f->centre.z + f->radius_mm, w = t->wide, climb = 60 * t->size;
    ph_scene_body(s, PH_FLUID, PH_INTO(PH_LUNG_TISSUE) | PH_INTO(PH_INFILTRATE), PH_O_EFFUSION);
    ph_scene_add(s, ph_clip(ph_drum(P(side * 0.5 * w, 0, level + climb - 200), P(1.2 * w, 1.5 * t->deep, 200), NULL),
                            P(-side, 0, 0), 0));
    ph_scene_body(s, PH_LUNG_TISSUE, PH_INTO(PH_FLUID), f->is_right ? PH_O_RIGHT_LUNG : PH_O_LEFT_LUNG);
    ph_scene_add(s, ph_ball(P(side * 0.36 * w, 0, level + 1.4 * climb), P(0.72 * w, 1.9 * t->deep, 1.4 * climb), NULL));
}

void ph_thorax_lesions(PhScene *s, const PhThorax *t, PhDraw *d)
{
    for (int i = 0; i < t->findings; i++) {
        const PhFinding *f = &t->finding[i];
        if (f->organ == PH_O_NODULE) {
            const double a = ph_uniform(d, 0.85, 1.15), b = ph_uniform(d, 0.85, 1.15);
            ph_scene_body(s, PH_SOFT, PH_INTO(PH_LUNG_TISSUE), PH_O_NODULE);
            ph_scene_add(s, ph_ball(f->centre, P(a * f->radius_mm, f->radius_mm, b * f->radius_mm), NULL));
            for (int lobe = 0; lobe < 5; lobe++) { /* lobulated */
                const double r = f->radius_mm * ph_uniform(d, 0.3, 0.5);
                ph_scene_add(s, ph_ball(ph_plus(f->centre, 0.75 * f->radius_mm, any_direction(d)), P(r, r, r), NULL));
            }
        } else if (f->organ == PH_O_PNEUMONIA) {
            pneumonia(s, f, d);
        }
    }
    for (int i = 0; i < t->findings; i++) {
        if (t->finding[i].organ == PH_O_EFFUSION) {
            effusion(s, t, &t->finding[i]);
        }
    }
}
