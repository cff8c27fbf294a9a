/* From manifest rows or the files of a folder to pictures in memory. */
#define _GNU_SOURCE
#include "cli/train_data.h"

#include <dirent.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/settings.h"
#include "core/parallel.h"
#include "io/manifest.h"
#include "io/path.h"

enum { MOST_STRUCTURES = 64, MOST_FILES = 1000000, DEEPEST = 16 };

typedef struct File {           /* one image */
    const char *name, *subject; /* name: as in the manifest, or below the folder. Borrowed, or owned by Files */
    VslSplit split;
    int is_inverted;
    const char *sha256;            /* listed, or "" */
    int64_t mask[MOST_STRUCTURES]; /* rows of the manifest, -1 */
    char digest[VSL_SHA256_HEX];   /* of what was read: the image, then chained with each mask */
} File;

typedef struct Files {
    const CliDataHow *how;
    VslManifest manifest;
    CliPath root; /* with a final slash; "" is the current folder */
    File *file;
    int64_t count, room;
    const char *structure[MOST_STRUCTURES];
    int structures;
    char **owned; /* names and subjects of a folder's files */
    int64_t owned_count;
} Files;

static void files_free(Files *f)
{
    vsl_manifest_free(&f->manifest);
    for (int64_t i = 0; i < f->owned_count; i++) {
        vsl_free(f->owned[i]);
    }
    vsl_free(f->owned);
    vsl_free(f->file);
    *f = (Files){0};
}

static int is_image(const char *name)
{
    return vsl_path_has_suffix(name, ".png") || vsl_path_has_suffix(name, ".nii") ||
           vsl_path_has_suffix(name, ".nii.gz");
}

static VslStatus add_file(Files *f, const char *name, File **out)
{
    VslStatus st = VSL_OK;
    if (f->count == f->room) {
        File *more = NULL;
        const int64_t room = f->room ? 2 * f->room : 256;
        VSL_CHECK(f->count < MOST_FILES, VSL_E_ARG, "more than %d images", MOST_FILES);
        VSL_TRY(VSL_NEW(&more, room, "list of images"));
        if (f->count > 0) {
            memcpy(more, f->file, (size_t)f->count * sizeof *more);
        }
        vsl_free(f->file);
        f->file = more;
        f->room = room;
    }
    File *file = &f->file[f->count];
    memset(file, 0, sizeof *file);
    file->name = file->subject = name;
    file->sha256 = "";
    for (int m = 0; m < MOST_STRUCTURES; m++) {
        file->mask[m] = -1;
    }
    f->count++;
    *out = file;
out:
    return st;
}

static VslStatus parse_split(VslSplit *out, const char *text, const char *name)
{
    static const char *const words[] = {"", "train", "validation", "test"};
    for (int i = 0; i < 4; i++) {
        if (!text || strcmp(text, words[i]) == 0) {
            *out = text ? (VslSplit)i : VSL_SPLIT_NONE;
            return VSL_OK;
        }
    }
    return vsl_fail(VSL_E_FORMAT, __func__, "%s: its split is '%s', expected train, validation, test or n/a",
                    vsl_path_text(name).text, vsl_path_text(text).text);
}

static const char *cell(const Files *f, int64_t row, const char *column)
{
    const char *text = vsl_manifest_cell(&f->manifest, row, column);
    return text ? text : "";
}

/* Rows of images of the wanted parts. */
static VslStatus take_images(Files *f)
{
    VslStatus st = VSL_OK;
    for (int64_t row = 0; row < f->manifest.table.rows; row++) {
        const char *name = cell(f, row, "file");
        const char *split = cell(f, row, "split"), *subject = cell(f, row, "subject");
        char word[32];
        File *file = NULL;
        if (cell(f, row, "mask_of")[0] || !is_image(name)) {
            continue;
        }
        snprintf(word, sizeof word, ",%s,", split);
        if (split[0] && f->how->parts && !strstr(f->how->parts, word)) {
            continue;
        }
        VSL_CHECK(f->manifest.twin[row] < 0, VSL_E_FORMAT, "%s: '%s' is listed twice", vsl_path_text(f->how->data).text,
                  vsl_path_text(name).text);
        VSL_TRY(add_file(f, name, &file));
        file->subject = subject[0] ? subject : name;
        file->sha256 = cell(f, row, "sha256");
        file->is_inverted = strcmp(cell(f, row, "photometric"), "MONOCHROME1") == 0;
        VSL_TRY(parse_split(&file->split, split, name));
    }
out:
    return st;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(const char *const *)a, *(const char *const *)b);
}

static int structure_index(const Files *f, const char *name)
{
    for (int m = 0; m < f->structures; m++) {
        if (strcmp(f->structure[m], name) == 0) {
            return m;
        }
    }
    return -1;
}

/* Names of structures, sorted, so that the order of rows does not matter. */
static VslStatus take_structures(Files *f)
{
    VslStatus st = VSL_OK;
    for (int64_t row = 0; row < f->manifest.table.rows; row++) {
        const char *name = cell(f, row, "structure");
        if (cell(f, row, "mask_of")[0] && structure_index(f, name) < 0) {
            VSL_CHECK(name[0] && strlen(name) < 64 && !strchr(name, ','), VSL_E_FORMAT,
                      "%s: the mask '%s' has the structure '%s', expected a name without commas",
                      vsl_path_text(f->how->data).text, vsl_path_text(cell(f, row, "file")).text,
                      vsl_path_text(name).text);
            VSL_CHECK(f->structures < MOST_STRUCTURES, VSL_E_FORMAT, "%s: has more than %d structures",
                      vsl_path_text(f->how->data).text, MOST_STRUCTURES);
            f->structure[f->structures++] = name;
        }
    }
    qsort(f->structure, (size_t)f->structures, sizeof *f->structure, by_text);
    if (f->structures == 0 && f->how->structures > 0) {
        f->structures = f->how->structures;
        memcpy(f->structure, f->how->structure, (size_t)f->structures * sizeof *f->structure);
    }
    VSL_CHECK(f->structures > 0, VSL_E_FORMAT, "%s: lists no masks: columns mask_of and structure name them",
              vsl_path_text(f->how->data).text);
out:
    return st;
}

static int by_file_name(const void *a, const void *b)
{
    return strcmp(((const File *)a)->name, ((const File *)b)->name);
}

static VslStatus take_masks(Files *f)
{
    VslStatus st = VSL_OK;
    VSL_TRY(take_structures(f));
    for (int64_t row = 0; row < f->manifest.table.rows; row++) {
        const File wanted = {.name = cell(f, row, "mask_of")};
        File *file = wanted.name[0] ? bsearch(&wanted, f->file, (size_t)f->count, sizeof *f->file, by_file_name) : NULL;
        if (file) { /* else it belongs to an image of another part */
            const int m = structure_index(f, cell(f, row, "structure"));
            VSL_CHECK(file->mask[m] < 0, VSL_E_FORMAT, "%s: '%s' has two masks of '%s'",
                      vsl_path_text(f->how->data).text, vsl_path_text(file->name).text, f->structure[m]);
            file->mask[m] = row;
        }
    }
    for (int64_t i = 0; i < f->count; i++) {
        const File *file = &f->file[i];
        for (int m = 0; m < f->structures; m++) {
            VSL_CHECK((file->mask[m] < 0) == (file->mask[0] < 0), VSL_E_FORMAT,
                      "%s: '%s' has a mask of '%s' but none of '%s'", vsl_path_text(f->how->data).text,
                      vsl_path_text(file->name).text, f->structure[file->mask[m] < 0 ? 0 : m],
                      f->structure[file->mask[m] < 0 ? m : 0]);
        }
    }
out:
    return st;
}

static VslStatus keep_text(Files *f, char **out, const char *text, size_t length)
{
    VslStatus st = VSL_OK;
    if (f->owned_count % 1024 == 0) {
        char **more = NULL;
        VSL_TRY(VSL_NEW(&more, f->owned_count + 1024, "list of names"));
        if (f->owned_count > 0) {
            memcpy(more, f->owned, (size_t)f->owned_count * sizeof *more);
        }
        vsl_free(f->owned);
        f->owned = more;
    }
    VSL_TRY(VSL_NEW(out, length + 1, "name"));
    memcpy(*out, text, length);
    (*out)[length] = 0;
    f->owned[f->owned_count++] = *out;
out:
    return st;
}

/* The BIDS label of a name ("sub-01" of "sub-01/anat/sub-01_T1w.nii.gz"), or all of it. */
static VslStatus subject_of(Files *f, const char **out, const char *name)
{
    VslStatus st = VSL_OK;
    const char *slash = strrchr(name, '/'), *last = slash ? slash + 1 : name;
    if (strncmp(last, "sub-", 4) == 0) {
        char *subject = NULL;
        VSL_TRY(keep_text(f, &subject, last, strcspn(last, "_.")));
        *out = subject;
    } else {
        *out = name;
    }
out:
    return st;
}

/* Files below folder root/below, names relative to the root. Hidden ones and linked folders are passed over. */
static VslStatus take_folder(Files *f, const char *below, int depth)
{
    VslStatus st = VSL_OK;
    struct dirent **entry = NULL;
    CliPath folder, path;
    VSL_CHECK(depth < DEEPEST, VSL_E_ARG, "%s: folders lie deeper than %d", vsl_path_text(below).text, DEEPEST);
    VSL_TRY(cli_path_join(&folder, f->root.text, below));
    const int count = scandir(folder.text, &entry, NULL, alphasort);
    VSL_CHECK(count >= 0, VSL_E_IO, "%s: cannot be read: %s", vsl_path_text(folder.text).text, strerror(errno));
    for (int i = 0; i < count && st == VSL_OK; i++) {
        struct stat s;
        char tail[CLI_PATH_MAX];
        const char *last = entry[i]->d_name;
        if (last[0] == '.' || snprintf(tail, sizeof tail, "%s%s", below, last) >= (int)sizeof tail - 1 ||
            cli_path_join(&path, f->root.text, tail) != VSL_OK || lstat(path.text, &s) != 0) {
            continue;
        }
        if (S_ISDIR(s.st_mode)) {
            strcat(tail, "/");
            st = take_folder(f, tail, depth + 1);
        } else if (is_image(last)) {
            char *name = NULL;
            File *file = NULL;
            st = keep_text(f, &name, tail, strlen(tail));
            st = st == VSL_OK ? add_file(f, name, &file) : st;
            st = st == VSL_OK ? subject_of(f, &file->subject, name) : st;
        }
    }
    for (int i = 0; i < count; i++) {
        free(entry[i]); /* of scandir */
    }
    free(entry);
out:
    return st;
}

static VslStatus find_files(Files *f)
{
    VslStatus st = VSL_OK;
    const char *data = f->how->data;
    struct stat s;
    VSL_CHECK(stat(data, &s) == 0, VSL_E_IO, "%s: cannot be opened: %s", vsl_path_text(data).text, strerror(errno));
    if (S_ISDIR(s.st_mode)) {
        VSL_CHECK(!f->how->with_masks || f->how->structures > 0, VSL_E_ARG,
                  "%s: is a folder; masks need a manifest that says whose they are", vsl_path_text(data).text);
        VSL_TRY(cli_path_join(&f->root, data, "/"));
        VSL_TRY(take_folder(f, "", 0));
    } else {
        VSL_TRY(vsl_manifest_read(&f->manifest, data));
        VSL_TRY(f->how->root ? cli_path_join(&f->root, f->how->root, "/")
                             : cli_path_join(&f->root, f->manifest.table.folder, ""));
        VSL_TRY(take_images(f));
    }
    VSL_CHECK(f->count > 0, VSL_E_ARG, "%s: has no PNG or NIfTI images%s", vsl_path_text(data).text,
              f->how->parts ? " to learn from" : "");
    qsort(f->file, (size_t)f->count, sizeof *f->file, by_file_name);
    if (f->how->with_masks) {
        VSL_TRY(take_masks(f));
    }
out:
    return st;
}

VslStatus cli_parse_size(int64_t n[3], const char *text, int is_flat)
{
    VslStatus st = VSL_OK;
    const int axes = is_flat ? 2 : 3;
    int64_t values[3] = {is_flat ? 64 : 32, 0, 0};
    int count = 1;
    if (text) {
        VSL_TRY(cli_parse_integers(values, &count, 3, text, "--size"));
    }
    VSL_CHECK(count == 1 || count == axes, VSL_E_ARG, "--size: '%s' has %d numbers, but the images are %s", text, count,
              is_flat ? "flat" : "volumes");
    for (int d = 0; d < 3; d++) {
        n[d] = d >= axes ? 1 : count == 1 ? values[0] : values[d];
        VSL_CHECK(d >= axes || (n[d] >= 8 && n[d] <= 4096), VSL_E_ARG, "--size: %lld, expected 8 to 4096 pixels",
                  (long long)n[d]);
    }
out:
    return st;
}

void cli_size_text(char *out, size_t room, const int64_t n[3], int dims)
{
    snprintf(out, room, dims == 2 ? "%lld,%lld" : "%lld,%lld,%lld", (long long)n[0], (long long)n[1], (long long)n[2]);
}

VslStatus cli_to_grey(VslVolume *v, int is_png, const char *path)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(v->channels == 1 || is_png, VSL_E_ARG, "%s: has %d volumes, expected one", vsl_path_text(path).text,
              v->channels);
    const int colours = v->channels - (v->channels == 2 || v->channels == 4);
    const int64_t voxels = vsl_grid_voxels(&v->grid);
    for (int64_t i = 0; i < voxels && colours > 1; i++) {
        double sum = 0;
        for (int c = 0; c < colours; c++) {
            sum += (double)v->data[c * voxels + i];
        }
        v->data[i] = (float)(sum / colours);
    }
    v->channels = 1; /* the others stay behind it, unused */
out:
    return st;
}

static VslStatus check_digest(char digest[VSL_SHA256_HEX], const char *path, const char *listed)
{
    VslStatus st = VSL_OK;
    VSL_TRY(vsl_sha256_file(digest, path));
    VSL_CHECK(!listed[0] || strcasecmp(listed, digest) == 0, VSL_E_FORMAT,
              "%s: has other bytes than the manifest lists", vsl_path_text(path).text);
out:
    return st;
}

/* All masks of an image as one volume. */
static VslStatus read_masks(VslVolume *out, const Files *f, File *file, const VslGrid *grid)
{
    VslStatus st = VSL_OK;
    VslVolume all = {0}, one = {0};
    const int64_t voxels = vsl_grid_voxels(grid);
    VSL_TRY(vsl_volume_new(&all, grid, f->structures));
    for (int m = 0; m < f->structures; m++) {
        CliPath path;
        char digests[2 * VSL_SHA256_HEX];
        const char *name = cell(f, file->mask[m], "file");
        VSL_TRY(cli_path_join(&path, f->root.text, name));
        memcpy(digests, file->digest, VSL_SHA256_HEX - 1);
        VSL_TRY(check_digest(digests + VSL_SHA256_HEX - 1, path.text, cell(f, file->mask[m], "sha256")));
        VSL_TRY(vsl_sha256_text(file->digest, digests, strlen(digests)));
        VSL_TRY(vsl_image_read(&one, NULL, path.text));
        VSL_TRY(cli_to_grey(&one, vsl_path_has_suffix(name, ".png"), path.text));
        VSL_TRY(vsl_grid_check_same(&one.grid, path.text, grid, file->name));
        memcpy(all.data + m * voxels, one.data, (size_t)voxels * sizeof *all.data);
    }
    vsl_volume_move(out, &all);
out:
    vsl_volume_free(&all);
    vsl_volume_free(&one);
    return st;
}

static VslStatus read_item(VslDataset *d, const Files *f, int64_t i)
{
    VslStatus st = VSL_OK;
    File *file = &f->file[i];
    CliPath path;
    VslVolume image = {0}, masks = {0};
    const int has_masks = f->structures > 0 && file->mask[0] >= 0;

    VSL_TRY(cli_path_join(&path, f->root.text, file->name));
    VSL_TRY(check_digest(file->digest, path.text, file->sha256));
    VSL_TRY(vsl_image_read(&image, NULL, path.text));
    VSL_TRY(cli_to_grey(&image, vsl_path_has_suffix(file->name, ".png"), path.text));
    for (int64_t k = 0; file->is_inverted && k < vsl_grid_voxels(&image.grid); k++) {
        image.data[k] = -image.data[k];
    }
    if (has_masks) {
        VSL_TRY(read_masks(&masks, f, file, &image.grid));
    }
    VSL_TRY(vsl_dataset_put(d, i, file->name, file->subject, file->split, &image, has_masks ? &masks : NULL));
out:
    vsl_volume_free(&image);
    vsl_volume_free(&masks);
    return st;
}

enum { SENTENCE = 600 };
typedef struct Reading {
    VslDataset *data;
    const Files *files;
    VslStatus *status; /* per item */
    char (*sentence)[SENTENCE];
} Reading;

static void read_one(void *user, int64_t i, int worker)
{
    Reading *r = user;
    (void)worker;
    r->status[i] = cli_check_stop();
    r->status[i] = r->status[i] == VSL_OK ? read_item(r->data, r->files, i) : r->status[i];
    if (r->status[i] != VSL_OK) {
        snprintf(r->sentence[i], SENTENCE, "%s", vsl_error());
    }
}

/* Reads all, and reports the first that failed and how many did. */
static VslStatus read_all(Cli *cli, VslDataset *d, const Files *f)
{
    VslStatus st = VSL_OK;
    Reading r = {d, f, NULL, NULL};
    int64_t failed = 0, first = -1;
    VSL_TRY(VSL_NEW0(&r.status, f->count, "reading of images"));
    VSL_TRY(VSL_NEW0(&r.sentence, f->count, "reading of images"));
    vsl_parallel_for(f->count, cli->threads, read_one, &r);
    for (int64_t i = 0; i < f->count; i++) {
        first = r.status[i] != VSL_OK && first < 0 ? i : first;
        failed += r.status[i] != VSL_OK;
    }
    VSL_CHECK(failed == 0, r.status[first], failed > 1 ? "%s (and %lld more of %lld images)" : "%s", r.sentence[first],
              (long long)failed - 1, (long long)f->count);
out:
    vsl_free(r.status);
    vsl_free(r.sentence);
    return st;
}

static VslStatus describe(CliDataAbout *about, const VslDataset *d, const Files *f)
{
    static const char *const words[] = {"none", "train", "validation", "test"};
    VslStatus st = VSL_OK;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    VSL_CHECK(stream, VSL_E_NOMEM, "no memory to describe the data");
    for (int64_t i = 0; i < d->count; i++) {
        fprintf(stream, "%s\t%s\t%s\t%s", d->item[i].name, d->item[i].subject, words[d->item[i].split],
                f->file[i].digest);
        fputc('\n', stream);
        about->images[d->item[i].split]++;
        about->with_masks += d->item[i].has_masks;
    }
    VSL_CHECK(fclose(stream) == 0, VSL_E_NOMEM, "no memory to describe the data");
    VSL_TRY(vsl_sha256_text(about->sha256, text, size));
out:
    free(text);
    return st;
}

VslStatus cli_data_read(Cli *cli, VslDataset *out, CliDataAbout *about, const CliDataHow *how)
{
    VslStatus st = VSL_OK;
    Files f = {.how = how};
    VslDataset d = {0};
    VslNiftiInfo info = {0};
    CliDataAbout found = {0};
    CliPath first;
    int64_t n[3];

    VSL_TRY(find_files(&f));
    VSL_TRY(cli_path_join(&first, f.root.text, f.file[0].name));
    VSL_TRY(vsl_image_read_info(&info, first.text));
    VSL_TRY(cli_parse_size(n, how->size, info.grid.n[2] == 1));
    VSL_TRY(vsl_dataset_new(&d, f.count, n, 1, f.structures, f.structure));
    VSL_TRY(read_all(cli, &d, &f));
    VSL_TRY(vsl_dataset_split(&d, cli->seed, how->validation, how->test));
    VSL_TRY(describe(&found, &d, &f));
    vsl_dataset_free(out);
    *out = d;
    *about = found;
    d = (VslDataset){0};
out:
    vsl_nifti_info_free(&info);
    vsl_dataset_free(&d);
    files_free(&f);
    return st;
}
