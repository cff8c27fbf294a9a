/**
 * What a verb is to the command line, and what every verb shares.
 *
 * A verb is one `CliVerb`: words, flags, option tables, a function. Parser, --help, nearest-match and the pages of
 * docs/cli/ are all made from it. A verb writes its answer twice: to stdout as text for people, or into `cli->result`,
 * which main prints when --json was given. Everything else that it has to say goes through cli_note() to stderr.
 * @test cli/
 */
#ifndef VSL_CLI_CLI_H
#define VSL_CLI_CLI_H

#include <jansson.h>
#include <stddef.h>
#include <stdint.h>

#include "core/backend.h"
#include "core/options.h"
#include "core/status.h"
#include "registration/progress.h"

typedef enum CliExit {
    CLI_EXIT_DONE = 0,
    CLI_EXIT_INTERNAL = 1, /* our fault, or a library's */
    CLI_EXIT_USAGE = 2,    /* bad command line */
    CLI_EXIT_INPUT = 3,    /* bad or missing input, or one that a computation has no answer for */
    CLI_EXIT_PARTLY = 4,   /* some units failed, the others are done */
    CLI_EXIT_OUTPUT = 5,   /* cannot write, disk full */
    CLI_EXIT_MEMORY = 6,   /* memory or device memory */
    CLI_EXIT_STATE = 7,    /* saved state does not match this run */
    CLI_EXIT_STOPPED = 75  /* stopped on request */
} CliExit;

enum { CLI_MAX_LIST = 32 };
typedef struct CliList { /* a flag that may be repeated; borrowed strings of argv */
    int count;
    const char *items[CLI_MAX_LIST];
} CliList;

typedef enum CliFlagType {
    CLI_SWITCH = 1, /* field: int, 1 when given */
    CLI_TEXT,       /* field: const char *; a repeated flag replaces the earlier value */
    CLI_LIST        /* field: CliList */
} CliFlagType;

enum { CLI_UNLESS_INSTEAD = 2 }; /* required, but not beside the flag that the verb names as `instead` */

typedef struct CliFlag { /* flags with text values; numbers and choices are rows of a VslOption table */
    const char *name;    /* "fixed-mask"; one letter means a short flag, "t" is -t; NULL ends a table */
    CliFlagType type;
    size_t offset;     /* of the field in the verb's args */
    const char *value; /* "FILE": what the help shows; NULL for a switch */
    int is_required;   /* 0, 1, or CLI_UNLESS_INSTEAD */
    const char *help;  /* half a sentence */
} CliFlag;

typedef struct CliGroup { /* option tables of algorithms, shown under a title of their own */
    const char *title;    /* "Deformation"; NULL ends the array */
    const VslOption *table;
    size_t offset;      /* of the options struct in the verb's args */
    const char *prefix; /* put before every flag of the table ("affine-"), or NULL */
    const char *hidden; /* ",metric,": flags of the table that the verb sets itself, or NULL */
} CliGroup;

enum { CLI_MAX_GROUPS = 6 };
struct Cli;
typedef struct CliVerb {
    const char *name;    /* "register", "data verify" */
    const char *purpose; /* one sentence for the list of verbs and the head of the help */
    const char *inputs;  /* "FILE...", or "" */
    int min_inputs, max_inputs;
    const CliFlag *flags;
    const char *instead;             /* see CLI_UNLESS_INSTEAD, or NULL */
    CliGroup groups[CLI_MAX_GROUPS]; /* unused ones are {0} */
    const char *notes;               /* what the help says after the options (rules, files written), or NULL */
    const char *example;             /* a command that works */
    const char *cite;                /* source to cite, or NULL */
    size_t args_size;                /* of the args struct; starts zero-filled */
    VslStatus (*run)(struct Cli *cli, void *args);
    int (*elsewhere)(int argc, char **argv); /* takes the whole command line and returns the exit code; run is NULL */
} CliVerb;

typedef struct Cli { /* one run of one verb */
    const CliVerb *verb;
    int argc;
    char **argv;
    const char **inputs; /* positional arguments */
    int input_count;
    /* flags of every verb */
    int wants_help, wants_json, overwrite, is_quiet, is_verbose;
    const char *device, *seed_text;
    struct CliNumbers {
        int threads;
        double mem_mb;
    } numbers;
    double start;  /* cli_seconds() when main began */
    int threads;   /* resolved, at least 1 */
    uint64_t seed; /* 0 unless given */
    VslBackend *be;
    json_t *result;    /* printed on stdout with --json; the verb puts its answer here */
    json_t *warnings;  /* sentences of cli_warn and of the library, in order */
    const char *unit;  /* what this copy of a Cli speaks for, put before its warnings; NULL for the whole command */
    CliExit exit_code; /* for a verb that ends VSL_OK with some units failed; else 0 */
} Cli;

extern const CliFlag cli_common_flags[];
extern const VslOption cli_common_options[];

/** The verbs; NULL ends the array. */
extern const CliVerb *const cli_verbs[];
extern const CliVerb cli_verb_info, cli_verb_convert, cli_verb_register, cli_verb_apply, cli_verb_jacobian,
    cli_verb_evaluate, cli_verb_phantom, cli_verb_data_verify, cli_verb_doctor;

/** What main does: argv to exit code. */
int cli_run(int argc, char **argv);

const char *cli_version(void);    /* "0.1.0" */
const char *cli_commit(void);     /* of the sources this was built from, or "unknown" */
const char *cli_build(void);      /* compiler and options, for doctor */
const char *cli_learn_path(void); /* of the learned verbs' module, from the folder of an installed command */

/** Opens cli->be by --device and --threads on the first call. */
VSL_MUST_USE VslStatus cli_backend(Cli *cli);

/* Talk: stderr only. */
/** One line unless -q. */
void cli_note(const Cli *cli, const char *fmt, ...) VSL_PRINTF(2, 3);
/** One line even with -q, kept in cli->warnings. Threads may call it. */
void cli_warn(Cli *cli, const char *fmt, ...) VSL_PRINTF(2, 3);
/** 1 when stderr may be coloured and rewritten in place. */
int cli_is_terminal(void);
/** One line on a terminal, rewritten in place, else one line per minute: what a stage is at, and the time left when
 * `fraction` of what this run has to do is done. @return 1 once a signal has come. */
int cli_progress_line(const Cli *cli, const char *stage, double fraction, const char *fmt, ...) VSL_PRINTF(4, 5);
/** A VslProgressFn whose user is the Cli: one line on a terminal, else one line per minute; stops after a signal. */
int cli_progress(const VslProgress *p, void *cli);
/** Ends the progress line before other talk. */
void cli_progress_end(void);

/* Stopping: INT, TERM and USR1 set a flag; a second INT ends the process at once. */
void cli_signals_install(void);
/** @return VSL_E_CANCELLED once a signal has come. */
VSL_MUST_USE VslStatus cli_check_stop(void);

/** Exit code of a failed verb (ecosystem note, section 5). */
CliExit cli_exit_code(VslStatus st);

/** Seconds of a clock that only goes forward. */
double cli_seconds(void);

/** json_real, or null for NaN and infinities, which JSON cannot hold. */
json_t *cli_json_number(double value);
/** Array of n numbers. */
json_t *cli_json_numbers(const double *values, int n);

#endif
