/* ISA-L inflates; it also checks each member's CRC-32 and length. */
#define _GNU_SOURCE
#include "io/stream.h"

#include <errno.h>
#include <isa-l/igzip_lib.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "io/file_in.h"
#include "io/path.h"

enum { INPUT_BYTES = 1 << 18, SKIP_BYTES = 1 << 15 };

/* Deflate shrinks by at most 1032: matches of 258 bytes in 2 bits each. */
enum { DEFLATE_MOST = 1032 };

typedef struct Inflate {
    struct inflate_state state;
    unsigned char input[INPUT_BYTES];
} Inflate;

struct VslStream {
    int fd;                      /* -1 when in memory */
    const unsigned char *memory; /* borrowed */
    int64_t size, taken;         /* of the file; bytes of it fetched so far */
    int64_t position;
    Inflate *gzip; /* NULL for plain content */
    int ended;     /* the last gzip member is complete */
    VslPathText name;
};

/* Up to count bytes of the file as stored. */
static VslStatus fetch(VslStream *s, void *bytes, int64_t count, int64_t *got)
{
    VslStatus st = VSL_OK;
    int64_t done = 0;

    if (s->fd < 0) {
        done = s->size - s->taken < count ? s->size - s->taken : count;
        memcpy(bytes, s->memory + s->taken, (size_t)done);
    }
    while (s->fd >= 0 && done < count) {
        const int64_t most = (int64_t)1 << 30; /* some systems refuse more in one call */
        const int64_t wanted = count - done < most ? count - done : most;
        const ssize_t n = pread(s->fd, (char *)bytes + done, (size_t)wanted, (off_t)(s->taken + done));
        if (n < 0 && errno == EINTR) {
            continue;
        }
        VSL_CHECK(n >= 0, VSL_E_IO, "%s: cannot be read: %s", s->name.text, strerror(errno));
        if (n == 0) {
            break;
        }
        done += n;
    }
    s->taken += done;
    *got = done;
out:
    return st;
}

/* Looks whether the content is gzip and prepares for it. */
static VslStatus recognise(VslStream *s)
{
    VslStatus st = VSL_OK;
    unsigned char magic[2];
    int64_t got;

    VSL_TRY(fetch(s, magic, 2, &got));
    s->taken = 0;
    if (got == 2 && magic[0] == 0x1f && magic[1] == 0x8b) {
        VSL_TRY(VSL_NEW(&s->gzip, 1, "inflate buffer"));
        memset(&s->gzip->state, 0, sizeof s->gzip->state);
        isal_inflate_init(&s->gzip->state);
        s->gzip->state.crc_flag = ISAL_GZIP;
        s->gzip->state.next_in = s->gzip->input;
    }
out:
    return st;
}

VslStatus vsl_stream_open(VslStream **out, const char *path)
{
    VslStatus st = VSL_OK;
    VslStream *s = NULL;

    VSL_CHECK(path && *path, VSL_E_ARG, "an empty name for an input file");
    VSL_TRY(VSL_NEW0(&s, 1, "input file"));
    s->fd = -1;
    s->name = vsl_path_text(path);
    VSL_TRY(vsl_file_in_open(&s->fd, &s->size, path));
    VSL_TRY(recognise(s));
    *out = s;
    s = NULL;
out:
    vsl_stream_close(&s);
    return st;
}

VslStatus vsl_stream_open_memory(VslStream **out, const void *bytes, int64_t count, const char *name)
{
    VslStatus st = VSL_OK;
    VslStream *s = NULL;

    VSL_TRY(VSL_NEW0(&s, 1, "input stream"));
    s->fd = -1;
    s->memory = bytes;
    s->size = count;
    s->name = vsl_path_text(name);
    VSL_TRY(recognise(s));
    *out = s;
    s = NULL;
out:
    vsl_stream_close(&s);
    return st;
}

void vsl_stream_close(VslStream **s)
{
    if (s && *s) {
        if ((*s)->fd >= 0) {
            close((*s)->fd);
        }
        vsl_free((*s)->gzip);
        vsl_free(*s);
        *s = NULL;
    }
}

/* Appends file bytes to the input buffer, whose rest is moved to its front. */
static VslStatus refill(VslStream *s)
{
    VslStatus st = VSL_OK;
    struct inflate_state *z = &s->gzip->state;
    int64_t got;

    memmove(s->gzip->input, z->next_in, z->avail_in);
    z->next_in = s->gzip->input;
    VSL_TRY(fetch(s, s->gzip->input + z->avail_in, INPUT_BYTES - (int64_t)z->avail_in, &got));
    z->avail_in += (uint32_t)got;
out:
    return st;
}

/* Behind a complete member: another one follows, or the stream has ended. */
static VslStatus next_member(VslStream *s)
{
    VslStatus st = VSL_OK;
    struct inflate_state *z = &s->gzip->state;

    if (z->avail_in < 2) {
        VSL_TRY(refill(s));
    }
    if (z->avail_in >= 2 && z->next_in[0] == 0x1f && z->next_in[1] == 0x8b) {
        isal_inflate_reset(z);
        z->crc_flag = ISAL_GZIP;
    } else {
        s->ended = 1;
    }
out:
    return st;
}

static const char *inflate_complaint(int code)
{
    switch (code) {
    case ISAL_INVALID_WRAPPER:
    case ISAL_UNSUPPORTED_METHOD: return "its header is not a gzip header";
    case ISAL_INCORRECT_CHECKSUM: return "its checksum or length does not match its content";
    default: return "its compressed data are not valid";
    }
}

static VslStatus inflate_some(VslStream *s, unsigned char *bytes, int64_t count, int64_t *got)
{
    VslStatus st = VSL_OK;
    struct inflate_state *z = &s->gzip->state;
    int64_t done = 0;

    while (done < count && !s->ended) {
        if (z->block_state == ISAL_BLOCK_FINISH) {
            VSL_TRY(next_member(s));
            continue;
        }
        if (z->avail_in == 0) {
            VSL_TRY(refill(s));
        }
        const int64_t most = (int64_t)1 << 30; /* avail_out is 32 bits wide */
        const uint32_t room = (uint32_t)(count - done < most ? count - done : most), had = z->avail_in;
        z->next_out = bytes + done;
        z->avail_out = room;
        const int code = isal_inflate(z);
        VSL_CHECK(code == ISAL_DECOMP_OK, VSL_E_FORMAT, "%s: damaged gzip file: %s", s->name.text,
                  inflate_complaint(code));
        done += room - z->avail_out;
        const int stands = z->avail_out == room && z->avail_in == had && z->block_state != ISAL_BLOCK_FINISH;
        VSL_CHECK(!stands, VSL_E_FORMAT,
                  "%s: truncated gzip file: it ends after %lld bytes inside the compressed data (%lld bytes inflated)",
                  s->name.text, (long long)s->size, (long long)(s->position + done));
    }
    *got = done;
out:
    return st;
}

VslStatus vsl_stream_read_some(VslStream *s, void *bytes, int64_t count, int64_t *got)
{
    VslStatus st = VSL_OK;
    int64_t done = 0;

    if (s->gzip) {
        VSL_TRY(inflate_some(s, bytes, count, &done));
    } else {
        VSL_TRY(fetch(s, bytes, count, &done));
    }
    s->position += done;
    *got = done;
out:
    return st;
}

VslStatus vsl_stream_read(VslStream *s, void *bytes, int64_t count)
{
    VslStatus st = VSL_OK;
    const int64_t start = s->position;
    int64_t got;

    VSL_TRY(vsl_stream_read_some(s, bytes, count, &got));
    VSL_CHECK(got == count, VSL_E_FORMAT, "%s: truncated: it ends after %lld bytes%s, expected at least %lld",
              s->name.text, (long long)s->position, s->gzip ? " (inflated)" : "", (long long)(start + count));
out:
    return st;
}

VslStatus vsl_stream_skip(VslStream *s, int64_t count)
{
    VslStatus st = VSL_OK;
    unsigned char passed[SKIP_BYTES];

    VSL_CHECK(count <= vsl_stream_capacity(s) - s->position, VSL_E_FORMAT,
              "%s: truncated: %lld bytes from byte %lld on cannot be in a file of %lld bytes", s->name.text,
              (long long)count, (long long)s->position, (long long)s->size);
    if (!s->gzip) {
        s->taken += count;
        s->position += count;
        count = 0;
    }
    while (count > 0) {
        const int64_t step = count < SKIP_BYTES ? count : SKIP_BYTES;
        VSL_TRY(vsl_stream_read(s, passed, step));
        count -= step;
    }
out:
    return st;
}

VslStatus vsl_stream_finish(VslStream *s, int64_t *trailing)
{
    VslStatus st = VSL_OK;
    unsigned char extra;
    int64_t got, left = s->size - s->taken;

    if (s->gzip) {
        VSL_TRY(inflate_some(s, &extra, 1, &got));
        VSL_CHECK(got == 0, VSL_E_FORMAT, "%s: the compressed data go on after the %lld bytes that its header declares",
                  s->name.text, (long long)s->position);
        left = s->size - s->taken + s->gzip->state.avail_in;
    }
    *trailing = left > 0 ? left : 0;
out:
    return st;
}

int vsl_stream_is_gzip(const VslStream *s)
{
    return s->gzip != NULL;
}

int64_t vsl_stream_position(const VslStream *s)
{
    return s->position;
}

int64_t vsl_stream_capacity(const VslStream *s)
{
    if (!s->gzip) {
        return s->size;
    }
    return s->size > INT64_MAX / DEFLATE_MOST ? INT64_MAX : s->size * DEFLATE_MOST;
}

int64_t vsl_stream_file_size(const VslStream *s)
{
    return s->size;
}

const char *vsl_stream_name(const VslStream *s)
{
    return s->name.text;
}
