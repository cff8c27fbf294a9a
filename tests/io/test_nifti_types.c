/* Voxels of every datatype, in both byte orders, scaled or not, become the right numbers. */
#define _GNU_SOURCE
#include <float.h>
#include <math.h>
#include <stdint.h>

#include "tests/check.h"
#include "tests/io/nifti_bytes.h"

enum { VOXELS = 6 * 5 * 4, COMPONENTS_MOST = 4 };

static const int codes[] = {2, 4, 8, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1792, 2304};

/* The i-th number of a test image, within the type's range and reaching its ends; *stored = its bytes. */
static double test_number(int code, int i, unsigned char stored[8])
{
    const int step = i % 60;
#define STORE(type, low, high)                                                      \
    {                                                                               \
        const type x = (type)(step == 0 ? (low) : step == 1 ? (high) : (type)step); \
        memcpy(stored, &x, sizeof x);                                               \
        return (double)x;                                                           \
    }
    switch (code) {
    case 2:
    case 128:
    case 2304: STORE(uint8_t, 0, UINT8_MAX)
    case 4: STORE(int16_t, INT16_MIN, INT16_MAX)
    case 8: STORE(int32_t, INT32_MIN, INT32_MAX)
    case 16:
    case 32: STORE(float, -FLT_MAX, FLT_MIN)
    case 64:
    case 1792: STORE(double, -1e30, 1e-30)
    case 256: STORE(int8_t, INT8_MIN, INT8_MAX)
    case 512: STORE(uint16_t, 0, UINT16_MAX)
    case 768: STORE(uint32_t, 0, UINT32_MAX)
    case 1024: STORE(int64_t, INT64_MIN, INT64_MAX)
    case 1280: STORE(uint64_t, 0, UINT64_MAX)
    default: return NAN;
    }
}

typedef struct Sample {
    Bytes file;
    double number[VOXELS * COMPONENTS_MOST];
} Sample;

static Sample make_sample(int code, int swapped, float slope, float inter)
{
    Sample s;
    unsigned char voxels[VOXELS * COMPONENTS_MOST * 8];
    const NiftiType *type = vsl_nifti_type(code);
    nifti_1_header h = good_header(code);
    const int count = VOXELS * type->components, size = type->component_bytes;
    h.scl_slope = slope;
    h.scl_inter = inter;
    for (int i = 0; i < count; i++) {
        unsigned char stored[8];
        s.number[i] = test_number(code, i, stored);
        for (int b = 0; b < size; b++) {
            voxels[i * size + b] = stored[swapped ? size - 1 - b : b];
        }
    }
    if (swapped) {
        nifti_swap_as_nifti1(&h);
    }
    s.file = make_file(&h, voxels, count * size);
    return s;
}

static void check_sample(int code, int swapped, int gzip, float slope, float inter)
{
    Sample s = make_sample(code, swapped, slope, inter);
    const NiftiType *type = vsl_nifti_type(code);
    const int components = type->components;
    VslVolume v = {0};
    VslNiftiInfo info = {0};
    if (gzip) {
        Bytes packed = make_gzip(s.file.data, s.file.size);
        bytes_free(&s.file);
        s.file = packed;
    }
    CHECK_OK(read_bytes(&v, &info, s.file.data, s.file.size));
    CHECK(v.channels == components && info.is_swapped == swapped && info.datatype == code && info.is_gzip == gzip);
    const int scaled = slope != 0 && !type->is_colour;
    for (int i = 0; v.data && i < VOXELS * components; i++) {
        const double x = scaled ? (double)slope * s.number[i] + (double)inter : s.number[i];
        const float got = v.data[i % components * VOXELS + i / components];
        CHECK(got == (float)x);
    }
    vsl_volume_free(&v);
    vsl_nifti_info_free(&info);
    bytes_free(&s.file);
}

TEST(every_type_reads_in_both_byte_orders_plain_and_gzip)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        for (int swapped = 0; swapped < 2; swapped++) {
            check_sample(codes[i], swapped, 0, 1, 0);
            check_sample(codes[i], swapped, 1, 0, 7);
        }
    }
}

TEST(every_type_is_scaled_in_double)
{
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        check_sample(codes[i], 0, 0, 0.3f, -1000.25f);
        check_sample(codes[i], 1, 0, -2, 0);
        check_sample(codes[i], 0, 0, 1e-42f, 0); /* denormal, and still a scale */
        check_sample(codes[i], 0, 0, 1, 5);
    }
}

TEST(nan_and_infinity_are_kept_in_every_float_type)
{
    const int floats[] = {16, 32, 64, 1792};
    for (int t = 0; t < 4; t++) {
        for (int swapped = 0; swapped < 2; swapped++) {
            Sample s = make_sample(floats[t], swapped, swapped ? 1 : 0.5f, 0);
            const int size = vsl_nifti_type(floats[t])->component_bytes;
            const double odd[3] = {NAN, INFINITY, -INFINITY};
            for (int i = 0; i < 3; i++) {
                const float narrow = (float)odd[i];
                unsigned char raw[8];
                memcpy(raw, size == 4 ? (const void *)&narrow : (const void *)&odd[i], (size_t)size);
                for (int b = 0; b < size; b++) {
                    s.file.data[352 + (10 + i) * size + b] = raw[swapped ? size - 1 - b : b];
                }
            }
            VslVolume v = {0};
            CHECK_OK(read_bytes(&v, NULL, s.file.data, s.file.size));
            int nans = 0, infinities = 0;
            for (int64_t i = 0; v.data && i < VOXELS * v.channels; i++) {
                nans += isnan(v.data[i]);
                infinities += isinf(v.data[i]) != 0; /* its sign is that of the infinity */
            }
            CHECK(nans == 1 && infinities == 2);
            vsl_volume_free(&v);
            bytes_free(&s.file);
        }
    }
}

TEST(numbers_beyond_float32_are_told_of)
{
    Sample s = make_sample(64, 0, 1, 0);
    const double big = 1e300;
    memcpy(s.file.data + 352 + 80, &big, 8);
    VslVolume v = {0};
    VslNiftiInfo info = {0};
    CHECK_OK(read_bytes(&v, &info, s.file.data, s.file.size));
    CHECK(info.warning_count == 1 && strstr(info.warnings[0], "1 values exceed"));
    CHECK(v.data && isinf(v.data[10]));
    vsl_volume_free(&v);
    vsl_nifti_info_free(&info);
    bytes_free(&s.file);
}

TEST(higher_dimensions_and_colours_become_channels_in_file_order)
{
    uint8_t voxels[2 * 3 * 1 * 2 * 2 * 3];
    nifti_1_header h = good_header(128);
    const short dim[8] = {5, 2, 3, 1, 2, 2, 1, 1};
    memcpy(h.dim, dim, sizeof dim);
    for (int i = 0; i < (int)sizeof voxels; i++) {
        voxels[i] = (uint8_t)i;
    }
    Bytes file = make_file(&h, voxels, sizeof voxels);
    VslVolume v = {0};
    CHECK_OK(read_bytes(&v, NULL, file.data, file.size));
    CHECK(v.channels == 12 && v.grid.n[2] == 1);
    for (int t = 0; v.data && t < 4; t++) {
        for (int voxel = 0; voxel < 6; voxel++) {
            for (int c = 0; c < 3; c++) {
                CHECK(v.data[(t * 3 + c) * 6 + voxel] == (float)((t * 6 + voxel) * 3 + c));
            }
        }
    }
    vsl_volume_free(&v);
    bytes_free(&file);
}

static VslStatus read_labels(VslLabels *out, int datatype, const void *voxels, int64_t size, float slope, int channels)
{
    nifti_1_header h = good_header(datatype);
    h.scl_slope = slope;
    h.dim[0] = 4;
    h.dim[4] = (short)channels;
    Bytes file = make_file(&h, voxels, size);
    NiftiFile f = {0};
    VslStatus st = vsl_nifti_open_memory(&f, file.data, file.size, "labels");
    if (st == VSL_OK) {
        st = vsl_nifti_read_label_voxels(out, &f);
    }
    vsl_nifti_close(&f);
    bytes_free(&file);
    return st;
}

TEST(labels_are_exact)
{
    VslLabels l = {0};
    int32_t i32[VOXELS] = {INT32_MAX, INT32_MIN, 16777217, -16777217};
    CHECK_OK(read_labels(&l, 8, i32, sizeof i32, 1, 1));
    CHECK(l.data && !memcmp(l.data, i32, sizeof i32));
    double f64[VOXELS] = {INT32_MAX, INT32_MIN, 16777217, -0.0};
    CHECK_OK(read_labels(&l, 64, f64, sizeof f64, 1, 1));
    CHECK(l.data[0] == INT32_MAX && l.data[1] == INT32_MIN && l.data[2] == 16777217 && l.data[3] == 0);
    int64_t i64[VOXELS] = {INT32_MAX, INT32_MIN, 2147483646};
    CHECK_OK(read_labels(&l, 1024, i64, sizeof i64, 1, 1));
    CHECK(l.data[0] == INT32_MAX && l.data[1] == INT32_MIN && l.data[2] == 2147483646);
    i64[119] = 2147483648;
    CHECK_STATUS(read_labels(&l, 1024, i64, sizeof i64, 1, 1), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "voxel (5, 4, 3) is 2147483648"));
    i64[119] = INT64_MAX;
    CHECK_STATUS(read_labels(&l, 1024, i64, sizeof i64, 1, 1), VSL_E_FORMAT);
    CHECK(l.data[2] == 2147483646); /* a failed read leaves the former labels */
    vsl_labels_free(&l);
}

TEST(what_is_not_a_label_map_is_refused)
{
    VslLabels l = {0};
    float f32[VOXELS * 2] = {1, 2, 3};
    CHECK_OK(read_labels(&l, 16, f32, VOXELS * 4, 1, 1));
    CHECK_OK(read_labels(&l, 16, f32, VOXELS * 4, 3, 1));
    CHECK(l.data && l.data[2] == 9);
    CHECK_STATUS(read_labels(&l, 16, f32, VOXELS * 4, 0.5f, 1), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "voxel (0, 0, 0) is 0.5"));
    const float odd[] = {NAN, INFINITY, 0.25f, 3e9f, -3e9f};
    for (int i = 0; i < 5; i++) {
        f32[7] = odd[i];
        CHECK_STATUS(read_labels(&l, 16, f32, VOXELS * 4, 1, 1), VSL_E_FORMAT);
        CHECK(strstr(vsl_error(), "voxel (1, 1, 0)"));
    }
    CHECK_STATUS(read_labels(&l, 16, f32, sizeof f32, 1, 2), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "2 channels"));
    const uint8_t colours[VOXELS * 3] = {0};
    CHECK_STATUS(read_labels(&l, 128, colours, sizeof colours, 1, 1), VSL_E_FORMAT);
    vsl_labels_free(&l);
}

int main(void)
{
    RUN(every_type_reads_in_both_byte_orders_plain_and_gzip);
    RUN(every_type_is_scaled_in_double);
    RUN(nan_and_infinity_are_kept_in_every_float_type);
    RUN(numbers_beyond_float32_are_told_of);
    RUN(higher_dimensions_and_colours_become_channels_in_file_order);
    RUN(labels_are_exact);
    RUN(what_is_not_a_label_map_is_refused);
    return CHECK_VERDICT();
}
