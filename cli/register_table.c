/* The rows of --pairs as arguments, the checks before anything is computed, and pairs.tsv. */
#define _GNU_SOURCE
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/register_pairs.h"
#include "core/memory.h"
#include "io/path.h"

static const char *const columns[] = {"fixed",         "moving",     "out",        "fixed_labels",
                                      "moving_labels", "fixed_mask", "moving_mask"};
enum { COLUMNS = sizeof columns / sizeof columns[0] };
static const char *const states[PAIR_STATES] = {"waiting", "done", "kept", "failed", "stopped"};

static const char *cell(const PairTable *t, int64_t row, int which)
{
    return t->column[which] < 0 ? "" : t->table.cell[row * t->table.columns + t->column[which]];
}

const char *pairs_name(const PairTable *t, int64_t row)
{
    return cell(t, row, PAIR_OUT);
}

static VslStatus check_flags(const RegisterArgs *args)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(args->fixed.count == 0 && args->moving.count == 0 && !args->fixed_labels && !args->moving_labels &&
                  !args->fixed_mask && !args->moving_mask,
              VSL_E_ARG, "--pairs names images, labels and masks: give no --fixed, --moving or their like beside it");
out:
    return st;
}

static VslStatus find_columns(PairTable *t, Cli *cli, const char *path)
{
    VslStatus st = VSL_OK;
    for (int w = 0; w < COLUMNS; w++) {
        t->column[w] = vsl_table_column(&t->table, columns[w]);
        VSL_CHECK(w > PAIR_OUT || t->column[w] >= 0, VSL_E_FORMAT,
                  "%s: has no column '%s', expected a tab-separated table with at least fixed, moving and out",
                  vsl_path_text(path).text, columns[w]);
    }
    for (int c = 0; c < t->table.columns; c++) {
        int is_known = 0;
        for (int w = 0; w < COLUMNS; w++) {
            is_known |= t->column[w] == c;
        }
        if (!is_known) {
            cli_warn(cli, "%s: the column '%s' is not used", vsl_path_text(path).text,
                     vsl_path_text(t->table.name[c]).text);
        }
    }
out:
    return st;
}

static VslStatus check_row(const PairTable *t, int64_t row, const char *path)
{
    VslStatus st = VSL_OK;
    const long long line = (long long)row + 2;
    for (int w = PAIR_FIXED; w <= PAIR_MOVING; w++) {
        VSL_CHECK(cell(t, row, w)[0], VSL_E_FORMAT, "%s: line %lld names no %s image", vsl_path_text(path).text, line,
                  columns[w]);
    }
    VSL_CHECK(vsl_table_is_below(pairs_name(t, row)), VSL_E_FORMAT,
              "%s: line %lld has the out '%s', expected a prefix below --out, without '..'", vsl_path_text(path).text,
              line, vsl_path_text(pairs_name(t, row)).text);
    VSL_CHECK(!cell(t, row, PAIR_FIXED_LABELS)[0] == !cell(t, row, PAIR_MOVING_LABELS)[0], VSL_E_FORMAT,
              "%s: line %lld has only one of fixed_labels and moving_labels", vsl_path_text(path).text, line);
out:
    return st;
}

typedef struct Named {
    const char *out;
    int64_t row;
} Named;

static int by_name(const void *a, const void *b)
{
    const Named *x = a, *y = b;
    const int order = strcmp(x->out, y->out);
    return order ? order : (x->row > y->row) - (x->row < y->row);
}

static VslStatus check_twins(const PairTable *t, const char *path)
{
    VslStatus st = VSL_OK;
    Named *sorted = NULL;
    const int64_t rows = t->table.rows;
    VSL_TRY(VSL_NEW(&sorted, rows, "names of pairs"));
    for (int64_t r = 0; r < rows; r++) {
        sorted[r] = (Named){pairs_name(t, r), r};
    }
    qsort(sorted, (size_t)rows, sizeof *sorted, by_name);
    for (int64_t i = 1; i < rows; i++) {
        VSL_CHECK(strcmp(sorted[i].out, sorted[i - 1].out) != 0, VSL_E_FORMAT,
                  "%s: lines %lld and %lld have the same out '%s'", vsl_path_text(path).text,
                  (long long)sorted[i - 1].row + 2, (long long)sorted[i].row + 2, vsl_path_text(sorted[i].out).text);
    }
out:
    vsl_free(sorted);
    return st;
}

VslStatus pairs_open(PairTable *out, Cli *cli, const RegisterArgs *args)
{
    VslStatus st = VSL_OK;
    PairTable t = {0};
    VSL_TRY(check_flags(args));
    VSL_TRY(vsl_table_read(&t.table, args->pairs));
    VSL_TRY(find_columns(&t, cli, args->pairs));
    VSL_CHECK(t.table.rows > 0, VSL_E_FORMAT, "%s: has a header and no row", vsl_path_text(args->pairs).text);
    for (int64_t r = 0; r < t.table.rows; r++) {
        VSL_TRY(check_row(&t, r, args->pairs));
    }
    VSL_TRY(check_twins(&t, args->pairs));
    VSL_TRY(VSL_NEW0(&t.end, t.table.rows, "ends of pairs"));
    for (int64_t r = 0; r < t.table.rows; r++) {
        t.end[r] = (PairEnd){.dice_before = NAN, .dice_after = NAN, .folds = NAN, .seconds = NAN};
    }
    *out = t;
    t = (PairTable){0};
out:
    pairs_free(&t);
    return st;
}

void pairs_free(PairTable *t)
{
    vsl_table_free(&t->table);
    vsl_free(t->end);
    *t = (PairTable){0};
}

/* NULL for an empty cell. Relative names start at the table's folder. */
static VslStatus input_path(const char **text, CliPath *path, const PairTable *t, int64_t row, int which)
{
    VslStatus st = VSL_OK;
    const char *name = cell(t, row, which);
    VSL_TRY(cli_path_join(path, name[0] == '/' ? "" : t->table.folder, name));
    *text = name[0] ? path->text : NULL;
out:
    return st;
}

VslStatus pairs_args(PairArgs *out, const PairTable *t, int64_t row, const RegisterArgs *common)
{
    VslStatus st = VSL_OK;
    CliPath folder;
    RegisterArgs *a = &out->args;
    *a = *common;
    VSL_TRY(input_path(&a->fixed.items[0], &out->path[PAIR_FIXED], t, row, PAIR_FIXED));
    VSL_TRY(input_path(&a->moving.items[0], &out->path[PAIR_MOVING], t, row, PAIR_MOVING));
    VSL_TRY(input_path(&a->fixed_labels, &out->path[PAIR_FIXED_LABELS], t, row, PAIR_FIXED_LABELS));
    VSL_TRY(input_path(&a->moving_labels, &out->path[PAIR_MOVING_LABELS], t, row, PAIR_MOVING_LABELS));
    VSL_TRY(input_path(&a->fixed_mask, &out->path[PAIR_FIXED_MASK], t, row, PAIR_FIXED_MASK));
    VSL_TRY(input_path(&a->moving_mask, &out->path[PAIR_MOVING_MASK], t, row, PAIR_MOVING_MASK));
    VSL_TRY(cli_path_join(&folder, common->out, "/"));
    VSL_TRY(cli_path_join(&out->path[PAIR_OUT], folder.text, pairs_name(t, row)));
    a->fixed.count = a->moving.count = 1;
    a->out = out->path[PAIR_OUT].text;
out:
    return st;
}

VslStatus pairs_check_outputs(const PairTable *t, const Cli *cli, const RegisterArgs *common)
{
    VslStatus st = VSL_OK;
    PairArgs *one = NULL;
    CliPath path;
    Cli may_replace = *cli;
    may_replace.overwrite |= common->resume;
    VSL_TRY(VSL_NEW(&one, 1, "arguments of a pair"));
    VSL_TRY(cli_path_join(&path, common->out, "/pairs.tsv"));
    VSL_TRY(cli_make_folders(path.text, 0));
    VSL_TRY(cli_check_output(&may_replace, path.text));
    for (int64_t r = 0; r < t->table.rows; r++) {
        VSL_TRY(pairs_args(one, t, r, common));
        VSL_TRY(cli_make_folders(one->args.out, 0));
        VSL_TRY(register_check_outputs(&may_replace, &one->args));
    }
out:
    vsl_free(one);
    return st;
}

int64_t pairs_count(const PairTable *t, PairState state)
{
    int64_t count = 0;
    for (int64_t r = 0; r < t->table.rows; r++) {
        count += t->end[r].state == state;
    }
    return count;
}

static void put_number(FILE *f, const char *format, double value)
{
    fputc('\t', f);
    if (isfinite(value)) {
        fprintf(f, format, value);
    } else {
        fputs("n/a", f);
    }
}

char *pairs_text(const PairTable *t)
{
    char *text = NULL;
    size_t size = 0;
    FILE *f = open_memstream(&text, &size);
    if (!f) {
        return NULL;
    }
    fputs("out\tstatus\texit_code\tverdict\tdice_before\tdice_after\tfolds\tseconds\tsentence\n", f);
    for (int64_t r = 0; r < t->table.rows; r++) {
        const PairEnd *e = &t->end[r];
        const int is_over = e->state != PAIR_WAITING;
        fprintf(f, "%s\t%s", pairs_name(t, r), states[e->state]);
        put_number(f, "%.0f", is_over ? (double)cli_exit_code(e->status) : (double)NAN);
        fprintf(f, "\t%s", e->light[0] ? e->light : "n/a");
        put_number(f, "%.6f", e->dice_before);
        put_number(f, "%.6f", e->dice_after);
        put_number(f, "%.0f", e->folds);
        put_number(f, "%.3f", e->seconds);
        fprintf(f, "\t%s\n", e->sentence[0] ? e->sentence : "n/a");
    }
    const int is_whole = fflush(f) == 0 && !ferror(f);
    if (fclose(f) != 0 || !is_whole) {
        free(text);
        return NULL;
    }
    return text;
}

json_t *pairs_json(const PairTable *t)
{
    json_t *rows = json_array();
    for (int64_t r = 0; r < t->table.rows; r++) {
        const PairEnd *e = &t->end[r];
        const int is_over = e->state != PAIR_WAITING;
        json_array_append_new(rows,
                              json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o,s:o,s:o}", "out", pairs_name(t, r), "status",
                                        states[e->state], "exit_code",
                                        is_over ? json_integer((json_int_t)cli_exit_code(e->status)) : json_null(),
                                        "verdict", e->light[0] ? json_string(e->light) : json_null(), "dice_before",
                                        cli_json_number(e->dice_before), "dice_after", cli_json_number(e->dice_after),
                                        "folds", cli_json_number(e->folds), "seconds", cli_json_number(e->seconds),
                                        "sentence", e->sentence[0] ? json_string(e->sentence) : json_null()));
    }
    return json_pack("{s:I,s:I,s:I,s:I,s:o}", "pairs", (json_int_t)t->table.rows, "done",
                     (json_int_t)pairs_count(t, PAIR_DONE), "kept", (json_int_t)pairs_count(t, PAIR_KEPT), "failed",
                     (json_int_t)pairs_count(t, PAIR_FAILED), "rows", rows);
}
