/* VSL_HD marks the maths of one voxel that both the C compiler and nvcc compile (the one feature #ifdef of the house). */
#ifndef VSL_CORE_HD_H
#define VSL_CORE_HD_H

#ifdef __CUDACC__
#define VSL_HD static __host__ __device__ __forceinline__
#else
#define VSL_HD static inline __attribute__((always_inline))
#endif

#endif
