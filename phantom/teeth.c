/*
 * Teeth: sizes after tables of dental anatomy (mean widths and heights of permanent teeth), roots in their sockets,
 * dentin under enamel, pulp; fillings, crowns, root fillings and implants; cavities.
 */
#include <stddef.h>

#include "phantom/jaw.h"

#define P ph_point

/* width along the arch, depth across it, height of the crown, length of the root; mm */
static const double sizes[2][8][4] = {{{8.5, 7.0, 10.5, 13.0},
                                       {6.5, 6.0, 9.0, 13.0},
                                       {7.5, 8.0, 10.0, 16.5},
                                       {7.0, 9.0, 8.5, 14.0},
                                       {7.0, 9.0, 8.5, 14.0},
                                       {10.0, 11.0, 7.5, 12.5},
                                       {9.5, 11.0, 7.0, 11.5},
                                       {8.5, 10.0, 6.5, 10.5}},
                                      {{5.2, 6.0, 9.0, 12.5},
                                       {5.7, 6.5, 9.5, 14.0},
                                       {7.0, 7.5, 11.0, 15.5},
                                       {7.0, 7.5, 8.5, 14.0},
                                       {7.1, 8.0, 8.0, 14.5},
                                       {11.0, 10.5, 7.5, 14.0},
                                       {10.5, 10.0, 7.0, 13.0},
                                       {10.0, 9.5, 7.0, 11.0}}};

static int class_of(int place) /* incisor, canine, premolar, molar */
{
    return place < 3 ? 0 : place == 3 ? 1 : place < 6 ? 2 : 3;
}

static int organ_of(const PhTooth *t)
{
    return (t->fdi < 30 ? PH_O_UPPER_INCISOR : PH_O_LOWER_INCISOR) + class_of(t->fdi % 10);
}

static PhToothState any_state(const PhJaw *j, int place, PhDraw *d)
{
    const double old = fmin(fmax((j->age_years - 20) / 60, 0), 1), u = ph_uniform(d, 0, 1), v = ph_uniform(d, 0, 1);
    const double back = place >= 4 ? 1 : 0.35;
    if (place == 8) {
        return u < 0.45 + 0.3 * old ? PH_TOOTH_MISSING : PH_TOOTH_SOUND;
    }
    if (u < 0.16 * old * back) {
        return v < 0.35 ? PH_TOOTH_IMPLANT : PH_TOOTH_MISSING;
    }
    if (v < (0.05 + 0.24 * old) * back) {
        return v < 0.07 * old ? PH_TOOTH_CROWNED : PH_TOOTH_FILLED;
    }
    return PH_TOOTH_SOUND;
}

void ph_teeth_place(PhJaw *j, PhDraw *d)
{
    for (int quadrant = 1; quadrant <= 4; quadrant++) {
        const int is_lower = quadrant > 2, is_left = quadrant == 2 || quadrant == 3;
        double s = 0;
        for (int place = 1; place <= 8; place++) {
            PhTooth *t = &j->tooth[(quadrant - 1) * 8 + place - 1];
            const double *size = sizes[is_lower][place - 1], k = j->size;
            *t = (PhTooth){.fdi = quadrant * 10 + place,
                           .width = k * size[0] * ph_about(d, 1, 0.03),
                           .depth = k * size[1] * ph_about(d, 1, 0.03),
                           .crown = k * size[2] * ph_about(d, 1, 0.05),
                           .root = k * size[3] * ph_about(d, 1, 0.07)};
            t->state = any_state(j, place, d);
            t->has_root_filling = ph_chance(d, t->state == PH_TOOTH_CROWNED  ? 0.6
                                               : t->state == PH_TOOTH_FILLED ? 0.15
                                                                             : 0);
            s += 0.5 * t->width;
            PhPoint at;
            ph_arch(j, is_left ? -s : s, &at, &t->along, &t->out);
            s += 0.5 * t->width + ph_uniform(d, 0, 0.25);
            /* upper teeth bite a little outside the lower ones; roots lean back, to the tongue, and a bit at random */
            const double up = is_lower ? 1 : -1, gap = 1.2 + (place < 4 ? -1.0 : 0);
            const double lean_out = (place < 4 ? 0.22 : is_lower ? -0.06 : 0.06) + ph_about(d, 0, 0.04);
            const double lean_along = -0.02 - 0.015 * place + ph_about(d, 0, place == 8 ? 0.2 : 0.05);
            const double twist = ph_about(d, 0, 0.08);
            const double sink = place == 8 ? ph_uniform(d, 0, 4) : ph_about(d, 0, 0.4);
            at = ph_plus(at, is_lower ? -1.0 : 1.0, t->out);
            at.z = ph_bite(j, s) - up * (t->crown + gap + sink);
            t->neck = at;
            t->up = ph_unit(ph_plus(ph_plus(P(0, 0, up), lean_out, t->out), lean_along, t->along));
            const PhPoint out = ph_unit(ph_plus(t->out, twist, t->along));
            t->along = ph_unit(ph_plus(t->along, -ph_inner(t->along, t->up), t->up));
            t->out = ph_unit(ph_plus(ph_plus(out, -ph_inner(out, t->up), t->up), -ph_inner(out, t->along), t->along));
        }
    }
}

/* A point of the tooth's own frame: along, out, up, mm from the neck. */
static PhPoint in_tooth(const PhTooth *t, double along, double out, double up)
{
    return ph_plus(ph_plus(ph_plus(t->neck, along, t->along), out, t->out), up, t->up);
}

/* Roots, grown by `grow`: from a common trunk to one, two or three tips. */
static void roots(PhScene *s, const PhTooth *t, double grow)
{
    const int place = t->fdi % 10, is_upper = t->fdi < 30;
    const int count = place < 6 ? (place == 4 && is_upper ? 2 : 1) : is_upper ? 3 : 2;
    const double w = t->width, deep = t->depth / w;
    ph_scene_add(s, ph_hull(in_tooth(t, 0, 0, 0.4), 0.42 * w + grow, in_tooth(t, 0, 0, -0.25 * t->root),
                            (count > 1 && place > 5 ? 0.36 : 0.33) * w + grow, t->out, 0.9 * deep));
    for (int r = 0; r < count; r++) {
        const double to = place > 5 ? (r == 0 ? -0.27 : r == 1 ? 0.27 : 0.02) * w : 0;
        const double across = place > 5 ? (r == 2     ? -0.32
                                           : is_upper ? 0.22
                                                      : 0) *
                                              t->depth
                              : count == 2 ? (r ? 0.25 : -0.25) * t->depth
                                           : 0;
        const double thick = count == 1 ? 0.32 * w : place > 5 ? 0.2 * w : 0.25 * w;
        const PhPoint top = in_tooth(t, 0.7 * to, 0.7 * across, -0.22 * t->root),
                      mid = in_tooth(t, 1.05 * to, across, -0.62 * t->root),
                      tip = in_tooth(t, to + 0.05 * w, across, -t->root + 0.8);
        ph_scene_add(s, ph_hull(top, thick + grow, mid, 0.75 * thick + grow, t->out, count == 1 ? 0.85 * deep : 1.1));
        ph_scene_add(s, ph_hull(mid, 0.75 * thick + grow, tip, 0.9 + grow, t->out, count == 1 ? 0.85 * deep : 1.1));
    }
}

/* The crown, shrunk by `in` at its sides and `top` at its surface. */
static void crown(PhScene *s, const PhTooth *t, double in, double top)
{
    const int kind = class_of(t->fdi % 10);
    const double w = 0.5 * t->width - in, deep = (0.5 * t->depth - in) / w, h = t->crown - top;
    if (kind < 2) { /* a blade, or a single point; the cutting edge is thin */
        const double edge = kind == 0 ? 0.93 * w : 0.45 * w;
        const PhPoint cut_at = in_tooth(t, 0, 0, h);
        const PhSolid blade = ph_hull(in_tooth(t, 0, 0, -0.2), 0.82 * w,
                                      in_tooth(t, 0, 0, h - (kind ? edge : 0.35 * edge)), edge, t->out, 0.55 * deep);
        ph_scene_add(s, ph_clip(blade, t->up, ph_inner(t->up, cut_at)));
        ph_scene_add(s,
                     ph_hull(in_tooth(t, 0, 0, 0), 0.8 * w, in_tooth(t, 0, 0, 0.45 * h), 0.7 * w, t->out, 0.95 * deep));
        return;
    }
    /* a body with cusps in front and behind, on both sides */
    ph_scene_add(s, ph_clip(ph_hull(in_tooth(t, 0, 0, 0), 0.86 * w, in_tooth(t, 0, 0, 0.55 * h), w, t->out, deep),
                            t->up, ph_inner(t->up, in_tooth(t, 0, 0, 0.86 * h))));
    const int pairs = kind == 3 ? 2 : 1;
    for (int c = 0; c < 2 * pairs; c++) {
        const double to = pairs == 2 ? (c % 2 ? 0.5 : -0.5) * w : 0, across = (c / pairs ? -0.45 : 0.45) * w * deep,
                     r = pairs == 2 ? 0.42 * w : 0.55 * w;
        ph_scene_add(s, ph_hull(in_tooth(t, to, across, 0.4 * h), 1.05 * r, in_tooth(t, 0.9 * to, across, h - 0.6 * r),
                                0.6 * r, t->out, 1));
    }
}

static void pulp(PhScene *s, const PhTooth *t, double age_years, double grow)
{
    const int place = t->fdi % 10, is_upper = t->fdi<30, count = place> 5 ? 2 : 1;
    const double narrow = 1.1 - 0.006 * age_years, w = t->width, r = 0.5 * narrow + grow;
    (void)is_upper;
    ph_scene_add(s,
                 ph_hull(in_tooth(t, 0, 0, -0.1 * t->root), 0.11 * w * narrow + grow, in_tooth(t, 0, 0, 0.3 * t->crown),
                         (count > 1 ? 0.17 : 0.1) * w * narrow + grow, t->out, 1.2));
    for (int c = 0; c < count; c++) {
        const double to = count == 1 ? 0 : (c ? 0.26 : -0.26) * w;
        ph_scene_add(s, ph_hull(in_tooth(t, 0.5 * to, 0, -0.05 * t->root), 1.2 * r,
                                in_tooth(t, to + 0.03 * w, 0, -0.9 * t->root), 0.5 * r, t->out, 1));
    }
}

static int is_there(const PhTooth *t)
{
    return t->state != PH_TOOTH_MISSING && t->state != PH_TOOTH_IMPLANT;
}

static void metal(PhScene *s, const PhJaw *j, PhDraw *d)
{
    ph_scene_body(s, PH_HEAVY_METAL, PH_INTO_ALL, 0);
    for (int i = 0; i < PH_TEETH; i++) {
        const PhTooth *t = &j->tooth[i];
        const double side = ph_uniform(d, -0.3, 0.3), big = ph_uniform(d, 0.16, 0.3), low = ph_uniform(d, 0.45, 0.7);
        if (t->state == PH_TOOTH_CROWNED || t->state == PH_TOOTH_IMPLANT) {
            crown(s, t, 0, 0);
        } else if (t->state == PH_TOOTH_FILLED) {
            const double r = big * t->width;
            ph_scene_add(s,
                         ph_hull(in_tooth(t, side * t->width, 0, low * t->crown), r,
                                 in_tooth(t, side * t->width * 1.2, 0, 0.9 * t->crown - 0.5 * r), 0.9 * r, t->out, 1));
        }
        if (t->has_root_filling) {
            pulp(s, t, 70, 0.05);
        }
    }
    ph_scene_body(s, PH_LIGHT_METAL, PH_INTO_ALL, 0);
    for (int i = 0; i < PH_TEETH; i++) {
        const PhTooth *t = &j->tooth[i];
        if (t->state == PH_TOOTH_IMPLANT) {
            ph_scene_add(s, ph_hull(in_tooth(t, 0, 0, 1.5), 2.1, in_tooth(t, 0, 0, -10), 1.5, t->out, 1));
            for (int turn = 0; turn < 7; turn++) {
                const double z = -1.4 * turn - 0.8, r = 2.4 - 0.06 * turn;
                const PhPoint frame[3] = {t->along, t->out, t->up};
                ph_scene_add(s, ph_drum(in_tooth(t, 0, 0, z), P(r, r, 0.3), frame));
            }
        }
    }
}

void ph_teeth_add(PhScene *s, const PhJaw *j, PhDraw *d)
{
    /* socket wall and ligament of all teeth, then dentin and enamel class by class, then what is inside */
    const double wall[2] = {0.75, 0.32};
    for (int layer = 0; layer < 2; layer++) {
        ph_scene_body(s, layer ? PH_SOFT : PH_CORTICAL, PH_INTO(PH_SPONGY) | PH_INTO(PH_CORTICAL), 0);
        for (int i = 0; i < PH_TEETH; i++) {
            if (is_there(&j->tooth[i])) {
                roots(s, &j->tooth[i], wall[layer]);
            }
        }
    }
    for (int organ = PH_O_UPPER_INCISOR; organ < PH_O_MANDIBLE; organ++) {
        for (int layer = 0; layer < 2; layer++) {
            ph_scene_body(s, layer ? PH_ENAMEL : PH_DENTIN, PH_INTO_ALL, organ);
            for (int i = 0; i < PH_TEETH; i++) {
                if (!is_there(&j->tooth[i]) || organ_of(&j->tooth[i]) != organ) {
                    continue;
                }
                if (layer) {
                    crown(s, &j->tooth[i], 0, 0);
                } else {
                    roots(s, &j->tooth[i], 0);
                }
            }
        }
    }
    ph_scene_body(s, PH_DENTIN, PH_INTO(PH_ENAMEL), 0);
    for (int i = 0; i < PH_TEETH; i++) {
        if (is_there(&j->tooth[i])) {
            const int kind = class_of(j->tooth[i].fdi % 10);
            crown(s, &j->tooth[i], kind == 3 ? 1.4 : 1.0, kind == 3 ? 2.0 : 1.8);
        }
    }
    ph_scene_body(s, PH_SOFT, PH_INTO(PH_DENTIN), 0);
    for (int i = 0; i < PH_TEETH; i++) {
        if (is_there(&j->tooth[i])) {
            pulp(s, &j->tooth[i], j->age_years, 0);
        }
    }
    if (j->cavities) {
        ph_scene_body(s, PH_SOFT, PH_INTO(PH_DENTIN) | PH_INTO(PH_ENAMEL), PH_O_CARIES);
        for (int i = 0; i < j->cavities; i++) {
            const double r = j->cavity[i].radius_mm;
            ph_scene_add(s, ph_ball(j->cavity[i].centre, P(r, r, r), NULL));
        }
    }
    metal(s, j, d);
}

void ph_jaw_cavities(PhJaw *j, double years, PhDraw *d)
{
    const int wanted = (int)ph_uniform(d, 1, 4.999);
    j->cavities = 0;
    for (int tries = 0; tries < 200 && j->cavities < wanted; tries++) {
        const PhTooth *t = &j->tooth[(int)ph_uniform(d, 0, PH_TEETH - 1e-9)];
        const double side = ph_chance(d, 0.5) ? 1 : -1, up = ph_uniform(d, 0.25, 0.7), r = ph_uniform(d, 1.2, 2.2);
        const int is_on_top = ph_chance(d, 0.3), place = t->fdi % 10;
        if (t->state != PH_TOOTH_SOUND || place == 8) {
            continue;
        }
        int is_taken = 0;
        for (int i = 0; i < j->cavities; i++) {
            is_taken |= j->cavity[i].fdi == t->fdi;
        }
        if (!is_taken) { /* between two teeth, or in the chewing surface of a back tooth */
            const PhPoint c = is_on_top && place > 3 ? in_tooth(t, 0.1 * side * t->width, 0, 0.75 * t->crown)
                                                     : in_tooth(t, (place == 3 ? 0.34 : 0.42) * side * t->width, 0,
                                                                (place == 3 ? 0.7 * up : up) * t->crown);
            j->cavity[j->cavities++] = (PhCavity){t->fdi, c, r + 0.15 * years};
        }
    }
}
