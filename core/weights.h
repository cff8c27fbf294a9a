/**
 * Named arrays of numbers: the weights of a network, or the whole state of its training, between the floor that reads
 * and writes files and the floors that compute. A list of float32 arrays with their shapes, and notes of text.
 * @test core/test_weights.c
 */
#ifndef VSL_CORE_WEIGHTS_H
#define VSL_CORE_WEIGHTS_H

#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VSL_WEIGHT_RANK = 6, VSL_WEIGHT_NAME = 256 };

typedef struct VslWeight {
    char name[VSL_WEIGHT_NAME]; /* "down.0.block.1.conv1.weight" */
    int rank;                   /* 0: one number */
    int64_t n[VSL_WEIGHT_RANK]; /* extents, slowest first */
    int64_t count;              /* their product */
    float *data;                /* count values, last axis fastest; owned */
} VslWeight;

typedef struct VslWeightNote {
    char *key, *value; /* owned */
} VslWeightNote;

typedef struct VslWeights { /* {0} is empty */
    int64_t count, room;
    VslWeight *item;
    int64_t notes, note_room;
    VslWeightNote *note;
} VslWeights;

/** Appends an array of zeros; *data (may be NULL) is borrowed, to be filled.
 * @return VSL_E_ARG (name empty, too long or taken; rank; extents below 1 or whose product overflows), VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_weights_add(VslWeights *w, const char *name, int rank, const int64_t *n,
                                               float **data);
/** Appends a note, or replaces the one of this key. @return VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_weights_put_note(VslWeights *w, const char *key, const char *value);
/** Borrowed; NULL when there is none. */
VSL_API const VslWeight *vsl_weights_find(const VslWeights *w, const char *name);
VSL_API const char *vsl_weights_find_note(const VslWeights *w, const char *key);
/** VSL_OK when both have the same names with the same shapes, in any order; else VSL_E_FORMAT and one sentence with
 * every difference: names that are missing, names that are not expected, shapes that differ. where begins it. */
VSL_API VSL_MUST_USE VslStatus vsl_weights_check_same(const VslWeights *expected, const VslWeights *found,
                                                      const char *where);
/** "32x1x3x3"; "one number" for rank 0. */
typedef struct VslShapeText {
    char text[128];
} VslShapeText;
VSL_API VslShapeText vsl_shape_text(int rank, const int64_t *n);
VSL_API void vsl_weights_free(VslWeights *w);
/** out takes over in's arrays and notes; in becomes empty. */
VSL_API void vsl_weights_move(VslWeights *out, VslWeights *in);

#ifdef __cplusplus
}
#endif
#endif
