/* Which table belongs to a backend. */
#include "registration/kernels.h"

const RegKernels *reg_kernels(const VslBackend *be)
{
    return vsl_backend_is_host(be) ? &reg_kernels_cpu : reg_kernels_cuda();
}
