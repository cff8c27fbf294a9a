/* Any bytes as a velocity file without a seal, as a stranger would make it. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/memory.h"
#include "io/velocity_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    VslGeodesic g = {0};
    vsl_memory_set_budget((int64_t)64 << 20);
    if (velocity_parse(&g, (const char *)bytes, (int64_t)count, "fuzz") == VSL_OK) {
        for (int64_t i = 0; i < 3 * vsl_grid_voxels(&g.velocity.grid); i++) {
            if (!isfinite(g.velocity.data[i])) {
                abort();
            }
        }
    }
    vsl_geodesic_free(&g);
    return 0;
}
