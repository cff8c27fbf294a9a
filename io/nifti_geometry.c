/* Header fields <-> voxel-to-world affine. World is RAS+ mm, as NIfTI's own. */
#include "io/nifti_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/log.h"

/* Below this share of (product of column lengths) the columns span no volume: no inverse can be trusted. */
static const double least_volume = 1e-6;

static int is_regular(const VslAffine *a)
{
    double volume = 1;
    for (int c = 0; c < 3; c++) {
        const double length = hypot(hypot(a->m[0][c], a->m[1][c]), a->m[2][c]);
        if (!isfinite(length) || !isfinite(a->m[c][3]) || !(length > 0)) {
            return 0;
        }
        volume *= length;
    }
    const double det = fabs(vsl_affine_det(a));
    VslAffine inverse;
    return isfinite(volume) && isfinite(det) && det >= least_volume * volume &&
           vsl_affine_invert(&inverse, a) == VSL_OK && isfinite(inverse.m[0][3] + inverse.m[1][3] + inverse.m[2][3]);
}

/* A single-slice image may leave its third column empty: it gets the normal of the plane. */
static void complete_plane(VslAffine *a, double thickness_mm)
{
    if (a->m[0][2] != 0 || a->m[1][2] != 0 || a->m[2][2] != 0) {
        return;
    }
    double normal[3], length = 0;
    for (int r = 0; r < 3; r++) {
        const int s = (r + 1) % 3, t = (r + 2) % 3;
        normal[r] = a->m[s][0] * a->m[t][1] - a->m[t][0] * a->m[s][1];
        length = hypot(length, normal[r]);
    }
    for (int r = 0; r < 3 && length > 0; r++) {
        a->m[r][2] = thickness_mm * normal[r] / length;
    }
}

static int read_sform(VslAffine *out, const VslNiftiInfo *info, const nifti_2_header *h)
{
    for (int c = 0; c < 4; c++) {
        out->m[0][c] = h->srow_x[c];
        out->m[1][c] = h->srow_y[c];
        out->m[2][c] = h->srow_z[c];
    }
    if (info->grid.n[2] == 1) {
        complete_plane(out, info->pixdim[2] > 0 ? info->pixdim[2] : 1);
    }
    return is_regular(out);
}

static int read_qform(VslAffine *out, VslNiftiInfo *info, const nifti_2_header *h)
{
    const double squares = h->quatern_b * h->quatern_b + h->quatern_c * h->quatern_c + h->quatern_d * h->quatern_d;
    if (!isfinite(squares) || !isfinite(h->qoffset_x + h->qoffset_y + h->qoffset_z) || !isfinite(h->pixdim[0])) {
        return 0;
    }
    if (squares > 1.001) {
        vsl_nifti_warn(info, "the qform quaternion has length %.4g > 1; its direction is kept", sqrt(squares));
    }
    const nifti_dmat44 q =
        nifti_quatern_to_dmat44(h->quatern_b, h->quatern_c, h->quatern_d, h->qoffset_x, h->qoffset_y, h->qoffset_z,
                                info->pixdim[0], info->pixdim[1], info->pixdim[2], h->pixdim[0] < 0 ? -1 : 1);
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            out->m[r][c] = q.m[r][c];
        }
    }
    return is_regular(out);
}

/* Absolute, finite pixdim; spatial ones that tell no size stay 0. @return number of spatial ones that are unusable. */
static int read_pixdim(VslNiftiInfo *info, const nifti_2_header *h, int *negative)
{
    int unusable = 0;
    *negative = 0;
    for (int i = 0; i < 7; i++) {
        const double p = h->pixdim[i + 1];
        const int used = i < (int)h->dim[0] && info->dim[i] > 1;
        info->pixdim[i] = isfinite(p) ? fabs(p) : 0;
        if (i >= (int)h->dim[0]) {
            /* no axis of this file; but a plane may tell its thickness, which places nothing */
            info->pixdim[i] = i < 3 && isfinite(p) && p > 0 ? p : i < 3 ? 1 : 0;
        } else if (!isfinite(p) || p < 0) {
            vsl_nifti_warn(info, "pixdim[%d] is %g, expected a positive number", i + 1, p);
            *negative |= i < 3 && isfinite(p);
        } else if (i < 3 && p == 0 && used) {
            vsl_nifti_warn(info, "pixdim[%d] is 0, expected a positive number", i + 1);
        }
        if (i < 3 && info->pixdim[i] == 0) {
            unusable += used;
            info->pixdim[i] = used ? 0 : 1;
        }
    }
    return unusable;
}

/* Largest distance, in voxels of a, between the corners of the grid placed by a and by b. */
static double corner_difference(const VslGrid *grid, const VslAffine *a, const VslAffine *b)
{
    double most = 0;
    VslAffine inverse;
    if (vsl_affine_invert(&inverse, a) != VSL_OK) {
        return NAN;
    }
    for (int corner = 0; corner < 8; corner++) {
        double index[3], world[3], back[3];
        for (int c = 0; c < 3; c++) {
            index[c] = corner >> c & 1 ? (double)(grid->n[c] - 1) : 0;
        }
        vsl_affine_point(world, b, index);
        vsl_affine_point(back, &inverse, world);
        const double d = hypot(hypot(back[0] - index[0], back[1] - index[1]), back[2] - index[2]);
        most = d > most ? d : most;
    }
    return most;
}

/* Metres and micrometres become mm; milli- and microseconds seconds. A file that names no unit means seconds. */
static void apply_units(VslNiftiInfo *info, const nifti_2_header *h)
{
    const int time = h->xyzt_units & 0x38;
    const double second = time == NIFTI_UNITS_MSEC   ? 1e-3
                          : time == NIFTI_UNITS_USEC ? 1e-6
                          : time <= NIFTI_UNITS_SEC  ? 1
                                                     : 0; /* Hz, ppm, rad/s */
    info->time_step_s = h->dim[0] >= 4 ? second * info->pixdim[3] : 0;
    info->xyz_units = h->xyzt_units & 7;
    const double mm = info->xyz_units == NIFTI_UNITS_METER ? 1000 : info->xyz_units == NIFTI_UNITS_MICRON ? 0.001 : 1;
    if (mm == 1) {
        return;
    }
    vsl_nifti_warn(info, "lengths are in %s; multiplied by %g to get mm", mm > 1 ? "metres" : "micrometres", mm);
    for (int r = 0; r < 3; r++) {
        info->pixdim[r] *= mm;
        for (int c = 0; c < 4; c++) {
            info->grid.to_ras.m[r][c] *= mm;
        }
    }
}

static double column_length(const VslAffine *a, int c)
{
    return hypot(hypot(a->m[0][c], a->m[1][c]), a->m[2][c]);
}

static int has_shear(const VslAffine *a)
{
    for (int c = 0; c < 3; c++) {
        const int d = (c + 1) % 3;
        const double dot = a->m[0][c] * a->m[0][d] + a->m[1][c] * a->m[1][d] + a->m[2][c] * a->m[2][d];
        if (fabs(dot) > 1e-4 * column_length(a, c) * column_length(a, d)) {
            return 1;
        }
    }
    return 0;
}

VslStatus vsl_nifti_read_geometry(VslNiftiInfo *info, const nifti_2_header *h, const char *name)
{
    VslStatus st = VSL_OK;
    VslAffine sform, qform;
    int negative;
    const int unusable = read_pixdim(info, h, &negative);
    const int has_sform = h->sform_code > 0, has_qform = h->qform_code > 0;
    const int sform_ok = has_sform && read_sform(&sform, info, h);
    const int qform_ok = has_qform && !unusable && read_qform(&qform, info, h);

    info->sform_code = h->sform_code;
    info->qform_code = h->qform_code;
    info->form_difference_vox = NAN;
    if (sform_ok) {
        info->grid.to_ras = sform;
        snprintf(info->which_form, sizeof info->which_form, "sform");
        if (has_qform && !qform_ok) {
            vsl_nifti_warn(info, "the qform is not usable (bad quaternion, offset or pixdim); the sform is used");
        }
    } else if (qform_ok) {
        info->grid.to_ras = qform;
        snprintf(info->which_form, sizeof info->which_form, "qform");
        if (has_sform) {
            vsl_nifti_warn(info, "the sform is singular or not finite; the qform is used");
        }
    } else {
        VSL_CHECK(!has_sform, VSL_E_FORMAT, "%s: its sform is singular or not finite, and there is no usable qform",
                  name);
        VSL_CHECK(!unusable && !negative, VSL_E_FORMAT,
                  "%s: pixdim is %g %g %g, expected positive voxel sizes, and there is no usable sform", name,
                  h->pixdim[1], h->pixdim[2], h->pixdim[3]);
        VSL_CHECK(!has_qform, VSL_E_FORMAT, "%s: its qform is singular or not finite, and there is no sform", name);
        memset(&info->grid.to_ras, 0, sizeof info->grid.to_ras);
        for (int c = 0; c < 3; c++) {
            info->grid.to_ras.m[c][c] = info->pixdim[c];
        }
        snprintf(info->which_form, sizeof info->which_form, "pixdim");
        VSL_CHECK(is_regular(&info->grid.to_ras), VSL_E_FORMAT, "%s: voxels of %g x %g x %g are out of range", name,
                  info->pixdim[0], info->pixdim[1], info->pixdim[2]);
    }
    if (sform_ok && qform_ok) {
        info->form_difference_vox = corner_difference(&info->grid, &sform, &qform);
        if (!(info->form_difference_vox <= 0.1)) {
            vsl_nifti_warn(info, "sform and qform differ by up to %.3g voxels; the sform is used",
                           info->form_difference_vox);
        }
    }
    for (int c = 0; c < 3; c++) {
        if (info->pixdim[c] == 0) {
            info->pixdim[c] = column_length(&info->grid.to_ras, c); /* never hand on a size that is none */
        }
    }
    apply_units(info, h);
    if (has_shear(&info->grid.to_ras)) {
        vsl_log(VSL_LOG_INFO, "%s: its affine has shear, which is kept", name);
    }
out:
    return st;
}

void vsl_nifti_write_geometry(nifti_2_header *h, const VslGrid *grid, int form_code)
{
    double spacing[3], qb, qc, qd, qx, qy, qz, dx, dy, dz, qfac;
    nifti_dmat44 m = {{{0}}};

    vsl_grid_spacing(spacing, grid);
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            m.m[r][c] = grid->to_ras.m[r][c];
        }
    }
    m.m[3][3] = 1;
    memcpy(h->srow_x, m.m[0], sizeof h->srow_x);
    memcpy(h->srow_y, m.m[1], sizeof h->srow_y);
    memcpy(h->srow_z, m.m[2], sizeof h->srow_z);
    nifti_dmat44_to_quatern(m, &qb, &qc, &qd, &qx, &qy, &qz, &dx, &dy, &dz, &qfac); /* takes the polar part */
    h->quatern_b = qb;
    h->quatern_c = qc;
    h->quatern_d = qd;
    h->qoffset_x = qx;
    h->qoffset_y = qy;
    h->qoffset_z = qz;
    h->pixdim[0] = qfac;
    for (int c = 0; c < 3; c++) {
        h->pixdim[c + 1] = spacing[c];
    }
    h->sform_code = h->qform_code = form_code;
}
