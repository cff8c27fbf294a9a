/* Parameters by name, AdamW, the moving average, clipping: nn/params.h. */
#include <string.h>

#include "core/random.h"
#include "nn/params.h"
#include "nn/spans.h"
#include "tests/check.h"

static NnRuntime *rt;

TEST(initial_values_depend_on_seed_and_name_alone)
{
    NnParams *p = NULL;
    float a[12], b[5];
    CHECK_OK(nn_params_new(&p, rt, 9));
    nn_param(p, "other", NN_SHAPE(7), NN_INIT_NORMAL, 0);
    nn_param(p, "w", NN_SHAPE(3, 4), NN_INIT_KAIMING_UNIFORM, 4);
    nn_param(p, "n", NN_SHAPE(5), NN_INIT_NORMAL, 0);
    CHECK_OK(nn_params_status(p));
    CHECK(nn_params_count(p) == 3 && nn_params_elements(p) == 24);
    CHECK(strcmp(nn_params_name(p, 1), "w") == 0 && nn_params_shape(p, 1).n[1] == 4);
    CHECK_OK(nn_params_get(p, 1, a));
    CHECK_OK(nn_params_get(p, 2, b));
    for (int i = 0; i < 12; i++) {
        const double u = vsl_random_uniform(9, vsl_random_stream("w"), (uint64_t)i);
        CHECK(a[i] == (float)(0.5 * (2 * u - 1)));
    }
    for (int i = 0; i < 5; i++) {
        CHECK(b[i] == (float)(0.02 * vsl_random_normal(9, vsl_random_stream("n"), (uint64_t)i)));
    }
    nn_params_free(&p);
}

TEST(a_second_parameter_of_a_name_is_refused_and_remembered)
{
    NnParams *p = NULL;
    NnAdamW *o = NULL;
    CHECK_OK(nn_params_new(&p, rt, 9));
    CHECK(nn_param(p, "w", NN_SHAPE(2), NN_INIT_ONE, 0) != NULL);
    CHECK(nn_param(p, "w", NN_SHAPE(2), NN_INIT_ONE, 0) == NULL);
    CHECK(nn_param(p, "v", NN_SHAPE(2), NN_INIT_ONE, 0) == NULL);
    CHECK_STATUS(nn_params_status(p), VSL_E_ARG);
    CHECK(strstr(vsl_error(), "'w'") != NULL);
    CHECK_STATUS(nn_adamw_new(&o, p, NULL), VSL_E_ARG);
    CHECK(o == NULL && nn_params_count(p) == 1);
    float one[2];
    CHECK_STATUS(nn_params_get(p, 1, one), VSL_E_ARG);
    CHECK_STATUS(nn_params_get(p, -1, one), VSL_E_ARG);
    nn_params_free(&p);
}

/* Adds the gradient 2 * scale * w to every parameter. */
static void backward(NnTensor *const *w, int count, double scale)
{
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    NnTensor *loss = nn_full(s, (NnShape){0, {0}}, 0);
    for (int i = 0; i < count; i++) {
        loss = nn_add(s, loss, nn_affine(s, nn_sum(s, nn_square(s, w[i]), NN_ALL), scale, 0));
    }
    nn_backward(s, loss);
    CHECK_OK(nn_scope_close(&s));
}

TEST(gradients_add_up_and_are_clipped_together)
{
    NnParams *p = NULL;
    float g[4];
    CHECK_OK(nn_params_new(&p, rt, 1));
    NnTensor *w[2] = {nn_param(p, "a", NN_SHAPE(4), NN_INIT_ONE, 0), nn_param(p, "b", NN_SHAPE(1), NN_INIT_ONE, 0)};
    backward(w, 2, 0.5);
    backward(w, 2, 1);
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    CHECK_NEAR(nn_clip_grad_norm(s, p, 100), 3 * sqrt(5), 1e-12, "exact in double");
    CHECK_OK(nn_params_grad(p, 0, g));
    CHECK(g[0] == 3 && g[3] == 3);
    CHECK_NEAR(nn_clip_grad_norm(s, p, 1.5), 3 * sqrt(5), 1e-12, "exact in double");
    CHECK_NEAR(nn_clip_grad_norm(s, p, 100), 1.5, 1e-6, "float32 gradients");
    nn_zero_grad(s, p);
    CHECK_OK(nn_params_grad(p, 1, g));
    CHECK(g[0] == 0);
    CHECK_OK(nn_scope_close(&s));
    nn_params_free(&p);
}

TEST(a_gradient_that_is_not_finite_stops_the_step)
{
    NnParams *p = NULL;
    NnAdamW *o = NULL;
    float w[2];
    CHECK_OK(nn_params_new(&p, rt, 1));
    NnTensor *a = nn_param(p, "layer.a", NN_SHAPE(2), NN_INIT_ZERO, 0);
    CHECK_OK(nn_adamw_new(&o, p, NULL));
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    nn_backward(s, nn_sum(s, nn_sqrt(s, a), NN_ALL));
    CHECK(isnan(nn_clip_grad_norm(s, p, 1)));
    nn_adamw_step(s, o, 1);
    CHECK_STATUS(nn_scope_close(&s), VSL_E_NUMERIC);
    CHECK(strstr(vsl_error(), "'layer.a'") != NULL);
    CHECK_OK(nn_params_get(p, 0, w));
    CHECK(w[0] == 0 && w[1] == 0);
    nn_adamw_free(&o);
    nn_params_free(&p);
}

TEST(rates_scale_the_step_of_a_prefix_and_zero_freezes_it)
{
    NnParams *p = NULL;
    NnAdamW *o = NULL;
    float w[3];
    CHECK_OK(nn_params_new(&p, rt, 1));
    NnTensor *all[3] = {nn_param(p, "up.a", NN_SHAPE(1), NN_INIT_ONE, 0),
                        nn_param(p, "down.a", NN_SHAPE(1), NN_INIT_ONE, 0),
                        nn_param(p, "downward", NN_SHAPE(1), NN_INIT_ONE, 0)};
    nn_params_rate(p, "down", 0.1);
    nn_params_rate(p, "down.", 0);
    CHECK_OK(nn_adamw_new(&o, p, NULL));
    backward(all, 3, 1);
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    nn_adamw_step(s, o, 0.01);
    CHECK_OK(nn_scope_close(&s));
    for (int i = 0; i < 3; i++) {
        CHECK_OK(nn_params_get(p, i, &w[i]));
    }
    CHECK_NEAR(w[0], 1 - 0.01, 1e-6, "the first step of Adam is lr");
    CHECK(w[1] == 1);
    CHECK_NEAR(w[2], 1 - 0.001, 1e-6, "the first step of Adam is lr");
    nn_params_rate(p, "", 1);
    backward(all, 3, 1);
    float g;
    CHECK_OK(nn_params_grad(p, 1, &g));
    CHECK_NEAR(g, 2, 1e-6, "it learns again");
    nn_adamw_free(&o);
    nn_params_free(&p);
}

TEST(state_that_is_saved_and_set_goes_on_as_if_nothing_had_happened)
{
    float direct[40], resumed[40], w[40], first[40], second[40];
    for (int is_broken = 0; is_broken < 2; is_broken++) {
        NnParams *p = NULL;
        NnAdamW *o = NULL;
        CHECK_OK(nn_params_new(&p, rt, 2));
        NnTensor *a = nn_param(p, "a", NN_SHAPE(40), NN_INIT_NORMAL, 0);
        CHECK_OK(nn_adamw_new(&o, p, &(NnAdamWOptions){.weight_decay = 0.1}));
        for (int step = 0; step < 6; step++) {
            if (is_broken && step == 3) {
                const int64_t steps = nn_adamw_steps(o);
                CHECK_OK(nn_params_get(p, 0, w));
                CHECK_OK(nn_adamw_get(o, 0, first, second));
                nn_adamw_free(&o);
                nn_params_free(&p);
                CHECK_OK(nn_params_new(&p, rt, 3));
                a = nn_param(p, "a", NN_SHAPE(40), NN_INIT_NORMAL, 0);
                CHECK_OK(nn_adamw_new(&o, p, &(NnAdamWOptions){.weight_decay = 0.1}));
                CHECK_OK(nn_params_set(p, 0, w));
                CHECK_OK(nn_adamw_set(o, 0, first, second));
                nn_adamw_set_steps(o, steps);
            }
            backward(&a, 1, 1);
            NnScope *s = nn_scope_open(rt, NN_TRAIN);
            nn_adamw_step(s, o, 0.01);
            CHECK_OK(nn_scope_close(&s));
        }
        CHECK_OK(nn_params_get(p, 0, is_broken ? resumed : direct));
        nn_adamw_free(&o);
        nn_params_free(&p);
    }
    CHECK(memcmp(direct, resumed, sizeof direct) == 0);
}

TEST(the_average_follows_and_models_of_another_builder_are_refused)
{
    NnParams *p = NULL, *ema = NULL, *other = NULL;
    float v[2];
    int64_t copied = -1;
    CHECK_OK(nn_params_new(&p, rt, 1));
    CHECK_OK(nn_params_new(&ema, rt, 1));
    CHECK_OK(nn_params_new(&other, rt, 1));
    nn_param(p, "a", NN_SHAPE(2), NN_INIT_ONE, 0);
    nn_param(ema, "a", NN_SHAPE(2), NN_INIT_ZERO, 0);
    nn_param(other, "a", NN_SHAPE(3), NN_INIT_ZERO, 0);
    NnScope *s = nn_scope_open(rt, NN_TRAIN);
    nn_ema_update(s, ema, p, 0.75);
    nn_ema_update(s, ema, p, 0.75);
    CHECK_OK(nn_scope_close(&s));
    CHECK_OK(nn_params_get(ema, 0, v));
    CHECK_NEAR(v[0], 1 - 0.75 * 0.75, 1e-7, "float32");
    CHECK_OK(nn_params_copy(ema, p, &copied));
    CHECK_OK(nn_params_get(ema, 0, v));
    CHECK(v[1] == 1 && copied == 1);
    CHECK_OK(nn_params_copy(other, p, &copied));
    CHECK(copied == 0);
    s = nn_scope_open(rt, NN_TRAIN);
    nn_ema_update(s, other, p, 0.75);
    CHECK_STATUS(nn_scope_close(&s), VSL_E_ARG);
    nn_params_free(&p);
    nn_params_free(&ema);
    nn_params_free(&other);
}

TEST(any_split_of_an_array_gives_the_same_step)
{
    enum { N = 1000 };
    static float w[2][N], m[2][N], v[2][N], g[N];
    for (int i = 0; i < N; i++) {
        g[i] = (float)vsl_random_normal(1, 2, (uint64_t)i);
        w[0][i] = w[1][i] = (float)vsl_random_normal(1, 3, (uint64_t)i);
    }
    for (int k = 0; k < 2; k++) {
        const NnAdamWSpan span = {w[k], m[k], v[k], g, 0.01, 0.9, 0.999, 1e-8, 0.1, 1};
        const int64_t cuts[2][4] = {{0, N, N, N}, {0, 13, 700, N}};
        for (int i = 0; i < 3; i++) {
            nn_adamw_span(&span, cuts[k][i], cuts[k][i + 1]);
        }
    }
    CHECK(memcmp(w[0], w[1], sizeof w[0]) == 0 && memcmp(v[0], v[1], sizeof v[0]) == 0);
}

TEST(memory_stays_flat_over_a_thousand_steps)
{
    NnParams *p = NULL;
    NnAdamW *o = NULL;
    NnMemory early = {0, 0};
    CHECK_OK(nn_params_new(&p, rt, 1));
    NnTensor *w = nn_param(p, "w", NN_SHAPE(8, 3, 3, 3), NN_INIT_KAIMING_UNIFORM, 27);
    CHECK_OK(nn_adamw_new(&o, p, NULL));
    for (int step = 0; step < 1000; step++) {
        NnScope *s = nn_scope_open(rt, NN_TRAIN);
        NnTensor *x = nn_randn(s, NN_SHAPE(4, 3, 16, 16), 1, 1, (uint64_t)step * 4);
        NnScope *child = nn_scope_child(s);
        NnTensor *y = nn_keep(child, nn_silu(child, nn_convolve(child, x, w, NULL, 1, 1)));
        nn_scope_join(&child);
        nn_backward(s, nn_mean(s, nn_square(s, y), NN_ALL));
        nn_adamw_step(s, o, 1e-3);
        CHECK_OK(nn_scope_close(&s));
        if (step == 3) {
            early = nn_memory(rt);
        }
    }
    const NnMemory late = nn_memory(rt);
    CHECK(late.now_bytes == early.now_bytes);
    CHECK(late.peak_bytes == early.peak_bytes);
    nn_adamw_free(&o);
    nn_params_free(&p);
}

int main(void)
{
    CHECK_OK(nn_runtime_open(&rt, "cpu", NN_FLOAT32, 1));
    RUN(initial_values_depend_on_seed_and_name_alone);
    RUN(a_second_parameter_of_a_name_is_refused_and_remembered);
    RUN(gradients_add_up_and_are_clipped_together);
    RUN(a_gradient_that_is_not_finite_stops_the_step);
    RUN(rates_scale_the_step_of_a_prefix_and_zero_freezes_it);
    RUN(state_that_is_saved_and_set_goes_on_as_if_nothing_had_happened);
    RUN(the_average_follows_and_models_of_another_builder_are_refused);
    RUN(any_split_of_an_array_gives_the_same_step);
    RUN(memory_stays_flat_over_a_thousand_steps);
    nn_runtime_close(&rt);
    return CHECK_VERDICT();
}
