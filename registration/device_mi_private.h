/* Device loops of mutual information. Every part of the voxels has a histogram of its own, so that no sum depends on
 * timing; their sum is a fixed tree: GROUPS sums of parts, then the sum of those. All in double.
 * Common subset of C17 and CUDA C++; core/device_reduce_private.h says how it is launched. */
#ifndef VSL_REGISTRATION_DEVICE_MI_PRIVATE_H
#define VSL_REGISTRATION_DEVICE_MI_PRIVATE_H

#include <string.h>

#include "core/device_reduce_private.h"
#include "registration/kernels_cuda.h"
#include "registration/point_mi.h"

enum { REG_MI_GROUPS = 64, REG_MI_MOST_PARTS = 16384, REG_MI_PART_VOXELS = 64, REG_MI_MOST_BYTES = 64 << 20 };

typedef struct RegMiArgs {
    RegMiImages images;
    RegMiBins bins;
    int64_t voxels, cells, parts, groups; /* cells: bins x bins, and one for the sum of weights */
    double *part, *group, *sum;           /* histograms: of parts, of groups, of all */
    const double *table;
    float *grad;
    double scale;
} RegMiArgs;

VSL_BODY void reg_mi_count_part(const RegMiArgs *m, int64_t part)
{
    double *h = m->part + part * m->cells, total = 0;
    for (int64_t c = 0; c < m->cells; c++) {
        h[c] = 0;
    }
    for (int64_t v = part; v < m->voxels; v += m->parts) {
        total += reg_mi_add(h, &m->images, &m->bins, v);
    }
    h[m->cells - 1] = total;
}
VSL_KERNEL(reg_mi_count_part, RegMiArgs)

/* thread = cell of a group */
VSL_BODY void reg_mi_sum_group(const RegMiArgs *m, int64_t thread)
{
    double sum = 0;
    for (int64_t part = thread / m->cells; part < m->parts; part += m->groups) {
        sum += m->part[part * m->cells + thread % m->cells];
    }
    m->group[thread] = sum;
}
VSL_KERNEL(reg_mi_sum_group, RegMiArgs)

VSL_BODY void reg_mi_sum_cell(const RegMiArgs *m, int64_t cell)
{
    double sum = 0;
    for (int64_t g = 0; g < m->groups; g++) {
        sum += m->group[g * m->cells + cell];
    }
    m->sum[cell] = sum;
}
VSL_KERNEL(reg_mi_sum_cell, RegMiArgs)

VSL_BODY void reg_mi_derive_voxel(const RegMiArgs *m, int64_t v)
{
    m->grad[v] = (float)(reg_mi_slope(m->scale, m->table, &m->images, &m->bins, v));
}
VSL_KERNEL(reg_mi_derive_voxel, RegMiArgs)

static RegMiArgs reg_mi_args(const VslField *fixed, const VslField *warped, const VslField *mask,
                             const VslField *weight, const RegMiBins *bins)
{
    RegMiArgs m;
    memset(&m, 0, sizeof m);
    m.images.fixed = fixed->data;
    m.images.warped = warped->data;
    m.images.mask = mask ? mask->data : NULL;
    m.images.weight = weight ? weight->data : NULL;
    m.bins = *bins;
    m.voxels = vsl_field_count(fixed);
    m.cells = (int64_t)bins->bins * bins->bins + 1;
    return m;
}

VslStatus reg_device_mi_count(double *joint, double *total, const VslField *fixed, const VslField *warped,
                              const VslField *mask, const VslField *weight, const RegMiBins *bins)
{
    VslStatus st = VSL_OK;
    VslBackend *be = fixed->be;
    float *scratch = NULL;
    double *host = NULL;
    RegMiArgs m = reg_mi_args(fixed, warped, mask, weight, bins);
    const int64_t fit = REG_MI_MOST_BYTES / (8 * m.cells), wanted = m.voxels / REG_MI_PART_VOXELS,
                  most = fit < REG_MI_MOST_PARTS ? fit : (int64_t)REG_MI_MOST_PARTS;
    m.parts = wanted < 1 ? 1 : (wanted < most ? wanted : most);
    m.groups = m.parts < REG_MI_GROUPS ? m.parts : (int64_t)REG_MI_GROUPS;
    VSL_TRY(vsl_alloc((void **)&host, m.cells, sizeof *host, "joint histogram"));
    VSL_TRY(vsl_backend_scratch(&scratch, be, 2 * m.cells * (m.parts + m.groups + 1)));
    m.part = (double *)(void *)scratch;
    m.group = m.part + m.parts * m.cells;
    m.sum = m.group + m.groups * m.cells;
    VSL_TRY(reg_mi_count_part_launch(be, m, m.parts));
    VSL_TRY(reg_mi_sum_group_launch(be, m, m.groups * m.cells));
    VSL_TRY(reg_mi_sum_cell_launch(be, m, m.cells));
    VSL_TRY(be->table->download(be, (float *)(void *)host, (const float *)(const void *)m.sum, 2 * m.cells));
    memcpy(joint, host, (size_t)(m.cells - 1) * sizeof *joint);
    *total = host[m.cells - 1];
out:
    vsl_free(host);
    return st;
}

VslStatus reg_device_mi_derive(VslField *grad, const double *table, const VslField *fixed, const VslField *warped,
                               const VslField *mask, const VslField *weight, const RegMiBins *bins, double scale)
{
    VslStatus st = VSL_OK;
    VslBackend *be = fixed->be;
    float *scratch = NULL;
    RegMiArgs m = reg_mi_args(fixed, warped, mask, weight, bins);
    VSL_TRY(vsl_backend_scratch(&scratch, be, 2 * m.cells));
    VSL_TRY(be->table->upload(be, scratch, (const float *)(const void *)table, 2 * (m.cells - 1)));
    m.table = (const double *)(const void *)scratch;
    m.grad = grad->data;
    m.scale = scale;
    VSL_TRY(reg_mi_derive_voxel_launch(be, m, m.voxels));
out:
    return st;
}

#endif
