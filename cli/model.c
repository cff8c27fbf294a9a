/* Reading and writing of a model's folder. A checkpoint is a folder that is renamed as a whole when all its parts are
 * on disk; its state.json holds the hash of the state, so that what a failing disk has changed is not taken up again.
 */
#define _GNU_SOURCE
#include "cli/model.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "io/file_in.h"
#include "io/path.h"
#include "io/sha256.h"
#include "io/weights_io.h"

enum { KEPT = 2, DIGITS = 10, MOST_FOUND = 64 };

static const char step_prefix[] = "step-";

VslStatus cli_model_read(CliModel *out, const char *folder, const char *task)
{
    VslStatus st = VSL_OK;
    CliModel m = {0};
    CliPath path;
    struct stat found;

    VSL_CHECK(stat(folder, &found) == 0 && S_ISDIR(found.st_mode), VSL_E_IO,
              "%s: is no folder, expected a model as 'vesal diffusion train' writes it", vsl_path_text(folder).text);
    VSL_TRY(cli_path_join(&m.config_path, folder, "/config.yaml"));
    VSL_TRY(vsl_config_read(&m.config, m.config_path.text));
    const char *is_for = vsl_config_find(&m.config, "model-task");
    VSL_CHECK(!task || (is_for && strcmp(is_for, task) == 0), VSL_E_FORMAT, "%s: is a model for '%s', expected '%s'",
              vsl_path_text(folder).text, is_for ? is_for : "nothing stated", task);
    VSL_TRY(cli_weights_path(&path, folder));
    VSL_TRY(vsl_weights_read(&m.weights, path.text));
    cli_model_free(out);
    *out = m;
    m = (CliModel){0};
out:
    cli_model_free(&m);
    return st;
}

void cli_model_free(CliModel *m)
{
    vsl_config_free(&m->config);
    vsl_weights_free(&m->weights);
    *m = (CliModel){0};
}

VslStatus cli_model_write_weights(const char *folder, const VslWeights *w)
{
    VslStatus st = VSL_OK;
    CliPath path;
    VSL_TRY(cli_path_join(&path, folder, "/weights.safetensors"));
    VSL_TRY(vsl_weights_write(path.text, w));
    VSL_TRY(cli_path_join(&path, folder, "/weights.h5"));
    VSL_TRY(vsl_weights_write(path.text, w));
out:
    return st;
}

static VslStatus sync_folder(const char *path)
{
    VslStatus st = VSL_OK;
    const int fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    VSL_CHECK(fd >= 0, VSL_E_WRITE, "%s: cannot be opened: %s", vsl_path_text(path).text, strerror(errno));
    VSL_CHECK(fsync(fd) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EBADF, VSL_E_WRITE,
              "%s: cannot be flushed to disk: %s", vsl_path_text(path).text, strerror(errno));
out:
    if (fd >= 0) {
        close(fd);
    }
    return st;
}

/* Removes a folder and the files in it; what is not there is fine. */
static VslStatus remove_folder(const char *path)
{
    VslStatus st = VSL_OK;
    DIR *d = opendir(path);
    CliPath file;
    if (!d) {
        VSL_CHECK(errno == ENOENT, VSL_E_WRITE, "%s: cannot be removed: %s", vsl_path_text(path).text, strerror(errno));
        return VSL_OK;
    }
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        if (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0) {
            const int n = snprintf(file.text, sizeof file.text, "%s/%s", path, e->d_name);
            VSL_CHECK(n < (int)sizeof file.text && unlink(file.text) == 0, VSL_E_WRITE, "%s: cannot be removed: %s",
                      vsl_path_text(path).text, strerror(errno));
        }
    }
    VSL_CHECK(rmdir(path) == 0, VSL_E_WRITE, "%s: cannot be removed: %s", vsl_path_text(path).text, strerror(errno));
out:
    if (d) {
        closedir(d);
    }
    return st;
}

typedef struct Found { /* checkpoints, newest first */
    int count;
    int64_t step[MOST_FOUND];
} Found;

static int64_t step_of(const char *name)
{
    const size_t prefix = sizeof step_prefix - 1;
    if (strncmp(name, step_prefix, prefix) != 0 || strlen(name) != prefix + DIGITS ||
        strspn(name + prefix, "0123456789") != DIGITS) {
        return -1;
    }
    return strtoll(name + prefix, NULL, 10);
}

static int newest_first(const void *a, const void *b)
{
    const int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return (x < y) - (x > y);
}

static VslStatus find_checkpoints(Found *out, const char *folder)
{
    VslStatus st = VSL_OK;
    CliPath path;
    out->count = 0;
    VSL_TRY(cli_path_join(&path, folder, "/checkpoints"));
    DIR *d = opendir(path.text);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        const int64_t step = step_of(e->d_name);
        if (step >= 0 && out->count < MOST_FOUND) {
            out->step[out->count++] = step;
        }
    }
    if (d) {
        closedir(d);
    }
    qsort(out->step, (size_t)out->count, sizeof *out->step, newest_first);
out:
    return st;
}

static VslStatus checkpoint_path(CliPath *out, const char *folder, int64_t step, const char *file)
{
    char tail[128];
    snprintf(tail, sizeof tail, "/checkpoints/%s%0*lld%s", step_prefix, DIGITS, (long long)step, file);
    return cli_path_join(out, folder, tail);
}

static VslStatus make_folder(const char *path)
{
    return mkdir(path, 0777) == 0 || errno == EEXIST
               ? VSL_OK
               : vsl_fail(VSL_E_WRITE, __func__, "the folder '%s' cannot be made: %s", vsl_path_text(path).text,
                          strerror(errno));
}

/* The two files of a checkpoint, in a folder of their own. */
static VslStatus write_parts(const char *folder, const VslWeights *state, int64_t step)
{
    VslStatus st = VSL_OK;
    CliPath path;
    char digest[VSL_SHA256_HEX];
    json_t *about = NULL;
    VSL_TRY(cli_path_join(&path, folder, "/state.safetensors"));
    VSL_TRY(vsl_weights_write(path.text, state));
    VSL_TRY(vsl_sha256_file(digest, path.text));
    about = json_pack("{s:I,s:s}", "step", (json_int_t)step, "sha256", digest);
    VSL_TRY(cli_path_join(&path, folder, "/state.json"));
    VSL_TRY(cli_json_write(path.text, about));
    VSL_TRY(sync_folder(folder));
out:
    json_decref(about);
    return st;
}

VslStatus cli_checkpoint_write(const char *folder, const VslWeights *state, int64_t step)
{
    VslStatus st = VSL_OK;
    CliPath parent, fresh, path;
    Found found;

    VSL_TRY(cli_path_join(&parent, folder, "/checkpoints"));
    VSL_TRY(make_folder(parent.text));
    VSL_TRY(cli_path_join(&fresh, folder, "/checkpoints/.new"));
    VSL_TRY(checkpoint_path(&path, folder, step, ""));
    VSL_TRY(remove_folder(fresh.text)); /* of a run that was killed here */
    VSL_TRY(make_folder(fresh.text));
    VSL_TRY(write_parts(fresh.text, state, step));
    VSL_TRY(remove_folder(path.text)); /* the same step again: the older state holds until the rename */
    VSL_CHECK(rename(fresh.text, path.text) == 0, VSL_E_WRITE, "%s: the finished folder cannot be given its name: %s",
              vsl_path_text(path.text).text, strerror(errno));
    VSL_TRY(sync_folder(parent.text));
    VSL_TRY(find_checkpoints(&found, folder));
    for (int i = KEPT; i < found.count; i++) {
        VSL_TRY(checkpoint_path(&path, folder, found.step[i], ""));
        VSL_TRY(remove_folder(path.text));
    }
out:
    return st;
}

/* One checkpoint, whose hash must be the one that was stated. */
static VslStatus read_checkpoint(VslWeights *out, CliPath *where, const char *folder, int64_t step)
{
    enum { MOST_ABOUT = 4096 };
    VslStatus st = VSL_OK;
    CliPath about_path;
    char digest[VSL_SHA256_HEX], *text = NULL;
    int64_t count = 0;
    json_t *about = NULL;

    VSL_TRY(checkpoint_path(where, folder, step, "/state.safetensors"));
    VSL_TRY(checkpoint_path(&about_path, folder, step, "/state.json"));
    VSL_TRY(vsl_file_in_whole(&text, &count, about_path.text, MOST_ABOUT));
    about = json_loadb(text, (size_t)count, JSON_REJECT_DUPLICATES, NULL);
    const char *stated = json_string_value(json_object_get(about, "sha256"));
    VSL_CHECK(stated && json_integer_value(json_object_get(about, "step")) == step, VSL_E_FORMAT, "%s: is damaged",
              vsl_path_text(about_path.text).text);
    VSL_TRY(vsl_sha256_file(digest, where->text));
    VSL_CHECK(strcmp(digest, stated) == 0, VSL_E_FORMAT, "%s: its checksum does not hold: the file is damaged",
              vsl_path_text(where->text).text);
    VSL_TRY(vsl_weights_read(out, where->text));
out:
    vsl_free(text);
    json_decref(about);
    return st;
}

VslStatus cli_checkpoint_read(Cli *cli, VslWeights *out, int64_t *step, CliPath *where, const char *folder)
{
    VslStatus st = VSL_OK;
    Found found;
    *step = -1;
    VSL_TRY(find_checkpoints(&found, folder));
    for (int i = 0; i < found.count && *step < 0; i++) {
        st = read_checkpoint(out, where, folder, found.step[i]);
        VSL_CHECK(st == VSL_OK || st == VSL_E_FORMAT || st == VSL_E_IO || st == VSL_E_UNSUPPORTED, st, "%s",
                  vsl_error());
        if (st == VSL_OK) {
            *step = found.step[i];
        } else {
            cli_warn(cli, "the state of step %lld is not used: %s", (long long)found.step[i], vsl_error());
            st = VSL_OK;
        }
    }
    VSL_CHECK(*step >= 0 || found.count == 0, VSL_E_STATE,
              "%s: none of its %d saved states can be used; --overwrite starts again", vsl_path_text(folder).text,
              found.count);
out:
    return st;
}

VslStatus cli_checkpoints_remove(const char *folder)
{
    VslStatus st = VSL_OK;
    Found found;
    CliPath path;
    VSL_TRY(find_checkpoints(&found, folder));
    for (int i = 0; i < found.count; i++) {
        VSL_TRY(checkpoint_path(&path, folder, found.step[i], ""));
        VSL_TRY(remove_folder(path.text));
    }
out:
    return st;
}
