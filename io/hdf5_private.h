/* HDF5, as far as velocity and weight files need it.
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
/** A dataset of rank extents (0: one number); it replaces the one before as what attributes are put on. */
VSL_MUST_USE VslStatus hdf_put_floats(HdfWriter *w, const char *name, const float *data, int rank, const int64_t *n);
/** On the dataset, or the file (on_file). rows x columns; columns 0: a vector of `rows`, rows 0 too: one number. */
VSL_MUST_USE VslStatus hdf_put_doubles(HdfWriter *w, int on_file, const char *name, const double *value, int rows,
                                       int columns);
VSL_MUST_USE VslStatus hdf_put_integers(HdfWriter *w, int on_file, const char *name, const int64_t *value, int rows);
VSL_MUST_USE VslStatus hdf_put_text(HdfWriter *w, int on_file, const char *name, const char *value);
/** The file's bytes, vsl_alloc'ed. */
VSL_MUST_USE VslStatus hdf_write_image(char **out, int64_t *count, HdfWriter *w);

/* The seal (hdf5_seal.c): after the HDF5 bytes stand eight bytes of magic and the SHA-256 of all before it. HDF5
 * readers stop at the end that the superblock states and never see them. */
struct VslFileOut;
VSL_MUST_USE VslStatus hdf_put_seal_note(HdfWriter *w);
VSL_MUST_USE VslStatus hdf_write_sealed(struct VslFileOut *file, const char *bytes, int64_t count);
/** Takes the seal off (*count shrinks) and checks it; *is_sealed = 0 when there is none. */
VSL_MUST_USE VslStatus hdf_open_seal(int64_t *count, int *is_sealed, const char *bytes, const char *path);

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
/** A dataset of the root group, which must hold it itself. expected: a few words on what is looked for. */
VSL_MUST_USE VslStatus hdf_open_dataset(HdfObject *out, const HdfFile *f, const HdfObject *root, const char *name,
                                        const char *expected);
/** Every entry of the root group, in the file's order (names sorted): label points into the file. */
typedef VslStatus HdfVisit(void *user, const char *label, const unsigned char *entry);
VSL_MUST_USE VslStatus hdf_each_entry(const HdfFile *f, const HdfObject *root, HdfVisit *visit, void *user);
/** The dataset that an entry of the walk leads to. */
VSL_MUST_USE VslStatus hdf_open_entry(HdfObject *out, const HdfFile *f, const char *label, const unsigned char *entry);
/** Whether a file that states Format, FormatVersion and Seal is of this format, of a version that is read, and has not
 * lost its seal. */
VSL_MUST_USE VslStatus hdf_check_format(const HdfFile *f, const HdfObject *root, const char *format, int64_t version,
                                        int is_sealed);
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

/** Rank and size of a dataset of float32. */
VSL_MUST_USE VslStatus hdf_floats_size(HdfSpace *out, const HdfFile *f, const HdfObject *dataset, const char *name);
/** Its values: one block, or, of rank 4, chunks with gzip, shuffle and fletcher32. The product of extents fits int64.
 */
VSL_MUST_USE VslStatus hdf_get_floats(float *out, const HdfFile *f, const HdfObject *dataset, const HdfSpace *size,
                                      const char *name);

#endif
