/* NIfTI files made in memory, with every field at hand, for tests that damage them. Independent of io/nifti_write.c:
 * headers are filled here and gzip comes from zlib. */
#ifndef VSL_TESTS_NIFTI_BYTES_H
#define VSL_TESTS_NIFTI_BYTES_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "io/nifti_private.h"

typedef struct Bytes {
    unsigned char *data;
    int64_t size;
} Bytes;

static inline void bytes_free(Bytes *b)
{
    free(b->data);
    *b = (Bytes){0};
}

static inline Bytes bytes_join(const void *a, int64_t a_size, const void *b, int64_t b_size)
{
    Bytes out = {malloc((size_t)(a_size + b_size) + 1), a_size + b_size};
    memcpy(out.data, a, (size_t)a_size);
    memcpy(out.data + a_size, b, (size_t)b_size);
    return out;
}

/* A good single-file NIfTI-1 header of 6 x 5 x 4 voxels with an oblique, anisotropic sform and no qform. */
static inline nifti_1_header good_header(int datatype)
{
    nifti_1_header h;
    memset(&h, 0, sizeof h);
    h.sizeof_hdr = 348;
    memcpy(h.magic, "n+1", 4);
    const short dim[8] = {3, 6, 5, 4, 1, 1, 1, 1};
    const float rows[3][4] = {{-2, 0.25f, 0, 10}, {0.25f, 1.5f, 0.125f, -20}, {0, -0.125f, 3, 30}};
    memcpy(h.dim, dim, sizeof dim);
    for (int i = 0; i < 8; i++) {
        h.pixdim[i] = i < 4 ? (float)(i ? i : 1) : 1;
    }
    h.datatype = (short)datatype;
    const NiftiType *type = vsl_nifti_type(datatype);
    h.bitpix = (short)(type ? 8 * type->components * type->component_bytes : 8);
    h.vox_offset = 352;
    h.scl_slope = 1;
    h.sform_code = 1;
    memcpy(h.srow_x, rows[0], sizeof rows[0]);
    memcpy(h.srow_y, rows[1], sizeof rows[1]);
    memcpy(h.srow_z, rows[2], sizeof rows[2]);
    h.xyzt_units = 2;
    return h;
}

/* header, 4 zero bytes, voxels */
static inline Bytes make_file(const nifti_1_header *h, const void *voxels, int64_t voxel_bytes)
{
    unsigned char front[352] = {0};
    memcpy(front, h, 348);
    return bytes_join(front, 352, voxels, voxel_bytes);
}

/* One gzip member by zlib. */
static inline Bytes make_gzip(const void *content, int64_t size)
{
    z_stream z;
    memset(&z, 0, sizeof z);
    Bytes out = {malloc((size_t)size + (size_t)size / 100 + 1024), 0};
    if (deflateInit2(&z, 6, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) != Z_OK) {
        abort();
    }
    z.next_in = (unsigned char *)(uintptr_t)content;
    z.avail_in = (unsigned)size;
    z.next_out = out.data;
    z.avail_out = (unsigned)(size + size / 100 + 1024);
    if (deflate(&z, Z_FINISH) != Z_STREAM_END) {
        abort();
    }
    out.size = (int64_t)z.total_out;
    deflateEnd(&z);
    return out;
}

/* Reads a file held in memory; info may be NULL. */
static inline VslStatus read_bytes(VslVolume *out, VslNiftiInfo *info, const void *bytes, int64_t size)
{
    NiftiFile f = {0};
    VslStatus st = vsl_nifti_open_memory(&f, bytes, size, "memory");
    if (st == VSL_OK) {
        st = vsl_nifti_read_voxels(out, &f);
    }
    if (info && st == VSL_OK) {
        vsl_nifti_info_free(info);
        *info = f.info;
        memset(&f.info, 0, sizeof f.info);
    }
    vsl_nifti_close(&f);
    return st;
}

#endif
