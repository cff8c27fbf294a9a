/**
 * Checked, aligned allocation with a high-water mark and an optional budget.
 *
 * All bulk memory of the library comes from here, so that a run can report its peak, refuse a job before it starts
 * (--mem-mb) and be tested by failing the n-th allocation. @test core/test_memory.c
 */
#ifndef VSL_CORE_MEMORY_H
#define VSL_CORE_MEMORY_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Allocates count * size bytes, 64-byte aligned, uninitialised. *out is set on success only. what names it in the
 * sentence. Free with vsl_free. @return VSL_OK, VSL_E_NOMEM (overflow, budget, or the system has no more). */
VSL_API VSL_MUST_USE VslStatus vsl_alloc(void **out, int64_t count, size_t size, const char *what);
/** As vsl_alloc, zero-filled. */
VSL_API VSL_MUST_USE VslStatus vsl_calloc(void **out, int64_t count, size_t size, const char *what);
/** Frees memory of vsl_alloc; NULL is allowed. */
VSL_API void vsl_free(void *p);

/** Bytes now held and the most ever held through vsl_alloc in this process. */
VSL_API int64_t vsl_memory_now(void);
VSL_API int64_t vsl_memory_peak(void);
/** Budget in bytes for vsl_alloc in this process; 0 = none. Checked before the system is asked. */
VSL_API void vsl_memory_set_budget(int64_t bytes);
VSL_API int64_t vsl_memory_budget(void);
/** Test hook: the n-th allocation from now (1 = next) fails once; 0 switches it off. */
VSL_API void vsl_memory_fail_after(int64_t n);
/** *out = a * b; false when that overflows int64 or either is negative. */
VSL_API int vsl_mul_ok(int64_t a, int64_t b, int64_t *out);

#define VSL_NEW(ptr, count, what) vsl_alloc((void **)(ptr), (int64_t)(count), sizeof(**(ptr)), (what))
#define VSL_NEW0(ptr, count, what) vsl_calloc((void **)(ptr), (int64_t)(count), sizeof(**(ptr)), (what))

#ifdef __cplusplus
}
#endif
#endif
