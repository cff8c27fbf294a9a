/* Written images come back as they were, and their bytes depend on the image alone. */
#define _GNU_SOURCE
#include <locale.h>
#include <math.h>
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/check.h"
#include "tests/io/nifti_bytes.h"

static char folder[] = "/tmp/vsl_nifti_write_XXXXXX";

static Bytes load(const char *path)
{
    Bytes b = {0};
    FILE *f = fopen(path, "rb");
    struct stat found;
    if (f && fstat(fileno(f), &found) == 0) {
        b.data = malloc((size_t)found.st_size + 1);
        b.size = (int64_t)fread(b.data, 1, (size_t)found.st_size, f);
    }
    if (f) {
        fclose(f);
    }
    return b;
}

static int64_t test_count(const VslVolume *v)
{
    return vsl_grid_voxels(&v->grid) * v->channels;
}

/* Waves and noise; whole numbers when asked. */
static VslVolume make_image(int64_t nx, int64_t ny, int64_t nz, int channels, int whole)
{
    const int64_t n[3] = {nx, ny, nz};
    const double spacing[3] = {1, 1.5, 2};
    const VslGrid grid = vsl_grid_centred(n, spacing);
    VslVolume v = {0};
    CHECK_OK(vsl_volume_new(&v, &grid, channels));
    uint32_t x = 7;
    for (int64_t i = 0; v.data && i < test_count(&v); i++) {
        x = x * 1664525u + 1013904223u;
        const double value = 100 * sin(0.01 * (double)i) + (double)(x >> 28) + 100;
        v.data[i] = (float)(whole ? rint(value) : value);
    }
    return v;
}

static int same_image(const VslVolume *a, const VslVolume *b)
{
    return a->data && b->data && vsl_grid_same(&a->grid, &b->grid, 1e-6) && a->channels == b->channels &&
           !memcmp(a->data, b->data, (size_t)test_count(a) * sizeof(float));
}

TEST(images_of_every_datatype_come_back)
{
    VslVolume v = make_image(40, 30, 20, 1, 1), back = {0};
    for (int type = VSL_DATATYPE_FLOAT32; type <= VSL_DATATYPE_FLOAT64; type++) {
        const VslNiftiWrite how = {.datatype = (VslDatatype)type};
        const char *names[] = {"a.nii", "a.nii.gz", "A.NII.GZ"};
        for (int i = 0; i < 3; i++) {
            VslNiftiInfo info = {0};
            CHECK_OK(vsl_nifti_write(names[i], &v, &how));
            CHECK_OK(vsl_nifti_read(&back, &info, names[i]));
            CHECK(same_image(&v, &back) && info.warning_count == 0 && info.is_gzip == (i > 0));
            CHECK(info.scl_slope == 1 && info.scl_inter == 0 && info.xyz_units == 2 && info.version == 1);
            CHECK(info.sform_code == 1 && info.qform_code == 1 && info.form_difference_vox < 1e-4);
            vsl_nifti_info_free(&info);
            CHECK(unlink(names[i]) == 0);
        }
    }
    vsl_volume_free(&v);
    vsl_volume_free(&back);
}

TEST(channels_make_4_dimensions_and_vectors_5)
{
    VslVolume v = make_image(7, 6, 5, 3, 0), back = {0};
    VslNiftiInfo info = {0};
    CHECK_OK(vsl_nifti_write("a.nii", &v, NULL));
    CHECK_OK(vsl_nifti_read(&back, &info, "a.nii"));
    CHECK(info.ndim == 4 && info.dim[3] == 3 && info.intent_code == 0 && same_image(&v, &back));
    CHECK_OK(vsl_nifti_write("a.nii", &v, &(VslNiftiWrite){.is_vector = 1, .intent_name = "displacement field name"}));
    CHECK_OK(vsl_nifti_read(&back, &info, "a.nii"));
    CHECK(info.ndim == 5 && info.dim[3] == 1 && info.dim[4] == 3 && info.intent_code == 1007 && same_image(&v, &back));
    CHECK(!strcmp(info.intent_name, "displacement fi")); /* 15 bytes and a zero */
    CHECK(unlink("a.nii") == 0);
    vsl_nifti_info_free(&info);
    vsl_volume_free(&v);
    vsl_volume_free(&back);
}

TEST(the_header_of_a_gzip_file_is_fixed)
{
    VslVolume v = make_image(7, 6, 5, 1, 0);
    CHECK_OK(vsl_nifti_write("a.nii.gz", &v, NULL));
    Bytes b = load("a.nii.gz");
    CHECK(b.size > 10 && !memcmp(b.data, "\x1f\x8b\x08\0\0\0\0\0\0\xff", 10)); /* no time, no name */
    bytes_free(&b);
    CHECK_OK(vsl_nifti_write("a.nii", &v, NULL));
    b = load("a.nii");
    nifti_1_header h;
    memcpy(&h, b.data, sizeof h);
    CHECK(h.vox_offset == 352 && h.xyzt_units == 10 && h.scl_slope == 1 && h.scl_inter == 0 && h.dim[0] == 3);
    CHECK(b.size == 352 + 7 * 6 * 5 * 4 && h.descrip[0] == 0);
    bytes_free(&b);
    CHECK(unlink("a.nii") == 0 && unlink("a.nii.gz") == 0);
    vsl_volume_free(&v);
}

TEST(threads_do_not_change_a_byte)
{
    VslVolume v = make_image(130, 110, 100, 1, 0), back = {0}; /* six blocks */
    Bytes first = {0};
    const int threads[] = {1, 2, 3, 8, 1};
    for (int i = 0; i < 5; i++) {
        CHECK_OK(vsl_nifti_write("a.nii.gz", &v, &(VslNiftiWrite){.threads = threads[i]}));
        Bytes b = load("a.nii.gz");
        if (i == 0) {
            first = b;
            continue;
        }
        CHECK(b.size == first.size && !memcmp(b.data, first.data, (size_t)b.size));
        bytes_free(&b);
    }
    bytes_free(&first);
    CHECK_OK(vsl_nifti_read(&back, NULL, "a.nii.gz"));
    CHECK(same_image(&v, &back) && unlink("a.nii.gz") == 0);
    vsl_volume_free(&v);
    vsl_volume_free(&back);
}

TEST(zlib_reads_what_isal_wrote)
{
    VslVolume v = make_image(130, 110, 50, 1, 0);
    CHECK_OK(vsl_nifti_write("a.nii.gz", &v, NULL));
    CHECK_OK(vsl_nifti_write("a.nii", &v, NULL));
    Bytes plain = load("a.nii"), packed = load("a.nii.gz");
    unsigned char *out = malloc((size_t)plain.size + 1);
    z_stream z;
    memset(&z, 0, sizeof z);
    CHECK(inflateInit2(&z, 15 + 16) == Z_OK);
    z.next_in = packed.data;
    z.avail_in = (unsigned)packed.size;
    z.next_out = out;
    z.avail_out = (unsigned)plain.size + 1;
    CHECK(inflate(&z, Z_FINISH) == Z_STREAM_END && z.avail_in == 0); /* one member, checks included */
    CHECK((int64_t)z.total_out == plain.size && !memcmp(out, plain.data, (size_t)plain.size));
    inflateEnd(&z);
    free(out);
    bytes_free(&plain);
    bytes_free(&packed);
    CHECK(unlink("a.nii") == 0 && unlink("a.nii.gz") == 0);
    vsl_volume_free(&v);
}

/* The affine of one of 48 axis orders and flips, turned by an oblique rotation, sheared on request; its numbers are
 * rounded to float32, which is what NIfTI-1 can hold. */
static VslAffine test_affine(int which, int shear)
{
    static const int orders[6][3] = {{0, 1, 2}, {0, 2, 1}, {1, 0, 2}, {1, 2, 0}, {2, 0, 1}, {2, 1, 0}};
    const double a = 0.31, b = -0.17, spacing[3] = {0.9, 1.7, 2.3};
    const double turn[3][3] = {
        {cos(a), -sin(a) * cos(b), sin(a) * sin(b)}, {sin(a), cos(a) * cos(b), -cos(a) * sin(b)}, {0, sin(b), cos(b)}};
    VslAffine out = vsl_affine_identity();
    for (int c = 0; c < 3; c++) {
        const double sign = which / 6 >> c & 1 ? -1 : 1;
        for (int r = 0; r < 3; r++) {
            out.m[r][c] = sign * spacing[c] * turn[r][orders[which % 6][c]];
        }
    }
    for (int r = 0; r < 3; r++) {
        out.m[r][1] += shear ? 0.3 * out.m[r][0] : 0;
        out.m[r][3] = 17.25 * (r + 1) - 90;
        for (int c = 0; c < 4; c++) {
            out.m[r][c] = (double)(float)out.m[r][c];
        }
    }
    return out;
}

TEST(all_48_orientations_oblique_and_sheared_come_back)
{
    VslVolume v = make_image(5, 4, 3, 1, 0), back = {0};
    for (int which = 0; which < 96; which++) {
        const int shear = which >= 48;
        v.grid.to_ras = test_affine(which % 48, shear);
        VslNiftiInfo info = {0};
        CHECK_OK(vsl_nifti_write("a.nii", &v, NULL));
        CHECK_OK(vsl_nifti_read(&back, &info, "a.nii"));
        for (int r = 0; r < 3; r++) {
            for (int c = 0; c < 4; c++) {
                CHECK_NEAR(back.grid.to_ras.m[r][c], v.grid.to_ras.m[r][c], 1e-6, "mm");
            }
        }
        CHECK(!strcmp(info.which_form, "sform") && (shear || info.form_difference_vox < 1e-5));
        Bytes b = load("a.nii"); /* without the sform, the qform must tell the same, and of a shear the rotation */
        ((nifti_1_header *)(void *)b.data)->sform_code = 0;
        VslVolume by_qform = {0};
        CHECK_OK(read_bytes(&by_qform, NULL, b.data, b.size));
        char want[4], got[4];
        vsl_grid_orientation(want, &v.grid);
        vsl_grid_orientation(got, &by_qform.grid);
        CHECK(!strcmp(want, got) && (shear || vsl_grid_same(&by_qform.grid, &v.grid, 1e-4)));
        CHECK((vsl_affine_det(&by_qform.grid.to_ras) > 0) == (vsl_affine_det(&v.grid.to_ras) > 0));
        vsl_volume_free(&by_qform);
        bytes_free(&b);
        vsl_nifti_info_free(&info);
    }
    CHECK(unlink("a.nii") == 0);
    vsl_volume_free(&v);
    vsl_volume_free(&back);
}

TEST(a_long_axis_makes_nifti_2_with_a_double_affine)
{
    VslVolume v = make_image(32768, 2, 1, 1, 0), back = {0};
    v.grid.to_ras.m[0][3] = 1.0 / 3;
    VslNiftiInfo info = {0};
    const char *names[] = {"a.nii", "a.nii.gz"};
    for (int i = 0; i < 2; i++) {
        CHECK_OK(vsl_nifti_write(names[i], &v, NULL));
        CHECK_OK(vsl_nifti_read(&back, &info, names[i]));
        CHECK(info.version == 2 && info.warning_count == 0 && same_image(&v, &back));
        CHECK(back.grid.to_ras.m[0][3] == 1.0 / 3);
        CHECK(unlink(names[i]) == 0);
    }
    vsl_nifti_info_free(&info);
    vsl_volume_free(&v);
    vsl_volume_free(&back);
}

TEST(nan_and_infinity_survive_and_integers_refuse_them)
{
    VslVolume v = make_image(9, 8, 7, 1, 1), back = {0};
    v.data[3] = NAN;
    v.data[100] = INFINITY;
    v.data[503] = -INFINITY;
    CHECK_OK(vsl_nifti_write("a.nii.gz", &v, NULL));
    CHECK_OK(vsl_nifti_read(&back, NULL, "a.nii.gz"));
    CHECK(same_image(&v, &back));
    CHECK(unlink("a.nii.gz") == 0);
    CHECK_STATUS(vsl_nifti_write("a.nii", &v, &(VslNiftiWrite){.datatype = VSL_DATATYPE_INT16}), VSL_E_ARG);
    CHECK(strstr(vsl_error(), "voxel (3, 0, 0)"));
    CHECK_STATUS(vsl_nifti_write("a.nii", &v, &(VslNiftiWrite){.datatype = VSL_DATATYPE_INT16, .scale_to_fit = 1}),
                 VSL_E_ARG);
    CHECK(access("a.nii", F_OK) != 0);
    vsl_volume_free(&v);
    vsl_volume_free(&back);
}

TEST(integers_take_only_what_fits_unless_scaled)
{
    VslVolume v = make_image(4, 3, 2, 1, 1), back = {0};
    VslNiftiWrite how = {.datatype = VSL_DATATYPE_UINT8};
    v.data[0] = 255;
    CHECK_OK(vsl_nifti_write("a.nii", &v, &how));
    v.data[0] = 256;
    CHECK_STATUS(vsl_nifti_write("a.nii", &v, &how), VSL_E_ARG);
    v.data[0] = -1;
    CHECK_STATUS(vsl_nifti_write("a.nii", &v, &how), VSL_E_ARG);
    v.data[0] = 0.5f;
    CHECK_STATUS(vsl_nifti_write("a.nii", &v, &how), VSL_E_ARG);
    CHECK(strstr(vsl_error(), "0.5, which uint8 cannot hold without scaling"));
    const float ranges[][2] = {{-3, 5}, {1e-3f, 2e-3f}, {-1e9f, 1e9f}, {1000.5f, 1001}, {-1e38f, 1e38f}, {7.5f, 7.5f}};
    for (int type = VSL_DATATYPE_UINT8; type <= VSL_DATATYPE_INT32; type++) {
        for (int r = 0; r < 6; r++) {
            VslNiftiInfo info = {0};
            how = (VslNiftiWrite){.datatype = (VslDatatype)type, .scale_to_fit = 1};
            for (int i = 0; i < 24; i++) {
                v.data[i] = ranges[r][0] + (ranges[r][1] - ranges[r][0]) * ((float)i / 23);
            }
            v.data[23] = ranges[r][1];
            CHECK_OK(vsl_nifti_write("a.nii", &v, &how));
            CHECK_OK(vsl_nifti_read(&back, &info, "a.nii"));
            for (int i = 0; i < 24; i++) {
                const double rounding = 1.2e-7 * fabs((double)v.data[i]); /* float32 on the way back */
                CHECK_NEAR(back.data[i], v.data[i], 0.5 * info.scl_slope + rounding, "half a step");
            }
            vsl_nifti_info_free(&info);
        }
    }
    for (int i = 0; i < 24; i++) {
        v.data[i] = (float)i; /* fits as it is: no scaling is put on */
    }
    VslNiftiInfo info = {0};
    CHECK_OK(vsl_nifti_write("a.nii", &v, &how));
    CHECK_OK(vsl_nifti_read(&back, &info, "a.nii"));
    CHECK(info.scl_slope == 1 && info.scl_inter == 0 && same_image(&v, &back));
    CHECK(unlink("a.nii") == 0);
    vsl_nifti_info_free(&info);
    vsl_volume_free(&v);
    vsl_volume_free(&back);
}

TEST(labels_take_the_smallest_type_and_come_back)
{
    const int32_t ends[][2] = {{0, 255}, {-1, 255}, {0, 32768}, {-1, 32768}, {INT32_MIN, INT32_MAX}, {0, 65536}};
    const int codes[] = {2, 4, 512, 8, 8, 8};
    const int64_t n[3] = {3, 3, 3};
    const double spacing[3] = {1, 1, 1};
    const VslGrid grid = vsl_grid_centred(n, spacing);
    VslLabels l = {0}, back = {0};
    CHECK_OK(vsl_labels_new(&l, &grid));
    for (int i = 0; i < 6; i++) {
        VslNiftiInfo info = {0};
        l.data[4] = ends[i][0];
        l.data[5] = ends[i][1];
        CHECK_OK(vsl_nifti_write_labels("l.nii.gz", &l, NULL));
        CHECK_OK(vsl_nifti_read_labels(&back, &info, "l.nii.gz"));
        CHECK(info.datatype == codes[i] && info.intent_code == 1002 && !memcmp(back.data, l.data, 27 * 4));
        vsl_nifti_info_free(&info);
    }
    CHECK_STATUS(vsl_nifti_write_labels("l.nii", &l, &(VslNiftiWrite){.datatype = VSL_DATATYPE_UINT8}), VSL_E_ARG);
    l.data[5] = 16777217;
    CHECK_STATUS(vsl_nifti_write_labels("l.nii", &l, &(VslNiftiWrite){.datatype = VSL_DATATYPE_FLOAT32}), VSL_E_ARG);
    CHECK(unlink("l.nii.gz") == 0);
    vsl_labels_free(&l);
    vsl_labels_free(&back);
}

TEST(extensions_codes_and_time_step_pass_on)
{
    struct {
        nifti_1_header h;
        unsigned char flag[4];
        int32_t size, code;
        char text[11];
    } front = {good_header(2), {1}, 19, 44, "hello wor."};
    uint8_t voxels[6 * 5 * 4 * 2] = {0};
    VslVolume v = {0};
    VslNiftiInfo info = {0}, again = {0};
    front.h.vox_offset = 384;
    front.h.sform_code = 4;
    front.h.qform_code = 1;
    front.h.dim[0] = 4;
    front.h.dim[4] = 2;
    front.h.pixdim[4] = 2500;
    front.h.xyzt_units = 2 | 16; /* milliseconds, which become seconds */
    Bytes file = {calloc(1, 384 + sizeof voxels), 384 + sizeof voxels};
    memcpy(file.data, &front, 348 + 4 + 19);
    CHECK_OK(read_bytes(&v, &info, file.data, file.size));
    CHECK(info.extensions >= 1 && info.extension->code == 44 && info.extension->size == 11);
    info.extension->next = NULL; /* what follows an unaligned extension is not of interest here */
    CHECK_OK(vsl_nifti_write("a.nii.gz", &v, &(VslNiftiWrite){.like = &info, .descrip = "kept"}));
    CHECK_OK(vsl_nifti_read_info(&again, "a.nii.gz"));
    CHECK(again.extensions == 1 && again.extension->code == 44);
    CHECK(again.extension->size == 24 && !memcmp(again.extension->bytes, "hello wor.\0\0\0", 13)); /* padded to 16 */
    CHECK(again.sform_code == 4 && again.qform_code == 4 && again.time_step_s == 2.5 && !strcmp(again.descrip, "kept"));
    CHECK(unlink("a.nii.gz") == 0);
    vsl_nifti_info_free(&info);
    vsl_nifti_info_free(&again);
    vsl_volume_free(&v);
    bytes_free(&file);
}

TEST(what_cannot_be_written_is_refused_and_leaves_no_file)
{
    VslVolume v = make_image(4, 3, 2, 1, 0), none = {0};
    CHECK_STATUS(vsl_nifti_write("a.png", &v, NULL), VSL_E_ARG);
    CHECK(strstr(vsl_error(), ".nii.gz"));
    CHECK_STATUS(vsl_nifti_write(".nii", &v, NULL), VSL_E_ARG);
    CHECK_STATUS(vsl_nifti_write("a.nii", &none, NULL), VSL_E_ARG);
    CHECK_STATUS(vsl_nifti_write("a.nii", &v, &(VslNiftiWrite){.datatype = (VslDatatype)99}), VSL_E_ARG);
    CHECK_STATUS(vsl_nifti_write("missing/a.nii", &v, NULL), VSL_E_WRITE);
    v.grid.to_ras.m[0][3] = NAN;
    CHECK_STATUS(vsl_nifti_write("a.nii", &v, NULL), VSL_E_ARG);
    v.grid.to_ras.m[0][3] = 0;
    v.grid.to_ras.m[1][1] = 0;
    CHECK_STATUS(vsl_nifti_write("a.nii", &v, NULL), VSL_E_ARG);
    CHECK(access("a.nii", F_OK) != 0);
    vsl_volume_free(&v);
}

TEST(failing_allocations_end_in_a_status_and_leave_nothing)
{
    VslVolume v = make_image(40, 30, 20, 1, 0), back = {0};
    const int64_t held = vsl_memory_now();
    for (int n = 1; n < 40; n++) {
        vsl_memory_fail_after(n);
        const VslStatus st = vsl_nifti_write("a.nii.gz", &v, NULL);
        vsl_memory_fail_after(0);
        CHECK((st == VSL_OK || st == VSL_E_NOMEM) && vsl_memory_now() == held);
        CHECK((access("a.nii.gz", F_OK) == 0) == (st == VSL_OK));
        unlink("a.nii.gz");
    }
    CHECK_OK(vsl_nifti_write("a.nii.gz", &v, NULL));
    for (int n = 1; n < 40; n++) {
        vsl_memory_fail_after(n);
        const VslStatus st = vsl_nifti_read(&back, NULL, "a.nii.gz");
        vsl_memory_fail_after(0);
        CHECK((st == VSL_OK || st == VSL_E_NOMEM) && (back.data != NULL) == (st == VSL_OK));
        vsl_volume_free(&back);
        CHECK(vsl_memory_now() == held);
    }
    CHECK(unlink("a.nii.gz") == 0);
    vsl_volume_free(&v);
}

int main(void)
{
    if (!mkdtemp(folder) || chdir(folder) != 0) {
        return 1;
    }
    setlocale(LC_ALL, "de_DE.UTF-8"); /* comma decimals, where installed: no byte may depend on it */
    RUN(images_of_every_datatype_come_back);
    RUN(channels_make_4_dimensions_and_vectors_5);
    RUN(the_header_of_a_gzip_file_is_fixed);
    RUN(threads_do_not_change_a_byte);
    RUN(zlib_reads_what_isal_wrote);
    RUN(all_48_orientations_oblique_and_sheared_come_back);
    RUN(a_long_axis_makes_nifti_2_with_a_double_affine);
    RUN(nan_and_infinity_survive_and_integers_refuse_them);
    RUN(integers_take_only_what_fits_unless_scaled);
    RUN(labels_take_the_smallest_type_and_come_back);
    RUN(extensions_codes_and_time_step_pass_on);
    RUN(what_cannot_be_written_is_refused_and_leaves_no_file);
    RUN(failing_allocations_end_in_a_status_and_leave_nothing);
    CHECK(chdir("/") == 0 && rmdir(folder) == 0); /* also: nothing was left behind */
    return CHECK_VERDICT();
}
