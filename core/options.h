/**
 * Option tables: the only place where an option's default, range, unit and help are written. Validation, --help, the
 * JSON echo and the reference page are all made from the table. @test core/test_options.c
 */
#ifndef VSL_CORE_OPTIONS_H
#define VSL_CORE_OPTIONS_H

#include <stddef.h>

#include "core/status.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VslOptionType {
    VSL_OPT_DOUBLE = 1, /* field: double; 0 = take the default, -0.0 = zero itself */
    VSL_OPT_INT,        /* field: int; 0 = take the default */
    VSL_OPT_CHOICE      /* field: int (an enum); 0 = take the default; 1.. = position in `choices` */
} VslOptionType;

typedef struct VslOption {
    const char *flag; /* "kernel-mm": long flag without dashes; NULL ends a table */
    VslOptionType type;
    size_t offset;       /* of the field in its options struct */
    double value;        /* default; for a choice its 1-based position, 0 = none: it depends on the input */
    double min, max;     /* inclusive; ignored for choices */
    const char *unit;    /* "mm", "" */
    const char *help;    /* half a sentence */
    const char *choices; /* "ssd,lncc,mi" for VSL_OPT_CHOICE, else NULL */
} VslOption;

/** Whether a field of a double says a value: a 0 that is not -0.0 does not. */
VSL_API int vsl_option_is_given(double value);
/** Replaces zero fields by their defaults and checks ranges. where names the struct in the sentence.
 * @return VSL_OK, VSL_E_ARG (sentence: flag, value found, range and unit expected). */
VSL_API VSL_MUST_USE VslStatus vsl_options_resolve(void *opt, const VslOption *table);
/** Sets one field from text. A typed 0 means zero: -0.0 where the default is another number; a whole number cannot say
 * so, and is refused. @return VSL_E_ARG when text is not a number of the range or not one of the choices. */
VSL_API VSL_MUST_USE VslStatus vsl_option_parse(void *opt, const VslOption *row, const char *text);
/** Writes a field's current value as text ("lncc", "2.5"); for zero fields the default. */
VSL_API void vsl_option_print(char *out, size_t size, const void *opt, const VslOption *row);

#ifdef __cplusplus
}
#endif
#endif
