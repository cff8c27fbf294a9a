/* What a build without CUDA answers. */
#include "core/backend_private.h"

VslStatus vsl_backend_open_cuda(VslBackend *be, int device)
{
    (void)be;
    (void)device;
    return vsl_fail(VSL_E_UNSUPPORTED, __func__, "built without CUDA; configure with -DVSL_CUDA=ON");
}

int vsl_backend_count_cuda(void)
{
    return 0;
}
