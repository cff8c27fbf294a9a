/* vesal diffusion doctor: which LibTorch there is, and whether tensors, gradients and training work with it here. */
#include <math.h>
#include <string.h>

#include "cli/checks.h"
#include "cli/learn.h"
#include "nn/params.h"

/* mean((silu(x * w) - 1)^2) of a 3 x 3 convolution; w (4,3,3,3). */
static NnTensor *loss_of(NnScope *s, NnTensor *w)
{
    NnTensor *x = nn_randn(s, NN_SHAPE(2, 3, 8, 8), 1, 1, 0);
    NnTensor *y = nn_silu(s, nn_convolve(s, x, w, NULL, 1, 1));
    return nn_mse(s, y, nn_full(s, nn_shape(y), 1));
}

/* Largest difference between the gradient and central differences, over the largest gradient. */
static VslStatus gradient_error(double *out)
{
    enum { COUNT = 4 * 3 * 3 * 3 };
    const double step = 1e-5;
    VslStatus st = VSL_OK;
    NnRuntime *rt = NULL;
    NnScope *s = NULL;
    double gradient[COUNT], worst = 0, largest = 0;
    VSL_TRY(nn_runtime_open(&rt, "cpu", NN_FLOAT64, 1));
    s = nn_scope_open(rt, NN_TRAIN);
    NnTensor *w = nn_require_grad(s, nn_affine(s, nn_randn(s, NN_SHAPE(4, 3, 3, 3), 1, 2, 0), 0.2, 0));
    nn_to_doubles(s, gradient, COUNT, nn_grad(s, loss_of(s, w), w));
    for (int i = 0; i < COUNT; i += 5) {
        float nudge[COUNT] = {0};
        nudge[i] = 1;
        NnTensor *n = nn_from_floats(s, nudge, NN_SHAPE(4, 3, 3, 3));
        const double up = nn_item(s, loss_of(s, nn_add(s, w, nn_affine(s, n, step, 0))));
        const double down = nn_item(s, loss_of(s, nn_add(s, w, nn_affine(s, n, -step, 0))));
        worst = fmax(worst, fabs((up - down) / (2 * step) - gradient[i]));
        largest = fmax(largest, fabs(gradient[i]));
    }
    *out = worst / largest;
out:;
    const VslStatus closed = nn_scope_close(&s);
    nn_runtime_close(&rt);
    return st == VSL_OK ? closed : st;
}

/* Loss after some steps of AdamW over the loss at first, and the bits of the weights. */
static VslStatus train(double *ratio, float *weights, NnRuntime *rt)
{
    enum { STEPS = 20 };
    VslStatus st = VSL_OK;
    NnParams *p = NULL;
    NnAdamW *o = NULL;
    double first = 0, last = 0;
    VSL_TRY(nn_params_new(&p, rt, 5));
    NnTensor *w = nn_param(p, "w", NN_SHAPE(4, 3, 3, 3), NN_INIT_KAIMING_UNIFORM, 27);
    VSL_TRY(nn_adamw_new(&o, p, NULL));
    for (int i = 0; i < STEPS; i++) {
        NnScope *s = nn_scope_open(rt, NN_TRAIN);
        NnTensor *loss = loss_of(s, w);
        nn_backward(s, loss);
        nn_adamw_step(s, o, 0.05);
        last = nn_item(s, loss);
        first = i == 0 ? last : first;
        VSL_TRY(nn_scope_close(&s));
    }
    VSL_TRY(nn_params_get(p, 0, weights));
    *ratio = last / first;
out:
    nn_adamw_free(&o);
    nn_params_free(&p);
    return st;
}

/* Forward and backward of a 3 x 3 convolution of 64 channels, 64 x 64, batch 8: 1e9 operations a second. */
static VslStatus speed(double *out, NnRuntime *rt)
{
    enum { REPEATS = 5 };
    const double operations = 3 * 2.0 * 8 * 64 * 64 * 64 * 64 * 9;
    double best = INFINITY;
    for (int i = 0; i < REPEATS; i++) {
        NnScope *s = nn_scope_open(rt, NN_TRAIN);
        NnTensor *x = nn_require_grad(s, nn_randn(s, NN_SHAPE(8, 64, 64, 64), 1, 1, 0));
        NnTensor *w = nn_require_grad(s, nn_affine(s, nn_randn(s, NN_SHAPE(64, 64, 3, 3), 1, 2, 0), 0.05, 0));
        const double start = cli_seconds();
        NnTensor *y = nn_convolve(s, x, w, NULL, 1, 1);
        nn_backward(s, nn_mean(s, y, NN_ALL));
        (void)nn_item(s, nn_mean(s, y, NN_ALL));
        best = fmin(best, cli_seconds() - start);
        const VslStatus st = nn_scope_close(&s);
        if (st != VSL_OK) {
            return st;
        }
    }
    *out = operations / best * 1e-9;
    return VSL_OK;
}

static VslStatus run(Cli *cli, void *args)
{
    VslStatus st = VSL_OK;
    (void)args;
    int bad = 0;
    NnRuntime *rt = NULL;
    json_t *checks = json_array();
    double error = NAN, ratio = NAN, again = NAN, rate = NAN;
    float weights[108], weights_again[108];
    const double start = cli_seconds();
    VSL_TRY(nn_runtime_open(&rt, cli->device ? cli->device : "auto", NN_FLOAT32, cli->threads));
    VSL_TRY(train(&ratio, weights, rt));
    VSL_TRY(train(&again, weights_again, rt));
    VSL_TRY(speed(&rate, rt));
    VSL_TRY(gradient_error(&error));
    cli_check_bar(checks, "gradient of a convolution, relative error", error, 0, 1e-7, &bad);
    cli_check_bar(checks, "loss after 20 steps of AdamW, of the first", ratio, 0, 0.8, &bad);
    cli_check_bar(checks, "a second run with other weights", memcmp(weights, weights_again, sizeof weights) != 0, 0, 0,
                  &bad);
    const NnMemory memory = nn_memory(rt);
    cli->result = json_pack("{s:s,s:s,s:s,s:o,s:o}", "version", cli_version(), "build", cli_build(), "runtime",
                            nn_runtime_name(rt), "conv_gflop_s", cli_json_number(rate), "tensors_mb",
                            cli_json_number((double)memory.peak_bytes / 1048576));
    const double seconds = cli_seconds() - start;
    if (!cli->wants_json) {
        cli_checks_print(cli->result, checks, seconds);
    }
    json_object_set(cli->result, "checks", checks);
    json_object_set_new(cli->result, "seconds", cli_json_number(seconds));
    VSL_CHECK(bad == 0, VSL_E_EXTERNAL, "%d of %zu checks of the self-test failed: this LibTorch is not to be trusted",
              bad, json_array_size(checks));
out:
    nn_runtime_close(&rt);
    json_decref(checks);
    return st;
}

const CliVerb cli_verb_diffusion_doctor = {
    CLI_DIFFUSION_DOCTOR,
    .inputs = "",
    .notes = "Exit code 1 when a check fails, or when there is no LibTorch. conv_gflop_s is the speed of forward and "
             "backward of one convolution of a typical size, in billions of operations a second.",
    .example = "vesal diffusion doctor",
    .run = run,
};
