/*
 * One pass over rows of voxels. Where 8 samples of a voxel lie in template space follows from the centre and the slope
 * of the displacement (central differences), since the map is smooth over a voxel and the anatomy is not.
 */
#include "phantom/render.h"

#include "core/parallel.h"
#include "core/random.h"

#define SIGNAL_UNITS 1000.0f

typedef struct Render {
    const PhAnatomy *anatomy;
    const PhLesions *lesions;
    const PhAcquisition *acquisition;
    VslPhantomScan *out;
    double *row_samples; /* per row and lesion: samples inside */
    int64_t *row_voxels;
    float margin; /* mm outside the head where no sample of a voxel can reach it */
} Render;

/* Template point of voxel (i, j, k). */
static PhVec point(const VslVolume *disp, int64_t i, int64_t j, int64_t k)
{
    const int64_t *n = disp->grid.n, plane = n[0] * n[1] * n[2], at = (k * n[1] + j) * n[0] + i;
    const double v[3] = {(double)i, (double)j, (double)k};
    double x[3];
    vsl_affine_point(x, &disp->grid.to_ras, v);
    const float *u = disp->data + at;
    return (PhVec){(float)(x[0] + (double)u[0]), (float)(x[1] + (double)u[plane]),
                   (float)(x[2] + (double)u[2 * plane])};
}

/* Quarter of the way from voxel centre to voxel centre along one axis, in template space. */
static PhVec quarter(const VslVolume *disp, int64_t i, int64_t j, int64_t k, int axis)
{
    int64_t lo[3] = {i, j, k}, hi[3] = {i, j, k};
    lo[axis] -= lo[axis] > 0;
    hi[axis] += hi[axis] + 1 < disp->grid.n[axis];
    const PhVec d = ph_sub(point(disp, hi[0], hi[1], hi[2]), point(disp, lo[0], lo[1], lo[2]));
    const float s = 0.25f / (float)(hi[axis] - lo[axis]);
    return (PhVec){s * d.x, s * d.y, s * d.z};
}

static float acquired(const PhAcquisition *q, float value, PhVec p, const double scan_ras[3], int64_t voxel)
{
    if (q->texture) {
        value *= 1 + q->texture_sd * ph_clamp(ph_wave(q->texture, p), -3, 3);
    }
    if (q->bias) {
        const PhVec x = {(float)scan_ras[0], (float)scan_ras[1], (float)scan_ras[2]};
        value *= expf(q->bias_sd * ph_wave(q->bias, x));
    }
    if (q->noise_sd > 0) {
        const double re =
            (double)value + q->noise_sd * vsl_random_normal(q->seed, q->noise_stream, 2 * (uint64_t)voxel);
        const double im = q->noise_sd * vsl_random_normal(q->seed, q->noise_stream, 2 * (uint64_t)voxel + 1);
        value = (float)sqrt(re * re + im * im);
    }
    return rintf(SIGNAL_UNITS * value);
}

static void render_row(void *ctx, int64_t row, int worker)
{
    const Render *r = ctx;
    VslPhantomScan *out = r->out;
    const VslGrid *g = &out->disp.grid;
    const int64_t j = row % g->n[1], k = row / g->n[1];
    const int lesions = r->lesions ? r->lesions->count : 0;
    (void)worker;
    for (int64_t i = 0; i < g->n[0]; i++) {
        const int64_t at = row * g->n[0] + i;
        const PhVec c = point(&out->disp, i, j, k);
        float value = PH_AIR;
        if (ph_skin(c) < r->margin) {
            const PhVec e[3] = {quarter(&out->disp, i, j, k, 0), quarter(&out->disp, i, j, k, 1),
                                quarter(&out->disp, i, j, k, 2)};
            PhSample s = ph_anatomy_at(r->anatomy, c);
            out->labels.data[at] = s.label;
            if (lesions) {
                const int lesion = ph_lesion_at(r->lesions, c, &s);
                out->lesions.data[at] = lesion;
                r->row_voxels[row * lesions + (lesion ? lesion - 1 : 0)] += lesion != 0;
            }
            value = 0;
            for (int b = 0; b < 8; b++) {
                const float sx = b & 1 ? 1 : -1, sy = b & 2 ? 1 : -1, sz = b & 4 ? 1 : -1;
                const PhVec p = {c.x + sx * e[0].x + sy * e[1].x + sz * e[2].x,
                                 c.y + sx * e[0].y + sy * e[1].y + sz * e[2].y,
                                 c.z + sx * e[0].z + sy * e[1].z + sz * e[2].z};
                s = ph_anatomy_at(r->anatomy, p);
                const int lesion = lesions ? ph_lesion_at(r->lesions, p, &s) : 0;
                if (lesion) {
                    r->row_samples[row * lesions + lesion - 1] += 1;
                }
                value += 0.125f * s.value;
            }
        }
        const double v[3] = {(double)i, (double)j, (double)k};
        double x[3];
        vsl_affine_point(x, &g->to_ras, v);
        out->image.data[at] = acquired(r->acquisition, value, c, x, at);
    }
}

VslStatus ph_render(VslPhantomScan *out, const PhAnatomy *a, const PhLesions *lesions, const PhAcquisition *acquisition,
                    int threads)
{
    VslStatus st = VSL_OK;
    const VslGrid *g = &out->disp.grid;
    const int64_t rows = g->n[1] * g->n[2];
    const int count = lesions ? lesions->count : 0;
    Render r = {a, lesions, acquisition, out, NULL, NULL, 0};
    double spacing[3];
    vsl_grid_spacing(spacing, g);
    r.margin = (float)(spacing[0] + spacing[1] + spacing[2]);
    VSL_TRY(vsl_volume_new(&out->image, g, 1));
    VSL_TRY(vsl_labels_new(&out->labels, g));
    if (lesions) {
        VSL_TRY(vsl_labels_new(&out->lesions, g));
        VSL_TRY(VSL_NEW0(&r.row_samples, rows * (count + 1), "lesion volumes"));
        VSL_TRY(VSL_NEW0(&r.row_voxels, rows * (count + 1), "lesion voxels"));
    }
    vsl_parallel_for(rows, threads, render_row, &r);
    const double voxel_mm3 = vsl_grid_voxel_mm3(g);
    out->lesion_count = count;
    for (int l = 0; l < count; l++) {
        VslPhantomLesion *info = &out->lesion[l];
        const PhVec c = lesions->centre[l];
        *info = (VslPhantomLesion){
            lesions->kind[l], {(double)c.x, (double)c.y, (double)c.z}, (double)lesions->radius[l], 0, 0};
        for (int64_t row = 0; row < rows; row++) {
            info->volume_mm3 += r.row_samples[row * count + l] * voxel_mm3 / 8;
            info->voxels += r.row_voxels[row * count + l];
        }
    }
out:
    vsl_free(r.row_samples);
    vsl_free(r.row_voxels);
    return st;
}
