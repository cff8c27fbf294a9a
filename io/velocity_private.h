/* HDF5 as the velocity file uses it: files as images in memory, so that the library opens, locks and writes nothing,
 * and reading through checks of our own. All calls stand between hdf_enter and hdf_leave, which hold the process's one
 * lock (the library is not thread-safe), silence its error printing and switch its plugins off. */
#ifndef VSL_IO_VELOCITY_PRIVATE_H
#define VSL_IO_VELOCITY_PRIVATE_H

#include <stdint.h>

#include <hdf5.h>

#include "core/status.h"

enum { HDF_RANK = 4, HDF_TEXT_ROOM = 64 };

typedef struct HdfState {
    H5E_auto2_t print;
    void *print_data;
    unsigned plugins;
} HdfState;

void hdf_enter(HdfState *state);
void hdf_leave(const HdfState *state);

/** New file in memory; its bytes, vsl_alloc'ed. */
VSL_MUST_USE VslStatus hdf_create(hid_t *file);
VSL_MUST_USE VslStatus hdf_image(char **out, int64_t *count, hid_t file);
VSL_MUST_USE VslStatus hdf_put_floats(hid_t *dataset, hid_t file, const char *name, const float *data,
                                      const int64_t n[HDF_RANK]);
/** rows x columns; columns 0: a vector of `rows`, rows 0 too: one number. */
VSL_MUST_USE VslStatus hdf_put_doubles(hid_t at, const char *name, const double *value, int rows, int columns);
VSL_MUST_USE VslStatus hdf_put_integers(hid_t at, const char *name, const int64_t *value, int rows);
VSL_MUST_USE VslStatus hdf_put_text(hid_t at, const char *name, const char *value);

/** Opens bytes as a file after a look at the superblock. path names it in sentences, here and below. */
VSL_MUST_USE VslStatus hdf_open(hid_t *file, const char *bytes, int64_t count, const char *path);
/** A dataset of float32 and rank 4 behind a hard link; no external, virtual or compact storage, no filters but gzip,
 * shuffle and fletcher32. */
VSL_MUST_USE VslStatus hdf_open_floats(hid_t *dataset, int64_t n[HDF_RANK], hid_t file, const char *name,
                                       const char *path);
/** Its values; bytes, count: the whole file. */
VSL_MUST_USE VslStatus hdf_get_floats(float *out, hid_t dataset, const int64_t n[HDF_RANK], const char *bytes,
                                      int64_t count, const char *path);
/** As hdf_put_...; *rows is what was found, most the room. */
VSL_MUST_USE VslStatus hdf_get_doubles(double *out, int *rows, int most, int columns, hid_t at, const char *name,
                                       const char *path);
VSL_MUST_USE VslStatus hdf_get_integers(int64_t *out, int rows, hid_t at, const char *name, const char *path);
VSL_MUST_USE VslStatus hdf_get_text(char out[HDF_TEXT_ROOM], hid_t at, const char *name, const char *path);

#endif
