/* Creation, copy and release of volumes and label maps. */
#include "core/volume.h"

#include <string.h>

static VslStatus count_values(int64_t *out, const VslGrid *grid, int channels)
{
    int64_t n = channels;
    VslStatus st = VSL_OK;
    VSL_CHECK(channels >= 1, VSL_E_ARG, "a volume needs at least one channel, got %d", channels);
    for (int d = 0; d < 3; d++) {
        VSL_CHECK(grid->n[d] >= 1, VSL_E_ARG, "a volume needs at least one voxel per axis, got %lld on axis %d",
                  (long long)grid->n[d], d);
        VSL_CHECK(vsl_mul_ok(n, grid->n[d], &n), VSL_E_NOMEM, "a volume of %lldx%lldx%lldx%d voxels is too large",
                  (long long)grid->n[0], (long long)grid->n[1], (long long)grid->n[2], channels);
    }
    *out = n;
out:
    return st;
}

VslStatus vsl_volume_new(VslVolume *out, const VslGrid *grid, int channels)
{
    VslStatus st = VSL_OK;
    int64_t n = 0;
    VslVolume v = {*grid, channels, NULL};
    VSL_TRY(count_values(&n, grid, channels));
    VSL_TRY(VSL_NEW0(&v.data, n, "volume"));
    vsl_volume_move(out, &v);
out:
    return st;
}

VslStatus vsl_volume_copy(VslVolume *out, const VslVolume *in)
{
    VslStatus st = VSL_OK;
    int64_t n = 0;
    VslVolume v = {in->grid, in->channels, NULL};
    VSL_TRY(count_values(&n, &in->grid, in->channels));
    VSL_TRY(VSL_NEW(&v.data, n, "volume"));
    memcpy(v.data, in->data, (size_t)n * sizeof *v.data);
    vsl_volume_move(out, &v);
out:
    return st;
}

void vsl_volume_free(VslVolume *v)
{
    vsl_free(v->data);
    *v = (VslVolume){0};
}

void vsl_volume_move(VslVolume *out, VslVolume *in)
{
    vsl_free(out->data);
    *out = *in;
    *in = (VslVolume){0};
}

VslVolume vsl_volume_view(const VslVolume *v, int c)
{
    return (VslVolume){v->grid, 1, v->data + c * vsl_grid_voxels(&v->grid)};
}

VslStatus vsl_labels_new(VslLabels *out, const VslGrid *grid)
{
    VslStatus st = VSL_OK;
    int64_t n = 0;
    VslLabels l = {*grid, NULL};
    VSL_TRY(count_values(&n, grid, 1));
    VSL_TRY(VSL_NEW0(&l.data, n, "label map"));
    vsl_labels_move(out, &l);
out:
    return st;
}

void vsl_labels_free(VslLabels *l)
{
    vsl_free(l->data);
    *l = (VslLabels){0};
}

void vsl_labels_move(VslLabels *out, VslLabels *in)
{
    vsl_free(out->data);
    *out = *in;
    *in = (VslLabels){0};
}
