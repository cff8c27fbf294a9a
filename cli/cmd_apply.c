/* vesal apply: an image or label map resampled once through a chain of transforms onto the fixed grid. */
#include "cli/files.h"
#include "cli/transforms.h"
#include "io/path.h"

typedef struct ApplyArgs {
    const char *fixed, *moving, *out;
    CliList transforms;
    int is_labels;
    struct ApplyNumbers {
        double outside;
        int interpolation;
    } numbers;
} ApplyArgs;

static const VslOption options[] = {
    {"outside", VSL_OPT_DOUBLE, offsetof(struct ApplyNumbers, outside), 0, -1e30, 1e30, "",
     "value where the moving image does not reach; labels take 0", NULL},
    {"interpolation", VSL_OPT_CHOICE, offsetof(struct ApplyNumbers, interpolation), 1, 0, 0, "",
     "between voxels; label maps are always nearest", "linear,nearest"},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL},
};

static VslStatus write_sidecar(const Cli *cli, const ApplyArgs *args, const CliChain *chain, const char *how)
{
    const char *inputs[CLI_MAX_LIST + 2];
    int count = 0;
    json_t *transforms = json_array();
    inputs[count++] = args->fixed;
    inputs[count++] = args->moving;
    for (int i = chain->count - 1; i >= 0; i--) { /* in the order of the command line */
        inputs[count++] = chain->files[i].text;
        json_array_append_new(transforms, json_pack("{s:i,s:b}", "input", count - 1, "inverted", chain->inverted[i]));
    }
    return cli_sidecar_write(cli, args->out,
                             json_pack("{s:s,s:o,s:o}", "interpolation", how, "outside",
                                       cli_json_number(args->numbers.outside), "transforms", transforms),
                             inputs, count);
}

static VslStatus apply_labels(Cli *cli, const ApplyArgs *args, const VslGrid *grid, const CliChain *chain)
{
    VslStatus st = VSL_OK;
    VslLabels moving = {0}, out = {0};
    VslNiftiInfo info = {0};
    VSL_TRY(cli_read_labels(cli, &moving, &info, args->moving));
    VSL_TRY(vsl_apply_labels(&out, grid, &moving, chain->links, chain->count, cli->threads));
    VSL_TRY(cli_check_stop());
    const VslNiftiWrite how = {.intent_code = 1002, .threads = cli->threads};
    VSL_TRY(vsl_image_write_labels(args->out, &out, &how));
out:
    vsl_nifti_info_free(&info);
    vsl_labels_free(&moving);
    vsl_labels_free(&out);
    return st;
}

static VslStatus apply_image(Cli *cli, const ApplyArgs *args, const VslGrid *grid, const CliChain *chain)
{
    VslStatus st = VSL_OK;
    VslVolume moving = {0}, out = {0};
    VslNiftiInfo info = {0};
    VSL_TRY(cli_read_image(cli, &moving, &info, args->moving));
    if (info.intent_code == 1002) {
        cli_warn(cli, "%s is marked as labels but --labels was not given: it is interpolated as an image",
                 vsl_path_text(args->moving).text);
    }
    if (info.intent_code == 1006 || info.intent_code == 1007) {
        cli_warn(cli, "%s holds vectors: they are moved but not turned", vsl_path_text(args->moving).text);
    }
    VSL_TRY(vsl_apply_image(&out, grid, &moving, chain->links, chain->count,
                            (VslInterpolation)args->numbers.interpolation, (float)args->numbers.outside, cli->threads));
    VSL_TRY(cli_check_stop());
    VslNiftiWrite how = {.threads = cli->threads};
    if (vsl_path_has_suffix(args->out, ".png")) {
        how.datatype = cli_round_for_png(cli, &out);
        how.scale_to_fit = !how.datatype;
    }
    VSL_TRY(vsl_image_write(args->out, &out, &how));
out:
    vsl_nifti_info_free(&info);
    vsl_volume_free(&moving);
    vsl_volume_free(&out);
    return st;
}

static VslStatus run(Cli *cli, void *void_args)
{
    VslStatus st = VSL_OK;
    ApplyArgs *args = void_args;
    CliChain *chain = NULL;
    VslNiftiInfo info = {0};
    VslVolume fixed = {0};
    VSL_TRY(vsl_options_resolve(&args->numbers, options));
    VSL_TRY(cli_check_image_output(cli, args->out));
    VSL_TRY(VSL_NEW0(&chain, 1, "the chain of transforms"));
    VSL_TRY(cli_read_image(cli, &fixed, &info, args->fixed));
    const VslGrid grid = fixed.grid;
    vsl_volume_free(&fixed);
    VSL_TRY(cli_chain_read(chain, cli, &args->transforms));
    if (chain->count == 0) {
        cli_note(cli, "no -t: the image is resampled through the headers' world frames only");
    }
    if (args->is_labels) {
        VSL_TRY(apply_labels(cli, args, &grid, chain));
    } else {
        VSL_TRY(apply_image(cli, args, &grid, chain));
    }
    const char *how =
        args->is_labels || args->numbers.interpolation == VSL_INTERPOLATION_NEAREST ? "nearest" : "linear";
    VSL_TRY(write_sidecar(cli, args, chain, how));
    cli->result = json_pack("{s:s,s:o,s:i,s:s}", "out", args->out, "grid", cli_json_grid(&grid), "transforms",
                            chain->count, "interpolation", how);
    cli_note(cli, "wrote %s (%s, %d transform%s, on the grid of %s)", vsl_path_text(args->out).text, how, chain->count,
             chain->count == 1 ? "" : "s", vsl_path_text(args->fixed).text);
out:
    if (chain) {
        cli_chain_free(chain);
        vsl_free(chain);
    }
    vsl_volume_free(&fixed);
    vsl_nifti_info_free(&info);
    return st;
}

static const CliFlag flags[] = {
    {"fixed", CLI_TEXT, offsetof(ApplyArgs, fixed), "FILE", 1, "image whose grid the output gets"},
    {"moving", CLI_TEXT, offsetof(ApplyArgs, moving), "FILE", 1, "image or label map to bring there"},
    {"out", CLI_TEXT, offsetof(ApplyArgs, out), "FILE", 1, "output, .nii.gz, .nii or .png"},
    {"t", CLI_LIST, offsetof(ApplyArgs, transforms), "FILE", 0,
     "transform: affine, displacement field or velocity file; the last one is applied to the image first; [FILE,1] "
     "inverts it"},
    {"labels", CLI_SWITCH, offsetof(ApplyArgs, is_labels), NULL, 0,
     "the moving image is a label map: nearest voxel, whole numbers kept"},
    {NULL, CLI_SWITCH, 0, NULL, 0, NULL},
};

const CliVerb cli_verb_apply = {
    .name = "apply",
    .purpose = "resample an image or label map through transforms onto a fixed grid, in one interpolation.",
    .inputs = "",
    .flags = flags,
    .groups = {{"Sampling", options, offsetof(ApplyArgs, numbers), NULL, NULL}},
    .notes = "Order as in ANTs: '-t PREFIX1Warp.nii.gz -t PREFIX0GenericAffine.mat' brings the moving image onto the "
             "fixed one; '-t [PREFIX0GenericAffine.mat,1] -t PREFIX1InverseWarp.nii.gz' brings the fixed image onto "
             "the moving grid (--fixed is then the moving image). [FILE,1] inverts an affine exactly, a displacement "
             "field by search on its own grid, a velocity file by shooting backward. A JSON file beside the output "
             "says what was done.",
    .example = "vesal apply --fixed fixed.nii.gz --moving moving.nii.gz --out warped.nii.gz -t out1Warp.nii.gz -t "
               "out0GenericAffine.mat",
    .args_size = sizeof(ApplyArgs),
    .run = run,
};
