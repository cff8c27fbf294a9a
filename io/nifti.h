/**
 * NIfTI-1 and NIfTI-2: .nii, .nii.gz, .hdr/.img (either half names the pair, .gz allowed), every datatype, both byte
 * orders. Headers go through niftilib behind our own gate; voxels through our own bounded decoder (inflate, swap,
 * scale). docs/nifti.md has the table of what is refused, warned about and accepted. @test io/test_nifti*.c, fuzz/
 */
#ifndef VSL_IO_NIFTI_H
#define VSL_IO_NIFTI_H

#include "core/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VSL_NIFTI_MAX_WARNINGS = 16 };

typedef struct VslNiftiInfo { /* {0} is empty; a reader frees what it held */
    int version;              /* 1 or 2; 0 = Analyze-like pair without NIfTI magic is refused */
    int is_pair, is_gzip, is_swapped;
    int ndim;                    /* dim[0] as used, trailing ones removed, 2..7 */
    int64_t dim[7];              /* dim[1..7] of the file, 1 where unused */
    double pixdim[7];            /* made positive; the first three in mm */
    double time_step_s;          /* pixdim[4] in seconds; 0 when the 4th axis is not time */
    int datatype;                /* NIfTI code as stored */
    char datatype_name[16];      /* "int16", "rgb24", ... */
    double scl_slope, scl_inter; /* as applied: 1, 0 when the header has none or bad ones */
    int intent_code;
    char intent_name[17], descrip[81];
    int qform_code, sform_code;
    char which_form[8];         /* "sform", "qform" or "pixdim": where grid.to_ras came from */
    double form_difference_vox; /* largest corner difference between sform and qform, NAN when only one is set */
    int xyz_units;              /* NIfTI code found; grid is in mm whatever it says */
    VslGrid grid;               /* n = first three dims */
    int channels;               /* product of dims 4..7, times 3 or 4 for RGB(A), 2 for complex */
    int64_t data_bytes;         /* voxel bytes as stored, uncompressed */
    int extensions;             /* count; kept and rewritten by vsl_nifti_write when passed on */
    int warning_count;
    char warnings[VSL_NIFTI_MAX_WARNINGS][160]; /* sentences */
    struct VslNiftiExtension *extension;        /* owned; vsl_nifti_info_free */
} VslNiftiInfo;

/** Header only. @return VSL_E_IO, VSL_E_FORMAT, VSL_E_UNSUPPORTED. */
VSL_API VSL_MUST_USE VslStatus vsl_nifti_read_info(VslNiftiInfo *out, const char *path);
VSL_API void vsl_nifti_info_free(VslNiftiInfo *info);
/** Voxels as float32, scaled, NaN and Inf kept; dims beyond 3 become channels in file order. info may be NULL.
 * @return also VSL_E_NOMEM when the memory budget forbids it (checked before anything is inflated). */
VSL_API VSL_MUST_USE VslStatus vsl_nifti_read(VslVolume *out, VslNiftiInfo *info, const char *path);
/** A label map: whole numbers within int32 (float files of whole numbers are accepted), exact, 3D.
 * @return VSL_E_FORMAT naming the first voxel that is not a whole number. */
VSL_API VSL_MUST_USE VslStatus vsl_nifti_read_labels(VslLabels *out, VslNiftiInfo *info, const char *path);

typedef enum VslDatatype {
    VSL_DATATYPE_FLOAT32 = 1,
    VSL_DATATYPE_UINT8,
    VSL_DATATYPE_INT16,
    VSL_DATATYPE_UINT16,
    VSL_DATATYPE_INT32,
    VSL_DATATYPE_FLOAT64
} VslDatatype;

typedef struct VslNiftiWrite { /* {0} = float32, no intent, 4D when channels > 1 */
    VslDatatype datatype;
    int scale_to_fit; /* integer types: choose slope and intercept for the data's range; else values must be whole and
                         in range */
    int is_vector;    /* 5-D x y z 1 c with intent 1007 */
    int intent_code;
    const char *intent_name, *descrip;
    int form_code;            /* 0 = 1 (scanner) */
    const VslNiftiInfo *like; /* extensions, time step, form codes copied from here, or NULL */
    int threads;
} VslNiftiWrite;

/** Format by suffix: .nii, .nii.gz (ISA-L, fixed header bytes, 1 MiB blocks: same bytes for any thread count). NIfTI-2
 * when an axis exceeds 32767. Atomic. @return VSL_E_ARG (suffix, values out of range), VSL_E_WRITE. */
VSL_API VSL_MUST_USE VslStatus vsl_nifti_write(const char *path, const VslVolume *v, const VslNiftiWrite *how);
/** Smallest of uint8, int16, uint16, int32 that holds the labels; intent 1002. */
VSL_API VSL_MUST_USE VslStatus vsl_nifti_write_labels(const char *path, const VslLabels *l, const VslNiftiWrite *how);

#ifdef __cplusplus
}
#endif
#endif
