/* PREFIXReport.png: what a stranger needs to see before trusting a registration. Left to right: the fixed image; the
 * moving image before and after under the edges of the fixed one; the result; the moving image's grid through the warp;
 * local volume change. Numbers, and a verdict by stated rules, stand around them. Times are left to the JSON report, so
 * that two runs draw the same picture. */
#include <math.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "cli/register.h"
#include "cli/report_draw.h"
#include "cli/report_panel.h"
#include "io/path.h"

enum {
    MARGIN = 30,
    GAP = 12,
    COLUMN = 252,   /* widest panel */
    ROW_MOST = 330, /* tallest panel */
    HEADER = 112,
    TITLES = 26,
    NUMBERS = 182,
    FOOTER = 34,
    BAR_ROOM = 84, /* right of the last column */
    PLANES = 3
};

typedef struct Scene {
    const RegisterInputs *in;
    const RegisterResults *r;
    CliAxes axes;
    int rows, columns;
    PanelView views[PLANES];
    PanelWindow fixed, moving;
    float log_range; /* of the colour bar */
    float *values[2];
    Colour *pixels;
    unsigned char *edges;
    double step_mm; /* of the drawn grid */
    double px_per_mm;
    Page page;
} Scene;

static const char *const plane_names[] = {"axial", "coronal", "sagittal"};
static const int plane_axes[PLANES][3] = {{0, 1, 2}, {0, 2, 1}, {1, 2, 0}}; /* right, up, through */
static const char *const axis_ends[3][2] = {{"L", "R"}, {"P", "A"}, {"I", "S"}};

static double shown_mm(const Scene *s, const PanelView *v, int which)
{
    double spacing[3];
    vsl_grid_spacing(spacing, &s->axes.grid);
    return (double)(v->high[which] - v->low[which] + 1) * spacing[which == 0 ? v->right : v->up];
}

/* Slices go through the middle of the labels or the mask where there are some: the middle of a whole head is its
 * neck's.
 */
static void centre_of_interest(int64_t centre[3], const Scene *s)
{
    const int32_t *labels = s->in->fixed_labels.data;
    const float *mask = s->in->fixed_mask.data;
    const int64_t *n = s->axes.grid.n, *step = s->axes.stride;
    double sum[3] = {0}, weight = 0;
    if (!labels && !mask) {
        return;
    }
    for (int64_t k = 0; k < n[2]; k++) {
        for (int64_t j = 0; j < n[1]; j++) {
            for (int64_t i = 0; i < n[0]; i++) {
                const int64_t q = s->axes.start + i * step[0] + j * step[1] + k * step[2];
                const double w = labels ? labels[q] > 0 : mask[q] > 0;
                sum[0] += w * (double)i;
                sum[1] += w * (double)j;
                sum[2] += w * (double)k;
                weight += w;
            }
        }
    }
    for (int d = 0; d < 3 && weight > 0; d++) {
        centre[d] = (int64_t)lround(sum[d] / weight);
    }
}

/* Same scale for every plane, as large as columns and rows allow. */
static void lay_out(Scene *s)
{
    int64_t low[3], high[3], centre[3];
    panel_foreground(low, high, centre, &s->axes, s->in->fixed.data, 8);
    centre_of_interest(centre, s);
    s->rows = s->axes.grid.n[2] > 1 ? PLANES : 1;
    double scale = INFINITY, longest = 0;
    for (int p = 0; p < s->rows; p++) {
        PanelView *v = &s->views[p];
        *v = (PanelView){plane_axes[p][0], plane_axes[p][1], plane_axes[p][2], 0, {0}, {0}, 0, 0};
        v->slice = centre[v->through];
        v->low[0] = low[v->right];
        v->high[0] = high[v->right];
        v->low[1] = low[v->up];
        v->high[1] = high[v->up];
        scale = fmin(scale, fmin(COLUMN / shown_mm(s, v, 0), ROW_MOST / shown_mm(s, v, 1)));
        longest = fmax(longest, fmax(shown_mm(s, v, 0), shown_mm(s, v, 1)));
    }
    for (int p = 0; p < s->rows; p++) {
        s->views[p].width = (int)fmax(8, round(scale * shown_mm(s, &s->views[p], 0)));
        s->views[p].height = (int)fmax(8, round(scale * shown_mm(s, &s->views[p], 1)));
    }
    s->px_per_mm = scale;
    /* about 24 lines along the longest side, at a round distance */
    static const double steps[] = {0.5, 1, 2, 2.5, 4, 5, 8, 10, 15, 20, 30, 50, 100};
    s->step_mm = steps[0];
    for (size_t i = 0; i < sizeof steps / sizeof steps[0] && s->step_mm < longest / 26; i++) {
        s->step_mm = steps[i];
    }
}

static int page_height(const Scene *s)
{
    int height = HEADER + TITLES + NUMBERS + FOOTER;
    for (int p = 0; p < s->rows; p++) {
        height += s->views[p].height + GAP;
    }
    return height;
}

static void orientation_marks(Scene *s, const PanelView *v, int x, int y)
{
    const double mid = y + v->height / 2.0 + 4;
    draw_text_halo(&s->page, x + 5, mid, 12, INK_FAINT, ALIGN_LEFT, axis_ends[v->right][0]);
    draw_text_halo(&s->page, x + v->width - 5, mid, 12, INK_FAINT, ALIGN_RIGHT, axis_ends[v->right][1]);
    draw_text_halo(&s->page, x + v->width / 2.0, y + 15, 12, INK_FAINT, ALIGN_CENTRE, axis_ends[v->up][1]);
}

/* "axial  z = 12 mm": the world coordinate of the slice's middle along the axis that it cuts. */
static void slice_position(Scene *s, int p, int x, int y)
{
    const PanelView *v = &s->views[p];
    double voxel[3], world[3];
    char text[64];
    voxel[v->through] = (double)v->slice;
    voxel[v->right] = 0.5 * (double)(v->low[0] + v->high[0]);
    voxel[v->up] = 0.5 * (double)(v->low[1] + v->high[1]);
    vsl_affine_point(world, &s->axes.grid.to_ras, voxel);
    snprintf(text, sizeof text, "%s, %c = %.1f mm", plane_names[p], "xyz"[v->through], world[v->through]);
    draw_text_halo(&s->page, x + 5, y + v->height - 7, 12, INK_TEXT, ALIGN_LEFT, text);
}

static VslStatus draw_image(Scene *s, const PanelView *v, const float *data, PanelWindow w, int with_edges, int x,
                            int y)
{
    panel_sample(s->values[0], v, &s->axes, data);
    for (int q = 0; q < v->width * v->height; q++) {
        const Colour c = grey(s->values[0][q], w.low, w.high);
        s->pixels[q] = with_edges && s->edges[q] ? blend(c, INK_EDGE, 0.9f) : c;
    }
    return draw_pixels(&s->page, x, y, s->pixels, v->width, v->height);
}

static VslStatus draw_grid(Scene *s, const PanelView *v, int x, int y)
{
    VslStatus st = VSL_OK;
    panel_sample(s->values[0], v, &s->axes, s->r->warped.data);
    VSL_TRY(panel_grid_lines(s->values[1], v, &s->axes, s->r->lddmm.shot.disp.data, s->step_mm));
    for (int q = 0; q < v->width * v->height; q++) {
        const Colour faint = blend(INK_PANEL, grey(s->values[0][q], s->moving.low, s->moving.high), 0.28f);
        s->pixels[q] = blend(faint, INK_GRID, 0.9f * s->values[1][q]);
    }
    VSL_TRY(draw_pixels(&s->page, x, y, s->pixels, v->width, v->height));
out:
    return st;
}

static VslStatus draw_log_jacobian(Scene *s, const PanelView *v, int x, int y)
{
    panel_sample(s->values[0], v, &s->axes, s->r->jacobian.data);
    for (int q = 0; q < v->width * v->height; q++) {
        const float j = s->values[0][q];
        s->pixels[q] = j > 0 ? diverging(logf(j) / s->log_range) : INK_FOLD;
    }
    return draw_pixels(&s->page, x, y, s->pixels, v->width, v->height);
}

static VslStatus draw_row(Scene *s, int p, int y)
{
    VslStatus st = VSL_OK;
    const PanelView *v = &s->views[p];
    double spacing[3];
    vsl_grid_spacing(spacing, &s->axes.grid);
    const double voxel_px = s->px_per_mm * fmax(spacing[v->right], spacing[v->up]);
    panel_sample(s->values[0], v, &s->axes, s->in->fixed.data);
    VSL_TRY(panel_edges(s->edges, s->values[0], v->width, v->height, fmax(1.2, 0.6 * voxel_px)));
    for (int c = 0; c < s->columns; c++) {
        const int x = MARGIN + c * (COLUMN + GAP) + (COLUMN - v->width) / 2;
        switch (c) {
        case 0: VSL_TRY(draw_image(s, v, s->in->fixed.data, s->fixed, 0, x, y)); break;
        case 1: VSL_TRY(draw_image(s, v, s->r->before.data, s->moving, 1, x, y)); break;
        case 2: VSL_TRY(draw_image(s, v, s->r->warped.data, s->moving, 1, x, y)); break;
        case 3: VSL_TRY(draw_image(s, v, s->r->warped.data, s->moving, 0, x, y)); break;
        case 4: VSL_TRY(draw_grid(s, v, x, y)); break;
        default: VSL_TRY(draw_log_jacobian(s, v, x, y)); break;
        }
        draw_frame(&s->page, x, y, v->width, v->height, INK_RULE);
        orientation_marks(s, v, x, y);
        if (c == 0) {
            slice_position(s, p, x, y);
        }
    }
out:
    return st;
}

static void column_titles(Scene *s)
{
    char grid[64];
    snprintf(grid, sizeof grid, "deformed grid, %g mm lines", s->step_mm);
    const char *const titles[] = {
        "fixed", "moving before + fixed edges", "moving after + fixed edges", "moving after", grid, "log Jacobian"};
    for (int c = 0; c < s->columns; c++) {
        draw_text(&s->page, MARGIN + c * (COLUMN + GAP) + COLUMN / 2.0, HEADER + TITLES - 10, 14, 1, INK_TEXT,
                  ALIGN_CENTRE, COLUMN, titles[c]);
    }
}

static void colour_bar(Scene *s, int y, int height)
{
    const int x = MARGIN + s->columns * (COLUMN + GAP) + 4, width = 14;
    char text[32];
    const int top = y + 34, length = height - 74;
    for (int i = 0; i < length; i++) {
        const float t = 1 - 2 * ((float)i + 0.5f) / (float)length;
        draw_box(&s->page, x, top + i, width, 1, diverging(t));
    }
    draw_frame(&s->page, x, top, width, length, INK_RULE);
    for (int i = -2; i <= 2; i++) {
        const double value = 0.5 * i * (double)s->log_range, at = top + length * (0.5 - 0.25 * i);
        draw_line(&s->page, x + width, at, x + width + 4, at, 1, INK_FAINT);
        snprintf(text, sizeof text, "%+.2g", value);
        draw_text(&s->page, x + width + 7, at - 1, 12, 0, INK_TEXT, ALIGN_LEFT, 0, i == 0 ? "0" : text);
        snprintf(text, sizeof text, "x %.2g", exp(value));
        draw_text(&s->page, x + width + 7, at + 12, 11, 0, INK_FAINT, ALIGN_LEFT, 0, text);
    }
    draw_text(&s->page, x - 2, y + 12, 11, 0, INK_FAINT, ALIGN_LEFT, 0, "moving larger");
    draw_text(&s->page, x - 2, y + height - 4, 11, 0, INK_FAINT, ALIGN_LEFT, 0, "moving smaller");
}

static const char *file_name(const char *path)
{
    const char *slash = strrchr(path, '/');
    return slash ? slash + 1 : path;
}

static void header(Scene *s, const char *fixed, const char *moving)
{
    static const Colour lights[] = {INK_GREEN, INK_YELLOW, INK_RED};
    static const char *const meanings[] = {"nothing found against it", "look closely", "do not use as it is"};
    const Verdict v = register_verdict(s->r);
    char text[1024];
    const double right = s->page.width - MARGIN;
    draw_text(&s->page, MARGIN, 44, 26, 1, INK_TEXT, ALIGN_LEFT, 0, "vesal register");
    snprintf(text, sizeof text, "fixed  %s", vsl_path_text(file_name(fixed)).text);
    draw_text(&s->page, MARGIN, 69, 14, 0, INK_FAINT, ALIGN_LEFT, 0.42 * s->page.width, text);
    snprintf(text, sizeof text, "moving  %s", vsl_path_text(file_name(moving)).text);
    draw_text(&s->page, MARGIN, 90, 14, 0, INK_FAINT, ALIGN_LEFT, 0.42 * s->page.width, text);
    snprintf(text, sizeof text, "%s", meanings[v.light]);
    const double width = text_width(&s->page, 20, 1, text);
    draw_text(&s->page, right, 44, 20, 1, lights[v.light], ALIGN_RIGHT, 0, text);
    draw_dot(&s->page, right - width - 20, 37, 10, lights[v.light]);
    /* reasons on two lines at most */
    size_t used = 0;
    double y = 69;
    text[0] = '\0';
    for (int i = 0; i < v.count; i++) {
        char next[256];
        snprintf(next, sizeof next, "%s%s", used ? "; " : "", v.reasons[i]);
        snprintf(text + used, sizeof text - used, "%s", next);
        if (text_width(&s->page, 14, 0, text) > 0.5 * s->page.width && used) {
            text[used] = '\0';
            draw_text(&s->page, right, y, 14, 0, INK_TEXT, ALIGN_RIGHT, 0, text);
            y += 21;
            snprintf(text, sizeof text, "%s", v.reasons[i]);
        }
        used = strlen(text);
    }
    draw_text(&s->page, right, y, 14, 0, INK_TEXT, ALIGN_RIGHT, 0.55 * s->page.width, text);
}

typedef struct Block { /* a column of "name  value" lines */
    Scene *s;
    double x, y, width;
} Block;

static void block_title(Block *b, const char *title)
{
    draw_text(&b->s->page, b->x, b->y, 14, 1, INK_TEXT, ALIGN_LEFT, b->width, title);
    draw_line(&b->s->page, b->x, b->y + 7.5, b->x + b->width, b->y + 7.5, 1, INK_RULE);
    b->y += 27;
}

static VSL_PRINTF(3, 4) void block_line(Block *b, const char *name, const char *fmt, ...)
{
    char text[128];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    draw_text(&b->s->page, b->x, b->y, 13, 0, INK_FAINT, ALIGN_LEFT, b->width / 2, name);
    draw_text(&b->s->page, b->x + b->width, b->y, 13, 0, INK_TEXT, ALIGN_RIGHT, 0, text);
    b->y += 21;
}

/* Ring = before, dot = after, one column per label. */
static void dice_plot(Block *b, const RegisterResults *r)
{
    Page *p = &b->s->page;
    block_title(b, "Dice: ring before, dot after");
    const double top = b->y - 6, height = 104, left = b->x + 26, width = b->width - 30;
    for (int i = 0; i <= 4; i++) {
        char text[16];
        const double y = top + height * (1 - 0.25 * i);
        draw_line(p, left, y, left + width, y, 1, INK_RULE);
        snprintf(text, sizeof text, "%.2g", 0.25 * i);
        draw_text(p, left - 6, y + 4, 11, 0, INK_FAINT, ALIGN_RIGHT, 0, text);
    }
    const double step = width / r->dice_after_count;
    const int every = (int)ceil((r->dice_after[r->dice_after_count - 1].label > 99 ? 27 : 17) / step);
    for (int i = 0; i < r->dice_after_count; i++) {
        const double x = left + step * (i + 0.5), after = r->dice_after[i].dice;
        double before = NAN;
        for (int k = 0; k < r->dice_before_count; k++) {
            before = r->dice_before[k].label == r->dice_after[i].label ? r->dice_before[k].dice : before;
        }
        const double radius = fmin(4, fmax(1.5, 0.35 * step));
        if (isfinite(after) && isfinite(before)) {
            draw_line(p, x, top + height * (1 - before), x, top + height * (1 - after), 1.5,
                      after >= before ? INK_GREEN : INK_RED);
        }
        if (isfinite(before)) {
            draw_ring(p, x, top + height * (1 - before), radius, 1.2, INK_FAINT);
        }
        if (isfinite(after)) {
            draw_dot(p, x, top + height * (1 - after), radius, after >= before ? INK_GREEN : INK_RED);
        }
        if (i % every == 0) {
            char text[16];
            snprintf(text, sizeof text, "%d", (int)r->dice_after[i].label);
            draw_text(p, x, top + height + 14, 10, 0, INK_FAINT, ALIGN_CENTRE, 0, text);
        }
    }
}

/* The affine in words: how far it turns, moves the middle of the fixed grid, and changes volumes. */
static void linear_block(Block *b, const Scene *s)
{
    const VslAffine *a = &s->r->linear;
    const VslGrid *g = &s->axes.grid;
    double linear[3][3], turn[3][3], centre[3], moved[3], shift = 0;
    const double middle[3] = {0.5 * (double)(g->n[0] - 1), 0.5 * (double)(g->n[1] - 1), 0.5 * (double)(g->n[2] - 1)};
    for (int r = 0; r < 3; r++) {
        memcpy(linear[r], a->m[r], sizeof linear[r]);
    }
    vsl_mat3_polar(turn, (const double(*)[3])linear); /* C17 does not add the const by itself */
    vsl_affine_point(centre, &g->to_ras, middle);
    vsl_affine_point(moved, a, centre);
    for (int r = 0; r < 3; r++) {
        shift += (moved[r] - centre[r]) * (moved[r] - centre[r]);
    }
    const double cosine = 0.5 * (turn[0][0] + turn[1][1] + turn[2][2] - 1);
    block_title(b, "Affine, fixed to moving points");
    block_line(b, "rotation", "%.2f degrees", acos(fmax(-1, fmin(1, cosine))) * 57.29577951308232);
    block_line(b, "shift of the middle", "%.2f mm", sqrt(shift));
    block_line(b, "volume factor", "%.4f", vsl_affine_det(a));
}

static void numbers(Scene *s, int y)
{
    const RegisterResults *r = s->r;
    const int deforms = (r->stages & REGISTER_LDDMM) != 0, has_labels = r->dice_after_count > 0;
    const int blocks = 2 + has_labels + deforms;
    const double gap = 44, room = s->page.width - 2 * MARGIN;
    const double width = fmin(420, (room - gap * (blocks - 1)) / blocks);
    Block b = {s, MARGIN, y + 22, width};
    block_title(&b, "Likeness");
    if (deforms) {
        block_line(&b, "similarity", "%.4g to %.4g", r->lddmm.similarity_before, r->lddmm.similarity_after);
    } else {
        block_line(&b, "similarity", "%.4g to %.4g", register_linear_before(r), register_linear_after(r));
    }
    block_line(&b, "metric", "%s", r->metric);
    block_line(&b, "correlation", "%.3f to %.3f", r->correlation_before, r->correlation_after);
    if (has_labels) {
        block_line(&b, "mean Dice", "%.3f to %.3f", r->mean_dice_before, r->mean_dice_after);
        block_line(&b, "labels", "%d", r->dice_after_count);
        b = (Block){s, b.x + width + gap, y + 22, width};
        dice_plot(&b, r);
    }
    if (deforms) {
        const VslJacobianStats *j = &r->jacobian_stats;
        b = (Block){s, b.x + width + gap, y + 22, width};
        block_title(&b, "Volume change (Jacobian determinant)");
        block_line(&b, "folded voxels", "%lld of %lld", (long long)j->folds, (long long)j->voxels);
        block_line(&b, "least, 0.1 %", "%.3f, %.3f", j->min, j->p001);
        block_line(&b, "median", "%.3f", j->median);
        block_line(&b, "99.9 %, most", "%.2f, %.2f", j->p999, j->max);
        block_line(&b, "sd of log", "%.3f", j->sd_log);
        b = (Block){s, b.x + width + gap, y + 22, width};
        block_title(&b, "Geodesic and inverse");
        block_line(&b, "length", "%.4g", r->lddmm.shot.length_mm);
        block_line(&b, "energy drift", "%.1e", r->lddmm.shot.energy_drift);
        block_line(&b, "inverse error, mean", "%.4f mm = %.4f voxel", r->inverse.mean_mm, r->inverse.mean_vox);
        block_line(&b, "inverse error, 95 %", "%.3f mm", r->inverse.p95_mm);
        block_line(&b, "inverse error, most", "%.3f mm", r->inverse.max_mm);
    } else {
        b = (Block){s, b.x + width + gap, y + 22, width};
        linear_block(&b, s);
    }
}

/* Largest angle between a voxel axis and its world axis, degrees. */
static double tilt_degrees(const VslGrid *g)
{
    double spacing[3], most = 0;
    vsl_grid_spacing(spacing, g);
    for (int d = 0; d < 3; d++) {
        most = fmax(most, acos(fmin(1, fabs(g->to_ras.m[d][d]) / spacing[d])) * 57.29577951308232);
    }
    return most;
}

static void footer(Scene *s)
{
    char text[512], tilt[96] = "";
    const double angle = tilt_degrees(&s->axes.grid);
    if (angle > 0.5) {
        snprintf(tilt, sizeof tilt, " The fixed grid is tilted by %.0f degrees; slices follow it.", angle);
    }
    snprintf(text, sizeof text,
             "Neurological display: the subject's left is on the left.%s Research use, not for diagnosis.", tilt);
    draw_text(&s->page, MARGIN, s->page.height - 16, 12, 0, INK_FAINT, ALIGN_LEFT, 0, text);
    snprintf(text, sizeof text, "vesal %s", cli_version());
    draw_text(&s->page, s->page.width - MARGIN, s->page.height - 16, 12, 0, INK_FAINT, ALIGN_RIGHT, 0, text);
}

/* The smallest round range that holds all but 0.2 % of the map. */
static float log_range(const VslJacobianStats *j)
{
    static const float ranges[] = {0.1f, 0.2f, 0.5f, 1.0f, 1.5f, 2.0f, 3.0f};
    const double most = fmax(fabs(log(fmax(j->p001, 1e-3))), fabs(log(fmax(j->p999, 1e-3))));
    size_t i = 0;
    while (i + 1 < sizeof ranges / sizeof ranges[0] && (double)ranges[i] < most) {
        i++;
    }
    return ranges[i];
}

static VslStatus prepare(Scene *s)
{
    VslStatus st = VSL_OK;
    const int deforms = (s->r->stages & REGISTER_LDDMM) != 0;
    enum { MOST_PIXELS = (COLUMN + 1) * (ROW_MOST + 1) };
    VSL_TRY(cli_axes(&s->axes, &s->in->fixed.grid, "RAS"));
    s->columns = deforms ? 6 : 4;
    s->log_range = deforms ? log_range(&s->r->jacobian_stats) : 1;
    lay_out(s);
    VSL_TRY(panel_window(&s->fixed, s->in->fixed.data, vsl_grid_voxels(&s->in->fixed.grid)));
    VSL_TRY(panel_window(&s->moving, s->r->warped.data, vsl_grid_voxels(&s->in->fixed.grid)));
    for (int i = 0; i < 2; i++) {
        VSL_TRY(VSL_NEW(&s->values[i], MOST_PIXELS, "a panel"));
    }
    VSL_TRY(VSL_NEW(&s->pixels, MOST_PIXELS, "a panel"));
    VSL_TRY(VSL_NEW(&s->edges, MOST_PIXELS, "a panel"));
    const int width = 2 * MARGIN + s->columns * (COLUMN + GAP) - GAP + (deforms ? BAR_ROOM : 0);
    VSL_TRY(page_open(&s->page, width, page_height(s)));
out:
    return st;
}

VslStatus register_write_picture(const char *path, const RegisterInputs *in, const RegisterResults *r,
                                 const char *fixed, const char *moving)
{
    VslStatus st = VSL_OK;
    Scene s = {.in = in, .r = r};
    VSL_TRY(prepare(&s));
    header(&s, fixed, moving);
    column_titles(&s);
    int y = HEADER + TITLES;
    for (int p = 0; p < s.rows; p++) {
        VSL_TRY(draw_row(&s, p, y));
        y += s.views[p].height + GAP;
    }
    if (r->stages & REGISTER_LDDMM) {
        colour_bar(&s, HEADER + TITLES, y - GAP - HEADER - TITLES);
    }
    numbers(&s, y);
    footer(&s);
    VSL_TRY(page_write(&s.page, path));
out:
    page_close(&s.page);
    vsl_free(s.values[0]);
    vsl_free(s.values[1]);
    vsl_free(s.pixels);
    vsl_free(s.edges);
    return st;
}
