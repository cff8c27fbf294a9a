/* One block of a gzip member, deflated by ISA-L: level 1 takes about a tenth of zlib's time for a few per cent more
 * bytes. */
#ifndef VSL_IO_DEFLATE_PRIVATE_H
#define VSL_IO_DEFLATE_PRIVATE_H

#include <isa-l/igzip_lib.h>
#include <stdint.h>

/** Scratch of one thread; needs no initial values. */
typedef struct Deflater {
    struct isal_zstream stream;
    unsigned char level[ISAL_DEF_LVL1_DEFAULT];
} Deflater;

/** Deflates `count` bytes and ends them with a full flush, so that blocks can follow each other. What comes out depends
 * on the bytes alone, not on where in memory anything lies.
 * @return bytes of `out` used; -1: the compressor failed, or `room` was too small.
 * @test io/test_deflate.c */
int64_t deflate_block(Deflater *d, unsigned char *in, int64_t count, unsigned char *out, int64_t room);

#endif
