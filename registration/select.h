/* Order statistics without sorting everything. */
#ifndef VSL_REGISTRATION_SELECT_H
#define VSL_REGISTRATION_SELECT_H

#include <stdint.h>

/** The percent-percentile (0..100) of count > 0 finite values, linear between order statistics as numpy.percentile.
 * Reorders values; linear time on average. */
double reg_percentile(float *values, int64_t count, double percent);

#endif
