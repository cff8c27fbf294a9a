/* The velocity file: what it holds (docs/velocity-file.md), its seal, and its way to disk.
 *
 * After the HDF5 bytes stand eight bytes of magic and the SHA-256 of all before it. HDF5 readers stop at the end that
 * the superblock states and never see them; ours refuses any file whose seal is broken before the HDF5 library touches
 * it. A file without a seal was made by someone else: it is read with all the suspicion that velocity_hdf5.c has. */
#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "io/file_in.h"
#include "io/file_out.h"
#include "io/path.h"
#include "io/sha256.h"
#include "io/transform_io.h"
#include "io/velocity_private.h"

enum { VERSION = 1, MAGIC_BYTES = 8, SEAL_BYTES = MAGIC_BYTES + VSL_SHA256_BYTES, MOST_STEPS = 1000000 };

static const int64_t MOST_BYTES = (int64_t)1 << 34;
static const char format_name[] = "vesal velocity", kernel_name[] = "sobolev", seal_name[] = "sha256";
static const char seal_magic[MAGIC_BYTES + 1] = "\nVSLSHA2";

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

static VslStatus put_attributes(hid_t file, hid_t dataset, const VslGeodesic *g)
{
    VslStatus st = VSL_OK;
    double scales[VSL_MAX_SCALES][2];
    const int64_t version = VERSION, steps = g->time_steps;

    for (int q = 0; q < g->kernel.scales; q++) {
        scales[q][0] = g->kernel.alpha_mm2[q];
        scales[q][1] = g->kernel.weight[q];
    }
    VSL_TRY(hdf_put_text(file, "Format", format_name));
    VSL_TRY(hdf_put_integers(file, "FormatVersion", &version, 0));
    VSL_TRY(hdf_put_text(file, "Seal", seal_name));
    VSL_TRY(hdf_put_text(dataset, "Kernel", kernel_name));
    VSL_TRY(hdf_put_doubles(dataset, "Gamma", &g->kernel.gamma, 0, 0));
    VSL_TRY(hdf_put_doubles(dataset, "Power", &g->kernel.power, 0, 0));
    VSL_TRY(hdf_put_doubles(dataset, "Scales", scales[0], g->kernel.scales, 2));
    VSL_TRY(hdf_put_integers(dataset, "TimeSteps", &steps, 0));
    VSL_TRY(hdf_put_doubles(dataset, "Grid", g->velocity.grid.to_ras.m[0], 3, 4));
    VSL_TRY(hdf_put_doubles(dataset, "FixedGrid", g->fixed.to_ras.m[0], 3, 4));
    VSL_TRY(hdf_put_integers(dataset, "FixedGridSize", g->fixed.n, 3));
    VSL_TRY(hdf_put_text(dataset, "Units", "mm per unit time, along the axes of Grid"));
    VSL_TRY(hdf_put_text(dataset, "World", "RAS+ mm"));
out:
    return st;
}

/* The file's bytes without the seal */
static VslStatus serialise(char **out, int64_t *count, const VslGeodesic *g)
{
    VslStatus st = VSL_OK;
    hid_t file = -1, dataset = -1;
    HdfState state;
    const VslGrid *band = &g->velocity.grid;
    const int64_t n[HDF_RANK] = {3, band->n[2], band->n[1], band->n[0]};

    hdf_enter(&state);
    VSL_TRY(hdf_create(&file));
    VSL_TRY(hdf_put_floats(&dataset, file, "velocity", g->velocity.data, n));
    VSL_TRY(put_attributes(file, dataset, g));
    VSL_TRY(hdf_image(out, count, file));
out:
    if (dataset >= 0) {
        H5Dclose(dataset);
    }
    if (file >= 0) {
        H5Fclose(file);
    }
    hdf_leave(&state);
    return st;
}

static VslStatus get_attributes(VslGeodesic *g, hid_t dataset, const char *path)
{
    VslStatus st = VSL_OK;
    char text[HDF_TEXT_ROOM];
    double scales[VSL_MAX_SCALES][2];
    int rows;
    int64_t steps;

    VSL_TRY(hdf_get_text(text, dataset, "Kernel", path));
    VSL_CHECK(strcmp(text, kernel_name) == 0, VSL_E_UNSUPPORTED, "%s: has a kernel named '%s', expected '%s'",
              vsl_path_text(path).text, vsl_path_text(text).text, kernel_name);
    VSL_TRY(hdf_get_doubles(&g->kernel.gamma, &rows, 0, 0, dataset, "Gamma", path));
    VSL_TRY(hdf_get_doubles(&g->kernel.power, &rows, 0, 0, dataset, "Power", path));
    VSL_TRY(hdf_get_doubles(scales[0], &g->kernel.scales, VSL_MAX_SCALES, 2, dataset, "Scales", path));
    for (int q = 0; q < g->kernel.scales; q++) {
        g->kernel.alpha_mm2[q] = scales[q][0];
        g->kernel.weight[q] = scales[q][1];
    }
    VSL_TRY(hdf_get_integers(&steps, 0, dataset, "TimeSteps", path));
    VSL_CHECK(steps >= 0 && steps <= MOST_STEPS, VSL_E_FORMAT, "%s: has %lld time steps, expected 0 to %d",
              vsl_path_text(path).text, (long long)steps, MOST_STEPS);
    g->time_steps = (int)steps;
    VSL_TRY(hdf_get_doubles(g->velocity.grid.to_ras.m[0], &rows, 3, 4, dataset, "Grid", path));
    VSL_CHECK(rows == 3, VSL_E_FORMAT, "%s: the attribute Grid has %d rows, expected 3", vsl_path_text(path).text,
              rows);
    VSL_TRY(hdf_get_doubles(g->fixed.to_ras.m[0], &rows, 3, 4, dataset, "FixedGrid", path));
    VSL_CHECK(rows == 3, VSL_E_FORMAT, "%s: the attribute FixedGrid has %d rows, expected 3", vsl_path_text(path).text,
              rows);
    VSL_TRY(hdf_get_integers(g->fixed.n, 3, dataset, "FixedGridSize", path));
out:
    return st;
}

static VslStatus check_format(hid_t file, int is_sealed, const char *path)
{
    VslStatus st = VSL_OK;
    char text[HDF_TEXT_ROOM];
    int64_t version;

    if (H5Aexists(file, "Format") > 0) { /* else the missing dataset is the better sentence */
        VSL_TRY(hdf_get_text(text, file, "Format", path));
        VSL_CHECK(strcmp(text, format_name) == 0, VSL_E_FORMAT, "%s: is an HDF5 file of format '%s', expected '%s'",
                  vsl_path_text(path).text, vsl_path_text(text).text, format_name);
    }
    VSL_CHECK(is_sealed || H5Aexists(file, "Seal") <= 0, VSL_E_FORMAT,
              "%s: has lost the checksum at its end: it was cut short or changed after it was written",
              vsl_path_text(path).text);
    if (H5Aexists(file, "FormatVersion") > 0) {
        VSL_TRY(hdf_get_integers(&version, 0, file, "FormatVersion", path));
        VSL_CHECK(version == VERSION, VSL_E_UNSUPPORTED,
                  "%s: is a velocity file of version %lld, this build reads version %d; a newer Vesal may read it",
                  vsl_path_text(path).text, (long long)version, VERSION);
    }
out:
    return st;
}

/* Velocities of a file in memory; sizes are judged before anything is allocated. */
static VslStatus get_velocity(VslVolume *v, hid_t dataset, const int64_t n[HDF_RANK], const char *bytes, int64_t count,
                              const char *path)
{
    enum { GZIP_MOST_RATIO = 1032 };
    VslStatus st = VSL_OK;
    int64_t size = 4;
    VslGrid grid = v->grid;

    for (int d = 0; d < HDF_RANK; d++) {
        VSL_CHECK(vsl_mul_ok(size, n[d], &size), VSL_E_FORMAT, "%s: /velocity has more values than can be addressed",
                  vsl_path_text(path).text);
    }
    VSL_CHECK(size / GZIP_MOST_RATIO <= count, VSL_E_FORMAT,
              "%s: says that it holds %lld bytes of velocity, more than its %lld bytes can unpack to",
              vsl_path_text(path).text, (long long)size, (long long)count);
    grid.n[0] = n[3];
    grid.n[1] = n[2];
    grid.n[2] = n[1];
    VSL_TRY(vsl_volume_new(v, &grid, 3));
    VSL_TRY(hdf_get_floats(v->data, dataset, n, bytes, count, path));
out:
    return st;
}

static VslStatus parse_hdf5(VslGeodesic *g, const char *bytes, int64_t count, int is_sealed, const char *path)
{
    VslStatus st = VSL_OK;
    hid_t file = -1, dataset = -1;
    int64_t n[HDF_RANK];
    HdfState state;

    hdf_enter(&state);
    VSL_TRY(hdf_open(&file, bytes, count, path));
    VSL_TRY(check_format(file, is_sealed, path));
    VSL_TRY(hdf_open_floats(&dataset, n, file, "velocity", path));
    VSL_CHECK(n[0] == 3, VSL_E_FORMAT, "%s: /velocity has %lld components, expected 3", vsl_path_text(path).text,
              (long long)n[0]);
    VSL_TRY(get_attributes(g, dataset, path));
    VSL_TRY(get_velocity(&g->velocity, dataset, n, bytes, count, path));
out:
    if (dataset >= 0) {
        H5Dclose(dataset);
    }
    if (file >= 0) {
        H5Fclose(file);
    }
    hdf_leave(&state);
    return st;
}

/* Takes the seal off, if there is one, and checks it. */
static VslStatus open_seal(int64_t *count, int *is_sealed, const char *bytes, const char *path)
{
    VslStatus st = VSL_OK;
    unsigned char digest[VSL_SHA256_BYTES];
    const char *seal = bytes + (*count < SEAL_BYTES ? 0 : *count - SEAL_BYTES);

    *is_sealed = *count >= SEAL_BYTES && memcmp(seal, seal_magic, MAGIC_BYTES) == 0;
    if (*is_sealed) {
        *count -= SEAL_BYTES;
        VSL_TRY(vsl_sha256(digest, bytes, (size_t)*count));
        VSL_CHECK(memcmp(digest, seal + MAGIC_BYTES, sizeof digest) == 0, VSL_E_FORMAT,
                  "%s: its checksum does not hold: the file is damaged", vsl_path_text(path).text);
    }
out:
    return st;
}

VslStatus vsl_velocity_read(VslGeodesic *out, const char *path)
{
    VslStatus st = VSL_OK;
    VslGeodesic g = {0};
    char *bytes = NULL;
    int64_t count = 0;
    int is_sealed = 0;

    VSL_TRY(vsl_file_in_whole(&bytes, &count, path, MOST_BYTES));
    VSL_TRY(open_seal(&count, &is_sealed, bytes, path));
    VSL_TRY(parse_hdf5(&g, bytes, count, is_sealed, path));
    VSL_TRY(check_geodesic(&g, VSL_E_FORMAT, path));
    vsl_geodesic_move(out, &g);
out:
    vsl_geodesic_free(&g);
    vsl_free(bytes);
    return st;
}

static int same_bits(const VslGeodesic *a, const VslGeodesic *b)
{
    const VslKernel *k = &a->kernel, *l = &b->kernel;
    const VslGrid *g = &a->velocity.grid;
    const size_t scales = (size_t)k->scales * sizeof(double);
    return memcmp(g, &b->velocity.grid, sizeof *g) == 0 && memcmp(&a->fixed, &b->fixed, sizeof a->fixed) == 0 &&
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
    VSL_CHECK(same_bits(g, &found), VSL_E_WRITE, "%s: what was written reads back with other values",
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
    unsigned char digest[VSL_SHA256_BYTES];
    VslFileOut *file = NULL;

    VSL_CHECK(g->velocity.data && g->velocity.channels == 3, VSL_E_ARG, "%s: a velocity needs 3 channels, got %d",
              vsl_path_text(path).text, g->velocity.channels);
    VSL_TRY(check_geodesic(g, VSL_E_ARG, path));
    VSL_TRY(serialise(&bytes, &count, g));
    VSL_TRY(vsl_sha256(digest, bytes, (size_t)count));
    VSL_TRY(vsl_file_out_open(&file, path));
    VSL_TRY(vsl_file_out_write(file, bytes, (size_t)count));
    VSL_TRY(vsl_file_out_write(file, seal_magic, MAGIC_BYTES));
    VSL_TRY(vsl_file_out_write(file, digest, sizeof digest));
    vsl_free(bytes);
    bytes = NULL;
    VSL_TRY(verify(vsl_file_out_temporary(file), g, path));
    VSL_TRY(vsl_file_out_commit(&file));
out:
    vsl_file_out_abandon(&file);
    vsl_free(bytes);
    return st;
}
