/* A run of the command. Finds the verb, reads its flags, runs it, and turns the status into an exit code. */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/flags.h"
#include "core/log.h"
#include "core/memory.h"
#include "core/parallel.h"

/* A program started with a closed standard stream would get that number for its next file, and print into it. */
static int hold_standard_streams(void)
{
    int fd;
    do {
        fd = open("/dev/null", O_RDWR);
    } while (fd >= 0 && fd <= STDERR_FILENO);
    return fd > STDERR_FILENO && close(fd) == 0;
}

static void hear(VslLogLevel level, const char *sentence, void *user)
{
    Cli *cli = user;
    if (level == VSL_LOG_WARNING) {
        cli_warn(cli, "%s", sentence);
    } else if (cli->is_verbose) {
        cli_note(cli, "%s", sentence);
    }
}

VslStatus cli_backend(Cli *cli)
{
    if (cli->be) {
        return VSL_OK;
    }
    const VslStatus st = vsl_backend_open(&cli->be, cli->device ? cli->device : "auto", cli->threads);
    /* asking this build for what it was built without is a mistake of the command line */
    return st == VSL_E_UNSUPPORTED ? vsl_fail(VSL_E_ARG, __func__, "%s", vsl_error()) : st;
}

static VslStatus check_device_word(const Cli *cli)
{
    const char *name = cli->device ? cli->device : "auto";
    if (strcmp(name, "auto") == 0 || strcmp(name, "cpu") == 0 || strcmp(name, "cuda") == 0) {
        return VSL_OK;
    }
    const char *digits = strncmp(name, "cuda:", 5) == 0 ? name + 5 : "";
    if (digits[0] && strlen(digits) < 4 && strspn(digits, "0123456789") == strlen(digits)) {
        return VSL_OK;
    }
    return vsl_fail(VSL_E_ARG, __func__, "--device: '%s' is none of auto, cpu, cuda, cuda:N", name);
}

/* The answer on stdout. A reader that went away early (`| head`) is not an error. */
static VslStatus flush_answer(const Cli *cli)
{
    if (cli->wants_json && !cli->wants_help && cli->result) {
        json_dumpf(cli->result, stdout, JSON_INDENT(2) | JSON_REAL_PRECISION(17));
        fputc('\n', stdout);
    }
    errno = 0;
    if ((fflush(stdout) != 0 || ferror(stdout)) && errno != EPIPE) {
        return vsl_fail(VSL_E_WRITE, __func__, "cannot write to standard output: %s", strerror(errno));
    }
    return VSL_OK;
}

static CliExit report_failure(VslStatus st, const Cli *cli)
{
    cli_progress_end();
    const int is_known = cli->verb != NULL;
    if (st == VSL_E_CANCELLED) {
        st = cli_check_stop(); /* names the signal, whatever the algorithm said */
    }
    fprintf(stderr, "vesal%s%s: %s\n", is_known ? " " : "", is_known ? cli->verb->name : "", vsl_error());
    return cli_exit_code(st);
}

static VslStatus run_verb(Cli *cli, int argc, char **argv)
{
    VslStatus st = VSL_OK;
    char *args = NULL;
    VslConfig config = {0}; /* args point into it */
    VSL_TRY(VSL_NEW0(&args, cli->verb->args_size ? cli->verb->args_size : 1, "the verb's arguments"));
    VSL_TRY(VSL_NEW0(&cli->inputs, argc + 1, "the list of inputs"));
    const char *config_path = cli_config_path(cli->verb, argc, argv);
    if (config_path) {
        VSL_TRY(vsl_config_read(&config, config_path));
        VSL_TRY(cli_apply_config(cli, args, &config, config_path));
    }
    VSL_TRY(cli_parse(cli, args, argc, argv));
    if (cli->wants_help) {
        VSL_TRY(cli_help_verb(stdout, cli->verb));
        goto out;
    }
    VSL_TRY(check_device_word(cli));
    cli->threads = vsl_threads_resolve(cli->numbers.threads);
    vsl_memory_set_budget((int64_t)(cli->numbers.mem_mb * 1048576));
    VSL_TRY(cli->verb->run(cli, args));
out:
    vsl_free(args);
    vsl_config_free(&config);
    return st;
}

/* Options before the verb, and the pages of docs/cli/ (`--reference VERB`, used by the build and by a test). */
static int run_without_verb(int argc, char **argv, CliExit *exit_code)
{
    Cli none = {0};
    if (argc < 2 || strcmp(argv[1], "--help") == 0 || strcmp(argv[1], "-h") == 0 || strcmp(argv[1], "help") == 0) {
        cli_help_top(argc < 2 ? stderr : stdout);
        *exit_code = argc < 2 ? CLI_EXIT_USAGE : CLI_EXIT_DONE;
        return 1;
    }
    if (strcmp(argv[1], "--version") == 0) {
        printf("vesal %s (%s)\n", cli_version(), cli_commit());
        return 1;
    }
    if (strcmp(argv[1], "--reference") == 0) {
        int words;
        const CliVerb *verb = NULL;
        VslStatus st = argc < 3 ? vsl_fail(VSL_E_ARG, __func__, "--reference expects a command")
                                : cli_find_verb(&verb, &words, argc - 1, argv + 1);
        if (st == VSL_OK && verb->elsewhere) {
            *exit_code = (CliExit)verb->elsewhere(argc, argv);
            return 1;
        }
        st = st == VSL_OK ? cli_help_markdown(stdout, verb) : st;
        *exit_code = st == VSL_OK ? CLI_EXIT_DONE : report_failure(st, &none);
        return 1;
    }
    return 0;
}

int cli_run(int argc, char **argv)
{
    CliExit exit_code = CLI_EXIT_DONE;
    Cli cli = {.start = cli_seconds()};
    int words = 0;
    if (!hold_standard_streams()) {
        return CLI_EXIT_INTERNAL;
    }
    cli_signals_install();
    if (run_without_verb(argc, argv, &exit_code)) {
        VslStatus st = flush_answer(&cli);
        return st == VSL_OK ? (int)exit_code : (int)report_failure(st, &cli);
    }
    cli.argc = argc;
    cli.argv = argv;
    cli.warnings = json_array();
    vsl_log_set_sink(hear, &cli);
    VslStatus st = cli_find_verb(&cli.verb, &words, argc, argv);
    if (st == VSL_OK && cli.verb->elsewhere) {
        exit_code = (CliExit)cli.verb->elsewhere(argc, argv);
        goto out;
    }
    if (st == VSL_OK) {
        st = run_verb(&cli, argc - 1 - words, argv + 1 + words);
    }
    if (st == VSL_OK) {
        exit_code = cli.exit_code;
    } else {
        exit_code = report_failure(st, &cli);
    }
    if (flush_answer(&cli) != VSL_OK && exit_code == CLI_EXIT_DONE) {
        exit_code = report_failure(VSL_E_WRITE, &cli);
    }
out:
    vsl_log_set_sink(NULL, NULL);
    vsl_backend_close(&cli.be);
    vsl_free(cli.inputs);
    json_decref(cli.result);
    json_decref(cli.warnings);
    return (int)exit_code;
}
