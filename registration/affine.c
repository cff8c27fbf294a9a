/*
 * Levels, starts and stopping of linear alignment; one level's energy is in linear.c, the optimiser in lbfgs.c.
 *
 * The finest level has at most FINEST_VOXELS voxels: an affine has 12 unknowns, and more samples than that only cost
 * time. Without `initial` the coarsest level tries starts: the headers as they are and the centres of mass brought
 * together, each without rotation and with rotations of 15 and 30 degrees about each axis. All are scored, the best few
 * optimised rigidly for some steps, and the best of those goes on: heads turned by 45 degrees are found. What a coarse
 * level found need not be good on a finer one. Where a start (the headers, centres together, or `initial`) is better,
 * both are optimised and the better one is kept.
 *
 * A mean similarity can rise while the images part. They keep half of the overlap that they have by the headers or with
 * their centres brought together, whichever is more, or under `initial`.
 *
 * The default metric is LNCC. On whole heads of different scanners, ages and fields of view (12 pairs of T1 images at 2
 * mm) it brought structures into better overlap than MI (mean Dice of large structures 0.52 against 0.46; 0.56 is the
 * best that an affine fitted to the labels gives), and it aligned T1 with FLAIR as well as MI did, for its square does
 * not care which tissue is brighter.
 */
#include "registration/affine.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "registration/lbfgs.h"
#include "registration/linear.h"
#include "registration/pyramid.h"

enum { FINEST_VOXELS = 200000, FINEST_PIXELS = 60000, MAX_LEVELS = 6, MAX_STARTS = 32, TRIED_STARTS = 6 };

#define AT(field) offsetof(VslAffineOptions, field)
const VslOption vsl_affine_option_table[] = {
    {"linear-metric", VSL_OPT_CHOICE, AT(similarity), VSL_SIMILARITY_LNCC, 0, 0, "",
     "what the linear stages make alike", "ssd,lncc,mi"},
    {"linear-iterations", VSL_OPT_INT, AT(iterations), 60, 1, 10000, "", "most iterations per level", NULL},
    {"linear-levels", VSL_OPT_INT, AT(levels), 3, 1, MAX_LEVELS, "", "levels of the image pyramid", NULL},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL}};

/* One image with its mask at one resolution. */
typedef struct Image {
    VslVolume image, mask; /* mask empty when there is none */
} Image;

typedef struct Run {
    const VslAffineOptions *opt;
    VslBackend *be, *host; /* of the images; of the parameters */
    VslLinearKind kind;
    Image fixed[MAX_LEVELS], moving[MAX_LEVELS]; /* coarsest first */
    double spacing[MAX_LEVELS];
    double fixed_centre[3], moving_centre[3], radius_mm;
    double least_share; /* of the fixed image that must meet the moving one */
    VslAffine best;
    int level, iterations;
    double before, after;
} Run;

static double now_seconds(void)
{
    struct timespec t;
    timespec_get(&t, TIME_UTC);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

/* --- images --------------------------------------------------------------------------------------------------------
 */

static void image_free(Image *m)
{
    vsl_volume_free(&m->image);
    vsl_volume_free(&m->mask);
}

/* Spacing at which this image has about as many voxels as the finest level may have. */
static double finest_spacing(const VslGrid *g)
{
    double h[3];
    vsl_grid_spacing(h, g);
    const double area = (double)(g->n[0] * g->n[1]) * h[0] * h[1];
    const double s = g->n[2] == 1 ? sqrt(area / FINEST_PIXELS) : cbrt(area * (double)g->n[2] * h[2] / FINEST_VOXELS);
    const double native = fmin(h[0], g->n[2] == 1 ? h[1] : fmin(h[1], h[2]));
    return fmax(s, native);
}

/* Centre of mass and root mean square distance from it, of intensities within the mask. */
static VslStatus find_centre(double centre[3], double *radius_mm, const Image *m, const char *name)
{
    VslStatus st = VSL_OK;
    double mass = 0, sum[3] = {0}, squares = 0;
    const VslGrid *g = &m->image.grid;
    const int64_t n = vsl_grid_voxels(g);
    for (int pass = 0; pass < 2; pass++) {
        for (int64_t v = 0; v < n; v++) {
            double w = fmin(fmax((double)m->image.data[v], 0), 1) * (m->mask.data ? (double)m->mask.data[v] : 1);
            if (!(w > 0)) {
                continue;
            }
            const double at[3] = {(double)(v % g->n[0]), (double)(v / g->n[0] % g->n[1]),
                                  (double)(v / (g->n[0] * g->n[1]))};
            double x[3];
            vsl_affine_point(x, &g->to_ras, at);
            if (pass == 0) {
                mass += w;
            }
            for (int d = 0; d < 3; d++) {
                sum[d] += pass == 0 ? w * x[d] : 0;
                squares += pass == 0 ? 0 : w * (x[d] - centre[d]) * (x[d] - centre[d]);
            }
        }
        VSL_CHECK(mass > 0, VSL_E_NUMERIC, "the %s image is blank inside its mask", name);
        for (int d = 0; d < 3; d++) {
            centre[d] = sum[d] / mass;
        }
    }
    if (radius_mm) {
        double h[3];
        vsl_grid_spacing(h, g);
        *radius_mm = fmax(sqrt(squares / mass), h[0]);
    }
out:
    return st;
}

/* levels[0..count-1], coarsest first, from one image and its mask. */
static VslStatus build_levels(Image *levels, const double *spacing, int count, const VslVolume *image,
                              const VslVolume *mask, const char *name, int threads)
{
    VslStatus st = VSL_OK;
    VslVolume whole = {0};
    VslVolume view = vsl_volume_view(image, 0);
    VSL_CHECK(image->channels == 1, VSL_E_ARG, "%s has %d channels, linear alignment takes 1", name, image->channels);
    VSL_TRY(reg_normalise(&whole, NULL, &view, mask, name));
    for (int l = count - 1; l >= 0; l--) {
        const VslVolume *finer = l == count - 1 ? &whole : &levels[l + 1].image;
        const VslVolume *finer_mask = !mask ? NULL : l == count - 1 ? mask : &levels[l + 1].mask;
        VSL_TRY(reg_coarsen(&levels[l].image, &levels[l].mask, finer, finer_mask, spacing[l], threads));
        vsl_volume_free(&whole);
    }
out:
    vsl_volume_free(&whole);
    return st;
}

static VslStatus check_mask(const VslVolume *image, const VslVolume *mask, const char *name_image,
                            const char *name_mask)
{
    VslStatus st = VSL_OK;
    if (mask) {
        VSL_CHECK(mask->channels == 1, VSL_E_ARG, "the %s has %d channels, expected 1", name_mask, mask->channels);
        VSL_TRY(vsl_grid_check_same(&image->grid, name_image, &mask->grid, name_mask));
    }
out:
    return st;
}

/* --- one level -----------------------------------------------------------------------------------------------------
 */

static VslStatus level_open(RegLinear *linear, Run *run, int level)
{
    VslStatus st = VSL_OK;
    const Image *f = &run->fixed[level], *m = &run->moving[level];
    VSL_TRY(reg_linear_new(linear, run->be, &f->image, &m->image, f->mask.data ? &f->mask : NULL,
                           m->mask.data ? &m->mask : NULL, run->opt->similarity, run->fixed_centre, run->radius_mm));
    linear->least_share = run->least_share;
out:
    return st;
}

static VslStatus energy_of(double *energy, const Run *run, RegLinear *l, const VslAffine *a)
{
    VslStatus st = VSL_OK;
    VslField p = {0};
    l->base = *a;
    VSL_TRY(vsl_field_new(&p, run->host, (int64_t[3]){REG_LINEAR_PARAMETERS, 1, 1}, 1));
    VSL_TRY(reg_linear_energy(l, energy, NULL, &p));
out:
    vsl_field_free(&p);
    return st;
}

static VslAffine centred(const Run *run)
{
    VslAffine a = vsl_affine_identity();
    for (int d = 0; d < 3; d++) {
        a.m[d][3] = run->moving_centre[d] - run->fixed_centre[d];
    }
    return a;
}

/* Where to start from: the caller's map, or else the headers as they are and with centres brought together. */
static int known_starts(VslAffine out[2], const Run *run, const VslAffine *initial)
{
    out[0] = initial ? *initial : vsl_affine_identity();
    out[1] = centred(run);
    return initial ? 1 : 2;
}

/* On the coarsest level. */
static VslStatus keep_overlap(Run *run, RegLinear *l, const VslAffine *starts, int count)
{
    VslStatus st = VSL_OK;
    double energy;
    for (int t = 0; t < count; t++) {
        VSL_TRY(energy_of(&energy, run, l, &starts[t]));
        run->least_share = fmax(run->least_share, 0.5 * l->share);
    }
    l->least_share = run->least_share;
out:
    return st;
}

static int report(void *linear, int iteration, double energy);

/* The callback of an iteration needs both. */
typedef struct Step {
    RegLinear linear; /* first: reg_linear_energy is handed the same pointer */
    Run *run;
    int iterations;
} Step;

static int report(void *context, int iteration, double energy)
{
    const Step *s = context;
    const Run *run = s->run;
    const int levels = run->opt->levels;
    const VslProgress p = {.stage = run->kind == VSL_LINEAR_RIGID ? "rigid" : "affine",
                           .level = run->level + 1,
                           .levels = levels,
                           .iteration = iteration,
                           .iterations = s->iterations,
                           .energy = energy,
                           /* a level costs eight times the one before */
                           .fraction = (pow(8, run->level) - 1 + 7 * pow(8, run->level) * iteration / s->iterations) /
                                       (pow(8, levels) - 1)};
    return run->opt->progress ? run->opt->progress(&p, run->opt->progress_user) : 0;
}

/* Improves *a by at most `iterations` steps. */
static VslStatus descend(double *energy, VslAffine *a, Step *s, VslLinearKind kind, int iterations)
{
    VslStatus st = VSL_OK;
    VslField p = {0};
    RegLbfgsResult r;
    s->linear.base = *a;
    s->linear.kind = kind;
    s->iterations = iterations;
    const RegLbfgsOptions opt = {.iterations = iterations,
                                 .history = REG_LINEAR_PARAMETERS,
                                 .first_step = 0.25 * s->run->spacing[s->run->level],
                                 .energy_tolerance = 1e-5,
                                 .window = 4,
                                 .gradient_tolerance = 1e-4};
    VSL_TRY(vsl_field_new(&p, s->run->host, (int64_t[3]){reg_linear_count(&s->linear), 1, 1}, 1));
    VSL_TRY(reg_lbfgs(&r, &p, reg_linear_energy, report, s, &opt));
    *a = reg_linear_map(&s->linear, p.data);
    *energy = r.energy_after;
    s->run->iterations += r.iterations;
out:
    vsl_field_free(&p);
    return st;
}

/* From the best so far, and from the starts too that are better here. */
static VslStatus improve(Run *run, Step *s, const VslAffine *starts, int count)
{
    VslStatus st = VSL_OK;
    VslAffine from[3] = {run->best, starts[0], starts[count - 1]};
    double begun = INFINITY, lowest = INFINITY;
    for (int t = 0; t <= count; t++) {
        double energy;
        VSL_TRY(energy_of(&energy, run, &s->linear, &from[t]));
        if (t == 0) {
            begun = energy;
        }
        if (!isfinite(energy) || (t > 0 && energy >= begun)) {
            continue;
        }
        VSL_TRY(descend(&energy, &from[t], s, run->kind, run->opt->iterations));
        if (energy < lowest) {
            lowest = energy;
            run->best = from[t];
        }
    }
out:
    return st;
}

/* --- starts --------------------------------------------------------------------------------------------------------
 */

typedef struct Start {
    VslAffine map;
    double energy;
} Start;

/* Rotation about the fixed centre by an angle about an axis of the frame, then a translation. */
static VslAffine start_map(const RegLinear *l, int axis, double angle, const VslAffine *shift)
{
    RegLinear pose = *l;
    float p[REG_LINEAR_PARAMETERS] = {0};
    pose.base = vsl_affine_identity();
    pose.kind = VSL_LINEAR_RIGID;
    p[pose.in_plane ? 0 : axis] = (float)(angle * pose.radius_mm);
    VslAffine a = reg_linear_map(&pose, p);
    for (int d = 0; d < 3; d++) {
        a.m[d][3] += shift->m[d][3];
    }
    return a;
}

static VslStatus choose_start(Run *run, Step *s, const VslAffine shifts[2])
{
    VslStatus st = VSL_OK;
    Start starts[MAX_STARTS];
    int count = 0;
    const double angles[5] = {0, 0.26, -0.26, 0.52, -0.52}; /* 15 and 30 degrees */
    for (int shift = 0; shift < 2; shift++) {
        for (int axis = s->linear.in_plane ? 2 : 0; axis < 3; axis++) {
            for (int a = axis == 2 ? 0 : 1; a < 5; a++) {
                Start *next = &starts[count];
                next->map = start_map(&s->linear, axis, angles[a], &shifts[shift]);
                VSL_TRY(energy_of(&next->energy, run, &s->linear, &next->map));
                count += isfinite(next->energy) ? 1 : 0;
            }
        }
    }
    VSL_CHECK(count > 0, VSL_E_NUMERIC,
              "the images do not overlap, neither by their headers nor with their centres of mass brought together");
    Start best = {.energy = INFINITY};
    for (int t = 0; t < TRIED_STARTS && t < count; t++) {
        int lowest = t;
        for (int c = t + 1; c < count; c++) {
            lowest = starts[c].energy < starts[lowest].energy ? c : lowest;
        }
        const Start swap = starts[t];
        starts[t] = starts[lowest];
        starts[lowest] = swap;
        VSL_TRY(descend(&starts[t].energy, &starts[t].map, s, VSL_LINEAR_RIGID, 15));
        best = starts[t].energy < best.energy ? starts[t] : best;
    }
    run->best = best.map;
out:
    return st;
}

/* --- the whole -----------------------------------------------------------------------------------------------------
 */

static VslStatus prepare(Run *run, const VslVolume *fixed, const VslVolume *moving, const VslVolume *fixed_mask,
                         const VslVolume *moving_mask)
{
    VslStatus st = VSL_OK;
    const int levels = run->opt->levels, threads = vsl_backend_threads(run->be);
    const double finest = finest_spacing(&fixed->grid);
    VSL_TRY(check_mask(fixed, fixed_mask, "fixed image", "fixed mask"));
    VSL_TRY(check_mask(moving, moving_mask, "moving image", "moving mask"));
    for (int l = 0; l < levels; l++) {
        run->spacing[l] = finest * (double)(1 << (levels - 1 - l));
    }
    VSL_TRY(build_levels(run->fixed, run->spacing, levels, fixed, fixed_mask, "the fixed image", threads));
    VSL_TRY(build_levels(run->moving, run->spacing, levels, moving, moving_mask, "the moving image", threads));
    VSL_TRY(find_centre(run->fixed_centre, &run->radius_mm, &run->fixed[0], "fixed"));
    VSL_TRY(find_centre(run->moving_centre, NULL, &run->moving[0], "moving"));
out:
    return st;
}

/* Energies of the start that the caller knows and of the result. */
static VslStatus judge(Run *run, RegLinear *l, const VslAffine *start)
{
    VslStatus st = VSL_OK;
    l->least_share = REG_LINEAR_LEAST_SHARE;
    VSL_TRY(energy_of(&run->before, run, l, start));
    VSL_TRY(energy_of(&run->after, run, l, &run->best));
out:
    return st;
}

VslStatus vsl_affine_register(VslAffineResult *out, const VslVolume *fixed, const VslVolume *moving,
                              const VslVolume *fixed_mask, const VslVolume *moving_mask, const VslAffine *initial,
                              VslLinearKind kind, const VslAffineOptions *options, VslBackend *be)
{
    VslStatus st = VSL_OK;
    const double began = now_seconds();
    VslAffineOptions opt = options ? *options : (VslAffineOptions){0};
    VslBackend *host = NULL; /* a dozen numbers need no device */
    Run run = {.opt = &opt, .kind = kind};
    Step step = {.run = &run};
    VslAffine starts[2] = {vsl_affine_identity()};
    int count = 0;
    VSL_CHECK(kind == VSL_LINEAR_RIGID || kind == VSL_LINEAR_AFFINE, VSL_E_ARG,
              "alignment %d is neither rigid (1) nor affine (2)", (int)kind);
    VSL_TRY(vsl_options_resolve(&opt, vsl_affine_option_table));
    if (!vsl_backend_is_host(be)) {
        VSL_TRY(vsl_backend_open(&host, "cpu", vsl_backend_threads(be)));
    }
    run.be = be;
    run.host = host ? host : be;
    run.least_share = REG_LINEAR_LEAST_SHARE;
    VSL_TRY(prepare(&run, fixed, moving, fixed_mask, moving_mask));
    count = known_starts(starts, &run, initial);
    run.best = starts[0];
    for (run.level = 0; run.level < opt.levels; run.level++) {
        reg_linear_free(&step.linear);
        VSL_TRY(level_open(&step.linear, &run, run.level));
        if (run.level == 0) {
            VSL_TRY(keep_overlap(&run, &step.linear, starts, count));
        }
        if (run.level == 0 && !initial) {
            VSL_TRY(choose_start(&run, &step, starts));
        } else if (run.level == 0) {
            double energy;
            VSL_TRY(energy_of(&energy, &run, &step.linear, initial));
            VSL_CHECK(isfinite(energy), VSL_E_NUMERIC,
                      "the images do not overlap under the initial map (%.0f %% of the fixed image is met)",
                      100 * step.linear.share);
        }
        VSL_TRY(improve(&run, &step, starts, count));
    }
    VSL_TRY(judge(&run, &step.linear, &starts[0]));
    *out = (VslAffineResult){.affine = run.best,
                             .similarity_before = isfinite(run.before) ? -run.before : NAN,
                             .similarity_after = -run.after,
                             .iterations = run.iterations,
                             .seconds = now_seconds() - began};
out:
    reg_linear_free(&step.linear);
    for (int l = 0; l < MAX_LEVELS; l++) {
        image_free(&run.fixed[l]);
        image_free(&run.moving[l]);
    }
    vsl_backend_close(&host);
    return st;
}
