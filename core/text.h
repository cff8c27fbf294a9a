/**
 * Numbers as text, independent of the program's locale (a comma-decimal locale must not change a file).
 * @test core/test_text.c
 */
#ifndef VSL_CORE_TEXT_H
#define VSL_CORE_TEXT_H

#include <stddef.h>

#include "core/api.h"

#ifdef __cplusplus
extern "C" {
#endif

/** 1 when the whole of text (blanks around it allowed) is one number with a decimal point; *out is set then. */
VSL_API int vsl_text_to_double(const char *text, double *out);
/** As above from the front of text; returns the first byte after the number, NULL when there is none. */
VSL_API const char *vsl_text_scan_double(const char *text, double *out);
/** Shortest decimal that reads back as the same double. */
VSL_API void vsl_text_from_double(char *out, size_t size, double value);

#ifdef __cplusplus
}
#endif
#endif
