/* Values of an HDF5 dataset out of the file's bytes: one block, or chunks through fletcher32, gzip and shuffle, undone
 * here with every size known beforehand. */
#include "io/velocity_private.h"

#include <string.h>

#include <zlib.h>

#include "core/memory.h"
#include "io/path.h"

typedef struct ChunkReader {
    hid_t dataset;
    int64_t n[HDF_RANK], chunk[HDF_RANK];
    int64_t chunk_bytes;    /* unpacked */
    H5Z_filter_t filter[3]; /* in the order of writing */
    int filters;
    unsigned char *buffer[2]; /* chunk_bytes each */
    const unsigned char *bytes;
    int64_t count;
    const char *path;
} ChunkReader;

static void swap_floats(float *value, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        uint32_t bits;
        memcpy(&bits, &value[i], 4);
        bits = bits >> 24 | (bits >> 8 & 0xff00) | (bits << 8 & 0xff0000) | bits << 24;
        memcpy(&value[i], &bits, 4);
    }
}

/* H5_checksum_fletcher32: sums of big-endian 16-bit words, folded often enough not to overflow */
static uint32_t fletcher32(const unsigned char *p, int64_t count)
{
    uint32_t first = 0, second = 0;
    for (int64_t i = 0; i < count; i += 2) {
        first += (uint32_t)p[i] << 8 | (i + 1 < count ? p[i + 1] : 0u);
        first = (first & 0xffff) + (first >> 16);
        second += first;
        second = (second & 0xffff) + (second >> 16);
    }
    first = (first & 0xffff) + (first >> 16);
    second = (second & 0xffff) + (second >> 16);
    return second << 16 | first;
}

static int fletcher_holds(const unsigned char *p, int64_t count)
{
    const unsigned char *tail = p + count;
    const uint32_t stored =
        (uint32_t)tail[0] | (uint32_t)tail[1] << 8 | (uint32_t)tail[2] << 16 | (uint32_t)tail[3] << 24;
    return fletcher32(p, count) == stored;
}

static int inflate_exactly(unsigned char *out, int64_t room, const unsigned char *in, int64_t count)
{
    z_stream z = {0};
    if (count > UINT32_MAX || room > UINT32_MAX || inflateInit(&z) != Z_OK) {
        return 0;
    }
    z.next_in = (unsigned char *)(uintptr_t)in; /* zlib's old interface lacks the const */
    z.avail_in = (uInt)count;
    z.next_out = out;
    z.avail_out = (uInt)room;
    const int end = inflate(&z, Z_FINISH);
    inflateEnd(&z);
    return end == Z_STREAM_END && z.avail_out == 0;
}

static void unshuffle(unsigned char *out, const unsigned char *in, int64_t values)
{
    for (int64_t i = 0; i < values; i++) {
        for (int64_t b = 0; b < 4; b++) {
            out[4 * i + b] = in[b * values + i];
        }
    }
}

/* Unpacks stored bytes; *out points to chunk_bytes of them. */
static VslStatus unpack_chunk(const unsigned char **out, ChunkReader *r, const unsigned char *stored, int64_t size,
                              unsigned skipped)
{
    VslStatus st = VSL_OK;
    int turn = 0;
    for (int f = r->filters - 1; f >= 0; f--) {
        unsigned char *to = r->buffer[turn];
        if (skipped >> f & 1) {
            continue;
        }
        if (r->filter[f] == H5Z_FILTER_FLETCHER32) {
            size -= 4;
            VSL_CHECK(size >= 0 && fletcher_holds(stored, size), VSL_E_FORMAT,
                      "%s: the checksum of a chunk does not hold: the file is damaged", vsl_path_text(r->path).text);
            continue;
        }
        if (r->filter[f] == H5Z_FILTER_DEFLATE) {
            VSL_CHECK(inflate_exactly(to, r->chunk_bytes, stored, size), VSL_E_FORMAT,
                      "%s: a chunk does not inflate to its %lld bytes", vsl_path_text(r->path).text,
                      (long long)r->chunk_bytes);
            size = r->chunk_bytes;
        } else {
            VSL_CHECK(size == r->chunk_bytes, VSL_E_FORMAT, "%s: a chunk has %lld bytes, expected %lld",
                      vsl_path_text(r->path).text, (long long)size, (long long)r->chunk_bytes);
            unshuffle(to, stored, size / 4);
        }
        stored = to;
        turn = 1 - turn;
    }
    VSL_CHECK(size == r->chunk_bytes, VSL_E_FORMAT, "%s: a chunk has %lld bytes, expected %lld",
              vsl_path_text(r->path).text, (long long)size, (long long)r->chunk_bytes);
    *out = stored;
out:
    return st;
}

/* Copies the part of a chunk that lies inside the dataset. */
static void place_chunk(float *out, const ChunkReader *r, const hsize_t origin[HDF_RANK], const unsigned char *from)
{
    int64_t part[HDF_RANK];
    for (int d = 0; d < HDF_RANK; d++) {
        const int64_t left = r->n[d] - (int64_t)origin[d];
        part[d] = left < r->chunk[d] ? left : r->chunk[d];
    }
    for (int64_t a = 0; a < part[0]; a++) {
        for (int64_t b = 0; b < part[1]; b++) {
            for (int64_t c = 0; c < part[2]; c++) {
                const int64_t source = ((a * r->chunk[1] + b) * r->chunk[2] + c) * r->chunk[3];
                const int64_t target =
                    ((((int64_t)origin[0] + a) * r->n[1] + (int64_t)origin[1] + b) * r->n[2] + (int64_t)origin[2] + c) *
                        r->n[3] +
                    (int64_t)origin[3];
                memcpy(out + target, from + 4 * source, (size_t)part[3] * 4);
            }
        }
    }
}

static VslStatus read_chunk(float *out, ChunkReader *r, const hsize_t origin[HDF_RANK])
{
    VslStatus st = VSL_OK;
    unsigned skipped = 0;
    haddr_t address = HADDR_UNDEF;
    hsize_t size = 0;
    const unsigned char *values = NULL;

    VSL_CHECK(H5Dget_chunk_info_by_coord(r->dataset, origin, &skipped, &address, &size) >= 0 &&
                  address != HADDR_UNDEF && size > 0,
              VSL_E_FORMAT, "%s: a chunk of its values was never written", vsl_path_text(r->path).text);
    VSL_CHECK(size <= (hsize_t)r->count && address <= (haddr_t)r->count - size, VSL_E_FORMAT,
              "%s: a chunk reaches beyond the end of the file", vsl_path_text(r->path).text);
    VSL_TRY(unpack_chunk(&values, r, r->bytes + address, (int64_t)size, skipped));
    place_chunk(out, r, origin, values);
out:
    return st;
}

static VslStatus prepare(ChunkReader *r, hid_t how)
{
    VslStatus st = VSL_OK;
    hsize_t chunk[HDF_RANK];
    int64_t chunks = 1;

    VSL_CHECK(H5Pget_chunk(how, HDF_RANK, chunk) == HDF_RANK, VSL_E_FORMAT, "%s: its chunks have another rank",
              vsl_path_text(r->path).text);
    r->chunk_bytes = 4;
    for (int d = 0; d < HDF_RANK; d++) {
        VSL_CHECK(chunk[d] >= 1 && chunk[d] <= (hsize_t)r->n[d], VSL_E_FORMAT,
                  "%s: a chunk has %llu values along dimension %d of %lld", vsl_path_text(r->path).text,
                  (unsigned long long)chunk[d], d, (long long)r->n[d]);
        r->chunk[d] = (int64_t)chunk[d];
        r->chunk_bytes *= r->chunk[d]; /* no more than the dataset, whose size was multiplied with care */
        chunks *= (r->n[d] + r->chunk[d] - 1) / r->chunk[d];
    }
    VSL_CHECK(chunks <= r->count, VSL_E_FORMAT, "%s: has %lld chunks in %lld bytes", vsl_path_text(r->path).text,
              (long long)chunks, (long long)r->count);
    r->filters = H5Pget_nfilters(how);
    VSL_CHECK(r->filters >= 0 && r->filters <= 3, VSL_E_FORMAT, "%s: has %d filters", vsl_path_text(r->path).text,
              r->filters);
    for (int i = 0; i < r->filters; i++) {
        unsigned flags, config, values[8];
        size_t count = 8;
        r->filter[i] = H5Pget_filter2(how, (unsigned)i, &flags, &count, values, 0, NULL, &config);
    }
    for (int i = 0; i < 2; i++) {
        VSL_TRY(VSL_NEW(&r->buffer[i], r->chunk_bytes, "HDF5 chunk"));
    }
out:
    return st;
}

static VslStatus read_chunks(float *out, ChunkReader *r)
{
    VslStatus st = VSL_OK;
    hsize_t at[HDF_RANK];
    for (at[0] = 0; at[0] < (hsize_t)r->n[0]; at[0] += (hsize_t)r->chunk[0]) {
        for (at[1] = 0; at[1] < (hsize_t)r->n[1]; at[1] += (hsize_t)r->chunk[1]) {
            for (at[2] = 0; at[2] < (hsize_t)r->n[2]; at[2] += (hsize_t)r->chunk[2]) {
                for (at[3] = 0; at[3] < (hsize_t)r->n[3]; at[3] += (hsize_t)r->chunk[3]) {
                    VSL_TRY(read_chunk(out, r, at));
                }
            }
        }
    }
out:
    return st;
}

VslStatus hdf_get_floats(float *out, hid_t dataset, const int64_t n[HDF_RANK], const char *bytes, int64_t count,
                         const char *path)
{
    VslStatus st = VSL_OK;
    const int64_t values = n[0] * n[1] * n[2] * n[3];
    ChunkReader r = {.dataset = dataset, .bytes = (const unsigned char *)bytes, .count = count, .path = path};
    const hid_t how = H5Dget_create_plist(dataset), type = H5Dget_type(dataset);

    memcpy(r.n, n, sizeof r.n);
    VSL_CHECK(how >= 0 && type >= 0, VSL_E_FORMAT, "%s: its storage description cannot be read",
              vsl_path_text(path).text);
    if (H5Pget_layout(how) == H5D_CHUNKED) {
        VSL_TRY(prepare(&r, how));
        VSL_TRY(read_chunks(out, &r));
    } else {
        const haddr_t address = H5Dget_offset(dataset);
        VSL_CHECK(address != HADDR_UNDEF && H5Dget_storage_size(dataset) == (hsize_t)values * 4 &&
                      values * 4 <= count && address <= (haddr_t)(count - values * 4),
                  VSL_E_FORMAT, "%s: its values were never written, or reach beyond the end of the file",
                  vsl_path_text(path).text);
        memcpy(out, bytes + address, (size_t)values * 4);
    }
    if (H5Tequal(type, H5T_NATIVE_FLOAT) <= 0) {
        swap_floats(out, values);
    }
out:
    vsl_free(r.buffer[0]);
    vsl_free(r.buffer[1]);
    if (type >= 0) {
        H5Tclose(type);
    }
    if (how >= 0) {
        H5Pclose(how);
    }
    return st;
}
