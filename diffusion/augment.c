/* Augmentation: the map of a sample from its draws, then one pass over the pixels. */
#include "diffusion/augment.h"

#include <math.h>
#include <string.h>

#include "core/random.h"

enum {
    CELLS = 4,           /* of the elastic lattice over the extent */
    NODES = CELLS + 3,   /* cubic B-spline: one node before, two after */
    PIXEL_DRAWS = 100000 /* draws of a sample below this number make the map, those from it on are pixel noise */
};

typedef struct Draws {
    uint64_t seed, sample, next;
} Draws;

static double normal(Draws *d)
{
    return vsl_random_normal(d->seed, d->sample, d->next++);
}

static double uniform(Draws *d)
{
    return vsl_random_uniform(d->seed, d->sample, d->next++);
}

typedef struct Map {
    double a[3][3], shift[3]; /* on coordinates of [-1/2, 1/2], scaled so that pixels stay square */
    float lattice[3][NODES][NODES][NODES];
    double gamma, contrast, brightness, noise;
    int dims;
} Map;

VslAugment vsl_augment_preset(VslAugmentStrength strength)
{
    const VslAugment strong = {.rotate_deg = 7,
                               .log_scale = 0.1,
                               .log_stretch = 0.05,
                               .shear = 0.05,
                               .shift = 0.04,
                               .elastic = 0.02,
                               .log_gamma = 0.3,
                               .log_contrast = 0.15,
                               .brightness = 0.15,
                               .noise = 0.05};
    const VslAugment light = {.rotate_deg = 3.5,
                              .log_scale = 0.05,
                              .log_stretch = 0.025,
                              .shear = 0.025,
                              .shift = 0.02,
                              .elastic = 0.01,
                              .log_gamma = 0.15,
                              .log_contrast = 0.07,
                              .brightness = 0.07};
    const VslAugment off = {0};
    return strength == VSL_AUGMENT_STRONG ? strong : strength == VSL_AUGMENT_LIGHT ? light : off;
}

/* m <- m . r */
static void multiply(double m[3][3], double r[3][3])
{
    double out[3][3];
    for (int i = 0; i < 3; i++) {
        for (int j = 0; j < 3; j++) {
            out[i][j] = m[i][0] * r[0][j] + m[i][1] * r[1][j] + m[i][2] * r[2][j];
        }
    }
    memcpy(m, out, sizeof out);
}

static void draw_affine(Map *m, Draws *d, const VslAugment *how)
{
    const double one[3][3] = {{1, 0, 0}, {0, 1, 0}, {0, 0, 1}};
    memcpy(m->a, one, sizeof one);
    for (int axis = m->dims == 3 ? 0 : 2; axis < 3; axis++) {
        const double angle = normal(d) * how->rotate_deg * 0.017453292519943295;
        const int p = (axis + 1) % 3, q = (axis + 2) % 3;
        double r[3][3];
        memcpy(r, one, sizeof one);
        r[p][p] = r[q][q] = cos(angle);
        r[p][q] = -sin(angle);
        r[q][p] = sin(angle);
        multiply(m->a, r);
    }
    double shear[3][3], size[3][3] = {{0}};
    memcpy(shear, one, sizeof one);
    for (int i = 0; i < m->dims; i++) {
        for (int j = i + 1; j < m->dims; j++) {
            shear[i][j] = normal(d) * how->shear;
        }
    }
    const double scale = exp(normal(d) * how->log_scale);
    for (int i = 0; i < 3; i++) {
        size[i][i] = i < m->dims ? scale * exp(normal(d) * how->log_stretch) : 1;
    }
    multiply(m->a, shear);
    multiply(m->a, size);
    for (int i = 0; i < m->dims; i++) {
        m->shift[i] = normal(d) * how->shift;
    }
}

static void draw_map(Map *m, Draws *d, const VslAugment *how)
{
    draw_affine(m, d, how);
    const int planes = m->dims == 3 ? NODES : 1;
    for (int c = 0; c < m->dims; c++) {
        for (int k = 0; k < planes; k++) {
            for (int j = 0; j < NODES; j++) {
                for (int i = 0; i < NODES; i++) {
                    m->lattice[c][k][j][i] = (float)(normal(d) * how->elastic);
                }
            }
        }
    }
    m->gamma = exp(normal(d) * how->log_gamma);
    m->contrast = exp(normal(d) * how->log_contrast);
    m->brightness = normal(d) * how->brightness;
    m->noise = uniform(d) * how->noise;
}

/* Cubic B-spline weights of a place x in [-1/2, 1/2]; the cell is held inside the lattice. */
static int spline(float w[4], double x)
{
    const double at = (x + 0.5) * CELLS;
    int cell = (int)floor(at);
    cell = cell < 0 ? 0 : cell > CELLS - 1 ? CELLS - 1 : cell;
    const double t = at - cell, u = 1 - t;
    w[0] = (float)(u * u * u / 6);
    w[1] = (float)((3 * t * t * t - 6 * t * t + 4) / 6);
    w[2] = (float)((3 * u * u * u - 6 * u * u + 4) / 6);
    w[3] = (float)(t * t * t / 6);
    return cell;
}

/* The displacement at x. In 2D the lattice has one plane, with weight 1. */
static void elastic(double u[3], const Map *m, const double x[3])
{
    float w[3][4] = {{0}};
    int cell[3] = {0};
    const int deep = m->dims == 3 ? 4 : 1;
    w[2][0] = 1;
    for (int d = 0; d < m->dims; d++) {
        cell[d] = spline(w[d], x[d]);
    }
    for (int c = 0; c < m->dims; c++) {
        double sum = 0;
        for (int k = 0; k < deep; k++) {
            for (int j = 0; j < 4; j++) {
                const float *row = &m->lattice[c][cell[2] + k][cell[1] + j][cell[0]];
                const float along = row[0] * w[0][0] + row[1] * w[0][1] + row[2] * w[0][2] + row[3] * w[0][3];
                sum += (double)(along * w[1][j] * w[2][k]);
            }
        }
        u[c] = sum;
    }
}

typedef struct Corners { /* of the pixel cell that holds a place: offsets and weights */
    int64_t at[8];
    float weight[8];
} Corners;

/* p: pixel coordinates, held inside the image. */
static void corners(Corners *out, const double p[3], const int64_t n[3])
{
    int64_t low[3], high[3];
    float f[3];
    for (int d = 0; d < 3; d++) {
        const double most = (double)(n[d] - 1), x = p[d] < 0 ? 0 : p[d] > most ? most : p[d];
        low[d] = (int64_t)x;
        high[d] = low[d] + 1 < n[d] ? low[d] + 1 : low[d];
        f[d] = (float)(x - (double)low[d]);
    }
    for (int c = 0; c < 8; c++) {
        const int64_t i = c & 1 ? high[0] : low[0], j = c & 2 ? high[1] : low[1], k = c & 4 ? high[2] : low[2];
        out->at[c] = (k * n[1] + j) * n[0] + i;
        out->weight[c] = (c & 1 ? f[0] : 1 - f[0]) * (c & 2 ? f[1] : 1 - f[1]) * (c & 4 ? f[2] : 1 - f[2]);
    }
}

static float sampled(const float *plane, const Corners *c, int count)
{
    float sum = 0;
    for (int i = 0; i < count; i++) {
        sum += c->weight[i] * plane[c->at[i]];
    }
    return sum;
}

static float grey(const Map *m, const VslAugment *how, float value, const Draws *d, uint64_t number)
{
    double v = (double)value;
    if (how->log_gamma > 0) {
        const double g = 0.5 * (v + 1);
        v = 2 * pow(g > 1e-4 ? g : 1e-4, m->gamma) - 1;
    }
    v = m->contrast * v + m->brightness;
    if (m->noise > 0) {
        v += m->noise * vsl_random_normal(d->seed, d->sample, PIXEL_DRAWS + number);
    }
    return (float)v;
}

void vsl_augment(float *image_out, float *masks_out, const float *image, int channels, const float *masks,
                 int mask_count, const int64_t n[3], const VslAugment *how, uint64_t seed, uint64_t sample)
{
    Map m = {.dims = n[2] > 1 ? 3 : 2};
    Draws d = {.seed = seed, .sample = sample};
    const int64_t voxels = n[0] * n[1] * n[2];
    double longest = 1;
    for (int a = 0; a < m.dims; a++) {
        longest = (double)n[a] > longest ? (double)n[a] : longest;
    }
    draw_map(&m, &d, how);
    for (int64_t v = 0; v < voxels; v++) {
        const int64_t at[3] = {v % n[0], v / n[0] % n[1], v / (n[0] * n[1])};
        double x[3], p[3], u[3] = {0};
        for (int a = 0; a < 3; a++) { /* the longest axis spans [-1/2, 1/2] */
            x[a] = ((double)at[a] - 0.5 * (double)(n[a] - 1)) / longest;
        }
        elastic(u, &m, x);
        for (int a = 0; a < 3; a++) {
            const double to = m.a[a][0] * x[0] + m.a[a][1] * x[1] + m.a[a][2] * x[2] + m.shift[a] + u[a];
            p[a] = to * longest + 0.5 * (double)(n[a] - 1);
        }
        Corners c;
        corners(&c, p, n);
        const int count = m.dims == 3 ? 8 : 4;
        for (int ch = 0; ch < channels; ch++) {
            const int64_t to = ch * voxels + v;
            image_out[to] = grey(&m, how, sampled(image + ch * voxels, &c, count), &d, (uint64_t)to);
        }
        for (int k = 0; k < mask_count; k++) {
            masks_out[k * voxels + v] = sampled(masks + k * voxels, &c, count);
        }
    }
}
