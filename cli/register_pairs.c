/* vesal register --pairs: one thread reads the images of the next pairs, lanes compute, and the caller's thread writes
 * what is finished, so that no lane waits for a disk. Between them stand two short queues, which bound how many pairs
 * are in memory. Lanes have a backend and a share of the threads each; results do not depend on either, so the files of
 * a pair are those of a run of its own. On the processor as many lanes as threads are best, one thread each: a loop
 * over pairs divides better than the loops within one. On a device a few lanes keep it busy while the host judges. */
#include <math.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>

#include "cli/register_pairs.h"
#include "core/memory.h"
#include "io/file_out.h"
#include "io/path.h"

enum {
    DEVICE_LANES = 4,
    /* What a lane may take: of the fixed image's voxels for a pair computed, another read and a share of those written;
     * and for what does not grow with the image. */
    BYTES_PER_VOXEL = 280,
    BYTES_PER_LANE = 32 << 20
};
static const double TABLE_SECONDS = 5; /* pairs.tsv is not written more often than this, and at the end */

typedef struct Job { /* one pair in memory */
    int64_t row;
    Cli cli;
    PairArgs pair;
    RegisterInputs in;
    RegisterResults r;
    double paused; /* cli_seconds() when it was last left in a queue */
} Job;

typedef struct Queue {
    Job *item[REGISTER_MOST_LANES]; /* first come, first served */
    int count, most, is_closed;
} Queue;

typedef struct Batch {
    Cli *cli;
    const RegisterArgs *args;
    PairTable pairs;
    pthread_mutex_t lock; /* of everything below and of pairs.end */
    pthread_cond_t changed;
    Queue read, computed;
    int lanes, lanes_open;
    int64_t over;   /* pairs of which the end is known */
    double written; /* cli_seconds() of the last pairs.tsv */
} Batch;

typedef struct Lane {
    Batch *batch;
    VslBackend *be;
    int threads, is_running;
    pthread_t thread;
} Lane;

/* --- queues ------------------------------------------------------------------------------------------------------- */

/* Before a pair is read, so that no more are in memory than the queue holds. */
static void wait_for_room(Batch *b, const Queue *q)
{
    pthread_mutex_lock(&b->lock);
    while (q->count == q->most) {
        pthread_cond_wait(&b->changed, &b->lock);
    }
    pthread_mutex_unlock(&b->lock);
}

static void put(Batch *b, Queue *q, Job *job)
{
    job->paused = cli_seconds();
    pthread_mutex_lock(&b->lock);
    while (q->count == q->most) {
        pthread_cond_wait(&b->changed, &b->lock);
    }
    q->item[q->count++] = job;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

/* NULL when the queue is closed and empty. */
static Job *take(Batch *b, Queue *q)
{
    Job *job = NULL;
    pthread_mutex_lock(&b->lock);
    while (q->count == 0 && !q->is_closed) {
        pthread_cond_wait(&b->changed, &b->lock);
    }
    if (q->count > 0) {
        job = q->item[0];
        q->count--;
        memmove(q->item, q->item + 1, (size_t)q->count * sizeof q->item[0]);
        job->cli.start += cli_seconds() - job->paused; /* waiting is not work */
    }
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    return job;
}

static void close_queue(Batch *b, Queue *q)
{
    pthread_mutex_lock(&b->lock);
    q->is_closed = 1;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
}

/* --- one pair ----------------------------------------------------------------------------------------------------- */

static int is_stopped(const VslProgress *p, void *user)
{
    (void)p;
    (void)user;
    return cli_check_stop() != VSL_OK;
}

static void job_free(Job *job)
{
    if (job) {
        register_inputs_free(&job->in);
        register_results_free(&job->r);
        json_decref(job->cli.warnings);
        json_decref(job->cli.result);
        vsl_free(job);
    }
}

static VslStatus job_new(Job **out, const Batch *b, int64_t row, VslBackend *be)
{
    VslStatus st = VSL_OK;
    Job *job = NULL;
    VSL_TRY(VSL_NEW0(&job, 1, "a pair"));
    job->row = row;
    job->cli = *b->cli;
    job->cli.start = cli_seconds();
    job->cli.be = be; /* its name is part of what a report says; a lane puts its own here */
    job->cli.unit = pairs_name(&b->pairs, row);
    job->cli.result = NULL;
    job->cli.warnings = json_array();
    VSL_TRY(pairs_args(&job->pair, &b->pairs, row, b->args));
    job->pair.args.lddmm.progress = job->pair.args.affine.progress = is_stopped;
    *out = job;
    job = NULL;
out:
    job_free(job);
    return st;
}

/* What a report says of its pair. */
static void read_end(PairEnd *end, const json_t *report)
{
    const json_t *verdict = json_object_get(report, "verdict"), *dice = json_object_get(report, "dice"),
                 *folds = json_object_get(json_object_get(report, "jacobian"), "folds"),
                 *before = json_object_get(dice, "mean_before"), *after = json_object_get(dice, "mean_after"),
                 *seconds = json_object_get(json_object_get(report, "seconds"), "total");
    const char *light = json_string_value(json_object_get(verdict, "light"));
    snprintf(end->light, sizeof end->light, "%s", light ? light : "");
    end->dice_before = before ? json_number_value(before) : NAN;
    end->dice_after = after ? json_number_value(after) : NAN;
    end->folds = folds ? json_number_value(folds) : NAN;
    end->seconds = seconds ? json_number_value(seconds) : NAN;
}

/* The end of a pair: st is of this thread's last failure, report may be NULL. */
static void settle(Batch *b, int64_t row, PairState state, VslStatus st, const json_t *report)
{
    PairEnd *end = &b->pairs.end[row];
    const char *name = pairs_name(&b->pairs, row);
    pthread_mutex_lock(&b->lock);
    b->over++;
    end->state = st == VSL_E_CANCELLED ? PAIR_STOPPED : state;
    end->status = st;
    if (report) {
        read_end(end, report);
    }
    if (st != VSL_OK) {
        snprintf(end->sentence, sizeof end->sentence, "%s", vsl_error());
        for (char *c = end->sentence; *c; c++) {
            *c = (unsigned char)*c < 32 ? ' ' : *c; /* a cell of a table */
        }
    }
    if (end->state == PAIR_FAILED) {
        fprintf(stderr, "vesal register: %s: %s\n", name, end->sentence);
    } else if (end->state == PAIR_KEPT) {
        cli_note(b->cli, "%lld of %lld  %s: kept", (long long)b->over, (long long)b->pairs.table.rows, name);
    } else if (end->state == PAIR_DONE && isfinite(end->dice_after)) {
        cli_note(b->cli, "%lld of %lld  %s: %s, Dice %.3f to %.3f, %.2f s", (long long)b->over,
                 (long long)b->pairs.table.rows, name, end->light, end->dice_before, end->dice_after, end->seconds);
    } else if (end->state == PAIR_DONE) {
        cli_note(b->cli, "%lld of %lld  %s: %s, %.2f s", (long long)b->over, (long long)b->pairs.table.rows, name,
                 end->light, end->seconds);
    }
    pthread_mutex_unlock(&b->lock);
}

/* --- three kinds of threads --------------------------------------------------------------------------------------- */

/* A pair read from its files, or settled: kept from an earlier run, or failed. */
static void read_pair(Batch *b, int64_t row, VslBackend *be)
{
    Job *job = NULL;
    json_t *report = NULL;
    VslStatus st = job_new(&job, b, row, be);
    if (st == VSL_OK && b->args->resume && !b->cli->overwrite && register_is_whole(&job->pair.args)) {
        st = register_read_report(&report, &job->cli, &job->pair.args);
        settle(b, row, st == VSL_OK ? PAIR_KEPT : PAIR_FAILED, st, report);
        json_decref(report);
        job_free(job);
        return;
    }
    st = st == VSL_OK ? register_read(&job->in, &job->cli, &job->pair.args) : st;
    if (st != VSL_OK) {
        settle(b, row, PAIR_FAILED, st, NULL);
        job_free(job);
        return;
    }
    job->r.seconds_read = cli_seconds() - job->cli.start;
    put(b, &b->read, job);
}

static void *read_pairs(void *ctx)
{
    Lane *first = ctx;
    Batch *b = first->batch;
    for (int64_t row = 0; row < b->pairs.table.rows; row++) {
        wait_for_room(b, &b->read);
        if (cli_check_stop() != VSL_OK) {
            break;
        }
        read_pair(b, row, first->be);
    }
    close_queue(b, &b->read);
    return NULL;
}

static void *compute_pairs(void *ctx)
{
    Lane *lane = ctx;
    Batch *b = lane->batch;
    for (Job *job; (job = take(b, &b->read)) != NULL;) {
        job->cli.be = lane->be;
        job->cli.threads = lane->threads;
        VslStatus st = cli_check_stop();
        st = st == VSL_OK ? register_compute(&job->r, &job->cli, &job->pair.args, &job->in) : st;
        if (st == VSL_OK) {
            put(b, &b->computed, job);
        } else {
            settle(b, job->row, PAIR_FAILED, st, NULL);
            job_free(job);
        }
    }
    pthread_mutex_lock(&b->lock);
    b->lanes_open--;
    b->computed.is_closed = b->lanes_open == 0;
    pthread_cond_broadcast(&b->changed);
    pthread_mutex_unlock(&b->lock);
    return NULL;
}

static VslStatus write_table(Batch *b)
{
    VslStatus st = VSL_OK;
    CliPath path;
    pthread_mutex_lock(&b->lock);
    char *text = pairs_text(&b->pairs);
    pthread_mutex_unlock(&b->lock);
    VSL_CHECK(text, VSL_E_NOMEM, "no memory for the text of pairs.tsv");
    VSL_TRY(cli_path_join(&path, b->args->out, "/pairs.tsv"));
    VSL_TRY(vsl_file_write_whole(path.text, text, strlen(text)));
    b->written = cli_seconds();
out:
    free(text);
    return st;
}

static VslStatus write_pairs(Batch *b)
{
    VslStatus st = VSL_OK;
    for (Job *job; (job = take(b, &b->computed)) != NULL;) {
        const VslStatus end = register_write(&job->cli, &job->pair.args, &job->in, &job->r);
        settle(b, job->row, end == VSL_OK ? PAIR_DONE : PAIR_FAILED, end, job->cli.result);
        job_free(job);
        if (st == VSL_OK && cli_seconds() - b->written > TABLE_SECONDS) {
            st = write_table(b); /* a folder that cannot be written is said at the end: what can be done is done */
        }
    }
    return st;
}

/* --- the whole ---------------------------------------------------------------------------------------------------- */

/* Lanes whose pairs fit together into the memory of the backend: all that is granted or free, half of the machine's. */
static int lanes_by_memory(const Batch *b, int most)
{
    int64_t largest = 1, room = 0, total = 0;
    PairArgs *one = NULL;
    if (VSL_NEW(&one, 1, "arguments of a pair") != VSL_OK || vsl_backend_memory(&room, &total, b->cli->be) != VSL_OK) {
        vsl_free(one);
        return 1;
    }
    if (vsl_backend_is_host(b->cli->be) && vsl_memory_budget() == 0) {
        room = total / 2;
    }
    for (int64_t row = 0; row < b->pairs.table.rows; row++) {
        VslNiftiInfo info = {0};
        if (pairs_args(one, &b->pairs, row, b->args) == VSL_OK &&
            vsl_image_read_info(&info, one->args.fixed.items[0]) == VSL_OK) { /* else it fails when its turn comes */
            const int64_t voxels = vsl_grid_voxels(&info.grid) * info.channels;
            largest = voxels > largest ? voxels : largest;
        }
        vsl_nifti_info_free(&info);
    }
    vsl_free(one);
    const int64_t fit = room / (largest * BYTES_PER_VOXEL + BYTES_PER_LANE);
    return fit < 1 ? 1 : fit < most ? (int)fit : most;
}

static int choose_lanes(const Batch *b, int is_host)
{
    const int64_t rows = b->pairs.table.rows;
    int lanes = b->args->many.at_once;
    if (lanes == 0) {
        lanes = is_host ? b->cli->threads : DEVICE_LANES;
        lanes = lanes < REGISTER_MOST_LANES ? lanes : REGISTER_MOST_LANES;
        lanes = rows < lanes ? (int)rows : lanes;
        lanes = lanes > 1 ? lanes_by_memory(b, lanes) : 1;
    }
    return rows < lanes ? (int)rows : lanes;
}

static VslStatus open_lanes(Lane *lanes, Batch *b)
{
    VslStatus st = VSL_OK;
    VSL_TRY(cli_backend(b->cli));
    b->lanes = choose_lanes(b, vsl_backend_is_host(b->cli->be));
    const int threads = b->cli->threads / b->lanes > 1 ? b->cli->threads / b->lanes : 1;
    for (int i = 0; i < b->lanes; i++) {
        lanes[i].batch = b;
        lanes[i].threads = threads;
        VSL_TRY(vsl_backend_open(&lanes[i].be, b->cli->device ? b->cli->device : "auto", threads));
    }
    b->read.most = b->lanes;
    b->computed.most = 1;
    b->lanes_open = b->lanes;
    cli_note(b->cli, "%lld pairs, %d at a time with %d thread%s each on %s", (long long)b->pairs.table.rows, b->lanes,
             threads, threads == 1 ? "" : "s", vsl_backend_name(b->cli->be));
out:
    return st;
}

static VslStatus run_threads(Lane *lanes, Batch *b)
{
    VslStatus st = VSL_OK;
    pthread_t reader;
    int has_reader = 0;
    for (int i = 0; i < b->lanes; i++) {
        lanes[i].is_running = pthread_create(&lanes[i].thread, NULL, compute_pairs, &lanes[i]) == 0;
        VSL_CHECK(lanes[i].is_running, VSL_E_NOMEM, "the system starts no more than %d threads for pairs", i);
    }
    has_reader = pthread_create(&reader, NULL, read_pairs, &lanes[0]) == 0;
    VSL_CHECK(has_reader, VSL_E_NOMEM, "the system starts no thread that reads pairs");
    VSL_TRY(write_pairs(b));
out:
    if (!has_reader) {
        close_queue(b, &b->read);
    }
    for (int i = 0; i < b->lanes; i++) {
        if (lanes[i].is_running) {
            pthread_join(lanes[i].thread, NULL);
        }
    }
    if (has_reader) {
        pthread_join(reader, NULL);
    }
    return st;
}

/* What the whole command comes to. */
static VslStatus conclude(Batch *b)
{
    VslStatus st = VSL_OK;
    const PairTable *t = &b->pairs;
    const int64_t done = pairs_count(t, PAIR_DONE), kept = pairs_count(t, PAIR_KEPT),
                  failed = pairs_count(t, PAIR_FAILED);
    b->cli->result = pairs_json(t);
    cli_note(b->cli, "%lld pairs: %lld done, %lld kept, %lld failed, %lld not finished; wrote %s/pairs.tsv",
             (long long)t->table.rows, (long long)done, (long long)kept, (long long)failed,
             (long long)(t->table.rows - done - kept - failed), vsl_path_text(b->args->out).text);
    VSL_TRY(cli_check_stop());
    if (failed > 0 && done + kept > 0) {
        b->cli->exit_code = CLI_EXIT_PARTLY;
    }
    for (int64_t r = 0; done + kept == 0 && r < t->table.rows; r++) {
        VSL_CHECK(t->end[r].state != PAIR_FAILED, t->end[r].status, "none of the %lld pairs could be registered",
                  (long long)failed);
    }
out:
    return st;
}

VslStatus register_pairs(Cli *cli, const RegisterArgs *args)
{
    VslStatus st = VSL_OK;
    Lane lanes[REGISTER_MOST_LANES] = {{0}};
    Batch b = {.cli = cli, .args = args};
    pthread_mutex_init(&b.lock, NULL);
    pthread_cond_init(&b.changed, NULL);
    VSL_CHECK(!(args->resume && cli->overwrite), VSL_E_ARG,
              "--resume keeps what is whole and --overwrite replaces it: give one of them");
    VSL_TRY(pairs_open(&b.pairs, cli, args));
    VSL_TRY(pairs_check_outputs(&b.pairs, cli, args));
    VSL_TRY(open_lanes(lanes, &b));
    VSL_TRY(write_table(&b)); /* so that a folder that takes no file is found out now */
    VSL_TRY(run_threads(lanes, &b));
    VSL_TRY(write_table(&b));
    VSL_TRY(conclude(&b));
out:
    for (int i = 0; i < REGISTER_MOST_LANES; i++) {
        vsl_backend_close(&lanes[i].be);
    }
    pairs_free(&b.pairs);
    pthread_cond_destroy(&b.changed);
    pthread_mutex_destroy(&b.lock);
    return st;
}
