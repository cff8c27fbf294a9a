/* Any bytes as an affine file: ITK text, MATLAB level 4, plain numbers. */
#include <math.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/mat.h"
#include "io/affine_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    char *text = malloc(count + 1);
    VslAffine a;
    memcpy(text, bytes, count);
    text[count] = 0;
    if (affine_parse(&a, text, (int64_t)count, "fuzz") == VSL_OK) {
        for (int i = 0; i < 12; i++) {
            if (!isfinite(a.m[i / 4][i % 4])) {
                abort();
            }
        }
    }
    free(text);
    return 0;
}
