/* Reading -t arguments; see the header. */
#include "cli/transforms.h"

#include <string.h>

#include "io/path.h"
#include "io/transform_io.h"
#include "registration/shooting.h"

VslStatus cli_transform_split(CliPath *file, int *inverted, const char *text)
{
    VslStatus st = VSL_OK;
    const size_t n = strlen(text);
    *inverted = 0;
    VSL_CHECK(n < sizeof file->text, VSL_E_ARG, "-t: the name is longer than %zu bytes", sizeof file->text - 1);
    if (text[0] != '[') {
        memcpy(file->text, text, n + 1);
        return VSL_OK;
    }
    VSL_CHECK(n >= 5 && text[n - 1] == ']' && text[n - 3] == ',' && (text[n - 2] == '0' || text[n - 2] == '1'),
              VSL_E_ARG, "-t %s: expected FILE, [FILE,0] or [FILE,1]", vsl_path_text(text).text);
    memcpy(file->text, text + 1, n - 4);
    file->text[n - 4] = '\0';
    *inverted = text[n - 2] == '1';
out:
    return st;
}

static VslStatus read_field(VslVolume *out, Cli *cli, const char *file, VslTransformKind kind, int inverted)
{
    VslStatus st = VSL_OK;
    VslGeodesic g = {0};
    VslShootResult shot = {0};
    VslVolume disp = {0};
    if (kind == VSL_TRANSFORM_VELOCITY) {
        VSL_TRY(cli_backend(cli));
        VSL_TRY(vsl_velocity_read(&g, file));
        VSL_TRY(vsl_shoot(&shot, &g, &g.fixed, 1, 0, inverted, cli->be));
        vsl_volume_move(out, inverted ? &shot.inverse_disp : &shot.disp);
        goto out;
    }
    VSL_TRY(vsl_displacement_read(&disp, file));
    if (inverted) {
        VslVolume inverse = {0};
        double residual = 0;
        VSL_TRY(vsl_invert_displacement(&inverse, &residual, &disp, &disp.grid, cli->threads));
        cli_note(cli, "%s: inverted on its own grid by search, largest residual %.3g mm", vsl_path_text(file).text,
                 residual);
        vsl_volume_free(&disp);
        disp = inverse;
    }
    vsl_volume_move(out, &disp);
out:
    vsl_volume_free(&disp);
    vsl_shoot_result_free(&shot);
    vsl_geodesic_free(&g);
    return st;
}

static VslStatus unknown_kind(const char *file)
{
    return vsl_fail(VSL_E_FORMAT, __func__,
                    "%s is no transform: expected an affine (.mat, .txt, .tfm or 4x4 text), a displacement field "
                    "(5-D NIfTI, x y z 1 3) or a velocity file (.h5)",
                    vsl_path_text(file).text);
}

VslStatus cli_read_displacement(VslVolume *out, Cli *cli, const char *text)
{
    VslStatus st = VSL_OK;
    CliPath path;
    const char *file = path.text;
    int inverted = 0;
    VslTransformKind kind = VSL_TRANSFORM_UNKNOWN;
    VSL_TRY(cli_check_stop());
    VSL_TRY(cli_transform_split(&path, &inverted, text));
    VSL_TRY(vsl_transform_kind(&kind, file));
    VSL_CHECK(kind != VSL_TRANSFORM_AFFINE, VSL_E_FORMAT,
              "%s is an affine, which has no grid of its own; expected a displacement field or velocity file",
              vsl_path_text(file).text);
    if (kind == VSL_TRANSFORM_UNKNOWN) {
        return unknown_kind(file);
    }
    VSL_TRY(read_field(out, cli, file, kind, inverted));
out:
    return st;
}

static VslStatus read_link(CliChain *c, int link, Cli *cli, const char *text)
{
    VslStatus st = VSL_OK;
    VslTransformKind kind = VSL_TRANSFORM_UNKNOWN;
    const char *file = c->files[link].text;
    VSL_TRY(cli_check_stop());
    VSL_TRY(cli_transform_split(&c->files[link], &c->inverted[link], text));
    const int inverted = c->inverted[link];
    VSL_TRY(vsl_transform_kind(&kind, file));
    if (kind == VSL_TRANSFORM_UNKNOWN) {
        return unknown_kind(file);
    }
    if (kind == VSL_TRANSFORM_AFFINE) {
        VslAffine a;
        VSL_TRY(vsl_affine_read(&a, file));
        if (inverted) {
            VSL_TRY(vsl_affine_invert(&a, &a));
        }
        c->links[link].affine = a;
    } else {
        VSL_TRY(read_field(&c->fields[link], cli, file, kind, inverted));
        c->links[link].disp = &c->fields[link];
    }
out:
    return st;
}

VslStatus cli_chain_read(CliChain *out, Cli *cli, const CliList *list)
{
    VslStatus st = VSL_OK;
    /* The chain is written like nested functions, y = t[0](t[1](x)): its last link sees the fixed point first. */
    for (int i = 0; i < list->count; i++) {
        VSL_TRY(read_link(out, list->count - 1 - i, cli, list->items[i]));
    }
    out->count = list->count;
out:
    return st;
}

void cli_chain_free(CliChain *c)
{
    for (int i = 0; i < CLI_MAX_LIST; i++) {
        vsl_volume_free(&c->fields[i]);
    }
    c->count = 0;
}
