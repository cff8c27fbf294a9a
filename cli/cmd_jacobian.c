/* vesal jacobian: local volume change of a deformation, and whether it folds. */
#include <math.h>

#include "cli/files.h"
#include "cli/stats.h"
#include "cli/transforms.h"
#include "io/path.h"

typedef struct JacobianArgs {
    CliList transforms;
    const char *out, *mask;
    int is_log;
} JacobianArgs;

/* Folded voxels have no logarithm; they become NaN, which viewers show and statistics skip. */
static void take_log(VslVolume *jac)
{
    const int64_t count = vsl_grid_voxels(&jac->grid);
    for (int64_t i = 0; i < count; i++) {
        jac->data[i] = jac->data[i] > 0 ? logf(jac->data[i]) : NAN;
    }
}

static VslStatus run(Cli *cli, void *void_args)
{
    VslStatus st = VSL_OK;
    JacobianArgs *args = void_args;
    VslVolume disp = {0}, jac = {0}, mask = {0};
    VslJacobianStats s;
    CliPath file;
    int inverted = 0;
    VSL_CHECK(args->transforms.count == 1, VSL_E_ARG, "jacobian takes one -t, found %d", args->transforms.count);
    const char *warp = args->transforms.items[0];
    VSL_TRY(cli_transform_split(&file, &inverted, warp));
    if (args->out) {
        VSL_TRY(cli_check_image_output(cli, args->out));
    }
    VSL_CHECK(args->out || !args->is_log, VSL_E_ARG, "--log changes the map, but --out was not given");
    VSL_TRY(cli_read_displacement(&disp, cli, warp));
    if (args->mask) {
        VSL_TRY(cli_read_mask(cli, &mask, args->mask, "--mask", &disp.grid, "-t"));
    }
    VSL_TRY(vsl_jacobian(&jac, &disp, cli->threads));
    VSL_TRY(vsl_jacobian_stats(&s, &jac, args->mask ? &mask : NULL));
    VSL_TRY(cli_check_stop());
    if (args->out) {
        if (args->is_log) {
            take_log(&jac);
        }
        const VslNiftiWrite how = {
            .intent_code = 1001, .intent_name = args->is_log ? "log Jacobian" : "Jacobian", .threads = cli->threads};
        VSL_TRY(vsl_image_write(args->out, &jac, &how));
        const char *inputs[2] = {file.text, args->mask};
        VSL_TRY(cli_sidecar_write(cli, args->out,
                                  json_pack("{s:s,s:b,s:s,s:o}", "map",
                                            args->is_log ? "natural logarithm" : "determinant", "inverted", inverted,
                                            "direction", "of the map from fixed points to moving points", "statistics",
                                            cli_json_jacobian(&s)),
                                  inputs, args->mask ? 2 : 1));
        cli_note(cli, "wrote %s", vsl_path_text(args->out).text);
    }
    cli->result = json_pack("{s:o}", "jacobian", cli_json_jacobian(&s));
    if (!cli->wants_json) {
        cli_print_jacobian(&s);
    }
out:
    vsl_volume_free(&disp);
    vsl_volume_free(&jac);
    vsl_volume_free(&mask);
    return st;
}

static const CliFlag flags[] = {
    {"t", CLI_LIST, offsetof(JacobianArgs, transforms), "WARP", 1,
     "displacement field or velocity file; [FILE,1] inverts it"},
    {"out", CLI_TEXT, offsetof(JacobianArgs, out), "FILE", 0, "map of the determinant, on the field's grid"},
    {"log", CLI_SWITCH, offsetof(JacobianArgs, is_log), NULL, 0,
     "write the natural logarithm; folded voxels become NaN"},
    {"mask", CLI_TEXT, offsetof(JacobianArgs, mask), "FILE", 0, "where the statistics count"},
    {NULL, CLI_SWITCH, 0, NULL, 0, NULL},
};

const CliVerb cli_verb_jacobian = {
    .name = "jacobian",
    .purpose = "local volume change of a deformation: map, and statistics with folds.",
    .inputs = "",
    .flags = flags,
    .notes = "1 keeps volume, above 1 the moving image is larger there than the fixed one, 0 or less is a fold. "
             "Central differences inside, one-sided at the faces, in world millimetres.",
    .example = "vesal jacobian -t out1Warp.nii.gz --out logjac.nii.gz --log",
    .args_size = sizeof(JacobianArgs),
    .run = run,
};
