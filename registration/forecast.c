#include "registration/forecast.h"

#include <math.h>

/* Voxels of a grid once it is as coarse as the finest level wants it; not more than there will be. */
static double voxels_at(const VslGrid *g, double spacing_mm)
{
    double spacing[3], voxels = 1;
    vsl_grid_spacing(spacing, g);
    for (int d = 0; d < 3; d++) {
        voxels *= fmax(1, floor((double)g->n[d] * fmin(1, spacing[d] / spacing_mm)));
    }
    return voxels;
}

int64_t vsl_lddmm_least_bytes(const VslGrid *fixed, const VslGrid *moving, int channels, int has_moving_mask,
                              const VslLddmmOptions *opt)
{
    double spacing[3], finest = INFINITY;
    vsl_grid_spacing(spacing, fixed);
    for (int d = 0; d < 3; d++) {
        finest = fixed->n[d] > 1 ? fmin(finest, spacing[d]) : finest;
    }
    finest = fmax(finest, opt->finest_mm);
    /* fixed, warped, derivative, three slopes; LNCC: statistics of two windows; the mask; the warped moving mask */
    const double planes = channels * (opt->similarity == VSL_SIMILARITY_LNCC ? 12 : 6) + 1 + (has_moving_mask ? 1 : 0);
    const double floats =
        planes * voxels_at(fixed, finest) + (channels + (has_moving_mask ? 1 : 0)) * voxels_at(moving, finest);
    return (int64_t)(floats * sizeof(float));
}

VslStatus vsl_lddmm_check_memory(const VslGrid *fixed, const VslGrid *moving, int channels, int has_moving_mask,
                                 const VslLddmmOptions *opt, VslBackend *be)
{
    VslStatus st = VSL_OK;
    const int64_t needed = vsl_lddmm_least_bytes(fixed, moving, channels, has_moving_mask, opt);
    int64_t available = 0, total = 0;
    VSL_TRY(vsl_backend_memory(&available, &total, be));
    VSL_CHECK(needed <= available, VSL_E_NOMEM,
              "a deformation of %lldx%lldx%lld voxels needs at least %.0f MiB on %s, where %.0f of %.0f MiB are free: "
              "coarser images (--finest-mm) need less%s",
              (long long)fixed->n[0], (long long)fixed->n[1], (long long)fixed->n[2], (double)needed / 1048576,
              vsl_backend_name(be), (double)available / 1048576, (double)total / 1048576,
              vsl_backend_is_host(be) ? "" : ", and --device cpu has the machine's memory");
out:
    return st;
}
