/*
 * vesal diffusion segment: masks of films on their own grids, with a picture, a map of uncertainty and numbers. A film
 * need not be in any manifest; any extent, bit depth and colour type that the readers know will do.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/learn.h"
#include "cli/segment_picture.h"
#include "core/memory.h"
#include "io/path.h"

enum { MOST_FILMS = 100000 };

typedef struct SegmentArgs {
    const char *model, *out, *levels;
    CliList images;
    int inverted;
} SegmentArgs;

/* "film-1" of "folder/film-1.png" */
static void stem_of(char *out, size_t size, const char *path)
{
    const char *slash = strrchr(path, '/'), *name = slash ? slash + 1 : path;
    static const char *const suffixes[] = {".nii.gz", ".nii", ".png"};
    snprintf(out, size, "%s", name);
    for (size_t i = 0; i < sizeof suffixes / sizeof *suffixes; i++) {
        if (vsl_path_has_suffix(out, suffixes[i])) {
            out[strlen(out) - strlen(suffixes[i])] = 0;
            return;
        }
    }
}

static VslStatus make_folder(const char *path)
{
    struct stat s;
    if (mkdir(path, 0777) == 0 || (errno == EEXIST && stat(path, &s) == 0 && S_ISDIR(s.st_mode))) {
        return VSL_OK;
    }
    return vsl_fail(VSL_E_WRITE, __func__, "--out: the folder '%s' cannot be made: %s", vsl_path_text(path).text,
                    strerror(errno));
}

typedef struct Outputs { /* names of one film's files */
    CliPath picture, uncertainty, json;
    char stem[256];
    const char *suffix; /* of images: ".png", or ".nii.gz" for a NIfTI film */
} Outputs;

static VslStatus join(CliPath *out, const char *folder, const char *stem, const char *what, const char *suffix)
{
    const int n = snprintf(out->text, sizeof out->text, "%s/%s_%s%s", folder, stem, what, suffix);
    return n >= 0 && n < CLI_PATH_MAX
               ? VSL_OK
               : vsl_fail(VSL_E_ARG, __func__, "the name of '%s' is too long", vsl_path_text(stem).text);
}

static VslStatus mask_path(CliPath *out, const SegmentArgs *args, const Outputs *o, const char *structure)
{
    char what[VSL_CONFIG_TEXT];
    snprintf(what, sizeof what, "mask-%s", structure);
    return join(out, args->out, o->stem, what, o->suffix);
}

/* Everything that will be written, looked at before anything is computed. */
static VslStatus plan(Outputs *o, const Cli *cli, const SegmentArgs *args, const CliSegmenter *m, const char *film)
{
    VslStatus st = VSL_OK;
    CliPath mask;
    stem_of(o->stem, sizeof o->stem, film);
    o->suffix = vsl_path_has_suffix(film, ".nii") || vsl_path_has_suffix(film, ".nii.gz") ? ".nii.gz" : ".png";
    VSL_TRY(join(&o->picture, args->out, o->stem, "overlay", ".png"));
    VSL_TRY(join(&o->uncertainty, args->out, o->stem, "uncertainty", o->suffix));
    VSL_TRY(join(&o->json, args->out, o->stem, "segmentation", ".json"));
    VSL_TRY(cli_check_output(cli, o->picture.text));
    VSL_TRY(cli_check_output(cli, o->uncertainty.text));
    VSL_TRY(cli_check_output(cli, o->json.text));
    for (int k = 0; k < m->setup.structures; k++) {
        VSL_TRY(mask_path(&mask, args, o, m->structures.name[k]));
        VSL_TRY(cli_check_output(cli, mask.text));
    }
out:
    return st;
}

static VslStatus write_masks(const SegmentArgs *args, const Outputs *o, const CliSegmenter *m, const CliFilm *f)
{
    VslStatus st = VSL_OK;
    VslLabels mask = {0};
    CliPath path;
    const int64_t voxels = vsl_grid_voxels(&f->image.grid);
    const int32_t inside = strcmp(o->suffix, ".png") == 0 ? 255 : 1; /* a PNG is looked at */
    VSL_TRY(vsl_labels_new(&mask, &f->image.grid));
    for (int k = 0; k < m->setup.structures; k++) {
        for (int64_t i = 0; i < voxels; i++) {
            mask.data[i] = f->probability.data[k * voxels + i] >= 0.5F ? inside : 0;
        }
        VSL_TRY(mask_path(&path, args, o, m->structures.name[k]));
        VSL_TRY(vsl_image_write_labels(path.text, &mask, NULL));
    }
out:
    vsl_labels_free(&mask);
    return st;
}

/* The largest spread over structures: 8 bit with 255 = 0.5, the most that it can be, or the number itself. */
static VslStatus write_uncertainty(const Outputs *o, const CliSegmenter *m, const CliFilm *f)
{
    VslStatus st = VSL_OK;
    VslVolume most = {0};
    const int64_t voxels = vsl_grid_voxels(&f->image.grid);
    const int is_png = strcmp(o->suffix, ".png") == 0;
    VSL_TRY(vsl_volume_new(&most, &f->image.grid, 1));
    for (int64_t i = 0; i < voxels; i++) {
        for (int k = 0; k < m->setup.structures; k++) {
            most.data[i] = fmaxf(most.data[i], f->spread.data[k * voxels + i]);
        }
        most.data[i] = is_png ? roundf(fminf(510 * most.data[i], 255)) : most.data[i];
    }
    VSL_TRY(vsl_image_write(o->uncertainty.text, &most, NULL));
out:
    vsl_volume_free(&most);
    return st;
}

/* Size, place and certainty of one structure. */
static json_t *structure_json(const CliFilm *f, int k, const char *name)
{
    const VslGrid *g = &f->image.grid;
    const int64_t voxels = vsl_grid_voxels(g);
    const float *p = f->probability.data + k * voxels, *spread = f->spread.data + k * voxels;
    double pixels = 0, middle[3] = {0}, certain = 0, uncertain = 0;
    int64_t lo[3] = {INT64_MAX, INT64_MAX, INT64_MAX}, hi[3] = {-1, -1, -1};
    for (int64_t i = 0; i < voxels; i++) {
        const int64_t at[3] = {i % g->n[0], i / g->n[0] % g->n[1], i / (g->n[0] * g->n[1])};
        if (p[i] < 0.5F) {
            continue;
        }
        pixels += 1;
        certain += (double)p[i];
        uncertain += (double)spread[i];
        for (int d = 0; d < 3; d++) {
            middle[d] += (double)at[d];
            lo[d] = at[d] < lo[d] ? at[d] : lo[d];
            hi[d] = at[d] > hi[d] ? at[d] : hi[d];
        }
    }
    json_t *j = json_object(), *box = json_array(), *centre = json_array();
    json_object_set_new(j, "structure", json_string(name));
    json_object_set_new(j, "pixels", json_integer((json_int_t)pixels));
    json_object_set_new(j, "mean_probability", cli_json_number(pixels > 0 ? certain / pixels : NAN));
    json_object_set_new(j, "mean_spread", cli_json_number(pixels > 0 ? uncertain / pixels : NAN));
    for (int d = 0; d < (g->n[2] > 1 ? 3 : 2) && pixels > 0; d++) {
        json_array_append_new(centre, cli_json_number(middle[d] / pixels));
        json_array_append_new(box, json_integer(lo[d]));
        json_array_append_new(box, json_integer(hi[d]));
    }
    json_object_set_new(j, "centre", centre);
    json_object_set_new(j, "box", box);
    return j;
}

static VslStatus film_json(json_t **out, const Cli *cli, const SegmentArgs *args, const CliSegmenter *m,
                           const CliFilm *f, const char *film)
{
    VslStatus st = VSL_OK;
    json_t *input = NULL, *structures = json_array();
    VSL_TRY(cli_json_input(&input, film));
    for (int k = 0; k < m->setup.structures; k++) {
        json_array_append_new(structures, structure_json(f, k, m->structures.name[k]));
    }
    *out = json_object();
    json_object_set_new(*out, "generator", cli_json_generator(cli));
    json_object_set_new(*out, "film", input);
    json_object_set_new(*out, "grid", cli_json_grid(&f->image.grid));
    json_object_set_new(*out, "inverted", json_boolean(args->inverted));
    json_object_set_new(*out, "levels", cli_json_numbers(m->levels, m->level_count));
    json_object_set(*out, "structures", structures);
out:
    json_decref(structures);
    return st;
}

static VslStatus segment_film(Cli *cli, const SegmentArgs *args, const CliSegmenter *m, const char *film)
{
    VslStatus st = VSL_OK;
    Outputs o;
    CliFilm f = {0};
    json_t *about = NULL;
    VSL_TRY(cli_check_stop());
    VSL_TRY(plan(&o, cli, args, m, film));
    VSL_TRY(cli_film_predict(&f, cli, m, film, args->inverted));
    VSL_TRY(write_masks(args, &o, m, &f));
    VSL_TRY(write_uncertainty(&o, m, &f));
    VSL_TRY(cli_segment_picture(o.picture.text, &f, m, o.stem));
    VSL_TRY(film_json(&about, cli, args, m, &f, film));
    VSL_TRY(cli_json_write(o.json.text, about));
    if (!cli->wants_json) {
        printf("%s", o.stem);
        for (int k = 0; k < m->setup.structures; k++) {
            const json_t *one = json_array_get(json_object_get(about, "structures"), (size_t)k);
            printf("\t%s %lld", m->structures.name[k], (long long)json_integer_value(json_object_get(one, "pixels")));
        }
        printf("\n");
    }
    json_array_append(cli->result, about);
out:
    json_decref(about);
    cli_film_free(&f);
    return st;
}

static int by_text(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* Two films of one name would be written to the same files. */
static VslStatus check_names(const char *const *film, int count)
{
    VslStatus st = VSL_OK;
    char(*stems)[256] = NULL;
    char **order = NULL;
    VSL_TRY(VSL_NEW(&stems, count, "names of films"));
    VSL_TRY(VSL_NEW(&order, count, "names of films"));
    for (int i = 0; i < count; i++) {
        stem_of(stems[i], sizeof stems[i], film[i]);
        order[i] = stems[i];
    }
    qsort(order, (size_t)count, sizeof *order, by_text);
    for (int i = 1; i < count; i++) {
        VSL_CHECK(strcmp(order[i - 1], order[i]) != 0, VSL_E_ARG,
                  "two films are named '%s': their masks would have the same names; segment them into two folders",
                  vsl_path_text(order[i]).text);
    }
out:
    vsl_free(stems);
    vsl_free(order);
    return st;
}

static VslStatus run(Cli *cli, void *vargs)
{
    const SegmentArgs *args = vargs;
    VslStatus st = VSL_OK, last = VSL_OK;
    CliSegmenter m = {0};
    const char **film = NULL;
    const int count = args->images.count + cli->input_count;
    int failed = 0;
    VSL_CHECK(count > 0, VSL_E_ARG, "no film is given: --image FILE...");
    VSL_TRY(VSL_NEW(&film, count, "list of films"));
    for (int i = 0; i < count; i++) {
        film[i] = i < args->images.count ? args->images.items[i] : cli->inputs[i - args->images.count];
    }
    VSL_TRY(check_names(film, count));
    VSL_TRY(cli_segmenter_open(&m, cli, args->model, args->levels));
    VSL_TRY(make_folder(args->out));
    cli->result = json_array();
    for (int i = 0; i < count; i++) {
        const VslStatus one = segment_film(cli, args, &m, film[i]);
        if (one == VSL_OK) {
            continue;
        }
        if (count == 1 || one == VSL_E_CANCELLED || one == VSL_E_WRITE || one == VSL_E_NOMEM) {
            st = one;
            goto out;
        }
        cli_warn(cli, "%s", vsl_error()); /* one bad film does not end a hundred */
        last = one;
        failed++;
    }
    if (failed == count) {
        st = vsl_fail(last, __func__, "none of the %d films could be segmented", count);
    } else if (failed > 0) {
        cli->exit_code = CLI_EXIT_PARTLY;
    }
out:
    cli_segmenter_close(&m);
    vsl_free(film);
    return st;
}

static const CliFlag flags[] = {
    {"model", CLI_TEXT, offsetof(SegmentArgs, model), "DIR", 1, "what 'diffusion train --task segment' wrote"},
    {"image", CLI_LIST, offsetof(SegmentArgs, images), "FILE", 0, "film, PNG or NIfTI; more may follow it"},
    {"out", CLI_TEXT, offsetof(SegmentArgs, out), "DIR", 1, "folder for the results; made when it is not there"},
    {"levels", CLI_TEXT, offsetof(SegmentArgs, levels), "T,T,..", 0,
     "noise levels to average over; when not given: the trained one alone"},
    {"inverted", CLI_SWITCH, offsetof(SegmentArgs, inverted), NULL, 0, "bone is dark in the films (MONOCHROME1)"},
    {NULL, 0, 0, NULL, 0, NULL},
};

const CliVerb cli_verb_diffusion_segment = {
    CLI_DIFFUSION_SEGMENT,
    .inputs = "FILE...",
    .min_inputs = 0,
    .max_inputs = MOST_FILMS,
    .flags = flags,
    .notes =
        "Films may have any extent, bit depth and colours; each is scaled to the network's grid, and its masks come "
        "back on its own. For a film NAME.png the folder gets NAME_mask-STRUCTURE.png (0 and 255; masks may "
        "overlap), NAME_overlay.png (contours, and where the noise levels disagree), NAME_uncertainty.png (sd of "
        "the probability over --levels, or half of the trained one, itself and its double; 255 = 0.5) and "
        "NAME_segmentation.json. Of a NIfTI film masks and "
        "uncertainty are NIfTI with its grid. A film that cannot be read is told about and left out; the exit "
        "code is then 4.",
    .example = "vesal diffusion segment --model chest-5 --out masks film-1.png film-2.png",
    .cite = "Rousseau et al., Deep Generative Models workshop at MICCAI 2023 (arXiv 2307.14066)",
    .args_size = sizeof(SegmentArgs),
    .run = run,
};
