/* Loops and sums: every item once, and the same bits for every number of threads. */
#define _GNU_SOURCE /* setenv */
#include "core/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <time.h>

#include "core/random.h"
#include "tests/check.h"

enum { ITEMS = 1000, MOST_THREADS = 16 };

typedef struct Counts {
    atomic_int done[ITEMS];
    atomic_int bad_worker;
    int threads;
} Counts;

static void count_item(void *ctx, int64_t item, int worker)
{
    Counts *c = ctx;
    atomic_fetch_add(&c->done[item], 1);
    if (worker < 0 || worker >= c->threads) {
        atomic_fetch_add(&c->bad_worker, 1);
    }
}

TEST(every_item_runs_once_with_a_worker_below_the_threads)
{
    for (int threads = 1; threads <= MOST_THREADS; threads++) {
        static Counts c;
        c.threads = threads;
        vsl_parallel_for(ITEMS, threads, count_item, &c);
        for (int i = 0; i < ITEMS; i++) {
            CHECK(atomic_exchange(&c.done[i], 0) == 1);
        }
        CHECK(atomic_load(&c.bad_worker) == 0);
    }
    static Counts c = {.threads = 4};
    vsl_parallel_for(0, 4, count_item, &c);
    vsl_parallel_for(1, 4, count_item, &c);
    CHECK(atomic_load(&c.done[0]) == 1 && atomic_load(&c.done[1]) == 0);
}

static double uneven_term(void *ctx, int64_t item, int worker)
{
    (void)worker;
    /* Terms of very different size: any other order of adding gives other bits. */
    const double u = vsl_random_normal(*(uint64_t *)ctx, 0, (uint64_t)item);
    return u * pow(10, (double)(item % 31) - 15);
}

TEST(a_sum_has_the_same_bits_for_any_number_of_threads)
{
    double partial[ITEMS];
    for (uint64_t seed = 0; seed < 20; seed++) {
        const double one = vsl_parallel_sum(ITEMS, 1, uneven_term, &seed, partial);
        for (int threads = 2; threads <= MOST_THREADS; threads++) {
            CHECK(vsl_parallel_sum(ITEMS, threads, uneven_term, &seed, partial) == one);
        }
    }
    uint64_t seed = 0;
    CHECK(vsl_parallel_sum(0, 4, uneven_term, &seed, partial) == 0);
}

static void run_inner(void *ctx, int64_t item, int worker)
{
    (void)worker;
    Counts *c = (Counts *)ctx + item;
    vsl_parallel_for(ITEMS, c->threads, count_item, c);
}

TEST(a_loop_inside_a_loop_is_complete)
{
    static Counts c[8];
    for (int i = 0; i < 8; i++) {
        c[i].threads = 4;
    }
    vsl_parallel_for(8, 4, run_inner, c);
    for (int i = 0; i < 8; i++) {
        for (int k = 0; k < ITEMS; k++) {
            CHECK(atomic_load(&c[i].done[k]) == 1);
        }
        CHECK(atomic_load(&c[i].bad_worker) == 0);
    }
}

enum { CALLERS = 3, MEETINGS = 400, PATIENCE_S = 60 };

typedef struct Meeting {
    atomic_int begun, alone; /* items that have begun; those that gave up waiting for the others */
    int round;               /* of this caller */
    struct Meeting *shared;
} Meeting;

/* Waits until an item of every worker of every caller has begun in this round. Somebody who never comes must not hang
 * the test, so patience ends; how long the others take is not tested. */
static void meet_item(void *ctx, int64_t item, int worker)
{
    const Meeting *caller = ctx;
    Meeting *all = caller->shared;
    const time_t start = time(NULL);
    (void)item;
    (void)worker;
    atomic_fetch_add(&all->begun, 1);
    while (atomic_load(&all->begun) < 2 * CALLERS * (caller->round + 1) && !atomic_load(&all->alone)) {
        if (time(NULL) - start > PATIENCE_S) {
            atomic_fetch_add(&all->alone, 1);
        }
        nanosleep(&(struct timespec){.tv_nsec = 10000}, NULL);
    }
}

static void *run_meetings(void *ctx)
{
    Meeting *caller = ctx;
    for (; caller->round < MEETINGS; caller->round++) {
        vsl_parallel_for(2, 2, meet_item, caller);
    }
    return NULL;
}

TEST(loops_of_several_threads_have_workers_of_their_own_and_none_misses_a_loop)
{
    pthread_t thread[CALLERS];
    Meeting all = {.begun = 0}, caller[CALLERS];
    for (int i = 0; i < CALLERS; i++) {
        caller[i] = (Meeting){.shared = &all};
        CHECK(pthread_create(&thread[i], NULL, run_meetings, &caller[i]) == 0);
    }
    for (int i = 0; i < CALLERS; i++) {
        pthread_join(thread[i], NULL);
    }
    CHECK(atomic_load(&all.begun) == 2 * CALLERS * MEETINGS);
    CHECK(atomic_load(&all.alone) == 0); /* all six were there at one time, each time */
}

TEST(the_number_of_threads_is_what_was_granted)
{
    const int granted = vsl_threads_available();
    CHECK(granted >= 1);
    CHECK(vsl_threads_resolve(3) == 3);
    CHECK(vsl_threads_resolve(0) == granted);
    CHECK(vsl_threads_resolve(-1) == granted);
    CHECK(setenv("OMP_NUM_THREADS", "1", 1) == 0 && vsl_threads_available() == 1);
    CHECK(setenv("OMP_NUM_THREADS", "none", 1) == 0 && vsl_threads_available() >= 1);
    CHECK(setenv("OMP_NUM_THREADS", "-4", 1) == 0 && vsl_threads_available() >= 1);
}

int main(void)
{
    RUN(every_item_runs_once_with_a_worker_below_the_threads);
    RUN(a_sum_has_the_same_bits_for_any_number_of_threads);
    RUN(a_loop_inside_a_loop_is_complete);
    RUN(loops_of_several_threads_have_workers_of_their_own_and_none_misses_a_loop);
    RUN(the_number_of_threads_is_what_was_granted);
    return CHECK_VERDICT();
}
