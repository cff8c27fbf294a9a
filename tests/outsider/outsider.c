/* A program of somebody else: it sees the installed headers and the installed library, nothing more. */
#include <stdio.h>
#include <string.h>

#include "core/backend.h"
#include "core/version.h"
#include "core/volume.h"

int main(void)
{
    const int64_t n[3] = {4, 5, 6};
    const double spacing[3] = {1, 1, 2.5};
    const VslGrid grid = vsl_grid_centred(n, spacing);
    VslVolume v = {0};
    if (vsl_volume_new(&v, &grid, 3) != VSL_OK) {
        printf("%s\n", vsl_error());
        return 1;
    }
    const int right = vsl_grid_voxels(&v.grid) == 120 && v.channels == 3 && v.data[359] == 0;
    vsl_volume_free(&v);

    VslBackend *be = NULL;
    const VslStatus st = vsl_backend_open(&be, "abacus", 1);
    const int refused = st == VSL_E_ARG && strstr(vsl_error(), "abacus") != NULL;
    vsl_backend_close(&be);
    printf("vesal %s\n", vsl_version());
    return right && refused && strcmp(vsl_version(), EXPECTED_VERSION) == 0 ? 0 : 1;
}
