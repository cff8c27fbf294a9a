/* A table is cut into cells in place, after everything that it must not hold was looked for. */
#include <string.h>

#include "core/memory.h"
#include "io/file_in.h"
#include "io/path.h"
#include "io/table_private.h"

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

int vsl_table_column(const VslTable *t, const char *name)
{
    for (int c = 0; c < t->columns; c++) {
        if (strcmp(t->name[c], name) == 0) {
            return c;
        }
    }
    return -1;
}

static VslStatus take_header(VslTable *t, char **rest, const char *path)
{
    VslStatus st = VSL_OK;
    VSL_TRY(VSL_NEW(&t->name, MOST_COLUMNS, "header of a table"));
    t->columns = cut_line(t->name, MOST_COLUMNS, rest);
    VSL_CHECK(t->columns <= MOST_COLUMNS, VSL_E_FORMAT, "%s: has %d columns, expected at most %d",
              vsl_path_text(path).text, t->columns, MOST_COLUMNS);
    for (int c = 0; c < t->columns; c++) {
        VSL_CHECK(t->name[c][0] && vsl_table_column(t, t->name[c]) == c, VSL_E_FORMAT,
                  "%s: column %d is named '%s', expected a name of its own", vsl_path_text(path).text, c + 1,
                  vsl_path_text(t->name[c]).text);
    }
out:
    return st;
}

static VslStatus take_rows(VslTable *t, int64_t lines, char **rest, const char *path)
{
    VslStatus st = VSL_OK;
    int64_t cells = 0;
    VSL_CHECK(vsl_mul_ok(lines - 1, t->columns, &cells) && cells <= MOST_CELLS, VSL_E_FORMAT,
              "%s: has %lld rows of %d cells, expected at most %d cells", vsl_path_text(path).text,
              (long long)(lines - 1), t->columns, MOST_CELLS);
    VSL_TRY(VSL_NEW(&t->cell, cells, "table"));
    for (t->rows = 0; t->rows < lines - 1; t->rows++) {
        const long long line = (long long)t->rows + 2;
        const char **row = t->cell + t->rows * t->columns;
        const int found = cut_line(row, t->columns, rest);
        VSL_CHECK(found == t->columns, VSL_E_FORMAT, "%s: line %lld has %d cells, expected the %d of the header",
                  vsl_path_text(path).text, line, found, t->columns);
        int is_header = 1;
        for (int c = 0; c < t->columns; c++) {
            is_header = is_header && strcmp(row[c], t->name[c]) == 0;
            row[c] = strcmp(row[c], "n/a") == 0 ? "" : row[c];
        }
        VSL_CHECK(!is_header, VSL_E_FORMAT, "%s: line %lld repeats the header", vsl_path_text(path).text, line);
    }
out:
    return st;
}

static VslStatus take_folder(VslTable *t, const char *path)
{
    VslStatus st = VSL_OK;
    const char *slash = strrchr(path, '/');
    const size_t length = slash ? (size_t)(slash - path) + 1 : 0;
    VSL_TRY(VSL_NEW(&t->folder, length + 1, "folder of a table"));
    memcpy(t->folder, path, length);
    t->folder[length] = 0;
out:
    return st;
}

VslStatus table_parse(VslTable *out, char *text, int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    VslTable t = {.text = text};
    int64_t lines = 0;
    const int mark = count >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0; /* a byte-order mark says nothing */
    char *rest = text + mark;

    VSL_TRY(check_text(&lines, rest, count - mark, path));
    VSL_CHECK(lines >= 1, VSL_E_FORMAT, "%s: is empty, expected a header line", vsl_path_text(path).text);
    VSL_TRY(take_header(&t, &rest, path));
    VSL_TRY(take_rows(&t, lines, &rest, path));
    VSL_TRY(take_folder(&t, path));
    vsl_table_free(out);
    *out = t;
    t = (VslTable){0};
out:
    vsl_table_free(&t);
    return st;
}

VslStatus vsl_table_read(VslTable *out, const char *path)
{
    VslStatus st = VSL_OK;
    char *text = NULL;
    int64_t count = 0;
    VSL_TRY(vsl_file_in_whole(&text, &count, path, MOST_BYTES));
    VSL_TRY(table_parse(out, text, count, path));
out:
    return st;
}

void vsl_table_free(VslTable *t)
{
    vsl_free(t->name);
    vsl_free(t->cell);
    vsl_free(t->text);
    vsl_free(t->folder);
    *t = (VslTable){0};
}

const char *vsl_table_cell(const VslTable *t, int64_t row, const char *name)
{
    const int c = vsl_table_column(t, name);
    return c < 0 || row < 0 || row >= t->rows ? NULL : t->cell[row * t->columns + c];
}

/* Control bytes were refused before. */
int vsl_table_is_below(const char *path)
{
    if (!path[0] || path[0] == '/') {
        return 0;
    }
    for (const char *part = path; part; part = strchr(part, '/')) {
        part += *part == '/';
        if (part[0] == '.' && part[1] == '.' && (part[2] == '/' || !part[2])) {
            return 0;
        }
    }
    return 1;
}
