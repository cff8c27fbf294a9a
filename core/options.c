/* Reading, checking and printing of fields described by option tables. Numbers are read and written in the C locale's
 * form whatever the program's locale is. */
#include "core/options.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"

static double get_field(const void *opt, const VslOption *row)
{
    const char *field = (const char *)opt + row->offset;
    if (row->type == VSL_OPT_DOUBLE) {
        double d;
        memcpy(&d, field, sizeof d);
        return d;
    }
    int i;
    memcpy(&i, field, sizeof i);
    return i;
}

static void set_field(void *opt, const VslOption *row, double value)
{
    char *field = (char *)opt + row->offset;
    if (row->type == VSL_OPT_DOUBLE) {
        memcpy(field, &value, sizeof value);
    } else {
        const int i = (int)value;
        memcpy(field, &i, sizeof i);
    }
}

int vsl_option_is_given(double value)
{
    return value != 0 || signbit(value);
}

static int count_choices(const char *choices)
{
    int n = 1;
    for (; *choices; choices++) {
        n += *choices == ',';
    }
    return n;
}

static VslStatus check_range(const VslOption *row, double value)
{
    if (row->type == VSL_OPT_CHOICE) {
        const int n = count_choices(row->choices);
        return value >= 1 && value <= n
                   ? VSL_OK
                   : vsl_fail(VSL_E_ARG, __func__, "--%s: choice %g is none of %s", row->flag, value, row->choices);
    }
    return value >= row->min && value <= row->max
               ? VSL_OK
               : vsl_fail(VSL_E_ARG, __func__, "--%s is %g, expected %g to %g%s%s", row->flag, value, row->min,
                          row->max, row->unit[0] ? " " : "", row->unit);
}

VslStatus vsl_options_resolve(void *opt, const VslOption *table)
{
    VslStatus st = VSL_OK;
    for (const VslOption *row = table; row->flag; row++) {
        if (vsl_option_is_given(get_field(opt, row))) {
            VSL_TRY(check_range(row, get_field(opt, row)));
        } else {
            set_field(opt, row, row->value);
        }
    }
out:
    return st;
}

VslStatus vsl_option_parse(void *opt, const VslOption *row, const char *text)
{
    VslStatus st = VSL_OK;
    double value = 0;
    if (row->type == VSL_OPT_CHOICE) {
        int position = 1;
        const size_t length = strlen(text);
        for (const char *c = row->choices; c; position++) {
            const char *comma = strchr(c, ',');
            const size_t n = comma ? (size_t)(comma - c) : strlen(c);
            if (n == length && strncmp(c, text, n) == 0) {
                value = position;
            }
            c = comma ? comma + 1 : NULL;
        }
        VSL_CHECK(value > 0, VSL_E_ARG, "--%s: '%s' is none of %s", row->flag, text, row->choices);
    } else {
        VSL_CHECK(vsl_text_to_double(text, &value) && isfinite(value), VSL_E_ARG, "--%s: '%s' is not a number",
                  row->flag, text);
        VSL_CHECK(row->type == VSL_OPT_DOUBLE || value == floor(value), VSL_E_ARG, "--%s: '%s' is not a whole number",
                  row->flag, text);
        VSL_TRY(check_range(row, value));
        if (value == 0 && row->value != 0) {
            VSL_CHECK(row->type == VSL_OPT_DOUBLE, VSL_E_ARG,
                      "--%s: 0 would mean the default, %g; expected another number", row->flag, row->value);
            value = -0.0;
        }
    }
    set_field(opt, row, value);
out:
    return st;
}

void vsl_option_print(char *out, size_t size, const void *opt, const VslOption *row)
{
    double value = get_field(opt, row);
    value = vsl_option_is_given(value) ? value + 0.0 : row->value; /* -0.0 is typed as 0 */
    if (row->type == VSL_OPT_CHOICE) {
        const char *c = row->choices;
        for (int i = 1; i < (int)value && strchr(c, ','); i++) {
            c = strchr(c, ',') + 1;
        }
        snprintf(out, size, "%.*s", (int)strcspn(c, ","), c);
    } else {
        vsl_text_from_double(out, size, value);
    }
}
