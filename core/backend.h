/**
 * Where arrays live and who computes on them.
 *
 * A VslBackend is opened by name and carries threads (CPU) or device and stream (CUDA). A VslField is an array of float
 * planes that lives on a backend; only upload and download cross the bus, so that transfers are found by two names.
 * Algorithms never ask which backend they have: they call these functions and the kernel table of their floor.
 *
 * A VslFilter multiplies periodic fields by a real, even Fourier symbol: out = F^-1[ symbol . F[in] ]. That is the only
 * spectral operation of band-limited LDDMM. Each component is transformed by planned 2D and 1D transforms given out in
 * fixed tasks, so the bits do not depend on the number of threads. @test core/test_backend.c, parity/
 */
#ifndef VSL_CORE_BACKEND_H
#define VSL_CORE_BACKEND_H

#include "core/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslBackend VslBackend;

typedef struct VslField {
    VslBackend *be; /* borrowed */
    int64_t n[3];   /* extent of one plane, n[0] fastest */
    int channels;
    float *data; /* on the backend; only kernels may look inside */
} VslField;

/** Opens "auto", "cpu", "cuda" or "cuda:N". threads: 0 = the cores granted to this process. "auto" is the first device
 * that can be used, else the CPU; a device that is there but cannot be used is logged as a warning.
 * @return VSL_E_ARG (unknown name), VSL_E_UNSUPPORTED (not built in), VSL_E_DEVICE (absent or busy). */
VSL_API VSL_MUST_USE VslStatus vsl_backend_open(VslBackend **out, const char *name, int threads);
VSL_API void vsl_backend_close(VslBackend **be);
/** "cpu" or "cuda:N (device name)". */
VSL_API const char *vsl_backend_name(const VslBackend *be);
/** Host threads that kernels of this backend may use. */
VSL_API int vsl_backend_threads(const VslBackend *be);
/** 1 when data pointers of this backend's fields can be read by the host. */
VSL_API int vsl_backend_is_host(const VslBackend *be);
/** Bytes of the memory of its fields that are free now, and all there are. On the CPU: what the budget
 * (vsl_memory_set_budget) or, without one, the machine leaves to this process. @return VSL_E_DEVICE. */
VSL_API VSL_MUST_USE VslStatus vsl_backend_memory(int64_t *available, int64_t *total, VslBackend *be);
/** Scratch memory of the backend (host memory on the CPU), 64-byte aligned, grown as needed and kept until close; one
 * kernel uses it at a time and its content is lost at the next call. @return VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_backend_scratch(float **out, VslBackend *be, int64_t count);

/** New field, zero-filled. out must be empty. */
VSL_API VSL_MUST_USE VslStatus vsl_field_new(VslField *out, VslBackend *be, const int64_t n[3], int channels);
VSL_API void vsl_field_free(VslField *f);
/** Copies host floats in / out; count must equal the field's. */
VSL_API VSL_MUST_USE VslStatus vsl_field_upload(VslField *f, const float *host, int64_t count);
VSL_API VSL_MUST_USE VslStatus vsl_field_download(float *host, const VslField *f, int64_t count);
VSL_API int64_t vsl_field_count(const VslField *f);

/** y = x; y = a x + b y (b = 0: whatever y held); <x, y> in double, order fixed. Shapes must agree (asserted). */
VSL_API VSL_MUST_USE VslStatus vsl_field_copy(VslField *y, const VslField *x);
VSL_API VSL_MUST_USE VslStatus vsl_field_axpby(VslField *y, double a, const VslField *x, double b);
VSL_API VSL_MUST_USE VslStatus vsl_field_dot(double *out, const VslField *x, const VslField *y);
/** out[q] = <x[q], y[q]> for fields of one shape: a device is waited for once, not `count` times. */
VSL_API VSL_MUST_USE VslStatus vsl_field_dots(double *out, const VslField *const *x, const VslField *const *y,
                                              int count);

/** Work that launches the same things every time it is called: on the same fields, with the same numbers. A device
 * records it at the second call and replays the record from then on, as one launch; where it cannot, and on the CPU, it
 * is simply called. The work may neither allocate nor free, nor move anything to or from the host, nor take a dot
 * product. Its fields and filters must outlive the record. *record: NULL at first, to be freed by the caller. */
typedef struct VslRecord VslRecord;
typedef VslStatus VslWork(void *ctx);
VSL_API VSL_MUST_USE VslStatus vsl_record_run(VslRecord **record, VslBackend *be, VslWork *work, void *ctx);
VSL_API void vsl_record_free(VslRecord **record);

typedef struct VslFilter VslFilter;
/** Plans transforms of n[0] x n[1] x n[2] periodic planes; up to `channels` at a time. */
VSL_API VSL_MUST_USE VslStatus vsl_filter_new(VslFilter **out, VslBackend *be, const int64_t n[3], int channels);
VSL_API void vsl_filter_free(VslFilter **f);
/** out = F^-1[symbol F[in]] per channel. symbol: field of (n[0]/2+1, n[1], n[2]), one channel, without the transforms'
 * 1/N (the filter applies it). out may alias in. */
VSL_API VSL_MUST_USE VslStatus vsl_filter_apply(VslFilter *f, VslField *out, const VslField *in,
                                                const VslField *symbol);
/** Resamples a periodic field between the grids of two filters by zero-padding or truncating its spectrum (Nyquist
 * modes dropped): the band-limited interpolant sampled on the other grid. */
VSL_API VSL_MUST_USE VslStatus vsl_filter_resample(VslFilter *to, VslField *out, VslFilter *from, const VslField *in);
/** Smallest even m >= n whose only prime factors are 2, 3, 5: a fast transform length. */
VSL_API int64_t vsl_fft_length(int64_t n);

#ifdef __cplusplus
}
#endif
#endif
