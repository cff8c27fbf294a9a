/**
 * Small files read whole: regular files only (a pipe or device neither hangs nor floods the reader), never more than a
 * stated number of bytes. Symbolic links are followed on input. @test io/test_manifest.c
 */
#ifndef VSL_IO_FILE_IN_H
#define VSL_IO_FILE_IN_H

#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

/** Opens a regular file for reading. *fd: the caller closes it; *bytes: its size now.
 * @return VSL_E_IO (cannot be opened, or is a folder, pipe, device or socket). */
VSL_API VSL_MUST_USE VslStatus vsl_file_in_open(int *fd, int64_t *bytes, const char *path);
/** The whole content, with a final zero byte that count does not include; free with vsl_free.
 * @return VSL_E_IO, VSL_E_FORMAT (more than `most` bytes), VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_file_in_whole(char **out, int64_t *count, const char *path, int64_t most);
/** As above, of a longer file its first `most` bytes. */
VSL_API VSL_MUST_USE VslStatus vsl_file_in_front(char **out, int64_t *count, const char *path, int64_t most);

#ifdef __cplusplus
}
#endif
#endif
