/* A checksum after the end of an HDF5 file. */
#include <string.h>

#include "io/file_out.h"
#include "io/hdf5_private.h"
#include "io/path.h"
#include "io/sha256.h"

enum { MAGIC_BYTES = 8, SEAL_BYTES = MAGIC_BYTES + VSL_SHA256_BYTES };

static const char seal_magic[MAGIC_BYTES + 1] = "\nVSLSHA2";

VslStatus hdf_put_seal_note(HdfWriter *w)
{
    return hdf_put_text(w, 1, "Seal", "sha256");
}

VslStatus hdf_write_sealed(VslFileOut *file, const char *bytes, int64_t count)
{
    VslStatus st = VSL_OK;
    unsigned char digest[VSL_SHA256_BYTES];
    VSL_TRY(vsl_sha256(digest, bytes, (size_t)count));
    VSL_TRY(vsl_file_out_write(file, bytes, (size_t)count));
    VSL_TRY(vsl_file_out_write(file, seal_magic, MAGIC_BYTES));
    VSL_TRY(vsl_file_out_write(file, digest, sizeof digest));
out:
    return st;
}

VslStatus hdf_open_seal(int64_t *count, int *is_sealed, const char *bytes, const char *path)
{
    VslStatus st = VSL_OK;
    unsigned char digest[VSL_SHA256_BYTES];
    const char *seal = bytes + (*count < SEAL_BYTES ? 0 : *count - SEAL_BYTES);

    *is_sealed = *count >= SEAL_BYTES && memcmp(seal, seal_magic, MAGIC_BYTES) == 0;
    if (*is_sealed) {
        *count -= SEAL_BYTES;
        VSL_TRY(vsl_sha256(digest, bytes, (size_t)*count));
        VSL_CHECK(memcmp(digest, seal + MAGIC_BYTES, sizeof digest) == 0, VSL_E_FORMAT,
                  "%s: its checksum does not hold: the file is damaged", vsl_path_text(path).text);
    }
out:
    return st;
}
