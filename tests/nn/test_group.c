/* Two processes that average their gradients: nn/parallel.h. */
#define _GNU_SOURCE
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "nn/parallel.h"
#include "tests/check.h"

enum { RANKS = 2, STEPS = 5, BATCH = 4, COUNT = 4 * 3 * 3 * 3 + 4 };

static char folder[] = "/tmp/vesal-group-XXXXXX";

typedef struct Trained {
    float w[COUNT];
    double loss;
} Trained;

/* Trains on samples first..first+batch of the same stream; g may be NULL for one process with the whole batch. */
static VslStatus train(Trained *out, NnGroup *g, NnRuntime *rt, int first, int batch, int fail_at)
{
    VslStatus st = VSL_OK;
    NnParams *p = NULL;
    NnAdamW *o = NULL;
    VSL_TRY(nn_params_new(&p, rt, g ? 100 + (uint64_t)nn_group_rank(g) : 100));
    NnTensor *w = nn_param(p, "w", NN_SHAPE(4, 3, 3, 3), NN_INIT_KAIMING_UNIFORM, 27);
    NnTensor *b = nn_param(p, "b", NN_SHAPE(4), NN_INIT_KAIMING_UNIFORM, 27);
    VSL_TRY(nn_adamw_new(&o, p, NULL));
    if (g) {
        NnScope *s = nn_scope_open(rt, NN_TRAIN);
        nn_group_share(s, g, p, 0);
        VSL_TRY(nn_scope_close(&s));
    }
    for (int step = 0; step < STEPS; step++) {
        NnScope *s = nn_scope_open(rt, NN_TRAIN);
        NnTensor *x = nn_randn(s, NN_SHAPE(batch, 3, 6, 6), 1, 1, (uint64_t)(step * BATCH + first));
        NnTensor *loss = nn_mean(s, nn_square(s, nn_convolve(s, x, w, b, 1, 1)), NN_ALL);
        if (step == fail_at) {
            nn_refuse(s, VSL_E_FORMAT, "data", "a picture that cannot be read");
        }
        nn_backward(s, loss);
        out->loss = nn_item(s, loss);
        if (g) {
            nn_group_mean_gradients(s, g, p);
            nn_group_sum(s, g, &out->loss, 1);
        }
        (void)nn_clip_grad_norm(s, p, 0.5);
        nn_adamw_step(s, o, 0.01);
        st = nn_scope_close(&s);
        if (st != VSL_OK) {
            break;
        }
    }
    if (nn_params_get(p, 0, out->w) != VSL_OK || nn_params_get(p, 1, out->w + COUNT - 4) != VSL_OK) {
        st = VSL_E_EXTERNAL;
    }
out:
    nn_adamw_free(&o);
    nn_params_free(&p);
    return st;
}

typedef struct Answer {
    VslStatus st;
    char sentence[300];
    Trained trained;
} Answer;

typedef enum Plan { BOTH_WELL = 0, ONE_FAILS, ONE_DIES } Plan;

static void be_rank(Answer *a, int rank, Plan plan)
{
    NnRuntime *rt = NULL;
    NnGroup *g = NULL;
    char store[64];
    snprintf(store, sizeof store, "file:%s/plan%d", folder, (int)plan);
    const NnGroupOptions opt = {
        .rank = rank, .size = RANKS, .store = store, .interface = "lo", .timeout_s = plan == ONE_DIES ? 3 : 60};
    a->st = nn_runtime_open(&rt, "cpu", NN_FLOAT32, 1);
    a->st = a->st == VSL_OK ? nn_group_open(&g, rt, &opt) : a->st;
    if (a->st == VSL_OK && plan == ONE_DIES && rank == 1) {
        _exit(0);
    }
    if (a->st == VSL_OK) {
        a->st = train(&a->trained, g, rt, rank * BATCH / RANKS, BATCH / RANKS, plan == ONE_FAILS && rank == 1 ? 2 : -1);
    }
    snprintf(a->sentence, sizeof a->sentence, "%s", a->st == VSL_OK ? "" : vsl_error());
    nn_group_close(&g);
    nn_runtime_close(&rt);
}

/* Both ranks as children, before this process has any thread. */
static void run_plan(Answer *answers, Plan plan)
{
    int ends[RANKS][2];
    memset(answers, 0, RANKS * sizeof *answers);
    for (int rank = 0; rank < RANKS; rank++) {
        CHECK(pipe(ends[rank]) == 0);
        fflush(stdout);
        if (fork() == 0) {
            Answer a;
            memset(&a, 0, sizeof a);
            be_rank(&a, rank, plan);
            _exit(write(ends[rank][1], &a, sizeof a) == (ssize_t)sizeof a ? 0 : 1);
        }
        close(ends[rank][1]);
    }
    for (int rank = 0; rank < RANKS; rank++) {
        size_t at = 0;
        ssize_t got;
        while (at < sizeof *answers &&
               (got = read(ends[rank][0], (char *)&answers[rank] + at, sizeof *answers - at)) > 0) {
            at += (size_t)got;
        }
        close(ends[rank][0]);
    }
    while (wait(NULL) > 0) {
    }
}

static Answer well[RANKS], failing[RANKS], dying[RANKS];

TEST(ranks_hold_the_same_bits_and_what_one_process_would)
{
    NnRuntime *rt = NULL;
    Trained alone;
    for (int rank = 0; rank < RANKS; rank++) {
        CHECK(well[rank].st == VSL_OK);
        if (well[rank].st != VSL_OK) {
            printf("  rank %d: %s\n", rank, well[rank].sentence);
        }
    }
    CHECK(memcmp(&well[0].trained, &well[1].trained, sizeof well[0].trained) == 0);
    CHECK_OK(nn_runtime_open(&rt, "cpu", NN_FLOAT32, 1));
    CHECK_OK(train(&alone, NULL, rt, 0, BATCH, -1));
    for (int i = 0; i < COUNT; i++) {
        CHECK_NEAR(well[0].trained.w[i], alone.w[i], 2e-6, "float32 sums in another order");
    }
    CHECK_NEAR(well[0].trained.loss / RANKS, alone.loss, 1e-6, "the mean of the halves is that of the whole");
    CHECK(alone.w[0] != 0);
    nn_runtime_close(&rt);
}

TEST(a_step_that_fails_on_one_rank_fails_on_all)
{
    CHECK(failing[1].st == VSL_E_FORMAT && failing[0].st == VSL_E_EXTERNAL);
    CHECK(strstr(failing[0].sentence, "1 of 2 ranks failed in this step") != NULL);
    CHECK(memcmp(&failing[0].trained.w, &failing[1].trained.w, sizeof failing[0].trained.w) == 0);
    CHECK(failing[0].trained.w[0] != 0);
}

TEST(a_rank_that_dies_is_noticed)
{
    CHECK(dying[0].st == VSL_E_EXTERNAL);
    CHECK(strstr(dying[0].sentence, "rank 0 of 2 lost the others") != NULL);
}

TEST(a_group_is_refused_by_name)
{
    NnRuntime *rt = NULL;
    NnGroup *g = NULL;
    CHECK_OK(nn_runtime_open(&rt, "cpu", NN_FLOAT32, 1));
    CHECK_STATUS(nn_group_open(&g, rt, &(NnGroupOptions){.rank = 2, .size = 2, .store = "file:/x"}), VSL_E_ARG);
    CHECK_STATUS(nn_group_open(&g, rt, &(NnGroupOptions){.rank = 0, .size = 2}), VSL_E_ARG);
    CHECK_STATUS(nn_group_open(&g, rt, &(NnGroupOptions){.rank = 0, .size = 2, .store = "tcp:host"}), VSL_E_ARG);
    CHECK_STATUS(nn_group_open(&g, rt, &(NnGroupOptions){.rank = 0, .size = 2, .store = "udp:a:1"}), VSL_E_ARG);
    CHECK(g == NULL);
    nn_runtime_close(&rt);
}

int main(void)
{
    CHECK(mkdtemp(folder) != NULL);
    run_plan(well, BOTH_WELL);
    if (well[0].st == VSL_E_UNSUPPORTED) {
        rmdir(folder);
        CHECK_SKIP("built without Gloo");
    }
    run_plan(failing, ONE_FAILS);
    run_plan(dying, ONE_DIES);
    RUN(ranks_hold_the_same_bits_and_what_one_process_would);
    RUN(a_step_that_fails_on_one_rank_fails_on_all);
    RUN(a_rank_that_dies_is_noticed);
    RUN(a_group_is_refused_by_name);
    for (int plan = 0; plan < 3; plan++) {
        char path[64];
        snprintf(path, sizeof path, "%s/plan%d", folder, plan);
        unlink(path);
    }
    rmdir(folder);
    return CHECK_VERDICT();
}
