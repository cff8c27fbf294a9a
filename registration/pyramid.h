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
/** Smoothed and resampled so that no axis is finer than spacing_mm (axes that are coarser stay). is_mask: averaged
 * without smoothing, kept as weights. Never finer than the input. */
VSL_MUST_USE VslStatus reg_coarsen(VslVolume *out, const VslVolume *in, double spacing_mm, int is_mask, int threads);

#ifdef __cplusplus
}
#endif
#endif
