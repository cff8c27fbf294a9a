/* The picture of a training run out of its log: the loss of every record, the same smoothed, and the validations. */
#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "cli/report_draw.h"
#include "cli/train_run.h"
#include "core/memory.h"
#include "io/file_in.h"

enum { WIDTH = 900, HEIGHT = 560, LEFT = 92, RIGHT = 28, TOP = 64, BOTTOM = 62, MOST_TICKS = 12, SMOOTHED_PART = 50 };

static const double log_scale_from = 20;

typedef struct Curve {
    int64_t count;
    double *step, *loss, *validation; /* NAN: none */
} Curve;

typedef struct Axes {
    double x0, x1, y0, y1; /* y as drawn: its logarithm when is_log */
    int is_log;
} Axes;

static VslStatus read_curve(Curve *out, const char *path)
{
    static const int64_t most = (int64_t)1 << 32;
    VslStatus st = VSL_OK;
    Curve c = {0};
    char *text = NULL;
    int64_t count = 0, lines = 0;

    VSL_TRY(vsl_file_in_whole(&text, &count, path, most));
    for (const char *at = text; (at = strchr(at, '\n')) != NULL; at++) {
        lines++;
    }
    VSL_TRY(VSL_NEW(&c.step, lines + 1, "log"));
    VSL_TRY(VSL_NEW(&c.loss, lines + 1, "log"));
    VSL_TRY(VSL_NEW(&c.validation, lines + 1, "log"));
    for (const char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        json_t *r = json_loadb(line, (size_t)(end - line), 0, NULL);
        const json_t *step = json_object_get(r, "step"), *loss = json_object_get(r, "loss"),
                     *validation = json_object_get(r, "validation");
        if (json_is_integer(step) && json_is_number(loss)) {
            c.step[c.count] = (double)json_integer_value(step);
            c.loss[c.count] = json_number_value(loss);
            c.validation[c.count++] = json_is_number(validation) ? json_number_value(validation) : NAN;
        }
        json_decref(r);
    }
    *out = c;
    c = (Curve){0};
out:
    vsl_free(text);
    vsl_free(c.step);
    vsl_free(c.loss);
    vsl_free(c.validation);
    return st;
}

static double scaled(const Axes *a, double y)
{
    return a->is_log ? log10(fmax(y, 1e-12)) : y;
}

static double place_x(const Axes *a, double x)
{
    return LEFT + (WIDTH - LEFT - RIGHT) * (x - a->x0) / (a->x1 - a->x0);
}

static double place_y(const Axes *a, double y)
{
    return HEIGHT - BOTTOM - (HEIGHT - TOP - BOTTOM) * (scaled(a, y) - a->y0) / (a->y1 - a->y0);
}

/* 1, 2 or 5 times a power of ten: about `wanted` steps over the range. */
static double tick_step(double range, int wanted)
{
    const double raw = range / wanted, power = pow(10, floor(log10(raw))), part = raw / power;
    return power * (part <= 1 ? 1 : part <= 2 ? 2 : part <= 5 ? 5 : 10);
}

static Axes make_axes(const Curve *c)
{
    Axes a = {.x0 = 0, .x1 = c->count ? fmax(c->step[c->count - 1], 1) : 1};
    double low = INFINITY, high = -INFINITY;
    for (int64_t i = 0; i < c->count; i++) {
        low = fmin(low, fmin(c->loss[i], c->validation[i])); /* fmin passes NAN over */
        high = fmax(high, fmax(c->loss[i], c->validation[i]));
    }
    if (!(low < high)) {
        low = isfinite(low) ? low - 1 : 0;
        high = low + 2;
    }
    a.is_log = low > 0 && high / low > log_scale_from;
    const double bottom = scaled(&a, low), top = scaled(&a, high), margin = 0.04 * (top - bottom);
    a.y0 = !a.is_log && low > 0 && low < 0.3 * high ? 0 : bottom - margin;
    a.y1 = top + margin;
    return a;
}

static void draw_tick_y(Page *p, const Axes *a, double y)
{
    char text[32];
    const double at = place_y(a, y);
    if (at < TOP - 1 || at > HEIGHT - BOTTOM + 1) {
        return;
    }
    snprintf(text, sizeof text, "%g", y);
    draw_line(p, LEFT, at, WIDTH - RIGHT, at, 1, INK_RULE);
    draw_text(p, LEFT - 10, at + 5, 14, 0, INK_FAINT, ALIGN_RIGHT, 0, text);
}

static void draw_axes(Page *p, const Axes *a)
{
    static const double parts[] = {1, 2, 5};
    char text[32];
    if (a->is_log) {
        for (double power = floor(a->y0); power <= a->y1; power++) {
            for (int k = 0; k < 3; k++) {
                draw_tick_y(p, a, parts[k] * pow(10, power));
            }
        }
    } else {
        const double step = tick_step(a->y1 - a->y0, 6);
        for (int k = 0; k < MOST_TICKS; k++) {
            draw_tick_y(p, a, (ceil(a->y0 / step) + k) * step);
        }
    }
    const double step = fmax(tick_step(a->x1, 8), 1);
    for (int k = 0; k < MOST_TICKS && k * step <= a->x1 * 1.0001; k++) {
        const double at = place_x(a, k * step);
        snprintf(text, sizeof text, "%.0f", k * step);
        draw_line(p, at, HEIGHT - BOTTOM, at, HEIGHT - BOTTOM + 5, 1, INK_FAINT);
        draw_text(p, at, HEIGHT - BOTTOM + 22, 14, 0, INK_FAINT, ALIGN_CENTRE, 0, text);
    }
    draw_frame(p, LEFT, TOP, WIDTH - LEFT - RIGHT, HEIGHT - TOP - BOTTOM, INK_RULE);
    draw_text(p, LEFT + (WIDTH - LEFT - RIGHT) / 2.0, HEIGHT - 16, 15, 0, INK_TEXT, ALIGN_CENTRE, 0, "step");
    draw_text(p, 14, TOP - 14, 15, 0, INK_TEXT, ALIGN_LEFT, 0, a->is_log ? "loss (logarithmic)" : "loss");
}

/* The mean of the records around i: as many on either side. */
static double smoothed(const Curve *c, int64_t i)
{
    int64_t half = c->count / SMOOTHED_PART;
    half = i < half ? i : half;
    half = c->count - 1 - i < half ? c->count - 1 - i : half;
    double sum = 0;
    for (int64_t k = i - half; k <= i + half; k++) {
        sum += c->loss[k];
    }
    return sum / (double)(2 * half + 1);
}

static void draw_curve(Page *p, const Axes *a, const Curve *c)
{
    for (int64_t i = 1; i < c->count; i++) {
        draw_line(p, place_x(a, c->step[i - 1]), place_y(a, c->loss[i - 1]), place_x(a, c->step[i]),
                  place_y(a, c->loss[i]), 1, 0x40606c);
    }
    for (int64_t i = 1; i < c->count; i++) {
        draw_line(p, place_x(a, c->step[i - 1]), place_y(a, smoothed(c, i - 1)), place_x(a, c->step[i]),
                  place_y(a, smoothed(c, i)), 2.2, INK_GRID);
    }
    double last_x = NAN, last_y = NAN;
    for (int64_t i = 0; i < c->count; i++) {
        if (!isnan(c->validation[i])) {
            const double x = place_x(a, c->step[i]), y = place_y(a, c->validation[i]);
            if (!isnan(last_x)) {
                draw_line(p, last_x, last_y, x, y, 1.4, INK_EDGE);
            }
            draw_dot(p, x, y, 3.5, INK_EDGE);
            last_x = x;
            last_y = y;
        }
    }
}

static void draw_legend(Page *p, int has_validation)
{
    double x = WIDTH - RIGHT;
    if (has_validation) {
        const char *word = "validation, average of the weights";
        draw_text(p, x, TOP - 14, 14, 0, INK_TEXT, ALIGN_RIGHT, 0, word);
        x -= text_width(p, 14, 0, word) + 12;
        draw_dot(p, x, TOP - 19, 4, INK_EDGE);
        x -= 26;
    }
    const char *word = "training, smoothed";
    draw_text(p, x, TOP - 14, 14, 0, INK_TEXT, ALIGN_RIGHT, 0, word);
    x -= text_width(p, 14, 0, word) + 8;
    draw_line(p, x - 22, TOP - 19, x, TOP - 19, 2.2, INK_GRID);
}

VslStatus cli_loss_picture(const char *png_path, const char *log_path, const char *title)
{
    VslStatus st = VSL_OK;
    Curve c = {0};
    Page p = {0};
    int has_validation = 0;

    VSL_TRY(read_curve(&c, log_path));
    VSL_TRY(page_open(&p, WIDTH, HEIGHT));
    draw_text(&p, LEFT, 28, 18, 1, INK_TEXT, ALIGN_LEFT, WIDTH - LEFT - RIGHT, title);
    const Axes a = make_axes(&c);
    draw_axes(&p, &a);
    for (int64_t i = 0; i < c.count; i++) {
        has_validation = has_validation || !isnan(c.validation[i]);
    }
    if (c.count > 0) {
        draw_curve(&p, &a, &c);
    }
    draw_legend(&p, has_validation);
    VSL_TRY(page_write(&p, png_path));
out:
    page_close(&p);
    vsl_free(c.step);
    vsl_free(c.loss);
    vsl_free(c.validation);
    return st;
}
