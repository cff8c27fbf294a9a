/* A LibTorch without NCCL. */
#include "nn/group_private.h"

namespace vsl
{

Collectives nccl(const Meeting &, at::Device device)
{
    throw Failure(VSL_E_UNSUPPORTED, "built without NCCL, which joins processes that compute on %s",
                  device.str().c_str());
}

} // namespace vsl
