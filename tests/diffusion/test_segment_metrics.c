/* Overlap and calibration against counts by hand. */
#include "diffusion/segment_metrics.h"

#include "core/random.h"
#include "tests/check.h"

TEST(overlap_is_counted)
{
    const float p[] = {1, 1, 0.6F, 0.4F, 0, 0}, t[] = {1, 0, 1, 1, 0, 0};
    const VslMaskScore s = vsl_mask_score(p, t, 6);
    CHECK(s.predicted == 3 && s.truth == 3 && s.both == 2);
    CHECK_NEAR(s.dice, 4.0 / 6, 1e-12, "exact");
    CHECK_NEAR(s.iou, 2.0 / 4, 1e-12, "exact");
}

TEST(two_empty_masks_agree_and_one_empty_mask_does_not)
{
    const float none[3] = {0}, some[3] = {0, 1, 0};
    CHECK_NEAR(vsl_mask_score(none, none, 3).dice, 1, 0, "exact");
    CHECK_NEAR(vsl_mask_score(none, none, 3).iou, 1, 0, "exact");
    CHECK_NEAR(vsl_mask_score(none, some, 3).dice, 0, 0, "exact");
    CHECK_NEAR(vsl_mask_score(some, none, 3).iou, 0, 0, "exact");
}

TEST(calibration_of_known_honesty)
{
    VslCalibration c = {0};
    CHECK(isnan(vsl_calibration_error(&c)));
    /* 0.9 on ten pixels of which nine are true: honest. 0.7 on ten of which nine are true: off by 0.2. */
    for (int i = 0; i < 10; i++) {
        const float honest = 0.9F, truth = i > 0 ? 1 : 0;
        vsl_calibration_add(&c, &honest, &truth, 1);
    }
    CHECK_NEAR(vsl_calibration_error(&c), 0, 1e-6, "float rounding");
    for (int i = 0; i < 10; i++) {
        const float timid = 0.7F, truth = i > 0 ? 1 : 0;
        vsl_calibration_add(&c, &timid, &truth, 1);
    }
    CHECK_NEAR(vsl_calibration_error(&c), 0.1, 1e-6, "half of the pixels are off by 0.2");
}

TEST(a_probability_below_half_is_confidence_in_no)
{
    VslCalibration c = {0};
    for (uint64_t i = 0; i < 20000; i++) { /* truth drawn with the very probability that was said */
        const float p = (float)vsl_random_uniform(3, 0, i), t = vsl_random_uniform(3, 1, i) < (double)p ? 1 : 0;
        vsl_calibration_add(&c, &p, &t, 1);
    }
    CHECK_NEAR(vsl_calibration_error(&c), 0, 0.02, "8 bins in use, 2500 draws each: sd 0.01 a bin");
}

int main(void)
{
    RUN(overlap_is_counted);
    RUN(two_empty_masks_agree_and_one_empty_mask_does_not);
    RUN(calibration_of_known_honesty);
    RUN(a_probability_below_half_is_confidence_in_no);
    return CHECK_VERDICT();
}
