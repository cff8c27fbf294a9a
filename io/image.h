/**
 * Images by suffix: NIfTI or PNG (8 and 16 bit; grey = 1 channel, RGB = 3; a 2D image of 1 mm pixels, row 0 at the top,
 * so that j grows downward: LPS-like axes are documented in docs/conventions.md). @test io/test_png.c
 */
#ifndef VSL_IO_IMAGE_H
#define VSL_IO_IMAGE_H

#include "io/nifti.h"

#ifdef __cplusplus
extern "C" {
#endif

/** info may be NULL; for PNG it is filled as far as it applies. */
VSL_API VSL_MUST_USE VslStatus vsl_image_read(VslVolume *out, VslNiftiInfo *info, const char *path);
VSL_API VSL_MUST_USE VslStatus vsl_image_read_labels(VslLabels *out, VslNiftiInfo *info, const char *path);
/** .png: 2D only; how->datatype uint8 (default) or uint16, values must be whole numbers in range or scale_to_fit. */
VSL_API VSL_MUST_USE VslStatus vsl_image_write(const char *path, const VslVolume *v, const VslNiftiWrite *how);
VSL_API VSL_MUST_USE VslStatus vsl_image_write_labels(const char *path, const VslLabels *l, const VslNiftiWrite *how);

#ifdef __cplusplus
}
#endif
#endif
