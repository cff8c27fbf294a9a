/* Help and reference pages, made from the tables that the parser uses: what is shown is what is read. */
#include "cli/flags.h"

#include <string.h>

enum { FLAG_COLUMN = 28, TEXT_WIDTH = 100 };

/* Words wrapped at TEXT_WIDTH, continued under `column`; the cursor stands at `column`. */
static void print_wrapped(FILE *out, const char *text, int column)
{
    int at = column;
    while (*text) {
        const int length = (int)strcspn(text, " \n");
        if (at > column && at + 1 + length > TEXT_WIDTH) {
            fprintf(out, "\n%*s", column, "");
            at = column;
        } else if (at > column) {
            fputc(' ', out);
            at++;
        }
        fprintf(out, "%.*s", length, text);
        at += length;
        text += length;
        if (*text == '\n') {
            fprintf(out, "\n%*s", column, "");
            at = column;
        }
        text += *text != '\0';
    }
    fputc('\n', out);
}

static void print_entry(FILE *out, const char *left, const char *right)
{
    const int width = fprintf(out, "  %s", left);
    if (width > FLAG_COLUMN - 2) {
        fprintf(out, "\n%*s", FLAG_COLUMN, "");
    } else {
        fprintf(out, "%*s", FLAG_COLUMN - width, "");
    }
    print_wrapped(out, right, FLAG_COLUMN);
}

static void flag_left(char *out, size_t size, const CliFlag *f)
{
    snprintf(out, size, "%s%s%s%s", f->name[1] ? "--" : "-", f->name, f->value ? " " : "", f->value ? f->value : "");
}

static void flag_right(char *out, size_t size, const CliFlag *f)
{
    snprintf(out, size, "%s%s", f->help, f->type == CLI_LIST ? "; may be repeated" : "");
}

static void option_left(char *out, size_t size, const CliGroup *g, const VslOption *row)
{
    snprintf(out, size, "--%s%s %s", g->prefix ? g->prefix : "", row->flag, row->type == VSL_OPT_CHOICE ? "WORD" : "N");
}

/* "help; default 6 mm, 0.5 to 100" or "help; one of ssd, lncc, mi; default lncc". */
static void option_right(char *out, size_t size, const VslOption *row)
{
    const char zero[4096] = {0}; /* an options struct of all defaults, larger than any of ours */
    char value[64];
    vsl_option_print(value, sizeof value, zero, row);
    if (row->type == VSL_OPT_CHOICE && row->value == 0) {
        snprintf(out, size, "%s; one of %s", row->help, row->choices);
    } else if (row->type == VSL_OPT_CHOICE) {
        snprintf(out, size, "%s; one of %s; default %s", row->help, row->choices, value);
    } else {
        snprintf(out, size, "%s; default %s%s%s, from %g to %g", row->help, value, row->unit[0] ? " " : "", row->unit,
                 row->min, row->max);
    }
}

static int group_has_rows(const CliGroup *g)
{
    return g->title && g->table && g->table->flag;
}

typedef void EntryFn(FILE *out, const char *left, const char *right);

static void each_flag(FILE *out, const CliFlag *table, int required, EntryFn *entry)
{
    char left[96], right[512];
    for (const CliFlag *f = table; f && f->name; f++) {
        if (!f->is_required == !required) {
            flag_left(left, sizeof left, f);
            flag_right(right, sizeof right, f);
            entry(out, left, right);
        }
    }
}

static void each_option(FILE *out, const CliGroup *g, EntryFn *entry)
{
    char left[96], right[512];
    for (const VslOption *row = g->table; row->flag; row++) {
        if (!cli_is_hidden(g, row->flag)) {
            option_left(left, sizeof left, g, row);
            option_right(right, sizeof right, row);
            entry(out, left, right);
        }
    }
}

static int count_flags(const CliFlag *table, int required)
{
    int count = 0;
    for (const CliFlag *f = table; f && f->name; f++) {
        count += !f->is_required == !required;
    }
    return count;
}

/* All titled sections of a verb, in one order for help and reference. */
static void each_section(FILE *out, const CliVerb *verb, void title(FILE *, const char *), EntryFn *entry)
{
    if (count_flags(verb->flags, 1)) {
        title(out, "Required");
        each_flag(out, verb->flags, 1, entry);
    }
    if (count_flags(verb->flags, 0)) {
        title(out, "Options");
        each_flag(out, verb->flags, 0, entry);
    }
    for (int g = 0; g < CLI_MAX_GROUPS; g++) {
        if (group_has_rows(&verb->groups[g])) {
            title(out, verb->groups[g].title);
            each_option(out, &verb->groups[g], entry);
        }
    }
    title(out, "Of every command");
    each_flag(out, cli_common_flags, 0, entry);
    const CliGroup common = {"", cli_common_options, 0, NULL, NULL};
    each_option(out, &common, entry);
}

static void usage(FILE *out, const CliVerb *verb)
{
    fprintf(out, "vesal %s", verb->name);
    if (verb->inputs[0]) {
        fprintf(out, " %s", verb->inputs);
    }
    char left[96];
    for (const CliFlag *f = verb->flags; f && f->name; f++) {
        if (f->is_required) {
            flag_left(left, sizeof left, f);
            fprintf(out, " %s", left);
        }
    }
    fprintf(out, " [flags]");
}

static void help_title(FILE *out, const char *title)
{
    fprintf(out, "\n%s\n", title);
}

VslStatus cli_help_verb(FILE *out, const CliVerb *verb)
{
    fprintf(out, "vesal %s - ", verb->name);
    print_wrapped(out, verb->purpose, 0);
    fprintf(out, "\nUsage: ");
    usage(out, verb);
    fprintf(out, "\n");
    each_section(out, verb, help_title, print_entry);
    if (verb->notes) {
        fprintf(out, "\nNotes\n  ");
        print_wrapped(out, verb->notes, 2);
    }
    fprintf(out, "\nExample\n  %s\n", verb->example);
    if (verb->cite) {
        fprintf(out, "\nCite\n  ");
        print_wrapped(out, verb->cite, 2);
    }
    return ferror(out) ? vsl_fail(VSL_E_WRITE, __func__, "cannot write the help text") : VSL_OK;
}

void cli_help_top(FILE *out)
{
    fprintf(out,
            "vesal %s - diffeomorphic registration of medical images\n\nUsage: vesal COMMAND [inputs] --flag "
            "value\n\nCommands\n",
            cli_version());
    for (const CliVerb *const *v = cli_verbs; *v; v++) {
        print_entry(out, (*v)->name, (*v)->purpose);
    }
    fprintf(out, "\n'vesal COMMAND --help' explains one; 'vesal --version' says which this is.\n"
                 "Exit codes: 0 done, 1 internal failure, 2 bad command line, 3 bad or missing input, 4 some units "
                 "failed,\n5 cannot write, 6 out of memory, 7 state of another run, 75 stopped on request.\n"
                 "For research, not for diagnosis.\n");
}

static void page_title(FILE *out, const char *title)
{
    fprintf(out, "\n## %s\n\n| flag | meaning |\n| --- | --- |\n", title);
}

static void page_entry(FILE *out, const char *left, const char *right)
{
    fprintf(out, "| `%s` | %s |\n", left, right);
}

VslStatus cli_help_markdown(FILE *out, const CliVerb *verb)
{
    fprintf(out, "# vesal %s\n\n%s\n\n```\n", verb->name, verb->purpose);
    usage(out, verb);
    fprintf(out, "\n```\n");
    each_section(out, verb, page_title, page_entry);
    if (verb->notes) {
        fprintf(out, "\n## Notes\n\n%s\n", verb->notes);
    }
    fprintf(out, "\n## Example\n\n```\n%s\n```\n", verb->example);
    if (verb->cite) {
        fprintf(out, "\n## Cite\n\n%s\n", verb->cite);
    }
    return ferror(out) ? vsl_fail(VSL_E_WRITE, __func__, "cannot write the reference page") : VSL_OK;
}
