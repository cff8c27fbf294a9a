/* Datatypes of the standard and how their bytes become numbers. */
#include "io/nifti_private.h"

#include <string.h>

#define TO_DOUBLE(name, type)                                                \
    static void name(double *out, const void *in, int64_t count)             \
    {                                                                        \
        const type *from = in; /* read into a buffer aligned for any type */ \
        for (int64_t i = 0; i < count; i++) {                                \
            out[i] = (double)from[i];                                        \
        }                                                                    \
    }
TO_DOUBLE(from_uint8, uint8_t)
TO_DOUBLE(from_int8, int8_t)
TO_DOUBLE(from_uint16, uint16_t)
TO_DOUBLE(from_int16, int16_t)
TO_DOUBLE(from_uint32, uint32_t)
TO_DOUBLE(from_int32, int32_t)
TO_DOUBLE(from_uint64, uint64_t)
TO_DOUBLE(from_int64, int64_t)
TO_DOUBLE(from_float32, float)
TO_DOUBLE(from_float64, double)

static const NiftiType types[] = {
    {NIFTI_TYPE_UINT8, "uint8", 1, 1, 0, from_uint8},
    {NIFTI_TYPE_INT16, "int16", 1, 2, 0, from_int16},
    {NIFTI_TYPE_INT32, "int32", 1, 4, 0, from_int32},
    {NIFTI_TYPE_FLOAT32, "float32", 1, 4, 0, from_float32},
    {NIFTI_TYPE_COMPLEX64, "complex64", 2, 4, 0, from_float32},
    {NIFTI_TYPE_FLOAT64, "float64", 1, 8, 0, from_float64},
    {NIFTI_TYPE_RGB24, "rgb24", 3, 1, 1, from_uint8},
    {NIFTI_TYPE_INT8, "int8", 1, 1, 0, from_int8},
    {NIFTI_TYPE_UINT16, "uint16", 1, 2, 0, from_uint16},
    {NIFTI_TYPE_UINT32, "uint32", 1, 4, 0, from_uint32},
    {NIFTI_TYPE_INT64, "int64", 1, 8, 0, from_int64},
    {NIFTI_TYPE_UINT64, "uint64", 1, 8, 0, from_uint64},
    {NIFTI_TYPE_COMPLEX128, "complex128", 2, 8, 0, from_float64},
    {NIFTI_TYPE_RGBA32, "rgba32", 4, 1, 1, from_uint8},
    {DT_BINARY, "1-bit", 0, 0, 0, NULL},
    {NIFTI_TYPE_FLOAT128, "float128", 0, 0, 0, NULL},
    {NIFTI_TYPE_COMPLEX256, "complex256", 0, 0, 0, NULL},
};

const NiftiType *vsl_nifti_type(int code)
{
    for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
        if (types[i].code == code) {
            return &types[i];
        }
    }
    return NULL;
}

#define SWAP(bits)                                        \
    do {                                                  \
        uint##bits##_t *number = data;                    \
        for (int64_t i = 0; i < count; i++) {             \
            number[i] = __builtin_bswap##bits(number[i]); \
        }                                                 \
    } while (0)

void vsl_nifti_swap(void *data, int size, int64_t count)
{
    if (size == 2) {
        SWAP(16);
    } else if (size == 4) {
        SWAP(32);
    } else if (size == 8) {
        SWAP(64);
    }
}
