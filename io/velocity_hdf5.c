/* The HDF5 library behind a narrow door.
 *
 * A foreign file is hostile: beyond the metadata that only the library can walk, nothing of it is trusted. Voxels are
 * taken from the file's bytes at the addresses that the library names, and unpacked here into buffers of known size,
 * because the library's own gzip filter inflates without bound. */
#include "io/velocity_private.h"

#include <pthread.h>
#include <string.h>

#include <zlib.h>

#include "core/memory.h"
#include "io/path.h"

enum { ATTRIBUTE_MOST_BYTES = 64 * 1024, CHUNK_BYTES = 4 << 20, GZIP_LEVEL = 4 };

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
/* The core driver wants a name that does not exist; nothing can lie below a device. */
static const char no_file[] = "/dev/null/vesal";

void hdf_enter(HdfState *state)
{
    pthread_mutex_lock(&lock);
    *state = (HdfState){0};
    H5Eget_auto2(H5E_DEFAULT, &state->print, &state->print_data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL);
    H5PLget_loading_state(&state->plugins);
    H5PLset_loading_state(0);
}

void hdf_leave(const HdfState *state)
{
    H5PLset_loading_state(state->plugins);
    H5Eset_auto2(H5E_DEFAULT, state->print, state->print_data);
    pthread_mutex_unlock(&lock);
}

/* Access to a file that lives in memory only */
static hid_t memory_access(void)
{
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    if (access >= 0 && H5Pset_fapl_core(access, 1 << 20, 0) < 0) {
        H5Pclose(access);
        return -1;
    }
    return access;
}

VslStatus hdf_create(hid_t *file)
{
    VslStatus st = VSL_OK;
    const hid_t access = memory_access();
    const hid_t own = access < 0 ? -1 : H5Fcreate(no_file, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    if (access >= 0) {
        H5Pclose(access);
    }
    VSL_CHECK(own >= 0, VSL_E_EXTERNAL, "the HDF5 library cannot make a file in memory");
    *file = own;
out:
    return st;
}

VslStatus hdf_image(char **out, int64_t *count, hid_t file)
{
    VslStatus st = VSL_OK;
    char *bytes = NULL;
    const ssize_t size = H5Fflush(file, H5F_SCOPE_GLOBAL) < 0 ? -1 : H5Fget_file_image(file, NULL, 0);
    VSL_CHECK(size > 0, VSL_E_EXTERNAL, "the HDF5 library cannot give out the file that it made");
    VSL_TRY(VSL_NEW(&bytes, size, "HDF5 file"));
    VSL_CHECK(H5Fget_file_image(file, bytes, (size_t)size) == size, VSL_E_EXTERNAL,
              "the HDF5 library cannot give out the file that it made");
    *out = bytes;
    *count = size;
    bytes = NULL;
out:
    vsl_free(bytes);
    return st;
}

VslStatus hdf_put_floats(hid_t *dataset, hid_t file, const char *name, const float *data, const int64_t n[HDF_RANK])
{
    VslStatus st = VSL_OK;
    const hsize_t size[HDF_RANK] = {(hsize_t)n[0], (hsize_t)n[1], (hsize_t)n[2], (hsize_t)n[3]};
    const int64_t plane = n[2] * n[3] * 4, planes = plane < CHUNK_BYTES ? CHUNK_BYTES / plane : 1;
    const hsize_t chunk[HDF_RANK] = {1, (hsize_t)(planes < n[1] ? planes : n[1]), size[2], size[3]};
    const hid_t space = H5Screate_simple(HDF_RANK, size, NULL), how = H5Pcreate(H5P_DATASET_CREATE);
    hid_t own = -1;

    VSL_CHECK(space >= 0 && how >= 0 && H5Pset_obj_track_times(how, 0) >= 0 &&
                  H5Pset_chunk(how, HDF_RANK, chunk) >= 0 && H5Pset_shuffle(how) >= 0 &&
                  H5Pset_deflate(how, GZIP_LEVEL) >= 0 && H5Pset_fletcher32(how) >= 0,
              VSL_E_EXTERNAL, "the HDF5 library lacks gzip, shuffle or fletcher32");
    own = H5Dcreate2(file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
    VSL_CHECK(own >= 0 && H5Dwrite(own, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0, VSL_E_EXTERNAL,
              "the HDF5 library cannot store /%s", name);
    *dataset = own;
    own = -1;
out:
    if (own >= 0) {
        H5Dclose(own);
    }
    if (how >= 0) {
        H5Pclose(how);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    return st;
}

static VslStatus put_attribute(hid_t at, const char *name, hid_t stored, hid_t given, const void *value, int rows,
                               int columns)
{
    VslStatus st = VSL_OK;
    const hsize_t size[2] = {(hsize_t)rows, (hsize_t)columns};
    const hid_t space = rows ? H5Screate_simple(columns ? 2 : 1, size, NULL) : H5Screate(H5S_SCALAR);
    const hid_t attribute = space < 0 ? -1 : H5Acreate2(at, name, stored, space, H5P_DEFAULT, H5P_DEFAULT);
    VSL_CHECK(attribute >= 0 && H5Awrite(attribute, given, value) >= 0, VSL_E_EXTERNAL,
              "the HDF5 library cannot store the attribute %s", name);
out:
    if (attribute >= 0) {
        H5Aclose(attribute);
    }
    if (space >= 0) {
        H5Sclose(space);
    }
    return st;
}

VslStatus hdf_put_doubles(hid_t at, const char *name, const double *value, int rows, int columns)
{
    return put_attribute(at, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, value, rows, columns);
}

VslStatus hdf_put_integers(hid_t at, const char *name, const int64_t *value, int rows)
{
    return put_attribute(at, name, H5T_STD_I64LE, H5T_NATIVE_INT64, value, rows, 0);
}

VslStatus hdf_put_text(hid_t at, const char *name, const char *value)
{
    VslStatus st = VSL_OK;
    const hid_t type = H5Tcopy(H5T_C_S1);
    VSL_CHECK(type >= 0 && H5Tset_size(type, strlen(value) + 1) >= 0, VSL_E_EXTERNAL,
              "the HDF5 library cannot store the attribute %s", name);
    VSL_TRY(put_attribute(at, name, type, type, value, 0, 0));
out:
    if (type >= 0) {
        H5Tclose(type);
    }
    return st;
}

static uint64_t little(const unsigned char *p, int size)
{
    uint64_t value = 0;
    while (size-- > 0) {
        value = value << 8 | p[size];
    }
    return value;
}

/* Signature at the front, addresses of 8 bytes, no driver block, an end of file that the file reaches. */
static VslStatus check_superblock(const unsigned char *b, int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(count >= 96 && memcmp(b, "\211HDF\r\n\032\n", 8) == 0, VSL_E_FORMAT,
              "%s: is not an HDF5 file, expected one as 'vesal register' writes", vsl_path_text(path).text);
    const int version = b[8];
    VSL_CHECK(version <= 3, VSL_E_UNSUPPORTED, "%s: has an HDF5 superblock of version %d, expected 0 to 3",
              vsl_path_text(path).text, version);
    const unsigned char *sizes = version < 2 ? b + 13 : b + 9;
    VSL_CHECK(sizes[0] == 8 && sizes[1] == 8, VSL_E_UNSUPPORTED,
              "%s: has HDF5 addresses of %d and lengths of %d bytes, expected 8", vsl_path_text(path).text, sizes[0],
              sizes[1]);
    const unsigned char *addresses = version == 0 ? b + 24 : version == 1 ? b + 28 : b + 12;
    const uint64_t base = little(addresses, 8), end = little(addresses + 16, 8);
    VSL_CHECK(base == 0, VSL_E_UNSUPPORTED, "%s: has an HDF5 base address of %llu, expected 0",
              vsl_path_text(path).text, (unsigned long long)base);
    VSL_CHECK(end <= (uint64_t)count, VSL_E_FORMAT, "%s: has %lld bytes of HDF5, expected %llu: it was cut short",
              vsl_path_text(path).text, (long long)count, (unsigned long long)end);
    VSL_CHECK(version >= 2 || little(addresses + 24, 8) == UINT64_MAX, VSL_E_UNSUPPORTED,
              "%s: asks for an HDF5 file driver of its own, expected one plain file", vsl_path_text(path).text);
out:
    return st;
}

VslStatus hdf_open(hid_t *file, const char *bytes, int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    hid_t access = -1;
    const int64_t budget = vsl_memory_budget();

    VSL_TRY(check_superblock((const unsigned char *)bytes, count, path));
    /* the library takes a copy that our accounts do not see */
    VSL_CHECK(budget == 0 || vsl_memory_now() + count <= budget, VSL_E_NOMEM,
              "%s: %.1f MB more would exceed the memory budget of %.1f MB", vsl_path_text(path).text,
              (double)count / 1e6, (double)budget / 1e6);
    access = memory_access();
    VSL_CHECK(access >= 0 && H5Pset_file_image(access, (void *)(uintptr_t)bytes, (size_t)count) >= 0, VSL_E_NOMEM,
              "%s: the HDF5 library cannot hold a copy of it", vsl_path_text(path).text);
    const hid_t own = H5Fopen(no_file, H5F_ACC_RDONLY, access);
    VSL_CHECK(own >= 0, VSL_E_FORMAT, "%s: the HDF5 library cannot make sense of it", vsl_path_text(path).text);
    *file = own;
out:
    if (access >= 0) {
        H5Pclose(access);
    }
    return st;
}

static VslStatus check_storage(hid_t dataset, const char *name, const char *path)
{
    VslStatus st = VSL_OK;
    const hid_t how = H5Dget_create_plist(dataset);
    VSL_CHECK(how >= 0, VSL_E_FORMAT, "%s: /%s has no readable storage description", vsl_path_text(path).text, name);
    const H5D_layout_t layout = H5Pget_layout(how);
    VSL_CHECK(layout == H5D_CONTIGUOUS || layout == H5D_CHUNKED, VSL_E_UNSUPPORTED,
              "%s: /%s is stored %s, expected chunks or one block", vsl_path_text(path).text, name,
              layout == H5D_VIRTUAL ? "as a virtual dataset over other files" : "in its header");
    VSL_CHECK(H5Pget_external_count(how) == 0, VSL_E_UNSUPPORTED,
              "%s: /%s keeps its values in other files, expected all in one", vsl_path_text(path).text, name);
    const int filters = H5Pget_nfilters(how);
    VSL_CHECK(filters >= 0 && filters <= 3, VSL_E_UNSUPPORTED, "%s: /%s has %d filters, expected at most 3",
              vsl_path_text(path).text, name, filters);
    for (int i = 0; i < filters; i++) {
        unsigned flags, config, values[8];
        size_t count = 8;
        const H5Z_filter_t id = H5Pget_filter2(how, (unsigned)i, &flags, &count, values, 0, NULL, &config);
        VSL_CHECK(id == H5Z_FILTER_DEFLATE || id == H5Z_FILTER_SHUFFLE || id == H5Z_FILTER_FLETCHER32,
                  VSL_E_UNSUPPORTED, "%s: /%s uses the filter %d, expected gzip, shuffle or fletcher32",
                  vsl_path_text(path).text, name, (int)id);
    }
out:
    if (how >= 0) {
        H5Pclose(how);
    }
    return st;
}

static VslStatus check_type_and_size(int64_t n[HDF_RANK], hid_t dataset, const char *name, const char *path)
{
    VslStatus st = VSL_OK;
    hsize_t size[HDF_RANK];
    const hid_t type = H5Dget_type(dataset), space = H5Dget_space(dataset);
    VSL_CHECK(type >= 0 && (H5Tequal(type, H5T_IEEE_F32LE) > 0 || H5Tequal(type, H5T_IEEE_F32BE) > 0),
              VSL_E_UNSUPPORTED, "%s: /%s is not of 32-bit floating-point numbers", vsl_path_text(path).text, name);
    const int rank = space < 0 ? -1 : H5Sget_simple_extent_ndims(space);
    VSL_CHECK(rank == HDF_RANK, VSL_E_FORMAT, "%s: /%s has rank %d, expected 4: (3, n2, n1, n0)",
              vsl_path_text(path).text, name, rank);
    VSL_CHECK(H5Sget_simple_extent_dims(space, size, NULL) == HDF_RANK, VSL_E_FORMAT, "%s: /%s has no size",
              vsl_path_text(path).text, name);
    for (int d = 0; d < HDF_RANK; d++) {
        VSL_CHECK(size[d] >= 1 && size[d] <= INT32_MAX, VSL_E_FORMAT,
                  "%s: /%s has %llu values along dimension %d, expected 1 to %d", vsl_path_text(path).text, name,
                  (unsigned long long)size[d], d, INT32_MAX);
        n[d] = (int64_t)size[d];
    }
out:
    if (space >= 0) {
        H5Sclose(space);
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    return st;
}

VslStatus hdf_open_floats(hid_t *dataset, int64_t n[HDF_RANK], hid_t file, const char *name, const char *path)
{
    VslStatus st = VSL_OK;
    hid_t own = -1;
    H5L_info_t link;
    H5O_info_t object;

    VSL_CHECK(H5Lexists(file, name, H5P_DEFAULT) > 0 && H5Lget_info(file, name, &link, H5P_DEFAULT) >= 0, VSL_E_FORMAT,
              "%s: has no dataset /%s, expected a velocity file%s", vsl_path_text(path).text, name,
              H5Lexists(file, "TransformGroup", H5P_DEFAULT) > 0 ? "; it is a composite transform of ITK" : "");
    VSL_CHECK(link.type == H5L_TYPE_HARD, VSL_E_UNSUPPORTED, "%s: /%s is a soft or external link, expected a dataset",
              vsl_path_text(path).text, name);
    VSL_CHECK(H5Oget_info_by_name(file, name, &object, H5P_DEFAULT) >= 0 && object.type == H5O_TYPE_DATASET,
              VSL_E_FORMAT, "%s: /%s is not a dataset", vsl_path_text(path).text, name);
    own = H5Dopen2(file, name, H5P_DEFAULT);
    VSL_CHECK(own >= 0, VSL_E_FORMAT, "%s: /%s cannot be opened", vsl_path_text(path).text, name);
    VSL_TRY(check_storage(own, name, path));
    VSL_TRY(check_type_and_size(n, own, name, path));
    *dataset = own;
    own = -1;
out:
    if (own >= 0) {
        H5Dclose(own);
    }
    return st;
}

/* The attribute, if it is of this class and shape. rows: in: the most; out: found. columns < 0: a scalar text. */
static VslStatus open_attribute(hid_t *out, int *rows, int columns, hid_t at, const char *name, H5T_class_t class,
                                const char *path)
{
    VslStatus st = VSL_OK;
    hid_t own = -1, type = -1, space = -1;
    hsize_t size[2] = {0, 0};
    const int most = *rows, rank_wanted = most == 0 ? 0 : columns == 0 ? 1 : 2;

    VSL_CHECK(H5Aexists(at, name) > 0, VSL_E_FORMAT, "%s: lacks the attribute %s", vsl_path_text(path).text, name);
    own = H5Aopen(at, name, H5P_DEFAULT);
    VSL_CHECK(own >= 0 && (type = H5Aget_type(own)) >= 0 && (space = H5Aget_space(own)) >= 0, VSL_E_FORMAT,
              "%s: the attribute %s cannot be opened", vsl_path_text(path).text, name);
    VSL_CHECK(H5Aget_storage_size(own) <= ATTRIBUTE_MOST_BYTES, VSL_E_FORMAT,
              "%s: the attribute %s has %llu bytes, expected at most %d", vsl_path_text(path).text, name,
              (unsigned long long)H5Aget_storage_size(own), ATTRIBUTE_MOST_BYTES);
    VSL_CHECK(H5Tget_class(type) == class && H5Tis_variable_str(type) <= 0 && H5Tget_size(type) <= HDF_TEXT_ROOM &&
                  (class == H5T_STRING || H5Tget_size(type) <= 8),
              VSL_E_FORMAT, "%s: the attribute %s is not %s", vsl_path_text(path).text, name,
              class == H5T_STRING    ? "a text of fixed length"
              : class == H5T_INTEGER ? "of whole numbers"
                                     : "of floating-point numbers");
    const int rank = H5Sget_simple_extent_type(space) == H5S_NULL ? -1 : H5Sget_simple_extent_ndims(space);
    VSL_CHECK(rank == rank_wanted && H5Sget_simple_extent_dims(space, size, NULL) == rank, VSL_E_FORMAT,
              "%s: the attribute %s has rank %d, expected %d", vsl_path_text(path).text, name, rank, rank_wanted);
    VSL_CHECK((rank < 1 || (size[0] >= 1 && size[0] <= (hsize_t)most)) && (rank < 2 || size[1] == (hsize_t)columns),
              VSL_E_FORMAT, "%s: the attribute %s has %llu x %llu values, expected at most %d x %d",
              vsl_path_text(path).text, name, (unsigned long long)size[0], (unsigned long long)(rank < 2 ? 1 : size[1]),
              most, columns ? columns : 1);
    *rows = (int)size[0];
    *out = own;
    own = -1;
out:
    if (space >= 0) {
        H5Sclose(space);
    }
    if (type >= 0) {
        H5Tclose(type);
    }
    if (own >= 0) {
        H5Aclose(own);
    }
    return st;
}

VslStatus hdf_get_doubles(double *out, int *rows, int most, int columns, hid_t at, const char *name, const char *path)
{
    VslStatus st = VSL_OK;
    hid_t attribute = -1;
    int found = most;
    VSL_TRY(open_attribute(&attribute, &found, columns, at, name, H5T_FLOAT, path));
    VSL_CHECK(H5Aread(attribute, H5T_NATIVE_DOUBLE, out) >= 0, VSL_E_FORMAT, "%s: the attribute %s cannot be read",
              vsl_path_text(path).text, name);
    *rows = found;
out:
    if (attribute >= 0) {
        H5Aclose(attribute);
    }
    return st;
}

VslStatus hdf_get_integers(int64_t *out, int rows, hid_t at, const char *name, const char *path)
{
    VslStatus st = VSL_OK;
    hid_t attribute = -1;
    int found = rows;
    VSL_TRY(open_attribute(&attribute, &found, 0, at, name, H5T_INTEGER, path));
    VSL_CHECK(found == rows && H5Aread(attribute, H5T_NATIVE_INT64, out) >= 0, VSL_E_FORMAT,
              "%s: the attribute %s has %d values, expected %d", vsl_path_text(path).text, name, found, rows);
out:
    if (attribute >= 0) {
        H5Aclose(attribute);
    }
    return st;
}

VslStatus hdf_get_text(char out[HDF_TEXT_ROOM], hid_t at, const char *name, const char *path)
{
    VslStatus st = VSL_OK;
    hid_t attribute = -1, type = -1;
    int rows = 0;
    char text[HDF_TEXT_ROOM + 1] = {0};

    VSL_TRY(open_attribute(&attribute, &rows, 0, at, name, H5T_STRING, path));
    type = H5Aget_type(attribute);
    VSL_CHECK(type >= 0 && H5Aread(attribute, type, text) >= 0, VSL_E_FORMAT, "%s: the attribute %s cannot be read",
              vsl_path_text(path).text, name);
    memcpy(out, text, HDF_TEXT_ROOM);
    out[HDF_TEXT_ROOM - 1] = 0;
out:
    if (type >= 0) {
        H5Tclose(type);
    }
    if (attribute >= 0) {
        H5Aclose(attribute);
    }
    return st;
}
