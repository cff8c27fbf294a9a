/* Displacement fields: round trips on hard grids, the bytes that ITK expects, and look-alikes that must be refused. */
#define _GNU_SOURCE
#include <string.h>

#include "core/random.h"
#include "io/nifti.h"
#include "io/transform_io.h"
#include "tests/check.h"
#include "tests/io/scratch.h"

/* Oblique, sheared, left-handed, anisotropic */
static VslVolume make(int channels, int64_t n2)
{
    const VslGrid grid = {{5, 4, n2}, {{{-0.9, 0.4, 0.2, 12.5}, {0.3, 1.4, -0.3, -77}, {0.1, 0.2, 2.9, 3.25}}}};
    VslVolume v = {0};
    CHECK_OK(vsl_volume_new(&v, &grid, channels));
    for (int64_t i = 0; i < channels * 20 * n2; i++) {
        v.data[i] = (float)(3 * vsl_random_normal(1, 2, (uint64_t)i));
    }
    return v;
}

TEST(a_field_reads_back_bit_by_bit)
{
    static const char *const names[] = {"d.nii", "d.nii.gz"};
    for (int i = 0; i < 4; i++) {
        VslVolume v = make(3, i < 2 ? 6 : 1), back = {0};
        VslTransformKind kind = VSL_TRANSFORM_UNKNOWN;
        v.data[3] = 0;
        CHECK_OK(vsl_displacement_write(scratch(names[i % 2]), &v, 1));
        CHECK_OK(vsl_displacement_read(&back, scratch(names[i % 2])));
        CHECK_OK(vsl_transform_kind(&kind, scratch(names[i % 2])));
        CHECK(kind == VSL_TRANSFORM_DISPLACEMENT);
        CHECK(back.channels == 3 && vsl_grid_same(&v.grid, &back.grid, 1e-4));
        CHECK(memcmp(v.data, back.data, (size_t)(3 * vsl_grid_voxels(&v.grid)) * sizeof(float)) == 0);
        vsl_volume_free(&v);
        vsl_volume_free(&back);
    }
}

TEST(on_disk_it_is_five_dimensional_1007_and_lps)
{
    VslVolume v = make(3, 6), raw = {0};
    VslNiftiInfo info = {0};
    CHECK_OK(vsl_displacement_write(scratch("d.nii"), &v, 1));
    CHECK_OK(vsl_nifti_read(&raw, &info, scratch("d.nii")));
    CHECK(info.ndim == 5 && info.dim[3] == 1 && info.dim[4] == 3 && info.intent_code == 1007);
    CHECK(strcmp(info.datatype_name, "float32") == 0 && info.scl_slope == 1 && info.scl_inter == 0);
    for (int i = 0; i < 120; i++) {
        CHECK(raw.data[i] == -v.data[i] && raw.data[120 + i] == -v.data[120 + i] &&
              raw.data[240 + i] == v.data[240 + i]);
    }
    vsl_volume_free(&v);
    vsl_volume_free(&raw);
    vsl_nifti_info_free(&info);
}

TEST(intent_1006_is_ras_and_intent_0_is_lps)
{
    VslVolume v = make(3, 2), back = {0};
    const VslNiftiWrite ras = {.is_vector = 1, .intent_code = 1006};
    CHECK_OK(vsl_nifti_write(scratch("r.nii"), &v, &ras));
    CHECK_OK(vsl_displacement_read(&back, scratch("r.nii")));
    CHECK(memcmp(v.data, back.data, 120 * sizeof(float)) == 0);
    unsigned char bytes[2048];
    const size_t count = scratch_get(scratch("r.nii"), bytes, sizeof bytes);
    CHECK(bytes[68] == (1006 & 255) && bytes[69] == 1006 >> 8); /* where NIfTI-1 keeps the intent */
    bytes[68] = bytes[69] = 0;
    scratch_put(scratch("z.nii"), bytes, count);
    CHECK_OK(vsl_displacement_read(&back, scratch("z.nii")));
    CHECK(back.data[0] == -v.data[0] && back.data[40] == -v.data[40] && back.data[80] == v.data[80]);
    bytes[68] = 2006 & 255;
    bytes[69] = 2006 >> 8;
    scratch_put(scratch("z.nii"), bytes, count);
    CHECK_STATUS(vsl_displacement_read(&back, scratch("z.nii")), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "FSL") != NULL);
    bytes[68] = 5;
    bytes[69] = 0;
    scratch_put(scratch("z.nii"), bytes, count);
    CHECK_STATUS(vsl_displacement_read(&back, scratch("z.nii")), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "intent 5") != NULL);
    CHECK(back.data[0] == -v.data[0]);
    vsl_volume_free(&v);
    vsl_volume_free(&back);
}

TEST(look_alikes_are_refused_by_name)
{
    VslVolume image = make(1, 6), series = make(3, 6), pair = make(2, 6), back = {0};
    const VslNiftiWrite plain = {0}, vector = {.is_vector = 1, .intent_code = 1007};
    VslTransformKind kind = VSL_TRANSFORM_UNKNOWN;

    CHECK_OK(vsl_nifti_write(scratch("fsl.nii"), &series, &plain));
    CHECK_STATUS(vsl_displacement_read(&back, scratch("fsl.nii")), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "relative or absolute") != NULL);
    CHECK_OK(vsl_transform_kind(&kind, scratch("fsl.nii")));
    CHECK(kind == VSL_TRANSFORM_DISPLACEMENT); /* so that the reader's sentence is heard */
    CHECK_OK(vsl_nifti_write(scratch("two.nii"), &pair, &vector));
    CHECK_STATUS(vsl_displacement_read(&back, scratch("two.nii")), VSL_E_FORMAT);
    CHECK_OK(vsl_nifti_write(scratch("image.nii"), &image, &plain));
    CHECK_STATUS(vsl_displacement_read(&back, scratch("image.nii")), VSL_E_FORMAT);
    CHECK_OK(vsl_transform_kind(&kind, scratch("image.nii")));
    CHECK(kind == VSL_TRANSFORM_UNKNOWN);
    CHECK_STATUS(vsl_displacement_write(scratch("no.nii"), &image, 1), VSL_E_ARG);
    series.data[50] = NAN;
    CHECK_STATUS(vsl_displacement_write(scratch("no.nii"), &series, 1), VSL_E_ARG);
    CHECK_OK(vsl_nifti_write(scratch("nan.nii"), &series, &vector));
    CHECK_STATUS(vsl_displacement_read(&back, scratch("nan.nii")), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "component 0 of voxel 0 2 2") != NULL);
    CHECK(back.data == NULL);
    vsl_volume_free(&image);
    vsl_volume_free(&series);
    vsl_volume_free(&pair);
}

int main(void)
{
    RUN(a_field_reads_back_bit_by_bit);
    RUN(on_disk_it_is_five_dimensional_1007_and_lps);
    RUN(intent_1006_is_ras_and_intent_0_is_lps);
    RUN(look_alikes_are_refused_by_name);
    return CHECK_VERDICT();
}
