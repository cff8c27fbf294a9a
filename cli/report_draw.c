/* See the header. */
#include "cli/report_draw.h"

#include <math.h>
#include <png.h>
#include <setjmp.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "io/file_out.h"
#include "io/path.h"

VslStatus page_open(Page *out, int width, int height)
{
    VslStatus st = VSL_OK;
    Page p = {.width = width, .height = height};
    p.surface = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    p.cr = cairo_create(p.surface);
    VSL_CHECK(cairo_status(p.cr) == CAIRO_STATUS_SUCCESS, VSL_E_NOMEM, "no memory for a picture of %d x %d pixels",
              width, height);
    cairo_font_options_t *options = cairo_font_options_create();
    cairo_font_options_set_antialias(options, CAIRO_ANTIALIAS_GRAY);
    cairo_font_options_set_hint_style(options, CAIRO_HINT_STYLE_NONE);
    cairo_font_options_set_hint_metrics(options, CAIRO_HINT_METRICS_OFF);
    cairo_set_font_options(p.cr, options);
    cairo_font_options_destroy(options);
    draw_box(&p, 0, 0, width, height, INK_PAGE);
    *out = p;
    p = (Page){0};
out:
    page_close(&p);
    return st;
}

void page_close(Page *p)
{
    if (p->cr) {
        cairo_destroy(p->cr);
        cairo_surface_destroy(p->surface);
    }
    *p = (Page){0};
}

static void png_to_file(png_structp png, png_bytep bytes, size_t count)
{
    if (vsl_file_out_write(png_get_io_ptr(png), bytes, count) != VSL_OK) {
        png_error(png, "write");
    }
}

static void png_flush_nothing(png_structp png)
{
    (void)png;
}

static void png_quiet(png_structp png, png_const_charp text)
{
    (void)png;
    (void)text;
}

/* libpng jumps here; its longjmp crosses no frame of ours that owns memory. */
static void png_leave(png_structp png, png_const_charp text)
{
    (void)text;
    png_longjmp(png, 1);
}

/* Cairo's own writer compresses at the slowest of the useful levels, which took longer than all the drawing. */
static int encode(const Page *p, VslFileOut *f, unsigned char *row)
{
    const unsigned char *data = cairo_image_surface_get_data(p->surface);
    const int stride = cairo_image_surface_get_stride(p->surface);
    png_structp png = png_create_write_struct(PNG_LIBPNG_VER_STRING, NULL, png_leave, png_quiet);
    png_infop info = png ? png_create_info_struct(png) : NULL;
    if (!info || setjmp(png_jmpbuf(png))) {
        png_destroy_write_struct(&png, &info);
        return 0;
    }
    png_set_write_fn(png, f, png_to_file, png_flush_nothing);
    png_set_IHDR(png, info, (png_uint_32)p->width, (png_uint_32)p->height, 8, PNG_COLOR_TYPE_RGB, PNG_INTERLACE_NONE,
                 PNG_COMPRESSION_TYPE_DEFAULT, PNG_FILTER_TYPE_DEFAULT);
    png_set_compression_level(png, 3);
    png_set_filter(png, PNG_FILTER_TYPE_BASE, PNG_FILTER_SUB);
    png_write_info(png, info);
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            Colour c;
            memcpy(&c, data + (int64_t)y * stride + 4 * x, sizeof c);
            row[3 * x] = (unsigned char)(c >> 16);
            row[3 * x + 1] = (unsigned char)(c >> 8);
            row[3 * x + 2] = (unsigned char)c;
        }
        png_write_row(png, row);
    }
    png_write_end(png, info);
    png_destroy_write_struct(&png, &info);
    return 1;
}

VslStatus page_write(const Page *p, const char *path)
{
    VslStatus st = VSL_OK;
    VslFileOut *f = NULL;
    unsigned char *row = NULL;
    VSL_TRY(VSL_NEW(&row, (int64_t)p->width * 3, "a row of the picture"));
    VSL_TRY(vsl_file_out_open(&f, path));
    cairo_surface_flush(p->surface);
    VSL_CHECK(encode(p, f, row), VSL_E_WRITE, "%s: the picture could not be written", vsl_path_text(path).text);
    VSL_TRY(vsl_file_out_commit(&f));
out:
    vsl_file_out_abandon(&f);
    vsl_free(row);
    return st;
}

static void set_ink(Page *p, Colour ink)
{
    cairo_set_source_rgb(p->cr, (ink >> 16 & 255) / 255.0, (ink >> 8 & 255) / 255.0, (ink & 255) / 255.0);
}

static void set_font(Page *p, double size, int bold)
{
    cairo_select_font_face(p->cr, "sans-serif", CAIRO_FONT_SLANT_NORMAL,
                           bold ? CAIRO_FONT_WEIGHT_BOLD : CAIRO_FONT_WEIGHT_NORMAL);
    cairo_set_font_size(p->cr, size);
}

double text_width(Page *p, double size, int bold, const char *text)
{
    cairo_text_extents_t e;
    set_font(p, size, bold);
    cairo_text_extents(p->cr, text, &e);
    return e.x_advance;
}

void draw_text(Page *p, double x, double y, double size, int bold, Colour ink, Align align, double room,
               const char *text)
{
    char shown[512];
    snprintf(shown, sizeof shown, "%s", text);
    double width = text_width(p, size, bold, shown);
    for (size_t n = strlen(shown); room > 0 && width > room && n > 4; n--) {
        size_t cut = n - 4;
        while (cut > 0 && (shown[cut] & 0xc0) == 0x80) { /* not inside a UTF-8 character */
            cut--;
        }
        strcpy(shown + cut, "...");
        width = text_width(p, size, bold, shown);
    }
    set_ink(p, ink);
    cairo_move_to(p->cr, align == ALIGN_LEFT ? x : align == ALIGN_CENTRE ? x - width / 2 : x - width, y);
    cairo_show_text(p->cr, shown);
    cairo_new_path(p->cr);
}

void draw_text_halo(Page *p, double x, double y, double size, Colour ink, Align align, const char *text)
{
    const double width = text_width(p, size, 1, text);
    cairo_move_to(p->cr, align == ALIGN_LEFT ? x : align == ALIGN_CENTRE ? x - width / 2 : x - width, y);
    cairo_text_path(p->cr, text);
    cairo_set_line_join(p->cr, CAIRO_LINE_JOIN_ROUND);
    cairo_set_line_width(p->cr, 3.5);
    set_ink(p, INK_PANEL);
    cairo_stroke_preserve(p->cr);
    set_ink(p, ink);
    cairo_fill(p->cr);
}

void draw_box(Page *p, double x, double y, double w, double h, Colour ink)
{
    set_ink(p, ink);
    cairo_rectangle(p->cr, x, y, w, h);
    cairo_fill(p->cr);
}

void draw_frame(Page *p, double x, double y, double w, double h, Colour ink)
{
    set_ink(p, ink);
    cairo_set_line_width(p->cr, 1);
    cairo_rectangle(p->cr, x - 0.5, y - 0.5, w + 1, h + 1);
    cairo_stroke(p->cr);
}

void draw_line(Page *p, double x0, double y0, double x1, double y1, double thick, Colour ink)
{
    set_ink(p, ink);
    cairo_set_line_width(p->cr, thick);
    cairo_move_to(p->cr, x0, y0);
    cairo_line_to(p->cr, x1, y1);
    cairo_stroke(p->cr);
}

void draw_dot(Page *p, double x, double y, double radius, Colour ink)
{
    set_ink(p, ink);
    cairo_arc(p->cr, x, y, radius, 0, 6.283185307179586);
    cairo_fill(p->cr);
}

void draw_ring(Page *p, double x, double y, double radius, double thick, Colour ink)
{
    set_ink(p, ink);
    cairo_set_line_width(p->cr, thick);
    cairo_arc(p->cr, x, y, radius, 0, 6.283185307179586);
    cairo_stroke(p->cr);
}

VslStatus draw_pixels(Page *p, int x, int y, const Colour *pixels, int width, int height)
{
    VslStatus st = VSL_OK;
    cairo_surface_t *s = cairo_image_surface_create(CAIRO_FORMAT_RGB24, width, height);
    VSL_CHECK(cairo_surface_status(s) == CAIRO_STATUS_SUCCESS, VSL_E_NOMEM, "no memory for a panel of %d x %d pixels",
              width, height);
    cairo_surface_flush(s);
    unsigned char *data = cairo_image_surface_get_data(s);
    const int stride = cairo_image_surface_get_stride(s);
    for (int r = 0; r < height; r++) {
        memcpy(data + (int64_t)r * stride, pixels + (int64_t)r * width, (size_t)width * sizeof *pixels);
    }
    cairo_surface_mark_dirty(s);
    cairo_set_source_surface(p->cr, s, x, y);
    cairo_paint(p->cr);
out:
    cairo_surface_destroy(s);
    return st;
}

Colour blend(Colour base, Colour over, float share)
{
    Colour out = 0;
    for (int shift = 0; shift <= 16; shift += 8) {
        const float a = (float)(base >> shift & 255), b = (float)(over >> shift & 255);
        out |= (Colour)(a + share * (b - a) + 0.5f) << shift;
    }
    return out;
}

Colour grey(float value, float low, float high)
{
    if (!isfinite(value)) {
        return 0x402048;
    }
    const float t = (value - low) / (high - low);
    return blend(0x000000, 0xffffff, t < 0 ? 0 : t > 1 ? 1 : t);
}

Colour diverging(float t)
{
    static const Colour below[] = {0x1b1d22, 0x20528f, 0x4ea3e0, 0xbfe6ff};
    static const Colour above[] = {0x1b1d22, 0x9a3d14, 0xe98a2b, 0xffe3a6};
    const Colour *side = t < 0 ? below : above;
    float at = fabsf(t) * 3;
    at = at > 3 ? 3 : at;
    const int i = at >= 3 ? 2 : (int)at;
    return blend(side[i], side[i + 1], at - (float)i);
}
