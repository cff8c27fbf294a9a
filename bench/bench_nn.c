/* One step at a time of a diffusion U-Net, for bench/nn_torch.py, which runs the same network in PyTorch alternately so
 * that both meet the same load of the machine. Reads words from standard input: "train" and "sample" do one step and
 * answer with its seconds and those of processor time, "memory" answers with what tensors hold and their peak, in MiB.
 *   bench_nn PRESET DIMS EXTENT BATCH THREADS [float32|bf16] [DEVICE] */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "core/random.h"
#include "diffusion/unet.h"

typedef struct Bench {
    NnRuntime *rt;
    NnParams *p, *average;
    NnAdamW *opt;
    VslUnet *net, *average_net;
    NnShape shape; /* of a batch */
    uint64_t step;
} Bench;

static double seconds(clockid_t clock)
{
    struct timespec t;
    clock_gettime(clock, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static VslStatus open_bench(Bench *b, char **argv)
{
    VslStatus st = VSL_OK;
    VslUnetOptions o = {0};
    const int dims = atoi(argv[2]), extent = atoi(argv[3]), batch = atoi(argv[4]);
    const NnPrecision precision = argv[6] && strcmp(argv[6], "bf16") == 0 ? NN_BF16 : NN_FLOAT32;
    for (const VslOption *row = vsl_unet_option_table; row->flag; row++) {
        if (strcmp(row->flag, "network") == 0) {
            VSL_TRY(vsl_option_parse(&o, row, argv[1]));
        }
    }
    o.dims = dims;
    b->shape = (NnShape){dims + 2, {batch, 1, extent, extent, dims == 3 ? extent : 0}};
    VSL_TRY(nn_runtime_open(&b->rt, argv[6] && argv[7] ? argv[7] : "cpu", precision, atoi(argv[5])));
    VSL_TRY(nn_params_new(&b->p, b->rt, 1));
    VSL_TRY(nn_params_new(&b->average, b->rt, 1));
    VSL_TRY(vsl_unet_new(&b->net, b->p, &o));
    VSL_TRY(vsl_unet_new(&b->average_net, b->average, &o));
    VSL_TRY(nn_adamw_new(&b->opt, b->p, &(NnAdamWOptions){.weight_decay = 0.01}));
out:
    return st;
}

/* x0 is noise as good as any; x = cos(a) x0 + sin(a) noise, the network predicts the noise. */
static VslStatus train(Bench *b)
{
    const int64_t batch = b->shape.n[0];
    const uint64_t first = b->step++ * (uint64_t)batch;
    NnScope *s = nn_scope_open(b->rt, NN_TRAIN);
    NnTensor *x0 = nn_randn(s, b->shape, 1, 1, first), *noise = nn_randn(s, b->shape, 1, 2, first);
    NnTensor *angle = nn_rand(s, NN_SHAPE(batch, 1), 1, 3, first);
    NnTensor *x = nn_add(s, nn_mul(s, nn_spatial(s, nn_cos(s, angle), x0), x0),
                         nn_mul(s, nn_spatial(s, nn_sin(s, angle), x0), noise));
    NnTensor *time = nn_affine(s, nn_reshape(s, angle, NN_SHAPE(batch)), 1000, 0);
    NnTensor *loss = nn_mse(s, vsl_unet_forward(s, b->net, &(VslUnetInput){.x = x, .time = time}), noise);
    nn_backward(s, loss);
    (void)nn_clip_grad_norm(s, b->p, 1);
    nn_adamw_step(s, b->opt, 1e-4);
    nn_ema_update(s, b->average, b->p, 0.999);
    (void)nn_item(s, loss);
    return nn_scope_close(&s);
}

static VslStatus sample(Bench *b)
{
    NnScope *s = nn_scope_open(b->rt, NN_INFER);
    NnTensor *x = nn_randn(s, b->shape, 1, 4, 0);
    NnTensor *time = nn_full(s, NN_SHAPE(b->shape.n[0]), 500);
    NnTensor *noise = vsl_unet_forward(s, b->average_net, &(VslUnetInput){.x = x, .time = time});
    NnTensor *next = nn_sub(s, nn_affine(s, x, 1.01, 0), nn_affine(s, noise, 0.02, 0));
    (void)nn_item(s, nn_sum(s, next, NN_ALL));
    return nn_scope_close(&s);
}

int main(int argc, char **argv)
{
    Bench b = {0};
    char word[16];
    VslStatus st = argc < 6 ? vsl_fail(VSL_E_ARG, __func__,
                                       "bench_nn PRESET DIMS EXTENT BATCH THREADS [PRECISION] "
                                       "[DEVICE]")
                            : open_bench(&b, argv);
    if (st == VSL_OK) {
        printf("%s, %lld weights\n", nn_runtime_name(b.rt), (long long)nn_params_elements(b.p));
        fflush(stdout);
    }
    while (st == VSL_OK && scanf("%15s", word) == 1) {
        const double start = seconds(CLOCK_MONOTONIC), used = seconds(CLOCK_PROCESS_CPUTIME_ID);
        if (strcmp(word, "memory") == 0) {
            const NnMemory m = nn_memory(b.rt);
            printf("%.3f %.3f\n", (double)m.now_bytes / 1048576, (double)m.peak_bytes / 1048576);
        } else {
            st = strcmp(word, "train") == 0 ? train(&b) : sample(&b);
            printf("%.6f %.6f\n", seconds(CLOCK_MONOTONIC) - start, seconds(CLOCK_PROCESS_CPUTIME_ID) - used);
        }
        fflush(stdout);
    }
    if (st != VSL_OK) {
        fprintf(stderr, "bench_nn: %s\n", vsl_error());
    }
    vsl_unet_free(&b.net);
    vsl_unet_free(&b.average_net);
    nn_adamw_free(&b.opt);
    nn_params_free(&b.p);
    nn_params_free(&b.average);
    nn_runtime_close(&b.rt);
    return st != VSL_OK;
}
