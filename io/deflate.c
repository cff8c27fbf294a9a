#include "io/deflate_private.h"

enum { LEVEL = 1, FIRST_BYTES = 16 };

int64_t deflate_block(Deflater *d, unsigned char *in, int64_t count, unsigned char *out, int64_t room)
{
    struct isal_zstream *z = &d->stream;

    isal_deflate_init(z);
    z->level = LEVEL;
    z->level_buf = d->level;
    z->level_buf_size = sizeof d->level;
    z->next_in = in;
    z->next_out = out;
    z->avail_out = (uint32_t)room;
    /* ISA-L 2.30's fast loop begins a stream by hashing a register that still holds the stream's address, where it
     * means the third byte (.write_first_byte in igzip_icf_body_h1_gr_bt.asm): one time in some thousands, as the
     * system places memory, it finds another match and the bytes differ. Sixteen bytes or fewer never reach that loop;
     * after them it does not begin. That costs less than ten bytes a block. */
    if (count > FIRST_BYTES) {
        z->flush = SYNC_FLUSH;
        z->avail_in = FIRST_BYTES;
        if (isal_deflate(z) != COMP_OK || z->avail_in > 0) {
            return -1;
        }
        count -= FIRST_BYTES;
    }
    z->flush = FULL_FLUSH;
    z->avail_in = (uint32_t)count;
    const int code = isal_deflate(z);
    return code == COMP_OK && z->avail_in == 0 && z->avail_out > 0 ? room - (int64_t)z->avail_out : -1;
}
