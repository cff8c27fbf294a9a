/* Pictures in memory, their split by subject, and the order in which they are seen. */
#include "diffusion/data.h"

#include <stdlib.h>
#include <string.h>

#include "core/random.h"

static VslStatus copy_text(char **out, const char *text)
{
    VslStatus st = VSL_OK;
    const size_t size = strlen(text) + 1;
    VSL_TRY(VSL_NEW(out, size, "name"));
    memcpy(*out, text, size);
out:
    return st;
}

VslStatus vsl_dataset_new(VslDataset *out, int64_t count, const int64_t n[3], int channels, int masks,
                          const char *const *mask_name)
{
    VslStatus st = VSL_OK;
    VslDataset d = {.channels = channels, .masks = masks, .count = count};
    int64_t floats = 0;

    memcpy(d.n, n, sizeof d.n);
    VSL_CHECK(count >= 1 && channels >= 1 && masks >= 0 && n[0] >= 1 && n[1] >= 1 && n[2] >= 1, VSL_E_ARG,
              "a data set of %lld images of %lldx%lldx%lld with %d channels and %d masks", (long long)count,
              (long long)n[0], (long long)n[1], (long long)n[2], channels, masks);
    VSL_CHECK(vsl_mul_ok(n[0], n[1], &floats) && vsl_mul_ok(floats, n[2], &floats) &&
                  vsl_mul_ok(floats, channels + masks, &floats) && vsl_mul_ok(floats, count, &floats),
              VSL_E_ARG, "the data set is too large to be counted");
    VSL_TRY(VSL_NEW0(&d.item, count, "data set"));
    VSL_TRY(VSL_NEW0(&d.image, count * vsl_dataset_image_size(&d), "pictures of the data set"));
    if (masks > 0) {
        VSL_TRY(VSL_NEW0(&d.mask, count * vsl_dataset_mask_size(&d), "masks of the data set"));
        VSL_TRY(VSL_NEW0(&d.mask_name, masks, "data set"));
        for (int m = 0; m < masks; m++) {
            VSL_TRY(copy_text(&d.mask_name[m], mask_name[m]));
        }
    }
    vsl_dataset_free(out);
    *out = d;
    d = (VslDataset){0};
out:
    vsl_dataset_free(&d);
    return st;
}

void vsl_dataset_free(VslDataset *d)
{
    for (int64_t i = 0; d->item && i < d->count; i++) {
        vsl_free(d->item[i].name);
        vsl_free(d->item[i].subject);
    }
    for (int m = 0; d->mask_name && m < d->masks; m++) {
        vsl_free(d->mask_name[m]);
    }
    vsl_free(d->item);
    vsl_free(d->mask_name);
    vsl_free(d->image);
    vsl_free(d->mask);
    *d = (VslDataset){0};
}

int64_t vsl_dataset_image_size(const VslDataset *d)
{
    return d->channels * d->n[0] * d->n[1] * d->n[2];
}

int64_t vsl_dataset_mask_size(const VslDataset *d)
{
    return d->masks * d->n[0] * d->n[1] * d->n[2];
}

const float *vsl_dataset_image(const VslDataset *d, int64_t i)
{
    return d->image + i * vsl_dataset_image_size(d);
}

const float *vsl_dataset_mask(const VslDataset *d, int64_t i)
{
    return d->item[i].has_masks ? d->mask + i * vsl_dataset_mask_size(d) : NULL;
}

/* Picture and masks of an item whose names are set. */
static VslStatus put_pictures(VslDataset *d, int64_t i, const VslVolume *image, const VslVolume *masks)
{
    VslStatus st = VSL_OK;
    const int64_t voxels = d->n[0] * d->n[1] * d->n[2];
    VslItem *item = &d->item[i];

    VSL_CHECK(image->channels == d->channels, VSL_E_ARG, "it has %d channels, expected %d", image->channels,
              d->channels);
    for (int c = d->channels - 1; c >= 0; c--) { /* the fit that stays is channel 0's */
        VSL_TRY(vsl_fit_make(&item->fit, image, c, d->n));
        VSL_TRY(vsl_fit_image(d->image + i * vsl_dataset_image_size(d) + c * voxels, &item->fit, image, c));
    }
    if (masks) {
        VSL_CHECK(masks->channels == d->masks, VSL_E_ARG, "it has %d masks, expected %d", masks->channels, d->masks);
        VSL_TRY(vsl_grid_check_same(&masks->grid, "the masks", &image->grid, "the image"));
        for (int m = 0; m < d->masks; m++) {
            VSL_TRY(vsl_fit_mask(d->mask + i * vsl_dataset_mask_size(d) + m * voxels, &item->fit, masks, m));
        }
        item->has_masks = 1;
    }
out:
    return st;
}

VslStatus vsl_dataset_put(VslDataset *d, int64_t i, const char *name, const char *subject, VslSplit split,
                          const VslVolume *image, const VslVolume *masks)
{
    VslStatus st = VSL_OK;
    VslItem *item = &d->item[i];
    VSL_CHECK(i >= 0 && i < d->count && !item->name, VSL_E_ARG, "item %lld of %lld is not free", (long long)i,
              (long long)d->count);
    VSL_TRY(copy_text(&item->name, name));
    VSL_TRY(copy_text(&item->subject, subject && subject[0] ? subject : name));
    item->split = split;
    st = put_pictures(d, i, image, masks);
    if (st != VSL_OK) {
        st = vsl_fail(st, __func__, "%s: %s", name, vsl_error());
    }
out:
    return st;
}

typedef struct Ranked { /* an item, in the order of its subject's draw */
    double draw;
    const char *subject;
    int64_t item;
} Ranked;

static int by_draw(const void *a, const void *b)
{
    const Ranked *x = a, *y = b;
    const int by_number = (x->draw > y->draw) - (x->draw < y->draw);
    const int by_subject = by_number ? by_number : strcmp(x->subject, y->subject);
    return by_subject ? by_subject : (x->item > y->item) - (x->item < y->item);
}

/* Items in a random order of their subjects: stream counts the uses of one seed. */
static VslStatus rank_subjects(Ranked **out, const VslDataset *d, const VslSubset *from, uint64_t seed, uint64_t use)
{
    VslStatus st = VSL_OK;
    Ranked *r = NULL;
    VSL_TRY(VSL_NEW(&r, from->count + 1, "subjects"));
    for (int64_t k = 0; k < from->count; k++) {
        const char *subject = d->item[from->item[k]].subject;
        r[k] = (Ranked){vsl_random_uniform(seed, vsl_random_stream(subject), use), subject, from->item[k]};
    }
    qsort(r, (size_t)from->count, sizeof *r, by_draw);
    *out = r;
out:
    return st;
}

VslStatus vsl_dataset_split(VslDataset *d, uint64_t seed, double validation, double test)
{
    VslStatus st = VSL_OK;
    VslSubset all = {0};
    Ranked *r = NULL;
    int has_validation = 0, has_test = 0;

    VSL_TRY(vsl_subset_of(&all, d, VSL_SPLIT_NONE, 0));
    VSL_TRY(rank_subjects(&r, d, &all, seed, 0));
    for (int64_t k = 0, end; k < d->count; k = end) {
        VslSplit part = VSL_SPLIT_NONE;
        for (end = k; end < d->count && strcmp(r[end].subject, r[k].subject) == 0; end++) {
            const VslItem *item = &d->item[r[end].item];
            VSL_CHECK(item->split == VSL_SPLIT_NONE || part == VSL_SPLIT_NONE || item->split == part, VSL_E_ARG,
                      "subject '%s' is in two parts of the split: a network would be judged on whom it has seen",
                      item->subject);
            part = item->split != VSL_SPLIT_NONE ? item->split : part;
        }
        if (part == VSL_SPLIT_NONE) {
            const double draw = r[k].draw;
            if (draw < validation || (validation > 0 && !has_validation)) {
                part = VSL_SPLIT_VALIDATION;
                has_validation = 1;
            } else if (draw < validation + test || (test > 0 && !has_test)) {
                part = VSL_SPLIT_TEST;
                has_test = 1;
            } else {
                part = VSL_SPLIT_TRAIN;
            }
        }
        for (int64_t i = k; i < end; i++) {
            d->item[r[i].item].split = part;
        }
    }
out:
    vsl_free(r);
    vsl_subset_free(&all);
    return st;
}

VslStatus vsl_subset_of(VslSubset *out, const VslDataset *d, VslSplit part, int with_masks)
{
    VslStatus st = VSL_OK;
    VslSubset s = {0};
    VSL_TRY(VSL_NEW(&s.item, d->count + 1, "subset"));
    for (int64_t i = 0; i < d->count; i++) {
        if ((part == VSL_SPLIT_NONE || d->item[i].split == part) && (!with_masks || d->item[i].has_masks)) {
            s.item[s.count++] = i;
        }
    }
    vsl_subset_free(out);
    *out = s;
out:
    return st;
}

VslStatus vsl_subset_draw(VslSubset *out, const VslDataset *d, const VslSubset *from, int64_t keep, uint64_t seed)
{
    VslStatus st = VSL_OK;
    VslSubset s = {.count = keep};
    Ranked *r = NULL;
    VSL_CHECK(keep >= 1 && keep <= from->count, VSL_E_ARG, "%lld images are to be drawn from %lld", (long long)keep,
              (long long)from->count);
    VSL_TRY(VSL_NEW(&s.item, keep, "subset"));
    VSL_TRY(rank_subjects(&r, d, from, seed, 1));
    for (int64_t k = 0; k < keep; k++) {
        s.item[k] = r[k].item;
    }
    vsl_subset_free(out);
    *out = s;
    s = (VslSubset){0};
out:
    vsl_free(r);
    vsl_subset_free(&s);
    return st;
}

void vsl_subset_free(VslSubset *s)
{
    vsl_free(s->item);
    *s = (VslSubset){0};
}

/* A permutation of 0..n-1 without a table: a Feistel network on an even number of bits, walked until it lands below n
 * (Black and Rogaway, CT-RSA 2002, "cycle walking"). */
static uint64_t permute(uint64_t x, uint64_t n, uint64_t seed, uint64_t epoch)
{
    enum { ROUNDS = 4 };
    int half = 1;
    while (half < 31 && (uint64_t)1 << 2 * half < n) {
        half++;
    }
    const uint64_t mask = ((uint64_t)1 << half) - 1;
    do {
        uint64_t left = x >> half, right = x & mask;
        for (uint64_t round = 0; round < ROUNDS; round++) {
            uint32_t words[4];
            vsl_random_bits(words, seed, vsl_random_stream("epoch") ^ (epoch * ROUNDS + round), right);
            const uint64_t next = left ^ (words[0] & mask);
            left = right;
            right = next;
        }
        x = left << half | right;
    } while (x >= n);
    return x;
}

int64_t vsl_subset_item(const VslSubset *s, uint64_t seed, uint64_t draw)
{
    const uint64_t n = (uint64_t)s->count;
    return s->item[permute(draw % n, n, seed, draw / n)];
}
