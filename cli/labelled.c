/* Labelled images by a list. */
#define _GNU_SOURCE
#include "cli/labelled.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "core/memory.h"
#include "io/path.h"
#include "io/table.h"

static int64_t find(const VslDataset *d, const char *name)
{
    for (int64_t i = 0; i < d->count; i++) {
        if (strcmp(d->item[i].name, name) == 0) {
            return i;
        }
    }
    return -1;
}

VslStatus cli_labelled_read(VslSubset *out, const VslDataset *d, const char *path, int64_t wanted)
{
    VslStatus st = VSL_OK;
    VslTable t = {0};
    VslSubset s = {0};
    VSL_TRY(vsl_table_read(&t, path));
    VSL_CHECK(vsl_table_column(&t, "file") >= 0, VSL_E_FORMAT, "%s: has no column 'file'", vsl_path_text(path).text);
    VSL_CHECK(t.rows > 0 && wanted <= t.rows, VSL_E_ARG, "%s: lists %lld images, expected %lld",
              vsl_path_text(path).text, (long long)t.rows, (long long)(wanted > 0 ? wanted : 1));
    wanted = wanted > 0 ? wanted : t.rows;
    VSL_TRY(VSL_NEW(&s.item, wanted, "list of labelled images"));
    for (; s.count < wanted; s.count++) {
        const char *name = vsl_table_cell(&t, s.count, "file");
        const int64_t item = find(d, name);
        VSL_CHECK(item >= 0 && d->item[item].split == VSL_SPLIT_TRAIN, VSL_E_ARG,
                  "%s: '%s' is none of the images to learn from", vsl_path_text(path).text, vsl_path_text(name).text);
        VSL_CHECK(d->item[item].has_masks, VSL_E_ARG, "%s: '%s' has no masks in the data", vsl_path_text(path).text,
                  vsl_path_text(name).text);
        for (int64_t k = 0; k < s.count; k++) {
            VSL_CHECK(s.item[k] != item, VSL_E_FORMAT, "%s: '%s' is listed twice", vsl_path_text(path).text,
                      vsl_path_text(name).text);
        }
        s.item[s.count] = item;
    }
    vsl_subset_free(out);
    *out = s;
    s = (VslSubset){0};
out:
    vsl_subset_free(&s);
    vsl_table_free(&t);
    return st;
}

VslStatus cli_labelled_digest(char out[VSL_SHA256_HEX], const VslDataset *d, const VslSubset *labelled)
{
    VslStatus st = VSL_OK;
    char *text = NULL;
    size_t size = 0;
    FILE *stream = open_memstream(&text, &size);
    VSL_CHECK(stream, VSL_E_NOMEM, "no memory for a list of images");
    for (int64_t k = 0; k < labelled->count; k++) {
        fprintf(stream, "%s\n", d->item[labelled->item[k]].name);
    }
    VSL_CHECK(fclose(stream) == 0, VSL_E_NOMEM, "no memory for a list of images");
    VSL_TRY(vsl_sha256_text(out, text, size));
out:
    free(text); /* of open_memstream */
    return st;
}
