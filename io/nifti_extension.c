/* Header extensions: opaque blocks between header and voxels, kept and written again. */
#include "io/nifti_private.h"

#include <string.h>

enum { FLAG_BYTES = 4, PREFIX_BYTES = 8, ALIGNMENT = 16 };

/* One extension of at most `room` bytes. *taken = its bytes; 0: there is none, or it is bad and the rest
 * must be dropped. */
static VslStatus read_one(VslNiftiExtension **out, int64_t *taken, VslNiftiInfo *info, VslStream *s, int64_t room)
{
    VslStatus st = VSL_OK;
    VslNiftiExtension *e = NULL;
    int32_t prefix[2]; /* esize, ecode */
    int64_t got;

    *taken = 0;
    VSL_TRY(vsl_stream_read_some(s, prefix, PREFIX_BYTES, &got));
    if (got < PREFIX_BYTES) {
        goto out; /* the end of a pair's header file */
    }
    if (info->is_swapped) {
        vsl_nifti_swap(prefix, 4, 2);
    }
    const int64_t size = prefix[0];
    if (size < PREFIX_BYTES || size > room) {
        vsl_nifti_warn(info, "header extension %d has size %lld, expected 16 to %lld; it and any later one are dropped",
                       info->extensions + 1, (long long)size, (long long)room);
        goto out;
    }
    VSL_TRY(vsl_alloc((void **)&e, (int64_t)sizeof *e + size - PREFIX_BYTES, 1, "header extension"));
    e->next = NULL;
    e->code = prefix[1];
    e->size = size - PREFIX_BYTES;
    VSL_TRY(vsl_stream_read(s, e->bytes, e->size));
    *taken = size;
    *out = e;
    e = NULL;
out:
    vsl_free(e);
    return st;
}

VslStatus vsl_nifti_read_extensions(VslNiftiInfo *info, VslStream *s, int64_t room)
{
    VslStatus st = VSL_OK;
    VslNiftiExtension **end = &info->extension;
    unsigned char flag[FLAG_BYTES];
    int64_t got;

    VSL_TRY(vsl_stream_read_some(s, flag, FLAG_BYTES, &got)); /* a pair's header file may end before */
    room -= FLAG_BYTES;
    if (got < FLAG_BYTES || !flag[0]) {
        goto out;
    }
    if (room < PREFIX_BYTES) {
        vsl_nifti_warn(info, "the header announces extensions but there is no room for any");
        goto out;
    }
    if (room > NIFTI_EXTENSIONS_MOST) {
        vsl_nifti_warn(info, "%lld bytes of header extensions, more than %d; they are dropped", (long long)room,
                       NIFTI_EXTENSIONS_MOST);
        goto out;
    }
    while (room >= PREFIX_BYTES) {
        int64_t taken;
        if (info->extensions == NIFTI_EXTENSIONS_COUNT) {
            vsl_nifti_warn(info, "more than %d header extensions; the rest is dropped", NIFTI_EXTENSIONS_COUNT);
            break;
        }
        VSL_TRY(read_one(end, &taken, info, s, room));
        if (taken == 0) {
            break;
        }
        end = &(*end)->next;
        info->extensions++;
        room -= taken;
    }
out:
    return st;
}

void vsl_nifti_free_extensions(VslNiftiExtension **list)
{
    while (*list) {
        VslNiftiExtension *next = (*list)->next;
        vsl_free(*list);
        *list = next;
    }
}

/* esize in a file: whole multiples of 16, as the standard demands. */
static int64_t padded(const VslNiftiExtension *e)
{
    return (e->size + PREFIX_BYTES + ALIGNMENT - 1) / ALIGNMENT * ALIGNMENT;
}

int64_t vsl_nifti_extension_bytes(const VslNiftiInfo *info)
{
    int64_t bytes = FLAG_BYTES;
    for (const VslNiftiExtension *e = info ? info->extension : NULL; e; e = e->next) {
        bytes += padded(e);
    }
    return bytes;
}

void vsl_nifti_put_extensions(unsigned char *out, const VslNiftiInfo *info)
{
    memset(out, 0, (size_t)vsl_nifti_extension_bytes(info));
    out[0] = info && info->extension;
    out += FLAG_BYTES;
    for (const VslNiftiExtension *e = info ? info->extension : NULL; e; e = e->next) {
        const int32_t prefix[2] = {(int32_t)padded(e), e->code};
        memcpy(out, prefix, PREFIX_BYTES);
        memcpy(out + PREFIX_BYTES, e->bytes, (size_t)e->size);
        out += padded(e);
    }
}
