/** A self-test's answers: numbers with their bars, for the doctors. @test cli/ */
#ifndef VSL_CLI_CHECKS_H
#define VSL_CLI_CHECKS_H

#include "cli/cli.h"

/** Appends one check to an array; *bad counts those outside low..high. */
void cli_check_bar(json_t *checks, const char *name, double value, double low, double high, int *bad);
/** To standard output: `about` line by line, then the checks. */
void cli_checks_print(json_t *about, json_t *checks, double seconds);

#endif
