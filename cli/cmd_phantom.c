/*
 * vesal phantom: a cohort of people who never were and of whom everything is known. Which pictures are made of them is
 * the modality; phantom_heads.c and phantom_films.c write them.
 */
#include "cli/cohort.h"
#include "io/path.h"

static const VslOption number_table[] = {
    {"subjects", VSL_OPT_INT, offsetof(CohortNumbers, subjects), 4, 1, 9999, "", "people in the cohort", NULL},
    {"visits", VSL_OPT_INT, offsetof(CohortNumbers, visits), 1, 1, 20, "", "pictures of each, 1.5 to 2.5 years apart",
     NULL},
    {NULL, 0, 0, 0, 0, 0, NULL, NULL, NULL},
};

static VslStatus run(Cli *cli, void *void_args)
{
    VslStatus st = VSL_OK;
    CohortArgs *args = void_args;
    const int is_film = args->heads.modality == VSL_PHANTOM_RADIOGRAPH;
    VSL_TRY(vsl_options_resolve(&args->numbers, number_table));
    VSL_CHECK(
        !is_film || (args->heads.deform_mm == 0 && args->heads.noise_percent == 0 && args->heads.bias_percent == 0),
        VSL_E_ARG, "--deform-mm, --noise-percent and --bias-percent belong to heads, not to --modality radiograph");
    VSL_CHECK(is_film ||
                  (args->films.view == 0 && args->films.photons_per_mm2 == 0 && args->films.scatter_percent == 0),
              VSL_E_ARG, "--view, --photons-per-mm2 and --scatter-percent belong to --modality radiograph");
    VSL_TRY(is_film ? cohort_films(cli, args) : cohort_heads(cli, args));
    cli_note(cli, "wrote %s: %d subject%s, %d visit%s each, seed %llu", vsl_path_text(args->out).text,
             args->numbers.subjects, args->numbers.subjects == 1 ? "" : "s", args->numbers.visits,
             args->numbers.visits == 1 ? "" : "s", (unsigned long long)cli->seed);
out:
    return st;
}

static const CliFlag flags[] = {
    {"out", CLI_TEXT, offsetof(CohortArgs, out), "DIR", 1, "folder of the dataset; made when missing"},
    {"size", CLI_TEXT, offsetof(CohortArgs, size), "I,J[,K]", 0,
     "heads: voxels over the box of 192 x 224 x 192 mm, 96,112,96 unless given; radiographs: columns and rows"},
    {"lesions", CLI_SWITCH, offsetof(CohortArgs, lesions), NULL, 0, "give every subject lesions, with their masks"},
    {NULL, CLI_SWITCH, 0, NULL, 0, NULL},
};

const CliVerb cli_verb_phantom = {
    .name = "phantom",
    .purpose =
        "write a seeded cohort of brain-like heads or of radiographs with known ages, shapes, masks and lesions.",
    .inputs = "",
    .flags = flags,
    .groups = {{"Cohort", number_table, offsetof(CohortArgs, numbers), NULL, NULL},
               {"Heads", vsl_phantom_option_table, offsetof(CohortArgs, heads), NULL, NULL},
               {"Radiographs", vsl_radiograph_option_table, offsetof(CohortArgs, films), NULL, NULL}},
    .notes =
        "Heads: scans are sub-*/ses-*/anat/*_T1w.nii.gz; derivatives/phantom holds the truth: labels (_dseg), masks, "
        "lesions, the template, displacement fields between template and scan in both directions and the geodesic "
        "of each subject. Radiographs: films are sub-*/ses-*/xray/*_xray.png of 16 bit, dense is bright and the "
        "patient's "
        "left is at the right; derivatives/phantom holds masks and findings.tsv; manifest.tsv lists films and "
        "masks with a split by subject, for learning. The same --seed gives the same files, for any number of threads, "
        "and a subject does not "
        "depend on how many others are made. participants.tsv is written last.",
    .example = "vesal phantom --out cohort --subjects 4 --visits 2 --seed 1 --lesions",
    .args_size = sizeof(CohortArgs),
    .run = run,
};
