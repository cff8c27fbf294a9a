/* A self-test's answers. */
#include "cli/checks.h"

#include <stdio.h>

void cli_check_bar(json_t *checks, const char *name, double value, double low, double high, int *bad)
{
    const int good = value >= low && value <= high;
    *bad += !good;
    json_array_append_new(checks, json_pack("{s:s,s:o,s:f,s:f,s:b}", "check", name, "value", cli_json_number(value),
                                            "low", low, "high", high, "good", good));
}

void cli_checks_print(json_t *about, json_t *checks, double seconds)
{
    const char *key;
    json_t *value;
    size_t i;
    json_object_foreach(about, key, value)
    {
        if (json_is_string(value)) {
            printf("%-14s %s\n", key, json_string_value(value));
        } else {
            printf("%-14s %.0f\n", key, json_number_value(value));
        }
    }
    printf("\nself-test (%.1f s)\n", seconds);
    json_array_foreach(checks, i, value)
    {
        printf("%-4s  %-52s %.6g (bar: %.6g to %.6g)\n", json_is_true(json_object_get(value, "good")) ? "good" : "BAD",
               json_string_value(json_object_get(value, "check")), json_number_value(json_object_get(value, "value")),
               json_number_value(json_object_get(value, "low")), json_number_value(json_object_get(value, "high")));
    }
}
