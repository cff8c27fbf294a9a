/* Readers by content, writers by suffix. */
#include "io/weights_io.h"

#include <math.h>
#include <string.h>
#include <unistd.h>

#include "core/memory.h"
#include "io/file_in.h"
#include "io/file_out.h"
#include "io/hdf5_private.h"
#include "io/path.h"
#include "io/weights_private.h"

enum { FRONT = 512 };

static const int64_t MOST_BYTES = (int64_t)1 << 37;

static int is_hdf5(const char *front, int64_t count)
{
    return count >= 8 && memcmp(front, "\211HDF\r\n\032\n", 8) == 0;
}

/* The first bytes decide, before the rest of a large file is read; with them, of safetensors, the length of the header.
 */
static VslStatus check_front(int *hdf5, int64_t *header, int64_t *size, const char *path)
{
    VslStatus st = VSL_OK;
    char *bytes = NULL;
    int64_t count = 0;
    int fd = -1;
    VSL_TRY(vsl_file_in_front(&bytes, &count, path, FRONT));
    *hdf5 = is_hdf5(bytes, count);
    if (!*hdf5) {
        VSL_TRY(vsl_file_in_open(&fd, size, path));
        close(fd);
        VSL_TRY(safetensors_check_front((const unsigned char *)bytes, count, *size, path));
        *header = safetensors_header_bytes((const unsigned char *)bytes);
    }
out:
    vsl_free(bytes);
    return st;
}

VslStatus vsl_weights_check(const char *path)
{
    VslStatus st = VSL_OK;
    char *bytes = NULL;
    int64_t count = 0, header = 0, size = 0;
    int hdf5 = 0;
    VSL_TRY(check_front(&hdf5, &header, &size, path));
    if (!hdf5) {
        VSL_TRY(vsl_file_in_front(&bytes, &count, path, header));
        VSL_TRY(safetensors_check((const unsigned char *)bytes, count, size, path));
    }
out:
    vsl_free(bytes);
    return st;
}

VslStatus vsl_weights_read(VslWeights *out, const char *path)
{
    VslStatus st = VSL_OK;
    char *bytes = NULL;
    int64_t count = 0, header = 0, size = 0;
    int hdf5 = 0;
    VSL_TRY(check_front(&hdf5, &header, &size, path));
    VSL_TRY(vsl_file_in_whole(&bytes, &count, path, MOST_BYTES));
    VSL_TRY(hdf5 ? weights_hdf5_parse(out, (const unsigned char *)bytes, count, path)
                 : safetensors_parse(out, (const unsigned char *)bytes, count, path));
out:
    vsl_free(bytes);
    return st;
}

/* Reads the finished temporary back and compares it with what it should hold. */
static VslStatus verify(const char *temporary, const VslWeights *w, const char *path)
{
    VslStatus st = VSL_OK;
    VslWeights found = {0};

    VSL_CHECK(vsl_weights_read(&found, temporary) == VSL_OK, VSL_E_WRITE, "%s: what was written does not read back: %s",
              vsl_path_text(path).text, vsl_error());
    VSL_CHECK(vsl_weights_check_same(w, &found, "it") == VSL_OK, VSL_E_WRITE,
              "%s: what was written reads back otherwise: %s", vsl_path_text(path).text, vsl_error());
    for (int64_t i = 0; i < w->count; i++) {
        const VslWeight *a = &w->item[i], *b = vsl_weights_find(&found, a->name);
        VSL_CHECK(memcmp(a->data, b->data, (size_t)a->count * sizeof *a->data) == 0, VSL_E_WRITE,
                  "%s: what was written reads back with other values of '%s'", vsl_path_text(path).text, a->name);
    }
out:
    vsl_weights_free(&found);
    return st;
}

VslStatus vsl_weights_write(const char *path, const VslWeights *w)
{
    VslStatus st = VSL_OK;
    char *bytes = NULL;
    int64_t count = 0;
    VslFileOut *file = NULL;
    const int hdf5 = vsl_path_has_suffix(path, ".h5");

    VSL_CHECK(hdf5 || vsl_path_has_suffix(path, ".safetensors"), VSL_E_ARG,
              "%s: weights are written as .safetensors or .h5", vsl_path_text(path).text);
    for (int64_t i = 0; i < w->count; i++) {
        for (int64_t k = 0; k < w->item[i].count; k++) {
            VSL_CHECK(isfinite(w->item[i].data[k]), VSL_E_ARG, "%s: value %lld of '%s' is %g, expected finite weights",
                      vsl_path_text(path).text, (long long)k, w->item[i].name, (double)w->item[i].data[k]);
        }
    }
    VSL_TRY(hdf5 ? weights_hdf5_serialise(&bytes, &count, w) : safetensors_serialise(&bytes, &count, w));
    VSL_TRY(vsl_file_out_open(&file, path));
    VSL_TRY(hdf5 ? hdf_write_sealed(file, bytes, count) : vsl_file_out_write(file, bytes, (size_t)count));
    vsl_free(bytes);
    bytes = NULL;
    VSL_TRY(verify(vsl_file_out_temporary(file), w, path));
    VSL_TRY(vsl_file_out_commit(&file));
out:
    vsl_file_out_abandon(&file);
    vsl_free(bytes);
    return st;
}
