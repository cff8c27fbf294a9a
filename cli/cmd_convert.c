/* vesal convert: another file type, number type, order of axes or voxel size. */
#define _GNU_SOURCE
#include <math.h>
#include <string.h>

#include "cli/files.h"
#include "cli/flags.h"
#include "cli/reorient.h"
#include "cli/transforms.h"
#include "io/path.h"
#include "io/transform_io.h"
#include "registration/smooth.h"

typedef struct ConvertArgs {
    const char *orientation, *spacing;
    int is_labels;
    struct ConvertNumbers {
        int dtype; /* a VslDatatype, 0 = as stored where possible */
    } numbers;
} ConvertArgs;

static const VslOption options[] = {
    {"dtype", VSL_OPT_CHOICE, offsetof(struct ConvertNumbers, dtype), 0, 0, 0, "",
     "how numbers are stored; when not given: as in the input, float32 after interpolation",
     "float32,uint8,int16,uint16,int32,float64"},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL},
};

/* The same box, centred on the same point, with exactly this spacing; at least one voxel per axis. */
static VslStatus grid_with_spacing(VslGrid *out, const VslGrid *g, const char *text)
{
    VslStatus st = VSL_OK;
    double want[3], have[3];
    VSL_TRY(cli_parse_numbers(want, 3, text, "--spacing"));
    vsl_grid_spacing(have, g);
    *out = *g;
    for (int d = 0; d < 3; d++) {
        VSL_CHECK(want[d] > 0, VSL_E_ARG, "--spacing: %g is not above 0 mm", want[d]);
        const double voxels = fmax(1, round((double)g->n[d] * have[d] / want[d]));
        VSL_CHECK(voxels < 1e6, VSL_E_ARG, "--spacing: %g mm would make %g voxels along axis %d", want[d], voxels, d);
        out->n[d] = (int64_t)voxels;
    }
    double shift[3];
    for (int d = 0; d < 3; d++) { /* old voxel index of the new voxel 0 */
        shift[d] = 0.5 * ((double)(g->n[d] - 1) - (double)(out->n[d] - 1) * want[d] / have[d]);
    }
    for (int r = 0; r < 3; r++) {
        for (int d = 0; d < 3; d++) {
            out->to_ras.m[r][d] = g->to_ras.m[r][d] * want[d] / have[d];
            out->to_ras.m[r][3] += g->to_ras.m[r][d] * shift[d];
        }
    }
out:
    return st;
}

/* Smooths by what the coarser voxels cannot show (a Gaussian whose width matches the growth of the voxel), then linear.
 */
static VslStatus resample(VslVolume *v, const char *spacing, int threads)
{
    VslStatus st = VSL_OK;
    VslGrid grid;
    VslVolume out = {0};
    double before[3], after[3], sigma_vox[3];
    VSL_TRY(grid_with_spacing(&grid, &v->grid, spacing));
    vsl_grid_spacing(before, &v->grid);
    vsl_grid_spacing(after, &grid);
    for (int d = 0; d < 3; d++) {
        const double growth = after[d] / before[d];
        sigma_vox[d] = growth > 1 ? sqrt(growth * growth - 1) / (2 * sqrt(2 * log(2))) : 0;
    }
    VSL_TRY(reg_smooth_voxels(v, sigma_vox, 3, threads));
    /* new outer voxels may lie up to half a voxel outside: the affine's box is the same, the border value is wanted */
    VSL_TRY(vsl_apply_image(&out, &grid, v, NULL, 0, VSL_INTERPOLATION_LINEAR, NAN, threads));
    VSL_TRY(vsl_apply_image(v, &grid, v, NULL, 0, VSL_INTERPOLATION_NEAREST, 0, threads));
    for (int64_t i = 0; i < vsl_grid_voxels(&grid) * v->channels; i++) {
        v->data[i] = isnan(out.data[i]) ? v->data[i] : out.data[i];
    }
out:
    vsl_volume_free(&out);
    return st;
}

static void type_limits(VslDatatype type, double *low, double *high)
{
    *low = type == VSL_DATATYPE_INT16 ? INT16_MIN : type == VSL_DATATYPE_INT32 ? INT32_MIN : 0;
    *high = type == VSL_DATATYPE_UINT8    ? UINT8_MAX
            : type == VSL_DATATYPE_INT16  ? INT16_MAX
            : type == VSL_DATATYPE_UINT16 ? UINT16_MAX
                                          : INT32_MAX;
}

static int is_float(VslDatatype type)
{
    return type == VSL_DATATYPE_FLOAT32 || type == VSL_DATATYPE_FLOAT64;
}

static int fits(const VslVolume *v, VslDatatype type)
{
    double low, high;
    type_limits(type, &low, &high);
    const int64_t count = vsl_grid_voxels(&v->grid) * v->channels;
    for (int64_t i = 0; i < count; i++) {
        const double x = (double)v->data[i];
        if (!(x >= low && x <= high && x == floor(x))) {
            return 0;
        }
    }
    return 1;
}

/* The input's own type where our writer has it and nothing was interpolated; int8 and bytes of RGB grow to the next. */
static VslDatatype type_as_stored(const VslNiftiInfo *info)
{
    static const struct {
        const char *name;
        VslDatatype type;
    } known[] = {
        {"uint8", VSL_DATATYPE_UINT8}, {"rgb24", VSL_DATATYPE_UINT8},    {"rgba32", VSL_DATATYPE_UINT8},
        {"int8", VSL_DATATYPE_INT16},  {"int16", VSL_DATATYPE_INT16},    {"uint16", VSL_DATATYPE_UINT16},
        {"int32", VSL_DATATYPE_INT32}, {"uint32", VSL_DATATYPE_FLOAT32}, {"float64", VSL_DATATYPE_FLOAT32},
    };
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (strcmp(known[i].name, info->datatype_name) == 0 && info->scl_slope == 1 && info->scl_inter == 0) {
            return known[i].type;
        }
    }
    return VSL_DATATYPE_FLOAT32;
}

static void warn_rounding(Cli *cli, const VslVolume *v, const VslNiftiInfo *info, const char *path)
{
    const int64_t count = vsl_grid_voxels(&v->grid) * v->channels;
    float most = 0;
    for (int64_t i = 0; i < count; i++) {
        most = fabsf(v->data[i]) > most ? fabsf(v->data[i]) : most;
    }
    if (strncmp(info->datatype_name, "rgb", 3) == 0 || strncmp(info->datatype_name, "complex", 7) == 0) {
        cli_warn(cli, "%s holds %s; its parts become channels", vsl_path_text(path).text, info->datatype_name);
    }
    if (strcmp(info->datatype_name, "float64") == 0) {
        cli_warn(cli, "%s holds float64; images are computed in float32 and written so", vsl_path_text(path).text);
    } else if (strncmp(info->datatype_name, "float", 5) != 0 && most > 16777216) {
        cli_warn(cli, "%s holds whole numbers above 2^24, which float32 rounds; --labels keeps those within 2^31",
                 vsl_path_text(path).text);
    }
}

static VslStatus convert_image(Cli *cli, const ConvertArgs *args, VslNiftiInfo *info, const char *in, const char *path)
{
    VslStatus st = VSL_OK;
    VslVolume v = {0};
    VSL_TRY(cli_read_image(cli, &v, info, in));
    warn_rounding(cli, &v, info, in);
    if (args->orientation) {
        VSL_TRY(cli_reorient(&v, args->orientation));
    }
    if (args->spacing) {
        VSL_TRY(resample(&v, args->spacing, cli->threads));
    }
    VslNiftiWrite how = {.datatype = (VslDatatype)args->numbers.dtype,
                         .intent_code = info->intent_code,
                         .intent_name = info->intent_name,
                         .descrip = info->descrip,
                         .like = info->version ? info : NULL,
                         .threads = cli->threads};
    if (!how.datatype) {
        how.datatype = args->spacing ? VSL_DATATYPE_FLOAT32 : type_as_stored(info);
        how.datatype = is_float(how.datatype) || fits(&v, how.datatype) ? how.datatype : VSL_DATATYPE_FLOAT32;
    }
    if (vsl_path_has_suffix(path, ".png") && !args->numbers.dtype) {
        how.datatype = cli_round_for_png(cli, &v);
        how.scale_to_fit = !how.datatype;
    } else if (!is_float(how.datatype) && !fits(&v, how.datatype)) {
        how.scale_to_fit = 1;
        cli_warn(cli, "the values are not whole numbers of the range of the chosen type: they are scaled to fit it");
    }
    VSL_TRY(cli_check_stop());
    VSL_TRY(vsl_image_write(path, &v, &how));
    cli->result = json_pack("{s:s,s:o}", "out", path, "grid", cli_json_grid(&v.grid));
out:
    vsl_volume_free(&v);
    return st;
}

static VslStatus convert_labels(Cli *cli, const ConvertArgs *args, VslNiftiInfo *info, const char *in, const char *path)
{
    VslStatus st = VSL_OK;
    VslLabels l = {0};
    VslGrid grid;
    VSL_TRY(cli_read_labels(cli, &l, info, in));
    if (args->orientation) {
        VSL_TRY(cli_reorient_labels(&l, args->orientation));
    }
    if (args->spacing) {
        VSL_TRY(grid_with_spacing(&grid, &l.grid, args->spacing));
        VSL_TRY(vsl_apply_labels(&l, &grid, &l, NULL, 0, cli->threads));
    }
    VSL_TRY(cli_check_stop());
    const VslNiftiWrite how = {.datatype = (VslDatatype)args->numbers.dtype,
                               .intent_code = 1002,
                               .descrip = info->descrip,
                               .like = info->version ? info : NULL,
                               .threads = cli->threads};
    VSL_TRY(vsl_image_write_labels(path, &l, &how));
    cli->result = json_pack("{s:s,s:o}", "out", path, "grid", cli_json_grid(&l.grid));
out:
    vsl_labels_free(&l);
    return st;
}

/* Components are world millimetres, so that reordering voxels leaves them as they are. */
static VslStatus convert_displacement(Cli *cli, const ConvertArgs *args, const char *in, const char *path)
{
    VslStatus st = VSL_OK;
    VslVolume u = {0};
    VSL_CHECK(!args->numbers.dtype && !args->is_labels, VSL_E_ARG,
              "%s is a deformation, which is stored as float32; --dtype and --labels do not go with it",
              vsl_path_text(in).text);
    VSL_TRY(cli_read_displacement(&u, cli, in));
    if (args->orientation) {
        VSL_TRY(cli_reorient(&u, args->orientation));
    }
    if (args->spacing) {
        VSL_TRY(resample(&u, args->spacing, cli->threads));
    }
    VSL_TRY(cli_check_stop());
    VSL_TRY(vsl_displacement_write(path, &u, cli->threads));
    cli->result = json_pack("{s:s,s:o}", "out", path, "grid", cli_json_grid(&u.grid));
out:
    vsl_volume_free(&u);
    return st;
}

static VslStatus convert_affine(Cli *cli, const ConvertArgs *args, const char *in, const char *path)
{
    VslStatus st = VSL_OK;
    VslAffine a;
    const double centre[3] = {0, 0, 0};
    VSL_CHECK(!args->numbers.dtype && !args->is_labels && !args->orientation && !args->spacing, VSL_E_ARG,
              "%s is an affine; it takes no other flag", vsl_path_text(in).text);
    VSL_TRY(cli_check_output(cli, path));
    VSL_TRY(vsl_affine_read(&a, in));
    VSL_TRY(vsl_affine_write(path, &a, centre));
    cli->result = json_pack("{s:s}", "out", path);
out:
    return st;
}

static VslStatus run(Cli *cli, void *void_args)
{
    VslStatus st = VSL_OK;
    const ConvertArgs *args = void_args;
    VslNiftiInfo info = {0};
    VslTransformKind kind = VSL_TRANSFORM_UNKNOWN;
    const char *in = cli->inputs[0], *path = cli->inputs[1];
    VSL_TRY(vsl_transform_kind(&kind, in));
    if (kind == VSL_TRANSFORM_AFFINE) {
        VSL_TRY(convert_affine(cli, args, in, path));
        goto out;
    }
    VSL_TRY(cli_check_image_output(cli, path));
    if (kind == VSL_TRANSFORM_DISPLACEMENT || kind == VSL_TRANSFORM_VELOCITY) {
        VSL_TRY(convert_displacement(cli, args, in, path));
    } else if (args->is_labels) {
        VSL_TRY(convert_labels(cli, args, &info, in, path));
    } else {
        VSL_TRY(convert_image(cli, args, &info, in, path));
    }
    const char *dtype = "as stored";
    char word[16];
    if (args->numbers.dtype) {
        vsl_option_print(word, sizeof word, &args->numbers, options);
        dtype = word;
    }
    VSL_TRY(cli_sidecar_write(cli, path,
                              json_pack("{s:s,s:s?,s:s?,s:b}", "dtype", dtype, "orientation", args->orientation,
                                        "spacing", args->spacing, "labels", args->is_labels),
                              &in, 1));
    cli_note(cli, "wrote %s", vsl_path_text(path).text);
out:
    vsl_nifti_info_free(&info);
    return st;
}

static const CliFlag flags[] = {
    {"orientation", CLI_TEXT, offsetof(ConvertArgs, orientation), "CODE", 0,
     "reorder the axes, such as RAS or LPI: exact, nothing is interpolated"},
    {"spacing", CLI_TEXT, offsetof(ConvertArgs, spacing), "X,Y,Z", 0,
     "resample to this voxel size in mm along the (new) axes: smoothed where voxels grow, then linear; labels "
     "nearest"},
    {"labels", CLI_SWITCH, offsetof(ConvertArgs, is_labels), NULL, 0,
     "a label map: whole numbers, kept exactly, in the smallest type that holds them"},
    {NULL, CLI_SWITCH, 0, NULL, 0, NULL},
};

const CliVerb cli_verb_convert = {
    .name = "convert",
    .purpose = "change file type, number type, order of axes or voxel size of an image.",
    .inputs = "IN OUT",
    .min_inputs = 2,
    .max_inputs = 2,
    .flags = flags,
    .groups = {{"Numbers", options, offsetof(ConvertArgs, numbers), NULL, NULL}},
    .notes = "OUT ends in .nii.gz, .nii or .png. Header extensions, intents and form codes are kept. A displacement "
             "field stays one (a velocity file becomes one); an affine is rewritten in the form of OUT's suffix (.mat "
             "ANTs, .txt ITK, other: plain 4x4).",
    .example = "vesal convert in.nii out.nii.gz --orientation RAS --spacing 2,2,2",
    .args_size = sizeof(ConvertArgs),
    .run = run,
};
