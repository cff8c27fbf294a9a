/* PNG to volumes by libpng.
 *
 * The file is read whole, so that sizes can be judged against it: deflate makes at most 1032 bytes of one, and a header
 * that promises more is refused before anything is allocated. Every checksum counts, those of ancillary chunks too;
 * texts and profiles are skipped, gamma is not applied: values are the file's samples. libpng reports errors by
 * longjmp; each function that sets the jump changes no local variable after it. */
#include "io/png_private.h"

#include <math.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include <png.h>

#include "core/memory.h"
#include "io/file_in.h"
#include "io/path.h"

enum { DEFLATE_MOST_RATIO = 1032, CHUNK_MOST_BYTES = 8 << 20, SIDE_MOST = 1 << 24 };
static const int64_t MOST_BYTES = (int64_t)1 << 33;

typedef struct PngReader {
    png_structp png;
    png_infop info;
    const unsigned char *bytes;
    int64_t count, at;
    char message[120]; /* of libpng's error */
    char warning[120]; /* of its first warning */
    int is_indexed;    /* keep palette indices */
    unsigned char *pixels;
    png_bytepp rows;
} PngReader;

/* The header as libpng gives it */
typedef struct PngHeader {
    int64_t width, height;
    int depth, colour;    /* as stored */
    int channels, bytes;  /* as decoded: samples per pixel and bytes per sample */
    int palette_entries;  /* 0 when the image has none */
    int has_transparency; /* a tRNS chunk */
    int64_t row_bytes;    /* stored, unpacked by inflate */
} PngHeader;

int png_looks_like(const unsigned char *bytes, int64_t count)
{
    return count >= 8 && png_sig_cmp((png_const_bytep)bytes, 0, 8) == 0;
}

VslGrid png_grid(int64_t width, int64_t height)
{
    return (VslGrid){{width, height, 1}, {{{-1, 0, 0, 0}, {0, -1, 0, 0}, {0, 0, 1, 0}}}};
}

static void on_error(png_structp png, png_const_charp message)
{
    PngReader *r = png_get_error_ptr(png);
    snprintf(r->message, sizeof r->message, "%s", message);
    png_longjmp(png, 1);
}

static void on_warning(png_structp png, png_const_charp message)
{
    PngReader *r = png_get_error_ptr(png);
    if (!r->warning[0]) {
        snprintf(r->warning, sizeof r->warning, "%s", message);
    }
}

static void on_read(png_structp png, png_bytep out, size_t count)
{
    PngReader *r = png_get_io_ptr(png);
    if (count > (size_t)(r->count - r->at)) {
        png_error(png, "the file ends too early");
    }
    memcpy(out, r->bytes + r->at, count);
    r->at += (int64_t)count;
}

/* 1 when the header was read and the transformations are set up */
static int read_header(PngReader *r)
{
    /* five bytes each: four letters and a zero */
    static const unsigned char skipped[] = "iCCP\0zTXt\0iTXt\0tEXt\0sPLT\0hIST\0eXIf\0pCAL\0sCAL\0tIME";
    if (setjmp(png_jmpbuf(r->png))) {
        return 0;
    }
    png_set_read_fn(r->png, r, on_read);
    png_set_crc_action(r->png, PNG_CRC_ERROR_QUIT, PNG_CRC_ERROR_QUIT);
    png_set_user_limits(r->png, SIDE_MOST, SIDE_MOST);
    png_set_chunk_malloc_max(r->png, CHUNK_MOST_BYTES);
    png_set_keep_unknown_chunks(r->png, PNG_HANDLE_CHUNK_NEVER, skipped, (int)(sizeof skipped / 5));
    png_read_info(r->png, r->info);
    return 1;
}

static int prepare_rows(PngReader *r)
{
    if (setjmp(png_jmpbuf(r->png))) {
        return 0;
    }
    png_set_packing(r->png); /* one sample per byte, unscaled */
    png_set_interlace_handling(r->png);
    png_read_update_info(r->png, r->info);
    return 1;
}

static int read_rows(PngReader *r)
{
    if (setjmp(png_jmpbuf(r->png))) {
        return 0;
    }
    png_read_image(r->png, r->rows);
    png_read_end(r->png, NULL);
    return 1;
}

static VslStatus judge_header(PngHeader *h, PngReader *r, const char *path)
{
    VslStatus st = VSL_OK;
    png_colorp palette;
    int entries = 0;

    h->width = png_get_image_width(r->png, r->info);
    h->height = png_get_image_height(r->png, r->info);
    h->depth = png_get_bit_depth(r->png, r->info);
    h->colour = png_get_color_type(r->png, r->info);
    h->row_bytes = (int64_t)png_get_rowbytes(r->png, r->info);
    h->has_transparency = png_get_valid(r->png, r->info, PNG_INFO_tRNS) != 0;
    h->bytes = h->depth == 16 ? 2 : 1;
    h->channels = png_get_channels(r->png, r->info);
    if (h->colour == PNG_COLOR_TYPE_PALETTE) {
        VSL_CHECK(png_get_PLTE(r->png, r->info, &palette, &entries) != 0 && entries > 0, VSL_E_FORMAT,
                  "%s: a PNG of palette colours has no palette", vsl_path_text(path).text);
        h->palette_entries = entries;
        h->channels = r->is_indexed ? 1 : h->has_transparency ? 4 : 3;
    }
    VSL_CHECK(h->row_bytes * h->height / DEFLATE_MOST_RATIO <= r->count, VSL_E_FORMAT,
              "%s: a PNG of %lld x %lld pixels cannot fit its %lld bytes", vsl_path_text(path).text,
              (long long)h->width, (long long)h->height, (long long)r->count);
out:
    return st;
}

static void warn(VslNiftiInfo *info, const char *sentence)
{
    if (info->warning_count < VSL_NIFTI_MAX_WARNINGS) {
        snprintf(info->warnings[info->warning_count++], sizeof info->warnings[0], "%s", sentence);
    }
}

/* As far as a NIfTI header can say it */
static void describe(VslNiftiInfo *info, const PngHeader *h, const PngReader *r)
{
    enum { UINT8 = 2, UINT16 = 512, RGB24 = 128, RGBA32 = 2304, MILLIMETRES = 2 };
    char sentence[160];

    *info = (VslNiftiInfo){.ndim = 2, .scl_slope = 1, .form_difference_vox = NAN, .xyz_units = MILLIMETRES};
    for (int d = 0; d < 7; d++) {
        info->dim[d] = d == 0 ? h->width : d == 1 ? h->height : 1;
        info->pixdim[d] = 1;
    }
    info->channels = h->channels;
    info->grid = png_grid(h->width, h->height);
    info->data_bytes = h->row_bytes * h->height;
    info->datatype = h->bytes == 2 ? UINT16 : h->channels == 3 ? RGB24 : h->channels == 4 ? RGBA32 : UINT8;
    const int bits = h->depth * (h->channels > 2 ? h->channels : 1); /* of one pixel, or of one grey value */
    snprintf(info->datatype_name, sizeof info->datatype_name, "%s%d",
             h->channels == 4   ? "rgba"
             : h->channels == 3 ? "rgb"
                                : "uint",
             h->palette_entries && h->channels > 2 ? 8 * h->channels : bits);
    snprintf(info->which_form, sizeof info->which_form, "none");
    if (h->has_transparency && h->colour != PNG_COLOR_TYPE_PALETTE) {
        warn(info, "a transparent colour is kept as its plain value");
    }
    if (r->warning[0]) {
        snprintf(sentence, sizeof sentence, "the PNG library says: %s", r->warning);
        warn(info, sentence);
    }
    if (r->rows && r->at < r->count) {
        snprintf(sentence, sizeof sentence, "%lld bytes after the picture are ignored", (long long)(r->count - r->at));
        warn(info, sentence);
    }
}

/* Samples of a pixel as libpng gives them: colours of a palette are looked up here, because libpng shows colours beyond
 * the palette as black without a word. */
static int raw_channels(const PngHeader *h)
{
    return h->palette_entries > 0 ? 1 : h->channels;
}

static VslStatus decode(PngReader *r, const PngHeader *h, const char *path)
{
    VslStatus st = VSL_OK;
    int64_t row = 0, all = 0;

    VSL_CHECK(prepare_rows(r), VSL_E_FORMAT, "%s: is a PNG that cannot be read: %s", vsl_path_text(path).text,
              r->message);
    VSL_CHECK(png_get_rowbytes(r->png, r->info) == (size_t)(h->width * raw_channels(h) * h->bytes), VSL_E_EXTERNAL,
              "%s: the PNG library gives rows of another length than asked", vsl_path_text(path).text);
    row = h->width * raw_channels(h) * h->bytes;
    VSL_CHECK(vsl_mul_ok(row, h->height, &all), VSL_E_NOMEM, "%s: has too many pixels", vsl_path_text(path).text);
    VSL_TRY(VSL_NEW(&r->pixels, all, "picture"));
    VSL_TRY(VSL_NEW(&r->rows, h->height, "picture rows"));
    for (int64_t j = 0; j < h->height; j++) {
        r->rows[j] = r->pixels + j * row;
    }
    VSL_CHECK(read_rows(r), VSL_E_FORMAT, "%s: is a PNG that cannot be read: %s", vsl_path_text(path).text, r->message);
    for (int64_t i = 0; h->palette_entries > 0 && i < all; i++) {
        VSL_CHECK(r->pixels[i] < h->palette_entries, VSL_E_FORMAT,
                  "%s: pixel %lld has the colour %d of a palette of %d", vsl_path_text(path).text, (long long)i,
                  r->pixels[i], h->palette_entries);
    }
out:
    return st;
}

static unsigned sample(const PngReader *r, const PngHeader *h, int64_t index)
{
    const unsigned char *p = r->pixels + index * h->bytes;
    return h->bytes == 2 ? (unsigned)p[0] << 8 | p[1] : p[0];
}

/* Channel c of pixel i; the palette's alpha is 255 where its table of transparency ends. */
static unsigned colour(const PngReader *r, const PngHeader *h, int64_t i, int c)
{
    if (h->palette_entries == 0) {
        return sample(r, h, i * h->channels + c);
    }
    png_colorp palette = NULL;
    png_bytep alpha = NULL;
    int entries = 0, alphas = 0;
    const int index = r->pixels[i];
    png_get_PLTE(r->png, r->info, &palette, &entries);
    png_get_tRNS(r->png, r->info, &alpha, &alphas, NULL);
    const png_color *found = &palette[index];
    return c == 0 ? found->red : c == 1 ? found->green : c == 2 ? found->blue : index < alphas ? alpha[index] : 255;
}

static VslStatus to_volume(VslVolume *out, const PngReader *r, const PngHeader *h)
{
    VslStatus st = VSL_OK;
    const VslGrid grid = png_grid(h->width, h->height);
    const int64_t count = vsl_grid_voxels(&grid);
    VSL_TRY(vsl_volume_new(out, &grid, h->channels));
    for (int c = 0; c < h->channels; c++) {
        for (int64_t i = 0; i < count; i++) {
            out->data[c * count + i] = (float)colour(r, h, i, c);
        }
    }
out:
    return st;
}

static VslStatus to_labels(VslLabels *out, const PngReader *r, const PngHeader *h, const char *path)
{
    VslStatus st = VSL_OK;
    const VslGrid grid = png_grid(h->width, h->height);
    const int64_t count = vsl_grid_voxels(&grid);
    VSL_CHECK(h->channels == 1, VSL_E_FORMAT,
              "%s: has %d channels, expected one: labels are grey values or palette colours", vsl_path_text(path).text,
              h->channels);
    VSL_TRY(vsl_labels_new(out, &grid));
    for (int64_t i = 0; i < count; i++) {
        out->data[i] = (int32_t)sample(r, h, i);
    }
out:
    return st;
}

VslStatus png_read_bytes(VslVolume *pixels, VslLabels *labels, VslNiftiInfo *info, const unsigned char *bytes,
                         int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    PngReader r = {.bytes = bytes, .count = count, .is_indexed = labels != NULL};
    PngHeader h = {0};
    VslVolume v = {0};
    VslLabels l = {0};

    VSL_CHECK(png_looks_like(bytes, count), VSL_E_FORMAT, "%s: is not a PNG file", vsl_path_text(path).text);
    r.png = png_create_read_struct(PNG_LIBPNG_VER_STRING, &r, on_error, on_warning);
    r.info = r.png ? png_create_info_struct(r.png) : NULL;
    VSL_CHECK(r.info, VSL_E_NOMEM, "%s: the PNG library cannot start", vsl_path_text(path).text);
    VSL_CHECK(read_header(&r), VSL_E_FORMAT, "%s: is a PNG that cannot be read: %s", vsl_path_text(path).text,
              r.message);
    VSL_TRY(judge_header(&h, &r, path));
    if (pixels || labels) {
        VSL_TRY(decode(&r, &h, path));
    }
    if (pixels) {
        VSL_TRY(to_volume(&v, &r, &h));
    }
    if (labels) {
        VSL_TRY(to_labels(&l, &r, &h, path));
        vsl_labels_move(labels, &l);
    }
    if (pixels) {
        vsl_volume_move(pixels, &v);
    }
    if (info) {
        describe(info, &h, &r);
    }
out:
    vsl_volume_free(&v);
    vsl_labels_free(&l);
    png_destroy_read_struct(&r.png, &r.info, NULL);
    vsl_free(r.rows);
    vsl_free(r.pixels);
    return st;
}

VslStatus png_read_file(VslVolume *pixels, VslLabels *labels, VslNiftiInfo *info, const char *path)
{
    VslStatus st = VSL_OK;
    char *bytes = NULL;
    int64_t count = 0;
    VSL_TRY(vsl_file_in_whole(&bytes, &count, path, MOST_BYTES));
    VSL_TRY(png_read_bytes(pixels, labels, info, (const unsigned char *)bytes, count, path));
out:
    vsl_free(bytes);
    return st;
}
