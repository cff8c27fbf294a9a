/* Numbers in memory -> voxel bytes: whether they fit a datatype, with which scaling, and their encoding. */
#ifndef VSL_IO_NIFTI_ENCODE_H
#define VSL_IO_NIFTI_ENCODE_H

#include "io/nifti.h"

typedef struct NiftiSource { /* exactly one of the two */
    const float *floats;
    const int32_t *labels;
    const VslGrid *grid; /* only to name a voxel in a sentence */
    int64_t count;
} NiftiSource;

typedef struct NiftiCoding {
    VslDatatype datatype;
    double slope, inter; /* stored number * slope + inter = value; 1 and 0 for floats */
} NiftiCoding;

/* NIfTI's code, name and bytes of a datatype that we write. */
int vsl_nifti_datatype_code(VslDatatype datatype);
int vsl_nifti_datatype_bytes(VslDatatype datatype);
/* Smallest of uint8, int16, uint16, int32 for these labels. */
VslDatatype vsl_nifti_smallest(const int32_t *labels, int64_t count);
/* Decides slope and intercept (both exact as float32); without scale_to_fit every number must be whole and in range.
 * @return VSL_E_ARG naming the first voxel that cannot be stored. */
VSL_MUST_USE VslStatus vsl_nifti_choose_coding(NiftiCoding *out, const NiftiSource *from, VslDatatype datatype,
                                               int scale_to_fit, const char *name);
/* Numbers first .. first + count - 1. */
void vsl_nifti_encode(unsigned char *out, const NiftiSource *from, const NiftiCoding *coding, int64_t first,
                      int64_t count);

#endif
