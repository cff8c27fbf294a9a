/*
 * A cohort of heads, as a BIDS dataset: scans lie in sub-*, all that is true about them in derivatives/phantom;
 * docs/phantom.md names every file.
 */
#include <stdlib.h>
#include <string.h>

#include "cli/cohort.h"
#include "io/file_out.h"
#include "io/transform_io.h"
#include "registration/transform.h"

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
    CohortText t = {0};
    int64_t count[256] = {0};
    const double voxel_mm3 = vsl_grid_voxel_mm3(&labels->grid);
    for (int64_t i = 0; i < vsl_grid_voxels(&labels->grid); i++) {
        count[labels->data[i] & 255]++;
    }
    VSL_TRY(cohort_text_open(&t));
    fprintf(t.stream, "index\tname\tvoxels\tvolume_mm3\n");
    for (int i = 0; vsl_phantom_label_info(i); i++) {
        const VslPhantomLabel *l = vsl_phantom_label_info(i);
        fprintf(t.stream, "%d\t%s\t%lld\t%.1f\n", l->index, l->name, (long long)count[l->index],
                (double)count[l->index] * voxel_mm3);
    }
    VSL_TRY(cohort_text_write(&t, path));
out:
    cohort_text_free(&t);
    return st;
}

static VslStatus write_lesions(const char *mask_path, const char *table_path, const VslPhantomScan *scan, int threads)
{
    VslStatus st = VSL_OK;
    CohortText t = {0};
    VslLabels mask = {0};
    const VslNiftiWrite how = {.descrip = "lesions", .threads = threads};
    VSL_TRY(vsl_labels_new(&mask, &scan->lesions.grid));
    for (int64_t i = 0; i < vsl_grid_voxels(&mask.grid); i++) {
        mask.data[i] = scan->lesions.data[i] > 0;
    }
    VSL_TRY(vsl_nifti_write_labels(mask_path, &mask, &how));
    VSL_TRY(cohort_text_open(&t));
    fprintf(t.stream, "lesion\tkind\tvolume_mm3\tmask_voxels\tradius_mm\ttemplate_x\ttemplate_y\ttemplate_z\n");
    for (int i = 0; i < scan->lesion_count; i++) {
        const VslPhantomLesion *l = &scan->lesion[i];
        fprintf(t.stream, "%d\t%s\t%.1f\t%lld\t%.2f\t%.1f\t%.1f\t%.1f\n", i + 1,
                l->kind == VSL_LESION_FOCAL ? "focal" : "periventricular", l->volume_mm3, (long long)l->voxels,
                l->radius_mm, l->centre_mm[0], l->centre_mm[1], l->centre_mm[2]);
    }
    VSL_TRY(cohort_text_write(&t, table_path));
out:
    cohort_text_free(&t);
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

static VslStatus write_template(Cli *cli, const CohortArgs *args)
{
    VslStatus st = VSL_OK;
    CliPath path;
    VslPhantomScan scan = {0};
    VSL_TRY(vsl_phantom_template(&scan, &args->heads, cli->be));
    VSL_TRY(cohort_path(&path, args->out, "derivatives/phantom/template/template_T1w.nii.gz"));
    VSL_TRY(write_image(path.text, &scan,
                        json_pack("{s:o,s:f,s:s}", "GeneratedBy", cli_json_generator(cli), "Age", scan.age_years,
                                  "Description", "Analytic template without noise, bias field or deformation"),
                        cli->threads));
    VSL_TRY(cohort_path(&path, args->out, "derivatives/phantom/template/template_dseg.nii.gz"));
    VSL_TRY(vsl_nifti_write_labels(path.text, &scan.labels, &(VslNiftiWrite){.threads = cli->threads}));
    VSL_TRY(cohort_path(&path, args->out, "derivatives/phantom/template/template_desc-brain_mask.nii.gz"));
    VSL_TRY(write_mask(path.text, &scan.labels, cli->threads));
    VSL_TRY(cohort_path(&path, args->out, "derivatives/phantom/template/template_desc-volumes_dseg.tsv"));
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

static json_t *about_scan(const Cli *cli, const CohortArgs *args, const VslPhantomSubject *s,
                          const VslPhantomScan *scan)
{
    json_t *rows = json_array();
    for (int r = 0; r < 3; r++) {
        json_array_append_new(rows, cli_json_numbers(scan->affine.m[r], 4));
    }
    return json_pack("{s:s,s:s,s:o,s:o,s:o,s:o,s:o}", "Modality", "MR", "PulseSequenceType", "simulated T1-weighted",
                     "GeneratedBy", cli_json_generator(cli), "Options",
                     cli_options_json(&args->heads, vsl_phantom_option_table), "Age", cli_json_number(scan->age_years),
                     "HeadScale", cli_json_number(s->size_scale), "ScanToHead", rows);
}

static VslStatus write_scan(Cli *cli, const CohortArgs *args, const VslPhantomSubject *s, const VslPhantomScan *scan,
                            int visit)
{
    VslStatus st = VSL_OK;
    CliPath stem, path;
    VSL_TRY(cohort_path(&path, args->out, "sub-%s/ses-%02d/anat/sub-%s_ses-%02d_T1w.nii.gz", s->label, visit, s->label,
                        visit));
    VSL_TRY(write_image(path.text, scan, about_scan(cli, args, s, scan), cli->threads));
    VSL_TRY(cohort_path(&stem, args->out, "derivatives/phantom/sub-%s/ses-%02d/anat/sub-%s_ses-%02d", s->label, visit,
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
static VslStatus write_subject(Cli *cli, const CohortArgs *args, int subject, CohortText *participants)
{
    VslStatus st = VSL_OK;
    CliPath path;
    CohortText sessions = {0};
    VslPhantomSubject s = {0};
    VslPhantomScan scan = {0};
    VSL_TRY(vsl_phantom_subject(&s, &args->heads, subject, cli->be));
    VSL_TRY(cohort_path(&path, args->out,
                        "derivatives/phantom/sub-%s/sub-%s_from-template_to-head_desc-geodesic_velocity.h5", s.label,
                        s.label));
    VSL_TRY(vsl_velocity_write(path.text, &s.geodesic));
    VSL_TRY(cohort_text_open(&sessions));
    fprintf(sessions.stream, "session_id\tage\n");
    for (int visit = 1; visit <= args->numbers.visits; visit++) {
        VSL_TRY(cli_check_stop());
        VSL_TRY(vsl_phantom_visit(&scan, &s, &args->heads, visit, cli->be));
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
    VSL_TRY(cohort_path(&path, args->out, "sub-%s/sub-%s_sessions.tsv", s.label, s.label));
    VSL_TRY(cohort_text_write(&sessions, path.text));
    fprintf(participants->stream, "sub-%s\t%.1f\t%s\t%.3f\t%.3f\t%s\n", s.label, s.age_years, s.is_male ? "M" : "F",
            s.size_scale, s.ageing_rate, args->lesions ? "yes" : "no");
out:
    cohort_text_free(&sessions);
    vsl_phantom_scan_free(&scan);
    vsl_phantom_subject_free(&s);
    return st;
}

static VslStatus write_descriptions(Cli *cli, const char *out)
{
    VslStatus st = VSL_OK;
    CliPath path;
    CohortText colours = {0};
    static const char readme[] =
        "Simulated heads with known truth, made by `vesal phantom`. No person was scanned.\n"
        "derivatives/phantom holds what is true: labels, masks, lesions, and the maps to the template.\n";
    VSL_TRY(cohort_text_open(&colours));
    fprintf(colours.stream, "index\tname\tcolor\n");
    for (int i = 0; vsl_phantom_label_info(i); i++) {
        const VslPhantomLabel *l = vsl_phantom_label_info(i);
        fprintf(colours.stream, "%d\t%s\t#%02x%02x%02x\n", l->index, l->name, l->rgb[0], l->rgb[1], l->rgb[2]);
    }
    VSL_TRY(cohort_path(&path, out, "derivatives/phantom/dseg.tsv"));
    VSL_TRY(cohort_text_write(&colours, path.text));
    VSL_TRY(cohort_json(out, "derivatives/phantom/dataset_description.json",
                        json_pack("{s:s,s:s,s:s,s:[{s:s,s:s}],s:o}", "Name", "Truth of a phantom cohort", "BIDSVersion",
                                  "1.9.0", "DatasetType", "derivative", "GeneratedBy", "Name", "vesal", "Version",
                                  cli_version(), "Generator", cli_json_generator(cli))));
    VSL_TRY(cohort_json(out, "dataset_description.json",
                        json_pack("{s:s,s:s,s:s,s:s,s:[{s:s,s:s}]}", "Name", "Phantom cohort", "BIDSVersion", "1.9.0",
                                  "DatasetType", "raw", "License", "CC0", "GeneratedBy", "Name", "vesal", "Version",
                                  cli_version())));
    VSL_TRY(cohort_json(out, "participants.json",
                        json_pack("{s:{s:s,s:s},s:{s:s},s:{s:s},s:{s:s},s:{s:s}}", "age", "Description",
                                  "age at the first session", "Units", "year", "sex", "Description", "M or F",
                                  "head_scale", "Description", "size over that of the template, along every axis",
                                  "ageing_rate", "Description", "years of anatomical ageing per year", "lesions",
                                  "Description", "whether lesions were put in")));
    VSL_TRY(cohort_path(&path, out, "README"));
    VSL_TRY(vsl_file_write_whole(path.text, readme, sizeof readme - 1));
out:
    cohort_text_free(&colours);
    return st;
}

VslStatus cohort_heads(Cli *cli, CohortArgs *args)
{
    VslStatus st = VSL_OK;
    CliPath path;
    VslGrid grid;
    CohortText participants = {0};
    if (args->size) {
        VSL_TRY(cohort_parse_size(args->heads.size, 3, 1024, args->size));
    }
    args->heads.seed = cli->seed;
    args->heads.lesions = args->lesions;
    VSL_TRY(vsl_phantom_grid(&grid, &args->heads)); /* refuses what cannot be made before a folder is */
    VSL_TRY(cohort_begin(cli, args->out));
    VSL_TRY(cli_backend(cli));
    VSL_TRY(write_template(cli, args));
    VSL_TRY(cohort_text_open(&participants));
    fprintf(participants.stream, "participant_id\tage\tsex\thead_scale\tageing_rate\tlesions\n");
    for (int subject = 1; subject <= args->numbers.subjects; subject++) {
        VSL_TRY(write_subject(cli, args, subject, &participants));
    }
    VSL_TRY(write_descriptions(cli, args->out));
    VSL_TRY(cohort_path(&path, args->out, "participants.tsv"));
    VSL_TRY(cohort_text_write(&participants, path.text));
    cli->result = json_pack("{s:s,s:i,s:i,s:I,s:b,s:o}", "out", args->out, "subjects", args->numbers.subjects, "visits",
                            args->numbers.visits, "seed", (json_int_t)cli->seed, "lesions", args->lesions, "grid",
                            cli_json_grid(&grid));
out:
    cohort_text_free(&participants);
    return st;
}
