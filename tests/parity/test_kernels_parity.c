/* Every kernel of registration, and whole registrations, on a CUDA device against the CPU. */
#include "tests/parity/device.h"
#include "tests/parity/kernel_cases.h"
#include "tests/parity/linear_cases.h"
#include "tests/parity/registration_cases.h"

int main(void)
{
    open_device();
    run_kernel_cases();
    run_linear_cases();
    run_registration_cases();
    close_device();
    return CHECK_VERDICT();
}
