/**
 * How well predicted masks agree with true ones, and how honest their probabilities are. Distances between surfaces are
 * vsl_label_scores' (registration/quality.h). @test diffusion/test_segment_metrics.c
 */
#ifndef VSL_DIFFUSION_SEGMENT_METRICS_H
#define VSL_DIFFUSION_SEGMENT_METRICS_H

#include <stdint.h>

#include "core/api.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslMaskScore {
    int64_t predicted, truth, both; /* pixels */
    double dice, iou;               /* 1 when both masks are empty */
} VslMaskScore;
/** A pixel belongs to a mask where its value is at least 1/2. */
VSL_API VslMaskScore vsl_mask_score(const float *predicted, const float *truth, int64_t count);

/**
 * Expected calibration error of a binary prediction (Guo et al., ICML 2017, eq. 5, with confidence max(p, 1 - p) in 15
 * bins of equal width): sum over bins of share |accuracy - confidence|. {0} is empty; films may be added one by one.
 */
enum { VSL_CALIBRATION_BINS = 15 };
typedef struct VslCalibration {
    double pixels[VSL_CALIBRATION_BINS], correct[VSL_CALIBRATION_BINS], confidence[VSL_CALIBRATION_BINS]; /* sums */
} VslCalibration;
VSL_API void vsl_calibration_add(VslCalibration *c, const float *probability, const float *truth, int64_t count);
/** NAN before any pixel was added. */
VSL_API double vsl_calibration_error(const VslCalibration *c);

#ifdef __cplusplus
}
#endif
#endif
