/* Lists of named arrays: what may be put in, and the sentence that tells two networks apart. */
#include <string.h>

#include "core/memory.h"
#include "core/weights.h"
#include "tests/check.h"

TEST(arrays_are_found_by_name_and_start_at_zero)
{
    VslWeights w = {0};
    float *data = NULL;
    CHECK_OK(vsl_weights_add(&w, "a.weight", 2, (int64_t[]){2, 3}, &data));
    CHECK(data && data[0] == 0 && data[5] == 0);
    CHECK_OK(vsl_weights_add(&w, "scale", 0, NULL, NULL));
    CHECK(w.count == 2 && vsl_weights_find(&w, "scale")->count == 1);
    CHECK(vsl_weights_find(&w, "a.weight")->count == 6 && !vsl_weights_find(&w, "a"));
    CHECK_OK(vsl_weights_put_note(&w, "step", "1"));
    CHECK_OK(vsl_weights_put_note(&w, "step", "2"));
    CHECK(w.notes == 1 && strcmp(vsl_weights_find_note(&w, "step"), "2") == 0 && !vsl_weights_find_note(&w, "x"));
    vsl_weights_free(&w);
    CHECK(w.count == 0 && vsl_memory_now() == 0);
}

TEST(what_is_no_array_is_refused_and_nothing_is_added)
{
    VslWeights w = {0};
    char name[VSL_WEIGHT_NAME + 1];
    const int64_t huge[] = {INT64_C(1) << 32, INT64_C(1) << 32}, none[] = {3, 0}, negative[] = {-1}, seven[7] = {1};
    memset(name, 'x', sizeof name - 1);
    name[sizeof name - 1] = 0;
    CHECK_OK(vsl_weights_add(&w, "a", 0, NULL, NULL));
    CHECK_STATUS(vsl_weights_add(&w, "a", 0, NULL, NULL), VSL_E_ARG);
    CHECK_STATUS(vsl_weights_add(&w, "", 0, NULL, NULL), VSL_E_ARG);
    CHECK_STATUS(vsl_weights_add(&w, name, 0, NULL, NULL), VSL_E_ARG);
    CHECK_STATUS(vsl_weights_add(&w, "b", 2, huge, NULL), VSL_E_ARG);
    CHECK_STATUS(vsl_weights_add(&w, "b", 2, none, NULL), VSL_E_ARG);
    CHECK_STATUS(vsl_weights_add(&w, "b", 1, negative, NULL), VSL_E_ARG);
    CHECK_STATUS(vsl_weights_add(&w, "b", 7, seven, NULL), VSL_E_ARG);
    vsl_memory_fail_after(1);
    CHECK_STATUS(vsl_weights_add(&w, "b", 0, NULL, NULL), VSL_E_NOMEM);
    vsl_memory_fail_after(0);
    CHECK(w.count == 1);
    vsl_weights_free(&w);
}

TEST(one_sentence_holds_every_difference)
{
    VslWeights want = {0}, got = {0};
    char name[32];
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "layer.%d.weight", i);
        CHECK_OK(vsl_weights_add(&want, name, 1, (int64_t[]){i + 1}, NULL));
    }
    for (int i = 99; i >= 0; i--) { /* another order is no difference */
        snprintf(name, sizeof name, i == 7 ? "extra.%d" : "layer.%d.weight", i);
        CHECK_OK(vsl_weights_add(&got, name, i == 50 ? 2 : 1, (int64_t[]){i == 3 ? 9 : i + 1, 1}, NULL));
    }
    CHECK_OK(vsl_weights_check_same(&want, &want, "same"));
    CHECK_STATUS(vsl_weights_check_same(&want, &got, "w.h5"), VSL_E_FORMAT);
    CHECK(strncmp(vsl_error(), "w.h5: ", 6) == 0);
    CHECK(strstr(vsl_error(), "'layer.3.weight' is 9, expected 4"));
    CHECK(strstr(vsl_error(), "'layer.7.weight' (8) is missing"));
    CHECK(strstr(vsl_error(), "'layer.50.weight' is 51x1, expected 51"));
    CHECK(strstr(vsl_error(), "'extra.7' (8) is not expected"));
    CHECK(!strstr(vsl_error(), "layer.4.weight"));
    VslWeights none = {0};
    CHECK_STATUS(vsl_weights_check_same(&want, &none, "empty"), VSL_E_FORMAT);
    for (int i = 0; i < 100; i++) {
        snprintf(name, sizeof name, "'layer.%d.weight'", i);
        CHECK(strstr(vsl_error(), name));
    }
    vsl_weights_free(&want);
    vsl_weights_free(&got);
}

int main(void)
{
    RUN(arrays_are_found_by_name_and_start_at_zero);
    RUN(what_is_no_array_is_refused_and_nothing_is_added);
    RUN(one_sentence_holds_every_difference);
    return CHECK_VERDICT();
}
