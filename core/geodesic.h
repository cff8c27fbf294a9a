/**
 * A geodesic of diffeomorphisms as data: the initial velocity on its band grid and the operator that measures it.
 *
 * Velocities live on a coarse periodic grid of n = band voxels over a box that holds the fixed image and a margin.
 * Components are mm per unit time along the *band grid's own axes* (the unit columns of to_ras), not world axes: the
 * operator L = sum_q weight_q / (gamma - alpha_q Laplacian)^power inverted acts per axis in mm, so that regularity
 * does not depend on the voxel size. registration/shooting.h integrates it; io/velocity_io.h stores it.
 */
#ifndef VSL_CORE_GEODESIC_H
#define VSL_CORE_GEODESIC_H

#include "core/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VSL_MAX_SCALES = 4 };

/** K = sum_q weight[q] (gamma - alpha_mm2[q] Laplacian)^(-power): the smoothing kernel, L = K^-1. */
typedef struct VslKernel {
    int scales;                       /* 1..VSL_MAX_SCALES */
    double alpha_mm2[VSL_MAX_SCALES]; /* > 0 */
    double weight[VSL_MAX_SCALES];    /* > 0; one scale has weight 1 */
    double gamma;                     /* > 0 */
    double power;                     /* >= 1 */
} VslKernel;

typedef struct VslGeodesic { /* {0} is empty */
    VslVolume velocity;      /* 3 channels on the band grid (periodic); mm per unit time along its own axes */
    VslGrid fixed;           /* grid of the image that it was estimated on */
    VslKernel kernel;
    int time_steps; /* Runge-Kutta steps over unit time that its numbers were reported with */
} VslGeodesic;

VSL_API void vsl_geodesic_free(VslGeodesic *g);
VSL_API void vsl_geodesic_move(VslGeodesic *out, VslGeodesic *in);

#ifdef __cplusplus
}
#endif
#endif
