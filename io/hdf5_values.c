/* Values of an HDF5 dataset out of the file's bytes: one block, or the chunks of a B-tree of version 1 (HDF5 File
 * Format Specification III.A.1) through fletcher32, gzip and shuffle, undone here with every size known beforehand: the
 * library's own gzip filter inflates without bound. */
#include "io/hdf5_private.h"

#include <stddef.h>
#include <string.h>

#define ZLIB_CONST
#include <zlib.h>

#include "core/memory.h"
#include "io/path.h"

enum {
    MESSAGE_SPACE = 0x01,
    MESSAGE_TYPE = 0x03,
    MESSAGE_EXTERNAL = 0x07,
    MESSAGE_LAYOUT = 0x08,
    MESSAGE_FILTERS = 0x0b,
    LAYOUT_COMPACT = 0,
    LAYOUT_CONTIGUOUS = 1,
    LAYOUT_CHUNKED = 2,
    FILTER_GZIP = 1,
    FILTER_SHUFFLE = 2,
    FILTER_FLETCHER32 = 3,
    MOST_FILTERS = 3
};

typedef struct ChunkReader {
    const HdfFile *file;
    const char *name;
    int64_t n[HDF_RANK], chunk[HDF_RANK], chunks[HDF_RANK]; /* extents in values, and in chunks */
    int64_t chunk_bytes;                                    /* unpacked */
    int filter[MOST_FILTERS];                               /* in the order of writing */
    int filters;
    unsigned char *buffer[2]; /* chunk_bytes each */
    unsigned char *is_read;   /* one per chunk */
    int64_t left;             /* chunks to come */
} ChunkReader;

/* File bytes in place to floats of this machine */
static void decode_floats(float *value, int64_t count, int is_big)
{
    for (int64_t i = 0; i < count; i++) {
        unsigned char b[4];
        memcpy(b, &value[i], 4);
        const uint32_t first = b[0], second = b[1], third = b[2], last = b[3];
        const uint32_t bits =
            is_big ? first << 24 | second << 16 | third << 8 | last : last << 24 | third << 16 | second << 8 | first;
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
    z.next_in = in;
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
        if (r->filter[f] == FILTER_FLETCHER32) {
            size -= 4;
            VSL_CHECK(size >= 0 && fletcher_holds(stored, size), VSL_E_FORMAT,
                      "%s: the checksum of a chunk does not hold: the file is damaged",
                      vsl_path_text(r->file->path).text);
            continue;
        }
        if (r->filter[f] == FILTER_GZIP) {
            VSL_CHECK(inflate_exactly(to, r->chunk_bytes, stored, size), VSL_E_FORMAT,
                      "%s: a chunk does not inflate to its %lld bytes", vsl_path_text(r->file->path).text,
                      (long long)r->chunk_bytes);
            size = r->chunk_bytes;
        } else {
            VSL_CHECK(size == r->chunk_bytes, VSL_E_FORMAT, "%s: a chunk has %lld bytes, expected %lld",
                      vsl_path_text(r->file->path).text, (long long)size, (long long)r->chunk_bytes);
            unshuffle(to, stored, size / 4);
        }
        stored = to;
        turn = 1 - turn;
    }
    VSL_CHECK(size == r->chunk_bytes, VSL_E_FORMAT, "%s: a chunk has %lld bytes, expected %lld",
              vsl_path_text(r->file->path).text, (long long)size, (long long)r->chunk_bytes);
    *out = stored;
out:
    return st;
}

/* Copies the part of a chunk that lies inside the dataset. */
static void place_chunk(float *out, const ChunkReader *r, const int64_t origin[HDF_RANK], const unsigned char *from)
{
    int64_t part[HDF_RANK];
    for (int d = 0; d < HDF_RANK; d++) {
        const int64_t left = r->n[d] - origin[d];
        part[d] = left < r->chunk[d] ? left : r->chunk[d];
    }
    for (int64_t a = 0; a < part[0]; a++) {
        for (int64_t b = 0; b < part[1]; b++) {
            for (int64_t c = 0; c < part[2]; c++) {
                const int64_t source = ((a * r->chunk[1] + b) * r->chunk[2] + c) * r->chunk[3];
                const int64_t target =
                    (((origin[0] + a) * r->n[1] + origin[1] + b) * r->n[2] + origin[2] + c) * r->n[3] + origin[3];
                memcpy(out + target, from + 4 * source, (size_t)part[3] * 4);
            }
        }
    }
}

/* One chunk as its key and address in the B-tree give it */
static VslStatus read_chunk(float *out, ChunkReader *r, const unsigned char *key, uint64_t address)
{
    VslStatus st = VSL_OK;
    const uint64_t size = hdf_little(key, 4);
    const unsigned skipped = (unsigned)hdf_little(key + 4, 4);
    const unsigned char *values = NULL;
    int64_t origin[HDF_RANK], index = 0;

    for (int64_t d = 0; d < HDF_RANK; d++) {
        const uint64_t at = hdf_little(key + 8 + 8 * d, 8);
        VSL_CHECK(at < (uint64_t)r->n[d] && at % (uint64_t)r->chunk[d] == 0, VSL_E_FORMAT,
                  "%s: a chunk of /%s lies outside it", vsl_path_text(r->file->path).text, r->name);
        origin[d] = (int64_t)at;
        index = index * r->chunks[d] + origin[d] / r->chunk[d];
    }
    VSL_CHECK(!r->is_read[index], VSL_E_FORMAT, "%s: a chunk of /%s is stored twice", vsl_path_text(r->file->path).text,
              r->name);
    r->is_read[index] = 1;
    r->left--;
    VSL_CHECK(size > 0 && hdf_holds(r->file, address, size), VSL_E_FORMAT,
              "%s: a chunk of /%s reaches beyond the end of the file", vsl_path_text(r->file->path).text, r->name);
    VSL_TRY(unpack_chunk(&values, r, r->file->bytes + address, (int64_t)size, skipped));
    place_chunk(out, r, origin, values);
out:
    return st;
}

typedef struct Node {
    uint64_t address;
    int level; /* -1: of the root, any */
} Node;

/* Walks the B-tree from `root`. Waiting nodes lie on a stack; each takes 24 bytes of the file and none may be visited
 * more often than there is room for, so that a tree whose branches meet again cannot hold us up. */
static VslStatus read_tree(float *out, ChunkReader *r, uint64_t root)
{
    enum { KEY = 8 + 8 * (HDF_RANK + 1), ROOM = 1 << 16 };
    VslStatus st = VSL_OK;
    Node *stack = NULL;
    int64_t waiting = 1, visits = r->file->count / 24;
    VSL_TRY(VSL_NEW(&stack, ROOM, "HDF5 chunk index"));
    stack[0] = (Node){root, -1};
    while (waiting > 0) {
        const Node node = stack[--waiting];
        VSL_CHECK(visits-- > 0 && hdf_holds(r->file, node.address, 24), VSL_E_FORMAT,
                  "%s: the chunk index of /%s is damaged", vsl_path_text(r->file->path).text, r->name);
        const unsigned char *p = r->file->bytes + node.address;
        const int64_t entries = (int64_t)hdf_little(p + 6, 2);
        VSL_CHECK(memcmp(p, "TREE", 4) == 0 && p[4] == 1 && (node.level < 0 || p[5] == node.level) &&
                      hdf_holds(r->file, node.address, (uint64_t)(24 + KEY + (KEY + 8) * entries)) &&
                      (p[5] == 0 || waiting + entries <= ROOM),
                  VSL_E_FORMAT, "%s: the chunk index of /%s is damaged", vsl_path_text(r->file->path).text, r->name);
        for (int64_t i = 0; i < entries; i++) {
            const unsigned char *key = p + 24 + (KEY + 8) * i;
            const uint64_t child = hdf_little(key + KEY, 8);
            if (p[5] == 0) {
                VSL_TRY(read_chunk(out, r, key, child));
            } else {
                stack[waiting++] = (Node){child, p[5] - 1};
            }
        }
    }
out:
    vsl_free(stack);
    return st;
}

static VslStatus take_filters(ChunkReader *r, const HdfMessage *m)
{
    VslStatus st = VSL_OK;
    const char *path = r->file->path;
    if (!m) {
        return VSL_OK;
    }
    VSL_CHECK(m->size >= 2 && (m->data[0] == 1 || m->data[0] == 2), VSL_E_FORMAT, "%s: the filters of /%s are damaged",
              vsl_path_text(path).text, r->name);
    VSL_CHECK(m->data[1] <= MOST_FILTERS, VSL_E_UNSUPPORTED, "%s: /%s has %d filters, expected at most %d",
              vsl_path_text(path).text, r->name, m->data[1], MOST_FILTERS);
    const int version = m->data[0];
    int64_t at = version == 1 ? 8 : 2;
    for (int i = 0; i < m->data[1]; i++) {
        VSL_CHECK(at + 8 <= m->size, VSL_E_FORMAT, "%s: the filters of /%s are damaged", vsl_path_text(path).text,
                  r->name);
        const int id = (int)hdf_little(m->data + at, 2);
        VSL_CHECK(id == FILTER_GZIP || id == FILTER_SHUFFLE || id == FILTER_FLETCHER32, VSL_E_UNSUPPORTED,
                  "%s: /%s uses the filter %d, expected gzip, shuffle or fletcher32", vsl_path_text(path).text, r->name,
                  id);
        r->filter[r->filters++] = id;
        if (version == 1) {
            const int64_t letters = (int64_t)hdf_little(m->data + at + 2, 2);
            const int64_t values = (int64_t)hdf_little(m->data + at + 6, 2);
            at += 8 + (letters + 7) / 8 * 8 + 4 * (values + values % 2);
        } else { /* names only of filters above 255 */
            at += 6 + 4 * (int64_t)hdf_little(m->data + at + 4, 2);
        }
    }
out:
    return st;
}

/* layout: version 3, chunked */
static VslStatus read_chunked(float *out, ChunkReader *r, const HdfMessage *layout, const HdfMessage *filters)
{
    VslStatus st = VSL_OK;
    const char *path = r->file->path;
    int64_t all = 1;

    VSL_CHECK(layout->size >= 11 + 4 * (HDF_RANK + 1) && layout->data[2] == HDF_RANK + 1 &&
                  hdf_little(layout->data + 11 + (ptrdiff_t)4 * HDF_RANK, 4) == 4,
              VSL_E_FORMAT, "%s: the chunks of /%s have another rank", vsl_path_text(path).text, r->name);
    r->chunk_bytes = 4;
    for (int64_t d = 0; d < HDF_RANK; d++) {
        r->chunk[d] = (int64_t)hdf_little(layout->data + 11 + 4 * d, 4);
        VSL_CHECK(r->chunk[d] >= 1 && r->chunk[d] <= r->n[d], VSL_E_UNSUPPORTED,
                  "%s: a chunk of /%s has %lld values along dimension %lld of %lld", vsl_path_text(path).text, r->name,
                  (long long)r->chunk[d], (long long)d, (long long)r->n[d]);
        r->chunk_bytes *= r->chunk[d]; /* no more than the dataset, whose size was multiplied with care */
        r->chunks[d] = (r->n[d] + r->chunk[d] - 1) / r->chunk[d];
        all *= r->chunks[d];
    }
    VSL_CHECK(all <= r->file->count, VSL_E_FORMAT, "%s: /%s has %lld chunks in %lld bytes", vsl_path_text(path).text,
              r->name, (long long)all, (long long)r->file->count);
    VSL_TRY(take_filters(r, filters));
    for (int i = 0; i < 2; i++) {
        VSL_TRY(VSL_NEW(&r->buffer[i], r->chunk_bytes, "HDF5 chunk"));
    }
    VSL_TRY(VSL_NEW0(&r->is_read, all, "HDF5 chunk index"));
    r->left = all;
    const uint64_t root = hdf_little(layout->data + 3, 8);
    if (root != UINT64_MAX) { /* else nothing was written */
        VSL_TRY(read_tree(out, r, root));
    }
    VSL_CHECK(r->left == 0, VSL_E_FORMAT, "%s: %lld chunks of /%s were never written", vsl_path_text(path).text,
              (long long)r->left, r->name);
out:
    vsl_free(r->buffer[0]);
    vsl_free(r->buffer[1]);
    vsl_free(r->is_read);
    return st;
}

static VslStatus read_block(float *out, const HdfFile *f, const HdfMessage *layout, int64_t bytes, const char *name)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(layout->size >= 18, VSL_E_FORMAT, "%s: the storage of /%s is damaged", vsl_path_text(f->path).text, name);
    const uint64_t address = hdf_little(layout->data + 2, 8), size = hdf_little(layout->data + 10, 8);
    VSL_CHECK(address != UINT64_MAX && size == (uint64_t)bytes && hdf_holds(f, address, size), VSL_E_FORMAT,
              "%s: the values of /%s were never written, or reach beyond the end of the file",
              vsl_path_text(f->path).text, name);
    memcpy(out, f->bytes + address, (size_t)bytes);
out:
    return st;
}

VslStatus hdf_floats_size(HdfSpace *out, const HdfFile *f, const HdfObject *dataset, const char *name)
{
    VslStatus st = VSL_OK;
    const HdfMessage *type_at = hdf_message(dataset, MESSAGE_TYPE), *space_at = hdf_message(dataset, MESSAGE_SPACE);
    HdfType type = {0};
    HdfSpace space = {0};
    VSL_TRY(hdf_parse_type(&type, f, type_at->data, type_at->size, name));
    VSL_CHECK(type.kind == HDF_FLOAT && type.size == 4, VSL_E_UNSUPPORTED,
              "%s: /%s is not of 32-bit floating-point numbers", vsl_path_text(f->path).text, name);
    VSL_TRY(hdf_parse_space(&space, f, space_at->data, space_at->size, name));
    VSL_CHECK(space.rank >= 0, VSL_E_FORMAT, "%s: /%s is empty", vsl_path_text(f->path).text, name);
    *out = space;
out:
    return st;
}

VslStatus hdf_get_floats(float *out, const HdfFile *f, const HdfObject *dataset, const HdfSpace *size, const char *name)
{
    VslStatus st = VSL_OK;
    int64_t values = 1;
    const HdfMessage *layout = hdf_message(dataset, MESSAGE_LAYOUT), *type_at = hdf_message(dataset, MESSAGE_TYPE);
    ChunkReader r = {.file = f, .name = name};
    HdfType type = {0};

    for (int d = 0; d < size->rank; d++) {
        values *= size->n[d];
    }
    memcpy(r.n, size->n, sizeof r.n);
    VSL_TRY(hdf_parse_type(&type, f, type_at->data, type_at->size, name));
    VSL_CHECK(!hdf_message(dataset, MESSAGE_EXTERNAL), VSL_E_UNSUPPORTED,
              "%s: /%s keeps its values in other files, expected all in one", vsl_path_text(f->path).text, name);
    VSL_CHECK(layout && layout->size >= 2, VSL_E_FORMAT, "%s: /%s has no storage", vsl_path_text(f->path).text, name);
    VSL_CHECK(layout->data[0] == 3, VSL_E_UNSUPPORTED,
              "%s: /%s has a storage layout of version %d (a virtual dataset, or newer), expected 3",
              vsl_path_text(f->path).text, name, layout->data[0]);
    VSL_CHECK(layout->data[1] == LAYOUT_CONTIGUOUS || layout->data[1] == LAYOUT_CHUNKED, VSL_E_UNSUPPORTED,
              "%s: /%s is stored %s, expected chunks or one block", vsl_path_text(f->path).text, name,
              layout->data[1] == LAYOUT_COMPACT ? "in its header" : "in an unknown way");
    if (layout->data[1] == LAYOUT_CHUNKED) {
        VSL_CHECK(size->rank == HDF_RANK, VSL_E_UNSUPPORTED, "%s: /%s has rank %d in chunks, expected one block",
                  vsl_path_text(f->path).text, name, size->rank);
        VSL_TRY(read_chunked(out, &r, layout, hdf_message(dataset, MESSAGE_FILTERS)));
    } else {
        VSL_TRY(read_block(out, f, layout, values * 4, name));
    }
    decode_floats(out, values, type.is_big);
out:
    return st;
}
