/* The gradient of the LDDMM energy against central differences, in random directions, on random smooth images with
 * anisotropic, oblique grids, masks, channels and every similarity. The energy comes from float32 fields, whose
 * rounding is the same for every direction, so the error of all twenty derivatives is compared with the size of all
 * twenty. */
#include "core/random.h"
#include "registration/lddmm_problem.h"
#include "registration/shooting.h"
#include "registration/transform.h"
#include "tests/check.h"

static VslVolume smooth_image(const VslGrid *grid, int channels, uint64_t stream, double sigma_mm)
{
    VslVolume v = {0};
    CHECK_OK(vsl_volume_new(&v, grid, channels));
    const int64_t n = channels * vsl_grid_voxels(grid);
    for (int64_t i = 0; i < n; i++) {
        v.data[i] = (float)vsl_random_normal(3, stream, (uint64_t)i);
    }
    CHECK_OK(vsl_smooth(&v, sigma_mm, 2));
    double ss = 0;
    for (int64_t i = 0; i < n; i++) {
        ss += (double)v.data[i] * (double)v.data[i];
    }
    const float scale = (float)(0.3 / sqrt(ss / (double)n));
    for (int64_t i = 0; i < n; i++) {
        v.data[i] = v.data[i] * scale + 0.5f;
    }
    return v;
}

static void random_field(VslField *f, const RegFlow *flow, uint64_t stream, double size)
{
    double ff = 0;
    for (int64_t i = 0; i < vsl_field_count(f); i++) {
        f->data[i] = (float)vsl_random_normal(5, stream, (uint64_t)i);
    }
    /* twice through K^(1/2): directions and velocities of the kind that a registration makes */
    CHECK_OK(vsl_filter_apply(flow->filter, f, f, &flow->inverse_root));
    CHECK_OK(vsl_field_dot(&ff, f, f));
    CHECK_OK(vsl_field_axpby(f, size / sqrt(ff), f, 0));
}

typedef struct Case {
    const char *name;
    RegSimilarityOptions similarity;
    int channels, with_masks;
} Case;

static void check_case(const Case *c, uint64_t stream)
{
    VslBackend *be = NULL;
    RegProblem p = {0};
    VslField x = {0}, d = {0}, g = {0}, trial = {0};
    /* oblique, anisotropic, left-handed fixed grid; another moving grid; an affine between them */
    VslGrid fixed_grid = vsl_grid_centred((int64_t[3]){26, 22, 18}, (double[3]){3, 3.5, 4.5});
    VslAffine turn = vsl_affine_identity(), affine = vsl_affine_identity();
    turn.m[0][0] = turn.m[1][1] = cos(0.3);
    turn.m[0][1] = -(turn.m[1][0] = sin(0.3));
    for (int r = 0; r < 3; r++) {
        fixed_grid.to_ras.m[r][0] *= r == 0 ? -1 : 1;
    }
    fixed_grid.to_ras.m[0][3] *= -1;
    fixed_grid.to_ras = vsl_affine_compose(&turn, &fixed_grid.to_ras);
    const VslGrid moving_grid = vsl_grid_centred((int64_t[3]){30, 28, 24}, (double[3]){3.3, 3.1, 3.6});
    affine.m[0][0] = 1.05;
    affine.m[1][2] = 0.04;
    affine.m[2][3] = 1.5;
    VslVolume fixed = smooth_image(&fixed_grid, c->channels, stream, 9),
              moving = smooth_image(&moving_grid, c->channels, stream + 1, 9);
    VslVolume fixed_mask = {0};
    if (c->with_masks) {
        CHECK_OK(vsl_volume_new(&fixed_mask, &fixed_grid, 1));
        for (int64_t i = 0; i < vsl_grid_voxels(&fixed_grid); i++) {
            fixed_mask.data[i] = i % 26 > 4 ? (i % 7 ? 1.0f : 0.5f) : 0.0f;
        }
    }
    const VslAffine step = {{{2, 0, 0, -6}, {0, 1.8, 0, -5}, {0, 0, 1.5, -4.3}}}; /* band voxel -> fixed voxel */
    const VslGrid band = {{20, 18, 18}, vsl_affine_compose(&fixed_grid.to_ras, &step)};
    const VslKernel kernel = {2, {60, 15}, {1, 0.3}, 1, 2};
    RegSimilarityOptions sim = c->similarity;
    vsl_grid_spacing(sim.spacing_mm, &fixed_grid);
    CHECK_OK(vsl_backend_open(&be, "cpu", 2));
    CHECK_OK(reg_problem_new(&p, be, &band, &kernel, 5, &fixed, &moving, c->with_masks ? &fixed_mask : NULL, NULL,
                             &affine, &sim, 3.0, 0.95)); /* a floor that this deformation reaches */
    p.volume_weight = 20;
    VslField *all[4] = {&x, &d, &g, &trial};
    for (int i = 0; i < 4; i++) {
        CHECK_OK(vsl_field_new(all[i], be, band.n, 3));
    }
    random_field(&x, &p.flow, stream + 2, 300);
    double e = 0, speed = 0, slope = 0;
    CHECK_OK(reg_problem_evaluate(&p, &e, &g, &x));
    CHECK_OK(p.flow.op->velocity_bounds(&speed, &slope, &p.flow.v[0], p.flow.h));
    CHECK(speed > 2 && slope > 0.3); /* a deformation, not a ripple */
    double error = 0, size = 0;
    const double epsilon = 0.04;
    for (uint64_t k = 0; k < 20; k++) {
        double plus = 0, minus = 0, analytic = 0;
        random_field(&d, &p.flow, stream + 10 + k, 25);
        CHECK_OK(vsl_field_dot(&analytic, &g, &d));
        CHECK_OK(vsl_field_copy(&trial, &x));
        CHECK_OK(vsl_field_axpby(&trial, epsilon, &d, 1));
        CHECK_OK(reg_problem_evaluate(&p, &plus, NULL, &trial));
        CHECK_OK(vsl_field_axpby(&trial, -2 * epsilon, &d, 1));
        CHECK_OK(reg_problem_evaluate(&p, &minus, NULL, &trial));
        const double difference = (plus - minus) / (2 * epsilon);
        error += (difference - analytic) * (difference - analytic);
        size += difference * difference;
    }
    printf("  %s: relative error of 20 directional derivatives %.1e\n", c->name, sqrt(error / size));
    CHECK_NEAR(sqrt(error / size), 0, 1e-3, c->name);
    for (int i = 0; i < 4; i++) {
        vsl_field_free(all[i]);
    }
    reg_problem_free(&p);
    vsl_volume_free(&fixed);
    vsl_volume_free(&moving);
    vsl_volume_free(&fixed_mask);
    vsl_backend_close(&be);
}

TEST(the_gradient_is_the_derivative_of_the_discrete_energy)
{
    const Case cases[] = {
        {"ssd", {.kind = VSL_SIMILARITY_SSD}, 1, 0},
        {"ssd, two channels, mask", {.kind = VSL_SIMILARITY_SSD, .channel_weight = {1, 0.4}}, 2, 1},
        {"lncc", {.kind = VSL_SIMILARITY_LNCC, .radius_vox = {{2, 2, 2}}, .eps = 1e-3}, 1, 0},
        {"lncc, two windows, two channels, mask",
         {.kind = VSL_SIMILARITY_LNCC, .windows = 2, .radius_vox = {{3, 2, 1}, {1, 2, 2}}, .eps = 1e-3},
         2,
         1},
        {"mi", {.kind = VSL_SIMILARITY_MI, .bins = 24}, 1, 0},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        check_case(&cases[i], 100 * (uint64_t)i);
    }
}

int main(void)
{
    RUN(the_gradient_is_the_derivative_of_the_discrete_energy);
    return CHECK_VERDICT();
}
