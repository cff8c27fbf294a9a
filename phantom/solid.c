/* Solids and their chords. */
#include "phantom/solid.h"

#include <stddef.h>

static const PhPoint world_frame[3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};

static PhSolid framed(PhSolidKind kind, PhPoint centre, PhPoint radii, const PhPoint frame[3], double reach)
{
    const double r[3] = {radii.x, radii.y, radii.z};
    PhSolid s = {.kind = kind, .centre = centre, .reach = reach};
    frame = frame ? frame : world_frame;
    for (int i = 0; i < 3; i++) {
        s.map[i][0] = frame[i].x / r[i];
        s.map[i][1] = frame[i].y / r[i];
        s.map[i][2] = frame[i].z / r[i];
    }
    return s;
}

PhSolid ph_ball(PhPoint centre, PhPoint radii, const PhPoint frame[3])
{
    return framed(PH_BALL, centre, radii, frame, fmax(radii.x, fmax(radii.y, radii.z)));
}

PhSolid ph_drum(PhPoint centre, PhPoint radii, const PhPoint frame[3])
{
    return framed(PH_DRUM, centre, radii, frame, hypot(fmax(radii.x, radii.y), radii.z));
}

PhSolid ph_barrel(PhPoint centre, PhPoint radii, const PhPoint frame[3])
{
    return framed(PH_BARREL, centre, radii, frame, hypot(fmax(radii.x, radii.y), radii.z));
}

PhSolid ph_hull(PhPoint a, double ra, PhPoint b, double rb, PhPoint side, double flat)
{
    PhPoint ab = ph_plus(b, -1, a);
    const double length = ph_norm(ab), away = fabs(ra - rb);
    if (length <= away + 1e-9) { /* one ball holds the other */
        const double r = fmax(ra, rb);
        return ph_ball(ra > rb ? a : b, ph_point(r, r, r), NULL);
    }
    PhPoint frame[3];
    frame[2] = ph_unit(ab);
    frame[0] = ph_plus(side, -ph_inner(side, frame[2]), frame[2]);
    if (ph_norm(frame[0]) < 1e-6) {
        const PhPoint any = fabs(frame[2].x) < 0.7 ? ph_point(1, 0, 0) : ph_point(0, 1, 0);
        frame[0] = ph_plus(any, -ph_inner(any, frame[2]), frame[2]);
    }
    frame[0] = ph_unit(frame[0]);
    frame[1] = ph_cross(frame[2], frame[0]);
    PhSolid s = framed(PH_HULL, ph_between(a, b, 0.5), ph_point(ra * flat, ra, ra), frame,
                       0.5 * length + fmax(ra, rb) * fmax(flat, 1));
    s.half = 0.5 * length / ra;
    s.tip = rb / ra;
    /* the cone touches both balls along circles: sine of its slope is (1 - tip) / (2 half) */
    const double sine = (1 - s.tip) / (2 * s.half), cosine = sqrt(1 - sine * sine);
    s.lo = -s.half + sine;
    s.hi = s.half + s.tip * sine;
    s.lean = (s.tip * cosine - cosine) / (s.hi - s.lo);
    s.wide = cosine - s.lean * s.lo;
    return s;
}

PhSolid ph_clip(PhSolid s, PhPoint cut, double cut_at)
{
    s.is_clipped = 1;
    s.cut = cut;
    s.cut_at = cut_at;
    return s;
}

static PhPoint mapped(const PhSolid *s, PhPoint d)
{
    return ph_point(s->map[0][0] * d.x + s->map[0][1] * d.y + s->map[0][2] * d.z,
                    s->map[1][0] * d.x + s->map[1][1] * d.y + s->map[1][2] * d.z,
                    s->map[2][0] * d.x + s->map[2][1] * d.y + s->map[2][2] * d.z);
}

/* a t^2 + 2 b t + c <= 0 between two roots; a > 0. */
static int between_roots(double a, double b, double c, double *t0, double *t1)
{
    const double d = b * b - a * c;
    if (!(d > 0) || !(a > 0)) {
        return 0;
    }
    const double root = sqrt(d);
    *t0 = (-b - root) / a;
    *t1 = (-b + root) / a;
    return 1;
}

/* Cuts t0..t1 to lo <= q_z <= hi. */
static int within_slab(double q, double v, double lo, double hi, double *t0, double *t1)
{
    if (fabs(v) < 1e-12) {
        return q >= lo && q <= hi;
    }
    const double a = (lo - q) / v, b = (hi - q) / v;
    *t0 = fmax(*t0, fmin(a, b));
    *t1 = fmin(*t1, fmax(a, b));
    return *t1 > *t0;
}

static int ball_chord(PhPoint q, PhPoint v, double z, double r, double *t0, double *t1)
{
    q.z -= z;
    return between_roots(ph_inner(v, v), ph_inner(q, v), ph_inner(q, q) - r * r, t0, t1);
}

static void widen(double a, double b, double *t0, double *t1, int *hit)
{
    *t0 = *hit ? fmin(*t0, a) : a;
    *t1 = *hit ? fmax(*t1, b) : b;
    *hit = 1;
}

/* A cone x^2 + y^2 <= (wide + lean z)^2 cut to lo..hi, where its radius is positive. A ray that is steeper than the
 * cone (a < 0) is inside beyond its roots instead of between them; only one of those two parts is on this nappe. */
static int cone_chord(const PhSolid *s, PhPoint q, PhPoint v, double *t0, double *t1)
{
    const double r = s->wide + s->lean * q.z, dr = s->lean * v.z;
    const double a = v.x * v.x + v.y * v.y - dr * dr, b = q.x * v.x + q.y * v.y - r * dr,
                 c = q.x * q.x + q.y * q.y - r * r;
    double near, far;
    if (a > 1e-14) {
        return between_roots(a, b, c, t0, t1) && within_slab(q.z, v.z, s->lo, s->hi, t0, t1);
    }
    *t0 = -1e9, *t1 = 1e9;
    if (!within_slab(q.z, v.z, s->lo, s->hi, t0, t1)) {
        return 0;
    }
    if (a > -1e-14) {
        near = b > 0 ? -0.5 * c / b : -1e9;
        far = b < 0 ? -0.5 * c / b : 1e9;
        if (b == 0) {
            return c <= 0;
        }
    } else {
        const double d = b * b - a * c;
        if (d <= 0) {
            return 1;
        }
        near = (-b + sqrt(d)) / a;
        far = (-b - sqrt(d)) / a;
    }
    if (*t0 < near) {
        *t1 = fmin(*t1, near);
    } else {
        *t0 = fmax(*t0, far);
    }
    return *t1 > *t0;
}

/* The solid is the union of two balls and the cone between, and convex: its chord is the hull of theirs. */
static int hull_chord(const PhSolid *s, PhPoint q, PhPoint v, double *t0, double *t1)
{
    int hit = 0;
    double a, b;
    if (ball_chord(q, v, -s->half, 1, &a, &b)) {
        widen(a, b, t0, t1, &hit);
    }
    if (ball_chord(q, v, s->half, s->tip, &a, &b)) {
        widen(a, b, t0, t1, &hit);
    }
    if (cone_chord(s, q, v, &a, &b)) {
        widen(a, b, t0, t1, &hit);
    }
    return hit;
}

static double barrel_value(PhPoint q, PhPoint v, double t, double *slope)
{
    const double x = q.x + t * v.x, y = q.y + t * v.y, z = q.z + t * v.z, z3 = z * z * z;
    *slope = 2 * (x * v.x + y * v.y) + 4 * z3 * v.z;
    return x * x + y * y + z3 * z - 1;
}

/* Convex along the ray: Newton from outside comes nearer from its own side and never passes the root. */
static int barrel_chord(PhPoint q, PhPoint v, double *t0, double *t1)
{
    /* the box |q_z| <= 1 and the elliptic cylinder hold the barrel */
    const double aa = v.x * v.x + v.y * v.y, bb = q.x * v.x + q.y * v.y, cc = q.x * q.x + q.y * q.y - 1;
    double a = -1e9, b = 1e9;
    if (aa > 1e-14) {
        if (!between_roots(aa, bb, cc, &a, &b)) {
            return 0;
        }
    } else if (cc > 0) {
        return 0;
    }
    if (!within_slab(q.z, v.z, -1, 1, &a, &b)) {
        return 0;
    }
    for (int i = 0; i < 60; i++) {
        double slope, value = barrel_value(q, v, a, &slope);
        if (value <= 0) {
            break;
        }
        if (slope >= 0) {
            return 0; /* the smallest value lies behind and is positive */
        }
        const double step = -value / slope;
        a += step;
        if (a >= b) {
            return 0;
        }
        if (step < 1e-12) {
            break;
        }
    }
    for (int i = 0; i < 60; i++) {
        double slope, value = barrel_value(q, v, b, &slope);
        if (value <= 0) {
            break;
        }
        if (slope <= 0) {
            return 0;
        }
        const double step = -value / slope;
        b += step;
        if (step > -1e-12) {
            break;
        }
    }
    *t0 = a;
    *t1 = b;
    return b > a;
}

int ph_solid_chord(const PhSolid *s, const PhRay *ray, double *enter, double *leave)
{
    /* t counts from the point nearest to the centre: small numbers, small errors */
    const double shift = ph_inner(ph_plus(s->centre, -1, ray->origin), ray->along);
    const PhPoint near = ph_plus(ph_plus(ray->origin, shift, ray->along), -1, s->centre);
    if (ph_inner(near, near) > s->reach * s->reach) {
        return 0;
    }
    const PhPoint q = mapped(s, near), v = mapped(s, ray->along);
    double t0 = -1e9, t1 = 1e9;
    int hit = 0;
    switch (s->kind) {
    case PH_BALL: hit = ball_chord(q, v, 0, 1, &t0, &t1); break;
    case PH_HULL: hit = hull_chord(s, q, v, &t0, &t1); break;
    case PH_DRUM: {
        const double aa = v.x * v.x + v.y * v.y, cc = q.x * q.x + q.y * q.y - 1;
        hit = aa > 1e-14 ? between_roots(aa, q.x * v.x + q.y * v.y, cc, &t0, &t1) : cc <= 0;
        hit = hit && within_slab(q.z, v.z, -1, 1, &t0, &t1);
        break;
    }
    case PH_BARREL: hit = barrel_chord(q, v, &t0, &t1); break;
    }
    if (!hit) {
        return 0;
    }
    t0 += shift;
    t1 += shift;
    if (s->is_clipped) {
        const double away = s->cut_at - ph_inner(s->cut, ray->origin), rate = ph_inner(s->cut, ray->along);
        if (fabs(rate) < 1e-12) {
            if (away < 0) {
                return 0;
            }
        } else if (rate > 0) {
            t1 = fmin(t1, away / rate);
        } else {
            t0 = fmax(t0, away / rate);
        }
    }
    *enter = fmax(t0, ray->near);
    *leave = fmin(t1, ray->far);
    return *leave > *enter;
}

int ph_solid_holds(const PhSolid *s, PhPoint p)
{
    if (s->is_clipped && ph_inner(s->cut, p) > s->cut_at) {
        return 0;
    }
    const PhPoint q = mapped(s, ph_plus(p, -1, s->centre));
    const double round = q.x * q.x + q.y * q.y;
    switch (s->kind) {
    case PH_BALL: return round + q.z * q.z <= 1;
    case PH_DRUM: return round <= 1 && fabs(q.z) <= 1;
    case PH_BARREL: return round + q.z * q.z * q.z * q.z <= 1;
    case PH_HULL: break;
    }
    const double w = s->wide + s->lean * q.z;
    return round + (q.z + s->half) * (q.z + s->half) <= 1 ||
           round + (q.z - s->half) * (q.z - s->half) <= s->tip * s->tip ||
           (q.z >= s->lo && q.z <= s->hi && round <= w * w);
}
