/**
 * Transform files. In memory everything is RAS+ mm and maps fixed points to moving points (pull-back); LPS exists only
 * inside these functions. @test io/test_transform_io.c
 */
#ifndef VSL_IO_TRANSFORM_IO_H
#define VSL_IO_TRANSFORM_IO_H

#include "core/geodesic.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VslTransformKind {
    VSL_TRANSFORM_UNKNOWN = 0,
    VSL_TRANSFORM_AFFINE,       /* ANTs .mat (MATLAB level 4), ITK .txt/.tfm, plain 4x4 text (RAS) */
    VSL_TRANSFORM_DISPLACEMENT, /* NIfTI: 5-D vector 1007 or 1006, */
    VSL_TRANSFORM_VELOCITY      /* our HDF5 */
} VslTransformKind;

/** Looks at the content, not the suffix. @return VSL_E_IO when it cannot be opened; UNKNOWN is not an error. */
VSL_API VSL_MUST_USE VslStatus vsl_transform_kind(VslTransformKind *out, const char *path);

/** Any of the three affine forms. ITK types: AffineTransform, MatrixOffsetTransformBase, Euler3D, VersorRigid3D,
 * Similarity3D, Translation (double or float). @return VSL_E_FORMAT, VSL_E_UNSUPPORTED (names the type). */
VSL_API VSL_MUST_USE VslStatus vsl_affine_read(VslAffine *out, const char *path);
/** .mat (ANTs), .txt/.tfm (ITK text); any other suffix: plain 4x4, RAS. centre_ras: ITK centre of rotation, mm, or
 * NULL = the origin (it does not change the map). Atomic. */
VSL_API VSL_MUST_USE VslStatus vsl_affine_write(const char *path, const VslAffine *a, const double centre_ras[3]);

/** Displacement field -> 3 channels, world mm, RAS+. Intent 1007 (or 0 in a 5-D x y z 1 3 file): LPS; 1006: RAS.
 * @return VSL_E_FORMAT naming what was found otherwise. */
VSL_API VSL_MUST_USE VslStatus vsl_displacement_read(VslVolume *out, const char *path);
/** 5-D x y z 1 3, float32, intent 1007, LPS components: what ANTs, ITK and Slicer load. */
VSL_API VSL_MUST_USE VslStatus vsl_displacement_write(const char *path, const VslVolume *disp, int threads);

/** The geodesic as HDF5: dataset /velocity (3, n2, n1, n0) float32, attributes Kernel, Scales, TimeSteps, Grid, ...
 * (docs/velocity-file.md). Immutable; temporary, flush, close, verified by reopening, renamed. */
VSL_API VSL_MUST_USE VslStatus vsl_velocity_write(const char *path, const VslGeodesic *g);
/** Foreign HDF5 is hostile: rank, dtype, filters, attribute sizes are checked; external links and plugins are refused.
 */
VSL_API VSL_MUST_USE VslStatus vsl_velocity_read(VslGeodesic *out, const char *path);

#ifdef __cplusplus
}
#endif
#endif
