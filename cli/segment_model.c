/* From a model's folder and a film to probabilities on the film's own grid. */
#include "cli/segment_model.h"

#include <string.h>

#include "cli/flags.h"
#include "cli/train_data.h"
#include "core/memory.h"
#include "core/text.h"
#include "io/path.h"

static const char *const kinds[] = {"segment", "stack", "joint"};

/* Their names with commas between; of those that are marked, or all. */
static VslStatus join(char names[VSL_CONFIG_TEXT], const char *const *structure, int structures,
                      const unsigned char *marked)
{
    VslStatus st = VSL_OK;
    size_t at = 0;
    names[0] = 0;
    for (int i = 0; i < structures; i++) {
        VSL_CHECK(!strchr(structure[i], ','), VSL_E_FORMAT, "the structure '%s' has a comma in its name",
                  vsl_path_text(structure[i]).text);
        if (!marked || marked[i]) {
            at += (size_t)snprintf(names + at, VSL_CONFIG_TEXT - at, "%s%s", at ? "," : "", structure[i]);
        }
        VSL_CHECK(at < VSL_CONFIG_TEXT, VSL_E_FORMAT, "the names of the structures are longer than %d bytes",
                  VSL_CONFIG_TEXT - 1);
    }
out:
    return st;
}

VslStatus cli_segment_settings_put(CliSettings *s, const char *const *structure, int structures,
                                   const unsigned char *in_one_part)
{
    VslStatus st = VSL_OK;
    char names[VSL_CONFIG_TEXT];
    VSL_TRY(join(names, structure, structures, NULL));
    VSL_TRY(cli_settings_put(s, "model-structures", names, "one mask each, in this order"));
    VSL_TRY(join(names, structure, structures, in_one_part));
    VSL_TRY(cli_settings_put(s, "model-one-part", names, "in all labelled images; smaller parts are left out"));
out:
    return st;
}

VslStatus cli_segment_structures_get(CliStructures *out, const VslConfig *config, const char *path)
{
    VslStatus st = VSL_OK;
    const char *names = vsl_config_find(config, "model-structures");
    VSL_CHECK(names && names[0], VSL_E_FORMAT, "%s: names no structures", vsl_path_text(path).text);
    VSL_TRY(VSL_NEW(&out->names, (int64_t)strlen(names) + 1, "names of structures"));
    strcpy(out->names, names);
    for (char *at = out->names; at;) {
        char *comma = strchr(at, ',');
        if (comma) {
            *comma = 0;
        }
        VSL_CHECK(at[0] && !strchr(at, '/') && out->count < CLI_MOST_STRUCTURES, VSL_E_FORMAT,
                  "%s: '%s' is no list of 1 to %d structures", vsl_path_text(path).text, vsl_path_text(names).text,
                  CLI_MOST_STRUCTURES);
        out->name[out->count++] = at;
        at = comma ? comma + 1 : NULL;
    }
out:
    return st;
}

void cli_segment_structures_free(CliStructures *s)
{
    vsl_free(s->names);
    *s = (CliStructures){0};
}

static VslStatus parse_one_part(unsigned char *out, const CliStructures *s, const VslConfig *config, const char *path)
{
    VslStatus st = VSL_OK;
    const char *at = vsl_config_find(config, "model-one-part");
    while (at && at[0]) {
        const size_t length = strcspn(at, ",");
        int found = -1;
        char name[64];
        snprintf(name, sizeof name, "%.*s", (int)length, vsl_path_text(at).text);
        for (int i = 0; i < s->count; i++) {
            found = strlen(s->name[i]) == length && strncmp(s->name[i], at, length) == 0 ? i : found;
        }
        VSL_CHECK(found >= 0, VSL_E_FORMAT, "%s: model-one-part names '%s', which is none of its structures",
                  vsl_path_text(path).text, name);
        out[found] = 1;
        at += length + (at[length] == ',');
    }
out:
    return st;
}

static VslStatus parse_levels(CliSegmenter *m, const char *text)
{
    VslStatus st = VSL_OK;
    const VslDiffusionOptions *o = vsl_diffusion_options(m->diffusion);
    const double most = o->process == VSL_PROCESS_DDPM   ? o->train_steps - 1
                        : o->process == VSL_PROCESS_FLOW ? 1
                                                         : o->sigma_max;
    m->is_averaged = text != NULL;
    if (!text) {
        for (int i = 0; i < 3; i++) {
            const double level = m->options.time * (i == 0 ? 0.5 : i);
            m->levels[i] = level < most ? level : most;
        }
        m->level_count = 3;
        goto out;
    }
    for (const char *at = text; at;) {
        double level = -1;
        at = vsl_text_scan_double(at, &level);
        VSL_CHECK(at && (*at == 0 || *at == ',') && level >= 0 && level <= most && m->level_count < VSL_SEGMENT_TIMES,
                  VSL_E_ARG, "--levels: '%s', expected 1 to %d numbers from 0 to %g with commas between",
                  vsl_path_text(text).text, VSL_SEGMENT_TIMES, most);
        m->levels[m->level_count++] = level;
        at = *at ? at + 1 : NULL;
    }
out:
    return st;
}

static VslStatus parse_kind(VslSegmentKind *out, const CliModel *model, const char *folder)
{
    const char *task = vsl_config_find(&model->config, "model-task");
    for (int i = 0; task && i < 3; i++) {
        if (strcmp(task, kinds[i]) == 0) {
            *out = (VslSegmentKind)(VSL_SEGMENT_FINE_TUNE + i);
            return VSL_OK;
        }
    }
    return vsl_fail(VSL_E_FORMAT, __func__,
                    "%s: is a model for '%s', expected one for 'segment', 'stack' or 'joint' (vesal diffusion train "
                    "--task segment --init MODEL)",
                    vsl_path_text(folder).text, task ? vsl_path_text(task).text : "nothing stated");
}

/* Reads a segmentation model, and what its configuration says of its structures. */
static VslStatus read_known(CliModel *model, VslSegmentKind *kind, CliStructures *known, unsigned char *in_one_part,
                            const char *folder)
{
    VslStatus st = VSL_OK;
    VSL_TRY(cli_model_read(model, folder, NULL));
    VSL_TRY(parse_kind(kind, model, folder));
    VSL_TRY(cli_segment_structures_get(known, &model->config, model->config_path.text));
    VSL_TRY(parse_one_part(in_one_part, known, &model->config, model->config_path.text));
out:
    return st;
}

VslStatus cli_segment_structures_of(CliStructures *out, unsigned char *in_one_part, const char *folder)
{
    CliModel model = {0};
    VslSegmentKind kind;
    const VslStatus st = read_known(&model, &kind, out, in_one_part, folder);
    cli_model_free(&model);
    return st;
}

VslStatus cli_segmenter_open(CliSegmenter *out, const Cli *cli, const char *folder, const char *levels)
{
    VslStatus st = VSL_OK;
    CliSegmenter *m = out;
    *m = (CliSegmenter){0};
    VSL_TRY(read_known(&m->model, &m->setup.kind, &m->structures, m->in_one_part, folder));
    const char *path = m->model.config_path.text;
    m->setup.structures = m->structures.count;
    m->setup.in_one_part = m->in_one_part;
    VSL_TRY(cli_settings_get_unet(&m->unet, m->n, &m->model.config, path));
    VSL_TRY(cli_settings_get_table(&m->process, &m->model.config, vsl_diffusion_option_table, path));
    VSL_TRY(cli_settings_get_table(&m->options, &m->model.config, vsl_segment_option_table, path));
    VSL_TRY(vsl_options_resolve(&m->options, vsl_segment_option_table));
    VSL_TRY(vsl_diffusion_new(&m->diffusion, &m->process));
    VSL_TRY(parse_levels(m, levels));
    m->setup.unet = &m->unet;
    m->setup.diffusion = m->diffusion;
    m->setup.opt = &m->options;
    VSL_TRY(nn_runtime_open(&m->rt, cli->device ? cli->device : "auto", NN_FLOAT32, cli->threads));
    VSL_TRY(nn_params_new(&m->params, m->rt, 0));
    VSL_TRY(vsl_segmenter_new(&m->network, m->params, &m->setup));
    VSL_TRY(vsl_weights_to_params(m->params, &m->model.weights, "", folder));
out:
    if (st != VSL_OK) {
        cli_segmenter_close(m);
    }
    return st;
}

void cli_segmenter_close(CliSegmenter *m)
{
    vsl_segmenter_free(&m->network);
    nn_params_free(&m->params);
    nn_runtime_close(&m->rt);
    vsl_diffusion_free(&m->diffusion);
    cli_model_free(&m->model);
    cli_segment_structures_free(&m->structures);
    *m = (CliSegmenter){0};
}

/* Maps on the network's grid, back onto the film. */
static VslStatus back(VslVolume *out, const CliFilm *f, const CliSegmenter *m, const float *maps,
                      VslStatus (*one)(float *out, const VslFit *fit, const float *map))
{
    VslStatus st = VSL_OK;
    const int64_t voxels = vsl_grid_voxels(&f->image.grid), small = m->n[0] * m->n[1] * m->n[2];
    VSL_TRY(vsl_volume_new(out, &f->image.grid, m->setup.structures));
    for (int k = 0; k < m->setup.structures; k++) {
        VSL_TRY(one(out->data + k * voxels, &f->fit, maps + k * small));
    }
out:
    return st;
}

VslStatus cli_film_predict(CliFilm *out, Cli *cli, const CliSegmenter *m, const char *path, int inverted)
{
    VslStatus st = VSL_OK;
    CliFilm f = {0};
    float *picture = NULL, *probability = NULL, *spread = NULL;
    const int64_t small = m->n[0] * m->n[1] * m->n[2];
    VSL_TRY(VSL_NEW(&picture, small, "a picture of the film"));
    VSL_TRY(VSL_NEW(&probability, small * m->setup.structures, "probabilities"));
    VSL_TRY(VSL_NEW(&spread, small * m->setup.structures, "spread of probabilities"));
    VSL_TRY(cli_read_image(cli, &f.image, NULL, path));
    VSL_TRY(cli_to_grey(&f.image, vsl_path_has_suffix(path, ".png"), path));
    for (int64_t i = 0; inverted && i < vsl_grid_voxels(&f.image.grid); i++) {
        f.image.data[i] = -f.image.data[i];
    }
    if (vsl_fit_make(&f.fit, &f.image, 0, m->n) != VSL_OK) {
        char reason[400];
        snprintf(reason, sizeof reason, "%s", vsl_error());
        VSL_CHECK(0, VSL_E_FORMAT, "%s: %s", vsl_path_text(path).text, reason);
    }
    VSL_TRY(vsl_fit_image(picture, &f.fit, &f.image, 0));
    VSL_TRY(vsl_segment_predict(probability, spread, m->rt, m->network, picture, 1, m->n, m->levels, m->level_count));
    if (!m->is_averaged) { /* the network was trained at one level, and is a little worse at others */
        VSL_TRY(vsl_segment_predict(probability, NULL, m->rt, m->network, picture, 1, m->n, NULL, 0));
    }
    VSL_TRY(back(&f.probability, &f, m, probability, vsl_fit_probability_back));
    VSL_TRY(back(&f.spread, &f, m, spread, vsl_fit_back));
    cli_film_free(out);
    *out = f;
    f = (CliFilm){0};
out:
    cli_film_free(&f);
    vsl_free(picture);
    vsl_free(probability);
    vsl_free(spread);
    return st;
}

void cli_film_free(CliFilm *f)
{
    vsl_volume_free(&f->image);
    vsl_volume_free(&f->probability);
    vsl_volume_free(&f->spread);
    *f = (CliFilm){0};
}
