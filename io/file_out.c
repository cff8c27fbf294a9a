/* Temporary, fsync, rename. The temporary is named after its target, this process and a counter, opened exclusively and
 * relative to the target's folder, so that a folder renamed meanwhile cannot send the bytes elsewhere. */
#define _GNU_SOURCE
#include "io/file_out.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/memory.h"
#include "io/path.h"

struct VslFileOut {
    int folder, fd;
    char *path;         /* as given */
    char *temporary;    /* as given, last part replaced */
    const char *target; /* last part of path */
    const char *hidden; /* last part of temporary; NULL while there is no such file */
};

enum { NAME_SPARE = 64 }; /* ".", ".tmp.<pid>.<counter>" and the final zero */

static _Atomic unsigned counter;

/* Refuses targets that a rename would destroy or that name no file. */
static VslStatus check_target(const VslFileOut *f)
{
    VslStatus st = VSL_OK;
    struct stat found;

    VSL_CHECK(f->target[0] && strcmp(f->target, ".") && strcmp(f->target, ".."), VSL_E_WRITE,
              "%s: names a folder, expected a file to write", vsl_path_text(f->path).text);
    if (fstatat(f->folder, f->target, &found, AT_SYMLINK_NOFOLLOW) != 0) {
        VSL_CHECK(errno == ENOENT, VSL_E_WRITE, "%s: cannot be written: %s", vsl_path_text(f->path).text,
                  strerror(errno));
        goto out;
    }
    VSL_CHECK(!S_ISDIR(found.st_mode), VSL_E_WRITE, "%s: is a folder, expected a file to write",
              vsl_path_text(f->path).text);
    VSL_CHECK(!S_ISLNK(found.st_mode), VSL_E_WRITE,
              "%s: is a symbolic link; outputs are not written through links, name the file itself",
              vsl_path_text(f->path).text);
    VSL_CHECK(S_ISREG(found.st_mode), VSL_E_WRITE, "%s: is a device, pipe or socket, expected a file to write",
              vsl_path_text(f->path).text);
out:
    return st;
}

static VslStatus open_folder(VslFileOut *f)
{
    VslStatus st = VSL_OK;
    const size_t folder_length = (size_t)(f->target - f->path);
    char *name = f->temporary; /* borrowed as scratch: it has room for the whole path */

    memcpy(name, f->path, folder_length);
    memcpy(name + folder_length, folder_length ? "" : ".", folder_length ? 1 : 2);
    f->folder = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
    VSL_CHECK(f->folder >= 0, VSL_E_WRITE, "%s: its folder cannot be opened: %s", vsl_path_text(f->path).text,
              strerror(errno));
out:
    return st;
}

static VslStatus open_temporary(VslFileOut *f, size_t room)
{
    VslStatus st = VSL_OK;
    const size_t folder_length = (size_t)(f->target - f->path);
    size_t kept = strlen(f->target);
    char tail[NAME_SPARE];

    for (int tries = 0; tries < 1000 && f->fd < 0; tries++) {
        const int tail_length =
            snprintf(tail, sizeof tail, ".tmp.%ld.%u", (long)getpid(), atomic_fetch_add(&counter, 1));
        const size_t longest = 255 - 1 - (size_t)tail_length; /* of one name on the file systems in use */
        kept = kept < longest ? kept : longest;
        snprintf(f->temporary, room, "%.*s.%.*s%s", (int)folder_length, f->path, (int)kept, f->target, tail);
        f->fd =
            openat(f->folder, f->temporary + folder_length, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0666);
        if (f->fd < 0 && errno != EEXIST) {
            break;
        }
    }
    VSL_CHECK(f->fd >= 0, VSL_E_WRITE, "%s: cannot be written: %s", vsl_path_text(f->path).text, strerror(errno));
    f->hidden = f->temporary + folder_length;
out:
    return st;
}

VslStatus vsl_file_out_open(VslFileOut **out, const char *path)
{
    VslStatus st = VSL_OK;
    VslFileOut *f = NULL;
    const size_t length = path ? strlen(path) : 0, room = length + NAME_SPARE;

    VSL_CHECK(length > 0, VSL_E_ARG, "an empty name for an output file");
    VSL_TRY(VSL_NEW0(&f, 1, "output file"));
    f->folder = f->fd = -1;
    VSL_TRY(VSL_NEW(&f->path, length + 1, "output file name"));
    memcpy(f->path, path, length + 1);
    VSL_TRY(VSL_NEW(&f->temporary, room, "output file name"));
    const char *slash = strrchr(f->path, '/');
    f->target = slash ? slash + 1 : f->path;
    VSL_TRY(open_folder(f));
    VSL_TRY(check_target(f));
    VSL_TRY(open_temporary(f, room));
    *out = f;
    f = NULL;
out:
    vsl_file_out_abandon(&f);
    return st;
}

VslStatus vsl_file_out_write(VslFileOut *f, const void *bytes, size_t count)
{
    VslStatus st = VSL_OK;
    const char *at = bytes;

    while (count > 0) {
        const size_t most = (size_t)1 << 30; /* some systems refuse more in one call */
        const ssize_t done = write(f->fd, at, count < most ? count : most);
        if (done < 0 && errno == EINTR) {
            continue;
        }
        VSL_CHECK(done >= 0, VSL_E_WRITE, "%s: cannot be written: %s", vsl_path_text(f->path).text, strerror(errno));
        at += done;
        count -= (size_t)done;
    }
out:
    return st;
}

const char *vsl_file_out_temporary(const VslFileOut *f)
{
    return f->temporary;
}

static void release(VslFileOut **file)
{
    VslFileOut *f = *file;
    if (f->fd >= 0) {
        close(f->fd);
    }
    if (f->folder >= 0) {
        close(f->folder);
    }
    vsl_free(f->temporary);
    vsl_free(f->path);
    vsl_free(f);
    *file = NULL;
}

VslStatus vsl_file_out_commit(VslFileOut **file)
{
    VslStatus st = VSL_OK;
    VslFileOut *f = *file;

    VSL_CHECK(fsync(f->fd) == 0, VSL_E_WRITE, "%s: cannot be flushed to disk: %s", vsl_path_text(f->path).text,
              strerror(errno));
    const int own = f->fd;
    f->fd = -1;
    VSL_CHECK(close(own) == 0, VSL_E_WRITE, "%s: cannot be closed: %s", vsl_path_text(f->path).text, strerror(errno));
    VSL_TRY(check_target(f)); /* it may have become a folder or a link meanwhile */
    VSL_CHECK(renameat(f->folder, f->hidden, f->folder, f->target) == 0, VSL_E_WRITE,
              "%s: the finished file cannot be given its name: %s", vsl_path_text(f->path).text, strerror(errno));
    f->hidden = NULL;
    /* Some file systems cannot sync a folder; the file itself is whole either way. */
    VSL_CHECK(fsync(f->folder) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EBADF, VSL_E_WRITE,
              "%s: its folder cannot be flushed to disk: %s", vsl_path_text(f->path).text, strerror(errno));
out:
    vsl_file_out_abandon(file);
    return st;
}

void vsl_file_out_abandon(VslFileOut **f)
{
    if (f && *f) {
        if ((*f)->hidden) {
            unlinkat((*f)->folder, (*f)->hidden, 0);
        }
        release(f);
    }
}

VslStatus vsl_file_write_whole(const char *path, const void *bytes, size_t count)
{
    VslStatus st = VSL_OK;
    VslFileOut *f = NULL;

    VSL_TRY(vsl_file_out_open(&f, path));
    VSL_TRY(vsl_file_out_write(f, bytes, count));
    VSL_TRY(vsl_file_out_commit(&f));
out:
    vsl_file_out_abandon(&f);
    return st;
}
