/* Set-up and cases. A check uses an identity of the kernel, not stored numbers. */
#include "bench/kernel_cases.h"

#include <math.h>
#include <string.h>

#include "core/random.h"

#define LNCC_RADIUS 4
static const double tolerance = 1e-4; /* float sums of some hundred terms, relative */

static int64_t voxels(const VslField *f)
{
    return f->n[0] * f->n[1] * f->n[2];
}

static void fill_random(VslField *f, uint64_t stream, double size)
{
    for (int64_t i = 0; i < vsl_field_count(f); i++) {
        f->data[i] = (float)(size * vsl_random_normal(1, stream, (uint64_t)i));
    }
}

static void fill_value(VslField *f, float value)
{
    for (int64_t i = 0; i < vsl_field_count(f); i++) {
        f->data[i] = value;
    }
}

static double sum_of(const float *x, int64_t count)
{
    double sum = 0;
    for (int64_t i = 0; i < count; i++) {
        sum += (double)x[i];
    }
    return sum;
}

static double largest_difference(const VslField *x, const VslField *y)
{
    double worst = 0;
    for (int64_t i = 0; i < vsl_field_count(x); i++) {
        worst = fmax(worst, fabs((double)x->data[i] - (double)y->data[i]));
    }
    return worst;
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
    const VslAffine identity = vsl_affine_identity();
    int64_t band_n[3];
    VslVolume image = {0};
    VSL_CHECK(vsl_backend_is_host(be), VSL_E_UNSUPPORTED, "the checks read results on the host: use --device cpu");
    for (int d = 0; d < 3; d++) {
        band_n[d] = vsl_fft_length((n[d] + 3) / 4 + 6);
    }
    const VslGrid band = vsl_grid_centred(band_n, node);
    VSL_TRY(vsl_volume_new(&image, &grid, 1));
    for (int64_t i = 0; i < vsl_grid_voxels(&grid); i++) {
        image.data[i] = (float)vsl_random_normal(1, 0, (uint64_t)i);
    }
    VSL_TRY(reg_problem_new(&s.problem, be, &band, &kernel, 4, &image, &image, NULL, NULL, &identity, &similarity, 1));
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
    fill_value(&s.ones, 1);
    fill_random(&s.a, 1, 1);
    fill_random(&s.b, 2, 1);
    fill_random(&p->flow.m[0], 3, 100);
    VSL_TRY(vsl_filter_apply(p->flow.filter, &p->flow.v[0], &p->flow.m[0], &p->flow.smooth));
    VSL_TRY(p->flow.op->particles_start(&s.positions, &p->lattice_to_band));
    *out = s;
    memset(&s, 0, sizeof s);
out:
    vsl_volume_free(&image);
    setup_free(&s);
    return st;
}

void setup_free(Setup *s)
{
    VslField *fields[] = {&s->ones, &s->a, &s->b, &s->c, &s->cot, &s->windows, &s->eta, &s->positions, &s->scratch};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        vsl_field_free(fields[i]);
    }
    reg_problem_free(&s->problem);
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
    VSL_TRY(run_filter(s));
    VSL_TRY(vsl_filter_apply(f->filter, &s->cot, &f->v[0], &f->root));
    VSL_TRY(vsl_filter_apply(f->filter, &s->cot, &s->cot, &f->root));
    st = expect("L K m - m", largest_difference(&s->cot, &f->m[0]), 0, 100 * 10 * tolerance);
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
    fill_value(&s->cot, 0);
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
    st = expect("|Dv v - Dv v|", sqrt(dd / vv), 0, tolerance * sqrt(vv / (double)voxels(&f->v[0])));
out:
    fill_value(&s->problem.flow.work[1], 0);
    return st;
}

static VslStatus run_stage_adjoint(Setup *s)
{
    RegFlow *f = &s->problem.flow;
    return f->op->stage_adjoint(&f->work[0], &f->work[1], &s->a, &s->b, &f->m[0], 0.5, 0.25);
}

static VslStatus check_stage_adjoint(Setup *s)
{
    VslStatus st = VSL_OK;
    const RegFlow *f = &s->problem.flow;
    VSL_TRY(run_stage_adjoint(s));
    for (int64_t i = 0; i < vsl_field_count(&s->a); i += 101) {
        const double want = 0.5 * (double)f->m[0].data[i] + 0.25 * ((double)s->a.data[i] + (double)s->b.data[i]);
        VSL_TRY(expect("c1 lambda + c2 g", (double)f->work[0].data[i], want, 100 * tolerance));
    }
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
    double speed = 0, slope = 0, worst = 0;
    VSL_TRY(f->op->velocity_bounds(&speed, &slope, &f->v[0], f->h));
    for (int64_t i = 0; i < vsl_field_count(&f->v[0]); i++) {
        worst = fmax(worst, fabs((double)f->v[0].data[i]));
    }
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
    fill_value(&s->cot, 2);
    VSL_TRY(f->op->particles_step(&s->eta, &s->positions, &s->cot, &s->cot, 0.5, f->h));
    const int64_t count = vsl_field_count(&s->eta);
    st = expect("mean step", (sum_of(s->eta.data, count) - sum_of(s->positions.data, count)) / (double)count,
                2 * 0.5 / f->h[0], tolerance);
out:
    return st;
}

static VslStatus run_step_adjoint(Setup *s)
{
    RegFlow *f = &s->problem.flow;
    fill_value(&s->eta, 1); /* part of what is timed, small beside the rest */
    return f->op->particles_adjoint(&s->eta, &f->work[0], &f->work[1], &s->positions, &f->v[0], &f->v[0], -0.1, f->h);
}

static VslStatus check_step_adjoint(Setup *s) /* without wind the cotangents go where the particles are, undiminished */
{
    VslStatus st = VSL_OK;
    RegFlow *f = &s->problem.flow;
    const double dt = 0.5;
    fill_value(&s->eta, 1);
    fill_value(&s->cot, 0);
    fill_value(&f->work[0], 0);
    fill_value(&f->work[1], 0);
    VSL_TRY(f->op->particles_adjoint(&s->eta, &f->work[0], &f->work[1], &s->positions, &s->cot, &s->cot, dt, f->h));
    const int64_t band = vsl_field_count(&f->work[0]), count = vsl_field_count(&s->eta);
    const double got = sum_of(f->work[0].data, band) + sum_of(f->work[1].data, band);
    VSL_TRY(expect("sum of the velocities' cotangents", got, dt / f->h[0] * (double)count, tolerance * (double)count));
    st = expect("mean cotangent", sum_of(s->eta.data, count) / (double)count, 1, tolerance);
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
    VSL_TRY(run_warp(s));
    double error = 0;
    const int64_t count = voxels(&p->warped);
    for (int64_t i = 0; i < count; i++) {
        const double d = (double)p->warped.data[i] - (double)p->moving.data[i];
        error += d * d;
    }
    st = expect("rms of warped - moving", sqrt(error / (double)count), 0, 1e-3); /* positions are float: 1e-5 voxel */
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
    const int64_t count = voxels(&s->c), nodes = voxels(&s->eta);
    fill_random(&s->c, 7, 1);
    VSL_TRY(run_restrict(s));
    for (int axis = 0; axis < 3; axis++) {
        double want = 0, size = 0;
        for (int64_t i = 0; i < count; i++) {
            const double term = (double)s->c.data[i] * (double)p->slope.data[axis * count + i];
            want += term;
            size += fabs(term);
        }
        VSL_TRY(expect("force along an axis", sum_of(s->eta.data + axis * nodes, nodes), want, tolerance * size));
    }
out:
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
    fill_random(&s->c, 9, 1);
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
    double energy = 0, want = 0;
    fill_random(&s->c, 9, 1);
    for (int64_t i = 0; i < voxels(&s->c); i++) {
        const double d = (double)s->c.data[i] - (double)p->fixed.data[i];
        want += 0.5 * d * d;
    }
    VSL_TRY(p->flow.op->ssd(&energy, &p->grad, &p->fixed, &s->c, &s->ones, 1));
    st = expect("1/2 sum (J - I)^2", energy, want, tolerance * want);
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
    VSL_TRY(run_multiply(s));
    st = expect("1 x I - I", largest_difference(&s->c, &s->problem.fixed), 0, 0);
out:
    return st;
}

/* Floats: fields read and written once each, whatever is kept in a cache between. */
const KernelCase kernel_cases[] = {
    {"filter K (3 components)", run_filter, check_filter, ON_BAND, 6},
    {"EPDiff", run_epdiff, check_epdiff, ON_BAND, 3 * 6},
    {"EPDiff, transposed", run_epdiff_adjoint, check_epdiff_adjoint, ON_BAND, 3 * 6},
    {"stage, transposed", run_stage_adjoint, check_stage_adjoint, ON_BAND, 3 * 6},
    {"velocity bounds", run_bounds, check_bounds, ON_BAND, 3},
    {"particles step", run_step, check_step, ON_LATTICE, 3 * 4},
    {"particles step, transposed", run_step_adjoint, check_step_adjoint, ON_LATTICE, 3 * 9},
    {"warp with slope", run_warp, check_warp, ON_IMAGE, 5},
    {"warp, transposed", run_restrict, check_restrict, ON_IMAGE, 4},
    {"LNCC, fixed image's windows", run_lncc_prepare, check_lncc, ON_IMAGE, 5},
    {"LNCC with derivative", run_lncc, check_lncc, ON_IMAGE, 7},
    {"SSD with derivative", run_ssd, check_ssd, ON_IMAGE, 4},
    {"product of masks", run_multiply, check_multiply, ON_IMAGE, 3},
    {NULL, NULL, NULL, ON_BAND, 0},
};
