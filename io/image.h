/**
 * Images: NIfTI or PNG, told apart by content when read and by suffix when written.
 *
 * A PNG is a 2D image of 1 mm pixels: voxel (i, j, 0) is column i and row j from the top left, at x = -i, y = -j in RAS
 * (the identity in LPS), where ITK places it too. A radiological viewer shows the same picture. Samples are taken as
 * they are: 1, 2, 4, 8 or 16 bit grey = 1 channel, grey with alpha = 2, RGB or palette = 3, with alpha = 4.
 * @test io/test_png.c
 */
#ifndef VSL_IO_IMAGE_H
#define VSL_IO_IMAGE_H

#include "io/nifti.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Header only. For PNG (version 0) it is filled as far as it applies. Free with vsl_nifti_info_free. */
VSL_API VSL_MUST_USE VslStatus vsl_image_read_info(VslNiftiInfo *out, const char *path);
/** info may be NULL. */
VSL_API VSL_MUST_USE VslStatus vsl_image_read(VslVolume *out, VslNiftiInfo *info, const char *path);
/** PNG: grey values, or the indices of palette colours. */
VSL_API VSL_MUST_USE VslStatus vsl_image_read_labels(VslLabels *out, VslNiftiInfo *info, const char *path);
/** .png: one slice of 1 to 4 channels; how (may be NULL): datatype uint8 (default) or uint16; values must be whole
 * numbers in range, or scale_to_fit. A grid other than a PNG's own is lost, with a warning to the log. */
VSL_API VSL_MUST_USE VslStatus vsl_image_write(const char *path, const VslVolume *v, const VslNiftiWrite *how);
/** .png: 8 bit grey, 16 when a label exceeds 255. */
VSL_API VSL_MUST_USE VslStatus vsl_image_write_labels(const char *path, const VslLabels *l, const VslNiftiWrite *how);

#ifdef __cplusplus
}
#endif
#endif
