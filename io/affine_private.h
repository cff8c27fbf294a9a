/* The parts of affine_io.c: one transform as ITK stores it, and the three file forms. Texts end with a zero byte and
 * are cut into pieces by their parser; path only names the file in sentences. */
#ifndef VSL_IO_AFFINE_PRIVATE_H
#define VSL_IO_AFFINE_PRIVATE_H

#include <stdint.h>

#include "core/mat.h"

enum { ITK_MOST_PARAMETERS = 16, ITK_NAME_ROOM = 96, AFFINE_FILE_ROOM = 2048 };

typedef struct ItkTransform {
    char type[ITK_NAME_ROOM]; /* "AffineTransform_double_3_3" */
    double parameter[ITK_MOST_PARAMETERS], fixed[ITK_MOST_PARAMETERS];
    int parameters, fixed_parameters;
} ItkTransform;

/** Point map of t, world mm, RAS+. @return VSL_E_UNSUPPORTED (type), VSL_E_FORMAT (counts, values). */
VSL_MUST_USE VslStatus itk_to_ras(VslAffine *out, const ItkTransform *t, const char *path);
/** AffineTransform_double_3_3 of a map in RAS+ with this centre of rotation. */
ItkTransform itk_from_ras(const VslAffine *a, const double centre_ras[3]);

VSL_MUST_USE VslStatus affine_parse_itk_text(VslAffine *out, char *text, const char *path);
VSL_MUST_USE VslStatus affine_parse_mat(VslAffine *out, const unsigned char *bytes, int64_t count, const char *path);
VSL_MUST_USE VslStatus affine_parse_plain(VslAffine *out, char *text, const char *path);
/** Any of the three, told apart by the first bytes; text[count] must be 0. */
VSL_MUST_USE VslStatus affine_parse(VslAffine *out, char *text, int64_t count, const char *path);

/** What the first bytes look like. */
int affine_looks_like_mat(const unsigned char *bytes, int64_t count);
int affine_looks_like_itk_text(const char *text);
int affine_looks_like_plain(const char *text, int64_t count);

/** Bytes of a file; the number of them. */
int affine_format_mat(unsigned char out[AFFINE_FILE_ROOM], const ItkTransform *t);
int affine_format_itk_text(char out[AFFINE_FILE_ROOM], const ItkTransform *t);
int affine_format_plain(char out[AFFINE_FILE_ROOM], const VslAffine *a);

#endif
