/* A configuration's text; path only names the file in sentences. */
#ifndef VSL_IO_CONFIG_PRIVATE_H
#define VSL_IO_CONFIG_PRIVATE_H

#include <stdint.h>

#include "io/config.h"

VSL_MUST_USE VslStatus config_parse(VslConfig *out, const char *text, int64_t count, const char *path);

#endif
