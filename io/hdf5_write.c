/* HDF5 files made by the library, in memory: it opens, locks and writes no file of its own, so that a full disk, a file
 * system without locks or a kill cannot leave it half done. Times are not stored: the same values give the same bytes.
 * Values are one block without filters: float fields hardly shrink (by a quarter at best), and packing them would take
 * longer than all the rest. */
#include <pthread.h>
#include <string.h>

#include <hdf5.h>

#include "core/memory.h"
#include "io/hdf5_private.h"

typedef struct LibraryState {
    H5E_auto2_t print;
    void *print_data;
} LibraryState;

/* A name at which no file can be, should the library look after all */
static const char no_file[] = "/dev/null/vesal";
/* The library is not thread-safe. */
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static LibraryState before; /* under the lock */

VslStatus hdf_write_begin(HdfWriter *w)
{
    VslStatus st = VSL_OK;
    *w = (HdfWriter){0, 0, &before};
    pthread_mutex_lock(&lock);
    H5Eget_auto2(H5E_DEFAULT, &before.print, &before.print_data);
    H5Eset_auto2(H5E_DEFAULT, NULL, NULL); /* it would print its errors */
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS);
    VSL_CHECK(access >= 0, VSL_E_EXTERNAL, "the HDF5 library cannot start");
    w->file = H5Pset_fapl_core(access, 1 << 20, 0) < 0 ? -1 : H5Fcreate(no_file, H5F_ACC_TRUNC, H5P_DEFAULT, access);
    H5Pclose(access);
    VSL_CHECK(w->file >= 0, VSL_E_EXTERNAL, "the HDF5 library cannot make a file in memory");
out:
    return st;
}

void hdf_write_end(HdfWriter *w)
{
    if (w->dataset > 0) {
        H5Dclose(w->dataset);
    }
    if (w->file > 0) {
        H5Fclose(w->file);
    }
    const LibraryState *state = w->state;
    H5Eset_auto2(H5E_DEFAULT, state->print, state->print_data);
    *w = (HdfWriter){0};
    pthread_mutex_unlock(&lock);
}

VslStatus hdf_write_image(char **out, int64_t *count, HdfWriter *w)
{
    VslStatus st = VSL_OK;
    char *bytes = NULL;
    const ssize_t size = H5Fflush(w->file, H5F_SCOPE_GLOBAL) < 0 ? -1 : H5Fget_file_image(w->file, NULL, 0);
    VSL_CHECK(size > 0, VSL_E_EXTERNAL, "the HDF5 library cannot give out the file that it made");
    VSL_TRY(VSL_NEW(&bytes, size, "HDF5 file"));
    VSL_CHECK(H5Fget_file_image(w->file, bytes, (size_t)size) == size, VSL_E_EXTERNAL,
              "the HDF5 library cannot give out the file that it made");
    *out = bytes;
    *count = size;
    bytes = NULL;
out:
    vsl_free(bytes);
    return st;
}

VslStatus hdf_put_floats(HdfWriter *w, const char *name, const float *data, int rank, const int64_t *n)
{
    VslStatus st = VSL_OK;
    hsize_t size[HDF_MOST_RANK] = {0};
    for (int d = 0; d < rank; d++) {
        size[d] = (hsize_t)n[d];
    }
    const hid_t space = rank ? H5Screate_simple(rank, size, NULL) : H5Screate(H5S_SCALAR);
    const hid_t how = H5Pcreate(H5P_DATASET_CREATE);

    if (w->dataset > 0) {
        H5Dclose(w->dataset);
    }
    w->dataset = 0;
    VSL_CHECK(space >= 0 && how >= 0 && H5Pset_obj_track_times(how, 0) >= 0, VSL_E_EXTERNAL,
              "the HDF5 library cannot describe /%s", name);
    w->dataset = H5Dcreate2(w->file, name, H5T_IEEE_F32LE, space, H5P_DEFAULT, how, H5P_DEFAULT);
    VSL_CHECK(w->dataset >= 0 && H5Dwrite(w->dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data) >= 0,
              VSL_E_EXTERNAL, "the HDF5 library cannot store /%s", name);
out:
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

VslStatus hdf_put_doubles(HdfWriter *w, int on_file, const char *name, const double *value, int rows, int columns)
{
    return put_attribute(on_file ? w->file : w->dataset, name, H5T_IEEE_F64LE, H5T_NATIVE_DOUBLE, value, rows, columns);
}

VslStatus hdf_put_integers(HdfWriter *w, int on_file, const char *name, const int64_t *value, int rows)
{
    return put_attribute(on_file ? w->file : w->dataset, name, H5T_STD_I64LE, H5T_NATIVE_INT64, value, rows, 0);
}

VslStatus hdf_put_text(HdfWriter *w, int on_file, const char *name, const char *value)
{
    VslStatus st = VSL_OK;
    const hid_t type = H5Tcopy(H5T_C_S1);
    VSL_CHECK(type >= 0 && H5Tset_size(type, strlen(value) + 1) >= 0, VSL_E_EXTERNAL,
              "the HDF5 library cannot store the attribute %s", name);
    VSL_TRY(put_attribute(on_file ? w->file : w->dataset, name, type, type, value, 0, 0));
out:
    if (type >= 0) {
        H5Tclose(type);
    }
    return st;
}
