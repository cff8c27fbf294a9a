/* Configurations: what is read, what is refused by line, and that what is written reads back. */
#define _GNU_SOURCE
#include <string.h>

#include "core/memory.h"
#include "core/random.h"
#include "io/config.h"
#include "tests/check.h"
#include "tests/io/scratch.h"

static VslStatus parse(VslConfig *c, const char *text)
{
    return vsl_config_parse(c, text, (int64_t)strlen(text), "c.yaml");
}

static int is(const VslConfig *c, const char *key, const char *value)
{
    const char *found = vsl_config_find(c, key);
    return found && strcmp(found, value) == 0;
}

TEST(keys_have_values_in_every_form_of_yaml)
{
    VslConfig c = {0};
    CHECK_OK(parse(&c, "# a comment\n---\nsteps: 2500\nlr: 2e-4   # small\nname: 'two words'\n\"quoted\": \"a\\tb\"\n"
                       "multipliers: [1, 2, 2, 4]\nlist:\n  - a\n  - b c\nnothing:\ntilde: ~\nword: yes\n...\n"));
    CHECK(c.count == 9);
    CHECK(is(&c, "steps", "2500") && is(&c, "lr", "2e-4") && is(&c, "name", "two words") && is(&c, "quoted", "a\tb"));
    CHECK(is(&c, "multipliers", "1,2,2,4") && is(&c, "list", "a,b c") && is(&c, "nothing", "") && is(&c, "tilde", ""));
    CHECK(is(&c, "word", "yes") && !vsl_config_find(&c, "none"));
    CHECK(c.entry[0].line == 3 && c.entry[4].line == 7);
    CHECK_OK(parse(&c, "{a: 1, b: 2}"));
    CHECK(c.count == 2 && is(&c, "b", "2"));
    CHECK_OK(parse(&c, "\xef\xbb\xbf"
                       "a: 1\r\nb: 2\r\n"));
    CHECK(c.count == 2 && is(&c, "a", "1") && is(&c, "b", "2"));
    vsl_config_free(&c);
    CHECK(vsl_memory_now() == 0);
}

TEST(unsound_texts_are_refused_by_line)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "is empty"},
        {"# only a comment\n", "is empty"},
        {"just words\n", "expected lines such as"},
        {"- a\n- b\n", "expected lines such as"},
        {"steps: 1\nsteps: 2\n", "line 2 repeats the key 'steps' of line 1"},
        {"a: 1\nb: {c: 2}\n", "line 2: the value of 'b' is a mapping"},
        {"a:\n  b: 1\n", "the value of 'a' is a mapping"},
        {"a: [[1], 2]\n", "the list 'a' holds a list"},
        {"a: [1, {b: 2}]\n", "the list 'a' holds a list"},
        {"a: [1, '']\n", "an item of the list 'a' is empty"},
        {"a: ['1,2']\n", "has a comma"},
        {"[a, b]: 1\n", "no plain word"},
        {"'': 1\n", "no plain word"},
        {"a: &x 1\nb: 2\n", "line 1 has an anchor"},
        {"a: &x [1]\nb: *x\n", "line 1 has an anchor"},
        {"b: *x\n", "line 1 has an alias"},
        {"a: !!python/object/apply:os.system ['true']\n", "line 1 has a tag"},
        {"a: !!str 1\n", "line 1 has a tag"},
        {"a: 1\n---\nb: 2\n", "line 2 begins a second document"},
        {"a: 1\n b: 2\n", "line 2 is not sound YAML"},
        {"a: [1, 2\n", "not sound YAML"},
        {"a: 'x\n", "not sound YAML"},
        {"a: 1\n\tb: 2\n", "not sound YAML"},
        {"a: \"\\0\"\n", "zero byte"},
        {"a: \xff\n", "not sound YAML"},
        {"a: \x01\n", "not sound YAML"},
        {"%YAML 9.9\n---\na: 1\n", "not sound YAML"},
    };
    VslConfig c = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_STATUS(parse(&c, cases[i].text), VSL_E_FORMAT);
        if (!strstr(vsl_error(), cases[i].says)) {
            printf("  case %zu: '%s' does not say '%s'\n", i, vsl_error(), cases[i].says);
            CHECK(0);
        }
        CHECK(c.count == 0);
    }
    static char deep[200000];
    memset(deep, '[', sizeof deep - 1);
    memcpy(deep, "a: ", 3);
    CHECK_STATUS(parse(&c, deep), VSL_E_FORMAT);
    memset(deep, 'x', sizeof deep - 1);
    memcpy(deep, "a: ", 3);
    CHECK_STATUS(parse(&c, deep), VSL_E_FORMAT);
    size_t at = 0;
    for (int i = 0; i < 1001; i++) {
        at += (size_t)snprintf(deep + at, sizeof deep - at, "k%d: 1\n", i);
    }
    CHECK_STATUS(parse(&c, deep), VSL_E_FORMAT);
    CHECK_STATUS(vsl_config_read(&c, scratch("absent")), VSL_E_IO);
    CHECK(vsl_memory_now() == 0);
}

TEST(what_is_written_reads_back)
{
    static const char *const values[] = {
        "1",   "-2.5e-7", "two words", "it's: #1", "",       "null", "~", "a,b", "- x", "*x", "\xc3\xa9t\xc3\xa9",
        "@",   "100%",    "true",      "'",        "\"\\\"", ".5",   "-", "--",  "+",   "1e", ".",
        "-.5", "1-2",     "C:\\x"};
    char text[20000];
    size_t at = 0;
    VslConfig c = {0};
    const int count = (int)(sizeof values / sizeof *values);
    for (int i = 0; i < count; i++) {
        char key[16];
        snprintf(key, sizeof key, "key-%d", i);
        CHECK_OK(vsl_config_line(text + at, sizeof text - at, key, values[i], i % 2 ? "a note: [x]" : NULL));
        at += strlen(text + at);
    }
    CHECK_OK(parse(&c, text));
    CHECK(c.count == count);
    for (int i = 0; i < c.count; i++) {
        CHECK(strcmp(c.entry[i].value, values[i]) == 0);
    }
    CHECK_STATUS(vsl_config_line(text, sizeof text, "k", "a\nb", NULL), VSL_E_ARG);
    CHECK_STATUS(vsl_config_line(text, 10, "k", "a long value", NULL), VSL_E_ARG);
    vsl_config_free(&c);
}

int main(void)
{
    RUN(keys_have_values_in_every_form_of_yaml);
    RUN(unsound_texts_are_refused_by_line);
    RUN(what_is_written_reads_back);
    return CHECK_VERDICT();
}
