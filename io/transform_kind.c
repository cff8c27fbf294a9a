/* What sort of transform a file holds, by its content. */
#include <string.h>

#include "core/memory.h"
#include "io/affine_private.h"
#include "io/displacement_private.h"
#include "io/file_in.h"
#include "io/transform_io.h"

/* A gzip member, or the size of a NIfTI-1 or NIfTI-2 header in either byte order */
static int looks_like_nifti(const unsigned char *b, int64_t count)
{
    static const unsigned char starts[][4] = {
        {0x5c, 1, 0, 0}, {0, 0, 1, 0x5c}, {0x1c, 2, 0, 0}, {0, 0, 2, 0x1c}, /* 348, 540 */
    };
    for (int i = 0; i < 4; i++) {
        if (count >= 4 && memcmp(b, starts[i], 4) == 0) {
            return 1;
        }
    }
    return count >= 2 && b[0] == 0x1f && b[1] == 0x8b;
}

VslStatus vsl_transform_kind(VslTransformKind *out, const char *path)
{
    enum { FRONT = 4096 };
    VslStatus st = VSL_OK;
    char *front = NULL;
    int64_t count = 0;
    VslTransformKind kind = VSL_TRANSFORM_UNKNOWN;
    VslNiftiInfo info = {0};

    VSL_TRY(vsl_file_in_front(&front, &count, path, FRONT));
    const unsigned char *bytes = (const unsigned char *)front;
    if (count >= 8 && memcmp(front, "\211HDF\r\n\032\n", 8) == 0) {
        kind = VSL_TRANSFORM_VELOCITY;
    } else if (looks_like_nifti(bytes, count)) {
        if (vsl_nifti_read_info(&info, path) == VSL_OK && displacement_is_meant(&info)) {
            kind = VSL_TRANSFORM_DISPLACEMENT;
        }
    } else if (affine_looks_like_mat(bytes, count) || affine_looks_like_itk_text(front) ||
               affine_looks_like_plain(front, count)) {
        kind = VSL_TRANSFORM_AFFINE;
    }
    *out = kind;
out:
    vsl_nifti_info_free(&info);
    vsl_free(front);
    return st;
}
