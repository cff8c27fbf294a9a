/* Gaussian smoothing with its width in voxels: what vsl_smooth and the image scores share. */
#ifndef VSL_REGISTRATION_SMOOTH_H
#define VSL_REGISTRATION_SMOOTH_H

#include "core/volume.h"

/** In place, all channels, reflecting borders. truncate: kernel half-width in sigmas. Axes one voxel thick and widths
 * of at most 0.1 voxel are left alone. A failure leaves v as it was. */
VSL_MUST_USE VslStatus reg_smooth_voxels(VslVolume *v, const double sigma_vox[3], double truncate, int threads);

#endif
