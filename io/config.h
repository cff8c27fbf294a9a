/**
 * Configuration files: a flat YAML mapping of names to numbers, words, texts, or lists of them ([1, 2, 4], kept as
 * "1,2,4"). Parsed by libyaml; refused by line: anchors, aliases, tags, more than one document, nested mappings, a key
 * twice, bytes that are not UTF-8. What the names mean is the caller's. @test io/test_config.c
 */
#ifndef VSL_IO_CONFIG_H
#define VSL_IO_CONFIG_H

#include <stddef.h>
#include <stdint.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { VSL_CONFIG_TEXT = 4096 };

typedef struct VslConfigEntry {
    char *key, *value; /* owned; an empty or null value is "" */
    int line;          /* of the key, 1 is the first */
} VslConfigEntry;

typedef struct VslConfig { /* {0} is empty; entries in the file's order */
    int count;
    VslConfigEntry *entry;
} VslConfig;

/** @return VSL_E_IO, VSL_E_FORMAT (names file and line), VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_config_read(VslConfig *out, const char *path);
/** The same of a text in memory; path only names it in sentences. */
VSL_API VSL_MUST_USE VslStatus vsl_config_parse(VslConfig *out, const char *text, int64_t count, const char *path);
VSL_API void vsl_config_free(VslConfig *c);
/** NULL when there is no such key. */
VSL_API const char *vsl_config_find(const VslConfig *c, const char *key);
/** One line "key: value" that reads back as the same text, quoted where YAML needs it; note, if not NULL, follows as a
 * comment. @return VSL_E_ARG when it does not fit into size bytes. */
VSL_API VSL_MUST_USE VslStatus vsl_config_line(char *out, size_t size, const char *key, const char *value,
                                               const char *note);

#ifdef __cplusplus
}
#endif
#endif
