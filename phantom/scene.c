/* Bodies, and a ray through them. */
#include "phantom/scene.h"

#include <string.h>

#include "core/memory.h"

void ph_scene_body(PhScene *s, PhMaterial material, int into, int organ)
{
    if (s->status == VSL_OK && s->bodies == PH_MAX_BODIES) {
        s->status = vsl_fail(VSL_E_ARG, __func__, "a scene has more than %d bodies", PH_MAX_BODIES);
    }
    if (s->status == VSL_OK) {
        s->body[s->bodies++] = (PhBody){material, into, organ};
    }
}

void ph_scene_add(PhScene *s, PhSolid solid)
{
    if (s->status == VSL_OK && s->solids == s->room) {
        PhSolid *more = NULL;
        const int64_t room = s->room ? 2 * s->room : 1024;
        s->status = VSL_NEW(&more, room, "solids of a scene");
        if (s->status == VSL_OK) {
            if (s->solids) {
                memcpy(more, s->solid, (size_t)s->solids * sizeof *more);
            }
            vsl_free(s->solid);
            s->solid = more;
            s->room = room;
        }
    }
    if (s->status == VSL_OK) {
        solid.body = s->bodies - 1;
        s->solid[s->solids++] = solid;
    }
}

void ph_scene_tube(PhScene *s, const PhKnot *knot, int n, double shrink_mm, PhPoint side, double flat)
{
    for (int i = 0; i + 1 < n; i++) {
        const double a = fmax(knot[i].r - shrink_mm, 0.2), b = fmax(knot[i + 1].r - shrink_mm, 0.2);
        ph_scene_add(s, ph_hull(knot[i].at, a, knot[i + 1].at, b, side, flat));
    }
}

void ph_scene_bone(PhScene *s, const PhKnot *knot, int n, double shell_mm, PhPoint side, double flat, int organ)
{
    ph_scene_body(s, PH_CORTICAL, PH_INTO_ALL, organ);
    ph_scene_tube(s, knot, n, 0, side, flat);
    ph_scene_body(s, PH_SPONGY, PH_INTO(PH_CORTICAL), organ);
    ph_scene_tube(s, knot, n, shell_mm, side, flat);
}

void ph_scene_free(PhScene *s)
{
    vsl_free(s->solid);
    *s = (PhScene){0};
}

static double stray_at(const PhBundle *b, double t)
{
    const int i = t > b->at[1];
    return b->stray[i] + (t - b->at[i]) * (b->stray[i + 1] - b->stray[i]) / (b->at[i + 1] - b->at[i]);
}

int ph_scene_near(const PhScene *s, const int *among, int count, const PhBundle *bundle, int *list)
{
    int found = 0;
    for (int i = 0; i < count; i++) {
        const int at = among ? among[i] : i;
        const PhSolid *b = &s->solid[at];
        const PhPoint d = ph_plus(b->centre, -1, bundle->middle.origin);
        const double t = ph_inner(d, bundle->middle.along);
        const double reach = b->reach + fmax(stray_at(bundle, t - b->reach), stray_at(bundle, t + b->reach));
        if (ph_inner(d, d) - t * t <= reach * reach) {
            list[found++] = at;
        }
    }
    return found;
}

typedef struct Spans { /* piece i is from at[i] to at[i + 1] and belongs to body[i], -1 for air */
    int count;
    double at[PH_MAX_SPANS + 1];
    int body[PH_MAX_SPANS];
} Spans;

/* The index of the piece that begins at t, cutting one in two where needed. */
static int cut_at(Spans *p, double t)
{
    int i = p->count;
    while (p->at[i] > t) {
        i--;
    }
    if (p->at[i] < t && i < p->count && p->count < PH_MAX_SPANS) {
        const size_t behind = (size_t)(p->count - i);
        memmove(&p->at[i + 2], &p->at[i + 1], behind * sizeof p->at[0]);
        memmove(&p->body[i + 1], &p->body[i], behind * sizeof p->body[0]);
        p->at[++i] = t;
        p->count++;
    }
    return i;
}

static int replaces(const PhScene *s, int later, int earlier)
{
    const int material = earlier < 0 ? PH_AIR_GAS : (int)s->body[earlier].material;
    return (s->body[later].into & PH_INTO(material)) != 0;
}

static void paint(const PhScene *s, Spans *p, int body, double enter, double leave)
{
    const int first = cut_at(p, enter), last = cut_at(p, leave);
    for (int i = first; i < last; i++) {
        if (replaces(s, body, p->body[i])) {
            p->body[i] = body;
        }
    }
}

void ph_scene_cast(const PhScene *s, const int *list, int count, const PhRay *ray, double from, double to, PhPath *out)
{
    Spans p = {.count = 1, .at = {ray->near, ray->far}, .body = {-1}};
    memset(out, 0, sizeof *out);
    for (int i = 0; i < count; i++) {
        const PhSolid *solid = &s->solid[list[i]];
        double enter, leave;
        if (ph_solid_chord(solid, ray, &enter, &leave)) {
            out->touched |= (uint32_t)(enter < to && leave > from) << s->body[solid->body].organ;
            paint(s, &p, solid->body, enter, leave);
        }
    }
    for (int i = 0; i < p.count; i++) {
        if (p.body[i] >= 0) {
            const PhBody *b = &s->body[p.body[i]];
            const double length = p.at[i + 1] - p.at[i];
            const double inside = fmax(fmin(p.at[i + 1], to) - fmax(p.at[i], from), 0);
            out->layer[b->material] += inside;
            out->rest[b->material] += length - inside;
            out->seen[b->organ] += inside;
        }
    }
}

int ph_scene_body_at(const PhScene *s, PhPoint p)
{
    int body = -1;
    for (int64_t i = 0; i < s->solids; i++) {
        if (ph_solid_holds(&s->solid[i], p) && replaces(s, s->solid[i].body, body)) {
            body = s->solid[i].body;
        }
    }
    return body;
}
