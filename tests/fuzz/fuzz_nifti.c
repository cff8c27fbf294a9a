/* Any bytes as a single NIfTI file: header gate, extensions, decoder. What is accepted must be usable. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "io/nifti_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void must(int truth)
{
    if (!truth) {
        abort();
    }
}

static void check_info(const VslNiftiInfo *info)
{
    double spacing[3];
    VslAffine inverse;
    vsl_grid_spacing(spacing, &info->grid);
    must(vsl_affine_invert(&inverse, &info->grid.to_ras) == VSL_OK);
    for (int c = 0; c < 3; c++) {
        must(isfinite(spacing[c]) && spacing[c] > 0 && isfinite(info->pixdim[c]) && info->pixdim[c] > 0);
        must(isfinite(info->grid.to_ras.m[c][3]) && info->grid.n[c] >= 1);
    }
    must(isfinite(info->scl_slope) && isfinite(info->scl_inter) && info->scl_slope != 0);
    must(info->warning_count <= VSL_NIFTI_MAX_WARNINGS && info->channels >= 1 && info->ndim >= 2 && info->ndim <= 7);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    const int64_t held = vsl_memory_now();
    NiftiFile f = {0};
    VslVolume v = {0};
    VslLabels l = {0};

    vsl_memory_set_budget(held + (64 << 20));
    if (vsl_nifti_open_memory(&f, bytes, (int64_t)count, "fuzz") == VSL_OK) {
        check_info(&f.info);
        if (vsl_nifti_read_voxels(&v, &f) == VSL_OK) {
            must(v.data && vsl_grid_voxels(&v.grid) * v.channels <= (16 << 20));
        }
        vsl_nifti_close(&f);
    }
    if (vsl_nifti_open_memory(&f, bytes, (int64_t)count, "fuzz") == VSL_OK) {
        const VslStatus st = vsl_nifti_read_label_voxels(&l, &f);
        must(st != VSL_OK || l.data);
        vsl_nifti_close(&f);
    }
    vsl_volume_free(&v);
    vsl_labels_free(&l);
    must(vsl_memory_now() == held);
    return 0;
}
