/**
 * Maps between images as data: an affine and a displacement field, and what one does with them.
 *
 * A displacement u lives on its own grid, 3 channels, world mm, RAS+: phi(x) = x + u(x) for world points x, linear
 * between voxel centres, u = 0 outside the field. Borders are ITK's: inside reaches half a voxel beyond the outer
 * centres, where the nearest edge value holds; an axis one voxel thick is inside for |index| <= 1/2. A chain maps fixed
 * points to moving points: y = t[0](t[1](...(x))) with the LAST element applied first to the point, like nested
 * functions. (ANTs' `-t W -t A` is this list reversed, {A, W}: there the first flag acts first on the point x of the
 * fixed grid.) @test registration/test_transform.c
 */
#ifndef VSL_REGISTRATION_TRANSFORM_H
#define VSL_REGISTRATION_TRANSFORM_H

#include "core/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslMap {    /* one link of a chain: exactly one of the two is used */
    VslAffine affine;      /* used when disp is NULL: world -> world, mm, RAS+ */
    const VslVolume *disp; /* borrowed displacement field, or NULL */
} VslMap;

typedef enum VslInterpolation { VSL_INTERPOLATION_LINEAR = 1, VSL_INTERPOLATION_NEAREST } VslInterpolation;

/** World point through a chain, in place. */
VSL_API VSL_MUST_USE VslStatus vsl_map_points(double (*points_ras)[3], int64_t count, const VslMap *chain, int links);
/** out(x) = moving(chain(x)) on `grid`, every channel; outside the moving image `outside` is written.
 * @return VSL_OK, VSL_E_NUMERIC (singular affine), VSL_E_NOMEM. threads: 0 = all granted. */
VSL_API VSL_MUST_USE VslStatus vsl_apply_image(VslVolume *out, const VslGrid *grid, const VslVolume *moving,
                                               const VslMap *chain, int links, VslInterpolation how, float outside,
                                               int threads);
/** Labels: nearest voxel, 0 outside. */
VSL_API VSL_MUST_USE VslStatus vsl_apply_labels(VslLabels *out, const VslGrid *grid, const VslLabels *moving,
                                                const VslMap *chain, int links, int threads);
/** Displacement of a whole chain sampled on `grid`: out(x) = chain(x) - x, world mm. */
VSL_API VSL_MUST_USE VslStatus vsl_compose(VslVolume *out, const VslGrid *grid, const VslMap *chain, int links,
                                           int threads);
/** Displacement of phi^-1 on `grid` by Newton steps (invert.c); *max_residual_mm, the largest |phi(phi^-1(y)) - y|, may
 * be NULL. For the search the field is continued outside by its edge values. @return VSL_E_NUMERIC when it folds so
 * much (or is not finite) that the inverse misses by more than a voxel somewhere. */
VSL_API VSL_MUST_USE VslStatus vsl_invert_displacement(VslVolume *out, double *max_residual_mm, const VslVolume *disp,
                                                       const VslGrid *grid, int threads);
/** Gaussian smoothing, sigma in mm along each grid axis (0 = none), reflecting borders, all channels. In place. */
VSL_API VSL_MUST_USE VslStatus vsl_smooth(VslVolume *v, double sigma_mm, int threads);

#ifdef __cplusplus
}
#endif
#endif
