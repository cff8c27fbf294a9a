/* Mutual information: known values, the derivative against central differences, invariances, threads, failures. */
#include "registration/similarity_mi.h"

#include <string.h>

#include "core/random.h"
#include "tests/check.h"

enum { N0 = 17, N1 = 13, N2 = 11, N = N0 * N1 * N2 };
static const int64_t extent[3] = {N0, N1, N2};

static void fill(VslField *f, uint64_t stream, const VslField *part, double share)
{
    for (int i = 0; i < N; i++) {
        f->data[i] = (float)(vsl_random_normal(3, stream, (uint64_t)i) + (part ? share * (double)part->data[i] : 0));
    }
}

typedef struct Fixture {
    VslBackend *be;
    VslField fixed, warped, mask, weight, grad;
    RegMi *mi;
} Fixture;

static Fixture open_fixture(int threads)
{
    Fixture f = {0};
    CHECK_OK(vsl_backend_open(&f.be, "cpu", threads));
    VslField *all[] = {&f.fixed, &f.warped, &f.mask, &f.weight, &f.grad};
    for (int i = 0; i < 5; i++) {
        CHECK_OK(vsl_field_new(all[i], f.be, extent, 1));
    }
    fill(&f.fixed, 1, NULL, 0);
    fill(&f.warped, 2, &f.fixed, 1.5);
    for (int i = 0; i < N; i++) {
        f.mask.data[i] = i % 7 == 0 ? 0.0F : 1.0F;
        f.weight.data[i] = (float)vsl_random_uniform(3, 9, (uint64_t)i);
    }
    return f;
}

static void close_fixture(Fixture *f)
{
    reg_mi_free(&f->mi);
    VslField *all[] = {&f->fixed, &f->warped, &f->mask, &f->weight, &f->grad};
    for (int i = 0; i < 5; i++) {
        vsl_field_free(all[i]);
    }
    vsl_backend_close(&f->be);
}

TEST(two_equal_values_in_both_images_share_log_2)
{
    Fixture f = open_fixture(2);
    double e = 0;
    for (int i = 0; i < N; i++) {
        f.fixed.data[i] = i % 2 ? 5.0F : -1.0F;
        f.warped.data[i] = i % 2 ? 30.0F : 70.0F;
    }
    CHECK_OK(reg_mi_new(&f.mi, f.be, &f.fixed, NULL, 32, 2.5));
    CHECK_OK(reg_mi_eval(f.mi, &e, NULL, &f.warped, NULL));
    const double p = (double)(N / 2) / N, q = 1 - p;
    CHECK_NEAR(e / (2.5 * N), p * log(p) + q * log(q), 1e-9, "nats: distant bins do not mix");
    close_fixture(&f);
}

TEST(independent_images_share_nothing_and_dependent_ones_do)
{
    Fixture f = open_fixture(2);
    double far = 0, near = 0;
    VslField other = {0};
    CHECK_OK(vsl_field_new(&other, f.be, extent, 1));
    fill(&other, 77, NULL, 0);
    CHECK_OK(reg_mi_new(&f.mi, f.be, &f.fixed, NULL, 16, 1));
    CHECK_OK(reg_mi_set_range(f.mi, -5, 5));
    CHECK_OK(reg_mi_eval(f.mi, &far, NULL, &other, NULL));
    CHECK_OK(reg_mi_eval(f.mi, &near, NULL, &f.warped, NULL));
    CHECK_NEAR(-far / N, 0, 0.05, "nats: bias of 2431 samples in 256 cells, half of them smoothed");
    CHECK_NEAR(-near / N, 0.5 * log(3.25), 0.15, "nats of the Gaussian model; bins and splines blur it");
    vsl_field_free(&other);
    close_fixture(&f);
}

TEST(the_derivative_is_that_of_the_energy)
{
    Fixture f = open_fixture(2);
    double e = 0;
    CHECK_OK(reg_mi_new(&f.mi, f.be, &f.fixed, &f.mask, 24, 1.7));
    CHECK_OK(reg_mi_set_range(f.mi, -3, 4)); /* some values lie outside: no force there */
    CHECK_OK(reg_mi_eval(f.mi, &e, &f.grad, &f.warped, &f.weight));
    for (int direction = 0; direction < 20; direction++) {
        VslField moved = {0};
        double sum = 0, plus = 0, minus = 0;
        const double h = 1e-3;
        CHECK_OK(vsl_field_new(&moved, f.be, extent, 1));
        for (int s = 0; s < 2; s++) {
            for (int i = 0; i < N; i++) {
                const double d = vsl_random_normal(5, (uint64_t)direction, (uint64_t)i);
                /* near the ends of the range the clamped value has a kink */
                const double v = (double)f.warped.data[i];
                const int kink = fabs(v + 3) < 0.01 || fabs(v - 4) < 0.01;
                moved.data[i] = (float)(v + (kink ? 0 : (s ? -h : h) * d));
                sum += s || kink ? 0 : d * (double)f.grad.data[i];
            }
            CHECK_OK(reg_mi_eval(f.mi, s ? &minus : &plus, NULL, &moved, &f.weight));
        }
        const double difference = (plus - minus) / (2 * h);
        CHECK_NEAR(sum, difference, 1e-3 * fmax(fabs(difference), 1.0), "relative, or absolute for small ones");
        vsl_field_free(&moved);
    }
    close_fixture(&f);
}

TEST(intensities_may_be_scaled_and_inverted)
{
    Fixture f = open_fixture(1);
    double e[3] = {0};
    for (int s = 0; s < 3; s++) {
        const float a = s == 0 ? 1.0F : s == 1 ? 300.0F : -0.25F;
        VslField changed = {0};
        CHECK_OK(vsl_field_new(&changed, f.be, extent, 1));
        CHECK_OK(reg_mi_new(&f.mi, f.be, &f.fixed, NULL, 32, 1));
        for (int i = 0; i < N; i++) {
            changed.data[i] = a * f.warped.data[i] + 10;
        }
        CHECK_OK(reg_mi_eval(f.mi, &e[s], NULL, &changed, NULL));
        vsl_field_free(&changed);
        reg_mi_free(&f.mi);
    }
    CHECK_NEAR(e[1], e[0], 1e-3 * fabs(e[0]), "float rounding of intensities");
    CHECK_NEAR(e[2], e[0], 1e-3 * fabs(e[0]), "float rounding of intensities");
    close_fixture(&f);
}

TEST(voxels_without_weight_or_number_do_not_count)
{
    Fixture f = open_fixture(1);
    double without = 0, with = 0;
    CHECK_OK(reg_mi_new(&f.mi, f.be, &f.fixed, &f.mask, 16, 1));
    CHECK_OK(reg_mi_set_range(f.mi, -5, 5));
    CHECK_OK(reg_mi_eval(f.mi, &without, NULL, &f.warped, NULL));
    for (int i = 0; i < N; i += 7) {
        f.warped.data[i] = i % 2 ? NAN : 1e30F;
    }
    CHECK_OK(reg_mi_eval(f.mi, &with, &f.grad, &f.warped, NULL));
    CHECK(with == without);
    CHECK(f.grad.data[0] == 0 && f.grad.data[7] == 0);
    close_fixture(&f);
}

TEST(threads_do_not_change_a_bit)
{
    Fixture one = open_fixture(1), three = open_fixture(3);
    double e1 = 0, e3 = 1;
    CHECK_OK(reg_mi_new(&one.mi, one.be, &one.fixed, &one.mask, 32, 1.1));
    CHECK_OK(reg_mi_new(&three.mi, three.be, &three.fixed, &three.mask, 32, 1.1));
    CHECK_OK(reg_mi_eval(one.mi, &e1, &one.grad, &one.warped, &one.weight));
    CHECK_OK(reg_mi_eval(three.mi, &e3, &three.grad, &three.warped, &three.weight));
    CHECK(e1 == e3);
    CHECK(!memcmp(one.grad.data, three.grad.data, sizeof(float) * N));
    close_fixture(&one);
    close_fixture(&three);
}

TEST(what_has_no_answer_is_refused)
{
    Fixture f = open_fixture(1);
    double e = 5;
    CHECK_STATUS(reg_mi_new(&f.mi, f.be, &f.fixed, NULL, 4, 1), VSL_E_ARG);
    VslField blank = {0};
    CHECK_OK(vsl_field_new(&blank, f.be, extent, 1));
    CHECK_STATUS(reg_mi_new(&f.mi, f.be, &blank, NULL, 32, 1), VSL_E_NUMERIC);
    CHECK_STATUS(reg_mi_new(&f.mi, f.be, &f.fixed, &blank, 32, 1), VSL_E_NUMERIC);
    CHECK_OK(reg_mi_new(&f.mi, f.be, &f.fixed, NULL, 32, 1));
    CHECK_STATUS(reg_mi_eval(f.mi, &e, NULL, &blank, NULL), VSL_E_NUMERIC);
    CHECK_STATUS(reg_mi_set_range(f.mi, 1, 1), VSL_E_ARG);
    CHECK_OK(reg_mi_set_range(f.mi, -1, 1));
    CHECK_STATUS(reg_mi_eval(f.mi, &e, NULL, &f.warped, &blank), VSL_E_NUMERIC);
    CHECK(e == 5);
    vsl_field_free(&blank);
    reg_mi_free(&f.mi);
    for (int n = 1; n <= 3; n++) { /* every allocation that it makes */
        const int64_t before = vsl_memory_now();
        vsl_memory_fail_after(n);
        CHECK_STATUS(reg_mi_new(&f.mi, f.be, &f.fixed, NULL, 32, 1), VSL_E_NOMEM);
        vsl_memory_fail_after(0);
        CHECK(!f.mi && vsl_memory_now() == before);
    }
    close_fixture(&f);
}

int main(void)
{
    RUN(two_equal_values_in_both_images_share_log_2);
    RUN(independent_images_share_nothing_and_dependent_ones_do);
    RUN(the_derivative_is_that_of_the_energy);
    RUN(intensities_may_be_scaled_and_inverted);
    RUN(voxels_without_weight_or_number_do_not_count);
    RUN(threads_do_not_change_a_bit);
    RUN(what_has_no_answer_is_refused);
    return CHECK_VERDICT();
}
