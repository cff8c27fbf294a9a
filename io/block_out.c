#include "io/block_out.h"

#include <isa-l/crc.h>

#include "core/memory.h"
#include "core/parallel.h"
#include "io/deflate_private.h"

enum {
    PACKED_BYTES = VSL_BLOCK_BYTES + VSL_BLOCK_BYTES / 4 + 4096, /* incompressible data grow by far less */
    BLOCKS_PER_THREAD = 2,
    BATCH_MOST = 16 /* 37 MB: a write at the end of a large job must not need much */
};

typedef struct Block {
    unsigned char raw[VSL_BLOCK_BYTES];
    unsigned char packed[PACKED_BYTES];
    int64_t raw_size, packed_size; /* packed_size -1: the compressor failed */
} Block;

typedef struct Batch {
    Block *block;
    Deflater *deflater; /* one per thread; NULL: plain */
    int64_t first, total;
    VslFillFn *fill;
    void *ctx;
} Batch;

static void make_block(void *ctx, int64_t item, int worker)
{
    const Batch *batch = ctx;
    Block *b = &batch->block[item];
    const int64_t at = (batch->first + item) * VSL_BLOCK_BYTES, left = batch->total - at;

    b->raw_size = left < VSL_BLOCK_BYTES ? left : VSL_BLOCK_BYTES;
    batch->fill(batch->ctx, b->raw, at, b->raw_size);
    if (batch->deflater) {
        b->packed_size = deflate_block(&batch->deflater[worker], b->raw, b->raw_size, b->packed, PACKED_BYTES);
    }
}

static VslStatus write_batch(VslFileOut *f, const Batch *batch, int64_t count, uint32_t *crc)
{
    VslStatus st = VSL_OK;

    for (int64_t i = 0; i < count; i++) {
        const Block *b = &batch->block[i];
        if (!batch->deflater) {
            VSL_TRY(vsl_file_out_write(f, b->raw, (size_t)b->raw_size));
            continue;
        }
        VSL_CHECK(b->packed_size >= 0, VSL_E_EXTERNAL, "the compressor failed on a block of %lld bytes",
                  (long long)b->raw_size);
        VSL_TRY(vsl_file_out_write(f, b->packed, (size_t)b->packed_size));
        *crc = crc32_gzip_refl(*crc, b->raw, (uint64_t)b->raw_size);
    }
out:
    return st;
}

static void put_little_endian(unsigned char *out, uint32_t value)
{
    for (int i = 0; i < 4; i++) {
        out[i] = (unsigned char)(value >> (8 * i));
    }
}

VslStatus vsl_block_out(VslFileOut *f, int64_t total, int gzip, int threads, VslFillFn *fill, void *ctx)
{
    VslStatus st = VSL_OK;
    /* deflate, no flags, no time, no hints, unknown system */
    static const unsigned char header[10] = {0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 0xff};
    unsigned char trailer[10] = {3, 0}; /* the empty last block, then CRC-32 and length */
    const int64_t blocks = (total + VSL_BLOCK_BYTES - 1) / VSL_BLOCK_BYTES;
    Batch batch = {.total = total, .fill = fill, .ctx = ctx};
    uint32_t crc = 0;

    threads = vsl_threads_resolve(threads);
    int64_t size = (int64_t)threads * BLOCKS_PER_THREAD;
    size = size > BATCH_MOST ? BATCH_MOST : size;
    size = size > blocks ? blocks : size;
    threads = threads > size ? (int)size : threads;
    VSL_TRY(VSL_NEW(&batch.block, size, "output blocks"));
    if (gzip) {
        VSL_TRY(VSL_NEW(&batch.deflater, threads, "deflate buffers"));
        VSL_TRY(vsl_file_out_write(f, header, sizeof header));
    }
    for (batch.first = 0; batch.first < blocks; batch.first += size) {
        const int64_t count = blocks - batch.first < size ? blocks - batch.first : size;
        vsl_parallel_for(count, threads, make_block, &batch);
        VSL_TRY(write_batch(f, &batch, count, &crc));
    }
    if (gzip) {
        put_little_endian(trailer + 2, crc);
        put_little_endian(trailer + 6, (uint32_t)((uint64_t)total & 0xffffffffu));
        VSL_TRY(vsl_file_out_write(f, trailer, sizeof trailer));
    }
out:
    vsl_free(batch.deflater);
    vsl_free(batch.block);
    return st;
}
