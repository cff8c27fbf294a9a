/* Readers by content, writers by suffix. */
#include "io/image.h"

#include "core/memory.h"
#include "io/file_in.h"
#include "io/path.h"
#include "io/png_private.h"

static VslStatus is_png(int *out, const char *path)
{
    VslStatus st = VSL_OK;
    char *front = NULL;
    int64_t count = 0;
    VSL_TRY(vsl_file_in_front(&front, &count, path, 8));
    *out = png_looks_like((const unsigned char *)front, count);
out:
    vsl_free(front);
    return st;
}

VslStatus vsl_image_read_info(VslNiftiInfo *out, const char *path)
{
    VslStatus st = VSL_OK;
    int png = 0;
    VSL_TRY(is_png(&png, path));
    VSL_TRY(png ? png_read_file(NULL, NULL, out, path) : vsl_nifti_read_info(out, path));
out:
    return st;
}

VslStatus vsl_image_read(VslVolume *out, VslNiftiInfo *info, const char *path)
{
    VslStatus st = VSL_OK;
    int png = 0;
    VSL_TRY(is_png(&png, path));
    VSL_TRY(png ? png_read_file(out, NULL, info, path) : vsl_nifti_read(out, info, path));
out:
    return st;
}

VslStatus vsl_image_read_labels(VslLabels *out, VslNiftiInfo *info, const char *path)
{
    VslStatus st = VSL_OK;
    int png = 0;
    VSL_TRY(is_png(&png, path));
    VSL_TRY(png ? png_read_file(NULL, out, info, path) : vsl_nifti_read_labels(out, info, path));
out:
    return st;
}

VslStatus vsl_image_write(const char *path, const VslVolume *v, const VslNiftiWrite *how)
{
    return vsl_path_has_suffix(path, ".png") ? png_write_volume(path, v, how) : vsl_nifti_write(path, v, how);
}

VslStatus vsl_image_write_labels(const char *path, const VslLabels *l, const VslNiftiWrite *how)
{
    return vsl_path_has_suffix(path, ".png") ? png_write_labels(path, l) : vsl_nifti_write_labels(path, l, how);
}
