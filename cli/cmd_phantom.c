/*
 * vesal phantom: writes a cohort of heads whose truth is known, as a BIDS dataset. Scans lie in sub-*, all that is true
 * about them in derivatives/phantom; docs/phantom.md names every file. The tables of the dataset are written last: a
 * folder without participants.tsv is a run that did not end.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli/files.h"
#include "cli/flags.h"
#include "io/file_out.h"
#include "io/path.h"
#include "io/transform_io.h"
#include "phantom/phantom.h"
#include "registration/transform.h"

typedef struct PhantomNumbers {
    int subjects, visits;
} PhantomNumbers;

typedef struct PhantomArgs {
    const char *out, *size;
    int lesions;
    PhantomNumbers numbers;
    VslPhantomOptions options;
} PhantomArgs;

static const VslOption number_table[] = {
    {"subjects", VSL_OPT_INT, offsetof(PhantomNumbers, subjects), 4, 1, 9999, "", "people in the cohort", NULL},
    {"visits", VSL_OPT_INT, offsetof(PhantomNumbers, visits), 1, 1, 20, "", "scans of each, 1.5 to 2.5 years apart",
     NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

/* Text that grows; the first failure is kept and found by text_write. */
typedef struct Text {
    char *bytes;
    size_t size;
    FILE *stream;
} Text;

static VslStatus text_open(Text *t)
{
    t->stream = open_memstream(&t->bytes, &t->size);
    return t->stream ? VSL_OK : vsl_fail(VSL_E_NOMEM, __func__, "no memory for a table");
}

static void text_free(Text *t)
{
    if (t->stream) {
        fclose(t->stream);
    }
    free(t->bytes);
    *t = (Text){0};
}

static VslStatus text_write(Text *t, const char *path)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(fflush(t->stream) == 0 && !ferror(t->stream), VSL_E_NOMEM, "no memory for the text of %s",
              vsl_path_text(path).text);
    VSL_TRY(vsl_file_write_whole(path, t->bytes, t->size));
out:
    return st;
}

/* out/tail, with all folders up to the last slash of tail made. */
static VslStatus in_dataset(CliPath *path, const char *out, const char *fmt, ...) VSL_PRINTF(3, 4);
static VslStatus in_dataset(CliPath *path, const char *out, const char *fmt, ...)
{
    VslStatus st = VSL_OK;
    CliPath tail;
    va_list args;
    tail.text[0] = '/';
    va_start(args, fmt);
    const int n = vsnprintf(tail.text + 1, sizeof tail.text - 1, fmt, args);
    va_end(args);
    VSL_CHECK(n >= 0 && n < (int)sizeof tail.text - 1, VSL_E_ARG, "a name in the dataset is too long");
    VSL_TRY(cli_path_join(path, out, tail.text));
    VSL_TRY(cli_make_folders(path->text, strlen(out)));
out:
    return st;
}

/* Refuses a folder that holds something, unless --overwrite was given. */
static VslStatus check_folder(const Cli *cli, const char *out)
{
    VslStatus st = VSL_OK;
    CliPath folder;
    DIR *d = opendir(out);
    VSL_TRY(cli_path_join(&folder, out, "/"));
    if (!d) {
        VSL_CHECK(errno == ENOENT, VSL_E_WRITE, "--out %s cannot be used as a folder: %s", vsl_path_text(out).text,
                  strerror(errno));
        return cli_make_folders(folder.text, strlen(out));
    }
    int is_empty = 1;
    for (const struct dirent *e; (e = readdir(d)) != NULL;) {
        is_empty = is_empty && (strcmp(e->d_name, ".") == 0 || strcmp(e->d_name, "..") == 0);
    }
    VSL_CHECK(is_empty || cli->overwrite, VSL_E_WRITE,
              "--out %s is not empty and nothing in it is replaced; give a new folder or --overwrite",
              vsl_path_text(out).text);
out:
    if (d) {
        closedir(d);
    }
    return st;
}

static VslStatus parse_size(int64_t size[3], const char *text)
{
    VslStatus st = VSL_OK;
    double n[3];
    VSL_TRY(cli_parse_numbers(n, 3, text, "--size"));
    for (int d = 0; d < 3; d++) {
        VSL_CHECK(n[d] >= 16 && n[d] <= 1024 && n[d] == (double)(int64_t)n[d], VSL_E_ARG,
                  "--size: %g, expected three whole numbers from 16 to 1024, such as 96,112,96", n[d]);
        size[d] = (int64_t)n[d];
    }
out:
    return st;
}

/* Labels > 0: all that lies inside the skull. */
static VslStatus write_mask(const char *path, const VslLabels *labels, int threads)
{
    VslStatus st = VSL_OK;
    VslLabels mask = {0};
    const VslNiftiWrite how = {.descrip = "inside the skull", .threads = threads};
    VSL_TRY(vsl_labels_new(&mask, &labels->grid));
    for (int64_t i = 0; i < vsl_grid_voxels(&labels->grid); i++) {
        mask.data[i] = labels->data[i] > 0;
    }
    VSL_TRY(vsl_nifti_write_labels(path, &mask, &how));
out:
    vsl_labels_free(&mask);
    return st;
}

/* Label volumes: index, name, mm^3. */
static VslStatus write_volumes(const char *path, const VslLabels *labels)
{
    VslStatus st = VSL_OK;
    Text t = {0};
    int64_t count[256] = {0};
    const double voxel_mm3 = vsl_grid_voxel_mm3(&labels->grid);
    for (int64_t i = 0; i < vsl_grid_voxels(&labels->grid); i++) {
        count[labels->data[i] & 255]++;
    }
    VSL_TRY(text_open(&t));
    fprintf(t.stream, "index\tname\tvoxels\tvolume_mm3\n");
    for (int i = 0; vsl_phantom_label_info(i); i++) {
        const VslPhantomLabel *l = vsl_phantom_label_info(i);
        fprintf(t.stream, "%d\t%s\t%lld\t%.1f\n", l->index, l->name, (long long)count[l->index],
                (double)count[l->index] * voxel_mm3);
    }
    VSL_TRY(text_write(&t, path));
out:
    text_free(&t);
    return st;
}

static VslStatus write_lesions(const char *mask_path, const char *table_path, const VslPhantomScan *scan, int threads)
{
    VslStatus st = VSL_OK;
    Text t = {0};
    VslLabels mask = {0};
    const VslNiftiWrite how = {.descrip = "lesions", .threads = threads};
    VSL_TRY(vsl_labels_new(&mask, &scan->lesions.grid));
    for (int64_t i = 0; i < vsl_grid_voxels(&mask.grid); i++) {
        mask.data[i] = scan->lesions.data[i] > 0;
    }
    VSL_TRY(vsl_nifti_write_labels(mask_path, &mask, &how));
    VSL_TRY(text_open(&t));
    fprintf(t.stream, "lesion\tkind\tvolume_mm3\tmask_voxels\tradius_mm\ttemplate_x\ttemplate_y\ttemplate_z\n");
    for (int i = 0; i < scan->lesion_count; i++) {
        const VslPhantomLesion *l = &scan->lesion[i];
        fprintf(t.stream, "%d\t%s\t%.1f\t%lld\t%.2f\t%.1f\t%.1f\t%.1f\n", i + 1,
                l->kind == VSL_LESION_FOCAL ? "focal" : "periventricular", l->volume_mm3, (long long)l->voxels,
                l->radius_mm, l->centre_mm[0], l->centre_mm[1], l->centre_mm[2]);
    }
    VSL_TRY(text_write(&t, table_path));
out:
    text_free(&t);
    vsl_labels_free(&mask);
    return st;
}

static VslStatus write_image(const char *path, const VslPhantomScan *scan, json_t *about, int threads)
{
    VslStatus st = VSL_OK;
    CliPath sidecar;
    const VslNiftiWrite how = {.datatype = VSL_DATATYPE_INT16, .descrip = "simulated T1-weighted", .threads = threads};
    VSL_TRY(vsl_nifti_write(path, &scan->image, &how));
    VSL_TRY(cli_path_sidecar(&sidecar, path));
    VSL_TRY(cli_json_write(sidecar.text, about));
out:
    json_decref(about);
    return st;
}

static VslStatus write_template(Cli *cli, const PhantomArgs *args)
{
    VslStatus st = VSL_OK;
    CliPath path;
    VslPhantomScan scan = {0};
    VSL_TRY(vsl_phantom_template(&scan, &args->options, cli->be));
    VSL_TRY(in_dataset(&path, args->out, "derivatives/phantom/template/template_T1w.nii.gz"));
    VSL_TRY(write_image(path.text, &scan,
                        json_pack("{s:o,s:f,s:s}", "GeneratedBy", cli_json_generator(cli), "Age", scan.age_years,
                                  "Description", "Analytic template without noise, bias field or deformation"),
                        cli->threads));
    VSL_TRY(in_dataset(&path, args->out, "derivatives/phantom/template/template_dseg.nii.gz"));
    VSL_TRY(vsl_nifti_write_labels(path.text, &scan.labels, &(VslNiftiWrite){.threads = cli->threads}));
    VSL_TRY(in_dataset(&path, args->out, "derivatives/phantom/template/template_desc-brain_mask.nii.gz"));
    VSL_TRY(write_mask(path.text, &scan.labels, cli->threads));
    VSL_TRY(in_dataset(&path, args->out, "derivatives/phantom/template/template_desc-volumes_dseg.tsv"));
    VSL_TRY(write_volumes(path.text, &scan.labels));
out:
    vsl_phantom_scan_free(&scan);
    return st;
}

static VslStatus write_transforms(Cli *cli, const char *stem, const VslPhantomScan *scan)
{
    VslStatus st = VSL_OK;
    CliPath path, sidecar;
    VslVolume inverse = {0};
    VSL_TRY(cli_path_join(&path, stem, "_from-template_to-T1w_mode-image_xfm.nii.gz"));
    VSL_TRY(vsl_displacement_write(path.text, &scan->disp, cli->threads));
    VSL_TRY(cli_path_sidecar(&sidecar, path.text));
    json_t *about = json_pack(
        "{s:s}", "Description",
        "Displacement in mm (ITK: LPS) on the grid of the scan; scan point + displacement = template point. Resamples "
        "the template onto the scan. Size and position of the head, deformation and ageing are all in it.");
    st = cli_json_write(sidecar.text, about);
    json_decref(about);
    VSL_TRY(st);
    VSL_TRY(vsl_invert_displacement(&inverse, NULL, &scan->disp, &scan->disp.grid, cli->threads));
    VSL_TRY(cli_path_join(&path, stem, "_from-T1w_to-template_mode-image_xfm.nii.gz"));
    VSL_TRY(vsl_displacement_write(path.text, &inverse, cli->threads));
out:
    vsl_volume_free(&inverse);
    return st;
}

static json_t *about_scan(const Cli *cli, const PhantomArgs *args, const VslPhantomSubject *s,
                          const VslPhantomScan *scan)
{
    json_t *rows = json_array();
    for (int r = 0; r < 3; r++) {
        json_array_append_new(rows, cli_json_numbers(scan->affine.m[r], 4));
    }
    return json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o}", "Modality", "MR", "PulseSequenceType", "simulated T1-weighted",
                     "GeneratedBy", cli_json_generator(cli), "Options",
                     cli_options_json(&args->options, vsl_phantom_option_table), "Age",
                     cli_json_number(scan->age_years), "HeadScale", cli_json_number(s->size_scale), "ScanToHead", rows);
}

static VslStatus write_scan(Cli *cli, const PhantomArgs *args, const VslPhantomSubject *s, const VslPhantomScan *scan,
                            int visit)
{
    VslStatus st = VSL_OK;
    CliPath stem, path;
    VSL_TRY(in_dataset(&path, args->out, "sub-%s/ses-%02d/anat/sub-%s_ses-%02d_T1w.nii.gz", s->label, visit, s->label,
                       visit));
    VSL_TRY(write_image(path.text, scan, about_scan(cli, args, s, scan), cli->threads));
    VSL_TRY(in_dataset(&stem, args->out, "derivatives/phantom/sub-%s/ses-%02d/anat/sub-%s_ses-%02d", s->label, visit,
                       s->label, visit));
    VSL_TRY(cli_path_join(&path, stem.text, "_dseg.nii.gz"));
    VSL_TRY(vsl_nifti_write_labels(path.text, &scan->labels, &(VslNiftiWrite){.threads = cli->threads}));
    VSL_TRY(cli_path_join(&path, stem.text, "_desc-brain_mask.nii.gz"));
    VSL_TRY(write_mask(path.text, &scan->labels, cli->threads));
    VSL_TRY(cli_path_join(&path, stem.text, "_desc-volumes_dseg.tsv"));
    VSL_TRY(write_volumes(path.text, &scan->labels));
    if (args->lesions) {
        CliPath table;
        VSL_TRY(cli_path_join(&path, stem.text, "_label-lesion_mask.nii.gz"));
        VSL_TRY(cli_path_join(&table, stem.text, "_label-lesion_mask.tsv"));
        VSL_TRY(write_lesions(path.text, table.text, scan, cli->threads));
    }
    VSL_TRY(write_transforms(cli, stem.text, scan));
out:
    return st;
}

/* One person: all visits, the geodesic, sessions.tsv, and a line of participants.tsv. */
static VslStatus write_subject(Cli *cli, const PhantomArgs *args, int subject, Text *participants)
{
    VslStatus st = VSL_OK;
    CliPath path;
    Text sessions = {0};
    VslPhantomSubject s = {0};
    VslPhantomScan scan = {0};
    VSL_TRY(vsl_phantom_subject(&s, &args->options, subject, cli->be));
    VSL_TRY(in_dataset(&path, args->out,
                       "derivatives/phantom/sub-%s/sub-%s_from-template_to-head_desc-geodesic_velocity.h5", s.label,
                       s.label));
    VSL_TRY(vsl_velocity_write(path.text, &s.geodesic));
    VSL_TRY(text_open(&sessions));
    fprintf(sessions.stream, "session_id\tage\n");
    for (int visit = 1; visit <= args->numbers.visits; visit++) {
        VSL_TRY(cli_check_stop());
        VSL_TRY(vsl_phantom_visit(&scan, &s, &args->options, visit, cli->be));
        VSL_TRY(write_scan(cli, args, &s, &scan, visit));
        fprintf(sessions.stream, "ses-%02d\t%.2f\n", visit, scan.age_years);
        if (cli->is_verbose) {
            cli_note(cli, "sub-%s ses-%02d: age %.2f", s.label, visit, scan.age_years);
        }
        const int scans = args->numbers.subjects * args->numbers.visits,
                  made = (subject - 1) * args->numbers.visits + visit;
        const VslProgress progress = {"phantom", 1, 1, made, scans, 0, (double)made / (double)scans};
        (void)cli_progress(&progress, cli); /* the answer is asked for before the next scan */
    }
    VSL_TRY(in_dataset(&path, args->out, "sub-%s/sub-%s_sessions.tsv", s.label, s.label));
    VSL_TRY(text_write(&sessions, path.text));
    fprintf(participants->stream, "sub-%s\t%.1f\t%s\t%.3f\t%.3f\t%s\n", s.label, s.age_years, s.is_male ? "M" : "F",
            s.size_scale, s.ageing_rate, args->lesions ? "yes" : "no");
out:
    text_free(&sessions);
    vsl_phantom_scan_free(&scan);
    vsl_phantom_subject_free(&s);
    return st;
}

static VslStatus write_json(const char *out, const char *name, json_t *value)
{
    VslStatus st = VSL_OK;
    CliPath path;
    VSL_TRY(in_dataset(&path, out, "%s", name));
    VSL_TRY(cli_json_write(path.text, value));
out:
    json_decref(value);
    return st;
}

static VslStatus write_descriptions(Cli *cli, const char *out)
{
    VslStatus st = VSL_OK;
    CliPath path;
    Text colours = {0};
    static const char readme[] =
        "Simulated heads with known truth, made by `vesal phantom`. No person was scanned.\n"
        "derivatives/phantom holds what is true: labels, masks, lesions, and the maps to the template.\n";
    VSL_TRY(text_open(&colours));
    fprintf(colours.stream, "index\tname\tcolor\n");
    for (int i = 0; vsl_phantom_label_info(i); i++) {
        const VslPhantomLabel *l = vsl_phantom_label_info(i);
        fprintf(colours.stream, "%d\t%s\t#%02x%02x%02x\n", l->index, l->name, l->rgb[0], l->rgb[1], l->rgb[2]);
    }
    VSL_TRY(in_dataset(&path, out, "derivatives/phantom/dseg.tsv"));
    VSL_TRY(text_write(&colours, path.text));
    VSL_TRY(write_json(out, "derivatives/phantom/dataset_description.json",
                       json_pack("{s:s,s:s,s:s,s:[{s:s,s:s}],s:o}", "Name", "Truth of a phantom cohort", "BIDSVersion",
                                 "1.9.0", "DatasetType", "derivative", "GeneratedBy", "Name", "vesal", "Version",
                                 cli_version(), "Generator", cli_json_generator(cli))));
    VSL_TRY(write_json(out, "dataset_description.json",
                       json_pack("{s:s,s:s,s:s,s:s,s:[{s:s,s:s}]}", "Name", "Phantom cohort", "BIDSVersion", "1.9.0",
                                 "DatasetType", "raw", "License", "CC0", "GeneratedBy", "Name", "vesal", "Version",
                                 cli_version())));
    VSL_TRY(write_json(out, "participants.json",
                       json_pack("{s:{s:s,s:s},s:{s:s},s:{s:s},s:{s:s},s:{s:s}}", "age", "Description",
                                 "age at the first session", "Units", "year", "sex", "Description", "M or F",
                                 "head_scale", "Description", "size over that of the template, along every axis",
                                 "ageing_rate", "Description", "years of anatomical ageing per year", "lesions",
                                 "Description", "whether lesions were put in")));
    VSL_TRY(in_dataset(&path, out, "README"));
    VSL_TRY(vsl_file_write_whole(path.text, readme, sizeof readme - 1));
out:
    text_free(&colours);
    return st;
}

static VslStatus run(Cli *cli, void *void_args)
{
    VslStatus st = VSL_OK;
    PhantomArgs *args = void_args;
    CliPath path;
    VslGrid grid;
    Text participants = {0};
    VSL_TRY(vsl_options_resolve(&args->numbers, number_table));
    if (args->size) {
        VSL_TRY(parse_size(args->options.size, args->size));
    }
    args->options.seed = cli->seed;
    args->options.lesions = args->lesions;
    VSL_TRY(vsl_phantom_grid(&grid, &args->options)); /* refuses what cannot be made before a folder is */
    VSL_TRY(check_folder(cli, args->out));
    VSL_TRY(in_dataset(&path, args->out, "participants.tsv"));
    VSL_CHECK(unlink(path.text) == 0 || errno == ENOENT, VSL_E_WRITE, "%s cannot be replaced: %s",
              vsl_path_text(path.text).text, strerror(errno)); /* until this run has ended there is none */
    VSL_TRY(cli_backend(cli));
    VSL_TRY(write_template(cli, args));
    VSL_TRY(text_open(&participants));
    fprintf(participants.stream, "participant_id\tage\tsex\thead_scale\tageing_rate\tlesions\n");
    for (int subject = 1; subject <= args->numbers.subjects; subject++) {
        VSL_TRY(write_subject(cli, args, subject, &participants));
    }
    VSL_TRY(write_descriptions(cli, args->out));
    VSL_TRY(text_write(&participants, path.text));
    cli_note(cli, "wrote %s: %d subject%s, %d visit%s each, seed %llu", vsl_path_text(args->out).text,
             args->numbers.subjects, args->numbers.subjects == 1 ? "" : "s", args->numbers.visits,
             args->numbers.visits == 1 ? "" : "s", (unsigned long long)cli->seed);
    cli->result = json_pack("{s:s,s:i,s:i,s:I,s:b,s:o}", "out", args->out, "subjects", args->numbers.subjects, "visits",
                            args->numbers.visits, "seed", (json_int_t)cli->seed, "lesions", args->lesions, "grid",
                            cli_json_grid(&grid));
out:
    text_free(&participants);
    return st;
}

static const CliFlag flags[] = {
    {"out", CLI_TEXT, offsetof(PhantomArgs, out), "DIR", 1, "folder of the dataset; made when missing"},
    {"size", CLI_TEXT, offsetof(PhantomArgs, size), "I,J,K", 0,
     "voxels over the box of 192 x 224 x 192 mm; 96,112,96 unless given"},
    {"lesions", CLI_SWITCH, offsetof(PhantomArgs, lesions), NULL, 0, "give every subject lesions, with their masks"},
    {NULL, CLI_SWITCH, 0, NULL, 0, NULL},
};

const CliVerb cli_verb_phantom = {
    .name = "phantom",
    .purpose = "write a seeded BIDS cohort of brain-like heads with known ages, deformations, labels and lesions.",
    .inputs = "",
    .flags = flags,
    .groups = {{"Cohort", number_table, offsetof(PhantomArgs, numbers), NULL, NULL},
               {"Heads", vsl_phantom_option_table, offsetof(PhantomArgs, options), NULL, NULL}},
    .notes = "Scans are sub-*/ses-*/anat/*_T1w.nii.gz; derivatives/phantom holds the truth: labels (_dseg), masks, "
             "lesions, the template, displacement fields between template and scan in both directions and the geodesic "
             "of each subject. The same --seed gives the same files, for any number of threads, and a subject does not "
             "depend on how many others are made. participants.tsv is written last.",
    .example = "vesal phantom --out cohort --subjects 4 --visits 2 --seed 1 --lesions",
    .args_size = sizeof(PhantomArgs),
    .run = run,
};
