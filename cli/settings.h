/**
 * Settings of a run as the text of a configuration: written into a model's folder, read back when the model is used,
 * and compared when a run goes on. A network's options have one way there and back, so that whatever was trained can be
 * built again. @test cli/train_settings.sh
 */
#ifndef VSL_CLI_SETTINGS_H
#define VSL_CLI_SETTINGS_H

#include <stdio.h>

#include "cli/cli.h"
#include "diffusion/schedule.h"
#include "diffusion/unet.h"
#include "io/config.h"

typedef struct CliSettings { /* {0} is empty */
    char *text;              /* complete after settings_close */
    size_t size;
    FILE *stream;
} CliSettings;

VSL_MUST_USE VslStatus cli_settings_open(CliSettings *s);
/** value "" is left out. note: a few words, or NULL. */
VSL_MUST_USE VslStatus cli_settings_put(CliSettings *s, const char *key, const char *value, const char *note);
/** Every row of a table with its resolved value and its help. */
VSL_MUST_USE VslStatus cli_settings_put_table(CliSettings *s, const void *options, const VslOption *table);
/** The options of a resolved network, and the extents of its pictures. */
VSL_MUST_USE VslStatus cli_settings_put_unet(CliSettings *s, const VslUnetOptions *unet, const int64_t n[3]);
VSL_MUST_USE VslStatus cli_settings_close(CliSettings *s);
void cli_settings_free(CliSettings *s);

/** Rows of a table that the configuration names. @return VSL_E_FORMAT, naming the file. */
VSL_MUST_USE VslStatus cli_settings_get_table(void *options, const VslConfig *c, const VslOption *table,
                                              const char *path);
/** What cli_settings_put_unet wrote. @return VSL_E_FORMAT when a part is missing or unsound. */
VSL_MUST_USE VslStatus cli_settings_get_unet(VslUnetOptions *unet, int64_t n[3], const VslConfig *c, const char *path);
/** Whole numbers with commas between: at most `most`, *count of them. flag names them in the sentence. */
VSL_MUST_USE VslStatus cli_parse_integers(int64_t *out, int *count, int most, const char *text, const char *flag);

/** VSL_OK when both have the same keys with the same values, those of `free_keys` (NULL ends) aside; else VSL_E_STATE
 * and one sentence with every key that differs. */
VSL_MUST_USE VslStatus cli_settings_check_same(const VslConfig *now, const VslConfig *before,
                                               const char *const *free_keys, const char *where);

#endif
