/* A flat mapping out of libyaml's events. Nothing is built that the text does not hold letter by letter: without
 * aliases a short text cannot stand for a long one. */
#include "io/config.h"

#include <stdio.h>
#include <string.h>

#include <yaml.h>

#include "core/memory.h"
#include "core/text.h"
#include "io/file_in.h"
#include "io/path.h"

enum { MOST_BYTES = 1 << 20, MOST_ENTRIES = 1000 };

typedef struct Reader {
    yaml_parser_t parser;
    yaml_event_t event;
    int has_event;
    const char *path;
    VslConfig config;
    char value[VSL_CONFIG_TEXT]; /* being gathered */
    size_t used;
    int items;
} Reader;

static int line_of(const Reader *r)
{
    return (int)r->event.start_mark.line + 1;
}

/* The next event that says something. */
static VslStatus next(Reader *r)
{
    VslStatus st = VSL_OK;
    if (r->has_event) {
        yaml_event_delete(&r->event);
        r->has_event = 0;
    }
    if (!yaml_parser_parse(&r->parser, &r->event)) {
        VSL_CHECK(r->parser.error != YAML_MEMORY_ERROR, VSL_E_NOMEM, "%s: no memory to read it",
                  vsl_path_text(r->path).text);
        VSL_CHECK(0, VSL_E_FORMAT, "%s: line %zu is not sound YAML: %s", vsl_path_text(r->path).text,
                  (r->parser.problem_mark.line ? r->parser.problem_mark.line : r->parser.context_mark.line) + 1,
                  r->parser.problem ? r->parser.problem : "cannot be read");
    }
    r->has_event = 1;
    VSL_CHECK(r->event.type != YAML_ALIAS_EVENT, VSL_E_FORMAT, "%s: line %d has an alias, which is not allowed",
              vsl_path_text(r->path).text, line_of(r));
    const yaml_char_t *anchor = NULL, *tag = NULL;
    if (r->event.type == YAML_SCALAR_EVENT) {
        anchor = r->event.data.scalar.anchor;
        tag = r->event.data.scalar.tag;
    } else if (r->event.type == YAML_SEQUENCE_START_EVENT) {
        anchor = r->event.data.sequence_start.anchor;
        tag = r->event.data.sequence_start.tag;
    } else if (r->event.type == YAML_MAPPING_START_EVENT) {
        anchor = r->event.data.mapping_start.anchor;
        tag = r->event.data.mapping_start.tag;
    }
    VSL_CHECK(!anchor && !tag, VSL_E_FORMAT, "%s: line %d has %s, which is not allowed", vsl_path_text(r->path).text,
              line_of(r), anchor ? "an anchor" : "a tag");
out:
    return st;
}

/* Adds the scalar at hand to the value; items of a list are joined by commas. */
static VslStatus gather(Reader *r, const char *key, int is_item)
{
    VslStatus st = VSL_OK;
    const char *text = (const char *)r->event.data.scalar.value;
    const size_t length = r->event.data.scalar.length;
    const int is_plain = r->event.data.scalar.style == YAML_PLAIN_SCALAR_STYLE;
    const int is_null = is_plain && (strcmp(text, "~") == 0 || strcmp(text, "null") == 0);

    VSL_CHECK(strlen(text) == length, VSL_E_FORMAT, "%s: line %d has a zero byte in a text",
              vsl_path_text(r->path).text, line_of(r));
    VSL_CHECK(!is_item || (length > 0 && !strchr(text, ',') && !is_null), VSL_E_FORMAT,
              "%s: line %d: an item of the list '%s' is empty or has a comma", vsl_path_text(r->path).text, line_of(r),
              vsl_path_text(key).text);
    VSL_CHECK(r->used + length + 2 < sizeof r->value, VSL_E_FORMAT, "%s: line %d: the value of '%s' is longer than %d",
              vsl_path_text(r->path).text, line_of(r), vsl_path_text(key).text, VSL_CONFIG_TEXT - 3);
    if (r->items++ > 0) {
        r->value[r->used++] = ',';
    }
    memcpy(r->value + r->used, text, is_null ? 0 : length);
    r->used += is_null ? 0 : length;
    r->value[r->used] = 0;
out:
    return st;
}

static VslStatus copy_text(char **out, const char *text)
{
    VslStatus st = VSL_OK;
    const size_t size = strlen(text) + 1;
    VSL_TRY(VSL_NEW(out, size, "configuration"));
    memcpy(*out, text, size);
out:
    return st;
}

/* The event at hand is a key: it and its value. */
static VslStatus take_pair(Reader *r)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(r->config.count < MOST_ENTRIES, VSL_E_FORMAT, "%s: has more than %d entries", vsl_path_text(r->path).text,
              MOST_ENTRIES);
    VslConfigEntry *e = &r->config.entry[r->config.count];
    *e = (VslConfigEntry){.line = line_of(r)};
    r->config.count++; /* what it holds is freed with the rest */
    VSL_CHECK(r->event.type == YAML_SCALAR_EVENT && r->event.data.scalar.length > 0 &&
                  strlen((const char *)r->event.data.scalar.value) == r->event.data.scalar.length,
              VSL_E_FORMAT, "%s: line %d has a key that is no plain word", vsl_path_text(r->path).text, e->line);
    const char *key = (const char *)r->event.data.scalar.value;
    for (int i = 0; i < r->config.count - 1; i++) {
        VSL_CHECK(strcmp(r->config.entry[i].key, key) != 0, VSL_E_FORMAT, "%s: line %d repeats the key '%s' of line %d",
                  vsl_path_text(r->path).text, e->line, vsl_path_text(key).text, r->config.entry[i].line);
    }
    VSL_TRY(copy_text(&e->key, key));
    VSL_TRY(next(r));
    r->used = 0;
    r->items = 0;
    r->value[0] = 0;
    if (r->event.type == YAML_SCALAR_EVENT) {
        VSL_TRY(gather(r, e->key, 0));
    } else {
        VSL_CHECK(r->event.type == YAML_SEQUENCE_START_EVENT, VSL_E_FORMAT,
                  "%s: line %d: the value of '%s' is a mapping, expected a number, a text or a list of them",
                  vsl_path_text(r->path).text, line_of(r), vsl_path_text(e->key).text);
        for (;;) {
            VSL_TRY(next(r));
            if (r->event.type == YAML_SEQUENCE_END_EVENT) {
                break;
            }
            VSL_CHECK(r->event.type == YAML_SCALAR_EVENT, VSL_E_FORMAT,
                      "%s: line %d: the list '%s' holds a list or mapping", vsl_path_text(r->path).text, line_of(r),
                      vsl_path_text(e->key).text);
            VSL_TRY(gather(r, e->key, 1));
        }
    }
    VSL_TRY(copy_text(&e->value, r->value));
out:
    return st;
}

static VslStatus take_document(Reader *r)
{
    VslStatus st = VSL_OK;
    VSL_TRY(next(r)); /* the stream's start */
    VSL_TRY(next(r));
    VSL_CHECK(r->event.type == YAML_DOCUMENT_START_EVENT, VSL_E_FORMAT,
              "%s: is empty, expected lines such as 'steps: 2500'", vsl_path_text(r->path).text);
    VSL_TRY(next(r));
    VSL_CHECK(r->event.type == YAML_MAPPING_START_EVENT, VSL_E_FORMAT, "%s: expected lines such as 'steps: 2500'",
              vsl_path_text(r->path).text);
    for (;;) {
        VSL_TRY(next(r));
        if (r->event.type == YAML_MAPPING_END_EVENT) {
            break;
        }
        VSL_TRY(take_pair(r));
    }
    VSL_TRY(next(r));
    VSL_TRY(next(r));
    VSL_CHECK(r->event.type == YAML_STREAM_END_EVENT, VSL_E_FORMAT, "%s: line %d begins a second document",
              vsl_path_text(r->path).text, line_of(r));
out:
    return st;
}

VslStatus vsl_config_parse(VslConfig *out, const char *text, int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    Reader r = {.path = path};
    VSL_CHECK(yaml_parser_initialize(&r.parser), VSL_E_NOMEM, "%s: no memory to read it", vsl_path_text(path).text);
    yaml_parser_set_encoding(&r.parser, YAML_UTF8_ENCODING);
    const int mark = count >= 3 && memcmp(text, "\xef\xbb\xbf", 3) == 0 ? 3 : 0;
    yaml_parser_set_input_string(&r.parser, (const unsigned char *)text + mark, (size_t)(count - mark));
    VSL_TRY(VSL_NEW0(&r.config.entry, MOST_ENTRIES, "configuration"));
    VSL_TRY(take_document(&r));
    vsl_config_free(out);
    *out = r.config;
    r.config = (VslConfig){0};
out:
    if (r.has_event) {
        yaml_event_delete(&r.event);
    }
    yaml_parser_delete(&r.parser);
    vsl_config_free(&r.config);
    return st;
}

VslStatus vsl_config_read(VslConfig *out, const char *path)
{
    VslStatus st = VSL_OK;
    char *text = NULL;
    int64_t count = 0;
    VSL_TRY(vsl_file_in_whole(&text, &count, path, MOST_BYTES));
    VSL_TRY(vsl_config_parse(out, text, count, path));
out:
    vsl_free(text);
    return st;
}

void vsl_config_free(VslConfig *c)
{
    for (int i = 0; i < c->count; i++) {
        vsl_free(c->entry[i].key);
        vsl_free(c->entry[i].value);
    }
    vsl_free(c->entry);
    *c = (VslConfig){0};
}

const char *vsl_config_find(const VslConfig *c, const char *key)
{
    for (int i = 0; i < c->count; i++) {
        if (strcmp(c->entry[i].key, key) == 0) {
            return c->entry[i].value;
        }
    }
    return NULL;
}

/* 1 when YAML reads the text, written bare, as that text. */
static int is_bare(const char *text)
{
    static const char letters[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_.,/+-";
    return text[0] && text[0] != '-' && text[0] != ',' && text[0] != '.' && strspn(text, letters) == strlen(text) &&
           strcmp(text, "null") != 0;
}

VslStatus vsl_config_line(char *out, size_t size, const char *key, const char *value, const char *note)
{
    VslStatus st = VSL_OK;
    double number;
    const int is_number = strspn(value, "-+.0123456789eE") == strlen(value) && vsl_text_to_double(value, &number);
    char quoted[2 * VSL_CONFIG_TEXT];
    size_t at = 0;

    VSL_CHECK(strlen(value) < VSL_CONFIG_TEXT, VSL_E_ARG, "the value of '%s' is longer than %d letters", key,
              VSL_CONFIG_TEXT - 1);
    if (is_bare(value) || is_number) {
        snprintf(quoted, sizeof quoted, "%s", value);
    } else {
        quoted[at++] = '\'';
        for (const char *c = value; *c; c++) {
            VSL_CHECK((unsigned char)*c >= 32 && *c != 127, VSL_E_ARG,
                      "the value of '%s' holds the control byte %02x, which no configuration can", key,
                      (unsigned char)*c);
            quoted[at++] = *c;
            if (*c == '\'') {
                quoted[at++] = '\'';
            }
        }
        quoted[at++] = '\'';
        quoted[at] = 0;
    }
    const int length = snprintf(out, size, "%s: %s%s%s\n", key, quoted, note ? " # " : "", note ? note : "");
    VSL_CHECK(length >= 0 && (size_t)length < size, VSL_E_ARG, "the line of '%s' is too long", key);
out:
    return st;
}
