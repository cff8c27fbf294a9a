/* Every call of a backend, on the CPU and on the other side. */
#ifndef VSL_TESTS_PARITY_BACKEND_CASES_H
#define VSL_TESTS_PARITY_BACKEND_CASES_H

#include "tests/parity/parity.h"

/* Odd, even, prime, flat along each axis. */
static const int64_t backend_sizes[][3] = {{12, 10, 8}, {9, 7, 5}, {16, 1, 6}, {30, 24, 1},
                                           {1, 12, 10}, {1, 9, 1}, {1, 1, 14}, {13, 1, 1}};
enum { BACKEND_SIZES = sizeof backend_sizes / sizeof *backend_sizes };

TEST(what_is_uploaded_is_downloaded_and_new_fields_are_zero)
{
    for (int q = 0; q < BACKEND_SIZES; q++) {
        Pair p = pair_new(backend_sizes[q], 2, 1, 1, 0), copy = pair_new(backend_sizes[q], 2, 2, 1, 0);
        pair_check(&p, 0, "upload and download");
        for (int s = 0; s < SIDES; s++) {
            CHECK_OK(vsl_field_copy(&copy.on[s], &p.on[s]));
            VslField fresh = {0};
            float host[64];
            CHECK_OK(vsl_field_new(&fresh, sides[s], (int64_t[3]){4, 4, 4}, 1));
            CHECK_OK(vsl_field_download(host, &fresh, 64));
            for (int i = 0; i < 64; i++) {
                CHECK(host[i] == 0);
            }
            vsl_field_free(&fresh);
        }
        pair_check(&copy, 0, "copy");
        pair_free(&p);
        pair_free(&copy);
    }
}

TEST(linear_combinations_and_products_agree)
{
    const double factors[4][2] = {{2.5, -0.5}, {1, 1}, {-0.125, 0}, {0, 3}};
    const int64_t sizes[3][3] = {{41, 37, 29}, {9, 7, 5}, {1, 1, 1}};
    for (int q = 0; q < 3; q++) {
        for (int f = 0; f < 4; f++) {
            Pair x = pair_new(sizes[q], 3, 3, 1, 0), y = pair_new(sizes[q], 3, 4, 1, 0.5);
            double dot[SIDES];
            for (int s = 0; s < SIDES; s++) {
                CHECK_OK(vsl_field_axpby(&y.on[s], factors[f][0], &x.on[s], factors[f][1]));
                CHECK_OK(vsl_field_dot(&dot[s], &y.on[s], &y.on[s]));
            }
            pair_check(&y, 3e-7, "a x + b y");
            numbers_check(dot, 1e-6, "<y, y>");
            pair_free(&x);
            pair_free(&y);
        }
    }
}

TEST(a_factor_of_zero_hides_what_y_held)
{
    const int64_t n[3] = {5, 4, 3};
    Pair x = pair_new(n, 1, 3, 1, 0), y = pair_new(n, 1, 4, 1, (double)NAN);
    for (int s = 0; s < SIDES; s++) {
        CHECK_OK(vsl_field_axpby(&y.on[s], 2, &x.on[s], 0));
        CHECK_OK(vsl_field_axpby(&x.on[s], -1, &x.on[s], 0)); /* in place */
    }
    pair_check(&y, 0, "2 x over NaN");
    pair_check(&x, 0, "-x in place");
    pair_free(&x);
    pair_free(&y);
}

TEST(a_sum_has_one_order)
{
    const int64_t n[3] = {67, 65, 33};
    Pair x = pair_new(n, 3, 5, 1, 0.3), y = pair_new(n, 3, 6, 1, 0);
    double first = 0, again = 0;
    CHECK_OK(vsl_field_dot(&first, &x.on[OTHER], &y.on[OTHER]));
    for (int i = 0; i < 5; i++) {
        CHECK_OK(vsl_field_dot(&again, &x.on[OTHER], &y.on[OTHER]));
        CHECK(first == again);
    }
    pair_free(&x);
    pair_free(&y);
}

/* A positive symbol that falls off like a smoothing kernel's: even, as filters need. */
static inline Pair symbol_new(const int64_t n[3])
{
    const int64_t ns[3] = {n[0] / 2 + 1, n[1], n[2]}, count = ns[0] * ns[1] * ns[2];
    Pair p = pair_new(ns, 1, 9, 1, 0);
    float *host = NULL;
    CHECK_OK(VSL_NEW(&host, count, "symbol"));
    for (int64_t q = 0; q < count; q++) {
        const double a = 6.283185307179586 * (double)(q % ns[0]) / (double)n[0],
                     b = 6.283185307179586 * (double)(q / ns[0] % n[1]) / (double)n[1],
                     c = 6.283185307179586 * (double)(q / (ns[0] * n[1])) / (double)n[2];
        host[q] = (float)(1 / pow(1 + 0.9 * (1 - cos(a)) + 0.7 * (1 - cos(b)) + 1.3 * (1 - cos(c)), 2));
    }
    pair_upload(&p, host);
    vsl_free(host);
    return p;
}

TEST(spectral_filters_agree)
{
    for (int q = 0; q < BACKEND_SIZES; q++) {
        const int64_t *n = backend_sizes[q];
        for (int channels = 1; channels <= 3; channels += 2) { /* fewer than planned, and all */
            Pair in = pair_new(n, channels, 7, 1, 0.2), out = pair_new(n, channels, 8, 1, 0), symbol = symbol_new(n);
            for (int s = 0; s < SIDES; s++) {
                VslFilter *f = NULL;
                CHECK_OK(vsl_filter_new(&f, sides[s], n, 3));
                CHECK_OK(vsl_filter_apply(f, &out.on[s], &in.on[s], &symbol.on[s]));
                CHECK_OK(vsl_filter_apply(f, &in.on[s], &in.on[s], &symbol.on[s])); /* in place */
                vsl_filter_free(&f);
            }
            pair_check(&out, 2e-6, "filter");
            pair_check(&in, 2e-6, "filter in place");
            pair_free(&in);
            pair_free(&out);
            pair_free(&symbol);
        }
    }
}

TEST(resampled_fields_agree)
{
    const int64_t grids[6][2][3] = {{{12, 10, 8}, {30, 20, 18}}, {{30, 20, 18}, {12, 10, 8}},
                                    {{9, 8, 7}, {10, 15, 6}},    {{10, 9, 8}, {10, 9, 8}},
                                    {{1, 12, 10}, {1, 20, 8}},   {{12, 1, 10}, {20, 1, 9}}};
    for (int q = 0; q < 6; q++) {
        Pair in = pair_new(grids[q][0], 3, 7, 1, 0.2), out = pair_new(grids[q][1], 3, 8, 1, 0);
        for (int s = 0; s < SIDES; s++) {
            VslFilter *from = NULL, *to = NULL;
            CHECK_OK(vsl_filter_new(&from, sides[s], grids[q][0], 3));
            CHECK_OK(vsl_filter_new(&to, sides[s], grids[q][1], 3));
            CHECK_OK(vsl_filter_resample(to, &out.on[s], from, &in.on[s]));
            vsl_filter_free(&from);
            vsl_filter_free(&to);
        }
        pair_check(&out, 2e-6, "resampling");
        pair_free(&in);
        pair_free(&out);
    }
}

/* More of them than a device sums at a time. */
TEST(products_taken_together_are_those_taken_one_by_one)
{
    enum { COUNT = 14 };
    const int64_t n[3] = {7, 5, 3};
    Pair f[COUNT + 1];
    for (int q = 0; q <= COUNT; q++) {
        f[q] = pair_new(n, 2, 100 + (uint64_t)q, 1, 0.5);
    }
    for (int s = 0; s < SIDES; s++) {
        const VslField *x[COUNT], *y[COUNT];
        double together[COUNT], alone;
        for (int q = 0; q < COUNT; q++) {
            x[q] = &f[q].on[s];
            y[q] = &f[q + 1].on[s];
        }
        CHECK_OK(vsl_field_dots(together, x, y, COUNT));
        for (int q = 0; q < COUNT; q++) {
            CHECK_OK(vsl_field_dot(&alone, x[q], y[q]));
            CHECK(alone == together[q] && alone != 0);
        }
    }
    for (int q = 0; q <= COUNT; q++) {
        pair_free(&f[q]);
    }
}

static inline void run_backend_cases(void)
{
    RUN(what_is_uploaded_is_downloaded_and_new_fields_are_zero);
    RUN(linear_combinations_and_products_agree);
    RUN(a_factor_of_zero_hides_what_y_held);
    RUN(products_taken_together_are_those_taken_one_by_one);
    RUN(a_sum_has_one_order);
    RUN(spectral_filters_agree);
    RUN(resampled_fields_agree);
}

#endif
