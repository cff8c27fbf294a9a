/**
 * Memory that a deformation cannot do without, asked for before anything is computed: minutes of work should not end at
 * an allocation that was bound to fail. @test tests/parity/test_cuda_emulated.c
 */
#ifndef VSL_REGISTRATION_FORECAST_H
#define VSL_REGISTRATION_FORECAST_H

#include "registration/lddmm.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Bytes on its backend that vsl_lddmm holds at least on its finest level: the fields of the images' size. What the
 * velocity's grid takes comes on top, a fifth of it for large images. opt: resolved. */
VSL_API int64_t vsl_lddmm_least_bytes(const VslGrid *fixed, const VslGrid *moving, int channels, int has_moving_mask,
                                      const VslLddmmOptions *opt);
/** Whether that much is free on the backend. @return VSL_E_NOMEM (what is needed, what is there), VSL_E_DEVICE. */
VSL_API VSL_MUST_USE VslStatus vsl_lddmm_check_memory(const VslGrid *fixed, const VslGrid *moving, int channels,
                                                      int has_moving_mask, const VslLddmmOptions *opt, VslBackend *be);

#ifdef __cplusplus
}
#endif
#endif
