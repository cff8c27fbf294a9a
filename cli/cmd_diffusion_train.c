/* vesal diffusion train: a U-Net learns from images without labels, by denoising them (or as one of the rivals that
 * denoising is compared with), or to segment from images with masks, and becomes a model's folder. */
#include <string.h>

#include "cli/flags.h"
#include "cli/labelled.h"
#include "cli/learn.h"
#include "cli/segment_model.h"
#include "cli/teach.h"
#include "cli/train_data.h"
#include "cli/train_run.h"
#include "diffusion/augmented.h"
#include "diffusion/parts.h"
#include "diffusion/pretext.h"
#include "io/path.h"

typedef enum Task { TASK_DENOISE = 1, TASK_DAE, TASK_MAE, TASK_SEGMENT, TASK_STACK, TASK_JOINT } Task;
enum { ONE_PART_AUTO = 1 };

typedef struct TrainOptions {
    int task, precision, augment;
    double validation;
} TrainOptions;

typedef struct LabelOptions {
    int labels, seed;
    double share;
    int one_part; /* of two words */
} LabelOptions;

typedef struct TrainArgs {
    const char *data, *root, *out, *config, *size, *multipliers, *init, *teacher, *labels_from, *meet;
    TrainOptions own;
    LabelOptions label;
    VslSegmentOptions segment;
    VslTrainOptions train;
    VslUnetOptions unet;
    VslDiffusionOptions diffusion;
} TrainArgs;

static const VslOption own_table[] = {
    {"task", VSL_OPT_CHOICE, offsetof(TrainOptions, task), TASK_DENOISE, 0, 0, "",
     "denoise: diffusion; dae: denoising at one noise level; mae: predicting hidden patches; segment: masks; stack: "
     "masks from the frozen network's activations; joint: denoising and masks at once",
     "denoise,dae,mae,segment,stack,joint"},
    {"augment", VSL_OPT_CHOICE, offsetof(TrainOptions, augment), VSL_AUGMENT_LIGHT, 0, 0, "",
     "random changes of an image each time that it is seen, never a mirror image; strong for masks when not given",
     "off,light,strong"},
    {"validation-share", VSL_OPT_DOUBLE, offsetof(TrainOptions, validation), 0.1, 0, 0.9, "",
     "share of the subjects that are kept for validation when the manifest says nothing", NULL},
    {"precision", VSL_OPT_CHOICE, offsetof(TrainOptions, precision), 1, 0, 0, "",
     "bf16: convolutions and matrix products in bfloat16, weights and sums in float32", "float32,bf16"},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

static const VslOption label_table[] = {
    {"labels", VSL_OPT_INT, offsetof(LabelOptions, labels), 0, 0, 1000000, "",
     "learn from so many labelled images, 0 = all", NULL},
    {"labels-seed", VSL_OPT_INT, offsetof(LabelOptions, seed), 0, 0, 1000000, "",
     "which ones: a random order of the subjects, of which the first are taken", NULL},
    {"teacher-share", VSL_OPT_DOUBLE, offsetof(LabelOptions, share), 0.5, 0, 1, "",
     "share of the other images that --teacher answers for: those it is surest of", NULL},
    {"one-part", VSL_OPT_CHOICE, offsetof(LabelOptions, one_part), ONE_PART_AUTO, 0, 0, "",
     "auto: a structure that every labelled image shows in one part is predicted in one, smaller parts are left out; "
     "off: all parts stay, as findings need that can be several",
     "auto,off"},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

static const CliFlag flags[] = {
    {"data", CLI_TEXT, offsetof(TrainArgs, data), "MANIFEST|FOLDER", 0, "images to learn from (needed)"},
    {"data-root", CLI_TEXT, offsetof(TrainArgs, root), "FOLDER", 0,
     "what paths in the manifest are relative to (default: its folder)"},
    {"out", CLI_TEXT, offsetof(TrainArgs, out), "FOLDER", 0,
     "of the model; an unfinished one is gone on with (needed)"},
    {"init", CLI_TEXT, offsetof(TrainArgs, init), "FOLDER", 0,
     "model whose network, noise process and weights it starts from; outputs for masks go by their structure's name"},
    {"teacher", CLI_TEXT, offsetof(TrainArgs, teacher), "FOLDER[,FOLDER,..]", 0,
     "segmentation models whose mean answer stands for the masks of all other images to learn from (self-training); "
     "with "
     "them no image needs a mask of its own"},
    {"labels-from", CLI_TEXT, offsetof(TrainArgs, labels_from), "FILE", 0,
     "learn from the labelled images that it lists (TSV, column file), of which --labels takes the first"},
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

static int wants_masks(const TrainArgs *a)
{
    return a->own.task >= TASK_SEGMENT;
}

/* A few labelled images need fewer steps, stronger augmentation and larger ones than denoising; many small batches
 * teach more than half as many of twice the size. A network that has learnt before has larger weights behind group
 * norms: it needs, and bears, larger steps than a new one (docs/ptdr.md has the measurements). */
static void set_label_defaults(TrainArgs *a)
{
    VslTrainOptions *t = &a->train;
    const int is_joint = a->own.task == TASK_JOINT;
    a->own.augment = a->own.augment ? a->own.augment : VSL_AUGMENT_STRONG;
    t->steps = t->steps ? t->steps : is_joint ? 0 : a->teacher ? 2400 : 1200; /* a teacher brings many more images */
    t->batch = t->batch ? t->batch : is_joint ? 0 : 4;
    t->lr = t->lr > 0 ? t->lr : a->init && a->own.task == TASK_SEGMENT ? 4e-3 : 1e-3;
    t->schedule = t->schedule ? t->schedule : VSL_RATE_ONE_CYCLE;
    t->ema = vsl_option_is_given(t->ema) ? t->ema : is_joint ? 0 : 0.97;
}

static VslStatus resolve(TrainArgs *a)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(a->data, VSL_E_ARG, "--data MANIFEST|FOLDER is missing; 'vesal diffusion train --help' shows an example");
    VSL_CHECK(a->out, VSL_E_ARG, "--out FOLDER is missing; 'vesal diffusion train --help' shows an example");
    VSL_CHECK(wants_masks(a) || (a->label.labels == 0 && a->label.seed == 0 && !a->labels_from), VSL_E_ARG,
              "--labels is for --task segment, stack and joint");
    VSL_CHECK(!a->labels_from || a->label.seed == 0, VSL_E_ARG,
              "--labels-seed draws the labelled images that --labels-from lists: one of the two");
    VSL_CHECK(a->own.task != TASK_STACK || a->init, VSL_E_ARG,
              "--task stack needs --init FOLDER: it trains on the activations of a network that has learnt before");
    VSL_CHECK(a->own.task == TASK_SEGMENT || !a->teacher, VSL_E_ARG, "--teacher is for --task segment");
    if (wants_masks(a)) {
        set_label_defaults(a);
    }
    VSL_TRY(vsl_options_resolve(&a->own, own_table));
    VSL_TRY(vsl_options_resolve(&a->label, label_table));
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

/* What was typed for a table must be what the model to start from has. */
static VslStatus check_typed(const void *typed, const void *has, const VslOption *table, const char *folder)
{
    VslStatus st = VSL_OK;
    for (const VslOption *row = table; row->flag; row++) {
        char want[64], have[64];
        const char *field = (const char *)typed + row->offset;
        const int is_typed =
            row->type == VSL_OPT_DOUBLE ? *(const double *)(const void *)field > 0 : *(const int *)(const void *)field;
        vsl_option_print(want, sizeof want, typed, row);
        vsl_option_print(have, sizeof have, has, row);
        VSL_CHECK(!is_typed || strcmp(want, have) == 0, VSL_E_ARG,
                  "--%s is %s, but the model %s that it starts from has %s; leave the flag out", row->flag, want,
                  vsl_path_text(folder).text, have);
    }
out:
    return st;
}

/* Network, extents and noise process of --init; size gets room for the text. */
static VslStatus take_init(TrainArgs *a, CliModel *init, char *size, size_t room)
{
    VslStatus st = VSL_OK;
    VslUnetOptions unet = {0};
    VslDiffusionOptions process = {0};
    int64_t n[3];
    VSL_TRY(cli_model_read(init, a->init, NULL));
    const char *path = init->config_path.text;
    VSL_TRY(cli_settings_get_unet(&unet, n, &init->config, path));
    VSL_TRY(cli_settings_get_table(&process, &init->config, vsl_diffusion_option_table, path));
    VSL_TRY(check_typed(&a->unet, &unet, vsl_unet_option_table, a->init));
    VSL_TRY(check_typed(&a->diffusion, &process, vsl_diffusion_option_table, a->init));
    VSL_CHECK(
        a->unet.multipliers[0] == 0 || memcmp(a->unet.multipliers, unet.multipliers, sizeof unet.multipliers) == 0,
        VSL_E_ARG, "--multipliers are not those of the model %s; leave the flag out", vsl_path_text(a->init).text);
    a->unet = unet;
    a->diffusion = process;
    cli_size_text(size, room, n, unet.dims);
    VSL_CHECK(!a->size || strcmp(a->size, size) == 0, VSL_E_ARG, "--size is %s, but the model %s has %s; leave it out",
              a->size, vsl_path_text(a->init).text, size);
    a->size = size;
out:
    return st;
}

/* A segmentation model's head, for the structures of these data. */
static VslStatus take_head(CliModel *init, const TrainArgs *a, const VslDataset *data)
{
    VslStatus st = VSL_OK;
    CliStructures known = {0};
    if (vsl_config_find(&init->config, "model-structures")) {
        VSL_TRY(cli_segment_structures_get(&known, &init->config, init->config_path.text));
        VSL_TRY(vsl_segment_head_for(&init->weights, known.name, known.count, (const char *const *)data->mask_name,
                                     data->masks, vsl_path_text(a->init).text));
    }
out:
    cli_segment_structures_free(&known);
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

typedef struct Material { /* {0} is empty */
    VslDataset data;
    CliDataAbout about;
    VslSubset train, labelled, validation;
    VslSubset taught;         /* labelled ones and the teacher's */
    CliStructures known;      /* to the teacher */
    const VslSubset *sampled; /* what batches are made of */
    unsigned char in_one_part[CLI_MOST_STRUCTURES];
    VslAugmentedSource *source;
} Material;

static void material_free(Material *m)
{
    vsl_augmented_source_free(&m->source);
    cli_segment_structures_free(&m->known);
    vsl_subset_free(&m->train);
    vsl_subset_free(&m->labelled);
    vsl_subset_free(&m->taught);
    vsl_subset_free(&m->validation);
    vsl_dataset_free(&m->data);
}

typedef struct Tasks { /* setups live as long as the task */
    VslDiffusion *process;
    VslPretextSetup pretext;
    VslSegmentSetup segment;
    VslTask task;
} Tasks;

static VslStatus make_settings(CliSettings *s, const Cli *cli, const TrainArgs *a, const Tasks *tasks,
                               const Material *m, const NnGroup *group)
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
    if (wants_masks(a)) {
        VSL_TRY(cli_settings_put(s, "init", a->init, NULL));
        VSL_TRY(cli_settings_put(s, "teacher", a->teacher, NULL));
        VSL_TRY(cli_settings_put(s, "labels-from", a->labels_from, NULL));
        VSL_TRY(cli_settings_put_table(s, &a->label, label_table));
        VSL_TRY(cli_settings_put_table(s, &a->segment, vsl_segment_option_table));
    }
    VSL_TRY(cli_settings_put_unet(s, &a->unet, m->data.n));
    VSL_TRY(cli_settings_put_table(s, vsl_diffusion_options(tasks->process), vsl_diffusion_option_table));
    VSL_TRY(cli_settings_put(s, "seed", seed, NULL));
    VSL_TRY(cli_settings_put(s, "threads", threads, NULL));
    VSL_TRY(cli_settings_put(s, "device", cli->device ? cli->device : "auto", NULL));
    VSL_TRY(cli_settings_put(s, "model-task", tasks->task.name, NULL));
    if (wants_masks(a)) {
        VSL_TRY(cli_segment_settings_put(s, (const char *const *)m->data.mask_name, m->data.masks, m->in_one_part));
    }
    VSL_TRY(cli_settings_put(s, "model-data-sha256", m->about.sha256, "of names, subjects, parts and contents"));
    if (a->teacher) { /* its answers are made anew when an unfinished training goes on */
        char digests[CLI_MOST_TEACHERS * (VSL_SHA256_HEX + 1)];
        VSL_TRY(cli_teachers_digest(digests, sizeof digests, a->teacher));
        VSL_TRY(cli_settings_put(s, "model-teacher-sha256", digests, "of weights"));
    }
    if (a->labels_from) {
        char digest[VSL_SHA256_HEX];
        VSL_TRY(cli_labelled_digest(digest, &m->data, &m->labelled));
        VSL_TRY(cli_settings_put(s, "model-labelled-sha256", digest, "of the names of labelled images"));
    }
    if (group) {
        snprintf(ranks, sizeof ranks, "%d", nn_group_size(group));
    }
    VSL_TRY(cli_settings_put(s, "model-ranks", ranks, "processes, each with its own part of every step"));
    VSL_TRY(cli_settings_close(s));
out:
    return st;
}

static void make_task(Tasks *t, const TrainArgs *a, int structures)
{
    if (wants_masks(a)) {
        t->segment = (VslSegmentSetup){.kind = (VslSegmentKind)(a->own.task - TASK_SEGMENT + VSL_SEGMENT_FINE_TUNE),
                                       .unet = &a->unet,
                                       .diffusion = t->process,
                                       .opt = &a->segment,
                                       .structures = structures,
                                       .has_soft_masks = a->teacher != NULL};
        t->task = vsl_segment_task(&t->segment);
    } else {
        t->pretext = (VslPretextSetup){(VslPretextKind)a->own.task, &a->unet, t->process};
        t->task = vsl_pretext_task(&t->pretext);
    }
}

static VslStatus set_rates(VslTrainer *t, void *user)
{
    const Tasks *tasks = user;
    vsl_segment_rates(vsl_trainer_params(t), &tasks->segment);
    return VSL_OK;
}

static VslStatus sort_out(Material *m, Cli *cli, const TrainArgs *a)
{
    VslStatus st = VSL_OK;
    VslSubset labelled = {0};
    const VslAugment change = vsl_augment_preset((VslAugmentStrength)a->own.augment);
    VSL_TRY(vsl_subset_of(&m->train, &m->data, VSL_SPLIT_TRAIN, 0));
    VSL_TRY(vsl_subset_of(&m->validation, &m->data, VSL_SPLIT_VALIDATION, wants_masks(a)));
    if (wants_masks(a)) {
        VSL_TRY(vsl_subset_of(&labelled, &m->data, VSL_SPLIT_TRAIN, 1));
        const int64_t wanted = a->label.labels ? a->label.labels : labelled.count;
        VSL_CHECK(labelled.count > 0 || a->teacher, VSL_E_ARG, "%s: no image to learn from has masks",
                  vsl_path_text(a->data).text);
        if (a->labels_from) {
            VSL_TRY(cli_labelled_read(&m->labelled, &m->data, a->labels_from, a->label.labels));
        } else if (wanted > 0) {
            VSL_TRY(vsl_subset_draw(&m->labelled, &m->data, &labelled, wanted, (uint64_t)a->label.seed));
        }
        if (a->label.one_part != ONE_PART_AUTO) {
            memset(m->in_one_part, 0, sizeof m->in_one_part);
        } else if (wanted > 0) { /* else as the teacher has it */
            VSL_TRY(vsl_dataset_in_one_part(m->in_one_part, &m->data, &m->labelled));
        }
    }
    VSL_CHECK(m->train.count > 0, VSL_E_ARG, "%s: no image is left to learn from: all %lld are for validation",
              vsl_path_text(a->data).text, (long long)m->validation.count);
    if (a->teacher) {
        VSL_TRY(cli_teach(cli, &m->taught, &m->data, &m->labelled, a->teacher, a->label.share));
    }
    m->sampled = a->teacher ? &m->taught : wants_masks(a) && a->own.task != TASK_JOINT ? &m->labelled : &m->train;
    VSL_TRY(vsl_augmented_source_new(&m->source, &m->data, m->sampled, a->own.task == TASK_JOINT ? &m->labelled : NULL,
                                     a->train.batch, &change, cli->seed));
out:
    vsl_subset_free(&labelled);
    return st;
}

static void say_counts(const Cli *cli, const Material *m)
{
    const VslDataset *data = &m->data;
    char third[32] = "";
    if (data->n[2] > 1) {
        snprintf(third, sizeof third, "x%lld", (long long)data->n[2]);
    }
    cli_note(cli, "%lld images of %lldx%lld%s to learn from, %lld for validation", (long long)m->sampled->count,
             (long long)data->n[0], (long long)data->n[1], third, (long long)m->validation.count);
    char names[512] = "";
    size_t at = 0;
    for (int k = 0; k < data->masks && at < sizeof names; k++) {
        if (m->in_one_part[k]) {
            at += (size_t)snprintf(names + at, sizeof names - at, "%s%s", at ? ", " : "", data->mask_name[k]);
        }
    }
    if (at > 0) {
        cli_note(cli, "%s: %s (--one-part off keeps all parts)",
                 m->labelled.count > 0 ? "in one part in every labelled image, and so predicted"
                                       : "predicted in one part, as the teacher does",
                 names);
    }
}

/* What was learnt from, for metrics.json; the names of labelled images where some were drawn. */
static json_t *describe(const TrainArgs *a, const Material *m)
{
    json_t *out = json_pack("{s:s,s:I,s:I,s:I}", "data_sha256", m->about.sha256, "training_images",
                            (json_int_t)m->train.count, "labelled_images", (json_int_t)m->labelled.count,
                            "validation_images", (json_int_t)m->validation.count);
    if (a->teacher) {
        json_object_set_new(out, "taught_images", json_integer((json_int_t)(m->taught.count - m->labelled.count)));
    }
    if (a->label.labels > 0 || a->labels_from) {
        json_t *names = json_array();
        for (int64_t i = 0; i < m->labelled.count; i++) {
            json_array_append_new(names, json_string(m->data.item[m->labelled.item[i]].name));
        }
        json_object_set_new(out, "labelled", names);
    }
    return out;
}

static VslStatus run(Cli *cli, void *user)
{
    VslStatus st = VSL_OK;
    TrainArgs *a = user;
    CliModel init = {0};
    Material m = {0};
    Tasks tasks = {0};
    NnRuntime *rt = NULL;
    NnGroup *group = NULL;
    CliSettings settings = {0};
    CliTrainJob job = {0};
    char size[64];

    VSL_TRY(resolve(a));
    if (a->init) {
        VSL_TRY(take_init(a, &init, size, sizeof size));
    }
    VSL_TRY(vsl_segment_resolve(&a->segment, (VslProcess)a->diffusion.process));
    if (a->teacher) {
        VSL_TRY(cli_teacher_structures(&m.known, m.in_one_part, a->teacher));
    }
    const CliDataHow how = {.data = a->data,
                            .root = a->root,
                            .size = a->size,
                            .with_masks = wants_masks(a),
                            .structure = m.known.name,
                            .structures = m.known.count,
                            .parts = ",train,validation,",
                            .validation = a->own.validation};
    VSL_TRY(cli_data_read(cli, &m.data, &m.about, &how));
    if (wants_masks(a)) {
        VSL_TRY(take_head(&init, a, &m.data));
    }
    VSL_TRY(sort_out(&m, cli, a));
    VSL_TRY(make_unet(&a->unet, &m.data));
    VSL_TRY(vsl_diffusion_new(&tasks.process, &a->diffusion));
    VSL_TRY(nn_runtime_open(&rt, cli->device ? cli->device : "auto", a->own.precision == 2 ? NN_BF16 : NN_FLOAT32,
                            cli->threads));
    VSL_TRY(cli_train_group(cli, &group, rt, a->meet));
    say_counts(cli, &m);
    make_task(&tasks, a, m.data.masks);
    const VslSource source = vsl_augmented_source(m.source);
    VslSubsetSource plain = {.data = &m.data, .subset = &m.validation, .is_ordered = 1};
    const VslSource looked_at = vsl_subset_source(&plain);
    VSL_TRY(make_settings(&settings, cli, a, &tasks, &m, group));
    job.folder = a->out;
    job.settings = settings.text;
    job.setup = (VslTrainSetup){.rt = rt,
                                .task = &tasks.task,
                                .source = &source,
                                .validation = &looked_at,
                                .validation_count = m.validation.count,
                                .opt = &a->train,
                                .group = group,
                                .seed = cli->seed};
    job.start = a->init ? &init.weights : NULL;
    job.prepare = wants_masks(a) ? set_rates : NULL;
    job.user = &tasks;
    job.about = describe(a, &m);
    VSL_TRY(cli_train(cli, NULL, &job));
    if (!cli->wants_json && cli->result) { /* the first rank's */
        const json_t *got = cli->result;
        printf("%s: %lld steps, loss %.4g", a->out, (long long)json_integer_value(json_object_get(got, "steps")),
               json_number_value(json_object_get(got, "loss")));
        if (json_is_number(json_object_get(got, "validation"))) {
            printf(", validation %.4g", json_number_value(json_object_get(got, "validation")));
        }
        if (json_is_true(json_object_get(got, "stopped_early"))) {
            printf(", stopped early, weights of step %lld kept",
                   (long long)json_integer_value(json_object_get(got, "best_step")));
        }
        printf(", %.1f images/s\n", json_number_value(json_object_get(got, "samples_per_s")));
    }
out:
    json_decref(job.about);
    cli_settings_free(&settings);
    material_free(&m);
    vsl_diffusion_free(&tasks.process);
    nn_group_close(&group);
    nn_runtime_close(&rt);
    cli_model_free(&init);
    return st;
}

const CliVerb cli_verb_diffusion_train = {
    CLI_DIFFUSION_TRAIN,
    .inputs = "",
    .flags = flags,
    .groups = {{"Run", own_table, offsetof(TrainArgs, own), NULL, NULL},
               {"Labels", label_table, offsetof(TrainArgs, label), NULL, NULL},
               {"Segmentation", vsl_segment_option_table, offsetof(TrainArgs, segment), NULL, NULL},
               {"Training", vsl_train_option_table, offsetof(TrainArgs, train), NULL, NULL},
               {"Network", vsl_unet_option_table, offsetof(TrainArgs, unet), NULL, NULL},
               {"Noise process", vsl_diffusion_option_table, offsetof(TrainArgs, diffusion), NULL, NULL}},
    .notes =
        "The folder gets config.yaml (all settings), weights.h5 and weights.safetensors (moving average), "
        "metrics.json, log.jsonl, loss.png and checkpoints/ (the last two states). The same command goes on after a "
        "kill, and ends in the same weights, to the bit with the same --threads and --device; after TERM, INT or USR1 "
        "it saves its state and ends with exit code 75. Other settings for a folder that was begun are exit code 7. "
        "Started with RANK and WORLD_SIZE in the environment, as torchrun and Slurm do, several processes train "
        "together, each its --batch of every step; they must see the same --out. A manifest's columns are in "
        "data-manifests/README.md. With masks to learn from (segment, stack) 1200 steps of 4 images are the default "
        "(2400 with --teacher), at a one-cycle rate of 0.001, or 0.004 for segment with --init, with an average of "
        "decay 0.97.",
    .example = "vesal diffusion train --data films/manifest.tsv --out model --size 64 --steps 2500",
    .cite = "Ho, Jain, Abbeel 2020, arXiv 2006.11239; Rousseau et al. 2023, arXiv 2307.14066",
    .args_size = sizeof(TrainArgs),
    .run = run,
};
