/*
 * Square tiles of rays: the solids that a tile can meet are listed once, out of those of a wider tile, and its rays
 * look at no others. Small pictures get several rays per pixel, so that a rib edge is as smooth in 64 x 64 as it is in
 * 1024 x 1024.
 */
#include "phantom/projection.h"

#include <stdlib.h>

#include "core/memory.h"
#include "core/parallel.h"

enum { FINE = 256 }; /* pixels along the longer side, below which a pixel is the mean of more than one ray */
enum { MOST_RAYS = 3, TILE = 4, WIDE = 8 };
/* Where a pixel's rays meet it: no two in one row or column of thirds. The last one is the centre's, for the masks. */
static const double meet[MOST_RAYS][2] = {{1.0 / 6, 5.0 / 6}, {5.0 / 6, 1.0 / 6}, {0.5, 0.5}};

/* cm^2 / g at 40, 50, 60 and 80 keV, and g / cm^3. Cortical bone, soft tissue, adipose tissue and air (ICRU-44) were
 * compared with values of Hubbell and Seltzer's tables as other programs quote them, not with the tables themselves;
 * lung is soft tissue thinned. Enamel and dentin (96 and 70 % hydroxyapatite, the rest water) and titanium were not
 * compared with a printed source. Spongy bone is about a quarter cortical, the rest soft tissue. Heavy metal stands for
 * what lets nothing through. */
static const struct {
    double at[4], density;
} substance[PH_MATERIALS] = {
    [PH_AIR_GAS] = {{0.249, 0.208, 0.188, 0.166}, 0.0012},
    [PH_FAT] = {{0.2396, 0.2123, 0.1974, 0.1800}, 0.95},
    [PH_SOFT] = {{0.2688, 0.2264, 0.2048, 0.1823}, 1.05},
    [PH_FLUID] = {{0.2688, 0.2264, 0.2048, 0.1823}, 1.02},
    [PH_LUNG_TISSUE] = {{0.2688, 0.2264, 0.2048, 0.1823}, 0.23},
    [PH_INFILTRATE] = {{0.2688, 0.2264, 0.2048, 0.1823}, 0.58},
    [PH_SPONGY] = {{0.3800, 0.2750, 0.2340, 0.1930}, 1.08},
    [PH_CORTICAL] = {{0.6655, 0.4242, 0.3148, 0.2229}, 1.85},
    [PH_DENTIN] = {{0.7640, 0.4750, 0.3450, 0.2350}, 2.10},
    [PH_ENAMEL] = {{0.9480, 0.5680, 0.3970, 0.2530}, 2.95},
    [PH_LIGHT_METAL] = {{2.2140, 1.2130, 0.7661, 0.4052}, 4.5},
    [PH_HEAVY_METAL] = {{15, 9, 6, 3}, 10},
};

static PhBeam beam_of(int first, double w0, double w1, double w2)
{
    PhBeam b = {.weight = {w0, w1, w2}};
    for (int e = 0; e < PH_ENERGIES; e++) {
        for (int m = 0; m < PH_MATERIALS; m++) {
            b.mu[e][m] = 0.1 * substance[m].at[first + e] * substance[m].density;
        }
    }
    return b;
}

PhBeam ph_beam_chest(void)
{
    return beam_of(1, 0.35, 0.35, 0.30);
}

PhBeam ph_beam_dental(void)
{
    return beam_of(0, 0.4, 0.4, 0.2);
}

typedef struct Work {
    PhProjection *out;
    const PhScene *scene;
    const PhCamera *camera;
    const PhBeam *beam;
    int *lists;      /* per worker: the solids of a wide tile, and of one within it */
    int rays, block; /* of a pixel; pixels along a tile */
    int64_t across;  /* wide tiles along a row */
} Work;

static PhRay ray_at(const Work *w, double column, double row, double *from, double *to)
{
    return w->camera->ray(w->camera->who, column / (double)w->out->n[0], row / (double)w->out->n[1], from, to);
}

static void pixel(const Work *w, const int *list, int count, int64_t i, int64_t j)
{
    const PhProjection *p = w->out;
    const int64_t at = j * p->n[0] + i;
    double clear[PH_ENERGIES] = {0}, ghost[PH_ENERGIES] = {0}, grain = 0, from, to;
    PhPath path;
    for (int k = MOST_RAYS - w->rays; k < MOST_RAYS; k++) {
        const PhRay r = ray_at(w, (double)i + meet[k][0], (double)j + meet[k][1], &from, &to);
        ph_scene_cast(w->scene, list, count, &r, from, to, &path);
        for (int e = 0; e < PH_ENERGIES; e++) {
            double layer = 0, rest = 0;
            for (int m = 0; m < PH_MATERIALS; m++) {
                layer += w->beam->mu[e][m] * path.layer[m];
                rest += fmin(w->beam->mu[e][m], w->beam->mu[e][PH_ENAMEL]) * path.rest[m];
            }
            clear[e] += exp(-layer);
            ghost[e] += rest;
        }
        grain += path.layer[w->camera->grained];
    }
    for (int e = 0; e < PH_ENERGIES; e++) {
        p->clear[e][at] = (float)(clear[e] / w->rays);
        if (p->ghost[e]) {
            p->ghost[e][at] = (float)(ghost[e] / w->rays);
        }
    }
    p->grain_mm[at] = (float)(grain / w->rays);
    uint32_t seen = 0;
    for (int o = 0; o < PH_MAX_ORGANS; o++) {
        seen |= (uint32_t)(path.seen[o] > 0) << o;
    }
    p->seen[at] = seen;
    p->touched[at] = path.touched;
}

/* The rays of pixels at[0]..at[2], at[1]..at[3]: their middle one, and how far 25 of them stray from it. */
static PhBundle bundle(const Work *w, const int64_t at[4])
{
    double from, to;
    PhBundle b = {.middle = ray_at(w, 0.5 * (double)(at[0] + at[2]), 0.5 * (double)(at[1] + at[3]), &from, &to)};
    const PhRay *m = &b.middle;
    b.at[0] = m->near;
    b.at[1] = 0.5 * (fmax(from, m->near) + fmin(to, m->far));
    b.at[2] = m->far;
    for (int k = 0; k < 25; k++) {
        const PhRay r = ray_at(w, (double)at[0] + 0.25 * (k % 5) * (double)(at[2] - at[0]),
                               (double)at[1] + 0.25 * (k / 5) * (double)(at[3] - at[1]), &from, &to);
        const double ahead = ph_inner(ph_plus(r.origin, -1, m->origin), m->along), rate = ph_inner(r.along, m->along);
        for (int i = 0; i < 3; i++) {
            const PhPoint p = ph_plus(r.origin, (b.at[i] - ahead) / rate, r.along);
            b.stray[i] = fmax(b.stray[i], ph_norm(ph_plus(p, -1, ph_plus(m->origin, b.at[i], m->along))));
        }
    }
    for (int i = 0; i < 3; i++) {
        b.stray[i] = 1.02 * b.stray[i] + 1e-6; /* between the rays looked at a curved film bulges a little */
    }
    return b;
}

static void tile_of(int64_t at[4], const Work *w, int64_t i0, int64_t j0, int64_t side)
{
    at[0] = i0, at[1] = j0;
    at[2] = i0 + side < w->out->n[0] ? i0 + side : w->out->n[0];
    at[3] = j0 + side < w->out->n[1] ? j0 + side : w->out->n[1];
}

static void wide_tile(void *ctx, int64_t item, int worker)
{
    const Work *w = ctx;
    int *wide = w->lists + 2 * worker * w->scene->solids, *list = wide + w->scene->solids;
    const int64_t side = (int64_t)w->block * WIDE;
    int64_t outer[4], at[4];
    tile_of(outer, w, item % w->across * side, item / w->across * side, side);
    const PhBundle all = bundle(w, outer);
    const int most = ph_scene_near(w->scene, NULL, (int)w->scene->solids, &all, wide);
    for (int64_t j0 = outer[1]; j0 < outer[3]; j0 += w->block) {
        for (int64_t i0 = outer[0]; i0 < outer[2]; i0 += w->block) {
            tile_of(at, w, i0, j0, w->block);
            const PhBundle few = bundle(w, at);
            const int count = ph_scene_near(w->scene, wide, most, &few, list);
            for (int64_t j = at[1]; j < at[3]; j++) {
                for (int64_t i = at[0]; i < at[2]; i++) {
                    pixel(w, list, count, i, j);
                }
            }
        }
    }
}

void ph_projection_free(PhProjection *p)
{
    for (int e = 0; e < PH_ENERGIES; e++) {
        vsl_free(p->clear[e]);
        vsl_free(p->ghost[e]);
    }
    vsl_free(p->grain_mm);
    vsl_free(p->seen);
    vsl_free(p->touched);
    *p = (PhProjection){0};
}

VslStatus ph_project(PhProjection *out, const PhScene *scene, const PhCamera *camera, const PhBeam *beam,
                     const int64_t n[2], int threads)
{
    VslStatus st = scene->status;
    const int64_t pixels = n[0] * n[1], longest = n[0] > n[1] ? n[0] : n[1];
    PhProjection p = {.n = {n[0], n[1]},
                      .grained = camera->grained,
                      .pixel_mm = {camera->width_mm / (double)n[0], camera->height_mm / (double)n[1]}};
    Work w = {.out = &p, .scene = scene, .camera = camera, .beam = beam};
    VSL_TRY(st);
    w.rays = longest < FINE ? MOST_RAYS : 1;
    w.block = w.rays > 1 ? TILE / 2 : TILE;
    const int64_t wide = (int64_t)w.block * WIDE;
    w.across = (n[0] + wide - 1) / wide;
    for (int e = 0; e < PH_ENERGIES; e++) {
        VSL_TRY(VSL_NEW(&p.clear[e], pixels, "projection"));
        if (camera->has_ghosts) {
            VSL_TRY(VSL_NEW(&p.ghost[e], pixels, "projection"));
        }
    }
    VSL_TRY(VSL_NEW(&p.grain_mm, pixels, "projection"));
    VSL_TRY(VSL_NEW(&p.seen, pixels, "projection"));
    VSL_TRY(VSL_NEW(&p.touched, pixels, "projection"));
    VSL_TRY(VSL_NEW(&w.lists, 2 * scene->solids * threads, "lists of solids"));
    vsl_parallel_for(w.across * ((n[1] + wide - 1) / wide), threads, wide_tile, &w);
    ph_projection_free(out);
    *out = p;
    p = (PhProjection){0};
out:
    vsl_free(w.lists);
    ph_projection_free(&p);
    return st;
}
