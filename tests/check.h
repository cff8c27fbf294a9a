/* A test program: TEST functions, RUN in main, the exit code is the verdict. A failed check prints where, what and by
 * how much, and the program goes on with the next test. Exit 77 = skipped, with a reason on stdout. */
#ifndef VSL_TESTS_CHECK_H
#define VSL_TESTS_CHECK_H

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "core/status.h"

static int check_failures, check_count;

#define TEST(name) static void name(void)
#define RUN(name)                                                             \
    do {                                                                      \
        const int before = check_failures;                                    \
        name();                                                               \
        printf("%s %s\n", check_failures == before ? "ok  " : "FAIL", #name); \
    } while (0)
#define CHECK(cond)                                                       \
    do {                                                                  \
        check_count++;                                                    \
        if (!(cond)) {                                                    \
            check_failures++;                                             \
            printf("  %s:%d: not true: %s\n", __FILE__, __LINE__, #cond); \
        }                                                                 \
    } while (0)
/* st must be `want`; on a surprise the library's sentence is shown. */
#define CHECK_STATUS(call, want)                                                                                    \
    do {                                                                                                            \
        const VslStatus got_ = (call);                                                                              \
        check_count++;                                                                                              \
        if (got_ != (want)) {                                                                                       \
            check_failures++;                                                                                       \
            printf("  %s:%d: %s gave '%s' (%s), expected '%s'\n", __FILE__, __LINE__, #call, vsl_status_name(got_), \
                   got_ ? vsl_error() : "", vsl_status_name(want));                                                 \
        }                                                                                                           \
    } while (0)
#define CHECK_OK(call) CHECK_STATUS(call, VSL_OK)
/* |got - want| <= tol; NaN fails. why names the scale of the tolerance. */
#define CHECK_NEAR(got, want, tol, why)                                                                             \
    do {                                                                                                            \
        const double g_ = (double)(got), w_ = (double)(want), t_ = (double)(tol);                                   \
        check_count++;                                                                                              \
        if (!(fabs(g_ - w_) <= t_)) {                                                                               \
            check_failures++;                                                                                       \
            printf("  %s:%d: %s is %.9g, expected %.9g +- %.3g (%s)\n", __FILE__, __LINE__, #got, g_, w_, t_, why); \
        }                                                                                                           \
    } while (0)
/* Ends main: prints the count; a program that checked nothing fails. */
#define CHECK_VERDICT() \
    (printf("%d checks, %d failed\n", check_count, check_failures), check_failures > 0 || check_count == 0)
#define CHECK_SKIP(reason) (printf("SKIPPED: %s\n", reason), exit(77))

#endif
