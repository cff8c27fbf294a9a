/* A device that is there but cannot be used. This program's own pair of functions stands in for the CUDA backend, so
 * that the answer does not depend on the machine. */
#include <string.h>

#include "core/backend_private.h"
#include "core/log.h"
#include "tests/check.h"

static int opened;

int vsl_backend_count_cuda(void)
{
    return 1;
}

VslStatus vsl_backend_open_cuda(VslBackend *be, int device)
{
    opened++;
    strcpy(be->name, "cuda"); /* as far as it came */
    return vsl_fail(VSL_E_DEVICE, __func__, "cuda:%d: all devices are busy or unavailable", device);
}

static int warnings;
static char warning[512];

static void hear(VslLogLevel level, const char *sentence, void *user)
{
    (void)user;
    warnings += level == VSL_LOG_WARNING;
    snprintf(warning, sizeof warning, "%s", sentence);
}

TEST(auto_goes_on_with_the_processor_and_says_why)
{
    VslBackend *be = NULL;
    vsl_log_set_sink(hear, NULL);
    CHECK_OK(vsl_backend_open(&be, "auto", 1));
    vsl_log_set_sink(NULL, NULL);
    CHECK(opened == 1 && warnings == 1);
    CHECK(strstr(warning, "all devices are busy") != NULL);
    CHECK(vsl_backend_is_host(be) && strcmp(vsl_backend_name(be), "cpu") == 0);
    vsl_backend_close(&be);
}

TEST(a_device_asked_for_by_name_is_an_error)
{
    VslBackend *be = NULL;
    static const char *const names[] = {"cuda", "cuda:0", "cuda:3"};
    for (int i = 0; i < 3; i++) {
        CHECK_STATUS(vsl_backend_open(&be, names[i], 1), VSL_E_DEVICE);
        CHECK(strstr(vsl_error(), i == 2 ? "cuda:3" : "cuda:0") != NULL);
        CHECK(be == NULL);
    }
}

TEST(the_processor_says_what_memory_is_left)
{
    VslBackend *be = NULL;
    VslField f = {0};
    int64_t before = 0, after = 0, total = 0;
    CHECK_OK(vsl_backend_open(&be, "cpu", 1));
    CHECK_OK(vsl_backend_memory(&before, &total, be));
    CHECK(before > 0 && before <= total);
    vsl_memory_set_budget(10000000);
    CHECK_OK(vsl_backend_memory(&before, &total, be));
    CHECK(total == 10000000);
    CHECK_OK(vsl_field_new(&f, be, (int64_t[3]){100, 100, 10}, 1));
    CHECK_OK(vsl_backend_memory(&after, &total, be));
    CHECK(before - after == 400000);
    vsl_memory_set_budget(100);
    CHECK_OK(vsl_backend_memory(&after, &total, be));
    CHECK(after == 0);
    vsl_memory_set_budget(0);
    vsl_field_free(&f);
    vsl_backend_close(&be);
}

int main(void)
{
    RUN(auto_goes_on_with_the_processor_and_says_why);
    RUN(a_device_asked_for_by_name_is_an_error);
    RUN(the_processor_says_what_memory_is_left);
    return CHECK_VERDICT();
}
