/* The functions a backend fills in. Only core/backend*.c and .cu include this. */
#ifndef VSL_CORE_BACKEND_PRIVATE_H
#define VSL_CORE_BACKEND_PRIVATE_H

#include "core/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslBackendTable {
    int is_host;
    VslStatus (*alloc)(VslBackend *be, float **out, int64_t count); /* zero-filled */
    void (*release)(VslBackend *be, float *data);
    VslStatus (*memory)(VslBackend *be, int64_t *available, int64_t *total);
    VslStatus (*upload)(VslBackend *be, float *device, const float *host, int64_t count);
    VslStatus (*download)(VslBackend *be, float *host, const float *device, int64_t count);
    VslStatus (*copy)(VslBackend *be, float *y, const float *x, int64_t count);
    VslStatus (*axpby)(VslBackend *be, float *y, double a, const float *x, double b, int64_t count);
    VslStatus (*dots)(VslBackend *be, double *out, const VslField *const *x, const VslField *const *y, int count);
    VslStatus (*filter_new)(VslFilter *f);
    void (*filter_free)(VslFilter *f);
    VslStatus (*filter_apply)(VslFilter *f, float *out, const float *in, int channels, const float *symbol);
    VslStatus (*filter_resample)(VslFilter *to, float *out, VslFilter *from, const float *in, int channels);
    void (*close)(VslBackend *be);
    /* What is launched between the first two is kept, not run; all NULL where nothing can be recorded. */
    VslStatus (*record_begin)(VslBackend *be);
    VslStatus (*record_end)(VslBackend *be, void **launches);
    VslStatus (*replay)(VslBackend *be, void *launches);
    void (*record_free)(VslBackend *be, void *launches);
} VslBackendTable;

struct VslBackend {
    const VslBackendTable *table;
    char name[96];
    int threads;
    void *state; /* the backend's own */
    float *scratch;
    int64_t scratch_count;
    int64_t moves; /* times that memory of the backend's own moved: what was recorded before is void */
};

struct VslFilter {
    VslBackend *be;
    int64_t n[3];
    int channels; /* most that one call may pass */
    void *state;
};

VslStatus vsl_backend_open_cpu(VslBackend *be);
VslStatus vsl_backend_open_cuda(VslBackend *be, int device);
/** Number of usable CUDA devices; 0 when none or not built in. */
int vsl_backend_count_cuda(void);

#ifdef __cplusplus
}
#endif
#endif
