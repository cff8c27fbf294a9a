/**
 * The dataset that `vesal phantom` writes, whatever it images: folders, tables, JSON. participants.tsv is written last:
 * a folder without it is a run that did not end. @test phantom/cohort.sh
 */
#ifndef VSL_CLI_COHORT_H
#define VSL_CLI_COHORT_H

#include <stdio.h>

#include "cli/files.h"
#include "cli/flags.h"
#include "phantom/phantom.h"
#include "phantom/radiograph.h"

typedef struct CohortNumbers {
    int subjects, visits;
} CohortNumbers;

typedef struct CohortArgs { /* of the verb */
    const char *out, *size;
    int lesions;
    CohortNumbers numbers;
    VslPhantomOptions heads;
    VslRadiographOptions films;
} CohortArgs;

/** Makes the cohort in args->out and tells cli->result about it; the numbers are resolved. */
VSL_MUST_USE VslStatus cohort_heads(Cli *cli, CohortArgs *args);
VSL_MUST_USE VslStatus cohort_films(Cli *cli, CohortArgs *args);

/** Refuses a folder that holds something, unless --overwrite was given, and takes an earlier participants.tsv away.
 * @return VSL_E_WRITE. */
VSL_MUST_USE VslStatus cohort_begin(const Cli *cli, const char *out);
/** out/tail, with all folders up to the last slash of tail made. */
VSL_MUST_USE VslStatus cohort_path(CliPath *path, const char *out, const char *fmt, ...) VSL_PRINTF(3, 4);
/** Writes out/name and frees the value. */
VSL_MUST_USE VslStatus cohort_json(const char *out, const char *name, json_t *value);

/** --size: as many whole numbers as the images have dimensions (2 or 3), from 16 to most. @return VSL_E_ARG. */
VSL_MUST_USE VslStatus cohort_parse_size(int64_t *size, int dims, int most, const char *text);

/* Text that grows; the first failure is kept and found by cohort_text_write. */
typedef struct CohortText {
    char *bytes;
    size_t size;
    FILE *stream;
} CohortText;
VSL_MUST_USE VslStatus cohort_text_open(CohortText *t);
VSL_MUST_USE VslStatus cohort_text_write(CohortText *t, const char *path);
void cohort_text_free(CohortText *t);

#endif
