/* A block's bytes, wherever in memory its compressor works. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/mman.h>
#include <zlib.h>

#include "io/deflate_private.h"
#include "tests/check.h"

enum { COUNT = 70000, ROOM = 2 * COUNT, PAGE_BITS = 16, WANTED = 6 };
static unsigned char content[COUNT], packed[ROOM], first[ROOM];

/* As a NIfTI file begins: one byte, then a run; further on bytes of all kinds. */
static void make_content(void)
{
    uint32_t x = 7;
    memset(content, 0, sizeof content);
    content[0] = 0x5c;
    content[1] = 1;
    for (int i = 400; i < COUNT; i++) {
        x = x * 1664525u + 1013904223u;
        content[i] = (unsigned char)(x >> 28);
    }
}

static int64_t inflated(unsigned char *out, int64_t most, const unsigned char *in, int64_t count)
{
    z_stream z = {.next_in = (unsigned char *)in, .avail_in = (uInt)count, .next_out = out, .avail_out = (uInt)most};
    int64_t got = -1;
    if (inflateInit2(&z, -15) == Z_OK) {
        const int code = inflate(&z, Z_SYNC_FLUSH);
        got = code == Z_OK || code == Z_BUF_ERROR ? (int64_t)z.total_out : -1;
        inflateEnd(&z);
    }
    return got;
}

/* CRC-32C without inversions: the hash of igzip's match finder. */
static uint32_t hash(uint32_t value)
{
    for (int i = 0; i < 32; i++) {
        value = value >> 1 ^ (value & 1 ? 0x82f63b78u : 0);
    }
    return value;
}

TEST(every_count_comes_back)
{
    static Deflater d;
    static unsigned char back[COUNT];
    for (int64_t count = 0; count <= COUNT; count = count < 300 ? count + 1 : count * 3 / 2) {
        const int64_t size = deflate_block(&d, content, count, packed, ROOM);
        CHECK(size > 0 && size < count + count / 8 + 64);
        CHECK(inflated(back, COUNT, packed, size) == count && memcmp(back, content, (size_t)count) == 0);
    }
}

TEST(too_little_room_is_an_error)
{
    static Deflater d;
    const int64_t size = deflate_block(&d, content, COUNT, packed, ROOM);
    for (int64_t room = 0; room <= size; room += room < 64 ? 1 : 500) {
        CHECK(deflate_block(&d, content, COUNT, packed, room) == -1);
    }
}

/* The addresses that igzip mistakes for the run of zeros in bytes 2 to 5 (one in 8192 that a system would choose), and
 * as many others. */
TEST(the_place_in_memory_does_not_matter)
{
    const int64_t size = (int64_t)sizeof(Deflater);
    char *near = mmap(NULL, sizeof(Deflater), PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int64_t first_size = 0;
    int alike = 0, others = 0;
    CHECK(near != MAP_FAILED);
    for (uint64_t page = ((uint64_t)near >> PAGE_BITS) - 64; alike < WANTED && page > 0; page--) {
        const int is_alike = (hash((uint32_t)page) & 8191) == 0;
        if (!is_alike && others == WANTED) {
            continue;
        }
        char *wanted = (char *)(uintptr_t)(page << PAGE_BITS);
        char *got = mmap(wanted, (size_t)size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
        if (got == wanted) {
            const int64_t used = deflate_block((Deflater *)(void *)got, content, COUNT, packed, ROOM);
            if (first_size == 0) {
                first_size = used;
                memcpy(first, packed, (size_t)used);
            }
            CHECK(used == first_size && memcmp(packed, first, (size_t)used) == 0);
            alike += is_alike;
            others += !is_alike;
        }
        munmap(got, (size_t)size);
    }
    munmap(near, (size_t)size);
    CHECK(alike == WANTED && others == WANTED);
}

int main(void)
{
    make_content();
    RUN(every_count_comes_back);
    RUN(too_little_room_is_an_error);
    RUN(the_place_in_memory_does_not_matter);
    return CHECK_VERDICT();
}
