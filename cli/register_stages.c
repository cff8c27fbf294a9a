/* What one registration is made of, whoever asks for it: options resolved, stages run, results judged and written. */
#include <string.h>

#include "cli/flags.h"
#include "cli/register.h"
#include "registration/forecast.h"

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
static VslStatus resolve_options(RegisterArgs *args)
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

VslStatus register_resolve(RegisterArgs *args)
{
    VslStatus st = VSL_OK;
    VSL_TRY(parse_stages(&args->stage_set, args->stages));
    VSL_TRY(resolve_options(args));
out:
    return st;
}

/* The deformation holds its own copies of the images, so that those of `in` are gone until they are read again. */
static VslStatus run_stages(RegisterResults *r, Cli *cli, const RegisterArgs *args, RegisterInputs *in)
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
        vsl_volume_free(&in->fixed_raw);
        vsl_volume_free(&in->moving_raw);
        VSL_TRY(vsl_lddmm_take(&r->lddmm, &in->fixed, &in->moving, fixed_mask, moving_mask, &r->linear, &args->lddmm,
                               cli->be));
    }
out:
    return st;
}

VslStatus register_compute(RegisterResults *r, Cli *cli, const RegisterArgs *args, RegisterInputs *in)
{
    VslStatus st = VSL_OK;
    r->stages = args->stage_set;
    name_metric(r, args);
    if (r->stages & REGISTER_LDDMM) {
        VSL_TRY(vsl_lddmm_check_memory(&in->fixed.grid, &in->moving.grid, in->fixed.channels,
                                       in->moving_mask.data != NULL, &args->lddmm, cli->be));
    }
    const VslGrid fixed = in->fixed.grid, moving = in->moving.grid;
    VSL_TRY(run_stages(r, cli, args, in));
    const double start = cli_seconds();
    if (!in->fixed.data) {
        VSL_TRY(register_read_again(in, cli, args, &fixed, &moving));
    }
    VSL_TRY(register_read_labels(in, cli, args)); /* only now: they would add to the peak of memory */
    r->seconds_read += cli_seconds() - start;
    VSL_TRY(register_judge(r, cli, in));
    vsl_labels_free(&in->moving_labels);
out:
    return st;
}

VslStatus register_write(Cli *cli, const RegisterArgs *args, const RegisterInputs *in, RegisterResults *r)
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
