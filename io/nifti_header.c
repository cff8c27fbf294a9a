/* The gate: header bytes are judged here before anything is sized or placed by them. */
#include "io/nifti_private.h"

#include <float.h>
#include <limits.h>
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

enum { NIFTI1_BYTES = 348, NIFTI2_BYTES = 540 };

static const int64_t axis_most = (int64_t)1 << 31;

_Static_assert(sizeof(nifti_1_header) == NIFTI1_BYTES && sizeof(nifti_2_header) == NIFTI2_BYTES, "header layout");

void vsl_nifti_warn(VslNiftiInfo *info, const char *fmt, ...)
{
    if (info->warning_count == VSL_NIFTI_MAX_WARNINGS) {
        snprintf(info->warnings[VSL_NIFTI_MAX_WARNINGS - 1], sizeof info->warnings[0], "more warnings than fit here");
        return;
    }
    va_list args;
    va_start(args, fmt);
    vsnprintf(info->warnings[info->warning_count++], sizeof info->warnings[0], fmt, args);
    va_end(args);
}

/* NIfTI-1 in native order -> NIfTI-2, field by field; vox_offset apart, because it is a float there. */
static void widen(nifti_2_header *h, const nifti_1_header *old)
{
    memset(h, 0, sizeof *h);
    h->sizeof_hdr = old->sizeof_hdr;
    memcpy(h->magic, old->magic, sizeof old->magic);
    h->datatype = old->datatype;
    h->bitpix = old->bitpix;
    for (int i = 0; i < 8; i++) {
        h->dim[i] = old->dim[i];
        h->pixdim[i] = (double)old->pixdim[i];
    }
    h->scl_slope = (double)old->scl_slope;
    h->scl_inter = (double)old->scl_inter;
    memcpy(h->descrip, old->descrip, sizeof h->descrip);
    h->qform_code = old->qform_code;
    h->sform_code = old->sform_code;
    h->quatern_b = (double)old->quatern_b;
    h->quatern_c = (double)old->quatern_c;
    h->quatern_d = (double)old->quatern_d;
    h->qoffset_x = (double)old->qoffset_x;
    h->qoffset_y = (double)old->qoffset_y;
    h->qoffset_z = (double)old->qoffset_z;
    for (int i = 0; i < 4; i++) {
        h->srow_x[i] = (double)old->srow_x[i];
        h->srow_y[i] = (double)old->srow_y[i];
        h->srow_z[i] = (double)old->srow_z[i];
    }
    h->xyzt_units = (unsigned char)old->xyzt_units;
    h->intent_code = old->intent_code;
    memcpy(h->intent_name, old->intent_name, sizeof h->intent_name);
}

static int looks_like_text(const unsigned char *bytes, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        if ((bytes[i] < 32 && bytes[i] != '\n' && bytes[i] != '\r' && bytes[i] != '\t') || bytes[i] > 126) {
            return 0;
        }
    }
    return count > 0;
}

/* sizeof_hdr tells version and byte order; on success *version is 1 or 2 and the whole header is there. */
static VslStatus recognise(VslNiftiInfo *info, const unsigned char *raw, int64_t count, const char *name)
{
    VslStatus st = VSL_OK;
    int32_t size = 0;

    VSL_CHECK(count > 0, VSL_E_FORMAT, "%s: is empty, expected a NIfTI header of 348 or 540 bytes", name);
    VSL_CHECK(!looks_like_text(raw, count < 64 ? count : 64), VSL_E_FORMAT,
              "%s: holds text, expected a NIfTI image (a placeholder for a file that was not downloaded?)", name);
    VSL_CHECK(count >= NIFTI1_BYTES, VSL_E_FORMAT, "%s: has %lld bytes, expected a NIfTI header of 348 or 540", name,
              (long long)count);
    memcpy(&size, raw, sizeof size);
    if (size != NIFTI1_BYTES && size != NIFTI2_BYTES) {
        const int32_t as_stored = size;
        vsl_nifti_swap(&size, 4, 1);
        info->is_swapped = 1;
        VSL_CHECK(size == NIFTI1_BYTES || size == NIFTI2_BYTES, VSL_E_FORMAT,
                  "%s: is not NIfTI: its header size reads %ld, expected 348 or 540", name, (long)as_stored);
    }
    info->version = size == NIFTI1_BYTES ? 1 : 2;
    VSL_CHECK(count >= size, VSL_E_FORMAT, "%s: ends after %lld of the %ld bytes of a NIfTI-%d header", name,
              (long long)count, (long)size, info->version);
out:
    return st;
}

static VslStatus check_magic(VslNiftiInfo *info, const nifti_2_header *h, const char *name)
{
    VslStatus st = VSL_OK;
    static const char tail[4] = {'\r', '\n', '\032', '\n'};
    const char *m = h->magic, version = (char)('0' + info->version);

    if (info->version == 1 && memcmp(m, "\0\0\0\0", 4) == 0) {
        VSL_CHECK(0, VSL_E_FORMAT,
                  "%s: has no NIfTI magic (an Analyze 7.5 image?): its orientation would be a guess, convert it first",
                  name);
    }
    VSL_CHECK(m[0] == 'n' && (m[1] == '+' || m[1] == 'i') && m[2] == version && m[3] == 0, VSL_E_FORMAT,
              "%s: is not NIfTI: the magic bytes are %02x %02x %02x %02x, expected 'n+%c' or 'ni%c'", name,
              (unsigned)(unsigned char)m[0], (unsigned)(unsigned char)m[1], (unsigned)(unsigned char)m[2],
              (unsigned)(unsigned char)m[3], version, version);
    VSL_CHECK(info->version == 1 || memcmp(m + 4, tail, 4) == 0, VSL_E_FORMAT,
              "%s: the last four magic bytes of its NIfTI-2 header are changed (a transfer in text mode?)", name);
    info->is_pair = m[1] == 'i';
out:
    return st;
}

static VslStatus check_dims(VslNiftiInfo *info, const nifti_2_header *h, const char *name)
{
    VslStatus st = VSL_OK;
    const int64_t rank = h->dim[0];

    VSL_CHECK(rank >= 1 && rank <= 7, VSL_E_FORMAT, "%s: dim[0] is %lld, expected 1 to 7", name, (long long)rank);
    for (int i = 0; i < 7; i++) {
        info->dim[i] = 1;
    }
    for (int i = 1; i <= (int)rank; i++) {
        int64_t n = h->dim[i];
        if (n == 0 && i > 3) {
            vsl_nifti_warn(info, "dim[%d] is 0 though dim[0] is %d; taken as 1", i, (int)rank);
            n = 1;
        }
        VSL_CHECK(n >= 1 && n <= axis_most, VSL_E_FORMAT, "%s: dim[%d] is %lld, expected 1 to %lld", name, i,
                  (long long)n, (long long)axis_most);
        info->dim[i - 1] = n;
    }
    info->ndim = (int)rank;
    while (info->ndim > 2 && info->dim[info->ndim - 1] == 1) {
        info->ndim--;
    }
    if (info->ndim < 2) {
        info->ndim = 2;
    }
    memcpy(info->grid.n, info->dim, sizeof info->grid.n);
out:
    return st;
}

/* Datatype, number of channels and bytes; every product is checked. */
static VslStatus check_sizes(VslNiftiInfo *info, const nifti_2_header *h, const char *name)
{
    VslStatus st = VSL_OK;
    const NiftiType *type = vsl_nifti_type(h->datatype);
    int64_t voxels = 1, channels = 1, floats = 0;
    int ok = 1;

    VSL_CHECK(type, VSL_E_FORMAT, "%s: datatype %d is not one of the NIfTI standard", name, (int)h->datatype);
    VSL_CHECK(type->components, VSL_E_UNSUPPORTED, "%s: holds %s voxels (datatype %d), which are not supported", name,
              type->name, type->code);
    info->datatype = type->code;
    snprintf(info->datatype_name, sizeof info->datatype_name, "%s", type->name);
    const int bits = 8 * type->components * type->component_bytes;
    if (h->bitpix != bits) {
        vsl_nifti_warn(info, "bitpix is %d but datatype %s has %d bits; the datatype is trusted", (int)h->bitpix,
                       type->name, bits);
    }
    for (int i = 0; i < 7; i++) {
        ok = ok && vsl_mul_ok(voxels, info->dim[i], &voxels);
        ok = ok && (i < 3 || vsl_mul_ok(channels, info->dim[i], &channels));
    }
    ok = ok && vsl_mul_ok(voxels, bits / 8, &info->data_bytes);
    ok = ok && vsl_mul_ok(channels, type->components, &channels);
    ok = ok && vsl_mul_ok(voxels, type->components * (int64_t)sizeof(float), &floats);
    VSL_CHECK(ok, VSL_E_FORMAT, "%s: the product of its dimensions (%lld x %lld x %lld ...) overflows 64 bits", name,
              (long long)info->dim[0], (long long)info->dim[1], (long long)info->dim[2]);
    VSL_CHECK(channels <= INT_MAX, VSL_E_FORMAT, "%s: has %lld channels, expected at most %d", name,
              (long long)channels, INT_MAX);
    info->channels = (int)channels;
out:
    return st;
}

static VslStatus check_offset(nifti_2_header *h, VslNiftiInfo *info, double offset, const char *name)
{
    VslStatus st = VSL_OK;
    const int64_t least = info->is_pair ? 0 : info->version == 1 ? 352 : 544;

    VSL_CHECK(isfinite(offset) && offset == floor(offset) && offset >= 0 && offset < 9.0e18, VSL_E_FORMAT,
              "%s: vox_offset is %g, expected a whole number of bytes", name, offset);
    h->vox_offset = (int64_t)offset;
    if (h->vox_offset == 0 && !info->is_pair) {
        vsl_nifti_warn(info, "vox_offset is 0; the voxels are taken from byte %lld on", (long long)least);
        h->vox_offset = least;
    }
    VSL_CHECK(h->vox_offset >= least, VSL_E_FORMAT, "%s: vox_offset is %lld, inside the header; expected %lld or more",
              name, (long long)h->vox_offset, (long long)least);
out:
    return st;
}

static void read_scaling(VslNiftiInfo *info, const nifti_2_header *h)
{
    const NiftiType *type = vsl_nifti_type(h->datatype);

    info->scl_slope = 1;
    info->scl_inter = 0;
    if (h->scl_slope == 0) {
        return; /* the standard's "no scaling": the intercept does not count either */
    }
    if (!isfinite(h->scl_slope) || !isfinite(h->scl_inter)) {
        vsl_nifti_warn(info, "scl_slope %g, scl_inter %g are not finite; voxels are taken unscaled", h->scl_slope,
                       h->scl_inter);
        return;
    }
    if (type->is_colour) {
        if (h->scl_slope != 1 || h->scl_inter != 0) {
            vsl_nifti_warn(info, "scl_slope %g, scl_inter %g do not apply to colours; ignored", h->scl_slope,
                           h->scl_inter);
        }
        return;
    }
    info->scl_slope = h->scl_slope;
    info->scl_inter = h->scl_inter;
}

/* Bounded text field -> string without control bytes. */
static void copy_text(char *out, const char *field, size_t size)
{
    size_t i = 0;
    for (; i < size && field[i]; i++) {
        const unsigned char c = (unsigned char)field[i];
        out[i] = c < 32 || c == 127 ? '?' : field[i];
    }
    out[i] = 0;
}

VslStatus vsl_nifti_parse_header(VslNiftiInfo *info, nifti_2_header *header, const void *raw, int64_t count,
                                 const char *name)
{
    VslStatus st = VSL_OK;
    double offset;

    VSL_TRY(recognise(info, raw, count, name));
    if (info->version == 1) {
        nifti_1_header old;
        memcpy(&old, raw, sizeof old);
        if (info->is_swapped) {
            nifti_swap_as_nifti1(&old);
        }
        widen(header, &old);
        offset = (double)old.vox_offset;
    } else {
        memcpy(header, raw, sizeof *header);
        if (info->is_swapped) {
            nifti_swap_as_nifti2(header);
        }
        offset = (double)header->vox_offset;
    }
    VSL_TRY(check_magic(info, header, name));
    VSL_TRY(check_dims(info, header, name));
    VSL_TRY(check_sizes(info, header, name));
    VSL_TRY(check_offset(header, info, offset, name));
    read_scaling(info, header);
    info->intent_code = header->intent_code;
    copy_text(info->intent_name, header->intent_name, sizeof header->intent_name);
    copy_text(info->descrip, header->descrip, sizeof header->descrip);
    VSL_TRY(vsl_nifti_read_geometry(info, header, name));
out:
    return st;
}
