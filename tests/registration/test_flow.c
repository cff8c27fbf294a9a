/* EPDiff, particles, warp and restriction: each transpose is the adjoint of its linearisation, <A x, y> = <x, A* y>;
 * energy is conserved; the integrator has its order. */
#include <string.h>

#include "core/random.h"
#include "registration/flow.h"
#include "tests/check.h"

static VslBackend *be;

static void noise(VslField *f, uint64_t stream, double size)
{
    for (int64_t i = 0; i < vsl_field_count(f); i++) {
        f->data[i] = (float)(size * vsl_random_normal(11, stream, (uint64_t)i));
    }
}

static VslField field(const int64_t n[3], int channels, uint64_t stream, double size)
{
    VslField f = {0};
    CHECK_OK(vsl_field_new(&f, be, n, channels));
    noise(&f, stream, size);
    return f;
}

static double dot(const VslField *a, const VslField *b)
{
    double d = 0;
    CHECK_OK(vsl_field_dot(&d, a, b));
    return d;
}

static const int64_t odd[3] = {14, 9, 11};
static const double spacing[3] = {3, 4, 2.5};

TEST(epdiff_conserves_energy_and_its_transpose_is_the_adjoint)
{
    const RegKernels *op = reg_kernels(be);
    VslField m = field(odd, 3, 1, 1), v = field(odd, 3, 2, 1), a = field(odd, 3, 3, 1), dm = field(odd, 3, 4, 1),
             dv = field(odd, 3, 5, 1), out = field(odd, 3, 6, 0), direct = field(odd, 3, 7, 0),
             smooth = field(odd, 3, 8, 0), zero = field(odd, 3, 9, 0);
    /* <F(m, v), v> = 0 whatever m and v are: the semi-discrete equation conserves <m, v> */
    CHECK_OK(op->epdiff(&out, &zero, 1, NULL, 0, &m, &v, spacing));
    CHECK_NEAR(dot(&out, &v) / sqrt(dot(&out, &out) * dot(&v, &v)), 0, 1e-6, "float32 products");
    /* F is bilinear: F(dm, v) + F(m, dv) is its linearisation, exactly */
    CHECK_OK(op->epdiff(&out, &zero, 1, NULL, 0, &dm, &v, spacing));
    CHECK_OK(op->epdiff(&out, &out, 1, NULL, 0, &m, &dv, spacing));
    CHECK_OK(op->epdiff_adjoint(&direct, &smooth, &m, &v, &a, spacing));
    const double left = dot(&out, &a), right = dot(&direct, &dm) + dot(&smooth, &dv);
    CHECK_NEAR(left / right, 1, 1e-5, "float32 sums of 4158 products");
    VslField *all[9] = {&m, &v, &a, &dm, &dv, &out, &direct, &smooth, &zero};
    for (int i = 0; i < 9; i++) {
        vsl_field_free(all[i]);
    }
}

/* D(v_first, v_mid, y) = <e, step(y)>: its derivative from the transpose, against a float64 evaluation of the same
 * arithmetic would repeat it; instead a difference quotient within one trilinear cell, where the step is smooth. */
TEST(particle_steps_are_differentiated_exactly)
{
    const RegKernels *op = reg_kernels(be);
    const int64_t n[3] = {7, 6, 19}; /* more than two groups of planes */
    const VslAffine place = {{{1.5, 0.01, 0, 1.2}, {0, 1.1, 0.02, 1.3}, {0.02, 0, 0.45, 1.4}}};
    VslField v1 = field(odd, 3, 21, 1), v2 = field(odd, 3, 22, 1), dv1 = field(odd, 3, 23, 1),
             dv2 = field(odd, 3, 24, 1);
    VslField y = field(n, 3, 25, 0), out = field(n, 3, 26, 0), eta = field(n, 3, 27, 1), e = field(n, 3, 28, 0);
    VslField c1 = field(odd, 3, 29, 0), c2 = field(odd, 3, 30, 0), plus = field(n, 3, 31, 0), dy = field(n, 3, 32, 1);
    const double dt = -0.4, eps = 1e-3;
    CHECK_OK(op->particles_start(&y, &place));
    CHECK_OK(vsl_field_copy(&e, &eta));
    CHECK_OK(op->particles_adjoint(&eta, &c1, &c2, &y, &v1, &v2, dt, spacing));
    const double want = dot(&c1, &dv1) + dot(&c2, &dv2) + dot(&eta, &dy);
    double got = 0;
    for (int sign = 1; sign >= -1; sign -= 2) {
        VslField u1 = field(odd, 3, 21, 1), u2 = field(odd, 3, 22, 1), z = field(n, 3, 25, 0);
        CHECK_OK(op->particles_start(&z, &place));
        CHECK_OK(vsl_field_axpby(&u1, sign * eps, &dv1, 1));
        CHECK_OK(vsl_field_axpby(&u2, sign * eps, &dv2, 1));
        CHECK_OK(vsl_field_axpby(&z, sign * eps, &dy, 1));
        CHECK_OK(op->particles_step(&out, &z, &u1, &u2, dt, spacing));
        got += sign * dot(&out, &e) / (2 * eps);
        vsl_field_free(&u1);
        vsl_field_free(&u2);
        vsl_field_free(&z);
    }
    CHECK_NEAR(got / want, 1, 1e-3, "float32 positions over a step of 2e-3; few particles cross a cell face");
    VslField *all[12] = {&v1, &v2, &dv1, &dv2, &y, &out, &eta, &e, &c1, &c2, &plus, &dy};
    for (int i = 0; i < 12; i++) {
        vsl_field_free(all[i]);
    }
}

static RegLattice lattice_for(const int64_t image[3])
{
    RegLattice l = {0};
    for (int d = 0; d < 3; d++) {
        l.scale[d] = image[d] > 1 ? 0.43 + 0.1 * d : 1;
        l.offset[d] = image[d] > 1 ? 1.37 : 0;
        l.n[d] = image[d] > 1 ? (int64_t)floor(l.scale[d] * (double)(image[d] - 1) + l.offset[d]) + 3 : 1;
        l.n[d] = image[d] > 1 && l.n[d] < 4 ? 4 : l.n[d];
    }
    return l;
}

TEST(restriction_is_the_transpose_of_the_cubic_lattice_and_the_lattice_keeps_affine_maps)
{
    const RegKernels *op = reg_kernels(be);
    const int64_t images[3][3] = {{17, 13, 9}, {8, 21, 1}, {33, 5, 6}};
    for (int q = 0; q < 3; q++) {
        const RegLattice l = lattice_for(images[q]);
        const int64_t moving_n[3] = {40, 40, images[q][2] > 1 ? 40 : 1};
        VslField y = field(l.n, 3, 40, 0), moving = field(moving_n, 1, 41, 0), warped = field(images[q], 1, 42, 0),
                 slope = field(images[q], 3, 43, 0), grad = field(images[q], 1, 44, 1), eta = field(l.n, 3, 45, 0),
                 dy = field(l.n, 3, 46, 1);
        /* an affine image of an affine map of positions is reproduced: values 2 x - y + 3 z */
        for (int64_t i = 0; i < vsl_field_count(&moving); i++) {
            moving.data[i] = (float)(2 * (i % 40) - i / 40 % 40 + 3 * (i / 1600));
        }
        VslAffine lattice_to_band = vsl_affine_identity();
        const VslAffine to_moving = {
            {{1.1, 0.1, 0, 3}, {0, 0.9, 0, 4}, {0, 0, images[q][2] > 1 ? 1.2 : 1, images[q][2] > 1 ? 2 : 0}}};
        CHECK_OK(op->particles_start(&y, &lattice_to_band));
        CHECK_OK(op->warp(&warped, &slope, &moving, &y, &l, &to_moving));
        double worst = 0;
        for (int64_t i = 0; i < vsl_field_count(&warped); i++) {
            const double x[3] = {(double)(i % images[q][0]), (double)(i / images[q][0] % images[q][1]),
                                 (double)(i / (images[q][0] * images[q][1]))};
            double b[3], p[3];
            for (int d = 0; d < 3; d++) {
                b[d] = l.scale[d] * x[d] + l.offset[d];
            }
            vsl_affine_point(p, &to_moving, b);
            worst = fmax(worst, fabs(2 * p[0] - p[1] + 3 * p[2] - (double)warped.data[i]));
        }
        CHECK_NEAR(worst, 0, 1e-4, "values up to 100 in float32");
        /* d warped / d y applied to dy, and the transpose applied to grad */
        CHECK_OK(op->restrict_force(&eta, &grad, &slope, &l, 1));
        VslField moved = field(l.n, 3, 40, 0), plus = field(images[q], 1, 47, 0);
        CHECK_OK(op->particles_start(&moved, &lattice_to_band));
        CHECK_OK(vsl_field_axpby(&moved, 0.25, &dy, 1)); /* the image is affine: no higher order */
        if (images[q][2] == 1) {
            memset(moved.data + 2 * l.n[0] * l.n[1], 0, (size_t)(l.n[0] * l.n[1]) * sizeof *moved.data);
            memset(dy.data + 2 * l.n[0] * l.n[1], 0, (size_t)(l.n[0] * l.n[1]) * sizeof *dy.data);
        }
        CHECK_OK(op->warp(&plus, NULL, &moving, &moved, &l, &to_moving));
        CHECK_OK(vsl_field_axpby(&plus, -1, &warped, 1));
        const double left = dot(&plus, &grad) / 0.25, right = dot(&eta, &dy);
        CHECK_NEAR(left / right, 1, 1e-3, "differences of float32 values of order 100");
        VslField *all[9] = {&y, &moving, &warped, &slope, &grad, &eta, &dy, &moved, &plus};
        for (int i = 0; i < 9; i++) {
            vsl_field_free(all[i]);
        }
    }
}

/* Shoots the same smooth momentum with so many steps; returns the drift and the final velocity's value at a node. */
static double shoot(int steps, double *value, VslField *particles)
{
    const int64_t n[3] = {24, 20, 18};
    const double h[3] = {4, 4, 5};
    const VslKernel kernel = {1, {60}, {1}, 1, 2};
    RegFlow f = {0};
    double drift = 0, norm2 = 0, vv = 0;
    CHECK_OK(reg_flow_new(&f, be, n, h, &kernel, steps));
    noise(&f.m[0], 60, 1);
    CHECK_OK(vsl_filter_apply(f.filter, &f.m[0], &f.m[0], &f.inverse_root)); /* v of covariance K^3: smooth */
    CHECK_OK(vsl_filter_apply(f.filter, &f.v[0], &f.m[0], &f.smooth));
    CHECK_OK(vsl_field_dot(&vv, &f.v[0], &f.v[0]));
    CHECK_OK(vsl_field_axpby(&f.m[0], 9 * sqrt((double)vsl_field_count(&f.v[0]) / 3 / vv), &f.m[0], 0));
    CHECK_OK(reg_flow_shoot(&f, &norm2, &drift));
    *value = f.v[2 * steps].data[3333];
    const VslAffine identity = vsl_affine_identity();
    CHECK_OK(vsl_field_new(particles, be, n, 3));
    CHECK_OK(f.op->particles_start(particles, &identity));
    CHECK_OK(reg_flow_carry(&f, particles, 0));
    CHECK_OK(reg_flow_carry(&f, particles, 1));
    reg_flow_free(&f);
    return drift;
}

TEST(energy_drift_is_small_and_falls_with_the_fourth_power_of_the_step)
{
    double v4 = 0, v8 = 0, v16 = 0, v32 = 0;
    VslField p[4] = {{0}};
    const double d4 = shoot(4, &v4, &p[0]);
    shoot(8, &v8, &p[1]);
    shoot(16, &v16, &p[2]);
    shoot(32, &v32, &p[3]);
    CHECK(d4 < 1e-3);
    const double order = log2(fabs(v4 - v32) / fabs(v8 - v32));
    printf("  drift with 4 steps %.1e; order of the velocity %.2f\n", d4, order);
    CHECK_NEAR(order, 4, 0.7, "classical Runge-Kutta, against 32 steps");
    /* there and back again: the round trip's error is that of the midpoint rule, second order, and small */
    double worst[4] = {0};
    for (int q = 0; q < 4; q++) {
        const int64_t plane = 24 * 20 * 18;
        for (int64_t i = 0; i < plane; i++) {
            const double start[3] = {(double)(i % 24), (double)(i / 24 % 20), (double)(i / 480)};
            for (int d = 0; d < 3; d++) {
                worst[q] = fmax(worst[q], fabs((double)p[q].data[d * plane + i] - start[d]));
            }
        }
        vsl_field_free(&p[q]);
    }
    printf("  farthest from home, band voxels: %.1e with 4 steps, %.1e with 8, %.1e with 32\n", worst[0], worst[1],
           worst[3]);
    CHECK(worst[0] < 0.2 && worst[3] < 0.01 && worst[1] < 0.5 * worst[0]);
}

int main(void)
{
    if (vsl_backend_open(&be, "cpu", 2) != VSL_OK) {
        return 1;
    }
    RUN(epdiff_conserves_energy_and_its_transpose_is_the_adjoint);
    RUN(particle_steps_are_differentiated_exactly);
    RUN(restriction_is_the_transpose_of_the_cubic_lattice_and_the_lattice_keeps_affine_maps);
    RUN(energy_drift_is_small_and_falls_with_the_fourth_power_of_the_step);
    vsl_backend_close(&be);
    return CHECK_VERDICT();
}
