/* tilt IN OUT MM_I MM_J MM_K DEGREES MIRROR(0|1): IN sampled on a grid of the given voxel size that is turned about
 * (1, 2, 3) through the middle of IN, left-handed when MIRROR is 1. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/text.h"
#include "io/nifti.h"
#include "registration/transform.h"

static VslStatus tilt(const char *in, const char *out_path, const double mm[3], double degrees, int mirror)
{
    VslStatus st = VSL_OK;
    VslVolume image = {0}, out = {0};
    const VslNiftiWrite how = {0};
    const VslMap identity = {.affine = {{{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}}}};
    const double angle = degrees * acos(-1.0) / 180, c = cos(angle), s = sin(angle), norm = sqrt(14.0);
    const double u[3] = {1 / norm, 2 / norm, 3 / norm};
    const double cross[3][3] = {{0, -u[2], u[1]}, {u[2], 0, -u[0]}, {-u[1], u[0], 0}};
    double spacing[3], middle[3], centre[3];
    VSL_TRY(vsl_nifti_read(&image, NULL, in));
    vsl_grid_spacing(spacing, &image.grid);
    VslGrid g = image.grid;
    for (int d = 0; d < 3; d++) {
        middle[d] = 0.5 * (double)(image.grid.n[d] - 1);
        g.n[d] = (int64_t)ceil(spacing[d] * (double)image.grid.n[d] / mm[d]);
    }
    vsl_affine_point(centre, &image.grid.to_ras, middle);
    for (int r = 0; r < 3; r++) {
        g.to_ras.m[r][3] = centre[r];
        for (int k = 0; k < 3; k++) {
            const double turn = c * (r == k) + (1 - c) * u[r] * u[k] + s * cross[r][k];
            g.to_ras.m[r][k] = turn * mm[k] * (mirror && k == 0 ? -1 : 1);
            g.to_ras.m[r][3] -= g.to_ras.m[r][k] * 0.5 * (double)(g.n[k] - 1);
        }
    }
    VSL_TRY(vsl_apply_image(&out, &g, &image, &identity, 1, VSL_INTERPOLATION_LINEAR, 0, 1));
    VSL_TRY(vsl_nifti_write(out_path, &out, &how));
out:
    vsl_volume_free(&out);
    vsl_volume_free(&image);
    return st;
}

int main(int argc, char **argv)
{
    double number[4];
    for (int i = 0; i < 4; i++) {
        if (argc != 8 || !vsl_text_to_double(argv[3 + i], &number[i])) {
            fprintf(stderr, "tilt IN OUT MM_I MM_J MM_K DEGREES MIRROR\n");
            return 2;
        }
    }
    if (tilt(argv[1], argv[2], number, number[3], argv[7][0] == '1') != VSL_OK) {
        fprintf(stderr, "%s\n", vsl_error());
        return 1;
    }
    return 0;
}
