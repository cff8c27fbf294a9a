/**
 * The parts of `vesal register`: inputs as read, results of the stages, the numbers by which one judges them, and what
 * is written. @test cli/
 */
#ifndef VSL_CLI_REGISTER_H
#define VSL_CLI_REGISTER_H

#include "cli/files.h"
#include "registration/affine.h"
#include "registration/lddmm.h"
#include "registration/quality.h"
#include "registration/transform.h"

typedef struct RegisterArgs { /* as typed */
    CliList fixed, moving;
    const char *out, *stages, *initial, *fixed_mask, *moving_mask, *fixed_labels, *moving_labels, *pairs;
    int no_picture, resume;
    struct RegisterNumbers {
        int preset; /* a VslPreset */
    } numbers;
    struct RegisterPairs {
        int at_once;
    } many;
    VslLddmmOptions lddmm;
    VslAffineOptions affine;
    int stage_set; /* of REGISTER_RIGID.., by register_resolve */
} RegisterArgs;

typedef struct RegisterInputs {            /* {0} is empty */
    VslVolume fixed, moving;               /* all channels; values that are not finite are 0 and outside the masks */
    VslVolume fixed_raw, moving_raw;       /* as read, kept only when something was taken out */
    VslVolume fixed_mask, moving_mask;     /* weights; empty = everywhere */
    VslLabels fixed_labels, moving_labels; /* read after the stages; empty when not given */
    VslAffine initial;                     /* identity unless --initial */
    int64_t fixed_bad, moving_bad;         /* voxels that are not finite */
} RegisterInputs;

enum { REGISTER_RIGID = 1, REGISTER_AFFINE = 2, REGISTER_LDDMM = 4, REGISTER_MOST_LANES = 64 };

typedef struct RegisterResults { /* {0} is empty */
    int stages;                  /* those that ran */
    VslAffineResult rigid, affine;
    VslLddmmResult lddmm;
    VslAffine linear;                         /* fixed world -> moving world, before the deformation */
    VslVolume before, warped, inverse_warped; /* moving on the fixed grid by header or --initial; at the end; fixed on
                                                 the moving grid */
    VslVolume jacobian;
    /* numbers */
    char metric[16]; /* of the last stage */
    double correlation_before, correlation_after;
    VslJacobianStats jacobian_stats, jacobian_stats_mask; /* the second inside the fixed mask, when there is one */
    VslInverseConsistency inverse;
    VslLabelScore *dice_before, *dice_after; /* vsl_alloc'ed, rows by label */
    int dice_before_count, dice_after_count;
    double mean_dice_before, mean_dice_after; /* NAN without labels */
    double seconds_read, seconds_judge, seconds_write;
} RegisterResults;

typedef enum Light { LIGHT_GREEN = 0, LIGHT_YELLOW, LIGHT_RED } Light;
enum { VERDICT_MAX = 8 };
typedef struct Verdict {
    Light light;
    int count;
    char reasons[VERDICT_MAX][96];
} Verdict;

/** register_stages.c. Options to their values; args->stage_set. */
VSL_MUST_USE VslStatus register_resolve(RegisterArgs *args);
/** Stages, then labels and the judgement. The progress functions of args are the caller's. */
VSL_MUST_USE VslStatus register_compute(RegisterResults *r, Cli *cli, const RegisterArgs *args, RegisterInputs *in);
/** Everything, the report last. */
VSL_MUST_USE VslStatus register_write(Cli *cli, const RegisterArgs *args, const RegisterInputs *in, RegisterResults *r);

/** register_pairs.c: all of --pairs. */
VSL_MUST_USE VslStatus register_pairs(Cli *cli, const RegisterArgs *args);

/** register_inputs.c. Images and masks; of the label maps only the headers are looked at. */
VSL_MUST_USE VslStatus register_read(RegisterInputs *in, Cli *cli, const RegisterArgs *args);
/** Fixed and moving image once more, after vsl_lddmm_take has emptied them; the files must still lie on these grids. */
VSL_MUST_USE VslStatus register_read_again(RegisterInputs *in, const Cli *cli, const RegisterArgs *args,
                                           const VslGrid *fixed, const VslGrid *moving);
VSL_MUST_USE VslStatus register_read_labels(RegisterInputs *in, Cli *cli, const RegisterArgs *args);
void register_inputs_free(RegisterInputs *in);

/** register_judge.c: fills images and numbers of r from its stages. */
VSL_MUST_USE VslStatus register_judge(RegisterResults *r, const Cli *cli, const RegisterInputs *in);
/** Rules of docs/report-numbers.md: red = not to be used, yellow = look at it, green = nothing found. */
Verdict register_verdict(const RegisterResults *r);
/** Similarity before the first and after the last linear stage. */
double register_linear_before(const RegisterResults *r);
double register_linear_after(const RegisterResults *r);
const char *light_name(Light light);

/** register_outputs.c */
VSL_MUST_USE VslStatus register_check_outputs(const Cli *cli, const RegisterArgs *args);
VSL_MUST_USE VslStatus register_write_images(const Cli *cli, const RegisterArgs *args, const RegisterInputs *in,
                                             const RegisterResults *r);
/** PREFIXReport.json, to be written last: its presence says that all others are whole. */
VSL_MUST_USE VslStatus register_write_report(Cli *cli, const RegisterArgs *args, const RegisterInputs *in,
                                             const RegisterResults *r);
void register_results_free(RegisterResults *r);
/** Whether PREFIXReport.json is there and all outputs that it lists are. */
int register_is_whole(const RegisterArgs *args);
/** The report of a whole registration, compared with what this run would write.
 * @return VSL_E_STATE when inputs, options or program are not the same (the sentence says which), VSL_E_FORMAT. */
VSL_MUST_USE VslStatus register_read_report(json_t **report, const Cli *cli, const RegisterArgs *args);

/** report.c: PREFIXReport.png; fixed and moving are file names to be shown. */
VSL_MUST_USE VslStatus register_write_picture(const char *path, const RegisterInputs *in, const RegisterResults *r,
                                              const char *fixed, const char *moving);

#endif
