/* PNG in and out: every sample form against values known beforehand, and files that must be refused. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <string.h>

#include <png.h>

#include "core/log.h"
#include "core/random.h"
#include "io/image.h"
#include "tests/check.h"
#include "tests/io/scratch.h"

enum { WIDTH = 13, HEIGHT = 7, MOST = 1 << 16 };

/* A picture made by libpng itself: sample (i, j, c) = f(i, j, c) below 2^depth */
typedef struct Form {
    const char *name;
    int colour, depth, channels, is_interlaced, palette, transparent;
} Form;

static unsigned f(const Form *p, int i, int j, int c)
{
    const unsigned v = (unsigned)(i * 977 + j * 4099 + c * 12345 + i * j * 31);
    return p->palette ? v % (unsigned)p->palette : v % (1u << p->depth);
}

static void make(const char *path, const Form *p)
{
    FILE *out = fopen(path, "wb");
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, NULL, NULL);
    png_infop info = png_create_info_struct(png);
    static unsigned char rows[HEIGHT][WIDTH * 8];
    png_bytep row[HEIGHT];
    memset(rows, 0, sizeof rows);
    for (int j = 0; j < HEIGHT; j++) {
        row[j] = rows[j];
        for (int i = 0; i < WIDTH; i++) {
            for (int c = 0; c < p->channels; c++) {
                const unsigned v = f(p, i, j, c);
                const int at = i * p->channels + c;
                if (p->depth == 16) {
                    rows[j][2 * at] = (unsigned char)(v >> 8);
                    rows[j][2 * at + 1] = (unsigned char)v;
                } else {
                    const int bit = at * p->depth;
                    rows[j][bit / 8] |= (unsigned char)(v << (8 - p->depth - bit % 8));
                }
            }
        }
    }
    png_init_io(png, out);
    png_set_IHDR(png, info, WIDTH, HEIGHT, p->depth, p->colour, p->is_interlaced ? PNG_INTERLACE_ADAM7 : 0, 0, 0);
    if (p->palette) {
        png_color colours[256];
        png_byte alpha[256];
        for (int n = 0; n < p->palette; n++) {
            colours[n] = (png_color){(png_byte)(10 + n), (png_byte)(200 - n), (png_byte)(3 * n)};
            alpha[n] = (png_byte)(100 + n);
        }
        png_set_PLTE(png, info, colours, p->palette);
        if (p->transparent) {
            png_set_tRNS(png, info, alpha, p->palette, NULL);
        }
    } else if (p->transparent) {
        png_color_16 one = {.gray = 1, .red = 1, .green = 1, .blue = 1};
        png_set_tRNS(png, info, NULL, 0, &one);
    }
    png_text text = {
        .compression = PNG_TEXT_COMPRESSION_zTXt, .key = (char *)"Comment", .text = (char *)"hello", .text_length = 5};
    png_set_text(png, info, &text, 1);
    png_write_info(png, info);
    png_write_image(png, row);
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    fclose(out);
}

static const Form forms[] = {
    {"grey 1", PNG_COLOR_TYPE_GRAY, 1, 1, 0, 0, 0},
    {"grey 2", PNG_COLOR_TYPE_GRAY, 2, 1, 0, 0, 0},
    {"grey 4", PNG_COLOR_TYPE_GRAY, 4, 1, 1, 0, 0},
    {"grey 8", PNG_COLOR_TYPE_GRAY, 8, 1, 0, 0, 0},
    {"grey 8 with a transparent value", PNG_COLOR_TYPE_GRAY, 8, 1, 0, 0, 1},
    {"grey 16", PNG_COLOR_TYPE_GRAY, 16, 1, 0, 0, 0},
    {"grey 16 interlaced", PNG_COLOR_TYPE_GRAY, 16, 1, 1, 0, 0},
    {"grey and alpha 8", PNG_COLOR_TYPE_GRAY_ALPHA, 8, 2, 0, 0, 0},
    {"grey and alpha 16", PNG_COLOR_TYPE_GRAY_ALPHA, 16, 2, 0, 0, 0},
    {"rgb 8", PNG_COLOR_TYPE_RGB, 8, 3, 0, 0, 0},
    {"rgb 16", PNG_COLOR_TYPE_RGB, 16, 3, 1, 0, 0},
    {"rgba 8", PNG_COLOR_TYPE_RGB_ALPHA, 8, 4, 0, 0, 0},
    {"rgba 16", PNG_COLOR_TYPE_RGB_ALPHA, 16, 4, 0, 0, 0},
    {"palette 1", PNG_COLOR_TYPE_PALETTE, 1, 1, 0, 2, 0},
    {"palette 4", PNG_COLOR_TYPE_PALETTE, 4, 1, 1, 11, 0},
    {"palette 8 with alpha", PNG_COLOR_TYPE_PALETTE, 8, 1, 0, 50, 1},
};
enum { FORMS = sizeof forms / sizeof *forms };

static double expected(const Form *p, int i, int j, int c)
{
    if (!p->palette) {
        return f(p, i, j, c);
    }
    const unsigned n = f(p, i, j, 0);
    return c == 0 ? 10 + n : c == 1 ? 200 - n : c == 2 ? 3 * n : 100 + n;
}

TEST(samples_of_every_form_are_read_as_they_stand)
{
    for (int p = 0; p < FORMS; p++) {
        VslVolume v = {0};
        VslNiftiInfo info = {0}, header = {0};
        make(scratch("in.png"), &forms[p]);
        CHECK_OK(vsl_image_read(&v, &info, scratch("in.png")));
        CHECK_OK(vsl_image_read_info(&header, scratch("in.png")));
        const int channels = forms[p].palette ? 3 + forms[p].transparent : forms[p].channels;
        CHECK(v.channels == channels && info.channels == channels && header.channels == channels);
        CHECK(v.grid.n[0] == WIDTH && v.grid.n[1] == HEIGHT && v.grid.n[2] == 1 && info.version == 0 && info.ndim == 2);
        for (int c = 0; c < v.channels; c++) {
            for (int j = 0; j < HEIGHT; j++) {
                for (int i = 0; i < WIDTH; i++) {
                    CHECK_NEAR(v.data[(c * HEIGHT + j) * WIDTH + i], expected(&forms[p], i, j, c), 0, forms[p].name);
                }
            }
        }
        CHECK(info.warning_count == (forms[p].transparent && !forms[p].palette));
        vsl_volume_free(&v);
    }
}

TEST(labels_are_grey_values_or_palette_indices)
{
    for (int p = 0; p < FORMS; p++) {
        VslLabels l = {0};
        make(scratch("in.png"), &forms[p]);
        if (forms[p].channels != 1) {
            CHECK_STATUS(vsl_image_read_labels(&l, NULL, scratch("in.png")), VSL_E_FORMAT);
            continue;
        }
        CHECK_OK(vsl_image_read_labels(&l, NULL, scratch("in.png")));
        for (int i = 0; i < WIDTH * HEIGHT; i++) {
            CHECK(l.data[i] == (int32_t)f(&forms[p], i % WIDTH, i / WIDTH, 0));
        }
        vsl_labels_free(&l);
    }
}

TEST(a_picture_lies_as_itk_lays_it)
{
    VslVolume v = {0};
    make(scratch("in.png"), &forms[3]);
    CHECK_OK(vsl_image_read(&v, NULL, scratch("in.png")));
    char letters[4];
    vsl_grid_orientation(letters, &v.grid);
    CHECK(strcmp(letters, "LPS") == 0);
    const double index[3] = {4, 2, 0};
    double x[3];
    vsl_affine_point(x, &v.grid.to_ras, index);
    CHECK(x[0] == -4 && x[1] == -2 && x[2] == 0);
    vsl_volume_free(&v);
}

TEST(pixels_survive_writing_and_reading)
{
    for (int channels = 1; channels <= 4; channels++) {
        for (int wide = 0; wide < 2; wide++) {
            VslVolume v = {0}, back = {0};
            const VslGrid grid = {{31, 17, 1}, {{{-1, 0, 0, 0}, {0, -1, 0, 0}, {0, 0, 1, 0}}}};
            const VslNiftiWrite how = {.datatype = wide ? VSL_DATATYPE_UINT16 : VSL_DATATYPE_UINT8};
            CHECK_OK(vsl_volume_new(&v, &grid, channels));
            for (int i = 0; i < channels * 31 * 17; i++) {
                v.data[i] = (float)(i * 7919 % (wide ? 65536 : 256));
            }
            CHECK_OK(vsl_image_write(scratch("out.png"), &v, &how));
            CHECK_OK(vsl_image_read(&back, NULL, scratch("out.png")));
            CHECK(back.channels == channels && vsl_grid_same(&back.grid, &v.grid, 1e-6));
            CHECK(memcmp(back.data, v.data, (size_t)(channels * 31 * 17) * sizeof(float)) == 0);
            vsl_volume_free(&v);
            vsl_volume_free(&back);
        }
    }
    for (int most = 255; most <= 65535; most += 65535 - 255) {
        VslLabels l = {0}, back = {0};
        const VslGrid grid = {{3, 2, 1}, {{{-1, 0, 0, 0}, {0, -1, 0, 0}, {0, 0, 1, 0}}}};
        CHECK_OK(vsl_labels_new(&l, &grid));
        l.data[4] = most;
        CHECK_OK(vsl_image_write_labels(scratch("out.PNG"), &l, NULL));
        CHECK_OK(vsl_image_read_labels(&back, NULL, scratch("out.PNG")));
        CHECK(memcmp(back.data, l.data, 6 * sizeof(int32_t)) == 0);
        l.data[1] = most == 255 ? -1 : 65536;
        CHECK_STATUS(vsl_image_write_labels(scratch("out.PNG"), &l, NULL), VSL_E_ARG);
        vsl_labels_free(&l);
        vsl_labels_free(&back);
    }
}

TEST(a_cut_or_changed_picture_is_refused)
{
    static unsigned char bytes[MOST], changed[MOST];
    const int chosen[] = {0, 3, 6, 9, 14, 15};
    for (size_t n = 0; n < sizeof chosen / sizeof *chosen; n++) {
        VslVolume v = {0};
        make(scratch("in.png"), &forms[chosen[n]]);
        const size_t count = scratch_get(scratch("in.png"), bytes, sizeof bytes);
        for (size_t cut = 0; cut < count; cut++) {
            scratch_put(scratch("bad.png"), bytes, cut);
            CHECK(vsl_image_read(&v, NULL, scratch("bad.png")) != VSL_OK);
        }
        for (size_t bit = 0; bit < 8 * count; bit++) {
            memcpy(changed, bytes, count);
            changed[bit / 8] ^= (unsigned char)(1 << bit % 8);
            scratch_put(scratch("bad.png"), changed, count);
            CHECK(vsl_image_read(&v, NULL, scratch("bad.png")) != VSL_OK);
        }
        CHECK(v.data == NULL);
    }
}

/* Puts the checksum of a chunk whose type and data are `count` bytes at p behind them. */
static void put_checksum(unsigned char *p, size_t count)
{
    uint32_t crc = 0xffffffff;
    for (size_t i = 0; i < count; i++) {
        crc ^= p[i];
        for (int k = 0; k < 8; k++) {
            crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
        }
    }
    crc = ~crc;
    for (size_t i = 0; i < 4; i++) {
        p[count + i] = (unsigned char)(crc >> (24 - 8 * i));
    }
}

/* Replaces bytes of the header and makes its checksum right again. */
static void patch_header(unsigned char *bytes, size_t at, const unsigned char *with, size_t count)
{
    memcpy(bytes + at, with, count);
    put_checksum(bytes + 12, 17);
}

TEST(a_colour_beyond_the_palette_is_refused)
{
    static unsigned char bytes[MOST];
    VslVolume v = {0};
    VslLabels l = {0};
    make(scratch("in.png"), &forms[14]);
    const size_t count = scratch_get(scratch("in.png"), bytes, sizeof bytes);
    unsigned char *palette = memmem(bytes, count, "PLTE", 4);
    CHECK(palette != NULL && palette[-1] == 33);
    if (palette) { /* of its 11 colours, 3 stay */
        const unsigned char *rest = palette + 4 + 33 + 4;
        palette[-1] = 9;
        put_checksum(palette, 4 + 9);
        memmove(palette + 4 + 9 + 4, rest, (size_t)(bytes + count - rest));
        scratch_put(scratch("bad.png"), bytes, count - 24);
        CHECK_STATUS(vsl_image_read(&v, NULL, scratch("bad.png")), VSL_E_FORMAT);
        CHECK_STATUS(vsl_image_read_labels(&l, NULL, scratch("bad.png")), VSL_E_FORMAT);
    }
}

TEST(a_header_that_promises_too_much_is_refused_before_memory_is_taken)
{
    static unsigned char bytes[MOST];
    VslVolume v = {0};
    const unsigned char million[4] = {0, 0x10, 0, 0}, more[4] = {0, 0, 0, 8}, zero[4] = {0};
    make(scratch("in.png"), &forms[3]);
    const size_t count = scratch_get(scratch("in.png"), bytes, sizeof bytes);
    for (int i = 0; i < 4; i++) {
        unsigned char changed[4096];
        memcpy(changed, bytes, count);
        if (i == 0) {
            patch_header(changed, 16, million, 4);
            patch_header(changed, 20, million, 4);
        } else if (i == 1) {
            patch_header(changed, 20, more, 4); /* one row more than there is */
        } else if (i == 2) {
            patch_header(changed, 16, zero, 4);
        } else {
            patch_header(changed, 24, (const unsigned char *)"\x05", 1); /* 5 bits per sample */
        }
        scratch_put(scratch("bad.png"), changed, count);
        const int64_t before = vsl_memory_peak();
        CHECK_STATUS(vsl_image_read(&v, NULL, scratch("bad.png")), VSL_E_FORMAT);
        CHECK(vsl_memory_peak() - before < 1 << 20);
    }
    make(scratch("in.png"), &forms[3]);
    vsl_memory_set_budget(vsl_memory_now() + 500);
    CHECK_STATUS(vsl_image_read(&v, NULL, scratch("in.png")), VSL_E_NOMEM);
    vsl_memory_set_budget(0);
    CHECK(v.data == NULL);
}

TEST(bytes_after_the_picture_are_ignored_with_a_warning)
{
    static unsigned char bytes[MOST];
    VslVolume v = {0};
    VslNiftiInfo info = {0};
    make(scratch("in.png"), &forms[3]);
    const size_t count = scratch_get(scratch("in.png"), bytes, sizeof bytes - 5);
    memcpy(bytes + count, "tail!", 5);
    scratch_put(scratch("tail.png"), bytes, count + 5);
    CHECK_OK(vsl_image_read(&v, &info, scratch("tail.png")));
    CHECK(info.warning_count == 1 && strstr(info.warnings[0], "5 bytes after"));
    vsl_volume_free(&v);
}

static void count_warning(VslLogLevel level, const char *sentence, void *user)
{
    (void)sentence;
    *(int *)user += level == VSL_LOG_WARNING;
}

TEST(what_a_png_cannot_hold_is_refused_or_said)
{
    VslVolume v = {0};
    int warnings = 0;
    const VslGrid grid = vsl_grid_centred((int64_t[3]){4, 3, 1}, (double[3]){2, 2, 2});
    const VslGrid thick = vsl_grid_centred((int64_t[3]){4, 3, 2}, (double[3]){2, 2, 2});
    const VslNiftiWrite fit = {.scale_to_fit = 1}, floats = {.datatype = VSL_DATATYPE_FLOAT32};
    CHECK_OK(vsl_volume_new(&v, &grid, 1));
    scratch("x");
    const int before = scratch_entries();
    vsl_log_set_sink(count_warning, &warnings);
    v.data[5] = 0.5F;
    CHECK_STATUS(vsl_image_write(scratch("no.png"), &v, NULL), VSL_E_ARG);
    v.data[5] = 256;
    CHECK_STATUS(vsl_image_write(scratch("no.png"), &v, NULL), VSL_E_ARG);
    v.data[5] = NAN;
    CHECK_STATUS(vsl_image_write(scratch("no.png"), &v, &fit), VSL_E_ARG);
    v.data[5] = 1;
    CHECK_STATUS(vsl_image_write(scratch("no.png"), &v, &floats), VSL_E_ARG);
    CHECK_STATUS(vsl_image_write(scratch("no/such/no.png"), &v, NULL), VSL_E_WRITE);
    CHECK(scratch_entries() == before);
    warnings = 0;
    v.data[6] = -3;
    CHECK_OK(vsl_image_write(scratch("yes.png"), &v, &fit));
    CHECK(warnings == 1); /* 2 mm voxels become nameless pixels */
    vsl_log_set_sink(NULL, NULL);
    VslVolume back = {0};
    CHECK_OK(vsl_image_read(&back, NULL, scratch("yes.png")));
    CHECK(back.data[5] == 255 && back.data[6] == 0 && back.data[0] == 191); /* 3/4 of 255 */
    vsl_volume_free(&back);
    CHECK_OK(vsl_volume_new(&v, &thick, 1));
    CHECK_STATUS(vsl_image_write(scratch("no.png"), &v, NULL), VSL_E_ARG);
    CHECK_OK(vsl_volume_new(&v, &grid, 5));
    CHECK_STATUS(vsl_image_write(scratch("no.png"), &v, NULL), VSL_E_ARG);
    vsl_volume_free(&v);
}

TEST(memory_that_runs_out_leaves_nothing_behind)
{
    VslVolume v = {0}, back = {0};
    make(scratch("in.png"), &forms[9]);
    CHECK_OK(vsl_image_read(&v, NULL, scratch("in.png")));
    const int64_t held = vsl_memory_now();
    const int before = scratch_entries();
    int failures = 0;
    for (int64_t n = 1; n < 30; n++) {
        vsl_memory_fail_after(n);
        const VslStatus reading = vsl_image_read(&back, NULL, scratch("in.png"));
        vsl_memory_fail_after(n);
        const VslStatus writing = vsl_image_write(scratch("m.png"), &v, NULL);
        vsl_memory_fail_after(0);
        CHECK(reading == VSL_E_NOMEM || reading == VSL_OK);
        CHECK(writing == VSL_E_NOMEM || writing == VSL_OK);
        CHECK(scratch_entries() == before + (writing == VSL_OK));
        unlink(scratch("m.png"));
        failures += reading != VSL_OK;
        vsl_volume_free(&back);
        CHECK(vsl_memory_now() == held);
    }
    CHECK(failures >= 4);
    vsl_volume_free(&v);
}

int main(void)
{
    RUN(samples_of_every_form_are_read_as_they_stand);
    RUN(labels_are_grey_values_or_palette_indices);
    RUN(a_picture_lies_as_itk_lays_it);
    RUN(pixels_survive_writing_and_reading);
    RUN(a_cut_or_changed_picture_is_refused);
    RUN(a_colour_beyond_the_palette_is_refused);
    RUN(a_header_that_promises_too_much_is_refused_before_memory_is_taken);
    RUN(bytes_after_the_picture_are_ignored_with_a_warning);
    RUN(what_a_png_cannot_hold_is_refused_or_said);
    RUN(memory_that_runs_out_leaves_nothing_behind);
    return CHECK_VERDICT();
}
