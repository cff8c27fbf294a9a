/* HDF5, as far as the velocity file needs it.
 *
 * Writing goes through the HDF5 library, into memory, so that it opens, locks and writes no file. Reading is our own:
 * the library has a long record of memory faults on malformed files, and ours is the one place where strangers' files
 * come in. What the library writes by default ("earliest" format: superblock 0 or 1, symbol-table groups, version 1
 * object headers and B-trees) is read; newer structures are refused by name. */
#ifndef VSL_IO_HDF5_PRIVATE_H
#define VSL_IO_HDF5_PRIVATE_H

#include <stdint.h>

#include "core/status.h"

enum { HDF_RANK = 4, HDF_TEXT_ROOM = 64, HDF_MOST_RANK = 7, HDF_MOST_MESSAGES = 256 };

/* Writing (hdf5_write.c). An object is the library's identifier; 0 is none. */
typedef struct HdfWriter {
    int64_t file, dataset;
    void *state; /* of the library, put back at the end */
} HdfWriter;

/** Between these two the process's one lock on the library is held. end is needed after a failed begin too. */
VSL_MUST_USE VslStatus hdf_write_begin(HdfWriter *w);
void hdf_write_end(HdfWriter *w);
/** The dataset that attributes may be put on. */
VSL_MUST_USE VslStatus hdf_put_floats(HdfWriter *w, const char *name, const float *data, const int64_t n[HDF_RANK]);
/** On the dataset, or the file (on_file). rows x columns; columns 0: a vector of `rows`, rows 0 too: one number. */
VSL_MUST_USE VslStatus hdf_put_doubles(HdfWriter *w, int on_file, const char *name, const double *value, int rows,
                                       int columns);
VSL_MUST_USE VslStatus hdf_put_integers(HdfWriter *w, int on_file, const char *name, const int64_t *value, int rows);
VSL_MUST_USE VslStatus hdf_put_text(HdfWriter *w, int on_file, const char *name, const char *value);
/** The file's bytes, vsl_alloc'ed. */
VSL_MUST_USE VslStatus hdf_write_image(char **out, int64_t *count, HdfWriter *w);

/* Reading (hdf5_read.c, hdf5_values.c). Everything points into the file's bytes. */
typedef struct HdfFile {
    const unsigned char *bytes;
    int64_t count;
    const char *path; /* in sentences */
} HdfFile;

typedef struct HdfMessage {
    int type, flags;
    int64_t size;
    const unsigned char *data;
} HdfMessage;

typedef struct HdfObject {
    int count;
    HdfMessage message[HDF_MOST_MESSAGES];
} HdfObject;

typedef enum HdfClass { HDF_INTEGER = 0, HDF_FLOAT = 1, HDF_TEXT = 3 } HdfClass;

typedef struct HdfType { /* only types that we read come so far */
    HdfClass kind;
    int size, is_big, is_signed;
} HdfType;

typedef struct HdfSpace {
    int rank; /* -1: null */
    int64_t n[HDF_MOST_RANK];
} HdfSpace;

/** The little-endian number of `size` bytes at p. */
uint64_t hdf_little(const unsigned char *p, int size);
/** 1 when `size` bytes at address lie in the file. */
int hdf_holds(const HdfFile *f, uint64_t address, uint64_t size);
/** The root group, after a look at the superblock. */
VSL_MUST_USE VslStatus hdf_open_root(HdfObject *out, const HdfFile *f);
/** A dataset of the root group, which must hold it itself. */
VSL_MUST_USE VslStatus hdf_open_dataset(HdfObject *out, const HdfFile *f, const HdfObject *root, const char *name);
/** The one message of this type, NULL when there is none. */
const HdfMessage *hdf_message(const HdfObject *o, int type);
VSL_MUST_USE VslStatus hdf_parse_type(HdfType *out, const HdfFile *f, const unsigned char *p, int64_t size,
                                      const char *name);
VSL_MUST_USE VslStatus hdf_parse_space(HdfSpace *out, const HdfFile *f, const unsigned char *p, int64_t size,
                                       const char *name);

int hdf_has_attribute(const HdfObject *o, const char *name);
/** As hdf_put_...; *rows is what was found, most the room. */
VSL_MUST_USE VslStatus hdf_get_doubles(double *out, int *rows, int most, int columns, const HdfFile *f,
                                       const HdfObject *o, const char *name);
VSL_MUST_USE VslStatus hdf_get_integers(int64_t *out, int rows, const HdfFile *f, const HdfObject *o, const char *name);
VSL_MUST_USE VslStatus hdf_get_text(char out[HDF_TEXT_ROOM], const HdfFile *f, const HdfObject *o, const char *name);

/** Size of a dataset of rank 4 and float32. */
VSL_MUST_USE VslStatus hdf_floats_size(int64_t n[HDF_RANK], const HdfFile *f, const HdfObject *dataset,
                                       const char *name);
/** Its values: one block, or chunks with gzip, shuffle and fletcher32. The product of n fits int64. */
VSL_MUST_USE VslStatus hdf_get_floats(float *out, const HdfFile *f, const HdfObject *dataset, const int64_t n[HDF_RANK],
                                      const char *name);

#endif
