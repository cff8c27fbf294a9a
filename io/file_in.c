/* Bounded reading of regular files. */
#define _GNU_SOURCE
#include "io/file_in.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "io/path.h"

VslStatus vsl_file_in_open(int *fd, int64_t *bytes, const char *path)
{
    VslStatus st = VSL_OK;
    struct stat found;
    /* without O_NONBLOCK the opening of a pipe would wait for its writer */
    int own = open(path, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);

    VSL_CHECK(own >= 0, VSL_E_IO, "%s: cannot be opened: %s", vsl_path_text(path).text, strerror(errno));
    VSL_CHECK(fstat(own, &found) == 0, VSL_E_IO, "%s: cannot be examined: %s", vsl_path_text(path).text,
              strerror(errno));
    VSL_CHECK(!S_ISDIR(found.st_mode), VSL_E_IO, "%s: is a folder, expected a file", vsl_path_text(path).text);
    VSL_CHECK(S_ISREG(found.st_mode), VSL_E_IO, "%s: is a device, pipe or socket, expected a file",
              vsl_path_text(path).text);
    *fd = own;
    *bytes = (int64_t)found.st_size;
    own = -1;
out:
    if (own >= 0) {
        close(own);
    }
    return st;
}

/* Reads up to `most` bytes; a file that grows or shrinks meanwhile is taken as it was met. */
static VslStatus read_up_to(char *to, int64_t *count, int fd, int64_t most, const char *path)
{
    VslStatus st = VSL_OK;
    int64_t at = 0;
    while (at < most) {
        const ssize_t got = read(fd, to + at, (size_t)(most - at));
        if (got < 0 && errno == EINTR) {
            continue;
        }
        VSL_CHECK(got >= 0, VSL_E_IO, "%s: cannot be read: %s", vsl_path_text(path).text, strerror(errno));
        if (got == 0) {
            break;
        }
        at += got;
    }
    *count = at;
out:
    return st;
}

static VslStatus read_file(char **out, int64_t *count, const char *path, int64_t most, int whole)
{
    VslStatus st = VSL_OK;
    int fd = -1;
    int64_t bytes = 0, got = 0;
    char *text = NULL;

    VSL_TRY(vsl_file_in_open(&fd, &bytes, path));
    VSL_CHECK(!whole || bytes <= most, VSL_E_FORMAT, "%s: has %lld bytes, expected at most %lld",
              vsl_path_text(path).text, (long long)bytes, (long long)most);
    bytes = bytes < most ? bytes : most;
    VSL_TRY(VSL_NEW(&text, bytes + 1, "file content"));
    VSL_TRY(read_up_to(text, &got, fd, bytes, path));
    text[got] = 0;
    *out = text;
    *count = got;
    text = NULL;
out:
    if (fd >= 0) {
        close(fd);
    }
    vsl_free(text);
    return st;
}

VslStatus vsl_file_in_whole(char **out, int64_t *count, const char *path, int64_t most)
{
    return read_file(out, count, path, most, 1);
}

VslStatus vsl_file_in_front(char **out, int64_t *count, const char *path, int64_t most)
{
    return read_file(out, count, path, most, 0);
}
