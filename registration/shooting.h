/**
 * Geodesic shooting: from an initial velocity to the diffeomorphism, its inverse and its length.
 *
 * EPDiff  dm/dt = -( (Dv)^T m + div(m (x) v) ),  v = K m,  on the periodic band grid by classical Runge-Kutta steps
 * (differences are central, so that <m, v> is conserved by the semi-discrete equation). phi_1^-1 follows particles from
 * the fixed grid backward through v_t. Source: Vialard et al., IJCV 2012, eq. 6-9; Zhang and Fletcher, IJCV 2019.
 * @test registration/test_flow.c, test_lddmm.c
 */
#ifndef VSL_REGISTRATION_SHOOTING_H
#define VSL_REGISTRATION_SHOOTING_H

#include "core/backend.h"
#include "core/geodesic.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslShootResult { /* world mm, RAS+; empty members are freed by vsl_shoot_result_free */
    VslVolume disp;             /* phi^-1(x) - x on `grid`: where to look in the moving image (pull-back) */
    VslVolume inverse_disp;     /* phi(x) - x on `grid` */
    double length_mm;           /* sqrt(<L v0, v0>), with the V-norm's own units */
    double energy_drift;        /* max_t |<m_t,v_t> / <m_0,v_0> - 1| */
    int time_steps;
} VslShootResult;

/** Shoots g on `grid` (any grid: particles start at its voxel centres). time: 1 = the full geodesic, other values go
 * part of the way or beyond, negative backward. time_steps: 0 = g->time_steps, or as many as max |Dv| asks for when
 * that is 0 too. with_inverse: also integrate phi. @return VSL_E_NUMERIC when the flow is not finite. */
VSL_API VSL_MUST_USE VslStatus vsl_shoot(VslShootResult *out, const VslGeodesic *g, const VslGrid *grid, double time,
                                         int time_steps, int with_inverse, VslBackend *be);
VSL_API void vsl_shoot_result_free(VslShootResult *r);

/** Makes a random geodesic: band-limited Gaussian velocity with covariance K (smooth fields), scaled so that the
 * largest speed is max_speed_mm. grid: the fixed image; band: modes per longest axis (0 = 32). Same seed and stream,
 * same field. */
VSL_API VSL_MUST_USE VslStatus vsl_geodesic_random(VslGeodesic *out, const VslGrid *grid, const VslKernel *kernel,
                                                   int band, double max_speed_mm, uint64_t seed, uint64_t stream,
                                                   VslBackend *be);

#ifdef __cplusplus
}
#endif
#endif
