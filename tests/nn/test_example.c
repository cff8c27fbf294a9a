/* The example of docs/nn.md. */
#include <string.h>

#include "nn/params.h"
#include "tests/check.h"

typedef struct Model {
    NnTensor *w1, *b1, *w2;
} Model;

static NnTensor *predict(NnScope *s, const Model *m, NnTensor *x)
{
    NnTensor *h = nn_silu(s, nn_convolve(s, x, m->w1, m->b1, 1, 1));
    return nn_convolve(s, h, m->w2, NULL, 1, 1);
}

static VslStatus train_step(NnRuntime *rt, NnParams *p, NnAdamW *opt, const Model *m, uint64_t step, double *loss_out)
{
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    NnTensor *x = nn_randn(s, NN_SHAPE(8, 1, 16, 16), 1, 1, 8 * step);
    NnTensor *loss = nn_mse(s, predict(s, m, x), nn_affine(s, x, 0.5, 0));
    nn_backward(s, loss);
    nn_clip_grad_norm(s, p, 1.0);
    nn_adamw_step(s, opt, 1e-2);
    *loss_out = nn_item(s, loss);
    return nn_scope_close(&s);
}

TEST(the_example_of_the_page_learns)
{
    VslStatus st = VSL_OK;
    NnRuntime *rt = NULL;
    NnParams *p = NULL;
    NnAdamW *opt = NULL;
    double loss = 0, first = 0;
    VSL_TRY(nn_runtime_open(&rt, "cpu", NN_FLOAT32, 1));
    VSL_TRY(nn_params_new(&p, rt, 1));
    const Model m = {nn_param(p, "w1", NN_SHAPE(8, 1, 3, 3), NN_INIT_KAIMING_UNIFORM, 9),
                     nn_param(p, "b1", NN_SHAPE(8), NN_INIT_KAIMING_UNIFORM, 9),
                     nn_param(p, "w2", NN_SHAPE(1, 8, 3, 3), NN_INIT_KAIMING_UNIFORM, 72)};
    VSL_TRY(nn_params_status(p));
    VSL_TRY(nn_adamw_new(&opt, p, NULL));
    for (uint64_t step = 0; step < 60; step++) {
        VSL_TRY(train_step(rt, p, opt, &m, step, &loss));
        first = step == 0 ? loss : first;
    }
    CHECK(loss < 0.2 * first);
out:
    CHECK_OK(st);
    nn_adamw_free(&opt);
    nn_params_free(&p);
    nn_runtime_close(&rt);
}

/* Every line of the page's code stands in this file. */
TEST(the_page_shows_this_code)
{
    char path[1024], line[512];
    static char own[1 << 14];
    const char *source = getenv("VSL_SOURCE");
    int lines = 0, is_code = 0;
    snprintf(path, sizeof path, "%s/tests/nn/test_example.c", source ? source : ".");
    FILE *f = fopen(path, "r");
    CHECK(f != NULL);
    own[f ? fread(own, 1, sizeof own - 1, f) : 0] = '\0';
    if (f) {
        fclose(f);
    }
    snprintf(path, sizeof path, "%s/docs/nn.md", source ? source : ".");
    f = fopen(path, "r");
    CHECK(f != NULL);
    while (f && fgets(line, sizeof line, f)) {
        if (strncmp(line, "```", 3) == 0) {
            is_code = strncmp(line, "```c\n", 5) == 0; /* and no commands of a shell */
        } else if (is_code) {
            lines++;
            CHECK(strstr(own, line) != NULL);
        }
    }
    if (f) {
        fclose(f);
    }
    CHECK(lines > 10);
}

int main(void)
{
    RUN(the_example_of_the_page_learns);
    RUN(the_page_shows_this_code);
    return CHECK_VERDICT();
}
