/* Weight files of strangers: a corpus of files that lie, each refused with its own reason; and our own, read back. */
#define _GNU_SOURCE
#include <math.h>
#include <string.h>
#include <time.h>

#include "core/memory.h"
#include "core/random.h"
#include "io/weights_io.h"
#include "io/weights_private.h"
#include "tests/check.h"
#include "tests/io/scratch.h"

static unsigned char file[1 << 16];

/* A file of this header (with the length it has, or the one stated) and `values` bytes of 1.0f. */
static size_t make(const char *header, uint64_t stated, size_t values)
{
    static const unsigned char one[4] = {0, 0, 0x80, 0x3f};
    const size_t length = strlen(header);
    const uint64_t n = stated ? stated : length;
    for (int i = 0; i < 8; i++) {
        file[i] = (unsigned char)(n >> 8 * i);
    }
    memcpy(file + 8, header, length);
    for (size_t i = 0; i < values; i++) {
        file[8 + length + i] = one[i % 4];
    }
    return 8 + length + values;
}

typedef struct Hostile {
    const char *header;
    uint64_t stated; /* 0: the header's own length */
    size_t values;
    const char *says;
} Hostile;

#define T(dtype, shape, range) "{\"a\":{\"dtype\":" dtype ",\"shape\":" shape ",\"data_offsets\":" range "}}"
#define GOOD "\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[0,4]"

static const Hostile corpus[] = {
    {"{}", UINT64_C(1) << 63, 0, "at most 100000000"},
    {"{}", UINT64_MAX, 0, "at most 100000000"},
    {"{}", UINT64_MAX - 7, 0, "at most 100000000"},
    {"{}", 100000001, 0, "at most 100000000"},
    {"{}", 100000000, 0, "in a file of"},
    {"{}", 3, 0, "in a file of"},
    {"{}", 1, 0, "in a file of"},
    {"[]", 0, 0, "begins with the byte 5b"},
    {" {}", 0, 0, "begins with the byte 20"},
    {"{]", 0, 0, "not sound JSON"},
    {"{\"a\":", 0, 0, "not sound JSON"},
    {"{\"a\":1e999}", 0, 0, "not sound JSON"},
    {"{\"a\\u0000b\":{" GOOD "}}", 0, 4, "not sound JSON"},
    {"{\"\xff\":{" GOOD "}}", 0, 4, "not sound JSON"},
    {"{\"a\":{" GOOD "},\"a\":{" GOOD "}}", 0, 4, "duplicate"},
    {"{\"a\":{" GOOD ",\"dtype\":\"F32\"}}", 0, 4, "duplicate"},
    {"{\"a\":7}", 0, 0, "not described by an object"},
    {"{\"\":{" GOOD "}}", 0, 4, "name has 0 bytes"},
    {"{\"a\":{" GOOD ",\"strides\":[1]}}", 0, 4, "unknown key 'strides'"},
    {"{\"a\":{\"shape\":[1],\"data_offsets\":[0,4]}}", 0, 4, "no dtype"},
    {"{\"a\":{\"dtype\":\"F32\",\"data_offsets\":[0,4]}}", 0, 4, "no shape"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[1]}}", 0, 4, "no data_offsets"},
    {T("7", "[1]", "[0,4]"), 0, 4, "no dtype"},
    {T("\"F99\"", "[1]", "[0,4]"), 0, 4, "unknown dtype 'F99'"},
    {T("\"f32\"", "[1]", "[0,4]"), 0, 4, "unknown dtype 'f32'"},
    {T("\"I64\"", "[1]", "[0,8]"), 0, 8, "whole numbers"},
    {T("\"F32\"", "{}", "[0,4]"), 0, 4, "no shape"},
    {T("\"F32\"", "[1,1,1,1,1,1,1]", "[0,4]"), 0, 4, "rank 7"},
    {T("\"F32\"", "[-1]", "[0,4]"), 0, 4, "at least 1"},
    {T("\"F32\"", "[0]", "[0,0]"), 0, 0, "at least 1"},
    {T("\"F32\"", "[1.5]", "[0,4]"), 0, 4, "at least 1"},
    {T("\"F32\"", "[\"1\"]", "[0,4]"), 0, 4, "at least 1"},
    {T("\"F32\"", "[18446744073709551616]", "[0,4]"), 0, 4, "not sound JSON"},
    {T("\"F32\"", "[4294967296,4294967296]", "[0,0]"), 0, 0, "more values than can be counted"},
    {T("\"F32\"", "[3037000500,3037000500,2]", "[0,4]"), 0, 4, "more values than can be counted"},
    {T("\"F32\"", "[4611686018427387905]", "[0,4]"), 0, 4, "in 4 bytes"}, /* x 4 bytes wraps to 4 */
    {T("\"F32\"", "[2]", "[0,4]"), 0, 4, "in 4 bytes"},
    {T("\"F32\"", "[1]", "[0,8]"), 0, 8, "in 8 bytes"},
    {T("\"F16\"", "[1]", "[0,4]"), 0, 4, "in 4 bytes"},
    {T("\"F32\"", "[1]", "[4,0]"), 0, 4, "an end after its beginning"},
    {T("\"F32\"", "[1]", "[-4,0]"), 0, 4, "an end after its beginning"},
    {T("\"F32\"", "[1]", "[0]"), 0, 4, "no data_offsets"},
    {T("\"F32\"", "[1]", "[0,4,8]"), 0, 4, "no data_offsets"},
    {T("\"F32\"", "[1]", "[0,4.0]"), 0, 4, "no data_offsets"},
    {T("\"F32\"", "[1]", "[4,8]"), 0, 4, "ends at byte 8 of 4"},
    {T("\"F32\"", "[1]", "[9223372036854775803,9223372036854775807]"), 0, 4, "ends at byte"},
    {T("\"F32\"", "[1]", "[4,8]"), 0, 8, "4 bytes before 'a'"},
    {T("\"F32\"", "[1]", "[0,4]"), 0, 8, "4 bytes at its end"},
    {T("\"F32\"", "[1]", "[0,4]"), 0, 5, "1 bytes at its end"},
    {T("\"F32\"", "[1]", "[0,4]"), 0, 3, "ends at byte 4 of 3"},
    {"{}", 0, 4, "4 bytes at its end"},
    {"{\"a\":{" GOOD "},\"b\":{" GOOD "}}", 0, 4, "inside"},
    {"{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]},\"b\":{\"dtype\":\"F32\",\"shape\":[2],"
     "\"data_offsets\":[4,12]}}",
     0, 12, "inside"},
    {"{\"a\":{" GOOD "},\"b\":{\"dtype\":\"F32\",\"shape\":[1],\"data_offsets\":[8,12]}}", 0, 12, "before 'b'"},
    {"{\"__metadata__\":7,\"a\":{" GOOD "}}", 0, 4, "__metadata__ is not"},
    {"{\"__metadata__\":{\"k\":7},\"a\":{" GOOD "}}", 0, 4, "'k' of __metadata__"},
};

/* Reads the `size` bytes of `file` through a real file; the status, and in *ms how long it took. */
static VslStatus read_bytes(const void *bytes, size_t size, const char *name, double *ms)
{
    struct timespec a, b;
    VslWeights w = {0};
    scratch_put(scratch(name), bytes, size);
    clock_gettime(CLOCK_MONOTONIC, &a);
    const VslStatus st = vsl_weights_read(&w, scratch(name));
    clock_gettime(CLOCK_MONOTONIC, &b);
    *ms = 1e3 * (double)(b.tv_sec - a.tv_sec) + 1e-6 * (double)(b.tv_nsec - a.tv_nsec);
    CHECK(st != VSL_OK || w.count > 0);
    vsl_weights_free(&w);
    return st;
}

TEST(every_hostile_file_is_refused_with_its_reason)
{
    double ms, slowest = 0;
    for (size_t i = 0; i < sizeof corpus / sizeof *corpus; i++) {
        const Hostile *h = &corpus[i];
        const size_t size = make(h->header, h->stated, h->values);
        const VslStatus st = read_bytes(file, size, "hostile.safetensors", &ms);
        CHECK(st == VSL_E_FORMAT || st == VSL_E_UNSUPPORTED);
        if (st == VSL_OK || !strstr(vsl_error(), h->says)) {
            printf("  case %zu (%s): '%s' does not say '%s'\n", i, h->header, st ? vsl_error() : "", h->says);
            CHECK(0);
        }
        CHECK(strstr(vsl_error(), "hostile.safetensors"));
        CHECK_STATUS(vsl_weights_check(scratch("hostile.safetensors")), st); /* by the header, of each of them */
        CHECK(strstr(vsl_error(), h->says));
        slowest = ms > slowest ? ms : slowest;
    }
    printf("  %zu hostile files, the slowest refused in %.2f ms\n", sizeof corpus / sizeof *corpus, slowest);
    CHECK(sizeof corpus / sizeof *corpus >= 40);
    CHECK(vsl_memory_now() == 0);
}

#define BYTES(text) text, sizeof(text) - 1

TEST(code_under_another_name_is_refused_by_its_first_bytes)
{
    static const struct {
        const char *bytes;
        size_t size;
        const char *says;
    } cases[] = {
        {BYTES("PK\3\4\24\0\0\0\0\0archive/data.pkl"), "zip archive"},
        {BYTES("PK\5\6\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0"), "zip archive"},
        {BYTES("\x80\2}q\0.ABCDEFGHIJ"), "pickle"},
        {BYTES("\x80\4\x95\x0a\0\0\0\0\0\0\0\x8c\2os\x94"), "pickle"},
        {BYTES("\x80\5\x95\x0a\0\0\0\0\0\0\0\x8c\2os\x94"), "pickle"},
        {BYTES("\x80\2\x8a\nl\xfc\x9c\x46\xf9 j\xa8P\x19."), "pickle"},
        {BYTES("(dp0\nS'a'\np1\nI1\ns."), "pickle"},
        {BYTES("(lp0\ncposix\nsystem\np1\n"), "pickle"},
        {BYTES("\x93NUMPY\1\0v\0{'descr'"), "NumPy"},
        {BYTES("\x1f\x8b\x08\0\0\0\0\0\0\3"), "gzip"},
        {BYTES("GGUF\3\0\0\0\0\0\0\0"), "GGUF"},
        {BYTES("#!/bin/sh\necho\n"), "script"},
        {BYTES("\x7f\x45LF\2\1\1\0\0\0\0\0\0\0\0\0"), "program"},
    };
    static char tar[1024], big[8 << 20];
    double ms;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_STATUS(read_bytes(cases[i].bytes, cases[i].size, "model.safetensors", &ms), VSL_E_UNSUPPORTED);
        CHECK(strstr(vsl_error(), cases[i].says));
    }
    memcpy(tar + 257, "ustar", 5);
    CHECK_STATUS(read_bytes(tar, sizeof tar, "model.safetensors", &ms), VSL_E_UNSUPPORTED);
    /* Of long ones only the first bytes are read: there is no memory for more. */
    vsl_memory_set_budget(1 << 20);
    memcpy(big, cases[0].bytes, cases[0].size);
    CHECK_STATUS(read_bytes(big, sizeof big, "model.safetensors", &ms), VSL_E_UNSUPPORTED);
    memset(big, 0xff, 8);
    CHECK_STATUS(read_bytes(big, sizeof big, "model.safetensors", &ms), VSL_E_FORMAT);
    vsl_memory_set_budget(0);
    CHECK_STATUS(read_bytes("", 0, "empty.safetensors", &ms), VSL_E_FORMAT);
    VslWeights w = {0};
    CHECK_STATUS(vsl_weights_read(&w, scratch("absent")), VSL_E_IO);
    CHECK_STATUS(vsl_weights_read(&w, "/dev/zero"), VSL_E_IO);
}

TEST(values_that_are_not_finite_are_refused)
{
    static const struct {
        const char *dtype;
        size_t bytes;
        uint64_t value;
    } cases[] = {
        {"F32", 4, 0x7fc00000},
        {"F32", 4, 0x7f800000},
        {"F32", 4, 0xff800000},
        {"F16", 2, 0x7e00},
        {"F16", 2, 0x7c00},
        {"BF16", 2, 0x7fc0},
        {"BF16", 2, 0xff80},
        {"F64", 8, UINT64_C(0x7ff8000000000000)},
        {"F64", 8, UINT64_C(0x7fe0000000000000)}, /* finite, but not in 32 bits */
    };
    double ms;
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char header[128];
        snprintf(header, sizeof header, "{\"a\":{\"dtype\":\"%s\",\"shape\":[1],\"data_offsets\":[0,%zu]}}",
                 cases[i].dtype, cases[i].bytes);
        const size_t size = make(header, 0, cases[i].bytes);
        for (size_t b = 0; b < cases[i].bytes; b++) {
            file[size - cases[i].bytes + b] = (unsigned char)(cases[i].value >> 8 * b);
        }
        CHECK_STATUS(read_bytes(file, size, "nan.safetensors", &ms), VSL_E_FORMAT);
        CHECK(strstr(vsl_error(), "expected finite weights"));
    }
}

TEST(other_types_become_float32)
{
    static const char header[] =
        "{\"__metadata__\":{\"format\":\"pt\"},\"d\":{\"dtype\":\"F64\",\"shape\":[1],\"data_offsets\":[12,20]},"
        "\"h\":{\"dtype\":\"F16\",\"shape\":[2,2],\"data_offsets\":[0,8]},"
        "\"b\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[8,12]}}   ";
    static const unsigned char values[20] = {0,    0x3c, 0,    0xc0, 1,    0,    0xff, 0x7b, 0x80, 0x3f,
                                             0xc0, 0xc0, 0x9a, 0x99, 0x99, 0x99, 0x99, 0x99, 0xb9, 0x3f};
    VslWeights w = {0};
    const size_t size = make(header, 0, 20);
    memcpy(file + size - 20, values, 20);
    CHECK_OK(safetensors_parse(&w, file, (int64_t)size, "types"));
    const VslWeight *h = vsl_weights_find(&w, "h"), *b = vsl_weights_find(&w, "b"), *d = vsl_weights_find(&w, "d");
    CHECK(h && h->rank == 2 && h->data[0] == 1 && h->data[1] == -2 && h->data[2] == 0x1p-24f && h->data[3] == 65504);
    CHECK(b && b->data[0] == 1 && b->data[1] == -6);
    CHECK(d && d->data[0] == 0.1f);
    CHECK(strcmp(vsl_weights_find_note(&w, "format"), "pt") == 0);
    vsl_weights_free(&w);
}

static void fill(VslWeights *w)
{
    static const int64_t shape[] = {3, 2, 3, 3, 3, 2};
    float *data = NULL;
    for (int rank = 0; rank <= VSL_WEIGHT_RANK; rank++) {
        char name[64];
        snprintf(name, sizeof name, "down.%d.\"conv\".weight \xc3\xa9", rank);
        CHECK_OK(vsl_weights_add(w, name, rank, shape, &data));
        for (int64_t i = 0; i < w->item[rank].count; i++) {
            data[i] = (float)vsl_random_normal(1, (uint64_t)rank, (uint64_t)i);
        }
    }
    CHECK_OK(vsl_weights_put_note(w, "config", "lr: 1\nname: \"x\"\n"));
}

static void check_round_trip(const char *name, int has_notes)
{
    VslWeights w = {0}, found = {0};
    fill(&w);
    CHECK_OK(vsl_weights_write(scratch(name), &w));
    CHECK_OK(vsl_weights_read(&found, scratch(name)));
    CHECK_OK(vsl_weights_check_same(&w, &found, name));
    for (int64_t i = 0; i < w.count; i++) {
        const VslWeight *got = vsl_weights_find(&found, w.item[i].name);
        CHECK(got && memcmp(got->data, w.item[i].data, (size_t)got->count * 4) == 0);
    }
    CHECK(!has_notes || strcmp(vsl_weights_find_note(&found, "config"), "lr: 1\nname: \"x\"\n") == 0);
    vsl_weights_free(&w);
    vsl_weights_free(&found);
}

TEST(what_is_written_reads_back_to_the_bit)
{
    check_round_trip("w.safetensors", 1);
    check_round_trip("w.h5", 0);
}

/* Writes all kinds to `path` and flips, cuts or extends it: whatever comes back must be refused or whole. */
TEST(damaged_files_are_refused_or_hold_finite_weights)
{
    static unsigned char bytes[1 << 16], bad[1 << 16];
    VslWeights w = {0}, found = {0};
    fill(&w);
    CHECK_OK(vsl_weights_write(scratch("w.safetensors"), &w));
    const size_t size = scratch_get(scratch("w.safetensors"), bytes, sizeof bytes);
    for (size_t cut = 0; cut < size; cut += cut < 1000 ? 1 : 37) {
        CHECK_STATUS(safetensors_parse(&found, bytes, (int64_t)cut, "cut"), VSL_E_FORMAT);
    }
    for (uint64_t i = 0; i < 3000; i++) {
        uint32_t r[4];
        vsl_random_bits(r, 7, 0, i);
        memcpy(bad, bytes, size);
        bad[r[0] % 900] = (unsigned char)r[1];
        if (safetensors_parse(&found, bad, (int64_t)size, "bit") == VSL_OK) {
            for (int64_t k = 0; k < found.count; k++) {
                CHECK(isfinite(found.item[k].data[0]));
            }
        }
    }
    vsl_weights_free(&found);

    CHECK_OK(vsl_weights_write(scratch("w.h5"), &w));
    const size_t whole = scratch_get(scratch("w.h5"), bytes, sizeof bytes);
    for (size_t cut = 0; cut < whole; cut += 61) {
        const VslStatus st = weights_hdf5_parse(&found, bytes, (int64_t)cut, "cut");
        CHECK(st == VSL_E_FORMAT || st == VSL_E_UNSUPPORTED);
    }
    for (uint64_t i = 0; i < 500; i++) {
        uint32_t r[4];
        vsl_random_bits(r, 8, 0, i);
        memcpy(bad, bytes, whole);
        bad[r[0] % whole] ^= (unsigned char)(1u << r[1] % 8);
        CHECK(weights_hdf5_parse(&found, bad, (int64_t)whole, "bit") != VSL_OK);
    }
    vsl_weights_free(&w);
    vsl_weights_free(&found);
}

TEST(a_failed_write_leaves_nothing)
{
    VslWeights w = {0};
    float *data = NULL;
    const int before = (scratch("x"), scratch_entries());
    CHECK_OK(vsl_weights_add(&w, "a", 1, (int64_t[]){4}, &data));
    CHECK_STATUS(vsl_weights_write(scratch("w.pt"), &w), VSL_E_ARG);
    CHECK_STATUS(vsl_weights_write(scratch("none/w.h5"), &w), VSL_E_WRITE);
    data[2] = NAN;
    CHECK_STATUS(vsl_weights_write(scratch("nan.h5"), &w), VSL_E_ARG);
    CHECK(strstr(vsl_error(), "value 2 of 'a'"));
    data[2] = 0;
    for (int64_t n = 1; n < 40; n++) {
        vsl_memory_fail_after(n);
        const VslStatus st = vsl_weights_write(scratch("failed.safetensors"), &w);
        vsl_memory_fail_after(0);
        CHECK(st == VSL_OK || st == VSL_E_NOMEM || st == VSL_E_WRITE);
        if (st == VSL_OK) {
            remove(scratch("failed.safetensors"));
            break;
        }
    }
    CHECK(scratch_entries() == before);
    vsl_weights_free(&w);
    CHECK(vsl_memory_now() == 0);
}

int main(void)
{
    RUN(every_hostile_file_is_refused_with_its_reason);
    RUN(code_under_another_name_is_refused_by_its_first_bytes);
    RUN(values_that_are_not_finite_are_refused);
    RUN(other_types_become_float32);
    RUN(what_is_written_reads_back_to_the_bit);
    RUN(damaged_files_are_refused_or_hold_finite_weights);
    RUN(a_failed_write_leaves_nothing);
    return CHECK_VERDICT();
}
