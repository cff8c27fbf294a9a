/* Who is scanned, when and how the head lies: draws named by seed, subject and visit; then the map and the picture. */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/parallel.h"
#include "core/random.h"
#include "phantom/ageing.h"
#include "phantom/phantom.h"
#include "phantom/render.h"
#include "registration/shooting.h"

const VslOption vsl_phantom_option_table[] = {
    {"modality", VSL_OPT_CHOICE, offsetof(VslPhantomOptions, modality), 1, 0, 0, "", "what is imaged",
     "brain,heart,radiograph"},
    {"deform-mm", VSL_OPT_DOUBLE, offsetof(VslPhantomOptions, deform_mm), 7, 0.001, 15, "mm",
     "largest speed of the random deformation of a subject", NULL},
    {"noise-percent", VSL_OPT_DOUBLE, offsetof(VslPhantomOptions, noise_percent), 2.5, 0.001, 50, "%",
     "Rician noise, of the white matter's signal", NULL},
    {"bias-percent", VSL_OPT_DOUBLE, offsetof(VslPhantomOptions, bias_percent), 8, 0.001, 50, "%",
     "bias field, standard deviation over the head", NULL},
    {0},
};

static uint64_t stream_of(const char *label, int visit, const char *what)
{
    char name[64];
    snprintf(name, sizeof name, "phantom sub-%s ses-%02d %s", label, visit, what);
    return vsl_random_stream(name);
}

static double uniform(const VslPhantomOptions *opt, uint64_t stream, uint64_t index, double lo, double hi)
{
    return lo + (hi - lo) * vsl_random_uniform(opt->seed, stream, index);
}

static VslStatus resolve(VslPhantomOptions *out, const VslPhantomOptions *opt)
{
    static const char *const words[] = {"brain", "heart", "radiograph"};
    VslStatus st = VSL_OK;
    VslPhantomOptions o = *opt;
    VSL_TRY(vsl_options_resolve(&o, vsl_phantom_option_table));
    VSL_CHECK(o.modality == VSL_PHANTOM_BRAIN, VSL_E_UNSUPPORTED,
              "--modality %s is not made by this version, expected brain or radiograph", words[o.modality - 1]);
    if (o.size[0] == 0 && o.size[1] == 0 && o.size[2] == 0) {
        o.size[0] = 96, o.size[1] = 112, o.size[2] = 96;
    }
    for (int d = 0; d < 3; d++) {
        VSL_CHECK(o.size[d] >= 16 && o.size[d] <= 1024, VSL_E_ARG,
                  "--size: %lld voxels along axis %d, expected 16 to 1024", (long long)o.size[d], d + 1);
    }
    *out = o;
out:
    return st;
}

static VslGrid box(const VslPhantomOptions *resolved)
{
    static const double length[3] = {192, 224, 192}, centre[3] = {0, -18, 8};
    double spacing[3];
    for (int d = 0; d < 3; d++) {
        spacing[d] = length[d] / (double)resolved->size[d];
    }
    VslGrid g = vsl_grid_centred(resolved->size, spacing);
    for (int d = 0; d < 3; d++) {
        g.to_ras.m[d][3] += centre[d];
    }
    return g;
}

VslStatus vsl_phantom_grid(VslGrid *out, const VslPhantomOptions *opt)
{
    VslPhantomOptions o;
    VslStatus st = resolve(&o, opt);
    if (st == VSL_OK) {
        *out = box(&o);
    }
    return st;
}

void vsl_phantom_subject_free(VslPhantomSubject *s)
{
    vsl_geodesic_free(&s->geodesic);
    *s = (VslPhantomSubject){0};
}

void vsl_phantom_scan_free(VslPhantomScan *s)
{
    vsl_volume_free(&s->image);
    vsl_labels_free(&s->labels);
    vsl_labels_free(&s->lesions);
    vsl_volume_free(&s->disp);
    *s = (VslPhantomScan){0};
}

VslStatus vsl_phantom_template(VslPhantomScan *out, const VslPhantomOptions *opt, VslBackend *be)
{
    VslStatus st = VSL_OK;
    VslPhantomOptions o;
    VslPhantomScan scan = {.affine = vsl_affine_identity(), .age_years = VSL_PHANTOM_TEMPLATE_AGE};
    const PhAcquisition perfect = {0};
    PhAnatomy anatomy;
    VSL_TRY(resolve(&o, opt));
    const VslGrid grid = box(&o);
    ph_anatomy_init(&anatomy);
    VSL_TRY(vsl_volume_new(&scan.disp, &grid, 3));
    VSL_TRY(ph_render(&scan, &anatomy, NULL, &perfect, vsl_backend_threads(be)));
    vsl_volume_free(&scan.disp);
    vsl_phantom_scan_free(out);
    *out = scan;
    scan = (VslPhantomScan){0};
out:
    vsl_phantom_scan_free(&scan);
    return st;
}

VslStatus vsl_phantom_subject(VslPhantomSubject *out, const VslPhantomOptions *opt, int subject, VslBackend *be)
{
    VslStatus st = VSL_OK;
    VslPhantomOptions o;
    VslPhantomSubject s = {0};
    /* shapes that differ over some cm: lobes and nuclei move and swell, folds keep their pattern */
    const VslKernel kernel = {.scales = 1, .alpha_mm2 = {180}, .weight = {1}, .gamma = 1, .power = 3};
    VSL_CHECK(subject >= 1, VSL_E_ARG, "subject %d, expected 1 or more", subject);
    VSL_TRY(resolve(&o, opt));
    snprintf(s.label, sizeof s.label, "%02d", subject);
    const uint64_t person = stream_of(s.label, 0, "person");
    s.is_male = vsl_random_uniform(o.seed, person, 0) < 0.5;
    s.age_years = rint(10 * uniform(&o, person, 1, 40, 85)) / 10;
    s.ageing_rate = uniform(&o, person, 2, 0.8, 1.2);
    s.size_scale = (s.is_male ? 1.02 : 0.97) * uniform(&o, person, 3, 0.975, 1.025);
    /* the velocity's band covers the same box at any --size: the person does not depend on the voxels */
    const VslGrid grid = box(&(VslPhantomOptions){.size = {96, 112, 96}});
    VSL_TRY(vsl_geodesic_random(&s.geodesic, &grid, &kernel, 32, o.deform_mm, o.seed,
                                stream_of(s.label, 0, "deformation"), be));
    vsl_phantom_subject_free(out);
    *out = s;
    s = (VslPhantomSubject){0};
out:
    vsl_phantom_subject_free(&s);
    return st;
}

/* Scan world -> world of phi: the head is turned and moved by each visit's table, and has its own size. */
static VslAffine pose(const VslPhantomOptions *o, const VslPhantomSubject *s, int visit)
{
    static const double centre[3] = {0, -18, 8};
    const uint64_t stream = stream_of(s->label, visit, "pose");
    VslAffine a = vsl_affine_identity();
    for (int axis = 0; axis < 3; axis++) {
        const double degrees = 2.0 * ph_clamp((float)vsl_random_normal(o->seed, stream, (uint64_t)axis), -2.5f, 2.5f);
        const double t = degrees * 3.14159265358979323846 / 180;
        const int u = (axis + 1) % 3, v = (axis + 2) % 3;
        VslAffine turn = vsl_affine_identity();
        turn.m[u][u] = turn.m[v][v] = cos(t);
        turn.m[u][v] = -sin(t);
        turn.m[v][u] = sin(t);
        a = vsl_affine_compose(&turn, &a);
    }
    double moved[3];
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++) {
            a.m[r][c] /= s->size_scale;
        }
    }
    vsl_affine_vector(moved, &a, centre);
    for (int r = 0; r < 3; r++) {
        const double mm = 2.0 * vsl_random_normal(o->seed, stream, (uint64_t)(3 + r));
        a.m[r][3] = centre[r] - moved[r] + (fabs(mm) < 5 ? mm : copysign(5, mm));
    }
    return a;
}

static double years_at(const VslPhantomOptions *o, const VslPhantomSubject *s, int visit)
{
    const uint64_t stream = stream_of(s->label, 0, "intervals");
    double years = 0;
    for (int v = 2; v <= visit; v++) {
        years += rint(100 * uniform(o, stream, (uint64_t)v, 1.5, 2.5)) / 100;
    }
    return years;
}

typedef struct Compose { /* in: phi^-1 displacement at A x; out: that of the whole map at x */
    VslVolume *disp;
    VslGrid grid, posed;
    float t;
} Compose;

static void compose_row(void *ctx, int64_t row, int worker)
{
    Compose *c = ctx;
    const int64_t *n = c->grid.n, plane = n[0] * n[1] * n[2];
    (void)worker;
    for (int64_t i = 0; i < n[0]; i++) {
        const double v[3] = {(double)i, (double)(row % n[1]), (double)(row / n[1])};
        double x[3], y[3];
        float *u = c->disp->data + row * n[0] + i;
        vsl_affine_point(x, &c->grid.to_ras, v);
        vsl_affine_point(y, &c->posed.to_ras, v);
        const PhVec z = ph_ageing((PhVec){(float)(y[0] + (double)u[0]), (float)(y[1] + (double)u[plane]),
                                          (float)(y[2] + (double)u[2 * plane])},
                                  c->t);
        u[0] = (float)((double)z.x - x[0]);
        u[plane] = (float)((double)z.y - x[1]);
        u[2 * plane] = (float)((double)z.z - x[2]);
    }
}

VslStatus vsl_phantom_visit(VslPhantomScan *out, const VslPhantomSubject *s, const VslPhantomOptions *opt, int visit,
                            VslBackend *be)
{
    VslStatus st = VSL_OK;
    VslPhantomOptions o;
    VslPhantomScan scan = {0};
    VslShootResult shot = {0};
    PhLesions *lesions = NULL;
    PhAnatomy anatomy;
    PhWaves texture, bias;
    const int threads = vsl_backend_threads(be);
    VSL_CHECK(visit >= 1, VSL_E_ARG, "visit %d, expected 1 or more", visit);
    VSL_CHECK(s->geodesic.velocity.data != NULL, VSL_E_ARG, "the subject is empty; make it by vsl_phantom_subject");
    VSL_TRY(resolve(&o, opt));
    const VslGrid grid = box(&o);
    const double years = years_at(&o, s, visit);
    scan.age_years = s->age_years + years;
    scan.affine = pose(&o, s, visit);
    const VslGrid posed = {{grid.n[0], grid.n[1], grid.n[2]}, vsl_affine_compose(&scan.affine, &grid.to_ras)};
    VSL_TRY(vsl_shoot(&shot, &s->geodesic, &posed, 1, 0, 0, be));
    vsl_volume_move(&scan.disp, &shot.disp);
    scan.disp.grid = grid;
    const double anatomical = VSL_PHANTOM_TEMPLATE_AGE + s->ageing_rate * (scan.age_years - VSL_PHANTOM_TEMPLATE_AGE);
    Compose c = {&scan.disp, grid, posed, ph_ageing_time(anatomical)};
    vsl_parallel_for(grid.n[1] * grid.n[2], threads, compose_row, &c);

    ph_anatomy_init(&anatomy);
    ph_waves_random(&texture, 2, 6, 40, o.seed, stream_of(s->label, 0, "texture"));
    ph_waves_random(&bias, 1, 200, 420, o.seed, stream_of(s->label, visit, "bias"));
    const PhAcquisition acquisition = {&texture,
                                       &bias,
                                       0.022f,
                                       (float)(o.bias_percent / 100),
                                       (double)PH_WHITE * o.noise_percent / 100,
                                       o.seed,
                                       stream_of(s->label, visit, "noise")};
    if (o.lesions) {
        VSL_TRY(VSL_NEW0(&lesions, 1, "lesions"));
        ph_lesions_place(lesions, &anatomy, o.seed, stream_of(s->label, 0, "lesions"), s->age_years, years);
    }
    VSL_TRY(ph_render(&scan, &anatomy, lesions, &acquisition, threads));
    vsl_phantom_scan_free(out);
    *out = scan;
    scan = (VslPhantomScan){0};
out:
    vsl_free(lesions);
    vsl_shoot_result_free(&shot);
    vsl_phantom_scan_free(&scan);
    return st;
}
