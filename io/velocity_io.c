/* The velocity file: what it holds (docs/velocity-file.md), its seal, and its way to disk.
 * A file whose seal is broken is refused. A file without a seal was made by someone else and is read too, if
 * hdf5_read.c can make sense of it. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "io/file_in.h"
#include "io/file_out.h"
#include "io/path.h"
#include "io/transform_io.h"
#include "io/velocity_private.h"
#include "io/hdf5_private.h"

enum { VERSION = 1, MOST_STEPS = 1000000 };

static const int64_t MOST_BYTES = (int64_t)1 << 34;
static const char dataset_name[] = "velocity", format_name[] = "vesal velocity", kernel_name[] = "sobolev";

static VslStatus check_grid(const VslGrid *g, const char *what, VslStatus code, const char *path)
{
    VslStatus st = VSL_OK;
    VslAffine unused;
    for (int d = 0; d < 3; d++) {
        VSL_CHECK(g->n[d] >= 1 && g->n[d] <= INT32_MAX, code, "%s: %s has %lld voxels along axis %d, expected 1 to %d",
                  vsl_path_text(path).text, what, (long long)g->n[d], d, INT32_MAX);
        for (int c = 0; c < 4; c++) {
            VSL_CHECK(isfinite(g->to_ras.m[d][c]), code, "%s: %s has %g in its affine, expected finite numbers",
                      vsl_path_text(path).text, what, g->to_ras.m[d][c]);
        }
    }
    VSL_CHECK(vsl_affine_invert(&unused, &g->to_ras) == VSL_OK, code, "%s: %s has a singular affine",
              vsl_path_text(path).text, what);
out:
    return st;
}

/* Everything that shooting relies on. code: whose fault it is. */
static VslStatus check_geodesic(const VslGeodesic *g, VslStatus code, const char *path)
{
    VslStatus st = VSL_OK;
    const VslKernel *k = &g->kernel;
    const int64_t count = 3 * vsl_grid_voxels(&g->velocity.grid);

    VSL_TRY(check_grid(&g->fixed, "the fixed grid", code, path));
    VSL_TRY(check_grid(&g->velocity.grid, "the band grid", code, path));
    VSL_CHECK(k->scales >= 1 && k->scales <= VSL_MAX_SCALES, code, "%s: the kernel has %d scales, expected 1 to %d",
              vsl_path_text(path).text, k->scales, VSL_MAX_SCALES);
    for (int q = 0; q < k->scales; q++) {
        VSL_CHECK(k->alpha_mm2[q] > 0 && isfinite(k->alpha_mm2[q]) && k->weight[q] > 0 && isfinite(k->weight[q]), code,
                  "%s: the kernel's scale %d has alpha %g mm^2 and weight %g, expected positive numbers",
                  vsl_path_text(path).text, q, k->alpha_mm2[q], k->weight[q]);
    }
    VSL_CHECK(k->gamma > 0 && isfinite(k->gamma) && k->power >= 1 && isfinite(k->power), code,
              "%s: the kernel has gamma %g and power %g, expected gamma > 0 and power >= 1", vsl_path_text(path).text,
              k->gamma, k->power);
    VSL_CHECK(g->time_steps >= 0 && g->time_steps <= MOST_STEPS, code, "%s: has %d time steps, expected 0 to %d",
              vsl_path_text(path).text, g->time_steps, MOST_STEPS);
    for (int64_t i = 0; i < count; i++) {
        VSL_CHECK(isfinite(g->velocity.data[i]), code, "%s: velocity value %lld is %g, expected finite numbers",
                  vsl_path_text(path).text, (long long)i, (double)g->velocity.data[i]);
    }
out:
    return st;
}

static VslStatus put_attributes(HdfWriter *w, const VslGeodesic *g)
{
    VslStatus st = VSL_OK;
    double scales[VSL_MAX_SCALES][2];
    const int64_t version = VERSION, steps = g->time_steps;

    for (int q = 0; q < g->kernel.scales; q++) {
        scales[q][0] = g->kernel.alpha_mm2[q];
        scales[q][1] = g->kernel.weight[q];
    }
    VSL_TRY(hdf_put_text(w, 1, "Format", format_name));
    VSL_TRY(hdf_put_integers(w, 1, "FormatVersion", &version, 0));
    VSL_TRY(hdf_put_seal_note(w));
    VSL_TRY(hdf_put_text(w, 0, "Kernel", kernel_name));
    VSL_TRY(hdf_put_doubles(w, 0, "Gamma", &g->kernel.gamma, 0, 0));
    VSL_TRY(hdf_put_doubles(w, 0, "Power", &g->kernel.power, 0, 0));
    VSL_TRY(hdf_put_doubles(w, 0, "Scales", scales[0], g->kernel.scales, 2));
    VSL_TRY(hdf_put_integers(w, 0, "TimeSteps", &steps, 0));
    VSL_TRY(hdf_put_doubles(w, 0, "Grid", g->velocity.grid.to_ras.m[0], 3, 4));
    VSL_TRY(hdf_put_doubles(w, 0, "FixedGrid", g->fixed.to_ras.m[0], 3, 4));
    VSL_TRY(hdf_put_integers(w, 0, "FixedGridSize", g->fixed.n, 3));
    VSL_TRY(hdf_put_text(w, 0, "Units", "mm per unit time, along the axes of Grid"));
    VSL_TRY(hdf_put_text(w, 0, "World", "RAS+ mm"));
out:
    return st;
}

/* The file's bytes without the seal */
static VslStatus serialise(char **out, int64_t *count, const VslGeodesic *g)
{
    VslStatus st = VSL_OK;
    HdfWriter w;
    const VslGrid *band = &g->velocity.grid;
    const int64_t n[HDF_RANK] = {3, band->n[2], band->n[1], band->n[0]};

    VSL_TRY(hdf_write_begin(&w));
    VSL_TRY(hdf_put_floats(&w, dataset_name, g->velocity.data, HDF_RANK, n));
    VSL_TRY(put_attributes(&w, g));
    VSL_TRY(hdf_write_image(out, count, &w));
out:
    hdf_write_end(&w);
    return st;
}

static VslStatus get_matrix(VslAffine *out, const HdfFile *f, const HdfObject *o, const char *name)
{
    VslStatus st = VSL_OK;
    int rows;
    VSL_TRY(hdf_get_doubles(out->m[0], &rows, 3, 4, f, o, name));
    VSL_CHECK(rows == 3, VSL_E_FORMAT, "%s: the attribute %s has %d rows, expected 3", vsl_path_text(f->path).text,
              name, rows);
out:
    return st;
}

static VslStatus get_attributes(VslGeodesic *g, const HdfFile *f, const HdfObject *o)
{
    VslStatus st = VSL_OK;
    char text[HDF_TEXT_ROOM];
    double scales[VSL_MAX_SCALES][2];
    int rows;
    int64_t steps;

    VSL_TRY(hdf_get_text(text, f, o, "Kernel"));
    VSL_CHECK(strcmp(text, kernel_name) == 0, VSL_E_UNSUPPORTED, "%s: has a kernel named '%s', expected '%s'",
              vsl_path_text(f->path).text, vsl_path_text(text).text, kernel_name);
    VSL_TRY(hdf_get_doubles(&g->kernel.gamma, &rows, 0, 0, f, o, "Gamma"));
    VSL_TRY(hdf_get_doubles(&g->kernel.power, &rows, 0, 0, f, o, "Power"));
    VSL_TRY(hdf_get_doubles(scales[0], &g->kernel.scales, VSL_MAX_SCALES, 2, f, o, "Scales"));
    for (int q = 0; q < g->kernel.scales; q++) {
        g->kernel.alpha_mm2[q] = scales[q][0];
        g->kernel.weight[q] = scales[q][1];
    }
    VSL_TRY(hdf_get_integers(&steps, 0, f, o, "TimeSteps"));
    VSL_CHECK(steps >= 0 && steps <= MOST_STEPS, VSL_E_FORMAT, "%s: has %lld time steps, expected 0 to %d",
              vsl_path_text(f->path).text, (long long)steps, MOST_STEPS);
    g->time_steps = (int)steps;
    VSL_TRY(get_matrix(&g->velocity.grid.to_ras, f, o, "Grid"));
    VSL_TRY(get_matrix(&g->fixed.to_ras, f, o, "FixedGrid"));
    VSL_TRY(hdf_get_integers(g->fixed.n, 3, f, o, "FixedGridSize"));
out:
    return st;
}

/* Sizes are judged before anything is allocated. */
static VslStatus get_velocity(VslVolume *v, const HdfFile *f, const HdfObject *dataset)
{
    enum { GZIP_MOST_RATIO = 1032 };
    VslStatus st = VSL_OK;
    int64_t size = 4;
    HdfSpace space = {0};
    const int64_t *n = space.n;
    VslGrid grid = v->grid;

    VSL_TRY(hdf_floats_size(&space, f, dataset, dataset_name));
    VSL_CHECK(space.rank == HDF_RANK, VSL_E_FORMAT, "%s: /%s has rank %d, expected 4: (3, n2, n1, n0)",
              vsl_path_text(f->path).text, dataset_name, space.rank);
    VSL_CHECK(n[0] == 3, VSL_E_FORMAT, "%s: /%s has %lld components, expected 3", vsl_path_text(f->path).text,
              dataset_name, (long long)n[0]);
    for (int d = 0; d < HDF_RANK; d++) {
        VSL_CHECK(vsl_mul_ok(size, n[d], &size), VSL_E_FORMAT, "%s: /%s has more values than can be addressed",
                  vsl_path_text(f->path).text, dataset_name);
    }
    VSL_CHECK(size / GZIP_MOST_RATIO <= f->count, VSL_E_FORMAT,
              "%s: says that it holds %lld bytes of velocity, more than its %lld bytes can unpack to",
              vsl_path_text(f->path).text, (long long)size, (long long)f->count);
    for (int d = 0; d < 3; d++) {
        grid.n[d] = n[3 - d];
    }
    VSL_TRY(vsl_volume_new(v, &grid, 3));
    VSL_TRY(hdf_get_floats(v->data, f, dataset, &space, dataset_name));
out:
    return st;
}

static VslStatus parse_hdf5(VslGeodesic *g, const HdfFile *f, int is_sealed)
{
    VslStatus st = VSL_OK;
    HdfObject root, dataset;

    VSL_TRY(hdf_open_root(&root, f));
    VSL_TRY(hdf_check_format(f, &root, format_name, VERSION, is_sealed));
    VSL_TRY(hdf_open_dataset(&dataset, f, &root, dataset_name, "a velocity file"));
    VSL_TRY(get_attributes(g, f, &dataset));
    VSL_TRY(get_velocity(&g->velocity, f, &dataset));
out:
    return st;
}

VslStatus velocity_parse(VslGeodesic *out, const char *bytes, int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    VslGeodesic g = {0};
    int is_sealed = 0;

    VSL_TRY(hdf_open_seal(&count, &is_sealed, bytes, path));
    const HdfFile f = {(const unsigned char *)bytes, count, path};
    VSL_TRY(parse_hdf5(&g, &f, is_sealed));
    VSL_TRY(check_geodesic(&g, VSL_E_FORMAT, path));
    vsl_geodesic_move(out, &g);
out:
    vsl_geodesic_free(&g);
    return st;
}

VslStatus vsl_velocity_read(VslGeodesic *out, const char *path)
{
    VslStatus st = VSL_OK;
    char *bytes = NULL;
    int64_t count = 0;
    VSL_TRY(vsl_file_in_whole(&bytes, &count, path, MOST_BYTES));
    VSL_TRY(velocity_parse(out, bytes, count, path));
out:
    vsl_free(bytes);
    return st;
}

static int same(const VslGeodesic *a, const VslGeodesic *b)
{
    const VslKernel *k = &a->kernel, *l = &b->kernel;
    const VslGrid *g = &a->velocity.grid;
    const size_t scales = (size_t)k->scales * sizeof(double);
    return vsl_grid_same(g, &b->velocity.grid, 1e-9) && vsl_grid_same(&a->fixed, &b->fixed, 1e-9) &&
           a->time_steps == b->time_steps && k->scales == l->scales && k->gamma == l->gamma && k->power == l->power &&
           memcmp(k->alpha_mm2, l->alpha_mm2, scales) == 0 && memcmp(k->weight, l->weight, scales) == 0 &&
           memcmp(a->velocity.data, b->velocity.data, (size_t)(3 * vsl_grid_voxels(g)) * sizeof(float)) == 0;
}

/* Reads the finished temporary back and compares it with what it should hold. */
static VslStatus verify(const char *temporary, const VslGeodesic *g, const char *path)
{
    VslStatus st = VSL_OK;
    VslGeodesic found = {0};

    VSL_CHECK(vsl_velocity_read(&found, temporary) == VSL_OK, VSL_E_WRITE,
              "%s: what was written does not read back: %s", vsl_path_text(path).text, vsl_error());
    VSL_CHECK(same(g, &found), VSL_E_WRITE, "%s: what was written reads back with other values",
              vsl_path_text(path).text);
out:
    vsl_geodesic_free(&found);
    return st;
}

VslStatus vsl_velocity_write(const char *path, const VslGeodesic *g)
{
    VslStatus st = VSL_OK;
    char *bytes = NULL;
    int64_t count = 0;
    VslFileOut *file = NULL;

    VSL_CHECK(g->velocity.data && g->velocity.channels == 3, VSL_E_ARG, "%s: a velocity needs 3 channels, got %d",
              vsl_path_text(path).text, g->velocity.channels);
    VSL_TRY(check_geodesic(g, VSL_E_ARG, path));
    VSL_TRY(serialise(&bytes, &count, g));
    VSL_TRY(vsl_file_out_open(&file, path));
    VSL_TRY(hdf_write_sealed(file, bytes, count));
    vsl_free(bytes);
    bytes = NULL;
    VSL_TRY(verify(vsl_file_out_temporary(file), g, path));
    VSL_TRY(vsl_file_out_commit(&file));
out:
    vsl_file_out_abandon(&file);
    vsl_free(bytes);
    return st;
}
