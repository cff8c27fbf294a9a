/* The table of a manifest: cut into cells in place, after everything that a table must not hold was looked for. */
#include "io/manifest_private.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "io/file_in.h"
#include "io/path.h"
#include "io/sha256.h"

enum { MOST_BYTES = 256 << 20, LINE_MOST_BYTES = 1 << 20, MOST_COLUMNS = 1000, MOST_CELLS = 10000000 };

/* Length of the UTF-8 character at p, 0 when it is none: overlong forms, surrogates and values past 10FFFF are not. */
static int utf8_length(const unsigned char *p)
{
    const unsigned char a = p[0];
    if (a < 0x80) {
        return 1;
    }
    const int length = a >= 0xf0 ? 4 : a >= 0xe0 ? 3 : 2;
    if (a < 0xc2 || a > 0xf4) {
        return 0;
    }
    for (int i = 1; i < length; i++) {
        if ((p[i] & 0xc0) != 0x80) {
            return 0;
        }
    }
    if ((a == 0xe0 && p[1] < 0xa0) || (a == 0xed && p[1] > 0x9f) || (a == 0xf0 && p[1] < 0x90) ||
        (a == 0xf4 && p[1] > 0x8f)) {
        return 0;
    }
    return length;
}

/* Bytes and line lengths of the whole text; lines are counted. */
static VslStatus check_text(int64_t *lines, const char *text, int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    int64_t line = 1, start = 0;
    for (int64_t i = 0; i < count;) {
        const unsigned char c = (unsigned char)text[i];
        const int length = utf8_length((const unsigned char *)text + i);
        VSL_CHECK(length > 0, VSL_E_FORMAT, "%s: line %lld holds the byte %02x, which is not UTF-8",
                  vsl_path_text(path).text, (long long)line, c);
        VSL_CHECK((c >= 32 && c != 127) || c == '\t' || c == '\n' || (c == '\r' && text[i + 1] == '\n'), VSL_E_FORMAT,
                  "%s: line %lld holds the control byte %02x", vsl_path_text(path).text, (long long)line, c);
        VSL_CHECK(i - start < LINE_MOST_BYTES, VSL_E_FORMAT, "%s: line %lld is longer than %d bytes",
                  vsl_path_text(path).text, (long long)line, LINE_MOST_BYTES);
        if (c == '\n') {
            line++;
            start = i + 1;
        }
        i += length;
    }
    *lines = line - (start == count); /* a final line end begins no line */
out:
    return st;
}

/* Cuts the line at *rest into cells; the number of them, or MOST_COLUMNS + 1 when there are more. */
static int cut_line(const char **cell, int room, char **rest)
{
    char *at = *rest;
    char *end = strchr(at, '\n');
    *rest = end ? end + 1 : at + strlen(at);
    if (end) {
        *end = 0;
        if (end > at && end[-1] == '\r') {
            end[-1] = 0;
        }
    }
    int count = 0;
    for (;;) {
        if (count < room) {
            cell[count] = at;
        }
        count++;
        char *tab = strchr(at, '\t');
        if (!tab) {
            return count;
        }
        *tab = 0;
        at = tab + 1;
    }
}

static int column(const VslManifest *m, const char *name)
{
    for (int c = 0; c < m->columns; c++) {
        if (strcmp(m->name[c], name) == 0) {
            return c;
        }
    }
    return -1;
}

static VslStatus take_header(VslManifest *m, char **rest, const char *path)
{
    VslStatus st = VSL_OK;
    VSL_TRY(VSL_NEW(&m->name, MOST_COLUMNS, "manifest header"));
    m->columns = cut_line(m->name, MOST_COLUMNS, rest);
    VSL_CHECK(m->columns <= MOST_COLUMNS, VSL_E_FORMAT, "%s: has %d columns, expected at most %d",
              vsl_path_text(path).text, m->columns, MOST_COLUMNS);
    for (int c = 0; c < m->columns; c++) {
        VSL_CHECK(m->name[c][0] && column(m, m->name[c]) == c, VSL_E_FORMAT,
                  "%s: column %d is named '%s', expected a name of its own", vsl_path_text(path).text, c + 1,
                  vsl_path_text(m->name[c]).text);
    }
    m->file = column(m, "file");
    m->sha256 = column(m, "sha256");
    m->shape = column(m, "shape");
    m->voxel_size = column(m, "voxel_size_mm");
    m->dtype = column(m, "dtype");
    VSL_CHECK(m->file >= 0 && m->sha256 >= 0, VSL_E_FORMAT,
              "%s: has no column '%s', expected a tab-separated table with at least 'file' and 'sha256'",
              vsl_path_text(path).text, m->file < 0 ? "file" : "sha256");
out:
    return st;
}

/* A path that stays below the folder: relative, without "..". Control bytes were refused before. */
static int is_safe_path(const char *p)
{
    if (!p[0] || p[0] == '/') {
        return 0;
    }
    for (const char *part = p; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (part[0] == '.' && part[1] == '.' && (part[2] == '/' || !part[2])) {
            return 0;
        }
    }
    return 1;
}

static int is_digest(const char *s)
{
    const size_t length = strspn(s, "0123456789abcdefABCDEF");
    return length == VSL_SHA256_HEX - 1 && !s[length];
}

static VslStatus take_rows(VslManifest *m, int64_t lines, char **rest, const char *path)
{
    VslStatus st = VSL_OK;
    int64_t cells = 0;
    VSL_CHECK(vsl_mul_ok(lines - 1, m->columns, &cells) && cells <= MOST_CELLS, VSL_E_FORMAT,
              "%s: has %lld rows of %d cells, expected at most %d cells", vsl_path_text(path).text,
              (long long)(lines - 1), m->columns, MOST_CELLS);
    VSL_TRY(VSL_NEW(&m->cell, cells, "manifest"));
    for (m->rows = 0; m->rows < lines - 1; m->rows++) {
        const long long line = (long long)m->rows + 2;
        const char **row = m->cell + m->rows * m->columns;
        const int found = cut_line(row, m->columns, rest);
        VSL_CHECK(found == m->columns, VSL_E_FORMAT, "%s: line %lld has %d cells, expected the %d of the header",
                  vsl_path_text(path).text, line, found, m->columns);
        int is_header = 1;
        for (int c = 0; c < m->columns; c++) {
            is_header = is_header && strcmp(row[c], m->name[c]) == 0;
            row[c] = strcmp(row[c], "n/a") == 0 ? "" : row[c];
        }
        VSL_CHECK(!is_header, VSL_E_FORMAT, "%s: line %lld repeats the header", vsl_path_text(path).text, line);
        VSL_CHECK(is_safe_path(row[m->file]), VSL_E_FORMAT,
                  "%s: line %lld names the file '%s', expected a path below the manifest's folder, without '..'",
                  vsl_path_text(path).text, line, vsl_path_text(row[m->file]).text);
        VSL_CHECK(!row[m->sha256][0] || is_digest(row[m->sha256]), VSL_E_FORMAT,
                  "%s: line %lld has the sha256 '%s', expected 64 hexadecimal digits or n/a", vsl_path_text(path).text,
                  line, vsl_path_text(row[m->sha256]).text);
    }
out:
    return st;
}

typedef struct Named {
    const char *file;
    int64_t row;
} Named;

static int by_name(const void *a, const void *b)
{
    const Named *x = a, *y = b;
    const int order = strcmp(x->file, y->file);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

static VslStatus find_twins(VslManifest *m)
{
    VslStatus st = VSL_OK;
    Named *sorted = NULL;
    VSL_TRY(VSL_NEW(&m->twin, m->rows, "manifest"));
    VSL_TRY(VSL_NEW(&sorted, m->rows, "manifest"));
    for (int64_t r = 0; r < m->rows; r++) {
        sorted[r] = (Named){m->cell[r * m->columns + m->file], r};
    }
    qsort(sorted, (size_t)m->rows, sizeof *sorted, by_name);
    for (int64_t i = 0, first = 0; i < m->rows; i++) {
        first = i > 0 && strcmp(sorted[i].file, sorted[i - 1].file) == 0 ? first : i;
        m->twin[sorted[i].row] = first == i ? -1 : sorted[first].row;
    }
out:
    vsl_free(sorted);
    return st;
}

static VslStatus take_folder(VslManifest *m, const char *path)
{
    VslStatus st = VSL_OK;
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    VSL_TRY(VSL_NEW(&m->folder, length + 1, "manifest folder"));
    memcpy(m->folder, path, length);
    m->folder[length] = 0;
out:
    return st;
}

VslStatus manifest_parse(VslManifest *out, char *text, int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    VslManifest m = {.text = text};
    int64_t lines = 0;
    const int mark = count >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* a byte-order mark says nothing */
    char *rest = text + mark;

    VSL_TRY(check_text(&lines, rest, count - mark, path));
    VSL_CHECK(lines >= 1, VSL_E_FORMAT, "%s: is empty, expected a header line", vsl_path_text(path).text);
    VSL_TRY(take_header(&m, &rest, path));
    VSL_TRY(take_rows(&m, lines, &rest, path));
    VSL_TRY(find_twins(&m));
    VSL_TRY(take_folder(&m, path));
    vsl_manifest_free(out);
    *out = m;
    m = (VslManifest){0};
out:
    vsl_manifest_free(&m);
    return st;
}

VslStatus vsl_manifest_read(VslManifest *out, const char *path)
{
    VslStatus st = VSL_OK;
    char *text = NULL;
    int64_t count = 0;
    VSL_TRY(vsl_file_in_whole(&text, &count, path, MOST_BYTES));
    VSL_TRY(manifest_parse(out, text, count, path));
out:
    return st;
}

void vsl_manifest_free(VslManifest *m)
{
    vsl_free(m->name);
    vsl_free(m->cell);
    vsl_free(m->twin);
    vsl_free(m->text);
    vsl_free(m->folder);
    *m = (VslManifest){0};
}

const char *vsl_manifest_cell(const VslManifest *m, int64_t row, const char *name)
{
    const int c = column(m, name);
    return c < 0 || row < 0 || row >= m->rows ? NULL : m->cell[row * m->columns + c];
}
