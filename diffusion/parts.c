/* Connected parts by flood fill. */
#include "diffusion/parts.h"

#include <string.h>

#include "core/memory.h"

static const double in_one_part = 0.9; /* a known mask may have crumbs */

typedef struct Flood {
    const float *mask;
    const int64_t *n;
    int64_t *part; /* of each voxel: 0 = none yet, or below 1/2 */
    int64_t *open; /* voxels whose neighbours are to be looked at */
    int64_t count;
} Flood;

static void look_at(Flood *f, int64_t voxel, int64_t part)
{
    if (f->part[voxel] == 0 && f->mask[voxel] > 0.5F) {
        f->part[voxel] = part;
        f->open[f->count++] = voxel;
    }
}

/* All of the part that holds `seed`; its size. */
static int64_t flood(Flood *f, int64_t seed, int64_t part)
{
    int64_t size = 0;
    const int64_t *n = f->n;
    look_at(f, seed, part);
    for (; f->count > 0; size++) {
        const int64_t v = f->open[--f->count], x = v % n[0], y = v / n[0] % n[1], z = v / (n[0] * n[1]);
        for (int64_t k = z > 0 ? z - 1 : 0; k <= z + 1 && k < n[2]; k++) {
            for (int64_t j = y > 0 ? y - 1 : 0; j <= y + 1 && j < n[1]; j++) {
                for (int64_t i = x > 0 ? x - 1 : 0; i <= x + 1 && i < n[0]; i++) {
                    look_at(f, (k * n[1] + j) * n[0] + i, part);
                }
            }
        }
    }
    return size;
}

VslStatus vsl_largest_part(float *mask, double *share_left, const int64_t n[3])
{
    VslStatus st = VSL_OK;
    Flood f = {.mask = mask, .n = n};
    const int64_t voxels = n[0] * n[1] * n[2];
    int64_t parts = 0, largest = 0, size = 0, all = 0;
    VSL_TRY(VSL_NEW0(&f.part, voxels, "parts of a mask"));
    VSL_TRY(VSL_NEW(&f.open, voxels, "parts of a mask"));
    for (int64_t v = 0; v < voxels; v++) {
        const int64_t here = flood(&f, v, parts + 1);
        parts += here > 0;
        all += here;
        if (here > size) {
            largest = parts;
            size = here;
        }
    }
    for (int64_t v = 0; v < voxels; v++) {
        mask[v] = f.part[v] == largest || f.part[v] == 0 ? mask[v] : 0;
    }
    if (share_left) {
        *share_left = all > 0 ? (double)size / (double)all : 0;
    }
out:
    vsl_free(f.part);
    vsl_free(f.open);
    return st;
}

VslStatus vsl_dataset_in_one_part(unsigned char *out, const VslDataset *d, const VslSubset *items)
{
    VslStatus st = VSL_OK;
    float *copy = NULL;
    const int64_t voxels = d->n[0] * d->n[1] * d->n[2];
    memset(out, 1, (size_t)d->masks);
    VSL_TRY(VSL_NEW(&copy, voxels, "a mask"));
    for (int64_t k = 0; k < items->count; k++) {
        const float *masks = vsl_dataset_mask(d, items->item[k]);
        for (int m = 0; masks && m < d->masks; m++) {
            double share = 1;
            memcpy(copy, masks + m * voxels, (size_t)voxels * sizeof *copy);
            VSL_TRY(vsl_largest_part(copy, &share, d->n));
            out[m] = out[m] && share >= in_one_part;
        }
    }
out:
    vsl_free(copy);
    return st;
}
