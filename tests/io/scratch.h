/* A folder for a test program's files, removed at exit. Needs _GNU_SOURCE (nftw). */
#ifndef VSL_TESTS_IO_SCRATCH_H
#define VSL_TESTS_IO_SCRATCH_H

#include <dirent.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char scratch_folder[64];

static int scratch_remove_one(const char *path, const struct stat *found, int type, struct FTW *where)
{
    (void)found;
    (void)type;
    (void)where;
    return remove(path);
}

static void scratch_remove(void)
{
    nftw(scratch_folder, scratch_remove_one, 8, FTW_DEPTH | FTW_PHYS);
}

/* Full name of a file in the folder; four names live at a time. */
static inline const char *scratch(const char *name)
{
    static char names[4][512];
    static int turn;
    if (!scratch_folder[0]) {
        strcpy(scratch_folder, "/tmp/vesal-test-XXXXXX");
        if (!mkdtemp(scratch_folder)) {
            perror("mkdtemp");
            exit(1);
        }
        atexit(scratch_remove);
    }
    char *out = names[turn++ % 4];
    snprintf(out, sizeof names[0], "%s/%s", scratch_folder, name);
    return out;
}

/* Entries in the folder: a failed write must leave none behind. */
static inline int scratch_entries(void)
{
    int n = -2;
    DIR *d = opendir(scratch_folder);
    while (d && readdir(d)) {
        n++;
    }
    if (d) {
        closedir(d);
    }
    return n;
}

static inline void scratch_put(const char *path, const void *bytes, size_t count)
{
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, count, f) != count || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

/* Whole file into out (room bytes); the number of them. */
static inline size_t scratch_get(const char *path, void *out, size_t room)
{
    FILE *f = fopen(path, "rb");
    const size_t count = f ? fread(out, 1, room, f) : 0;
    if (f) {
        fclose(f);
    }
    return count;
}

#endif
