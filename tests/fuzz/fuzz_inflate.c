/* Any bytes as deflate data of a gzip member. Where zlib can inflate them, its CRC and length are put behind them, so
 * that the fuzzer is not stopped by the checksum, and our stream must refuse them or give zlib's bytes. The bytes are
 * also tried as a gzip file of their own. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "io/stream.h"

enum { MOST = 1 << 18 };

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

/* Content of a gzip file in memory by our stream; -1 when it is refused. */
static int64_t by_stream(unsigned char *out, int64_t step, const unsigned char *gzip, int64_t size)
{
    VslStream *s = NULL;
    int64_t done = 0, got = step, trailing;
    VslStatus st = vsl_stream_open_memory(&s, gzip, size, "fuzz");
    while (st == VSL_OK && got == step && done + step <= MOST) {
        st = vsl_stream_read_some(s, out + done, step, &got);
        done += st == VSL_OK ? got : 0;
    }
    st = st == VSL_OK ? vsl_stream_finish(s, &trailing) : st;
    vsl_stream_close(&s);
    return st == VSL_OK ? done : -1;
}

/* Raw deflate by zlib: bytes out and *used bytes in, or -1. */
static int64_t by_zlib(unsigned char *out, const uint8_t *bytes, size_t count, size_t *used)
{
    z_stream z;
    memset(&z, 0, sizeof z);
    if (inflateInit2(&z, -15) != Z_OK) {
        return -1;
    }
    z.next_in = (unsigned char *)(uintptr_t)bytes;
    z.avail_in = (unsigned)count;
    z.next_out = out;
    z.avail_out = MOST - 1;
    const int code = inflate(&z, Z_FINISH);
    *used = count - z.avail_in;
    const int64_t size = code == Z_STREAM_END ? (int64_t)z.total_out : -1;
    inflateEnd(&z);
    return size;
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    static unsigned char ours[MOST], theirs[MOST];
    static const unsigned char header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
    size_t used = 0;

    by_stream(ours, 4096, bytes, (int64_t)count);
    const int64_t size = by_zlib(theirs, bytes, count, &used);
    if (size < 0) {
        return 0;
    }
    unsigned char *file = malloc(used + 18);
    memcpy(file, header, 10);
    memcpy(file + 10, bytes, used);
    const uint32_t trailer[2] = {(uint32_t)crc32(0, theirs, (unsigned)size), (uint32_t)size};
    memcpy(file + 10 + used, trailer, 8);
    const int64_t step = 1 + (int64_t)(count * 37 % 5000);
    const int64_t got = by_stream(ours, step, file, (int64_t)used + 18);
    const int fits = size + step <= MOST; /* by_stream stops a step before its buffer ends */
    if (fits && got >= 0 && (got != size || memcmp(ours, theirs, (size_t)size) != 0)) {
        abort();
    }
    free(file);
    return 0;
}
