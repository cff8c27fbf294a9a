/**
 * Messages from the library to whoever runs it: one sink, silent until a program sets it. @test core/test_log.c
 */
#ifndef VSL_CORE_LOG_H
#define VSL_CORE_LOG_H

#include "core/api.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VslLogLevel { VSL_LOG_WARNING = 0, VSL_LOG_INFO, VSL_LOG_DEBUG } VslLogLevel;
typedef void VslLogSink(VslLogLevel level, const char *sentence, void *user);

/** Sets the process's sink; NULL = silent. Call before threads start. */
VSL_API void vsl_log_set_sink(VslLogSink *sink, void *user);
VSL_API void vsl_log(VslLogLevel level, const char *fmt, ...) VSL_PRINTF(2, 3);

#ifdef __cplusplus
}
#endif
#endif
