/* Set-up and cases. A check uses an identity of the kernel, not stored numbers. */
#include "bench/kernel_cases.h"

#include <math.h>
#include <string.h>

#include "core/random.h"
#include "registration/transform.h"

#define LNCC_RADIUS 4
static const double tolerance = 1e-4; /* float sums of some hundred terms, relative */

static int64_t voxels(const VslField *f)
{
    return f->n[0] * f->n[1] * f->n[2];
}

static VslStatus fill_random(VslField *f, uint64_t stream, double size)
{
    VslStatus st = VSL_OK;
    float *host = NULL;
    const int64_t count = vsl_field_count(f);
    VSL_TRY(VSL_NEW(&host, count, "values"));
    for (int64_t i = 0; i < count; i++) {
        host[i] = (float)(size * vsl_random_normal(1, stream, (uint64_t)i));
    }
    VSL_TRY(vsl_field_upload(f, host, count));
out:
    vsl_free(host);
    return st;
}

/* A copy in the host's memory, to be freed with vsl_free. */
static VslStatus fetch(float **out, const VslField *f)
{
    VslStatus st = VSL_OK;
    float *host = NULL;
    VSL_TRY(VSL_NEW(&host, vsl_field_count(f), "values"));
    VSL_TRY(vsl_field_download(host, f, vsl_field_count(f)));
    *out = host;
    host = NULL;
out:
    vsl_free(host);
    return st;
}

/* Sum of one plane, or of all when plane is -1. */
static VslStatus sum_of(double *sum, const VslField *f, int plane)
{
    VslStatus st = VSL_OK;
    float *host = NULL;
    const int64_t n = voxels(f), first = plane < 0 ? 0 : plane * n, end = plane < 0 ? vsl_field_count(f) : first + n;
    VSL_TRY(fetch(&host, f));
    *sum = 0;
    for (int64_t i = first; i < end; i++) {
        *sum += (double)host[i];
    }
out:
    vsl_free(host);
    return st;
}

/* Largest and root mean square difference. */
static VslStatus difference(double *worst, double *rms, const VslField *x, const VslField *y)
{
    VslStatus st = VSL_OK;
    float *a = NULL, *b = NULL;
    double squares = 0;
    VSL_TRY(fetch(&a, x));
    VSL_TRY(fetch(&b, y));
    *worst = 0;
    for (int64_t i = 0; i < vsl_field_count(x); i++) {
        const double d = (double)a[i] - (double)b[i];
        *worst = fmax(*worst, fabs(d));
        squares += d * d;
    }
    *rms = sqrt(squares / (double)vsl_field_count(x));
out:
    vsl_free(a);
    vsl_free(b);
    return st;
}

static VslStatus expect(const char *what, double got, double want, double tol)
{
    return fabs(got - want) <= tol
               ? VSL_OK
               : vsl_fail(VSL_E_NUMERIC, __func__, "%s is %.8g, expected %.8g +- %.2g", what, got, want, tol);
}

VslStatus setup_new(Setup *out, VslBackend *be, const int64_t n[3])
{
    VslStatus st = VSL_OK;
    Setup s = {.radius = {LNCC_RADIUS, LNCC_RADIUS, LNCC_RADIUS}};
    const double unit[3] = {1, 1, 1}, node[3] = {4, 4, 4};
    const VslGrid grid = vsl_grid_centred(n, unit);
    const VslKernel kernel = {.scales = 1, .alpha_mm2 = {20}, .weight = {1}, .gamma = 1, .power = 2};
    const RegSimilarityOptions similarity = {.kind = VSL_SIMILARITY_SSD, .spacing_mm = {1, 1, 1}};
    const RegSimilarityOptions lncc = {.kind = VSL_SIMILARITY_LNCC,
                                       .windows = 2,
                                       .radius_vox = {{7, 7, 7}, {2, 2, 2}},
                                       .eps = 1e-6, /* their variance is some thousandths */
                                       .spacing_mm = {1, 1, 1}};
    const VslAffine identity = vsl_affine_identity();
    int64_t band_n[3];
    VslVolume image = {0}, one = {0}, other = {0};
    for (int d = 0; d < 3; d++) {
        band_n[d] = vsl_fft_length((n[d] + 3) / 4 + 6);
    }
    const VslGrid band = vsl_grid_centred(band_n, node);
    VSL_TRY(vsl_volume_new(&image, &grid, 1));
    for (int64_t i = 0; i < vsl_grid_voxels(&grid); i++) {
        image.data[i] = (float)vsl_random_normal(1, 0, (uint64_t)i);
    }
    VSL_TRY(vsl_volume_copy(&one, &image));
    VSL_TRY(vsl_volume_copy(&other, &image));
    VSL_TRY(vsl_smooth(&one, 2, vsl_backend_threads(be))); /* alike, not equal, and smooth enough for derivatives */
    VSL_TRY(vsl_smooth(&other, 2.5, vsl_backend_threads(be)));
    VSL_TRY(
        reg_problem_new(&s.problem, be, &band, &kernel, 4, &image, &image, NULL, NULL, &identity, &similarity, 1, 0.5));
    VSL_TRY(reg_problem_new(&s.lncc, be, &band, &kernel, 3, &one, &other, NULL, NULL, &identity, &lncc, 750, 0.1));
    s.lncc.volume_weight = 3000;
    RegProblem *p = &s.problem;
    VSL_TRY(vsl_field_new(&s.ones, be, n, 1));
    VSL_TRY(vsl_field_new(&s.c, be, n, 1));
    VSL_TRY(vsl_field_new(&s.windows, be, n, 3));
    VSL_TRY(vsl_field_new(&s.scratch, be, n, 3));
    VSL_TRY(vsl_field_new(&s.a, be, band_n, 3));
    VSL_TRY(vsl_field_new(&s.b, be, band_n, 3));
    VSL_TRY(vsl_field_new(&s.cot, be, band_n, 3));
    VSL_TRY(vsl_field_new(&s.eta, be, p->lattice.n, 3));
    VSL_TRY(vsl_field_new(&s.positions, be, p->lattice.n, 3));
    VSL_TRY(vsl_field_new(&s.tick, be, (int64_t[3]){1, 1, 1}, 1));
    VSL_TRY(p->flow.op->fill(&s.ones, 1));
    VSL_TRY(fill_random(&s.a, 1, 1));
    VSL_TRY(fill_random(&s.b, 2, 1));
    VSL_TRY(fill_random(&p->flow.m[0], 3, 100));
    VSL_TRY(vsl_filter_apply(p->flow.filter, &p->flow.v[0], &p->flow.m[0], &p->flow.smooth));
    VSL_TRY(p->flow.op->particles_start(&s.positions, &p->lattice_to_band));
    *out = s;
    memset(&s, 0, sizeof s);
out:
    vsl_volume_free(&image);
    vsl_volume_free(&one);
    vsl_volume_free(&other);
    setup_free(&s);
    return st;
}

void setup_free(Setup *s)
{
    VslField *fields[] = {&s->ones,    &s->a,   &s->b,         &s->c,       &s->cot,
                          &s->windows, &s->eta, &s->positions, &s->scratch, &s->tick};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        vsl_field_free(fields[i]);
    }
    reg_problem_free(&s->problem);
    reg_problem_free(&s->lncc);
}

/* Band grid. */

static VslStatus run_filter(Setup *s)
{
    RegFlow *f = &s->problem.flow;
    return vsl_filter_apply(f->filter, &f->v[0], &f->m[0], &f->smooth);
}

static VslStatus check_filter(Setup *s) /* K then L^(1/2) twice is nothing */
{
    VslStatus st = VSL_OK;
    RegFlow *f = &s->problem.flow;
    double worst = 0, rms = 0;
    VSL_TRY(run_filter(s));
    VSL_TRY(vsl_filter_apply(f->filter, &s->cot, &f->v[0], &f->root));
    VSL_TRY(vsl_filter_apply(f->filter, &s->cot, &s->cot, &f->root));
    VSL_TRY(difference(&worst, &rms, &s->cot, &f->m[0]));
    st = expect("L K m - m", worst, 0, 100 * 10 * tolerance);
out:
    return st;
}

static VslStatus run_epdiff(Setup *s)
{
    RegFlow *f = &s->problem.flow;
    return f->op->epdiff(&f->work[0], &f->m[0], 0.1, &f->work[1], 0.2, &f->m[0], &f->v[0], f->h);
}

static VslStatus check_epdiff(Setup *s) /* the right-hand side does no work: <F, v> = 0 */
{
    VslStatus st = VSL_OK;
    RegFlow *f = &s->problem.flow;
    double work = 0, ff = 0, vv = 0;
    VSL_TRY(f->op->fill(&s->cot, 0));
    VSL_TRY(f->op->epdiff(NULL, NULL, 0, &s->cot, 1, &f->m[0], &f->v[0], f->h));
    VSL_TRY(vsl_field_dot(&work, &s->cot, &f->v[0]));
    VSL_TRY(vsl_field_dot(&ff, &s->cot, &s->cot));
    VSL_TRY(vsl_field_dot(&vv, &f->v[0], &f->v[0]));
    VSL_TRY(expect("<F, v> / |F||v|", work / sqrt(ff * vv), 0, tolerance));
    st = ff > 0 ? VSL_OK : vsl_fail(VSL_E_NUMERIC, __func__, "F is zero");
out:
    return st;
}

static VslStatus run_epdiff_adjoint(Setup *s)
{
    RegFlow *f = &s->problem.flow;
    return f->op->epdiff_adjoint(&f->work[0], &f->work[1], &f->m[0], &f->v[0], &s->a, f->h);
}

static VslStatus check_epdiff_adjoint(Setup *s) /* Da v - Dv a vanishes for a = v */
{
    VslStatus st = VSL_OK;
    RegFlow *f = &s->problem.flow;
    double dd = 0, vv = 0;
    VSL_TRY(f->op->epdiff_adjoint(&f->work[0], &f->work[1], &f->m[0], &f->v[0], &f->v[0], f->h));
    VSL_TRY(vsl_field_dot(&dd, &f->work[0], &f->work[0]));
    VSL_TRY(vsl_field_dot(&vv, &f->v[0], &f->v[0]));
    VSL_TRY(expect("|Dv v - Dv v|", sqrt(dd / vv), 0, tolerance * sqrt(vv / (double)voxels(&f->v[0]))));
    VSL_TRY(f->op->fill(&f->work[1], 0));
out:
    return st;
}

static VslStatus run_stage_adjoint(Setup *s)
{
    RegFlow *f = &s->problem.flow;
    return f->op->stage_adjoint(&f->work[0], &f->work[1], &s->a, &s->b, &f->m[0], 0.5, 0.25);
}

static VslStatus check_stage_adjoint(Setup *s) /* work = c1 m + c2 (a + b) */
{
    VslStatus st = VSL_OK;
    RegFlow *f = &s->problem.flow;
    double worst = 0, rms = 0;
    VSL_TRY(run_stage_adjoint(s));
    VSL_TRY(vsl_field_copy(&s->cot, &f->m[0]));
    VSL_TRY(vsl_field_axpby(&s->cot, 0.25, &s->a, 0.5));
    VSL_TRY(vsl_field_axpby(&s->cot, 0.25, &s->b, 1));
    VSL_TRY(difference(&worst, &rms, &s->cot, &f->work[0]));
    st = expect("c1 lambda + c2 g", worst, 0, 100 * tolerance);
out:
    return st;
}

static VslStatus run_bounds(Setup *s)
{
    const RegFlow *f = &s->problem.flow;
    double speed, slope;
    return f->op->velocity_bounds(&speed, &slope, &f->v[0], f->h);
}

static VslStatus check_bounds(Setup *s)
{
    VslStatus st = VSL_OK;
    const RegFlow *f = &s->problem.flow;
    double speed = 0, slope = 0, worst = 0, rms = 0;
    VSL_TRY(f->op->velocity_bounds(&speed, &slope, &f->v[0], f->h));
    VSL_TRY(f->op->fill(&s->cot, 0));
    VSL_TRY(difference(&worst, &rms, &f->v[0], &s->cot));
    st = expect("largest component", speed, worst, tolerance * worst);
out:
    return st;
}

/* Lattice of particles. */

static VslStatus run_step(Setup *s)
{
    RegFlow *f = &s->problem.flow;
    return f->op->particles_step(&s->eta, &s->positions, &f->v[0], &f->v[0], -0.1, f->h);
}

static VslStatus check_step(Setup *s) /* a uniform wind carries everything equally far */
{
    VslStatus st = VSL_OK;
    RegFlow *f = &s->problem.flow;
    double after = 0, before = 0;
    VSL_TRY(f->op->fill(&s->cot, 2));
    VSL_TRY(f->op->particles_step(&s->eta, &s->positions, &s->cot, &s->cot, 0.5, f->h));
    VSL_TRY(sum_of(&after, &s->eta, -1));
    VSL_TRY(sum_of(&before, &s->positions, -1));
    st = expect("mean step", (after - before) / (double)vsl_field_count(&s->eta), 2 * 0.5 / f->h[0], tolerance);
out:
    return st;
}

static VslStatus run_step_adjoint(Setup *s)
{
    VslStatus st = VSL_OK;
    RegFlow *f = &s->problem.flow;
    VSL_TRY(f->op->fill(&s->eta, 1)); /* part of what is timed, small beside the rest */
    VSL_TRY(f->op->particles_adjoint(&s->eta, &f->work[0], &f->work[1], &s->positions, &f->v[0], &f->v[0], -0.1, f->h));
out:
    return st;
}

static VslStatus check_step_adjoint(Setup *s) /* without wind the cotangents go where the particles are, undiminished */
{
    VslStatus st = VSL_OK;
    RegFlow *f = &s->problem.flow;
    const double dt = 0.5, count = (double)vsl_field_count(&s->eta);
    double first = 0, mid = 0, eta = 0;
    VSL_TRY(f->op->fill(&s->eta, 1));
    VSL_TRY(f->op->fill(&s->cot, 0));
    VSL_TRY(f->op->fill(&f->work[0], 0));
    VSL_TRY(f->op->fill(&f->work[1], 0));
    VSL_TRY(f->op->particles_adjoint(&s->eta, &f->work[0], &f->work[1], &s->positions, &s->cot, &s->cot, dt, f->h));
    VSL_TRY(sum_of(&first, &f->work[0], -1));
    VSL_TRY(sum_of(&mid, &f->work[1], -1));
    VSL_TRY(sum_of(&eta, &s->eta, -1));
    VSL_TRY(expect("sum of the velocities' cotangents", first + mid, dt / f->h[0] * count, tolerance * count));
    st = expect("mean cotangent", eta / count, 1, tolerance);
out:
    return st;
}

static VslStatus run_volume(Setup *s)
{
    RegProblem *p = &s->problem;
    double energy = 0;
    return p->flow.op->volume_penalty(&energy, &s->eta, &p->jac, &s->positions, &p->floor, 1);
}

static VslStatus check_volume(Setup *s) /* particles at rest keep their volume: determinant 1, half of a floor of 2 */
{
    VslStatus st = VSL_OK;
    RegProblem *p = &s->problem;
    double energy = 0, want = 0.125;
    for (int d = 0; d < 3; d++) {
        want *= (double)(p->lattice.n[d] - 2);
    }
    VSL_TRY(p->flow.op->fill(&p->floor, 2));
    VSL_TRY(p->flow.op->volume_penalty(&energy, NULL, &p->jac, &s->positions, &p->floor, 0));
    VSL_TRY(p->flow.op->fill(&p->floor, 0.5f));
    st = expect("penalty of a determinant of 1 below 2", energy, want, tolerance * want);
out:
    return st;
}

/* Image grid. */

static VslStatus run_warp(Setup *s)
{
    RegProblem *p = &s->problem;
    return p->flow.op->warp(&p->warped, &p->slope, &p->moving, &s->positions, &p->lattice, &p->to_moving);
}

static VslStatus check_warp(Setup *s) /* particles at rest leave the image as it is */
{
    VslStatus st = VSL_OK;
    RegProblem *p = &s->problem;
    double worst = 0, rms = 0;
    VSL_TRY(run_warp(s));
    VSL_TRY(difference(&worst, &rms, &p->warped, &p->moving));
    VSL_TRY(expect("rms of warped - moving", rms, 0, 1e-3)); /* positions are float: 1e-5 voxel */
    /* timed off voxel centres, which a registration leaves with its first step */
    VSL_TRY(p->flow.op->fill(&s->cot, 0.3f));
    VSL_TRY(p->flow.op->particles_step(&s->positions, &s->positions, &s->cot, &s->cot, 1, p->flow.h));
out:
    return st;
}

static VslStatus run_restrict(Setup *s)
{
    RegProblem *p = &s->problem;
    return p->flow.op->restrict_force(&s->eta, &s->c, &p->slope, &p->lattice, 1);
}

static VslStatus check_restrict(Setup *s) /* weights of a voxel add to 1: the whole force arrives */
{
    VslStatus st = VSL_OK;
    RegProblem *p = &s->problem;
    const int64_t count = voxels(&s->c);
    float *force = NULL, *slope = NULL;
    VSL_TRY(fill_random(&s->c, 7, 1));
    VSL_TRY(run_restrict(s));
    VSL_TRY(fetch(&force, &s->c));
    VSL_TRY(fetch(&slope, &p->slope));
    for (int axis = 0; axis < 3; axis++) {
        double want = 0, size = 0, got = 0;
        for (int64_t i = 0; i < count; i++) {
            const double term = (double)force[i] * (double)slope[axis * count + i];
            want += term;
            size += fabs(term);
        }
        VSL_TRY(sum_of(&got, &s->eta, axis));
        VSL_TRY(expect("force along an axis", got, want, tolerance * size));
    }
out:
    vsl_free(force);
    vsl_free(slope);
    return st;
}

static VslStatus run_lncc_prepare(Setup *s)
{
    RegProblem *p = &s->problem;
    return p->flow.op->lncc_prepare(&s->windows, &p->fixed, &s->ones, s->radius, 1e-3);
}

static VslStatus run_lncc(Setup *s)
{
    RegProblem *p = &s->problem;
    double energy;
    return p->flow.op->lncc(&energy, &p->grad, &p->fixed, &p->warped, &s->ones, &s->windows, &s->scratch, s->radius,
                            1e-3, 1, 0);
}

static VslStatus check_lncc(Setup *s) /* an image correlates with itself, and noise with nothing else */
{
    VslStatus st = VSL_OK;
    RegProblem *p = &s->problem;
    double self = 0, other = 0;
    const double count = (double)voxels(&p->fixed);
    VSL_TRY(run_lncc_prepare(s));
    VSL_TRY(
        p->flow.op->lncc(&self, NULL, &p->fixed, &p->fixed, &s->ones, &s->windows, &s->scratch, s->radius, 1e-3, 1, 0));
    VSL_TRY(fill_random(&s->c, 9, 1));
    VSL_TRY(
        p->flow.op->lncc(&other, NULL, &p->fixed, &s->c, &s->ones, &s->windows, &s->scratch, s->radius, 1e-3, 1, 0));
    VSL_TRY(expect("correlation with itself", -self / count, 1, 0.01));
    st = expect("correlation with noise", -other / count, 0, 0.05); /* 1 / (window's voxels - 1) in the mean */
out:
    return st;
}

static VslStatus run_ssd(Setup *s)
{
    RegProblem *p = &s->problem;
    double energy;
    return p->flow.op->ssd(&energy, &p->grad, &p->fixed, &s->c, &s->ones, 1);
}

static VslStatus check_ssd(Setup *s)
{
    VslStatus st = VSL_OK;
    RegProblem *p = &s->problem;
    const double count = (double)voxels(&s->c);
    double energy = 0, worst = 0, rms = 0;
    VSL_TRY(fill_random(&s->c, 9, 1));
    VSL_TRY(difference(&worst, &rms, &s->c, &p->fixed));
    VSL_TRY(p->flow.op->ssd(&energy, &p->grad, &p->fixed, &s->c, &s->ones, 1));
    st = expect("mean of (J - I)^2 / 2", energy / count, 0.5 * rms * rms, tolerance);
out:
    return st;
}

static const RegMiBins bins = {32, {-3, 31 / 6.0, 0, 31}, {-3, 29 / 6.0, 1, 30}};

static VslStatus run_mi_count(Setup *s)
{
    const RegProblem *p = &s->problem;
    double joint[32 * 32], total;
    return p->flow.op->mi_count(joint, &total, &p->fixed, &s->c, &s->ones, NULL, &bins);
}

static VslStatus run_mi_derive(Setup *s)
{
    RegProblem *p = &s->problem;
    double table[32 * 32];
    for (int i = 0; i < 32 * 32; i++) {
        table[i] = i % 32; /* the fixed image does not matter, and the derivative is that of the bin: 1 */
    }
    return p->flow.op->mi_derive(&p->grad, table, &p->fixed, &s->c, &s->ones, NULL, &bins, 1);
}

static VslStatus check_mi(Setup *s) /* every voxel is counted once; bins grow evenly with intensity */
{
    VslStatus st = VSL_OK;
    RegProblem *p = &s->problem;
    double joint[32 * 32], total = 0, sum = 0, worst = 0, rms = 0;
    const double count = (double)voxels(&s->c);
    VSL_TRY(p->flow.op->fill(&s->c, 0.4f));
    VSL_TRY(p->flow.op->mi_count(joint, &total, &p->fixed, &s->c, &s->ones, NULL, &bins));
    for (int i = 0; i < 32 * 32; i++) {
        sum += joint[i];
    }
    VSL_TRY(expect("share of voxels in the histogram", sum / count, 1, 1e-9));
    VSL_TRY(expect("share of voxels counted", total / count, 1, 1e-9));
    VSL_TRY(run_mi_derive(s));
    VSL_TRY(difference(&worst, &rms, &p->grad, &s->ones));
    VSL_TRY(expect("slope of even bins - 1", worst, 0, tolerance));
    VSL_TRY(fill_random(&s->c, 9, 1));
out:
    return st;
}

static VslStatus run_linear_warp(Setup *s)
{
    RegProblem *p = &s->problem;
    const VslAffine identity = vsl_affine_identity();
    double met;
    return p->flow.op->linear_warp(&met, &p->warped, &s->c, &p->slope, &p->moving, NULL, &s->ones, &identity);
}

static VslStatus run_linear_moments(Setup *s)
{
    double moment[3][4];
    return s->problem.flow.op->linear_moments(moment, &s->c, &s->problem.slope);
}

static VslStatus check_linear(Setup *s) /* the identity leaves the image as it is; a force times no slope is nothing */
{
    VslStatus st = VSL_OK;
    RegProblem *p = &s->problem;
    double worst = 0, rms = 0, moment[3][4], dot = 0;
    VSL_TRY(run_linear_warp(s));
    VSL_TRY(difference(&worst, &rms, &p->warped, &p->moving));
    VSL_TRY(expect("warped - moving", worst, 0, 1e-6));
    VSL_TRY(p->flow.op->linear_moments(moment, &s->ones, &p->slope));
    VSL_TRY(sum_of(&dot, &p->slope, 1));
    VSL_TRY(expect("moment of a force of 1", moment[1][3], dot, tolerance * (double)voxels(&s->c)));
out:
    return st;
}

static VslStatus run_multiply(Setup *s)
{
    return s->problem.flow.op->multiply(&s->c, &s->problem.fixed, &s->ones);
}

static VslStatus check_multiply(Setup *s)
{
    VslStatus st = VSL_OK;
    double worst = 0, rms = 0;
    VSL_TRY(run_multiply(s));
    VSL_TRY(difference(&worst, &rms, &s->c, &s->problem.fixed));
    st = expect("1 x I - I", worst, 0, 0);
out:
    return st;
}

/* Everything: energy and gradient of a registration by LNCC with its two windows. */
static VslStatus run_gradient(Setup *s)
{
    double energy = 0;
    return reg_problem_evaluate(&s->lncc, &energy, &s->b, &s->a);
}

static VslStatus check_gradient(Setup *s) /* along its own gradient the energy changes by its square */
{
    VslStatus st = VSL_OK;
    double energy[2] = {0, 0}, here = 0, gg = 0;
    VSL_TRY(fill_random(&s->a, 1, 0.5));
    VSL_TRY(reg_problem_evaluate(&s->lncc, &here, &s->b, &s->a));
    VSL_TRY(vsl_field_dot(&gg, &s->b, &s->b));
    VSL_CHECK(isfinite(here) && gg > 0, VSL_E_NUMERIC, "the energy is %g, its gradient squared %g", here, gg);
    const double step = 2e-3 * fabs(here) / gg;
    for (int side = 0; side < 2; side++) {
        VSL_TRY(vsl_field_copy(&s->cot, &s->a));
        VSL_TRY(vsl_field_axpby(&s->cot, side ? step : -step, &s->b, 1));
        VSL_TRY(reg_problem_evaluate(&s->lncc, &energy[side], NULL, &s->cot));
    }
    st = expect("(E(x + h g) - E(x - h g)) / 2 h |g|^2", (energy[1] - energy[0]) / (2 * step * gg), 1, 0.02);
out:
    return st;
}

/* Floats: fields read and written once each, whatever is kept in a cache between. LNCC takes two passes: a derivative
 * needs the windows of its neighbours. */
const KernelCase kernel_cases[] = {
    {"filter K (3 components)", run_filter, check_filter, ON_BAND, 6},
    {"EPDiff", run_epdiff, check_epdiff, ON_BAND, 3 * 6},
    {"EPDiff, transposed", run_epdiff_adjoint, check_epdiff_adjoint, ON_BAND, 3 * 6},
    {"stage, transposed", run_stage_adjoint, check_stage_adjoint, ON_BAND, 3 * 6},
    {"velocity bounds", run_bounds, check_bounds, ON_BAND, 3},
    {"particles step", run_step, check_step, ON_LATTICE, 3 * 4},
    {"particles step, transposed", run_step_adjoint, check_step_adjoint, ON_LATTICE, 3 * 9},
    {"volume penalty", run_volume, check_volume, ON_LATTICE, 10},
    {"warp with slope", run_warp, check_warp, ON_IMAGE, 5},
    {"warp, transposed", run_restrict, check_restrict, ON_IMAGE, 4},
    {"LNCC, fixed image's windows", run_lncc_prepare, check_lncc, ON_IMAGE, 5},
    {"LNCC with derivative", run_lncc, check_lncc, ON_IMAGE, 9 + 7},
    {"SSD with derivative", run_ssd, check_ssd, ON_IMAGE, 4},
    {"joint histogram", run_mi_count, check_mi, ON_IMAGE, 3},
    {"joint histogram, slope", run_mi_derive, check_mi, ON_IMAGE, 4},
    {"linear warp with slope", run_linear_warp, check_linear, ON_IMAGE, 7},
    {"linear moments", run_linear_moments, check_linear, ON_IMAGE, 4},
    {"product of masks", run_multiply, check_multiply, ON_IMAGE, 3},
    {"energy and gradient, LNCC", run_gradient, check_gradient, ON_IMAGE, 2 + 5 + 16 + 17 + 4},
    {NULL, NULL, NULL, ON_BAND, 0},
};
