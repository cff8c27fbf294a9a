/* The thread-local sentence of the last failure. */
#include "core/status.h"

#include <stdarg.h>
#include <stdio.h>

enum { MOST_LETTERS = 16384 }; /* room for every difference between two networks */

static _Thread_local char last_error[MOST_LETTERS];

VslStatus vsl_fail(VslStatus code, const char *where, const char *fmt, ...)
{
    (void)where; /* kept in the signature for debuggers and log sinks; the sentence is for the user */
    va_list args;
    va_start(args, fmt);
    char text[sizeof last_error];
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    snprintf(last_error, sizeof last_error, "%s", text); /* fmt's arguments may point into last_error */
    return code;
}

const char *vsl_error(void)
{
    return last_error;
}

const char *vsl_status_name(VslStatus code)
{
    switch (code) {
    case VSL_OK: return "ok";
    case VSL_E_ARG: return "bad argument";
    case VSL_E_IO: return "cannot read";
    case VSL_E_WRITE: return "cannot write";
    case VSL_E_FORMAT: return "bad format";
    case VSL_E_SPACE: return "grids disagree";
    case VSL_E_NOMEM: return "out of memory";
    case VSL_E_DEVICE: return "device failure";
    case VSL_E_UNSUPPORTED: return "unsupported";
    case VSL_E_NUMERIC: return "numerical failure";
    case VSL_E_CANCELLED: return "cancelled";
    case VSL_E_STATE: return "state mismatch";
    case VSL_E_EXTERNAL: return "external library failure";
    }
    return "unknown status";
}
