/* vesal register: two images in, an affine and a geodesic of diffeomorphisms out. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "cli/flags.h"
#include "cli/register.h"
#include "io/path.h"

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

static VslStatus register_one(Cli *cli, RegisterArgs *args)
{
    VslStatus st = VSL_OK;
    RegisterInputs in = {0};
    RegisterResults r = {0};
    args->lddmm.progress = args->affine.progress = cli_progress;
    args->lddmm.progress_user = args->affine.progress_user = cli;
    VSL_TRY(register_check_outputs(cli, args));
    VSL_TRY(cli_backend(cli));
    VSL_TRY(register_read(&in, cli, args));
    r.seconds_read = cli_seconds() - cli->start;
    VSL_TRY(register_compute(&r, cli, args, &in));
    cli_progress_end();
    VSL_TRY(register_write(cli, args, &in, &r));
    summary(cli, args, &r);
out:
    register_inputs_free(&in);
    register_results_free(&r);
    return st;
}

static VslStatus run(Cli *cli, void *void_args)
{
    VslStatus st = VSL_OK;
    RegisterArgs *args = void_args;
    VSL_CHECK(args->pairs || !args->resume, VSL_E_ARG, "--resume goes with --pairs");
    VSL_TRY(register_resolve(args));
    VSL_TRY(args->pairs ? register_pairs(cli, args) : register_one(cli, args));
out:
    return st;
}

static const VslOption options[] = {
    {"preset", VSL_OPT_CHOICE, offsetof(struct RegisterNumbers, preset), VSL_PRESET_DEFAULT, 0, 0, "",
     "speed against accuracy; flags of the deformation that are given win over it", "fast,default,accurate"},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL},
};

static const VslOption pairs_options[] = {
    {"at-once", VSL_OPT_INT, offsetof(struct RegisterPairs, at_once), 0, 0, REGISTER_MOST_LANES, "",
     "pairs computed at the same time, the threads divided among them; 0 = by threads, pairs and memory", NULL},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL},
};

static const CliFlag flags[] = {
    {"fixed", CLI_LIST, offsetof(RegisterArgs, fixed), "FILE", CLI_UNLESS_INSTEAD,
     "image that stays; further ones are channels of the deformation (rigid and affine use the first)"},
    {"moving", CLI_LIST, offsetof(RegisterArgs, moving), "FILE", CLI_UNLESS_INSTEAD,
     "image brought onto it; as many as --fixed, in the same order"},
    {"out", CLI_TEXT, offsetof(RegisterArgs, out), "PREFIX", 1,
     "beginning of the outputs' names; with --pairs the folder that they and pairs.tsv are put into"},
    {"pairs", CLI_TEXT, offsetof(RegisterArgs, pairs), "TABLE", 0,
     "many pairs instead of --fixed and --moving: a tab-separated table, see the notes"},
    {"resume", CLI_SWITCH, offsetof(RegisterArgs, resume), NULL, 0,
     "with --pairs: go on where a run was stopped; what is whole, from the same inputs and options, is kept"},
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
               {"Rigid and affine", vsl_affine_option_table, offsetof(RegisterArgs, affine), NULL, NULL},
               {"Many pairs", pairs_options, offsetof(RegisterArgs, many), NULL, NULL}},
    .instead = "pairs",
    .notes =
        "Writes PREFIX0GenericAffine.mat, PREFIX1Warp.nii.gz, PREFIX1InverseWarp.nii.gz, PREFIXWarped.nii.gz, "
        "PREFIXInverseWarped.nii.gz, PREFIXJacobian.nii.gz, PREFIXVelocity.h5, PREFIXReport.png and, last, "
        "PREFIXReport.json: when the report is there, all are whole. Affine and warp load in ANTs, ITK and "
        "Slicer. Defaults above are those of --preset default; the report's options say what another one stands for. "
        "--metric holds for all stages unless --linear-metric is given. Stopped by a signal it ends with exit code "
        "75 and leaves nothing half-written. --pairs TABLE has a header line with the columns fixed, moving and "
        "out, and any of fixed_labels, moving_labels, fixed_mask and moving_mask; images are sought from the "
        "table's folder, out is a PREFIX below --out. The pairs are read, computed and written side by side; the "
        "files of each are those of a run of its own. A pair that fails ends no other: exit code 4, and pairs.tsv "
        "says what became of each.",
    .example = "vesal register --fixed fixed.nii.gz --moving moving.nii.gz --out out_",
    .cite = "Vialard et al., IJCV 2012; Zhang and Fletcher, IJCV 2019; Avants et al., Medical Image Analysis 2008.",
    .args_size = sizeof(RegisterArgs),
    .run = run,
};
