/* Affines as text: ITK's "Insight Transform File V1.0" and sixteen plain numbers.
 *
 * An ITK file may hold a CompositeTransform followed by its members: the member listed last acts on the point first.
 * Several transforms without such a head have no stated order and are refused. Numbers have decimal points in any
 * locale. */
#include "io/affine_private.h"

#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/text.h"
#include "io/path.h"

static const char itk_magic[] = "#Insight Transform File V1.0";

int affine_looks_like_itk_text(const char *text)
{
    return strncmp(text, itk_magic, sizeof itk_magic - 1) == 0;
}

static int is_blank(char c)
{
    return c == ' ' || c == '\t' || c == '\r' || c == '\v' || c == '\f';
}

/* Cuts the next line off *rest, without its line end and outer blanks; NULL at the end of the text. */
static char *next_line(char **rest)
{
    char *line = *rest;
    if (!*line) {
        return NULL;
    }
    char *end = strchr(line, '\n');
    *rest = end ? end + 1 : line + strlen(line);
    end = end ? end : *rest;
    while (end > line && is_blank(end[-1])) {
        end--;
    }
    *end = 0;
    while (is_blank(*line)) {
        line++;
    }
    return line;
}

/* Numbers of one line into out; what names them. */
static VslStatus scan_numbers(double *out, int *count, int most, const char *text, const char *what, const char *path)
{
    VslStatus st = VSL_OK;
    int n = 0;
    while (*text) {
        double value;
        const char *after = vsl_text_scan_double(text, &value);
        VSL_CHECK(after && (!*after || is_blank(*after)), VSL_E_FORMAT, "%s: '%.24s' in %s is not a number",
                  vsl_path_text(path).text, vsl_path_text(text).text, what);
        VSL_CHECK(n < most, VSL_E_FORMAT, "%s: %s has more than %d numbers", vsl_path_text(path).text, what, most);
        out[n++] = value;
        for (text = after; is_blank(*text); text++) {
        }
    }
    *count = n;
out:
    return st;
}

/* The transforms of a file so far */
typedef struct ItkFile {
    ItkTransform now; /* being read; type "" before the first */
    int has_parameters, has_fixed;
    int is_composite, members; /* members: finished, without the head of a composite */
    VslAffine map;             /* of the finished members */
} ItkFile;

static VslStatus finish_transform(ItkFile *f, const char *path)
{
    VslStatus st = VSL_OK;
    VslAffine one;
    if (!f->now.type[0]) {
        goto out;
    }
    if (strncmp(f->now.type, "CompositeTransform_", 19) == 0) {
        VSL_CHECK(!f->is_composite && f->members == 0, VSL_E_UNSUPPORTED,
                  "%s: holds a composite transform inside another, expected one list", vsl_path_text(path).text);
        f->is_composite = 1;
        goto out;
    }
    VSL_CHECK(f->has_parameters, VSL_E_FORMAT, "%s: %s has no line 'Parameters:'", vsl_path_text(path).text,
              vsl_path_text(f->now.type).text);
    VSL_CHECK(f->is_composite || f->members == 0, VSL_E_UNSUPPORTED,
              "%s: holds several transforms without a CompositeTransform that states their order; give them one file "
              "each",
              vsl_path_text(path).text);
    VSL_TRY(itk_to_ras(&one, &f->now, path));
    f->map = vsl_affine_compose(&f->map, &one);
    f->members++;
out:
    return st;
}

static VslStatus take_line(ItkFile *f, char *line, const char *path)
{
    VslStatus st = VSL_OK;
    char *value = strchr(line, ':');
    VSL_CHECK(value, VSL_E_FORMAT, "%s: the line '%.40s' has no colon, expected 'Parameters: ...' or the like",
              vsl_path_text(path).text, vsl_path_text(line).text);
    *value++ = 0;
    while (is_blank(*value)) {
        value++;
    }
    if (strcmp(line, "Transform") == 0) {
        VSL_TRY(finish_transform(f, path));
        VSL_CHECK(*value && strlen(value) < sizeof f->now.type, VSL_E_FORMAT,
                  "%s: a transform has the type '%.40s', expected a name such as AffineTransform_double_3_3",
                  vsl_path_text(path).text, vsl_path_text(value).text);
        f->now = (ItkTransform){0};
        memcpy(f->now.type, value, strlen(value) + 1);
        f->has_parameters = f->has_fixed = 0;
        goto out;
    }
    const int is_fixed = strcmp(line, "FixedParameters") == 0;
    VSL_CHECK(is_fixed || strcmp(line, "Parameters") == 0, VSL_E_FORMAT,
              "%s: has a line '%.40s:', expected Transform, Parameters or FixedParameters", vsl_path_text(path).text,
              vsl_path_text(line).text);
    VSL_CHECK(f->now.type[0], VSL_E_FORMAT, "%s: has '%s:' before any 'Transform:'", vsl_path_text(path).text, line);
    int *seen = is_fixed ? &f->has_fixed : &f->has_parameters;
    VSL_CHECK(!*seen, VSL_E_FORMAT, "%s: has '%s:' twice for one transform", vsl_path_text(path).text, line);
    *seen = 1;
    VSL_TRY(scan_numbers(is_fixed ? f->now.fixed : f->now.parameter,
                         is_fixed ? &f->now.fixed_parameters : &f->now.parameters, ITK_MOST_PARAMETERS, value, line,
                         path));
out:
    return st;
}

VslStatus affine_parse_itk_text(VslAffine *out, char *text, const char *path)
{
    VslStatus st = VSL_OK;
    ItkFile f = {.map = vsl_affine_identity()};
    VslAffine unused;

    for (char *line; (line = next_line(&text));) {
        if (*line && *line != '#') {
            VSL_TRY(take_line(&f, line, path));
        }
    }
    VSL_TRY(finish_transform(&f, path));
    VSL_CHECK(f.members > 0, VSL_E_FORMAT, "%s: holds no transform", vsl_path_text(path).text);
    VSL_CHECK(vsl_affine_invert(&unused, &f.map) == VSL_OK, VSL_E_FORMAT, "%s: its transforms together are singular",
              vsl_path_text(path).text);
    *out = f.map;
out:
    return st;
}

int affine_looks_like_plain(const char *text, int64_t count)
{
    for (int64_t i = 0; i < count; i++) {
        const unsigned char c = (unsigned char)text[i];
        if (c < 32 && !is_blank((char)c) && c != '\n') {
            return 0;
        }
    }
    double value;
    while (*text == '#' || *text == '\n' || is_blank(*text)) {
        const char *end = *text == '#' ? strchr(text, '\n') : text;
        if (!end) {
            return 0;
        }
        text = end + 1;
    }
    return vsl_text_scan_double(text, &value) != NULL;
}

VslStatus affine_parse_plain(VslAffine *out, char *text, const char *path)
{
    VslStatus st = VSL_OK;
    double value[16];
    int count = 0;
    VslAffine a, unused;

    for (char *line; (line = next_line(&text));) {
        int here = 0;
        if (!*line || *line == '#') {
            continue;
        }
        for (char *c = line; *c; c++) {
            *c = *c == ',' ? ' ' : *c;
        }
        VSL_TRY(scan_numbers(value + count, &here, 16 - count, line, "a 4x4 matrix", path));
        count += here;
    }
    VSL_CHECK(count == 16, VSL_E_FORMAT, "%s: holds %d numbers, expected the 16 of a 4x4 matrix",
              vsl_path_text(path).text, count);
    VSL_CHECK(value[12] == 0 && value[13] == 0 && value[14] == 0 && value[15] == 1, VSL_E_FORMAT,
              "%s: the last row is %g %g %g %g, expected 0 0 0 1", vsl_path_text(path).text, value[12], value[13],
              value[14], value[15]);
    for (int i = 0; i < 12; i++) {
        VSL_CHECK(isfinite(value[i]), VSL_E_FORMAT, "%s: holds %g, expected finite numbers", vsl_path_text(path).text,
                  value[i]);
        a.m[i / 4][i % 4] = value[i];
    }
    VSL_CHECK(vsl_affine_invert(&unused, &a) == VSL_OK, VSL_E_FORMAT,
              "%s: the matrix is singular (determinant %g), expected a map that can be inverted",
              vsl_path_text(path).text, vsl_affine_det(&a));
    *out = a;
out:
    return st;
}

/* A line of numbers; at most 16 of at most 24 characters. */
static int format_numbers(char *out, const char *head, const double *value, int count)
{
    int at = sprintf(out, "%s", head);
    for (int i = 0; i < count; i++) {
        char number[32];
        vsl_text_from_double(number, sizeof number, value[i]);
        at += sprintf(out + at, "%s%s", at ? " " : "", number);
    }
    out[at++] = '\n';
    out[at] = 0;
    return at;
}

int affine_format_itk_text(char out[AFFINE_FILE_ROOM], const ItkTransform *t)
{
    int at = sprintf(out, "%s\n#Transform 0\nTransform: %s\n", itk_magic, t->type);
    at += format_numbers(out + at, "Parameters:", t->parameter, t->parameters);
    at += format_numbers(out + at, "FixedParameters:", t->fixed, t->fixed_parameters);
    return at;
}

int affine_format_plain(char out[AFFINE_FILE_ROOM], const VslAffine *a)
{
    const double last[4] = {0, 0, 0, 1};
    int at = 0;
    for (int r = 0; r < 4; r++) {
        at += format_numbers(out + at, "", r < 3 ? a->m[r] : last, 4);
    }
    return at;
}
