/* See the header. Voxels are moved as 4-byte words, so that floats (NaN payloads too) and labels share one loop. */
#include "cli/reorient.h"

#include <string.h>

/* 0, 1, 2 for the world axis of a letter, -1 for none; *sign is its direction in RAS. */
static int world_axis(char letter, int *sign)
{
    static const char positive[] = "RASras", negative[] = "LPIlpi";
    const char *p = letter ? strchr(positive, letter) : NULL, *n = letter ? strchr(negative, letter) : NULL;
    *sign = p ? 1 : -1;
    return p ? (int)(p - positive) % 3 : n ? (int)(n - negative) % 3 : -1;
}

VslStatus cli_axes(CliAxes *out, const VslGrid *g, const char *code)
{
    VslStatus st = VSL_OK;
    char now[4];
    int used[3] = {0};
    const int64_t old_stride[3] = {1, g->n[0], g->n[0] * g->n[1]};
    vsl_grid_orientation(now, g);
    *out = (CliAxes){.grid = *g};
    VSL_CHECK(strlen(code) == 3, VSL_E_ARG, "--orientation: '%s' is not three letters such as RAS or LPI", code);
    for (int d = 0; d < 3; d++) {
        int sign, old_sign, old = 0;
        const int world = world_axis(code[d], &sign);
        VSL_CHECK(world >= 0 && !used[world], VSL_E_ARG,
                  "--orientation: '%s' does not take one letter of each pair R L, A P, S I", code);
        used[world] = 1;
        while (world_axis(now[old], &old_sign) != world) {
            old++;
        }
        const int flip = sign != old_sign;
        out->grid.n[d] = g->n[old];
        out->stride[d] = flip ? -old_stride[old] : old_stride[old];
        out->start += flip ? old_stride[old] * (g->n[old] - 1) : 0;
        for (int r = 0; r < 3; r++) {
            const double column = g->to_ras.m[r][old];
            out->grid.to_ras.m[r][d] = flip ? -column : column;
            out->grid.to_ras.m[r][3] += flip ? column * (double)(g->n[old] - 1) : 0;
        }
    }
out:
    return st;
}

static void move_plane(void *out, const void *in, const CliAxes *p)
{
    char *to = out;
    const char *from = in;
    for (int64_t k = 0; k < p->grid.n[2]; k++) {
        for (int64_t j = 0; j < p->grid.n[1]; j++) {
            int64_t at = p->start + k * p->stride[2] + j * p->stride[1];
            for (int64_t i = 0; i < p->grid.n[0]; i++, at += p->stride[0], to += 4) {
                memcpy(to, from + 4 * at, 4);
            }
        }
    }
}

VslStatus cli_reorient(VslVolume *v, const char *code)
{
    VslStatus st = VSL_OK;
    CliAxes plan;
    VslVolume out = {0};
    VSL_TRY(cli_axes(&plan, &v->grid, code));
    VSL_TRY(vsl_volume_new(&out, &plan.grid, v->channels));
    const int64_t voxels = vsl_grid_voxels(&v->grid);
    for (int c = 0; c < v->channels; c++) {
        move_plane(out.data + c * voxels, v->data + c * voxels, &plan);
    }
    vsl_volume_move(v, &out);
out:
    vsl_volume_free(&out);
    return st;
}

VslStatus cli_reorient_labels(VslLabels *l, const char *code)
{
    VslStatus st = VSL_OK;
    CliAxes plan;
    VslLabels out = {0};
    VSL_TRY(cli_axes(&plan, &l->grid, code));
    VSL_TRY(vsl_labels_new(&out, &plan.grid));
    move_plane(out.data, l->data, &plan);
    vsl_labels_move(l, &out);
out:
    vsl_labels_free(&out);
    return st;
}
