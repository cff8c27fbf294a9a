/** Images made ready for registration: intensities to a common scale, coarser copies. Internal to registration. */
#ifndef VSL_REGISTRATION_PYRAMID_H
#define VSL_REGISTRATION_PYRAMID_H

#include "core/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

/** out = (in - p0.5) / (p99.5 - p0.5) per channel, percentiles over the voxels where mask != 0 (NULL = all); NaN and
 * Inf become 0 and are counted in *not_finite (may be NULL). @return VSL_E_NUMERIC when a channel is constant; name is
 * used in the sentence. */
VSL_MUST_USE VslStatus reg_normalise(VslVolume *out, int64_t *not_finite, const VslVolume *in, const VslVolume *mask,
                                     const char *name);
/** Smoothed and resampled so that no axis is finer than spacing_mm (axes that are coarser stay; never finer than the
 * input). mask (NULL = all 1, then coarse_mask is not touched): voxels of weight 0 neither enter the smoothing nor the
 * interpolation; they are filled from their neighbours, and the coarse mask keeps what is at least half inside. */
VSL_MUST_USE VslStatus reg_coarsen(VslVolume *out, VslVolume *coarse_mask, const VslVolume *in, const VslVolume *mask,
                                   double spacing_mm, int threads);

#ifdef __cplusplus
}
#endif
#endif
