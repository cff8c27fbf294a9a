/* The structures of an HDF5 file of the "earliest" format, after the HDF5 File Format Specification 2.0 and 3.0:
 * superblock 0 and 1 (II.A), symbol-table groups (III.A to III.D), object headers of version 1 (IV.A.1) and the
 * messages that a plain dataset has (IV.A.2). Every address is held against the file before it is followed, every loop
 * is bounded by the file's size, nothing recurses. */
#include "io/hdf5_private.h"

#include <string.h>

#include "io/path.h"

enum {
    MESSAGE_SPACE = 0x01,
    MESSAGE_LINK_INFO = 0x02,
    MESSAGE_TYPE = 0x03,
    MESSAGE_LINK = 0x06,
    MESSAGE_ATTRIBUTE = 0x0c,
    MESSAGE_CONTINUATION = 0x10,
    MESSAGE_SYMBOL_TABLE = 0x11,
    MESSAGE_ATTRIBUTE_INFO = 0x15,
    MESSAGE_IS_SHARED = 2, /* a flag */
    MOST_BLOCKS = 64,
    MOST_GROUP_NODES = 4096
};

static const char newer[] =
    "a newer form of HDF5 than is read here; write it in the library's default form (libver earliest)";

uint64_t hdf_little(const unsigned char *p, int size)
{
    uint64_t value = 0;
    while (size-- > 0) {
        value = value << 8 | p[size];
    }
    return value;
}

int hdf_holds(const HdfFile *f, uint64_t address, uint64_t size)
{
    return size <= (uint64_t)f->count && address <= (uint64_t)f->count - size;
}

const HdfMessage *hdf_message(const HdfObject *o, int type)
{
    for (int i = 0; i < o->count; i++) {
        if (o->message[i].type == type) {
            return &o->message[i];
        }
    }
    return NULL;
}

/* One block of messages; continuations are added to the list of blocks. */
static VslStatus take_block(HdfObject *o, const HdfFile *f, uint64_t (*block)[2], int *blocks, int now)
{
    VslStatus st = VSL_OK;
    uint64_t at = block[now][0], left = block[now][1];
    VSL_CHECK(hdf_holds(f, at, left), VSL_E_FORMAT, "%s: an HDF5 object header reaches beyond the end of the file",
              vsl_path_text(f->path).text);
    while (left >= 8) {
        const unsigned char *p = f->bytes + at;
        const HdfMessage m = {(int)hdf_little(p, 2), p[4], (int64_t)hdf_little(p + 2, 2), p + 8};
        VSL_CHECK((uint64_t)m.size <= left - 8, VSL_E_FORMAT, "%s: an HDF5 message reaches beyond its header",
                  vsl_path_text(f->path).text);
        at += 8 + (uint64_t)m.size;
        left -= 8 + (uint64_t)m.size;
        if (m.type == MESSAGE_CONTINUATION) {
            VSL_CHECK(m.size >= 16 && *blocks < MOST_BLOCKS, VSL_E_FORMAT,
                      "%s: an HDF5 object header has more than %d pieces", vsl_path_text(f->path).text, MOST_BLOCKS);
            block[*blocks][0] = hdf_little(m.data, 8);
            block[*blocks][1] = hdf_little(m.data + 8, 8);
            ++*blocks;
        } else if (m.type != 0) {
            VSL_CHECK(o->count < HDF_MOST_MESSAGES, VSL_E_FORMAT, "%s: an HDF5 object has more than %d messages",
                      vsl_path_text(f->path).text, HDF_MOST_MESSAGES);
            o->message[o->count++] = m;
        }
    }
out:
    return st;
}

static VslStatus open_object(HdfObject *out, const HdfFile *f, uint64_t address, const char *name)
{
    VslStatus st = VSL_OK;
    uint64_t block[MOST_BLOCKS][2];
    int blocks = 1;

    out->count = 0;
    VSL_CHECK(hdf_holds(f, address, 16), VSL_E_FORMAT, "%s: /%s lies beyond the end of the file",
              vsl_path_text(f->path).text, name);
    const unsigned char *p = f->bytes + address;
    VSL_CHECK(p[0] == 1, memcmp(p, "OHDR", 4) == 0 ? VSL_E_UNSUPPORTED : VSL_E_FORMAT, "%s: /%s has %s",
              vsl_path_text(f->path).text, name,
              memcmp(p, "OHDR", 4) == 0 ? newer : "no HDF5 object header of version 1");
    block[0][0] = address + 16;
    block[0][1] = hdf_little(p + 8, 4);
    for (int now = 0; now < blocks; now++) {
        VSL_TRY(take_block(out, f, block, &blocks, now));
    }
out:
    return st;
}

VslStatus hdf_open_root(HdfObject *out, const HdfFile *f)
{
    VslStatus st = VSL_OK;
    const unsigned char *b = f->bytes;
    VSL_CHECK(f->count >= 100 && memcmp(b, "\211HDF\r\n\032\n", 8) == 0, VSL_E_FORMAT,
              "%s: is not an HDF5 file, expected one as 'vesal register' writes", vsl_path_text(f->path).text);
    VSL_CHECK(b[8] <= 1, VSL_E_UNSUPPORTED, "%s: has a superblock of version %d: %s", vsl_path_text(f->path).text, b[8],
              newer);
    VSL_CHECK(b[13] == 8 && b[14] == 8, VSL_E_UNSUPPORTED,
              "%s: has HDF5 addresses of %d and lengths of %d bytes, expected 8", vsl_path_text(f->path).text, b[13],
              b[14]);
    const unsigned char *address = b[8] == 0 ? b + 24 : b + 28;
    const uint64_t base = hdf_little(address, 8), end = hdf_little(address + 16, 8);
    VSL_CHECK(base == 0, VSL_E_UNSUPPORTED, "%s: has an HDF5 base address of %llu, expected 0",
              vsl_path_text(f->path).text, (unsigned long long)base);
    VSL_CHECK(end <= (uint64_t)f->count, VSL_E_FORMAT, "%s: has %lld bytes of HDF5, expected %llu: it was cut short",
              vsl_path_text(f->path).text, (long long)f->count, (unsigned long long)end);
    VSL_CHECK(hdf_little(address + 24, 8) == UINT64_MAX, VSL_E_UNSUPPORTED,
              "%s: asks for an HDF5 file driver of its own, expected one plain file", vsl_path_text(f->path).text);
    VSL_TRY(open_object(out, f, hdf_little(address + 40, 8), ""));
out:
    return st;
}

/* A zero-ended name in the local heap at `heap`; NULL when it runs out of the heap. */
static const char *heap_name(const HdfFile *f, uint64_t heap, uint64_t offset)
{
    if (!hdf_holds(f, heap, 32) || memcmp(f->bytes + heap, "HEAP", 4) != 0) {
        return NULL;
    }
    const uint64_t size = hdf_little(f->bytes + heap + 8, 8), data = hdf_little(f->bytes + heap + 24, 8);
    if (!hdf_holds(f, data, size) || offset >= size || !memchr(f->bytes + data + offset, 0, (size_t)(size - offset))) {
        return NULL;
    }
    return (const char *)f->bytes + data + offset;
}

static VslStatus visit_leaf(const HdfFile *f, uint64_t leaf, uint64_t heap, HdfVisit *visit, void *user)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(hdf_holds(f, leaf, 8) && memcmp(f->bytes + leaf, "SNOD", 4) == 0, VSL_E_FORMAT,
              "%s: its root group is damaged", vsl_path_text(f->path).text);
    const uint64_t symbols = hdf_little(f->bytes + leaf + 6, 2);
    VSL_CHECK(hdf_holds(f, leaf + 8, symbols * 40), VSL_E_FORMAT, "%s: its root group is damaged",
              vsl_path_text(f->path).text);
    for (uint64_t i = 0; i < symbols; i++) {
        const unsigned char *entry = f->bytes + leaf + 8 + 40 * i;
        const char *label = heap_name(f, heap, hdf_little(entry, 8));
        VSL_CHECK(label, VSL_E_FORMAT, "%s: a name in its root group is damaged", vsl_path_text(f->path).text);
        VSL_TRY(visit(user, label, entry));
    }
out:
    return st;
}

/* Nodes of the group's B-tree wait in a list; a node's level is below its parent's, so that the walk ends. */
VslStatus hdf_each_entry(const HdfFile *f, const HdfObject *root, HdfVisit *visit, void *user)
{
    VslStatus st = VSL_OK;
    const HdfMessage *table = hdf_message(root, MESSAGE_SYMBOL_TABLE);
    uint64_t node[MOST_GROUP_NODES];
    int level[MOST_GROUP_NODES], nodes = 1;

    VSL_CHECK(!hdf_message(root, MESSAGE_LINK) && !hdf_message(root, MESSAGE_LINK_INFO), VSL_E_UNSUPPORTED,
              "%s: its root group has external links or links in %s", vsl_path_text(f->path).text, newer);
    VSL_CHECK(table && table->size >= 16, VSL_E_UNSUPPORTED, "%s: its root group has links in %s",
              vsl_path_text(f->path).text, newer);
    const uint64_t heap = hdf_little(table->data + 8, 8);
    node[0] = hdf_little(table->data, 8);
    level[0] = -1;
    for (int now = 0; now < nodes; now++) {
        VSL_CHECK(hdf_holds(f, node[now], 24) && memcmp(f->bytes + node[now], "TREE", 4) == 0 &&
                      f->bytes[node[now] + 4] == 0,
                  VSL_E_FORMAT, "%s: its root group is damaged", vsl_path_text(f->path).text);
        const unsigned char *p = f->bytes + node[now];
        const uint64_t entries = hdf_little(p + 6, 2);
        VSL_CHECK((level[now] < 0 || p[5] == level[now]) && hdf_holds(f, node[now], 32 + 16 * entries), VSL_E_FORMAT,
                  "%s: its root group is damaged", vsl_path_text(f->path).text);
        for (uint64_t i = 0; i < entries; i++) {
            const uint64_t child = hdf_little(p + 32 + 16 * i, 8);
            if (p[5] == 0) {
                VSL_TRY(visit_leaf(f, child, heap, visit, user));
                continue;
            }
            VSL_CHECK(nodes < MOST_GROUP_NODES, VSL_E_FORMAT, "%s: its root group has too many entries",
                      vsl_path_text(f->path).text);
            node[nodes] = child;
            level[nodes++] = p[5] - 1;
        }
    }
out:
    return st;
}

typedef struct Search {
    const char *name;
    const unsigned char *entry, *itk; /* of that name; of what an ITK transform has */
} Search;

static VslStatus search(void *user, const char *label, const unsigned char *entry)
{
    Search *s = user;
    s->entry = strcmp(label, s->name) == 0 ? entry : s->entry;
    s->itk = strcmp(label, "TransformGroup") == 0 ? entry : s->itk;
    return VSL_OK;
}

VslStatus hdf_open_entry(HdfObject *out, const HdfFile *f, const char *label, const unsigned char *entry)
{
    enum { LINK_IS_SOFT = 2 };
    VslStatus st = VSL_OK;
    VSL_CHECK(hdf_little(entry + 16, 4) != LINK_IS_SOFT, VSL_E_UNSUPPORTED,
              "%s: /%s is a soft link, expected a dataset", vsl_path_text(f->path).text, vsl_path_text(label).text);
    VSL_TRY(open_object(out, f, hdf_little(entry + 8, 8), label));
    VSL_CHECK(hdf_message(out, MESSAGE_TYPE) && hdf_message(out, MESSAGE_SPACE), VSL_E_FORMAT,
              "%s: /%s is not a dataset", vsl_path_text(f->path).text, vsl_path_text(label).text);
    VSL_CHECK(!hdf_message(out, MESSAGE_ATTRIBUTE_INFO), VSL_E_UNSUPPORTED, "%s: /%s keeps its attributes in %s",
              vsl_path_text(f->path).text, vsl_path_text(label).text, newer);
out:
    return st;
}

VslStatus hdf_open_dataset(HdfObject *out, const HdfFile *f, const HdfObject *root, const char *name,
                           const char *expected)
{
    VslStatus st = VSL_OK;
    Search s = {.name = name};
    VSL_TRY(hdf_each_entry(f, root, search, &s));
    VSL_CHECK(s.entry, s.itk ? VSL_E_UNSUPPORTED : VSL_E_FORMAT, "%s: has no dataset /%s, expected %s%s",
              vsl_path_text(f->path).text, name, expected, s.itk ? "; it is a composite transform of ITK" : "");
    VSL_TRY(hdf_open_entry(out, f, name, s.entry));
out:
    return st;
}

VslStatus hdf_check_format(const HdfFile *f, const HdfObject *root, const char *format, int64_t version, int is_sealed)
{
    VslStatus st = VSL_OK;
    char text[HDF_TEXT_ROOM];
    int64_t found;

    if (hdf_has_attribute(root, "Format")) { /* else what is missing inside is the better sentence */
        VSL_TRY(hdf_get_text(text, f, root, "Format"));
        VSL_CHECK(strcmp(text, format) == 0, VSL_E_FORMAT, "%s: is an HDF5 file of format '%s', expected '%s'",
                  vsl_path_text(f->path).text, vsl_path_text(text).text, format);
    }
    VSL_CHECK(is_sealed || !hdf_has_attribute(root, "Seal"), VSL_E_FORMAT,
              "%s: has lost the checksum at its end: it was cut short or changed after it was written",
              vsl_path_text(f->path).text);
    if (hdf_has_attribute(root, "FormatVersion")) {
        VSL_TRY(hdf_get_integers(&found, 0, f, root, "FormatVersion"));
        VSL_CHECK(found == version, VSL_E_UNSUPPORTED,
                  "%s: is a '%s' file of version %lld, this build reads version %lld; a newer Vesal may read it",
                  vsl_path_text(f->path).text, format, (long long)found, (long long)version);
    }
out:
    return st;
}

VslStatus hdf_parse_type(HdfType *out, const HdfFile *f, const unsigned char *p, int64_t size, const char *name)
{
    /* bit offset, precision, exponent at and of, mantissa at and of, exponent bias */
    static const unsigned char single[12] = {0, 0, 32, 0, 23, 8, 0, 23, 127},
                               twice[12] = {0, 0, 64, 0, 52, 11, 0, 52, 255, 3};
    VslStatus st = VSL_OK;
    VSL_CHECK(size >= 8, VSL_E_FORMAT, "%s: the type of %s is damaged", vsl_path_text(f->path).text, name);
    const uint64_t bytes = hdf_little(p + 4, 4);
    HdfType t = {(HdfClass)(p[0] & 15), (int)bytes, p[1] & 1, p[1] >> 3 & 1};
    int is_good = (p[0] >> 4) >= 1 && (p[0] >> 4) <= 3;
    if (t.kind == HDF_FLOAT) {
        is_good = is_good && size >= 20 && (p[1] & 0xfe) == 0x20 && p[3] == 0 &&
                  ((bytes == 4 && p[2] == 31 && memcmp(p + 8, single, 12) == 0) ||
                   (bytes == 8 && p[2] == 63 && memcmp(p + 8, twice, 12) == 0));
    } else if (t.kind == HDF_INTEGER) {
        is_good = is_good && size >= 12 && bytes >= 1 && bytes <= 8 && hdf_little(p + 8, 2) == 0 &&
                  hdf_little(p + 10, 2) == 8 * bytes;
    } else {
        is_good = is_good && t.kind == HDF_TEXT && bytes >= 1 && bytes <= HDF_TEXT_ROOM;
    }
    VSL_CHECK(is_good, VSL_E_UNSUPPORTED,
              "%s: %s has the HDF5 type class %d of %llu bytes, expected IEEE floating-point numbers of 4 or 8 bytes, "
              "whole numbers, or a text of fixed length up to %d",
              vsl_path_text(f->path).text, name, p[0] & 15, (unsigned long long)bytes, HDF_TEXT_ROOM);
    *out = t;
out:
    return st;
}

VslStatus hdf_parse_space(HdfSpace *out, const HdfFile *f, const unsigned char *p, int64_t size, const char *name)
{
    VslStatus st = VSL_OK;
    HdfSpace s = {0};
    VSL_CHECK(size >= 4 && (p[0] == 1 || p[0] == 2), VSL_E_FORMAT, "%s: the size of %s is damaged",
              vsl_path_text(f->path).text, name);
    const int head = p[0] == 1 ? 8 : 4;
    s.rank = p[1];
    VSL_CHECK(s.rank <= HDF_MOST_RANK && size >= head + 8 * s.rank, VSL_E_FORMAT,
              "%s: %s has rank %d, expected at most %d", vsl_path_text(f->path).text, name, s.rank, HDF_MOST_RANK);
    for (int64_t d = 0; d < s.rank; d++) {
        const uint64_t n = hdf_little(p + head + 8 * d, 8);
        VSL_CHECK(n >= 1 && n <= INT32_MAX, VSL_E_FORMAT,
                  "%s: %s has %llu values along dimension %lld, expected 1 to %d", vsl_path_text(f->path).text, name,
                  (unsigned long long)n, (long long)d, INT32_MAX);
        s.n[d] = (int64_t)n;
    }
    if (p[0] == 2 && p[3] == 2) {
        s.rank = -1;
    }
    *out = s;
out:
    return st;
}

typedef struct Attribute {
    const char *name;
    const unsigned char *type, *space, *data;
    int64_t type_size, space_size, data_size;
} Attribute;

/* Cuts an attribute message into its parts; 0 when it does not fit. */
static int cut_attribute(Attribute *a, const HdfMessage *m)
{
    if (m->size < 8 || m->data[0] < 1 || m->data[0] > 3 || (m->flags & MESSAGE_IS_SHARED)) {
        return 0;
    }
    const int version = m->data[0];
    const int64_t round = version == 1 ? 8 : 1; /* version 1 pads its parts */
    if (version > 1 && m->data[1] != 0) {
        return 0; /* its type or space is shared */
    }
    const int64_t name = (int64_t)hdf_little(m->data + 2, 2);
    a->type_size = (int64_t)hdf_little(m->data + 4, 2);
    a->space_size = (int64_t)hdf_little(m->data + 6, 2);
    const int64_t name_at = version == 3 ? 9 : 8;
    const int64_t type_at = name_at + (name + round - 1) / round * round;
    const int64_t space_at = type_at + (a->type_size + round - 1) / round * round;
    const int64_t data_at = space_at + (a->space_size + round - 1) / round * round;
    a->name = (const char *)m->data + name_at;
    a->type = m->data + type_at;
    a->space = m->data + space_at;
    a->data = m->data + data_at;
    a->data_size = m->size - data_at;
    return name >= 1 && data_at <= m->size && memchr(a->name, 0, (size_t)name) != NULL;
}

/* 1 when there is one of this name */
static int find_attribute(Attribute *out, const HdfObject *o, const char *name)
{
    for (int i = 0; i < o->count; i++) {
        if (o->message[i].type == MESSAGE_ATTRIBUTE && cut_attribute(out, &o->message[i]) &&
            strcmp(out->name, name) == 0) {
            return 1;
        }
    }
    return 0;
}

int hdf_has_attribute(const HdfObject *o, const char *name)
{
    Attribute a = {0};
    return find_attribute(&a, o, name);
}

/* The attribute, if it is of this class and shape. rows: in: the most; out: found. */
static VslStatus open_attribute(Attribute *a, HdfType *type, int *rows, int columns, HdfClass kind, const HdfFile *f,
                                const HdfObject *o, const char *name)
{
    VslStatus st = VSL_OK;
    HdfSpace space = {0};
    const int most = *rows, rank = most == 0 ? 0 : columns == 0 ? 1 : 2;

    VSL_CHECK(find_attribute(a, o, name), VSL_E_FORMAT, "%s: lacks the attribute %s", vsl_path_text(f->path).text,
              name);
    VSL_TRY(hdf_parse_type(type, f, a->type, a->type_size, name));
    VSL_CHECK(type->kind == kind, VSL_E_FORMAT, "%s: the attribute %s is not %s", vsl_path_text(f->path).text, name,
              kind == HDF_TEXT      ? "a text of fixed length"
              : kind == HDF_INTEGER ? "of whole numbers"
                                    : "of floating-point numbers");
    VSL_TRY(hdf_parse_space(&space, f, a->space, a->space_size, name));
    VSL_CHECK(space.rank == rank, VSL_E_FORMAT, "%s: the attribute %s has rank %d, expected %d",
              vsl_path_text(f->path).text, name, space.rank, rank);
    VSL_CHECK((rank < 1 || space.n[0] <= most) && (rank < 2 || space.n[1] == columns), VSL_E_FORMAT,
              "%s: the attribute %s has %lld x %lld values, expected at most %d x %d", vsl_path_text(f->path).text,
              name, (long long)space.n[0], (long long)(rank < 2 ? 1 : space.n[1]), most, columns ? columns : 1);
    *rows = rank < 1 ? 1 : (int)space.n[0];
    VSL_CHECK(a->data_size >= (int64_t)*rows * (columns ? columns : 1) * type->size, VSL_E_FORMAT,
              "%s: the attribute %s ends too early", vsl_path_text(f->path).text, name);
out:
    return st;
}

/* The bits of one value, most significant first */
static uint64_t bits_of(const HdfType *t, const unsigned char *p)
{
    uint64_t value = 0;
    for (int i = 0; i < t->size; i++) {
        value = value << 8 | p[t->is_big ? i : t->size - 1 - i];
    }
    return value;
}

VslStatus hdf_get_doubles(double *out, int *rows, int most, int columns, const HdfFile *f, const HdfObject *o,
                          const char *name)
{
    VslStatus st = VSL_OK;
    Attribute a = {0};
    HdfType type = {0};
    int found = most;
    VSL_TRY(open_attribute(&a, &type, &found, columns, HDF_FLOAT, f, o, name));
    for (int64_t i = 0; i < (int64_t)found * (columns ? columns : 1); i++) {
        const uint64_t bits = bits_of(&type, a.data + i * type.size);
        const uint32_t low = (uint32_t)bits;
        float single;
        memcpy(&single, &low, sizeof single);
        memcpy(&out[i], &bits, sizeof *out);
        out[i] = type.size == 4 ? (double)single : out[i];
    }
    *rows = found;
out:
    return st;
}

VslStatus hdf_get_integers(int64_t *out, int rows, const HdfFile *f, const HdfObject *o, const char *name)
{
    VslStatus st = VSL_OK;
    Attribute a = {0};
    HdfType type = {0};
    int found = rows;
    VSL_TRY(open_attribute(&a, &type, &found, 0, HDF_INTEGER, f, o, name));
    VSL_CHECK(found == (rows ? rows : 1), VSL_E_FORMAT, "%s: the attribute %s has %d values, expected %d",
              vsl_path_text(f->path).text, name, found, rows);
    for (int64_t i = 0; i < found; i++) {
        uint64_t bits = bits_of(&type, a.data + i * type.size);
        const uint64_t sign = (uint64_t)1 << (8 * type.size - 1);
        if (type.is_signed && type.size < 8 && (bits & sign)) {
            bits |= ~(2 * sign - 1);
        }
        VSL_CHECK(type.is_signed || bits <= INT64_MAX, VSL_E_FORMAT, "%s: the attribute %s is too large",
                  vsl_path_text(f->path).text, name);
        memcpy(&out[i], &bits, sizeof *out);
    }
out:
    return st;
}

VslStatus hdf_get_text(char out[HDF_TEXT_ROOM], const HdfFile *f, const HdfObject *o, const char *name)
{
    VslStatus st = VSL_OK;
    Attribute a = {0};
    HdfType type = {0};
    int rows = 0;
    VSL_TRY(open_attribute(&a, &type, &rows, 0, HDF_TEXT, f, o, name));
    memset(out, 0, HDF_TEXT_ROOM);
    memcpy(out, a.data, (size_t)(type.size < HDF_TEXT_ROOM ? type.size : HDF_TEXT_ROOM - 1));
    for (size_t end = strlen(out); end > 0 && out[end - 1] == ' '; end--) {
        out[end - 1] = 0; /* Fortran pads with blanks */
    }
out:
    return st;
}
