/* How far psi(phi(x)) is from x: the two maps are composed by linear interpolation and the distance is taken. */
#include "registration/quality.h"

#include <math.h>

#include "core/select.h"

static int is_inside(const double index[3], const int64_t n[3])
{
    for (int d = 0; d < 3; d++) {
        if (!(index[d] >= -0.5 && index[d] <= (double)n[d] - 0.5)) {
            return 0;
        }
    }
    return 1;
}

VslStatus vsl_inverse_consistency(VslInverseConsistency *out, const VslVolume *forward, const VslVolume *inverse,
                                  const VslVolume *mask, int threads)
{
    VslStatus st = VSL_OK;
    VslVolume round_trip = {0};
    float *distance = NULL;
    VslAffine to_fixed, to_inverse;
    int64_t count = 0;
    double sum = 0, sum_vox = 0;
    VSL_CHECK(forward->channels == 3 && inverse->channels == 3, VSL_E_ARG,
              "displacements have %d and %d channels, expected 3 (x, y, z)", forward->channels, inverse->channels);
    if (mask) {
        VSL_CHECK(mask->channels == 1, VSL_E_ARG, "the mask has %d channels, expected 1", mask->channels);
        VSL_TRY(vsl_grid_check_same(&forward->grid, "forward displacement", &mask->grid, "mask"));
    }
    const VslGrid *g = &forward->grid;
    const int64_t plane = vsl_grid_voxels(g);
    const VslMap chain[2] = {{.disp = inverse}, {.disp = forward}};
    VSL_TRY(vsl_grid_from_ras(&to_fixed, g));
    VSL_TRY(vsl_grid_from_ras(&to_inverse, &inverse->grid));
    VSL_TRY(vsl_compose(&round_trip, g, chain, 2, threads));
    VSL_TRY(VSL_NEW(&distance, plane, "distances of a round trip"));
    for (int64_t p = 0; p < plane; p++) {
        if (mask && !(mask->data[p] != 0)) {
            continue;
        }
        const double at[3] = {(double)(p % g->n[0]), (double)(p / g->n[0] % g->n[1]),
                              (double)(p / (g->n[0] * g->n[1]))};
        double x[3], error[3], index[3];
        vsl_affine_point(x, &g->to_ras, at);
        for (int d = 0; d < 3; d++) {
            x[d] += (double)forward->data[d * plane + p];
            error[d] = (double)round_trip.data[d * plane + p];
        }
        vsl_affine_point(index, &to_inverse, x);
        if (!is_inside(index, inverse->grid.n)) {
            continue;
        }
        double e2 = 0, v2 = 0, vox[3];
        vsl_affine_vector(vox, &to_fixed, error);
        for (int d = 0; d < 3; d++) {
            e2 += error[d] * error[d];
            v2 += vox[d] * vox[d];
        }
        sum += sqrt(e2);
        sum_vox += sqrt(v2);
        distance[count++] = (float)sqrt(e2);
    }
    VSL_CHECK(count > 0, VSL_E_NUMERIC, "no voxel is mapped into the inverse field, so that it cannot be judged");
    VSL_CHECK(isfinite(sum), VSL_E_NUMERIC, "a displacement is not finite, so that the round trip cannot be judged");
    *out = (VslInverseConsistency){.mean_mm = sum / (double)count,
                                   .p95_mm = vsl_percentile(distance, count, 95),
                                   .max_mm = vsl_percentile(distance, count, 100),
                                   .mean_vox = sum_vox / (double)count};
out:
    vsl_free(distance);
    vsl_volume_free(&round_trip);
    return st;
}
