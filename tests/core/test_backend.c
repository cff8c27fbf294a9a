/* Fields and spectral filters, by identities and against a plain discrete Fourier transform. */
#include "core/backend.h"
#include "core/random.h"
#include "tests/check.h"

static void fill(VslField *f, uint64_t stream)
{
    for (int64_t i = 0; i < vsl_field_count(f); i++) {
        f->data[i] = (float)vsl_random_normal(1, stream, (uint64_t)i);
    }
}

static void filter_case(const int64_t n[3], int threads, float *result)
{
    VslBackend *be = NULL;
    VslFilter *filter = NULL;
    VslField in = {0}, out = {0}, symbol = {0};
    const int64_t ns[3] = {n[0] / 2 + 1, n[1], n[2]};
    CHECK_OK(vsl_backend_open(&be, "cpu", threads));
    CHECK_OK(vsl_field_new(&in, be, n, 3));
    CHECK_OK(vsl_field_new(&out, be, n, 3));
    CHECK_OK(vsl_field_new(&symbol, be, ns, 1));
    CHECK_OK(vsl_filter_new(&filter, be, n, 3));
    fill(&in, 7);
    for (int64_t i = 0; i < vsl_field_count(&symbol); i++) {
        symbol.data[i] = 1;
    }
    CHECK_OK(vsl_filter_apply(filter, &out, &in, &symbol));
    double worst = 0;
    for (int64_t i = 0; i < vsl_field_count(&in); i++) {
        worst = fmax(worst, fabs((double)out.data[i] - (double)in.data[i]));
    }
    CHECK_NEAR(worst, 0, 2e-6, "unit normal values, float32 transforms");
    /* a random even symbol against the sum over modes of one voxel's impulse: out(x) = sum_k s(k) cos(2 pi k.x/n) / N
     */
    for (int64_t k = 0; k < n[2]; k++) {
        for (int64_t j = 0; j < n[1]; j++) {
            for (int64_t i = 0; i < ns[0]; i++) {
                const double a = cos(6.283185307179586 * (double)i / (double)n[0]),
                             b = cos(6.283185307179586 * (double)j / (double)n[1]),
                             c = cos(6.283185307179586 * (double)k / (double)n[2]);
                symbol.data[(k * n[1] + j) * ns[0] + i] = (float)(0.5 + 0.25 * a + 0.125 * b + 0.0625 * c);
            }
        }
    }
    CHECK_OK(vsl_filter_apply(filter, &out, &in, &symbol));
    const int64_t plane = n[0] * n[1];
    worst = 0;
    for (int64_t ch = 0; ch < 3; ch++) {
        for (int64_t k = 0; k < n[2]; k++) {
            for (int64_t j = 0; j < n[1]; j++) {
                for (int64_t i = 0; i < n[0]; i++) {
                    const float *v = in.data + ch * plane * n[2];
#define AT(x, y, z) (double)v[((z + n[2]) % n[2] * n[1] + (y + n[1]) % n[1]) * n[0] + (x + n[0]) % n[0]]
                    const double want = 0.5 * AT(i, j, k) + 0.125 * (AT(i - 1, j, k) + AT(i + 1, j, k)) +
                                        0.0625 * (AT(i, j - 1, k) + AT(i, j + 1, k)) +
                                        0.03125 * (AT(i, j, k - 1) + AT(i, j, k + 1));
                    worst = fmax(worst, fabs(want - (double)out.data[((ch * n[2] + k) * n[1] + j) * n[0] + i]));
                }
            }
        }
    }
    CHECK_NEAR(worst, 0, 3e-6, "a cosine symbol is a three-point stencil");
    for (int64_t i = 0; i < vsl_field_count(&out); i++) {
        result[i] = out.data[i];
    }
    vsl_filter_free(&filter);
    vsl_field_free(&in);
    vsl_field_free(&out);
    vsl_field_free(&symbol);
    vsl_backend_close(&be);
}

TEST(filters_are_stencils_and_do_not_depend_on_threads)
{
    const int64_t sizes[4][3] = {{12, 10, 8}, {9, 7, 5}, {16, 1, 6}, {30, 24, 1}};
    static float one[3 * 1000], three[3 * 1000];
    for (int s = 0; s < 4; s++) {
        filter_case(sizes[s], 1, one);
        filter_case(sizes[s], 3, three);
        int64_t differing = 0;
        for (int64_t i = 0; i < 3 * sizes[s][0] * sizes[s][1] * sizes[s][2]; i++) {
            differing += one[i] != three[i];
        }
        CHECK(differing == 0);
    }
}

TEST(resampling_a_low_wave_is_exact_and_its_round_trip_the_identity)
{
    VslBackend *be = NULL;
    VslFilter *small = NULL, *large = NULL;
    VslField a = {0}, b = {0}, back = {0};
    const int64_t n[3] = {12, 10, 8}, m[3] = {30, 20, 18};
    CHECK_OK(vsl_backend_open(&be, "cpu", 2));
    CHECK_OK(vsl_filter_new(&small, be, n, 1));
    CHECK_OK(vsl_filter_new(&large, be, m, 1));
    CHECK_OK(vsl_field_new(&a, be, n, 1));
    CHECK_OK(vsl_field_new(&b, be, m, 1));
    CHECK_OK(vsl_field_new(&back, be, n, 1));
#define WAVE(i, j, k, s)    \
    sin(6.283185307179586 * \
        (2 * (double)(i) / (double)(s)[0] - (double)(j) / (double)(s)[1] + 3 * (double)(k) / (double)(s)[2]))
    for (int64_t k = 0; k < n[2]; k++) {
        for (int64_t j = 0; j < n[1]; j++) {
            for (int64_t i = 0; i < n[0]; i++) {
                a.data[(k * n[1] + j) * n[0] + i] = (float)WAVE(i, j, k, n);
            }
        }
    }
    CHECK_OK(vsl_filter_resample(large, &b, small, &a));
    double worst = 0;
    for (int64_t k = 0; k < m[2]; k++) {
        for (int64_t j = 0; j < m[1]; j++) {
            for (int64_t i = 0; i < m[0]; i++) {
                worst = fmax(worst, fabs((double)b.data[(k * m[1] + j) * m[0] + i] - WAVE(i, j, k, m)));
            }
        }
    }
    CHECK_NEAR(worst, 0, 2e-6, "unit amplitude, float32 transforms");
    CHECK_OK(vsl_filter_resample(small, &back, large, &b));
    worst = 0;
    for (int64_t i = 0; i < vsl_field_count(&a); i++) {
        worst = fmax(worst, fabs((double)a.data[i] - (double)back.data[i]));
    }
    CHECK_NEAR(worst, 0, 2e-6, "unit amplitude, float32 transforms");
    vsl_filter_free(&small);
    vsl_filter_free(&large);
    vsl_field_free(&a);
    vsl_field_free(&b);
    vsl_field_free(&back);
    vsl_backend_close(&be);
}

TEST(dot_and_axpby_agree_with_double_arithmetic)
{
    VslBackend *be = NULL;
    VslField x = {0}, y = {0};
    const int64_t n[3] = {41, 37, 29};
    double dot = 0, want = 0;
    CHECK_OK(vsl_backend_open(&be, "cpu", 2));
    CHECK_OK(vsl_field_new(&x, be, n, 1));
    CHECK_OK(vsl_field_new(&y, be, n, 1));
    fill(&x, 1);
    fill(&y, 2);
    for (int64_t i = 0; i < vsl_field_count(&x); i++) {
        want += (double)x.data[i] * (double)y.data[i];
    }
    CHECK_OK(vsl_field_dot(&dot, &x, &y));
    CHECK_NEAR(dot, want, 1e-9, "sum of 44 000 products of order one in double");
    const double y0 = y.data[12345], x0 = x.data[12345];
    CHECK_OK(vsl_field_axpby(&y, 2.5, &x, -0.5));
    CHECK_NEAR(y.data[12345], 2.5 * x0 - 0.5 * y0, 1e-6, "one float operation");
    vsl_field_free(&x);
    vsl_field_free(&y);
    vsl_backend_close(&be);
}

TEST(an_unknown_device_is_refused_by_name)
{
    VslBackend *be = NULL;
    CHECK_STATUS(vsl_backend_open(&be, "gpu", 1), VSL_E_ARG);
    CHECK_STATUS(vsl_backend_open(&be, "cuda:x", 1), VSL_E_ARG);
    CHECK(be == NULL);
}

int main(void)
{
    RUN(filters_are_stencils_and_do_not_depend_on_threads);
    RUN(resampling_a_low_wave_is_exact_and_its_round_trip_the_identity);
    RUN(dot_and_axpby_agree_with_double_arithmetic);
    RUN(an_unknown_device_is_refused_by_name);
    return CHECK_VERDICT();
}
