/* Films for the tests of segmentation: films FOLDER COUNT writes images/film-N.png of several extents and both bit
 * depths, masks of an ellipse and of a disk that overlaps it, and manifest.tsv, the last third of it to test; two.png,
 * of two such ellipses and disks, is in no manifest. */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "core/random.h"
#include "io/image.h"
#include "io/sha256.h"

static VslGrid flat(int64_t w, int64_t h)
{
    return (VslGrid){.n = {w, h, 1}, .to_ras = {{{-1, 0, 0, 0}, {0, -1, 0, 0}, {0, 0, 1, 0}}}};
}

static double inside(double x, double y, double cx, double cy, double rx, double ry)
{
    const double a = (x - cx) / rx, b = (y - cy) / ry;
    return a * a + b * b < 1;
}

static VslStatus row(FILE *f, const char *folder, const char *name, const char *subject, const char *split,
                     const char *of, const char *structure)
{
    VslStatus st = VSL_OK;
    char path[600], digest[VSL_SHA256_HEX];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    VSL_TRY(vsl_sha256_file(digest, path));
    fprintf(f, "%s\t%s\t%s\t%s\t%s\t%s\t1.5 1.5\n", name, digest, subject, split, of, structure);
out:
    return st;
}

static VslStatus film(FILE *f, const char *folder, int i, int count)
{
    VslStatus st = VSL_OK;
    VslVolume image = {0};
    VslLabels mask[2] = {0};
    const char *const structure[] = {"ellipse", "disk"};
    const int64_t w = i % 3 == 1 ? 45 : 32, h = i % 3 == 2 ? 40 : 32;
    const VslGrid grid = flat(w, h);
    const double shift = 0.1 * (vsl_random_uniform(1, 0, (uint64_t)i) - 0.5), level = i % 2 ? 40000 : 180;
    const VslNiftiWrite how = {.datatype = i % 2 ? VSL_DATATYPE_UINT16 : VSL_DATATYPE_UINT8};
    char name[64], path[600], subject[32];
    VSL_TRY(vsl_volume_new(&image, &grid, 1));
    VSL_TRY(vsl_labels_new(&mask[0], &grid));
    VSL_TRY(vsl_labels_new(&mask[1], &grid));
    for (int64_t p = 0; p < w * h; p++) {
        const double x = ((double)(p % w) + 0.5) / (double)w, y = ((double)(p / w) + 0.5) / (double)h;
        const double e = inside(x, y, 0.4 + shift, 0.5, 0.25, 0.35), d = inside(x, y, 0.6 + shift, 0.6, 0.15, 0.15);
        const double noise = vsl_random_uniform(2, (uint64_t)i, (uint64_t)p);
        image.data[p] = (float)floor(level * (1 - 0.6 * e + 0.3 * d) * 0.7 + 0.05 * level * noise);
        mask[0].data[p] = e > 0 ? 255 : 0;
        mask[1].data[p] = d > 0 ? 255 : 0;
    }
    const char *split = 3 * i >= 2 * count ? "test" : "train";
    snprintf(subject, sizeof subject, "person-%d", i);
    snprintf(name, sizeof name, "images/film-%d.png", i);
    snprintf(path, sizeof path, "%s/%s", folder, name);
    VSL_TRY(vsl_image_write(path, &image, &how));
    VSL_TRY(row(f, folder, name, subject, split, "n/a", "n/a"));
    for (int m = 0; m < 2; m++) {
        char mask_name[64];
        snprintf(mask_name, sizeof mask_name, "masks/%s-%d.png", structure[m], i);
        snprintf(path, sizeof path, "%s/%s", folder, mask_name);
        VSL_TRY(vsl_image_write_labels(path, &mask[m], NULL));
        VSL_TRY(row(f, folder, mask_name, subject, split, name, structure[m]));
    }
out:
    vsl_volume_free(&image);
    vsl_labels_free(&mask[0]);
    vsl_labels_free(&mask[1]);
    return st;
}

static VslStatus two_bodies(const char *folder)
{
    VslStatus st = VSL_OK;
    VslVolume image = {0};
    const VslGrid grid = flat(48, 48);
    char path[600];
    VSL_TRY(vsl_volume_new(&image, &grid, 1));
    for (int64_t p = 0; p < 48 * 48; p++) {
        const double x = ((double)(p % 48) + 0.5) / 48, y = ((double)(p / 48) + 0.5) / 48;
        const double e = inside(x, y, 0.25, 0.3, 0.2, 0.25) + inside(x, y, 0.75, 0.7, 0.2, 0.25);
        const double d = inside(x, y, 0.37, 0.37, 0.12, 0.12) + inside(x, y, 0.87, 0.77, 0.12, 0.12);
        image.data[p] = (float)floor(180 * (1 - 0.6 * e + 0.3 * d) * 0.7);
    }
    snprintf(path, sizeof path, "%s/two.png", folder);
    VSL_TRY(vsl_image_write(path, &image, &(VslNiftiWrite){.datatype = VSL_DATATYPE_UINT8}));
out:
    vsl_volume_free(&image);
    return st;
}

int main(int argc, char **argv)
{
    char path[600];
    const char *const parts[] = {"", "/images", "/masks"};
    const int count = argc == 3 ? atoi(argv[2]) : 0;
    if (count <= 0) {
        return 2;
    }
    for (int i = 0; i < 3; i++) {
        snprintf(path, sizeof path, "%s%s", argv[1], parts[i]);
        mkdir(path, 0777);
    }
    snprintf(path, sizeof path, "%s/manifest.tsv", argv[1]);
    FILE *f = fopen(path, "w");
    if (!f) {
        return 1;
    }
    fprintf(f, "file\tsha256\tsubject\tsplit\tmask_of\tstructure\tvoxel_size_mm\n");
    for (int i = 0; i < count; i++) {
        if (film(f, argv[1], i, count) != VSL_OK) {
            fprintf(stderr, "%s\n", vsl_error());
            return 1;
        }
    }
    return two_bodies(argv[1]) != VSL_OK || fclose(f) != 0;
}
