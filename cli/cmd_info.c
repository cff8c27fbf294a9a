/* vesal info: what a file is, where its voxels are, and what one should know before trusting it. */
#include <math.h>
#include <string.h>

#include "cli/files.h"
#include "core/text.h"
#include "io/path.h"
#include "io/transform_io.h"

typedef struct InfoArgs {
    int header_only;
} InfoArgs;

typedef struct ValueSummary {
    double min, max, mean; /* of the finite values */
    int64_t nans, infinities, count;
} ValueSummary;

static ValueSummary summarise(const VslVolume *v)
{
    ValueSummary s = {INFINITY, -INFINITY, 0, 0, 0, vsl_grid_voxels(&v->grid) * v->channels};
    double sum = 0;
    for (int64_t i = 0; i < s.count; i++) {
        const double x = (double)v->data[i];
        if (isfinite(x)) {
            s.min = x < s.min ? x : s.min;
            s.max = x > s.max ? x : s.max;
            sum += x;
        } else {
            s.nans += isnan(x);
            s.infinities += isinf(x);
        }
    }
    s.mean = sum / (double)(s.count - s.nans - s.infinities); /* NaN when nothing is finite */
    return s;
}

static const char *intent_meaning(int code)
{
    switch (code) {
    case 0: return "none";
    case 5: return "z-score";
    case 22: return "p-value";
    case 1001: return "estimate";
    case 1002: return "labels";
    case 1005: return "matrix";
    case 1006: return "displacement vector";
    case 1007: return "vector";
    case 2003: return "RGB vector";
    case 2006: return "FNIRT field";
    case 2007: return "FNIRT coefficients";
    case 2018: return "topup field";
    default: return "see the NIfTI standard";
    }
}

static const char *form_meaning(int code)
{
    static const char *const words[] = {"unknown", "scanner", "aligned", "Talairach", "MNI", "template"};
    return code >= 0 && code <= 5 ? words[code] : "undefined";
}

static json_t *nifti_json(const VslNiftiInfo *h)
{
    json_t *dim = json_array(), *warnings = json_array();
    for (int i = 0; i < h->ndim; i++) {
        json_array_append_new(dim, json_integer((json_int_t)h->dim[i]));
    }
    for (int i = 0; i < h->warning_count; i++) {
        json_array_append_new(warnings, json_string(h->warnings[i]));
    }
    json_t *out = cli_json_grid(&h->grid);
    json_object_set_new(out, "dim", dim);
    json_object_set_new(out, "pixdim", cli_json_numbers(h->pixdim, h->ndim));
    json_object_set_new(out, "channels", json_integer(h->channels));
    json_object_set_new(out, "datatype", json_string(h->datatype_name));
    json_object_set_new(out, "datatype_code", json_integer(h->datatype));
    json_object_set_new(out, "byte_order", json_string(h->is_swapped ? "big" : "little"));
    json_object_set_new(out, "is_pair", json_boolean(h->is_pair));
    json_object_set_new(out, "is_gzip", json_boolean(h->is_gzip));
    json_object_set_new(out, "scl_slope", cli_json_number(h->scl_slope));
    json_object_set_new(out, "scl_inter", cli_json_number(h->scl_inter));
    json_object_set_new(out, "intent_code", json_integer(h->intent_code));
    json_object_set_new(out, "intent", json_string(intent_meaning(h->intent_code)));
    json_object_set_new(out, "intent_name", json_string(h->intent_name));
    json_object_set_new(out, "qform_code", json_integer(h->qform_code));
    json_object_set_new(out, "sform_code", json_integer(h->sform_code));
    json_object_set_new(out, "which_form", json_string(h->which_form));
    json_object_set_new(out, "form_difference_vox", cli_json_number(h->form_difference_vox));
    json_object_set_new(out, "extensions", json_integer(h->extensions));
    json_object_set_new(out, "data_bytes", json_integer((json_int_t)h->data_bytes));
    json_object_set_new(out, "warnings", warnings);
    return out;
}

static void print_grid(const VslGrid *g)
{
    double spacing[3];
    char orientation[4];
    vsl_grid_spacing(spacing, g);
    vsl_grid_orientation(orientation, g);
    printf("  grid         %lld x %lld x %lld voxels of %.6g x %.6g x %.6g mm, orientation %s, %s-handed\n",
           (long long)g->n[0], (long long)g->n[1], (long long)g->n[2], spacing[0], spacing[1], spacing[2], orientation,
           vsl_affine_det(&g->to_ras) < 0 ? "left" : "right");
    for (int r = 0; r < 3; r++) {
        printf("  %-12s %12.6g %12.6g %12.6g %12.6g\n", r == 0 ? "to RAS mm" : "", g->to_ras.m[r][0], g->to_ras.m[r][1],
               g->to_ras.m[r][2], g->to_ras.m[r][3]);
    }
}

static void print_nifti(const VslNiftiInfo *h)
{
    if (h->version) {
        printf("  format       NIfTI-%d%s%s, %s-endian\n", h->version, h->is_pair ? " pair" : "",
               h->is_gzip ? ", gzip" : "", h->is_swapped ? "big" : "little");
    } else {
        printf("  format       PNG\n");
    }
    printf("  dimensions  ");
    for (int i = 0; i < h->ndim; i++) {
        printf(" %s%lld", i ? "x " : "", (long long)h->dim[i]);
    }
    printf(", %d channel%s, stored as %s", h->channels, h->channels == 1 ? "" : "s", h->datatype_name);
    if (h->scl_slope != 1 || h->scl_inter != 0) {
        printf(", times %.9g plus %.9g", h->scl_slope, h->scl_inter);
    }
    printf("\n");
    print_grid(&h->grid);
    if (h->version) {
        printf("  placed by    %s (sform code %d %s, qform code %d %s)", h->which_form, h->sform_code,
               form_meaning(h->sform_code), h->qform_code, form_meaning(h->qform_code));
        if (isfinite(h->form_difference_vox)) {
            printf("; they differ by %.3g voxel", h->form_difference_vox);
        }
        printf("\n");
    }
    if (h->intent_code || h->intent_name[0]) {
        printf("  intent       %d %s%s%s\n", h->intent_code, intent_meaning(h->intent_code),
               h->intent_name[0] ? ", " : "", h->intent_name);
    }
    if (h->extensions) {
        printf("  extensions   %d\n", h->extensions);
    }
    for (int i = 0; i < h->warning_count; i++) {
        printf("  warning      %s\n", h->warnings[i]);
    }
}

static VslStatus info_image(const Cli *cli, const InfoArgs *args, const char *path, const char *kind, json_t **out)
{
    VslStatus st = VSL_OK;
    VslNiftiInfo header = {0};
    VslVolume v = {0};
    if (args->header_only) {
        VSL_TRY(vsl_image_read_info(&header, path));
    } else {
        VSL_TRY(vsl_image_read(&v, &header, path));
    }
    *out = nifti_json(&header);
    json_object_set_new(*out, "kind", json_string(kind));
    json_object_set_new(*out, "format",
                        json_string(header.version == 2   ? "NIfTI-2"
                                    : header.version == 1 ? "NIfTI-1"
                                                          : "PNG"));
    if (!cli->wants_json) {
        printf("%s: %s\n", path, kind);
        print_nifti(&header);
    }
    if (!args->header_only) {
        const ValueSummary s = summarise(&v);
        json_object_set_new(*out, "min", cli_json_number(s.min));
        json_object_set_new(*out, "max", cli_json_number(s.max));
        json_object_set_new(*out, "mean", cli_json_number(s.mean));
        json_object_set_new(*out, "nan", json_integer((json_int_t)s.nans));
        json_object_set_new(*out, "infinite", json_integer((json_int_t)s.infinities));
        if (!cli->wants_json) {
            printf("  values       %.7g to %.7g, mean %.7g; %lld NaN, %lld infinite\n", s.min, s.max, s.mean,
                   (long long)s.nans, (long long)s.infinities);
        }
    }
out:
    vsl_volume_free(&v);
    vsl_nifti_info_free(&header);
    return st;
}

static VslStatus info_affine(const Cli *cli, const char *path, json_t **out)
{
    VslStatus st = VSL_OK;
    VslAffine a;
    VSL_TRY(vsl_affine_read(&a, path));
    json_t *rows = json_array();
    for (int r = 0; r < 3; r++) {
        json_array_append_new(rows, cli_json_numbers(a.m[r], 4));
    }
    *out = json_pack("{s:s,s:o,s:o}", "kind", "affine transform", "fixed_to_moving_ras", rows, "determinant",
                     cli_json_number(vsl_affine_det(&a)));
    if (!cli->wants_json) {
        printf("%s: affine transform, volume factor %.6g; maps points of the fixed image to the moving image, to be "
               "used to resample images from moving to fixed\n",
               path, vsl_affine_det(&a));
        for (int r = 0; r < 3; r++) {
            printf("  %-12s %12.8g %12.8g %12.8g %12.8g\n", r == 0 ? "RAS mm" : "", a.m[r][0], a.m[r][1], a.m[r][2],
                   a.m[r][3]);
        }
    }
out:
    return st;
}

static VslStatus info_velocity(const Cli *cli, const char *path, json_t **out)
{
    VslStatus st = VSL_OK;
    VslGeodesic g = {0};
    VSL_TRY(vsl_velocity_read(&g, path));
    json_t *kernel = json_pack("{s:o,s:o,s:o,s:o}", "alpha_mm2", cli_json_numbers(g.kernel.alpha_mm2, g.kernel.scales),
                               "weight", cli_json_numbers(g.kernel.weight, g.kernel.scales), "gamma",
                               cli_json_number(g.kernel.gamma), "power", cli_json_number(g.kernel.power));
    *out = json_pack("{s:s,s:o,s:o,s:o,s:i}", "kind", "initial velocity of a geodesic", "band",
                     cli_json_grid(&g.velocity.grid), "fixed", cli_json_grid(&g.fixed), "kernel", kernel, "time_steps",
                     g.time_steps);
    if (!cli->wants_json) {
        printf("%s: initial velocity of a geodesic, %d time steps, kernel of %d scale%s, alpha %.6g mm2, power %.6g\n",
               path, g.time_steps, g.kernel.scales, g.kernel.scales == 1 ? "" : "s", g.kernel.alpha_mm2[0],
               g.kernel.power);
        printf("  band grid:\n");
        print_grid(&g.velocity.grid);
        printf("  fixed image:\n");
        print_grid(&g.fixed);
    }
out:
    vsl_geodesic_free(&g);
    return st;
}

static VslStatus info_one(const Cli *cli, const InfoArgs *args, const char *path, json_t **out)
{
    VslTransformKind kind = VSL_TRANSFORM_UNKNOWN;
    const VslStatus st = vsl_transform_kind(&kind, path);
    if (st != VSL_OK) {
        return st;
    }
    switch (kind) {
    case VSL_TRANSFORM_AFFINE: return info_affine(cli, path, out);
    case VSL_TRANSFORM_VELOCITY: return info_velocity(cli, path, out);
    case VSL_TRANSFORM_DISPLACEMENT: return info_image(cli, args, path, "displacement field", out);
    case VSL_TRANSFORM_UNKNOWN: break;
    }
    return info_image(cli, args, path, "image", out);
}

static VslStatus run(Cli *cli, void *void_args)
{
    VslStatus st = VSL_OK, last = VSL_OK;
    int failed = 0;
    cli->result = json_array();
    for (int i = 0; i < cli->input_count; i++) {
        json_t *one = NULL;
        VSL_TRY(cli_check_stop());
        st = info_one(cli, void_args, cli->inputs[i], &one);
        if (st == VSL_E_CANCELLED) {
            goto out;
        }
        if (st != VSL_OK) {
            failed++;
            last = st;
            if (cli->input_count > 1) { /* a single one is reported by main */
                fprintf(stderr, "vesal info: %s\n", vsl_error());
            }
            json_decref(one);
            one = json_pack("{s:s}", "error", vsl_error());
        }
        json_t *name = json_string(cli->inputs[i]);
        json_object_set_new(one, "file", name ? name : json_string(vsl_path_text(cli->inputs[i]).text));
        json_array_append_new(cli->result, one);
    }
    st = VSL_OK;
    if (failed && failed < cli->input_count) {
        cli->exit_code = CLI_EXIT_PARTLY;
    } else if (failed && cli->input_count > 1) {
        st = vsl_fail(last, __func__, "none of the %d files could be read", failed);
    } else {
        st = last;
    }
out:
    return st;
}

static const CliFlag flags[] = {
    {"header-only", CLI_SWITCH, offsetof(InfoArgs, header_only), NULL, 0,
     "do not read the voxels (which also checks that the file is whole)"},
    {NULL, CLI_SWITCH, 0, NULL, 0, NULL},
};

const CliVerb cli_verb_info = {
    .name = "info",
    .purpose = "what an image or transform is: grid, orientation, which of sform and qform won, warnings.",
    .inputs = "FILE...",
    .min_inputs = 1,
    .max_inputs = 1 << 20,
    .flags = flags,
    .notes = "Files that cannot be read are named, the others are shown. Exit code 3 when none could be read, 4 when "
             "some could.",
    .example = "vesal info sub-01_T1w.nii.gz --json",
    .args_size = sizeof(InfoArgs),
    .run = run,
};
