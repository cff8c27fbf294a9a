/* The training loop, tried with a toy: it learns, resumes to the bit, stops early, and refuses what does not fit. */
#include "tests/diffusion/toy.h"

static NnRuntime *rt;

static VslTask toy_task(ToyUser *u)
{
    return (VslTask){"toy", toy_build, toy_drop, toy_loss, u->uses_score ? toy_score : NULL, u};
}

static VslTrainer *trainer(const VslTask *task, const VslTrainOptions *opt, int64_t validation_count)
{
    VslTrainer *t = NULL;
    const VslTrainSetup setup = {.rt = rt,
                                 .task = task,
                                 .source = &toy_source,
                                 .validation = &toy_source,
                                 .validation_count = validation_count,
                                 .opt = opt,
                                 .seed = 5};
    CHECK_OK(vsl_trainer_new(&t, &setup));
    return t;
}

TEST(the_schedules_reach_what_they_state)
{
    VslTrainOptions o = {.steps = 1000, .lr = 1e-3, .warmup = 100};
    CHECK_OK(vsl_options_resolve(&o, vsl_train_option_table));
    CHECK(o.schedule == VSL_RATE_COSINE && o.batch == 16);
    CHECK_NEAR(vsl_train_rate(&o, 0), 1e-5, 1e-12, "a hundredth");
    CHECK_NEAR(vsl_train_rate(&o, 99), 1e-3, 1e-12, "end of the warm-up");
    CHECK_NEAR(vsl_train_rate(&o, 100), 1e-3, 1e-12, "start of the cosine");
    CHECK_NEAR(vsl_train_rate(&o, 550), 5e-4, 1e-9, "its middle");
    CHECK_NEAR(vsl_train_rate(&o, 999), 0, 1e-8, "its end");
    o.schedule = VSL_RATE_CONSTANT;
    CHECK_NEAR(vsl_train_rate(&o, 999), 1e-3, 0, "constant");
    o.warmup = -1;
    CHECK_NEAR(vsl_train_rate(&o, 0), 1e-3, 0, "no warm-up");
    o.schedule = VSL_RATE_ONE_CYCLE;
    CHECK_NEAR(vsl_train_rate(&o, 0), 1e-3 / 25, 1e-12, "a twenty-fifth");
    CHECK_NEAR(vsl_train_rate(&o, 300), 1e-3, 1e-9, "the top");
    CHECK_NEAR(vsl_train_rate(&o, 999), 1e-3 / 250000, 1e-12, "the end");
}

TEST(the_loss_falls_and_the_average_follows)
{
    ToyUser u = {0};
    const VslTask task = toy_task(&u);
    const VslTrainOptions o = {.steps = 300, .batch = 8, .lr = 1e-2, .log_every = 20, .validate_every = 100};
    ToyLog log = {0};
    const VslTrainHooks hooks = toy_hooks(&log);
    VslTrainer *t = trainer(&task, &o, 20);
    CHECK_OK(vsl_trainer_run(t, &hooks));
    CHECK(log.records == 15 && log.step[0] == 20 && log.step[14] == 300);
    CHECK(log.loss[14] < 0.5 * log.loss[0]);
    CHECK(isnan(log.validation[0]) && log.validation[4] > log.validation[9] && log.validation[9] > log.validation[14]);
    const VslTrainResult r = vsl_trainer_result(t);
    CHECK(r.steps == 300 && r.loss == log.loss[14] && r.validation == log.validation[14] && r.best_step == 300);
    CHECK(r.parameters == 6 * 9 + 6 + 6 * 9 + 1 && r.samples_per_s > 0 && !r.stopped_early);
    CHECK(log.saved_step == 300);
    vsl_weights_free(&log.state);
    vsl_trainer_free(&t);
}

TEST(a_run_stopped_anywhere_and_restored_ends_in_the_same_bits)
{
    static const int64_t stops[] = {1, 37, 50, 51, 99};
    ToyUser u = {0};
    const VslTask task = toy_task(&u);
    const VslTrainOptions o = {.steps = 100,
                               .batch = 4,
                               .accumulate = 2,
                               .lr = 1e-2,
                               .warmup = 10,
                               .log_every = 7,
                               .validate_every = 25,
                               .patience = 50,
                               .weight_decay = 0.01,
                               .save_every = 30};
    ToyLog whole = {0};
    VslWeights want = {0}, got = {0};
    VslTrainHooks hooks = toy_hooks(&whole);
    VslTrainer *t = trainer(&task, &o, 10);
    CHECK_OK(vsl_trainer_run(t, &hooks));
    CHECK_OK(vsl_trainer_weights(t, &want));
    vsl_trainer_free(&t);
    for (size_t k = 0; k < sizeof stops / sizeof *stops; k++) {
        ToyLog part = {.stop_at = stops[k]};
        hooks = toy_hooks(&part);
        t = trainer(&task, &o, 10);
        CHECK_STATUS(vsl_trainer_run(t, &hooks), VSL_E_CANCELLED);
        CHECK(part.saved_step == stops[k]);
        vsl_trainer_free(&t);
        t = trainer(&task, &o, 10);
        CHECK_OK(vsl_trainer_restore(t, &part.state, "state"));
        part.stop_at = 0;
        CHECK_OK(vsl_trainer_run(t, &hooks));
        CHECK_OK(vsl_trainer_weights(t, &got));
        CHECK(toy_same(&want, &got));
        CHECK(toy_same(&whole.state, &part.state));
        CHECK(part.records == whole.records);
        for (int i = 0; i < part.records; i++) {
            CHECK(part.step[i] == whole.step[i] && part.loss[i] == whole.loss[i]);
            CHECK(part.validation[i] == whole.validation[i] || isnan(whole.validation[i]));
        }
        vsl_weights_free(&part.state);
        vsl_trainer_free(&t);
    }
    vsl_weights_free(&want);
    vsl_weights_free(&got);
    vsl_weights_free(&whole.state);
}

TEST(accumulated_batches_equal_one_large_batch)
{
    ToyUser u = {0};
    const VslTask task = toy_task(&u);
    VslTrainOptions o = {.steps = 20, .batch = 8, .lr = 1e-2};
    VslWeights large = {0}, turns = {0};
    VslTrainer *t = trainer(&task, &o, 0);
    CHECK_OK(vsl_trainer_run(t, NULL));
    CHECK_OK(vsl_trainer_weights(t, &large));
    vsl_trainer_free(&t);
    o.batch = 2;
    o.accumulate = 4;
    t = trainer(&task, &o, 0);
    CHECK_OK(vsl_trainer_run(t, NULL));
    CHECK_OK(vsl_trainer_weights(t, &turns));
    vsl_trainer_free(&t);
    for (int64_t i = 0; i < large.count; i++) {
        for (int64_t k = 0; k < large.item[i].count; k++) {
            CHECK_NEAR(turns.item[i].data[k], large.item[i].data[k], 1e-5, "float32 sums in another order, 20 steps");
        }
    }
    vsl_weights_free(&large);
    vsl_weights_free(&turns);
}

TEST(it_stops_when_validation_gets_no_better_and_keeps_the_best)
{
    ToyUser u = {.uses_score = 1};
    const VslTask task = toy_task(&u);
    const VslTrainOptions o = {.steps = 1000, .batch = 2, .validate_every = 10, .patience = 3};
    ToyLog log = {0};
    VslWeights best = {0};
    const VslTrainHooks hooks = toy_hooks(&log);
    VslTrainer *t = trainer(&task, &o, 1);
    CHECK_OK(vsl_trainer_run(t, &hooks));
    const VslTrainResult r = vsl_trainer_result(t);
    CHECK(r.steps == 70 && r.stopped_early && r.best_step == 40 && r.validation == 6);
    CHECK_OK(vsl_trainer_weights(t, &best));
    CHECK_OK(vsl_trainer_run(t, &hooks)); /* nothing more to do */
    CHECK(vsl_trainer_result(t).steps == 70);
    vsl_trainer_free(&t);

    u = (ToyUser){.uses_score = 1};
    ToyLog at_40 = {.stop_at = 40};
    VslWeights average = {0};
    const VslTrainHooks stop = toy_hooks(&at_40);
    t = trainer(&task, &o, 1);
    CHECK_STATUS(vsl_trainer_run(t, &stop), VSL_E_CANCELLED);
    CHECK_OK(vsl_trainer_weights(t, &average));
    CHECK(toy_same(&best, &average));
    vsl_trainer_free(&t);
    t = trainer(&task, &o, 1);
    CHECK_OK(vsl_trainer_restore(t, &log.state, "finished"));
    CHECK_OK(vsl_trainer_run(t, &hooks));
    CHECK(vsl_trainer_result(t).steps == 70 && vsl_trainer_result(t).stopped_early);
    vsl_trainer_free(&t);
    vsl_weights_free(&best);
    vsl_weights_free(&average);
    vsl_weights_free(&log.state);
    vsl_weights_free(&at_40.state);
}

TEST(a_loss_that_is_not_a_number_ends_the_run_at_its_step)
{
    ToyUser u = {.poison_first = 5 * 4 + 1}; /* the sixth step */
    const VslTask task = toy_task(&u);
    const VslTrainOptions o = {.steps = 50, .batch = 4};
    ToyLog log = {0};
    const VslTrainHooks hooks = toy_hooks(&log);
    VslTrainer *t = trainer(&task, &o, 0);
    CHECK_STATUS(vsl_trainer_run(t, &hooks), VSL_E_NUMERIC);
    CHECK(strstr(vsl_error(), "step 6"));
    CHECK(vsl_trainer_result(t).steps == 5 && log.saves == 0);
    VslWeights w = {0};
    CHECK_OK(vsl_trainer_weights(t, &w));
    for (int64_t i = 0; i < w.count; i++) {
        for (int64_t k = 0; k < w.item[i].count; k++) {
            CHECK(isfinite(w.item[i].data[k]));
        }
    }
    vsl_weights_free(&w);
    vsl_trainer_free(&t);
}

TEST(states_of_another_task_or_network_are_refused)
{
    ToyUser u = {0}, wide = {.width = 9};
    const VslTask task = toy_task(&u), wide_task = toy_task(&wide);
    VslTask other = toy_task(&u);
    const VslTrainOptions o = {.steps = 10, .batch = 2}, shorter = {.steps = 5, .batch = 2};
    ToyLog log = {0};
    const VslTrainHooks hooks = toy_hooks(&log);
    VslTrainer *t = trainer(&task, &o, 0);
    CHECK_OK(vsl_trainer_run(t, &hooks));
    vsl_trainer_free(&t);
    other.name = "segment";
    t = trainer(&other, &o, 0);
    CHECK_STATUS(vsl_trainer_restore(t, &log.state, "state"), VSL_E_STATE);
    vsl_trainer_free(&t);
    t = trainer(&wide_task, &o, 0);
    CHECK_STATUS(vsl_trainer_restore(t, &log.state, "model/state"), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "model/state") && strstr(vsl_error(), "'first.weight' is 6x1x3x3, expected 9x1x3x3") &&
          strstr(vsl_error(), "'first.bias' is 6, expected 9") && strstr(vsl_error(), "'second.weight' is 1x6x3x3"));
    CHECK(vsl_trainer_result(t).steps == 0);
    vsl_trainer_free(&t);
    t = trainer(&task, &shorter, 0);
    CHECK_STATUS(vsl_trainer_restore(t, &log.state, "state"), VSL_E_STATE);
    CHECK_OK(vsl_weights_put_note(&log.state, "step", "-1"));
    CHECK_STATUS(vsl_trainer_restore(t, &log.state, "state"), VSL_E_FORMAT);
    vsl_trainer_free(&t);
    vsl_weights_free(&log.state);
}

TEST(another_model_s_weights_start_what_fits)
{
    ToyUser u = {0}, wide = {.width = 9};
    const VslTask task = toy_task(&u), wide_task = toy_task(&wide);
    const VslTrainOptions o = {.steps = 5, .batch = 2};
    VslWeights w = {0}, got = {0};
    int64_t copied = 0;
    VslTrainer *t = trainer(&task, &o, 0);
    CHECK_OK(vsl_trainer_run(t, NULL));
    CHECK_OK(vsl_trainer_weights(t, &w));
    vsl_trainer_free(&t);
    t = trainer(&task, &o, 0);
    CHECK_OK(vsl_trainer_start_from(t, &w, &copied));
    CHECK_OK(vsl_trainer_weights(t, &got));
    CHECK(copied == 4 && toy_same(&w, &got));
    vsl_trainer_free(&t);
    t = trainer(&wide_task, &o, 0);
    CHECK_OK(vsl_trainer_start_from(t, &w, &copied));
    CHECK(copied == 1); /* the last bias */
    vsl_trainer_free(&t);
    vsl_weights_free(&w);
    vsl_weights_free(&got);
}

TEST(memory_is_flat_over_a_thousand_steps)
{
    ToyUser u = {0};
    const VslTask task = toy_task(&u);
    const VslTrainOptions o = {.steps = 1000, .batch = 4, .validate_every = 50, .save_every = 100};
    ToyLog log = {.stop_at = 200};
    const VslTrainHooks hooks = toy_hooks(&log);
    VslTrainer *t = trainer(&task, &o, 8);
    CHECK_STATUS(vsl_trainer_run(t, &hooks), VSL_E_CANCELLED);
    const NnMemory early = nn_memory(rt);
    vsl_weights_free(&log.state);
    const int64_t held = vsl_memory_now();
    CHECK_OK(vsl_trainer_run(t, &hooks));
    const NnMemory late = nn_memory(rt);
    CHECK(early.now_bytes > 0 && late.now_bytes == early.now_bytes);
    CHECK(late.peak_bytes == early.peak_bytes);
    vsl_weights_free(&log.state);
    CHECK(vsl_memory_now() == held);
    vsl_trainer_free(&t);
}

int main(void)
{
    if (nn_runtime_open(&rt, "cpu", NN_FLOAT32, 1) != VSL_OK) {
        printf("%s\n", vsl_error());
        return 1;
    }
    RUN(the_schedules_reach_what_they_state);
    RUN(the_loss_falls_and_the_average_follows);
    RUN(a_run_stopped_anywhere_and_restored_ends_in_the_same_bits);
    RUN(accumulated_batches_equal_one_large_batch);
    RUN(it_stops_when_validation_gets_no_better_and_keeps_the_best);
    RUN(a_loss_that_is_not_a_number_ends_the_run_at_its_step);
    RUN(states_of_another_task_or_network_are_refused);
    RUN(another_model_s_weights_start_what_fits);
    RUN(memory_is_flat_over_a_thousand_steps);
    nn_runtime_close(&rt);
    return CHECK_VERDICT();
}
