/* Settings as YAML text, and back. */
#define _GNU_SOURCE
#include "cli/settings.h"

#include <math.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "cli/flags.h"
#include "core/text.h"
#include "io/path.h"

VslStatus cli_settings_open(CliSettings *s)
{
    s->stream = open_memstream(&s->text, &s->size);
    return s->stream ? VSL_OK : vsl_fail(VSL_E_NOMEM, __func__, "no memory for the settings");
}

VslStatus cli_settings_put(CliSettings *s, const char *key, const char *value, const char *note)
{
    VslStatus st = VSL_OK;
    char line[2 * VSL_CONFIG_TEXT + 512];
    if (value && value[0]) {
        VSL_TRY(vsl_config_line(line, sizeof line, key, value, note));
        fputs(line, s->stream);
    }
out:
    return st;
}

VslStatus cli_settings_put_table(CliSettings *s, const void *options, const VslOption *table)
{
    VslStatus st = VSL_OK;
    for (const VslOption *row = table; row->flag; row++) {
        char value[64], note[512];
        vsl_option_print(value, sizeof value, options, row);
        snprintf(note, sizeof note, "%s%s%s", row->help, row->unit[0] ? ", " : "", row->unit);
        VSL_TRY(cli_settings_put(s, row->flag, value, note));
    }
out:
    return st;
}

static VslStatus put_integer(CliSettings *s, const char *key, int64_t value, const char *note)
{
    char text[32];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return cli_settings_put(s, key, text, note);
}

static void join(char *out, size_t size, const int64_t *values, int count)
{
    size_t at = 0;
    out[0] = 0;
    for (int i = 0; i < count && at < size; i++) {
        at += (size_t)snprintf(out + at, size - at, "%s%lld", i ? "," : "", (long long)values[i]);
    }
}

VslStatus cli_settings_put_unet(CliSettings *s, const VslUnetOptions *unet, const int64_t n[3])
{
    VslStatus st = VSL_OK;
    char text[128];
    int64_t values[VSL_UNET_LEVELS];
    int levels = 0;
    for (; levels < VSL_UNET_LEVELS && unet->multipliers[levels] > 0; levels++) {
        values[levels] = unet->multipliers[levels];
    }
    VSL_TRY(cli_settings_put_table(s, unet, vsl_unet_option_table));
    join(text, sizeof text, values, levels);
    VSL_TRY(cli_settings_put(s, "multipliers", text, "width factor of each level, finest first"));
    VSL_TRY(put_integer(s, "model-in-channels", unet->in_channels, NULL));
    VSL_TRY(put_integer(s, "model-out-channels", unet->out_channels, NULL));
    join(text, sizeof text, n, unet->dims);
    VSL_TRY(cli_settings_put(s, "size", text, "pixels of a picture along i, j (and k)"));
out:
    return st;
}

VslStatus cli_settings_close(CliSettings *s)
{
    VslStatus st = VSL_OK;
    FILE *stream = s->stream;
    s->stream = NULL;
    const int is_bad = ferror(stream);
    VSL_CHECK(fclose(stream) == 0 && !is_bad, VSL_E_NOMEM, "no memory for the settings");
out:
    return st;
}

void cli_settings_free(CliSettings *s)
{
    if (s->stream) {
        fclose(s->stream);
    }
    free(s->text);
    *s = (CliSettings){0};
}

VslStatus cli_settings_get_table(void *options, const VslConfig *c, const VslOption *table, const char *path)
{
    VslStatus st = VSL_OK;
    for (const VslOption *row = table; row->flag; row++) {
        const char *value = vsl_config_find(c, row->flag);
        VSL_CHECK(!value || vsl_option_parse(options, row, value) == VSL_OK, VSL_E_FORMAT, "%s: %s",
                  vsl_path_text(path).text, vsl_error());
    }
out:
    return st;
}

VslStatus cli_parse_integers(int64_t *out, int *count, int most, const char *text, const char *flag)
{
    VslStatus st = VSL_OK;
    const char *at = text;
    int n = 0;
    for (;;) {
        double value = 0;
        at = vsl_text_scan_double(at, &value);
        VSL_CHECK(at && value == floor(value) && value >= 1 && value <= 65536, VSL_E_ARG,
                  "%s: '%s', expected whole numbers from 1 with commas between", flag, text);
        VSL_CHECK(n < most, VSL_E_ARG, "%s: '%s' has more than %d numbers", flag, text, most);
        out[n++] = (int64_t)value;
        if (*at == 0) {
            break;
        }
        VSL_CHECK(*at == ',' || *at == 'x', VSL_E_ARG, "%s: '%s', expected whole numbers with commas between", flag,
                  text);
        at++;
    }
    *count = n;
out:
    return st;
}

static VslStatus get_integers(int64_t *out, int *count, int most, const VslConfig *c, const char *key, const char *path)
{
    VslStatus st = VSL_OK;
    const char *text = vsl_config_find(c, key);
    VSL_CHECK(text, VSL_E_FORMAT, "%s: has no '%s'", vsl_path_text(path).text, key);
    VSL_CHECK(cli_parse_integers(out, count, most, text, key) == VSL_OK, VSL_E_FORMAT, "%s: %s",
              vsl_path_text(path).text, vsl_error());
out:
    return st;
}

VslStatus cli_settings_get_unet(VslUnetOptions *unet, int64_t n[3], const VslConfig *c, const char *path)
{
    VslStatus st = VSL_OK;
    VslUnetOptions u = {0};
    int64_t levels[VSL_UNET_LEVELS], size[3] = {1, 1, 1}, in = 0, out_channels = 0;
    int level_count = 0, dims = 0, one = 0;

    VSL_TRY(cli_settings_get_table(&u, c, vsl_unet_option_table, path));
    VSL_TRY(get_integers(levels, &level_count, VSL_UNET_LEVELS, c, "multipliers", path));
    VSL_TRY(get_integers(size, &dims, 3, c, "size", path));
    VSL_TRY(get_integers(&in, &one, 1, c, "model-in-channels", path));
    VSL_TRY(get_integers(&out_channels, &one, 1, c, "model-out-channels", path));
    VSL_CHECK(dims >= 2, VSL_E_FORMAT, "%s: its 'size' has one number, expected two or three",
              vsl_path_text(path).text);
    for (int l = 0; l < level_count; l++) {
        u.multipliers[l] = (int)levels[l];
    }
    u.dims = dims;
    u.in_channels = (int)in;
    u.out_channels = (int)out_channels;
    st = vsl_unet_resolve(&u);
    VSL_CHECK(st == VSL_OK, VSL_E_FORMAT, "%s: %s", vsl_path_text(path).text, vsl_error());
    *unet = u;
    memcpy(n, size, sizeof size);
out:
    return st;
}

static int is_in(const char *key, const char *const *keys)
{
    for (; keys && *keys; keys++) {
        if (strcmp(*keys, key) == 0) {
            return 1;
        }
    }
    return 0;
}

/* Adds one difference to the sentence; what does not fit is lost, the first ones are there. */
static void tell(char *out, size_t size, const char *key, const char *before, const char *now)
{
    const size_t at = strlen(out);
    snprintf(out + at, size - at, "%s%s (%s before, %s now)", at ? ", " : "", key, before ? before : "none",
             now ? now : "none");
}

VslStatus cli_settings_check_same(const VslConfig *now, const VslConfig *before, const char *const *free_keys,
                                  const char *where)
{
    VslStatus st = VSL_OK;
    char text[8192] = "";
    for (int i = 0; i < now->count; i++) {
        const VslConfigEntry *e = &now->entry[i];
        const char *old = vsl_config_find(before, e->key);
        if (!is_in(e->key, free_keys) && (!old || strcmp(old, e->value) != 0)) {
            tell(text, sizeof text, e->key, old, e->value);
        }
    }
    for (int i = 0; i < before->count; i++) {
        const VslConfigEntry *e = &before->entry[i];
        if (!is_in(e->key, free_keys) && !vsl_config_find(now, e->key)) {
            tell(text, sizeof text, e->key, e->value, NULL);
        }
    }
    VSL_CHECK(!text[0], VSL_E_STATE,
              "%s: it was begun with other settings: %s; give those, another --out, or --overwrite", where, text);
out:
    return st;
}
