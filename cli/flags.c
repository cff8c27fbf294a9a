/* The command line's parser: walks argv once and looks every flag up in the verb's tables. Kept by hand (and not on
 * popt) because numbers and choices go through the option tables of the library and mistyped words get a neighbour. */
#define _GNU_SOURCE
#include "cli/flags.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "core/text.h"
#include "io/path.h"

const CliFlag cli_common_flags[] = {
    {"json", CLI_SWITCH, offsetof(Cli, wants_json), NULL, 0, "the result as JSON on standard output"},
    {"seed", CLI_TEXT, offsetof(Cli, seed_text), "N", 0, "seed of everything random (default 0)"},
    {"device", CLI_TEXT, offsetof(Cli, device), "NAME", 0, "auto, cpu, cuda or cuda:N (default auto)"},
    {"overwrite", CLI_SWITCH, offsetof(Cli, overwrite), NULL, 0, "replace outputs that exist"},
    {"q", CLI_SWITCH, offsetof(Cli, is_quiet), NULL, 0, "say only warnings and errors"},
    {"v", CLI_SWITCH, offsetof(Cli, is_verbose), NULL, 0, "say more about what is done"},
    {"help", CLI_SWITCH, offsetof(Cli, wants_help), NULL, 0, "this page"},
    {NULL, CLI_SWITCH, 0, NULL, 0, NULL},
};

const VslOption cli_common_options[] = {
    {"threads", VSL_OPT_INT, offsetof(struct CliNumbers, threads), 0, 0, 4096, "",
     "threads to use, 0 = the cores granted to this process; results do not depend on it, but for the last digits of "
     "what a network computes",
     NULL},
    {"mem-mb", VSL_OPT_DOUBLE, offsetof(struct CliNumbers, mem_mb), 0, 0, 1e9, "MiB",
     "refuse to hold more memory than this, 0 = no limit", NULL},
    {NULL, VSL_OPT_INT, 0, 0, 0, 0, NULL, NULL, NULL},
};

/* Edit distance with neighbouring letters that may be swapped (Damerau, optimal string alignment). */
static int edit_distance(const char *a, const char *b)
{
    enum { LONGEST = 63 };
    const int na = (int)strnlen(a, LONGEST), nb = (int)strnlen(b, LONGEST);
    int row[3][LONGEST + 1];
    for (int j = 0; j <= nb; j++) {
        row[0][j] = j;
    }
    for (int i = 1; i <= na; i++) {
        int *now = row[i % 3], *above = row[(i - 1) % 3], *above2 = row[(i + 1) % 3];
        now[0] = i;
        for (int j = 1; j <= nb; j++) {
            const int change = above[j - 1] + (a[i - 1] != b[j - 1]);
            int best = above[j] + 1 < now[j - 1] + 1 ? above[j] + 1 : now[j - 1] + 1;
            best = change < best ? change : best;
            if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1] && above2[j - 2] + 1 < best) {
                best = above2[j - 2] + 1;
            }
            now[j] = best;
        }
    }
    return row[na % 3][nb];
}

const char *cli_nearest(const char *typed, const char *const *words, int count)
{
    const char *nearest = NULL;
    int best = (int)strlen(typed) / 2 + 1; /* more changes than that is another word */
    best = best > 4 ? 4 : best;
    for (int i = 0; i < count; i++) {
        const int d = edit_distance(typed, words[i]);
        const int is_beginning = strlen(typed) >= 3 && strncmp(typed, words[i], strlen(typed)) == 0;
        if (d < best || (is_beginning && best > 1)) {
            best = is_beginning ? 1 : d;
            nearest = words[i];
        }
    }
    return nearest;
}

VslStatus cli_find_verb(const CliVerb **out, int *words, int argc, char **argv)
{
    enum { MOST = 64 };
    const char *names[MOST], *seconds[MOST], *sibling = NULL;
    int count = 0, second_count = 0;
    for (const CliVerb *const *v = cli_verbs; *v && count < MOST; v++) {
        names[count++] = (*v)->name;
        const char *space = strchr((*v)->name, ' ');
        const size_t first = space ? (size_t)(space - (*v)->name) : strlen((*v)->name);
        if (strlen(argv[1]) != first || strncmp(argv[1], (*v)->name, first) != 0) {
            continue;
        }
        if (!space || (argc > 2 && strcmp(argv[2], space + 1) == 0)) {
            *out = *v;
            *words = space ? 2 : 1;
            return VSL_OK;
        }
        sibling = sibling ? sibling : space + 1;
        seconds[second_count++] = space + 1;
    }
    if (sibling) {
        const char *near = argc > 2 ? cli_nearest(argv[2], seconds, second_count) : NULL;
        return vsl_fail(VSL_E_ARG, __func__, "'%s %s' is not a command; did you mean '%s %s'?", argv[1],
                        argc > 2 ? argv[2] : "", argv[1], near ? near : sibling);
    }
    const char *nearest = cli_nearest(argv[1], names, count);
    return nearest ? vsl_fail(VSL_E_ARG, __func__, "'%s' is not a command; did you mean '%s'?", argv[1], nearest)
                   : vsl_fail(VSL_E_ARG, __func__, "'%s' is not a command; 'vesal --help' lists them", argv[1]);
}

typedef struct Target { /* what a flag of the command line leads to */
    const CliFlag *flag;
    const VslOption *row;
    char *base; /* the struct that its field is in */
} Target;

static const CliFlag *find_flag(const CliFlag *table, const char *name)
{
    for (; table && table->name; table++) {
        if (strcmp(table->name, name) == 0) {
            return table;
        }
    }
    return NULL;
}

int cli_is_hidden(const CliGroup *g, const char *flag)
{
    char word[64];
    snprintf(word, sizeof word, ",%s,", flag);
    return g->hidden && strstr(g->hidden, word) != NULL;
}

static const VslOption *find_row(const CliGroup *g, const char *name)
{
    const size_t skip = g->prefix ? strlen(g->prefix) : 0;
    if (skip && strncmp(name, g->prefix, skip) != 0) {
        return NULL;
    }
    for (const VslOption *row = g->table; row && row->flag; row++) {
        if (strcmp(row->flag, name + skip) == 0 && !cli_is_hidden(g, row->flag)) {
            return row;
        }
    }
    return NULL;
}

static int find_target(Target *out, Cli *cli, void *args, const char *name)
{
    const CliVerb *verb = cli->verb;
    *out = (Target){NULL, NULL, args};
    if ((out->flag = find_flag(verb->flags, name)) != NULL) {
        return 1;
    }
    for (int g = 0; g < CLI_MAX_GROUPS && verb->groups[g].title; g++) {
        if ((out->row = find_row(&verb->groups[g], name)) != NULL) {
            out->base = (char *)args + verb->groups[g].offset;
            return 1;
        }
    }
    out->base = (char *)cli;
    if ((out->flag = find_flag(cli_common_flags, name)) != NULL) {
        return 1;
    }
    const CliGroup numbers = {"", cli_common_options, offsetof(Cli, numbers), NULL, NULL};
    out->base = (char *)&cli->numbers;
    return (out->row = find_row(&numbers, name)) != NULL;
}

/* The flag of this verb that is nearest to name, or an empty text. */
typedef struct FlagName {
    char text[64];
} FlagName;
static FlagName nearest_flag(const CliVerb *verb, const char *name)
{
    enum { MOST = 192 };
    const char *names[MOST];
    FlagName made[MOST], out = {""};
    int count = 0;
    for (const CliFlag *f = verb->flags; f && f->name && count < MOST; f++) {
        names[count++] = f->name;
    }
    for (const CliFlag *f = cli_common_flags; f->name && count < MOST; f++) {
        names[count++] = f->name;
    }
    for (const VslOption *row = cli_common_options; row->flag && count < MOST; row++) {
        names[count++] = row->flag;
    }
    for (int g = 0; g < CLI_MAX_GROUPS && verb->groups[g].title; g++) {
        const CliGroup *group = &verb->groups[g];
        for (const VslOption *row = group->table; row->flag && count < MOST; row++) {
            if (!cli_is_hidden(group, row->flag)) {
                snprintf(made[count].text, sizeof made[count].text, "%s%s", group->prefix ? group->prefix : "",
                         row->flag);
                names[count] = made[count].text;
                count++;
            }
        }
    }
    const char *nearest = cli_nearest(name, names, count);
    snprintf(out.text, sizeof out.text, "%s", nearest ? nearest : "");
    return out;
}

static VslStatus fail_unknown(const CliVerb *verb, const char *typed, const char *name)
{
    const FlagName nearest = nearest_flag(verb, name);
    if (nearest.text[0]) {
        return vsl_fail(VSL_E_ARG, __func__, "unknown flag %s; did you mean %s%s?", typed, nearest.text[1] ? "--" : "-",
                        nearest.text);
    }
    return vsl_fail(VSL_E_ARG, __func__, "unknown flag %s; 'vesal %s --help' lists the flags", typed, verb->name);
}

static VslStatus set_value(const Target *t, const char *typed, const char *text)
{
    VslStatus st = VSL_OK;
    if (t->row) {
        VSL_TRY(vsl_option_parse(t->base, t->row, text));
    } else if (t->flag->type == CLI_TEXT) {
        VSL_CHECK(text[0], VSL_E_ARG, "%s is empty, expected %s", typed, t->flag->value);
        memcpy(t->base + t->flag->offset, &text, sizeof text);
    } else {
        CliList *list = (CliList *)(void *)(t->base + t->flag->offset);
        VSL_CHECK(text[0], VSL_E_ARG, "%s is empty, expected %s", typed, t->flag->value);
        VSL_CHECK(list->count < CLI_MAX_LIST, VSL_E_ARG, "%s is given more than %d times", typed, CLI_MAX_LIST);
        list->items[list->count++] = text;
    }
out:
    return st;
}

/* One flag at argv[*i]; leaves *i at the last argument that it used. */
static VslStatus parse_flag(Cli *cli, void *args, int argc, char **argv, int *i)
{
    VslStatus st = VSL_OK;
    const char *typed = argv[*i];
    const int dashes = typed[1] == '-' ? 2 : 1;
    const char *equals = dashes == 2 ? strchr(typed, '=') : NULL;
    char name[64];
    Target t;
    snprintf(name, sizeof name, "%.*s", equals ? (int)(equals - typed) - 2 : (int)sizeof name - 1, typed + dashes);
    const int is_short = name[0] && !name[1];
    if (strcmp(name, "h") == 0 && dashes == 1) {
        cli->wants_help = 1;
        return VSL_OK;
    }
    if ((dashes == 1) != is_short || !find_target(&t, cli, args, name)) {
        return fail_unknown(cli->verb, typed, name);
    }
    if (t.flag && t.flag->type == CLI_SWITCH) {
        const int on = 1;
        VSL_CHECK(!equals, VSL_E_ARG, "--%s takes no value", name);
        memcpy(t.base + t.flag->offset, &on, sizeof on);
        return VSL_OK;
    }
    if (equals) {
        return set_value(&t, typed, equals + 1);
    }
    VSL_CHECK(*i + 1 < argc, VSL_E_ARG, "%s is the last word, expected a value after it", typed);
    VSL_CHECK(strncmp(argv[*i + 1], "--", 2) != 0, VSL_E_ARG, "%s is followed by %s, expected a value", typed,
              argv[*i + 1]);
    *i += 1;
    VSL_TRY(set_value(&t, typed, argv[*i]));
out:
    return st;
}

static int is_given(const CliFlag *f, const void *args)
{
    const char *text = NULL;
    if (f->type == CLI_LIST) {
        return ((const CliList *)(const void *)((const char *)args + f->offset))->count > 0;
    }
    if (f->type == CLI_TEXT) {
        memcpy(&text, (const char *)args + f->offset, sizeof text);
    }
    return text != NULL;
}

static VslStatus check_required(const CliVerb *verb, const void *args)
{
    const CliFlag *instead = verb->instead ? find_flag(verb->flags, verb->instead) : NULL;
    const int is_instead = instead && is_given(instead, args);
    for (const CliFlag *f = verb->flags; f && f->name; f++) {
        if (f->is_required && !is_given(f, args) && !(is_instead && f->is_required == CLI_UNLESS_INSTEAD)) {
            return vsl_fail(VSL_E_ARG, __func__, "%s%s %s is missing; 'vesal %s --help' shows an example",
                            f->name[1] ? "--" : "-", f->name, f->value, verb->name);
        }
    }
    return VSL_OK;
}

static VslStatus parse_seed(uint64_t *out, const char *text)
{
    VslStatus st = VSL_OK;
    uint64_t seed = 0;
    VSL_CHECK(text[0], VSL_E_ARG, "--seed is empty, expected a whole number");
    for (const char *c = text; *c; c++) {
        const uint64_t digit = (uint64_t)(*c - '0');
        VSL_CHECK(*c >= '0' && *c <= '9' && seed <= (UINT64_MAX - digit) / 10, VSL_E_ARG,
                  "--seed: '%s' is not a whole number from 0 to %llu", text, (unsigned long long)UINT64_MAX);
        seed = seed * 10 + digit;
    }
    *out = seed;
out:
    return st;
}

static VslStatus apply_entry(Cli *cli, void *args, const VslConfigEntry *e)
{
    VslStatus st = VSL_OK;
    Target t;
    if (strncmp(e->key, "model-", 6) == 0) { /* what a model's own configuration says beside the flags */
        return VSL_OK;
    }
    if (!find_target(&t, cli, args, e->key) || !e->key[1]) {
        const FlagName nearest = nearest_flag(cli->verb, e->key);
        VSL_CHECK(!nearest.text[0], VSL_E_ARG, "unknown key '%s'; did you mean '%s'?", e->key, nearest.text);
        VSL_CHECK(0, VSL_E_ARG, "unknown key '%s'; 'vesal %s --help' lists the flags, whose names are the keys", e->key,
                  cli->verb->name);
    }
    if (!e->value[0]) {
        return VSL_OK;
    }
    if (t.flag && t.flag->type == CLI_SWITCH) {
        const int on = strcmp(e->value, "true") == 0;
        VSL_CHECK(on || strcmp(e->value, "false") == 0, VSL_E_ARG, "'%s' is '%s', expected true or false", e->key,
                  e->value);
        memcpy(t.base + t.flag->offset, &on, sizeof on);
    } else {
        VSL_TRY(set_value(&t, e->key, e->value));
    }
out:
    return st;
}

const char *cli_typed(const char *flag, int argc, char **argv)
{
    const char *value = NULL;
    const size_t length = strlen(flag);
    for (int i = 0; i < argc && strcmp(argv[i], "--") != 0; i++) {
        if (strncmp(argv[i], "--", 2) != 0 || strncmp(argv[i] + 2, flag, length) != 0) {
            continue;
        }
        const char *rest = argv[i] + 2 + length;
        if (*rest == '=') {
            value = rest + 1;
        } else if (!*rest && i + 1 < argc) {
            value = argv[i + 1];
        }
    }
    return value;
}

const char *cli_config_path(const CliVerb *verb, int argc, char **argv)
{
    return find_flag(verb->flags, "config") ? cli_typed("config", argc, argv) : NULL;
}

VslStatus cli_apply_config(Cli *cli, void *args, const VslConfig *c, const char *path)
{
    VslStatus st = VSL_OK;
    for (int i = 0; i < c->count; i++) {
        const VslConfigEntry *e = &c->entry[i];
        st = apply_entry(cli, args, e);
        VSL_CHECK(st == VSL_OK, st, "%s: line %d: %s", vsl_path_text(path).text, e->line, vsl_error());
    }
out:
    return st;
}

VslStatus cli_parse(Cli *cli, void *args, int argc, char **argv)
{
    VslStatus st = VSL_OK;
    const CliVerb *verb = cli->verb;
    int only_inputs = 0;
    for (int i = 0; i < argc; i++) {
        if (!only_inputs && strcmp(argv[i], "--") == 0) {
            only_inputs = 1;
        } else if (!only_inputs && argv[i][0] == '-' && argv[i][1]) {
            VSL_TRY(parse_flag(cli, args, argc, argv, &i));
        } else {
            cli->inputs[cli->input_count++] = argv[i];
        }
    }
    if (cli->wants_help) {
        return VSL_OK;
    }
    if (verb->max_inputs == 0 && cli->input_count > 0) {
        return vsl_fail(VSL_E_ARG, __func__, "'%s' is not expected here; every input of '%s' has its flag",
                        cli->inputs[0], verb->name);
    }
    VSL_CHECK(cli->input_count >= verb->min_inputs, VSL_E_ARG, "%s expects %s, found %d", verb->name, verb->inputs,
              cli->input_count);
    VSL_CHECK(cli->input_count <= verb->max_inputs, VSL_E_ARG, "%s expects %s, but '%s' is one more", verb->name,
              verb->inputs, cli->inputs[verb->max_inputs]);
    VSL_TRY(check_required(verb, args));
    if (cli->seed_text) {
        VSL_TRY(parse_seed(&cli->seed, cli->seed_text));
    }
out:
    return st;
}

VslStatus cli_parse_numbers(double *out, int n, const char *text, const char *flag)
{
    VslStatus st = VSL_OK;
    const char *at = text;
    double values[16];
    for (int i = 0; i < n; i++) {
        at = at ? vsl_text_scan_double(at, &values[i]) : NULL;
        VSL_CHECK(at && isfinite(values[i]), VSL_E_ARG, "%s: '%s' is not %d numbers with commas between", flag, text,
                  n);
        if (i + 1 < n) {
            VSL_CHECK(*at == ',' || *at == 'x', VSL_E_ARG, "%s: '%s' is not %d numbers with commas between", flag, text,
                      n);
            at++;
        }
    }
    VSL_CHECK(*at == '\0', VSL_E_ARG, "%s: '%s' goes on after %d numbers", flag, text, n);
    memcpy(out, values, (size_t)n * sizeof *out);
out:
    return st;
}

void cli_options_overlay(void *onto, const void *user, const VslOption *table)
{
    for (const VslOption *row = table; row->flag; row++) {
        const char zero[sizeof(double)] = {0};
        const size_t size = row->type == VSL_OPT_DOUBLE ? sizeof(double) : sizeof(int);
        if (memcmp((const char *)user + row->offset, zero, size) != 0) {
            memcpy((char *)onto + row->offset, (const char *)user + row->offset, size);
        }
    }
}

json_t *cli_options_json(const void *options, const VslOption *table)
{
    json_t *out = json_object();
    for (const VslOption *row = table; row->flag; row++) {
        char text[64];
        double value;
        vsl_option_print(text, sizeof text, options, row);
        if (row->type != VSL_OPT_CHOICE && vsl_text_to_double(text, &value)) {
            json_object_set_new(out, row->flag,
                                row->type == VSL_OPT_INT ? json_integer((json_int_t)value) : json_real(value));
        } else {
            json_object_set_new(out, row->flag, json_string(text));
        }
    }
    return out;
}
