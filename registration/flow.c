/* Runge-Kutta EPDiff, midpoint particles, and their transposes. */
#include "registration/flow.h"

#include <math.h>
#include <string.h>

/* Symbol of -Laplacian with second differences of spacing h, for mode i of n. */
static double minus_laplacian(int64_t i, int64_t n, double h)
{
    return n > 1 ? (2.0 - 2.0 * cos(6.283185307179586476925 * (double)i / (double)n)) / (h * h) : 0.0;
}

static VslStatus make_symbols(RegFlow *f, const VslKernel *kernel)
{
    VslStatus st = VSL_OK;
    const int64_t ns[3] = {f->n[0] / 2 + 1, f->n[1], f->n[2]}, count = ns[0] * ns[1] * ns[2];
    float *k = NULL;
    VslField *fields[3] = {&f->smooth, &f->root, &f->inverse_root};
    VSL_TRY(VSL_NEW(&k, 3 * count, "kernel symbols"));
    for (int64_t q = 0; q < count; q++) {
        const double laplacian = minus_laplacian(q % ns[0], f->n[0], f->h[0]) +
                                 minus_laplacian(q / ns[0] % ns[1], f->n[1], f->h[1]) +
                                 minus_laplacian(q / (ns[0] * ns[1]), f->n[2], f->h[2]);
        double sum = 0;
        for (int s = 0; s < kernel->scales; s++) {
            sum += kernel->weight[s] * pow(kernel->gamma + kernel->alpha_mm2[s] * laplacian, -kernel->power);
        }
        k[q] = (float)sum;
        k[q + count] = (float)(1.0 / sqrt(sum));
        k[q + 2 * count] = (float)sqrt(sum);
    }
    for (int i = 0; i < 3; i++) {
        VSL_TRY(vsl_field_new(fields[i], f->be, ns, 1));
        VSL_TRY(vsl_field_upload(fields[i], k + i * count, count));
    }
out:
    vsl_free(k);
    return st;
}

static VslStatus new_fields(VslField **out, VslBackend *be, const int64_t n[3], int count)
{
    VslStatus st = VSL_OK;
    VSL_TRY(VSL_NEW0(out, count, "fields"));
    for (int i = 0; i < count; i++) {
        VSL_TRY(vsl_field_new(&(*out)[i], be, n, 3));
    }
out:
    return st;
}

static void free_fields(VslField **fields, int count)
{
    for (int i = 0; *fields && i < count; i++) {
        vsl_field_free(&(*fields)[i]);
    }
    vsl_free(*fields);
    *fields = NULL;
}

VslStatus reg_flow_new(RegFlow *out, VslBackend *be, const int64_t n[3], const double h[3], const VslKernel *kernel,
                       int steps)
{
    VslStatus st = VSL_OK;
    RegFlow f = {.be = be, .op = reg_kernels(be), .steps = steps};
    int64_t values = 3;
    memcpy(f.n, n, sizeof f.n);
    memcpy(f.h, h, sizeof f.h);
    VSL_CHECK(steps >= 1, VSL_E_ARG, "%d time steps, expected at least 1", steps);
    VSL_CHECK(kernel->scales >= 1 && kernel->scales <= VSL_MAX_SCALES, VSL_E_ARG,
              "a kernel of %d scales, expected 1 to %d", kernel->scales, VSL_MAX_SCALES);
    VSL_CHECK(vsl_mul_ok(values, n[0], &values) && vsl_mul_ok(values, n[1], &values) &&
                  vsl_mul_ok(values, n[2], &values) && values <= INT32_MAX,
              VSL_E_UNSUPPORTED, "a velocity grid of %lldx%lldx%lld is too large", (long long)n[0], (long long)n[1],
              (long long)n[2]);
    VSL_TRY(vsl_filter_new(&f.filter, be, n, 3));
    VSL_TRY(make_symbols(&f, kernel));
    VSL_TRY(new_fields(&f.m, be, n, steps + 1));
    VSL_TRY(new_fields(&f.v, be, n, 2 * steps + 1));
    for (int i = 0; i < REG_FLOW_WORK; i++) {
        VSL_TRY(vsl_field_new(&f.work[i], be, n, 3));
    }
    *out = f;
    memset(&f, 0, sizeof f);
out:
    reg_flow_free(&f);
    return st;
}

void reg_flow_free(RegFlow *f)
{
    vsl_filter_free(&f->filter);
    vsl_field_free(&f->smooth);
    vsl_field_free(&f->root);
    vsl_field_free(&f->inverse_root);
    free_fields(&f->m, f->steps + 1);
    free_fields(&f->v, 2 * f->steps + 1);
    free_fields(&f->cot, 2 * f->steps);
    free_fields(&f->y, f->steps + 1);
    for (int i = 0; i < REG_FLOW_WORK; i++) {
        vsl_field_free(&f->work[i]);
    }
    vsl_record_free(&f->shooting);
    vsl_record_free(&f->back);
    *f = (RegFlow){0};
}

VslStatus reg_flow_set_steps(RegFlow *f, int steps)
{
    VslStatus st = VSL_OK;
    VslField *m = NULL, *v = NULL;
    VSL_TRY(new_fields(&m, f->be, f->n, steps + 1));
    VSL_TRY(vsl_field_copy(&m[0], &f->m[0]));
    vsl_record_free(&f->shooting);
    vsl_record_free(&f->back);
    free_fields(&f->m, f->steps + 1);
    free_fields(&f->v, 2 * f->steps + 1);
    free_fields(&f->cot, 2 * f->steps);
    free_fields(&f->y, f->steps + 1);
    f->m = m;
    m = NULL;
    f->steps = steps;
    VSL_TRY(new_fields(&v, f->be, f->n, 2 * steps + 1));
    f->v = v;
    v = NULL;
out:
    free_fields(&m, steps + 1);
    free_fields(&v, 2 * steps + 1);
    return st;
}

/* v = K m */
static VslStatus velocity(RegFlow *f, VslField *v, const VslField *m)
{
    return vsl_filter_apply(f->filter, v, m, &f->smooth);
}

/* The four stages of step i, from its node: momenta m[1..3] and velocities v[1..3] beside those of the node, m[0] and
 * v[0]. v[2] is the velocity at mid step, which is kept. */
typedef struct Stages {
    VslField *m[4], *v[4];
} Stages;

static Stages stages_of(RegFlow *f, int i)
{
    VslField *w = f->work;
    return (Stages){{&f->m[i], &w[0], &w[1], &w[2]}, {&f->v[2 * i], &w[3], &f->v[2 * i + 1], &w[4]}};
}

/* One Runge-Kutta step; `next` (may be NULL) becomes m at the next node. Without it the stages are made again for the
 * transpose, from a path that holds v[2] already. */
static VslStatus step_stages(RegFlow *f, const Stages *s, VslField *next, double dt)
{
    VslStatus st = VSL_OK;
    if (next) {
        VSL_TRY(vsl_field_copy(next, s->m[0]));
    }
    VSL_TRY(f->op->epdiff(s->m[1], s->m[0], 0.5 * dt, next, dt / 6, s->m[0], s->v[0], f->h));
    VSL_TRY(velocity(f, s->v[1], s->m[1]));
    VSL_TRY(f->op->epdiff(s->m[2], s->m[0], 0.5 * dt, next, dt / 3, s->m[1], s->v[1], f->h));
    if (next) {
        VSL_TRY(velocity(f, s->v[2], s->m[2]));
    }
    VSL_TRY(f->op->epdiff(s->m[3], s->m[0], dt, next, dt / 3, s->m[2], s->v[2], f->h));
    VSL_TRY(velocity(f, s->v[3], s->m[3]));
    if (next) {
        VSL_TRY(f->op->epdiff(NULL, NULL, 0, next, dt / 6, s->m[3], s->v[3], f->h));
    }
out:
    return st;
}

static VslStatus shoot(void *ctx)
{
    VslStatus st = VSL_OK;
    RegFlow *f = ctx;
    for (int i = 0; i <= f->steps; i++) {
        VSL_TRY(velocity(f, &f->v[2 * i], &f->m[i]));
        if (i < f->steps) {
            const Stages s = stages_of(f, i);
            VSL_TRY(step_stages(f, &s, &f->m[i + 1], 1.0 / f->steps));
        }
    }
out:
    return st;
}

enum { TOGETHER = 12 }; /* nodes whose energies are fetched at once */

VslStatus reg_flow_shoot(RegFlow *f, double *norm2, double *energy_drift)
{
    VslStatus st = VSL_OK;
    double first = 0, drift = 0;
    VSL_TRY(vsl_record_run(&f->shooting, f->be, shoot, f));
    for (int i = 0; i <= f->steps; i += TOGETHER) {
        const VslField *m[TOGETHER], *v[TOGETHER];
        double e[TOGETHER];
        const int left = f->steps + 1 - i, count = left < TOGETHER ? left : TOGETHER;
        for (int q = 0; q < count; q++) {
            m[q] = &f->m[i + q];
            v[q] = &f->v[2 * (i + q)];
        }
        VSL_TRY(vsl_field_dots(e, m, v, count));
        first = i == 0 ? e[0] : first;
        for (int q = 0; q < count; q++) {
            VSL_CHECK(isfinite(e[q]), VSL_E_NUMERIC, "the geodesic is not finite at time %g",
                      (double)(i + q) / f->steps);
            drift = first > 0 && fabs(e[q] / first - 1) > drift ? fabs(e[q] / first - 1) : drift;
        }
    }
    *norm2 = first * f->h[0] * f->h[1] * f->h[2];
    *energy_drift = drift;
out:
    return st;
}

VslStatus reg_flow_pull_back(RegFlow *f, const int64_t n[3], const VslAffine *to_band)
{
    VslStatus st = VSL_OK;
    if (!f->y || memcmp(f->y_n, n, sizeof f->y_n) != 0) {
        free_fields(&f->y, f->steps + 1);
        VSL_TRY(new_fields(&f->y, f->be, n, f->steps + 1));
        memcpy(f->y_n, n, sizeof f->y_n);
    }
    VSL_TRY(f->op->particles_start(&f->y[f->steps], to_band));
    for (int i = f->steps - 1; i >= 0; i--) {
        VSL_TRY(
            f->op->particles_step(&f->y[i], &f->y[i + 1], &f->v[2 * i + 2], &f->v[2 * i + 1], -1.0 / f->steps, f->h));
    }
out:
    return st;
}

VslStatus reg_flow_carry(RegFlow *f, VslField *y, int forward)
{
    VslStatus st = VSL_OK;
    for (int q = 0; q < f->steps; q++) {
        const int i = forward ? q : f->steps - 1 - q;
        VSL_TRY(f->op->particles_step(y, y, &f->v[forward ? 2 * i : 2 * i + 2], &f->v[2 * i + 1],
                                      (forward ? 1.0 : -1.0) / f->steps, f->h));
    }
out:
    return st;
}

/* Transpose of one Runge-Kutta stage: g = F'(m_s)^T a + K cot (cot may be NULL); sum += g; next = c1 lambda + c2 g. */
static VslStatus stage_transpose(RegFlow *f, const Stages *s, int q, VslField *a, const VslField *cot, VslField *sum,
                                 const VslField *lambda, double c1, double c2)
{
    VslStatus st = VSL_OK;
    VslField *direct = &f->work[5], *smooth = &f->work[6];
    if (cot) {
        VSL_TRY(vsl_field_copy(smooth, cot));
    } else {
        VSL_TRY(f->op->fill(smooth, 0));
    }
    VSL_TRY(f->op->epdiff_adjoint(direct, smooth, s->m[q], s->v[q], a, f->h));
    VSL_TRY(vsl_filter_apply(f->filter, smooth, smooth, &f->smooth));
    VSL_TRY(f->op->stage_adjoint(q == 0 ? NULL : a, sum, direct, smooth, lambda, c1, c2));
out:
    return st;
}

/* Fields of the transpose: cotangents of the velocities at the nodes 1..steps, and at mid steps 0..steps - 1. */
static VslField *node_cotangent(RegFlow *f, int i)
{
    return &f->cot[i - 1];
}

static VslField *mid_cotangent(RegFlow *f, int i)
{
    return &f->cot[f->steps + i];
}

/* Through all steps, from the cotangents of the velocities to that of m[0], which is left in work[8]. */
static VslStatus go_back(void *ctx)
{
    VslStatus st = VSL_OK;
    RegFlow *f = ctx;
    const double dt = 1.0 / f->steps;
    VslField *lambda = node_cotangent(f, f->steps), *a = &f->work[7], *sum = &f->work[8];
    VSL_TRY(vsl_filter_apply(f->filter, lambda, lambda, &f->smooth));
    for (int i = f->steps - 1; i >= 0; i--) {
        const Stages s = stages_of(f, i);
        VSL_TRY(step_stages(f, &s, NULL, dt));
        VSL_TRY(vsl_field_copy(sum, lambda));
        VSL_TRY(vsl_field_axpby(a, dt / 6, lambda, 0));
        VSL_TRY(stage_transpose(f, &s, 3, a, NULL, sum, lambda, dt / 3, dt));
        VSL_TRY(stage_transpose(f, &s, 2, a, mid_cotangent(f, i), sum, lambda, dt / 3, dt / 2));
        VSL_TRY(stage_transpose(f, &s, 1, a, NULL, sum, lambda, dt / 6, dt / 2));
        VSL_TRY(stage_transpose(f, &s, 0, a, i > 0 ? node_cotangent(f, i) : NULL, sum, lambda, 0, 0));
        if (i > 0) {
            VSL_TRY(vsl_field_copy(lambda, sum));
        }
    }
out:
    return st;
}

VslStatus reg_flow_adjoint(RegFlow *f, VslField *cot_m0, VslField *eta)
{
    VslStatus st = VSL_OK;
    if (!f->cot) {
        VSL_TRY(new_fields(&f->cot, f->be, f->n, 2 * f->steps));
    }
    for (int i = 0; i < 2 * f->steps; i++) {
        VSL_TRY(f->op->fill(&f->cot[i], 0));
    }
    for (int i = 0; i < f->steps; i++) {
        VSL_TRY(f->op->particles_adjoint(eta, node_cotangent(f, i + 1), mid_cotangent(f, i), &f->y[i + 1],
                                         &f->v[2 * i + 2], &f->v[2 * i + 1], -1.0 / f->steps, f->h));
    }
    VSL_TRY(vsl_record_run(&f->back, f->be, go_back, f));
    VSL_TRY(vsl_field_copy(cot_m0, &f->work[8]));
out:
    return st;
}
