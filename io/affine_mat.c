/* MATLAB level-4 files as ITK and ANTs write transforms: two real column vectors, the first named by the transform's
 * type and holding its parameters, the second named "fixed".
 *
 * Each starts with five 32-bit integers: type (1000 b + 10 p: b = 1 for big-endian, p = 0 for double, 1 for single),
 * rows, columns, imaginary flag, length of the name with its final zero. Then the name and the values. */
#include "io/affine_private.h"

#include <string.h>

#include "io/path.h"

enum { HEAD = 20, TYPE_BIG = 1000, TYPE_SINGLE = 10 };

typedef struct MatReader {
    const unsigned char *bytes;
    int64_t count, at;
    int is_big;
    const char *path;
} MatReader;

static uint64_t unpack(const unsigned char *p, int size, int is_big)
{
    uint64_t value = 0;
    for (int i = 0; i < size; i++) {
        value = value << 8 | p[is_big ? i : size - 1 - i];
    }
    return value;
}

int affine_looks_like_mat(const unsigned char *bytes, int64_t count)
{
    if (count < 4) {
        return 0;
    }
    const uint64_t little = unpack(bytes, 4, 0), big = unpack(bytes, 4, 1);
    return little == 0 || little == TYPE_SINGLE || big == TYPE_BIG || big == TYPE_BIG + TYPE_SINGLE;
}

static double to_double(const unsigned char *p, int is_single, int is_big)
{
    const uint64_t bits = unpack(p, is_single ? 4 : 8, is_big);
    double value;
    float single;
    const uint32_t low = (uint32_t)bits;
    memcpy(&value, &bits, sizeof value);
    memcpy(&single, &low, sizeof single);
    return is_single ? (double)single : value;
}

static VslStatus read_vector(MatReader *r, char name[ITK_NAME_ROOM], double value[ITK_MOST_PARAMETERS], int *count)
{
    VslStatus st = VSL_OK;
    const char *shown = r->path;
    VSL_CHECK(r->count - r->at >= HEAD, VSL_E_FORMAT, "%s: ends after %lld bytes inside a header of MATLAB level 4",
              vsl_path_text(shown).text, (long long)r->count);
    const unsigned char *head = r->bytes + r->at;
    uint64_t field[5];
    for (int64_t i = 0; i < 5; i++) {
        field[i] = unpack(head + 4 * i, 4, r->is_big);
    }
    const uint64_t type = field[0] - (r->is_big ? TYPE_BIG : 0);
    VSL_CHECK(type == 0 || type == TYPE_SINGLE, VSL_E_FORMAT,
              "%s: has a MATLAB level-4 matrix of type %llu, expected real numbers in double or single precision",
              vsl_path_text(shown).text, (unsigned long long)field[0]);
    VSL_CHECK(field[1] <= ITK_MOST_PARAMETERS && field[2] == 1 && field[3] == 0, VSL_E_FORMAT,
              "%s: has a MATLAB level-4 matrix of %llu x %llu%s, expected one real column of at most %d numbers",
              vsl_path_text(shown).text, (unsigned long long)field[1], (unsigned long long)field[2],
              field[3] ? " complex numbers" : "", ITK_MOST_PARAMETERS);
    VSL_CHECK(field[4] >= 2 && field[4] <= ITK_NAME_ROOM, VSL_E_FORMAT,
              "%s: has a name of %llu bytes, expected 2 to %d", vsl_path_text(shown).text, (unsigned long long)field[4],
              ITK_NAME_ROOM);
    const int64_t size = type == TYPE_SINGLE ? 4 : 8;
    const int64_t rows = (int64_t)field[1], letters = (int64_t)field[4];
    VSL_CHECK(r->count - r->at - HEAD >= letters + rows * size, VSL_E_FORMAT,
              "%s: ends after %lld bytes, expected at least %lld", vsl_path_text(shown).text, (long long)r->count,
              (long long)(r->at + HEAD + letters + rows * size));
    const char *found = (const char *)head + HEAD;
    VSL_CHECK(found[letters - 1] == 0 && (int64_t)strlen(found) == letters - 1, VSL_E_FORMAT,
              "%s: has a name of %lld bytes that is not one word ending with a zero", vsl_path_text(shown).text,
              (long long)letters);
    memcpy(name, found, (size_t)letters);
    for (int64_t i = 0; i < rows; i++) {
        value[i] = to_double(head + HEAD + letters + i * size, type == TYPE_SINGLE, r->is_big);
    }
    *count = (int)rows;
    r->at += HEAD + letters + rows * size;
out:
    return st;
}

VslStatus affine_parse_mat(VslAffine *out, const unsigned char *bytes, int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    ItkTransform t = {0};
    char name[ITK_NAME_ROOM];
    MatReader r = {bytes, count, 0, count >= 4 && unpack(bytes, 4, 1) >= TYPE_BIG && unpack(bytes, 4, 0) > TYPE_BIG,
                   path};

    VSL_TRY(read_vector(&r, t.type, t.parameter, &t.parameters));
    VSL_CHECK(strncmp(t.type, "CompositeTransform_", 19) != 0, VSL_E_UNSUPPORTED,
              "%s: holds a composite transform; this form of file keeps only its last member, write it as .txt or "
              "one file per member",
              vsl_path_text(path).text);
    VSL_TRY(read_vector(&r, name, t.fixed, &t.fixed_parameters));
    VSL_CHECK(strcmp(name, "fixed") == 0, VSL_E_FORMAT,
              "%s: the second vector is named '%s', expected 'fixed' (the parameters of the centre)",
              vsl_path_text(path).text, vsl_path_text(name).text);
    VSL_CHECK(r.at == count, VSL_E_UNSUPPORTED, "%s: has %lld more bytes after its first transform, expected one",
              vsl_path_text(path).text, (long long)(count - r.at));
    VSL_TRY(itk_to_ras(out, &t, path));
out:
    return st;
}

static int put(unsigned char *out, uint64_t value, int size)
{
    for (int i = 0; i < size; i++) {
        out[i] = (unsigned char)(value >> (8 * i));
    }
    return size;
}

static int put_vector(unsigned char *out, const char *name, const double *value, int count)
{
    const int letters = (int)strlen(name) + 1;
    const uint64_t head[5] = {0, (uint64_t)count, 1, 0, (uint64_t)letters};
    int at = 0;
    for (int i = 0; i < 5; i++) {
        at += put(out + at, head[i], 4);
    }
    memcpy(out + at, name, (size_t)letters);
    at += letters;
    for (int i = 0; i < count; i++) {
        uint64_t bits;
        memcpy(&bits, &value[i], sizeof bits);
        at += put(out + at, bits, 8);
    }
    return at;
}

int affine_format_mat(unsigned char out[AFFINE_FILE_ROOM], const ItkTransform *t)
{
    const int at = put_vector(out, t->type, t->parameter, t->parameters);
    return at + put_vector(out + at, "fixed", t->fixed, t->fixed_parameters);
}
