/**
 * Tab-separated tables with a header line, as BIDS has them: every row as many cells as the header, "n/a" for what is
 * not known. A table is untrusted: control bytes, broken UTF-8, ragged rows, columns without a name of their own and a
 * repeated header are refused by line; it may hold 1000 columns, 10 million cells and lines of 1 MiB.
 * @test io/test_manifest.c
 */
#ifndef VSL_IO_TABLE_H
#define VSL_IO_TABLE_H

#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslTable { /* {0} is empty */
    int columns;
    int64_t rows;
    const char **name; /* columns: the header */
    const char **cell; /* rows x columns; "" for empty and n/a */
    char *text;        /* owner of the letters */
    char *folder;      /* of the table's file, with a final slash; "" is the current one */
} VslTable;

/** @return VSL_E_IO, VSL_E_FORMAT (names the line), VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_table_read(VslTable *out, const char *path);
VSL_API void vsl_table_free(VslTable *t);
/** Index of a column by name; -1 when there is no such column. */
VSL_API int vsl_table_column(const VslTable *t, const char *name);
/** Content of a column by name; NULL when there is no such column or row. */
VSL_API const char *vsl_table_cell(const VslTable *t, int64_t row, const char *column);
/** 1 for a path that stays below the folder it is joined to: not empty, relative, without "..". */
VSL_API int vsl_table_is_below(const char *path);

#ifdef __cplusplus
}
#endif
#endif
