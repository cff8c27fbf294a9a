/* Cut, flipped, swollen and misnamed files: refused, or read as if they were whole; never something in between. */
#define _GNU_SOURCE
#include <stdint.h>
#include <sys/stat.h>
#include <unistd.h>

#include "core/log.h"
#include "io/file_out.h"
#include "tests/check.h"
#include "tests/io/nifti_bytes.h"

enum { NX = 60, NY = 40, NZ = 10, VOXELS = NX * NY * NZ };

static char folder[] = "/tmp/vsl_nifti_damage_XXXXXX";
static int16_t voxels[VOXELS];

static nifti_1_header test_header(void)
{
    nifti_1_header h = good_header(4);
    h.dim[1] = NX;
    h.dim[2] = NY;
    h.dim[3] = NZ;
    return h;
}

static Bytes whole_file(void)
{
    const nifti_1_header h = test_header();
    return make_file(&h, voxels, sizeof voxels);
}

static int right_voxels(const VslVolume *v)
{
    for (int i = 0; i < VOXELS; i++) {
        if (!(v->data[i] == (float)voxels[i])) {
            return 0;
        }
    }
    return vsl_grid_voxels(&v->grid) == VOXELS;
}

static void save(const char *path, const void *bytes, int64_t size)
{
    CHECK_OK(vsl_file_write_whole(path, bytes, (size_t)size));
}

/* Reads the first `size` bytes of a file; 1 when that was refused as damaged. */
static int cut_is_refused(const Bytes *file, int64_t size)
{
    VslVolume v = {0};
    unsigned char *exact = malloc((size_t)size + !size); /* its own block, so that a sanitizer sees one byte too far */
    memcpy(exact, file->data, (size_t)size);
    const VslStatus st = read_bytes(&v, NULL, exact, size);
    const int empty = v.data == NULL;
    vsl_volume_free(&v);
    free(exact);
    return st == VSL_E_FORMAT && empty;
}

TEST(a_file_cut_at_any_byte_is_refused)
{
    Bytes plain = whole_file(), packed = make_gzip(plain.data, plain.size);
    const Bytes *files[] = {&plain, &packed};
    CHECK(packed.size > 8192);
    for (int i = 0; i < 2; i++) {
        int refused = 0, tried = 0;
        for (int64_t size = 0; size < files[i]->size; size += size < 4096 || size > files[i]->size - 64 ? 1 : 331) {
            tried++;
            refused += cut_is_refused(files[i], size);
        }
        CHECK(tried > 4160 && refused == tried);
    }
    bytes_free(&plain);
    bytes_free(&packed);
}

TEST(ten_thousand_flipped_bits_never_give_wrong_voxels)
{
    Bytes plain = whole_file(), packed = make_gzip(plain.data, plain.size);
    uint32_t random = 2026;
    int refused = 0, harmless = 0, wrong = 0;
    for (int i = 0; i < 10000; i++) {
        random = random * 1664525u + 1013904223u;
        /* every bit of the gzip header and the first deflate block's tables, then anywhere */
        const int64_t bit = i < 2000 ? i : (int64_t)(((uint64_t)random << 8) % (uint64_t)(packed.size * 8));
        packed.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
        VslVolume v = {0};
        if (read_bytes(&v, NULL, packed.data, packed.size) != VSL_OK) {
            refused++;
        } else if (right_voxels(&v)) {
            harmless++; /* time, name, system: fields that carry no voxels */
        } else {
            wrong++;
        }
        vsl_volume_free(&v);
        packed.data[bit / 8] ^= (unsigned char)(1 << bit % 8);
    }
    printf("  %d refused, %d harmless\n", refused, harmless);
    CHECK(wrong == 0 && refused > 9900);
    bytes_free(&plain);
    bytes_free(&packed);
}

TEST(a_stream_that_swells_beyond_its_header_is_refused_early)
{
    const int64_t zeros_size = 200 << 20;
    Bytes plain = whole_file(), zeros = {calloc(1, (size_t)zeros_size), zeros_size};
    Bytes swollen = bytes_join(plain.data, plain.size, zeros.data, zeros.size);
    Bytes packed = make_gzip(swollen.data, swollen.size);
    bytes_free(&zeros);
    bytes_free(&swollen);
    VslVolume v = {0};
    const int64_t held = vsl_memory_now(), peak = vsl_memory_peak();
    packed.size /= 2; /* who reads on to the end finds it cut instead */
    CHECK_STATUS(read_bytes(&v, NULL, packed.data, packed.size), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "go on after"));
    CHECK(vsl_memory_now() == held && vsl_memory_peak() < peak + (1 << 20));
    bytes_free(&packed);
    bytes_free(&plain);
}

TEST(an_honest_bomb_is_refused_by_the_budget_before_it_is_inflated)
{
    nifti_1_header h = test_header();
    h.dim[1] = h.dim[2] = 1024;
    h.dim[3] = 2400; /* 5 GB of voxels; the file is padded to where that could be true */
    unsigned char front[352] = {0};
    memcpy(front, &h, 348);
    Bytes start = make_gzip(front, sizeof front), pad = {calloc(1, 5 << 20), 5 << 20};
    Bytes file = bytes_join(start.data, start.size, pad.data, pad.size);
    VslVolume v = {0};
    const int64_t peak = vsl_memory_peak();
    vsl_memory_set_budget(64 << 20);
    CHECK_STATUS(read_bytes(&v, NULL, file.data, file.size), VSL_E_NOMEM);
    vsl_memory_set_budget(0);
    CHECK(vsl_memory_peak() - peak < 64 << 20);
    /* a small file cannot hold it: refused whatever the memory */
    CHECK_STATUS(read_bytes(&v, NULL, file.data, 4 << 20), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "cannot hold"));
    nifti_1_header far = test_header();
    far.vox_offset = 0x1p31f; /* nothing but inflating gets there */
    memcpy(front, &far, 348);
    Bytes far_start = make_gzip(front, sizeof front),
          far_file = bytes_join(far_start.data, far_start.size, pad.data, pad.size);
    CHECK_STATUS(read_bytes(&v, NULL, far_file.data, far_file.size), VSL_E_FORMAT);
    CHECK(strstr(vsl_error(), "expected at most 1073741824"));
    bytes_free(&far_start);
    bytes_free(&far_file);
    h.dim[0] = 4;
    h.dim[4] = 32767; /* 165 TB plain */
    memcpy(front, &h, 348);
    CHECK_STATUS(read_bytes(&v, NULL, front, sizeof front), VSL_E_FORMAT);
    bytes_free(&file);
    bytes_free(&start);
    bytes_free(&pad);
}

TEST(trailing_bytes_are_warned_about)
{
    Bytes plain = whole_file(), packed = make_gzip(plain.data, plain.size);
    Bytes files[] = {bytes_join(plain.data, plain.size, "junk", 4), bytes_join(packed.data, packed.size, "junk", 4)};
    for (int i = 0; i < 2; i++) {
        VslVolume v = {0};
        VslNiftiInfo info = {0};
        CHECK_OK(read_bytes(&v, &info, files[i].data, files[i].size));
        CHECK(info.warning_count == 1 && strstr(info.warnings[0], "4 bytes follow") && right_voxels(&v));
        vsl_volume_free(&v);
        vsl_nifti_info_free(&info);
        bytes_free(&files[i]);
    }
    bytes_free(&plain);
    bytes_free(&packed);
}

TEST(gzip_in_several_members_is_read)
{
    Bytes plain = whole_file(), a = make_gzip(plain.data, 100), b = make_gzip(plain.data + 100, 20000);
    Bytes c = make_gzip(plain.data + 20100, plain.size - 20100), ab = bytes_join(a.data, a.size, b.data, b.size);
    Bytes all = bytes_join(ab.data, ab.size, c.data, c.size);
    VslVolume v = {0};
    VslNiftiInfo info = {0};
    CHECK_OK(read_bytes(&v, &info, all.data, all.size));
    CHECK(info.warning_count == 0 && right_voxels(&v));
    CHECK_STATUS(read_bytes(&v, NULL, ab.data, ab.size), VSL_E_FORMAT);
    vsl_volume_free(&v);
    vsl_nifti_info_free(&info);
    Bytes *all_files[] = {&plain, &a, &b, &c, &ab, &all};
    for (int i = 0; i < 6; i++) {
        bytes_free(all_files[i]);
    }
}

static void reads_as(const char *path, int is_pair, int is_gzip)
{
    VslVolume v = {0};
    VslNiftiInfo info = {0};
    CHECK_OK(vsl_nifti_read(&v, &info, path));
    CHECK(v.data && right_voxels(&v) && info.is_pair == is_pair && info.is_gzip == is_gzip);
    vsl_volume_free(&v);
    vsl_nifti_info_free(&info);
}

static void refused_as(const char *path, VslStatus status, const char *says)
{
    VslVolume v = {0};
    CHECK_STATUS(vsl_nifti_read(&v, NULL, path), status);
    CHECK(strstr(vsl_error(), says));
    if (!strstr(vsl_error(), says)) {
        printf("  said: %s\n", vsl_error());
    }
    vsl_volume_free(&v);
}

TEST(a_pair_is_read_by_either_name)
{
    nifti_1_header h = test_header();
    memcpy(h.magic, "ni1", 4);
    h.vox_offset = 0;
    Bytes hdr_gz = make_gzip(&h, 348), img_gz = make_gzip(voxels, sizeof voxels);
    save("p.hdr", &h, 348);
    refused_as("p.hdr", VSL_E_IO, "p.hdr: the .img file of this pair is missing");
    save("p.img", voxels, sizeof voxels);
    reads_as("p.hdr", 1, 0);
    reads_as("p.img", 1, 0);
    save("P2.HDR", &h, 348);
    save("P2.IMG", voxels, sizeof voxels);
    reads_as("P2.HDR", 1, 0);
    reads_as("P2.IMG", 1, 0);
    save("q.hdr.gz", hdr_gz.data, hdr_gz.size);
    save("q.img.gz", img_gz.data, img_gz.size);
    reads_as("q.hdr.gz", 1, 1);
    reads_as("q.img.gz", 1, 1);
    reads_as("q.img", 1, 1); /* as people type it */
    hdr_gz.data[hdr_gz.size - 6] ^= 1;
    save("q.hdr.gz", hdr_gz.data, hdr_gz.size);
    refused_as("q.img.gz", VSL_E_FORMAT, "q.hdr.gz: damaged gzip");
    save("p.img", voxels, sizeof voxels - 2);
    refused_as("p.hdr", VSL_E_FORMAT, "truncated");
    h.vox_offset = 1e6f;
    save("p.hdr", &h, 348);
    refused_as("p.hdr", VSL_E_FORMAT, "truncated");
    unlink("p.hdr");
    refused_as("p.img", VSL_E_IO, "the .hdr file of this pair is missing");
    h = test_header(); /* n+1 in a .hdr */
    save("p.hdr", &h, 348);
    refused_as("p.hdr", VSL_E_FORMAT, "must end in .nii");
    CHECK(system("rm -f p.* P2.* q.*") == 0);
    bytes_free(&hdr_gz);
    bytes_free(&img_gz);
}

TEST(a_pair_keeps_the_extensions_of_its_header)
{
    struct {
        nifti_1_header h;
        unsigned char flag[4];
        int32_t size, code;
        char text[24];
    } front = {test_header(), {1}, 32, 6, "of the pair"};
    memcpy(front.h.magic, "ni1", 4);
    front.h.vox_offset = 0;
    Bytes packed = make_gzip(&front, sizeof front), more = bytes_join(packed.data, packed.size, "junk", 4);
    save("p.img", voxels, sizeof voxels);
    for (int i = 0; i < 4; i++) {
        VslNiftiInfo info = {0};
        const Bytes plain = {(unsigned char *)&front, sizeof front - (i == 1 ? 20 : 0)};
        const Bytes *hdr = i < 2 ? &plain : i == 2 ? &packed : &more;
        save(i < 2 ? "p.hdr" : "p.hdr.gz", hdr->data, hdr->size);
        CHECK_OK(vsl_nifti_read_info(&info, "p.img"));
        CHECK(info.extensions == (i != 1) && info.warning_count == (i & 1));
        CHECK(i == 1 || !strcmp((char *)info.extension->bytes, "of the pair"));
        vsl_nifti_info_free(&info);
        unlink(i < 2 ? "p.hdr" : "p.hdr.gz");
    }
    unlink("p.img");
    bytes_free(&packed);
    bytes_free(&more);
}

static void count_warning(VslLogLevel level, const char *sentence, void *user)
{
    *(int *)user += level == VSL_LOG_WARNING && strstr(sentence, "a.nii: 4 bytes follow");
}

TEST(warnings_reach_the_log_where_no_info_takes_them)
{
    Bytes plain = whole_file(), more = bytes_join(plain.data, plain.size, "junk", 4);
    VslVolume v = {0};
    VslNiftiInfo info = {0};
    int told = 0;
    save("a.nii", more.data, more.size);
    vsl_log_set_sink(count_warning, &told);
    CHECK_OK(vsl_nifti_read(&v, NULL, "a.nii"));
    CHECK(told == 1);
    CHECK_OK(vsl_nifti_read(&v, &info, "a.nii"));
    CHECK(told == 1 && info.warning_count == 1);
    vsl_log_set_sink(NULL, NULL);
    CHECK(unlink("a.nii") == 0);
    vsl_nifti_info_free(&info);
    vsl_volume_free(&v);
    bytes_free(&plain);
    bytes_free(&more);
}

TEST(names_of_any_kind_are_read)
{
    Bytes plain = whole_file(), packed = make_gzip(plain.data, plain.size);
    const char *names[] = {"a b.nii", "-a.nii", "new\nline.nii", "$(x);'\".nii", "\xff\xfe.nii", "..a..nii", "A.NII"};
    for (int i = 0; i < 7; i++) {
        save(names[i], plain.data, plain.size);
        reads_as(names[i], 0, 0);
        CHECK(unlink(names[i]) == 0);
    }
    save("a.NII.GZ", packed.data, packed.size);
    reads_as("a.NII.GZ", 0, 1);
    VslNiftiInfo info = {0};
    save("a.nii", packed.data, packed.size); /* a name that does not tell what is inside */
    CHECK_OK(vsl_nifti_read_info(&info, "a.nii"));
    CHECK(info.is_gzip && info.warning_count == 1 && strstr(info.warnings[0], "does not end in .gz"));
    CHECK(symlink("a.NII.GZ", "link.nii.gz") == 0); /* annexed data are links */
    reads_as("link.nii.gz", 0, 1);
    CHECK(unlink("a.nii") == 0 && unlink("a.NII.GZ") == 0);
    refused_as("link.nii.gz", VSL_E_IO, "link.nii.gz: cannot be opened: No such file");
    CHECK(unlink("link.nii.gz") == 0);
    vsl_nifti_info_free(&info);
    bytes_free(&plain);
    bytes_free(&packed);
}

TEST(what_is_not_an_image_file_is_refused_at_once)
{
    CHECK(mkfifo("f.nii", 0600) == 0 && mkfifo("f.hdr", 0600) == 0 && mkdir("d.nii", 0700) == 0);
    save("f.img", voxels, 10);
    alarm(10); /* waiting on a pipe ends the test */
    refused_as("f.nii", VSL_E_IO, "is a device, pipe or socket");
    refused_as("f.hdr", VSL_E_IO, "is a device, pipe or socket");
    refused_as("d.nii", VSL_E_IO, "is a folder");
    refused_as("/dev/null", VSL_E_IO, "device");
    refused_as("missing.nii.gz", VSL_E_IO, "missing.nii.gz: cannot be opened: No such file");
    refused_as("missing.hdr", VSL_E_IO, "missing");
    refused_as("", VSL_E_ARG, "empty name");
    alarm(0);
    CHECK(unlink("f.nii") == 0 && unlink("f.hdr") == 0 && unlink("f.img") == 0 && rmdir("d.nii") == 0);
}

TEST(more_than_2_to_the_31_voxels_are_counted_right)
{
    nifti_1_header h = good_header(2);
    h.dim[1] = h.dim[2] = h.dim[3] = 1291;
    Bytes front = make_file(&h, "", 0);
    save("big.nii", front.data, front.size);
    VslNiftiInfo info = {0};
    CHECK_STATUS(vsl_nifti_read_info(&info, "big.nii"), VSL_E_FORMAT);
    CHECK(truncate("big.nii", 352 + (off_t)1291 * 1291 * 1291) == 0); /* sparse */
    CHECK_OK(vsl_nifti_read_info(&info, "big.nii"));
    CHECK(info.data_bytes == (int64_t)1291 * 1291 * 1291 && vsl_grid_voxels(&info.grid) == info.data_bytes);
    CHECK(unlink("big.nii") == 0);
    vsl_nifti_info_free(&info);
    bytes_free(&front);
}

int main(void)
{
    if (!mkdtemp(folder) || chdir(folder) != 0) {
        return 1;
    }
    uint32_t random = 1;
    for (int i = 0; i < VOXELS; i++) {
        random = random * 1664525u + 1013904223u;
        voxels[i] = (int16_t)((i >> 3) % 500 + (int)(random >> 27));
    }
    RUN(a_file_cut_at_any_byte_is_refused);
    RUN(ten_thousand_flipped_bits_never_give_wrong_voxels);
    RUN(a_stream_that_swells_beyond_its_header_is_refused_early);
    RUN(an_honest_bomb_is_refused_by_the_budget_before_it_is_inflated);
    RUN(trailing_bytes_are_warned_about);
    RUN(gzip_in_several_members_is_read);
    RUN(a_pair_is_read_by_either_name);
    RUN(a_pair_keeps_the_extensions_of_its_header);
    RUN(warnings_reach_the_log_where_no_info_takes_them);
    RUN(names_of_any_kind_are_read);
    RUN(what_is_not_an_image_file_is_refused_at_once);
    RUN(more_than_2_to_the_31_voxels_are_counted_right);
    CHECK(chdir("/") == 0 && rmdir(folder) == 0);
    return CHECK_VERDICT();
}
