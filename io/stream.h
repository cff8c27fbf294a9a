/**
 * Bytes of a regular file, plain or gzip (told by content), read forward in bounded steps.
 *
 * Gzip is checked to the end: every member's CRC and length, so that a damaged file cannot end in VSL_OK. Folders,
 * pipes and devices are refused without waiting on them. @test io/test_stream.c, fuzz/fuzz_inflate.c
 */
#ifndef VSL_IO_STREAM_H
#define VSL_IO_STREAM_H

#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslStream VslStream;

/** @return VSL_E_IO (missing, no permission, not a regular file), VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_stream_open(VslStream **out, const char *path);
/** The same over bytes in memory, borrowed until close; name stands in the sentences. */
VSL_API VSL_MUST_USE VslStatus vsl_stream_open_memory(VslStream **out, const void *bytes, int64_t count,
                                                      const char *name);
/** NULL is allowed. */
VSL_API void vsl_stream_close(VslStream **s);

/** Exactly count bytes. @return VSL_E_FORMAT (ends before: says how many were found; damaged gzip), VSL_E_IO. */
VSL_API VSL_MUST_USE VslStatus vsl_stream_read(VslStream *s, void *bytes, int64_t count);
/** At most count bytes; *got < count only at the end of the content. */
VSL_API VSL_MUST_USE VslStatus vsl_stream_read_some(VslStream *s, void *bytes, int64_t count, int64_t *got);
/** Passes over count bytes. */
VSL_API VSL_MUST_USE VslStatus vsl_stream_skip(VslStream *s, int64_t count);
/** To be called behind the last wanted byte. Gzip: the stream must end here and its checks must hold (one byte more is
 * inflated, no further). *trailing = bytes of the file that belong to nothing: a caller warns.
 * @return VSL_E_FORMAT. */
VSL_API VSL_MUST_USE VslStatus vsl_stream_finish(VslStream *s, int64_t *trailing);

VSL_API int vsl_stream_is_gzip(const VslStream *s);
/** Bytes delivered or skipped so far, after inflation. */
VSL_API int64_t vsl_stream_position(const VslStream *s);
/** Most bytes that the content can have: the file's size, or for gzip what deflate can make of it at best. */
VSL_API int64_t vsl_stream_capacity(const VslStream *s);
/** Size of the file itself. */
VSL_API int64_t vsl_stream_file_size(const VslStream *s);
/** The name as shown in sentences. */
VSL_API const char *vsl_stream_name(const VslStream *s);

#ifdef __cplusplus
}
#endif
#endif
