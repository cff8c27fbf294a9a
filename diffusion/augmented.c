#include "diffusion/augmented.h"

#include <string.h>

#include "core/memory.h"
#include "core/random.h"

struct VslAugmentedSource {
    const VslDataset *data;
    const VslSubset *all, *labelled;
    int batch;
    VslAugment how;
    uint64_t seed;
};

static void fill(void *user, uint64_t sample, int position, float *image, float *mask, int64_t *item,
                 unsigned char *seen)
{
    const VslAugmentedSource *s = user;
    const VslDataset *d = s->data;
    const int has_labels = s->labelled && position < s->batch / 2;
    /* Halves are numbered apart, so that each goes through its own items in its own order. */
    const uint64_t batch = sample / (uint64_t)s->batch, half = (uint64_t)(s->batch / 2);
    const uint64_t draw = !s->labelled ? sample
                          : has_labels ? batch * half + (uint64_t)position
                                       : batch * ((uint64_t)s->batch - half) + (uint64_t)position - half;
    *item = vsl_subset_item(has_labels ? s->labelled : s->all, s->seed, draw);
    const float *masks = d->masks > 0 && (has_labels || !s->labelled) ? vsl_dataset_mask(d, *item) : NULL;
    *seen = masks != NULL;
    vsl_augment(image, mask, vsl_dataset_image(d, *item), d->channels, masks, masks ? d->masks : 0, d->n, &s->how,
                s->seed, sample);
    if (mask && !masks) {
        memset(mask, 0, (size_t)vsl_dataset_mask_size(d) * sizeof *mask);
    }
}

VslStatus vsl_augmented_source_new(VslAugmentedSource **out, const VslDataset *data, const VslSubset *all,
                                   const VslSubset *labelled, int batch, const VslAugment *how, uint64_t seed)
{
    VslStatus st = VSL_OK;
    VslAugmentedSource *s = NULL;
    VSL_CHECK(all->count > 0 && (!labelled || labelled->count > 0), VSL_E_ARG, "there are no pictures to learn from");
    VSL_CHECK(batch >= 1 + (labelled != NULL), VSL_E_ARG, "a batch of %d, expected at least %d", batch,
              1 + (labelled != NULL));
    VSL_TRY(VSL_NEW0(&s, 1, "a source of samples"));
    *s = (VslAugmentedSource){data, all, labelled, batch, *how, seed};
    *out = s;
out:
    return st;
}

void vsl_augmented_source_free(VslAugmentedSource **s)
{
    vsl_free(*s);
    *s = NULL;
}

VslSource vsl_augmented_source(VslAugmentedSource *s)
{
    VslSource source = {.fill = fill, .user = s, .channels = s->data->channels, .masks = s->data->masks};
    memcpy(source.n, s->data->n, sizeof source.n);
    return source;
}
