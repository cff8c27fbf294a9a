#include "diffusion/segment_metrics.h"

#include <math.h>

VslMaskScore vsl_mask_score(const float *predicted, const float *truth, int64_t count)
{
    VslMaskScore s = {.dice = 1, .iou = 1};
    for (int64_t i = 0; i < count; i++) {
        const int p = predicted[i] >= 0.5F, t = truth[i] >= 0.5F;
        s.predicted += p;
        s.truth += t;
        s.both += p && t;
    }
    const int64_t sum = s.predicted + s.truth;
    if (sum > 0) {
        s.dice = 2 * (double)s.both / (double)sum;
        s.iou = (double)s.both / (double)(sum - s.both);
    }
    return s;
}

void vsl_calibration_add(VslCalibration *c, const float *probability, const float *truth, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const double p = (double)probability[i], sure = p > 0.5 ? p : 1 - p;
        int bin = (int)(sure * VSL_CALIBRATION_BINS);
        bin = bin < VSL_CALIBRATION_BINS ? bin : VSL_CALIBRATION_BINS - 1;
        c->pixels[bin] += 1;
        c->confidence[bin] += sure;
        c->correct[bin] += (p >= 0.5) == (truth[i] >= 0.5F);
    }
}

double vsl_calibration_error(const VslCalibration *c)
{
    double pixels = 0, gap = 0;
    for (int b = 0; b < VSL_CALIBRATION_BINS; b++) {
        pixels += c->pixels[b];
        gap += fabs(c->correct[b] - c->confidence[b]);
    }
    return pixels > 0 ? gap / pixels : NAN;
}
