/* For a LibTorch without CUDA: a runtime is never on another device than the host. */
#include "nn/torch_private.h"

namespace vsl
{

NnMemory device_memory(const NnRuntime *rt)
{
    return host_memory(rt);
}

void prepare_device(NnRuntime *)
{
}

} // namespace vsl
