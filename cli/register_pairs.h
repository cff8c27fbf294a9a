/** The table of `vesal register --pairs`: what each row asks for, and what became of it. @test cli/ */
#ifndef VSL_CLI_REGISTER_PAIRS_H
#define VSL_CLI_REGISTER_PAIRS_H

#include "cli/register.h"
#include "io/table.h"

typedef enum PairState { PAIR_WAITING = 0, PAIR_DONE, PAIR_KEPT, PAIR_FAILED, PAIR_STOPPED, PAIR_STATES } PairState;

typedef struct PairEnd { /* what became of a row */
    PairState state;
    VslStatus status;                               /* of a failure */
    char light[8];                                  /* of the verdict, "" without one */
    double dice_before, dice_after, folds, seconds; /* NAN when not known */
    char sentence[400];                             /* of a failure */
} PairEnd;

typedef struct PairTable { /* {0} is empty */
    VslTable table;
    int column[7]; /* of PAIR_FIXED.., -1 when absent */
    PairEnd *end;  /* per row */
} PairTable;

enum { PAIR_FIXED, PAIR_MOVING, PAIR_OUT, PAIR_FIXED_LABELS, PAIR_MOVING_LABELS, PAIR_FIXED_MASK, PAIR_MOVING_MASK };

typedef struct PairArgs { /* the arguments of one row as if they had been typed, and the letters they point to */
    RegisterArgs args;
    CliPath path[7];
} PairArgs;

/** Reads the table and refuses, by line, what is not a whole list of pairs with outputs of their own.
 * @return VSL_E_ARG (flags that the table replaces), VSL_E_IO, VSL_E_FORMAT, VSL_E_NOMEM. */
VSL_MUST_USE VslStatus pairs_open(PairTable *out, Cli *cli, const RegisterArgs *args);
void pairs_free(PairTable *t);
/** The name of a row's pair: its cell in the column out. */
const char *pairs_name(const PairTable *t, int64_t row);
/** @return VSL_E_ARG (a name that is too long). */
VSL_MUST_USE VslStatus pairs_args(PairArgs *out, const PairTable *t, int64_t row, const RegisterArgs *common);
/** Makes the folders of all outputs and refuses outputs that exist, unless --overwrite or --resume was given. */
VSL_MUST_USE VslStatus pairs_check_outputs(const PairTable *t, const Cli *cli, const RegisterArgs *common);
/** Number of rows in a state. */
int64_t pairs_count(const PairTable *t, PairState state);
/** pairs.tsv as text, to be freed with free(); NULL when memory ran out. */
char *pairs_text(const PairTable *t);
/** The same as JSON, for --json. */
json_t *pairs_json(const PairTable *t);

#endif
