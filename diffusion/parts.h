/**
 * Parts of a mask: voxels above 1/2 that touch by sides, edges or corners are one part.
 *
 * A heart is one thing. What a network that learnt from a handful of films sees of it elsewhere, in a marker or beside
 * the film's edge, is a mistake that can be told by its place alone; a structure whose known masks are in one part is
 * predicted in one part. @test diffusion/test_parts.c
 */
#ifndef VSL_DIFFUSION_PARTS_H
#define VSL_DIFFUSION_PARTS_H

#include "diffusion/data.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Clears (to 0) all voxels above 1/2 that are not in the largest part; of equal ones the first in memory stays. The
 * others keep their values. share_left, which may be NULL: voxels of the largest part over all above 1/2; 0 when there
 * are none. @param mask (n[2], n[1], n[0]). @return VSL_E_NOMEM; the mask changes on success only. */
VSL_API VSL_MUST_USE VslStatus vsl_largest_part(float *mask, double *share_left, const int64_t n[3]);

/** Whether a structure lies in one part: in the mask of every one of the items, nine tenths of it or more. What
 * is missing in some is rather a finding than an organ, and may come in several parts elsewhere: it does not.
 * @param out one byte for each mask of d. Items without masks are passed over. @return VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_dataset_in_one_part(unsigned char *out, const VslDataset *d, const VslSubset *items);

#ifdef __cplusplus
}
#endif
#endif
