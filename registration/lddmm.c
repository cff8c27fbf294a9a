/* The multi-resolution driver of LDDMM: presets, levels, and the numbers of the result. */
#define _POSIX_C_SOURCE 200809L /* clock_gettime */
#include "registration/lddmm.h"

#include <math.h>
#include <stddef.h>
#include <string.h>
#include <time.h>

#include "registration/lbfgs.h"
#include "registration/lddmm_problem.h"
#include "registration/pyramid.h"

/* The optimisation may follow a geodesic this much more coarsely than the result that is written: its gradient is exact
 * for whatever steps it takes. */
enum { SLACK = 40, MOST_STEPS = 64 };

/* No voxel of the result shall fold, or come near it: while one keeps less than LEAST_VOLUME of its volume, the last
 * level goes on for some iterations with a floor of RAISED, and then higher, around it. */
#define LEAST_VOLUME 0.01
#define RAISED 0.2
enum { MOST_REPAIRS = 8, REPAIR_ITERATIONS = 4 };

#define AT(field) offsetof(VslLddmmOptions, field)
const VslOption vsl_lddmm_option_table[] = {
    {"metric", VSL_OPT_CHOICE, AT(similarity), VSL_SIMILARITY_LNCC, 0, 0, "", "what the deformation makes alike",
     "ssd,lncc,mi"},
    {"alpha-mm2", VSL_OPT_DOUBLE, AT(alpha_mm2), 200, 0.01, 1e6, "mm^2",
     "width of the velocity kernel: L = (1 - alpha Laplacian)^power", NULL},
    {"power", VSL_OPT_DOUBLE, AT(power), 1, 1, 4, "", "smoothness of the velocity kernel", NULL},
    {"weight", VSL_OPT_DOUBLE, AT(weight), 850, 1e-6, 1e9, "1/mm^3", "weight of the similarity against the energy",
     NULL},
    {"volume-floor", VSL_OPT_DOUBLE, AT(volume_floor), 0.1, 0.01, 0.9, "",
     "Jacobian determinant below which compression is penalised", NULL},
    {"volume-weight", VSL_OPT_DOUBLE, AT(volume_weight), 3000, -1, 1e9, "1/mm^3",
     "weight of that penalty; -1 switches it off", NULL},
    {"window", VSL_OPT_INT, AT(window), 7, 1, 64, "voxels",
     "half-width of the large LNCC window, in voxels of each level", NULL},
    {"small-window", VSL_OPT_INT, AT(small_window), 2, 1, 64, "voxels",
     "half-width of the small LNCC window; the two energies are averaged", NULL},
    {"band-mm", VSL_OPT_DOUBLE, AT(band_mm), 4, 0.1, 1000, "mm", "finest spacing of the velocity's grid", NULL},
    {"band-nodes", VSL_OPT_INT, AT(band_nodes), 48, 8, 1024, "",
     "most nodes of that grid along the image's longest axis; larger images get a coarser one", NULL},
    {"levels", VSL_OPT_INT, AT(levels), 3, 1, 8, "", "levels of the image pyramid", NULL},
    {"finest-mm", VSL_OPT_DOUBLE, AT(finest_mm), 0.1, 0.01, 1000, "mm", "finest image spacing used", NULL},
    {"iterations", VSL_OPT_INT, AT(iterations), 30, 1, 10000, "", "most iterations on a coarse level", NULL},
    {"fine-iterations", VSL_OPT_INT, AT(fine_iterations), 22, 1, 10000, "", "most iterations on the finest level",
     NULL},
    {"time-steps", VSL_OPT_INT, AT(time_steps), 2, 1, 32, "", "fewest Runge-Kutta steps of the geodesic", NULL},
    {"drift", VSL_OPT_DOUBLE, AT(drift), 5e-4, 1e-9, 1, "",
     "largest relative change of the energy along the geodesic; more steps are taken to keep it", NULL},
    {"tolerance", VSL_OPT_DOUBLE, AT(tolerance), 1e-3, 1e-9, 1, "",
     "a level ends when five iterations lower the energy by less than this share", NULL},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL}};

void vsl_lddmm_preset(VslLddmmOptions *opt, VslPreset preset)
{
    switch (preset) {
    case VSL_PRESET_FAST:
        opt->band_mm = 4.6;
        opt->weight = 750;
        opt->fine_iterations = 9;
        break;
    case VSL_PRESET_DEFAULT: break;
    case VSL_PRESET_ACCURATE:
        opt->band_mm = 2.6;
        opt->band_nodes = 80;
        opt->weight = 900;
        opt->volume_floor = 0.08;
        opt->iterations = 50;
        opt->fine_iterations = 40;
        opt->tolerance = 5e-4;
        break;
    }
}

typedef struct Run {
    const VslLddmmOptions *opt;
    int level, levels, most;
    double done, share; /* of the whole work before this level; of this level */
} Run;

static double now_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

typedef struct Level {
    Run *run;
    RegProblem *problem;
} Level;

static VslStatus objective(void *ctx, double *energy, VslField *gradient, const VslField *x)
{
    return reg_problem_evaluate(((Level *)ctx)->problem, energy, gradient, x);
}

static int on_iteration(void *ctx, int iteration, double energy)
{
    const Run *run = ((Level *)ctx)->run;
    const VslProgress p = {"lddmm",
                           run->level + 1,
                           run->levels,
                           iteration,
                           run->most,
                           energy,
                           run->done + run->share * iteration / run->most};
    return run->opt->progress ? run->opt->progress(&p, run->opt->progress_user) : 0;
}

/* Band grid over the fixed box and a margin that keeps the periodic copies apart: half a kernel width a side,
 * besides what the image has of empty border. */
static VslGrid band_over(const VslGrid *fixed, double node_mm, double alpha_mm2)
{
    double spacing[3];
    int64_t n[3];
    VslAffine step = vsl_affine_identity(); /* band voxel -> fixed voxel */
    const double margin = sqrt(alpha_mm2) + node_mm;
    vsl_grid_spacing(spacing, fixed);
    for (int d = 0; d < 3; d++) {
        if (fixed->n[d] == 1) {
            n[d] = 1;
            continue;
        }
        const double length = spacing[d] * (double)fixed->n[d] + margin;
        n[d] = vsl_fft_length((int64_t)ceil(0.9 * length / node_mm)); /* a tenth coarser may reach a fast length */
        n[d] = n[d] < 8 ? 8 : n[d];
        const double h = fmax(node_mm, length / (double)n[d]);
        step.m[d][d] = h / spacing[d];
        /* centred: the middle of the nodes on the middle of the voxels */
        step.m[d][3] = 0.5 * (double)(fixed->n[d] - 1) - 0.5 * (double)(n[d] - 1) * step.m[d][d];
    }
    return (VslGrid){{n[0], n[1], n[2]}, vsl_affine_compose(&fixed->to_ras, &step)};
}

/* 1 where the affine takes the fixed voxel into the moving image, times the fixed mask. NULL result data when all is 1.
 */
static VslStatus overlap_mask(VslVolume *out, const VslGrid *fixed, const VslGrid *moving, const VslAffine *affine,
                              const VslVolume *fixed_mask)
{
    VslStatus st = VSL_OK;
    VslAffine from_ras;
    VslVolume mask = {0};
    int64_t outside = 0;
    VSL_TRY(vsl_grid_from_ras(&from_ras, moving));
    VslAffine to_moving = vsl_affine_compose(&from_ras, affine);
    to_moving = vsl_affine_compose(&to_moving, &fixed->to_ras);
    VSL_TRY(vsl_volume_new(&mask, fixed, 1));
    const int64_t voxels = vsl_grid_voxels(fixed);
    for (int64_t q = 0; q < voxels; q++) {
        const double x[3] = {(double)(q % fixed->n[0]), (double)(q / fixed->n[0] % fixed->n[1]),
                             (double)(q / (fixed->n[0] * fixed->n[1]))};
        double y[3];
        int inside = 1;
        vsl_affine_point(y, &to_moving, x);
        for (int d = 0; d < 3; d++) {
            inside &= y[d] >= -1.0 && y[d] <= (double)moving->n[d];
        }
        mask.data[q] = inside ? (fixed_mask ? fixed_mask->data[q] : 1.0f) : 0.0f;
        outside += !inside;
    }
    VSL_CHECK(outside < voxels, VSL_E_NUMERIC, "fixed and moving image do not overlap in world space");
    if (outside > 0 || fixed_mask) {
        vsl_volume_move(out, &mask);
    }
out:
    vsl_volume_free(&mask);
    return st;
}

/* What a level leaves to the next: its velocity, and the transform of its grid. The rest of its memory goes. */
typedef struct Legacy {
    VslField v;
    VslFilter *filter;
    int steps;
} Legacy;

static void free_legacy(Legacy *old)
{
    vsl_field_free(&old->v);
    vsl_filter_free(&old->filter);
}

static VslStatus leave(Legacy *out, RegProblem *problem, VslField *x)
{
    VslStatus st = VSL_OK;
    RegFlow *f = &problem->flow;
    VSL_TRY(vsl_filter_apply(f->filter, x, x, &f->inverse_root));
    *out = (Legacy){*x, f->filter, f->steps};
    *x = (VslField){.be = x->be};
    f->filter = NULL;
    reg_problem_free(problem);
out:
    return st;
}

/* x on this level from the velocity of the level before. */
static VslStatus carry_over(VslField *x, RegProblem *to, const Legacy *old)
{
    VslStatus st = VSL_OK;
    VSL_TRY(vsl_filter_resample(to->flow.filter, x, old->filter, &old->v));
    VSL_TRY(vsl_filter_apply(to->flow.filter, x, x, &to->flow.root));
out:
    return st;
}

typedef struct Images {
    VslVolume fixed, moving, fixed_mask, moving_mask; /* normalised; masks empty when absent */
} Images;

static void free_images(Images *im)
{
    vsl_volume_free(&im->fixed);
    vsl_volume_free(&im->moving);
    vsl_volume_free(&im->fixed_mask);
    vsl_volume_free(&im->moving_mask);
}

static VslStatus coarsen_all(Images *out, const Images *in, double spacing, int threads)
{
    VslStatus st = VSL_OK;
    VSL_TRY(reg_coarsen(&out->fixed, &out->fixed_mask, &in->fixed, in->fixed_mask.data ? &in->fixed_mask : NULL,
                        spacing, threads));
    VSL_TRY(reg_coarsen(&out->moving, &out->moving_mask, &in->moving, in->moving_mask.data ? &in->moving_mask : NULL,
                        spacing, threads));
out:
    return st;
}

static VslStatus descend(VslField *x, RegProblem *problem, RegLbfgsResult *result, Run *run, int iterations)
{
    Level ctx = {run, problem};
    const double voxel = problem->flow.h[0] * problem->flow.h[1] * problem->flow.h[2];
    const RegLbfgsOptions lbfgs = {.iterations = iterations,
                                   .history = 5,
                                   .first_step = 1.0 / sqrt(voxel),
                                   .energy_tolerance = run->opt->tolerance,
                                   .window = 5,
                                   .gradient_tolerance = 1e-4};
    return reg_lbfgs(result, x, objective, on_iteration, &ctx, &lbfgs);
}

/* Evaluates the end of the optimisation along the geodesic as it will be shot, pushed away from folds where it came too
 * close. */
static VslStatus finish(VslField *x, RegProblem *problem, VslLddmmResult *r, Run *run)
{
    VslStatus st = VSL_OK;
    run->share = 0; /* all the work that was foreseen is done */
    problem->drift_limit = run->opt->drift;
    for (int round = 0;; round++) {
        RegLbfgsResult result = {0};
        double e = 0;
        int64_t pressed = 0;
        VSL_TRY(reg_problem_evaluate(problem, &e, NULL, x));
        VSL_TRY(reg_problem_raise_floor(problem, &pressed, LEAST_VOLUME, fmin(RAISED * (1 + round), 0.8)));
        if (pressed == 0 || problem->volume_weight == 0 || round == MOST_REPAIRS) {
            break;
        }
        if (round >= 2) { /* images that pull this hard need more than a higher floor */
            problem->volume_weight *= 4;
        }
        VSL_TRY(descend(x, problem, &result, run, REPAIR_ITERATIONS));
        r->iterations += result.iterations;
        r->evaluations += result.evaluations;
    }
out:
    return st;
}

/* One level: images at `spacing`, velocity at `node` mm; x and problem move from the level before to this one. */
static VslStatus run_level(VslField *x, RegProblem *problem, RegLbfgsResult *result, Run *run, Images *images,
                           double spacing, const VslGrid *band, const VslKernel *kernel, const VslAffine *affine,
                           double *similarity_before)
{
    VslStatus st = VSL_OK;
    Images level = {0};
    RegProblem next = {0};
    Legacy old = {0};
    VslField x_next = {0};
    VslVolume mask = {0};
    VslBackend *be = x->be;
    const VslLddmmOptions *opt = run->opt;
    RegSimilarityOptions sim = {.kind = opt->similarity,
                                .windows = 2,
                                .radius_vox = {{opt->window, opt->window, opt->window},
                                               {opt->small_window, opt->small_window, opt->small_window}},
                                .eps = 1e-4,
                                .bins = 32};
    VSL_TRY(coarsen_all(&level, images, spacing, vsl_backend_threads(be)));
    if (run->level + 1 == run->levels) { /* the last to need them */
        free_images(images);
    }
    vsl_grid_spacing(sim.spacing_mm, &level.fixed.grid);
    VSL_TRY(overlap_mask(&mask, &level.fixed.grid, &level.moving.grid, affine,
                         level.fixed_mask.data ? &level.fixed_mask : NULL));
    old.steps = opt->time_steps;
    if (x->data) {
        VSL_TRY(leave(&old, problem, x));
    }
    VSL_TRY(reg_problem_new(&next, be, band, kernel, old.steps, &level.fixed, &level.moving, mask.data ? &mask : NULL,
                            level.moving_mask.data ? &level.moving_mask : NULL, affine, &sim, opt->weight,
                            opt->volume_floor));
    next.drift_limit = SLACK * opt->drift;
    next.volume_weight = opt->volume_weight > 0 ? opt->volume_weight : 0;
    free_images(&level);
    vsl_volume_free(&mask);
    VSL_TRY(vsl_field_new(&x_next, be, band->n, 3));
    if (old.v.data) {
        VSL_TRY(carry_over(&x_next, &next, &old));
        free_legacy(&old);
    }
    if (similarity_before) { /* of the undeformed images, on the finest level */
        VslField zero = {0};
        double e = 0;
        VSL_TRY(vsl_field_new(&zero, be, band->n, 3));
        st = reg_problem_evaluate(&next, &e, NULL, &zero);
        vsl_field_free(&zero);
        VSL_TRY(st);
        *similarity_before = next.last_similarity;
        next.evaluations = 0; /* the level starts now */
    }
    VSL_TRY(descend(&x_next, &next, result, run, run->most));
    *x = x_next;
    x_next = (VslField){0};
    *problem = next;
    memset(&next, 0, sizeof next);
out:
    free_images(&level);
    vsl_volume_free(&mask);
    vsl_field_free(&x_next);
    free_legacy(&old);
    reg_problem_free(&next);
    return st;
}

static VslStatus check_inputs(const VslVolume *fixed, const VslVolume *moving, const VslVolume *fixed_mask,
                              const VslVolume *moving_mask)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(fixed->channels == moving->channels, VSL_E_ARG,
              "the fixed image has %d channels and the moving image %d, expected the same number", fixed->channels,
              moving->channels);
    if (fixed_mask) {
        VSL_TRY(vsl_grid_check_same(&fixed->grid, "the fixed image", &fixed_mask->grid, "its mask"));
    }
    if (moving_mask) {
        VSL_TRY(vsl_grid_check_same(&moving->grid, "the moving image", &moving_mask->grid, "its mask"));
    }
out:
    return st;
}

/* Shoots the result with as many steps as keep the drift of the energy within the limit. */
static VslStatus shoot_within(VslLddmmResult *r, double drift, VslBackend *be)
{
    VslStatus st = VSL_OK;
    VslGeodesic *g = &r->geodesic;
    const VslGrid nothing = {{1, 1, 1}, g->fixed.to_ras}; /* one particle: only the drift is wanted */
    for (;; g->time_steps++) {
        VslShootResult trial = {0};
        VSL_TRY(vsl_shoot(&trial, g, &nothing, 1, 0, 0, be));
        const int enough = trial.energy_drift <= drift || g->time_steps >= MOST_STEPS;
        vsl_shoot_result_free(&trial);
        if (enough) {
            break;
        }
    }
    VSL_TRY(vsl_shoot(&r->shot, g, &g->fixed, 1, 0, 1, be));
out:
    return st;
}

/* The images of `in` with intensities to a common scale; what is taken (may be NULL) is emptied once it is not needed.
 */
static VslStatus prepare(Images *out, const VslVolume *fixed, const VslVolume *moving, const VslVolume *fixed_mask,
                         const VslVolume *moving_mask, VslVolume *taken_fixed, VslVolume *taken_moving)
{
    VslStatus st = VSL_OK;
    VSL_TRY(check_inputs(fixed, moving, fixed_mask, moving_mask));
    VSL_TRY(reg_normalise(&out->fixed, NULL, fixed, fixed_mask, "the fixed image"));
    VSL_TRY(reg_normalise(&out->moving, NULL, moving, moving_mask, "the moving image"));
    if (fixed_mask) {
        VSL_TRY(vsl_volume_copy(&out->fixed_mask, fixed_mask));
    }
    if (moving_mask) {
        VSL_TRY(vsl_volume_copy(&out->moving_mask, moving_mask));
    }
    if (taken_fixed) {
        vsl_volume_free(taken_fixed);
        vsl_volume_free(taken_moving);
    }
out:
    return st;
}

/* The whole of vsl_lddmm once the images are ready; they are emptied as soon as no level needs them. */
static VslStatus deform(VslLddmmResult *out, Images *images, const VslAffine *affine, const VslLddmmOptions *options,
                        VslBackend *be)
{
    VslStatus st = VSL_OK;
    VslLddmmOptions opt = *options;
    VslLddmmResult r = {0};
    RegProblem problem = {0};
    VslField x = {.be = be};
    const VslGrid grid = images->fixed.grid;
    double spacing[3], finest = INFINITY, longest = 0, shares[8], total = 0, before = 0;
    const VslAffine identity = vsl_affine_identity(), *map = affine ? affine : &identity;
    vsl_grid_spacing(spacing, &grid);
    for (int d = 0; d < 3; d++) {
        finest = grid.n[d] > 1 ? fmin(finest, spacing[d]) : finest;
        longest = fmax(longest, spacing[d] * (double)grid.n[d]);
    }
    VSL_CHECK(isfinite(finest), VSL_E_ARG, "the fixed image is a single voxel");
    finest = fmax(finest, opt.finest_mm);
    const VslKernel kernel = {.scales = 1, .alpha_mm2 = {opt.alpha_mm2}, .weight = {1}, .gamma = 1, .power = opt.power};
    const VslGrid finest_band = band_over(&grid, fmax(opt.band_mm, longest / (double)opt.band_nodes), opt.alpha_mm2);
    for (int l = 0; l < opt.levels; l++) {
        const int its = l + 1 < opt.levels ? opt.iterations : opt.fine_iterations;
        total += shares[l] = its * pow(8, l - opt.levels + 1);
    }
    Run run = {.opt = &opt, .levels = opt.levels};
    for (int l = 0; l < opt.levels; l++) {
        RegLbfgsResult result = {0};
        const int coarser = opt.levels - 1 - l;
        const double ratio = coarser == 0 ? 1 : pow(5.0 / 3.0, coarser); /* the band grows over the levels */
        int64_t n[3];
        for (int d = 0; d < 3; d++) {
            const int64_t wanted = vsl_fft_length((int64_t)ceil((double)finest_band.n[d] / ratio));
            n[d] =
                finest_band.n[d] == 1 ? 1 : (wanted < 8 ? 8 : (wanted < finest_band.n[d] ? wanted : finest_band.n[d]));
        }
        /* node 0 of every level stands at one place, so that spectra carry over without a shift */
        VslAffine step = vsl_affine_identity();
        for (int d = 0; d < 3; d++) {
            step.m[d][d] = (double)finest_band.n[d] / (double)n[d];
        }
        const VslGrid band = {{n[0], n[1], n[2]}, vsl_affine_compose(&finest_band.to_ras, &step)};
        run.level = l;
        run.most = coarser > 0 ? opt.iterations : opt.fine_iterations;
        run.share = shares[l] / total;
        VSL_TRY(run_level(&x, &problem, &result, &run, images, finest * pow(2, coarser), &band, &kernel, map,
                          coarser == 0 ? &before : NULL));
        run.done += run.share;
        r.iterations += result.iterations;
        r.evaluations += result.evaluations;
        r.energy_before = result.energy_before;
        r.energy_after = result.energy_after;
    }
    const double voxels_mm3 = vsl_grid_voxel_mm3(&problem.grid) * (double)vsl_grid_voxels(&problem.grid);
    VSL_TRY(finish(&x, &problem, &r, &run));
    r.similarity_before = -before / voxels_mm3;
    r.similarity_after = -problem.last_similarity / voxels_mm3;
    r.geodesic.fixed = grid;
    r.geodesic.kernel = kernel;
    r.geodesic.time_steps = problem.flow.steps;
    const VslGrid band = {{problem.flow.n[0], problem.flow.n[1], problem.flow.n[2]}, finest_band.to_ras};
    VSL_TRY(vsl_volume_new(&r.geodesic.velocity, &band, 3));
    VSL_TRY(vsl_field_download(r.geodesic.velocity.data, &problem.flow.v[0], vsl_field_count(&problem.flow.v[0])));
    reg_problem_free(&problem);
    VSL_TRY(shoot_within(&r, opt.drift, be));
    *out = r;
    r = (VslLddmmResult){0};
out:
    vsl_lddmm_result_free(&r);
    vsl_field_free(&x);
    reg_problem_free(&problem);
    return st;
}

static VslStatus lddmm(VslLddmmResult *out, const VslVolume *fixed, const VslVolume *moving,
                       const VslVolume *fixed_mask, const VslVolume *moving_mask, VslVolume *taken_fixed,
                       VslVolume *taken_moving, const VslAffine *affine, const VslLddmmOptions *options, VslBackend *be)
{
    VslStatus st = VSL_OK;
    VslLddmmOptions opt = options ? *options : (VslLddmmOptions){0};
    Images images = {0};
    const double start = now_seconds();
    VSL_TRY(vsl_options_resolve(&opt, vsl_lddmm_option_table));
    VSL_TRY(prepare(&images, fixed, moving, fixed_mask, moving_mask, taken_fixed, taken_moving));
    VSL_TRY(deform(out, &images, affine, &opt, be));
    out->seconds = now_seconds() - start;
out:
    free_images(&images);
    return st;
}

VslStatus vsl_lddmm(VslLddmmResult *out, const VslVolume *fixed, const VslVolume *moving, const VslVolume *fixed_mask,
                    const VslVolume *moving_mask, const VslAffine *affine, const VslLddmmOptions *options,
                    VslBackend *be)
{
    return lddmm(out, fixed, moving, fixed_mask, moving_mask, NULL, NULL, affine, options, be);
}

VslStatus vsl_lddmm_take(VslLddmmResult *out, VslVolume *fixed, VslVolume *moving, const VslVolume *fixed_mask,
                         const VslVolume *moving_mask, const VslAffine *affine, const VslLddmmOptions *options,
                         VslBackend *be)
{
    return lddmm(out, fixed, moving, fixed_mask, moving_mask, fixed, moving, affine, options, be);
}

void vsl_lddmm_result_free(VslLddmmResult *r)
{
    vsl_geodesic_free(&r->geodesic);
    vsl_shoot_result_free(&r->shot);
    *r = (VslLddmmResult){0};
}
