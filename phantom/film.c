/* The film. */
#include "phantom/film.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/parallel.h"
#include "core/random.h"

enum { MAX_TAPS = 64, CELLS_PER_SIGMA = 5 };

double ph_poisson(double mean, uint64_t seed, uint64_t stream, uint64_t index)
{
    if (!(mean > 0)) {
        return 0;
    }
    if (mean >= 64) {
        const double z = vsl_random_normal(seed, stream, index);
        return fmax(rint(mean + sqrt(mean) * z + (z * z - 1) / 6), 0);
    }
    const double u = vsl_random_uniform(seed, stream, index);
    double k = 0, p = exp(-mean), sum = p;
    while (u > sum && k < 400) {
        k++;
        p *= mean / k;
        sum += p;
    }
    return k;
}

typedef struct Convolution { /* of rows; the result is transposed, so that two calls make a blur */
    float *out;
    const float *in;
    int64_t n[2];
    int taps; /* on each side */
    double weight[MAX_TAPS + 1];
} Convolution;

static void convolve_row(void *ctx, int64_t row, int worker)
{
    const Convolution *c = ctx;
    const float *in = c->in + row * c->n[0];
    (void)worker;
    for (int64_t i = 0; i < c->n[0]; i++) {
        double sum = c->weight[0] * (double)in[i];
        for (int k = 1; k <= c->taps; k++) {
            const int64_t lo = i - k < 0 ? 0 : i - k, hi = i + k < c->n[0] ? i + k : c->n[0] - 1;
            sum += c->weight[k] * ((double)in[lo] + (double)in[hi]);
        }
        c->out[i * c->n[1] + row] = (float)sum;
    }
}

static void convolve(float *out, const float *in, int64_t columns, int64_t rows, double sigma, int threads)
{
    Convolution c = {.out = out, .in = in, .n = {columns, rows}};
    double total = 0;
    c.taps = (int)fmin(ceil(4 * sigma), MAX_TAPS);
    for (int k = 0; k <= c.taps; k++) {
        c.weight[k] = sigma > 0 ? exp(-0.5 * (k / sigma) * (k / sigma)) : k == 0;
        total += k ? 2 * c.weight[k] : c.weight[k];
    }
    for (int k = 0; k <= c.taps; k++) {
        c.weight[k] /= total;
    }
    vsl_parallel_for(rows, threads, convolve_row, &c);
}

/* Means of blocks of step[0] x step[1] pixels. */
static void shrink(float *out, const int64_t m[2], const float *in, const int64_t n[2], const int64_t step[2])
{
    for (int64_t j = 0; j < m[1]; j++) {
        for (int64_t i = 0; i < m[0]; i++) {
            double sum = 0;
            int64_t count = 0;
            for (int64_t y = j * step[1]; y < (j + 1) * step[1] && y < n[1]; y++) {
                for (int64_t x = i * step[0]; x < (i + 1) * step[0] && x < n[0]; x++) {
                    sum += (double)in[y * n[0] + x];
                    count++;
                }
            }
            out[j * m[0] + i] = (float)(sum / (double)count);
        }
    }
}

/* Value between the centres of blocks, continued at the edge. */
static double enlarge_at(const float *small, const int64_t m[2], const int64_t step[2], int64_t i, int64_t j)
{
    const double x = fmin(fmax(((double)i + 0.5) / (double)step[0] - 0.5, 0), (double)(m[0] - 1));
    const double y = fmin(fmax(((double)j + 0.5) / (double)step[1] - 0.5, 0), (double)(m[1] - 1));
    const int64_t x0 = (int64_t)x, y0 = (int64_t)y, x1 = x0 + (x0 + 1 < m[0]), y1 = y0 + (y0 + 1 < m[1]);
    const double fx = x - (double)x0, fy = y - (double)y0;
    return (1 - fy) * ((1 - fx) * (double)small[y0 * m[0] + x0] + fx * (double)small[y0 * m[0] + x1]) +
           fy * ((1 - fx) * (double)small[y1 * m[0] + x0] + fx * (double)small[y1 * m[0] + x1]);
}

/* A wide Gaussian is smooth: it is formed on blocks of a fifth of its width. */
VslStatus ph_blur(float *out, const float *in, const int64_t n[2], const double sigma[2], int threads)
{
    VslStatus st = VSL_OK;
    float *small = NULL, *turned = NULL;
    int64_t step[2], m[2];
    double s[2];
    for (int d = 0; d < 2; d++) {
        step[d] = (int64_t)fmax(floor(sigma[d] / CELLS_PER_SIGMA), 1);
        m[d] = (n[d] + step[d] - 1) / step[d];
        s[d] = sigma[d] / (double)step[d];
    }
    VSL_TRY(VSL_NEW(&small, m[0] * m[1], "blurred picture"));
    VSL_TRY(VSL_NEW(&turned, m[0] * m[1], "blurred picture"));
    shrink(small, m, in, n, step);
    convolve(turned, small, m[0], m[1], s[0], threads);
    convolve(small, turned, m[1], m[0], s[1], threads);
    for (int64_t j = 0; j < n[1]; j++) {
        for (int64_t i = 0; i < n[0]; i++) {
            out[j * n[0] + i] = (float)enlarge_at(small, m, step, i, j);
        }
    }
out:
    vsl_free(small);
    vsl_free(turned);
    return st;
}

typedef struct Exposing {
    const PhProjection *p;
    const PhBeam *beam;
    const PhExposure *how;
    float *ghost[PH_ENERGIES];
    float *light, *wide, *sharp;
    double photons; /* of a pixel in the open beam */
    double middle;  /* x0 */
    VslVolume *film;
} Exposing;

/* 1 in the open field, 0 under the collimator, with a penumbra of 3 mm; leakage is what keeps the logarithm finite. */
static double open_share(const Exposing *x, int64_t i, int64_t j)
{
    const double at[2] = {((double)i + 0.5) * x->p->pixel_mm[0], ((double)j + 0.5) * x->p->pixel_mm[1]};
    double share = 1;
    for (int side = 0; side < 4; side++) {
        const double all = (double)x->p->n[side / 2] * x->p->pixel_mm[side / 2];
        const double inside = (side % 2 ? all - at[side / 2] : at[side / 2]) - x->how->border[side];
        if (x->how->border[side] > 0) {
            share *= fmin(fmax(0.5 + inside / 3, 0), 1);
        }
    }
    return 0.004 + 0.996 * share;
}

static void primary_row(void *ctx, int64_t j, int worker)
{
    const Exposing *x = ctx;
    const PhProjection *p = x->p;
    (void)worker;
    for (int64_t i = 0; i < p->n[0]; i++) {
        const int64_t at = j * p->n[0] + i;
        const PhVec where = {(float)((double)i * p->pixel_mm[0]), (float)((double)j * p->pixel_mm[1]), 0};
        double grain = 0, light = 0;
        if (p->grain_mm[at] > 0) {
            for (int g = 0; g < 2; g++) {
                const double field = x->how->grain[g] ? (double)ph_wave(x->how->grain[g], where) : 0;
                grain += x->how->grain_sd[g] * fmin(fmax(field, -3), 3);
            }
        }
        for (int e = 0; e < PH_ENERGIES; e++) {
            const double more = grain * (double)p->grain_mm[at] * x->beam->mu[e][p->grained] +
                                (x->ghost[e] ? (double)x->ghost[e][at] : 0);
            light += x->beam->weight[e] * (double)p->clear[e][at] * exp(-more);
        }
        const double heel = 1 - 0.01 * x->how->heel_percent * ((double)i + 0.5) / (double)p->n[0];
        x->light[at] = (float)(light * heel * open_share(x, i, j));
    }
}

static void count_row(void *ctx, int64_t j, int worker)
{
    const Exposing *x = ctx;
    const int64_t n = x->p->n[0];
    (void)worker;
    for (int64_t at = j * n; at < (j + 1) * n; at++) {
        const double mean = x->photons * (double)x->sharp[at];
        const double counted = ph_poisson(mean, x->how->seed, x->how->stream, (uint64_t)at);
        x->light[at] = (float)log((counted + 0.5) / x->photons); /* half a photon: a dark pixel has a logarithm */
    }
}

static void grey_row(void *ctx, int64_t j, int worker)
{
    const Exposing *x = ctx;
    const int64_t n = x->p->n[0];
    (void)worker;
    for (int64_t at = j * n; at < (j + 1) * n; at++) {
        const double value = (double)x->light[at] + x->how->detail * ((double)x->light[at] - (double)x->wide[at]);
        x->film->data[at] = (float)rint(65535 / (1 + exp(x->how->gamma * (value - x->middle))));
    }
}

/* Mean of f over the pixels behind the body and inside the field. */
static double mean_behind(const Exposing *x, const float *values)
{
    double sum = 0, count = 0;
    for (int64_t j = 0; j < x->p->n[1]; j++) {
        for (int64_t i = 0; i < x->p->n[0]; i++) {
            const int64_t at = j * x->p->n[0] + i;
            if (x->p->touched[at] && open_share(x, i, j) > 0.9) {
                sum += (double)values[at];
                count++;
            }
        }
    }
    return count > 0 ? sum / count : 0;
}

VslStatus ph_expose(VslVolume *film, const PhProjection *p, const PhBeam *beam, const PhExposure *how, int threads)
{
    VslStatus st = VSL_OK;
    VslVolume made = {0};
    Exposing x = {.p = p, .beam = beam, .how = how, .film = &made};
    const int64_t pixels = p->n[0] * p->n[1];
    const VslGrid grid = {{p->n[0], p->n[1], 1}, {{{-1, 0, 0, 0}, {0, -1, 0, 0}, {0, 0, 1, 0}}}};
#define PIXELS(mm) ((const double[2]){(mm) / p->pixel_mm[0], (mm) / p->pixel_mm[1]})
    VSL_TRY(vsl_volume_new(&made, &grid, 1));
    VSL_TRY(VSL_NEW(&x.light, pixels, "film"));
    VSL_TRY(VSL_NEW(&x.wide, pixels, "film"));
    VSL_TRY(VSL_NEW(&x.sharp, pixels, "film"));
    for (int e = 0; e < PH_ENERGIES; e++) {
        if (p->ghost[e]) { /* the slit moves along the film: ghosts are smeared across, not down */
            VSL_TRY(VSL_NEW(&x.ghost[e], pixels, "ghosts"));
            const double sigma[2] = {how->ghost_mm / p->pixel_mm[0], 0.25 * how->ghost_mm / p->pixel_mm[1]};
            VSL_TRY(ph_blur(x.ghost[e], p->ghost[e], p->n, sigma, threads));
        }
    }
    vsl_parallel_for(p->n[1], threads, primary_row, &x);
    VSL_TRY(ph_blur(x.wide, x.light, p->n, PIXELS(how->scatter_mm), threads));
    for (int64_t i = 0; i < pixels; i++) {
        x.light[i] += (float)(how->scatter / (1 - how->scatter) * (double)x.wide[i]);
    }
    VSL_TRY(ph_blur(x.sharp, x.light, p->n, PIXELS(how->blur_mm), threads));
    const double behind = mean_behind(&x, x.sharp);
    x.photons = how->photons_per_mm2 * p->pixel_mm[0] * p->pixel_mm[1] / (behind > 0 ? behind : 1);
    vsl_parallel_for(p->n[1], threads, count_row, &x);
    VSL_TRY(ph_blur(x.wide, x.light, p->n, PIXELS(how->detail_mm), threads));
    x.middle = mean_behind(&x, x.light) - log(1 / how->middle_grey - 1) / how->gamma;
    vsl_parallel_for(p->n[1], threads, grey_row, &x);
    vsl_volume_move(film, &made);
out:
    for (int e = 0; e < PH_ENERGIES; e++) {
        vsl_free(x.ghost[e]);
    }
    vsl_free(x.light);
    vsl_free(x.wide);
    vsl_free(x.sharp);
    vsl_volume_free(&made);
    return st;
}
