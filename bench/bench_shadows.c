/* bench_shadows MANIFEST ROOT [MANIFEST ROOT]: where the structures lie on the training films of one or two sets of
 * chest films, how large they are and how grey, mean and standard deviation over films, as a table in Markdown. The
 * table of docs/phantom.md compares simulated films with real ones. */
#include <math.h>
#include <stdio.h>
#include <string.h>

#include "core/volume.h"
#include "io/image.h"
#include "io/manifest.h"

enum { STRUCTURES = 5, MEASURES = 7, MAX_SETS = 2 };
static const char *const structure[STRUCTURES] = {"right_lung", "left_lung", "heart", "right_clavicle",
                                                  "left_clavicle"};
static const char *const measure[MEASURES] = {"area, % of the film",  "column of the centre, %", "row of the centre, %",
                                              "width, % of the film", "height, % of the film",   "slope, degrees",
                                              "grey, % of white"};

typedef struct Sums {
    double count, sum[MEASURES], square[MEASURES];
} Sums;

static int read_labels(VslLabels *out, VslNiftiInfo *info, const char *root, const char *file)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", root, file);
    return vsl_image_read_labels(out, info, path) == VSL_OK;
}

/* slope: of the longest axis, from the row, positive when it falls to the right. */
static int measured(double out[MEASURES], const VslLabels *mask, const VslLabels *film, double white)
{
    const int64_t *n = mask->grid.n;
    double count = 0, mean[2] = {0}, square[3] = {0}, lo[2] = {INFINITY, INFINITY}, hi[2] = {-1, -1}, grey = 0;
    for (int64_t j = 0; j < n[1]; j++) {
        for (int64_t i = 0; i < n[0]; i++) {
            if (mask->data[j * n[0] + i] == 0) {
                continue;
            }
            const double at[2] = {((double)i + 0.5) / (double)n[0], ((double)j + 0.5) / (double)n[1]};
            count++;
            grey += (double)film->data[j * n[0] + i] / white;
            for (int d = 0; d < 2; d++) {
                mean[d] += at[d];
                square[d] += at[d] * at[d];
                lo[d] = fmin(lo[d], at[d]);
                hi[d] = fmax(hi[d], at[d]);
            }
            square[2] += at[0] * at[1];
        }
    }
    if (count == 0) {
        return 0;
    }
    const double x = mean[0] / count, y = mean[1] / count;
    const double xx = square[0] / count - x * x, yy = square[1] / count - y * y, xy = square[2] / count - x * y;
    const double turn = 0.5 * atan2(2 * xy, xx - yy);
    const double found[MEASURES] = {
        100 * count / (double)(n[0] * n[1]), 100 * x,           100 * y, 100 * (hi[0] - lo[0]), 100 * (hi[1] - lo[1]),
        turn * 180 / 3.14159265358979323846, 100 * grey / count};
    memcpy(out, found, sizeof found);
    return 1;
}

static int add_row(Sums sums[STRUCTURES], const VslManifest *m, int64_t row, const char *root)
{
    const char *of = vsl_manifest_cell(m, row, "mask_of"), *name = vsl_manifest_cell(m, row, "structure");
    const char *split = vsl_manifest_cell(m, row, "split"), *file = vsl_manifest_cell(m, row, "file");
    VslLabels mask = {0}, film = {0};
    VslNiftiInfo info = {0};
    int s = 0;
    double found[MEASURES];
    while (s < STRUCTURES && (!name || strcmp(name, structure[s]) != 0)) {
        s++;
    }
    if (s == STRUCTURES || !of || !split || strcmp(split, "train") != 0) {
        return 1;
    }
    int is_good = read_labels(&mask, NULL, root, file) && read_labels(&film, &info, root, of);
    if (is_good && memcmp(mask.grid.n, film.grid.n, sizeof mask.grid.n) != 0) {
        fprintf(stderr, "bench_shadows: %s has other pixels than its film\n", file);
        is_good = 0;
    }
    if (is_good && measured(found, &mask, &film, strcmp(info.datatype_name, "uint16") == 0 ? 65535 : 255)) {
        sums[s].count++;
        for (int k = 0; k < MEASURES; k++) {
            sums[s].sum[k] += found[k];
            sums[s].square[k] += found[k] * found[k];
        }
    }
    vsl_labels_free(&mask);
    vsl_labels_free(&film);
    vsl_nifti_info_free(&info);
    return is_good;
}

int main(int argc, char **argv)
{
    static Sums sums[MAX_SETS][STRUCTURES];
    const int sets = (argc - 1) / 2;
    if (argc % 2 == 0 || sets < 1 || sets > MAX_SETS) {
        fprintf(stderr, "usage: bench_shadows MANIFEST ROOT [MANIFEST ROOT]\n");
        return 2;
    }
    for (int k = 0; k < sets; k++) {
        VslManifest m = {0};
        int is_good = vsl_manifest_read(&m, argv[1 + 2 * k]) == VSL_OK;
        for (int64_t row = 0; is_good && row < m.table.rows; row++) {
            is_good = add_row(sums[k], &m, row, argv[2 + 2 * k]);
        }
        vsl_manifest_free(&m);
        if (!is_good) {
            fprintf(stderr, "bench_shadows: %s: %s\n", argv[1 + 2 * k], vsl_error());
            return 3;
        }
    }
    printf("| structure | %s | %s | %s | %s | %s | %s | %s |\n|", measure[0], measure[1], measure[2], measure[3],
           measure[4], measure[5], measure[6]);
    for (int c = 0; c <= MEASURES; c++) {
        printf(" --- |");
    }
    for (int s = 0; s < STRUCTURES; s++) {
        for (int k = 0; k < sets; k++) {
            const Sums *t = &sums[k][s];
            printf("\n| %s, %.0f films |", structure[s], t->count);
            for (int c = 0; c < MEASURES; c++) {
                const double mean = t->sum[c] / t->count;
                printf(" %.1f ± %.1f |", mean, sqrt(fmax(t->square[c] / t->count - mean * mean, 0)));
            }
        }
    }
    printf("\n");
    return 0;
}
