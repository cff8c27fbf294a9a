/* What differs between compilers, in one place (the one feature #ifdef of the house).
 * VSL_HD marks the maths of one voxel that both the C compiler and nvcc compile. VSL_INDEPENDENT before a loop says
 * that what it writes is not what it reads, so that it may be vectorized. VSL_CLONES before a function compiles it for
 * wider vectors too; which one runs is decided when the program is loaded, which
 * is too early for the thread sanitizer. */
#ifndef VSL_CORE_HD_H
#define VSL_CORE_HD_H

#ifdef __CUDACC__
#define VSL_HD static __host__ __device__ __forceinline__
#else
#define VSL_HD static inline __attribute__((always_inline))
#endif

#if defined(__clang__)
#define VSL_INDEPENDENT _Pragma("clang loop vectorize(assume_safety)")
#elif defined(__GNUC__)
#define VSL_INDEPENDENT _Pragma("GCC ivdep")
#else
#define VSL_INDEPENDENT
#endif

#if defined(__x86_64__) && defined(__GNUC__) && !defined(__CUDACC__) && !defined(__SANITIZE_THREAD__)
#define VSL_CLONES __attribute__((target_clones("avx512f", "avx2", "default")))
#else
#define VSL_CLONES
#endif

#endif
