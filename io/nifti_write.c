/* Single files, native byte order, header bytes that depend on the image alone. */
#include <math.h>
#include <string.h>

#include "io/block_out.h"
#include "io/nifti_encode.h"
#include "io/nifti_private.h"
#include "io/path.h"

enum { NIFTI1_AXIS_MOST = 32767, UNITS_MM_SEC = NIFTI_UNITS_MM | NIFTI_UNITS_SEC };

/* Content of the file: front (header and extensions), then voxels. */
typedef struct Content {
    unsigned char *front;
    int64_t front_size, total;
    NiftiSource from;
    NiftiCoding coding;
} Content;

static void fill(void *ctx, unsigned char *out, int64_t at, int64_t count)
{
    const Content *c = ctx;
    const int64_t bytes = vsl_nifti_datatype_bytes(c->coding.datatype);

    if (at < c->front_size) {
        const int64_t part = c->front_size - at < count ? c->front_size - at : count;
        memcpy(out, c->front + at, (size_t)part);
        out += part;
        at += part;
        count -= part;
    }
    /* front_size and the blocks are multiples of 16: no number is cut */
    vsl_nifti_encode(out, &c->from, &c->coding, (at - c->front_size) / bytes, count / bytes);
}

/* Code of the form that the grid came from: a grid read from an MNI sform stays an MNI one. */
static int form_code(const VslNiftiWrite *how)
{
    const VslNiftiInfo *like = how->like;
    const int like_code = !like ? 0 : !strcmp(like->which_form, "sform") ? like->sform_code : like->qform_code;
    return how->form_code > 0 ? how->form_code : like_code > 0 ? like_code : NIFTI_XFORM_SCANNER_ANAT;
}

static void put_text(char *field, size_t size, const char *text)
{
    const size_t length = text ? strlen(text) : 0;
    memcpy(field, text ? text : "", length < size ? length : size - 1);
}

static void make_header(nifti_2_header *h, const VslGrid *grid, int channels, const VslNiftiWrite *how,
                        const NiftiCoding *coding)
{
    memset(h, 0, sizeof *h);
    vsl_nifti_write_geometry(h, grid, form_code(how));
    for (int i = 1; i < 8; i++) {
        h->dim[i] = i <= 3 ? grid->n[i - 1] : 1;
        h->pixdim[i] = i <= 3 ? h->pixdim[i] : 1;
    }
    h->dim[0] = how->is_vector ? 5 : channels > 1 ? 4 : 3;
    h->dim[how->is_vector ? 5 : 4] = channels;
    if (how->like && how->like->time_step_s > 0 && h->dim[0] == 4) {
        h->pixdim[4] = how->like->time_step_s;
    }
    h->datatype = (int16_t)vsl_nifti_datatype_code(coding->datatype);
    h->bitpix = (int16_t)(8 * vsl_nifti_datatype_bytes(coding->datatype));
    h->scl_slope = coding->slope;
    h->scl_inter = coding->inter;
    h->xyzt_units = UNITS_MM_SEC;
    h->intent_code = how->intent_code ? how->intent_code : how->is_vector ? NIFTI_INTENT_VECTOR : NIFTI_INTENT_NONE;
    put_text(h->intent_name, sizeof h->intent_name, how->intent_name);
    put_text(h->descrip, sizeof h->descrip, how->descrip);
}

static void narrow(nifti_1_header *old, const nifti_2_header *h)
{
    memset(old, 0, sizeof *old);
    old->sizeof_hdr = (int)sizeof *old;
    old->regular = 'r'; /* asked for by Analyze programs */
    memcpy(old->magic, "n+1", 4);
    for (int i = 0; i < 8; i++) {
        old->dim[i] = (short)h->dim[i];
        old->pixdim[i] = (float)h->pixdim[i];
    }
    old->datatype = h->datatype;
    old->bitpix = h->bitpix;
    old->vox_offset = (float)h->vox_offset;
    old->scl_slope = (float)h->scl_slope;
    old->scl_inter = (float)h->scl_inter;
    old->xyzt_units = (char)h->xyzt_units;
    old->intent_code = (short)h->intent_code;
    memcpy(old->intent_name, h->intent_name, sizeof old->intent_name);
    memcpy(old->descrip, h->descrip, sizeof old->descrip);
    old->qform_code = (short)h->qform_code;
    old->sform_code = (short)h->sform_code;
    old->quatern_b = (float)h->quatern_b;
    old->quatern_c = (float)h->quatern_c;
    old->quatern_d = (float)h->quatern_d;
    old->qoffset_x = (float)h->qoffset_x;
    old->qoffset_y = (float)h->qoffset_y;
    old->qoffset_z = (float)h->qoffset_z;
    for (int i = 0; i < 4; i++) {
        old->srow_x[i] = (float)h->srow_x[i];
        old->srow_y[i] = (float)h->srow_y[i];
        old->srow_z[i] = (float)h->srow_z[i];
    }
}

/* Header and extensions as bytes. */
static VslStatus make_front(Content *c, nifti_2_header *h, const VslNiftiWrite *how)
{
    VslStatus st = VSL_OK;
    int is_wide = 0;

    for (int i = 1; i < 8; i++) {
        is_wide |= h->dim[i] > NIFTI1_AXIS_MOST;
    }
    const int64_t size = is_wide ? (int64_t)sizeof(nifti_2_header) : (int64_t)sizeof(nifti_1_header);
    c->front_size = size + vsl_nifti_extension_bytes(how->like);
    h->vox_offset = c->front_size;
    VSL_TRY(VSL_NEW(&c->front, c->front_size, "NIfTI header"));
    if (is_wide) {
        h->sizeof_hdr = (int)sizeof *h;
        memcpy(h->magic, "n+2\0\r\n\032\n", sizeof h->magic);
        memcpy(c->front, h, sizeof *h);
    } else {
        nifti_1_header old;
        narrow(&old, h);
        memcpy(c->front, &old, sizeof old);
    }
    vsl_nifti_put_extensions(c->front + size, how->like);
out:
    return st;
}

static VslStatus write_image(const char *path, const VslGrid *grid, int channels, const NiftiSource *from,
                             const VslNiftiWrite *how)
{
    VslStatus st = VSL_OK;
    Content c = {.from = *from};
    VslFileOut *f = NULL;
    VslAffine inverse;
    nifti_2_header h;
    const int gzip = vsl_path_has_suffix(path, ".nii.gz");

    VSL_CHECK(gzip || vsl_path_has_suffix(path, ".nii"), VSL_E_ARG,
              "%s: an image is written as .nii or .nii.gz; expected one of these endings", vsl_path_text(path).text);
    const VslAffine *a = &grid->to_ras;
    VSL_CHECK(vsl_affine_invert(&inverse, a) == VSL_OK && isfinite(a->m[0][3] + a->m[1][3] + a->m[2][3]), VSL_E_ARG,
              "%s: the grid's affine is singular or not finite", vsl_path_text(path).text);
    VSL_TRY(vsl_nifti_choose_coding(&c.coding, from, how->datatype, how->scale_to_fit, path));
    make_header(&h, grid, channels, how, &c.coding);
    VSL_TRY(make_front(&c, &h, how));
    c.total = c.front_size + from->count * vsl_nifti_datatype_bytes(c.coding.datatype);
    VSL_TRY(vsl_file_out_open(&f, path));
    VSL_TRY(vsl_block_out(f, c.total, gzip, how->threads, fill, &c));
    VSL_TRY(vsl_file_out_commit(&f));
out:
    vsl_file_out_abandon(&f);
    vsl_free(c.front);
    return st;
}

VslStatus vsl_nifti_write(const char *path, const VslVolume *v, const VslNiftiWrite *how)
{
    VslStatus st = VSL_OK;
    VslNiftiWrite set = how ? *how : (VslNiftiWrite){0};

    VSL_CHECK(v->data && v->channels > 0, VSL_E_ARG, "%s: an empty image cannot be written", vsl_path_text(path).text);
    set.datatype = set.datatype ? set.datatype : VSL_DATATYPE_FLOAT32;
    const NiftiSource from = {.floats = v->data, .grid = &v->grid, .count = vsl_grid_voxels(&v->grid) * v->channels};
    VSL_TRY(write_image(path, &v->grid, v->channels, &from, &set));
out:
    return st;
}

VslStatus vsl_nifti_write_labels(const char *path, const VslLabels *l, const VslNiftiWrite *how)
{
    VslStatus st = VSL_OK;
    VslNiftiWrite set = how ? *how : (VslNiftiWrite){0};

    VSL_CHECK(l->data, VSL_E_ARG, "%s: an empty label map cannot be written", vsl_path_text(path).text);
    const NiftiSource from = {.labels = l->data, .grid = &l->grid, .count = vsl_grid_voxels(&l->grid)};
    set.datatype = set.datatype ? set.datatype : vsl_nifti_smallest(l->data, from.count);
    set.intent_code = set.intent_code ? set.intent_code : NIFTI_INTENT_LABEL;
    set.is_vector = set.scale_to_fit = 0;
    VSL_TRY(write_image(path, &l->grid, 1, &from, &set));
out:
    return st;
}
