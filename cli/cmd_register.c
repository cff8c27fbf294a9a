/* vesal register: two images in, an affine and a geodesic of diffeomorphisms out. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/flags.h"
#include "cli/register.h"
#include "io/path.h"

static VslStatus parse_stages(int *out, const char *text)
{
    static const char *const words[] = {"rigid", "affine", "lddmm"};
    int stages = 0;
    for (const char *c = text; c && *c;) {
        const size_t length = strcspn(c, ",");
        int which = 0;
        while (which < 3 && (strlen(words[which]) != length || strncmp(words[which], c, length) != 0)) {
            which++;
        }
        if (which == 3 || stages >= 1 << which) {
            return vsl_fail(VSL_E_ARG, __func__,
                            "--stages: '%s' is not some of rigid,affine,lddmm in this order, each once", text);
        }
        stages |= 1 << which;
        c += length;
        c += *c == ',';
    }
    *out = text ? stages : REGISTER_RIGID | REGISTER_AFFINE | REGISTER_LDDMM;
    return VSL_OK;
}

/* Presets are the ground, what was typed stands on them. --metric holds for every stage unless --linear-metric says
 * otherwise. */
static VslStatus resolve_options(Cli *cli, RegisterArgs *args)
{
    VslStatus st = VSL_OK;
    VslLddmmOptions lddmm = {0};
    if (args->numbers.preset == 0) {
        args->numbers.preset = VSL_PRESET_DEFAULT;
    }
    vsl_lddmm_preset(&lddmm, (VslPreset)args->numbers.preset);
    if (args->affine.similarity == VSL_SIMILARITY_DEFAULT) {
        args->affine.similarity = args->lddmm.similarity;
    }
    cli_options_overlay(&lddmm, &args->lddmm, vsl_lddmm_option_table);
    args->lddmm = lddmm;
    VSL_TRY(vsl_options_resolve(&args->lddmm, vsl_lddmm_option_table));
    VSL_TRY(vsl_options_resolve(&args->affine, vsl_affine_option_table));
    args->lddmm.progress = args->affine.progress = cli_progress;
    args->lddmm.progress_user = args->affine.progress_user = cli;
out:
    return st;
}

/* The word of --metric or --linear-metric that the last stage went by. */
static void name_metric(RegisterResults *r, const RegisterArgs *args)
{
    const int deforms = r->stages & REGISTER_LDDMM;
    const VslOption *row = deforms ? vsl_lddmm_option_table : vsl_affine_option_table;
    while (row->type != VSL_OPT_CHOICE || strstr(row->flag, "metric") == NULL) {
        row++;
    }
    vsl_option_print(r->metric, sizeof r->metric, deforms ? (const void *)&args->lddmm : (const void *)&args->affine,
                     row);
}

static VslStatus run_stages(RegisterResults *r, Cli *cli, const RegisterArgs *args, const RegisterInputs *in)
{
    VslStatus st = VSL_OK;
    const VslVolume *fixed_mask = in->fixed_mask.data ? &in->fixed_mask : NULL;
    const VslVolume *moving_mask = in->moving_mask.data ? &in->moving_mask : NULL;
    const VslAffine *start = args->initial ? &in->initial : NULL;
    const VslVolume fixed = vsl_volume_view(&in->fixed, 0), moving = vsl_volume_view(&in->moving, 0);
    r->linear = in->initial;
    if (r->stages & REGISTER_RIGID) {
        VSL_TRY(vsl_affine_register(&r->rigid, &fixed, &moving, fixed_mask, moving_mask, start, VSL_LINEAR_RIGID,
                                    &args->affine, cli->be));
        r->linear = r->rigid.affine;
        start = &r->linear;
    }
    if (r->stages & REGISTER_AFFINE) {
        VSL_TRY(vsl_affine_register(&r->affine, &fixed, &moving, fixed_mask, moving_mask, start, VSL_LINEAR_AFFINE,
                                    &args->affine, cli->be));
        r->linear = r->affine.affine;
    }
    if (r->stages & REGISTER_LDDMM) {
        VSL_TRY(
            vsl_lddmm(&r->lddmm, &in->fixed, &in->moving, fixed_mask, moving_mask, &r->linear, &args->lddmm, cli->be));
    }
    cli_progress_end();
out:
    return st;
}

static void summary(const Cli *cli, const RegisterArgs *args, const RegisterResults *r)
{
    const Verdict v = register_verdict(r);
    const int colour = cli_is_terminal() && !getenv("NO_COLOR");
    static const char *const paint[] = {"\033[32m", "\033[33m", "\033[31m"};
    if (cli->is_quiet) {
        return;
    }
    fprintf(stderr, "correlation           %.4f before, %.4f after\n", r->correlation_before, r->correlation_after);
    if (!isnan(r->mean_dice_after)) {
        fprintf(stderr, "mean Dice             %.4f before, %.4f after, %d labels\n", r->mean_dice_before,
                r->mean_dice_after, r->dice_after_count);
    }
    if (r->stages & REGISTER_LDDMM) {
        const VslJacobianStats *j = &r->jacobian_stats;
        fprintf(stderr, "similarity            %.5g before, %.5g after the deformation\n", r->lddmm.similarity_before,
                r->lddmm.similarity_after);
        fprintf(stderr, "Jacobian determinant  min %.4g, median %.4g, max %.4g; %lld folds; sd of its log %.3g\n",
                j->min, j->median, j->max, (long long)j->folds, j->sd_log);
        fprintf(stderr, "geodesic              length %.4g, energy drift %.2g\n", r->lddmm.shot.length_mm,
                r->lddmm.shot.energy_drift);
        fprintf(stderr, "inverse consistency   mean %.4f mm, max %.3f mm\n", r->inverse.mean_mm, r->inverse.max_mm);
    }
    fprintf(stderr, "seconds               %.2f in all:", cli_seconds() - cli->start);
    fprintf(stderr, " read %.2f", r->seconds_read);
    if (r->stages & REGISTER_RIGID) {
        fprintf(stderr, ", rigid %.2f", r->rigid.seconds);
    }
    if (r->stages & REGISTER_AFFINE) {
        fprintf(stderr, ", affine %.2f", r->affine.seconds);
    }
    if (r->stages & REGISTER_LDDMM) {
        fprintf(stderr, ", lddmm %.2f", r->lddmm.seconds);
    }
    fprintf(stderr, ", judge %.2f, write %.2f\n%s%s%s:", r->seconds_judge, r->seconds_write,
            colour ? paint[v.light] : "", light_name(v.light), colour ? "\033[0m" : "");
    for (int i = 0; i < v.count; i++) {
        fprintf(stderr, "%s %s", i ? ";" : "", v.reasons[i]);
    }
    fprintf(stderr, "\nwrote %sReport.json%s and the images beside it\n", vsl_path_text(args->out).text,
            args->no_picture ? "" : ", Report.png");
}

static VslStatus write_all(Cli *cli, const RegisterArgs *args, const RegisterInputs *in, RegisterResults *r)
{
    VslStatus st = VSL_OK;
    const double start = cli_seconds();
    CliPath path;
    VSL_TRY(cli_check_stop());
    VSL_TRY(register_write_images(cli, args, in, r));
    if (!args->no_picture) {
        VSL_TRY(cli_path_join(&path, args->out, "Report.png"));
        VSL_TRY(register_write_picture(path.text, in, r, args->fixed.items[0], args->moving.items[0]));
    }
    r->seconds_write = cli_seconds() - start;
    VSL_TRY(register_write_report(cli, args, in, r));
out:
    return st;
}

static VslStatus run(Cli *cli, void *void_args)
{
    VslStatus st = VSL_OK;
    RegisterArgs *args = void_args;
    RegisterInputs in = {0};
    RegisterResults r = {0};
    VSL_TRY(parse_stages(&r.stages, args->stages));
    VSL_TRY(resolve_options(cli, args));
    name_metric(&r, args);
    VSL_TRY(register_check_outputs(cli, args, r.stages));
    VSL_TRY(cli_backend(cli));
    VSL_TRY(register_read(&in, cli, args));
    r.seconds_read = cli_seconds() - cli->start;
    VSL_TRY(run_stages(&r, cli, args, &in));
    VSL_TRY(register_judge(&r, cli, &in));
    VSL_TRY(write_all(cli, args, &in, &r));
    summary(cli, args, &r);
out:
    register_inputs_free(&in);
    register_results_free(&r);
    return st;
}

static const VslOption options[] = {
    {"preset", VSL_OPT_CHOICE, offsetof(struct RegisterNumbers, preset), VSL_PRESET_DEFAULT, 0, 0, "",
     "speed against accuracy; flags of the deformation that are given win over it", "fast,default,accurate"},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL},
};

static const CliFlag flags[] = {
    {"fixed", CLI_LIST, offsetof(RegisterArgs, fixed), "FILE", 1,
     "image that stays; further ones are channels of the deformation (rigid and affine use the first)"},
    {"moving", CLI_LIST, offsetof(RegisterArgs, moving), "FILE", 1,
     "image brought onto it; as many as --fixed, in the same order"},
    {"out", CLI_TEXT, offsetof(RegisterArgs, out), "PREFIX", 1, "beginning of the outputs' names"},
    {"stages", CLI_TEXT, offsetof(RegisterArgs, stages), "LIST", 0,
     "some of rigid,affine,lddmm (default all three); lddmm alone starts from the headers or --initial"},
    {"initial", CLI_TEXT, offsetof(RegisterArgs, initial), "FILE", 0,
     "affine to start from: ANTs .mat, ITK .txt or plain 4x4"},
    {"fixed-mask", CLI_TEXT, offsetof(RegisterArgs, fixed_mask), "FILE", 0, "where the fixed image counts"},
    {"moving-mask", CLI_TEXT, offsetof(RegisterArgs, moving_mask), "FILE", 0, "where the moving image counts"},
    {"fixed-labels", CLI_TEXT, offsetof(RegisterArgs, fixed_labels), "FILE", 0,
     "label map for Dice before and after; never used to align"},
    {"moving-labels", CLI_TEXT, offsetof(RegisterArgs, moving_labels), "FILE", 0, "its partner"},
    {"no-picture", CLI_SWITCH, offsetof(RegisterArgs, no_picture), NULL, 0, "do not draw PREFIXReport.png"},
    {NULL, CLI_SWITCH, 0, NULL, 0, NULL},
};

const CliVerb cli_verb_register = {
    .name = "register",
    .purpose = "align two images: rigid, affine, and a diffeomorphism that is a geodesic (LDDMM).",
    .inputs = "",
    .flags = flags,
    .groups = {{"Preset", options, offsetof(RegisterArgs, numbers), NULL, NULL},
               {"Deformation (lddmm)", vsl_lddmm_option_table, offsetof(RegisterArgs, lddmm), NULL, NULL},
               {"Rigid and affine", vsl_affine_option_table, offsetof(RegisterArgs, affine), NULL, NULL}},
    .notes = "Writes PREFIX0GenericAffine.mat, PREFIX1Warp.nii.gz, PREFIX1InverseWarp.nii.gz, PREFIXWarped.nii.gz, "
             "PREFIXInverseWarped.nii.gz, PREFIXJacobian.nii.gz, PREFIXVelocity.h5, PREFIXReport.png and, last, "
             "PREFIXReport.json: when the report is there, all are whole. Affine and warp load in ANTs, ITK and "
             "Slicer. --metric holds for all stages unless --linear-metric is given. Stopped by a signal it ends with "
             "exit code 75 and leaves nothing half-written.",
    .example = "vesal register --fixed fixed.nii.gz --moving moving.nii.gz --out out_",
    .cite = "Vialard et al., IJCV 2012; Zhang and Fletcher, IJCV 2019; Avants et al., Medical Image Analysis 2008.",
    .args_size = sizeof(RegisterArgs),
    .run = run,
};
