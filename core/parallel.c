/* Pools of worker threads made on first use and kept: one for each thread that runs loops at the same time, as lanes of
 * a batch do, so that one of them does not wait for, or take, the workers of another.
 *
 * Items are handed out in chunks from one counter, so that a core that is taken away does not hold up the rest; results
 * do not depend on who runs what. Idle workers look for work for some microseconds and then sleep: loops of a
 * registration follow each other closely, but a busy machine must not be burdened by waiting threads (OpenMP's run time
 * spins for milliseconds, which made two registrations on two cores ten times slower than one after the other).
 *
 * A loop ends when its items are done and nobody is inside it. It does not wait for workers that have not come: on a
 * busy machine one may be woken long after the others have done its share. A worker goes in by `inside`++ and then
 * looks whether the loop is still open; the caller closes it and then looks whether someone is inside. So either the
 * caller waits for the worker or the worker sees that it is late (or finds the next loop, complete, and takes part in
 * that). Which loop, who takes part and whether it is open are one word: a worker that saw a new loop before it saw
 * that it is open would go back to sleep and miss it. */
#define _GNU_SOURCE
#include "core/parallel.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#ifdef __linux__
#include <sched.h>
#endif
#include <unistd.h>

enum { MAX_WORKERS = 256, SPINS = 2000, POOLS = 16 };

typedef struct Pool {
    pthread_mutex_t busy; /* held by the thread whose loop runs */
    pthread_mutex_t lock; /* guards sleeping and waking */
    pthread_cond_t wake, done;
    int workers;
    pid_t owner;          /* a fork leaves the child without workers */
    _Atomic uint64_t job; /* count of loops << 17 | workers that take part << 1 | whether they may still go in */
    _Atomic int inside;   /* those who are in it, or looking whether it is open */
    _Atomic int64_t next; /* first item not handed out */
    int64_t items, chunk;
    VslItemFn *fn;
    void *ctx;
} Pool;

static Pool pools[POOLS];
static pthread_once_t pools_once = PTHREAD_ONCE_INIT;
static _Thread_local int runs_items; /* this thread does: nested loops are serial */

static void open_pools(void)
{
    for (int i = 0; i < POOLS; i++) {
        pthread_mutex_init(&pools[i].busy, NULL);
        pthread_mutex_init(&pools[i].lock, NULL);
        pthread_cond_init(&pools[i].wake, NULL);
        pthread_cond_init(&pools[i].done, NULL);
    }
}

/* A pool that nobody uses, locked for the caller; NULL when all are in use. */
static Pool *take_pool(void)
{
    pthread_once(&pools_once, open_pools);
    for (int i = 0; i < POOLS; i++) {
        if (pthread_mutex_trylock(&pools[i].busy) == 0) {
            return &pools[i];
        }
    }
    return NULL;
}

int vsl_threads_available(void)
{
    int n = 0;
#ifdef __linux__
    cpu_set_t set;
    if (sched_getaffinity(0, sizeof set, &set) == 0) {
        n = CPU_COUNT(&set);
    }
#endif
    if (n < 1) {
        n = (int)sysconf(_SC_NPROCESSORS_ONLN);
    }
    const char *limit = getenv("OMP_NUM_THREADS");
    const long wanted = limit ? strtol(limit, NULL, 10) : 0;
    if (wanted > 0 && wanted < n) {
        n = (int)wanted;
    }
    return n < 1 ? 1 : n;
}

int vsl_threads_resolve(int requested)
{
    return requested > 0 ? (requested < MAX_WORKERS ? requested : MAX_WORKERS) : vsl_threads_available();
}

static void run_chunks(Pool *pool, int worker)
{
    runs_items = 1;
    for (;;) {
        const int64_t begin = atomic_fetch_add(&pool->next, pool->chunk);
        if (begin >= pool->items) {
            break;
        }
        const int64_t end = begin + pool->chunk < pool->items ? begin + pool->chunk : pool->items;
        for (int64_t i = begin; i < end; i++) {
            pool->fn(pool->ctx, i, worker);
        }
    }
    runs_items = 0;
}

static void relax(int spin)
{
    if (spin % 64 == 63) {
        sched_yield();
    } else {
#if defined(__x86_64__)
        __builtin_ia32_pause();
#endif
    }
}

static uint64_t count_of(uint64_t job)
{
    return job >> 17;
}

static int helpers_of(uint64_t job)
{
    return (int)(job >> 1 & 0xffff);
}

static int is_open(uint64_t job)
{
    return (int)(job & 1);
}

static void *work(void *arg)
{
    Pool *pool = &pools[(intptr_t)arg / MAX_WORKERS];
    const int worker = (int)((intptr_t)arg % MAX_WORKERS); /* 1.. ; 0 is the caller */
    uint64_t seen = 0;                                     /* count of the last loop that this worker looked at */
    for (;;) {
        for (int spin = 0; spin < SPINS && count_of(atomic_load(&pool->job)) == seen; spin++) {
            relax(spin);
        }
        if (count_of(atomic_load(&pool->job)) == seen) {
            pthread_mutex_lock(&pool->lock);
            while (count_of(atomic_load(&pool->job)) == seen) {
                pthread_cond_wait(&pool->wake, &pool->lock);
            }
            pthread_mutex_unlock(&pool->lock);
        }
        atomic_fetch_add(&pool->inside, 1);
        const uint64_t job = atomic_load(&pool->job);
        seen = count_of(job);
        if (is_open(job) && worker <= helpers_of(job)) {
            run_chunks(pool, worker);
        }
        if (atomic_fetch_sub(&pool->inside, 1) == 1) {
            pthread_mutex_lock(&pool->lock);
            pthread_cond_signal(&pool->done);
            pthread_mutex_unlock(&pool->lock);
        }
    }
    return NULL;
}

/* As many workers as could be started, up to wanted. */
static int grow(Pool *pool, int wanted)
{
    if (pool->owner != getpid()) {
        pool->workers = 0;
        pool->owner = getpid();
        atomic_store(&pool->inside, 0);
    }
    pthread_attr_t attr;
    if (pool->workers < wanted && pthread_attr_init(&attr) == 0) {
        pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
        pthread_t thread;
        const intptr_t first = (pool - pools) * MAX_WORKERS + 1;
        while (pool->workers < wanted && pthread_create(&thread, &attr, work, (void *)(first + pool->workers)) == 0) {
            pool->workers++;
        }
        pthread_attr_destroy(&attr);
    }
    return pool->workers < wanted ? pool->workers : wanted;
}

void vsl_parallel_for(int64_t items, int threads, VslItemFn *fn, void *ctx)
{
    threads = threads < MAX_WORKERS ? threads : MAX_WORKERS;
    const int most = items < threads ? (int)items : threads;
    Pool *pool = most <= 1 || runs_items ? NULL : take_pool();
    if (!pool) {
        const int nested = runs_items;
        runs_items = 1;
        for (int64_t i = 0; i < items; i++) {
            fn(ctx, i, 0);
        }
        runs_items = nested;
        return;
    }
    const int helpers = grow(pool, most - 1);
    pool->fn = fn;
    pool->ctx = ctx;
    pool->items = items;
    pool->chunk = items / (4 * most) > 1 ? items / (4 * most) : 1;
    atomic_store(&pool->next, 0);
    const uint64_t closed = (count_of(atomic_load(&pool->job)) + 1) << 17 | (uint64_t)helpers << 1;
    pthread_mutex_lock(&pool->lock);
    atomic_store(&pool->job, closed | 1);
    pthread_cond_broadcast(&pool->wake);
    pthread_mutex_unlock(&pool->lock);
    run_chunks(pool, 0);
    atomic_store(&pool->job, closed);
    for (int spin = 0; spin < SPINS && atomic_load(&pool->inside) > 0; spin++) {
        relax(spin);
    }
    pthread_mutex_lock(&pool->lock);
    while (atomic_load(&pool->inside) > 0) {
        pthread_cond_wait(&pool->done, &pool->lock);
    }
    pthread_mutex_unlock(&pool->lock);
    pthread_mutex_unlock(&pool->busy);
}

typedef struct Sum {
    VslItemSumFn *fn;
    void *ctx;
    double *partial;
} Sum;

static void sum_item(void *ctx, int64_t item, int worker)
{
    const Sum *s = ctx;
    s->partial[item] = s->fn(s->ctx, item, worker);
}

double vsl_parallel_sum(int64_t items, int threads, VslItemSumFn *fn, void *ctx, double *partial)
{
    Sum s = {fn, ctx, partial};
    vsl_parallel_for(items, threads, sum_item, &s);
    double sum = 0;
    for (int64_t i = 0; i < items; i++) {
        sum += partial[i];
    }
    return sum;
}
