/* Any bytes as a PNG, once as they are and once with the checksums of its chunks made right, so that the fuzzer gets
 * past them. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "core/memory.h"
#include "io/png_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

static void mend_checksums(uint8_t *bytes, size_t count)
{
    size_t at = 8;
    while (at + 12 <= count) {
        const size_t length =
            (size_t)bytes[at] << 24 | (size_t)bytes[at + 1] << 16 | (size_t)bytes[at + 2] << 8 | (size_t)bytes[at + 3];
        if (length > count - at - 12) {
            return;
        }
        const unsigned long crc = crc32(0, bytes + at + 4, (unsigned)length + 4);
        for (int i = 0; i < 4; i++) {
            bytes[at + 8 + length + (size_t)i] = (uint8_t)(crc >> (24 - 8 * i));
        }
        at += length + 12;
    }
}

static void read_all(const uint8_t *bytes, size_t count)
{
    VslVolume v = {0};
    VslLabels l = {0};
    VslNiftiInfo info = {0};
    if (png_read_bytes(&v, NULL, &info, bytes, (int64_t)count, "fuzz") == VSL_OK &&
        (v.channels != info.channels || vsl_grid_voxels(&v.grid) < 1)) {
        abort();
    }
    if (png_read_bytes(NULL, &l, NULL, bytes, (int64_t)count, "fuzz") != VSL_OK && l.data) {
        abort();
    }
    vsl_volume_free(&v);
    vsl_labels_free(&l);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    uint8_t *mended = malloc(count + 1);
    vsl_memory_set_budget((int64_t)64 << 20);
    read_all(bytes, count);
    memcpy(mended, bytes, count);
    mend_checksums(mended, count);
    read_all(mended, count);
    free(mended);
    return 0;
}
