/* Affine files: which of the three forms it is, and writing by suffix. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "io/affine_private.h"
#include "io/file_in.h"
#include "io/file_out.h"
#include "io/path.h"
#include "io/transform_io.h"

enum { AFFINE_MOST_BYTES = 1 << 20 };

VslStatus affine_parse(VslAffine *out, char *text, int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    if (affine_looks_like_mat((const unsigned char *)text, count)) {
        VSL_TRY(affine_parse_mat(out, (const unsigned char *)text, count, path));
        goto out;
    }
    VSL_CHECK(strncmp(text, "MATLAB 5.0 MAT-file", 19) != 0, VSL_E_UNSUPPORTED,
              "%s: is a MATLAB level-5 file, expected level 4 as ANTs and ITK write", vsl_path_text(path).text);
    VSL_CHECK((int64_t)strlen(text) == count, VSL_E_FORMAT,
              "%s: has a zero byte at %lld, expected a transform as text or as MATLAB level 4",
              vsl_path_text(path).text, (long long)strlen(text));
    if (affine_looks_like_itk_text(text)) {
        VSL_TRY(affine_parse_itk_text(out, text, path));
        goto out;
    }
    VSL_CHECK(affine_looks_like_plain(text, count), VSL_E_FORMAT,
              "%s: is not an affine transform; expected ITK text (.txt, .tfm), ANTs .mat, or a 4x4 matrix of numbers",
              vsl_path_text(path).text);
    VSL_TRY(affine_parse_plain(out, text, path));
out:
    return st;
}

VslStatus vsl_affine_read(VslAffine *out, const char *path)
{
    VslStatus st = VSL_OK;
    char *text = NULL;
    int64_t count = 0;

    VSL_TRY(vsl_file_in_whole(&text, &count, path, AFFINE_MOST_BYTES));
    VSL_TRY(affine_parse(out, text, count, path));
out:
    vsl_free(text);
    return st;
}

VslStatus vsl_affine_write(const char *path, const VslAffine *a, const double centre_ras[3])
{
    VslStatus st = VSL_OK;
    char bytes[AFFINE_FILE_ROOM];
    VslAffine unused;

    for (int i = 0; i < 12; i++) {
        VSL_CHECK(isfinite(a->m[i / 4][i % 4]), VSL_E_ARG, "%s: the affine to write holds %g, expected finite numbers",
                  vsl_path_text(path).text, a->m[i / 4][i % 4]);
    }
    VSL_TRY(vsl_affine_invert(&unused, a)); /* no reader would take it */
    const ItkTransform t = itk_from_ras(a, centre_ras);
    int count;
    if (vsl_path_has_suffix(path, ".mat")) {
        count = affine_format_mat((unsigned char *)bytes, &t);
    } else if (vsl_path_has_suffix(path, ".txt") || vsl_path_has_suffix(path, ".tfm")) {
        count = affine_format_itk_text(bytes, &t);
    } else {
        count = affine_format_plain(bytes, a);
    }
    VSL_TRY(vsl_file_write_whole(path, bytes, (size_t)count));
out:
    return st;
}
