/* What the command says on stderr, and how it is asked to stop. */
#define _GNU_SOURCE
#include "cli/cli.h"

#include <errno.h>
#include <math.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

static atomic_int stop_signal; /* lock-free: set by a handler, read by every thread */

static void on_signal(int number)
{
    if (stop_signal && number == SIGINT) {
        _exit(130);
    }
    stop_signal = number;
}

void cli_signals_install(void)
{
    struct sigaction action;
    memset(&action, 0, sizeof action);
    action.sa_handler = on_signal;
    action.sa_flags = SA_RESTART;
    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGUSR1, &action, NULL);
    signal(SIGXFSZ, SIG_IGN); /* a file-size limit is a failed write like any other, with exit code 5 */
    signal(SIGPIPE, SIG_IGN); /* a reader that went away must not end a run half-way: writes fail instead */
}

VslStatus cli_check_stop(void)
{
    const int number = stop_signal;
    if (!number) {
        return VSL_OK;
    }
    const char *name = number == SIGINT ? "INT" : number == SIGTERM ? "TERM" : "USR1";
    return vsl_fail(VSL_E_CANCELLED, __func__, "stopped by signal %s; no output was left half-written", name);
}

int cli_is_terminal(void)
{
    const char *term = getenv("TERM");
    return isatty(STDERR_FILENO) && term && strcmp(term, "dumb") != 0;
}

static int progress_is_open;

void cli_progress_end(void)
{
    if (progress_is_open) {
        fputs("\r\033[K", stderr);
        progress_is_open = 0;
    }
}

void cli_note(const Cli *cli, const char *fmt, ...)
{
    if (cli->is_quiet) {
        return;
    }
    va_list args;
    cli_progress_end();
    va_start(args, fmt);
    vfprintf(stderr, fmt, args);
    va_end(args);
    fputc('\n', stderr);
}

void cli_warn(Cli *cli, const char *fmt, ...)
{
    static pthread_mutex_t one_at_a_time = PTHREAD_MUTEX_INITIALIZER;
    char text[1024];
    va_list args;
    if (!cli->warnings) {
        return;
    }
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    pthread_mutex_lock(&one_at_a_time);
    cli_progress_end();
    fprintf(stderr, "warning: %s%s%s\n", cli->unit ? cli->unit : "", cli->unit ? ": " : "", text);
    json_array_append_new(cli->warnings, json_stringn_nocheck(text, strlen(text)));
    pthread_mutex_unlock(&one_at_a_time);
}

double cli_seconds(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void time_left(char *out, size_t size, double elapsed, double fraction)
{
    if (fraction < 0.02 || fraction > 1) {
        snprintf(out, size, "time left unknown");
        return;
    }
    const double left = elapsed * (1 - fraction) / fraction;
    if (left < 100) {
        snprintf(out, size, "%.0f s left", ceil(left));
    } else {
        snprintf(out, size, "%.0f min left", ceil(left / 60));
    }
}

int cli_progress_line(const Cli *cli, const char *stage, double fraction, const char *fmt, ...)
{
    static char last_stage[32];
    static double stage_start, last_line;
    const double now = cli_seconds();
    if (strncmp(last_stage, stage, sizeof last_stage - 1) != 0) {
        snprintf(last_stage, sizeof last_stage, "%s", stage);
        stage_start = now;
        last_line = cli_is_terminal() ? 0 : now; /* the first line of a log comes after its first minute */
    }
    const double gap = cli_is_terminal() ? 0.1 : 60;
    if (!cli->is_quiet && now - last_line >= gap) {
        char left[64];
        va_list args;
        time_left(left, sizeof left, now - stage_start, fraction);
        fprintf(stderr, "%s%s: ", cli_is_terminal() ? "\r\033[K" : "", stage);
        va_start(args, fmt);
        vfprintf(stderr, fmt, args);
        va_end(args);
        fprintf(stderr, ", %s%s", left, cli_is_terminal() ? "" : "\n");
        fflush(stderr);
        progress_is_open = cli_is_terminal();
        last_line = now;
    }
    return stop_signal != 0;
}

int cli_progress(const VslProgress *p, void *user)
{
    return cli_progress_line(user, p->stage, p->fraction, "level %d of %d, iteration %d of %d, energy %.6g, %.0f %%",
                             p->level, p->levels, p->iteration, p->iterations, p->energy, 100 * p->fraction);
}

CliExit cli_exit_code(VslStatus st)
{
    switch (st) {
    case VSL_OK: return CLI_EXIT_DONE;
    case VSL_E_ARG: return CLI_EXIT_USAGE;
    case VSL_E_IO:
    case VSL_E_FORMAT:
    case VSL_E_SPACE:
    case VSL_E_UNSUPPORTED:
    case VSL_E_NUMERIC: return CLI_EXIT_INPUT; /* images that do not overlap, a singular matrix, a field that folds */
    case VSL_E_WRITE: return CLI_EXIT_OUTPUT;
    case VSL_E_NOMEM:
    case VSL_E_DEVICE: return CLI_EXIT_MEMORY;
    case VSL_E_STATE: return CLI_EXIT_STATE;
    case VSL_E_CANCELLED: return CLI_EXIT_STOPPED;
    case VSL_E_EXTERNAL: return CLI_EXIT_INTERNAL;
    }
    return CLI_EXIT_INTERNAL;
}

json_t *cli_json_number(double value)
{
    return isfinite(value) ? json_real(value) : json_null();
}

json_t *cli_json_numbers(const double *values, int n)
{
    json_t *out = json_array();
    for (int i = 0; i < n; i++) {
        json_array_append_new(out, cli_json_number(values[i]));
    }
    return out;
}
