/* Folders and tables of a dataset. */
#define _GNU_SOURCE
#include "cli/cohort.h"

#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "io/file_out.h"
#include "io/path.h"

VslStatus cohort_parse_size(int64_t *size, int dims, int most, const char *text)
{
    VslStatus st = VSL_OK;
    double n[3];
    VSL_TRY(cli_parse_numbers(n, dims, text, "--size"));
    for (int d = 0; d < dims; d++) {
        VSL_CHECK(n[d] >= 16 && n[d] <= most && n[d] == (double)(int64_t)n[d], VSL_E_ARG,
                  "--size: %g, expected %s whole numbers from 16 to %d, such as %s", n[d], dims == 2 ? "two" : "three",
                  most, dims == 2 ? "256,256" : "96,112,96");
        size[d] = (int64_t)n[d];
    }
out:
    return st;
}

VslStatus cohort_text_open(CohortText *t)
{
    t->stream = open_memstream(&t->bytes, &t->size);
    return t->stream ? VSL_OK : vsl_fail(VSL_E_NOMEM, __func__, "no memory for a table");
}

void cohort_text_free(CohortText *t)
{
    if (t->stream) {
        fclose(t->stream);
    }
    free(t->bytes);
    *t = (CohortText){0};
}

VslStatus cohort_text_write(CohortText *t, const char *path)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(fflush(t->stream) == 0 && !ferror(t->stream), VSL_E_NOMEM, "no memory for the text of %s",
              vsl_path_text(path).text);
    VSL_TRY(vsl_file_write_whole(path, t->bytes, t->size));
out:
    return st;
}

VslStatus cohort_path(CliPath *path, const char *out, const char *fmt, ...)
{
    VslStatus st = VSL_OK;
    CliPath tail;
    va_list args;
    tail.text[0] = '/';
    va_start(args, fmt);
    const int n = vsnprintf(tail.text + 1, sizeof tail.text - 1, fmt, args);
    va_end(args);
    VSL_CHECK(n >= 0 && n < (int)sizeof tail.text - 1, VSL_E_ARG, "a name in the dataset is too long");
    VSL_TRY(cli_path_join(path, out, tail.text));
    VSL_TRY(cli_make_folders(path->text, strlen(out)));
out:
    return st;
}

static VslStatus check_folder(const Cli *cli, const char *out)
{
    VslStatus st = VSL_OK;
    CliPath folder;
    DIR *d = opendir(out);
    VSL_TRY(cli_path_join(&folder, out, "/"));
    if (!d) {
        VSL_CHECK(errno == ENOENT, VSL_E_WRITE, "--out %s cannot be used as a folder: %s", vsl_path_text(out).text,
                  strerror(errno));
        return cli_make_folders(folder.text, strlen(out));
    }
    int is_empty = 1;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        is_empty = is_empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
    }
    VSL_CHECK(is_empty || cli->overwrite, VSL_E_WRITE,
              "--out %s is not empty and nothing in it is replaced; give a new folder or --overwrite",
              vsl_path_text(out).text);
out:
    if (d) {
        closedir(d);
    }
    return st;
}

VslStatus cohort_begin(const Cli *cli, const char *out)
{
    VslStatus st = VSL_OK;
    CliPath path;
    VSL_TRY(check_folder(cli, out));
    VSL_TRY(cohort_path(&path, out, "participants.tsv"));
    VSL_CHECK(unlink(path.text) == 0 || errno == ENOENT, VSL_E_WRITE, "%s cannot be replaced: %s",
              vsl_path_text(path.text).text, strerror(errno));
out:
    return st;
}

VslStatus cohort_json(const char *out, const char *name, json_t *value)
{
    VslStatus st = VSL_OK;
    CliPath path;
    VSL_TRY(cohort_path(&path, out, "%s", name));
    VSL_TRY(cli_json_write(path.text, value));
out:
    json_decref(value);
    return st;
}
