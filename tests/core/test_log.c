/* The one sink. */
#include "core/log.h"

#include <string.h>

#include "tests/check.h"

typedef struct Heard {
    int count;
    VslLogLevel level;
    char text[2000];
} Heard;

static void hear(VslLogLevel level, const char *sentence, void *user)
{
    Heard *h = user;
    h->count++;
    h->level = level;
    snprintf(h->text, sizeof h->text, "%s", sentence);
}

TEST(silent_without_a_sink)
{
    vsl_log(VSL_LOG_WARNING, "nobody hears %d", 1);
    CHECK(1);
}

TEST(the_sink_gets_level_and_sentence)
{
    Heard h = {0};
    vsl_log_set_sink(hear, &h);
    vsl_log(VSL_LOG_INFO, "level %d of %s", 2, "three");
    CHECK(h.count == 1 && h.level == VSL_LOG_INFO && strcmp(h.text, "level 2 of three") == 0);
    char text[5000];
    memset(text, 'y', sizeof text - 1);
    text[sizeof text - 1] = '\0';
    vsl_log(VSL_LOG_DEBUG, "%s", text);
    CHECK(h.count == 2 && strlen(h.text) > 100 && strspn(h.text, "y") == strlen(h.text));
    vsl_log_set_sink(NULL, NULL);
    vsl_log(VSL_LOG_WARNING, "nobody");
    CHECK(h.count == 2);
}

int main(void)
{
    RUN(silent_without_a_sink);
    RUN(the_sink_gets_level_and_sentence);
    return CHECK_VERDICT();
}
