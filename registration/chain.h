/*
 * The row machine behind transform.c: a chain of maps prepared once, then run over rows of points.
 *
 * Neighbouring affines are multiplied out, so that a link costs one matrix product and, for a displacement, one
 * interpolation per point. Positions are double (a head is 10^5 times larger than the error one may make);
 * interpolation weights are float. Interpolation follows ITK, so that files written by us mean the same elsewhere: a
 * point is inside while it is within half a voxel of the outermost centres, and there the value is that of the nearest
 * centre. An axis one voxel thick is thus inside for |index| <= 1/2. Comparisons are written so that NaN positions are
 * outside.
 */
#ifndef VSL_REGISTRATION_CHAIN_H
#define VSL_REGISTRATION_CHAIN_H

#include "core/volume.h"
#include "registration/transform.h"

typedef struct RegStage {
    VslAffine world; /* position of the stage before -> world point x */
    VslAffine voxel; /* the same position -> voxel index in disp */
    const VslVolume *disp;
    int direct; /* positions are the voxels of disp's own grid: no interpolation */
} RegStage;

typedef struct RegChain {
    int stages;
    RegStage *stage; /* in the order in which they act */
    VslAffine last;  /* what remains after the last displacement */
} RegChain;

/** Scratch of one worker for rows of up to n points. */
typedef struct RegRow {
    int64_t n;
    double *x[3]; /* positions: in and out of reg_chain_run */
    float *q[3];  /* voxel indices */
    float *u[3];  /* displacements */
} RegRow;

/** Prepares a chain (last element acts first). grid: start positions are its voxel indices; NULL: world points.
 * to: folded in at the end, e.g. world -> voxels of the image that will be sampled; NULL: world. */
VSL_MUST_USE VslStatus reg_chain_new(RegChain *out, const VslGrid *grid, const VslMap *chain, int links,
                                     const VslAffine *to);
void reg_chain_free(RegChain *c);

/** Scratch for `workers` rows; one call of reg_rows_free releases all. */
VSL_MUST_USE VslStatus reg_rows_new(RegRow **out, int workers, int64_t n);
void reg_rows_free(RegRow **rows);

/** Maps row->x[.][0..count-1] in place. voxel: index of the row's first voxel in the grid (for direct stages). */
void reg_chain_run(const RegChain *c, RegRow *row, int64_t count, int64_t voxel);
/** row->x = (i, j, k) for i = 0..count-1. */
void reg_row_start(RegRow *row, int64_t count, int64_t j, int64_t k);
/** row->q = (float)row->x. */
void reg_row_index(RegRow *row, int64_t count);

/** Trilinear values of all channels at row->q; out[c * stride + i]. */
void reg_sample_linear(float *out, int64_t stride, const RegRow *row, int64_t count, const VslVolume *v, float outside);
/** Offset of the nearest voxel at row->q[.][i], or -1 outside. Halves round up, as in ITK. */
int64_t reg_nearest(const RegRow *row, int64_t i, const int64_t n[3]);

#endif
