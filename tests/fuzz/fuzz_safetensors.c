/* Any bytes as a safetensors file: what is accepted holds finite values, and can be written and read back. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>

#include "core/memory.h"
#include "io/weights_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    VslWeights w = {0}, again = {0};
    char *file = NULL;
    int64_t size = 0;
    vsl_memory_set_budget((int64_t)64 << 20);
    if (safetensors_parse(&w, bytes, (int64_t)count, "fuzz") == VSL_OK) {
        for (int64_t i = 0; i < w.count; i++) {
            for (int64_t k = 0; k < w.item[i].count; k++) {
                if (!isfinite(w.item[i].data[k])) {
                    abort();
                }
            }
        }
        if (safetensors_serialise(&file, &size, &w) == VSL_OK &&
            (safetensors_parse(&again, (const unsigned char *)file, size, "again") != VSL_OK ||
             vsl_weights_check_same(&w, &again, "again") != VSL_OK)) {
            abort();
        }
    }
    vsl_free(file);
    vsl_weights_free(&w);
    vsl_weights_free(&again);
    return 0;
}
