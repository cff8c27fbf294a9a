/**
 * SHA-256 of bytes and files, as 64 lower-case hexadecimal digits. @test io/test_manifest.c
 */
#ifndef VSL_IO_SHA256_H
#define VSL_IO_SHA256_H

#include <stddef.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VSL_SHA256_BYTES = 32, VSL_SHA256_HEX = 65 };

/** The digest itself, VSL_SHA256_BYTES of it. @return VSL_E_EXTERNAL when the cryptographic library fails. */
VSL_API VSL_MUST_USE VslStatus vsl_sha256(unsigned char out[VSL_SHA256_BYTES], const void *bytes, size_t count);
VSL_API VSL_MUST_USE VslStatus vsl_sha256_text(char out[VSL_SHA256_HEX], const void *bytes, size_t count);
/** Of a regular file, read in pieces. @return also VSL_E_IO. */
VSL_API VSL_MUST_USE VslStatus vsl_sha256_file(char out[VSL_SHA256_HEX], const char *path);

#ifdef __cplusplus
}
#endif
#endif
