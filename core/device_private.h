/* What a device backend computes beside transforms: y = a x + b y, <x, y>, the symbol's product, resampling of spectra.
 * Common subset of C17 and CUDA C++; see device_reduce_private.h for how it is launched. */
#ifndef VSL_CORE_DEVICE_PRIVATE_H
#define VSL_CORE_DEVICE_PRIVATE_H

#include "core/device_reduce_private.h"

/* How the modes of n[0] x n[1] x n[2] real values lie: real-to-complex transforms halve the first axis that is not
 * flat, so that flat axes can be left out of the transform (not every library plans lengths of 1). */
typedef struct VslSpectrum {
    int64_t n[3], modes[3]; /* modes[0] fastest */
    int64_t count;          /* complex values of one channel */
    int half;               /* the halved axis */
} VslSpectrum;

static inline VslSpectrum vsl_spectrum(const int64_t n[3])
{
    VslSpectrum s;
    s.half = n[0] > 1 ? 0 : (n[1] > 1 ? 1 : 2);
    s.count = 1;
    for (int d = 0; d < 3; d++) {
        s.n[d] = n[d];
        s.modes[d] = d == s.half ? n[d] / 2 + 1 : n[d];
        s.count *= s.modes[d];
    }
    return s;
}

typedef struct VslAxpbyArgs {
    float *y;
    const float *x;
    float a, b;
} VslAxpbyArgs;

VSL_BODY void vsl_axpby_value(const VslAxpbyArgs *a, int64_t i)
{
    a->y[i] = a->b == 0 ? a->a * a->x[i] : a->a * a->x[i] + a->b * a->y[i];
}
VSL_KERNEL(vsl_axpby_value, VslAxpbyArgs)

static VslStatus vsl_device_axpby(VslBackend *be, float *y, double a, const float *x, double b, int64_t count)
{
    VslAxpbyArgs args;
    args.y = y;
    args.x = x;
    args.a = (float)a;
    args.b = (float)b;
    return vsl_axpby_value_launch(be, args, count);
}

typedef struct VslDotArgs {
    const float *x[VSL_MOST_SETS], *y[VSL_MOST_SETS];
    double *partial;
    int64_t count, parts;
} VslDotArgs;

/* thread = part, then which of the products */
VSL_BODY void vsl_dot_part(const VslDotArgs *a, int64_t thread)
{
    const float *x = a->x[thread / a->parts], *y = a->y[thread / a->parts];
    double sum = 0;
    for (int64_t i = thread % a->parts; i < a->count; i += a->parts) {
        sum += (double)x[i] * (double)y[i];
    }
    a->partial[thread] = sum;
}
VSL_KERNEL(vsl_dot_part, VslDotArgs)

static VslStatus vsl_device_dots(VslBackend *be, double *out, const VslField *const *x, const VslField *const *y,
                                 int count)
{
    VslStatus st = VSL_OK;
    float *scratch = NULL;
    VslDotArgs a;
    a.count = vsl_field_count(x[0]);
    a.parts = vsl_device_parts(a.count);
    VSL_TRY(vsl_backend_scratch(&scratch, be, vsl_device_reduce_floats(a.parts, VSL_MOST_SETS)));
    a.partial = (double *)(void *)scratch;
    for (int first = 0; first < count; first += VSL_MOST_SETS) {
        const int sets = count - first < VSL_MOST_SETS ? count - first : (int)VSL_MOST_SETS;
        for (int q = 0; q < sets; q++) {
            a.x[q] = x[first + q]->data;
            a.y[q] = y[first + q]->data;
        }
        VSL_TRY(vsl_dot_part_launch(be, a, a.parts * sets));
        VSL_TRY(vsl_device_reduce(out + first, be, a.partial, a.parts, sets, VSL_REDUCE_SUM));
    }
out:
    return st;
}

typedef struct VslSymbolArgs {
    float *z;            /* complex, channels of `spectrum` */
    const float *symbol; /* (n[0]/2 + 1, n[1], n[2]) */
    VslSpectrum spectrum;
    float scale; /* the transforms' 1/N */
} VslSymbolArgs;

VSL_BODY void vsl_symbol_mode(const VslSymbolArgs *a, int64_t q)
{
    const VslSpectrum *s = &a->spectrum;
    const int64_t mode = q % s->count, i = mode % s->modes[0], j = mode / s->modes[0] % s->modes[1],
                  k = mode / (s->modes[0] * s->modes[1]);
    const float w = a->symbol[(k * s->n[1] + j) * (s->n[0] / 2 + 1) + i] * a->scale;
    a->z[2 * q] *= w;
    a->z[2 * q + 1] *= w;
}
VSL_KERNEL(vsl_symbol_mode, VslSymbolArgs)

static VslStatus vsl_device_symbol(VslBackend *be, float *z, const float *symbol, const VslSpectrum *spectrum,
                                   int channels)
{
    VslSymbolArgs a;
    a.z = z;
    a.symbol = symbol;
    a.spectrum = *spectrum;
    a.scale = 1.0f / (float)(spectrum->n[0] * spectrum->n[1] * spectrum->n[2]);
    return vsl_symbol_mode_launch(be, a, spectrum->count * channels);
}

typedef struct VslResampleArgs {
    float *out;      /* complex, channels of `to` */
    const float *in; /* complex, channels of `from` */
    VslSpectrum to, from;
    float scale;
} VslResampleArgs;

/* Where mode q of the new grid lies on the old one; -1 when it is at or beyond the Nyquist mode of the coarser. */
VSL_BODY int64_t vsl_resample_axis(int64_t q, int64_t to, int64_t from)
{
    const int64_t shared = to < from ? to : from, wave = 2 * q > to ? q - to : q;
    return 2 * (wave < 0 ? -wave : wave) >= shared ? -1 : (wave < 0 ? wave + from : wave);
}

VSL_BODY void vsl_resample_mode(const VslResampleArgs *a, int64_t q)
{
    const VslSpectrum *t = &a->to, *f = &a->from;
    const int64_t mode = q % t->count, channel = q / t->count;
    const int64_t i = vsl_resample_axis(mode % t->modes[0], t->n[0], f->n[0]),
                  j = vsl_resample_axis(mode / t->modes[0] % t->modes[1], t->n[1], f->n[1]),
                  k = vsl_resample_axis(mode / (t->modes[0] * t->modes[1]), t->n[2], f->n[2]);
    const int known = i >= 0 && j >= 0 && k >= 0;
    const int64_t at = known ? channel * f->count + (k * f->modes[1] + j) * f->modes[0] + i : 0;
    a->out[2 * q] = known ? a->in[2 * at] * a->scale : 0;
    a->out[2 * q + 1] = known ? a->in[2 * at + 1] * a->scale : 0;
}
VSL_KERNEL(vsl_resample_mode, VslResampleArgs)

static VslStatus vsl_device_resample(VslBackend *be, float *out, const VslSpectrum *to, const float *in,
                                     const VslSpectrum *from, int channels)
{
    VslStatus st = VSL_OK;
    VslResampleArgs a;
    VSL_CHECK(
        to->half == from->half, VSL_E_UNSUPPORTED,
        "a device resamples between grids that are flat along the same axes, got %lldx%lldx%lld and %lldx%lldx%lld",
        (long long)from->n[0], (long long)from->n[1], (long long)from->n[2], (long long)to->n[0], (long long)to->n[1],
        (long long)to->n[2]);
    a.out = out;
    a.in = in;
    a.to = *to;
    a.from = *from;
    a.scale = 1.0f / (float)(from->n[0] * from->n[1] * from->n[2]);
    VSL_TRY(vsl_resample_mode_launch(be, a, to->count * channels));
out:
    return st;
}

#endif
