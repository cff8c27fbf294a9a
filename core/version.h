/** Which vesal this is. @test outsider/outsider.c */
#ifndef VSL_CORE_VERSION_H
#define VSL_CORE_VERSION_H

#include "core/api.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Of the library that is loaded, as "major.minor.patch". */
VSL_API const char *vsl_version(void);

#ifdef __cplusplus
}
#endif
#endif
