/* Device loops of the volume penalty on the lattice of particles: determinants, then every node gathers from its six
 * neighbours. One thread is one node.
 * Common subset of C17 and CUDA C++; core/device_reduce_private.h says how it is launched. */
#ifndef VSL_REGISTRATION_DEVICE_VOLUME_PRIVATE_H
#define VSL_REGISTRATION_DEVICE_VOLUME_PRIVATE_H

#include <string.h>

#include "core/device_reduce_private.h"
#include "registration/kernels_cuda.h"
#include "registration/point.h"

typedef struct RegVolumeArgs {
    int64_t n[3], plane, step[3]; /* step 0 on flat axes */
    const float *y, *floor;
    float *jac, *eta;
    float scale;
    double *partial;
    int64_t parts;
} RegVolumeArgs;

VSL_BODY int reg_is_inner(const RegVolumeArgs *v, int d, int64_t i)
{
    return v->step[d] == 0 || (i > 0 && i < v->n[d] - 1);
}

VSL_BODY void reg_determinant_part(const RegVolumeArgs *v, int64_t part)
{
    double sum = 0;
    for (int64_t at = part; at < v->plane; at += v->parts) {
        float jac = 1.0f; /* border nodes lie outside the image */
        if (reg_is_inner(v, 0, at % v->n[0]) && reg_is_inner(v, 1, at / v->n[0] % v->n[1]) &&
            reg_is_inner(v, 2, at / (v->n[0] * v->n[1]))) {
            const RegMat3 d = reg_lattice_gradient(v->y, v->plane, at, v->step);
            jac = reg_determinant(&d);
            const float short_by = 1.0f - jac / v->floor[at];
            sum += short_by > 0 ? 0.5 * (double)short_by * (double)short_by : 0.0;
        }
        v->jac[at] = jac;
    }
    v->partial[part] = sum;
}
VSL_KERNEL(reg_determinant_part, RegVolumeArgs)

VSL_BODY void reg_volume_node(const RegVolumeArgs *v, int64_t at)
{
    const int64_t x[3] = {at % v->n[0], at / v->n[0] % v->n[1], at / (v->n[0] * v->n[1])};
    for (int b = 0; b < 3; b++) {
        for (int side = -1; side <= 1; side += 2) {
            const int64_t other = x[b] + side, from = at + side * v->step[b];
            if (v->step[b] == 0 || other < 0 || other >= v->n[b] || v->jac[from] >= v->floor[from]) {
                continue;
            }
            /* y(x) enters the difference of the node before it with +1/2, of the one behind it with -1/2 */
            const RegMat3 d = reg_lattice_gradient(v->y, v->plane, from, v->step);
            const float slope = -(1.0f - v->jac[from] / v->floor[from]) / v->floor[from];
            const float weight = v->scale * slope * (side < 0 ? 0.5f : -0.5f);
            for (int a = 0; a < 3; a++) {
                v->eta[a * v->plane + at] += weight * reg_cofactor(&d, a, b);
            }
        }
    }
}
VSL_KERNEL(reg_volume_node, RegVolumeArgs)

VslStatus reg_device_volume_penalty(double *energy, VslField *eta, VslField *jac, const VslField *y,
                                    const VslField *floor, double scale)
{
    VslStatus st = VSL_OK;
    RegVolumeArgs v;
    float *scratch = NULL;
    memset(&v, 0, sizeof v);
    for (int d = 0; d < 3; d++) {
        v.n[d] = y->n[d];
    }
    v.plane = v.n[0] * v.n[1] * v.n[2];
    v.step[0] = v.n[0] > 1 ? 1 : 0;
    v.step[1] = v.n[1] > 1 ? v.n[0] : 0;
    v.step[2] = v.n[2] > 1 ? v.n[0] * v.n[1] : 0;
    v.y = y->data;
    v.jac = jac->data;
    v.eta = eta ? eta->data : NULL;
    v.floor = floor->data;
    v.scale = (float)scale;
    v.parts = vsl_device_parts(v.plane);
    VSL_TRY(vsl_backend_scratch(&scratch, y->be, vsl_device_reduce_floats(v.parts, 1)));
    v.partial = (double *)(void *)scratch;
    VSL_TRY(reg_determinant_part_launch(y->be, v, v.parts));
    if (eta) {
        VSL_TRY(reg_volume_node_launch(y->be, v, v.plane));
    }
    VSL_TRY(vsl_device_reduce(energy, y->be, v.partial, v.parts, 1, VSL_REDUCE_SUM));
out:
    return st;
}

#endif
