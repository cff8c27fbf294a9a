/*
 * A cohort of radiographs. BIDS has no place for them: the layout follows it, with a folder `xray` that .bidsignore
 * names, and manifest.tsv says to programs that learn which file is what. docs/phantom.md names every file.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cohort.h"
#include "io/file_out.h"
#include "io/sha256.h"

typedef struct Tables {
    CohortText participants, manifest;
} Tables;

/* The same in every visit and every cohort: of five subjects one is kept for the final numbers. */
static const char *part_of(int subject)
{
    return subject % 5 == 0 ? "test" : subject % 10 == 3 ? "validation" : "train";
}

/* Name of a file relative to the dataset. mask NULL: the film. */
static void name_of(char *out, size_t size, int subject, int visit, const char *mask)
{
    if (mask) {
        snprintf(out, size, "derivatives/phantom/sub-%02d/ses-%02d/xray/sub-%02d_ses-%02d_label-%s_mask.png", subject,
                 visit, subject, visit, mask);
    } else {
        snprintf(out, size, "sub-%02d/ses-%02d/xray/sub-%02d_ses-%02d_xray.png", subject, visit, subject, visit);
    }
}

static json_t *about_film(const Cli *cli, const CohortArgs *args, const VslRadiograph *r)
{
    return json_pack("{s:s,s:s,s:s,s:o,s:o,s:o,s:s,s:o}", "Modality", "X-ray, simulated", "ViewPosition", r->projection,
                     "PhotometricInterpretation", "MONOCHROME2", "ImagerPixelSpacing", cli_json_numbers(r->pixel_mm, 2),
                     "Age", cli_json_number(r->age_years), "GeneratedBy", cli_json_generator(cli), "Sex",
                     r->is_male ? "M" : "F", "Options", cli_options_json(&args->films, vsl_radiograph_option_table));
}

static VslStatus write_findings(const char *out, int subject, int visit, const VslRadiograph *r)
{
    VslStatus st = VSL_OK;
    CliPath path;
    CohortText t = {0};
    VSL_TRY(cohort_text_open(&t));
    fprintf(t.stream, "finding\tkind\tside\ttooth\tx_mm\ty_mm\tz_mm\tradius_mm\tcolumn\trow\n");
    for (int i = 0; i < r->findings; i++) {
        const VslRadiographFinding *f = &r->finding[i];
        fprintf(t.stream, "%d\t%s\t%s\t", i + 1, f->kind, f->side);
        if (f->tooth) {
            fprintf(t.stream, "%d", f->tooth);
        } else {
            fprintf(t.stream, "n/a");
        }
        fprintf(t.stream, "\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\t%.2f\n", f->centre_mm[0], f->centre_mm[1], f->centre_mm[2],
                f->radius_mm, f->at[0], f->at[1]);
    }
    VSL_TRY(cohort_path(&path, out, "derivatives/phantom/sub-%02d/ses-%02d/xray/sub-%02d_ses-%02d_findings.tsv",
                        subject, visit, subject, visit));
    VSL_TRY(cohort_text_write(&t, path.text));
out:
    cohort_text_free(&t);
    return st;
}

/* One row of the manifest: a film (mask NULL), which also names its masks, or a mask. */
static VslStatus list_file(FILE *to, const char *out, int subject, int visit, const VslRadiograph *r, const char *mask)
{
    VslStatus st = VSL_OK;
    CliPath path;
    char name[256], film[256], digest[VSL_SHA256_HEX];
    name_of(film, sizeof film, subject, visit, NULL);
    name_of(name, sizeof name, subject, visit, mask);
    VSL_TRY(cohort_path(&path, out, "%s", name));
    VSL_TRY(vsl_sha256_file(digest, path.text));
    fprintf(to, "%s\t%s\t%02d\t%02d\t%.2f\t%s\t%s\t%s\t%s", name, digest, subject, visit, r->age_years,
            r->is_male ? "M" : "F", part_of(subject), mask ? film : "n/a", mask ? mask : "n/a");
    for (int m = 0; m < r->masks; m++) {
        name_of(name, sizeof name, subject, visit, r->mask_name[m]);
        fprintf(to, "\t%s", mask ? "n/a" : name);
    }
    fprintf(to, "\n");
out:
    return st;
}

static VslStatus write_film(Cli *cli, const CohortArgs *args, int subject, int visit, const VslRadiograph *r,
                            FILE *manifest)
{
    VslStatus st = VSL_OK;
    CliPath path, sidecar;
    char name[256];
    name_of(name, sizeof name, subject, visit, NULL);
    VSL_TRY(cohort_path(&path, args->out, "%s", name));
    VSL_TRY(vsl_image_write(path.text, &r->film, &(VslNiftiWrite){.datatype = VSL_DATATYPE_UINT16}));
    VSL_TRY(cli_path_sidecar(&sidecar, path.text));
    json_t *about = about_film(cli, args, r);
    st = cli_json_write(sidecar.text, about);
    json_decref(about);
    VSL_TRY(st);
    for (int m = 0; m < r->masks; m++) {
        name_of(name, sizeof name, subject, visit, r->mask_name[m]);
        VSL_TRY(cohort_path(&path, args->out, "%s", name));
        VSL_TRY(vsl_image_write_labels(path.text, &r->mask[m], NULL));
    }
    if (args->lesions) {
        VSL_TRY(write_findings(args->out, subject, visit, r));
    }
    VSL_TRY(list_file(manifest, args->out, subject, visit, r, NULL));
    for (int m = 0; m < r->masks; m++) {
        VSL_TRY(list_file(manifest, args->out, subject, visit, r, r->mask_name[m]));
    }
out:
    return st;
}

/* One person: all visits, sessions.tsv, and a line of participants.tsv. */
static VslStatus write_subject(Cli *cli, const CohortArgs *args, int subject, Tables *tables)
{
    VslStatus st = VSL_OK;
    CliPath path;
    CohortText sessions = {0};
    VslRadiograph r = {0};
    VSL_TRY(cohort_text_open(&sessions));
    fprintf(sessions.stream, "session_id\tage\tprojection\n");
    for (int visit = 1; visit <= args->numbers.visits; visit++) {
        VSL_TRY(cli_check_stop());
        VSL_TRY(vsl_radiograph_make(&r, &args->films, subject, visit));
        VSL_TRY(write_film(cli, args, subject, visit, &r, tables->manifest.stream));
        fprintf(sessions.stream, "ses-%02d\t%.2f\t%s\n", visit, r.age_years, r.projection);
        if (visit == 1) {
            fprintf(tables->participants.stream, "sub-%02d\t%.2f\t%s\t%s\t%s\n", subject, r.age_years,
                    r.is_male ? "M" : "F", part_of(subject), args->lesions ? "yes" : "no");
        }
        const int all = args->numbers.subjects * args->numbers.visits,
                  made = (subject - 1) * args->numbers.visits + visit;
        const VslProgress progress = {"phantom", 1, 1, made, all, 0, (double)made / (double)all};
        (void)cli_progress(&progress, cli); /* the answer is asked for before the next film */
    }
    VSL_TRY(cohort_path(&path, args->out, "sub-%02d/sub-%02d_sessions.tsv", subject, subject));
    VSL_TRY(cohort_text_write(&sessions, path.text));
out:
    cohort_text_free(&sessions);
    vsl_radiograph_free(&r);
    return st;
}

static VslStatus write_descriptions(const Cli *cli, const char *out)
{
    VslStatus st = VSL_OK;
    CliPath path;
    static const char readme[] =
        "Simulated radiographs with known truth, made by `vesal phantom --modality radiograph`. Nobody was imaged.\n"
        "Radiographs are no part of BIDS: the folders xray, the suffixes _xray and findings.tsv and manifest.tsv are "
        "this\n"
        "dataset's own, in a layout that follows BIDS otherwise. derivatives/phantom holds what is true: masks of 0 "
        "and 1\n"
        "and, with --lesions, the findings. manifest.tsv lists films and masks with their split for learning.\n";
    static const char ignore[] = "**/xray/**\n/manifest.tsv\n";
    VSL_TRY(cohort_json(out, "derivatives/phantom/dataset_description.json",
                        json_pack("{s:s,s:s,s:s,s:[{s:s,s:s}],s:o}", "Name", "Truth of a cohort of radiographs",
                                  "BIDSVersion", "1.9.0", "DatasetType", "derivative", "GeneratedBy", "Name", "vesal",
                                  "Version", cli_version(), "Generator", cli_json_generator(cli))));
    VSL_TRY(cohort_json(out, "dataset_description.json",
                        json_pack("{s:s,s:s,s:s,s:s,s:s,s:[{s:s,s:s}]}", "Name", "Simulated radiographs", "BIDSVersion",
                                  "1.9.0", "DatasetType", "raw", "License", "CC0", "Acknowledgements",
                                  "radiographs are no part of BIDS; folders named xray are this dataset's own",
                                  "GeneratedBy", "Name", "vesal", "Version", cli_version())));
    VSL_TRY(cohort_json(out, "participants.json",
                        json_pack("{s:{s:s,s:s},s:{s:s},s:{s:s},s:{s:s}}", "age", "Description",
                                  "age at the first session", "Units", "year", "sex", "Description", "M or F", "split",
                                  "Description", "part of an experiment that the person belongs to", "lesions",
                                  "Description", "whether findings were put in")));
    VSL_TRY(cohort_path(&path, out, ".bidsignore"));
    VSL_TRY(vsl_file_write_whole(path.text, ignore, sizeof ignore - 1));
    VSL_TRY(cohort_path(&path, out, "README"));
    VSL_TRY(vsl_file_write_whole(path.text, readme, sizeof readme - 1));
out:
    return st;
}

VslStatus cohort_films(Cli *cli, CohortArgs *args)
{
    VslStatus st = VSL_OK;
    CliPath path;
    Tables t = {0};
    if (args->size) {
        VSL_TRY(cohort_parse_size(args->films.size, 2, 4096, args->size));
    }
    args->films.seed = cli->seed;
    args->films.lesions = args->lesions;
    args->films.threads = cli->threads;
    VSL_TRY(vsl_radiograph_resolve(&args->films, &args->films)); /* refuses what cannot be made before a folder is */
    VSL_TRY(cohort_begin(cli, args->out));
    VSL_TRY(cohort_text_open(&t.participants));
    VSL_TRY(cohort_text_open(&t.manifest));
    fprintf(t.participants.stream, "participant_id\tage\tsex\tsplit\tlesions\n");
    fprintf(t.manifest.stream, "file\tsha256\tsubject\tsession\tage_years\tsex\tsplit\tmask_of\tstructure");
    for (int m = 0; vsl_radiograph_mask_name(&args->films, m); m++) {
        fprintf(t.manifest.stream, "\t%s", vsl_radiograph_mask_name(&args->films, m));
    }
    fprintf(t.manifest.stream, "\n");
    for (int subject = 1; subject <= args->numbers.subjects; subject++) {
        VSL_TRY(write_subject(cli, args, subject, &t));
    }
    VSL_TRY(write_descriptions(cli, args->out));
    VSL_TRY(cohort_path(&path, args->out, "manifest.tsv"));
    VSL_TRY(cohort_text_write(&t.manifest, path.text));
    VSL_TRY(cohort_path(&path, args->out, "participants.tsv"));
    VSL_TRY(cohort_text_write(&t.participants, path.text));
    cli->result = json_pack("{s:s,s:i,s:i,s:I,s:b,s:s,s:[I,I]}", "out", args->out, "subjects", args->numbers.subjects,
                            "visits", args->numbers.visits, "seed", (json_int_t)cli->seed, "lesions", args->lesions,
                            "view", args->films.view == VSL_VIEW_CHEST ? "chest" : "panoramic", "size",
                            (json_int_t)args->films.size[0], (json_int_t)args->films.size[1]);
out:
    cohort_text_free(&t.participants);
    cohort_text_free(&t.manifest);
    return st;
}
