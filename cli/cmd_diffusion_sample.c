/* vesal diffusion sample: new images out of a model that 'vesal diffusion train' has made. */
#define _GNU_SOURCE
#include <errno.h>
#include <math.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/denoise_model.h"
#include "cli/flags.h"
#include "cli/learn.h"
#include "cli/train_run.h"
#include "core/memory.h"
#include "diffusion/sampler.h"
#include "diffusion/train.h"
#include "io/path.h"

enum { SHEET_MOST = 64, SHEET_COLUMNS = 8, SHEET_GAP = 2, SHEET_TILE = 128 };

typedef struct SampleNumbers {
    int count, first, batch;
} SampleNumbers;

typedef struct SampleArgs {
    const char *model, *out;
    SampleNumbers numbers;
    VslSamplerOptions sampler;
} SampleArgs;

static const VslOption number_table[] = {
    {"count", VSL_OPT_INT, offsetof(SampleNumbers, count), 16, 1, 1000000, "", "images to make", NULL},
    {"first", VSL_OPT_INT, offsetof(SampleNumbers, first), 0, 0, 1000000000, "",
     "number of the first; an image is a function of model, seed and number", NULL},
    {"batch", VSL_OPT_INT, offsetof(SampleNumbers, batch), 8, 1, 65536, "",
     "images made side by side; whole batches are made, of which --count are kept", NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

static const CliFlag flags[] = {
    {"model", CLI_TEXT, offsetof(SampleArgs, model), "FOLDER", 1, "of a model, as 'vesal diffusion train' writes it"},
    {"out", CLI_TEXT, offsetof(SampleArgs, out), "FOLDER", 1, "for the images; made when it is not there"},
    {NULL, CLI_SWITCH, 0, NULL, 0, NULL},
};

typedef struct Sampling {
    Cli *cli;
    const SampleArgs *args;
    CliDenoiser model;
    const int64_t *n; /* the model's */
    int64_t voxels;
    float *image; /* (batch, voxels) */
    float *sheet; /* the first SHEET_MOST middle slices, (.., n[1], n[0]) */
    double sum, squares;
    double start;
    int done; /* images */
} Sampling;

static int tell(int step, int steps, void *user)
{
    Sampling *s = user;
    const int count = s->args->numbers.count;
    const double done = s->done + (double)step / steps * fmin(s->args->numbers.batch, count - s->done);
    return cli_progress_line(s->cli, "sample", done / count, "image %d of %d, step %d of %d", s->done + 1, count, step,
                             steps);
}

/* A batch of images from number `first` on, in [-1, 1]. */
static VslStatus draw(Sampling *s, int64_t first)
{
    VslStatus st = VSL_OK;
    const int count = s->args->numbers.batch;
    VslSamplerOptions how = s->args->sampler;
    VslUnetDenoiser network = {.net = s->model.unet};
    const VslDenoiser denoiser = {vsl_unet_denoise, &network};
    const NnShape shape =
        s->n[2] == 1 ? NN_SHAPE(count, 1, s->n[1], s->n[0]) : NN_SHAPE(count, 1, s->n[2], s->n[1], s->n[0]);
    how.seed = s->cli->seed;
    how.first = (uint64_t)first;
    how.clip = 1; /* what training pictures lie in */
    how.progress = tell;
    how.progress_user = s;
    NnScope *scope = nn_scope_open(s->model.rt, NN_INFER);
    NnTensor *x = vsl_sample(scope, s->model.rt, s->model.process, &denoiser, shape, &how);
    nn_to_floats(scope, s->image, count * s->voxels, x);
    VSL_TRY(nn_scope_close(&scope));
out:
    return st;
}

static VslStatus image_path(CliPath *out, const Sampling *s, int number)
{
    char tail[64];
    snprintf(tail, sizeof tail, "/sample-%06d%s", number, s->n[2] == 1 ? ".png" : ".nii.gz");
    return cli_path_join(out, s->args->out, tail);
}

static VslStatus write_image(Sampling *s, const float *image, int number)
{
    VslStatus st = VSL_OK;
    CliPath path;
    VslVolume v = {0};
    const int is_flat = s->n[2] == 1;
    const VslGrid grid = vsl_grid_centred(s->n, (const double[]){1, 1, 1});
    const VslNiftiWrite how = {.datatype = is_flat ? VSL_DATATYPE_UINT16 : VSL_DATATYPE_FLOAT32,
                               .descrip = "sample of a diffusion model",
                               .threads = s->cli->threads};
    VSL_TRY(vsl_volume_new(&v, &grid, 1));
    for (int64_t i = 0; i < s->voxels; i++) {
        const double value = fmin(fmax(((double)image[i] + 1) / 2, 0), 1);
        v.data[i] = (float)(is_flat ? rint(65535 * value) : value);
        s->sum += value;
        s->squares += value * value;
    }
    if (is_flat) { /* a PNG has its own grid: rows from the top, x and y to the left and back */
        v.grid.to_ras = (VslAffine){{{-1, 0, 0, 0}, {0, -1, 0, 0}, {0, 0, 1, 0}}};
    }
    VSL_TRY(image_path(&path, s, number));
    VSL_TRY(vsl_image_write(path.text, &v, &how));
out:
    vsl_volume_free(&v);
    return st;
}

/* All tiles side by side, enlarged by a whole factor; volumes show their middle slice, front up. */
static VslStatus write_sheet(const Sampling *s)
{
    VslStatus st = VSL_OK;
    CliPath path;
    VslVolume v = {0};
    const int tiles = s->args->numbers.count < SHEET_MOST ? s->args->numbers.count : SHEET_MOST;
    const int columns = tiles < SHEET_COLUMNS ? tiles : SHEET_COLUMNS, rows = (tiles + columns - 1) / columns;
    const int64_t longest = s->n[0] > s->n[1] ? s->n[0] : s->n[1];
    const int64_t zoom = longest < SHEET_TILE ? SHEET_TILE / longest : 1;
    const int64_t width = zoom * s->n[0] + SHEET_GAP, height = zoom * s->n[1] + SHEET_GAP;
    VslGrid grid = {{columns * width - SHEET_GAP, rows * height - SHEET_GAP, 1},
                    {{{-1, 0, 0, 0}, {0, -1, 0, 0}, {0, 0, 1, 0}}}};
    VSL_TRY(vsl_volume_new(&v, &grid, 1));
    for (int tile = 0; tile < tiles; tile++) {
        const float *from = s->sheet + tile * s->n[0] * s->n[1];
        float *to = v.data + (tile / columns) * height * grid.n[0] + (tile % columns) * width;
        for (int64_t j = 0; j < zoom * s->n[1]; j++) {
            const int64_t row = s->n[2] == 1 ? j / zoom : s->n[1] - 1 - j / zoom;
            for (int64_t i = 0; i < zoom * s->n[0]; i++) {
                to[j * grid.n[0] + i] = rintf(255 * fminf(fmaxf((from[row * s->n[0] + i / zoom] + 1) / 2, 0), 1));
            }
        }
    }
    VSL_TRY(cli_path_join(&path, s->args->out, "/samples.png"));
    VSL_TRY(vsl_image_write(path.text, &v, &(VslNiftiWrite){.datatype = VSL_DATATYPE_UINT8}));
out:
    vsl_volume_free(&v);
    return st;
}

static VslStatus write_about(Sampling *s)
{
    VslStatus st = VSL_OK;
    CliPath path;
    json_t *weights = NULL;
    const double values = (double)s->voxels * s->args->numbers.count, mean = s->sum / values;
    const double seconds = cli_seconds() - s->start;
    json_t *options = cli_options_json(&s->args->sampler, vsl_sampler_option_table);
    json_object_del(options, "clip");
    VSL_TRY(cli_path_join(&path, s->args->model, "/weights.h5"));
    VSL_TRY(cli_json_input(&weights, path.text));
    s->cli->result = json_pack(
        "{s:o,s:o,s:O,s:i,s:i,s:[I,I,I],s:f,s:f,s:s}", "generated_by", cli_json_generator(s->cli), "weights",
        json_incref(weights), "options", options, "count", s->args->numbers.count, "first", s->args->numbers.first,
        "size", (json_int_t)s->n[0], (json_int_t)s->n[1], (json_int_t)s->n[2], "mean", mean, "sd",
        sqrt(fmax(s->squares / values - mean * mean, 0)), "note",
        "Made by a network, of no person. Grey values: 0 is the low end of the window of training images, the largest "
        "value its high end.");
    VSL_CHECK(s->cli->result, VSL_E_NOMEM, "no memory for the description");
    cli_generator_device(s->cli->result, s->model.rt);
    VSL_TRY(cli_path_join(&path, s->args->out, "/samples.json"));
    VSL_TRY(cli_json_write(path.text, s->cli->result));
    json_object_set_new(s->cli->result, "seconds", cli_json_number(seconds)); /* the file is the same every time */
    json_object_set_new(s->cli->result, "images_per_s", cli_json_number(s->args->numbers.count / seconds));
out:
    json_decref(options);
    json_decref(weights);
    return st;
}

static VslStatus check_outputs(const Sampling *s)
{
    VslStatus st = VSL_OK;
    struct stat found;
    CliPath path;
    const char *out = s->args->out;
    VSL_CHECK(mkdir(out, 0777) == 0 || (errno == EEXIST && stat(out, &found) == 0 && S_ISDIR(found.st_mode)),
              VSL_E_WRITE, "the folder '%s' cannot be made: %s", vsl_path_text(out).text, strerror(errno));
    VSL_TRY(cli_path_join(&path, out, "/samples.json"));
    VSL_TRY(cli_check_output(s->cli, path.text));
    VSL_TRY(cli_path_join(&path, out, "/samples.png"));
    VSL_TRY(cli_check_output(s->cli, path.text));
    for (int i = 0; i < s->args->numbers.count; i++) {
        VSL_TRY(image_path(&path, s, s->args->numbers.first + i));
        VSL_TRY(cli_check_output(s->cli, path.text));
    }
out:
    return st;
}

static VslStatus make_images(Sampling *s)
{
    VslStatus st = VSL_OK;
    const SampleNumbers *numbers = &s->args->numbers;
    const int64_t slice = s->n[0] * s->n[1];
    const int tiles = numbers->count < SHEET_MOST ? numbers->count : SHEET_MOST;
    VSL_TRY(VSL_NEW(&s->image, numbers->batch * s->voxels, "images"));
    VSL_TRY(VSL_NEW(&s->sheet, tiles * slice, "contact sheet"));
    /* Whole batches, always of the same members: so the company that an image is made in is part of its number. */
    for (int64_t batch = numbers->first / numbers->batch; s->done < numbers->count; batch++) {
        VSL_TRY(draw(s, batch * numbers->batch));
        for (int i = 0; i < numbers->batch; i++) {
            const int64_t number = batch * numbers->batch + i;
            const float *image = s->image + i * s->voxels;
            if (number < numbers->first || s->done == numbers->count) {
                continue;
            }
            VSL_TRY(write_image(s, image, (int)number));
            if (s->done < SHEET_MOST) {
                memcpy(s->sheet + s->done * slice, image + s->n[2] / 2 * slice, (size_t)slice * sizeof *image);
            }
            s->done++;
        }
    }
out:
    return st;
}

static VslStatus run(Cli *cli, void *user)
{
    VslStatus st = VSL_OK;
    SampleArgs *a = user;
    Sampling s = {.cli = cli, .args = a, .start = cli_seconds()};

    VSL_TRY(vsl_options_resolve(&a->numbers, number_table));
    VSL_TRY(vsl_options_resolve(&a->sampler, vsl_sampler_option_table));
    VSL_TRY(cli_denoiser_open(&s.model, cli, a->model));
    s.n = s.model.n;
    s.voxels = s.n[0] * s.n[1] * s.n[2];
    VSL_TRY(check_outputs(&s));
    VSL_TRY(make_images(&s));
    cli_progress_end();
    VSL_TRY(write_sheet(&s));
    VSL_TRY(write_about(&s));
    if (!cli->wants_json) {
        printf("%d images, %.1f a second; all at a glance: %s/samples.png\n", a->numbers.count,
               json_number_value(json_object_get(cli->result, "images_per_s")), a->out);
    }
out:
    vsl_free(s.image);
    vsl_free(s.sheet);
    cli_denoiser_close(&s.model);
    return st;
}

const CliVerb cli_verb_diffusion_sample = {
    CLI_DIFFUSION_SAMPLE,
    .inputs = "",
    .flags = flags,
    .groups = {{"Images", number_table, offsetof(SampleArgs, numbers), NULL, NULL},
               {"Sampler", vsl_sampler_option_table, offsetof(SampleArgs, sampler), NULL, ",clip,"}},
    .notes = "Flat images become 16 bit PNG, volumes NIfTI in 0..1. samples.png shows the first 64, samples.json says "
             "what made them. The same model, seed and number give the same image, whatever --count and --first; "
             "another --batch, device or "
             "number of threads changes the order of float32 sums, so that a grey value may differ in its last places.",
    .example = "vesal diffusion sample --model model --out samples --count 16 --sampler dpmpp2m --sampling-steps 20",
    .cite = "Song, Meng, Ermon 2021, arXiv 2010.02502; Lu et al. 2022, arXiv 2211.01095",
    .args_size = sizeof(SampleArgs),
    .run = run,
};
