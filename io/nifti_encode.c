#include "io/nifti_encode.h"

#include <math.h>
#include <string.h>

#include "io/path.h"

typedef struct TypeRow {
    int code, bytes;
    double min, max; /* 0, 0: floating point */
    double whole;    /* whole numbers up to this are exact */
    const char *name;
} TypeRow;

static const TypeRow rows[] = {
    [VSL_DATATYPE_FLOAT32] = {16, 4, 0, 0, 16777216, "float32"},
    [VSL_DATATYPE_UINT8] = {2, 1, 0, UINT8_MAX, UINT8_MAX, "uint8"},
    [VSL_DATATYPE_INT16] = {4, 2, INT16_MIN, INT16_MAX, INT16_MAX, "int16"},
    [VSL_DATATYPE_UINT16] = {512, 2, 0, UINT16_MAX, UINT16_MAX, "uint16"},
    [VSL_DATATYPE_INT32] = {8, 4, INT32_MIN, INT32_MAX, INT32_MAX, "int32"},
    [VSL_DATATYPE_FLOAT64] = {64, 8, 0, 0, 9007199254740992, "float64"},
};

int vsl_nifti_datatype_code(VslDatatype datatype)
{
    return rows[datatype].code;
}

int vsl_nifti_datatype_bytes(VslDatatype datatype)
{
    return rows[datatype].bytes;
}

VslDatatype vsl_nifti_smallest(const int32_t *labels, int64_t count)
{
    int32_t min = 0, max = 0;
    for (int64_t i = 0; i < count; i++) {
        min = labels[i] < min ? labels[i] : min;
        max = labels[i] > max ? labels[i] : max;
    }
    static const VslDatatype order[] = {VSL_DATATYPE_UINT8, VSL_DATATYPE_INT16, VSL_DATATYPE_UINT16};
    for (int i = 0; i < 3; i++) {
        if (min >= rows[order[i]].min && max <= rows[order[i]].max) {
            return order[i];
        }
    }
    return VSL_DATATYPE_INT32;
}

static double number(const NiftiSource *from, int64_t i)
{
    return from->labels ? (double)from->labels[i] : (double)from->floats[i];
}

/* Index of the first number that is not a whole one of the type's range, -1 when there is none. */
static int64_t first_misfit(const NiftiSource *from, const TypeRow *type)
{
    const double max = type->max > 0 ? type->max : type->whole, min = type->max > 0 ? type->min : -type->whole;
    for (int64_t i = 0; i < from->count; i++) {
        const double x = number(from, i);
        if (!(x >= min && x <= max && x == rint(x))) {
            return i;
        }
    }
    return -1;
}

static float round_up(double x)
{
    const float f = (float)x;
    return (double)f < x ? nextafterf(f, INFINITY) : f;
}

/* Range of all numbers; 0 when one of them is not finite (its index goes to *bad). */
static int finite_range(const NiftiSource *from, double *min, double *max, int64_t *bad)
{
    *min = *max = number(from, 0);
    for (int64_t i = 0; i < from->count; i++) {
        const double x = number(from, i);
        if (!isfinite(x)) {
            *bad = i;
            return 0;
        }
        *min = x < *min ? x : *min;
        *max = x > *max ? x : *max;
    }
    return 1;
}

VslStatus vsl_nifti_choose_coding(NiftiCoding *out, const NiftiSource *from, VslDatatype datatype, int scale_to_fit,
                                  const char *name)
{
    VslStatus st = VSL_OK;
    NiftiCoding c = {datatype, 1, 0};
    double min, max;

    VSL_CHECK(datatype >= VSL_DATATYPE_FLOAT32 && datatype <= VSL_DATATYPE_FLOAT64, VSL_E_ARG,
              "%s: datatype %d is not one that is written", vsl_path_text(name).text, (int)datatype);
    const TypeRow *type = &rows[datatype];
    if (type->max > 0 || from->labels) {
        const int64_t *n = from->grid->n;
        int64_t i = first_misfit(from, type);
        if (i >= 0 && scale_to_fit && finite_range(from, &min, &max, &i)) {
            /* unsigned: codes 0..max from the minimum up; signed: -max..max around the middle. Both ends are float32,
             * and the slope is rounded up, so that no code leaves its range. */
            c.inter = type->min < 0 ? (double)(float)(min + (max - min) / 2) : min;
            c.slope = max > min ? (double)round_up(fmax(max - c.inter, c.inter - min) / type->max) : 1;
            VSL_CHECK(isfinite(c.slope), VSL_E_ARG, "%s: the values span more than float32 can scale",
                      vsl_path_text(name).text);
            i = -1;
        }
        VSL_CHECK(i < 0, VSL_E_ARG, "%s: voxel (%lld, %lld, %lld) of channel %lld is %.9g, which %s cannot hold%s",
                  vsl_path_text(name).text, (long long)(i % n[0]), (long long)(i / n[0] % n[1]),
                  (long long)(i / n[0] / n[1] % n[2]), (long long)(i / n[0] / n[1] / n[2]), number(from, i), type->name,
                  scale_to_fit ? "" : " without scaling");
    }
    *out = c;
out:
    return st;
}

#define ENCODE(type, expression)                                          \
    for (int64_t i = 0; i < count; i++) {                                 \
        const double x = number(from, first + i);                         \
        const type stored = (type)(expression);                           \
        memcpy(out + i * (int64_t)sizeof stored, &stored, sizeof stored); \
    }

void vsl_nifti_encode(unsigned char *out, const NiftiSource *from, const NiftiCoding *coding, int64_t first,
                      int64_t count)
{
    const double slope = coding->slope, inter = coding->inter;

    switch (coding->datatype) {
    case VSL_DATATYPE_FLOAT32: ENCODE(float, x); break;
    case VSL_DATATYPE_UINT8: ENCODE(uint8_t, rint((x - inter) / slope)); break;
    case VSL_DATATYPE_INT16: ENCODE(int16_t, rint((x - inter) / slope)); break;
    case VSL_DATATYPE_UINT16: ENCODE(uint16_t, rint((x - inter) / slope)); break;
    case VSL_DATATYPE_INT32: ENCODE(int32_t, rint((x - inter) / slope)); break;
    case VSL_DATATYPE_FLOAT64: ENCODE(double, x); break;
    }
}
