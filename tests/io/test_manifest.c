/* Manifests: tables that are read, tables that are refused, and what is found of each row's file. */
#define _GNU_SOURCE
#include <locale.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/random.h"
#include "io/image.h"
#include "io/manifest.h"
#include "io/sha256.h"
#include "tests/check.h"
#include "tests/io/scratch.h"

#define EMPTY_SUM "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
#define ABC_SUM "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"

static VslStatus read_text(VslManifest *m, const char *text)
{
    scratch_put(scratch("m.tsv"), text, strlen(text));
    return vsl_manifest_read(m, scratch("m.tsv"));
}

TEST(digests_are_those_of_the_standard)
{
    char hex[VSL_SHA256_HEX];
    static char million[1000000];
    memset(million, 'a', sizeof million);
    CHECK_OK(vsl_sha256_text(hex, "", 0));
    CHECK(strcmp(hex, EMPTY_SUM) == 0);
    CHECK_OK(vsl_sha256_text(hex, "abc", 3));
    CHECK(strcmp(hex, ABC_SUM) == 0);
    scratch_put(scratch("million"), million, sizeof million);
    CHECK_OK(vsl_sha256_file(hex, scratch("million")));
    CHECK(strcmp(hex, "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0") == 0); /* FIPS 180-2 */
    CHECK_STATUS(vsl_sha256_file(hex, scratch("absent")), VSL_E_IO);
    CHECK_STATUS(vsl_sha256_file(hex, "/dev/zero"), VSL_E_IO);
    CHECK_STATUS(vsl_sha256_file(hex, scratch_folder), VSL_E_IO);
}

TEST(cells_are_found_by_the_name_of_their_column)
{
    static const char *const texts[] = {
        "subject\tfile\tsha256\tage\nana\ta/b.txt\tn/a\t71\nbo\tc.txt\t" EMPTY_SUM "\tn/a\n",
        "\xef\xbb\xbfsubject\tfile\tsha256\tage\r\nana\ta/b.txt\tn/a\t71\r\nbo\tc.txt\t" EMPTY_SUM "\tn/a",
        "age\tsha256\tfile\tsubject\n71\t\ta/b.txt\tana\nn/a\t" EMPTY_SUM "\tc.txt\tbo\n",
    };
    VslManifest m = {0};
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        CHECK_OK(read_text(&m, texts[i]));
        CHECK(m.table.rows == 2 && m.table.columns == 4);
        CHECK(strcmp(vsl_manifest_cell(&m, 0, "subject"), "ana") == 0);
        CHECK(strcmp(vsl_manifest_cell(&m, 0, "file"), "a/b.txt") == 0);
        CHECK(strcmp(vsl_manifest_cell(&m, 0, "sha256"), "") == 0);
        CHECK(strcmp(vsl_manifest_cell(&m, 1, "age"), "") == 0);
        CHECK(vsl_manifest_cell(&m, 0, "sex") == NULL && vsl_manifest_cell(&m, 2, "age") == NULL);
    }
    vsl_manifest_free(&m);
}

TEST(unsound_tables_are_refused_by_line)
{
    static const struct {
        const char *text, *says;
    } cases[] = {
        {"", "is empty"},
        {"file\n", "no column 'sha256'"},
        {"sha256\tname\n", "no column 'file'"},
        {"file\tsha256\tfile\n", "column 3"},
        {"file\tsha256\t\n", "column 3"},
        {"file\tsha256\na\n", "line 2 has 1 cells"},
        {"file\tsha256\na\t\nb\t\tc\n", "line 3 has 3 cells"},
        {"file\tsha256\na\t\n\nb\t\n", "line 3 has 1 cells"},
        {"file\tsha256\na\t\nfile\tsha256\n", "line 3 repeats the header"},
        {"file\tsha256\n/etc/passwd\t\n", "/etc/passwd"},
        {"file\tsha256\n../x\t\n", "'../x'"},
        {"file\tsha256\na/../../x\t\n", "a/../../x"},
        {"file\tsha256\na/..\t\n", "a/.."},
        {"file\tsha256\n..\t\n", "'..'"},
        {"file\tsha256\n\t\n", "line 2 names the file ''"},
        {"file\tsha256\nn/a\t\n", "line 2 names the file ''"},
        {"file\tsha256\na\tdeadbeef\n", "deadbeef"},
        {"file\tsha256\na\t" EMPTY_SUM "0\n", "hexadecimal"},
        {"file\tsha256\na\x01\t\n", "control byte 01"},
        {"file\tsha256\na\r\t\n", "control byte 0d"},
        {"file\tsha256\na\x7f\t\n", "control byte 7f"},
        {"file\tsha256\n\xc3(\t\n", "not UTF-8"},
        {"file\tsha256\n\xc0\xaf\t\n", "not UTF-8"},
        {"file\tsha256\n\xed\xa0\x80\t\n", "not UTF-8"},
        {"file\tsha256\n\xf4\x90\x80\x80\t\n", "not UTF-8"},
        {"file\tsha256\n\xe2\x82", "not UTF-8"},
    };
    VslManifest m = {0};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        CHECK_STATUS(read_text(&m, cases[i].text), VSL_E_FORMAT);
        if (!strstr(vsl_error(), cases[i].says)) {
            printf("  case %zu says '%s', expected '%s'\n", i, vsl_error(), cases[i].says);
            CHECK(0);
        }
        CHECK(m.table.rows == 0 && m.table.text == NULL);
    }
    scratch_put(scratch("zero.tsv"), "file\tsha256\na\0\t\n", 16);
    CHECK_STATUS(vsl_manifest_read(&m, scratch("zero.tsv")), VSL_E_FORMAT);
    CHECK_STATUS(vsl_manifest_read(&m, scratch("absent.tsv")), VSL_E_IO);
    CHECK_STATUS(vsl_manifest_read(&m, "/dev/zero"), VSL_E_IO);
    CHECK(mkfifo(scratch("pipe.tsv"), 0600) == 0);
    CHECK_STATUS(vsl_manifest_read(&m, scratch("pipe.tsv")), VSL_E_IO); /* and does not wait for a writer */
    CHECK_OK(read_text(&m, "file\tsha256\n\xc3\xa4/\xe2\x82\xac/\xf0\x9f\xa7\xa0\t\n..a/b..\t\n"));
    vsl_manifest_free(&m);
}

TEST(limits_hold)
{
    VslManifest m = {0};
    const size_t line = (size_t)1 << 20;
    char *text = malloc(12 * line);
    size_t at = (size_t)sprintf(text, "file\tsha256\n");
    memset(text + at, 'x', line);
    strcpy(text + at + line - 2, "\t\n");
    CHECK_OK(read_text(&m, text));
    strcpy(text + at + line + 1, "\t\n");
    text[at + line - 2] = text[at + line - 1] = text[at + line] = 'x';
    CHECK_STATUS(read_text(&m, text), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "longer than") != NULL);
    at = (size_t)sprintf(text, "file\tsha256");
    for (int c = 0; c < 1000; c++) {
        at += (size_t)sprintf(text + at, "\tc%d", c);
    }
    strcpy(text + at, "\n");
    CHECK_STATUS(read_text(&m, text), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "columns") != NULL);
    /* 1000 columns and 10001 empty lines would be too many cells: refused before the lines are looked at */
    at = (size_t)sprintf(text, "file\tsha256");
    for (int c = 0; c < 998; c++) {
        at += (size_t)sprintf(text + at, "\tc%d", c);
    }
    memset(text + at, '\n', 10002);
    text[at + 10002] = 0;
    CHECK_STATUS(read_text(&m, text), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "cells") != NULL);
    vsl_manifest_free(&m);
    free(text);
}

/* 4 x 3 x 2 voxels of 1 x 2 x 2.5 mm, int16 */
static void put_image(const char *path)
{
    VslVolume v = {0};
    const VslGrid grid = vsl_grid_centred((int64_t[3]){4, 3, 2}, (double[3]){1, 2, 2.5});
    const VslNiftiWrite how = {.datatype = VSL_DATATYPE_INT16};
    CHECK_OK(vsl_volume_new(&v, &grid, 1));
    CHECK_OK(vsl_image_write(path, &v, &how));
    vsl_volume_free(&v);
}

TEST(each_row_says_what_is_the_matter_with_its_file)
{
    static const struct {
        const char *row;
        VslRowStatus want;
        const char *says;
        int has_grid;
    } cases[] = {
        {"abc\t" ABC_SUM "\t\t\t", VSL_ROW_OK, "", 0},
        {"empty\tE3B0C44298FC1C149AFBF4C8996FB92427AE41E4649B934CA495991B7852B855\t5x5\t1 1\tuint8", VSL_ROW_OK, "", 0},
        {"abc\t" ABC_SUM "\t\t\t", VSL_ROW_DUPLICATE, "line 2", 0},
        {"gone\t" ABC_SUM "\t\t\t", VSL_ROW_MISSING, "No such", 0},
        {"abc/d\t" ABC_SUM "\t\t\t", VSL_ROW_MISSING, "", 0},
        {"dangling\t" ABC_SUM "\t\t\t", VSL_ROW_MISSING, "content that is not here", 0},
        {"link\t" ABC_SUM "\t\t\t", VSL_ROW_OK, "", 0},
        {"loop\t" ABC_SUM "\t\t\t", VSL_ROW_UNREADABLE, "", 0},
        {"pipe\t" ABC_SUM "\t\t\t", VSL_ROW_UNREADABLE, "device, pipe or socket", 0},
        {"pipe2\tn/a\t\t\t", VSL_ROW_UNREADABLE, "device, pipe or socket", 0},
        {"folder\t" ABC_SUM "\t\t\t", VSL_ROW_UNREADABLE, "folder", 0},
        {"changed\t" ABC_SUM "\t\t\t", VSL_ROW_CHECKSUM, EMPTY_SUM, 0},
        {"a.nii.gz\tn/a\t4x3x2\t1 2 2.5\tint16", VSL_ROW_OK, "", 1},
        {"b.nii.gz\tn/a\t4x3x2x1\tunknown\t", VSL_ROW_OK, "", 1},
        {"c.nii.gz\tn/a\t4x3x2x2\t1 2 2.5\tint16", VSL_ROW_GRID, "4x3x2", 1},
        {"d.nii.gz\tn/a\t4x3x2\t1 2 2\tint16", VSL_ROW_GRID, "2.5 mm", 1},
        {"e.nii.gz\tn/a\t4x3x2\t1 2 2.5\tuint8", VSL_ROW_GRID, "int16", 1},
        {"f.nii.gz\tn/a\tfour by three\t1 two\tpair", VSL_ROW_OK, "", 0},
        {"not.nii.gz\tn/a\t4x3x2\t\t", VSL_ROW_UNREADABLE, "not.nii.gz", 0},
        {"not2.nii.gz\tn/a\t\t\t", VSL_ROW_OK, "", 0},
        {"cut.nii.gz\tn/a\t4x3x2\t\t", VSL_ROW_UNREADABLE, "cut.nii.gz", 0},
        {"p.png\tn/a\t4x3\t9 9\tuint8", VSL_ROW_OK, "", 1},
        {"q.png\tn/a\t4x3\t\t1 bit", VSL_ROW_GRID, "uint8", 1},
    };
    char text[8192] = "file\tsha256\tshape\tvoxel_size_mm\tdtype\n";
    static unsigned char bytes[1 << 16];
    VslVolume flat = {0};
    const VslGrid slice = vsl_grid_centred((int64_t[3]){4, 3, 1}, (double[3]){1, 1, 1});

    scratch_put(scratch("abc"), "abc", 3);
    scratch_put(scratch("empty"), "", 0);
    scratch_put(scratch("changed"), "", 0);
    CHECK(symlink("nowhere", scratch("dangling")) == 0 && symlink("abc", scratch("link")) == 0);
    CHECK(symlink("loop", scratch("loop")) == 0 && mkfifo(scratch("pipe"), 0600) == 0 &&
          mkfifo(scratch("pipe2"), 0600) == 0 && mkdir(scratch("folder"), 0700) == 0);
    for (char name[] = "a.nii.gz"; name[0] <= 'f'; name[0]++) {
        put_image(scratch(name));
    }
    scratch_put(scratch("not.nii.gz"), "poem", 4);
    scratch_put(scratch("not2.nii.gz"), "poem", 4);
    const size_t count = scratch_get(scratch("a.nii.gz"), bytes, sizeof bytes);
    scratch_put(scratch("cut.nii.gz"), bytes, count - 6);
    CHECK_OK(vsl_volume_new(&flat, &slice, 1));
    CHECK_OK(vsl_image_write(scratch("p.png"), &flat, NULL));
    CHECK_OK(vsl_image_write(scratch("q.png"), &flat, NULL));
    vsl_volume_free(&flat);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        strcat(strcat(text, cases[i].row), "\n");
    }
    VslManifest m = {0};
    CHECK_OK(read_text(&m, text));
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        VslRowReport r;
        CHECK_OK(vsl_manifest_verify_row(&r, &m, (int64_t)i));
        if (r.status != cases[i].want || !strstr(r.sentence, cases[i].says) || r.has_grid != cases[i].has_grid) {
            printf("  row '%s' is '%s': %s (grid %d)\n", cases[i].row, vsl_row_status_name(r.status), r.sentence,
                   r.has_grid);
            CHECK(0);
        }
        CHECK((r.sentence[0] == 0) == (r.status == VSL_ROW_OK));
    }
    VslRowReport r;
    CHECK_STATUS(vsl_manifest_verify_row(&r, &m, m.table.rows), VSL_E_ARG);
    /* without a shape column, images are opened too */
    CHECK_OK(read_text(&m, "file\tsha256\nnot2.nii.gz\tn/a\n"));
    CHECK_OK(vsl_manifest_verify_row(&r, &m, 0));
    CHECK(r.status == VSL_ROW_UNREADABLE);
    vsl_manifest_free(&m);
}

TEST(changed_bytes_never_crash_the_reader)
{
    static const char good[] = "file\tsha256\tshape\nabc\t" ABC_SUM "\t1x2\n\xc3\xa4\tn/a\t\n";
    for (uint64_t i = 0; i < 4000; i++) {
        char text[sizeof good];
        uint32_t r[4];
        VslManifest m = {0};
        vsl_random_bits(r, 2, 0, i);
        memcpy(text, good, sizeof good);
        text[r[0] % (sizeof good - 1)] = (char)r[1];
        scratch_put(scratch("fuzz.tsv"), text, r[2] % 4 ? sizeof good - 1 : r[3] % sizeof good);
        if (vsl_manifest_read(&m, scratch("fuzz.tsv")) == VSL_OK) {
            VslRowReport report;
            for (int64_t row = 0; row < m.table.rows; row++) {
                CHECK_OK(vsl_manifest_verify_row(&report, &m, row));
            }
        }
        vsl_manifest_free(&m);
    }
}

TEST(memory_that_runs_out_leaks_nothing)
{
    const int64_t held = vsl_memory_now();
    int failures = 0;
    for (int64_t n = 1; n < 20; n++) {
        VslManifest m = {0};
        vsl_memory_fail_after(n);
        scratch_put(scratch("m.tsv"), "file\tsha256\nabc\t\n", 17);
        const VslStatus st = vsl_manifest_read(&m, scratch("m.tsv"));
        vsl_memory_fail_after(0);
        CHECK(st == VSL_OK || (st == VSL_E_NOMEM && m.table.text == NULL));
        failures += st != VSL_OK;
        vsl_manifest_free(&m);
        CHECK(vsl_memory_now() == held);
    }
    CHECK(failures >= 5);
}

/* The real data, when they are at hand: every file is what its row says. */
TEST(the_manifest_of_the_real_data_holds)
{
    char path[1024];
    const char *data = getenv("VSL_DATA"), *source = getenv("VSL_SOURCE");
    snprintf(path, sizeof path, "%s%s/MANIFEST.tsv",
             data     ? data
             : source ? source
                      : ".",
             data ? "" : "/../shared/data");
    if (access(path, R_OK) != 0) {
        printf("  no data here (VSL_DATA is not set)\n");
        return;
    }
    VslManifest m = {0};
    CHECK_OK(vsl_manifest_read(&m, path));
    CHECK(m.table.rows > 4000);
    int64_t faults = 0, grids = 0;
    for (int64_t row = 0; row < m.table.rows; row++) {
        VslRowReport r;
        CHECK_OK(vsl_manifest_verify_row(&r, &m, row));
        grids += r.has_grid;
        if (r.status != VSL_ROW_OK && faults++ < 5) {
            printf("  %s: %s: %s\n", vsl_manifest_cell(&m, row, "file"), vsl_row_status_name(r.status), r.sentence);
        }
    }
    CHECK(faults == 0 && grids > 3000);
    vsl_manifest_free(&m);
}

int main(void)
{
    RUN(digests_are_those_of_the_standard);
    RUN(cells_are_found_by_the_name_of_their_column);
    RUN(unsound_tables_are_refused_by_line);
    RUN(limits_hold);
    RUN(each_row_says_what_is_the_matter_with_its_file);
    RUN(changed_bytes_never_crash_the_reader);
    RUN(memory_that_runs_out_leaks_nothing);
    RUN(the_manifest_of_the_real_data_holds);
    return CHECK_VERDICT();
}
