/* The safetensors format (github.com/huggingface/safetensors, README "Format"): a little-endian 64-bit header length,
 * that many bytes of JSON, then the values, one range after the other without gaps. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include <jansson.h>

#include "core/memory.h"
#include "io/path.h"
#include "io/weights_private.h"

enum { PREFIX = 8, MOST_HEADER = 100000000, MOST_WEIGHTS = 10000 };

typedef struct Magic {
    int at, length;
    const char *bytes, *what;
} Magic;

/* First bytes of what is met under the name of a weight file. */
static const Magic magics[] = {
    {0, 4, "PK\3\4", "a zip archive, as PyTorch and TorchScript write; loading one can run code"},
    {0, 4, "PK\5\6", "a zip archive, as PyTorch and TorchScript write; loading one can run code"},
    {0, 2, "\x80\2", "a Python pickle; loading one can run code"},
    {0, 2, "\x80\3", "a Python pickle; loading one can run code"},
    {0, 2, "\x80\4", "a Python pickle; loading one can run code"},
    {0, 2, "\x80\5", "a Python pickle; loading one can run code"},
    {0, 4, "(dp0", "a Python pickle; loading one can run code"},
    {0, 4, "(lp0", "a Python pickle; loading one can run code"},
    {0, 13, "ccopy_reg\n_re", "a Python pickle; loading one can run code"},
    {0, 6, "\x93NUMPY", "a NumPy array"},
    {0, 2, "\x1f\x8b", "gzip"},
    {0, 4, "GGUF", "a GGUF file"},
    {4, 4, "TFL3", "a TensorFlow Lite file"},
    {0, 2, "#!", "a script"},
    {0, 4, "\x7f\x45LF", "a program"},
    {257, 5, "ustar", "a tar archive"},
};

static uint64_t little(const unsigned char *p, int size)
{
    uint64_t value = 0;
    while (size-- > 0) {
        value = value << 8 | p[size];
    }
    return value;
}

VslStatus safetensors_check_front(const unsigned char *bytes, int64_t front, int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(front > PREFIX, VSL_E_FORMAT, "%s: has %lld bytes, expected a safetensors file of at least %d",
              vsl_path_text(path).text, (long long)count, PREFIX + 2);
    const uint64_t header = little(bytes, PREFIX);
    /* Two bytes of magic can be those of a length too: then '{' follows the length. */
    const int is_other = header > MOST_HEADER || bytes[PREFIX] != '{';
    for (size_t i = 0; i < sizeof magics / sizeof *magics && is_other; i++) {
        const Magic *m = &magics[i];
        VSL_CHECK(m->at + m->length > front || memcmp(bytes + m->at, m->bytes, (size_t)m->length) != 0,
                  VSL_E_UNSUPPORTED, "%s: is %s; expected weights as safetensors or HDF5", vsl_path_text(path).text,
                  m->what);
    }
    VSL_CHECK(header <= MOST_HEADER, VSL_E_FORMAT,
              "%s: states a header of %llu bytes, expected at most %d (or it is no safetensors file)",
              vsl_path_text(path).text, (unsigned long long)header, MOST_HEADER);
    VSL_CHECK(header >= 2 && (int64_t)header <= count - PREFIX, VSL_E_FORMAT,
              "%s: states a header of %llu bytes in a file of %lld", vsl_path_text(path).text,
              (unsigned long long)header, (long long)count);
    VSL_CHECK(bytes[PREFIX] == '{', VSL_E_FORMAT, "%s: its header begins with the byte %02x, expected '{'",
              vsl_path_text(path).text, bytes[PREFIX]);
out:
    return st;
}

typedef struct Entry {
    const char *name; /* of the JSON tree */
    int kind, rank;
    int64_t n[VSL_WEIGHT_RANK], count;
    int64_t begin, end; /* bytes after the header */
} Entry;

typedef struct Kind {
    const char *name;
    int bytes;
    int is_read;
} Kind;

static const Kind kinds[] = {
    {"F32", 4, 1}, {"F16", 2, 1}, {"BF16", 2, 1}, {"F64", 8, 1}, {"I64", 8, 0},
    {"I32", 4, 0}, {"I16", 2, 0}, {"I8", 1, 0},   {"U8", 1, 0},  {"BOOL", 1, 0},
};

static VslStatus take_kind(Entry *e, const json_t *value, const char *path)
{
    VslStatus st = VSL_OK;
    const char *text = json_string_value(value);
    VSL_CHECK(text, VSL_E_FORMAT, "%s: '%s' has no dtype", vsl_path_text(path).text, vsl_path_text(e->name).text);
    for (e->kind = 0; e->kind < (int)(sizeof kinds / sizeof *kinds); e->kind++) {
        if (strcmp(kinds[e->kind].name, text) == 0) {
            VSL_CHECK(kinds[e->kind].is_read, VSL_E_UNSUPPORTED,
                      "%s: '%s' holds whole numbers (%s), expected F32, F16, BF16 or F64", vsl_path_text(path).text,
                      vsl_path_text(e->name).text, text);
            return VSL_OK;
        }
    }
    VSL_CHECK(0, VSL_E_FORMAT, "%s: '%s' has the unknown dtype '%s', expected F32, F16, BF16 or F64",
              vsl_path_text(path).text, vsl_path_text(e->name).text, vsl_path_text(text).text);
out:
    return st;
}

static VslStatus take_shape(Entry *e, const json_t *value, const char *path)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(json_is_array(value), VSL_E_FORMAT, "%s: '%s' has no shape", vsl_path_text(path).text,
              vsl_path_text(e->name).text);
    VSL_CHECK(json_array_size(value) <= VSL_WEIGHT_RANK, VSL_E_FORMAT, "%s: '%s' has rank %zu, expected at most %d",
              vsl_path_text(path).text, vsl_path_text(e->name).text, json_array_size(value), VSL_WEIGHT_RANK);
    e->rank = (int)json_array_size(value);
    e->count = 1;
    for (int d = 0; d < e->rank; d++) {
        const json_t *n = json_array_get(value, (size_t)d);
        VSL_CHECK(json_is_integer(n) && json_integer_value(n) >= 1, VSL_E_FORMAT,
                  "%s: extent %d of '%s' is not a whole number of at least 1", vsl_path_text(path).text, d,
                  vsl_path_text(e->name).text);
        e->n[d] = json_integer_value(n);
        VSL_CHECK(vsl_mul_ok(e->count, e->n[d], &e->count), VSL_E_FORMAT,
                  "%s: '%s' has the shape %s, more values than can be counted", vsl_path_text(path).text,
                  vsl_path_text(e->name).text, vsl_shape_text(d + 1, e->n).text);
    }
out:
    return st;
}

static VslStatus take_range(Entry *e, const json_t *value, int64_t room, const char *path)
{
    VslStatus st = VSL_OK;
    int64_t bytes = 0;
    const json_t *begin = json_array_get(value, 0), *end = json_array_get(value, 1);
    VSL_CHECK(json_array_size(value) == 2 && json_is_integer(begin) && json_is_integer(end), VSL_E_FORMAT,
              "%s: '%s' has no data_offsets of two whole numbers", vsl_path_text(path).text,
              vsl_path_text(e->name).text);
    e->begin = json_integer_value(begin);
    e->end = json_integer_value(end);
    VSL_CHECK(e->begin >= 0 && e->begin <= e->end, VSL_E_FORMAT,
              "%s: '%s' lies from byte %lld to %lld, expected an end after its beginning", vsl_path_text(path).text,
              vsl_path_text(e->name).text, (long long)e->begin, (long long)e->end);
    VSL_CHECK(e->end <= room, VSL_E_FORMAT, "%s: '%s' ends at byte %lld of %lld after the header",
              vsl_path_text(path).text, vsl_path_text(e->name).text, (long long)e->end, (long long)room);
    VSL_CHECK(vsl_mul_ok(e->count, kinds[e->kind].bytes, &bytes) && bytes == e->end - e->begin, VSL_E_FORMAT,
              "%s: '%s' has the shape %s of %s in %lld bytes", vsl_path_text(path).text, vsl_path_text(e->name).text,
              vsl_shape_text(e->rank, e->n).text, kinds[e->kind].name, (long long)(e->end - e->begin));
out:
    return st;
}

static VslStatus take_entry(Entry *e, const char *name, json_t *value, int64_t room, const char *path)
{
    VslStatus st = VSL_OK;
    const char *key;
    json_t *part;
    *e = (Entry){.name = name};
    VSL_CHECK(name[0] && strlen(name) < VSL_WEIGHT_NAME, VSL_E_FORMAT,
              "%s: a tensor's name has %zu bytes, expected 1 to %d", vsl_path_text(path).text, strlen(name),
              VSL_WEIGHT_NAME - 1);
    VSL_CHECK(json_is_object(value), VSL_E_FORMAT, "%s: '%s' is not described by an object", vsl_path_text(path).text,
              vsl_path_text(name).text);
    json_object_foreach(value, key, part)
    {
        VSL_CHECK(strcmp(key, "dtype") == 0 || strcmp(key, "shape") == 0 || strcmp(key, "data_offsets") == 0,
                  VSL_E_FORMAT, "%s: '%s' has the unknown key '%s', expected dtype, shape and data_offsets",
                  vsl_path_text(path).text, vsl_path_text(name).text, vsl_path_text(key).text);
    }
    VSL_TRY(take_kind(e, json_object_get(value, "dtype"), path));
    VSL_TRY(take_shape(e, json_object_get(value, "shape"), path));
    VSL_TRY(take_range(e, json_object_get(value, "data_offsets"), room, path));
out:
    return st;
}

static VslStatus take_notes(VslWeights *w, const json_t *notes, const char *path)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(json_is_object(notes) && json_object_size(notes) <= MOST_WEIGHTS, VSL_E_FORMAT,
              "%s: __metadata__ is not an object of at most %d texts", vsl_path_text(path).text, MOST_WEIGHTS);
    for (void *at = json_object_iter((json_t *)notes); at; at = json_object_iter_next((json_t *)notes, at)) {
        const char *key = json_object_iter_key(at), *value = json_string_value(json_object_iter_value(at));
        VSL_CHECK(value, VSL_E_FORMAT, "%s: '%s' of __metadata__ is not a text", vsl_path_text(path).text,
                  vsl_path_text(key).text);
        VSL_TRY(vsl_weights_put_note(w, key, value));
    }
out:
    return st;
}

static int by_begin(const void *a, const void *b)
{
    const Entry *x = a, *y = b;
    return (x->begin > y->begin) - (x->begin < y->begin);
}

/* The ranges must fill the file from the header to its end. */
static VslStatus check_ranges(const Entry *entry, int64_t entries, int64_t room, const char *path)
{
    VslStatus st = VSL_OK;
    Entry *sorted = NULL;
    int64_t at = 0;
    VSL_TRY(VSL_NEW(&sorted, entries + 1, "safetensors ranges"));
    if (entries > 0) {
        memcpy(sorted, entry, (size_t)entries * sizeof *entry);
        qsort(sorted, (size_t)entries, sizeof *sorted, by_begin);
    }
    for (int64_t i = 0; i < entries; i++) {
        VSL_CHECK(sorted[i].begin >= at, VSL_E_FORMAT, "%s: '%s' begins at byte %lld, inside '%s'",
                  vsl_path_text(path).text, vsl_path_text(sorted[i].name).text, (long long)sorted[i].begin,
                  vsl_path_text(sorted[i ? i - 1 : 0].name).text);
        VSL_CHECK(sorted[i].begin == at, VSL_E_FORMAT, "%s: %lld bytes before '%s' belong to no tensor",
                  vsl_path_text(path).text, (long long)(sorted[i].begin - at), vsl_path_text(sorted[i].name).text);
        at = sorted[i].end;
    }
    VSL_CHECK(at == room, VSL_E_FORMAT, "%s: %lld bytes at its end belong to no tensor", vsl_path_text(path).text,
              (long long)(room - at));
out:
    vsl_free(sorted);
    return st;
}

static float from_half(uint32_t bits)
{
    const uint32_t exponent = bits >> 10 & 31, mantissa = bits & 1023;
    const double value = exponent == 0    ? ldexp((double)mantissa, -24)
                         : exponent == 31 ? (mantissa ? (double)NAN : (double)INFINITY)
                                          : ldexp(1024.0 + (double)mantissa, (int)exponent - 25);
    return (float)(bits >> 15 ? -value : value);
}

static float decode(int kind, const unsigned char *p)
{
    const uint64_t bits = little(p, kinds[kind].bytes);
    const uint32_t low = (uint32_t)bits;
    float single;
    double twice;
    switch (kind) {
    case 1: return from_half(low);
    case 2: {
        const uint32_t wide = low << 16;
        memcpy(&single, &wide, sizeof single);
        return single;
    }
    case 3: memcpy(&twice, &bits, sizeof twice); return (float)twice;
    default: memcpy(&single, &low, sizeof single); return single;
    }
}

static VslStatus take_values(VslWeights *w, const Entry *e, const unsigned char *values, const char *path)
{
    VslStatus st = VSL_OK;
    float *data = NULL;
    const int size = kinds[e->kind].bytes;
    VSL_TRY(vsl_weights_add(w, e->name, e->rank, e->n, &data));
    for (int64_t i = 0; i < e->count; i++) {
        data[i] = decode(e->kind, values + e->begin + i * size);
        VSL_CHECK(isfinite(data[i]), VSL_E_FORMAT, "%s: value %lld of '%s' is %s, expected finite weights",
                  vsl_path_text(path).text, (long long)i, vsl_path_text(e->name).text,
                  isnan(data[i]) ? "not a number" : "infinite, or too large for 32 bits");
    }
out:
    return st;
}

int64_t safetensors_header_bytes(const unsigned char *bytes)
{
    return PREFIX + (int64_t)little(bytes, PREFIX);
}

typedef struct Header {
    json_t *tree; /* names of the entries live in it */
    Entry *entry;
    int64_t entries, bytes; /* bytes: from the file's beginning to its first value */
} Header;

static void free_header(Header *h)
{
    json_decref(h->tree);
    vsl_free(h->entry);
    *h = (Header){0};
}

/* bytes: the first `held` of a file of `count`, with all of the header. Free with free_header in any case. */
static VslStatus read_header(Header *h, VslWeights *notes, const unsigned char *bytes, int64_t held, int64_t count,
                             const char *path)
{
    VslStatus st = VSL_OK;
    json_error_t error;
    const char *name;
    json_t *value;

    VSL_TRY(safetensors_check_front(bytes, held, count, path));
    h->bytes = safetensors_header_bytes(bytes);
    VSL_CHECK(h->bytes <= held, VSL_E_FORMAT, "%s: became shorter while it was read", vsl_path_text(path).text);
    const int64_t room = count - h->bytes;
    h->tree = json_loadb((const char *)bytes + PREFIX, (size_t)(h->bytes - PREFIX), JSON_REJECT_DUPLICATES, &error);
    VSL_CHECK(h->tree && json_is_object(h->tree), VSL_E_FORMAT, "%s: its header is not sound JSON: %s",
              vsl_path_text(path).text, h->tree ? "not an object" : error.text);
    VSL_CHECK(json_object_size(h->tree) <= MOST_WEIGHTS + 1, VSL_E_FORMAT, "%s: has %zu tensors, expected at most %d",
              vsl_path_text(path).text, json_object_size(h->tree), MOST_WEIGHTS);
    VSL_TRY(VSL_NEW(&h->entry, json_object_size(h->tree) + 1, "safetensors header"));
    json_object_foreach(h->tree, name, value)
    {
        if (strcmp(name, "__metadata__") == 0) {
            VSL_TRY(take_notes(notes, value, path));
        } else {
            VSL_TRY(take_entry(&h->entry[h->entries], name, value, room, path));
            h->entries++;
        }
    }
    VSL_TRY(check_ranges(h->entry, h->entries, room, path));
out:
    return st;
}

VslStatus safetensors_check(const unsigned char *bytes, int64_t held, int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    VslWeights notes = {0};
    Header h = {0};
    VSL_TRY(read_header(&h, &notes, bytes, held, count, path));
out:
    free_header(&h);
    vsl_weights_free(&notes);
    return st;
}

VslStatus safetensors_parse(VslWeights *out, const unsigned char *bytes, int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    VslWeights w = {0};
    Header h = {0};
    VSL_TRY(read_header(&h, &w, bytes, count, count, path));
    for (int64_t i = 0; i < h.entries; i++) {
        VSL_TRY(take_values(&w, &h.entry[i], bytes + h.bytes, path));
    }
    vsl_weights_move(out, &w);
out:
    free_header(&h);
    vsl_weights_free(&w);
    return st;
}

static VslStatus make_header(char **out, size_t *size, const VslWeights *w)
{
    VslStatus st = VSL_OK;
    json_t *tree = json_object(), *notes = json_object();
    int64_t at = 0;
    int is_good = tree && notes;
    for (int64_t i = 0; i < w->notes; i++) {
        is_good = is_good && json_object_set_new(notes, w->note[i].key, json_string(w->note[i].value)) == 0;
    }
    if (is_good && w->notes > 0) {
        is_good = json_object_set(tree, "__metadata__", notes) == 0;
    }
    for (int64_t i = 0; i < w->count && is_good; i++) {
        const VslWeight *item = &w->item[i];
        json_t *shape = json_array();
        for (int d = 0; d < item->rank; d++) {
            is_good = is_good && json_array_append_new(shape, json_integer(item->n[d])) == 0;
        }
        json_t *entry = json_pack("{s:s,s:o,s:[I,I]}", "dtype", "F32", "shape", shape, "data_offsets", (json_int_t)at,
                                  (json_int_t)(at + 4 * item->count));
        is_good = is_good && json_object_set_new(tree, item->name, entry) == 0;
        at += 4 * item->count;
    }
    *out = is_good ? json_dumps(tree, JSON_COMPACT) : NULL;
    VSL_CHECK(*out, VSL_E_ARG, "the names or notes of the weights cannot be written as JSON: they are not UTF-8");
    *size = strlen(*out);
out:
    json_decref(notes);
    json_decref(tree);
    return st;
}

VslStatus safetensors_serialise(char **out, int64_t *count, const VslWeights *w)
{
    VslStatus st = VSL_OK;
    char *header = NULL, *bytes = NULL;
    size_t length = 0;
    int64_t values = 0;

    VSL_TRY(make_header(&header, &length, w));
    const size_t padded = (length + 7) / 8 * 8; /* the values begin at a multiple of eight bytes, as others expect */
    for (int64_t i = 0; i < w->count; i++) {
        values += w->item[i].count;
    }
    VSL_TRY(VSL_NEW(&bytes, PREFIX + (int64_t)padded + 4 * values, "safetensors file"));
    for (int i = 0; i < PREFIX; i++) {
        bytes[i] = (char)(unsigned char)((uint64_t)padded >> 8 * i);
    }
    memcpy(bytes + PREFIX, header, length);
    memset(bytes + PREFIX + length, ' ', padded - length);
    unsigned char *at = (unsigned char *)bytes + PREFIX + padded;
    for (int64_t i = 0; i < w->count; i++) {
        for (int64_t k = 0; k < w->item[i].count; k++, at += 4) {
            uint32_t bits;
            memcpy(&bits, &w->item[i].data[k], 4);
            for (int b = 0; b < 4; b++) {
                at[b] = (unsigned char)(bits >> 8 * b);
            }
        }
    }
    *out = bytes;
    *count = PREFIX + (int64_t)padded + 4 * values;
    bytes = NULL;
out:
    free(header); /* of jansson */
    vsl_free(bytes);
    return st;
}
