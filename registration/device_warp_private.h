/* Device loops from the lattice of particles to the image grid: warp with its slope, and the transpose.
 *
 * The separable cubic weights are used one axis after another. Warp: rows are expanded along i between lattice nodes of
 * j and k (a small array), then a thread per voxel combines 4 x 4 of them. Transpose: gathered, never scattered, along
 * j, then k, then i; each thread sums the voxels that reach its node, in order. Common subset of C17 and CUDA C++;
 * core/device_reduce_private.h says how it is launched. */
#ifndef VSL_REGISTRATION_DEVICE_WARP_PRIVATE_H
#define VSL_REGISTRATION_DEVICE_WARP_PRIVATE_H

#include <string.h>

#include "core/backend_private.h"
#include "registration/kernels_cuda.h"
#include "registration/point.h"

typedef struct RegWarpArgs {
    int64_t n[3], plane; /* image grid, its voxels */
    int64_t m[3], nodes; /* lattice */
    double scale[3], offset[3];
    RegSize moving_size;
    int64_t moving_plane;
    int channels;
    float a[3][4]; /* band voxel -> moving voxel */
    const float *y, *moving, *grad, *slope_in, *from;
    float *rows; /* (3, m2, m1, n0): positions expanded along i */
    float *warped, *slope, *to;
    float force; /* factor of the transpose */
} RegWarpArgs;

/* Nodes first .. first + 3 and their weights for voxel i of axis d; one node on a flat axis. Returns how many. */
VSL_BODY int reg_taps(int32_t *first, float weight[4], const RegWarpArgs *w, int d, int64_t i)
{
    const double at = w->scale[d] * (double)i + w->offset[d], low = floor(at);
    if (w->m[d] < 4) {
        *first = 0;
        weight[0] = 1;
        weight[1] = weight[2] = weight[3] = 0;
        return 1;
    }
    *first = (int32_t)low - 1;
    reg_cubic_weights(weight, (float)(at - low));
    return 4;
}

/* thread = i + n0 (node j + m1 (node k + m2 component)) */
VSL_BODY void reg_expand_row(const RegWarpArgs *w, int64_t thread)
{
    const float *row = w->y + thread / w->n[0] * w->m[0];
    int32_t first;
    float weight[4], sum = 0;
    const int taps = reg_taps(&first, weight, w, 0, thread % w->n[0]);
    for (int a = 0; a < taps; a++) {
        sum += weight[a] * row[first + a];
    }
    w->rows[thread] = sum;
}
VSL_KERNEL(reg_expand_row, RegWarpArgs)

/* Where voxel q looks, in moving voxels. */
VSL_BODY RegVec3 reg_moving_position(const RegWarpArgs *w, int64_t q)
{
    const int64_t i = q % w->n[0], stride = w->m[1] * w->m[2] * w->n[0];
    int32_t fj, fk;
    float wj[4], wk[4], p[3];
    const int tj = reg_taps(&fj, wj, w, 1, q / w->n[0] % w->n[1]),
              tk = reg_taps(&fk, wk, w, 2, q / (w->n[0] * w->n[1]));
    p[0] = p[1] = p[2] = 0;
    for (int b = 0; b < tk; b++) {
        for (int a = 0; a < tj; a++) {
            const float weight = wk[b] * wj[a];
            const float *row = w->rows + ((fk + b) * w->m[1] + fj + a) * w->n[0] + i;
            p[0] += weight * row[0];
            p[1] += weight * row[stride];
            p[2] += weight * row[2 * stride];
        }
    }
    RegVec3 r;
    r.x = w->a[0][0] * p[0] + w->a[0][1] * p[1] + w->a[0][2] * p[2] + w->a[0][3];
    r.y = w->a[1][0] * p[0] + w->a[1][1] * p[1] + w->a[1][2] * p[2] + w->a[1][3];
    r.z = w->a[2][0] * p[0] + w->a[2][1] * p[1] + w->a[2][2] * p[2] + w->a[2][3];
    return r;
}

VSL_BODY void reg_warp_voxel(const RegWarpArgs *w, int64_t q)
{
    const RegVec3 at = reg_moving_position(w, q);
    const RegSize size = w->moving_size;
    const RegCell cell = reg_cell_clamped(size, at);
    for (int c = 0; c < w->channels; c++) {
        const float *moving = w->moving + c * w->moving_plane;
        if (!w->slope) {
            w->warped[c * w->plane + q] = reg_sample(moving, cell);
            continue;
        }
        const RegSlope s =
            reg_near_kink(size, at, cell) ? reg_slope_averaged(moving, size, at) : reg_sample_slope(moving, cell);
        float *slope = w->slope + 3 * c * w->plane + q;
        w->warped[c * w->plane + q] = s.value;
        for (int d = 0; d < 3; d++) {
            slope[d * w->plane] = w->a[0][d] * s.dx + w->a[1][d] * s.dy + w->a[2][d] * s.dz;
        }
    }
}
VSL_KERNEL(reg_warp_voxel, RegWarpArgs)

VSL_BODY void reg_warp_mask_voxel(const RegWarpArgs *w, int64_t q)
{
    const RegVec3 at = reg_moving_position(w, q);
    const RegSize s = w->moving_size;
    const int32_t x = reg_floor_index(at.x + 0.5f), y = reg_floor_index(at.y + 0.5f), z = reg_floor_index(at.z + 0.5f);
    const int inside = x >= 0 && x < s.nx && y >= 0 && y < s.ny && z >= 0 && z < s.nz;
    w->warped[q] = inside ? w->moving[((int64_t)z * s.ny + y) * s.nx + x] : 0;
}
VSL_KERNEL(reg_warp_mask_voxel, RegWarpArgs)

static RegWarpArgs reg_warp_args(const VslField *grid, const RegLattice *lattice)
{
    RegWarpArgs w;
    memset(&w, 0, sizeof w);
    for (int d = 0; d < 3; d++) {
        w.n[d] = grid->n[d];
        w.m[d] = lattice->n[d];
        w.scale[d] = lattice->scale[d];
        w.offset[d] = lattice->offset[d];
    }
    w.plane = w.n[0] * w.n[1] * w.n[2];
    w.nodes = w.m[0] * w.m[1] * w.m[2];
    return w;
}

/* Sets the moving side and expands the positions along i into scratch. */
static VslStatus reg_warp_begin(RegWarpArgs *w, const VslField *moving, const VslField *y, const VslAffine *to_moving)
{
    VslStatus st = VSL_OK;
    const int64_t rows = 3 * w->m[2] * w->m[1] * w->n[0];
    w->moving_size.nx = (int32_t)moving->n[0];
    w->moving_size.ny = (int32_t)moving->n[1];
    w->moving_size.nz = (int32_t)moving->n[2];
    w->moving_plane = moving->n[0] * moving->n[1] * moving->n[2];
    w->channels = moving->channels;
    w->moving = moving->data;
    w->y = y->data;
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            w->a[r][c] = (float)to_moving->m[r][c];
        }
    }
    VSL_TRY(vsl_backend_scratch(&w->rows, y->be, rows));
    VSL_TRY(reg_expand_row_launch(y->be, *w, rows));
out:
    return st;
}

VslStatus reg_device_warp(VslField *warped, VslField *slope, const VslField *moving, const VslField *y,
                          const RegLattice *lattice, const VslAffine *to_moving)
{
    VslStatus st = VSL_OK;
    RegWarpArgs w = reg_warp_args(warped, lattice);
    w.warped = warped->data;
    w.slope = slope ? slope->data : NULL;
    VSL_TRY(reg_warp_begin(&w, moving, y, to_moving));
    VSL_TRY(reg_warp_voxel_launch(warped->be, w, w.plane));
out:
    return st;
}

VslStatus reg_device_warp_mask(VslField *warped, const VslField *mask, const VslField *y, const RegLattice *lattice,
                               const VslAffine *to_moving)
{
    VslStatus st = VSL_OK;
    RegWarpArgs w = reg_warp_args(warped, lattice);
    w.warped = warped->data;
    VSL_TRY(reg_warp_begin(&w, mask, y, to_moving));
    VSL_TRY(reg_warp_mask_voxel_launch(warped->be, w, w.plane));
out:
    return st;
}

/* The voxels of axis d that may reach a node, a little more than those that do. */
VSL_BODY void reg_reach(int64_t *begin, int64_t *end, const RegWarpArgs *w, int d, int64_t node)
{
    *begin = 0;
    *end = w->n[d];
    if (w->m[d] >= 4 && w->scale[d] != 0) {
        const double a = ((double)node - 2 - w->offset[d]) / w->scale[d],
                     b = ((double)node + 2 - w->offset[d]) / w->scale[d], low = floor(a < b ? a : b) - 1,
                     high = ceil(a < b ? b : a) + 2;
        *begin = low > 0 ? (low < (double)w->n[d] ? (int64_t)low : w->n[d]) : 0;
        *end = high < (double)w->n[d] ? (high > 0 ? (int64_t)high : 0) : w->n[d];
    }
}

/* Weight of voxel i of axis d at a node, 0 where it does not reach. */
VSL_BODY float reg_tap_weight(const RegWarpArgs *w, int d, int64_t i, int64_t node)
{
    int32_t first;
    float weight[4];
    const int taps = reg_taps(&first, weight, w, d, i);
    const int64_t at = node - first;
    float r = 0;
    for (int a = 0; a < taps; a++) { /* no run-time index: the weights stay in registers */
        r = at == a ? weight[a] : r;
    }
    return r;
}

/* Along j. thread = i + n0 (node j + m1 (k + n2 component)); the force is grad times slope, summed over channels. */
VSL_BODY void reg_restrict_j(const RegWarpArgs *w, int64_t thread)
{
    const int64_t n0 = w->n[0], i = thread % n0, node = thread / n0 % w->m[1], k = thread / (n0 * w->m[1]) % w->n[2],
                  c = thread / (n0 * w->m[1] * w->n[2]);
    int64_t begin, end;
    float sum = 0;
    reg_reach(&begin, &end, w, 1, node);
    for (int64_t j = begin; j < end; j++) {
        const float weight = reg_tap_weight(w, 1, j, node);
        const int64_t at = (k * w->n[1] + j) * n0 + i;
        if (weight != 0) {
            for (int q = 0; q < w->channels; q++) {
                sum += weight * (w->grad[q * w->plane + at] * w->slope_in[(3 * q + c) * w->plane + at]);
            }
        }
    }
    w->to[thread] = sum;
}
VSL_KERNEL(reg_restrict_j, RegWarpArgs)

/* Along k. thread = i + n0 (node j + m1 (node k + m2 component)) */
VSL_BODY void reg_restrict_k(const RegWarpArgs *w, int64_t thread)
{
    const int64_t slab = w->n[0] * w->m[1], node = thread / slab % w->m[2], c = thread / (slab * w->m[2]);
    const float *from = w->from + c * w->n[2] * slab + thread % slab;
    int64_t begin, end;
    float sum = 0;
    reg_reach(&begin, &end, w, 2, node);
    for (int64_t k = begin; k < end; k++) {
        const float weight = reg_tap_weight(w, 2, k, node);
        if (weight != 0) {
            sum += weight * from[k * slab];
        }
    }
    w->to[thread] = sum;
}
VSL_KERNEL(reg_restrict_k, RegWarpArgs)

/* Along i. thread = value of eta */
VSL_BODY void reg_restrict_i(const RegWarpArgs *w, int64_t thread)
{
    const int64_t node = thread % w->m[0];
    const float *from = w->from + thread / w->m[0] * w->n[0];
    int64_t begin, end;
    float sum = 0;
    reg_reach(&begin, &end, w, 0, node);
    for (int64_t i = begin; i < end; i++) {
        const float weight = reg_tap_weight(w, 0, i, node);
        if (weight != 0) {
            sum += weight * from[i];
        }
    }
    w->to[thread] = w->force * sum;
}
VSL_KERNEL(reg_restrict_i, RegWarpArgs)

VslStatus reg_device_restrict_force(VslField *eta, const VslField *grad, const VslField *slope,
                                    const RegLattice *lattice, double scale)
{
    VslStatus st = VSL_OK;
    VslBackend *be = grad->be;
    RegWarpArgs w = reg_warp_args(grad, lattice);
    const int64_t along_j = 3 * w.n[2] * w.m[1] * w.n[0], along_k = 3 * w.m[2] * w.m[1] * w.n[0];
    float *scratch = NULL;
    VSL_TRY(vsl_backend_scratch(&scratch, be, along_j + along_k));
    w.grad = grad->data;
    w.slope_in = slope->data;
    w.channels = grad->channels;
    w.force = (float)scale;
    w.to = scratch;
    VSL_TRY(reg_restrict_j_launch(be, w, along_j));
    w.from = scratch;
    w.to = scratch + along_j;
    VSL_TRY(reg_restrict_k_launch(be, w, along_k));
    w.from = scratch + along_j;
    w.to = eta->data;
    VSL_TRY(reg_restrict_i_launch(be, w, 3 * w.nodes));
out:
    return st;
}

#endif
