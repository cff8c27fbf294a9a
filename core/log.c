/* One sink callback. */
#include "core/log.h"

#include <stdarg.h>
#include <stdio.h>

static VslLogSink *current_sink;
static void *current_user;

void vsl_log_set_sink(VslLogSink *sink, void *user)
{
    current_sink = sink;
    current_user = user;
}

void vsl_log(VslLogLevel level, const char *fmt, ...)
{
    if (current_sink) {
        char text[1024];
        va_list args;
        va_start(args, fmt);
        vsnprintf(text, sizeof text, fmt, args);
        va_end(args);
        current_sink(level, text, current_user);
    }
}
