/* See the header. Edges: Canny, IEEE PAMI 1986 (non-maximum suppression, two thresholds). */
#include "cli/report_panel.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

static int compare_floats(const void *a, const void *b)
{
    const float x = *(const float *)a, y = *(const float *)b;
    return (x > y) - (x < y);
}

/* A regular subsample of finite values, sorted; at most `most`. */
static int64_t sorted_sample(float *out, int64_t most, const float *data, int64_t count)
{
    const int64_t step = count / most + 1;
    int64_t n = 0;
    for (int64_t i = 0; i < count; i += step) {
        if (isfinite(data[i])) {
            out[n++] = data[i];
        }
    }
    qsort(out, (size_t)n, sizeof *out, compare_floats);
    return n;
}

VslStatus panel_window(PanelWindow *out, const float *data, int64_t count)
{
    VslStatus st = VSL_OK;
    enum { MOST = 200000 };
    float *sample = NULL;
    VSL_TRY(VSL_NEW(&sample, MOST, "a sample of intensities"));
    int64_t n = sorted_sample(sample, MOST - 1, data, count);
    PanelWindow w = {0, 1};
    if (n > 0) {
        /* background is the most common low value of medical images: leave the smallest one out */
        int64_t first = 0;
        while (first < n && sample[first] == sample[0]) {
            first++;
        }
        first = first < n ? first : 0;
        w.low = sample[0];
        w.high = sample[first + (int64_t)(0.985 * (double)(n - 1 - first))];
        w.high = w.high > w.low ? w.high : w.low + 1;
    }
    *out = w;
out:
    vsl_free(sample);
    return st;
}

static int64_t index_of(const CliAxes *a, int64_t i, int64_t j, int64_t k)
{
    return a->start + i * a->stride[0] + j * a->stride[1] + k * a->stride[2];
}

void panel_foreground(int64_t low[3], int64_t high[3], int64_t centre[3], const CliAxes *axes, const float *data,
                      double margin_mm)
{
    const int64_t *n = axes->grid.n;
    const int64_t count = vsl_grid_voxels(&axes->grid);
    double spacing[3], smallest = INFINITY, largest = -INFINITY, weight = 0, sum[3] = {0};
    for (int64_t q = 0; q < count; q++) {
        if (isfinite(data[q])) {
            smallest = fmin(smallest, (double)data[q]);
            largest = fmax(largest, (double)data[q]);
        }
    }
    const double threshold = smallest + 0.1 * (largest - smallest);
    for (int d = 0; d < 3; d++) {
        low[d] = n[d];
        high[d] = -1;
    }
    for (int64_t k = 0; k < n[2]; k++) {
        for (int64_t j = 0; j < n[1]; j++) {
            for (int64_t i = 0; i < n[0]; i++) {
                const double value = (double)data[index_of(axes, i, j, k)];
                if (!(value > threshold)) {
                    continue;
                }
                const int64_t at[3] = {i, j, k};
                weight += 1;
                for (int d = 0; d < 3; d++) {
                    low[d] = at[d] < low[d] ? at[d] : low[d];
                    high[d] = at[d] > high[d] ? at[d] : high[d];
                    sum[d] += (double)at[d];
                }
            }
        }
    }
    vsl_grid_spacing(spacing, &axes->grid);
    for (int d = 0; d < 3; d++) {
        const int64_t margin = (int64_t)ceil(margin_mm / spacing[d]);
        low[d] = weight > 0 && low[d] > margin ? low[d] - margin : 0;
        high[d] = weight > 0 && high[d] + margin < n[d] - 1 ? high[d] + margin : n[d] - 1;
        centre[d] = weight > 0 ? (int64_t)lround(sum[d] / weight) : n[d] / 2;
    }
}

/* Position along one axis -> lower voxel and weight of the upper one, clamped to the array. */
static void split(double at, int64_t n, int64_t *lower, float *upper_weight)
{
    at = at < 0 ? 0 : at > (double)(n - 1) ? (double)(n - 1) : at;
    *lower = (int64_t)at;
    if (*lower > n - 2 && n > 1) {
        *lower = n - 2;
    }
    *upper_weight = n > 1 ? (float)(at - (double)*lower) : 0;
}

/* Voxel coordinates of a pixel's centre along right and up. */
static double right_of(const PanelView *v, int x)
{
    return (double)v->low[0] - 0.5 + (x + 0.5) / v->width * (double)(v->high[0] - v->low[0] + 1);
}

static double up_of(const PanelView *v, int y)
{
    return (double)v->high[1] + 0.5 - (y + 0.5) / v->height * (double)(v->high[1] - v->low[1] + 1);
}

void panel_sample(float *out, const PanelView *view, const CliAxes *axes, const float *data)
{
    const int64_t nr = axes->grid.n[view->right], nu = axes->grid.n[view->up];
    const int64_t sr = nr > 1 ? axes->stride[view->right] : 0, su = nu > 1 ? axes->stride[view->up] : 0;
    const float *slice = data + axes->start + view->slice * axes->stride[view->through];
    for (int y = 0; y < view->height; y++) {
        int64_t u;
        float wu;
        split(up_of(view, y), nu, &u, &wu);
        for (int x = 0; x < view->width; x++) {
            int64_t r;
            float wr;
            split(right_of(view, x), nr, &r, &wr);
            const float *p = slice + r * axes->stride[view->right] + u * axes->stride[view->up];
            const float bottom = p[0] + wr * (p[sr] - p[0]), top = p[su] + wr * (p[su + sr] - p[su]);
            out[(int64_t)y * view->width + x] = bottom + wu * (top - bottom);
        }
    }
}

VslStatus panel_grid_lines(float *out, const PanelView *view, const CliAxes *axes, const float *disp, double step_mm)
{
    VslStatus st = VSL_OK;
    const int64_t voxels = vsl_grid_voxels(&axes->grid);
    const int pixels = view->width * view->height, shown[2] = {view->right, view->up};
    float *u[3] = {NULL}, *position[2] = {NULL};
    double spacing[3];
    VslAffine to_voxel;
    vsl_grid_spacing(spacing, &axes->grid);
    VSL_TRY(vsl_grid_from_ras(&to_voxel, &axes->grid));
    for (int c = 0; c < 3; c++) {
        VSL_TRY(VSL_NEW(&u[c], pixels, "a panel"));
        panel_sample(u[c], view, axes, disp + c * voxels);
    }
    for (int s = 0; s < 2; s++) { /* where in the moving space, mm along the panel's axis */
        const double *row = to_voxel.m[shown[s]];
        VSL_TRY(VSL_NEW(&position[s], pixels, "a panel"));
        for (int q = 0; q < pixels; q++) {
            const double voxel = s == 0 ? right_of(view, q % view->width) : up_of(view, q / view->width);
            const double shift = row[0] * (double)u[0][q] + row[1] * (double)u[1][q] + row[2] * (double)u[2][q];
            position[s][q] = (float)((voxel + shift) * spacing[shown[s]]);
        }
    }
    memset(out, 0, (size_t)pixels * sizeof *out);
    for (int s = 0; s < 2; s++) {
        for (int y = 0; y < view->height; y++) {
            for (int x = 0; x < view->width; x++) {
                const int x0 = x > 0 ? x - 1 : x, x1 = x + 1 < view->width ? x + 1 : x;
                const int y0 = y > 0 ? y - 1 : y, y1 = y + 1 < view->height ? y + 1 : y;
                const float *p = position[s];
                const int w = view->width;
                const double dx = (double)(p[y * w + x1] - p[y * w + x0]) / (x1 > x0 ? x1 - x0 : 1);
                const double dy = (double)(p[y1 * w + x] - p[y0 * w + x]) / (y1 > y0 ? y1 - y0 : 1);
                const double at = (double)p[y * w + x] / step_mm, away = fabs(at - round(at)) * step_mm;
                const double pixels_away = away / fmax(sqrt(dx * dx + dy * dy), 1e-6);
                const float near = (float)fmax(0, 1.2 - pixels_away);
                out[y * w + x] = fmaxf(out[y * w + x], near > 1 ? 1 : near);
            }
        }
    }
out:
    for (int c = 0; c < 3; c++) {
        vsl_free(u[c]);
    }
    vsl_free(position[0]);
    vsl_free(position[1]);
    return st;
}

enum { MOST_RADIUS = 64 };

/* One pass of a Gaussian along lines of `stride`, borders repeated. */
static void blur(float *out, const float *in, int lines, int line_stride, int n, int stride, double sigma)
{
    float taps[2 * MOST_RADIUS + 1], weight = 0;
    const int radius = (int)fmin(ceil(3 * sigma), MOST_RADIUS);
    for (int t = -radius; t <= radius; t++) {
        taps[t + radius] = (float)exp(-0.5 * t * t / (sigma * sigma));
        weight += taps[t + radius];
    }
    for (int l = 0; l < lines; l++) {
        for (int i = 0; i < n; i++) {
            float sum = 0;
            for (int t = -radius; t <= radius; t++) {
                const int at = i + t < 0 ? 0 : i + t >= n ? n - 1 : i + t;
                sum += taps[t + radius] * in[l * line_stride + at * stride];
            }
            out[l * line_stride + i * stride] = sum / weight;
        }
    }
}

/* Gradient length where it is a ridge across the edge, else 0. */
static void ridges(float *out, const float *p, int width, int height)
{
    memset(out, 0, (size_t)width * (size_t)height * sizeof *out);
    for (int y = 2; y < height - 2; y++) {
        for (int x = 2; x < width - 2; x++) {
            float length[3];
            const float gx = p[y * width + x + 1] - p[y * width + x - 1];
            const float gy = p[(y + 1) * width + x] - p[(y - 1) * width + x];
            const int along_x = fabsf(gx) > fabsf(gy),
                      diagonal = fminf(fabsf(gx), fabsf(gy)) > 0.414f * fmaxf(fabsf(gx), fabsf(gy));
            const int sx = diagonal || along_x ? (gx > 0 ? 1 : -1) : 0;
            const int sy = diagonal || !along_x ? (gy > 0 ? 1 : -1) : 0;
            for (int side = -1; side <= 1; side++) {
                const int q = (y + side * sy) * width + x + side * sx;
                const float ax = p[q + 1] - p[q - 1], ay = p[q + width] - p[q - width];
                length[side + 1] = sqrtf(ax * ax + ay * ay);
            }
            if (length[1] > length[0] && length[1] >= length[2]) {
                out[y * width + x] = length[1];
            }
        }
    }
}

/* Weak ridges are kept where they hang on to a strong one. */
static void follow(unsigned char *edge, int32_t *stack, const float *ridge, int width, int height, float weak,
                   float strong)
{
    int top = 0;
    memset(edge, 0, (size_t)width * (size_t)height);
    for (int q = 0; q < width * height; q++) {
        if (ridge[q] >= strong && !edge[q]) {
            edge[q] = 1;
            stack[top++] = q;
        }
        while (top > 0) {
            const int at = stack[--top];
            for (int dy = -1; dy <= 1; dy++) {
                for (int dx = -1; dx <= 1; dx++) {
                    const int to = at + dy * width + dx; /* ridges are 0 within two pixels of the border */
                    if (to >= 0 && to < width * height && ridge[to] >= weak && !edge[to]) {
                        edge[to] = 1;
                        stack[top++] = to;
                    }
                }
            }
        }
    }
}

VslStatus panel_edges(unsigned char *out, const float *panel, int width, int height, double sigma_px)
{
    VslStatus st = VSL_OK;
    const int pixels = width * height;
    float *a = NULL, *b = NULL;
    int32_t *stack = NULL;
    VSL_TRY(VSL_NEW(&a, pixels, "a panel"));
    VSL_TRY(VSL_NEW(&b, pixels, "a panel"));
    VSL_TRY(VSL_NEW(&stack, pixels, "a panel"));
    for (int q = 0; q < pixels; q++) {
        a[q] = isfinite(panel[q]) ? panel[q] : 0;
    }
    blur(b, a, height, width, width, 1, sigma_px);
    blur(a, b, width, 1, height, width, sigma_px);
    ridges(b, a, width, height);
    int64_t n = 0;
    for (int q = 0; q < pixels; q++) {
        if (b[q] > 0) {
            a[n++] = b[q];
        }
    }
    qsort(a, (size_t)n, sizeof *a, compare_floats);
    /* strong = a good part of the strongest edges, but never more pixels than an eye can follow */
    const int64_t budget = pixels / 24;
    float strong = n > 0 ? 0.4f * a[(n - 1) * 97 / 100] : 1;
    strong = n > budget ? fmaxf(strong, a[n - budget]) : strong;
    follow(out, stack, b, width, height, 0.5f * strong, strong);
out:
    vsl_free(a);
    vsl_free(b);
    vsl_free(stack);
    return st;
}
