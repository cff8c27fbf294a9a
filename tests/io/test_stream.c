#define _GNU_SOURCE
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "tests/io/nifti_bytes.h"
#include "tests/check.h"

enum { COUNT = 300000 };
static unsigned char content[COUNT];

/* Noise in the first half, so that deflate has literals; runs in the second. */
static void make_content(void)
{
    uint32_t x = 1;
    for (int i = 0; i < COUNT; i++) {
        x = x * 1664525u + 1013904223u;
        content[i] = i < COUNT / 2 ? (unsigned char)(x >> 24) : (unsigned char)(i >> 10);
    }
}

/* All content through reads of `step` bytes; *end = status of the reads or of finish. */
static int64_t read_all(unsigned char *out, int64_t most, const Bytes *b, int64_t step, VslStatus *end,
                        int64_t *trailing)
{
    VslStream *s = NULL;
    int64_t done = 0, got = step;
    *end = vsl_stream_open_memory(&s, b->data, b->size, "memory");
    while (*end == VSL_OK && got == step && done + step <= most) {
        *end = vsl_stream_read_some(s, out + done, step, &got);
        done += *end == VSL_OK ? got : 0;
    }
    if (*end == VSL_OK) {
        *end = vsl_stream_finish(s, trailing);
    }
    vsl_stream_close(&s);
    return done;
}

static void check_all(const Bytes *b, int64_t wanted_trailing)
{
    const int64_t steps[] = {COUNT, 1000, 65536, 7};
    static unsigned char got[COUNT + 65536];
    for (int i = 0; i < 4; i++) {
        VslStatus end;
        int64_t trailing = -1;
        CHECK(read_all(got, sizeof got, b, steps[i], &end, &trailing) == COUNT);
        CHECK_STATUS(end, VSL_OK);
        CHECK(memcmp(got, content, COUNT) == 0 && trailing == wanted_trailing);
    }
}

TEST(plain_and_gzip_content_comes_back_in_any_step)
{
    const Bytes plain = {content, COUNT};
    Bytes gzip = make_gzip(content, COUNT);
    check_all(&plain, 0);
    check_all(&gzip, 0);
    bytes_free(&gzip);
}

TEST(several_gzip_members_are_one_content)
{
    Bytes all = make_gzip(content, 1), empty = make_gzip(content, 0);
    for (int64_t at = 1; at < COUNT; at += COUNT / 9) {
        Bytes part = make_gzip(content + at, at + COUNT / 9 < COUNT ? COUNT / 9 : COUNT - at);
        Bytes more = bytes_join(all.data, all.size, part.data, part.size);
        Bytes joined = bytes_join(more.data, more.size, empty.data, empty.size);
        bytes_free(&more);
        bytes_free(&all);
        bytes_free(&part);
        all = joined;
    }
    check_all(&all, 0);
    bytes_free(&all);
    bytes_free(&empty);
}

/* The same member with a comment that makes it this long. */
static Bytes lengthened(const Bytes *member, int64_t size)
{
    Bytes out = {malloc((size_t)size), size};
    const int64_t comment = size - member->size; /* its zero byte included */
    memcpy(out.data, member->data, 10);
    out.data[3] = 16;
    memset(out.data + 10, 'c', (size_t)comment - 1);
    out.data[10 + comment - 1] = 0;
    memcpy(out.data + 10 + comment, member->data + 10, (size_t)member->size - 10);
    return out;
}

TEST(a_member_may_begin_anywhere_in_the_input_buffer)
{
    Bytes a = make_gzip(content, 1000), b = make_gzip(content + 1000, COUNT - 1000);
    for (int64_t size = (1 << 19) - 20; size < (1 << 19) + 4; size++) { /* the second filling ends there */
        Bytes first = lengthened(&a, size), all = bytes_join(first.data, first.size, b.data, b.size);
        check_all(&all, 0);
        bytes_free(&first);
        bytes_free(&all);
    }
    bytes_free(&a);
    bytes_free(&b);
}

TEST(trailing_bytes_are_counted)
{
    Bytes gzip = make_gzip(content, COUNT), more = bytes_join(gzip.data, gzip.size, "\0\0\0\0\0", 5);
    check_all(&more, 5);
    bytes_free(&more);
    more = bytes_join(gzip.data, gzip.size, "\x1f", 1); /* half a magic number is no member */
    check_all(&more, 1);
    bytes_free(&more);
    bytes_free(&gzip);
}

TEST(a_wrong_checksum_or_length_is_refused)
{
    static unsigned char got[COUNT + 1000];
    for (int back = 1; back <= 8; back++) {
        Bytes gzip = make_gzip(content, COUNT);
        VslStatus end;
        int64_t trailing;
        gzip.data[gzip.size - back] ^= 0x10;
        read_all(got, sizeof got, &gzip, 1000, &end, &trailing);
        CHECK_STATUS(end, VSL_E_FORMAT);
        bytes_free(&gzip);
    }
}

TEST(a_cut_anywhere_is_refused)
{
    static unsigned char got[COUNT + 4096];
    Bytes gzip = make_gzip(content, COUNT);
    int accepted = 0;
    for (int64_t cut = 2; cut < gzip.size; cut += cut < 600 || cut > gzip.size - 40 ? 1 : 997) {
        const Bytes part = {gzip.data, cut};
        VslStatus end;
        int64_t trailing;
        read_all(got, sizeof got, &part, 4096, &end, &trailing);
        accepted += end == VSL_OK;
    }
    CHECK(accepted == 0);
    CHECK(strstr(vsl_error(), "truncated"));
    bytes_free(&gzip);
}

TEST(more_content_than_wanted_is_refused_for_gzip_and_counted_for_plain)
{
    Bytes gzip = make_gzip(content, COUNT);
    static unsigned char got[COUNT];
    VslStream *s = NULL;
    int64_t trailing = 0;
    CHECK_OK(vsl_stream_open_memory(&s, gzip.data, gzip.size, "memory"));
    CHECK_OK(vsl_stream_read(s, got, COUNT - 1));
    CHECK_STATUS(vsl_stream_finish(s, &trailing), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "go on after"));
    vsl_stream_close(&s);
    CHECK_OK(vsl_stream_open_memory(&s, content, COUNT, "memory"));
    CHECK_OK(vsl_stream_skip(s, 100));
    CHECK_OK(vsl_stream_read(s, got, COUNT - 200));
    CHECK(got[0] == content[100] && vsl_stream_position(s) == COUNT - 100);
    CHECK_OK(vsl_stream_finish(s, &trailing));
    CHECK(trailing == 100);
    CHECK_STATUS(vsl_stream_read(s, got, 101), VSL_E_FORMAT);
    CHECK_STATUS(vsl_stream_skip(s, (int64_t)1 << 60), VSL_E_FORMAT);
    vsl_stream_close(&s);
    bytes_free(&gzip);
}

TEST(capacity_bounds_what_gzip_can_hold)
{
    static unsigned char zeros[COUNT];
    Bytes gzip = make_gzip(zeros, COUNT);
    VslStream *s = NULL;
    CHECK_OK(vsl_stream_open_memory(&s, gzip.data, gzip.size, "memory"));
    CHECK(vsl_stream_is_gzip(s) && vsl_stream_capacity(s) >= COUNT && vsl_stream_capacity(s) == gzip.size * 1032);
    vsl_stream_close(&s);
    bytes_free(&gzip);
}

TEST(what_is_not_a_file_is_refused_without_waiting)
{
    char folder[] = "/tmp/vsl_stream_XXXXXX";
    VslStream *s = NULL;
    CHECK(mkdtemp(folder) && chdir(folder) == 0 && mkfifo("fifo.nii", 0600) == 0 && mkdir("d", 0700) == 0);
    alarm(10); /* a reader that waits for the pipe's writer ends the test here */
    CHECK_STATUS(vsl_stream_open(&s, "fifo.nii"), VSL_E_IO);
    CHECK(strstr(vsl_error(), "fifo.nii: is a device, pipe or socket"));
    CHECK_STATUS(vsl_stream_open(&s, "d"), VSL_E_IO);
    CHECK_STATUS(vsl_stream_open(&s, "/dev/zero"), VSL_E_IO);
    CHECK_STATUS(vsl_stream_open(&s, "missing"), VSL_E_IO);
    CHECK(strstr(vsl_error(), "missing: cannot be opened: No such file"));
    CHECK_STATUS(vsl_stream_open(&s, ""), VSL_E_ARG);
    alarm(0);
    CHECK(!s && unlink("fifo.nii") == 0 && rmdir("d") == 0 && chdir("/") == 0 && rmdir(folder) == 0);
}

int main(void)
{
    make_content();
    RUN(plain_and_gzip_content_comes_back_in_any_step);
    RUN(several_gzip_members_are_one_content);
    RUN(a_member_may_begin_anywhere_in_the_input_buffer);
    RUN(trailing_bytes_are_counted);
    RUN(a_wrong_checksum_or_length_is_refused);
    RUN(a_cut_anywhere_is_refused);
    RUN(more_content_than_wanted_is_refused_for_gzip_and_counted_for_plain);
    RUN(capacity_bounds_what_gzip_can_hold);
    RUN(what_is_not_a_file_is_refused_without_waiting);
    return CHECK_VERDICT();
}
