/* CPU loops of mutual information. Voxels are counted in a fixed number of parts, whose histograms are added in order:
 * the same bits for every number of threads. */
#include <string.h>

#include "core/parallel.h"
#include "registration/kernels_cpu.h"
#include "registration/point_mi.h"

enum { PARTS = 32 };

typedef struct Mi {
    RegMiImages images;
    RegMiBins bins;
    int64_t voxels;
    double *parts; /* per part a histogram and the sum of weights */
    const double *table;
    float *grad;
    double scale;
} Mi;

static Mi mi_of(const VslField *fixed, const VslField *warped, const VslField *mask, const VslField *weight,
                const RegMiBins *bins)
{
    return (Mi){.images = {fixed->data, warped->data, mask ? mask->data : NULL, weight ? weight->data : NULL},
                .bins = *bins,
                .voxels = vsl_field_count(fixed)};
}

static void count_part(void *ctx, int64_t part, int worker)
{
    (void)worker;
    const Mi *mi = ctx;
    const int64_t cells = (int64_t)mi->bins.bins * mi->bins.bins;
    double *h = mi->parts + part * (cells + 1), sum = 0;
    memset(h, 0, (size_t)cells * sizeof *h);
    for (int64_t v = mi->voxels * part / PARTS; v < mi->voxels * (part + 1) / PARTS; v++) {
        sum += reg_mi_add(h, &mi->images, &mi->bins, v);
    }
    h[cells] = sum;
}

VslStatus reg_cpu_mi_count(double *joint, double *total, const VslField *fixed, const VslField *warped,
                           const VslField *mask, const VslField *weight, const RegMiBins *bins)
{
    VslStatus st = VSL_OK;
    const int64_t cells = (int64_t)bins->bins * bins->bins;
    float *scratch = NULL;
    double sum = 0;
    Mi mi = mi_of(fixed, warped, mask, weight, bins);
    VSL_TRY(vsl_backend_scratch(&scratch, fixed->be, 2 * PARTS * (cells + 1)));
    mi.parts = (double *)(void *)scratch;
    vsl_parallel_for(PARTS, vsl_backend_threads(fixed->be), count_part, &mi);
    memset(joint, 0, (size_t)cells * sizeof *joint);
    for (int part = 0; part < PARTS; part++) {
        const double *h = mi.parts + part * (cells + 1);
        for (int64_t c = 0; c < cells; c++) {
            joint[c] += h[c];
        }
        sum += h[cells];
    }
    *total = sum;
out:
    return st;
}

static void derive_part(void *ctx, int64_t part, int worker)
{
    (void)worker;
    const Mi *mi = ctx;
    for (int64_t v = mi->voxels * part / PARTS; v < mi->voxels * (part + 1) / PARTS; v++) {
        mi->grad[v] = (float)(reg_mi_slope(mi->scale, mi->table, &mi->images, &mi->bins, v));
    }
}

VslStatus reg_cpu_mi_derive(VslField *grad, const double *table, const VslField *fixed, const VslField *warped,
                            const VslField *mask, const VslField *weight, const RegMiBins *bins, double scale)
{
    Mi mi = mi_of(fixed, warped, mask, weight, bins);
    mi.table = table;
    mi.grad = grad->data;
    mi.scale = scale;
    vsl_parallel_for(PARTS, vsl_backend_threads(fixed->be), derive_part, &mi);
    return VSL_OK;
}
