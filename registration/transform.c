/* Applying and composing chains of maps; the arithmetic of a row is in chain.c, inversion in invert.c. */
#include "registration/transform.h"

#include <string.h>

#include "core/parallel.h"
#include "registration/chain.h"

/* What one row of output needs; exactly one of the outputs is set. */
typedef struct Job {
    RegChain chain;
    RegRow *rows;
    const VslGrid *grid;
    const VslVolume *moving;
    const VslLabels *labels;
    VslInterpolation how;
    float outside;
    float *image; /* channels planes */
    int32_t *label;
    float *disp; /* 3 planes */
} Job;

static VslStatus job_open(Job *job, const VslGrid *grid, const VslMap *chain, int links, const VslGrid *sampled,
                          int threads)
{
    VslStatus st = VSL_OK;
    VslAffine to;
    job->grid = grid;
    if (sampled) {
        VSL_TRY(vsl_grid_from_ras(&to, sampled));
    }
    VSL_TRY(reg_chain_new(&job->chain, grid, chain, links, sampled ? &to : NULL));
    VSL_TRY(reg_rows_new(&job->rows, threads, grid->n[0]));
out:
    return st;
}

static void job_close(Job *job)
{
    reg_chain_free(&job->chain);
    reg_rows_free(&job->rows);
}

static RegRow *map_row(Job *job, int64_t item, int worker)
{
    const int64_t n0 = job->grid->n[0], n1 = job->grid->n[1];
    RegRow *row = &job->rows[worker];
    reg_row_start(row, n0, item % n1, item / n1);
    reg_chain_run(&job->chain, row, n0, item * n0);
    return row;
}

static void image_row(void *ctx, int64_t item, int worker)
{
    Job *job = ctx;
    const VslVolume *m = job->moving;
    const int64_t n0 = job->grid->n[0], plane = vsl_grid_voxels(job->grid), source = vsl_grid_voxels(&m->grid);
    RegRow *row = map_row(job, item, worker);
    float *out = job->image + item * n0;
    reg_row_index(row, n0);
    if (job->how != VSL_INTERPOLATION_NEAREST) {
        reg_sample_linear(out, plane, row, n0, m, job->outside);
        return;
    }
    for (int64_t i = 0; i < n0; i++) {
        const int64_t at = reg_nearest(row, i, m->grid.n);
        for (int c = 0; c < m->channels; c++) {
            out[c * plane + i] = at < 0 ? job->outside : m->data[c * source + at];
        }
    }
}

static void label_row(void *ctx, int64_t item, int worker)
{
    Job *job = ctx;
    const int64_t n0 = job->grid->n[0];
    RegRow *row = map_row(job, item, worker);
    reg_row_index(row, n0);
    for (int64_t i = 0; i < n0; i++) {
        const int64_t at = reg_nearest(row, i, job->labels->grid.n);
        job->label[item * n0 + i] = at < 0 ? 0 : job->labels->data[at];
    }
}

static void disp_row(void *ctx, int64_t item, int worker)
{
    Job *job = ctx;
    const int64_t n0 = job->grid->n[0], n1 = job->grid->n[1], plane = vsl_grid_voxels(job->grid);
    const double j = (double)(item % n1), k = (double)(item / n1);
    RegRow *row = map_row(job, item, worker);
    for (int d = 0; d < 3; d++) {
        const double *m = job->grid->to_ras.m[d];
        float *out = job->disp + d * plane + item * n0;
        for (int64_t i = 0; i < n0; i++) {
            out[i] = (float)(row->x[d][i] - (m[0] * (double)i + m[1] * j + m[2] * k + m[3]));
        }
    }
}

VslStatus vsl_map_points(double (*points_ras)[3], int64_t count, const VslMap *chain, int links)
{
    enum { BLOCK = 256 };
    VslStatus st = VSL_OK;
    RegChain c = {0};
    RegRow *row = NULL;
    VSL_TRY(reg_chain_new(&c, NULL, chain, links, NULL));
    VSL_TRY(reg_rows_new(&row, 1, BLOCK));
    for (int64_t from = 0; from < count; from += BLOCK) {
        const int64_t n = count - from < BLOCK ? count - from : BLOCK;
        for (int64_t i = 0; i < n; i++) {
            for (int d = 0; d < 3; d++) {
                row->x[d][i] = points_ras[from + i][d];
            }
        }
        reg_chain_run(&c, row, n, 0);
        for (int64_t i = 0; i < n; i++) {
            for (int d = 0; d < 3; d++) {
                points_ras[from + i][d] = row->x[d][i];
            }
        }
    }
out:
    reg_rows_free(&row);
    reg_chain_free(&c);
    return st;
}

VslStatus vsl_apply_image(VslVolume *out, const VslGrid *grid, const VslVolume *moving, const VslMap *chain, int links,
                          VslInterpolation how, float outside, int threads)
{
    VslStatus st = VSL_OK;
    Job job = {.moving = moving, .how = how, .outside = outside};
    VslVolume v = {0};
    threads = vsl_threads_resolve(threads);
    VSL_CHECK(moving->data, VSL_E_ARG, "the moving image is empty");
    VSL_CHECK(how == VSL_INTERPOLATION_LINEAR || how == VSL_INTERPOLATION_NEAREST, VSL_E_ARG,
              "interpolation %d is neither linear (1) nor nearest (2)", (int)how);
    VSL_TRY(vsl_volume_new(&v, grid, moving->channels));
    VSL_TRY(job_open(&job, &v.grid, chain, links, &moving->grid, threads));
    job.image = v.data;
    vsl_parallel_for(v.grid.n[1] * v.grid.n[2], threads, image_row, &job);
    vsl_volume_move(out, &v);
out:
    job_close(&job);
    vsl_volume_free(&v);
    return st;
}

VslStatus vsl_apply_labels(VslLabels *out, const VslGrid *grid, const VslLabels *moving, const VslMap *chain, int links,
                           int threads)
{
    VslStatus st = VSL_OK;
    Job job = {.labels = moving};
    VslLabels l = {0};
    threads = vsl_threads_resolve(threads);
    VSL_CHECK(moving->data, VSL_E_ARG, "the moving label map is empty");
    VSL_TRY(vsl_labels_new(&l, grid));
    VSL_TRY(job_open(&job, &l.grid, chain, links, &moving->grid, threads));
    job.label = l.data;
    vsl_parallel_for(l.grid.n[1] * l.grid.n[2], threads, label_row, &job);
    vsl_labels_move(out, &l);
out:
    job_close(&job);
    vsl_labels_free(&l);
    return st;
}

VslStatus vsl_compose(VslVolume *out, const VslGrid *grid, const VslMap *chain, int links, int threads)
{
    VslStatus st = VSL_OK;
    Job job = {0};
    VslVolume v = {0};
    threads = vsl_threads_resolve(threads);
    VSL_TRY(vsl_volume_new(&v, grid, 3));
    VSL_TRY(job_open(&job, &v.grid, chain, links, NULL, threads));
    job.disp = v.data;
    vsl_parallel_for(v.grid.n[1] * v.grid.n[2], threads, disp_row, &job);
    vsl_volume_move(out, &v);
out:
    job_close(&job);
    vsl_volume_free(&v);
    return st;
}
