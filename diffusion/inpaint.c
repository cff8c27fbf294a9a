/* Known voxels are kept by replacement at each level; a jump adds the noise of one step again. */
#include "diffusion/inpaint.h"

#include <math.h>

NnTensor *vsl_inpaint_put_back(NnScope *s, const VslInpaint *in, NnTensor *z, const VslLevel *level, NnTensor *noise)
{
    NnTensor *known = nn_affine(s, in->reference, level->alpha, 0);
    if (level->sigma > 0) {
        known = nn_add(s, known, nn_affine(s, noise, level->sigma, 0));
    }
    NnTensor *kept = nn_mul(s, in->mask, known), *drawn = nn_mul(s, nn_affine(s, in->mask, -1, 1), z);
    return nn_add(s, kept, drawn);
}

NnTensor *vsl_inpaint_jump(NnScope *s, NnTensor *z, const VslLevel *from, const VslLevel *to, NnTensor *noise)
{
    const double scale = to->alpha / from->alpha, old = scale * from->sigma;
    const double fresh = sqrt(fmax(to->sigma * to->sigma - old * old, 0));
    return nn_add(s, nn_affine(s, z, scale, 0), nn_affine(s, noise, fresh, 0));
}
