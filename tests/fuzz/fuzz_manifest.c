/* Any bytes as a manifest: what is accepted must be a whole table of safe paths. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "io/manifest_private.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    char *text = NULL;
    VslManifest m = {0};
    if (VSL_NEW(&text, count + 1, "fuzz") != VSL_OK) {
        return 0;
    }
    memcpy(text, bytes, count);
    text[count] = 0;
    if (manifest_parse(&m, text, (int64_t)count, "fuzz/m.tsv") == VSL_OK) {
        for (int64_t row = 0; row < m.table.rows; row++) {
            const char *file = vsl_manifest_cell(&m, row, "file");
            const size_t length = strlen(file);
            if (!length || file[0] == '/' || strstr(file, "/../") || strncmp(file, "../", 3) == 0 ||
                (length >= 3 && strcmp(file + length - 3, "/..") == 0) || strcmp(file, "..") == 0) {
                abort();
            }
        }
    }
    vsl_manifest_free(&m);
    return 0;
}
