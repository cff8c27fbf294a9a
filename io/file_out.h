/**
 * Files that appear whole or not at all: written to a temporary name in the target's folder, flushed, synced, renamed.
 * A process killed at any moment leaves the target as it was. @test io/test_file_out.c
 */
#ifndef VSL_IO_FILE_OUT_H
#define VSL_IO_FILE_OUT_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslFileOut VslFileOut;

/** Opens a temporary beside path. @return VSL_E_WRITE (folder missing, no permission, path is a folder or a link that
 * leaves it). */
VSL_API VSL_MUST_USE VslStatus vsl_file_out_open(VslFileOut **out, const char *path);
VSL_API VSL_MUST_USE VslStatus vsl_file_out_write(VslFileOut *f, const void *bytes, size_t count);
/** The temporary's name, for libraries that open files by name themselves (HDF5, PNG); then only commit or abandon. */
VSL_API const char *vsl_file_out_temporary(const VslFileOut *f);
/** Flush, fsync, close, rename, fsync of the folder. *f becomes NULL whatever happens; on failure the temporary goes.
 */
VSL_API VSL_MUST_USE VslStatus vsl_file_out_commit(VslFileOut **f);
/** Removes the temporary; NULL is allowed. */
VSL_API void vsl_file_out_abandon(VslFileOut **f);
/** One call: the whole content. */
VSL_API VSL_MUST_USE VslStatus vsl_file_write_whole(const char *path, const void *bytes, size_t count);

#ifdef __cplusplus
}
#endif
#endif
