/**
 * Data-set manifests: a tab-separated table, one row per file, with a header line. Needed columns: `file` (path
 * relative to the manifest) and `sha256`; `shape`, `voxel_size_mm` and `dtype` are compared with images where they are
 * given. data-manifests/README.md describes the columns. A manifest is untrusted: beside what io/table.h refuses, paths
 * that leave its folder are. @test io/test_manifest.c
 */
#ifndef VSL_IO_MANIFEST_H
#define VSL_IO_MANIFEST_H

#include "io/table.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslManifest { /* {0} is empty */
    VslTable table;
    int64_t *twin;                              /* per row: the earlier row with the same file, or -1 */
    int file, sha256, shape, voxel_size, dtype; /* columns, -1 when absent */
} VslManifest;

/** @return VSL_E_IO, VSL_E_FORMAT (names the line), VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_manifest_read(VslManifest *out, const char *path);
VSL_API void vsl_manifest_free(VslManifest *m);
/** Content of a column by name; NULL when there is no such column. */
VSL_API const char *vsl_manifest_cell(const VslManifest *m, int64_t row, const char *column);

typedef enum VslRowStatus {
    VSL_ROW_OK = 0,
    VSL_ROW_MISSING,    /* no such file, or a link to content that is not here */
    VSL_ROW_UNREADABLE, /* the system refuses, or the image's header is unsound */
    VSL_ROW_CHECKSUM,   /* other bytes than listed */
    VSL_ROW_GRID,       /* other shape, voxel size or type than listed */
    VSL_ROW_DUPLICATE   /* the file was listed before */
} VslRowStatus;

typedef struct VslRowReport {
    VslRowStatus status;
    int has_checksum;   /* a listed checksum was compared */
    int has_grid;       /* a listed shape, voxel size or type was compared */
    char sentence[400]; /* what was found and expected; "" when ok */
} VslRowReport;

/** Checks one row; several threads may check rows of one manifest. Faults of the data are in the report.
 * @return VSL_OK, VSL_E_ARG (row), VSL_E_NOMEM, VSL_E_EXTERNAL. */
VSL_API VSL_MUST_USE VslStatus vsl_manifest_verify_row(VslRowReport *out, const VslManifest *m, int64_t row);
/** "ok", "missing", "checksum differs", ... */
VSL_API const char *vsl_row_status_name(VslRowStatus status);

#ifdef __cplusplus
}
#endif
#endif
