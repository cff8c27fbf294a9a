/* PNG behind io/image.h. */
#ifndef VSL_IO_PNG_PRIVATE_H
#define VSL_IO_PNG_PRIVATE_H

#include "io/nifti.h"

/** Bytes that every PNG file starts with. */
int png_looks_like(const unsigned char *bytes, int64_t count);

/** pixels or labels are filled when not NULL, info too; all NULL: the file is only judged by its header. */
VSL_MUST_USE VslStatus png_read_file(VslVolume *pixels, VslLabels *labels, VslNiftiInfo *info, const char *path);

/** As above, of a file in memory; path only names it in sentences. */
VSL_MUST_USE VslStatus png_read_bytes(VslVolume *pixels, VslLabels *labels, VslNiftiInfo *info,
                                      const unsigned char *bytes, int64_t count, const char *path);

VSL_MUST_USE VslStatus png_write_volume(const char *path, const VslVolume *v, const VslNiftiWrite *how);
VSL_MUST_USE VslStatus png_write_labels(const char *path, const VslLabels *l);

/** Voxel (i, j, 0) is column i and row j: x = -i, y = -j, z = 0 mm, as ITK places a picture. */
VslGrid png_grid(int64_t width, int64_t height);

#endif
