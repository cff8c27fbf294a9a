/* Checks of one row of a manifest: is the file there, are its bytes the listed ones, is its image what the row says.
 *
 * A cell that does not have the form of a shape, a voxel size or a type ("unknown", "277 frames x 17 points") is a
 * remark and compared with nothing. An image whose shape cell is empty is not opened: its row asks for the checksum
 * only. PNG has no voxel size. */
#define _GNU_SOURCE
#include "io/manifest_private.h"

#include <errno.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>

#include "core/memory.h"
#include "core/text.h"
#include "io/image.h"
#include "io/path.h"
#include "io/sha256.h"

static void fault(VslRowReport *out, VslRowStatus status, const char *fmt, ...) VSL_PRINTF(3, 4);

static void fault(VslRowReport *out, VslRowStatus status, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    vsnprintf(out->sentence, sizeof out->sentence, fmt, args);
    va_end(args);
    out->status = status;
}

const char *vsl_row_status_name(VslRowStatus status)
{
    switch (status) {
    case VSL_ROW_OK: return "ok";
    case VSL_ROW_MISSING: return "missing";
    case VSL_ROW_UNREADABLE: return "unreadable";
    case VSL_ROW_CHECKSUM: return "checksum differs";
    case VSL_ROW_GRID: return "grid differs";
    case VSL_ROW_DUPLICATE: return "listed twice";
    }
    return "unknown";
}

static int is_image(const char *path)
{
    static const char *const suffixes[] = {".png", ".nii", ".nii.gz", ".hdr", ".img", ".hdr.gz", ".img.gz"};
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (vsl_path_has_suffix(path, suffixes[i])) {
            return 1;
        }
    }
    return 0;
}

/* "80x96x80": the number of extents, 0 when the text is something else */
static int parse_shape(int64_t n[7], const char *text)
{
    for (int count = 0; count < 7; count++) {
        char *end;
        if (*text < '1' || *text > '9') {
            return 0;
        }
        errno = 0;
        n[count] = strtoll(text, &end, 10);
        if (errno || (*end && *end != 'x')) {
            return 0;
        }
        if (!*end) {
            return count + 1;
        }
        text = end + 1;
    }
    return 0;
}

/* "1.4 1.4": the number of sizes, 0 when the text is something else */
static int parse_sizes(double size[3], const char *text)
{
    int count = 0;
    while (*text) {
        const char *after = count < 3 ? vsl_text_scan_double(text, &size[count]) : NULL;
        if (!after || (*after && *after != ' ') || !(size[count] > 0)) {
            return 0;
        }
        count++;
        for (text = after; *text == ' '; text++) {
        }
    }
    return count;
}

static void check_shape(VslRowReport *out, const char *listed, const VslNiftiInfo *info)
{
    int64_t n[7] = {1, 1, 1, 1, 1, 1, 1};
    char found[200] = "";
    if (!parse_shape(n, listed)) {
        return;
    }
    out->has_grid = 1;
    for (int d = 0, at = 0; d < (info->ndim > 1 ? info->ndim : 1); d++) {
        at += snprintf(found + at, sizeof found - (size_t)at, "%s%lld", d ? "x" : "", (long long)info->dim[d]);
    }
    for (int d = 0; d < 7; d++) {
        if (n[d] != info->dim[d]) {
            fault(out, VSL_ROW_GRID, "has the shape %s, listed is %s", found, vsl_path_text(listed).text);
        }
    }
}

static void check_voxel_size(VslRowReport *out, const char *listed, const VslNiftiInfo *info)
{
    double size[3], found[3];
    const int count = info->version == 0 ? 0 : parse_sizes(size, listed);
    vsl_grid_spacing(found, &info->grid);
    for (int d = 0; d < count; d++) {
        out->has_grid = 1;
        if (!(fabs(size[d] - found[d]) <= 1e-3 * size[d])) {
            fault(out, VSL_ROW_GRID, "has voxels of %g x %g x %g mm, listed is %s", found[0], found[1], found[2],
                  vsl_path_text(listed).text);
        }
    }
}

static void check_type(VslRowReport *out, const char *listed, const VslNiftiInfo *info)
{
    static const char *const names[][2] = {/* as listed, as an image calls it */
                                           {"1 bit", "uint1"},     {"uint8 RGB", "rgb24"}, {"uint8 RGBA", "rgba32"},
                                           {"uint8", "uint8"},     {"int8", "int8"},       {"uint16", "uint16"},
                                           {"int16", "int16"},     {"uint32", "uint32"},   {"int32", "int32"},
                                           {"float32", "float32"}, {"float64", "float64"}, {"rgb24", "rgb24"}};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (strcmp(listed, names[i][0]) == 0) {
            out->has_grid = 1;
            if (strcmp(info->datatype_name, names[i][1]) != 0) {
                fault(out, VSL_ROW_GRID, "holds %s, listed is %s", info->datatype_name, listed);
            }
            return;
        }
    }
}

static const char *cell(const VslManifest *m, int64_t row, int column)
{
    return column < 0 ? "" : m->table.cell[row * m->table.columns + column];
}

static VslStatus check_checksum(VslRowReport *out, const char *listed, const char *path)
{
    char found[VSL_SHA256_HEX];
    const VslStatus st = vsl_sha256_file(found, path);
    if (st == VSL_E_IO) {
        fault(out, VSL_ROW_UNREADABLE, "%s", vsl_error());
        return VSL_OK;
    }
    out->has_checksum = st == VSL_OK;
    if (st == VSL_OK && strcasecmp(found, listed) != 0) {
        fault(out, VSL_ROW_CHECKSUM, "has the sha256 %s, listed is %s", found, listed);
    }
    return st;
}

/* Without a checksum only the voxels can tell whether the file is whole. */
static VslStatus check_image(VslRowReport *out, const VslManifest *m, int64_t row, const char *path)
{
    VslNiftiInfo info = {0};
    VslVolume voxels = {0};
    const VslStatus st = out->has_checksum ? vsl_image_read_info(&info, path) : vsl_image_read(&voxels, &info, path);
    if (st == VSL_OK) {
        check_type(out, cell(m, row, m->dtype), &info);
        check_voxel_size(out, cell(m, row, m->voxel_size), &info);
        check_shape(out, cell(m, row, m->shape), &info);
    } else if (st != VSL_E_NOMEM) {
        fault(out, VSL_ROW_UNREADABLE, "%s", vsl_error());
    }
    vsl_volume_free(&voxels);
    vsl_nifti_info_free(&info);
    return st == VSL_E_NOMEM ? st : VSL_OK;
}

VslStatus vsl_manifest_verify_row(VslRowReport *out, const VslManifest *m, int64_t row)
{
    VslStatus st = VSL_OK;
    VslRowReport report = {VSL_ROW_OK, 0, 0, ""};
    char *path = NULL;
    struct stat found;

    VSL_CHECK(row >= 0 && row < m->table.rows, VSL_E_ARG, "row %lld of a manifest of %lld", (long long)row,
              (long long)m->table.rows);
    const char *file = cell(m, row, m->file), *digest = cell(m, row, m->sha256);
    const size_t folder = strlen(m->table.folder), name = strlen(file);
    VSL_TRY(VSL_NEW(&path, folder + name + 1, "file name"));
    memcpy(path, m->table.folder, folder);
    memcpy(path + folder, file, name + 1);
    if (m->twin[row] >= 0) {
        fault(&report, VSL_ROW_DUPLICATE, "was listed in line %lld already", (long long)m->twin[row] + 2);
    } else if (lstat(path, &found) != 0) {
        fault(&report, errno == ENOENT || errno == ENOTDIR ? VSL_ROW_MISSING : VSL_ROW_UNREADABLE, "%s",
              strerror(errno));
    } else if (S_ISLNK(found.st_mode) && stat(path, &found) != 0) {
        fault(&report, errno == ENOENT ? VSL_ROW_MISSING : VSL_ROW_UNREADABLE,
              "is a symbolic link to content that is not here: %s", strerror(errno));
    } else {
        if (digest[0]) {
            VSL_TRY(check_checksum(&report, digest, path));
        } else if (!is_image(path) && !S_ISREG(found.st_mode)) {
            fault(&report, VSL_ROW_UNREADABLE, "is a folder, device, pipe or socket, expected a file");
        }
        if (report.status == VSL_ROW_OK && is_image(path) && (m->shape < 0 || cell(m, row, m->shape)[0])) {
            VSL_TRY(check_image(&report, m, row, path));
        }
    }
    *out = report;
out:
    vsl_free(path);
    return st;
}
