/* Weights as HDF5: a float32 dataset each, in the root group, in one block. Notes are not stored. */
#include <math.h>
#include <string.h>

#include "io/hdf5_private.h"
#include "io/path.h"
#include "io/weights_private.h"

enum { VERSION = 1, MOST_WEIGHTS = 10000 };

static const char format_name[] = "vesal weights";

VslStatus weights_hdf5_serialise(char **out, int64_t *count, const VslWeights *w)
{
    VslStatus st = VSL_OK;
    HdfWriter h;
    const int64_t version = VERSION;

    VSL_TRY(hdf_write_begin(&h));
    VSL_TRY(hdf_put_text(&h, 1, "Format", format_name));
    VSL_TRY(hdf_put_integers(&h, 1, "FormatVersion", &version, 0));
    VSL_TRY(hdf_put_seal_note(&h));
    for (int64_t i = 0; i < w->count; i++) {
        const VslWeight *item = &w->item[i];
        VSL_CHECK(!strchr(item->name, '/') && strcmp(item->name, ".") != 0, VSL_E_ARG,
                  "'%s' cannot be the name of an HDF5 dataset", item->name);
        VSL_TRY(hdf_put_floats(&h, item->name, item->data, item->rank, item->n));
    }
    VSL_TRY(hdf_write_image(out, count, &h));
out:
    hdf_write_end(&h);
    return st;
}

typedef struct Reading {
    const HdfFile *file;
    VslWeights *weights;
} Reading;

static VslStatus read_one(void *user, const char *label, const unsigned char *entry)
{
    VslStatus st = VSL_OK;
    const Reading *r = user;
    const char *path = r->file->path;
    HdfObject dataset;
    HdfSpace size = {0};
    float *data = NULL;

    VSL_CHECK(r->weights->count < MOST_WEIGHTS, VSL_E_FORMAT, "%s: has more than %d datasets", vsl_path_text(path).text,
              MOST_WEIGHTS);
    VSL_TRY(hdf_open_entry(&dataset, r->file, label, entry));
    VSL_TRY(hdf_floats_size(&size, r->file, &dataset, label));
    VSL_CHECK(size.rank <= VSL_WEIGHT_RANK, VSL_E_UNSUPPORTED, "%s: /%s has rank %d, expected at most %d",
              vsl_path_text(path).text, vsl_path_text(label).text, size.rank, VSL_WEIGHT_RANK);
    double values = 1; /* sizes are judged before anything is allocated */
    for (int d = 0; d < size.rank; d++) {
        values *= (double)size.n[d];
    }
    VSL_CHECK(4 * values <= (double)r->file->count, VSL_E_FORMAT, "%s: /%s has %.0f values in a file of %lld bytes",
              vsl_path_text(path).text, vsl_path_text(label).text, values, (long long)r->file->count);
    VSL_CHECK(vsl_weights_add(r->weights, label, size.rank, size.n, &data) == VSL_OK, VSL_E_FORMAT, "%s: %s",
              vsl_path_text(path).text, vsl_error());
    VSL_TRY(hdf_get_floats(data, r->file, &dataset, &size, label));
    for (int64_t i = 0; i < (int64_t)values; i++) {
        VSL_CHECK(isfinite(data[i]), VSL_E_FORMAT, "%s: value %lld of /%s is %g, expected finite weights",
                  vsl_path_text(path).text, (long long)i, vsl_path_text(label).text, (double)data[i]);
    }
out:
    return st;
}

VslStatus weights_hdf5_parse(VslWeights *out, const unsigned char *bytes, int64_t count, const char *path)
{
    VslStatus st = VSL_OK;
    VslWeights w = {0};
    HdfObject root;
    int is_sealed = 0;

    VSL_TRY(hdf_open_seal(&count, &is_sealed, (const char *)bytes, path));
    const HdfFile f = {bytes, count, path};
    VSL_TRY(hdf_open_root(&root, &f));
    VSL_TRY(hdf_check_format(&f, &root, format_name, VERSION, is_sealed));
    VSL_TRY(hdf_each_entry(&f, &root, read_one, &(Reading){&f, &w}));
    vsl_weights_move(out, &w);
out:
    vsl_weights_free(&w);
    return st;
}
