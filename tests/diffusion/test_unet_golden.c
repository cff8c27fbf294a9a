/* The U-Net's outputs, gradients and ten training steps against PyTorch (tests/golden/unet.py), in 2D and 3D. */
#include "diffusion/unet.h"

#include <string.h>

#include "core/memory.h"
#include "core/random.h"
#include "tests/check.h"

/* Uniform in (-1, 1): splitmix64 of FNV-1a(name) + i, as in unet.py. */
static double formula(const char *name, int64_t i)
{
    uint64_t z = vsl_random_stream(name) + (uint64_t)(i + 1) * 0x9E3779B97F4A7C15u;
    z = (z ^ (z >> 30)) * 0xBF58476D1CE4E5B9u;
    z = (z ^ (z >> 27)) * 0x94D049BB133111EBu;
    z ^= z >> 31;
    return (double)(float)(((double)(z >> 40) + 0.5) / 8388608 - 1);
}

static int64_t count_of(NnShape n)
{
    int64_t count = 1;
    for (int i = 0; i < n.rank; i++) {
        count *= n.n[i];
    }
    return count;
}

static NnTensor *given(NnScope *s, const char *name, NnShape shape)
{
    float values[256];
    for (int64_t i = 0; i < count_of(shape); i++) {
        values[i] = (float)formula(name, i);
    }
    return nn_from_floats(s, values, shape);
}

static void start(NnParams *p)
{
    for (int64_t i = 0; i < nn_params_count(p); i++) {
        const char *name = nn_params_name(p, i);
        const NnShape n = nn_params_shape(p, i);
        const double fan_in = (double)(count_of(n) / n.n[0]);
        const size_t length = strlen(name);
        const int is_scale = n.rank == 1 && strstr(name, "norm") && strcmp(name + length - 6, "weight") == 0;
        float *values = NULL;
        CHECK_OK(VSL_NEW(&values, count_of(n), "a weight"));
        for (int64_t e = 0; e < count_of(n); e++) {
            const double v = formula(name, e);
            values[e] = (float)(n.rank > 1 ? v / sqrt(fan_in) : is_scale + 0.1 * v);
        }
        CHECK_OK(nn_params_set(p, i, values));
        vsl_free(values);
    }
}

typedef struct Row { /* one line of the table */
    char kind[16], name[64];
    int count;
    double v[96];
} Row;

static int read_row(FILE *f, Row *row, const char *wanted)
{
    char line[4096], which[8];
    while (fgets(line, sizeof line, f)) {
        int used = 0;
        if (sscanf(line, "%7s %15s %63s%n", which, row->kind, row->name, &used) == 3 && strcmp(which, wanted) == 0) {
            const char *at = line + used;
            char *end;
            for (row->count = 0; row->count < 96; row->count++, at = end) {
                row->v[row->count] = strtod(at, &end);
                if (end == at) {
                    break;
                }
            }
            return 1;
        }
    }
    return 0;
}

static int64_t index_of(const NnParams *p, const char *name)
{
    for (int64_t i = 0; i < nn_params_count(p); i++) {
        if (strcmp(nn_params_name(p, i), name) == 0) {
            return i;
        }
    }
    return -1;
}

/* |g| and <g, formula> of tensor `name` against the row; tolerance: of |g|. */
static void check_tensor(const NnParams *p, const Row *row, int is_gradient, double tolerance)
{
    const int64_t i = index_of(p, row->name);
    CHECK(i >= 0);
    if (i < 0) {
        printf("  no parameter %s\n", row->name);
        return;
    }
    const int64_t n = count_of(nn_params_shape(p, i));
    float *g = NULL;
    double square = 0, dot = 0;
    CHECK_OK(VSL_NEW(&g, n, "a gradient"));
    CHECK_OK(is_gradient ? nn_params_grad(p, i, g) : nn_params_get(p, i, g));
    for (int64_t e = 0; e < n; e++) {
        square += (double)g[e] * (double)g[e];
        dot += (double)g[e] * formula(row->name, e);
    }
    CHECK_NEAR(sqrt(square), row->v[0], tolerance * (row->v[0] + 1e-3), row->name);
    CHECK_NEAR(dot, row->v[1], tolerance * (row->v[0] + 1e-3) * 3, row->name);
    vsl_free(g);
}

typedef struct Net {
    NnParams *params;
    VslUnet *unet;
    NnShape shape; /* of x */
} Net;

static NnTensor *output(NnScope *s, const Net *net)
{
    const int64_t *n = net->shape.n;
    const VslUnetInput in = {.x = given(s, "x", net->shape),
                             .time = nn_from_floats(s, (float[]){3, 40}, NN_SHAPE(2)),
                             .spatial = given(s, "spatial", net->shape),
                             .vector = given(s, "vector", NN_SHAPE(n[0], 3)),
                             .tokens = given(s, "tokens", NN_SHAPE(n[0], 3, 5)),
                             .keep = nn_from_floats(s, (float[]){1, 0}, NN_SHAPE(2))};
    return vsl_unet_forward(s, net->unet, &in);
}

static double step(NnRuntime *rt, const Net *net, NnAdamW *optimiser)
{
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    NnTensor *loss = nn_mse(s, output(s, net), given(s, "target", net->shape));
    nn_backward(s, loss);
    if (optimiser) {
        nn_adamw_step(s, optimiser, 1e-3);
    }
    const double value = nn_item(s, loss);
    CHECK_OK(nn_scope_close(&s));
    return value;
}

/* tolerance: relative to the size of each tensor; float64 has the digits of the float32 in which gradients are read */
static void check_case(const char *name, int dims, NnShape shape, NnPrecision precision, int checkpoint,
                       double tolerance)
{
    const VslUnetOptions opt = {.dims = dims,
                                .in_channels = 1,
                                .spatial_channels = 1,
                                .width = 8,
                                .multipliers = {1, 2},
                                .blocks = 1,
                                .attention_levels = 1,
                                .heads = 2,
                                .vector_width = 3,
                                .token_width = 5,
                                .checkpoint = checkpoint};
    char path[1024];
    Row row;
    NnRuntime *rt = NULL;
    NnAdamW *optimiser = NULL;
    Net net = {.shape = shape};
    int outputs = 0, gradients = 0, losses = 0, trained = 0;
    snprintf(path, sizeof path, "%s/tests/golden/unet.tsv", getenv("VSL_SOURCE") ? getenv("VSL_SOURCE") : ".");
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    if (!f) {
        return;
    }
    CHECK_OK(nn_runtime_open(&rt, "cpu", precision, 1));
    CHECK_OK(nn_params_new(&net.params, rt, 0));
    CHECK_OK(vsl_unet_new(&net.unet, net.params, &opt));
    start(net.params);
    CHECK_OK(nn_adamw_new(&optimiser, net.params, &(NnAdamWOptions){.weight_decay = 0.01}));
    while (read_row(f, &row, name)) {
        if (strcmp(row.kind, "output") == 0) {
            double found[96];
            NnScope *s = nn_scope_open(rt, NN_INFER);
            nn_to_doubles(s, found, row.count, output(s, &net));
            CHECK_OK(nn_scope_close(&s));
            for (int i = 0; i < row.count; i++) {
                CHECK_NEAR(found[i], row.v[i], tolerance, "outputs are of size 1");
            }
            step(rt, &net, NULL);
            outputs += row.count;
        } else if (strcmp(row.kind, "gradient") == 0) {
            check_tensor(net.params, &row, 1, tolerance);
            gradients++;
        } else if (strcmp(row.kind, "losses") == 0) {
            NnScope *s = nn_scope_open(rt, NN_TRAIN);
            nn_zero_grad(s, net.params);
            CHECK_OK(nn_scope_close(&s));
            for (int i = 0; i < row.count; i++) {
                CHECK_NEAR(step(rt, &net, optimiser), row.v[i], tolerance, "losses are of size 0.1");
            }
            losses += row.count;
        } else {
            check_tensor(net.params, &row, 0, tolerance);
            trained++;
        }
    }
    CHECK(outputs == count_of(shape) && losses == 10);
    CHECK(gradients == nn_params_count(net.params) && trained == gradients);
    fclose(f);
    nn_adamw_free(&optimiser);
    vsl_unet_free(&net.unet);
    nn_params_free(&net.params);
    nn_runtime_close(&rt);
}

TEST(the_plane_network_is_pytorchs)
{
    check_case("2d", 2, NN_SHAPE(2, 1, 8, 4), NN_FLOAT64, 1, 1e-6);
    check_case("2d", 2, NN_SHAPE(2, 1, 8, 4), NN_FLOAT32, 1, 1e-5);
}

TEST(the_solid_network_is_pytorchs)
{
    check_case("3d", 3, NN_SHAPE(2, 1, 4, 6, 2), NN_FLOAT64, 1, 1e-6);
    check_case("3d", 3, NN_SHAPE(2, 1, 4, 6, 2), NN_FLOAT32, 1, 1e-5);
}

TEST(checkpointing_changes_nothing)
{
    check_case("2d", 2, NN_SHAPE(2, 1, 8, 4), NN_FLOAT64, 2, 1e-6);
    check_case("3d", 3, NN_SHAPE(2, 1, 4, 6, 2), NN_FLOAT64, 2, 1e-6);
}

int main(void)
{
    RUN(the_plane_network_is_pytorchs);
    RUN(the_solid_network_is_pytorchs);
    RUN(checkpointing_changes_nothing);
    return CHECK_VERDICT();
}
