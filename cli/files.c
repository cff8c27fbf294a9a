/* Outputs, inputs and provenance; see the header. */
#define _GNU_SOURCE
#include "cli/files.h"

#include <errno.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file_out.h"
#include "io/path.h"
#include "io/sha256.h"

VslStatus cli_path_join(CliPath *out, const char *prefix, const char *tail)
{
    const int n = snprintf(out->text, sizeof out->text, "%s%s", prefix, tail);
    return n >= 0 && n < (int)sizeof out->text
               ? VSL_OK
               : vsl_fail(VSL_E_ARG, __func__, "the name '%s...' is longer than %d bytes", vsl_path_text(prefix).text,
                          CLI_PATH_MAX - 1);
}

static const char *const image_suffixes[] = {".nii.gz", ".nii", ".png"};

/* Length of path without its image suffix; -1 when it has none. */
static int stem_length(const char *path)
{
    for (size_t i = 0; i < sizeof image_suffixes / sizeof image_suffixes[0]; i++) {
        if (vsl_path_has_suffix(path, image_suffixes[i])) {
            return (int)(strlen(path) - strlen(image_suffixes[i]));
        }
    }
    return -1;
}

VslStatus cli_weights_path(CliPath *out, const char *folder)
{
    VslStatus st = VSL_OK;
    VSL_TRY(cli_path_join(out, folder, "/weights.h5"));
    if (access(out->text, F_OK) != 0) {
        VSL_TRY(cli_path_join(out, folder, "/weights.safetensors"));
    }
    VSL_CHECK(access(out->text, F_OK) == 0, VSL_E_IO,
              "%s: has neither weights.h5 nor weights.safetensors: its training has not ended",
              vsl_path_text(folder).text);
out:
    return st;
}

VslStatus cli_next_name(CliPath *out, const char **list, const char *flag)
{
    VslStatus st = VSL_OK;
    const size_t length = strcspn(*list, ",");
    VSL_CHECK(length > 0 && length < sizeof out->text, VSL_E_ARG,
              "%s: '%s' has a name of %zu bytes, expected 1 to %zu, with commas between names", flag,
              vsl_path_text(*list).text, length, sizeof out->text - 1);
    memcpy(out->text, *list, length);
    out->text[length] = 0;
    *list = (*list)[length] ? *list + length + 1 : NULL;
out:
    return st;
}

VslStatus cli_path_sidecar(CliPath *out, const char *image)
{
    const int n = stem_length(image);
    if (n < 0 || n + 6 > CLI_PATH_MAX) {
        return vsl_fail(VSL_E_ARG, __func__, "'%s' is no name for an image, expected .nii.gz, .nii or .png at its end",
                        vsl_path_text(image).text);
    }
    memcpy(out->text, image, (size_t)n);
    memcpy(out->text + n, ".json", 6);
    return VSL_OK;
}

VslStatus cli_check_output(const Cli *cli, const char *path)
{
    VslStatus st = VSL_OK;
    struct stat s;
    char folder[CLI_PATH_MAX];
    const char *slash = strrchr(path, '/');
    VSL_CHECK(strlen(path) < sizeof folder, VSL_E_ARG, "the name '%s' is longer than %d bytes",
              vsl_path_text(path).text, CLI_PATH_MAX - 1);
    if (slash) {
        const size_t n = slash == path ? 1 : (size_t)(slash - path);
        memcpy(folder, path, n);
        folder[n] = '\0';
    } else {
        strcpy(folder, ".");
    }
    VSL_CHECK(stat(folder, &s) == 0, VSL_E_WRITE, "%s: the folder '%s' cannot be reached: %s", vsl_path_text(path).text,
              vsl_path_text(folder).text, strerror(errno));
    VSL_CHECK(S_ISDIR(s.st_mode), VSL_E_WRITE, "%s: '%s' is not a folder", vsl_path_text(path).text,
              vsl_path_text(folder).text);
    VSL_CHECK(access(folder, W_OK | X_OK) == 0, VSL_E_WRITE, "%s: the folder '%s' is not writable: %s",
              vsl_path_text(path).text, vsl_path_text(folder).text, strerror(errno));
    if (lstat(path, &s) == 0) {
        VSL_CHECK(S_ISREG(s.st_mode), VSL_E_WRITE, "%s is a %s, expected the name of a file to write",
                  vsl_path_text(path).text,
                  S_ISDIR(s.st_mode)   ? "folder"
                  : S_ISLNK(s.st_mode) ? "link, through which nothing is written"
                                       : "device, pipe or socket");
        VSL_CHECK(cli->overwrite, VSL_E_WRITE, "%s exists and is not overwritten; --overwrite replaces it",
                  vsl_path_text(path).text);
    }
out:
    return st;
}

VslStatus cli_check_image_output(const Cli *cli, const char *path)
{
    VslStatus st = VSL_OK;
    CliPath sidecar;
    VSL_TRY(cli_path_sidecar(&sidecar, path));
    VSL_TRY(cli_check_output(cli, path));
    VSL_TRY(cli_check_output(cli, sidecar.text));
out:
    return st;
}

VslStatus cli_make_folders(const char *path, size_t from)
{
    VslStatus st = VSL_OK;
    struct stat s;
    CliPath folder;
    VSL_TRY(cli_path_join(&folder, path, ""));
    for (char *c = folder.text + from; (c = strchr(c, '/')) != NULL; c++) {
        *c = '\0';
        VSL_CHECK(!folder.text[0] || mkdir(folder.text, 0777) == 0 ||
                      (errno == EEXIST && stat(folder.text, &s) == 0 && S_ISDIR(s.st_mode)),
                  VSL_E_WRITE, "the folder '%s' cannot be made: %s", vsl_path_text(folder.text).text, strerror(errno));
        *c = '/';
    }
out:
    return st;
}

VslDatatype cli_round_for_png(Cli *cli, VslVolume *v)
{
    const int64_t count = vsl_grid_voxels(&v->grid) * v->channels;
    float low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < count; i++) {
        low = fminf(low, v->data[i]);
        high = fmaxf(high, v->data[i]);
    }
    if (!(low >= 0 && high <= 65535)) {
        cli_warn(cli, "the values, %g to %g, do not fit a PNG: they are scaled to its range", (double)low,
                 (double)high);
        return 0;
    }
    for (int64_t i = 0; i < count; i++) {
        v->data[i] = rintf(v->data[i]);
    }
    return high <= 255 ? VSL_DATATYPE_UINT8 : VSL_DATATYPE_UINT16;
}

static void pass_warnings(Cli *cli, const VslNiftiInfo *info, const char *path)
{
    for (int i = 0; i < info->warning_count; i++) {
        cli_warn(cli, "%s: %s", vsl_path_text(path).text, info->warnings[i]);
    }
}

VslStatus cli_read_image(Cli *cli, VslVolume *out, VslNiftiInfo *info, const char *path)
{
    VslStatus st = VSL_OK;
    VslNiftiInfo own = {0};
    VSL_TRY(cli_check_stop());
    VSL_TRY(vsl_image_read(out, &own, path));
    pass_warnings(cli, &own, path);
    if (info) {
        *info = own;
        own = (VslNiftiInfo){0};
    }
out:
    vsl_nifti_info_free(&own);
    return st;
}

VslStatus cli_read_labels(Cli *cli, VslLabels *out, VslNiftiInfo *info, const char *path)
{
    VslStatus st = VSL_OK;
    VslNiftiInfo own = {0};
    VSL_TRY(cli_check_stop());
    VSL_TRY(vsl_image_read_labels(out, &own, path));
    pass_warnings(cli, &own, path);
    if (info) {
        *info = own;
        own = (VslNiftiInfo){0};
    }
out:
    vsl_nifti_info_free(&own);
    return st;
}

VslStatus cli_read_mask(Cli *cli, VslVolume *out, const char *path, const char *flag, const VslGrid *grid,
                        const char *grid_name)
{
    VslStatus st = VSL_OK;
    VslVolume v = {0};
    int64_t inside = 0;
    VSL_TRY(cli_read_image(cli, &v, NULL, path));
    VSL_CHECK(v.channels == 1, VSL_E_FORMAT, "%s %s has %d channels, expected 1", flag, vsl_path_text(path).text,
              v.channels);
    VSL_TRY(vsl_grid_check_same(&v.grid, flag, grid, grid_name));
    for (int64_t i = 0; i < vsl_grid_voxels(&v.grid); i++) {
        VSL_CHECK(v.data[i] >= 0, VSL_E_FORMAT, "%s %s: voxel %lld is %g, expected weights of 0 or more", flag,
                  vsl_path_text(path).text, (long long)i, (double)v.data[i]);
        inside += v.data[i] > 0;
    }
    VSL_CHECK(inside > 0, VSL_E_FORMAT, "%s %s is 0 everywhere", flag, vsl_path_text(path).text);
    vsl_volume_move(out, &v);
out:
    vsl_volume_free(&v);
    return st;
}

/* File names are bytes; JSON is UTF-8. Names that are not get the form that sentences show. */
static json_t *json_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    const char *name = slash && slash[1] ? slash + 1 : path;
    json_t *out = json_string(name);
    return out ? out : json_string("(a name that is not UTF-8)");
}

VslStatus cli_json_input(json_t **out, const char *path)
{
    VslStatus st = VSL_OK;
    char hex[VSL_SHA256_HEX];
    VSL_TRY(vsl_sha256_file(hex, path));
    *out = json_pack("{s:o,s:s}", "file", json_name(path), "sha256", hex);
out:
    return st;
}

json_t *cli_json_grid(const VslGrid *g)
{
    double spacing[3];
    char orientation[4];
    vsl_grid_spacing(spacing, g);
    vsl_grid_orientation(orientation, g);
    json_t *rows = json_array();
    for (int r = 0; r < 3; r++) {
        json_array_append_new(rows, cli_json_numbers(g->to_ras.m[r], 4));
    }
    return json_pack("{s:[I,I,I],s:o,s:s,s:o}", "n", (json_int_t)g->n[0], (json_int_t)g->n[1], (json_int_t)g->n[2],
                     "spacing_mm", cli_json_numbers(spacing, 3), "orientation", orientation, "to_ras", rows);
}

json_t *cli_json_generator(const Cli *cli)
{
    json_t *seed = cli->seed <= INT64_MAX ? json_integer((json_int_t)cli->seed)
                                          : json_sprintf("%llu", (unsigned long long)cli->seed);
    return json_pack("{s:s,s:s,s:s,s:s,s:s,s:o}", "name", "vesal", "version", cli_version(), "commit", cli_commit(),
                     "verb", cli->verb->name, "device", cli->be ? vsl_backend_name(cli->be) : "cpu", "seed", seed);
}

VslStatus cli_json_write(const char *path, const json_t *value)
{
    VslStatus st = VSL_OK;
    VslFileOut *f = NULL;
    char *text = json_dumps(value, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
    VSL_CHECK(text, VSL_E_NOMEM, "no memory for the text of %s", vsl_path_text(path).text);
    VSL_TRY(vsl_file_out_open(&f, path));
    VSL_TRY(vsl_file_out_write(f, text, strlen(text)));
    VSL_TRY(vsl_file_out_write(f, "\n", 1));
    VSL_TRY(vsl_file_out_commit(&f));
out:
    vsl_file_out_abandon(&f);
    free(text);
    return st;
}

VslStatus cli_sidecar_write(const Cli *cli, const char *image, json_t *options, const char *const *inputs,
                            int input_count)
{
    VslStatus st = VSL_OK;
    CliPath path;
    json_t *sources = json_array();
    json_t *sidecar = json_pack("{s:o,s:o,s:O,s:O}", "generated_by", cli_json_generator(cli), "options", options,
                                "inputs", sources, "warnings", cli->warnings);
    for (int i = 0; i < input_count; i++) {
        json_t *source = NULL;
        VSL_TRY(cli_json_input(&source, inputs[i]));
        json_array_append_new(sources, source);
    }
    VSL_TRY(cli_path_sidecar(&path, image));
    VSL_TRY(cli_json_write(path.text, sidecar));
out:
    json_decref(sources);
    json_decref(sidecar);
    return st;
}
