/* vesal diffusion train: a U-Net learns from images without labels, by denoising them (or as one of the rivals that
 * denoising is compared with), and becomes a model's folder. */
#include <string.h>

#include "cli/flags.h"
#include "cli/learn.h"
#include "cli/train_data.h"
#include "cli/train_run.h"
#include "diffusion/augmented.h"
#include "diffusion/pretext.h"
#include "io/path.h"

typedef struct TrainOptions {
    int objective, precision, augment;
    double validation;
} TrainOptions;

typedef struct TrainArgs {
    const char *data, *root, *out, *config, *size, *multipliers, *meet;
    TrainOptions own;
    VslTrainOptions train;
    VslUnetOptions unet;
    VslDiffusionOptions diffusion;
} TrainArgs;

static const VslOption own_table[] = {
    {"objective", VSL_OPT_CHOICE, offsetof(TrainOptions, objective), VSL_PRETEXT_DENOISE, 0, 0, "",
     "denoise: diffusion; dae: denoising at one noise level; mae: predicting hidden patches", "denoise,dae,mae"},
    {"augment", VSL_OPT_CHOICE, offsetof(TrainOptions, augment), VSL_AUGMENT_LIGHT, 0, 0, "",
     "random changes of an image each time that it is seen; never a mirror image", "off,light,strong"},
    {"validation-share", VSL_OPT_DOUBLE, offsetof(TrainOptions, validation), 0.1, 0, 0.9, "",
     "share of the subjects that are kept for validation when the manifest says nothing", NULL},
    {"precision", VSL_OPT_CHOICE, offsetof(TrainOptions, precision), 1, 0, 0, "",
     "bf16: convolutions and matrix products in bfloat16, weights and sums in float32", "float32,bf16"},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

static const CliFlag flags[] = {
    {"data", CLI_TEXT, offsetof(TrainArgs, data), "MANIFEST|FOLDER", 0, "images to learn from (needed)"},
    {"data-root", CLI_TEXT, offsetof(TrainArgs, root), "FOLDER", 0,
     "what paths in the manifest are relative to (default: its folder)"},
    {"out", CLI_TEXT, offsetof(TrainArgs, out), "FOLDER", 0,
     "of the model; an unfinished one is gone on with (needed)"},
    {"config", CLI_TEXT, offsetof(TrainArgs, config), "FILE", 0,
     "YAML with any of these flags as keys; flags that are typed win"},
    {"size", CLI_TEXT, offsetof(TrainArgs, size), "N[,N[,N]]", 0,
     "pixels of a picture (default 64, of a volume 32 along each axis)"},
    {"multipliers", CLI_TEXT, offsetof(TrainArgs, multipliers), "N,N,...", 0,
     "width factor of each level of the U-Net, finest first (default: the preset's)"},
    {"meet", CLI_TEXT, offsetof(TrainArgs, meet), "WHERE", 0,
     "where ranks meet, file:PATH or tcp:HOST:PORT (default: MASTER_ADDR and MASTER_PORT)"},
    {NULL, CLI_SWITCH, 0, NULL, 0, NULL},
};

static VslStatus resolve(TrainArgs *a)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(a->data, VSL_E_ARG, "--data MANIFEST|FOLDER is missing; 'vesal diffusion train --help' shows an example");
    VSL_CHECK(a->out, VSL_E_ARG, "--out FOLDER is missing; 'vesal diffusion train --help' shows an example");
    VSL_TRY(vsl_options_resolve(&a->own, own_table));
    VSL_TRY(vsl_options_resolve(&a->train, vsl_train_option_table));
    if (a->multipliers) {
        int64_t factor[VSL_UNET_LEVELS];
        int count = 0;
        VSL_TRY(cli_parse_integers(factor, &count, VSL_UNET_LEVELS, a->multipliers, "--multipliers"));
        for (int l = 0; l < count; l++) {
            a->unet.multipliers[l] = (int)factor[l];
        }
    }
out:
    return st;
}

/* The network for these pictures; their extents must halve at every level. */
static VslStatus make_unet(VslUnetOptions *unet, const VslDataset *data)
{
    VslStatus st = VSL_OK;
    int levels = 0;
    unet->dims = data->n[2] == 1 ? 2 : 3;
    unet->in_channels = data->channels;
    unet->out_channels = data->channels;
    VSL_TRY(vsl_unet_resolve(unet));
    while (levels < VSL_UNET_LEVELS && unet->multipliers[levels] > 0) {
        levels++;
    }
    for (int d = 0; d < unet->dims; d++) {
        VSL_CHECK(data->n[d] % ((int64_t)1 << (levels - 1)) == 0, VSL_E_ARG,
                  "--size: %lld pixels cannot be halved %d times, as %d levels need", (long long)data->n[d], levels - 1,
                  levels);
    }
out:
    return st;
}

static VslStatus make_settings(CliSettings *s, const Cli *cli, const TrainArgs *a, const VslTask *task,
                               const VslDiffusion *process, const VslDataset *data, const CliDataAbout *about,
                               const NnGroup *group)
{
    VslStatus st = VSL_OK;
    char seed[32], threads[32], ranks[32] = "";
    snprintf(seed, sizeof seed, "%llu", (unsigned long long)cli->seed);
    snprintf(threads, sizeof threads, "%d", cli->threads);
    VSL_TRY(cli_settings_open(s));
    fprintf(s->stream,
            "# vesal diffusion train --config THIS does it again; keys that begin with model- are passed over.\n");
    VSL_TRY(cli_settings_put(s, "data", a->data, NULL));
    VSL_TRY(cli_settings_put(s, "data-root", a->root, NULL));
    VSL_TRY(cli_settings_put_table(s, &a->own, own_table));
    VSL_TRY(cli_settings_put_table(s, &a->train, vsl_train_option_table));
    VSL_TRY(cli_settings_put_unet(s, &a->unet, data->n));
    VSL_TRY(cli_settings_put_table(s, vsl_diffusion_options(process), vsl_diffusion_option_table));
    VSL_TRY(cli_settings_put(s, "seed", seed, NULL));
    VSL_TRY(cli_settings_put(s, "threads", threads, NULL));
    VSL_TRY(cli_settings_put(s, "device", cli->device ? cli->device : "auto", NULL));
    VSL_TRY(cli_settings_put(s, "model-task", task->name, NULL));
    VSL_TRY(cli_settings_put(s, "model-data-sha256", about->sha256, "of names, subjects, parts and contents"));
    if (group) {
        snprintf(ranks, sizeof ranks, "%d", nn_group_size(group));
    }
    VSL_TRY(cli_settings_put(s, "model-ranks", ranks, "processes, each with its own part of every step"));
    VSL_TRY(cli_settings_close(s));
out:
    return st;
}

static VslStatus run(Cli *cli, void *user)
{
    VslStatus st = VSL_OK;
    TrainArgs *a = user;
    VslDataset data = {0};
    CliDataAbout about = {0};
    VslSubset train = {0}, validation = {0};
    VslAugmentedSource *augmented = NULL;
    VslDiffusion *process = NULL;
    NnRuntime *rt = NULL;
    NnGroup *group = NULL;
    char third[32] = "";
    CliSettings settings = {0};
    CliTrainJob job = {0};

    VSL_TRY(resolve(a));
    const CliDataHow how = {.data = a->data,
                            .root = a->root,
                            .size = a->size,
                            .parts = ",train,validation,",
                            .validation = a->own.validation};
    VSL_TRY(cli_data_read(cli, &data, &about, &how));
    VSL_TRY(vsl_subset_of(&train, &data, VSL_SPLIT_TRAIN, 0));
    VSL_TRY(vsl_subset_of(&validation, &data, VSL_SPLIT_VALIDATION, 0));
    VSL_CHECK(train.count > 0, VSL_E_ARG, "%s: no image is left to learn from: all %lld are for validation",
              vsl_path_text(a->data).text, (long long)validation.count);
    VSL_TRY(make_unet(&a->unet, &data));
    VSL_TRY(vsl_diffusion_new(&process, &a->diffusion));
    VSL_TRY(nn_runtime_open(&rt, cli->device ? cli->device : "auto", a->own.precision == 2 ? NN_BF16 : NN_FLOAT32,
                            cli->threads));
    VSL_TRY(cli_train_group(cli, &group, rt, a->meet));
    if (data.n[2] > 1) {
        snprintf(third, sizeof third, "x%lld", (long long)data.n[2]);
    }
    cli_note(cli, "%lld images of %lldx%lld%s to learn from, %lld for validation", (long long)train.count,
             (long long)data.n[0], (long long)data.n[1], third, (long long)validation.count);
    const VslPretextSetup pretext = {(VslPretextKind)a->own.objective, &a->unet, process};
    const VslTask task = vsl_pretext_task(&pretext);
    const VslAugment change = vsl_augment_preset((VslAugmentStrength)a->own.augment);
    VSL_TRY(vsl_augmented_source_new(&augmented, &data, &train, NULL, a->train.batch, &change, cli->seed));
    const VslSource source = vsl_augmented_source(augmented);
    VslSubsetSource plain = {.data = &data, .subset = &validation, .is_ordered = 1};
    const VslSource looked_at = vsl_subset_source(&plain);
    VSL_TRY(make_settings(&settings, cli, a, &task, process, &data, &about, group));
    job.folder = a->out;
    job.settings = settings.text;
    job.setup = (VslTrainSetup){.rt = rt,
                                .task = &task,
                                .source = &source,
                                .validation = &looked_at,
                                .validation_count = validation.count,
                                .opt = &a->train,
                                .group = group,
                                .seed = cli->seed};
    job.about = json_pack("{s:s,s:I,s:I}", "data_sha256", about.sha256, "training_images", (json_int_t)train.count,
                          "validation_images", (json_int_t)validation.count);
    VSL_TRY(cli_train(cli, NULL, &job));
    if (!cli->wants_json && cli->result) { /* the first rank's */
        const json_t *m = cli->result;
        printf("%s: %lld steps, loss %.4g", a->out, (long long)json_integer_value(json_object_get(m, "steps")),
               json_number_value(json_object_get(m, "loss")));
        if (json_is_number(json_object_get(m, "validation"))) {
            printf(", validation %.4g", json_number_value(json_object_get(m, "validation")));
        }
        printf(", %.1f images/s\n", json_number_value(json_object_get(m, "samples_per_s")));
    }
out:
    json_decref(job.about);
    cli_settings_free(&settings);
    vsl_augmented_source_free(&augmented);
    vsl_diffusion_free(&process);
    nn_group_close(&group);
    nn_runtime_close(&rt);
    vsl_subset_free(&train);
    vsl_subset_free(&validation);
    vsl_dataset_free(&data);
    return st;
}

const CliVerb cli_verb_diffusion_train = {
    CLI_DIFFUSION_TRAIN,
    .inputs = "",
    .flags = flags,
    .groups = {{"Run", own_table, offsetof(TrainArgs, own), NULL, NULL},
               {"Training", vsl_train_option_table, offsetof(TrainArgs, train), NULL, NULL},
               {"Network", vsl_unet_option_table, offsetof(TrainArgs, unet), NULL, NULL},
               {"Noise process", vsl_diffusion_option_table, offsetof(TrainArgs, diffusion), NULL, NULL}},
    .notes =
        "The folder gets config.yaml (all settings), weights.h5 and weights.safetensors (moving average), "
        "metrics.json, "
        "log.jsonl, loss.png and checkpoints/ (the last two states). The same command goes on after a kill, and ends "
        "in "
        "the same weights; after TERM, INT or USR1 it saves its state and ends with exit code 75. Other settings for a "
        "folder that was begun are exit code 7. Started with RANK and WORLD_SIZE in the environment, as torchrun and "
        "Slurm do, several processes train together, each its --batch of every step; they must see the same --out. A "
        "manifest's columns are in data-manifests/README.md.",
    .example = "vesal diffusion train --data films/manifest.tsv --out model --size 64 --steps 2500",
    .cite = "Ho, Jain, Abbeel 2020, arXiv 2006.11239; Rousseau et al. 2023, arXiv 2307.14066",
    .args_size = sizeof(TrainArgs),
    .run = run,
};
