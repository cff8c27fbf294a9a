/* Any bytes as a configuration: keys differ, and every value can be written and reads back. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "io/config.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count);

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t count)
{
    VslConfig c = {0}, again = {0};
    char line[3 * VSL_CONFIG_TEXT];
    if (vsl_config_parse(&c, (const char *)bytes, (int64_t)count, "fuzz") == VSL_OK) {
        for (int i = 0; i < c.count; i++) {
            if (vsl_config_find(&c, c.entry[i].key) != c.entry[i].value) {
                abort();
            }
            if (vsl_config_line(line, sizeof line, "k", c.entry[i].value, NULL) == VSL_OK &&
                (vsl_config_parse(&again, line, (int64_t)strlen(line), "again") != VSL_OK || again.count != 1 ||
                 strcmp(again.entry[0].value, c.entry[i].value) != 0)) {
                abort();
            }
        }
    }
    vsl_config_free(&c);
    vsl_config_free(&again);
    return 0;
}
