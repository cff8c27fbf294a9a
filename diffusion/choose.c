/* Which pictures to label first: features of the network's middle, and greedy medoids among them. */
#include "diffusion/choose.h"

#include <math.h>
#include <string.h>

#include "core/memory.h"
#include "core/parallel.h"

enum { BATCH = 8 };

/* --- what the network sees ---------------------------------------------------------------------------------------- */

static int64_t places_of(const VslUnet *net, const int64_t n[3])
{
    const int halvings = vsl_unet_tap_count(net) - 1;
    const int64_t depth = vsl_unet_options(net)->dims == 3 ? n[2] >> halvings : 1;
    return depth * (n[1] >> halvings) * (n[0] >> halvings);
}

int64_t vsl_choose_width(const VslUnet *net, const int64_t n[3])
{
    return vsl_unet_tap_channels(net, 0) * places_of(net, n);
}

/* Numbers minus their means over pictures; channels over their standard deviations. f (count, channels, places) */
static VslStatus standardise(float *f, int64_t count, int64_t channels, int64_t places)
{
    VslStatus st = VSL_OK;
    const int64_t width = channels * places;
    for (int64_t c = 0; c < channels; c++) {
        double sum = 0, squares = 0;
        for (int64_t i = 0; i < count * places; i++) {
            const double value = (double)f[i / places * width + c * places + i % places];
            sum += value;
            squares += value * value;
        }
        VSL_CHECK(isfinite(squares), VSL_E_NUMERIC,
                  "the network's activations are not finite: its weights or a picture have values that are not");
        const double mean = sum / (double)(count * places), variance = squares / (double)(count * places) - mean * mean;
        const double scale = variance > 1e-12 * squares / (double)(count * places) ? 1 / sqrt(variance) : 0;
        for (int64_t p = c * places; p < (c + 1) * places; p++) {
            double here = 0;
            for (int64_t i = 0; i < count; i++) {
                here += (double)f[i * width + p];
            }
            here /= (double)count;
            for (int64_t i = 0; i < count; i++) {
                f[i * width + p] = (float)(scale * ((double)f[i * width + p] - here));
            }
        }
    }
out:
    return st;
}

VslStatus vsl_choose_features(float *out, NnRuntime *rt, const VslUnet *net, const VslDiffusion *diffusion, double time,
                              const float *image, int64_t count, const int64_t n[3])
{
    VslStatus st = VSL_OK;
    const VslUnetOptions *o = vsl_unet_options(net);
    const VslLevel level = vsl_diffusion_level(diffusion, time);
    const int64_t width = vsl_choose_width(net, n), size = o->in_channels * n[0] * n[1] * n[2];
    VSL_CHECK(count > 0, VSL_E_ARG, "%lld pictures, expected at least 1", (long long)count);
    for (int64_t first = 0; first < count; first += BATCH) {
        const int64_t batch = count - first < BATCH ? count - first : BATCH;
        const NnShape shape = o->dims == 3 ? NN_SHAPE(batch, o->in_channels, n[2], n[1], n[0])
                                           : NN_SHAPE(batch, o->in_channels, n[1], n[0]);
        NnScope *s = nn_scope_open(rt, NN_INFER);
        NnTensor *x = nn_from_floats(s, image + first * size, shape);
        const VslUnetInput in = {.x = nn_affine(s, x, level.in, 0), .time = nn_full(s, NN_SHAPE(batch), level.time)};
        nn_to_floats(s, out + first * width, batch * width, vsl_unet_middle(s, net, &in));
        VSL_TRY(nn_scope_close(&s));
    }
    VSL_TRY(standardise(out, count, vsl_unet_tap_channels(net, 0), places_of(net, n)));
out:
    return st;
}

/* --- which of them ------------------------------------------------------------------------------------------------ */

typedef struct Choice {
    const float *feature;
    int64_t count, width;
    float *distance; /* (count, count) */
    double *reach;   /* (count): to the nearest chosen one */
    double *sum;     /* (count): of distances, were this one chosen too */
} Choice;

static void distances_from(void *ctx, int64_t i, int worker)
{
    Choice *c = ctx;
    (void)worker;
    const float *a = c->feature + i * c->width;
    for (int64_t j = 0; j <= i; j++) {
        const float *b = c->feature + j * c->width;
        double sum = 0;
        for (int64_t k = 0; k < c->width; k++) {
            const double d = (double)a[k] - (double)b[k];
            sum += d * d;
        }
        c->distance[i * c->count + j] = c->distance[j * c->count + i] = (float)sqrt(sum);
    }
}

static void sum_with(void *ctx, int64_t i, int worker)
{
    Choice *c = ctx;
    (void)worker;
    double sum = 0;
    for (int64_t j = 0; j < c->count; j++) {
        sum += fmin(c->reach[j], (double)c->distance[i * c->count + j]);
    }
    c->sum[i] = sum;
}

static void count_as_chosen(Choice *c, int64_t *nearest, int64_t i)
{
    for (int64_t j = 0; j < c->count; j++) {
        const double distance = (double)c->distance[i * c->count + j];
        if (distance < c->reach[j]) {
            c->reach[j] = distance;
            nearest[j] = i;
        }
    }
}

VslStatus vsl_choose(int64_t *chosen, int64_t *nearest, int64_t wanted, const float *feature, int64_t count,
                     int64_t width, const unsigned char *labelled, int threads)
{
    VslStatus st = VSL_OK;
    Choice c = {.feature = feature, .count = count, .width = width};
    unsigned char *is_chosen = NULL;
    int64_t *near = NULL, free_ones = 0;
    VSL_CHECK(count > 0 && count <= VSL_CHOOSE_MOST && width > 0, VSL_E_ARG,
              "%lld pictures of %lld numbers, expected 1 to %d pictures", (long long)count, (long long)width,
              VSL_CHOOSE_MOST);
    VSL_TRY(VSL_NEW0(&is_chosen, count, "marks of pictures"));
    VSL_TRY(VSL_NEW(&near, count, "nearest pictures"));
    VSL_TRY(VSL_NEW(&c.distance, count * count, "distances of pictures"));
    VSL_TRY(VSL_NEW(&c.reach, count, "distances of pictures"));
    VSL_TRY(VSL_NEW(&c.sum, count, "sums of distances"));
    vsl_parallel_for(count, threads, distances_from, &c);
    for (int64_t i = 0; i < count; i++) {
        c.reach[i] = INFINITY;
        near[i] = -1;
        free_ones += !(labelled && labelled[i]);
    }
    VSL_CHECK(wanted >= 0 && wanted <= free_ones, VSL_E_ARG, "%lld pictures are to be chosen of %lld without labels",
              (long long)wanted, (long long)free_ones);
    for (int64_t i = 0; labelled && i < count; i++) {
        if (labelled[i]) {
            is_chosen[i] = 1;
            count_as_chosen(&c, near, i);
        }
    }
    for (int64_t k = 0; k < wanted; k++) {
        int64_t best = -1;
        vsl_parallel_for(count, threads, sum_with, &c);
        for (int64_t i = 0; i < count; i++) {
            if (!is_chosen[i] && (best < 0 || c.sum[i] < c.sum[best])) {
                best = i;
            }
        }
        is_chosen[best] = 1;
        chosen[k] = best;
        count_as_chosen(&c, near, best);
    }
    if (nearest) {
        memcpy(nearest, near, (size_t)count * sizeof *nearest);
    }
out:
    vsl_free(is_chosen);
    vsl_free(near);
    vsl_free(c.distance);
    vsl_free(c.reach);
    vsl_free(c.sum);
    return st;
}
