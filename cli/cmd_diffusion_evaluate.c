/* vesal diffusion evaluate: how well a segmentation model does on films whose masks are known, structure by structure,
 * on each film's own grid. */
#define _GNU_SOURCE
#include <limits.h>
#include <math.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/learn.h"
#include "cli/segment_model.h"
#include "cli/train_data.h"
#include "core/memory.h"
#include "core/text.h"
#include "diffusion/segment_metrics.h"
#include "io/file_out.h"
#include "io/manifest.h"
#include "io/path.h"
#include "registration/quality.h"

typedef struct EvaluateArgs {
    const char *model, *data, *root, *split, *out, *levels;
} EvaluateArgs;

typedef struct Score { /* of one structure in one film */
    VslMaskScore mask;
    double mean_px, p95_px; /* symmetric surface distance; NAN when one of the masks is empty */
    double pixel_mm;        /* NAN when it is not known */
} Score;

typedef struct Table {
    int64_t films;
    const char **film;           /* names, borrowed of the manifest */
    Score *score;                /* (films, structures) */
    unsigned char *has;          /* (films, structures): there is a true mask */
    VslCalibration *calibration; /* (structures) */
} Table;

static const char *cell(const VslManifest *m, int64_t row, const char *column)
{
    const char *text = vsl_manifest_cell(m, row, column);
    return text ? text : "";
}

/* mm a pixel: the root of the area of "1.4 1.4" of the manifest; of a NIfTI film its own. */
static double pixel_mm(const VslManifest *m, int64_t row, const CliFilm *f)
{
    double a = NAN, b = NAN, mm[3];
    const char *text = cell(m, row, "voxel_size_mm"), *rest = vsl_text_scan_double(text, &a);
    if (!vsl_path_has_suffix(cell(m, row, "file"), ".png")) {
        vsl_grid_spacing(mm, &f->image.grid);
        return f->image.grid.n[2] > 1 ? cbrt(mm[0] * mm[1] * mm[2]) : sqrt(mm[0] * mm[1]);
    }
    return rest && vsl_text_scan_double(rest, &b) ? sqrt(a * b) : NAN;
}

/* Distances in pixels: both maps on a grid of 1. */
static VslStatus surface_distances(Score *s, const VslGrid *grid, const float *predicted, const float *truth,
                                   int threads)
{
    VslStatus st = VSL_OK;
    VslLabels a = {0}, b = {0};
    VslLabelScore *rows = NULL;
    int count = 0;
    double dice;
    const double one[3] = {1, 1, 1};
    const VslGrid unit = vsl_grid_centred(grid->n, one);
    VSL_TRY(vsl_labels_new(&a, &unit));
    VSL_TRY(vsl_labels_new(&b, &unit));
    for (int64_t i = 0; i < vsl_grid_voxels(grid); i++) {
        a.data[i] = predicted[i] >= 0.5F;
        b.data[i] = truth[i] > 0;
    }
    VSL_TRY(vsl_label_scores(&rows, &count, &dice, &a, &b, 1, threads));
    s->mean_px = count > 0 ? rows[0].surface_mean_mm : NAN;
    s->p95_px = count > 0 ? rows[0].surface_p95_mm : NAN;
out:
    vsl_free(rows);
    vsl_labels_free(&a);
    vsl_labels_free(&b);
    return st;
}

static VslStatus score_mask(Table *t, Cli *cli, const CliFilm *f, int64_t film, int k, int structures, const char *path,
                            double mm)
{
    VslStatus st = VSL_OK;
    VslVolume truth = {0};
    const int64_t voxels = vsl_grid_voxels(&f->image.grid), at = film * structures + k;
    const float *p = f->probability.data + k * voxels;
    Score s = {.pixel_mm = mm};
    VSL_TRY(cli_read_image(cli, &truth, NULL, path));
    VSL_TRY(cli_to_grey(&truth, vsl_path_has_suffix(path, ".png"), path));
    VSL_TRY(vsl_grid_check_same(&truth.grid, path, &f->image.grid, "its film"));
    for (int64_t i = 0; i < voxels; i++) {
        truth.data[i] = truth.data[i] > 0 ? 1 : 0;
    }
    s.mask = vsl_mask_score(p, truth.data, voxels);
    vsl_calibration_add(&t->calibration[k], p, truth.data, voxels);
    VSL_TRY(surface_distances(&s, &f->image.grid, p, truth.data, cli->threads));
    t->score[at] = s;
    t->has[at] = 1;
out:
    vsl_volume_free(&truth);
    return st;
}

static int is_wanted(const VslManifest *m, int64_t row, const EvaluateArgs *args)
{
    return !cell(m, row, "mask_of")[0] && m->twin[row] < 0 && strcmp(cell(m, row, "split"), args->split) == 0;
}

static VslStatus score_film(Table *t, Cli *cli, const CliSegmenter *model, const VslManifest *m, const char *root,
                            int64_t row, int64_t film)
{
    VslStatus st = VSL_OK;
    CliFilm f = {0};
    CliPath path;
    const char *name = cell(m, row, "file");
    VSL_TRY(cli_check_stop());
    VSL_TRY(cli_path_join(&path, root, name));
    VSL_TRY(cli_film_predict(&f, cli, model, path.text, strcmp(cell(m, row, "photometric"), "MONOCHROME1") == 0));
    t->film[film] = name;
    for (int64_t r = 0; r < m->table.rows; r++) {
        for (int k = 0; k < model->setup.structures && strcmp(cell(m, r, "mask_of"), name) == 0; k++) {
            if (strcmp(cell(m, r, "structure"), model->structures.name[k]) == 0) {
                VSL_TRY(cli_path_join(&path, root, cell(m, r, "file")));
                VSL_TRY(score_mask(t, cli, &f, film, k, model->setup.structures, path.text, pixel_mm(m, row, &f)));
            }
        }
    }
out:
    cli_film_free(&f);
    return st;
}

typedef struct Summary {
    int films;
    double dice, dice_sd, iou, p95_px, mean_px, p95_mm, mean_mm, calibration;
} Summary;

static double value_of(const Score *s, int which)
{
    const double values[] = {
        s->mask.dice, s->mask.iou, s->p95_px, s->mean_px, s->p95_px * s->pixel_mm, s->mean_px * s->pixel_mm};
    return values[which];
}

/* Mean over the films that have the structure and the number; NAN when there are none. */
static double mean_of(const Table *t, int k, int structures, int which)
{
    double sum = 0, count = 0;
    for (int64_t i = 0; i < t->films; i++) {
        const double v = t->has[i * structures + k] ? value_of(&t->score[i * structures + k], which) : NAN;
        sum += isnan(v) ? 0 : v;
        count += !isnan(v);
    }
    return count > 0 ? sum / count : NAN;
}

static Summary summary_of(const Table *t, int k, int structures)
{
    Summary s = {.dice = mean_of(t, k, structures, 0),
                 .iou = mean_of(t, k, structures, 1),
                 .p95_px = mean_of(t, k, structures, 2),
                 .mean_px = mean_of(t, k, structures, 3),
                 .p95_mm = mean_of(t, k, structures, 4),
                 .mean_mm = mean_of(t, k, structures, 5),
                 .calibration = vsl_calibration_error(&t->calibration[k])};
    double square = 0;
    for (int64_t i = 0; i < t->films; i++) {
        if (t->has[i * structures + k]) {
            const double d = t->score[i * structures + k].mask.dice - s.dice;
            square += d * d;
            s.films++;
        }
    }
    s.dice_sd = s.films > 1 ? sqrt(square / (s.films - 1)) : NAN;
    return s;
}

static json_t *summary_json(const Summary *s, const char *name)
{
    json_t *j = json_object();
    json_object_set_new(j, "structure", json_string(name));
    json_object_set_new(j, "films", json_integer(s->films));
    json_object_set_new(j, "dice", cli_json_number(s->dice));
    json_object_set_new(j, "dice_sd", cli_json_number(s->dice_sd));
    json_object_set_new(j, "iou", cli_json_number(s->iou));
    json_object_set_new(j, "hausdorff95_px", cli_json_number(s->p95_px));
    json_object_set_new(j, "surface_mean_px", cli_json_number(s->mean_px));
    json_object_set_new(j, "hausdorff95_mm", cli_json_number(s->p95_mm));
    json_object_set_new(j, "surface_mean_mm", cli_json_number(s->mean_mm));
    json_object_set_new(j, "calibration_error", cli_json_number(s->calibration));
    return j;
}

static void print_number(double v, int digits)
{
    if (isnan(v)) {
        printf("  %9s", "n/a");
    } else {
        printf("  %9.*f", digits, v);
    }
}

static void print_summary(const Summary *s, const char *name)
{
    printf("%-20s  %5d", name, s->films);
    print_number(s->dice, 4);
    print_number(s->dice_sd, 4);
    print_number(s->iou, 4);
    print_number(s->p95_px, 2);
    print_number(s->mean_px, 2);
    print_number(s->p95_mm, 2);
    print_number(s->mean_mm, 2);
    print_number(s->calibration, 4);
    printf("\n");
}

/* The row of all structures: means of their means. */
static Summary all_of(const Summary *each, int count)
{
    Summary all = {.films = INT_MAX, .dice_sd = NAN};
    for (int k = 0; k < count; k++) {
        all.films = each[k].films < all.films ? each[k].films : all.films;
        all.dice += each[k].dice / count;
        all.iou += each[k].iou / count;
        all.p95_px += each[k].p95_px / count;
        all.mean_px += each[k].mean_px / count;
        all.p95_mm += each[k].p95_mm / count;
        all.mean_mm += each[k].mean_mm / count;
        all.calibration += each[k].calibration / count;
    }
    return all;
}

static VslStatus report(Cli *cli, const Table *t, const CliSegmenter *m)
{
    const int structures = m->setup.structures;
    Summary each[CLI_MOST_STRUCTURES];
    json_t *list = json_array();
    if (!cli->wants_json) {
        printf("%-20s  %5s  %9s  %9s  %9s  %9s  %9s  %9s  %9s  %9s\n", "structure", "films", "Dice", "sd", "IoU",
               "HD95 px", "ASD px", "HD95 mm", "ASD mm", "ECE");
    }
    for (int k = 0; k < structures; k++) {
        each[k] = summary_of(t, k, structures);
        json_array_append_new(list, summary_json(&each[k], m->structures.name[k]));
        if (!cli->wants_json) {
            print_summary(&each[k], m->structures.name[k]);
        }
    }
    const Summary all = all_of(each, structures);
    if (!cli->wants_json) {
        print_summary(&all, "mean");
    }
    cli->result = json_object();
    json_object_set_new(cli->result, "levels", cli_json_numbers(m->levels, m->level_count));
    json_object_set_new(cli->result, "structures", list);
    json_object_set_new(cli->result, "mean", summary_json(&all, "mean"));
    return VSL_OK;
}

/* One row a film and structure. */
static VslStatus write_table(const char *path, const Table *t, const CliSegmenter *m)
{
    VslStatus st = VSL_OK;
    char *text = NULL;
    size_t size = 0;
    const int structures = m->setup.structures;
    FILE *out = open_memstream(&text, &size);
    VSL_CHECK(out, VSL_E_NOMEM, "no memory for a table");
    fprintf(out, "film\tstructure\tdice\tiou\thausdorff95_px\tsurface_mean_px\thausdorff95_mm\tsurface_mean_mm\n");
    for (int64_t i = 0; i < t->films * structures; i++) {
        if (!t->has[i]) {
            continue;
        }
        fprintf(out, "%s\t%s", t->film[i / structures], m->structures.name[i % structures]);
        for (int which = 0; which < 6; which++) {
            const double v = value_of(&t->score[i], which);
            fprintf(out, isnan(v) ? "\tn/a" : "\t%.6f", v);
        }
        fprintf(out, "\n");
    }
    const int is_bad = ferror(out);
    VSL_CHECK(fclose(out) == 0 && !is_bad, VSL_E_NOMEM, "no memory for a table");
    VSL_TRY(vsl_file_write_whole(path, text, size));
out:
    free(text); /* of open_memstream */
    return st;
}

static VslStatus table_new(Table *t, int64_t films, int structures)
{
    VslStatus st = VSL_OK;
    t->films = films;
    VSL_TRY(VSL_NEW0(&t->film, films, "table of films"));
    VSL_TRY(VSL_NEW0(&t->score, films * structures, "table of scores"));
    VSL_TRY(VSL_NEW0(&t->has, films * structures, "table of scores"));
    VSL_TRY(VSL_NEW0(&t->calibration, structures, "calibration"));
out:
    return st;
}

static void table_free(Table *t)
{
    vsl_free(t->film);
    vsl_free(t->score);
    vsl_free(t->has);
    vsl_free(t->calibration);
}

static VslStatus run(Cli *cli, void *vargs)
{
    EvaluateArgs *args = vargs;
    VslStatus st = VSL_OK;
    CliSegmenter model = {0};
    VslManifest m = {0};
    Table t = {0};
    CliPath root;
    int64_t films = 0, scored = 0;
    args->split = args->split ? args->split : "test";
    if (args->out) {
        VSL_TRY(cli_check_output(cli, args->out));
    }
    VSL_TRY(vsl_manifest_read(&m, args->data));
    VSL_TRY(args->root ? cli_path_join(&root, args->root, "/") : cli_path_join(&root, m.table.folder, ""));
    for (int64_t row = 0; row < m.table.rows; row++) {
        films += is_wanted(&m, row, args);
    }
    VSL_CHECK(films > 0, VSL_E_ARG, "%s: has no films whose split is '%s'", vsl_path_text(args->data).text,
              vsl_path_text(args->split).text);
    VSL_TRY(cli_segmenter_open(&model, cli, args->model, args->levels));
    VSL_TRY(table_new(&t, films, model.setup.structures));
    for (int64_t row = 0, film = 0; row < m.table.rows; row++) {
        if (is_wanted(&m, row, args)) {
            VSL_TRY(score_film(&t, cli, &model, &m, root.text, row, film++));
        }
    }
    for (int64_t i = 0; i < films * model.setup.structures; i++) {
        scored += t.has[i];
    }
    VSL_CHECK(scored > 0, VSL_E_FORMAT, "%s: its films of '%s' have no masks of what the model knows",
              vsl_path_text(args->data).text, vsl_path_text(args->split).text);
    VSL_TRY(report(cli, &t, &model));
    if (args->out) {
        VSL_TRY(write_table(args->out, &t, &model));
    }
out:
    table_free(&t);
    cli_segmenter_close(&model);
    vsl_manifest_free(&m);
    return st;
}

static const CliFlag flags[] = {
    {"model", CLI_TEXT, offsetof(EvaluateArgs, model), "DIR", 1, "what 'diffusion train --task segment' wrote"},
    {"data", CLI_TEXT, offsetof(EvaluateArgs, data), "MANIFEST", 1,
     "films and their masks (columns mask_of, structure)"},
    {"data-root", CLI_TEXT, offsetof(EvaluateArgs, root), "DIR", 0,
     "folder that the manifest's paths start from; when not given: its own"},
    {"split", CLI_TEXT, offsetof(EvaluateArgs, split), "NAME", 0, "part to look at; when not given: test"},
    {"out", CLI_TEXT, offsetof(EvaluateArgs, out), "FILE", 0, "table with a row for each film and structure (TSV)"},
    {"levels", CLI_TEXT, offsetof(EvaluateArgs, levels), "T,T,..", 0,
     "noise levels to average over; when not given: the trained one alone"},
    {NULL, 0, 0, NULL, 0, NULL},
};

const CliVerb cli_verb_diffusion_evaluate = {
    CLI_DIFFUSION_EVALUATE,
    .inputs = "",
    .flags = flags,
    .notes = "Scores are of masks on each film's own grid: Dice and IoU (1 when both masks are empty), 95th percentile "
             "(HD95) and mean (ASD) of the distances between outlines in both directions, in pixels and, where the "
             "manifest's voxel_size_mm or the image tells the size of a pixel, in mm; films of which one mask is empty "
             "have no distance. ECE is the expected calibration error of the probabilities, 15 bins, over all pixels.",
    .example = "vesal diffusion evaluate --model chest-5 --data chest-radiographs.tsv",
    .cite = "Guo et al., ICML 2017 (calibration)",
    .args_size = sizeof(EvaluateArgs),
    .run = run,
};
