/*
 * A panoramic film: a slit that turns around the head unrolls the arch. Column u looks along the normal of the arch at
 * the length that belongs to u; what is near the arch is sharp, the rest of the head is smeared across the film.
 */
#include <stddef.h>

#include "phantom/radiograph_private.h"

static const char *const names[] = {"upper_incisor", "upper_canine",   "upper_premolar", "upper_molar", "lower_incisor",
                                    "lower_canine",  "lower_premolar", "lower_molar",    "mandible",    "caries"};
enum { PANORAMIC_MASKS = 9, PANORAMIC_LESION_MASKS = 1 };

const char *ph_panoramic_mask_name(int lesions, int i)
{
    return i < PANORAMIC_MASKS + (lesions ? PANORAMIC_LESION_MASKS : 0) ? names[i] : NULL;
}

static PhRay slit_ray(const void *who, double u, double v, double *from, double *to)
{
    const PhPanoramicFilm *f = who;
    PhPoint at, along, out;
    ph_arch(&f->jaw, (0.5 - u) * f->length_mm, &at, &along, &out);
    at.z = f->top_mm - v * f->height_mm + f->tilt * at.y;
    const PhPoint d = ph_unit(ph_plus(out, f->rise, ph_point(0, 0, 1)));
    *from = -f->layer_mm[0];
    *to = f->layer_mm[1];
    return (PhRay){at, d, -170, 70};
}

VslStatus ph_panoramic_film(PhPanoramicFilm *f, const VslRadiographOptions *opt, int subject, int visit)
{
    PhDraw who = {opt->seed, ph_radiograph_stream(2, subject, 0, "person"), 0};
    PhDraw body = {opt->seed, ph_radiograph_stream(2, subject, 0, "body"), 0};
    PhDraw ill = {opt->seed, ph_radiograph_stream(2, subject, 0, "findings"), 0};
    PhDraw place = {opt->seed, ph_radiograph_stream(2, subject, visit, "position"), 0};
    const double age = ph_uniform(&who, 18, 80), years = ph_radiograph_years(opt, 2, subject, visit);
    const int is_male = ph_chance(&who, 0.5);
    *f = (PhPanoramicFilm){0};
    ph_jaw_person(&f->jaw, age + years, is_male, &body);
    if (opt->lesions) {
        ph_jaw_cavities(&f->jaw, years, &ill);
    }
    ph_jaw_build(&f->scene, &f->jaw, opt->seed, ph_radiograph_stream(2, subject, 0, "anatomy"));
    f->length_mm = 262 * f->jaw.size * ph_about(&place, 1, 0.02);
    f->height_mm = 0.5 * f->length_mm;
    f->top_mm = 0.555 * f->height_mm + ph_about(&place, 0, 3);
    f->rise = ph_about(&place, 0.07, 0.02);
    f->tilt = ph_about(&place, 0.10, 0.05);
    f->layer_mm[0] = 16;
    f->layer_mm[1] = 14;
    f->camera = (PhCamera){slit_ray, f, f->length_mm, f->height_mm, 1, PH_SPONGY};
    return f->scene.status;
}

void ph_panoramic_point(double at[2], const PhPanoramicFilm *f, PhPoint p, const int64_t n[2])
{
    /* the column whose ray passes p: along . (p - arch) changes its sign there */
    double lo = -0.5 * f->length_mm, hi = -lo;
    for (int i = 0; i < 60; i++) {
        const double s = 0.5 * (lo + hi);
        PhPoint arch, along, out;
        ph_arch(&f->jaw, s, &arch, &along, &out);
        const double ahead = ph_inner(ph_plus(p, -1, arch), along) * (s < 0 ? -1 : 1);
        if (ahead > 0) {
            lo = s;
        } else {
            hi = s;
        }
    }
    double from, to;
    const double u = 0.5 - 0.5 * (lo + hi) / f->length_mm;
    const PhRay r = slit_ray(f, u, 0, &from, &to);
    const PhPoint d = ph_plus(p, -1, r.origin);
    const double flat = sqrt(r.along.x * r.along.x + r.along.y * r.along.y);
    const double t = (d.x * r.along.x + d.y * r.along.y) / (flat * flat);
    at[0] = u * (double)n[0] - 0.5;
    at[1] = (r.origin.z + t * r.along.z - p.z) / f->height_mm * (double)n[1] - 0.5;
}

static VslStatus fill(VslRadiograph *out, const VslRadiographOptions *opt, const PhProjection *p,
                      const PhPanoramicFilm *f)
{
    VslStatus st = VSL_OK;
    while (ph_panoramic_mask_name(opt->lesions, out->masks)) {
        const int organ = PH_O_UPPER_INCISOR + out->masks;
        VslLabels *m = &out->mask[out->masks];
        out->mask_name[out->masks++] = names[organ - PH_O_UPPER_INCISOR];
        VSL_TRY(vsl_labels_new(m, &out->film.grid));
        for (int64_t i = 0; i < p->n[0] * p->n[1]; i++) {
            const uint32_t bits = organ == PH_O_CARIES ? p->seen[i] : p->touched[i];
            m->data[i] = (int32_t)(bits >> organ & 1u);
        }
    }
    for (int i = 0; i < f->jaw.cavities; i++) {
        const PhCavity *c = &f->jaw.cavity[i];
        VslRadiographFinding *to = &out->finding[out->findings++];
        *to = (VslRadiographFinding){.kind = "caries",
                                     .side = c->centre.x > 0 ? "right" : "left",
                                     .tooth = c->fdi,
                                     .centre_mm = {c->centre.x, c->centre.y, c->centre.z},
                                     .radius_mm = c->radius_mm};
        ph_panoramic_point(to->at, f, c->centre, opt->size);
    }
out:
    return st;
}

VslStatus ph_panoramic_make(VslRadiograph *out, const VslRadiographOptions *opt, int subject, int visit)
{
    VslStatus st = VSL_OK;
    VslRadiograph made = {0};
    PhProjection p = {0};
    PhPanoramicFilm film = {0};
    const PhBeam beam = ph_beam_dental();
    PhDraw how = {opt->seed, ph_radiograph_stream(2, subject, visit, "exposure"), 0};
    PhWaves fine, coarse;
    VSL_TRY(ph_panoramic_film(&film, opt, subject, visit));
    VSL_TRY(ph_project(&p, &film.scene, &film.camera, &beam, opt->size, opt->threads));
    ph_waves_random(&fine, 4, 0.9, 3, opt->seed, ph_radiograph_stream(2, subject, 0, "fine grain"));
    ph_waves_random(&coarse, 2, 4, 12, opt->seed, ph_radiograph_stream(2, subject, 0, "coarse grain"));
    const PhExposure e = {.photons_per_mm2 = opt->photons_per_mm2 * exp(ph_about(&how, 0, 0.3)),
                          .scatter = 0.006 * opt->scatter_percent,
                          .scatter_mm = 30,
                          .blur_mm = ph_about(&how, 0.22, 0.04),
                          .ghost_mm = 14,
                          .detail_mm = ph_about(&how, 16, 3),
                          .gamma = ph_about(&how, 1.5, 0.15),
                          .detail = fmax(ph_about(&how, 1.0, 0.3), 0),
                          .middle_grey = ph_about(&how, 0.40, 0.05),
                          .heel_percent = ph_about(&how, 0, 4),
                          .grain = {&fine, &coarse},
                          .grain_sd = {0.06, 0.05},
                          .seed = opt->seed,
                          .stream = ph_radiograph_stream(2, subject, visit, "photons")};
    VSL_TRY(ph_expose(&made.film, &p, &beam, &e, opt->threads));
    made.pixel_mm[0] = p.pixel_mm[0];
    made.pixel_mm[1] = p.pixel_mm[1];
    made.age_years = film.jaw.age_years;
    made.is_male = film.jaw.is_male;
    made.projection = "panoramic";
    VSL_TRY(fill(&made, opt, &p, &film));
    vsl_radiograph_free(out);
    *out = made;
    made = (VslRadiograph){0};
out:
    ph_projection_free(&p);
    ph_scene_free(&film.scene);
    vsl_radiograph_free(&made);
    return st;
}
