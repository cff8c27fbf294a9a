/*
 * Overlap and surface distance of two label maps on one grid.
 *
 * Dice is 2 |A and B| / (|A| + |B|). A surface is the set of a label's voxels that have a face neighbour outside the
 * label (or outside the grid); its distances to the other map's surface are Euclidean in mm, exact, by the lower
 * envelope of parabolas along each axis (Felzenszwalb and Huttenlocher, Theory of Computing 2012) in the box that holds
 * both surfaces. Distances of both directions are pooled. The grid's axes must be orthogonal for that; Dice needs no
 * such thing.
 */
#include "registration/quality.h"

#include <math.h>
#include <string.h>

#include "core/parallel.h"
#include "core/select.h"

typedef struct Tally {
    int64_t a, b, both;
    int64_t lo[3], hi[3]; /* box of the label in either map */
} Tally;

typedef struct Scores {
    const VslLabels *a, *b;
    int count;
    int capacity;
    int32_t *label; /* ascending */
    Tally *tally;
    VslLabelScore *rows;
    double spacing[3];
    VslStatus *status; /* of each label's surface distances */
} Scores;

/* --- which labels, how many voxels, where ------------------------------------------------------------------------ */

/* Position of label in the ascending list, or where it belongs. */
static int place(const Scores *s, int32_t label)
{
    int lo = 0, hi = s->count;
    while (lo < hi) {
        const int mid = (lo + hi) / 2;
        if (s->label[mid] < label) {
            lo = mid + 1;
        } else {
            hi = mid;
        }
    }
    return lo;
}

static VslStatus grow(Scores *s)
{
    VslStatus st = VSL_OK;
    const int capacity = s->capacity ? 2 * s->capacity : 64;
    int32_t *label = NULL;
    Tally *tally = NULL;
    VSL_CHECK(s->capacity < (1 << 24), VSL_E_ARG, "the label maps hold more than %d labels", s->capacity);
    VSL_TRY(VSL_NEW(&label, capacity, "list of labels"));
    VSL_TRY(VSL_NEW(&tally, capacity, "counts of labels"));
    if (s->count > 0) {
        memcpy(label, s->label, (size_t)s->count * sizeof *label);
        memcpy(tally, s->tally, (size_t)s->count * sizeof *tally);
    }
    vsl_free(s->label);
    vsl_free(s->tally);
    s->label = label;
    s->tally = tally;
    s->capacity = capacity;
    label = NULL;
    tally = NULL;
out:
    vsl_free(label);
    vsl_free(tally);
    return st;
}

static VslStatus find(Tally **out, Scores *s, int32_t label)
{
    VslStatus st = VSL_OK;
    int p = place(s, label);
    if (p == s->count || s->label[p] != label) {
        if (s->count == s->capacity) {
            VSL_TRY(grow(s));
        }
        memmove(s->label + p + 1, s->label + p, (size_t)(s->count - p) * sizeof *s->label);
        memmove(s->tally + p + 1, s->tally + p, (size_t)(s->count - p) * sizeof *s->tally);
        s->label[p] = label;
        s->tally[p] = (Tally){.lo = {INT64_MAX, INT64_MAX, INT64_MAX}, .hi = {-1, -1, -1}};
        s->count++;
    }
    *out = &s->tally[p];
out:
    return st;
}

static void widen(Tally *t, int64_t i, int64_t j, int64_t k)
{
    const int64_t at[3] = {i, j, k};
    for (int d = 0; d < 3; d++) {
        t->lo[d] = at[d] < t->lo[d] ? at[d] : t->lo[d];
        t->hi[d] = at[d] > t->hi[d] ? at[d] : t->hi[d];
    }
}

static VslStatus count_voxels(Scores *s)
{
    VslStatus st = VSL_OK;
    const int64_t *n = s->a->grid.n;
    for (int64_t row = 0; row < n[1] * n[2]; row++) {
        const int32_t *a = s->a->data + row * n[0], *b = s->b->data + row * n[0];
        for (int64_t i = 0, run; i < n[0]; i += run) { /* runs of one pair of labels */
            Tally *t;
            for (run = 1; i + run < n[0] && a[i + run] == a[i] && b[i + run] == b[i]; run++) {
            }
            const int32_t pair[2] = {a[i], b[i]};
            for (int which = 0; which < 2; which++) {
                if (pair[which] <= 0) {
                    continue;
                }
                VSL_TRY(find(&t, s, pair[which]));
                widen(t, i, row % n[1], row / n[1]);
                widen(t, i + run - 1, row % n[1], row / n[1]);
                if (which == 0) {
                    t->a += run;
                    t->both += pair[0] == pair[1] ? run : 0;
                } else {
                    t->b += run;
                }
            }
        }
    }
out:
    return st;
}

/* --- surfaces ---------------------------------------------------------------------------------------------------- */

typedef struct Box {
    int64_t lo[3], n[3], voxels;
    float *squared;   /* squared mm to the nearest surface voxel of the other map */
    uint8_t *edge[2]; /* surface voxels of a and b */
    double *f, *z;    /* one line and its envelope's borders */
    int64_t *v;       /* the envelope's parabolas */
    float *distances; /* pooled, mm */
} Box;

static void mark_surface(uint8_t *edge, const Box *box, const VslLabels *map, int32_t label)
{
    const int64_t *n = map->grid.n, stride[3] = {1, n[0], n[0] * n[1]};
    for (int64_t k = 0; k < box->n[2]; k++) {
        for (int64_t j = 0; j < box->n[1]; j++) {
            for (int64_t i = 0; i < box->n[0]; i++) {
                const int64_t at[3] = {box->lo[0] + i, box->lo[1] + j, box->lo[2] + k};
                const int32_t *p = map->data + at[0] + at[1] * stride[1] + at[2] * stride[2];
                uint8_t is_edge = 0;
                for (int d = 0; d < 3 && *p == label; d++) {
                    /* an axis one voxel thick has no faces: a 2D region's surface is its outline */
                    is_edge |= n[d] > 1 && (at[d] == 0 || p[-stride[d]] != label);
                    is_edge |= n[d] > 1 && (at[d] == n[d] - 1 || p[stride[d]] != label);
                }
                edge[(k * box->n[1] + j) * box->n[0] + i] = is_edge;
            }
        }
    }
}

/* Lower envelope of the parabolas f[q] + (h (p - q))^2 on one line, in place at data[. * stride]. */
static void envelope(Box *box, float *data, int64_t count, int64_t stride, double h)
{
    double *f = box->f, *z = box->z;
    int64_t *v = box->v, top = -1;
    const double h2 = h * h;
    for (int64_t q = 0; q < count; q++) {
        f[q] = (double)data[q * stride];
        if (!(f[q] < INFINITY)) {
            continue;
        }
        double from = -INFINITY;
        while (top >= 0) {
            const double dq = (double)(q - v[top]), mid = 0.5 * (double)(q + v[top]);
            from = mid + (f[q] - f[v[top]]) / (2 * h2 * dq);
            if (from > z[top]) {
                break;
            }
            top--;
        }
        top++;
        v[top] = q;
        z[top] = top == 0 ? -INFINITY : from;
    }
    if (top < 0) {
        return;
    }
    for (int64_t p = 0, at = 0; p < count; p++) {
        while (at < top && z[at + 1] < (double)p) {
            at++;
        }
        const double dp = (double)(p - v[at]);
        data[p * stride] = (float)(f[v[at]] + h2 * dp * dp);
    }
}

static void distance_to(Box *box, const uint8_t *edge, const double spacing[3])
{
    const int64_t *n = box->n;
    for (int64_t i = 0; i < box->voxels; i++) {
        box->squared[i] = edge[i] ? 0.0F : INFINITY;
    }
    for (int64_t row = 0; row < n[1] * n[2]; row++) {
        envelope(box, box->squared + row * n[0], n[0], 1, spacing[0]);
    }
    for (int64_t k = 0; k < n[2]; k++) {
        for (int64_t i = 0; i < n[0]; i++) {
            envelope(box, box->squared + k * n[0] * n[1] + i, n[1], n[0], spacing[1]);
        }
    }
    for (int64_t i = 0; i < n[0] * n[1]; i++) {
        envelope(box, box->squared + i, n[2], n[0] * n[1], spacing[2]);
    }
}

static VslStatus box_new(Box *box, const Tally *t)
{
    VslStatus st = VSL_OK;
    int64_t longest = 1;
    box->voxels = 1;
    for (int d = 0; d < 3; d++) {
        box->lo[d] = t->lo[d];
        box->n[d] = t->hi[d] - t->lo[d] + 1;
        box->voxels *= box->n[d];
        longest = box->n[d] > longest ? box->n[d] : longest;
    }
    VSL_TRY(VSL_NEW(&box->squared, box->voxels, "distance map"));
    VSL_TRY(VSL_NEW(&box->edge[0], box->voxels, "surface of a label"));
    VSL_TRY(VSL_NEW(&box->edge[1], box->voxels, "surface of a label"));
    VSL_TRY(VSL_NEW(&box->f, longest, "line of distances"));
    VSL_TRY(VSL_NEW(&box->z, longest, "line of distances"));
    VSL_TRY(VSL_NEW(&box->v, longest, "line of distances"));
    VSL_TRY(VSL_NEW(&box->distances, t->a + t->b, "surface distances"));
out:
    return st;
}

static void box_free(Box *box)
{
    vsl_free(box->squared);
    vsl_free(box->edge[0]);
    vsl_free(box->edge[1]);
    vsl_free(box->f);
    vsl_free(box->z);
    vsl_free(box->v);
    vsl_free(box->distances);
}

static void surface_item(void *ctx, int64_t item, int worker)
{
    (void)worker;
    Scores *s = ctx;
    VslStatus st = VSL_OK;
    const Tally *t = &s->tally[item];
    VslLabelScore *row = &s->rows[item];
    Box box = {0};
    if (t->a == 0 || t->b == 0) {
        goto out;
    }
    VSL_TRY(box_new(&box, t));
    mark_surface(box.edge[0], &box, s->a, row->label);
    mark_surface(box.edge[1], &box, s->b, row->label);
    int64_t count = 0;
    double sum = 0;
    for (int to = 0; to < 2; to++) {
        distance_to(&box, box.edge[to], s->spacing);
        for (int64_t i = 0; i < box.voxels; i++) {
            if (box.edge[1 - to][i]) {
                const double d = sqrt((double)box.squared[i]);
                sum += d;
                box.distances[count++] = (float)d;
            }
        }
    }
    if (count > 0) { /* a grid of a single voxel has no faces */
        row->surface_mean_mm = sum / (double)count;
        row->surface_p95_mm = vsl_percentile(box.distances, count, 95);
        row->surface_max_mm = vsl_percentile(box.distances, count, 100);
    }
out:
    box_free(&box);
    s->status[item] = st;
}

static VslStatus check_orthogonal(const VslGrid *g)
{
    VslStatus st = VSL_OK;
    double h[3];
    vsl_grid_spacing(h, g);
    for (int p = 0; p < 3; p++) {
        const int q = (p + 1) % 3;
        double dot = 0;
        for (int r = 0; r < 3; r++) {
            dot += g->to_ras.m[r][p] * g->to_ras.m[r][q];
        }
        VSL_CHECK(fabs(dot) <= 1e-3 * h[p] * h[q], VSL_E_UNSUPPORTED,
                  "surface distances need orthogonal voxel axes, but axes %d and %d have a cosine of %g", p, q,
                  dot / (h[p] * h[q]));
    }
out:
    return st;
}

VslStatus vsl_label_scores(VslLabelScore **rows, int *count, double *mean_dice, const VslLabels *a, const VslLabels *b,
                           int with_surfaces, int threads)
{
    VslStatus st = VSL_OK;
    Scores s = {.a = a, .b = b};
    VSL_TRY(vsl_grid_check_same(&a->grid, "first label map", &b->grid, "second label map"));
    VSL_TRY(count_voxels(&s));
    VSL_TRY(VSL_NEW0(&s.rows, s.count > 0 ? s.count : 1, "label scores"));
    VSL_TRY(VSL_NEW0(&s.status, s.count > 0 ? s.count : 1, "label scores"));
    const double mm3 = vsl_grid_voxel_mm3(&a->grid);
    double sum = 0;
    for (int l = 0; l < s.count; l++) {
        const Tally *t = &s.tally[l];
        const double dice = 2 * (double)t->both / (double)(t->a + t->b);
        s.rows[l] = (VslLabelScore){s.label[l], dice, mm3 * (double)t->a, mm3 * (double)t->b, NAN, NAN, NAN};
        sum += dice;
    }
    if (with_surfaces) {
        vsl_grid_spacing(s.spacing, &a->grid);
        VSL_TRY(check_orthogonal(&a->grid));
        vsl_parallel_for(s.count, vsl_threads_resolve(threads), surface_item, &s);
        for (int l = 0; l < s.count; l++) {
            VSL_CHECK(s.status[l] == VSL_OK, s.status[l], "no memory for the surface distances of label %d",
                      (int)s.label[l]);
        }
    }
    *rows = s.rows;
    *count = s.count;
    *mean_dice = s.count > 0 ? sum / s.count : NAN;
    s.rows = NULL;
out:
    vsl_free(s.label);
    vsl_free(s.tally);
    vsl_free(s.rows);
    vsl_free(s.status);
    return st;
}
