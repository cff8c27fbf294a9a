/* Scopes, failures, tensors in and out: nn/tensor.h. */
#include <stdint.h>
#include <string.h>

#include "core/memory.h"
#include "core/random.h"
#include "nn/params.h"
#include "nn/tensor.h"
#include "tests/check.h"

static NnRuntime *rt;

static NnTensor *ramp(NnScope *s, NnShape shape)
{
    float values[256];
    for (int i = 0; i < 256; i++) {
        values[i] = (float)i;
    }
    return nn_from_floats(s, values, shape);
}

TEST(numbers_go_in_and_come_out)
{
    float out[6] = {0};
    NnScope *s = nn_scope_open(rt, NN_INFER);
    NnTensor *a = ramp(s, NN_SHAPE(2, 3));
    nn_to_floats(s, out, 6, nn_affine(s, a, 2, 1));
    CHECK(nn_shape(a).rank == 2 && nn_shape(a).n[0] == 2 && nn_shape(a).n[1] == 3);
    CHECK_NEAR(nn_item(s, nn_sum(s, a, NN_ALL)), 15, 0, "exact");
    CHECK_OK(nn_scope_close(&s));
    CHECK(s == NULL);
    for (int i = 0; i < 6; i++) {
        CHECK_NEAR(out[i], 2 * i + 1, 0, "exact");
    }
}

TEST(the_first_failure_is_kept_and_named)
{
    float out[1] = {5};
    NnScope *s = nn_scope_open(rt, NN_INFER);
    NnTensor *bad = nn_add(s, ramp(s, NN_SHAPE(2, 3)), ramp(s, NN_SHAPE(4)));
    nn_matmul(s, bad, bad);
    nn_to_floats(s, out, 1, bad);
    CHECK(isnan(nn_item(s, bad)));
    CHECK_STATUS(nn_scope_close(&s), VSL_E_ARG);
    CHECK(out[0] == 5);
    CHECK(strncmp(vsl_error(), "nn_add (2,3) (4): ", 18) == 0);
    if (strncmp(vsl_error(), "nn_add (2,3) (4): ", 18) != 0) {
        printf("  the sentence is: %s\n", vsl_error());
    }
}

TEST(a_failed_step_changes_no_weight)
{
    NnParams *p = NULL;
    NnAdamW *o = NULL;
    float before[4], after[4];
    CHECK_OK(nn_params_new(&p, rt, 3));
    NnTensor *w = nn_param(p, "w", NN_SHAPE(2, 2), NN_INIT_KAIMING_UNIFORM, 2);
    CHECK_OK(nn_adamw_new(&o, p, NULL));
    CHECK_OK(nn_params_get(p, 0, before));
    for (int is_good = 0; is_good < 2; is_good++) {
        NnScope *s = nn_scope_open(rt, NN_TRAIN);
        NnTensor *loss = nn_sum(s, nn_square(s, w), NN_ALL);
        if (!is_good) {
            nn_refuse(s, VSL_E_SPACE, "a model", "%d channels", 7);
        }
        nn_backward(s, loss);
        nn_adamw_step(s, o, 0.1);
        CHECK_STATUS(nn_scope_close(&s), is_good ? VSL_OK : VSL_E_SPACE);
        CHECK(is_good || strcmp(vsl_error(), "a model: 7 channels") == 0);
        CHECK_OK(nn_params_get(p, 0, after));
        CHECK((memcmp(before, after, sizeof after) == 0) == !is_good);
        CHECK(nn_adamw_steps(o) == is_good);
    }
    nn_adamw_free(&o);
    nn_params_free(&p);
}

TEST(a_childs_failure_moves_to_its_parent)
{
    NnScope *s = nn_scope_open(rt, NN_INFER);
    NnScope *child = nn_scope_child(s);
    nn_reshape(child, ramp(child, NN_SHAPE(6)), NN_SHAPE(4));
    CHECK(nn_scope_status(s) == VSL_OK);
    nn_scope_join(&child);
    CHECK(child == NULL);
    child = nn_scope_child(s);
    CHECK(nn_scope_status(child) == VSL_E_ARG);
    nn_scope_join(&child);
    CHECK_STATUS(nn_scope_close(&s), VSL_E_ARG);
    CHECK(strncmp(vsl_error(), "nn_reshape (6): ", 16) == 0);
}

TEST(a_tensor_that_is_kept_outlives_its_scope)
{
    NnTensor *state = NULL;
    float out[3];
    CHECK_OK(nn_state_new(&state, rt, NN_SHAPE(3)));
    NnScope *s = nn_scope_open(rt, NN_INFER);
    NnScope *child = nn_scope_child(s);
    NnTensor *kept = nn_keep(child, nn_affine(child, ramp(child, NN_SHAPE(3)), 1, 10));
    nn_copy_into(child, state, kept);
    nn_scope_join(&child);
    CHECK_NEAR(nn_item(s, nn_sum(s, kept, NN_ALL)), 33, 0, "exact");
    CHECK_OK(nn_scope_close(&s));
    s = nn_scope_open(rt, NN_INFER);
    nn_to_floats(s, out, 3, state);
    CHECK(out[0] == 10 && out[1] == 11 && out[2] == 12);
    nn_copy_into(s, state, ramp(s, NN_SHAPE(2)));
    CHECK_STATUS(nn_scope_close(&s), VSL_E_ARG);
    nn_state_free(&state);
}

TEST(a_missing_tensor_is_a_failure_and_not_a_crash)
{
    NnScope *s = nn_scope_open(rt, NN_INFER);
    nn_add(s, ramp(s, NN_SHAPE(3)), NULL);
    CHECK_STATUS(nn_scope_close(&s), VSL_E_ARG);
    CHECK(strcmp(vsl_error(), "nn_add (3) (): tensor argument 2 is missing") == 0);
    NnScope *other = nn_scope_open(rt, NN_INFER);
    s = nn_scope_open(rt, NN_INFER);
    NnTensor *poison = nn_refuse(other, VSL_E_ARG, "test", "no");
    nn_exp(s, poison);
    CHECK_STATUS(nn_scope_close(&s), VSL_E_ARG);
    CHECK_STATUS(nn_scope_close(&other), VSL_E_ARG);
    s = nn_scope_open(NULL, NN_TRAIN);
    nn_full(s, NN_SHAPE(2), 1);
    CHECK_STATUS(nn_scope_close(&s), VSL_E_ARG);
}

TEST(what_a_shape_does_not_allow_is_refused)
{
    float values[4] = {0};
    for (int k = 0; k < 7; k++) {
        NnScope *s = nn_scope_open(rt, NN_INFER);
        NnTensor *a = ramp(s, NN_SHAPE(2, 3));
        switch (k) {
        case 0: nn_slice(s, a, 1, 1, 4); break;
        case 1: nn_slice(s, a, 0, 2, 1); break;
        case 2: nn_mse(s, a, ramp(s, NN_SHAPE(3))); break;
        case 3: nn_to_floats(s, values, 4, a); break;
        case 4: nn_avg_pool(s, a, 2); break;
        case 5: nn_spatial(s, ramp(s, NN_SHAPE(2, 3, 1)), a); break;
        case 6: nn_full(s, (NnShape){7, {1, 1, 1, 1, 1, 1}}, 0); break;
        }
        CHECK_STATUS(nn_scope_close(&s), VSL_E_ARG);
    }
}

TEST(draws_are_the_counters_numbers)
{
    float out[2 * 15];
    int64_t k[8];
    NnScope *s = nn_scope_open(rt, NN_INFER);
    nn_to_floats(s, out, 30, nn_randn(s, NN_SHAPE(2, 3, 5), 21, 4, 9));
    for (int b = 0; b < 2; b++) {
        for (int e = 0; e < 15; e++) {
            CHECK(out[b * 15 + e] == (float)vsl_random_normal(21, 4, ((uint64_t)(9 + b) << 32) + (uint64_t)e));
        }
    }
    nn_to_floats(s, out, 10, nn_rand(s, NN_SHAPE(2, 5), 21, 4, 0));
    for (int b = 0; b < 2; b++) {
        for (int e = 0; e < 5; e++) {
            CHECK(out[b * 5 + e] == (float)vsl_random_uniform(21, 4, ((uint64_t)b << 32) + (uint64_t)e));
        }
    }
    nn_to_int64(s, k, 8, nn_randint(s, 1000, NN_SHAPE(8), 21, 4, 0));
    for (int b = 0; b < 8; b++) {
        CHECK(k[b] == (int64_t)(vsl_random_uniform(21, 4, (uint64_t)b << 32) * 1000));
    }
    CHECK_OK(nn_scope_close(&s));
}

TEST(dropout_keeps_the_mean_and_rests_outside_training)
{
    for (int is_training = 0; is_training < 2; is_training++) {
        NnScope *s = nn_scope_open(rt, is_training ? NN_TRAIN : NN_INFER);
        float out[1000];
        int zeros = 0;
        nn_to_floats(s, out, 1000, nn_dropout(s, nn_full(s, NN_SHAPE(10, 100), 1), 0.25, 3, 5));
        for (int i = 0; i < 1000; i++) {
            zeros += out[i] == 0;
            CHECK(out[i] == 0 || fabsf(out[i] - (is_training ? 1 / 0.75f : 1)) < 1e-6f);
        }
        CHECK(is_training ? zeros > 200 && zeros < 300 : zeros == 0);
        CHECK_OK(nn_scope_close(&s));
    }
}

TEST(memory_is_counted_bounded_and_given_back)
{
    const NnMemory before = nn_memory(rt);
    NnScope *s = nn_scope_open(rt, NN_INFER);
    nn_full(s, NN_SHAPE(1024, 1024), 0);
    const NnMemory with = nn_memory(rt);
    CHECK_NEAR((double)(with.now_bytes - before.now_bytes), 4 << 20, 0, "one block of a whole size class");
    CHECK(with.peak_bytes >= with.now_bytes);
    CHECK_OK(nn_scope_close(&s));
    CHECK(nn_memory(rt).now_bytes == before.now_bytes);

    vsl_memory_set_budget(vsl_memory_now() + (8 << 20));
    s = nn_scope_open(rt, NN_INFER);
    nn_full(s, NN_SHAPE(64, 1024, 1024), 0);
    CHECK_STATUS(nn_scope_close(&s), VSL_E_NOMEM);
    vsl_memory_set_budget(0);
    vsl_memory_fail_after(1);
    s = nn_scope_open(rt, NN_INFER);
    nn_full(s, NN_SHAPE(16), 0);
    vsl_memory_fail_after(0);
    CHECK_OK(nn_scope_close(&s)); /* one failure gives kept blocks back and asks again */
}

TEST(devices_that_are_not_there_are_refused)
{
    NnRuntime *none = NULL;
    CHECK_STATUS(nn_runtime_open(&none, "gpu", NN_FLOAT32, 1), VSL_E_ARG);
    CHECK_STATUS(nn_runtime_open(&none, "cuda:x", NN_FLOAT32, 1), VSL_E_ARG);
    CHECK_STATUS(nn_runtime_open(&none, "cuda:99", NN_FLOAT32, 1), VSL_E_DEVICE);
    CHECK(none == NULL);
}

int main(void)
{
    CHECK_OK(nn_runtime_open(&rt, "cpu", NN_FLOAT32, 2));
    printf("%s\n", nn_runtime_name(rt));
    RUN(numbers_go_in_and_come_out);
    RUN(the_first_failure_is_kept_and_named);
    RUN(a_failed_step_changes_no_weight);
    RUN(a_childs_failure_moves_to_its_parent);
    RUN(a_tensor_that_is_kept_outlives_its_scope);
    RUN(a_missing_tensor_is_a_failure_and_not_a_crash);
    RUN(what_a_shape_does_not_allow_is_refused);
    RUN(draws_are_the_counters_numbers);
    RUN(dropout_keeps_the_mean_and_rests_outside_training);
    RUN(memory_is_counted_bounded_and_given_back);
    RUN(devices_that_are_not_there_are_refused);
    nn_runtime_close(&rt);
    return CHECK_VERDICT();
}
