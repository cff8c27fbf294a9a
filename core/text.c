/* strtod and printf of the C locale, obtained once; newlocale is POSIX 2008. */
#define _GNU_SOURCE
#include "core/text.h"

#include <ctype.h>
#include <locale.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static locale_t c_locale;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void make_locale(void)
{
    c_locale = newlocale(LC_ALL_MASK, "C", (locale_t)0);
}

const char *vsl_text_scan_double(const char *text, double *out)
{
    pthread_once(&once, make_locale);
    char *end = NULL;
    const double value = strtod_l(text, &end, c_locale);
    if (end == text) {
        return NULL;
    }
    *out = value;
    return end;
}

int vsl_text_to_double(const char *text, double *out)
{
    double value;
    const char *end = vsl_text_scan_double(text, &value);
    if (!end) {
        return 0;
    }
    while (isspace((unsigned char)*end)) {
        end++;
    }
    if (*end) {
        return 0;
    }
    *out = value;
    return 1;
}

void vsl_text_from_double(char *out, size_t size, double value)
{
    pthread_once(&once, make_locale);
    const locale_t before = uselocale(c_locale);
    for (int digits = 6; digits <= 17; digits++) {
        snprintf(out, size, "%.*g", digits, value);
        if (strtod(out, NULL) == value) {
            break;
        }
    }
    uselocale(before);
}
