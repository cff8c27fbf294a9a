/* One training run in its folder. */
#define _GNU_SOURCE
#include "cli/train_run.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <math.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "io/file_in.h"
#include "io/file_out.h"
#include "io/path.h"

/* Two runs are the same whatever these are: where things lie, and how they are computed. */
static const char *const free_keys[] = {"data", "data-root", "threads", "device", "save-every", NULL};

typedef struct Run {
    Cli *cli;
    CliTrainJob *job;
    CliPath log_path;
    int lock; /* file descriptor, -1 */
    int log;  /* likewise */
    int64_t first_step;
    double start;
} Run;

static int is_first_rank(const CliTrainJob *job)
{
    return !job->setup.group || nn_group_rank(job->setup.group) == 0;
}

static VslStatus make_folder(const char *path)
{
    struct stat s;
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && stat(path, &s) == 0 && S_ISDIR(s.st_mode))) {
        return VSL_OK;
    }
    return vsl_fail(VSL_E_WRITE, __func__, "the folder '%s' cannot be made: %s", vsl_path_text(path).text,
                    strerror(errno));
}

/* Held until the process ends, however it ends. */
static VslStatus take_lock(Run *r)
{
    VslStatus st = VSL_OK;
    CliPath path;
    VSL_TRY(cli_path_join(&path, r->job->folder, "/.lock"));
    r->lock = open(path.text, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    VSL_CHECK(r->lock >= 0, VSL_E_WRITE, "%s: cannot be written: %s", vsl_path_text(path.text).text, strerror(errno));
    VSL_CHECK(flock(r->lock, LOCK_EX | LOCK_NB) == 0, VSL_E_STATE, "%s: another run is training in this folder",
              vsl_path_text(r->job->folder).text);
out:
    return st;
}

/* 1 when the folder holds something that is not ours. */
static int is_foreign(const char *folder)
{
    int foreign = 0;
    DIR *d = opendir(folder);
    for (const struct dirent *e; d && (e = readdir(d)) != NULL;) {
        foreign =
            foreign || (strcmp(e->d_name, ".") != 0 && strcmp(e->d_name, "..") != 0 && strcmp(e->d_name, ".lock") != 0);
    }
    if (d) {
        closedir(d);
    }
    return foreign;
}

static VslStatus remove_file(const char *folder, const char *name)
{
    VslStatus st = VSL_OK;
    CliPath path;
    VSL_TRY(cli_path_join(&path, folder, name));
    VSL_CHECK(unlink(path.text) == 0 || errno == ENOENT, VSL_E_WRITE, "%s: cannot be removed: %s",
              vsl_path_text(path.text).text, strerror(errno));
out:
    return st;
}

static VslStatus remove_results(const char *folder)
{
    static const char *const names[] = {"/config.yaml",  "/weights.h5", "/weights.safetensors",
                                        "/metrics.json", "/log.jsonl",  "/loss.png"};
    VslStatus st = VSL_OK;
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        VSL_TRY(remove_file(folder, names[i]));
    }
    VSL_TRY(cli_checkpoints_remove(folder));
out:
    return st;
}

/* The folder is this run's: new, begun with the same settings, or made new by --overwrite. */
static VslStatus open_folder(Run *r)
{
    VslStatus st = VSL_OK;
    const char *folder = r->job->folder;
    CliPath path;
    VslConfig now = {0}, before = {0};

    VSL_TRY(make_folder(folder));
    VSL_TRY(take_lock(r));
    VSL_TRY(cli_path_join(&path, folder, "/config.yaml"));
    if (r->cli->overwrite) {
        VSL_TRY(remove_results(folder));
    } else if (access(path.text, F_OK) == 0) {
        VSL_TRY(vsl_config_parse(&now, r->job->settings, (int64_t)strlen(r->job->settings), "the settings"));
        VSL_TRY(vsl_config_read(&before, path.text));
        VSL_TRY(cli_settings_check_same(&now, &before, free_keys, vsl_path_text(folder).text));
    } else {
        VSL_CHECK(!is_foreign(folder), VSL_E_WRITE, "%s: is not empty and no model; give a new folder or --overwrite",
                  vsl_path_text(folder).text);
    }
    VSL_TRY(vsl_file_write_whole(path.text, r->job->settings, strlen(r->job->settings)));
out:
    vsl_config_free(&now);
    vsl_config_free(&before);
    return st;
}

/* Nobody looks into the folder before the first rank has opened it. */
static VslStatus wait_for_ranks(const CliTrainJob *job)
{
    double here = 1;
    if (!job->setup.group) {
        return VSL_OK;
    }
    NnScope *s = nn_scope_open(job->setup.rt, NN_TRAIN);
    nn_group_sum(s, job->setup.group, &here, 1);
    return nn_scope_close(&s);
}

/* Keeps the lines of the log up to a step: what came after it will come again. */
static VslStatus trim_log(const Run *r, int64_t step)
{
    static const int64_t most = (int64_t)1 << 32;
    VslStatus st = VSL_OK;
    char *text = NULL;
    int64_t count = 0;
    size_t kept = 0;
    if (access(r->log_path.text, F_OK) != 0) {
        return VSL_OK;
    }
    VSL_TRY(vsl_file_in_whole(&text, &count, r->log_path.text, most));
    for (char *line = text, *end; (end = strchr(line, '\n')) != NULL; line = end + 1) {
        json_t *record = json_loadb(line, (size_t)(end - line), 0, NULL);
        const json_t *at = json_object_get(record, "step");
        const int is_kept = json_is_integer(at) && json_integer_value(at) <= step;
        json_decref(record);
        if (!is_kept) {
            break;
        }
        kept = (size_t)(end + 1 - text);
    }
    VSL_TRY(vsl_file_write_whole(r->log_path.text, text, kept));
out:
    vsl_free(text);
    return st;
}

/* Takes up the newest state, and the log as far as it goes. */
static VslStatus take_up(Run *r, VslTrainer *t)
{
    VslStatus st = VSL_OK;
    VslWeights state = {0};
    CliPath where;
    int64_t step = -1, copied = 0;

    VSL_TRY(cli_checkpoint_read(r->cli, &state, &step, &where, r->job->folder));
    if (step >= 0) {
        VSL_TRY(vsl_trainer_restore(t, &state, where.text));
        cli_note(r->cli, "goes on after step %lld", (long long)step);
    } else if (r->job->start) {
        VSL_TRY(vsl_trainer_start_from(t, r->job->start, &copied));
        VSL_CHECK(copied > 0, VSL_E_FORMAT, "no weight of the model to start from fits this network");
        cli_note(r->cli, "starts with %lld of %lld weights of another model", (long long)copied,
                 (long long)nn_params_count(vsl_trainer_params(t)));
    }
    r->first_step = step > 0 ? step : 0;
    if (!is_first_rank(r->job)) {
        goto out;
    }
    VSL_TRY(trim_log(r, r->first_step));
    r->log = open(r->log_path.text, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666);
    VSL_CHECK(r->log >= 0, VSL_E_WRITE, "%s: cannot be written: %s", vsl_path_text(r->log_path.text).text,
              strerror(errno));
out:
    vsl_weights_free(&state);
    return st;
}

static int64_t peak_bytes(const Run *r)
{
    const NnMemory tensors = nn_memory(r->job->setup.rt);
    return tensors.peak_bytes + vsl_memory_peak();
}

static VslStatus write_record(const VslTrainRecord *record, void *user)
{
    VslStatus st = VSL_OK;
    const Run *r = user;
    json_t *line = json_pack(
        "{s:I,s:o,s:o,s:o,s:o,s:o,s:I}", "step", (json_int_t)record->step, "loss", cli_json_number(record->loss),
        "rate", cli_json_number(record->rate), "grad_norm", cli_json_number(record->grad_norm), "samples_per_s",
        cli_json_number(round(10 * record->samples_per_s) / 10), "seconds",
        cli_json_number(round(1e3 * (cli_seconds() - r->start)) / 1e3), "peak_bytes", (json_int_t)peak_bytes(r));
    if (!isnan(record->validation)) {
        json_object_set_new(line, "validation", cli_json_number(record->validation));
    }
    char *text = json_dumps(line, JSON_COMPACT | JSON_REAL_PRECISION(9));
    json_decref(line);
    VSL_CHECK(text, VSL_E_NOMEM, "no memory for a line of the log");
    const size_t length = strlen(text);
    text[length] = '\n'; /* in place of the final zero: one write, so that lines stay whole */
    const ssize_t written = write(r->log, text, length + 1);
    VSL_CHECK(written == (ssize_t)length + 1, VSL_E_WRITE, "%s: cannot be written: %s",
              vsl_path_text(r->log_path.text).text, written < 0 ? strerror(errno) : "the disk is full");
out:
    free(text); /* of jansson */
    return st;
}

static VslStatus save_state(const VslWeights *state, int64_t step, void *user)
{
    VslStatus st = VSL_OK;
    const Run *r = user;
    /* a state whose log is lost could not give the same curve again */
    VSL_CHECK(fsync(r->log) == 0 || errno == EINVAL, VSL_E_WRITE, "%s: cannot be flushed to disk: %s",
              vsl_path_text(r->log_path.text).text, strerror(errno));
    VSL_TRY(cli_checkpoint_write(r->job->folder, state, step));
out:
    return st;
}

static int tell(const VslTrainRecord *record, int64_t steps, void *user)
{
    const Run *r = user;
    const double done = (double)(record->step - r->first_step), all = (double)(steps - r->first_step);
    const double rate = done / fmax(cli_seconds() - r->start, 1e-9);
    return cli_progress_line(r->cli, "train", done / fmax(all, 1), "step %lld of %lld, loss %.4g, %.1f steps/s",
                             (long long)record->step, (long long)steps, record->loss, rate);
}

void cli_generator_device(json_t *value, const NnRuntime *rt)
{
    json_object_set_new(json_object_get(value, "generated_by"), "device", json_string(nn_runtime_name(rt)));
}

/* metrics.json, which is also the answer of the verb. */
static VslStatus write_metrics(Run *r, const VslTrainResult *result)
{
    VslStatus st = VSL_OK;
    CliPath path;
    json_t *m = json_pack(
        "{s:o,s:s,s:I,s:I,s:o,s:o,s:I,s:b,s:I,s:o,s:o,s:I}", "generated_by", cli_json_generator(r->cli), "task",
        r->job->setup.task->name, "parameters", (json_int_t)result->parameters, "steps", (json_int_t)result->steps,
        "loss", cli_json_number(result->loss), "validation", cli_json_number(result->validation), "best_step",
        (json_int_t)result->best_step, "stopped_early", result->stopped_early, "steps_of_this_run",
        (json_int_t)(result->steps - r->first_step), "seconds_of_this_run", cli_json_number(result->seconds),
        "samples_per_s", cli_json_number(result->samples_per_s), "peak_bytes", (json_int_t)peak_bytes(r));
    VSL_CHECK(m, VSL_E_NOMEM, "no memory for the metrics");
    cli_generator_device(m, r->job->setup.rt);
    if (r->job->about) {
        json_object_update(m, r->job->about);
    }
    json_object_set(m, "warnings", r->cli->warnings);
    json_decref(r->cli->result);
    r->cli->result = m;
    VSL_TRY(cli_path_join(&path, r->job->folder, "/metrics.json"));
    VSL_TRY(cli_json_write(path.text, m));
out:
    return st;
}

static VslStatus write_results(Run *r, VslTrainer *t, VslWeights *weights)
{
    VslStatus st = VSL_OK;
    const VslTrainResult result = vsl_trainer_result(t);
    VslWeights w = {0};
    CliPath path;
    char title[256];

    VSL_TRY(vsl_trainer_weights(t, &w));
    if (is_first_rank(r->job)) {
        VSL_TRY(cli_model_write_weights(r->job->folder, &w));
        VSL_TRY(cli_path_join(&path, r->job->folder, "/loss.png"));
        snprintf(title, sizeof title, "%s: %lld steps, %.2f million parameters", r->job->setup.task->name,
                 (long long)result.steps, 1e-6 * (double)result.parameters);
        VSL_TRY(cli_loss_picture(path.text, r->log_path.text, title));
        VSL_TRY(write_metrics(r, &result));
    }
    if (weights) {
        vsl_weights_move(weights, &w);
    }
out:
    vsl_weights_free(&w);
    return st;
}

static int read_count(int *out, const char *name)
{
    const char *text = getenv(name);
    char *end = NULL;
    const long value = text ? strtol(text, &end, 10) : -1;
    *out = (int)value;
    return text && end != text && *end == 0 && value >= 0 && value < 65536;
}

VslStatus cli_train_group(Cli *cli, NnGroup **out, NnRuntime *rt, const char *meet)
{
    VslStatus st = VSL_OK;
    int rank = 0, size = 1;
    char store[512];
    const char *host = getenv("MASTER_ADDR"), *port = getenv("MASTER_PORT");
    const int has_address = meet || (host && port);

    if (!(read_count(&rank, "RANK") && read_count(&size, "WORLD_SIZE")) &&
        !(has_address && read_count(&rank, "SLURM_PROCID") && read_count(&size, "SLURM_NTASKS"))) {
        VSL_CHECK(!meet, VSL_E_ARG, "--meet needs RANK and WORLD_SIZE in the environment");
        return VSL_OK;
    }
    if (size == 1) {
        return VSL_OK;
    }
    VSL_CHECK(has_address, VSL_E_ARG,
              "RANK and WORLD_SIZE are set, but not where the ranks meet: --meet, or MASTER_ADDR and MASTER_PORT");
    snprintf(store, sizeof store, "tcp:%s:%s", host ? host : "", port ? port : "");
    const NnGroupOptions how = {.rank = rank, .size = size, .store = meet ? meet : store};
    VSL_TRY(nn_group_open(out, rt, &how));
    cli->is_quiet = cli->is_quiet || rank > 0;
out:
    return st;
}

VslStatus cli_train(Cli *cli, VslWeights *weights, CliTrainJob *job)
{
    VslStatus st = VSL_OK;
    Run r = {.cli = cli, .job = job, .lock = -1, .log = -1};
    VslTrainer *t = NULL;
    const VslTrainHooks hooks = {tell, write_record, save_state, &r};
    VSL_TRY(cli_path_join(&r.log_path, job->folder, "/log.jsonl"));
    if (is_first_rank(job)) {
        VSL_TRY(open_folder(&r));
    }
    VSL_TRY(wait_for_ranks(job));
    VSL_TRY(vsl_trainer_new(&t, &job->setup));
    VSL_TRY(job->prepare ? job->prepare(t, job->user) : VSL_OK);
    VSL_TRY(take_up(&r, t));
    r.start = cli_seconds();
    st = vsl_trainer_run(t, &hooks);
    cli_progress_end();
    if (st == VSL_E_CANCELLED) {
        cli_note(cli, "%s; the state is saved, the same command goes on from it", vsl_error());
    }
    VSL_TRY(st);
    VSL_TRY(write_results(&r, t, weights));
out:
    vsl_trainer_free(&t);
    if (r.log >= 0) {
        close(r.log);
    }
    if (r.lock >= 0) {
        close(r.lock);
    }
    json_decref(job->about);
    job->about = NULL;
    return st;
}
