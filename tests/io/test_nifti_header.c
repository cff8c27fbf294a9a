/* The gate: what each header field may be, what is warned about, what is refused. */
#define _GNU_SOURCE
#include <math.h>
#include <stdint.h>

#include "tests/check.h"
#include "tests/io/nifti_bytes.h"

static int16_t voxels[6 * 5 * 4];

/* Reads a file with this header; *info stays for the caller to look at and free. */
static VslStatus try_header(const nifti_1_header *h, VslNiftiInfo *info)
{
    Bytes file = make_file(h, voxels, sizeof voxels);
    VslVolume v = {0};
    const VslStatus st = read_bytes(&v, info, file.data, file.size);
    vsl_volume_free(&v);
    bytes_free(&file);
    return st;
}

static void refused(const nifti_1_header *h, VslStatus status, const char *says)
{
    VslNiftiInfo info = {0};
    CHECK_STATUS(try_header(h, &info), status);
    CHECK(strstr(vsl_error(), says));
    if (!strstr(vsl_error(), says)) {
        printf("  said: %s\n", vsl_error());
    }
    vsl_nifti_info_free(&info);
}

static void warned(const nifti_1_header *h, const char *says)
{
    VslNiftiInfo info = {0};
    CHECK_OK(try_header(h, &info));
    CHECK(says ? info.warning_count >= 1 && strstr(info.warnings[0], says) : info.warning_count == 0);
    if (info.warning_count && !(says && strstr(info.warnings[0], says))) {
        printf("  warned: %s\n", info.warnings[0]);
    }
    vsl_nifti_info_free(&info);
}

#define WITH(change)                   \
    nifti_1_header h = good_header(4); \
    change

#define REFUSED(change, status, says) \
    do {                              \
        WITH(change);                 \
        refused(&h, status, says);    \
    } while (0)
#define WARNED(change, says) \
    do {                     \
        WITH(change);        \
        warned(&h, says);    \
    } while (0)
#define READ(change)                     \
    do {                                 \
        WITH(change);                    \
        CHECK_OK(try_header(&h, &info)); \
    } while (0)

TEST(a_good_header_is_read_without_warnings)
{
    WITH(h.descrip[0] = 'd'; h.intent_name[0] = '\n'; memset(h.intent_name + 1, 'n', 15); h.intent_code = 1002);
    VslNiftiInfo info = {0};
    CHECK_OK(try_header(&h, &info));
    CHECK(info.warning_count == 0 && info.version == 1 && !info.is_swapped && !info.is_pair && !info.is_gzip);
    CHECK(info.ndim == 3 && info.dim[0] == 6 && info.dim[2] == 4 && info.dim[6] == 1 && info.channels == 1);
    CHECK(info.datatype == 4 && !strcmp(info.datatype_name, "int16") && info.data_bytes == (int64_t)sizeof voxels);
    CHECK(!strcmp(info.descrip, "d") && !strcmp(info.intent_name, "?nnnnnnnnnnnnnnn") && info.intent_code == 1002);
    CHECK(!strcmp(info.which_form, "sform") && isnan(info.form_difference_vox) && info.xyz_units == 2);
    CHECK(info.grid.to_ras.m[0][0] == -2 && info.grid.to_ras.m[1][3] == -20 && info.grid.to_ras.m[2][1] == -0.125);
    vsl_nifti_info_free(&info);
}

TEST(size_and_magic_must_be_those_of_nifti)
{
    REFUSED(h.sizeof_hdr = 347, VSL_E_FORMAT, "347");
    REFUSED(h.sizeof_hdr = 0, VSL_E_FORMAT, "expected 348 or 540");
    REFUSED(h.sizeof_hdr = 540, VSL_E_FORMAT, "not NIfTI");
    REFUSED(memcpy(h.magic, "n+2", 4), VSL_E_FORMAT, "magic");
    REFUSED(memcpy(h.magic, "n+1x", 4), VSL_E_FORMAT, "magic");
    REFUSED(memset(h.magic, 0, 4), VSL_E_FORMAT, "Analyze");
    REFUSED(memcpy(h.magic, "ni1", 4), VSL_E_FORMAT, ".hdr");
}

TEST(dimensions_must_be_positive_and_their_product_real)
{
    REFUSED(h.dim[0] = 0, VSL_E_FORMAT, "dim[0] is 0");
    REFUSED(h.dim[0] = 8, VSL_E_FORMAT, "dim[0] is 8");
    REFUSED(h.dim[0] = -3, VSL_E_FORMAT, "dim[0] is -3");
    REFUSED(h.dim[2] = 0, VSL_E_FORMAT, "dim[2] is 0");
    REFUSED(h.dim[3] = -1, VSL_E_FORMAT, "dim[3] is -1");
    WARNED(h.dim[0] = 4; h.dim[4] = 0, "dim[4] is 0");
    REFUSED(h.dim[0] = 4; h.dim[4] = -1, VSL_E_FORMAT, "dim[4] is -1");
    WARNED(h.dim[4] = -7; h.dim[7] = 0, NULL); /* beyond dim[0]: means nothing */
    REFUSED(h.dim[3] = 5, VSL_E_FORMAT, "truncated");
    REFUSED(h.dim[0] = 7; for (int i = 1; i < 8; i++) h.dim[i] = 32767, VSL_E_FORMAT, "overflows");
}

TEST(low_dimensions_are_filled_up_with_ones)
{
    VslNiftiInfo info = {0};
    READ(h.dim[0] = 1; h.dim[1] = 120);
    CHECK(info.ndim == 2 && info.grid.n[0] == 120 && info.grid.n[1] == 1 && info.grid.n[2] == 1);
    READ(h.dim[0] = 2; h.dim[1] = 12; h.dim[2] = 10; h.pixdim[3] = 0);
    CHECK(info.ndim == 2 && info.grid.n[0] == 12 && info.grid.n[2] == 1 && info.warning_count == 0);
    vsl_nifti_info_free(&info);
}

TEST(datatypes_are_known_supported_or_refused)
{
    REFUSED(h.datatype = 999, VSL_E_FORMAT, "datatype 999");
    REFUSED(h.datatype = 0, VSL_E_FORMAT, "datatype 0");
    REFUSED(h.datatype = 1, VSL_E_UNSUPPORTED, "1-bit");
    REFUSED(h.datatype = 1536, VSL_E_UNSUPPORTED, "float128");
    REFUSED(h.datatype = 2048, VSL_E_UNSUPPORTED, "complex256");
    WARNED(h.bitpix = 32, "bitpix is 32");
    REFUSED(h.datatype = 16, VSL_E_FORMAT, "truncated");
}

TEST(the_voxel_offset_is_a_whole_number_within_the_file)
{
    const float bad[] = {NAN, INFINITY, -INFINITY, -1, 1e30f, 352.5f, 1, 351, 348};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        WITH(h.vox_offset = bad[i]);
        refused(&h, VSL_E_FORMAT, "vox_offset");
    }
    WARNED(h.vox_offset = 0, "vox_offset is 0"); /* not filled in: only one place is possible */
    REFUSED(h.vox_offset = 1000000, VSL_E_FORMAT, "past the end");
    REFUSED(h.vox_offset = 353, VSL_E_FORMAT, "truncated");
}

TEST(bad_scaling_is_no_scaling)
{
    WARNED(h.scl_slope = NAN, "unscaled");
    WARNED(h.scl_slope = INFINITY, "unscaled");
    WARNED(h.scl_inter = NAN, "unscaled");
    WARNED(h.scl_inter = -INFINITY; h.scl_slope = 2, "unscaled");
    WARNED(h.scl_slope = 0; h.scl_inter = NAN, NULL);
    WARNED(h.scl_slope = 1e-42f, NULL);
}

TEST(voxel_sizes_are_positive_or_come_from_the_sform)
{
    const float bad[] = {NAN, INFINITY, -2, 0};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        VslNiftiInfo info = {0};
        WITH(h.pixdim[2] = bad[i]);
        warned(&h, "pixdim[2]");
        CHECK_OK(try_header(&h, &info));
        CHECK(isfinite(info.pixdim[1]) && info.pixdim[1] > 0);
        h.sform_code = 0; /* now nothing else tells the size */
        refused(&h, VSL_E_FORMAT, "pixdim");
        vsl_nifti_info_free(&info);
    }
    WARNED(h.pixdim[4] = NAN; h.dim[0] = 4, "pixdim[4]");
    WARNED(h.pixdim[5] = NAN, NULL);
}

TEST(qform_quaternion_and_offset_are_judged)
{
    REFUSED(h.sform_code = 0; h.qform_code = 1; h.quatern_b = NAN, VSL_E_FORMAT, "qform");
    REFUSED(h.sform_code = 0; h.qform_code = 1; h.qoffset_y = INFINITY, VSL_E_FORMAT, "qform");
    WARNED(h.qform_code = 1; h.qoffset_y = INFINITY, "qform is not usable");
    WARNED(h.sform_code = 0; h.qform_code = 1; h.quatern_b = 2, "length 2");
    WARNED(h.sform_code = 0; h.qform_code = 1; h.pixdim[2] = -2, "pixdim[2]");
    REFUSED(h.sform_code = 0; h.qform_code = 1; h.pixdim[2] = NAN, VSL_E_FORMAT, "pixdim");
    WARNED(h.sform_code = -1; h.qform_code = 1, NULL);
    REFUSED(h.sform_code = 0; h.qform_code = 1; h.pixdim[0] = NAN, VSL_E_FORMAT, "qform");
    WARNED(h.sform_code = 0; h.qform_code = 1; h.pixdim[0] = 0, NULL); /* right-handed */
}

TEST(a_singular_sform_gives_way_to_the_qform)
{
    REFUSED(memset(h.srow_x, 0, 16), VSL_E_FORMAT, "sform is singular");
    REFUSED(memcpy(h.srow_x, h.srow_y, 16), VSL_E_FORMAT, "sform is singular");
    REFUSED(h.srow_z[3] = NAN, VSL_E_FORMAT, "sform is singular or not finite");
    WARNED(memcpy(h.srow_x, h.srow_y, 16); h.qform_code = 1, "the qform is used");
    const float flat[3][4] = {{1, 1, 0, 0}, {0, 1e-7f, 0, 0}, {0, 0, 1, 0}}; /* almost: its inverse would be noise */
    REFUSED(memcpy(h.srow_x, flat[0], 16); memcpy(h.srow_y, flat[1], 16);
            memcpy(h.srow_z, flat[2], 16), VSL_E_FORMAT, "sform is singular");
}

TEST(sform_wins_over_qform_and_the_difference_is_told)
{
    VslNiftiInfo info = {0};
    WITH(h.qform_code = 1; h.qoffset_x = 10);
    CHECK_OK(try_header(&h, &info));
    CHECK(!strcmp(info.which_form, "sform") && info.form_difference_vox > 0.1);
    CHECK(info.warning_count == 1 && strstr(info.warnings[0], "differ"));
    h.sform_code = 0;
    CHECK_OK(try_header(&h, &info));
    CHECK(!strcmp(info.which_form, "qform") && isnan(info.form_difference_vox) && info.warning_count == 0);
    CHECK(info.grid.to_ras.m[0][3] == 10 && info.grid.to_ras.m[1][1] == 2 && info.grid.to_ras.m[2][2] == 3);
    h.pixdim[0] = -1; /* qfac: the third axis is turned */
    CHECK_OK(try_header(&h, &info));
    CHECK(info.grid.to_ras.m[2][2] == -3 && info.warning_count == 0);
    h.qform_code = 0;
    CHECK_OK(try_header(&h, &info));
    CHECK(!strcmp(info.which_form, "pixdim") && info.grid.to_ras.m[0][3] == 0 && info.grid.to_ras.m[2][2] == 3);
    vsl_nifti_info_free(&info);
}

TEST(a_quarter_turn_quaternion_is_read_right)
{
    VslNiftiInfo info = {0};
    WITH(h.sform_code = 0; h.qform_code = 1; h.quatern_d = (float)sqrt(0.5)); /* a quarter turn about z: i -> +y */
    CHECK_OK(try_header(&h, &info));
    CHECK_NEAR(info.grid.to_ras.m[1][0], 1, 1e-6, "mm, float32 quaternion");
    CHECK_NEAR(info.grid.to_ras.m[0][1], -2, 1e-6, "mm, float32 quaternion");
    vsl_nifti_info_free(&info);
}

TEST(metres_and_micrometres_become_millimetres)
{
    VslNiftiInfo info = {0};
    WITH(h.xyzt_units = 1);
    CHECK_OK(try_header(&h, &info));
    CHECK_NEAR(info.grid.to_ras.m[0][0], -2000, 1e-9, "mm");
    CHECK(info.pixdim[1] == 2000 && strstr(info.warnings[0], "metres"));
    h.xyzt_units = 3 | 16;
    CHECK_OK(try_header(&h, &info));
    CHECK_NEAR(info.grid.to_ras.m[1][3], -0.02, 1e-12, "mm");
    vsl_nifti_info_free(&info);
}

TEST(a_plane_without_a_third_column_gets_its_normal)
{
    VslNiftiInfo info = {0};
    WITH(h.dim[0] = 2; h.dim[1] = 12; h.dim[2] = 10; h.srow_x[2] = h.srow_y[2] = h.srow_z[2] = 0);
    CHECK_OK(try_header(&h, &info));
    CHECK_NEAR(vsl_affine_det(&info.grid.to_ras) != 0, 1, 0, "regular");
    h.dim[0] = 3;
    h.dim[1] = 6;
    h.dim[2] = 5;
    refused(&h, VSL_E_FORMAT, "singular");
    vsl_nifti_info_free(&info);
}

TEST(tiny_and_huge_voxels_are_not_singular)
{
    for (int e = -4; e <= 3; e += 7) {
        VslNiftiInfo info = {0};
        const float s = (float)pow(10, e);
        WITH(h.sform_code = 0; h.pixdim[1] = h.pixdim[2] = h.pixdim[3] = s);
        CHECK_OK(try_header(&h, &info));
        CHECK_NEAR(info.grid.to_ras.m[1][1], s, 0, "as stored");
        h.sform_code = 1;
        for (int c = 0; c < 4; c++) {
            h.srow_x[c] *= s;
            h.srow_y[c] *= s;
            h.srow_z[c] *= s;
        }
        CHECK_OK(try_header(&h, &info));
        vsl_nifti_info_free(&info);
    }
}

/* A file with these bytes between header and voxels. */
static VslStatus with_extension_bytes(const void *bytes, int64_t count, float vox_offset, VslNiftiInfo *info)
{
    nifti_1_header h = good_header(4);
    h.vox_offset = vox_offset;
    Bytes front = bytes_join(&h, 348, bytes, count), file = bytes_join(front.data, front.size, voxels, sizeof voxels);
    VslVolume v = {0};
    const VslStatus st = read_bytes(&v, info, file.data, file.size);
    CHECK(st != VSL_OK || v.data[7] == 7);
    vsl_volume_free(&v);
    bytes_free(&front);
    bytes_free(&file);
    return st;
}

TEST(extensions_are_kept_and_bad_ones_dropped_with_a_warning)
{
    struct {
        unsigned char flag[4];
        int32_t size1, code1;
        unsigned char text1[24];
        int32_t size2, code2;
        unsigned char text2[8];
    } e = {{1}, 32, 6, "first", 16, 4, "second"};
    VslNiftiInfo info = {0};
    _Static_assert(sizeof e == 52, "layout");
    CHECK_OK(with_extension_bytes(&e, sizeof e, 400, &info));
    CHECK(info.extensions == 2 && info.warning_count == 0);
    CHECK(info.extension->code == 6 && info.extension->size == 24 && !strcmp((char *)info.extension->bytes, "first"));
    CHECK(info.extension->next->code == 4 && info.extension->next->size == 8 && !info.extension->next->next);
    const int32_t bad[] = {-16, 0, 7, 1 << 30, INT32_MAX, INT32_MIN, 40};
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        e.size2 = bad[i];
        CHECK_OK(with_extension_bytes(&e, sizeof e, 400, &info));
        CHECK(info.extensions == 1 && info.warning_count == 1 && strstr(info.warnings[0], "extension"));
    }
    e.flag[0] = 0; /* not announced: the gap means nothing */
    CHECK_OK(with_extension_bytes(&e, sizeof e, 400, &info));
    CHECK(info.extensions == 0 && info.warning_count == 0);
    e.flag[0] = 1; /* announced, no room */
    CHECK_OK(with_extension_bytes(&e, 4, 352, &info));
    CHECK(info.extensions == 0 && info.warning_count == 1);
    vsl_nifti_info_free(&info);
}

static nifti_2_header good_header2(void)
{
    const nifti_1_header h1 = good_header(4);
    nifti_2_header h;
    memset(&h, 0, sizeof h);
    h.sizeof_hdr = 540;
    memcpy(h.magic, "n+2\0\r\n\032\n", 8);
    h.datatype = 4;
    h.bitpix = 16;
    for (int i = 0; i < 8; i++) {
        h.dim[i] = h1.dim[i];
        h.pixdim[i] = (double)h1.pixdim[i];
    }
    h.vox_offset = 544;
    h.scl_slope = 1;
    return h;
}

TEST(extensions_of_the_other_byte_order_are_read)
{
    nifti_1_header h = good_header(4);
    h.vox_offset = 384;
    nifti_swap_as_nifti1(&h);
    unsigned char front[384] = {0};
    int32_t prefix[2] = {32, 6};
    vsl_nifti_swap(prefix, 4, 2);
    memcpy(front, &h, 348);
    front[348] = 1;
    memcpy(front + 352, prefix, 8);
    memcpy(front + 360, "text", 5);
    Bytes file = bytes_join(front, sizeof front, voxels, sizeof voxels);
    VslVolume v = {0};
    VslNiftiInfo info = {0};
    CHECK_OK(read_bytes(&v, &info, file.data, file.size));
    CHECK(info.extensions == 1 && info.extension->code == 6 && !strcmp((char *)info.extension->bytes, "text"));
    vsl_volume_free(&v);
    vsl_nifti_info_free(&info);
    bytes_free(&file);
}

TEST(too_many_or_too_large_extensions_are_dropped_with_a_warning)
{
    const int64_t many = 4 + 16 * (NIFTI_EXTENSIONS_COUNT + 1), large = NIFTI_EXTENSIONS_MOST + 64;
    unsigned char *bytes = calloc(1, (size_t)large);
    const int32_t prefix[2] = {16, 6};
    VslNiftiInfo info = {0};
    bytes[0] = 1;
    for (int64_t at = 4; at < many; at += 16) {
        memcpy(bytes + at, prefix, 8);
    }
    CHECK_OK(with_extension_bytes(bytes, many, (float)(348 + many), &info));
    CHECK(info.extensions == NIFTI_EXTENSIONS_COUNT && info.warning_count == 1);
    CHECK(strstr(info.warnings[0], "more than 4096 header extensions"));
    CHECK_OK(with_extension_bytes(bytes, large - 28, (float)(348 + large - 28), &info)); /* a multiple of 16: exact */
    CHECK(info.extensions == 0 && info.warning_count == 1 && strstr(info.warnings[0], "more than 67108864"));
    free(bytes);
    vsl_nifti_info_free(&info);
}

TEST(warnings_that_do_not_fit_are_told_of)
{
    VslNiftiInfo info = {0};
    for (int i = 0; i < VSL_NIFTI_MAX_WARNINGS; i++) {
        vsl_nifti_warn(&info, "number %d", i);
    }
    CHECK(!strcmp(info.warnings[VSL_NIFTI_MAX_WARNINGS - 1], "number 15"));
    vsl_nifti_warn(&info, "one more");
    CHECK(info.warning_count == VSL_NIFTI_MAX_WARNINGS && strstr(info.warnings[15], "more warnings"));
}

/* Reads the file with every value of each of its first `bytes` bytes: refused, or a usable grid of no more voxels. */
static void survive_every_byte(Bytes *file, int bytes)
{
    const int64_t held = vsl_memory_now();
    for (int at = 0; at < bytes; at++) {
        const unsigned char before = file->data[at];
        for (int value = 0; value < 256; value++) {
            VslVolume v = {0};
            VslNiftiInfo info = {0};
            file->data[at] = (unsigned char)value;
            if (read_bytes(&v, &info, file->data, file->size) == VSL_OK) {
                double spacing[3];
                vsl_grid_spacing(spacing, &info.grid);
                const double size = spacing[0] * spacing[1] * spacing[2];
                CHECK(isfinite(size) && size > 0 && vsl_grid_voxels(&info.grid) * info.channels <= 240);
            }
            vsl_volume_free(&v);
            vsl_nifti_info_free(&info);
        }
        file->data[at] = before;
    }
    CHECK(vsl_memory_now() == held);
}

TEST(every_value_of_every_header_byte_is_survived)
{
    const nifti_1_header h = good_header(4);
    Bytes file = make_file(&h, voxels, sizeof voxels);
    survive_every_byte(&file, 352);
    bytes_free(&file);
    const nifti_2_header h2 = good_header2();
    unsigned char front[544] = {0};
    memcpy(front, &h2, 540);
    file = bytes_join(front, 544, voxels, sizeof voxels);
    survive_every_byte(&file, 544);
    bytes_free(&file);
}

static VslStatus try_header2(const nifti_2_header *h)
{
    unsigned char front[544] = {0};
    memcpy(front, h, 540);
    Bytes file = bytes_join(front, 544, voxels, sizeof voxels);
    VslVolume v = {0};
    const VslStatus st = read_bytes(&v, NULL, file.data, file.size);
    vsl_volume_free(&v);
    bytes_free(&file);
    return st;
}

TEST(nifti_2_headers_are_judged_the_same)
{
    nifti_2_header h = good_header2();
    CHECK_OK(try_header2(&h));
    const int64_t ranks[] = {200, -5, 0, INT64_MAX, INT64_MIN};
    for (int i = 0; i < 5; i++) {
        h.dim[0] = ranks[i];
        CHECK_STATUS(try_header2(&h), VSL_E_FORMAT);
    }
    h = good_header2();
    h.dim[1] = h.dim[2] = (int64_t)1 << 31;
    h.dim[3] = 4; /* 2^64 voxels: wraps to 0 */
    CHECK_STATUS(try_header2(&h), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "overflows"));
    h.dim[1] = (int64_t)1 << 32;
    CHECK_STATUS(try_header2(&h), VSL_E_FORMAT);
    h = good_header2();
    const int64_t offsets[] = {-1, 1, 540, 543, INT64_MAX, INT64_MIN, 1 << 20};
    for (int i = 0; i < 7; i++) {
        h.vox_offset = offsets[i];
        CHECK_STATUS(try_header2(&h), VSL_E_FORMAT);
    }
    h = good_header2();
    h.magic[4] = '\n'; /* line ends were converted */
    CHECK_STATUS(try_header2(&h), VSL_E_FORMAT);
}

int main(void)
{
    for (int i = 0; i < 120; i++) {
        voxels[i] = (int16_t)i;
    }
    RUN(a_good_header_is_read_without_warnings);
    RUN(size_and_magic_must_be_those_of_nifti);
    RUN(dimensions_must_be_positive_and_their_product_real);
    RUN(low_dimensions_are_filled_up_with_ones);
    RUN(datatypes_are_known_supported_or_refused);
    RUN(the_voxel_offset_is_a_whole_number_within_the_file);
    RUN(bad_scaling_is_no_scaling);
    RUN(voxel_sizes_are_positive_or_come_from_the_sform);
    RUN(qform_quaternion_and_offset_are_judged);
    RUN(a_singular_sform_gives_way_to_the_qform);
    RUN(sform_wins_over_qform_and_the_difference_is_told);
    RUN(a_quarter_turn_quaternion_is_read_right);
    RUN(metres_and_micrometres_become_millimetres);
    RUN(a_plane_without_a_third_column_gets_its_normal);
    RUN(tiny_and_huge_voxels_are_not_singular);
    RUN(extensions_are_kept_and_bad_ones_dropped_with_a_warning);
    RUN(extensions_of_the_other_byte_order_are_read);
    RUN(too_many_or_too_large_extensions_are_dropped_with_a_warning);
    RUN(warnings_that_do_not_fit_are_told_of);
    RUN(every_value_of_every_header_byte_is_survived);
    RUN(nifti_2_headers_are_judged_the_same);
    return CHECK_VERDICT();
}
