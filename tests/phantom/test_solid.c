/* Chords against the solids' own inequalities, and rays against scenes: what is integrated is what was painted. */
#include <string.h>

#include "../check.h"
#include "core/random.h"
#include "phantom/draw.h"
#include "phantom/scene.h"

static PhDraw draw = {7, 1, 0};

static PhPoint any_point(double size)
{
    return ph_point(ph_uniform(&draw, -size, size), ph_uniform(&draw, -size, size), ph_uniform(&draw, -size, size));
}

static PhRay any_ray(double near, double far)
{
    const PhPoint from = any_point(60), to = any_point(40);
    return (PhRay){from, ph_unit(ph_plus(to, -1, from)), near, far};
}

static PhSolid any_solid(PhSolidKind kind, int is_clipped)
{
    PhPoint frame[3];
    frame[0] = ph_unit(any_point(1));
    frame[1] = ph_unit(ph_cross(frame[0], any_point(1)));
    frame[2] = ph_cross(frame[0], frame[1]);
    const PhPoint c = any_point(20),
                  r = ph_point(ph_uniform(&draw, 4, 30), ph_uniform(&draw, 4, 30), ph_uniform(&draw, 4, 30));
    const PhSolid s = kind == PH_BALL   ? ph_ball(c, r, frame)
                      : kind == PH_DRUM ? ph_drum(c, r, frame)
                      : kind == PH_BARREL
                          ? ph_barrel(c, r, frame)
                          : ph_hull(c, ph_uniform(&draw, 2, 25), any_point(30), ph_uniform(&draw, 2, 25), any_point(1),
                                    ph_uniform(&draw, 0.3, 1.5));
    return is_clipped ? ph_clip(s, ph_unit(any_point(1)), ph_uniform(&draw, -10, 20)) : s;
}

/* Points along the ray are inside exactly between enter and leave. */
static void chord_of(PhSolidKind kind, int is_clipped)
{
    int hits = 0, wrong = 0;
    for (int i = 0; i < 3000; i++) {
        const PhSolid s = any_solid(kind, is_clipped);
        const PhRay ray = any_ray(-10, 200);
        double enter = 0, leave = -1;
        const int hit = ph_solid_chord(&s, &ray, &enter, &leave);
        hits += hit;
        for (int k = 0; k < 40; k++) {
            /* near the ends, where a wrong chord would show, and anywhere; 1e-6 mm is rounding at 100 mm */
            const double t = k < 20 && hit ? (k % 2 ? enter : leave) + (k % 4 < 2 ? 1e-5 : -1e-5) * (1 + k)
                                           : ph_uniform(&draw, ray.near, ray.far);
            if (t <= ray.near || t >= ray.far || fabs(t - enter) < 1e-6 || fabs(t - leave) < 1e-6) {
                continue;
            }
            const int is_in = ph_solid_holds(&s, ph_plus(ray.origin, t, ray.along));
            wrong += is_in != (hit && t > enter && t < leave);
        }
    }
    CHECK(hits > 300);
    CHECK(wrong == 0);
}

TEST(a_chord_of_each_kind_is_where_the_solid_is)
{
    for (int clipped = 0; clipped < 2; clipped++) {
        chord_of(PH_BALL, clipped);
        chord_of(PH_HULL, clipped);
        chord_of(PH_DRUM, clipped);
        chord_of(PH_BARREL, clipped);
    }
}

TEST(an_ellipsoid_has_its_analytic_chord)
{
    /* |M(o + t d)| = 1 with M = diag(1/r): length 2 sqrt(b^2 - a c) / a */
    for (int i = 0; i < 500; i++) {
        const PhPoint r = ph_point(ph_uniform(&draw, 5, 100), ph_uniform(&draw, 5, 100), ph_uniform(&draw, 5, 100));
        const PhSolid s = ph_ball(ph_point(0, 0, 0), r, NULL);
        PhRay ray = any_ray(-1e4, 1e4);
        ray.origin = ph_plus(ray.origin, -1800, ray.along); /* a tube far away costs no digits */
        const PhPoint o = ph_point(ray.origin.x / r.x, ray.origin.y / r.y, ray.origin.z / r.z);
        const PhPoint d = ph_point(ray.along.x / r.x, ray.along.y / r.y, ray.along.z / r.z);
        const double a = ph_inner(d, d), b = ph_inner(o, d), c = ph_inner(o, o) - 1, inside = b * b - a * c;
        double enter = 0, leave = 0;
        const int hit = ph_solid_chord(&s, &ray, &enter, &leave);
        if (fabs(inside) > 1e-6 * b * b) {
            CHECK(hit == (inside > 0));
            CHECK_NEAR(leave - enter, inside > 0 ? 2 * sqrt(inside) / a : 0, 1e-5, "rounding of b^2 - a c at 1800 mm");
        }
    }
}

TEST(a_solid_stays_within_its_reach)
{
    int outside = 0;
    for (int i = 0; i < 2000; i++) {
        const PhSolid s = any_solid((PhSolidKind)(PH_BALL + i % 4), 0);
        for (int k = 0; k < 50; k++) {
            const PhPoint p = ph_plus(s.centre, ph_uniform(&draw, 1.0001, 1.5) * s.reach, ph_unit(any_point(1)));
            outside += ph_solid_holds(&s, p);
        }
    }
    CHECK(outside == 0);
}

static void random_scene(PhScene *s)
{
    for (int b = 0; b < 12; b++) {
        const int into = b == 0
                             ? PH_INTO_ALL
                             : (int)(vsl_random_uniform(draw.seed, 99, draw.next++) * (1 << PH_MATERIALS)) | 1 << b % 3;
        ph_scene_body(s, (PhMaterial)(b % PH_MATERIALS), into, b);
        for (int k = 0; k < 3; k++) {
            ph_scene_add(s, any_solid((PhSolidKind)(PH_BALL + (b + k) % 4), k == 2));
        }
    }
}

TEST(lengths_of_a_cast_are_those_of_the_points_on_it)
{
    for (int i = 0; i < 20; i++) {
        PhScene s = {0};
        random_scene(&s);
        CHECK_OK(s.status);
        int all[64];
        const PhRay ray = any_ray(-20, 120);
        const PhBundle alone = {ray, {-20, 50, 120}, {0, 0, 0}};
        const int count = ph_scene_near(&s, NULL, (int)s.solids, &alone, all);
        PhPath path;
        ph_scene_cast(&s, all, count, &ray, 10, 70, &path);
        enum { STEPS = 40000 };
        const double step = (ray.far - ray.near) / STEPS;
        double layer[PH_MATERIALS] = {0}, rest[PH_MATERIALS] = {0}, seen[PH_MAX_ORGANS] = {0};
        for (int k = 0; k < STEPS; k++) {
            const double t = ray.near + (k + 0.5) * step;
            const int body = ph_scene_body_at(&s, ph_plus(ray.origin, t, ray.along));
            if (body >= 0) {
                (t > 10 && t < 70 ? layer : rest)[s.body[body].material] += step;
                seen[s.body[body].organ] += t > 10 && t < 70 ? step : 0;
            }
        }
        for (int m = 0; m < PH_MATERIALS; m++) {
            CHECK_NEAR(path.layer[m], layer[m], 30 * step, "half a step at each of some tens of ends");
            CHECK_NEAR(path.rest[m], rest[m], 30 * step, "half a step at each of some tens of ends");
        }
        for (int o = 0; o < PH_MAX_ORGANS; o++) {
            CHECK_NEAR(path.seen[o], seen[o], 30 * step, "half a step at each of some tens of ends");
        }
        ph_scene_free(&s);
    }
}

TEST(a_later_body_replaces_only_what_it_says)
{
    PhScene s = {0};
    ph_scene_body(&s, PH_SOFT, PH_INTO_ALL, 1);
    ph_scene_add(&s, ph_ball(ph_point(0, 0, 0), ph_point(10, 10, 10), NULL));
    ph_scene_body(&s, PH_CORTICAL, PH_INTO(PH_SOFT), 2);
    ph_scene_add(&s, ph_ball(ph_point(10, 0, 0), ph_point(5, 5, 5), NULL)); /* half of it is in air */
    ph_scene_body(&s, PH_LUNG_TISSUE, 0, 3);
    ph_scene_add(&s, ph_ball(ph_point(0, 0, 0), ph_point(20, 20, 20), NULL)); /* paints nothing */
    const int all[3] = {0, 1, 2};
    const PhRay ray = {ph_point(-50, 0, 0), ph_point(1, 0, 0), 0, 100};
    PhPath p;
    ph_scene_cast(&s, all, 3, &ray, 0, 100, &p);
    CHECK_NEAR(p.layer[PH_SOFT], 15, 1e-9, "20 mm less the part that bone took");
    CHECK_NEAR(p.layer[PH_CORTICAL], 5, 1e-9, "the half within soft tissue");
    CHECK_NEAR(p.layer[PH_LUNG_TISSUE], 0, 0, "it replaces nothing");
    CHECK(p.touched == (1u << 1 | 1u << 2 | 1u << 3));
    CHECK_NEAR(p.seen[3], 0, 0, "touched, never seen");
    ph_scene_free(&s);
}

TEST(a_scene_keeps_its_first_failure)
{
    PhScene s = {0};
    for (int i = 0; i <= PH_MAX_BODIES; i++) {
        ph_scene_body(&s, PH_SOFT, PH_INTO_ALL, 0);
    }
    CHECK(s.status == VSL_E_ARG);
    ph_scene_add(&s, ph_ball(ph_point(0, 0, 0), ph_point(1, 1, 1), NULL));
    CHECK(s.solids == 0);
    ph_scene_free(&s);
}

int main(void)
{
    RUN(a_chord_of_each_kind_is_where_the_solid_is);
    RUN(an_ellipsoid_has_its_analytic_chord);
    RUN(a_solid_stays_within_its_reach);
    RUN(lengths_of_a_cast_are_those_of_the_points_on_it);
    RUN(a_later_body_replaces_only_what_it_says);
    RUN(a_scene_keeps_its_first_failure);
    return CHECK_VERDICT();
}
