/* Two panels side by side: the film with a contour a structure, and the film with its uncertainty laid over it. */
#include "cli/segment_picture.h"

#include <math.h>
#include <string.h>

#include "cli/report_draw.h"
#include "core/memory.h"

enum { PANEL = 560, EDGE = 16, HEAD = 40, FOOT = 64 };
static const float most_spread = 0.25F; /* of the colour bar; a probability's sd is at most 0.5 */

static const Colour inks[] = {0xff6b5e, 0x58c4ff, 0xffd23f, 0x7be07b, 0xe58bff, 0xff9f43, 0x48e5c2, 0xf78fb3};
enum { INKS = sizeof inks / sizeof *inks };

typedef struct Panel { /* of one slice of the film */
    int width, height;
    double scale; /* film pixels a panel pixel, along i */
    double tall;  /* likewise along j: pixels need not be square */
    int64_t n[3], slice;
    Colour *pixels;
} Panel;

/* Linear interpolation of a plane at a panel pixel's centre, the border held. */
static float at(const Panel *p, const float *volume, int x, int y)
{
    const double u = fmin(fmax((x + 0.5) * p->scale - 0.5, 0), (double)(p->n[0] - 1));
    const double v = fmin(fmax((y + 0.5) * p->tall - 0.5, 0), (double)(p->n[1] - 1));
    const int64_t i = (int64_t)u, j = (int64_t)v, i1 = i + 1 < p->n[0] ? i + 1 : i, j1 = j + 1 < p->n[1] ? j + 1 : j;
    const float *plane = volume + p->slice * p->n[0] * p->n[1];
    const float a = (float)(u - (double)i), b = (float)(v - (double)j);
    return (1 - b) * ((1 - a) * plane[j * p->n[0] + i] + a * plane[j * p->n[0] + i1]) +
           b * ((1 - a) * plane[j1 * p->n[0] + i] + a * plane[j1 * p->n[0] + i1]);
}

static VslStatus panel_new(Panel *out, const CliFilm *f)
{
    VslStatus st = VSL_OK;
    Panel p = {.slice = f->image.grid.n[2] / 2};
    double mm[3];
    memcpy(p.n, f->image.grid.n, sizeof p.n);
    vsl_grid_spacing(mm, &f->image.grid);
    const double wide = (double)p.n[0] * mm[0], high = (double)p.n[1] * mm[1], longest = fmax(wide, high);
    p.width = (int)fmax(1, round(PANEL * wide / longest));
    p.height = (int)fmax(1, round(PANEL * high / longest));
    p.scale = (double)p.n[0] / p.width;
    p.tall = (double)p.n[1] / p.height;
    VSL_TRY(VSL_NEW(&p.pixels, (int64_t)p.width * p.height, "a panel of the picture"));
    *out = p;
out:
    return st;
}

static void paint_film(Panel *p, const CliFilm *f, float brightness)
{
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            const double g = ((double)at(p, f->image.data, x, y) - f->fit.low) / (f->fit.high - f->fit.low);
            p->pixels[y * p->width + x] = grey(brightness * (float)g, 0, 1);
        }
    }
}

/* Where the probability crosses one half between a pixel and one of the next two. */
static void paint_contour(Panel *p, const float *probability, Colour ink)
{
    for (int y = 0; y + 2 < p->height; y++) {
        for (int x = 0; x + 2 < p->width; x++) {
            const int here = at(p, probability, x, y) >= 0.5F;
            if (here != (at(p, probability, x + 2, y) >= 0.5F) || here != (at(p, probability, x, y + 2) >= 0.5F)) {
                p->pixels[(y + 1) * p->width + x + 1] = ink;
            }
        }
    }
}

static void paint_spread(Panel *p, const CliFilm *f, int structures)
{
    const int64_t voxels = vsl_grid_voxels(&f->image.grid);
    for (int y = 0; y < p->height; y++) {
        for (int x = 0; x < p->width; x++) {
            float most = 0;
            for (int k = 0; k < structures; k++) {
                most = fmaxf(most, at(p, f->spread.data + k * voxels, x, y));
            }
            Colour *c = &p->pixels[y * p->width + x];
            *c = blend(*c, INK_EDGE, fminf(most / most_spread, 1));
        }
    }
}

static void draw_names(Page *page, const CliSegmenter *m, double y)
{
    double x = EDGE;
    for (int k = 0; k < m->setup.structures; k++) {
        char name[64];
        snprintf(name, sizeof name, "%s", m->structures.name[k]);
        for (char *c = name; *c; c++) {
            *c = *c == '_' ? ' ' : *c;
        }
        const double width = 22 + text_width(page, 13, 0, name) + 16;
        if (x + width > page->width - EDGE && x > EDGE) {
            x = EDGE;
            y += 20;
        }
        draw_box(page, x, y - 10, 14, 10, inks[k % INKS]);
        draw_text(page, x + 20, y, 13, 0, INK_TEXT, ALIGN_LEFT, 0, name);
        x += width;
    }
}

static void draw_bar(Page *page, double right, double y)
{
    char text[32];
    const int width = 120;
    snprintf(text, sizeof text, "%.2f", (double)most_spread);
    for (int i = 0; i < width; i++) {
        draw_box(page, right - 40 - width + i, y - 10, 1, 10, blend(0x303030, INK_EDGE, (float)i / (float)width));
    }
    draw_text(page, right - 46 - width, y, 12, 0, INK_FAINT, ALIGN_RIGHT, 0, "0");
    draw_text(page, right - 34, y, 12, 0, INK_FAINT, ALIGN_LEFT, 0, text);
}

VslStatus cli_segment_picture(const char *path, const CliFilm *f, const CliSegmenter *m, const char *title)
{
    VslStatus st = VSL_OK;
    Panel p = {0};
    Page page = {0};
    const int64_t voxels = vsl_grid_voxels(&f->image.grid);
    VSL_TRY(panel_new(&p, f));
    VSL_TRY(page_open(&page, 2 * p.width + 3 * EDGE, HEAD + p.height + FOOT));
    draw_text(&page, EDGE, 26, 15, 1, INK_TEXT, ALIGN_LEFT, p.width, title);
    draw_text(&page, p.width + 2 * EDGE, 26, 13, 0, INK_FAINT, ALIGN_LEFT, p.width,
              m->level_count > 1 ? "disagreement of the noise levels: sd of the probability"
                                 : "one noise level: no sd");
    paint_film(&p, f, 1);
    for (int k = 0; k < m->setup.structures; k++) {
        paint_contour(&p, f->probability.data + k * voxels, inks[k % INKS]);
    }
    VSL_TRY(draw_pixels(&page, EDGE, HEAD, p.pixels, p.width, p.height));
    paint_film(&p, f, 0.5F);
    paint_spread(&p, f, m->setup.structures);
    VSL_TRY(draw_pixels(&page, p.width + 2 * EDGE, HEAD, p.pixels, p.width, p.height));
    draw_names(&page, m, HEAD + p.height + 24);
    draw_bar(&page, page.width - EDGE, HEAD + p.height + 24);
    VSL_TRY(page_write(&page, path));
out:
    page_close(&page);
    vsl_free(p.pixels);
    return st;
}
