/* vesal diffusion choose: of images without labels, those that a few labels serve best, by a network that has learnt to
 * denoise such images. */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/denoise_model.h"
#include "cli/flags.h"
#include "cli/learn.h"
#include "cli/train_data.h"
#include "core/memory.h"
#include "diffusion/choose.h"
#include "diffusion/segment.h"
#include "io/file_out.h"
#include "io/path.h"

typedef struct ChooseNumbers {
    int labels;
    double validation;
} ChooseNumbers;

typedef struct ChooseArgs {
    const char *model, *data, *root, *out;
    int ignores_masks;
    ChooseNumbers numbers;
} ChooseArgs;

static const VslOption number_table[] = {
    {"labels", VSL_OPT_INT, offsetof(ChooseNumbers, labels), 5, 1, VSL_CHOOSE_MOST, "", "images to choose", NULL},
    {"validation-share", VSL_OPT_DOUBLE, offsetof(ChooseNumbers, validation), 0.1, 0, 0.9, "",
     "as 'diffusion train' is given it: of those that it keeps for validation none is chosen", NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

static const CliFlag flags[] = {
    {"model", CLI_TEXT, offsetof(ChooseArgs, model), "FOLDER", 1,
     "what 'diffusion train' made of images without labels (task denoise)"},
    {"data", CLI_TEXT, offsetof(ChooseArgs, data), "MANIFEST|FOLDER", 1, "images to choose from"},
    {"data-root", CLI_TEXT, offsetof(ChooseArgs, root), "FOLDER", 0,
     "what paths in the manifest are relative to (default: its folder)"},
    {"out", CLI_TEXT, offsetof(ChooseArgs, out), "FILE", 0,
     "table of them (TSV), for --labels-from of 'diffusion train'"},
    {"ignore-masks", CLI_SWITCH, offsetof(ChooseArgs, ignores_masks), NULL, 0,
     "choose as if no image had masks yet, to try it where all have"},
    {NULL, CLI_SWITCH, 0, NULL, 0, NULL},
};

typedef struct Looked { /* the images that are compared; {0} is empty */
    VslDataset data;
    VslSubset seen;
    unsigned char *labelled; /* (seen.count) */
    float *feature;          /* (seen.count, width) */
    int64_t width;
    int64_t *chosen, *nearest;
} Looked;

static void looked_free(Looked *l)
{
    vsl_dataset_free(&l->data);
    vsl_subset_free(&l->seen);
    vsl_free(l->labelled);
    vsl_free(l->feature);
    vsl_free(l->chosen);
    vsl_free(l->nearest);
}

/* Labelled ones all, and of more others than can be compared some. */
static VslStatus take_seen(Looked *l, Cli *cli, int wanted)
{
    VslStatus st = VSL_OK;
    VslSubset all = {0}, labelled = {0}, others = {0}, some = {0};
    VSL_TRY(vsl_subset_of(&all, &l->data, VSL_SPLIT_TRAIN, 0));
    VSL_TRY(vsl_subset_of(&labelled, &l->data, VSL_SPLIT_TRAIN, 1));
    VSL_CHECK(labelled.count <= VSL_CHOOSE_MOST - wanted, VSL_E_ARG,
              "%lld images have masks already, expected at most %d", (long long)labelled.count,
              VSL_CHOOSE_MOST - wanted);
    VSL_TRY(VSL_NEW(&others.item, all.count + 1, "list of images"));
    for (int64_t i = 0; i < all.count; i++) {
        if (!l->data.item[all.item[i]].has_masks) {
            others.item[others.count++] = all.item[i];
        }
    }
    VSL_CHECK(others.count >= wanted, VSL_E_ARG, "--labels %d: of %lld images to learn from %lld have masks already%s",
              wanted, (long long)all.count, (long long)labelled.count,
              labelled.count > 0 ? "; --ignore-masks chooses as if none had" : "");
    const int64_t room = VSL_CHOOSE_MOST - labelled.count, kept = others.count < room ? others.count : room;
    if (kept < others.count) {
        cli_note(cli, "%lld images are more than are compared: %lld of them, drawn by --seed", (long long)others.count,
                 (long long)kept);
    }
    VSL_TRY(vsl_subset_draw(&some, &l->data, &others, kept, cli->seed));
    l->seen.count = labelled.count + kept;
    VSL_TRY(VSL_NEW(&l->seen.item, l->seen.count + 1, "list of images"));
    VSL_TRY(VSL_NEW0(&l->labelled, l->seen.count + 1, "marks of images"));
    for (int64_t i = 0; i < l->seen.count; i++) {
        l->labelled[i] = i < labelled.count;
        l->seen.item[i] = i < labelled.count ? labelled.item[i] : some.item[i - labelled.count];
    }
out:
    vsl_subset_free(&all);
    vsl_subset_free(&labelled);
    vsl_subset_free(&others);
    vsl_subset_free(&some);
    return st;
}

static VslStatus look(Looked *l, const CliDenoiser *m)
{
    VslStatus st = VSL_OK;
    VslSegmentOptions level = {0};
    float *image = NULL;
    const int64_t size = vsl_dataset_image_size(&l->data);
    VSL_TRY(vsl_segment_resolve(&level, (VslProcess)vsl_diffusion_options(m->process)->process));
    l->width = vsl_choose_width(m->unet, m->n);
    VSL_TRY(VSL_NEW(&image, l->seen.count * size, "images"));
    VSL_TRY(VSL_NEW(&l->feature, l->seen.count * l->width, "activations"));
    for (int64_t i = 0; i < l->seen.count; i++) {
        memcpy(image + i * size, vsl_dataset_image(&l->data, l->seen.item[i]), (size_t)size * sizeof *image);
    }
    VSL_TRY(vsl_choose_features(l->feature, m->rt, m->unet, m->process, level.time, image, l->seen.count, m->n));
out:
    vsl_free(image);
    return st;
}

static json_t *report(const Looked *l, int wanted)
{
    json_t *rows = json_array();
    for (int k = 0; k < wanted; k++) {
        const VslItem *item = &l->data.item[l->seen.item[l->chosen[k]]];
        json_int_t films = 0;
        for (int64_t i = 0; i < l->seen.count; i++) {
            films += l->nearest[i] == l->chosen[k];
        }
        json_array_append_new(
            rows, json_pack("{s:s,s:s,s:I}", "file", item->name, "subject", item->subject, "stands_for", films));
    }
    return rows;
}

static VslStatus table_of(char **text, size_t *size, const json_t *rows)
{
    VslStatus st = VSL_OK;
    FILE *out = open_memstream(text, size);
    VSL_CHECK(out, VSL_E_NOMEM, "no memory for a table");
    fprintf(out, "file\tsubject\tstands_for\n");
    for (size_t k = 0; k < json_array_size(rows); k++) {
        const json_t *row = json_array_get(rows, k);
        fprintf(out, "%s\t%s\t%lld\n", json_string_value(json_object_get(row, "file")),
                json_string_value(json_object_get(row, "subject")),
                (long long)json_integer_value(json_object_get(row, "stands_for")));
    }
    VSL_CHECK(fclose(out) == 0, VSL_E_NOMEM, "no memory for a table");
out:
    return st;
}

static VslStatus run(Cli *cli, void *user)
{
    VslStatus st = VSL_OK;
    ChooseArgs *a = user;
    CliDenoiser m = {0};
    Looked l = {0};
    CliDataAbout about = {0};
    static const char *const any[] = {"any"};
    char size[64], *table = NULL;
    size_t bytes = 0;

    VSL_TRY(vsl_options_resolve(&a->numbers, number_table));
    if (a->out) {
        VSL_TRY(cli_check_output(cli, a->out));
    }
    VSL_TRY(cli_denoiser_open(&m, cli, a->model));
    cli_size_text(size, sizeof size, m.n, m.options.dims);
    const CliDataHow how = {.data = a->data,
                            .root = a->root,
                            .size = size,
                            .with_masks = !a->ignores_masks,
                            .structure = any, /* where no masks are listed none is needed */
                            .structures = 1,
                            .parts = ",train,validation,",
                            .validation = a->numbers.validation};
    VSL_TRY(cli_data_read(cli, &l.data, &about, &how));
    VSL_TRY(take_seen(&l, cli, a->numbers.labels));
    VSL_TRY(look(&l, &m));
    VSL_TRY(VSL_NEW(&l.chosen, a->numbers.labels, "chosen images"));
    VSL_TRY(VSL_NEW(&l.nearest, l.seen.count, "nearest images"));
    VSL_TRY(
        vsl_choose(l.chosen, l.nearest, a->numbers.labels, l.feature, l.seen.count, l.width, l.labelled, cli->threads));
    cli->result = report(&l, a->numbers.labels);
    VSL_TRY(table_of(&table, &bytes, cli->result));
    if (a->out) {
        VSL_TRY(vsl_file_write_whole(a->out, table, bytes));
    }
    if (!cli->wants_json) {
        fwrite(table, 1, bytes, stdout);
    }
out:
    free(table); /* of open_memstream */
    looked_free(&l);
    cli_denoiser_close(&m);
    return st;
}

const CliVerb cli_verb_diffusion_choose = {
    CLI_DIFFUSION_CHOOSE,
    .inputs = "",
    .flags = flags,
    .groups = {{"Images", number_table, offsetof(ChooseArgs, numbers), NULL, NULL}},
    .notes =
        "Of the images to learn from those are told, best first, that stand for most of the others, as the network "
        "sees them at its coarsest level; stands_for counts the images that each is nearest to. The first of them "
        "are the choice of fewer. Images that have masks already count as chosen before: once the first are "
        "labelled and listed, the same command tells the next. Of more than 4096 images some are drawn by --seed. "
        "What it is worth is in docs/ptdr.md.",
    .example = "vesal diffusion choose --model pretrained --data films --labels 5 --out to-label.tsv",
    .cite = "Kaufman, Rousseeuw: Finding groups in data, 1990, chapter 2 (BUILD)",
    .args_size = sizeof(ChooseArgs),
    .run = run,
};
