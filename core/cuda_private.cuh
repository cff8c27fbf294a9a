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

/* More shared memory than 48 KiB has to be asked for. */
#define VSL_TEAM_KERNEL(body, Args)                                                                                    \
    static __global__ void __launch_bounds__(VSL_TEAM) body##_kernel(const __grid_constant__ Args args, int64_t steps) \
    {                                                                                                                  \
        extern __shared__ double vsl_shared[];                                                                         \
        for (int64_t step = 0; step < steps; step++) {                                                                 \
            body(&args, vsl_shared, blockIdx.x, (int)threadIdx.x, step, 0);                                            \
            __syncthreads();                                                                                           \
            body(&args, vsl_shared, blockIdx.x, (int)threadIdx.x, step, 1);                                            \
            __syncthreads();                                                                                           \
        }                                                                                                              \
    }                                                                                                                  \
    static VslStatus body##_launch(VslBackend *be, Args args, int64_t teams, int64_t steps, int64_t bytes)             \
    {                                                                                                                  \
        cudaStream_t stream;                                                                                           \
        VslStatus st = vsl_cuda_begin(be, &stream);                                                                    \
        if (st == VSL_OK) {                                                                                            \
            st = vsl_cuda_check(                                                                                       \
                be, cudaFuncSetAttribute(body##_kernel, cudaFuncAttributeMaxDynamicSharedMemorySize, (int)bytes),      \
                "asking for the shared memory of " #body);                                                             \
        }                                                                                                              \
        if (st == VSL_OK) {                                                                                            \
            body##_kernel<<<(unsigned)teams, VSL_TEAM, (size_t)bytes, stream>>>(args, steps);                          \
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
