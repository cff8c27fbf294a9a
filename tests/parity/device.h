/* Opens both sides, or says why the tests of a device are skipped. */
#ifndef VSL_TESTS_PARITY_DEVICE_H
#define VSL_TESTS_PARITY_DEVICE_H

#include "tests/parity/parity.h"

static inline void open_device(void)
{
    char reason[512];
    CHECK_OK(vsl_backend_open(&sides[CPU], "cpu", 2));
    if (vsl_backend_open(&sides[OTHER], "cuda", 2) != VSL_OK) {
        snprintf(reason, sizeof reason, "no CUDA device (%s)", vsl_error());
        vsl_backend_close(&sides[CPU]);
        CHECK_SKIP(reason);
    }
    printf("%s\n", vsl_backend_name(sides[OTHER]));
}

static inline void close_device(void)
{
    vsl_backend_close(&sides[CPU]);
    vsl_backend_close(&sides[OTHER]);
}

#endif
