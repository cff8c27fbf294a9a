/* Output, gradients and ten AdamW steps of a small network against PyTorch (tests/golden/nn_network.py). */
#include <string.h>

#include "nn/params.h"
#include "nn/tensor.h"
#include "tests/check.h"

enum { STEPS = 10, PARAMS = 15, MOST = 2048 };

typedef struct Weight {
    const char *name;
    NnShape shape;
} Weight;

#define S(...)                                                     \
    {                                                              \
        (int)(sizeof((int64_t[]){__VA_ARGS__}) / sizeof(int64_t)), \
        {                                                          \
            __VA_ARGS__                                            \
        }                                                          \
    }
enum { IN, IN_B, NORM, NORM_B, TIME, TIME_B, DOWN, QUERY, KEY, VALUE, LAYER, LAYER_B, UP, OUT, OUT_B };
static const Weight weights[PARAMS] = {
    {"in.weight", S(8, 2, 3, 3)},
    {"in.bias", S(8)},
    {"norm.weight", S(8)},
    {"norm.bias", S(8)},
    {"time.weight", S(8, 4)},
    {"time.bias", S(8)},
    {"down.weight", S(12, 8, 4, 4)},
    {"query.weight", S(12, 12)},
    {"key.weight", S(12, 12)},
    {"value.weight", S(12, 12)},
    {"layer.weight", S(12)},
    {"layer.bias", S(12)},
    {"up.weight", S(12, 4, 4, 4)},
    {"out.weight", S(3, 12, 3, 3)},
    {"out.bias", S(3)},
};

static int64_t count_of(NnShape n)
{
    int64_t count = 1;
    for (int i = 0; i < n.rank; i++) {
        count *= n.n[i];
    }
    return count;
}

static void formula(float *values, NnShape shape, int k, double scale)
{
    for (int64_t i = 0; i < count_of(shape); i++) {
        const double x = (double)i;
        values[i] = (float)(scale * sin(0.37 * x + fmod(0.11 * x * x, 7) + k));
    }
}

static NnTensor *tensor_of(NnScope *s, NnShape shape, int k)
{
    float values[MOST];
    formula(values, shape, k, 1);
    return nn_from_floats(s, values, shape);
}

/* (B,T,12) -> (B,3,T,4) */
static NnTensor *heads(NnScope *s, NnTensor *tokens, NnTensor *w)
{
    const NnShape n = nn_shape(tokens);
    NnTensor *x = nn_reshape(s, nn_linear_map(s, tokens, w, NULL), NN_SHAPE(n.n[0], -1, 3, 4));
    return nn_permute(s, x, (const int[]){0, 2, 1, 3});
}

/* x (B,2,H,W), emb (B,4) -> (B,3,H,W) */
static NnTensor *network(NnScope *s, NnTensor *const *p, NnTensor *x, NnTensor *emb)
{
    NnTensor *h = nn_convolve(s, x, p[IN], p[IN_B], 1, 1);
    h = nn_silu(s, nn_group_norm(s, h, 2, p[NORM], p[NORM_B], 1e-5));
    h = nn_add(s, h, nn_spatial(s, nn_linear_map(s, nn_silu(s, emb), p[TIME], p[TIME_B]), h));
    NnTensor *d = nn_convolve(s, h, p[DOWN], NULL, 2, 1);
    const NnShape n = nn_shape(d);
    NnTensor *tokens = nn_permute(s, nn_reshape(s, d, NN_SHAPE(n.n[0], n.n[1], -1)), (const int[]){0, 2, 1});
    tokens = nn_layer_norm(s, tokens, p[LAYER], p[LAYER_B], 1e-5);
    NnTensor *mix = nn_attend(s, heads(s, tokens, p[QUERY]), heads(s, tokens, p[KEY]), heads(s, tokens, p[VALUE]));
    mix = nn_reshape(s, nn_permute(s, mix, (const int[]){0, 2, 1, 3}), NN_SHAPE(n.n[0], -1, n.n[1]));
    d = nn_add(s, d, nn_reshape(s, nn_permute(s, mix, (const int[]){0, 2, 1}), n));
    NnTensor *u = nn_gelu(s, nn_convolve_transposed(s, d, p[UP], NULL, 2, 1));
    return nn_convolve(s, nn_concat(s, 2, (NnTensor *[]){h, u}, 1), p[OUT], p[OUT_B], 1, 1);
}

typedef struct Run {
    double output[288], loss[STEPS], norm[STEPS], gradient[PARAMS][MOST], weight[PARAMS][MOST];
} Run;

static void build(NnParams **out, NnTensor **p, NnRuntime *rt)
{
    CHECK_OK(nn_params_new(out, rt, 0));
    for (int k = 0; k < PARAMS; k++) {
        float values[MOST];
        const NnShape n = weights[k].shape;
        const double fan_in = n.rank > 1 ? (double)(count_of(n) / n.n[0]) : 1;
        formula(values, n, k, n.rank > 1 ? 1.5 / sqrt(fan_in) : 0.3);
        for (int64_t i = 0; (k == NORM || k == LAYER) && i < count_of(n); i++) {
            values[i] += 1;
        }
        p[k] = nn_param(*out, weights[k].name, n, NN_INIT_ZERO, 0);
        CHECK_OK(nn_params_set(*out, k, values));
    }
    CHECK_OK(nn_params_status(*out));
}

static void run(Run *r, NnPrecision precision, int threads)
{
    NnRuntime *rt = NULL;
    NnParams *params = NULL;
    NnAdamW *o = NULL;
    NnTensor *p[PARAMS];
    int64_t labels[96];
    for (int i = 0; i < 96; i++) {
        labels[i] = i % 3;
    }
    CHECK_OK(nn_runtime_open(&rt, "cpu", precision, threads));
    build(&params, p, rt);
    CHECK_OK(nn_adamw_new(&o, params, &(NnAdamWOptions){.weight_decay = 0.05}));
    for (int step = 0; step < STEPS; step++) {
        NnScope *s = nn_scope_open(rt, NN_TRAIN);
        NnTensor *y = network(s, p, tensor_of(s, NN_SHAPE(2, 2, 6, 8), 100), tensor_of(s, NN_SHAPE(2, 4), 101));
        NnTensor *ones = nn_full(s, nn_shape(y), 1);
        NnTensor *loss = nn_add(s, nn_cross_entropy(s, y, nn_from_int64(s, labels, NN_SHAPE(2, 6, 8))),
                                nn_affine(s, nn_mse(s, y, ones), 0.1, 0));
        nn_backward(s, loss);
        if (step == 0) {
            nn_to_doubles(s, r->output, 288, y);
            for (int k = 0; k < PARAMS; k++) {
                float g[MOST];
                CHECK_OK(nn_params_grad(params, k, g));
                for (int64_t i = 0; i < count_of(weights[k].shape); i++) {
                    r->gradient[k][i] = (double)g[i];
                }
            }
        }
        r->norm[step] = nn_clip_grad_norm(s, params, 0.5);
        nn_adamw_step(s, o, 0.01);
        r->loss[step] = nn_item(s, loss);
        CHECK_OK(nn_scope_close(&s));
    }
    for (int k = 0; k < PARAMS; k++) {
        float w[MOST];
        CHECK_OK(nn_params_get(params, k, w));
        for (int64_t i = 0; i < count_of(weights[k].shape); i++) {
            r->weight[k][i] = (double)w[i];
        }
    }
    CHECK(nn_adamw_steps(o) == STEPS);
    nn_adamw_free(&o);
    nn_params_free(&params);
    nn_runtime_close(&rt);
}

/* The golden's row `name` against `count` values; the worst difference must be at most tol. */
static void compare(const char *table, const char *name, const double *values, int64_t count, double tol)
{
    char head[64];
    snprintf(head, sizeof head, "\n%s\t", name);
    const char *at = strstr(table, head);
    CHECK(at != NULL);
    double worst = 0;
    int64_t found = 0;
    for (at = at ? at + strlen(head) : "\n"; *at && *at != '\n'; found++) {
        char *end;
        const double want = strtod(at, &end);
        if (end == at || found >= count) {
            break;
        }
        worst = fmax(worst, isnan(values[found]) ? INFINITY : fabs(values[found] - want));
        at = end;
    }
    CHECK(found == count);
    CHECK_NEAR(worst, 0, tol, name);
}

static char *golden(void)
{
    static char table[1 << 17];
    char path[1024];
    const char *source = getenv("VSL_SOURCE");
    snprintf(path, sizeof path, "%s/tests/golden/nn_network.tsv", source ? source : ".");
    FILE *f = fopen(path, "rb");
    CHECK(f != NULL);
    const size_t size = f ? fread(table, 1, sizeof table - 1, f) : 0;
    table[size] = '\0';
    if (f) {
        fclose(f);
    }
    return table;
}

static void compare_all(const Run *r, double tol, double loss_tol)
{
    const char *table = golden();
    compare(table, "output", r->output, 288, tol);
    compare(table, "losses", r->loss, STEPS, loss_tol);
    compare(table, "norms", r->norm, STEPS, loss_tol);
    for (int k = 0; k < PARAMS; k++) {
        char name[64];
        snprintf(name, sizeof name, "gradient %s", weights[k].name);
        compare(table, name, r->gradient[k], count_of(weights[k].shape), tol);
        snprintf(name, sizeof name, "weight %s", weights[k].name);
        compare(table, name, r->weight[k], count_of(weights[k].shape), tol);
    }
}

static Run first, second;

TEST(doubles_agree_with_pytorch_to_the_goldens_digits)
{
    run(&first, NN_FLOAT64, 1);
    /* values are read as float32 (6e-8 of 1), the table has nine digits */
    compare_all(&first, 2e-7, 1e-8);
}

TEST(floats_agree_with_pytorch_to_1e_5)
{
    run(&first, NN_FLOAT32, 1);
    compare_all(&first, 1e-5, 1e-5);
}

TEST(two_runs_give_the_same_bits)
{
    for (int threads = 1; threads <= 2; threads++) {
        run(&first, NN_FLOAT32, threads);
        run(&second, NN_FLOAT32, threads);
        CHECK(memcmp(&first, &second, sizeof first) == 0);
    }
}

TEST(bf16_follows_within_its_digits)
{
    run(&first, NN_BF16, 1);
    run(&second, NN_FLOAT32, 1);
    for (int i = 0; i < 288; i++) {
        CHECK_NEAR(first.output[i], second.output[i], 0.05, "bf16 has 8 bits");
    }
    CHECK(memcmp(first.output, second.output, sizeof first.output) != 0);
    for (int step = 0; step < STEPS; step++) {
        CHECK_NEAR(first.loss[step], second.loss[step], 0.02, "bf16 has 8 bits");
    }
}

int main(void)
{
    RUN(doubles_agree_with_pytorch_to_the_goldens_digits);
    RUN(floats_agree_with_pytorch_to_1e_5);
    RUN(two_runs_give_the_same_bits);
    RUN(bf16_follows_within_its_digits);
    return CHECK_VERDICT();
}
