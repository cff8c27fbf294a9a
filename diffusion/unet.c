/* The U-Net, as a list of lines: what a block is, what a level is, then down, middle and up. */
#include "diffusion/unet.h"

#include <math.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"
#include "core/random.h"

#define AT(field) offsetof(VslUnetOptions, field)

enum { MAX_BLOCKS = 8, NAME_BYTES = 64 };

typedef struct ResBlock {
    NnNorm norm1, norm2;
    NnConv conv1, conv2; /* 3x3[x3]: Cin -> Cout, Cout -> Cout; the second starts at zero */
    NnLinear time;       /* E -> 2 Cout: scale and shift */
    NnConv skip;         /* 1x1[x1] when Cin != Cout */
    double dropout;
    uint64_t number; /* of the block: the stream of its dropout */
} ResBlock;

typedef struct Block { /* a residual block and what attends after it */
    ResBlock res;
    NnAttention self, cross;
} Block;

typedef struct Level {
    Block block[MAX_BLOCKS + 1];
    NnConv sample; /* down: stride 2; up: after nearest up-sampling; empty at the last level of its way */
} Level;

struct VslUnet {
    VslUnetOptions opt;
    int levels;
    int64_t channels[VSL_UNET_LEVELS];
    NnLinear time0, time1;     /* width -> E -> E, E = 4 width */
    NnLinear vector0, vector1; /* K -> E -> E */
    NnTensor *null_vector;     /* (1, E) */
    NnTensor *null_token;      /* (1, 1, token_width) */
    NnConv in;
    Level down[VSL_UNET_LEVELS], up[VSL_UNET_LEVELS];
    Block middle[2];
    NnNorm norm;
    NnConv head;
};

/* --- options ------------------------------------------------------------------------------------------------------ */

const VslOption vsl_unet_option_table[] = {
    {"network", VSL_OPT_CHOICE, AT(preset), VSL_UNET_SMALL, 0, 0, "", "size of the U-Net",
     "small,tiny,base,large,latent,latent-small,latent-large"},
    {"network-width", VSL_OPT_INT, AT(width), 0, 0, 1024, "channels", "of the finest level; 0 = as the size says",
     NULL},
    {"network-blocks", VSL_OPT_INT, AT(blocks), 0, 0, MAX_BLOCKS, "", "residual blocks a level; 0 = as the size says",
     NULL},
    {"attention-levels", VSL_OPT_INT, AT(attention_levels), 0, -1, VSL_UNET_LEVELS, "",
     "so many of the deepest levels attend; 0 = as the size says, -1 = none", NULL},
    {"attention-heads", VSL_OPT_INT, AT(heads), 0, 0, 64, "", "heads of the attention; 0 = as the size says", NULL},
    {"dropout", VSL_OPT_DOUBLE, AT(dropout), 0, 0, 0.9, "", "share of activations dropped in residual blocks", NULL},
    {"checkpoint", VSL_OPT_CHOICE, AT(checkpoint), 1, 0, 0, "",
     "compute residual blocks again in the backward pass: less memory, a third more time", "off,on"},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL}};

typedef struct Preset {
    int width, multipliers[VSL_UNET_LEVELS], blocks, attention_levels, heads;
} Preset;

static const Preset presets[] = {
    [VSL_UNET_SMALL] = {24, {1, 2, 2, 4}, 2, -1, 1},     [VSL_UNET_TINY] = {16, {1, 2}, 1, -1, 1},
    [VSL_UNET_BASE] = {64, {1, 1, 2, 2, 4, 4}, 2, 2, 4}, [VSL_UNET_LARGE] = {128, {1, 1, 2, 2, 4, 4}, 2, 2, 4},
    [VSL_UNET_LATENT] = {96, {1, 2, 4}, 2, 2, 4},        [VSL_UNET_LATENT_SMALL] = {64, {1, 2, 4}, 2, 2, 4},
    [VSL_UNET_LATENT_LARGE] = {256, {1, 2, 3}, 2, 2, 1},
};

static int or_else(int value, int otherwise)
{
    return value != 0 ? value : otherwise;
}

static int level_count(const VslUnetOptions *o)
{
    int n = 0;
    while (n < VSL_UNET_LEVELS && o->multipliers[n] > 0) {
        n++;
    }
    return n;
}

VslStatus vsl_unet_resolve(VslUnetOptions *opt)
{
    VslStatus st = VSL_OK;
    VslUnetOptions o = *opt;
    VSL_TRY(vsl_options_resolve(&o, vsl_unet_option_table));
    const Preset *p = &presets[o.preset];
    o.dims = or_else(o.dims, 2);
    o.in_channels = or_else(o.in_channels, 1);
    o.out_channels = or_else(o.out_channels, o.in_channels);
    o.width = or_else(o.width, p->width);
    o.blocks = or_else(o.blocks, p->blocks);
    o.heads = or_else(o.heads, p->heads);
    o.attention_levels = or_else(o.attention_levels, p->attention_levels);
    if (o.multipliers[0] == 0) {
        memcpy(o.multipliers, p->multipliers, sizeof o.multipliers);
    }
    const int levels = level_count(&o);
    VSL_CHECK(o.dims == 2 || o.dims == 3, VSL_E_ARG, "dims is %d, expected 2 or 3", o.dims);
    VSL_CHECK(o.in_channels > 0 && o.out_channels > 0 && o.spatial_channels >= 0, VSL_E_ARG,
              "%d input, %d output and %d spatial channels, expected at least 1, 1 and 0", o.in_channels,
              o.out_channels, o.spatial_channels);
    VSL_CHECK(o.width % 4 == 0, VSL_E_ARG, "width is %d, expected a multiple of 4 (groups of the norms)", o.width);
    VSL_CHECK(o.vector_width >= 0 && o.token_width >= 0, VSL_E_ARG,
              "condition widths are %d (vector) and %d (tokens), expected at least 0", o.vector_width, o.token_width);
    VSL_CHECK(levels > 0, VSL_E_ARG, "the first multiplier is %d, expected at least 1", o.multipliers[0]);
    for (int l = 0; l < VSL_UNET_LEVELS; l++) {
        VSL_CHECK(o.multipliers[l] >= 0 && o.multipliers[l] <= 64 && (l < levels || o.multipliers[l] == 0), VSL_E_ARG,
                  "multiplier of level %d is %d, expected 1 to 64 up to the last level and 0 after it", l,
                  o.multipliers[l]);
        const bool attends = l < levels && (l >= levels - o.attention_levels || l == levels - 1);
        VSL_CHECK(!attends || o.width * o.multipliers[l] % o.heads == 0, VSL_E_ARG,
                  "level %d has %d channels, expected a multiple of the %d heads", l, o.width * o.multipliers[l],
                  o.heads);
    }
    *opt = o;
out:
    return st;
}

/* --- parameters --------------------------------------------------------------------------------------------------- */

typedef struct Path {
    char text[NAME_BYTES];
} Path;

/* "path.leaf" */
VSL_PRINTF(2, 3) static Path join(Path path, const char *leaf, ...)
{
    const size_t used = strlen(path.text);
    va_list args;
    va_start(args, leaf);
    if (used > 0) {
        path.text[used] = '.';
    }
    vsnprintf(path.text + used + (used > 0), sizeof path.text - used - (used > 0), leaf, args);
    va_end(args);
    return path;
}

static int64_t embedding_width(const VslUnet *net)
{
    return 4 * (int64_t)net->opt.width;
}

static NnConv conv(const VslUnet *net, NnParams *p, Path path, const char *leaf, int64_t in, int64_t out, int kernel,
                   int stride, NnInit init)
{
    return nn_conv_new(p, join(path, "%s", leaf).text, net->opt.dims, in, out, kernel, stride, init);
}

static ResBlock res_block_new(const VslUnet *net, NnParams *p, Path path, int64_t in, int64_t out)
{
    ResBlock b = {.dropout = net->opt.dropout, .number = vsl_random_stream(path.text)};
    b.norm1 = nn_norm_new(p, join(path, "norm1").text, in);
    b.conv1 = conv(net, p, path, "conv1", in, out, 3, 1, NN_INIT_KAIMING_UNIFORM);
    b.time = nn_linear_new(p, join(path, "time").text, embedding_width(net), 2 * out, NN_INIT_KAIMING_UNIFORM);
    b.norm2 = nn_norm_new(p, join(path, "norm2").text, out);
    b.conv2 = conv(net, p, path, "conv2", out, out, 3, 1, NN_INIT_ZERO);
    if (in != out) {
        b.skip = conv(net, p, path, "skip", in, out, 1, 1, NN_INIT_KAIMING_UNIFORM);
    }
    return b;
}

/* at: where the level's names begin; j: the block's number within it; attends: with attention after the block */
static Block block_new(const VslUnet *net, NnParams *p, Path at, int j, int64_t in, int64_t out, bool attends)
{
    const VslUnetOptions *o = &net->opt;
    const Path attention = join(at, "attention.%d", j);
    Block b = {.res = res_block_new(net, p, join(at, "block.%d", j), in, out)};
    if (attends) {
        b.self = nn_attention_new(p, join(attention, "self").text, out, 0, o->heads);
    }
    if (attends && o->token_width > 0) {
        b.cross = nn_attention_new(p, join(attention, "cross").text, out, o->token_width, o->heads);
    }
    return b;
}

static void conditions_new(VslUnet *net, NnParams *p)
{
    const VslUnetOptions *o = &net->opt;
    const int64_t e = embedding_width(net);
    net->time0 = nn_linear_new(p, "time.0", o->width, e, NN_INIT_KAIMING_UNIFORM);
    net->time1 = nn_linear_new(p, "time.1", e, e, NN_INIT_KAIMING_UNIFORM);
    if (o->vector_width > 0) {
        net->vector0 = nn_linear_new(p, "vector.0", o->vector_width, e, NN_INIT_KAIMING_UNIFORM);
        net->vector1 = nn_linear_new(p, "vector.1", e, e, NN_INIT_KAIMING_UNIFORM);
        net->null_vector = nn_param(p, "vector.null", NN_SHAPE(1, e), NN_INIT_NORMAL, e);
    }
    if (o->token_width > 0) {
        net->null_token = nn_param(p, "token.null", NN_SHAPE(1, 1, o->token_width), NN_INIT_NORMAL, o->token_width);
    }
}

static void layers_new(VslUnet *net, NnParams *p)
{
    const VslUnetOptions *o = &net->opt;
    const int last = net->levels - 1;
    const Path top = {""}, middle = {"middle"};
    int64_t skips[VSL_UNET_LEVELS * (MAX_BLOCKS + 1) + 1], c = o->width;
    int kept = 0;
    conditions_new(net, p);
    net->in = conv(net, p, top, "in", o->in_channels + o->spatial_channels, c, 3, 1, NN_INIT_KAIMING_UNIFORM);
    skips[kept++] = c;
    for (int l = 0; l <= last; l++) {
        const Path at = join(top, "down.%d", l);
        for (int j = 0; j < o->blocks; j++) {
            net->down[l].block[j] =
                block_new(net, p, at, j, c, net->channels[l], l >= net->levels - o->attention_levels);
            skips[kept++] = c = net->channels[l];
        }
        if (l < last) {
            net->down[l].sample = conv(net, p, at, "sample", c, c, 3, 2, NN_INIT_KAIMING_UNIFORM);
            skips[kept++] = c;
        }
    }
    net->middle[0] = block_new(net, p, middle, 0, c, c, o->attention_levels > 0 || o->token_width > 0);
    net->middle[1] = block_new(net, p, middle, 1, c, c, false);
    for (int l = last; l >= 0; l--) {
        const Path at = join(top, "up.%d", l);
        for (int j = 0; j <= o->blocks; j++) {
            net->up[l].block[j] =
                block_new(net, p, at, j, c + skips[--kept], net->channels[l], l >= net->levels - o->attention_levels);
            c = net->channels[l];
        }
        if (l > 0) {
            net->up[l].sample = conv(net, p, at, "sample", c, c, 3, 1, NN_INIT_KAIMING_UNIFORM);
        }
    }
    net->norm = nn_norm_new(p, "norm", c);
    net->head = conv(net, p, top, "out", c, o->out_channels, 3, 1, NN_INIT_ZERO);
}

VslStatus vsl_unet_new(VslUnet **out, NnParams *p, const VslUnetOptions *opt)
{
    VslStatus st = VSL_OK;
    VslUnet *net = NULL;
    VSL_TRY(VSL_NEW0(&net, 1, "the structure of a U-Net"));
    net->opt = *opt;
    VSL_TRY(vsl_unet_resolve(&net->opt));
    net->levels = level_count(&net->opt);
    for (int l = 0; l < net->levels; l++) {
        net->channels[l] = (int64_t)net->opt.width * net->opt.multipliers[l];
    }
    layers_new(net, p);
    VSL_TRY(nn_params_status(p));
    *out = net;
    net = NULL;
out:
    vsl_unet_free(&net);
    return st;
}

void vsl_unet_free(VslUnet **net)
{
    vsl_free(*net);
    *net = NULL;
}

const VslUnetOptions *vsl_unet_options(const VslUnet *net)
{
    return &net->opt;
}

int vsl_unet_tap_count(const VslUnet *net)
{
    return net->levels;
}

int64_t vsl_unet_tap_channels(const VslUnet *net, int i)
{
    return net->channels[net->levels - 1 - i];
}

NnConv vsl_unet_head_new(NnParams *p, const char *name, const VslUnet *net, int channels)
{
    return nn_conv_new(p, name, net->opt.dims, net->channels[0], channels, 3, 1, NN_INIT_NORMAL);
}

/* --- forward ------------------------------------------------------------------------------------------------------ */

typedef struct Pass { /* what every block of one forward pass shares */
    NnTensor *emb;    /* (B, E), activated */
    NnTensor *tokens; /* (B, M, token_width), or NULL */
    uint64_t dropout_seed;
    bool checkpoint;
} Pass;

/* cos and sin of time / 10000^(2i/width), i < width/2: (B) -> (B, width) (Vaswani et al. 2017, as in DDPM) */
static NnTensor *sinusoids(NnScope *s, NnTensor *time, int width)
{
    float numbers[512];
    const int half = width / 2;
    for (int i = 0; i < half; i++) {
        numbers[i] = (float)i;
    }
    NnTensor *rate = nn_exp(s, nn_affine(s, nn_from_floats(s, numbers, NN_SHAPE(1, half)), -log(1e4) / half, 0));
    NnTensor *phase = nn_mul(s, nn_reshape(s, time, NN_SHAPE(-1, 1)), rate);
    return nn_concat(s, 2, (NnTensor *[]){nn_cos(s, phase), nn_sin(s, phase)}, 1);
}

/* given where keep is 1, null where it is 0; given NULL = null everywhere */
static NnTensor *keep_or_null(NnScope *s, NnTensor *given, NnTensor *null, NnTensor *keep)
{
    if (!given || !keep) {
        return given ? given : null;
    }
    NnShape each = {.rank = nn_shape(given).rank, .n = {-1, 1, 1}};
    return nn_add(s, null, nn_mul(s, nn_reshape(s, keep, each), nn_sub(s, given, null)));
}

/* -> (B, E), through the activation that every block's own map begins with */
static NnTensor *embed(NnScope *s, const VslUnet *net, const VslUnetInput *in)
{
    NnTensor *e = nn_linear(s, &net->time0, sinusoids(s, in->time, net->opt.width));
    e = nn_linear(s, &net->time1, nn_silu(s, e));
    if (net->null_vector) {
        NnTensor *v = in->vector;
        v = v ? nn_linear(s, &net->vector1, nn_silu(s, nn_linear(s, &net->vector0, v))) : NULL;
        e = nn_add(s, e, keep_or_null(s, v, net->null_vector, in->keep));
    }
    return nn_silu(s, e);
}

static NnTensor *context(NnScope *s, const VslUnet *net, const VslUnetInput *in)
{
    if (!net->null_token) {
        return NULL;
    }
    NnTensor *each = nn_full(s, NN_SHAPE(nn_shape(in->x).n[0], 1, 1), 0);
    return nn_add(s, each, keep_or_null(s, in->tokens, net->null_token, in->keep));
}

/* x (B, Cin, ..), emb (B, E) -> (B, Cout, ..) */
static NnTensor *res_block(NnScope *s, const ResBlock *p, NnTensor *x, NnTensor *emb, uint64_t dropout_seed)
{
    NnTensor *t = nn_linear(s, &p->time, emb); /* (B, 2 Cout) */
    const int64_t c = nn_shape(t).n[1] / 2;
    NnTensor *scale = nn_slice(s, t, 1, 0, c), *shift = nn_slice(s, t, 1, c, 2 * c);
    NnTensor *h = nn_conv(s, &p->conv1, nn_norm_silu(s, &p->norm1, x, NULL, NULL));
    h = nn_norm_silu(s, &p->norm2, h, scale, shift);
    h = p->dropout > 0 ? nn_dropout(s, h, p->dropout, dropout_seed, p->number) : h;
    return nn_add(s, nn_conv(s, &p->conv2, h), nn_conv(s, &p->skip, x));
}

typedef struct Again { /* what a checkpoint needs to run a residual block again */
    const ResBlock *block;
    uint64_t dropout_seed;
} Again;

static NnTensor *res_block_again(NnScope *s, NnTensor *const *in, void *user)
{
    const Again *a = user;
    return res_block(s, a->block, in[0], in[1], a->dropout_seed);
}

static NnTensor *res(NnScope *s, const ResBlock *p, NnTensor *x, const Pass *pass)
{
    Again again = {p, pass->dropout_seed};
    return pass->checkpoint ? nn_checkpoint(s, res_block_again, 2, (NnTensor *[]){x, pass->emb}, &again, sizeof again)
                            : res_block(s, p, x, pass->emb, pass->dropout_seed);
}

/* skip: what the way down kept for this block, or NULL. What is made on the way is freed with the block. */
static NnTensor *block(NnScope *outer, const Block *p, NnTensor *x, NnTensor *skip, const Pass *pass)
{
    NnScope *s = nn_scope_child(outer);
    x = skip ? nn_concat(s, 2, (NnTensor *[]){x, skip}, 1) : x;
    x = res(s, &p->res, x, pass);
    x = nn_attention(s, &p->self, x, NULL);
    x = nn_keep(s, nn_attention(s, &p->cross, x, pass->tokens));
    nn_scope_join(&s);
    return x;
}

static NnTensor *up_sample(NnScope *outer, const NnConv *conv_after, NnTensor *x)
{
    NnScope *s = nn_scope_child(outer);
    x = nn_keep(s, nn_conv(s, conv_after, nn_upsample_nearest(s, x, 2)));
    nn_scope_join(&s);
    return x;
}

static NnTensor *check_input(NnScope *s, const VslUnet *net, const VslUnetInput *in)
{
    const VslUnetOptions *o = &net->opt;
    const NnShape n = nn_shape(in->x);
    const int64_t step = (int64_t)1 << (net->levels - 1);
    if (n.rank != 2 + o->dims || n.n[1] != o->in_channels) {
        return nn_refuse(s, VSL_E_ARG, "vsl_unet", "the input has %d axes and %lld channels, expected %d and %d",
                         n.rank, n.rank > 1 ? (long long)n.n[1] : 0, 2 + o->dims, o->in_channels);
    }
    for (int i = 2; i < n.rank; i++) {
        if (n.n[i] % step != 0) {
            return nn_refuse(s, VSL_E_ARG, "vsl_unet", "axis %d has %lld voxels, expected a multiple of %lld", i,
                             (long long)n.n[i], (long long)step);
        }
    }
    if ((in->spatial && o->spatial_channels == 0) || (in->vector && o->vector_width == 0) ||
        (in->tokens && o->token_width == 0)) {
        return nn_refuse(s, VSL_E_ARG, "vsl_unet", "a condition is given that the network was not made for");
    }
    if (o->spatial_channels == 0) {
        return in->x;
    }
    NnShape more = n;
    more.n[1] = o->spatial_channels;
    NnTensor *spatial = in->spatial ? in->spatial : nn_full(s, more, 0);
    return nn_concat(s, 2, (NnTensor *[]){in->x, spatial}, 1);
}

typedef struct Skips { /* what the way down keeps for the way up */
    NnTensor *h[VSL_UNET_LEVELS * (MAX_BLOCKS + 1) + 1];
    int kept;
} Skips;

static Pass pass_of(NnScope *s, const VslUnet *net, const VslUnetInput *in)
{
    return (Pass){.emb = embed(s, net, in),
                  .tokens = context(s, net, in),
                  .dropout_seed = in->dropout_seed,
                  .checkpoint = net->opt.checkpoint == 2};
}

/* Down and through the middle. */
static NnTensor *to_middle(NnScope *s, const VslUnet *net, NnTensor *x, const Pass *pass, Skips *skips)
{
    const int last = net->levels - 1;
    NnTensor *h = nn_conv(s, &net->in, x);
    skips->h[skips->kept++] = h;
    for (int l = 0; l <= last; l++) {
        for (int j = 0; j < net->opt.blocks; j++) {
            h = block(s, &net->down[l].block[j], h, NULL, pass);
            skips->h[skips->kept++] = h;
        }
        if (l < last) {
            h = nn_conv(s, &net->down[l].sample, h);
            skips->h[skips->kept++] = h;
        }
    }
    h = block(s, &net->middle[0], h, NULL, pass);
    return block(s, &net->middle[1], h, NULL, pass);
}

NnTensor *vsl_unet_middle(NnScope *s, const VslUnet *net, const VslUnetInput *in)
{
    Skips skips = {.kept = 0};
    NnTensor *x = check_input(s, net, in);
    const Pass pass = pass_of(s, net, in);
    return to_middle(s, net, x, &pass, &skips);
}

NnTensor *vsl_unet_body(NnScope *s, const VslUnet *net, const VslUnetInput *in, NnTensor **taps)
{
    const int last = net->levels - 1;
    Skips skips = {.kept = 0};
    NnTensor *x = check_input(s, net, in);
    const Pass pass = pass_of(s, net, in);
    NnTensor *h = to_middle(s, net, x, &pass, &skips);
    for (int l = last; l >= 0; l--) {
        for (int j = 0; j <= net->opt.blocks; j++) {
            h = block(s, &net->up[l].block[j], h, skips.h[--skips.kept], &pass);
        }
        if (taps) {
            taps[last - l] = h;
        }
        if (l > 0) {
            h = up_sample(s, &net->up[l].sample, h);
        }
    }
    return nn_norm_silu(s, &net->norm, h, NULL, NULL);
}

NnTensor *vsl_unet_forward(NnScope *s, const VslUnet *net, const VslUnetInput *in)
{
    return nn_conv(s, &net->head, vsl_unet_body(s, net, in, NULL));
}
