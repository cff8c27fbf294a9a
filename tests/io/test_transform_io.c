/* Affine files: against files of ITK and ANTs, round trips, and files that must be refused. */
#define _GNU_SOURCE
#include <locale.h>
#include <stdint.h>
#include <string.h>

#include "core/random.h"
#include "io/transform_io.h"
#include "tests/check.h"
#include "tests/io/scratch.h"

static VslAffine random_affine(uint64_t index)
{
    VslAffine a = vsl_affine_identity();
    for (int i = 0; i < 12; i++) {
        a.m[i / 4][i % 4] += (i % 4 == 3 ? 40 : 0.3) * vsl_random_normal(7, index, (uint64_t)i);
    }
    return a;
}

static double difference(const VslAffine *a, const VslAffine *b)
{
    double worst = 0;
    for (int i = 0; i < 12; i++) {
        worst = fmax(worst, fabs(a->m[i / 4][i % 4] - b->m[i / 4][i % 4]));
    }
    return worst;
}

/* Writes bytes under a name and reads them as an affine. */
static VslStatus read_bytes(VslAffine *out, const void *bytes, size_t count)
{
    const char *path = scratch("bytes");
    scratch_put(path, bytes, count);
    return vsl_affine_read(out, path);
}

static VslStatus read_text(VslAffine *out, const char *text)
{
    return read_bytes(out, text, strlen(text));
}

static size_t from_hex(unsigned char *out, const char *hex)
{
    size_t n = 0;
    for (unsigned byte; sscanf(hex, "%2x", &byte) == 1; hex += 2) {
        out[n++] = (unsigned char)byte;
    }
    return n;
}

/* tests/golden/itk_transforms.py: bytes of ITK and ANTs, and where they send two points, in LPS */
TEST(files_of_itk_and_ants_move_points_as_itk_does)
{
    char path[1024];
    const char *source = getenv("VSL_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/itk_transforms.tsv", source ? source : ".");
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    char line[8192], name[64], kind[8], hex[4096];
    int rows = 0;
    while (f && fgets(line, sizeof line, f)) {
        unsigned char bytes[2048];
        double p[12];
        if (line[0] == '#') {
            continue;
        }
        int at = 0;
        CHECK(sscanf(line, "%63s %7s %4095s%n", name, kind, hex, &at) == 3);
        for (int i = 0, more = 0; i < 12; i++, at += more) {
            CHECK(sscanf(line + at, "%lf%n", &p[i], &more) == 1);
        }
        VslAffine a = {0};
        CHECK_OK(read_bytes(&a, bytes, from_hex(bytes, hex)));
        /* antspyx moves points in single precision whatever the file's */
        const double tolerance = strncmp(name, "ants-", 5) == 0 ? 1e-5 : 1e-9;
        for (int i = 0; i < 12; i += 6) {
            const double from[3] = {-p[i], -p[i + 1], p[i + 2]};
            double to[3];
            vsl_affine_point(to, &a, from);
            CHECK_NEAR(-to[0], p[i + 3], tolerance, name);
            CHECK_NEAR(-to[1], p[i + 4], tolerance, name);
            CHECK_NEAR(to[2], p[i + 5], tolerance, name);
        }
        VslTransformKind found = VSL_TRANSFORM_UNKNOWN;
        CHECK_OK(vsl_transform_kind(&found, scratch("bytes")));
        CHECK(found == VSL_TRANSFORM_AFFINE);
        rows++;
    }
    CHECK(rows == 15);
    if (f) {
        fclose(f);
    }
}

TEST(a_written_affine_reads_back_in_every_form)
{
    static const char *const names[] = {"a.mat", "a.txt", "a.tfm", "a.mtx", "A.MAT", "no-suffix"};
    for (uint64_t i = 0; i < 20; i++) {
        const VslAffine a = random_affine(i);
        const double centre[3] = {10.5 * (double)i, -20, 33};
        for (size_t n = 0; n < sizeof names / sizeof *names; n++) {
            VslAffine b = {0};
            CHECK_OK(vsl_affine_write(scratch(names[n]), &a, i % 2 ? centre : NULL));
            CHECK_OK(vsl_affine_read(&b, scratch(names[n])));
            CHECK_NEAR(difference(&a, &b), 0, 1e-11, "rounding of the centre");
        }
        VslAffine b = {0};
        CHECK_OK(vsl_affine_write(scratch("plain"), &a, centre));
        CHECK_OK(vsl_affine_read(&b, scratch("plain")));
        CHECK(difference(&a, &b) == 0);
    }
}

TEST(a_mat_file_has_the_bytes_that_ants_writes)
{
    static const char *const expected =
        "000000000c00000001000000000000001b000000416666696e655472616e73666f726d5f646f7562"
        "6c655f335f3300";
    unsigned char want[64], got[512];
    const VslAffine a = vsl_affine_identity();
    const double centre[3] = {1, 2, 3};
    CHECK_OK(vsl_affine_write(scratch("a.mat"), &a, centre));
    CHECK(scratch_get(scratch("a.mat"), got, sizeof got) == 193);
    CHECK(memcmp(got, want, from_hex(want, expected)) == 0);
    const double stored_centre[3] = {-1, -2, 3};
    CHECK(memcmp(got + 193 - 24, stored_centre, 24) == 0); /* this machine is little-endian, as all of ours */
}

/* One MATLAB level-4 vector in a chosen byte order and precision */
static size_t put_vector(unsigned char *out, const char *name, const double *value, int count, int is_big,
                         int is_single)
{
    const uint32_t head[5] = {(is_big ? 1000u : 0u) + (is_single ? 10u : 0u), (uint32_t)count, 1, 0,
                              (uint32_t)strlen(name) + 1};
    size_t at = 0;
    for (int i = 0; i < 5; i++) {
        for (int b = 0; b < 4; b++) {
            out[at++] = (unsigned char)(head[i] >> 8 * (is_big ? 3 - b : b));
        }
    }
    memcpy(out + at, name, strlen(name) + 1);
    at += strlen(name) + 1;
    for (int i = 0; i < count; i++) {
        const float single = (float)value[i];
        uint64_t bits = 0;
        uint32_t low;
        memcpy(&bits, &value[i], 8);
        memcpy(&low, &single, 4);
        bits = is_single ? low : bits;
        for (int size = is_single ? 4 : 8, b = 0; b < size; b++) {
            out[at++] = (unsigned char)(bits >> 8 * (is_big ? size - 1 - b : b));
        }
    }
    return at;
}

TEST(mat_files_of_both_byte_orders_and_precisions_are_one)
{
    const double p[12] = {1.5, 0.25, 0, -0.125, 0.75, 0, 0, 0.5, 1, 3, -4, 5}, c[3] = {8, -16, 32};
    VslAffine first = {0};
    for (int i = 0; i < 4; i++) {
        unsigned char bytes[512];
        size_t n = put_vector(bytes, i < 2 ? "AffineTransform_double_3_3" : "MatrixOffsetTransformBase_float_3_3", p,
                              12, i % 2, i / 2);
        n += put_vector(bytes + n, "fixed", c, 3, i % 2, i / 2);
        VslAffine a = {0};
        CHECK_OK(read_bytes(&a, bytes, n));
        first = i == 0 ? a : first;
        CHECK(difference(&a, &first) == 0);
    }
    /* LPS y = M (x - c) + c + t at x = c is c + t */
    double y[3];
    const double x[3] = {-8, 16, 32};
    vsl_affine_point(y, &first, x);
    CHECK_NEAR(y[0], -11, 1e-12, "exact in binary");
    CHECK_NEAR(y[1], 20, 1e-12, "exact in binary");
    CHECK_NEAR(y[2], 37, 1e-12, "exact in binary");
}

TEST(a_file_cut_at_any_byte_is_refused)
{
    static const char *const names[] = {"c.mat", "c.txt", "c.xfm"};
    const VslAffine a = random_affine(5);
    for (int n = 0; n < 3; n++) {
        char bytes[2048];
        CHECK_OK(vsl_affine_write(scratch(names[n]), &a, NULL));
        const size_t count = scratch_get(scratch(names[n]), bytes, sizeof bytes);
        /* text without its last line end is whole; a last number cut to fewer digits cannot be told from a number */
        const size_t sure = n == 0   ? count
                            : n == 1 ? strlen(bytes) - strlen(strstr(bytes, "FixedParameters"))
                                     : count - 2;
        for (size_t cut = 0; cut < sure; cut++) {
            VslAffine b = a;
            CHECK(read_bytes(&b, bytes, cut) != VSL_OK);
            CHECK(difference(&a, &b) == 0);
        }
    }
}

TEST(changed_bytes_never_crash_and_never_give_an_unusable_map)
{
    char bytes[2048];
    const VslAffine a = random_affine(6);
    for (int form = 0; form < 3; form++) {
        const char *path = scratch(form == 0 ? "f.mat" : form == 1 ? "f.txt" : "f.xfm");
        CHECK_OK(vsl_affine_write(path, &a, NULL));
        const size_t count = scratch_get(path, bytes, sizeof bytes);
        for (uint64_t i = 0; i < 1500; i++) {
            char changed[2048];
            memcpy(changed, bytes, count);
            for (uint64_t k = 0; k <= i % 3; k++) {
                uint32_t r[4];
                vsl_random_bits(r, 11, i, k);
                changed[r[0] % count] = (char)r[1];
            }
            VslAffine b = {0}, inverse;
            if (read_bytes(&b, changed, count) == VSL_OK) {
                CHECK_OK(vsl_affine_invert(&inverse, &b));
            }
        }
    }
}

#define ITK "#Insight Transform File V1.0\n#Transform 0\n"
#define EYE "Parameters: 1 0 0 0 1 0 0 0 1 0 0 0\nFixedParameters: 0 0 0\n"
#define AFFINE "Transform: AffineTransform_double_3_3\n" EYE

TEST(unsound_texts_are_refused_by_name)
{
    static const struct {
        const char *text;
        VslStatus want;
        const char *says;
    } cases[] = {
        {"", VSL_E_FORMAT, "not an affine"},
        {"hello", VSL_E_FORMAT, "not an affine"},
        {"MATLAB 5.0 MAT-file, Platform", VSL_E_UNSUPPORTED, "level-5"},
        {"1 2 3", VSL_E_FORMAT, "3 numbers"},
        {"1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 1\n5\n", VSL_E_FORMAT, "more than"},
        {"1 0 0 0\n0 1 0 0\n0 0 1 0\n0 0 0 2\n", VSL_E_FORMAT, "last row"},
        {"1 0 0 0\n0 1 0 0\n0 0 0 0\n0 0 0 1\n", VSL_E_FORMAT, "singular"},
        {"1 0 0 nan\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", VSL_E_FORMAT, "finite"},
        {"1 0 0 1,5\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", VSL_E_FORMAT, "numbers"},
        {"1 0 0 0x\n0 1 0 0\n0 0 1 0\n0 0 0 1\n", VSL_E_FORMAT, "not a number"},
        {ITK, VSL_E_FORMAT, "no transform"},
        {ITK "Parameters: 1\n", VSL_E_FORMAT, "before any"},
        {ITK "Transform: AffineTransform_double_3_3\nFixedParameters: 0 0 0\n", VSL_E_FORMAT, "no line 'Parameters:'"},
        {ITK "Transform: AffineTransform_double_3_3\nParameters: 1 0 0\n", VSL_E_FORMAT, "3 parameters"},
        {ITK "Transform: AffineTransform_double_3_3\nParameters: 1 0 0 0 1 0 0 0 1 0 0 0\n", VSL_E_FORMAT,
         "0 fixed parameters"},
        {ITK AFFINE "Parameters: 1\n", VSL_E_FORMAT, "twice"},
        {ITK AFFINE "Nonsense: 1\n", VSL_E_FORMAT, "Nonsense"},
        {ITK AFFINE "Nonsense\n", VSL_E_FORMAT, "colon"},
        {ITK AFFINE AFFINE, VSL_E_UNSUPPORTED, "several transforms"},
        {ITK "Transform: CompositeTransform_double_3_3\n", VSL_E_FORMAT, "no transform"},
        {ITK "Transform: CompositeTransform_double_3_3\nTransform: CompositeTransform_double_3_3\n" AFFINE,
         VSL_E_UNSUPPORTED, "inside another"},
        {ITK "Transform: AffineTransform_double_2_2\nParameters: 1 0 0 1 0 0\nFixedParameters: 0 0\n",
         VSL_E_UNSUPPORTED, "3D"},
        {ITK "Transform: BSplineTransform_double_3_3\nParameters: 1\nFixedParameters: 0\n", VSL_E_UNSUPPORTED,
         "BSplineTransform"},
        {ITK "Transform: ScaleVersor3DTransform_double_3_3\nParameters: 0 0 0 0 0 0 1 1 1\nFixedParameters: 0 0 0\n",
         VSL_E_UNSUPPORTED, "ScaleVersor3DTransform"},
        {ITK "Transform: VersorRigid3DTransform_double_3_3\nParameters: 1 1 0 0 0 0\nFixedParameters: 0 0 0\n",
         VSL_E_FORMAT, "versor of length"},
        {ITK "Transform: Similarity3DTransform_double_3_3\nParameters: 0 0 0 0 0 0 0\nFixedParameters: 0 0 0\n",
         VSL_E_FORMAT, "singular"},
        {ITK "Transform: TranslationTransform_double_3_3\nParameters: 1 inf 0\nFixedParameters: \n", VSL_E_FORMAT,
         "finite"},
        {ITK "Transform: AffineTransform_double_3_3\nParameters: 1e308 0 0 0 1e308 0 0 0 1 0 0 0\n"
             "FixedParameters: 1e308 0 0\n",
         VSL_E_FORMAT, "infinity"},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        const VslAffine before = random_affine(1);
        VslAffine a = before;
        CHECK_STATUS(read_text(&a, cases[i].text), cases[i].want);
        CHECK(difference(&a, &before) == 0);
        if (!strstr(vsl_error(), cases[i].says)) {
            printf("  case %zu says '%s', expected '%s'\n", i, vsl_error(), cases[i].says);
            CHECK(0);
        }
    }
    VslAffine a;
    CHECK_STATUS(vsl_affine_read(&a, scratch("absent")), VSL_E_IO);
    CHECK_STATUS(vsl_affine_read(&a, "/dev/zero"), VSL_E_IO);
    CHECK_STATUS(vsl_affine_read(&a, scratch_folder), VSL_E_IO);
    CHECK_STATUS(read_bytes(&a, "1 0 0 0\0", 8), VSL_E_FORMAT);
}

TEST(tolerated_texts_are_read)
{
    const VslAffine eye = vsl_affine_identity();
    static const char *const texts[] = {
        ITK AFFINE,
        "#Insight Transform File V1.0\r\n\r\nTransform: AffineTransform_float_3_3\r\nParameters: 1 0 0 0 1 0 0 0 1 0 0 "
        "0 \r\nFixedParameters: 5 6 7\r\n",
        ITK "Transform: CompositeTransform_double_3_3\n" AFFINE AFFINE,
        "# a remark\n1 0 0 0\n0 1 0 0\n\n0 0 1 0\n0 0 0 1",
        "1,0,0,0\n0,1,0,0\n0,0,1,0\n0,0,0,1\n",
        "1\t0\t0\t0 0 1 0 0 0 0 1 0 0 0 0 1",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        VslAffine a = {0};
        CHECK_OK(read_text(&a, texts[i]));
        CHECK(difference(&a, &eye) == 0);
    }
}

/* An installed German locale, or one made in the scratch folder */
static int set_comma_locale(void)
{
    char command[256];
    if (setlocale(LC_ALL, "de_DE.UTF-8") || setlocale(LC_ALL, "de_DE")) {
        return 1;
    }
    snprintf(command, sizeof command, "localedef -i de_DE -f UTF-8 %s/de_DE.UTF-8 >/dev/null 2>&1", scratch_folder);
    return system(command) == 0 && setenv("LOCPATH", scratch_folder, 1) == 0 && setlocale(LC_ALL, "de_DE.UTF-8");
}

TEST(a_comma_locale_changes_no_byte_and_no_number)
{
    static const char *const names[] = {"l.mat", "l.txt", "l.xfm"};
    const VslAffine a = random_affine(8);
    char before[3][2048], after[2048];
    size_t count[3];
    for (int n = 0; n < 3; n++) {
        CHECK_OK(vsl_affine_write(scratch(names[n]), &a, NULL));
        count[n] = scratch_get(scratch(names[n]), before[n], sizeof before[n]);
    }
    if (!set_comma_locale()) {
        printf("  no comma-decimal locale can be had here; only the C locale was tried\n");
    }
    for (int n = 0; n < 3; n++) {
        VslAffine b = {0};
        CHECK_OK(vsl_affine_read(&b, scratch(names[n])));
        CHECK_NEAR(difference(&a, &b), 0, 1e-11, "rounding");
        CHECK_OK(vsl_affine_write(scratch(names[n]), &a, NULL));
        CHECK(scratch_get(scratch(names[n]), after, sizeof after) == count[n]);
        CHECK(memcmp(before[n], after, count[n]) == 0);
    }
    setlocale(LC_ALL, "C");
}

TEST(an_affine_that_no_reader_takes_is_not_written)
{
    VslAffine a = vsl_affine_identity();
    a.m[1][3] = NAN;
    scratch("x");
    const int before = scratch_entries();
    CHECK_STATUS(vsl_affine_write(scratch("bad.mat"), &a, NULL), VSL_E_ARG);
    a = (VslAffine){0};
    CHECK_STATUS(vsl_affine_write(scratch("bad.txt"), &a, NULL), VSL_E_NUMERIC);
    a = vsl_affine_identity();
    CHECK_STATUS(vsl_affine_write(scratch("no/folder/a.mat"), &a, NULL), VSL_E_WRITE);
    CHECK(scratch_entries() == before);
}

TEST(what_is_no_transform_is_unknown_and_not_an_error)
{
    VslTransformKind kind = VSL_TRANSFORM_AFFINE;
    scratch_put(scratch("words"), "dear reader", 11);
    CHECK_OK(vsl_transform_kind(&kind, scratch("words")));
    CHECK(kind == VSL_TRANSFORM_UNKNOWN);
    scratch_put(scratch("empty"), "", 0);
    CHECK_OK(vsl_transform_kind(&kind, scratch("empty")));
    CHECK(kind == VSL_TRANSFORM_UNKNOWN);
    scratch_put(scratch("hdf"), "\211HDF\r\n\032\n....", 12);
    CHECK_OK(vsl_transform_kind(&kind, scratch("hdf")));
    CHECK(kind == VSL_TRANSFORM_VELOCITY);
    CHECK_STATUS(vsl_transform_kind(&kind, scratch("absent")), VSL_E_IO);
}

int main(void)
{
    RUN(files_of_itk_and_ants_move_points_as_itk_does);
    RUN(a_written_affine_reads_back_in_every_form);
    RUN(a_mat_file_has_the_bytes_that_ants_writes);
    RUN(mat_files_of_both_byte_orders_and_precisions_are_one);
    RUN(a_file_cut_at_any_byte_is_refused);
    RUN(changed_bytes_never_crash_and_never_give_an_unusable_map);
    RUN(unsound_texts_are_refused_by_name);
    RUN(tolerated_texts_are_read);
    RUN(a_comma_locale_changes_no_byte_and_no_number);
    RUN(an_affine_that_no_reader_takes_is_not_written);
    RUN(what_is_no_transform_is_unknown_and_not_an_error);
    return CHECK_VERDICT();
}
