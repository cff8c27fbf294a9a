/** From argv to a verb's args, and from the same tables to its help. @test cli/ */
#ifndef VSL_CLI_FLAGS_H
#define VSL_CLI_FLAGS_H

#include <stdio.h>

#include "cli/cli.h"
#include "io/config.h"

/** Finds the verb of argv[1] (and argv[2] for two-word verbs). *words is how many arguments it took.
 * @return VSL_E_ARG with the nearest verb in the sentence. */
VSL_MUST_USE VslStatus cli_find_verb(const CliVerb **out, int *words, int argc, char **argv);
/** Reads flags in any order with inputs; --flag value and --flag=value; -- ends the flags. Fills cli and args.
 * @return VSL_E_ARG: unknown flag (with the nearest), missing value, missing required flag, too few or many inputs. */
VSL_MUST_USE VslStatus cli_parse(Cli *cli, void *args, int argc, char **argv);
/** The value that a flag (without its dashes) is typed with, before anything is parsed; NULL without it. Borrowed. */
const char *cli_typed(const char *flag, int argc, char **argv);
/** The last --config FILE of a verb that has this flag, or NULL. */
const char *cli_config_path(const CliVerb *verb, int argc, char **argv);
/** Takes a configuration's entries as if they had been typed before everything else, so that flags win. Values are
 * borrowed: c must outlive args. @return VSL_E_ARG: unknown key (with the nearest), value out of range; file and line
 * are named. */
VSL_MUST_USE VslStatus cli_apply_config(Cli *cli, void *args, const VslConfig *c, const char *path);
/** The word of `words` that is nearest to `typed` in edit distance, or NULL when none is near. */
const char *cli_nearest(const char *typed, const char *const *words, int count);

/** 1 when the verb sets this flag of the table itself. */
int cli_is_hidden(const CliGroup *g, const char *flag);

/** Numbers "96,112,96" or "1.5x1.5x2": exactly n of them. flag names it in the sentence. */
VSL_MUST_USE VslStatus cli_parse_numbers(double *out, int n, const char *text, const char *flag);
/** Options of a user that are set replace those of a preset. */
void cli_options_overlay(void *onto, const void *user, const VslOption *table);
/** The resolved options of a table as a JSON object. */
json_t *cli_options_json(const void *options, const VslOption *table);

/* help.c */
void cli_help_top(FILE *out);
VslStatus cli_help_verb(FILE *out, const CliVerb *verb);
/** One page of Markdown, for docs/cli/. */
VslStatus cli_help_markdown(FILE *out, const CliVerb *verb);

#endif
