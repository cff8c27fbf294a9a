/* What only a LibTorch with CUDA has: its allocator's numbers, and algorithms whose results do not vary. */
#include "nn/torch_private.h"

#include <ATen/Context.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAFunctions.h>

namespace vsl
{

NnMemory device_memory(const NnRuntime *rt)
{
    const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(rt->device.index());
    return {stats.allocated_bytes[0].current, stats.allocated_bytes[0].peak};
}

void prepare_device(NnRuntime *rt)
{
    if (!rt->device.is_cuda()) {
        return;
    }
    if (rt->device.index() >= c10::cuda::device_count()) {
        throw Failure(VSL_E_DEVICE, "device %s: this machine has %d", rt->device.str().c_str(),
                      (int)c10::cuda::device_count());
    }
    c10::cuda::set_device(rt->device.index());
    at::globalContext().setDeterministicCuDNN(true);
    at::globalContext().setBenchmarkCuDNN(false);
    at::globalContext().setAllowTF32CuBLAS(rt->precision == NN_BF16);
    at::globalContext().setAllowTF32CuDNN(rt->precision == NN_BF16);
    c10::cuda::CUDACachingAllocator::resetPeakStats(rt->device.index());
}

} // namespace vsl
