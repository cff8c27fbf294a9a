/* Lists of named arrays. Names are looked up in order: a network has hundreds of them, not millions. */
#include "core/weights.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "core/memory.h"

/* Doubles a list of `size`-byte entries when it is full. */
static VslStatus make_room(void **list, int64_t count, int64_t *room, size_t size, const char *what)
{
    VslStatus st = VSL_OK;
    void *bigger = NULL;
    if (count < *room) {
        return VSL_OK;
    }
    const int64_t next = *room ? 2 * *room : 64;
    VSL_TRY(vsl_alloc(&bigger, next, size, what));
    if (count > 0) {
        memcpy(bigger, *list, (size_t)count * size);
    }
    vsl_free(*list);
    *list = bigger;
    *room = next;
out:
    return st;
}

VslStatus vsl_weights_add(VslWeights *w, const char *name, int rank, const int64_t *n, float **data)
{
    VslStatus st = VSL_OK;
    VslWeight item = {.rank = rank, .count = 1};
    const size_t length = strlen(name);

    VSL_CHECK(length > 0 && length < VSL_WEIGHT_NAME, VSL_E_ARG, "a weight's name has %zu bytes, expected 1 to %d",
              length, VSL_WEIGHT_NAME - 1);
    VSL_CHECK(rank >= 0 && rank <= VSL_WEIGHT_RANK, VSL_E_ARG, "'%s' has rank %d, expected at most %d", name, rank,
              VSL_WEIGHT_RANK);
    VSL_CHECK(!vsl_weights_find(w, name), VSL_E_ARG, "'%s' is there twice", name);
    for (int d = 0; d < rank; d++) {
        VSL_CHECK(n[d] >= 1 && vsl_mul_ok(item.count, n[d], &item.count), VSL_E_ARG,
                  "'%s' has the shape %s, expected extents of at least 1 whose product can be counted", name,
                  vsl_shape_text(rank, n).text);
        item.n[d] = n[d];
    }
    memcpy(item.name, name, length + 1);
    VSL_TRY(make_room((void **)&w->item, w->count, &w->room, sizeof *w->item, "list of weights"));
    VSL_TRY(VSL_NEW0(&item.data, item.count, name));
    w->item[w->count++] = item;
    if (data) {
        *data = item.data;
    }
out:
    return st;
}

static VslStatus copy_text(char **out, const char *text)
{
    VslStatus st = VSL_OK;
    const size_t size = strlen(text) + 1;
    VSL_TRY(VSL_NEW(out, size, "note"));
    memcpy(*out, text, size);
out:
    return st;
}

VslStatus vsl_weights_put_note(VslWeights *w, const char *key, const char *value)
{
    VslStatus st = VSL_OK;
    VslWeightNote fresh = {0};
    VSL_TRY(copy_text(&fresh.value, value));
    for (int64_t i = 0; i < w->notes; i++) {
        if (strcmp(w->note[i].key, key) == 0) {
            vsl_free(w->note[i].value);
            w->note[i].value = fresh.value;
            return VSL_OK;
        }
    }
    VSL_TRY(copy_text(&fresh.key, key));
    VSL_TRY(make_room((void **)&w->note, w->notes, &w->note_room, sizeof *w->note, "list of notes"));
    w->note[w->notes++] = fresh;
    fresh = (VslWeightNote){0};
out:
    vsl_free(fresh.key);
    vsl_free(fresh.value);
    return st;
}

const VslWeight *vsl_weights_find(const VslWeights *w, const char *name)
{
    for (int64_t i = 0; i < w->count; i++) {
        if (strcmp(w->item[i].name, name) == 0) {
            return &w->item[i];
        }
    }
    return NULL;
}

const char *vsl_weights_find_note(const VslWeights *w, const char *key)
{
    for (int64_t i = 0; i < w->notes; i++) {
        if (strcmp(w->note[i].key, key) == 0) {
            return w->note[i].value;
        }
    }
    return NULL;
}

VslShapeText vsl_shape_text(int rank, const int64_t *n)
{
    VslShapeText out = {"one number"};
    size_t at = 0;
    for (int d = 0; d < rank && at < sizeof out.text; d++) {
        at += (size_t)snprintf(out.text + at, sizeof out.text - at, "%s%lld", d ? "x" : "", (long long)n[d]);
    }
    return out;
}

/* A sentence that grows; what does not fit is counted. */
typedef struct Differences {
    char text[12000];
    size_t at;
    int count, left_out;
} Differences;

static void tell(Differences *d, const char *fmt, ...) VSL_PRINTF(2, 3);
static void tell(Differences *d, const char *fmt, ...)
{
    char one[2 * VSL_WEIGHT_NAME];
    va_list args;
    va_start(args, fmt);
    const int length = vsnprintf(one, sizeof one, fmt, args);
    va_end(args);
    d->count++;
    if (length < 0 || (size_t)length >= sizeof one || d->at + (size_t)length + 3 > sizeof d->text) {
        d->left_out++;
        return;
    }
    d->at += (size_t)snprintf(d->text + d->at, sizeof d->text - d->at, "%s%s", d->at ? "; " : "", one);
}

VslStatus vsl_weights_check_same(const VslWeights *expected, const VslWeights *found, const char *where)
{
    VslStatus st = VSL_OK;
    Differences d = {0};
    char more[64] = "";

    for (int64_t i = 0; i < expected->count; i++) {
        const VslWeight *want = &expected->item[i], *got = vsl_weights_find(found, want->name);
        if (!got) {
            tell(&d, "'%s' (%s) is missing", want->name, vsl_shape_text(want->rank, want->n).text);
        } else if (got->rank != want->rank || memcmp(got->n, want->n, sizeof got->n) != 0) {
            tell(&d, "'%s' is %s, expected %s", want->name, vsl_shape_text(got->rank, got->n).text,
                 vsl_shape_text(want->rank, want->n).text);
        }
    }
    for (int64_t i = 0; i < found->count; i++) {
        const VslWeight *got = &found->item[i];
        if (!vsl_weights_find(expected, got->name)) {
            tell(&d, "'%s' (%s) is not expected", got->name, vsl_shape_text(got->rank, got->n).text);
        }
    }
    if (d.left_out > 0) {
        snprintf(more, sizeof more, "; and %d more", d.left_out);
    }
    VSL_CHECK(d.count == 0, VSL_E_FORMAT, "%s: its weights belong to another network: %s%s", where, d.text, more);
out:
    return st;
}

void vsl_weights_free(VslWeights *w)
{
    for (int64_t i = 0; i < w->count; i++) {
        vsl_free(w->item[i].data);
    }
    for (int64_t i = 0; i < w->notes; i++) {
        vsl_free(w->note[i].key);
        vsl_free(w->note[i].value);
    }
    vsl_free(w->item);
    vsl_free(w->note);
    *w = (VslWeights){0};
}

void vsl_weights_move(VslWeights *out, VslWeights *in)
{
    vsl_weights_free(out);
    *out = *in;
    *in = (VslWeights){0};
}
