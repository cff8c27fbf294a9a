/**
 * What verbs share about files: outputs that are checked before anything is computed, inputs whose warnings reach the
 * person, and the JSON that says where an output comes from. @test cli/
 */
#ifndef VSL_CLI_FILES_H
#define VSL_CLI_FILES_H

#include "cli/cli.h"
#include "io/image.h"

enum { CLI_PATH_MAX = 4096 };
typedef struct CliPath {
    char text[CLI_PATH_MAX];
} CliPath;

/** prefix followed by tail. @return VSL_E_ARG when that is too long. */
VSL_MUST_USE VslStatus cli_path_join(CliPath *out, const char *prefix, const char *tail);
/** The name of an image's sidecar: its suffix (.nii.gz, .nii, .png) replaced by .json. */
VSL_MUST_USE VslStatus cli_path_sidecar(CliPath *out, const char *image);
/** The file that holds the weights of a model's folder. @return VSL_E_IO when there is none. */
VSL_MUST_USE VslStatus cli_weights_path(CliPath *out, const char *folder);
/** Takes the next name of a list "A,B,.." at *list, which is NULL after the last. @return VSL_E_ARG: an empty name. */
VSL_MUST_USE VslStatus cli_next_name(CliPath *out, const char **list, const char *flag);
/** Refuses, before anything is computed, an output that exists (without --overwrite), is a folder, or whose folder is
 * missing or not writable. @return VSL_E_WRITE. */
VSL_MUST_USE VslStatus cli_check_output(const Cli *cli, const char *path);
/** As above for an image and its sidecar; also refuses a suffix that no image format has.
 * @return VSL_E_ARG, VSL_E_WRITE. */
VSL_MUST_USE VslStatus cli_check_image_output(const Cli *cli, const char *path);

/** Makes every folder of path whose name ends at a slash behind its first `from` bytes; those that exist are left
 * alone.
 * @return VSL_E_WRITE. */
VSL_MUST_USE VslStatus cli_make_folders(const char *path, size_t from);

/** Rounds values of 0..65535 to whole numbers and returns the type that holds them; others are left alone, said to be
 * scaled, and 0 is returned (the writer is then to scale). NaN becomes 0 in a PNG. */
VslDatatype cli_round_for_png(Cli *cli, VslVolume *v);

/** Readers that pass the file's warnings on. info may be NULL; its extensions are freed by the caller. */
VSL_MUST_USE VslStatus cli_read_image(Cli *cli, VslVolume *out, VslNiftiInfo *info, const char *path);
VSL_MUST_USE VslStatus cli_read_labels(Cli *cli, VslLabels *out, VslNiftiInfo *info, const char *path);
/** One channel of weights on `grid`; name is the flag that gave it. */
VSL_MUST_USE VslStatus cli_read_mask(Cli *cli, VslVolume *out, const char *path, const char *flag, const VslGrid *grid,
                                     const char *grid_name);

/** {"file": last part of the name, "sha256": ...}; folders are left out because they may name people. */
VSL_MUST_USE VslStatus cli_json_input(json_t **out, const char *path);
/** {"n": [..], "spacing_mm": [..], "orientation": "RAS", "to_ras": [[..],[..],[..]]} */
json_t *cli_json_grid(const VslGrid *g);
/** name, version, commit, verb, device, seed of this run. */
json_t *cli_json_generator(const Cli *cli);
/** Writes `value` whole, with a newline at its end. */
VSL_MUST_USE VslStatus cli_json_write(const char *path, const json_t *value);
/** The sidecar of an image: generator, options (taken over), inputs, warnings. The same run writes the same bytes. */
VSL_MUST_USE VslStatus cli_sidecar_write(const Cli *cli, const char *image, json_t *options, const char *const *inputs,
                                         int input_count);

#endif
