/* Option tables: defaults, ranges, text in and out. */
#include "core/options.h"

#include <string.h>

#include "tests/check.h"

typedef struct Sample {
    double width_mm;
    int steps;
    int metric;
} Sample;

static const VslOption table[] = {
    {"width-mm", VSL_OPT_DOUBLE, offsetof(Sample, width_mm), 6.5, 0.5, 100, "mm", "width", NULL},
    {"steps", VSL_OPT_INT, offsetof(Sample, steps), 10, 1, 64, "", "steps", NULL},
    {"metric", VSL_OPT_CHOICE, offsetof(Sample, metric), 2, 0, 0, "", "metric", "ssd,lncc,mi"},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL},
};

TEST(zero_takes_the_default_and_other_values_stay)
{
    Sample s = {0};
    CHECK_OK(vsl_options_resolve(&s, table));
    CHECK(s.width_mm == 6.5 && s.steps == 10 && s.metric == 2);
    Sample t = {.width_mm = 1, .steps = 64, .metric = 3};
    CHECK_OK(vsl_options_resolve(&t, table));
    CHECK(t.width_mm == 1 && t.steps == 64 && t.metric == 3);
}

TEST(values_out_of_range_are_refused_with_flag_value_range_and_unit)
{
    Sample s = {.width_mm = 200};
    CHECK_STATUS(vsl_options_resolve(&s, table), VSL_E_ARG);
    CHECK(strstr(vsl_error(), "--width-mm") && strstr(vsl_error(), "200") && strstr(vsl_error(), "0.5 to 100 mm"));
    CHECK_STATUS(vsl_options_resolve(&(Sample){.steps = 65}, table), VSL_E_ARG);
    CHECK_STATUS(vsl_options_resolve(&(Sample){.steps = -1}, table), VSL_E_ARG);
    CHECK_STATUS(vsl_options_resolve(&(Sample){.metric = 4}, table), VSL_E_ARG);
    CHECK_STATUS(vsl_options_resolve(&(Sample){.width_mm = (double)NAN}, table), VSL_E_ARG);
}

TEST(text_sets_one_field)
{
    Sample s = {0};
    CHECK_OK(vsl_option_parse(&s, &table[0], "2.5"));
    CHECK_OK(vsl_option_parse(&s, &table[1], "12"));
    CHECK_OK(vsl_option_parse(&s, &table[2], "mi"));
    CHECK(s.width_mm == 2.5 && s.steps == 12 && s.metric == 3);
    CHECK_OK(vsl_option_parse(&s, &table[2], "ssd"));
    CHECK(s.metric == 1);
}

TEST(text_that_is_no_value_is_refused_and_the_field_kept)
{
    Sample s = {.width_mm = 3, .steps = 4, .metric = 1};
    static const char *const bad_numbers[] = {"", " ", "two", "2.5x", "1,5", "nan", "inf", "1e9", "--3", "0.1"};
    for (size_t i = 0; i < sizeof bad_numbers / sizeof *bad_numbers; i++) {
        CHECK_STATUS(vsl_option_parse(&s, &table[0], bad_numbers[i]), VSL_E_ARG);
    }
    static const char *const bad_counts[] = {"", "2.5", "65", "0", "1e10", "9999999999999999999"};
    for (size_t i = 0; i < sizeof bad_counts / sizeof *bad_counts; i++) {
        CHECK_STATUS(vsl_option_parse(&s, &table[1], bad_counts[i]), VSL_E_ARG);
    }
    static const char *const bad_choices[] = {"", "ss", "ssdx", "lncc,mi", "SSD", "4"};
    for (size_t i = 0; i < sizeof bad_choices / sizeof *bad_choices; i++) {
        CHECK_STATUS(vsl_option_parse(&s, &table[2], bad_choices[i]), VSL_E_ARG);
        CHECK(strstr(vsl_error(), "ssd,lncc,mi") != NULL);
    }
    CHECK(s.width_mm == 3 && s.steps == 4 && s.metric == 1);
}

TEST(a_typed_zero_is_zero_and_not_the_default)
{
    const VslOption share = {"share", VSL_OPT_DOUBLE, offsetof(Sample, width_mm), 0.5, 0, 1, "", "share", NULL};
    const VslOption warmup = {"warmup", VSL_OPT_INT, offsetof(Sample, steps), 100, -1, 1000, "", "warm-up", NULL};
    const VslOption both[] = {share, warmup, table[3]};
    Sample s = {.steps = 7};
    char text[64];
    CHECK_OK(vsl_option_parse(&s, &share, "0"));
    CHECK_STATUS(vsl_option_parse(&s, &warmup, "0"), VSL_E_ARG);
    CHECK(strstr(vsl_error(), "--warmup: 0 would mean the default, 100") != NULL);
    CHECK_OK(vsl_options_resolve(&s, both));
    CHECK_OK(vsl_options_resolve(&s, both));
    CHECK(s.width_mm == 0 && s.steps == 7);
    vsl_option_print(text, sizeof text, &s, &share);
    CHECK(strcmp(text, "0") == 0);
}

TEST(values_print_as_they_are_typed)
{
    const Sample s = {.width_mm = 0.1, .steps = 3, .metric = 3}, empty = {0};
    char text[64];
    vsl_option_print(text, sizeof text, &s, &table[0]);
    CHECK(strcmp(text, "0.1") == 0);
    vsl_option_print(text, sizeof text, &s, &table[1]);
    CHECK(strcmp(text, "3") == 0);
    vsl_option_print(text, sizeof text, &s, &table[2]);
    CHECK(strcmp(text, "mi") == 0);
    vsl_option_print(text, sizeof text, &empty, &table[2]);
    CHECK(strcmp(text, "lncc") == 0);
    vsl_option_print(text, sizeof text, &empty, &table[0]);
    CHECK(strcmp(text, "6.5") == 0);
    char tiny[3];
    vsl_option_print(tiny, sizeof tiny, &empty, &table[2]);
    CHECK(strcmp(tiny, "ln") == 0);
}

int main(void)
{
    RUN(zero_takes_the_default_and_other_values_stay);
    RUN(values_out_of_range_are_refused_with_flag_value_range_and_unit);
    RUN(text_sets_one_field);
    RUN(text_that_is_no_value_is_refused_and_the_field_kept);
    RUN(a_typed_zero_is_zero_and_not_the_default);
    RUN(values_print_as_they_are_typed);
    return CHECK_VERDICT();
}
