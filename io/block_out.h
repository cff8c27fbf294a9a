/**
 * Content that is made block by block in parallel and written in order, plain or as one gzip member.
 *
 * Gzip: the content is cut into blocks of 1 MiB that are deflated independently (full flush between them), the header
 * carries neither time nor name, so that the bytes depend on the content alone and not on the number of threads.
 * @test io/test_nifti_write.c
 */
#ifndef VSL_IO_BLOCK_OUT_H
#define VSL_IO_BLOCK_OUT_H

#include "io/file_out.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VSL_BLOCK_BYTES = 1 << 20 };

/** Puts bytes at .. at + count - 1 of the content into out. Called on several threads at once; cannot fail: the caller
 * has checked everything before. at is a multiple of VSL_BLOCK_BYTES. */
typedef void VslFillFn(void *ctx, unsigned char *out, int64_t at, int64_t count);
/** @return VSL_E_WRITE, VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_block_out(VslFileOut *f, int64_t total, int gzip, int threads, VslFillFn *fill,
                                             void *ctx);

#ifdef __cplusplus
}
#endif
#endif
