/* Shooting of a stored geodesic on any grid, and random geodesics. */
#include "registration/shooting.h"

#include <math.h>

#include "core/parallel.h"
#include "core/random.h"
#include "registration/flow.h"

void vsl_shoot_result_free(VslShootResult *r)
{
    vsl_volume_free(&r->disp);
    vsl_volume_free(&r->inverse_disp);
    *r = (VslShootResult){0};
}

typedef struct ToWorld {
    const float *y;
    float *out;
    int64_t row, rows, rows_per_plane;
    VslAffine to_band, band_to_ras;
} ToWorld;

/* Displacement of one row of particles: linear part of band_to_ras times (y - start). */
static void to_world_row(void *ctx, int64_t item, int worker)
{
    const ToWorld *w = ctx;
    (void)worker;
    const int64_t n = w->row * w->rows;
    const double j = (double)(item % w->rows_per_plane), k = (double)(item / w->rows_per_plane);
    for (int64_t i = 0; i < w->row; i++) {
        const int64_t at = item * w->row + i;
        double d[3], u[3];
        for (int c = 0; c < 3; c++) {
            const double *m = w->to_band.m[c];
            /* the start is rounded to float as particles_start did, so that a still particle has displacement 0 */
            d[c] = (double)w->y[c * n + at] - (double)(float)(m[1] * j + m[2] * k + m[3] + m[0] * (double)i);
        }
        vsl_affine_vector(u, &w->band_to_ras, d);
        for (int c = 0; c < 3; c++) {
            w->out[c * n + at] = (float)u[c];
        }
    }
}

static VslStatus carried(VslVolume *out, RegFlow *flow, const VslGrid *grid, const VslAffine *to_band,
                         const VslAffine *band_to_ras, int forward)
{
    VslStatus st = VSL_OK;
    VslField y = {0};
    VslVolume disp = {0};
    const int64_t rows = grid->n[1] * grid->n[2], count = 3 * grid->n[0] * rows;
    VSL_TRY(vsl_field_new(&y, flow->be, grid->n, 3));
    VSL_TRY(flow->op->particles_start(&y, to_band));
    VSL_TRY(reg_flow_carry(flow, &y, forward));
    VSL_TRY(vsl_volume_new(&disp, grid, 3));
    VSL_TRY(vsl_field_download(disp.data, &y, count));
    ToWorld w = {disp.data, disp.data, grid->n[0], rows, grid->n[1], *to_band, *band_to_ras};
    vsl_parallel_for(rows, vsl_backend_threads(flow->be), to_world_row, &w);
    vsl_volume_move(out, &disp);
out:
    vsl_volume_free(&disp);
    vsl_field_free(&y);
    return st;
}

/* Steps so that no step turns or stretches by more than about a fifth. */
static int steps_for(double max_slope)
{
    const double steps = ceil(5.0 * max_slope);
    return steps < 4 ? 4 : (steps > 64 ? 64 : (int)steps);
}

VslStatus vsl_shoot(VslShootResult *out, const VslGeodesic *g, const VslGrid *grid, double time, int time_steps,
                    int with_inverse, VslBackend *be)
{
    VslStatus st = VSL_OK;
    RegFlow flow = {0};
    VslShootResult r = {0};
    VslField v0 = {0};
    VslAffine from_ras, to_band;
    double h[3], norm2 = 0, speed = 0, slope = 0;
    const VslGrid *band = &g->velocity.grid;
    const int64_t count = 3 * vsl_grid_voxels(band);
    VSL_CHECK(g->velocity.channels == 3, VSL_E_ARG, "a velocity of %d channels, expected 3", g->velocity.channels);
    VSL_CHECK(isfinite(time), VSL_E_ARG, "time %g, expected a finite number", time);
    vsl_grid_spacing(h, band);
    VSL_TRY(vsl_grid_from_ras(&from_ras, band));
    to_band = vsl_affine_compose(&from_ras, &grid->to_ras);
    VSL_TRY(vsl_field_new(&v0, be, band->n, 3));
    VSL_TRY(vsl_field_upload(&v0, g->velocity.data, count));
    VSL_TRY(vsl_field_axpby(&v0, time, &v0, 0));
    VSL_TRY(reg_kernels(be)->velocity_bounds(&speed, &slope, &v0, h));
    VSL_CHECK(isfinite(speed) && isfinite(slope), VSL_E_NUMERIC, "the velocity holds values that are not finite");
    r.time_steps = time_steps > 0 ? time_steps : (g->time_steps > 0 ? g->time_steps : steps_for(slope));
    VSL_TRY(reg_flow_new(&flow, be, band->n, h, &g->kernel, r.time_steps));
    VSL_TRY(vsl_filter_apply(flow.filter, &flow.m[0], &v0, &flow.root)); /* m = L v in two halves */
    VSL_TRY(vsl_filter_apply(flow.filter, &flow.m[0], &flow.m[0], &flow.root));
    VSL_TRY(reg_flow_shoot(&flow, &norm2, &r.energy_drift));
    r.length_mm = sqrt(norm2);
    VSL_TRY(carried(&r.disp, &flow, grid, &to_band, &band->to_ras, 0));
    if (with_inverse) {
        VSL_TRY(carried(&r.inverse_disp, &flow, grid, &to_band, &band->to_ras, 1));
    }
    *out = r;
    r = (VslShootResult){0};
out:
    vsl_shoot_result_free(&r);
    vsl_field_free(&v0);
    reg_flow_free(&flow);
    return st;
}

VslStatus vsl_geodesic_random(VslGeodesic *out, const VslGrid *grid, const VslKernel *kernel, int band,
                              double max_speed_mm, uint64_t seed, uint64_t stream, VslBackend *be)
{
    VslStatus st = VSL_OK;
    VslGeodesic g = {.fixed = *grid, .kernel = *kernel};
    RegFlow flow = {0};
    double spacing[3], longest = 0, h[3], speed = 0, slope = 0;
    int64_t n[3];
    VslAffine step = vsl_affine_identity(); /* band voxel -> image voxel */
    VSL_CHECK(band >= 0 && band <= 1024, VSL_E_ARG, "a band of %d modes, expected 0 to 1024", band);
    vsl_grid_spacing(spacing, grid);
    for (int d = 0; d < 3; d++) {
        longest = fmax(longest, spacing[d] * (double)grid->n[d]);
    }
    for (int d = 0; d < 3; d++) {
        const double length = spacing[d] * (double)grid->n[d], node = longest / (band > 0 ? band : 32);
        n[d] = grid->n[d] == 1 ? 1 : vsl_fft_length((int64_t)ceil(1.25 * length / node)); /* an eighth of margin */
        h[d] = grid->n[d] == 1 ? spacing[d] : 1.25 * length / (double)n[d];
        step.m[d][d] = h[d] / spacing[d];
        step.m[d][3] = grid->n[d] == 1 ? 0 : -0.125 * (double)grid->n[d] - 0.5;
    }
    const VslGrid band_grid = {{n[0], n[1], n[2]}, vsl_affine_compose(&grid->to_ras, &step)};
    VSL_TRY(reg_flow_new(&flow, be, n, h, kernel, 1));
    VSL_TRY(vsl_volume_new(&g.velocity, &band_grid, 3));
    const int64_t count = 3 * vsl_grid_voxels(&band_grid);
    for (int64_t i = 0; i < count; i++) {
        const int flat = n[i / (count / 3)] == 1; /* nothing moves across a flat axis */
        g.velocity.data[i] = flat ? 0.0f : (float)vsl_random_normal(seed, stream, (uint64_t)i);
    }
    VSL_TRY(vsl_field_upload(&flow.m[0], g.velocity.data, count));
    /* white noise through K^(1/2) has covariance K */
    VSL_TRY(vsl_filter_apply(flow.filter, &flow.v[0], &flow.m[0], &flow.inverse_root));
    VSL_TRY(flow.op->velocity_bounds(&speed, &slope, &flow.v[0], h));
    VSL_CHECK(speed > 0, VSL_E_NUMERIC, "the random velocity is zero");
    VSL_TRY(vsl_field_axpby(&flow.v[0], max_speed_mm / speed, &flow.v[0], 0));
    VSL_TRY(vsl_field_download(g.velocity.data, &flow.v[0], count));
    g.time_steps = steps_for(slope * max_speed_mm / speed);
    vsl_geodesic_move(out, &g);
out:
    vsl_geodesic_free(&g);
    reg_flow_free(&flow);
    return st;
}
