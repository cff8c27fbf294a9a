/* vesal doctor: what was built in, what this machine offers, and a registration of a known answer in a few seconds. */
#define _GNU_SOURCE
#include <cairo.h>
#include <math.h>
#include <string.h>
#include <unistd.h>

#include "cli/checks.h"
#include "core/parallel.h"
#include "registration/lddmm.h"
#include "registration/quality.h"
#include "registration/transform.h"

/* Two nested balls with a texture inside, scaled and shifted between fixed and moving image: fixed has scale 1, shift
 * 0.
 */
static VslStatus make_ball(VslVolume *image, VslLabels *labels, double scale, double shift_mm)
{
    VslStatus st = VSL_OK;
    const int64_t n[3] = {32, 36, 28};
    const double spacing[3] = {2, 2, 2.5}, radius_mm = 22;
    const VslGrid grid = vsl_grid_centred(n, spacing);
    VSL_TRY(vsl_volume_new(image, &grid, 1));
    VSL_TRY(vsl_labels_new(labels, &grid));
    for (int64_t q = 0; q < vsl_grid_voxels(&grid); q++) {
        const double voxel[3] = {(double)(q % n[0]), (double)(q / n[0] % n[1]), (double)(q / (n[0] * n[1]))};
        double x[3];
        vsl_affine_point(x, &grid.to_ras, voxel);
        x[0] -= shift_mm;
        const double r = sqrt(x[0] * x[0] + x[1] * x[1] + x[2] * x[2]) / scale;
        const double texture = sin(x[0] / scale / 3) * sin(x[1] / scale / 3.5) * sin(x[2] / scale / 3);
        const double inside = 1 / (1 + exp(r - radius_mm)), core = 1 / (1 + exp(r - radius_mm / 2));
        image->data[q] = (float)(60 * inside + 40 * core + 20 * texture * inside);
        labels->data[q] = r < radius_mm / 2 ? 2 : r < radius_mm ? 1 : 0;
    }
out:
    return st;
}

static VslStatus mean_dice(double *out, const VslLabels *a, const VslLabels *b, int threads)
{
    VslLabelScore *rows = NULL;
    int count = 0;
    const VslStatus st = vsl_label_scores(&rows, &count, out, a, b, 0, threads);
    vsl_free(rows);
    return st;
}

static VslStatus self_test(Cli *cli, json_t *checks, int *bad)
{
    VslStatus st = VSL_OK;
    VslVolume fixed = {0}, moving = {0}, jac = {0};
    VslLabels fixed_labels = {0}, moving_labels = {0}, warped = {0};
    VslLddmmResult r = {0};
    VslLddmmOptions options = {0};
    VslJacobianStats stats = {0};
    VslInverseConsistency inverse = {0};
    double before = 0, after = 0;
    VSL_TRY(make_ball(&fixed, &fixed_labels, 1, 0));
    VSL_TRY(make_ball(&moving, &moving_labels, 1.15, 3));
    vsl_lddmm_preset(&options, VSL_PRESET_FAST);
    options.progress = cli_progress;
    options.progress_user = cli;
    VSL_TRY(vsl_lddmm(&r, &fixed, &moving, NULL, NULL, NULL, &options, cli->be));
    const VslMap map = {.disp = &r.shot.disp};
    VSL_TRY(vsl_apply_labels(&warped, &fixed.grid, &moving_labels, &map, 1, cli->threads));
    VSL_TRY(mean_dice(&before, &fixed_labels, &moving_labels, cli->threads));
    VSL_TRY(mean_dice(&after, &fixed_labels, &warped, cli->threads));
    VSL_TRY(vsl_jacobian(&jac, &r.shot.disp, cli->threads));
    VSL_TRY(vsl_jacobian_stats(&stats, &jac, NULL));
    VSL_TRY(vsl_inverse_consistency(&inverse, &r.shot.disp, &r.shot.inverse_disp, NULL, cli->threads));
    cli_check_bar(checks, "Dice of two nested balls after registration", after, fmax(0.85, before), 1, bad);
    cli_check_bar(checks, "gain in local correlation", r.similarity_after - r.similarity_before, 0.05, 1, bad);
    cli_check_bar(checks, "folded voxels", (double)stats.folds, 0, 0, bad);
    cli_check_bar(checks, "mean inverse error, voxels", inverse.mean_vox, 0, 0.05, bad);
    cli_check_bar(checks, "energy drift along the geodesic", r.shot.energy_drift, 0, 1e-3, bad);
out:
    vsl_lddmm_result_free(&r);
    vsl_volume_free(&fixed);
    vsl_volume_free(&moving);
    vsl_volume_free(&jac);
    vsl_labels_free(&fixed_labels);
    vsl_labels_free(&moving_labels);
    vsl_labels_free(&warped);
    return st;
}

static json_t *describe(const Cli *cli, const char *cuda)
{
    const long pages = sysconf(_SC_PHYS_PAGES), page = sysconf(_SC_PAGESIZE);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:i,s:i,s:o,s:s,s:s}", "version", cli_version(), "commit", cli_commit(),
                     "build", cli_build(), "device", vsl_backend_name(cli->be), "cuda", cuda, "threads", cli->threads,
                     "cores_granted", vsl_threads_available(), "memory_mb",
                     cli_json_number((double)pages * (double)page / 1048576), "cairo", cairo_version_string(),
                     "jansson", JANSSON_VERSION);
}

static VslStatus run(Cli *cli, void *args)
{
    VslStatus st = VSL_OK;
    (void)args;
    int bad = 0;
    char cuda_text[256] = "usable";
    VslBackend *cuda = NULL;
    json_t *checks = json_array();
    if (vsl_backend_open(&cuda, "cuda", 1) != VSL_OK) {
        snprintf(cuda_text, sizeof cuda_text, "%s", vsl_error());
    }
    vsl_backend_close(&cuda);
    VSL_TRY(cli_backend(cli));
    const double start = cli_seconds();
    VSL_TRY(self_test(cli, checks, &bad));
    const double seconds = cli_seconds() - start;
    cli_progress_end();
    cli->result = describe(cli, cuda_text);
    if (!cli->wants_json) {
        cli_checks_print(cli->result, checks, seconds);
    }
    json_object_set(cli->result, "checks", checks);
    json_object_set_new(cli->result, "seconds", cli_json_number(seconds));
    VSL_CHECK(bad == 0, VSL_E_EXTERNAL,
              "%d of %zu checks of the self-test failed: this build or machine is not to be "
              "trusted",
              bad, json_array_size(checks));
out:
    json_decref(checks);
    return st;
}

const CliVerb cli_verb_doctor = {
    .name = "doctor",
    .purpose = "versions, devices, what was built in, and a self-test of a few seconds.",
    .inputs = "",
    .notes = "Exit code 1 when a check of the self-test fails.",
    .example = "vesal doctor",
    .run = run,
};
