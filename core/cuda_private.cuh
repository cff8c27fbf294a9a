/* What CUDA files share: errors as sentences, and what a launch is on a CUDA device (device_reduce_private.h). */
#ifndef VSL_CORE_CUDA_PRIVATE_CUH
#define VSL_CORE_CUDA_PRIVATE_CUH

#include <cuda_runtime.h>

#include "core/backend_private.h"

/* Makes the backend's device the current one of this thread and gives its stream. */
VslStatus vsl_cuda_begin(VslBackend *be, cudaStream_t *stream);
/* VSL_OK, or what went wrong with `what` on this backend, as a sentence. */
VslStatus vsl_cuda_check(const VslBackend *be, cudaError_t error, const char *what);

#define VSL_BODY static __device__ __forceinline__

enum { VSL_BLOCK = 256 };

#define VSL_KERNEL(body, Args)                                                                                         \
    static __global__ void __launch_bounds__(VSL_BLOCK)                                                                \
        body##_kernel(const __grid_constant__ Args args, int64_t threads)                                              \
    {                                                                                                                  \
        const int64_t thread = (int64_t)blockIdx.x * VSL_BLOCK + threadIdx.x;                                          \
        if (thread < threads) {                                                                                        \
            body(&args, thread);                                                                                       \
        }                                                                                                              \
    }                                                                                                                  \
    static VslStatus body##_launch(VslBackend *be, Args args, int64_t threads)                                         \
    {                                                                                                                  \
        cudaStream_t stream;                                                                                           \
        VslStatus st = vsl_cuda_begin(be, &stream);                                                                    \
        if (st == VSL_OK && threads > 0) {                                                                             \
            body##_kernel<<<(unsigned)((threads + VSL_BLOCK - 1) / VSL_BLOCK), VSL_BLOCK, 0, stream>>>(args, threads); \
            st = vsl_cuda_check(be, cudaGetLastError(), "launching " #body);                                           \
        }                                                                                                              \
        return st;                                                                                                     \
    }

/* The order of integer additions does not matter. */
VSL_BODY void vsl_device_add(int64_t *at, int64_t value)
{
    atomicAdd((unsigned long long *)at, (unsigned long long)value);
}

#endif
