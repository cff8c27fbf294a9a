/**
 * Status codes and the sentence that goes with a failure.
 *
 * Every fallible function returns a VslStatus for the program and leaves a sentence for the person: which file or
 * argument, what was found, what was expected. The sentence is thread-local and stays valid after a failure until the
 * next failure on the same thread. Outputs of a failed call are unchanged. @test core/test_status.c
 */
#ifndef VSL_CORE_STATUS_H
#define VSL_CORE_STATUS_H

#include "core/api.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VslStatus {
    VSL_OK = 0,
    VSL_E_ARG,         /* an argument is out of its documented range */
    VSL_E_IO,          /* the operating system refused to read */
    VSL_E_WRITE,       /* the operating system refused to write, or the disk is full */
    VSL_E_FORMAT,      /* a file's bytes are not what its format demands */
    VSL_E_SPACE,       /* two grids that must agree in world space do not */
    VSL_E_NOMEM,       /* memory ran out, or a stated budget would be exceeded */
    VSL_E_DEVICE,      /* an accelerator is absent or failed */
    VSL_E_UNSUPPORTED, /* valid, but this build or version does not do it */
    VSL_E_NUMERIC,     /* a computation diverged or has no answer */
    VSL_E_CANCELLED,   /* the caller's progress function asked to stop */
    VSL_E_STATE,       /* saved state belongs to another run or configuration */
    VSL_E_EXTERNAL     /* a library below us failed without saying more */
} VslStatus;

/** Records the sentence "where: text" for vsl_error() and returns code. */
VSL_API VslStatus vsl_fail(VslStatus code, const char *where, const char *fmt, ...) VSL_PRINTF(3, 4);

/** The last failure's sentence on this thread; "" before any. */
VSL_API const char *vsl_error(void);

/** The code's name in lower-case words, e.g. "bad format". Never NULL. */
VSL_API const char *vsl_status_name(VslStatus code);

#define VSL_TRY(call)                  \
    do {                               \
        if ((st = (call)) != VSL_OK) { \
            goto out;                  \
        }                              \
    } while (0)
#define VSL_CHECK(cond, code, ...)                        \
    do {                                                  \
        if (!(cond)) {                                    \
            st = vsl_fail((code), __func__, __VA_ARGS__); \
            goto out;                                     \
        }                                                 \
    } while (0)

#ifdef __cplusplus
}
#endif
#endif
