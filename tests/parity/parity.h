/* What is asked of a second backend: two fields, one on the CPU and one on the other, made from the same random
 * numbers, and the largest difference between them in units of the CPU's largest value. */
#ifndef VSL_TESTS_PARITY_PARITY_H
#define VSL_TESTS_PARITY_PARITY_H

#include <string.h>

#include "core/backend.h"
#include "core/random.h"
#include "tests/check.h"

enum { CPU, OTHER, SIDES };

typedef struct Pair {
    VslField on[SIDES];
} Pair;

static VslBackend *sides[SIDES]; /* set by main */

/* Random normal values times `size` plus `base`, the same on both sides; the stream names the field. */
static inline Pair pair_new(const int64_t n[3], int channels, uint64_t stream, double size, double base)
{
    Pair p = {0};
    float *host = NULL;
    for (int s = 0; s < SIDES; s++) {
        CHECK_OK(vsl_field_new(&p.on[s], sides[s], n, channels));
    }
    const int64_t count = vsl_field_count(&p.on[CPU]);
    CHECK_OK(VSL_NEW(&host, count, "host values"));
    for (int64_t i = 0; i < count; i++) {
        host[i] = (float)(base + size * vsl_random_normal(11, stream, (uint64_t)i));
    }
    for (int s = 0; s < SIDES; s++) {
        CHECK_OK(vsl_field_upload(&p.on[s], host, count));
    }
    vsl_free(host);
    return p;
}

static inline void pair_upload(Pair *p, const float *host)
{
    for (int s = 0; s < SIDES; s++) {
        CHECK_OK(vsl_field_upload(&p->on[s], host, vsl_field_count(&p->on[s])));
    }
}

/* The CPU's values on both sides. */
static inline void pair_equalise(Pair *p)
{
    float *host = NULL;
    const int64_t count = vsl_field_count(&p->on[CPU]);
    CHECK_OK(VSL_NEW(&host, count, "host values"));
    CHECK_OK(vsl_field_download(host, &p->on[CPU], count));
    CHECK_OK(vsl_field_upload(&p->on[OTHER], host, count));
    vsl_free(host);
}

static inline void pair_free(Pair *p)
{
    for (int s = 0; s < SIDES; s++) {
        vsl_field_free(&p->on[s]);
    }
}

/* Largest difference; *scale = the CPU's largest magnitude. Infinite when one side holds a NaN and the other not. */
static inline double pair_difference(const Pair *p, double *scale)
{
    const int64_t count = vsl_field_count(&p->on[CPU]);
    float *host[SIDES] = {NULL, NULL};
    double worst = 0;
    *scale = 0;
    for (int s = 0; s < SIDES; s++) {
        CHECK_OK(VSL_NEW0(&host[s], count, "host values"));
        CHECK_OK(vsl_field_download(host[s], &p->on[s], count));
    }
    for (int64_t i = 0; i < count; i++) {
        const double a = (double)host[CPU][i], b = (double)host[OTHER][i];
        *scale = fmax(*scale, fabs(a));
        worst = isnan(a) != isnan(b) ? INFINITY : (isnan(a) ? worst : fmax(worst, fabs(a - b)));
    }
    vsl_free(host[CPU]);
    vsl_free(host[OTHER]);
    return worst;
}

/* The two sides agree to `tolerance` of the largest value. */
static inline void pair_check(const Pair *p, double tolerance, const char *what)
{
    double scale;
    const double worst = pair_difference(p, &scale), limit = tolerance * (scale > 0 ? scale : 1);
    const int64_t *n = p->on[CPU].n;
    check_count++;
    if (!(worst <= limit)) {
        check_failures++;
        printf("  %s, %lldx%lldx%lldx%d: differs by %.3g, allowed %.3g\n", what, (long long)n[0], (long long)n[1],
               (long long)n[2], p->on[CPU].channels, worst, limit);
    }
}

static inline void numbers_check(const double value[SIDES], double tolerance, const char *what)
{
    check_count++;
    if (!(fabs(value[OTHER] - value[CPU]) <= tolerance * fmax(fabs(value[CPU]), 1e-30))) {
        check_failures++;
        printf("  %s: %.9g, the CPU %.9g, allowed difference %.3g of it\n", what, value[OTHER], value[CPU], tolerance);
    }
}

#endif
