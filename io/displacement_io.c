/* Displacement fields as NIfTI. On disk x and y point to the left and back (LPS), as ITK wants; in memory to the right
 * and front. ITK before 5.4 loses the components of intent 1006, so that 1007 is what is written. */
#include <math.h>
#include <string.h>

#include "io/displacement_private.h"
#include "io/path.h"
#include "io/transform_io.h"

enum {
    INTENT_NONE = 0,
    INTENT_DISPLACEMENT = 1006,
    INTENT_VECTOR = 1007,
    INTENT_FSL_FIRST = 2006, /* to 2018: fields and coefficients of FNIRT and topup */
    INTENT_FSL_LAST = 2018
};

static int is_fsl(const VslNiftiInfo *info)
{
    return info->intent_code >= INTENT_FSL_FIRST && info->intent_code <= INTENT_FSL_LAST;
}

int displacement_is_meant(const VslNiftiInfo *info)
{
    return info->intent_code == INTENT_DISPLACEMENT || info->intent_code == INTENT_VECTOR || is_fsl(info) ||
           (info->ndim == 4 && info->dim[3] == 3) || (info->ndim == 5 && info->dim[3] == 1 && info->dim[4] == 3);
}

static VslStatus check_form(const VslNiftiInfo *info, const char *path)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(!is_fsl(info) && !(info->ndim == 4 && info->dim[3] == 3), VSL_E_FORMAT,
              "%s: is %s with intent %d, the form of FSL, whose fields may be relative or absolute and depend on the "
              "header of the moving image; expected x y z 1 3 with intent 1007 (convert it first, e.g. with wb_command "
              "-convert-warpfield)",
              vsl_path_text(path).text, info->ndim == 4 && info->dim[3] == 3 ? "x y z 3" : "a field",
              info->intent_code);
    VSL_CHECK(
        info->ndim == 5 && info->dim[3] == 1 && info->dim[4] == 3 && info->channels == 3, VSL_E_FORMAT,
        "%s: has %d dimensions (%lld x %lld x %lld x %lld x %lld) of type %s, expected a displacement field of 5: "
        "x y z 1 3",
        vsl_path_text(path).text, info->ndim, (long long)info->dim[0], (long long)info->dim[1], (long long)info->dim[2],
        (long long)info->dim[3], (long long)info->dim[4], info->datatype_name);
    VSL_CHECK(info->intent_code == INTENT_NONE || info->intent_code == INTENT_DISPLACEMENT ||
                  info->intent_code == INTENT_VECTOR,
              VSL_E_FORMAT, "%s: has intent %d, expected 1007 (vectors, LPS) or 1006 (displacements, RAS)",
              vsl_path_text(path).text, info->intent_code);
out:
    return st;
}

static void negate(float *value, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        value[i] = 0 - value[i]; /* not -x: zeros stay positive */
    }
}

static VslStatus check_finite(const VslVolume *v, VslStatus code, const char *path)
{
    VslStatus st = VSL_OK;
    const int64_t *n = v->grid.n, voxels = vsl_grid_voxels(&v->grid);
    for (int64_t i = 0; i < 3 * voxels; i++) {
        VSL_CHECK(isfinite(v->data[i]), code,
                  "%s: component %lld of voxel %lld %lld %lld is %g, expected finite displacements",
                  vsl_path_text(path).text, (long long)(i / voxels), (long long)(i % n[0]),
                  (long long)(i / n[0] % n[1]), (long long)(i % voxels / (n[0] * n[1])), (double)v->data[i]);
    }
out:
    return st;
}

VslStatus vsl_displacement_read(VslVolume *out, const char *path)
{
    VslStatus st = VSL_OK;
    VslNiftiInfo info = {0};
    VslVolume v = {0};

    VSL_TRY(vsl_nifti_read_info(&info, path));
    VSL_TRY(check_form(&info, path));
    VSL_TRY(vsl_nifti_read(&v, NULL, path));
    VSL_TRY(check_finite(&v, VSL_E_FORMAT, path));
    if (info.intent_code != INTENT_DISPLACEMENT) {
        negate(v.data, 2 * vsl_grid_voxels(&v.grid));
    }
    vsl_volume_move(out, &v);
out:
    vsl_volume_free(&v);
    vsl_nifti_info_free(&info);
    return st;
}

VslStatus vsl_displacement_write(const char *path, const VslVolume *disp, int threads)
{
    VslStatus st = VSL_OK;
    VslVolume lps = {0};
    const VslNiftiWrite how = {.is_vector = 1, .intent_code = INTENT_VECTOR, .threads = threads};

    VSL_CHECK(disp->channels == 3 && disp->data, VSL_E_ARG, "%s: a displacement field needs 3 channels, got %d",
              vsl_path_text(path).text, disp->channels);
    VSL_TRY(check_finite(disp, VSL_E_ARG, path));
    VSL_TRY(vsl_volume_copy(&lps, disp));
    negate(lps.data, 2 * vsl_grid_voxels(&lps.grid));
    VSL_TRY(vsl_nifti_write(path, &lps, &how));
out:
    vsl_volume_free(&lps);
    return st;
}
