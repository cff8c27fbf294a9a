/* The build system knows the version; it is compiled into this file alone. */
#include "core/version.h"

const char *vsl_version(void)
{
    return VSL_VERSION;
}
