/* SHA-256 by libcrypto. */
#include "io/sha256.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "core/memory.h"
#include "io/file_in.h"
#include "io/path.h"

static void to_text(char out[VSL_SHA256_HEX], const unsigned char digest[VSL_SHA256_BYTES])
{
    static const char digits[] = "0123456789abcdef";
    for (int i = 0; i < VSL_SHA256_BYTES; i++) {
        out[2 * i] = digits[digest[i] >> 4];
        out[2 * i + 1] = digits[digest[i] & 15];
    }
    out[VSL_SHA256_HEX - 1] = 0;
}

VslStatus vsl_sha256(unsigned char out[VSL_SHA256_BYTES], const void *bytes, size_t count)
{
    VslStatus st = VSL_OK;
    VSL_CHECK(EVP_Digest(bytes, count, out, NULL, EVP_sha256(), NULL) == 1, VSL_E_EXTERNAL,
              "the SHA-256 of libcrypto failed");
out:
    return st;
}

VslStatus vsl_sha256_text(char out[VSL_SHA256_HEX], const void *bytes, size_t count)
{
    unsigned char digest[VSL_SHA256_BYTES];
    const VslStatus st = vsl_sha256(digest, bytes, count);
    if (st == VSL_OK) {
        to_text(out, digest);
    }
    return st;
}

VslStatus vsl_sha256_file(char out[VSL_SHA256_HEX], const char *path)
{
    enum { PIECE = 1 << 18 };
    VslStatus st = VSL_OK;
    int fd = -1;
    int64_t bytes = 0;
    unsigned char *piece = NULL, digest[VSL_SHA256_BYTES];
    EVP_MD_CTX *context = NULL;

    VSL_TRY(vsl_file_in_open(&fd, &bytes, path));
    VSL_TRY(VSL_NEW(&piece, PIECE, "file content"));
    context = EVP_MD_CTX_new();
    VSL_CHECK(context && EVP_DigestInit_ex(context, EVP_sha256(), NULL) == 1, VSL_E_EXTERNAL,
              "the SHA-256 of libcrypto failed");
    for (;;) {
        const ssize_t got = read(fd, piece, PIECE);
        if (got < 0 && errno == EINTR) {
            continue;
        }
        VSL_CHECK(got >= 0, VSL_E_IO, "%s: cannot be read: %s", vsl_path_text(path).text, strerror(errno));
        if (got == 0) {
            break;
        }
        VSL_CHECK(EVP_DigestUpdate(context, piece, (size_t)got) == 1, VSL_E_EXTERNAL,
                  "the SHA-256 of libcrypto failed");
    }
    VSL_CHECK(EVP_DigestFinal_ex(context, digest, NULL) == 1, VSL_E_EXTERNAL, "the SHA-256 of libcrypto failed");
    to_text(out, digest);
out:
    if (fd >= 0) {
        close(fd);
    }
    vsl_free(piece);
    EVP_MD_CTX_free(context);
    return st;
}
