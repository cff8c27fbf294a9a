/* Aligned allocation. Each block carries its size in a 64-byte header, so that frees can be counted. */
#include "core/memory.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>

enum { HEADER = 64 };

static _Atomic int64_t now_bytes, peak_bytes, budget_bytes, fail_countdown;

int vsl_mul_ok(int64_t a, int64_t b, int64_t *out)
{
    return a >= 0 && b >= 0 && !__builtin_mul_overflow(a, b, out);
}

static int injected_failure(void)
{
    int64_t left = atomic_load(&fail_countdown);
    return left > 0 && atomic_fetch_sub(&fail_countdown, 1) == 1;
}

VslStatus vsl_alloc(void **out, int64_t count, size_t size, const char *what)
{
    int64_t bytes = 0;
    if (!vsl_mul_ok(count, (int64_t)size, &bytes) || bytes > INT64_MAX - 2 * HEADER) {
        return vsl_fail(VSL_E_NOMEM, __func__, "%s: %lld items of %zu bytes exceed the address space", what,
                        (long long)count, size);
    }
    const int64_t budget = atomic_load(&budget_bytes);
    if (budget > 0 && atomic_load(&now_bytes) + bytes > budget) {
        return vsl_fail(VSL_E_NOMEM, __func__, "%s: %.1f MB more would exceed the memory budget of %.1f MB", what,
                        (double)bytes / 1e6, (double)budget / 1e6);
    }
    const size_t padded = ((size_t)bytes + 2 * HEADER - 1) / HEADER * HEADER;
    char *block = injected_failure() ? NULL : aligned_alloc(HEADER, padded);
    if (!block) {
        return vsl_fail(VSL_E_NOMEM, __func__, "%s: cannot get %.1f MB of memory", what, (double)bytes / 1e6);
    }
    memcpy(block, &bytes, sizeof bytes);
    const int64_t held = atomic_fetch_add(&now_bytes, bytes) + bytes;
    int64_t peak = atomic_load(&peak_bytes);
    while (held > peak && !atomic_compare_exchange_weak(&peak_bytes, &peak, held)) {
    }
    *out = block + HEADER;
    return VSL_OK;
}

VslStatus vsl_calloc(void **out, int64_t count, size_t size, const char *what)
{
    const VslStatus st = vsl_alloc(out, count, size, what);
    if (st == VSL_OK) {
        memset(*out, 0, (size_t)count * size);
    }
    return st;
}

void vsl_free(void *p)
{
    if (p) {
        char *block = (char *)p - HEADER;
        int64_t bytes;
        memcpy(&bytes, block, sizeof bytes);
        atomic_fetch_sub(&now_bytes, bytes);
        free(block);
    }
}

int64_t vsl_memory_now(void)
{
    return atomic_load(&now_bytes);
}

int64_t vsl_memory_peak(void)
{
    return atomic_load(&peak_bytes);
}

void vsl_memory_set_budget(int64_t bytes)
{
    atomic_store(&budget_bytes, bytes);
}

int64_t vsl_memory_budget(void)
{
    return atomic_load(&budget_bytes);
}

void vsl_memory_fail_after(int64_t n)
{
    atomic_store(&fail_countdown, n);
}
