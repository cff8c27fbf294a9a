/* vesal evaluate: how well label maps agree, how sound deformations are, how alike images are. */
#include <math.h>
#include <stdio.h>

#include "cli/files.h"
#include "cli/stats.h"
#include "cli/transforms.h"
#include "io/path.h"

typedef struct EvaluateArgs {
    const char *labels, *against, *image, *mask;
    CliList transforms;
    int no_surfaces;
} EvaluateArgs;

/* Labels outside the mask do not count on either side. */
static void mask_labels(VslLabels *l, const VslVolume *mask)
{
    const int64_t count = vsl_grid_voxels(&l->grid);
    for (int64_t i = 0; i < count; i++) {
        l->data[i] = mask->data[i] > 0 ? l->data[i] : 0;
    }
}

static VslStatus evaluate_labels(Cli *cli, const EvaluateArgs *args)
{
    VslStatus st = VSL_OK;
    VslLabels a = {0}, b = {0};
    VslVolume mask = {0};
    VslLabelScore *rows = NULL;
    int count = 0;
    double mean = NAN;
    VSL_TRY(cli_read_labels(cli, &a, NULL, args->labels));
    VSL_TRY(cli_read_labels(cli, &b, NULL, args->against));
    VSL_TRY(vsl_grid_check_same(&a.grid, "--labels", &b.grid, "--against"));
    if (args->mask) {
        VSL_TRY(cli_read_mask(cli, &mask, args->mask, "--mask", &a.grid, "--labels"));
        mask_labels(&a, &mask);
        mask_labels(&b, &mask);
    }
    VSL_TRY(vsl_label_scores(&rows, &count, &mean, &a, &b, !args->no_surfaces, cli->threads));
    VSL_CHECK(count > 0, VSL_E_FORMAT, "neither label map has a label above 0");
    cli->result = cli_json_label_scores(rows, count, mean, !args->no_surfaces);
    if (!cli->wants_json) {
        cli_print_label_scores(rows, count, mean);
    }
out:
    vsl_free(rows);
    vsl_volume_free(&mask);
    vsl_labels_free(&a);
    vsl_labels_free(&b);
    return st;
}

static VslStatus evaluate_image(Cli *cli, const EvaluateArgs *args)
{
    VslStatus st = VSL_OK;
    VslVolume a = {0}, b = {0}, mask = {0};
    VslImageScore s;
    VSL_TRY(cli_read_image(cli, &a, NULL, args->image));
    VSL_TRY(cli_read_image(cli, &b, NULL, args->against));
    VSL_TRY(vsl_grid_check_same(&a.grid, "--image", &b.grid, "--against"));
    VSL_CHECK(a.channels == b.channels, VSL_E_FORMAT, "--image has %d channels, --against has %d", a.channels,
              b.channels);
    if (args->mask) {
        VSL_TRY(cli_read_mask(cli, &mask, args->mask, "--mask", &a.grid, "--image"));
    }
    VSL_TRY(vsl_image_score(&s, &a, &b, args->mask ? &mask : NULL, cli->threads));
    cli->result = cli_json_image_score(&s);
    if (!cli->wants_json) {
        printf("SSIM                %.5f\nPSNR                %.3f dB\nNRMSE               %.5f\n", s.ssim, s.psnr_db,
               s.nrmse);
        printf("correlation         %.5f\nmutual information  %.5f nats\n", s.correlation, s.mutual_information_nats);
    }
out:
    vsl_volume_free(&a);
    vsl_volume_free(&b);
    vsl_volume_free(&mask);
    return st;
}

/* Mean over voxels (of the mask) of the length of a displacement, mm. */
static double mean_length(const VslVolume *u, const VslVolume *mask)
{
    const int64_t n = vsl_grid_voxels(&u->grid);
    double sum = 0, weight = 0;
    for (int64_t i = 0; i < n; i++) {
        if (!mask->data || mask->data[i] > 0) {
            const double x = (double)u->data[i], y = (double)u->data[n + i], z = (double)u->data[2 * n + i];
            sum += sqrt(x * x + y * y + z * z);
            weight += 1;
        }
    }
    return sum / weight;
}

static void add_scaled(VslVolume *sum, const VslVolume *u, float scale)
{
    const int64_t count = vsl_grid_voxels(&u->grid) * 3;
    for (int64_t i = 0; i < count; i++) {
        sum->data[i] += scale * u->data[i];
    }
}

static VslStatus evaluate_one_warp(Cli *cli, VslVolume *mean, const EvaluateArgs *args, int which, VslVolume *mask,
                                   json_t *warps)
{
    VslStatus st = VSL_OK;
    VslVolume u = {0}, jac = {0};
    VslJacobianStats s;
    const char *name = args->transforms.items[which];
    VSL_TRY(cli_read_displacement(&u, cli, name));
    if (which == 0) {
        VSL_TRY(vsl_volume_new(mean, &u.grid, 3));
        if (args->mask) {
            VSL_TRY(cli_read_mask(cli, mask, args->mask, "--mask", &u.grid, "-t"));
        }
    }
    VSL_TRY(vsl_grid_check_same(&u.grid, name, &mean->grid, args->transforms.items[0]));
    add_scaled(mean, &u, 1 / (float)args->transforms.count);
    VSL_TRY(vsl_jacobian(&jac, &u, cli->threads));
    VSL_TRY(vsl_jacobian_stats(&s, &jac, args->mask ? mask : NULL));
    const double length = mean_length(&u, mask);
    json_t *one = cli_json_jacobian(&s);
    json_object_set_new(one, "warp", json_string(vsl_path_text(name).text));
    json_object_set_new(one, "mean_displacement_mm", cli_json_number(length));
    json_array_append_new(warps, one);
    if (!cli->wants_json) {
        printf("%s\n", vsl_path_text(name).text);
        cli_print_jacobian(&s);
        printf("mean displacement     %.4g mm\n", length);
    }
out:
    vsl_volume_free(&u);
    vsl_volume_free(&jac);
    return st;
}

static VslStatus evaluate_warps(Cli *cli, const EvaluateArgs *args)
{
    VslStatus st = VSL_OK;
    VslVolume mean = {0}, mask = {0};
    json_t *warps = json_array();
    json_int_t folds = 0;
    for (int i = 0; i < args->transforms.count; i++) {
        VSL_TRY(evaluate_one_warp(cli, &mean, args, i, &mask, warps));
        folds += json_integer_value(json_object_get(json_array_get(warps, (size_t)i), "folds"));
    }
    const double centrality = mean_length(&mean, &mask);
    cli->result =
        json_pack("{s:I,s:o,s:O}", "folds", folds, "centrality_mm", cli_json_number(centrality), "warps", warps);
    if (!cli->wants_json) {
        printf("centrality            %.4g mm (length of the mean displacement of %d warp%s)\n", centrality,
               args->transforms.count, args->transforms.count == 1 ? "" : "s");
    }
out:
    json_decref(warps);
    vsl_volume_free(&mean);
    vsl_volume_free(&mask);
    return st;
}

static VslStatus run(Cli *cli, void *void_args)
{
    VslStatus st = VSL_OK;
    const EvaluateArgs *args = void_args;
    const int forms = (args->labels != NULL) + (args->image != NULL) + (args->transforms.count > 0);
    VSL_CHECK(forms == 1, VSL_E_ARG,
              "expected one of: --labels A --against B; --image A --against B; -t WARP (found %d of them)", forms);
    VSL_CHECK((args->against != NULL) == (args->transforms.count == 0), VSL_E_ARG, "--against %s",
              args->against ? "does not go with -t" : "is missing");
    if (args->labels) {
        VSL_TRY(evaluate_labels(cli, args));
    } else if (args->image) {
        VSL_TRY(evaluate_image(cli, args));
    } else {
        VSL_TRY(evaluate_warps(cli, args));
    }
out:
    return st;
}

static const CliFlag flags[] = {
    {"labels", CLI_TEXT, offsetof(EvaluateArgs, labels), "FILE", 0,
     "label map to judge: Dice, surface distances, volumes"},
    {"image", CLI_TEXT, offsetof(EvaluateArgs, image), "FILE", 0,
     "image to judge: SSIM, PSNR, NRMSE, correlation, mutual information"},
    {"against", CLI_TEXT, offsetof(EvaluateArgs, against), "FILE", 0, "the reference, on the same grid"},
    {"t", CLI_LIST, offsetof(EvaluateArgs, transforms), "WARP", 0,
     "deformation to judge: folds, Jacobian, displacement, and the centrality of all"},
    {"mask", CLI_TEXT, offsetof(EvaluateArgs, mask), "FILE", 0, "only voxels above 0 count"},
    {"no-surfaces", CLI_SWITCH, offsetof(EvaluateArgs, no_surfaces), NULL, 0, "leave surface distances out (faster)"},
    {NULL, CLI_SWITCH, 0, NULL, 0, NULL},
};

const CliVerb cli_verb_evaluate = {
    .name = "evaluate",
    .purpose = "agreement of label maps, soundness of deformations, likeness of images.",
    .inputs = "",
    .flags = flags,
    .notes = "Three forms: --labels A --against B; -t WARP (may be repeated); --image A --against B. Nothing is "
             "resampled: both files must lie on one grid.",
    .example = "vesal evaluate --labels warped_labels.nii.gz --against fixed_labels.nii.gz --json",
    .cite = "Dice, Ecology 1945; Wang et al., IEEE TIP 2004 (SSIM).",
    .args_size = sizeof(EvaluateArgs),
    .run = run,
};
