/**
 * Axis permutations and flips: the same voxels at the same world points, listed in another order. Exact, for all 48
 * orientation codes. @test cli/
 */
#ifndef VSL_CLI_REORIENT_H
#define VSL_CLI_REORIENT_H

#include "core/volume.h"

/** How an array is walked in another order of axes. */
typedef struct CliAxes {
    VslGrid grid;      /* in the new order */
    int64_t stride[3]; /* of the array along the new axes, in voxels */
    int64_t start;     /* index in the array of the new voxel (0, 0, 0) */
} CliAxes;
VSL_MUST_USE VslStatus cli_axes(CliAxes *out, const VslGrid *g, const char *code);

/** Reorders every channel so that the grid's orientation becomes `code` ("RAS", "lpi"): voxel axis d points most to the
 * world direction of letter d. Oblique grids keep their tilt. @return VSL_E_ARG when code is not one of the 48. */
VSL_MUST_USE VslStatus cli_reorient(VslVolume *v, const char *code);
VSL_MUST_USE VslStatus cli_reorient_labels(VslLabels *l, const char *code);

#endif
