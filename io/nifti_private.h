/* What the files of the NIfTI reader and writer share. Only io/nifti_*.c and their tests include this. */
#ifndef VSL_IO_NIFTI_PRIVATE_H
#define VSL_IO_NIFTI_PRIVATE_H

#include <nifti2_io.h>

#include "io/nifti.h"
#include "io/stream.h"

enum {
    NIFTI_EXTENSIONS_MOST = 64 << 20, /* bytes of all extensions together */
    NIFTI_EXTENSIONS_COUNT = 4096
};

/* One header extension, opaque content. */
typedef struct VslNiftiExtension {
    struct VslNiftiExtension *next;
    int32_t code;
    int64_t size; /* of bytes[]; esize of the file less the 8 bytes that carry esize and ecode */
    unsigned char bytes[];
} VslNiftiExtension;

/* A datatype code of the standard. */
typedef struct NiftiType {
    int code;
    const char *name;
    int components;      /* numbers per voxel; 0 = known but not read by us */
    int component_bytes; /* of one of them; a voxel has components * component_bytes */
    int is_colour;       /* components are never scaled */
    void (*to_double)(double *out, const void *in, int64_t count); /* native byte order */
} NiftiType;

/* NULL when the standard does not know the code. */
const NiftiType *vsl_nifti_type(int code);
/* Reverses the bytes of each number of size 1, 2, 4 or 8. */
void vsl_nifti_swap(void *data, int size, int64_t count);

/* Adds a sentence to info->warnings; when those are full the last one says so. */
void vsl_nifti_warn(VslNiftiInfo *info, const char *fmt, ...) VSL_PRINTF(2, 3);

/* The gate. raw: the first `count` bytes of a header file. Checks every field that sizes, places or types depend on and
 * fills info (geometry too) and header, the NIfTI-2 form in native byte order of either version. */
VSL_MUST_USE VslStatus vsl_nifti_parse_header(VslNiftiInfo *info, nifti_2_header *header, const void *raw,
                                              int64_t count, const char *name);
/* sform, qform or pixdim -> info->grid.to_ras and what belongs to it; info->dim must be set. */
VSL_MUST_USE VslStatus vsl_nifti_read_geometry(VslNiftiInfo *info, const nifti_2_header *header, const char *name);
/* grid -> sform, qform (polar part when there is shear), codes, pixdim[0..3]. */
void vsl_nifti_write_geometry(nifti_2_header *header, const VslGrid *grid, int form_code);

/* Reads the extensions from the header stream, which stands behind the header; `room` bytes from here on may be theirs
 * (the flag bytes included). Bad ones are dropped with a warning. */
VSL_MUST_USE VslStatus vsl_nifti_read_extensions(VslNiftiInfo *info, VslStream *s, int64_t room);
void vsl_nifti_free_extensions(VslNiftiExtension **list);
/* Bytes that the flag and the extensions take in a file: 4 when there are none. */
int64_t vsl_nifti_extension_bytes(const VslNiftiInfo *info);
/* Writes them there; out has vsl_nifti_extension_bytes(info). */
void vsl_nifti_put_extensions(unsigned char *out, const VslNiftiInfo *info);

/* An opened image: its header read and judged, its voxels not yet. */
typedef struct NiftiFile {
    VslNiftiInfo info;
    const NiftiType *type;
    VslStream *voxels; /* stands at the first voxel */
} NiftiFile;
VSL_MUST_USE VslStatus vsl_nifti_open(NiftiFile *out, const char *path);
/* The same for a single file in memory. */
VSL_MUST_USE VslStatus vsl_nifti_open_memory(NiftiFile *out, const void *bytes, int64_t count, const char *name);
void vsl_nifti_close(NiftiFile *f);
/* The voxels of an opened file; f keeps its info. */
VSL_MUST_USE VslStatus vsl_nifti_read_voxels(VslVolume *out, NiftiFile *f);
VSL_MUST_USE VslStatus vsl_nifti_read_label_voxels(VslLabels *out, NiftiFile *f);

#endif
