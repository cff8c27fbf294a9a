/* Volumes to PNG by libpng: grey, grey with alpha, RGB or RGBA for 1 to 4 channels. PNG has no place for a grid: only
 * values and their order are kept, and a warning says so when more is lost. */
#include "io/png_private.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

#include "core/log.h"
#include "core/memory.h"
#include "io/file_out.h"
#include "io/path.h"

typedef struct PngWriter {
    png_structp png;
    png_infop info;
    VslFileOut *file;
    VslStatus status; /* of the file */
    char message[120];
    int64_t width, height;
    int channels, bytes;
    unsigned char *row;
    const float *value;   /* planes, or NULL when */
    const int32_t *label; /* these are written */
    double offset, scale; /* stored = (value - offset) * scale, rounded */
} PngWriter;

static void on_error(png_structp png, png_const_charp message)
{
    PngWriter *w = png_get_error_ptr(png);
    snprintf(w->message, sizeof w->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    (void)png;
    vsl_log(VSL_LOG_DEBUG, "the PNG library says: %s", message);
}

static void on_write(png_structp png, png_bytep bytes, size_t count)
{
    PngWriter *w = png_get_io_ptr(png);
    w->status = vsl_file_out_write(w->file, bytes, count);
    if (w->status != VSL_OK) {
        png_error(png, "write failed");
    }
}

static void on_flush(png_structp png)
{
    (void)png; /* the commit flushes */
}

static void fill_row(PngWriter *w, int64_t j)
{
    const int64_t plane = w->width * w->height;
    for (int64_t i = 0; i < w->width; i++) {
        for (int c = 0; c < w->channels; c++) {
            const int64_t at = c * plane + j * w->width + i;
            const unsigned v =
                w->label ? (unsigned)w->label[at] : (unsigned)lrint(((double)w->value[at] - w->offset) * w->scale);
            unsigned char *p = w->row + (i * w->channels + c) * w->bytes;
            p[0] = (unsigned char)(w->bytes == 2 ? v >> 8 : v);
            p[w->bytes - 1] = (unsigned char)v;
        }
    }
}

static int write_header(PngWriter *w)
{
    static const int colour[] = {PNG_COLOR_TYPE_GRAY, PNG_COLOR_TYPE_GRAY_ALPHA, PNG_COLOR_TYPE_RGB,
                                 PNG_COLOR_TYPE_RGB_ALPHA};
    if (setjmp(png_jmpbuf(w->png))) {
        return 0;
    }
    png_set_write_fn(w->png, w, on_write, on_flush);
    png_set_user_limits(w->png, PNG_UINT_31_MAX, PNG_UINT_31_MAX);
    png_set_IHDR(w->png, w->info, (png_uint_32)w->width, (png_uint_32)w->height, 8 * w->bytes, colour[w->channels - 1],
                 PNG_INTERLACE_NONE, PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_write_info(w->png, w->info);
    return 1;
}

static int write_row(PngWriter *w)
{
    if (setjmp(png_jmpbuf(w->png))) {
        return 0;
    }
    png_write_row(w->png, w->row);
    return 1;
}

static int write_end(PngWriter *w)
{
    if (setjmp(png_jmpbuf(w->png))) {
        return 0;
    }
    png_write_end(w->png, NULL);
    return 1;
}

/* Checks what PNG can hold of a grid, and says what it cannot. */
static VslStatus check_grid(const VslGrid *g, const char *path)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(g->n[2] == 1, VSL_E_ARG, "%s: a PNG holds one slice, got an image of %lld x %lld x %lld voxels",
              vsl_path_text(path).text, (long long)g->n[0], (long long)g->n[1], (long long)g->n[2]);
    VSL_CHECK(g->n[0] <= PNG_UINT_31_MAX && g->n[1] <= PNG_UINT_31_MAX, VSL_E_ARG,
              "%s: a PNG holds at most %lld pixels per side", vsl_path_text(path).text, (long long)PNG_UINT_31_MAX);
    const VslGrid plain = png_grid(g->n[0], g->n[1]);
    if (!vsl_grid_same(g, &plain, 1e-3)) {
        vsl_log(VSL_LOG_WARNING,
                "%s: PNG keeps no voxel size, position or orientation; voxel (0, 0) is the pixel at the top left",
                vsl_path_text(path).text);
    }
out:
    return st;
}

static VslStatus write_file(const char *path, PngWriter *w)
{
    VslStatus st = VSL_OK;

    VSL_TRY(VSL_NEW(&w->row, w->width * w->channels * w->bytes, "picture row"));
    w->png = png_create_write_struct(PNG_LIBPNG_VER_STRING, w, on_error, on_warning);
    w->info = w->png ? png_create_info_struct(w->png) : NULL;
    VSL_CHECK(w->info, VSL_E_NOMEM, "%s: the PNG library cannot start", vsl_path_text(path).text);
    VSL_TRY(vsl_file_out_open(&w->file, path));
    int is_good = write_header(w);
    for (int64_t j = 0; is_good && j < w->height; j++) {
        fill_row(w, j);
        is_good = write_row(w);
    }
    is_good = is_good && write_end(w);
    VSL_TRY(w->status); /* its sentence stands */
    VSL_CHECK(is_good, VSL_E_EXTERNAL, "%s: the PNG library cannot write it: %s", vsl_path_text(path).text, w->message);
    VSL_TRY(vsl_file_out_commit(&w->file));
out:
    vsl_file_out_abandon(&w->file);
    png_destroy_write_struct(&w->png, &w->info);
    vsl_free(w->row);
    return st;
}

/* Offset and scale of the values; refuses what would not be stored exactly when no scaling is asked for. */
static VslStatus judge_values(PngWriter *w, int64_t count, int scale_to_fit, const char *path)
{
    VslStatus st = VSL_OK;
    const double most = w->bytes == 2 ? 65535 : 255;
    double low = INFINITY, high = -INFINITY;

    for (int64_t i = 0; i < count; i++) {
        const double v = (double)w->value[i];
        VSL_CHECK(isfinite(v), VSL_E_ARG, "%s: value %lld is %g, which a PNG cannot hold", vsl_path_text(path).text,
                  (long long)i, v);
        VSL_CHECK(scale_to_fit || (v == floor(v) && v >= 0 && v <= most), VSL_E_ARG,
                  "%s: value %lld is %g, expected whole numbers from 0 to %g, or scaling to fit",
                  vsl_path_text(path).text, (long long)i, v, most);
        low = fmin(low, v);
        high = fmax(high, v);
    }
    w->offset = scale_to_fit ? low : 0;
    w->scale = !scale_to_fit ? 1 : high > low ? most / (high - low) : 0;
out:
    return st;
}

VslStatus png_write_volume(const char *path, const VslVolume *v, const VslNiftiWrite *how)
{
    VslStatus st = VSL_OK;
    const VslDatatype type = how && how->datatype ? how->datatype : VSL_DATATYPE_UINT8;
    PngWriter w = {.width = v->grid.n[0], .height = v->grid.n[1], .channels = v->channels, .value = v->data};

    VSL_TRY(check_grid(&v->grid, path));
    VSL_CHECK(v->channels >= 1 && v->channels <= 4, VSL_E_ARG,
              "%s: a PNG holds 1 to 4 channels (grey, grey and alpha, RGB, RGBA), got %d", vsl_path_text(path).text,
              v->channels);
    VSL_CHECK(type == VSL_DATATYPE_UINT8 || type == VSL_DATATYPE_UINT16, VSL_E_ARG,
              "%s: a PNG holds uint8 or uint16, not the type asked for", vsl_path_text(path).text);
    w.bytes = type == VSL_DATATYPE_UINT16 ? 2 : 1;
    VSL_TRY(judge_values(&w, w.width * w.height * w.channels, how && how->scale_to_fit, path));
    VSL_TRY(write_file(path, &w));
out:
    return st;
}

VslStatus png_write_labels(const char *path, const VslLabels *l)
{
    VslStatus st = VSL_OK;
    PngWriter w = {.width = l->grid.n[0], .height = l->grid.n[1], .channels = 1, .bytes = 1, .label = l->data};

    VSL_TRY(check_grid(&l->grid, path));
    for (int64_t i = 0; i < w.width * w.height; i++) {
        VSL_CHECK(l->data[i] >= 0 && l->data[i] <= 65535, VSL_E_ARG,
                  "%s: voxel %lld has the label %d, a PNG holds 0 to 65535", vsl_path_text(path).text, (long long)i,
                  l->data[i]);
        w.bytes = l->data[i] > 255 ? 2 : w.bytes;
    }
    VSL_TRY(write_file(path, &w));
out:
    return st;
}
