/* Whole registrations of synthetic images: a known geodesic is found again, nothing folds, orientation and units do not
 * matter, threads change no bit, two dimensions work, and what cannot be registered is refused. */
#include <string.h>

#include "core/random.h"
#include "registration/lddmm.h"
#include "registration/quality.h"
#include "registration/transform.h"
#include "tests/check.h"

static VslBackend *be;

/* Random smooth texture inside a ball, smooth zero outside: something to align everywhere. */
static VslVolume texture(const VslGrid *grid, uint64_t stream)
{
    VslVolume v = {0};
    double spacing[3];
    CHECK_OK(vsl_volume_new(&v, grid, 1));
    vsl_grid_spacing(spacing, grid);
    for (int64_t q = 0; q < vsl_grid_voxels(grid); q++) {
        v.data[q] = (float)vsl_random_normal(2, stream, (uint64_t)q);
    }
    CHECK_OK(vsl_smooth(&v, 4, 2));
    for (int64_t q = 0; q < vsl_grid_voxels(grid); q++) {
        double r2 = 0;
        const double x[3] = {(double)(q % grid->n[0]), (double)(q / grid->n[0] % grid->n[1]),
                             (double)(q / (grid->n[0] * grid->n[1]))};
        for (int d = 0; d < 3; d++) {
            const double half = 0.5 * (double)grid->n[d];
            r2 += grid->n[d] > 1 ? pow((x[d] + 0.5 - half) / half, 2) : 0;
        }
        v.data[q] = (float)((20 * (double)v.data[q] + 1) / (1 + exp(20 * (sqrt(r2) - 0.8))));
    }
    return v;
}

typedef struct Setting {
    VslVolume fixed, moving, truth; /* truth: displacement fixed -> moving */
} Setting;

static Setting make_setting(const VslGrid *grid, double speed_mm)
{
    Setting s = {0};
    VslGeodesic g = {0};
    VslShootResult shot = {0};
    const VslKernel kernel = {1, {600}, {1}, 1, 2};
    s.moving = texture(grid, 5);
    CHECK_OK(vsl_geodesic_random(&g, grid, &kernel, 20, speed_mm, 9, 1, be));
    CHECK_OK(vsl_shoot(&shot, &g, grid, 1, 8, 0, be));
    const VslMap map = {vsl_affine_identity(), &shot.disp};
    CHECK_OK(vsl_apply_image(&s.fixed, grid, &s.moving, &map, 1, VSL_INTERPOLATION_LINEAR, 0, 2));
    vsl_volume_move(&s.truth, &shot.disp);
    vsl_shoot_result_free(&shot);
    vsl_geodesic_free(&g);
    return s;
}

static void free_setting(Setting *s)
{
    vsl_volume_free(&s->fixed);
    vsl_volume_free(&s->moving);
    vsl_volume_free(&s->truth);
}

/* Root mean square of |u - truth| well inside the ball, where the image has texture. */
static double rms_error(const VslVolume *u, const Setting *s, double *before)
{
    const int64_t n = vsl_grid_voxels(&u->grid);
    double sum = 0, size = 0, count = 0;
    for (int64_t q = 0; q < n; q++) {
        double r2 = 0;
        const double x[3] = {(double)(q % u->grid.n[0]), (double)(q / u->grid.n[0] % u->grid.n[1]),
                             (double)(q / (u->grid.n[0] * u->grid.n[1]))};
        for (int d = 0; d < 3; d++) {
            const double half = 0.5 * (double)u->grid.n[d];
            r2 += u->grid.n[d] > 1 ? pow((x[d] + 0.5 - half) / half, 2) : 0;
        }
        if (r2 > 0.6 * 0.6) {
            continue;
        }
        for (int c = 0; c < 3; c++) {
            sum += pow((double)(u->data[c * n + q] - s->truth.data[c * n + q]), 2);
            size += pow((double)s->truth.data[c * n + q], 2);
        }
        count++;
    }
    *before = sqrt(size / count);
    return sqrt(sum / count);
}

static const VslLddmmOptions quick = {.band_mm = 6, .iterations = 30, .fine_iterations = 20, .levels = 3};

TEST(a_known_geodesic_is_found_again_without_folds)
{
    const VslGrid grid = vsl_grid_centred((int64_t[3]){40, 44, 36}, (double[3]){3, 3, 3});
    Setting s = make_setting(&grid, 6);
    const VslSimilarity kinds[3] = {VSL_SIMILARITY_LNCC, VSL_SIMILARITY_SSD, VSL_SIMILARITY_MI};
    const double weights[3] = {2000, 40000, 8000};
    for (int k = 0; k < 3; k++) {
        VslLddmmOptions opt = quick;
        VslLddmmResult r = {0};
        VslVolume jac = {0};
        VslJacobianStats stats;
        VslInverseConsistency ic;
        double before = 0;
        opt.similarity = kinds[k];
        opt.weight = weights[k];
        CHECK_OK(vsl_lddmm(&r, &s.fixed, &s.moving, NULL, NULL, NULL, &opt, be));
        const double error = rms_error(&r.shot.disp, &s, &before);
        printf("  truth %.2f mm rms, found within %.2f mm rms; drift %.1e\n", before, error, r.shot.energy_drift);
        CHECK(before > 1.8);
        CHECK(error < (kinds[k] == VSL_SIMILARITY_MI ? 0.6 : 0.4) * before); /* MI sees texture only as a whole */
        CHECK(r.similarity_after > r.similarity_before);
        CHECK(r.shot.energy_drift < 1e-3);
        CHECK_OK(vsl_jacobian(&jac, &r.shot.disp, 2));
        CHECK_OK(vsl_jacobian_stats(&stats, &jac, NULL));
        CHECK(stats.folds == 0 && stats.min > 0.05);
        CHECK_OK(vsl_inverse_consistency(&ic, &r.shot.disp, &r.shot.inverse_disp, NULL, 2));
        CHECK(ic.mean_vox < 0.05);
        vsl_volume_free(&jac);
        vsl_lddmm_result_free(&r);
    }
    free_setting(&s);
}

/* The same image with axes permuted and flipped in memory, at the same place in the world. */
static VslVolume reorder(const VslVolume *v, const int axis[3], const int flip[3])
{
    VslVolume out = {0};
    VslAffine step = {{{0}}}; /* new voxel -> old voxel */
    VslGrid grid = v->grid;
    for (int d = 0; d < 3; d++) {
        grid.n[d] = v->grid.n[axis[d]];
        step.m[axis[d]][d] = flip[d] ? -1 : 1;
        step.m[axis[d]][3] = flip[d] ? (double)(v->grid.n[axis[d]] - 1) : 0;
    }
    grid.to_ras = vsl_affine_compose(&v->grid.to_ras, &step);
    CHECK_OK(vsl_volume_new(&out, &grid, v->channels));
    for (int64_t q = 0; q < vsl_grid_voxels(&grid); q++) {
        const double x[3] = {(double)(q % grid.n[0]), (double)(q / grid.n[0] % grid.n[1]),
                             (double)(q / (grid.n[0] * grid.n[1]))};
        double y[3];
        vsl_affine_point(y, &step, x);
        out.data[q] = v->data[((int64_t)y[2] * v->grid.n[1] + (int64_t)y[1]) * v->grid.n[0] + (int64_t)y[0]];
    }
    return out;
}

TEST(the_order_and_direction_of_axes_do_not_matter)
{
    const VslGrid grid = vsl_grid_centred((int64_t[3]){30, 36, 24}, (double[3]){4, 3, 4});
    Setting s = make_setting(&grid, 7);
    VslLddmmResult a = {0}, b = {0};
    const int axis[3] = {2, 0, 1}, flip[3] = {1, 0, 1}, moving_axis[3] = {1, 0, 2}, moving_flip[3] = {0, 1, 0};
    VslVolume fixed = reorder(&s.fixed, axis, flip), moving = reorder(&s.moving, moving_axis, moving_flip);
    CHECK_OK(vsl_lddmm(&a, &s.fixed, &s.moving, NULL, NULL, NULL, &quick, be));
    CHECK_OK(vsl_lddmm(&b, &fixed, &moving, NULL, NULL, NULL, &quick, be));
    /* compare world displacements at the same world points */
    VslVolume back = {0};
    const VslMap identity = {vsl_affine_identity(), NULL};
    CHECK_OK(vsl_apply_image(&back, &s.fixed.grid, &b.shot.disp, &identity, 1, VSL_INTERPOLATION_LINEAR, 0, 2));
    double sum = 0;
    const int64_t n = 3 * vsl_grid_voxels(&grid);
    for (int64_t i = 0; i < n; i++) {
        sum += pow((double)(back.data[i] - a.shot.disp.data[i]), 2);
    }
    const double rms = sqrt(sum / (double)n * 3);
    printf("  rms difference %.3f mm\n", rms);
    CHECK_NEAR(rms, 0, 0.15, "mm; float32 rounding grows along two optimisations that stop by tolerance");
    vsl_volume_free(&back);
    vsl_volume_free(&fixed);
    vsl_volume_free(&moving);
    vsl_lddmm_result_free(&a);
    vsl_lddmm_result_free(&b);
    free_setting(&s);
}

TEST(images_that_are_taken_give_the_same_and_are_gone)
{
    const VslGrid grid = vsl_grid_centred((int64_t[3]){20, 24, 18}, (double[3]){4, 4, 5});
    Setting s = make_setting(&grid, 7);
    VslLddmmResult kept = {0}, taken = {0};
    VslVolume fixed = {0}, moving = {0}, refused = {0};
    CHECK_OK(vsl_volume_copy(&fixed, &s.fixed));
    CHECK_OK(vsl_volume_copy(&moving, &s.moving));
    CHECK_OK(vsl_volume_copy(&refused, &s.fixed));
    CHECK_OK(vsl_lddmm(&kept, &s.fixed, &s.moving, NULL, NULL, NULL, &quick, be));
    CHECK_OK(vsl_lddmm_take(&taken, &fixed, &moving, NULL, NULL, NULL, &quick, be));
    CHECK(fixed.data == NULL && moving.data == NULL);
    CHECK(memcmp(kept.shot.disp.data, taken.shot.disp.data, (size_t)(3 * vsl_grid_voxels(&grid)) * sizeof(float)) == 0);
    moving.channels = 2; /* nothing is taken of what is refused */
    CHECK_STATUS(vsl_lddmm_take(&taken, &refused, &moving, NULL, NULL, NULL, &quick, be), VSL_E_ARG);
    CHECK(refused.data != NULL);
    vsl_volume_free(&refused);
    vsl_lddmm_result_free(&kept);
    vsl_lddmm_result_free(&taken);
    free_setting(&s);
}

TEST(threads_and_repetition_change_no_bit)
{
    const VslGrid grid = vsl_grid_centred((int64_t[3]){22, 26, 19}, (double[3]){4, 4, 5});
    Setting s = make_setting(&grid, 7);
    VslLddmmResult r[3] = {{.seconds = 0}};
    for (int t = 0; t < 3; t++) {
        VslBackend *other = NULL;
        CHECK_OK(vsl_backend_open(&other, "cpu", t + 1));
        CHECK_OK(vsl_lddmm(&r[t], &s.fixed, &s.moving, NULL, NULL, NULL, &quick, other));
        vsl_backend_close(&other);
    }
    const size_t bytes = (size_t)(3 * vsl_grid_voxels(&grid)) * sizeof(float);
    for (int t = 1; t < 3; t++) {
        CHECK(memcmp(r[0].shot.disp.data, r[t].shot.disp.data, bytes) == 0);
        CHECK(memcmp(r[0].shot.inverse_disp.data, r[t].shot.inverse_disp.data, bytes) == 0);
        CHECK(r[0].energy_after == r[t].energy_after);
    }
    for (int t = 0; t < 3; t++) {
        vsl_lddmm_result_free(&r[t]);
    }
    free_setting(&s);
}

TEST(flat_images_deform_in_their_plane)
{
    const VslGrid grid = vsl_grid_centred((int64_t[3]){90, 80, 1}, (double[3]){2, 2, 2});
    Setting s = make_setting(&grid, 8);
    VslLddmmResult r = {0};
    double before = 0;
    CHECK_OK(vsl_lddmm(&r, &s.fixed, &s.moving, NULL, NULL, NULL, &quick, be));
    if (!r.shot.disp.data) {
        free_setting(&s);
        return;
    }
    const double error = rms_error(&r.shot.disp, &s, &before);
    printf("  truth %.2f mm rms, found within %.2f mm rms\n", before, error);
    CHECK(error < 0.35 * before);
    for (int64_t i = 2 * 90 * 80; i < 3 * 90 * 80; i++) {
        if (r.shot.disp.data[i] != 0) {
            CHECK(r.shot.disp.data[i] == 0);
            break;
        }
    }
    vsl_lddmm_result_free(&r);
    free_setting(&s);
}

TEST(a_mask_keeps_a_lesion_from_pulling)
{
    const VslGrid grid = vsl_grid_centred((int64_t[3]){30, 30, 30}, (double[3]){4, 4, 4});
    VslVolume fixed = texture(&grid, 5), moving = {0}, mask = {0};
    CHECK_OK(vsl_volume_copy(&moving, &fixed));
    CHECK_OK(vsl_volume_new(&mask, &grid, 1));
    for (int64_t q = 0; q < vsl_grid_voxels(&grid); q++) { /* a bright block that the fixed image lacks */
        const int64_t i = q % 30, j = q / 30 % 30, k = q / 900;
        const int inside = i >= 12 && i < 19 && j >= 12 && j < 19 && k >= 12 && k < 19;
        moving.data[q] += inside ? 15.0f : 0.0f;
        mask.data[q] = inside ? 0.0f : 1.0f;
    }
    double size[2] = {0};
    for (int with = 0; with < 2; with++) {
        VslLddmmResult r = {0};
        CHECK_OK(vsl_lddmm(&r, &fixed, &moving, NULL, with ? &mask : NULL, NULL, &quick, be));
        for (int64_t i = 0; i < 3 * vsl_grid_voxels(&grid); i++) {
            size[with] += pow((double)r.shot.disp.data[i], 2);
        }
        vsl_lddmm_result_free(&r);
    }
    printf("  displacement with the mask %.3f of that without\n", sqrt(size[1] / size[0]));
    CHECK(size[1] < 0.05 * size[0]);
    vsl_volume_free(&fixed);
    vsl_volume_free(&moving);
    vsl_volume_free(&mask);
}

static int stop_at_once(const VslProgress *p, void *user)
{
    *(int *)user += p->iteration;
    return 1;
}

TEST(two_images_that_do_not_match_are_kept_from_folding)
{
    const VslGrid grid = vsl_grid_centred((int64_t[3]){40, 44, 36}, (double[3]){3, 3, 3});
    VslVolume fixed = texture(&grid, 5), moving = texture(&grid, 6), jac = {0};
    /* a floor this low leaves voxels between the nodes to fold: what mends that is the check at the end */
    const VslLddmmOptions opt = {.band_mm = 6,
                                 .iterations = 30,
                                 .fine_iterations = 20,
                                 .levels = 2,
                                 .weight = 1000,
                                 .volume_floor = 0.02,
                                 .volume_weight = 3000};
    VslLddmmResult r = {0};
    VslJacobianStats stats;
    CHECK_OK(vsl_lddmm(&r, &fixed, &moving, NULL, NULL, NULL, &opt, be));
    CHECK_OK(vsl_jacobian(&jac, &r.shot.disp, 2));
    CHECK_OK(vsl_jacobian_stats(&stats, &jac, NULL));
    printf("  least J %.4f, folds %lld, correlation %.3f to %.3f\n", stats.min, (long long)stats.folds,
           r.similarity_before, r.similarity_after);
    CHECK(stats.folds == 0);
    CHECK(r.similarity_after > r.similarity_before + 0.1);
    vsl_lddmm_result_free(&r);
    vsl_volume_free(&jac);
    vsl_volume_free(&fixed);
    vsl_volume_free(&moving);
}

TEST(what_cannot_be_registered_is_refused_and_nothing_leaks)
{
    const VslGrid grid = vsl_grid_centred((int64_t[3]){16, 16, 16}, (double[3]){4, 4, 4});
    VslVolume image = texture(&grid, 5), blank = {0}, two = {0};
    VslLddmmResult r = {0};
    VslAffine away = vsl_affine_identity();
    int seen = 0;
    CHECK_OK(vsl_volume_new(&blank, &grid, 1));
    CHECK_OK(vsl_volume_new(&two, &grid, 2));
    const int64_t held = vsl_memory_now();
    CHECK_STATUS(vsl_lddmm(&r, &image, &blank, NULL, NULL, NULL, &quick, be), VSL_E_NUMERIC);
    CHECK(strstr(vsl_error(), "blank") != NULL);
    CHECK_STATUS(vsl_lddmm(&r, &image, &two, NULL, NULL, NULL, &quick, be), VSL_E_ARG);
    away.m[0][3] = 1000;
    CHECK_STATUS(vsl_lddmm(&r, &image, &image, NULL, NULL, &away, &quick, be), VSL_E_NUMERIC);
    VslLddmmOptions opt = quick;
    opt.progress = stop_at_once;
    opt.progress_user = &seen;
    CHECK_STATUS(vsl_lddmm(&r, &image, &image, NULL, NULL, NULL, &opt, be), VSL_E_CANCELLED);
    opt = quick;
    opt.alpha_mm2 = -1;
    CHECK_STATUS(vsl_lddmm(&r, &image, &image, NULL, NULL, NULL, &opt, be), VSL_E_ARG);
    CHECK(r.shot.disp.data == NULL);
    const int64_t kept = vsl_memory_now() - held; /* the backend's scratch may have grown, nothing else */
    VslBackend *fresh = NULL;
    CHECK_OK(vsl_backend_open(&fresh, "cpu", 1));
    const int64_t floor = vsl_memory_now();
    CHECK_OK(vsl_lddmm(&r, &image, &image, NULL, NULL, NULL, &quick, fresh));
    vsl_lddmm_result_free(&r);
    for (int64_t n = 1; n <= 400; n += 7) { /* every seventh allocation fails once */
        vsl_memory_fail_after(n);
        const VslStatus st = vsl_lddmm(&r, &image, &image, NULL, NULL, NULL, &quick, fresh);
        vsl_memory_fail_after(0);
        CHECK(st == VSL_E_NOMEM || st == VSL_OK);
        CHECK((r.shot.disp.data != NULL) == (st == VSL_OK));
        vsl_lddmm_result_free(&r);
    }
    vsl_backend_close(&fresh);
    CHECK(vsl_memory_now() <= floor && kept >= 0);
    vsl_volume_free(&image);
    vsl_volume_free(&blank);
    vsl_volume_free(&two);
}

int main(void)
{
    if (vsl_backend_open(&be, "cpu", 2) != VSL_OK) {
        return 1;
    }
    RUN(a_known_geodesic_is_found_again_without_folds);
    RUN(the_order_and_direction_of_axes_do_not_matter);
    RUN(images_that_are_taken_give_the_same_and_are_gone);
    RUN(threads_and_repetition_change_no_bit);
    RUN(flat_images_deform_in_their_plane);
    RUN(a_mask_keeps_a_lesion_from_pulling);
    RUN(two_images_that_do_not_match_are_kept_from_folding);
    RUN(what_cannot_be_registered_is_refused_and_nothing_leaks);
    vsl_backend_close(&be);
    return CHECK_VERDICT();
}
