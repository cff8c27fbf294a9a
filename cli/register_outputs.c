/* The files of `vesal register`, each whole or absent, the report last. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>

#include "cli/flags.h"
#include "cli/register.h"
#include "cli/stats.h"
#include "io/file_in.h"
#include "io/path.h"
#include "io/transform_io.h"

typedef struct OutputName {
    const char *tail;
    int stages; /* any of these must run for it to be written; 0 = always */
} OutputName;

enum { LINEAR = REGISTER_RIGID | REGISTER_AFFINE };
static const OutputName names[] = {
    {"0GenericAffine.mat", LINEAR},
    {"1Warp.nii.gz", REGISTER_LDDMM},
    {"1InverseWarp.nii.gz", REGISTER_LDDMM},
    {"Warped.nii.gz", 0},
    {"InverseWarped.nii.gz", 0},
    {"Jacobian.nii.gz", REGISTER_LDDMM},
    {"Velocity.h5", REGISTER_LDDMM},
    {"Report.png", 0},
    {"Report.json", 0},
};
enum { NAME_COUNT = sizeof names / sizeof names[0], REPORT_MOST_BYTES = 64 << 20 };

static int is_written(const OutputName *name, int stages, int no_picture)
{
    return (!name->stages || (name->stages & stages)) && !(no_picture && name->tail[6] == '.' && name->tail[7] == 'p');
}

VslStatus register_check_outputs(const Cli *cli, const RegisterArgs *args)
{
    VslStatus st = VSL_OK;
    CliPath path;
    for (int i = 0; i < NAME_COUNT; i++) {
        if (is_written(&names[i], args->stage_set, args->no_picture)) {
            VSL_TRY(cli_path_join(&path, args->out, names[i].tail));
            VSL_TRY(cli_check_output(cli, path.text));
        }
    }
out:
    return st;
}

static VslStatus write_deformation(const Cli *cli, const RegisterArgs *args, const RegisterResults *r)
{
    VslStatus st = VSL_OK;
    CliPath path;
    VSL_TRY(cli_path_join(&path, args->out, "1Warp.nii.gz"));
    VSL_TRY(vsl_displacement_write(path.text, &r->lddmm.shot.disp, cli->threads));
    VSL_TRY(cli_path_join(&path, args->out, "1InverseWarp.nii.gz"));
    VSL_TRY(vsl_displacement_write(path.text, &r->lddmm.shot.inverse_disp, cli->threads));
    VSL_TRY(cli_path_join(&path, args->out, "Jacobian.nii.gz"));
    const VslNiftiWrite map = {.intent_code = 1001, .intent_name = "Jacobian", .threads = cli->threads};
    VSL_TRY(vsl_image_write(path.text, &r->jacobian, &map));
    VSL_TRY(cli_path_join(&path, args->out, "Velocity.h5"));
    VSL_TRY(vsl_velocity_write(path.text, &r->lddmm.geodesic));
out:
    return st;
}

VslStatus register_write_images(const Cli *cli, const RegisterArgs *args, const RegisterInputs *in,
                                const RegisterResults *r)
{
    VslStatus st = VSL_OK;
    CliPath path;
    const VslNiftiWrite image = {.threads = cli->threads};
    if (r->stages & LINEAR) {
        double centre[3];
        const double middle[3] = {0.5 * (double)(in->fixed.grid.n[0] - 1), 0.5 * (double)(in->fixed.grid.n[1] - 1),
                                  0.5 * (double)(in->fixed.grid.n[2] - 1)};
        vsl_affine_point(centre, &in->fixed.grid.to_ras, middle);
        VSL_TRY(cli_path_join(&path, args->out, "0GenericAffine.mat"));
        VSL_TRY(vsl_affine_write(path.text, &r->linear, centre));
    }
    if (r->stages & REGISTER_LDDMM) {
        VSL_TRY(write_deformation(cli, args, r));
    }
    VSL_TRY(cli_path_join(&path, args->out, "Warped.nii.gz"));
    VSL_TRY(vsl_image_write(path.text, &r->warped, &image));
    VSL_TRY(cli_path_join(&path, args->out, "InverseWarped.nii.gz"));
    VSL_TRY(vsl_image_write(path.text, &r->inverse_warped, &image));
out:
    return st;
}

static VslStatus inputs_json(json_t **out, const RegisterArgs *args)
{
    VslStatus st = VSL_OK;
    const struct {
        const char *name, *file;
    } single[] = {{"initial", args->initial},
                  {"fixed_mask", args->fixed_mask},
                  {"moving_mask", args->moving_mask},
                  {"fixed_labels", args->fixed_labels},
                  {"moving_labels", args->moving_labels}};
    json_t *fixed = json_array(), *moving = json_array(), *one = NULL;
    json_t *all = json_pack("{s:o,s:o}", "fixed", fixed, "moving", moving);
    for (int i = 0; i < args->fixed.count; i++) {
        VSL_TRY(cli_json_input(&one, args->fixed.items[i]));
        json_array_append_new(fixed, one);
        VSL_TRY(cli_json_input(&one, args->moving.items[i]));
        json_array_append_new(moving, one);
    }
    for (size_t i = 0; i < sizeof single / sizeof single[0]; i++) {
        if (single[i].file) {
            VSL_TRY(cli_json_input(&one, single[i].file));
            json_object_set_new(all, single[i].name, one);
        }
    }
    *out = json_incref(all);
out:
    json_decref(all);
    return st;
}

static json_t *linear_json(const char *name, const VslAffineResult *a)
{
    return json_pack("{s:s,s:o,s:o,s:o,s:i,s:o}", "stage", name, "similarity_before",
                     cli_json_number(a->similarity_before), "similarity_after", cli_json_number(a->similarity_after),
                     "disagreement_mm", cli_json_number(a->disagreement_mm), "iterations", a->iterations, "seconds",
                     cli_json_number(a->seconds));
}

static json_t *stages_json(const RegisterResults *r)
{
    json_t *out = json_array();
    if (r->stages & REGISTER_RIGID) {
        json_array_append_new(out, linear_json("rigid", &r->rigid));
    }
    if (r->stages & REGISTER_AFFINE) {
        json_array_append_new(out, linear_json("affine", &r->affine));
    }
    if (r->stages & REGISTER_LDDMM) {
        const VslLddmmResult *d = &r->lddmm;
        json_array_append_new(out, json_pack("{s:s,s:o,s:o,s:o,s:o,s:i,s:i,s:o}", "stage", "lddmm", "similarity_before",
                                             cli_json_number(d->similarity_before), "similarity_after",
                                             cli_json_number(d->similarity_after), "energy_before",
                                             cli_json_number(d->energy_before), "energy_after",
                                             cli_json_number(d->energy_after), "iterations", d->iterations,
                                             "evaluations", d->evaluations, "seconds", cli_json_number(d->seconds)));
    }
    return out;
}

/* Dice of one label in rows, NAN when it is not there. */
static double dice_of(const VslLabelScore *rows, int count, int32_t label)
{
    for (int i = 0; i < count; i++) {
        if (rows[i].label == label) {
            return rows[i].dice;
        }
    }
    return NAN;
}

static json_t *dice_json(const RegisterResults *r)
{
    json_t *labels = json_array();
    for (int i = 0; i < r->dice_after_count; i++) {
        const VslLabelScore *a = &r->dice_after[i];
        json_array_append_new(
            labels, json_pack("{s:i,s:o,s:o,s:o,s:o}", "label", (int)a->label, "before",
                              cli_json_number(dice_of(r->dice_before, r->dice_before_count, a->label)), "after",
                              cli_json_number(a->dice), "fixed_mm3", cli_json_number(a->volume_a_mm3), "warped_mm3",
                              cli_json_number(a->volume_b_mm3)));
    }
    return json_pack("{s:o,s:o,s:o}", "mean_before", cli_json_number(r->mean_dice_before), "mean_after",
                     cli_json_number(r->mean_dice_after), "labels", labels);
}

static json_t *verdict_json(const Verdict *v)
{
    json_t *reasons = json_array();
    for (int i = 0; i < v->count; i++) {
        json_array_append_new(reasons, json_string(v->reasons[i]));
    }
    return json_pack("{s:s,s:o}", "light", light_name(v->light), "reasons", reasons);
}

/* What a reader of the files has to know, in sentences. */
static json_t *done_json(const RegisterArgs *args, const RegisterInputs *in, const RegisterResults *r)
{
    json_t *out = json_array();
    const char *how = r->stages == REGISTER_LDDMM  ? "1Warp"
                      : r->stages & REGISTER_LDDMM ? "1Warp, then 0GenericAffine,"
                                                   : "0GenericAffine";
    json_array_append_new(out, json_sprintf("%s maps points of the fixed image to points of the moving image; it is "
                                            "used to resample images from moving to fixed",
                                            how));
    if (args->initial && r->stages == REGISTER_LDDMM) {
        json_array_append_new(out, json_string("the deformation starts after --initial, which is not part of 1Warp: "
                                               "give it as the last -t of apply"));
    }
    json_array_append_new(out, json_string("Warped and InverseWarped are the input images sampled once, linearly; 0 "
                                           "where they do not reach"));
    if (!vsl_grid_same(&in->fixed.grid, &in->moving.grid, 1e-3)) {
        json_array_append_new(out, json_string("fixed and moving image lie on different grids; both were used as they "
                                               "are, through their world frames"));
    }
    if (in->fixed_bad + in->moving_bad > 0) {
        json_array_append_new(out, json_sprintf("%lld fixed and %lld moving voxels are not finite and did not count",
                                                (long long)in->fixed_bad, (long long)in->moving_bad));
    }
    return out;
}

static json_t *outputs_json(const RegisterArgs *args, int stages)
{
    json_t *out = json_array();
    for (int i = 0; i < NAME_COUNT; i++) {
        if (is_written(&names[i], stages, args->no_picture)) {
            json_array_append_new(out, json_string(names[i].tail));
        }
    }
    return out;
}

static json_t *options_json(const RegisterArgs *args)
{
    const int stages = args->stage_set;
    char preset[16];
    static const char *const words[] = {"fast", "default", "accurate"};
    snprintf(preset, sizeof preset, "%s", words[args->numbers.preset - 1]);
    json_t *out =
        json_pack("{s:s,s:s}", "stages", args->stages ? args->stages : "rigid,affine,lddmm", "preset", preset);
    if (stages & LINEAR) {
        json_object_set_new(out, "affine", cli_options_json(&args->affine, vsl_affine_option_table));
    }
    if (stages & REGISTER_LDDMM) {
        json_object_set_new(out, "lddmm", cli_options_json(&args->lddmm, vsl_lddmm_option_table));
    }
    return out;
}

static json_t *matrix_json(const VslAffine *a)
{
    json_t *rows = json_array();
    for (int i = 0; i < 3; i++) {
        json_array_append_new(rows, cli_json_numbers(a->m[i], 4));
    }
    return rows;
}

static void add_deformation(json_t *report, const RegisterResults *r)
{
    const VslShootResult *s = &r->lddmm.shot;
    json_object_set_new(report, "jacobian", cli_json_jacobian(&r->jacobian_stats));
    if (r->jacobian_stats_mask.voxels > 0) {
        json_object_set_new(report, "jacobian_in_fixed_mask", cli_json_jacobian(&r->jacobian_stats_mask));
    }
    json_object_set_new(report, "geodesic",
                        json_pack("{s:o,s:o,s:i}", "length", cli_json_number(s->length_mm), "energy_drift",
                                  cli_json_number(s->energy_drift), "time_steps", s->time_steps));
    json_object_set_new(report, "inverse_consistency",
                        json_pack("{s:o,s:o,s:o,s:o}", "mean_mm", cli_json_number(r->inverse.mean_mm), "p95_mm",
                                  cli_json_number(r->inverse.p95_mm), "max_mm", cli_json_number(r->inverse.max_mm),
                                  "mean_vox", cli_json_number(r->inverse.mean_vox)));
}

static json_t *similarity_json(const RegisterResults *r)
{
    const int deforms = r->stages & REGISTER_LDDMM;
    return json_pack("{s:s,s:o,s:o,s:o,s:o}", "metric", r->metric, "before",
                     cli_json_number(deforms ? r->lddmm.similarity_before : register_linear_before(r)), "after",
                     cli_json_number(deforms ? r->lddmm.similarity_after : register_linear_after(r)),
                     "correlation_before", cli_json_number(r->correlation_before), "correlation_after",
                     cli_json_number(r->correlation_after));
}

static json_t *seconds_json(const RegisterResults *r, double total)
{
    json_t *out = json_pack("{s:o,s:o,s:o,s:o}", "read", cli_json_number(r->seconds_read), "judge",
                            cli_json_number(r->seconds_judge), "write", cli_json_number(r->seconds_write), "total",
                            cli_json_number(total));
    if (r->stages & REGISTER_RIGID) {
        json_object_set_new(out, "rigid", cli_json_number(r->rigid.seconds));
    }
    if (r->stages & REGISTER_AFFINE) {
        json_object_set_new(out, "affine", cli_json_number(r->affine.seconds));
    }
    if (r->stages & REGISTER_LDDMM) {
        json_object_set_new(out, "lddmm", cli_json_number(r->lddmm.seconds));
    }
    return out;
}

VslStatus register_write_report(Cli *cli, const RegisterArgs *args, const RegisterInputs *in, const RegisterResults *r)
{
    VslStatus st = VSL_OK;
    CliPath path;
    struct rusage usage = {0};
    json_t *inputs = NULL, *report = json_object();
    const Verdict verdict = register_verdict(r);
    getrusage(RUSAGE_SELF, &usage);
    const int iterations = (r->stages & REGISTER_RIGID ? r->rigid.iterations : 0) +
                           (r->stages & REGISTER_AFFINE ? r->affine.iterations : 0) +
                           (r->stages & REGISTER_LDDMM ? r->lddmm.iterations : 0);
    VSL_TRY(cli_path_join(&path, args->out, "Report.json"));
    VSL_TRY(inputs_json(&inputs, args));
    json_object_set_new(report, "verdict", verdict_json(&verdict));
    json_object_set_new(report, "similarity", similarity_json(r));
    if (in->fixed_labels.data) {
        json_object_set_new(report, "dice", dice_json(r));
    }
    if (r->stages & REGISTER_LDDMM) {
        add_deformation(report, r);
    }
    json_object_set_new(report, "stages", stages_json(r));
    json_object_set_new(report, "iterations", json_integer(iterations));
    json_object_set_new(report, "seconds", seconds_json(r, cli_seconds() - cli->start));
    if (!cli->unit) { /* of the whole process, which says nothing of one of many pairs */
        json_object_set_new(report, "peak_memory_mb", cli_json_number((double)usage.ru_maxrss / 1024));
        json_object_set_new(report, "peak_allocated_bytes_per_fixed_voxel",
                            cli_json_number((double)vsl_memory_peak() / (double)vsl_grid_voxels(&in->fixed.grid)));
    }
    json_object_set_new(report, "done", done_json(args, in, r));
    json_object_set(report, "warnings", cli->warnings);
    json_object_set_new(report, "fixed_to_moving_affine_ras", matrix_json(&r->linear));
    json_object_set_new(report, "fixed_grid", cli_json_grid(&in->fixed.grid));
    json_object_set_new(report, "moving_grid", cli_json_grid(&in->moving.grid));
    json_object_set_new(report, "options", options_json(args));
    json_object_set(report, "inputs", inputs);
    json_object_set_new(report, "outputs", outputs_json(args, r->stages));
    json_object_set_new(report, "generated_by", cli_json_generator(cli));
    json_object_set_new(report, "threads", json_integer(cli->threads));
    VSL_TRY(cli_json_write(path.text, report));
    cli->result = json_incref(report);
out:
    json_decref(inputs);
    json_decref(report);
    return st;
}

int register_is_whole(const RegisterArgs *args)
{
    CliPath path;
    struct stat s;
    for (int i = 0; i < NAME_COUNT; i++) {
        if (is_written(&names[i], args->stage_set, args->no_picture) &&
            (cli_path_join(&path, args->out, names[i].tail) != VSL_OK || stat(path.text, &s) != 0)) {
            return 0;
        }
    }
    return 1;
}

VslStatus register_read_report(json_t **out, const Cli *cli, const RegisterArgs *args)
{
    VslStatus st = VSL_OK;
    CliPath path;
    char *text = NULL;
    int64_t count = 0;
    json_error_t error;
    json_t *report = NULL, *now[] = {NULL, NULL, NULL};
    static const struct {
        const char *key, *word;
    } parts[] = {{"inputs", "input files"}, {"options", "options"}, {"generated_by", "program or device"}};
    VSL_TRY(cli_path_join(&path, args->out, "Report.json"));
    VSL_TRY(vsl_file_in_whole(&text, &count, path.text, REPORT_MOST_BYTES));
    report = json_loadb(text, (size_t)count, 0, &error);
    VSL_CHECK(report, VSL_E_FORMAT, "%s is no report: %s", vsl_path_text(path.text).text, error.text);
    VSL_TRY(inputs_json(&now[0], args));
    now[1] = options_json(args);
    now[2] = cli_json_generator(cli);
    for (int i = 0; i < 3; i++) {
        VSL_CHECK(json_equal(json_object_get(report, parts[i].key), now[i]), VSL_E_STATE,
                  "%s was made with other %s; --overwrite replaces it", vsl_path_text(path.text).text, parts[i].word);
    }
    *out = json_incref(report);
out:
    vsl_free(text);
    json_decref(report);
    for (int i = 0; i < 3; i++) {
        json_decref(now[i]);
    }
    return st;
}
