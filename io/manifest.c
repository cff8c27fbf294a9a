/* What a manifest asks of its table: two columns, paths that stay in the folder, digests, and files listed twice. */
#include "io/manifest_private.h"

#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "io/path.h"
#include "io/sha256.h"
#include "io/table_private.h"

static VslStatus find_columns(VslManifest *m, const char *path)
{
    VslStatus st = VSL_OK;
    const VslTable *t = &m->table;
    m->file = vsl_table_column(t, "file");
    m->sha256 = vsl_table_column(t, "sha256");
    m->shape = vsl_table_column(t, "shape");
    m->voxel_size = vsl_table_column(t, "voxel_size_mm");
    m->dtype = vsl_table_column(t, "dtype");
    VSL_CHECK(m->file >= 0 && m->sha256 >= 0, VSL_E_FORMAT,
              "%s: has no column '%s', expected a tab-separated table with at least 'file' and 'sha256'",
              vsl_path_text(path).text, m->file < 0 ? "file" : "sha256");
out:
    return st;
}

static int is_digest(const char *s)
{
    const size_t length = strspn(s, "0123456789abcdefABCDEF");
    return length == VSL_SHA256_HEX - 1 && !s[length];
}

static VslStatus check_rows(const VslManifest *m, const char *path)
{
    VslStatus st = VSL_OK;
    for (int64_t r = 0; r < m->table.rows; r++) {
        const long long line = (long long)r + 2;
        const char **row = m->table.cell + r * m->table.columns;
        VSL_CHECK(vsl_table_is_below(row[m->file]), VSL_E_FORMAT,
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
    const VslTable *t = &m->table;
    Named *sorted = NULL;
    VSL_TRY(VSL_NEW(&m->twin, t->rows, "manifest"));
    VSL_TRY(VSL_NEW(&sorted, t->rows, "manifest"));
    for (int64_t r = 0; r < t->rows; r++) {
        sorted[r] = (Named){t->cell[r * t->columns + m->file], r};
    }
    qsort(sorted, (size_t)t->rows, sizeof *sorted, by_name);
    for (int64_t i = 0, first = 0; i < t->rows; i++) {
        first = i > 0 && strcmp(sorted[i].file, sorted[i - 1].file) == 0 ? first : i;
        m->twin[sorted[i].row] = first == i ? -1 : sorted[first].row;
    }
out:
    vsl_free(sorted);
    return st;
}

/* Takes the table over. */
static VslStatus from_table(VslManifest *out, VslTable *table, const char *path)
{
    VslStatus st = VSL_OK;
    VslManifest m = {.table = *table};
    *table = (VslTable){0};
    VSL_TRY(find_columns(&m, path));
    VSL_TRY(check_rows(&m, path));
    VSL_TRY(find_twins(&m));
    vsl_manifest_free(out);
    *out = m;
    m = (VslManifest){0};
out:
    vsl_manifest_free(&m);
    return st;
}

VslStatus manifest_parse(VslManifest *out, char *text, int64_t count, const char *path)
{
    VslTable table = {0};
    const VslStatus st = table_parse(&table, text, count, path);
    return st == VSL_OK ? from_table(out, &table, path) : st;
}

VslStatus vsl_manifest_read(VslManifest *out, const char *path)
{
    VslTable table = {0};
    const VslStatus st = vsl_table_read(&table, path);
    return st == VSL_OK ? from_table(out, &table, path) : st;
}

void vsl_manifest_free(VslManifest *m)
{
    vsl_table_free(&m->table);
    vsl_free(m->twin);
    *m = (VslManifest){0};
}

const char *vsl_manifest_cell(const VslManifest *m, int64_t row, const char *name)
{
    return vsl_table_cell(&m->table, row, name);
}
