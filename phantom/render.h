/* From the anatomy to voxels. */
#ifndef VSL_PHANTOM_RENDER_H
#define VSL_PHANTOM_RENDER_H

#include "phantom/lesion.h"

typedef struct PhAcquisition { /* {0}: a perfect scanner */
    const PhWaves *texture;    /* of tissue, in template space, or NULL */
    const PhWaves *bias;       /* of the coil, in scan space, or NULL */
    float texture_sd, bias_sd; /* of the logarithm */
    double noise_sd;           /* of each channel of the complex signal, in units of the signal (white = 0.92) */
    uint64_t seed, noise_stream;
} PhAcquisition;

/* Samples image, labels and lesions of `out` at the points x + disp(x) of template space, 8 per voxel for signal and
 * lesion volume, the centre for label and mask. out->disp gives grid and points; lesions may be NULL. */
VSL_MUST_USE VslStatus ph_render(VslPhantomScan *out, const PhAnatomy *a, const PhLesions *lesions,
                                 const PhAcquisition *acquisition, int threads);

#endif
