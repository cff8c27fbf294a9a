/* Encoder and decoder as lists of lines, over one kind of residual block. */
#include "diffusion/autoencoder.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include "core/memory.h"

#define AT(field) offsetof(VslAutoencoderOptions, field)

enum { MAX_BLOCKS = 8, NAME_BYTES = 64 };

typedef struct Block {
    NnNorm norm1, norm2;
    NnConv conv1, conv2; /* 3x3[x3] */
    NnConv skip;         /* 1x1[x1] when Cin != Cout */
} Block;

typedef struct Stage {
    Block block[MAX_BLOCKS];
    NnConv sample; /* encoder: stride 2; decoder: after nearest up-sampling; empty at the last stage */
} Stage;

struct VslAutoencoder {
    VslAutoencoderOptions opt;
    int levels;
    NnConv in, mean, log_var; /* encoder */
    Stage down[VSL_AUTOENCODER_LEVELS], up[VSL_AUTOENCODER_LEVELS];
    NnNorm end; /* of the encoder */
    NnConv from_latent, out;
    NnNorm last; /* of the decoder */
};

const VslOption vsl_autoencoder_option_table[] = {
    {"latent-channels", VSL_OPT_INT, AT(latent_channels), 3, 1, 64, "", "channels of the latent", NULL},
    {"encoder-width", VSL_OPT_INT, AT(width), 64, 4, 1024, "channels", "of the autoencoder's finest level", NULL},
    {"encoder-blocks", VSL_OPT_INT, AT(blocks), 2, 1, MAX_BLOCKS, "", "residual blocks a level of the autoencoder",
     NULL},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL}};

/* --- parameters --------------------------------------------------------------------------------------------------- */

typedef struct Path {
    char text[NAME_BYTES];
} Path;

VSL_PRINTF(1, 2) static Path path(const char *format, ...)
{
    Path p;
    va_list args;
    va_start(args, format);
    vsnprintf(p.text, sizeof p.text, format, args);
    va_end(args);
    return p;
}

static NnConv conv(const VslAutoencoder *a, NnParams *p, Path name, int64_t in, int64_t out, int kernel, int stride)
{
    return nn_conv_new(p, name.text, a->opt.dims, in, out, kernel, stride, NN_INIT_KAIMING_UNIFORM);
}

static Block block_new(const VslAutoencoder *a, NnParams *p, const char *way, int level, int j, int64_t in, int64_t out)
{
#define NAME(leaf) path("%s.%d.block.%d.%s", way, level, j, leaf)
    Block b = {.norm1 = nn_norm_new(p, NAME("norm1").text, in),
               .conv1 = conv(a, p, NAME("conv1"), in, out, 3, 1),
               .norm2 = nn_norm_new(p, NAME("norm2").text, out),
               .conv2 = conv(a, p, NAME("conv2"), out, out, 3, 1)};
    if (in != out) {
        b.skip = conv(a, p, NAME("skip"), in, out, 1, 1);
    }
#undef NAME
    return b;
}

static void layers_new(VslAutoencoder *a, NnParams *p)
{
    const VslAutoencoderOptions *o = &a->opt;
    const int last = a->levels - 1;
    int64_t c = (int64_t)o->width * o->multipliers[0];
    a->in = conv(a, p, path("encoder.in"), o->in_channels, c, 3, 1);
    for (int l = 0; l <= last; l++) {
        for (int j = 0; j < o->blocks; j++) {
            const int64_t out = (int64_t)o->width * o->multipliers[l];
            a->down[l].block[j] = block_new(a, p, "encoder", l, j, c, out);
            c = out;
        }
        if (l < last) {
            a->down[l].sample = conv(a, p, path("encoder.%d.sample", l), c, c, 3, 2);
        }
    }
    a->end = nn_norm_new(p, "encoder.norm", c);
    a->mean = conv(a, p, path("encoder.mean"), c, o->latent_channels, 1, 1);
    a->log_var = conv(a, p, path("encoder.log_var"), c, o->latent_channels, 1, 1);

    a->from_latent = conv(a, p, path("decoder.in"), o->latent_channels, c, 3, 1);
    for (int l = last; l >= 0; l--) {
        for (int j = 0; j < o->blocks; j++) {
            const int64_t out = (int64_t)o->width * o->multipliers[l];
            a->up[l].block[j] = block_new(a, p, "decoder", l, j, c, out);
            c = out;
        }
        if (l > 0) {
            a->up[l].sample = conv(a, p, path("decoder.%d.sample", l), c, c, 3, 1);
        }
    }
    a->last = nn_norm_new(p, "decoder.norm", c);
    a->out = conv(a, p, path("decoder.out"), c, o->out_channels, 3, 1);
}

static VslStatus resolve(VslAutoencoder *a)
{
    VslStatus st = VSL_OK;
    VslAutoencoderOptions *o = &a->opt;
    VSL_TRY(vsl_options_resolve(o, vsl_autoencoder_option_table));
    o->dims = o->dims ? o->dims : 2;
    o->in_channels = o->in_channels ? o->in_channels : 1;
    o->out_channels = o->out_channels ? o->out_channels : o->in_channels;
    if (o->multipliers[0] == 0) {
        o->multipliers[0] = 1;
        o->multipliers[1] = o->multipliers[2] = o->multipliers[3] = 2;
    }
    while (a->levels < VSL_AUTOENCODER_LEVELS && o->multipliers[a->levels] != 0) {
        VSL_CHECK(o->multipliers[a->levels] > 0 && o->multipliers[a->levels] <= 64, VSL_E_ARG,
                  "multiplier of level %d is %d, expected 1 to 64", a->levels, o->multipliers[a->levels]);
        a->levels++;
    }
    VSL_CHECK(o->dims == 2 || o->dims == 3, VSL_E_ARG, "dims is %d, expected 2 or 3", o->dims);
    VSL_CHECK(o->in_channels > 0 && o->out_channels > 0, VSL_E_ARG, "%d channels in and %d out, expected at least 1",
              o->in_channels, o->out_channels);
    VSL_CHECK(o->width % 4 == 0, VSL_E_ARG, "width is %d, expected a multiple of 4 (groups of the norms)", o->width);
out:
    return st;
}

VslStatus vsl_autoencoder_new(VslAutoencoder **out, NnParams *p, const VslAutoencoderOptions *opt)
{
    VslStatus st = VSL_OK;
    VslAutoencoder *a = NULL;
    VSL_TRY(VSL_NEW0(&a, 1, "the structure of an autoencoder"));
    a->opt = *opt;
    VSL_TRY(resolve(a));
    layers_new(a, p);
    VSL_TRY(nn_params_status(p));
    *out = a;
    a = NULL;
out:
    vsl_autoencoder_free(&a);
    return st;
}

void vsl_autoencoder_free(VslAutoencoder **a)
{
    vsl_free(*a);
    *a = NULL;
}

const VslAutoencoderOptions *vsl_autoencoder_options(const VslAutoencoder *a)
{
    return &a->opt;
}

int vsl_autoencoder_factor(const VslAutoencoder *a)
{
    return 1 << (a->levels - 1);
}

/* --- forward ------------------------------------------------------------------------------------------------------ */

/* What is made on the way is freed with the block. */
static NnTensor *block(NnScope *outer, const Block *b, NnTensor *x)
{
    NnScope *s = nn_scope_child(outer);
    NnTensor *h = nn_conv(s, &b->conv1, nn_norm_silu(s, &b->norm1, x, NULL, NULL));
    h = nn_conv(s, &b->conv2, nn_norm_silu(s, &b->norm2, h, NULL, NULL));
    h = nn_keep(s, nn_add(s, h, nn_conv(s, &b->skip, x)));
    nn_scope_join(&s);
    return h;
}

static NnTensor *up_sample(NnScope *outer, const NnConv *conv_after, NnTensor *x)
{
    NnScope *s = nn_scope_child(outer);
    x = nn_keep(s, nn_conv(s, conv_after, nn_upsample_nearest(s, x, 2)));
    nn_scope_join(&s);
    return x;
}

static NnTensor *check_image(NnScope *s, const VslAutoencoder *a, NnTensor *x)
{
    const VslAutoencoderOptions *o = &a->opt;
    const NnShape n = nn_shape(x);
    const int factor = vsl_autoencoder_factor(a);
    if (n.rank != 2 + o->dims || n.n[1] != o->in_channels) {
        return nn_refuse(s, VSL_E_ARG, "vsl_autoencoder_encode",
                         "the image has %d axes and %lld channels, expected %d and %d", n.rank,
                         n.rank > 1 ? (long long)n.n[1] : 0, 2 + o->dims, o->in_channels);
    }
    for (int i = 2; i < n.rank; i++) {
        if (n.n[i] % factor != 0) {
            return nn_refuse(s, VSL_E_ARG, "vsl_autoencoder_encode",
                             "axis %d has %lld voxels, expected a multiple of %d", i, (long long)n.n[i], factor);
        }
    }
    return x;
}

VslLatent vsl_autoencoder_encode(NnScope *s, const VslAutoencoder *a, NnTensor *x)
{
    NnTensor *h = nn_conv(s, &a->in, check_image(s, a, x));
    for (int l = 0; l < a->levels; l++) {
        for (int j = 0; j < a->opt.blocks; j++) {
            h = block(s, &a->down[l].block[j], h);
        }
        h = nn_conv(s, &a->down[l].sample, h);
    }
    h = nn_norm_silu(s, &a->end, h, NULL, NULL);
    return (VslLatent){nn_conv(s, &a->mean, h), nn_clamp(s, nn_conv(s, &a->log_var, h), -30, 20)};
}

NnTensor *vsl_autoencoder_decode(NnScope *s, const VslAutoencoder *a, NnTensor *z)
{
    NnTensor *h = nn_conv(s, &a->from_latent, z);
    for (int l = a->levels - 1; l >= 0; l--) {
        for (int j = 0; j < a->opt.blocks; j++) {
            h = block(s, &a->up[l].block[j], h);
        }
        if (l > 0) {
            h = up_sample(s, &a->up[l].sample, h);
        }
    }
    return nn_conv(s, &a->out, nn_norm_silu(s, &a->last, h, NULL, NULL));
}

/* --- latents ------------------------------------------------------------------------------------------------------ */

NnTensor *vsl_latent_draw(NnScope *s, const VslLatent *latent, uint64_t seed, uint64_t stream, uint64_t first)
{
    NnTensor *n = nn_randn(s, nn_shape(latent->mean), seed, stream, first);
    return nn_add(s, latent->mean, nn_mul(s, nn_exp(s, nn_affine(s, latent->log_var, 0.5, 0)), n));
}

NnTensor *vsl_latent_kl(NnScope *s, const VslLatent *latent)
{
    NnTensor *spread = nn_sub(s, nn_exp(s, latent->log_var), latent->log_var);
    NnTensor *each = nn_affine(s, nn_add(s, nn_square(s, latent->mean), spread), 0.5, -0.5);
    return nn_affine(s, nn_sum(s, each, NN_ALL), 1 / (double)nn_shape(latent->mean).n[0], 0);
}

void vsl_latent_add(NnScope *s, VslLatentMoments *m, const VslLatent *latent)
{
    const NnShape n = nn_shape(latent->mean);
    double count = 1;
    for (int i = 0; i < n.rank; i++) {
        count *= (double)n.n[i];
    }
    const double sum = nn_item(s, nn_sum(s, latent->mean, NN_ALL));
    const double squares = nn_item(s, nn_sum(s, nn_square(s, latent->mean), NN_ALL));
    if (nn_scope_status(s) == VSL_OK) {
        m->count += count;
        m->sum += sum;
        m->squares += squares;
    }
}

VslStatus vsl_latent_scale(double *scale, const VslLatentMoments *m)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(m->count > 0, VSL_E_ARG, "no latents were added, expected those of 64 images or more");
    const double mean = m->sum / m->count, variance = m->squares / m->count - mean * mean;
    VSL_CHECK(variance > 1e-12 * (mean * mean) && isfinite(variance), VSL_E_NUMERIC,
              "latents have variance %g about mean %g: the autoencoder has collapsed", variance, mean);
    *scale = 1 / sqrt(variance);
out:
    return st;
}
