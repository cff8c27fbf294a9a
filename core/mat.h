/**
 * Small affine maths in double: 3x4 matrices [A | b] acting on points, x -> A x + b.
 * Rows are outputs. @test core/test_mat.c
 */
#ifndef VSL_CORE_MAT_H
#define VSL_CORE_MAT_H

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslAffine {
    double m[3][4]; /* m[r][0..2] linear part, m[r][3] translation */
} VslAffine;

VSL_API VslAffine vsl_affine_identity(void);
/** a after b: x -> a(b(x)). */
VSL_API VslAffine vsl_affine_compose(const VslAffine *a, const VslAffine *b);
/** @return VSL_E_NUMERIC when the linear part is singular or not finite. */
VSL_API VSL_MUST_USE VslStatus vsl_affine_invert(VslAffine *out, const VslAffine *a);
VSL_API void vsl_affine_point(double out[3], const VslAffine *a, const double x[3]);
/** Linear part only: directions, displacements. */
VSL_API void vsl_affine_vector(double out[3], const VslAffine *a, const double x[3]);
VSL_API double vsl_affine_det(const VslAffine *a);
/** RAS <-> LPS: the same map with x and y of both its input and its output negated (its own inverse). */
VSL_API VslAffine vsl_affine_flip_xy(const VslAffine *a);
/** Closest rotation (possibly improper) to a 3x3 matrix, by polar decomposition. */
VSL_API void vsl_mat3_polar(double out[3][3], const double a[3][3]);

#ifdef __cplusplus
}
#endif
#endif
