/* A ring of batches between the thread that fills them and the caller that uses them. */
#include "diffusion/loader.h"

#include <pthread.h>
#include <string.h>

enum { SLOTS = 3 }; /* one in use, two ahead */

typedef struct Slot {
    VslBatch batch;
    float *image, *mask;
    int64_t *item;
    unsigned char *seen;
} Slot;

struct VslLoader {
    VslSource source;
    int batch, turns, ranks, rank;
    int64_t made, used; /* batches; slot = number % SLOTS. Under the lock */
    int64_t first_step;
    int is_ending, has_thread;
    Slot slot[SLOTS];
    pthread_t thread;
    pthread_mutex_t lock;
    pthread_cond_t change;
};

static void fill(VslLoader *l, int64_t which)
{
    Slot *slot = &l->slot[which % SLOTS];
    VslBatch *b = &slot->batch;
    const int64_t voxels = l->source.n[0] * l->source.n[1] * l->source.n[2];
    const int64_t step = l->first_step + which / l->turns;
    b->number = (step * l->ranks + l->rank) * l->turns + which % l->turns;
    b->first = (uint64_t)b->number * (uint64_t)l->batch;
    for (int i = 0; i < l->batch; i++) {
        float *mask = slot->mask ? slot->mask + i * l->source.masks * voxels : NULL;
        l->source.fill(l->source.user, b->first + (uint64_t)i, i, slot->image + i * l->source.channels * voxels, mask,
                       &slot->item[i], &slot->seen[i]);
    }
}

static void *run(void *user)
{
    VslLoader *l = user;
    pthread_mutex_lock(&l->lock);
    while (!l->is_ending) {
        if (l->made - l->used >= SLOTS - 1) { /* one slot is the caller's */
            pthread_cond_wait(&l->change, &l->lock);
            continue;
        }
        const int64_t which = l->made;
        pthread_mutex_unlock(&l->lock);
        fill(l, which);
        pthread_mutex_lock(&l->lock);
        l->made++;
        pthread_cond_broadcast(&l->change);
    }
    pthread_mutex_unlock(&l->lock);
    return NULL;
}

static VslStatus slot_new(Slot *s, const VslLoader *l)
{
    VslStatus st = VSL_OK;
    const VslSource *source = &l->source;
    const int64_t voxels = source->n[0] * source->n[1] * source->n[2];
    VSL_TRY(VSL_NEW0(&s->image, l->batch * source->channels * voxels, "batch"));
    if (source->masks > 0) {
        VSL_TRY(VSL_NEW0(&s->mask, l->batch * source->masks * voxels, "masks of a batch"));
    }
    VSL_TRY(VSL_NEW0(&s->item, l->batch, "batch"));
    VSL_TRY(VSL_NEW0(&s->seen, l->batch, "batch"));
    s->batch = (VslBatch){.count = l->batch,
                          .channels = source->channels,
                          .masks = source->masks,
                          .image = s->image,
                          .mask = s->mask,
                          .item = s->item,
                          .seen = s->seen};
    memcpy(s->batch.n, source->n, sizeof s->batch.n);
out:
    return st;
}

VslStatus vsl_loader_new(VslLoader **out, const VslSource *source, int batch, int turns, int ranks, int rank,
                         int64_t first_step)
{
    VslStatus st = VSL_OK;
    VslLoader *l = NULL;
    VSL_CHECK(batch >= 1 && turns >= 1 && ranks >= 1 && rank >= 0 && rank < ranks && first_step >= 0, VSL_E_ARG,
              "a loader of batches of %d, %d turns, rank %d of %d", batch, turns, rank, ranks);
    VSL_TRY(VSL_NEW0(&l, 1, "loader"));
    l->source = *source;
    l->batch = batch;
    l->turns = turns;
    l->ranks = ranks;
    l->rank = rank;
    l->first_step = first_step;
    pthread_mutex_init(&l->lock, NULL);
    pthread_cond_init(&l->change, NULL);
    for (int i = 0; i < SLOTS; i++) {
        VSL_TRY(slot_new(&l->slot[i], l));
    }
    VSL_CHECK(pthread_create(&l->thread, NULL, run, l) == 0, VSL_E_EXTERNAL, "no thread can be started for the loader");
    l->has_thread = 1;
    *out = l;
    l = NULL;
out:
    vsl_loader_free(&l);
    return st;
}

const VslBatch *vsl_loader_next(VslLoader *l)
{
    pthread_mutex_lock(&l->lock);
    /* The batch given out before is free now: it counts as used from here on. */
    const int64_t which = l->used;
    while (l->made <= which) {
        pthread_cond_wait(&l->change, &l->lock);
    }
    l->used = which + 1;
    pthread_cond_broadcast(&l->change);
    pthread_mutex_unlock(&l->lock);
    return &l->slot[which % SLOTS].batch;
}

void vsl_loader_free(VslLoader **loader)
{
    VslLoader *l = *loader;
    if (!l) {
        return;
    }
    if (l->has_thread) {
        pthread_mutex_lock(&l->lock);
        l->is_ending = 1;
        pthread_cond_broadcast(&l->change);
        pthread_mutex_unlock(&l->lock);
        pthread_join(l->thread, NULL);
    }
    pthread_cond_destroy(&l->change);
    pthread_mutex_destroy(&l->lock);
    for (int i = 0; i < SLOTS; i++) {
        vsl_free(l->slot[i].image);
        vsl_free(l->slot[i].mask);
        vsl_free(l->slot[i].item);
        vsl_free(l->slot[i].seen);
    }
    vsl_free(l);
    *loader = NULL;
}

static void fill_from_subset(void *user, uint64_t sample, int position, float *image, float *mask, int64_t *item,
                             unsigned char *seen)
{
    const VslSubsetSource *s = user;
    const VslDataset *d = s->data;
    (void)position;
    *item = s->is_ordered ? s->subset->item[sample % (uint64_t)s->subset->count]
                          : vsl_subset_item(s->subset, s->seed, sample);
    memcpy(image, vsl_dataset_image(d, *item), (size_t)vsl_dataset_image_size(d) * sizeof *image);
    const float *known = d->masks > 0 ? vsl_dataset_mask(d, *item) : NULL;
    *seen = known != NULL;
    if (known) {
        memcpy(mask, known, (size_t)vsl_dataset_mask_size(d) * sizeof *mask);
    } else if (mask) {
        memset(mask, 0, (size_t)vsl_dataset_mask_size(d) * sizeof *mask);
    }
    if (s->change) {
        s->change(s->user, sample, image, mask);
    }
}

VslSource vsl_subset_source(VslSubsetSource *s)
{
    VslSource out = {fill_from_subset, s, {0}, s->data->channels, s->data->masks};
    memcpy(out.n, s->data->n, sizeof out.n);
    return out;
}
