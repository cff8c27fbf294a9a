#include "cli/teach.h"

#include <math.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "io/path.h"
#include "io/sha256.h"

static VslStatus check_fits(const CliSegmenter *m, const VslDataset *data, const char *folder)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(memcmp(m->n, data->n, sizeof m->n) == 0, VSL_E_ARG,
              "--teacher %s: has pictures of %lldx%lldx%lld, expected %lldx%lldx%lld", vsl_path_text(folder).text,
              (long long)m->n[0], (long long)m->n[1], (long long)m->n[2], (long long)data->n[0], (long long)data->n[1],
              (long long)data->n[2]);
    VSL_CHECK(m->setup.structures == data->masks, VSL_E_ARG, "--teacher %s: knows %d structures, the data have %d",
              vsl_path_text(folder).text, m->setup.structures, data->masks);
    for (int k = 0; k < data->masks; k++) {
        VSL_CHECK(strcmp(m->structures.name[k], data->mask_name[k]) == 0, VSL_E_ARG,
                  "--teacher %s: its structure %d is '%s', that of the data '%s'", vsl_path_text(folder).text, k + 1,
                  m->structures.name[k], data->mask_name[k]);
    }
out:
    return st;
}

static VslStatus count_teachers(int *out, const char *folders)
{
    VslStatus st = VSL_OK;
    *out = 1;
    for (const char *c = folders; *c; c++) {
        *out += *c == ',';
    }
    VSL_CHECK(*out <= CLI_MOST_TEACHERS, VSL_E_ARG, "--teacher: %d models, expected at most %d", *out,
              CLI_MOST_TEACHERS);
out:
    return st;
}

typedef struct Answer {
    int64_t item;
    double doubt;
} Answer;

static int surer_first(const void *a, const void *b)
{
    const Answer *x = a, *y = b;
    return x->doubt != y->doubt ? (x->doubt > y->doubt) - (x->doubt < y->doubt)
                                : (x->item > y->item) - (x->item < y->item);
}

static double doubt_of(const float *probability, int64_t count)
{
    double doubt = 0, sum = 0;
    for (int64_t v = 0; v < count; v++) {
        const double p = (double)probability[v];
        doubt += p * (1 - p);
        sum += p;
    }
    return sum > 0 ? doubt / sum : 1; /* the most that it can be: who finds nothing is not sure of it */
}

/* Adds what one model says of the asked pictures to their masks. */
static VslStatus ask(Cli *cli, VslDataset *data, const Answer *asked, int64_t count, const char *folder)
{
    VslStatus st = VSL_OK;
    CliSegmenter m = {0};
    float *said = NULL;
    const int64_t size = vsl_dataset_mask_size(data);
    VSL_TRY(cli_segmenter_open(&m, cli, folder, NULL));
    VSL_TRY(check_fits(&m, data, folder));
    VSL_TRY(VSL_NEW(&said, size, "a teacher's answer"));
    for (int64_t k = 0; k < count; k++) {
        float *mask = data->mask + asked[k].item * size;
        VSL_TRY(vsl_segment_predict(said, NULL, m.rt, m.network, vsl_dataset_image(data, asked[k].item), 1, data->n,
                                    NULL, 0));
        for (int64_t v = 0; v < size; v++) {
            mask[v] += said[v];
        }
        cli_progress_line(cli, "teach", (double)(k + 1) / (double)count, "picture %lld of %lld", (long long)k + 1,
                          (long long)count);
        VSL_TRY(cli_check_stop());
    }
out:
    cli_progress_end();
    vsl_free(said);
    cli_segmenter_close(&m);
    return st;
}

/* Training pictures that are not known, their masks emptied; the known ones go to `taught`. */
static int64_t unanswered(Answer *out, VslSubset *taught, VslDataset *data, const VslSubset *known,
                          unsigned char *is_known)
{
    int64_t count = 0;
    const int64_t size = vsl_dataset_mask_size(data);
    for (int64_t k = 0; k < known->count; k++) {
        is_known[known->item[k]] = 1;
        taught->item[taught->count++] = known->item[k];
    }
    for (int64_t i = 0; i < data->count; i++) {
        if (!is_known[i] && data->item[i].split == VSL_SPLIT_TRAIN) {
            memset(data->mask + i * size, 0, (size_t)size * sizeof *data->mask);
            out[count++] = (Answer){i, 0};
        }
    }
    return count;
}

VslStatus cli_teach(Cli *cli, VslSubset *out, VslDataset *data, const VslSubset *known, const char *folders,
                    double share)
{
    VslStatus st = VSL_OK;
    unsigned char *is_known = NULL;
    Answer *answer = NULL;
    VslSubset taught = {0};
    CliPath folder;
    int teachers;
    const int64_t size = vsl_dataset_mask_size(data);

    VSL_TRY(count_teachers(&teachers, folders));
    VSL_TRY(VSL_NEW0(&is_known, data->count, "list of pictures"));
    VSL_TRY(VSL_NEW(&answer, data->count, "list of pictures"));
    VSL_TRY(VSL_NEW(&taught.item, data->count, "list of pictures"));
    const int64_t answers = unanswered(answer, &taught, data, known, is_known);
    VSL_CHECK(answers > 0, VSL_E_ARG, "--teacher: every image to learn from is labelled, none is left to answer for");
    for (const char *list = folders; list;) {
        VSL_TRY(cli_next_name(&folder, &list, "--teacher"));
        VSL_TRY(ask(cli, data, answer, answers, folder.text));
    }
    for (int64_t k = 0; k < answers; k++) {
        float *mask = data->mask + answer[k].item * size;
        for (int64_t v = 0; v < size; v++) {
            mask[v] /= (float)teachers;
        }
        answer[k].doubt = doubt_of(mask, size);
    }
    qsort(answer, (size_t)answers, sizeof *answer, surer_first);
    const int64_t kept = (int64_t)ceil(share * (double)answers);
    for (int64_t k = 0; k < kept; k++) {
        data->item[answer[k].item].has_masks = 1;
        taught.item[taught.count++] = answer[k].item;
    }
    cli_note(cli, "%s for %lld images, the surest of %lld",
             teachers > 1 ? "the teachers answer" : "the teacher answers", (long long)kept, (long long)answers);
    vsl_subset_free(out);
    *out = taught;
    taught = (VslSubset){0};
out:
    vsl_subset_free(&taught);
    vsl_free(answer);
    vsl_free(is_known);
    return st;
}

VslStatus cli_teacher_structures(CliStructures *out, unsigned char *in_one_part, const char *folders)
{
    VslStatus st = VSL_OK;
    int teachers;
    CliPath folder;
    VSL_TRY(count_teachers(&teachers, folders));
    VSL_TRY(cli_next_name(&folder, &folders, "--teacher"));
    VSL_TRY(cli_segment_structures_of(out, in_one_part, folder.text));
out:
    return st;
}

VslStatus cli_teachers_digest(char *out, size_t size, const char *folders)
{
    VslStatus st = VSL_OK;
    CliPath folder, weights;
    char digest[VSL_SHA256_HEX];
    size_t at = 0;
    for (const char *list = folders; list;) {
        VSL_TRY(cli_next_name(&folder, &list, "--teacher"));
        VSL_TRY(cli_weights_path(&weights, folder.text));
        VSL_TRY(vsl_sha256_file(digest, weights.text));
        VSL_CHECK(at + sizeof digest + 1 < size, VSL_E_ARG, "--teacher: more than %d models", CLI_MOST_TEACHERS);
        at += (size_t)snprintf(out + at, size - at, "%s%s", at ? "," : "", digest);
    }
out:
    return st;
}
