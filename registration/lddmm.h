/**
 * LDDMM registration by geodesic shooting in a band of Fourier modes.
 *
 *     E(v0) = 1/2 <L v0, v0> + weight * D(moving o A o phi_1^-1, fixed) + volume_weight * V(phi_1^-1)
 *
 * V = integral of 1/2 max(0, 1 - J / volume_floor)^2 with J = det D phi_1^-1 keeps volumes from vanishing: a geodesic
 * cannot fold, but a strong similarity could press a structure into less than a hundredth of its volume.
 * The gradient is that of the discrete scheme: every step (Runge-Kutta EPDiff, particle tracking, interpolation,
 * similarity) is followed backward exactly. L-BFGS in w = L^(1/2) v0, coarse to fine over image pyramid and band.
 * Sources: Vialard et al., IJCV 2012; Zhang and Fletcher, IJCV 2019; Avants et al., MedIA 2008 (LNCC).
 * @test registration/test_lddmm.c
 */
#ifndef VSL_REGISTRATION_LDDMM_H
#define VSL_REGISTRATION_LDDMM_H

#include "core/geodesic.h"
#include "core/options.h"
#include "registration/progress.h"
#include "registration/shooting.h"
#include "registration/similarity.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VslPreset { VSL_PRESET_FAST = 1, VSL_PRESET_DEFAULT, VSL_PRESET_ACCURATE } VslPreset;

typedef struct VslLddmmOptions { /* {0} = all defaults, see the table */
    VslSimilarity similarity;
    double alpha_mm2;
    double power;
    double weight;
    double volume_floor, volume_weight;
    int window, small_window;
    double band_mm;
    int band_nodes;
    int levels;
    double finest_mm;
    int iterations, fine_iterations;
    int time_steps;
    double drift;
    double tolerance;
    VslProgressFn *progress;
    void *progress_user;
} VslLddmmOptions;
extern VSL_API const VslOption vsl_lddmm_option_table[];
/** Fills the fields that the preset decides; call before setting others. */
VSL_API void vsl_lddmm_preset(VslLddmmOptions *opt, VslPreset preset);

typedef struct VslLddmmResult { /* world mm, RAS+; free with vsl_lddmm_result_free */
    VslGeodesic geodesic;
    VslShootResult shot;                        /* disp and inverse_disp on the fixed grid */
    double similarity_before, similarity_after; /* mean per mm^3, higher is better */
    double energy_before, energy_after;         /* of the finest level: where it started and ended */
    int iterations, evaluations;
    double seconds;
} VslLddmmResult;

/** fixed, moving: same number of channels, any grids. affine: fixed world -> moving world (NULL = identity).
 * Masks: one channel on their image's grid, or NULL.
 * @return VSL_E_ARG, VSL_E_NUMERIC (blank image, divergence), VSL_E_CANCELLED, VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_lddmm(VslLddmmResult *out, const VslVolume *fixed, const VslVolume *moving,
                                         const VslVolume *fixed_mask, const VslVolume *moving_mask,
                                         const VslAffine *affine, const VslLddmmOptions *opt, VslBackend *be);
/** The same, with fixed and moving emptied (vsl_volume_free) once a copy at a common scale is made, whatever the
 * result: a caller who can read them again saves their bytes while the deformation is computed. */
VSL_API VSL_MUST_USE VslStatus vsl_lddmm_take(VslLddmmResult *out, VslVolume *fixed, VslVolume *moving,
                                              const VslVolume *fixed_mask, const VslVolume *moving_mask,
                                              const VslAffine *affine, const VslLddmmOptions *opt, VslBackend *be);
VSL_API void vsl_lddmm_result_free(VslLddmmResult *r);

#ifdef __cplusplus
}
#endif
#endif
