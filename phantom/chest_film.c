/* A chest film: the person's position between tube and film, the rays, the masks. */
#include <stddef.h>
#include <string.h>

#include "phantom/radiograph_private.h"

static const double film_mm = 350;
static const char *const names[] = {"right_lung",    "left_lung", "heart",    "right_clavicle",
                                    "left_clavicle", "nodule",    "effusion", "pneumonia"};
enum { CHEST_MASKS = 5, CHEST_LESION_MASKS = 3 };

const char *ph_chest_mask_name(int lesions, int i)
{
    return i < CHEST_MASKS + (lesions ? CHEST_LESION_MASKS : 0) ? names[i] : NULL;
}

static PhRay chest_ray(const void *who, double u, double v, double *from, double *to)
{
    const PhPointSource *s = who;
    const PhPoint pixel = ph_plus(ph_plus(s->corner, u, s->right), v, s->down), d = ph_plus(pixel, -1, s->focus);
    const double length = ph_norm(d);
    const PhRay r = {s->focus, ph_point(d.x / length, d.y / length, d.z / length), length - s->far, length};
    *from = r.near;
    *to = r.far;
    return r;
}

/* Turns p about z, then x, then y, by small angles. */
static PhPoint turned(PhPoint p, const double angle[3])
{
    const double cz = cos(angle[0]), sz = sin(angle[0]), cx = cos(angle[1]), sx = sin(angle[1]), cy = cos(angle[2]),
                 sy = sin(angle[2]);
    PhPoint q = ph_point(cz * p.x - sz * p.y, sz * p.x + cz * p.y, p.z);
    q = ph_point(q.x, cx * q.y - sx * q.z, sx * q.y + cx * q.z);
    return ph_point(cy * q.x + sy * q.z, q.y, -sy * q.x + cy * q.z);
}

/* The letter of lead that says which side is the patient's left, upright on the film. */
static void marker(PhScene *scene, const PhPointSource *s, PhDraw *d)
{
    const double u = ph_uniform(d, 0.9, 0.94), v = ph_uniform(d, 0.05, 0.12), height = 11 / ph_norm(s->down);
    const PhPoint foot = ph_plus(ph_plus(s->corner, u, s->right), v, s->down);
    const PhPoint at = ph_plus(foot, 0.003, ph_plus(s->focus, -1, foot)); /* a few mm before the film */
    const PhKnot letter[] = {
        {ph_plus(at, -height, s->down), 0.9}, {at, 0.9}, {ph_plus(at, 0.55 * height, s->right), 0.9}};
    ph_scene_body(scene, PH_HEAVY_METAL, PH_INTO_ALL, 0);
    ph_scene_tube(scene, letter, 3, 0, ph_point(0, 0, 1), 1);
}

VslStatus ph_chest_film(PhChestFilm *film, const VslRadiographOptions *opt, int subject, int visit)
{
    PhDraw who = {opt->seed, ph_radiograph_stream(1, subject, 0, "person"), 0};
    PhDraw body = {opt->seed, ph_radiograph_stream(1, subject, 0, "body"), 0};
    PhDraw ill = {opt->seed, ph_radiograph_stream(1, subject, 0, "findings"), 0};
    PhDraw place = {opt->seed, ph_radiograph_stream(1, subject, visit, "position"), 0};
    const double age = ph_uniform(&who, 20, 88), years = ph_radiograph_years(opt, 1, subject, visit);
    const int is_male = ph_chance(&who, 0.5), has_devices = ph_chance(&who, 0.01 + 0.002 * (age - 20));
    *film = (PhChestFilm){0};
    film->is_ap = ph_chance(&place, 0.12);
    const double breath = ph_about(&place, film->is_ap ? -0.6 : 0, 0.5);
    const uint64_t anatomy = ph_radiograph_stream(1, subject, 0, "anatomy");
    if (opt->lesions) { /* they keep the place that they were given in the first visit's chest at rest */
        PhScene healthy = {0};
        PhDraw same_body = body;
        ph_thorax_person(&film->thorax, age, is_male, 0, &same_body);
        ph_thorax_soft(&healthy, &film->thorax, &(PhDraw){opt->seed, anatomy + 1, 0});
        ph_thorax_findings(&film->thorax, &healthy, years, &ill);
        const VslStatus st = healthy.status;
        ph_scene_free(&healthy);
        if (st != VSL_OK) {
            return st;
        }
    }
    const PhThorax first = film->thorax;
    ph_thorax_person(&film->thorax, age + years, is_male, breath, &body);
    film->thorax.findings = first.findings;
    memcpy(film->thorax.finding, first.finding, sizeof first.finding);
    ph_thorax_build(&film->scene, &film->thorax, opt->seed, anatomy, has_devices);

    const double angle[3] = {ph_about(&place, 0, 0.03), ph_about(&place, 0, 0.035), ph_about(&place, 0, 0.02)};
    const double front = film->thorax.deep + 40, distance = film->is_ap ? 1100 : 1800, toward = film->is_ap ? -1 : 1;
    const PhPoint shift = ph_point(ph_about(&place, 0, 5), 0, film->thorax.size * ph_about(&place, -11, 9));
    const double zoom = ph_about(&place, 1, 0.04) * (0.5 + 0.5 * film->thorax.size), side = zoom * film_mm;
    PhPointSource *s = &film->source;
    s->focus = ph_plus(shift, 1, turned(ph_point(0, toward * (front - distance), 0), angle));
    s->corner = ph_plus(shift, 1, turned(ph_point(0.5 * side, toward * front, 0.5 * side), angle));
    s->right = turned(ph_point(-side, 0, 0), angle);
    s->down = turned(ph_point(0, 0, -side), angle);
    s->far = 2 * front + 60;
    if (ph_chance(&place, 0.7)) {
        marker(&film->scene, s, &place);
    }
    film->camera = (PhCamera){chest_ray, s, side, side, 0, PH_LUNG_TISSUE};
    return film->scene.status;
}

void ph_chest_point(double at[2], const PhChestFilm *film, PhPoint p, const int64_t n[2])
{
    const PhPointSource *s = &film->source;
    const PhPoint normal = ph_cross(s->right, s->down), d = ph_plus(p, -1, s->focus);
    const double t = ph_inner(ph_plus(s->corner, -1, s->focus), normal) / ph_inner(d, normal);
    const PhPoint q = ph_plus(ph_plus(s->focus, t, d), -1, s->corner);
    at[0] = ph_inner(q, s->right) / ph_inner(s->right, s->right) * (double)n[0] - 0.5;
    at[1] = ph_inner(q, s->down) / ph_inner(s->down, s->down) * (double)n[1] - 0.5;
}

static int has(uint32_t bits, int organ)
{
    return (int)(bits >> organ & 1u);
}

/* The five of the JSRT set, then the findings; see radiograph.h. */
static int mask_bit(int mask, uint32_t seen, uint32_t touched)
{
    const int is_covered = has(touched, PH_O_HEART) || has(touched, PH_O_MEDIASTINUM) || has(touched, PH_O_ABDOMEN);
    switch (mask) {
    case 0: return has(seen, PH_O_RIGHT_LUNG) && !is_covered;
    case 1: return has(seen, PH_O_LEFT_LUNG) && !is_covered;
    case 2: return has(touched, PH_O_HEART);
    case 3: return has(touched, PH_O_RIGHT_CLAVICLE) && has(touched, PH_O_CAGE);
    case 4: return has(touched, PH_O_LEFT_CLAVICLE) && has(touched, PH_O_CAGE);
    case 5: return has(seen, PH_O_NODULE);
    case 6: return has(seen, PH_O_EFFUSION);
    default: return has(seen, PH_O_PNEUMONIA);
    }
}

static VslStatus fill_masks(VslRadiograph *out, const VslRadiographOptions *opt, const PhProjection *p)
{
    VslStatus st = VSL_OK;
    while (ph_chest_mask_name(opt->lesions, out->masks)) {
        VslLabels *m = &out->mask[out->masks];
        out->mask_name[out->masks] = names[out->masks];
        VSL_TRY(vsl_labels_new(m, &out->film.grid));
        for (int64_t i = 0; i < p->n[0] * p->n[1]; i++) {
            m->data[i] = mask_bit(out->masks, p->seen[i], p->touched[i]);
        }
        out->masks++;
    }
out:
    return st;
}

static void fill_findings(VslRadiograph *out, const PhChestFilm *film, const int64_t n[2])
{
    for (int i = 0; i < film->thorax.findings; i++) {
        const PhFinding *f = &film->thorax.finding[i];
        VslRadiographFinding *to = &out->finding[out->findings++];
        *to = (VslRadiographFinding){.kind = names[CHEST_MASKS + f->organ - PH_O_NODULE],
                                     .side = f->is_right ? "right" : "left",
                                     .centre_mm = {f->centre.x, f->centre.y, f->centre.z},
                                     .radius_mm = f->radius_mm};
        ph_chest_point(to->at, film, f->centre, n);
    }
}

VslStatus ph_chest_make(VslRadiograph *out, const VslRadiographOptions *opt, int subject, int visit)
{
    VslStatus st = VSL_OK;
    VslRadiograph made = {0};
    PhProjection p = {0};
    PhChestFilm film = {0};
    const PhBeam beam = ph_beam_chest();
    PhDraw how = {opt->seed, ph_radiograph_stream(1, subject, visit, "exposure"), 0};
    PhWaves fine, coarse;
    VSL_TRY(ph_chest_film(&film, opt, subject, visit));
    VSL_TRY(ph_project(&p, &film.scene, &film.camera, &beam, opt->size, opt->threads));
    ph_waves_random(&fine, 4, 3, 9, opt->seed, ph_radiograph_stream(1, subject, 0, "fine grain"));
    ph_waves_random(&coarse, 2, 12, 50, opt->seed, ph_radiograph_stream(1, subject, 0, "coarse grain"));
    PhExposure e = {.photons_per_mm2 = opt->photons_per_mm2 * exp(ph_about(&how, 0, 0.3)),
                    .scatter = fmin(0.01 * opt->scatter_percent * (film.is_ap ? 1.4 : 1), 0.9),
                    .scatter_mm = 45,
                    .blur_mm = ph_about(&how, film.is_ap ? 0.35 : 0.22, 0.04),
                    .detail_mm = ph_about(&how, 9, 2),
                    .gamma = ph_about(&how, 1.35, 0.2),
                    .detail = fmax(ph_about(&how, 0.3, 0.3), 0),
                    .middle_grey = 1 / (1 + exp(-ph_about(&how, 1.45, 0.5))),
                    .heel_percent = ph_about(&how, 0, 6),
                    .grain = {&fine, &coarse},
                    .grain_sd = {0.02, 0.04},
                    .seed = opt->seed,
                    .stream = ph_radiograph_stream(1, subject, visit, "photons")};
    for (int side = 0; side < 4; side++) {
        const double width = ph_about(&how, side == 3 ? 4 : -3, 6);
        e.border[side] = fmax(width, 0);
    }
    VSL_TRY(ph_expose(&made.film, &p, &beam, &e, opt->threads));
    made.pixel_mm[0] = p.pixel_mm[0];
    made.pixel_mm[1] = p.pixel_mm[1];
    made.age_years = film.thorax.age_years;
    made.is_male = film.thorax.is_male;
    made.projection = film.is_ap ? "AP" : "PA";
    VSL_TRY(fill_masks(&made, opt, &p));
    fill_findings(&made, &film, opt->size);
    vsl_radiograph_free(out);
    *out = made;
    made = (VslRadiograph){0};
out:
    ph_projection_free(&p);
    ph_scene_free(&film.scene);
    vsl_radiograph_free(&made);
    return st;
}
