/**
 * A sampling grid in world space: extents and the voxel-to-world affine.
 * World is RAS+ millimetres; voxel centres are integers; i varies fastest in memory. @test core/test_grid.c
 */
#ifndef VSL_CORE_GRID_H
#define VSL_CORE_GRID_H

#include <stdint.h>

#include "core/mat.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslGrid {
    int64_t n[3];     /* voxels along i, j, k; a 2D image has n[2] = 1 */
    VslAffine to_ras; /* voxel (i,j,k) -> world (x,y,z) mm, RAS+ */
} VslGrid;

/** Number of voxels. */
VSL_API int64_t vsl_grid_voxels(const VslGrid *g);
/** mm per voxel along i, j, k: the lengths of the affine's columns. */
VSL_API void vsl_grid_spacing(double spacing_mm[3], const VslGrid *g);
/** Volume of one voxel in mm^3 (always positive). */
VSL_API double vsl_grid_voxel_mm3(const VslGrid *g);
/** world -> voxel. @return VSL_E_NUMERIC for a singular affine. */
VSL_API VSL_MUST_USE VslStatus vsl_grid_from_ras(VslAffine *out, const VslGrid *g);
/** Three letters such as "RAS" or "LPI": the world direction each voxel axis points to most. out has room for 4. */
VSL_API void vsl_grid_orientation(char out[4], const VslGrid *g);
/** 1 when extents agree and no voxel centre differs by more than tol_vox voxels (1e-3 is the house's tolerance). */
VSL_API int vsl_grid_same(const VslGrid *a, const VslGrid *b, double tol_vox);
/** VSL_OK when vsl_grid_same(a, b, 1e-3); else VSL_E_SPACE and a sentence that shows both grids, naming them. */
VSL_API VSL_MUST_USE VslStatus vsl_grid_check_same(const VslGrid *a, const char *name_a, const VslGrid *b,
                                                   const char *name_b);
/** Axis-aligned RAS grid of this extent and spacing, centred on the world origin. */
VSL_API VslGrid vsl_grid_centred(const int64_t n[3], const double spacing_mm[3]);
/** The same box sampled with n voxels per axis (voxel edges of the outer box coincide). */
VSL_API VslGrid vsl_grid_resampled(const VslGrid *g, const int64_t n[3]);

#ifdef __cplusplus
}
#endif
#endif
