/* The velocity file in memory. */
#ifndef VSL_IO_VELOCITY_PRIVATE_H
#define VSL_IO_VELOCITY_PRIVATE_H

#include "core/geodesic.h"

/** path only names the file in sentences. */
VSL_MUST_USE VslStatus velocity_parse(VslGeodesic *out, const char *bytes, int64_t count, const char *path);

#endif
