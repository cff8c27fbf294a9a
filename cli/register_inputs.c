/* Reading the images of a registration: channels are stacked, what is not finite is taken out through the masks. */
#include <math.h>
#include <string.h>

#include "cli/register.h"
#include "io/path.h"
#include "io/transform_io.h"

enum { MOST_CHANNELS = 8 }; /* that a similarity has weights for */

/* Appends the channels of `more` behind those of v; both lie on one grid. */
static VslStatus append_channels(VslVolume *v, VslVolume *more)
{
    VslStatus st = VSL_OK;
    VslVolume out = {0};
    if (!v->data) {
        vsl_volume_move(v, more);
        return VSL_OK;
    }
    const size_t voxels = (size_t)vsl_grid_voxels(&v->grid);
    VSL_TRY(vsl_volume_new(&out, &v->grid, v->channels + more->channels));
    memcpy(out.data, v->data, voxels * (size_t)v->channels * sizeof(float));
    memcpy(out.data + voxels * (size_t)v->channels, more->data, voxels * (size_t)more->channels * sizeof(float));
    vsl_volume_move(v, &out);
out:
    vsl_volume_free(&out);
    return st;
}

static VslStatus read_stack(VslVolume *out, Cli *cli, const CliList *files, const char *flag)
{
    VslStatus st = VSL_OK;
    VslVolume one = {0};
    for (int i = 0; i < files->count; i++) {
        VSL_TRY(cli_read_image(cli, &one, NULL, files->items[i]));
        if (i > 0) {
            VSL_TRY(vsl_grid_check_same(&one.grid, files->items[i], &out->grid, files->items[0]));
        }
        VSL_TRY(append_channels(out, &one));
        vsl_volume_free(&one);
    }
    VSL_CHECK(out->channels <= MOST_CHANNELS, VSL_E_FORMAT,
              "%s: %d channels (volumes of a series count as channels), expected at most %d", flag, out->channels,
              MOST_CHANNELS);
    const int64_t voxels = vsl_grid_voxels(&out->grid);
    for (int c = 0; c < out->channels; c++) {
        const float *plane = out->data + c * voxels;
        int64_t i = 1;
        while (i < voxels && (plane[i] == plane[0] || !isfinite(plane[i]))) {
            i++;
        }
        VSL_CHECK(i < voxels, VSL_E_FORMAT, "%s %s is blank: channel %d is %g everywhere", flag,
                  vsl_path_text(files->items[files->count > c ? c : 0]).text, c, (double)plane[0]);
    }
out:
    vsl_volume_free(&one);
    return st;
}

/* Voxels with a NaN or infinity in any channel get 0 there and weight 0; a mask is made when there was none. */
static VslStatus take_out_bad(VslVolume *v, VslVolume *raw, VslVolume *mask, int64_t *bad, Cli *cli, const char *name)
{
    VslStatus st = VSL_OK;
    const int64_t voxels = vsl_grid_voxels(&v->grid);
    for (int64_t i = 0; i < voxels; i++) {
        int is_bad = 0;
        for (int c = 0; c < v->channels; c++) {
            is_bad |= !isfinite(v->data[c * voxels + i]);
        }
        if (!is_bad) {
            continue;
        }
        if (!raw->data) {
            VSL_TRY(vsl_volume_copy(raw, v));
        }
        if (!mask->data) {
            VSL_TRY(vsl_volume_new(mask, &v->grid, 1));
            for (int64_t q = 0; q < voxels; q++) {
                mask->data[q] = 1;
            }
        }
        mask->data[i] = 0;
        for (int c = 0; c < v->channels; c++) {
            float *value = &v->data[c * voxels + i];
            *value = isfinite(*value) ? *value : 0;
        }
        *bad += 1;
    }
    if (*bad) {
        cli_warn(cli, "%s: %lld voxels are NaN or infinite; they are 0 here and do not count in the similarity", name,
                 (long long)*bad);
    }
out:
    return st;
}

/* A label map that cannot be used should not be found out after minutes of work. */
static VslStatus check_labels(const char *path, const char *flag, const VslGrid *grid, const char *grid_name)
{
    VslStatus st = VSL_OK;
    VslNiftiInfo info = {0};
    VSL_TRY(vsl_image_read_info(&info, path));
    VSL_TRY(vsl_grid_check_same(&info.grid, flag, grid, grid_name));
out:
    vsl_nifti_info_free(&info);
    return st;
}

static VslStatus read_masks(RegisterInputs *in, Cli *cli, const RegisterArgs *args)
{
    VslStatus st = VSL_OK;
    if (args->fixed_mask) {
        VSL_TRY(cli_read_mask(cli, &in->fixed_mask, args->fixed_mask, "--fixed-mask", &in->fixed.grid, "--fixed"));
    }
    if (args->moving_mask) {
        VSL_TRY(cli_read_mask(cli, &in->moving_mask, args->moving_mask, "--moving-mask", &in->moving.grid, "--moving"));
    }
    VSL_CHECK((args->fixed_labels != NULL) == (args->moving_labels != NULL), VSL_E_ARG,
              "--fixed-labels and --moving-labels go together");
    if (args->fixed_labels) {
        VSL_TRY(check_labels(args->fixed_labels, "--fixed-labels", &in->fixed.grid, "--fixed"));
        VSL_TRY(check_labels(args->moving_labels, "--moving-labels", &in->moving.grid, "--moving"));
    }
out:
    return st;
}

VslStatus register_read_labels(RegisterInputs *in, Cli *cli, const RegisterArgs *args)
{
    VslStatus st = VSL_OK;
    if (args->fixed_labels) {
        VSL_TRY(cli_read_labels(cli, &in->fixed_labels, NULL, args->fixed_labels));
        VSL_TRY(vsl_grid_check_same(&in->fixed_labels.grid, "--fixed-labels", &in->fixed.grid, "--fixed"));
        VSL_TRY(cli_read_labels(cli, &in->moving_labels, NULL, args->moving_labels));
        VSL_TRY(vsl_grid_check_same(&in->moving_labels.grid, "--moving-labels", &in->moving.grid, "--moving"));
    }
out:
    return st;
}

/* Fixed and moving image and the voxels of theirs that do not count. */
static VslStatus take_out_all_bad(RegisterInputs *in, Cli *cli, const RegisterArgs *args)
{
    VslStatus st = VSL_OK;
    in->fixed_bad = in->moving_bad = 0;
    VSL_TRY(take_out_bad(&in->fixed, &in->fixed_raw, &in->fixed_mask, &in->fixed_bad, cli, args->fixed.items[0]));
    VSL_TRY(take_out_bad(&in->moving, &in->moving_raw, &in->moving_mask, &in->moving_bad, cli, args->moving.items[0]));
out:
    return st;
}

VslStatus register_read(RegisterInputs *in, Cli *cli, const RegisterArgs *args)
{
    VslStatus st = VSL_OK;
    in->initial = vsl_affine_identity();
    if (args->initial) {
        VSL_TRY(vsl_affine_read(&in->initial, args->initial));
    }
    VSL_CHECK(args->fixed.count == args->moving.count, VSL_E_ARG,
              "%d --fixed and %d --moving images: every fixed image needs its moving image", args->fixed.count,
              args->moving.count);
    VSL_TRY(read_stack(&in->fixed, cli, &args->fixed, "--fixed"));
    VSL_TRY(read_stack(&in->moving, cli, &args->moving, "--moving"));
    VSL_CHECK(in->fixed.channels == in->moving.channels, VSL_E_FORMAT,
              "--fixed has %d channels and --moving has %d; they must be pairs", in->fixed.channels,
              in->moving.channels);
    VSL_CHECK((in->fixed.grid.n[2] == 1) == (in->moving.grid.n[2] == 1), VSL_E_SPACE,
              "one image is 2D and the other 3D");
    VSL_TRY(read_masks(in, cli, args));
    VSL_TRY(take_out_all_bad(in, cli, args));
out:
    return st;
}

VslStatus register_read_again(RegisterInputs *in, const Cli *cli, const RegisterArgs *args, const VslGrid *fixed,
                              const VslGrid *moving)
{
    VslStatus st = VSL_OK;
    Cli silent = *cli;
    silent.warnings = NULL; /* what there is to warn of has been said */
    VSL_TRY(read_stack(&in->fixed, &silent, &args->fixed, "--fixed"));
    VSL_TRY(read_stack(&in->moving, &silent, &args->moving, "--moving"));
    VSL_TRY(vsl_grid_check_same(&in->fixed.grid, "--fixed, read again,", fixed, "what it was"));
    VSL_TRY(vsl_grid_check_same(&in->moving.grid, "--moving, read again,", moving, "what it was"));
    VSL_TRY(take_out_all_bad(in, &silent, args));
out:
    return st;
}

void register_inputs_free(RegisterInputs *in)
{
    vsl_volume_free(&in->fixed);
    vsl_volume_free(&in->moving);
    vsl_volume_free(&in->fixed_raw);
    vsl_volume_free(&in->moving_raw);
    vsl_volume_free(&in->fixed_mask);
    vsl_volume_free(&in->moving_mask);
    vsl_labels_free(&in->fixed_labels);
    vsl_labels_free(&in->moving_labels);
}
