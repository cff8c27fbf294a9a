#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "io/file_out.h"
#include "io/path.h"
#include "tests/check.h"

static char folder[] = "/tmp/vsl_file_out_XXXXXX";

static int entries(void)
{
    int count = 0;
    DIR *d = opendir(".");
    for (struct dirent *e; (e = readdir(d));) {
        count += strcmp(e->d_name, ".") && strcmp(e->d_name, "..");
    }
    closedir(d);
    return count;
}

static int holds(const char *path, const char *text)
{
    char found[64] = "";
    FILE *f = fopen(path, "rb");
    if (!f) {
        return 0;
    }
    const size_t n = fread(found, 1, sizeof found - 1, f);
    fclose(f);
    return n == strlen(text) && !memcmp(found, text, n);
}

static void put(const char *path, const char *text)
{
    CHECK_OK(vsl_file_write_whole(path, text, strlen(text)));
}

TEST(the_target_is_old_until_commit_and_new_after)
{
    VslFileOut *f = NULL;
    put("a", "old");
    CHECK_OK(vsl_file_out_open(&f, "a"));
    CHECK_OK(vsl_file_out_write(f, "ne", 2));
    CHECK_OK(vsl_file_out_write(f, "w", 1));
    CHECK(holds("a", "old"));
    CHECK(entries() == 2);
    CHECK_OK(vsl_file_out_commit(&f));
    CHECK(!f);
    CHECK(holds("a", "new"));
    CHECK(entries() == 1);
    unlink("a");
}

TEST(abandon_leaves_nothing)
{
    VslFileOut *f = NULL;
    CHECK_OK(vsl_file_out_open(&f, "a"));
    CHECK_OK(vsl_file_out_write(f, "half", 4));
    vsl_file_out_abandon(&f);
    vsl_file_out_abandon(&f);
    CHECK(!f && entries() == 0);
}

TEST(permissions_follow_the_umask)
{
    const mode_t before = umask(027);
    struct stat found;
    put("a", "x");
    CHECK(stat("a", &found) == 0 && (found.st_mode & 0777) == 0640);
    umask(before);
    unlink("a");
}

TEST(folders_links_and_special_files_are_refused)
{
    VslFileOut *f = NULL;
    CHECK(mkdir("d", 0777) == 0 && symlink("nowhere", "link") == 0 && mkfifo("fifo", 0666) == 0);
    CHECK_STATUS(vsl_file_out_open(&f, "d"), VSL_E_WRITE);
    CHECK_STATUS(vsl_file_out_open(&f, "d/"), VSL_E_WRITE);
    CHECK_STATUS(vsl_file_out_open(&f, "d/."), VSL_E_WRITE);
    CHECK_STATUS(vsl_file_out_open(&f, "link"), VSL_E_WRITE);
    CHECK_STATUS(vsl_file_out_open(&f, "fifo"), VSL_E_WRITE);
    CHECK_STATUS(vsl_file_out_open(&f, "/dev/null"), VSL_E_WRITE);
    CHECK_STATUS(vsl_file_out_open(&f, "missing/a"), VSL_E_WRITE);
    CHECK(strstr(vsl_error(), "missing/a") && strstr(vsl_error(), "No such file"));
    CHECK_STATUS(vsl_file_out_open(&f, ""), VSL_E_ARG);
    CHECK(!f && entries() == 3);
    CHECK(rmdir("d") == 0 && unlink("link") == 0 && unlink("fifo") == 0);
}

TEST(a_target_that_becomes_a_folder_is_kept)
{
    VslFileOut *f = NULL;
    CHECK_OK(vsl_file_out_open(&f, "a"));
    CHECK(mkdir("a", 0777) == 0);
    CHECK_STATUS(vsl_file_out_commit(&f), VSL_E_WRITE);
    CHECK(!f && entries() == 1 && rmdir("a") == 0);
}

TEST(a_target_that_becomes_a_link_is_kept)
{
    VslFileOut *f = NULL;
    CHECK_OK(vsl_file_out_open(&f, "a"));
    CHECK(symlink("elsewhere", "a") == 0);
    CHECK_STATUS(vsl_file_out_commit(&f), VSL_E_WRITE);
    CHECK(strstr(vsl_error(), "symbolic link"));
    CHECK(!f && entries() == 1 && unlink("a") == 0);
}

TEST(a_full_disk_is_a_sentence_and_the_old_file_stays)
{
    const struct rlimit small = {1 << 16, RLIM_INFINITY}; /* EFBIG stands for ENOSPC: same path, no disk to fill */
    struct rlimit before;
    static char block[1 << 17];
    VslFileOut *f = NULL;
    put("a", "old");
    CHECK(getrlimit(RLIMIT_FSIZE, &before) == 0);
    signal(SIGXFSZ, SIG_IGN);
    CHECK(setrlimit(RLIMIT_FSIZE, &small) == 0);
    CHECK_OK(vsl_file_out_open(&f, "a"));
    CHECK_STATUS(vsl_file_out_write(f, block, sizeof block), VSL_E_WRITE);
    CHECK(strstr(vsl_error(), strerror(EFBIG)));
    vsl_file_out_abandon(&f);
    CHECK(setrlimit(RLIMIT_FSIZE, &before) == 0);
    CHECK(holds("a", "old") && entries() == 1);
    unlink("a");
}

TEST(a_killed_writer_leaves_the_old_file)
{
    put("a", "old");
    const pid_t child = fork();
    if (child == 0) {
        VslFileOut *f = NULL;
        if (vsl_file_out_open(&f, "a") == VSL_OK && vsl_file_out_write(f, "new", 3) == VSL_OK) {
            raise(SIGKILL);
        }
        _exit(0);
    }
    int status = 0;
    CHECK(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
    CHECK(holds("a", "old") && entries() == 2); /* the temporary is hidden, and stays */
    CHECK(system("rm -f .a.tmp.* a") == 0 && entries() == 0);
}

TEST(odd_names_work)
{
    char longest[256];
    memset(longest, 'n', 255);
    longest[255] = 0;
    const char *names[] = {" ", "-leading", "new\nline", "'quote\"; $(x)", "\xff\xfe", "a..b.", longest, "./-x"};
    for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
        put(names[i], "x");
        CHECK(entries() == 1 && holds(names[i], "x") && unlink(names[i]) == 0);
    }
}

TEST(suffixes_ignore_case_and_need_a_stem)
{
    CHECK(vsl_path_has_suffix("x/A.NII.Gz", ".nii.gz"));
    CHECK(vsl_path_has_suffix("a.nii", ".nii"));
    CHECK(!vsl_path_has_suffix("x/.nii", ".nii"));
    CHECK(!vsl_path_has_suffix(".nii", ".nii"));
    CHECK(!vsl_path_has_suffix("a.nii.gz", ".nii"));
}

TEST(names_in_sentences_hold_no_control_bytes_and_keep_their_end)
{
    char path[1000];
    memset(path, 'p', sizeof path);
    memcpy(path + sizeof path - 6, "\ntail", 6);
    const VslPathText shown = vsl_path_text(path);
    CHECK(strlen(shown.text) == sizeof shown.text - 1);
    CHECK(!strncmp(shown.text, "...p", 4) && !strcmp(shown.text + strlen(shown.text) - 6, "p?tail"));
    CHECK(!strcmp(vsl_path_text("a b").text, "a b"));
}

int main(void)
{
    if (!mkdtemp(folder) || chdir(folder) != 0) {
        return 1;
    }
    RUN(the_target_is_old_until_commit_and_new_after);
    RUN(abandon_leaves_nothing);
    RUN(permissions_follow_the_umask);
    RUN(folders_links_and_special_files_are_refused);
    RUN(a_target_that_becomes_a_folder_is_kept);
    RUN(a_target_that_becomes_a_link_is_kept);
    RUN(a_full_disk_is_a_sentence_and_the_old_file_stays);
    RUN(a_killed_writer_leaves_the_old_file);
    RUN(odd_names_work);
    RUN(suffixes_ignore_case_and_need_a_stem);
    RUN(names_in_sentences_hold_no_control_bytes_and_keep_their_end);
    if (chdir("/") == 0) {
        rmdir(folder);
    }
    return CHECK_VERDICT();
}
