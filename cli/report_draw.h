/**
 * Drawing for report pictures over cairo: text, pixel panels, colour bars, blocks of numbers. One dark page; the file's
 * bytes depend only on what is drawn. @test cli/
 */
#ifndef VSL_CLI_REPORT_DRAW_H
#define VSL_CLI_REPORT_DRAW_H

#include <cairo.h>
#include <stdint.h>

#include "core/status.h"

typedef uint32_t Colour; /* 0xRRGGBB */
enum {
    INK_PAGE = 0x14161b,
    INK_PANEL = 0x000000,
    INK_TEXT = 0xe8eaee,
    INK_FAINT = 0x9aa1ad,
    INK_RULE = 0x333842,
    INK_EDGE = 0xffb02e,
    INK_GRID = 0x6fd3c7,
    INK_FOLD = 0xff2bd6,
    INK_GREEN = 0x4cc26a,
    INK_YELLOW = 0xf2c230,
    INK_RED = 0xf0524a
};

typedef struct Page {
    cairo_surface_t *surface;
    cairo_t *cr;
    int width, height;
} Page;

VSL_MUST_USE VslStatus page_open(Page *out, int width, int height);
void page_close(Page *p);
/** PNG without times or names, whole or not at all. */
VSL_MUST_USE VslStatus page_write(const Page *p, const char *path);

typedef enum Align { ALIGN_LEFT, ALIGN_CENTRE, ALIGN_RIGHT } Align;
/** One line of text whose base line starts, is centred or ends at (x, y); shortened with "..." to fit `room` pixels
 * (0 = any). */
void draw_text(Page *p, double x, double y, double size, int bold, Colour ink, Align align, double room,
               const char *text);
/** Bold text over an image: outlined in black so that it can be read on any grey. */
void draw_text_halo(Page *p, double x, double y, double size, Colour ink, Align align, const char *text);
double text_width(Page *p, double size, int bold, const char *text);
void draw_box(Page *p, double x, double y, double w, double h, Colour ink);
void draw_frame(Page *p, double x, double y, double w, double h, Colour ink);
void draw_line(Page *p, double x0, double y0, double x1, double y1, double thick, Colour ink);
void draw_dot(Page *p, double x, double y, double radius, Colour ink);
void draw_ring(Page *p, double x, double y, double radius, double thick, Colour ink);
/** width * height colours at whole pixels. */
VSL_MUST_USE VslStatus draw_pixels(Page *p, int x, int y, const Colour *pixels, int width, int height);

/** base with `over` laid on it, share 0..1. */
Colour blend(Colour base, Colour over, float share);
Colour grey(float value, float low, float high);
/** Diverging map with a dark middle: t = -1 light blue, 0 nearly black, 1 light orange. */
Colour diverging(float t);

#endif
