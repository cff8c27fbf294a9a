/** Order statistics without sorting everything. @test core/test_select.c */
#ifndef VSL_CORE_SELECT_H
#define VSL_CORE_SELECT_H

#include <stdint.h>

#include "core/api.h"

#ifdef __cplusplus
extern "C" {
#endif

/** The percent-percentile (0..100) of count > 0 finite values, linear between order statistics as numpy.percentile.
 * Reorders values; linear time on average. */
VSL_API double vsl_percentile(float *values, int64_t count, double percent);

#ifdef __cplusplus
}
#endif
#endif
