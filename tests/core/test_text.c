/* Numbers as text, in the C locale and in one with a decimal comma. */
#define _GNU_SOURCE /* setenv */
#include "core/text.h"

#include <locale.h>
#include <stdint.h>
#include <string.h>

#include "core/random.h"
#include "tests/check.h"

static void shortest_text_reads_back(void)
{
    char text[64];
    const double named[] = {0, 1, -1, 0.1, 1e300, 5e-324, 1.7976931348623157e308, 1.0 / 3, 123456789, 1e22};
    for (size_t i = 0; i < sizeof named / sizeof *named; i++) {
        double back = 99;
        vsl_text_from_double(text, sizeof text, named[i]);
        CHECK(vsl_text_to_double(text, &back) && back == named[i]);
        CHECK(strchr(text, ',') == NULL);
    }
    for (uint64_t i = 0; i < 20000; i++) {
        uint32_t r[4];
        vsl_random_bits(r, 1, 1, i);
        const uint64_t bits = (uint64_t)r[0] << 32 | r[1];
        double value, back = 0;
        memcpy(&value, &bits, sizeof value);
        if (isfinite(value)) {
            vsl_text_from_double(text, sizeof text, value);
            CHECK(vsl_text_to_double(text, &back) && back == value);
        }
    }
    vsl_text_from_double(text, sizeof text, 0.1);
    CHECK(strcmp(text, "0.1") == 0);
    vsl_text_from_double(text, sizeof text, 2.5);
    CHECK(strcmp(text, "2.5") == 0);
}

static void reading_takes_whole_numbers_only(void)
{
    double v = 7;
    CHECK(vsl_text_to_double(" 2.5 ", &v) && v == 2.5);
    CHECK(vsl_text_to_double("-1e-3\n", &v) && v == -1e-3);
    v = 7;
    CHECK(!vsl_text_to_double("", &v) && !vsl_text_to_double("  ", &v) && !vsl_text_to_double("2,5", &v) &&
          !vsl_text_to_double("2.5 mm", &v) && !vsl_text_to_double("x", &v));
    CHECK(v == 7);
    const char *rest = vsl_text_scan_double("1.5 2.5,3", &v);
    CHECK(rest && v == 1.5 && strcmp(rest, " 2.5,3") == 0);
    rest = vsl_text_scan_double(rest, &v);
    CHECK(rest && v == 2.5 && strcmp(rest, ",3") == 0);
    CHECK(vsl_text_scan_double(rest, &v) == NULL && v == 2.5);
}

TEST(numbers_survive_text)
{
    shortest_text_reads_back();
    reading_takes_whole_numbers_only();
}

TEST(a_decimal_comma_changes_nothing)
{
    char text[32];
    snprintf(text, sizeof text, "%.1f", 2.5);
    CHECK(strcmp(text, "2,5") == 0); /* the locale is what this test needs */
    shortest_text_reads_back();
    reading_takes_whole_numbers_only();
}

/* Chooses any installed locale with a comma, or makes one in the build folder; 0 when neither works. */
static int use_comma_locale(void)
{
    static const char *const names[] = {"de_DE.UTF-8", "de_DE.utf8", "fr_FR.UTF-8", "it_IT.UTF-8", "nl_NL.UTF-8"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        if (setlocale(LC_ALL, names[i])) {
            return 1;
        }
    }
    const char *folder = getenv("VSL_BINARY");
    char command[2048];
    snprintf(command, sizeof command,
             "mkdir -p '%s/locale' && localedef -i de_DE -f UTF-8 '%s/locale/de_DE.UTF-8' 2>/dev/null",
             folder ? folder : ".", folder ? folder : ".");
    if (system(command) != 0) {
        return 0;
    }
    snprintf(command, sizeof command, "%s/locale", folder ? folder : ".");
    return setenv("LOCPATH", command, 1) == 0 && setlocale(LC_ALL, "de_DE.UTF-8") != NULL;
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "comma") == 0) {
        if (!use_comma_locale()) {
            CHECK_SKIP("no locale with a decimal comma is installed and none can be made (Debian package locales)");
        }
        RUN(a_decimal_comma_changes_nothing);
    } else {
        RUN(numbers_survive_text);
    }
    return CHECK_VERDICT();
}
