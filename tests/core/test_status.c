/* Codes and sentences. */
#include <pthread.h>
#include <string.h>

#include "tests/check.h"

static VslStatus fails_in_the_middle(int *reached)
{
    VslStatus st = VSL_OK;
    VSL_TRY(VSL_OK);
    *reached = 1;
    VSL_CHECK(1 + 1 == 3, VSL_E_FORMAT, "%s: found %d, expected %d", "a.nii", 2, 3);
    *reached = 2;
out:
    return st;
}

TEST(a_failed_check_keeps_its_code_and_sentence)
{
    int reached = 0;
    CHECK_STATUS(fails_in_the_middle(&reached), VSL_E_FORMAT);
    CHECK(reached == 1);
    CHECK(strcmp(vsl_error(), "a.nii: found 2, expected 3") == 0);
}

TEST(a_sentence_may_quote_the_one_before)
{
    CHECK_STATUS(vsl_fail(VSL_E_IO, __func__, "the disk is gone"), VSL_E_IO);
    CHECK_STATUS(vsl_fail(VSL_E_IO, __func__, "subject 3: %s", vsl_error()), VSL_E_IO);
    CHECK(strcmp(vsl_error(), "subject 3: the disk is gone") == 0);
}

TEST(a_sentence_longer_than_the_buffer_is_cut_not_written_past)
{
    char text[50000];
    memset(text, 'x', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    CHECK_STATUS(vsl_fail(VSL_E_ARG, __func__, "%s", text), VSL_E_ARG);
    CHECK(strlen(vsl_error()) > 100 && strlen(vsl_error()) < sizeof text - 1);
    CHECK(strspn(vsl_error(), "x") == strlen(vsl_error()));
}

TEST(every_code_has_its_own_name)
{
    for (int a = VSL_OK; a <= VSL_E_EXTERNAL; a++) {
        CHECK(strcmp(vsl_status_name((VslStatus)a), vsl_status_name((VslStatus)1000)) != 0);
        for (int b = VSL_OK; b < a; b++) {
            CHECK(strcmp(vsl_status_name((VslStatus)a), vsl_status_name((VslStatus)b)) != 0);
        }
    }
}

static void *fail_elsewhere(void *seen_before)
{
    *(size_t *)seen_before = strlen(vsl_error());
    (void)vsl_fail(VSL_E_NOMEM, __func__, "another thread's");
    return NULL;
}

TEST(threads_do_not_see_each_others_sentences)
{
    pthread_t thread;
    size_t seen_before = 99;
    (void)vsl_fail(VSL_E_ARG, __func__, "mine");
    CHECK(pthread_create(&thread, NULL, fail_elsewhere, &seen_before) == 0);
    pthread_join(thread, NULL);
    CHECK(seen_before == 0);
    CHECK(strcmp(vsl_error(), "mine") == 0);
}

int main(void)
{
    RUN(a_failed_check_keeps_its_code_and_sentence);
    RUN(a_sentence_may_quote_the_one_before);
    RUN(a_sentence_longer_than_the_buffer_is_cut_not_written_past);
    RUN(every_code_has_its_own_name);
    RUN(threads_do_not_see_each_others_sentences);
    return CHECK_VERDICT();
}
