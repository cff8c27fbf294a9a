/* Every call of the CUDA backend against the CPU's, on a device. */
#include "tests/parity/backend_cases.h"
#include "tests/parity/device.h"

TEST(memory_that_does_not_fit_is_refused_and_the_device_goes_on)
{
    VslField huge = {0};
    Pair p = {0};
    CHECK_STATUS(vsl_field_new(&huge, sides[OTHER], (int64_t[3]){1 << 14, 1 << 14, 1 << 14}, 1), VSL_E_NOMEM);
    CHECK(huge.data == NULL);
    p = pair_new((int64_t[3]){9, 8, 7}, 1, 1, 1, 0);
    pair_check(&p, 0, "upload and download");
    pair_free(&p);
}

TEST(a_device_that_is_not_there_is_refused)
{
    VslBackend *be = NULL;
    CHECK_STATUS(vsl_backend_open(&be, "cuda:1000", 1), VSL_E_DEVICE);
    CHECK(be == NULL);
}

int main(void)
{
    open_device();
    run_backend_cases();
    RUN(memory_that_does_not_fit_is_refused_and_the_device_goes_on);
    RUN(a_device_that_is_not_there_is_refused);
    close_device();
    return CHECK_VERDICT();
}
