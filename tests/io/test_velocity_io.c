/* Velocity files: round trips, sealed bytes, and HDF5 files that are valid but wrong. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include <hdf5.h>

#include "core/random.h"
#include "io/transform_io.h"
#include "tests/check.h"
#include "tests/io/scratch.h"

static VslGeodesic make(int64_t n0, int64_t n1, int64_t n2)
{
    const VslGrid band = {{n0, n1, n2}, {{{-2.1, 0.3, 0.1, 40}, {0.2, 1.9, -0.4, -33.3}, {0.05, 0.5, 3.1, 7}}}};
    VslGeodesic g = {.fixed = vsl_grid_resampled(&band, (int64_t[3]){2 * n0 + 1, 2 * n1, n2 + 3}),
                     .kernel = {2, {7.5, 1.0 / 3}, {0.75, 0.25}, 1.25, 2},
                     .time_steps = 12};
    CHECK_OK(vsl_volume_new(&g.velocity, &band, 3));
    for (int64_t i = 0; i < 3 * n0 * n1 * n2; i++) {
        g.velocity.data[i] = (float)vsl_random_normal(3, 1, (uint64_t)i);
    }
    return g;
}

static int same(const VslGeodesic *a, const VslGeodesic *b)
{
    return memcmp(&a->fixed, &b->fixed, sizeof a->fixed) == 0 &&
           memcmp(&a->kernel, &b->kernel, sizeof a->kernel) == 0 && a->time_steps == b->time_steps &&
           memcmp(&a->velocity.grid, &b->velocity.grid, sizeof a->fixed) == 0 &&
           memcmp(a->velocity.data, b->velocity.data, (size_t)vsl_grid_voxels(&a->velocity.grid) * 12) == 0;
}

TEST(a_geodesic_reads_back_bit_by_bit)
{
    static const int64_t sizes[][3] = {{8, 6, 10}, {1, 1, 1}, {16, 16, 1}, {7, 3, 5}, {140, 96, 48}};
    for (int i = 0; i < 5; i++) {
        VslGeodesic g = make(sizes[i][0], sizes[i][1], sizes[i][2]), back = {0};
        CHECK_OK(vsl_velocity_write(scratch("v.h5"), &g));
        CHECK_OK(vsl_velocity_read(&back, scratch("v.h5")));
        CHECK(same(&g, &back));
        CHECK_OK(vsl_velocity_read(&back, scratch("v.h5"))); /* into a full one */
        CHECK(scratch_entries() == 1);
        vsl_geodesic_free(&g);
        vsl_geodesic_free(&back);
    }
}

TEST(bytes_do_not_depend_on_the_time_of_writing)
{
    static char first[1 << 16], second[1 << 16];
    VslGeodesic g = make(8, 6, 10);
    CHECK_OK(vsl_velocity_write(scratch("v.h5"), &g));
    const size_t count = scratch_get(scratch("v.h5"), first, sizeof first);
    sleep(1); /* HDF5 would store seconds */
    CHECK_OK(vsl_velocity_write(scratch("other.h5"), &g));
    CHECK(count > 0 && count < sizeof first && scratch_get(scratch("other.h5"), second, sizeof second) == count);
    CHECK(memcmp(first, second, count) == 0);
    unlink(scratch("other.h5"));
    vsl_geodesic_free(&g);
}

TEST(the_hdf5_library_reads_a_sealed_file)
{
    VslGeodesic g = make(8, 6, 10);
    float *values = malloc(8 * 6 * 10 * 3 * sizeof(float));
    CHECK_OK(vsl_velocity_write(scratch("v.h5"), &g));
    const hid_t file = H5Fopen(scratch("v.h5"), H5F_ACC_RDONLY, H5P_DEFAULT);
    const hid_t dataset = H5Dopen2(file, "/velocity", H5P_DEFAULT);
    CHECK(H5Dread(dataset, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, values) >= 0);
    CHECK(memcmp(values, g.velocity.data, 8 * 6 * 10 * 3 * sizeof(float)) == 0);
    H5Dclose(dataset);
    H5Fclose(file);
    free(values);
    vsl_geodesic_free(&g);
}

TEST(a_cut_or_changed_file_is_refused)
{
    static char bytes[1 << 16], changed[1 << 16];
    VslGeodesic g = make(5, 4, 3), kept = make(2, 2, 2);
    VslGeodesic out = make(2, 2, 2);
    CHECK_OK(vsl_velocity_write(scratch("v.h5"), &g));
    const size_t count = scratch_get(scratch("v.h5"), bytes, sizeof bytes);
    CHECK(count > 4096 && count < sizeof bytes);
    for (size_t cut = 0; cut < count; cut += cut < 600 || cut + 100 > count ? 1 : 37) {
        scratch_put(scratch("cut.h5"), bytes, cut);
        CHECK(vsl_velocity_read(&out, scratch("cut.h5")) != VSL_OK);
    }
    for (uint64_t i = 0; i < 400; i++) {
        uint32_t r[4];
        vsl_random_bits(r, 5, 1, i);
        memcpy(changed, bytes, count);
        changed[r[0] % count] ^= (char)(1 << r[1] % 8);
        scratch_put(scratch("cut.h5"), changed, count);
        CHECK(vsl_velocity_read(&out, scratch("cut.h5")) != VSL_OK);
    }
    CHECK(same(&out, &kept)); /* outputs change on success only */
    unlink(scratch("cut.h5"));
    vsl_geodesic_free(&g);
    vsl_geodesic_free(&kept);
    vsl_geodesic_free(&out);
}

/* Foreign files: valid HDF5 without a seal, in every wrong way */
typedef enum Wrong {
    NOTHING,
    BIG_ENDIAN_DATA,
    CONTIGUOUS,
    GZIP_ONLY,
    FLETCHER_ONLY,
    ODD_CHUNKS,
    MANY_CHUNKS,
    DEEP_TREE,
    SINGLE_PRECISION_GAMMA,
    LAST_RIGHT = SINGLE_PRECISION_GAMMA,
    NEW_SUPERBLOCK,
    DOUBLE_DATA,
    INTEGER_DATA,
    RANK_3,
    TWO_COMPONENTS,
    COMPACT,
    EXTERNAL_STORAGE,
    VIRTUAL,
    SOFT_LINK,
    EXTERNAL_LINK,
    A_GROUP,
    NO_DATASET,
    FOREIGN_FILTER,
    NEVER_WRITTEN,
    NEVER_WRITTEN_CHUNKS,
    NAN_DATA,
    VARIABLE_TEXT,
    LONG_TEXT,
    UNKNOWN_KERNEL,
    NO_GAMMA,
    TEXT_GAMMA,
    VECTOR_GAMMA,
    NULL_GAMMA,
    COMPOUND_GAMMA,
    ZERO_GAMMA,
    HALF_POWER,
    FIVE_SCALES,
    FLAT_SCALES,
    NEGATIVE_ALPHA,
    HUGE_ATTRIBUTE,
    NEGATIVE_STEPS,
    FLOAT_STEPS,
    SINGULAR_GRID,
    TWO_ROW_GRID,
    EMPTY_FIXED_GRID,
    OTHER_FORMAT,
    NEXT_VERSION,
    SEAL_WITHOUT_SEAL,
    USER_BLOCK,
    WRONG_COUNT
} Wrong;

static void put(hid_t at, const char *name, hid_t type, int rank, const hsize_t *size, const void *value)
{
    const hid_t space = rank < 0    ? H5Screate(H5S_NULL)
                        : rank == 0 ? H5Screate(H5S_SCALAR)
                                    : H5Screate_simple(rank, size, NULL);
    const hid_t a = H5Acreate2(at, name, type, space, H5P_DEFAULT, H5P_DEFAULT);
    if (rank >= 0) {
        const hid_t memory = H5Tget_native_type(type, H5T_DIR_ASCEND);
        H5Awrite(a, memory, value);
        H5Tclose(memory);
    }
    H5Aclose(a);
    H5Sclose(space);
}

static void put_text(hid_t at, const char *name, const char *value, size_t size)
{
    const hid_t type = H5Tcopy(H5T_C_S1);
    char room[4096] = {0};
    strcpy(room, value);
    H5Tset_size(type, size);
    put(at, name, type, 0, NULL, size == H5T_VARIABLE ? (const void *)&value : room);
    H5Tclose(type);
}

static void put_gamma(hid_t d, Wrong w)
{
    const hsize_t two = 2;
    const double gamma[2] = {w == ZERO_GAMMA ? 0 : 1.25, 1};
    const float single = 1.25F;
    if (w == TEXT_GAMMA) {
        put_text(d, "Gamma", "1.25", 8);
    } else if (w == COMPOUND_GAMMA) {
        const hid_t pair = H5Tcreate(H5T_COMPOUND, 8);
        H5Tinsert(pair, "a", 0, H5T_NATIVE_DOUBLE);
        put(d, "Gamma", pair, 0, NULL, gamma);
        H5Tclose(pair);
    } else if (w == SINGLE_PRECISION_GAMMA) {
        put(d, "Gamma", H5T_IEEE_F32BE, 0, NULL, &single);
    } else if (w != NO_GAMMA) {
        put(d, "Gamma", H5T_IEEE_F64LE, w == NULL_GAMMA ? -1 : w == VECTOR_GAMMA, &two, gamma);
    }
}

static void put_attributes(hid_t file, hid_t d, Wrong w)
{
    const double power = w == HALF_POWER ? 0.5 : 2;
    const double scales[10] = {w == NEGATIVE_ALPHA ? -1 : 7.5, 0.75, 0.5, 0.25, 1, 1, 1, 1, 1, 1};
    const hsize_t scale_size[2] = {w == FIVE_SCALES ? 5 : 2, 2}, grid_size[2] = {w == TWO_ROW_GRID ? 2 : 3, 4};
    const hsize_t three = 3;
    const double grid[12] = {2, 0, 0, 1, 0, 2, 0, 1, 0, 0, w == SINGULAR_GRID ? 0 : 2, 1};
    const int64_t fixed[3] = {w == EMPTY_FIXED_GRID ? 0 : 9, 9, 9};
    const int32_t steps = w == NEGATIVE_STEPS ? -1 : 10, version = w == NEXT_VERSION ? 2 : 1;
    const float float_steps = 10;
    static double huge[8000];
    const hsize_t huge_size = 8000;

    put_text(file, "Format", w == OTHER_FORMAT ? "cooking recipe" : "vesal velocity", 40);
    put(file, "FormatVersion", H5T_STD_I32BE, 0, NULL, &version);
    if (w == SEAL_WITHOUT_SEAL) {
        put_text(file, "Seal", "sha256", 7);
    }
    put_text(d, "Kernel", w == UNKNOWN_KERNEL ? "gaussian" : "sobolev",
             w == VARIABLE_TEXT ? H5T_VARIABLE
             : w == LONG_TEXT   ? 4000
                                : 12);
    put_gamma(d, w);
    put(d, "Power", H5T_IEEE_F64BE, 0, NULL, &power);
    if (w == HUGE_ATTRIBUTE) {
        put(d, "Scales", H5T_IEEE_F64LE, 1, &huge_size, huge);
    } else {
        put(d, "Scales", H5T_IEEE_F64LE, w == FLAT_SCALES ? 1 : 2, scale_size, scales);
    }
    put(d, "TimeSteps", w == FLOAT_STEPS ? H5T_IEEE_F32LE : H5T_STD_I32LE, 0, NULL,
        w == FLOAT_STEPS ? (const void *)&float_steps : &steps);
    put(d, "Grid", H5T_IEEE_F64LE, 2, grid_size, grid);
    put(d, "FixedGrid", H5T_IEEE_F64LE, 2, grid_size, grid);
    put(d, "FixedGridSize", H5T_STD_I64LE, 1, &three, fixed);
}

static hid_t storage(Wrong w, hid_t space)
{
    const hid_t how = H5Pcreate(H5P_DATASET_CREATE);
    const int many = w == MANY_CHUNKS || w == DEEP_TREE, odd = w == ODD_CHUNKS;
    const hsize_t chunk[4] = {odd ? 2 : 1, many ? 1 : 3, many ? 1 : 4, many ? 2 : odd ? 5 : 6};
    if (w == COMPACT) {
        H5Pset_layout(how, H5D_COMPACT);
    } else if (w == EXTERNAL_STORAGE) {
        H5Pset_external(how, scratch("elsewhere.raw"), 0, H5F_UNLIMITED);
    } else if (w == VIRTUAL) {
        H5Pset_virtual(how, space, scratch("elsewhere.h5"), "/velocity", space);
    } else if (w != CONTIGUOUS && w != NEVER_WRITTEN && w != RANK_3) {
        H5Pset_chunk(how, 4, chunk);
        if (w == FOREIGN_FILTER) {
            H5Pset_scaleoffset(how, H5Z_SO_FLOAT_DSCALE, 3);
        } else if (w != FLETCHER_ONLY) {
            if (w != GZIP_ONLY) {
                H5Pset_shuffle(how);
            }
            H5Pset_deflate(how, 6);
        }
        if (w != GZIP_ONLY) {
            H5Pset_fletcher32(how);
        }
    }
    return how;
}

/* What the velocity is in all right ones: value = index on 3 x 4 x 5 x 6 */
static void make_foreign(const char *path, Wrong w)
{
    const hsize_t size[4] = {w == TWO_COMPONENTS ? 2 : 3, 4, 5, 6};
    float data[360];
    for (int i = 0; i < 360; i++) {
        data[i] = w == NAN_DATA && i == 200 ? NAN : (float)i;
    }
    const hid_t access = H5Pcreate(H5P_FILE_ACCESS), creation = H5Pcreate(H5P_FILE_CREATE);
    if (w == NEW_SUPERBLOCK) {
        H5Pset_libver_bounds(access, H5F_LIBVER_LATEST, H5F_LIBVER_LATEST);
    }
    if (w == DEEP_TREE) {
        H5Pset_istore_k(creation, 2); /* superblock 1, at most 4 chunks a node */
    }
    if (w == USER_BLOCK) {
        H5Pset_userblock(creation, 512);
    }
    const hid_t file = H5Fcreate(path, H5F_ACC_TRUNC, creation, access);
    const hid_t space = H5Screate_simple(w == RANK_3 ? 3 : 4, size, NULL), how = storage(w, space);
    const hid_t type = w == DOUBLE_DATA       ? H5T_IEEE_F64LE
                       : w == INTEGER_DATA    ? H5T_STD_I32LE
                       : w == BIG_ENDIAN_DATA ? H5T_IEEE_F32BE
                                              : H5T_IEEE_F32LE;
    const int is_link = w == SOFT_LINK || w == EXTERNAL_LINK || w == NO_DATASET;
    hid_t d;
    if (w == A_GROUP) {
        d = H5Gcreate2(file, "velocity", H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
    } else {
        d = H5Dcreate2(file, is_link ? "other" : "velocity", type, space, H5P_DEFAULT, how, H5P_DEFAULT);
        if (w != NEVER_WRITTEN && w != NEVER_WRITTEN_CHUNKS && w != VIRTUAL) {
            H5Dwrite(d, H5T_NATIVE_FLOAT, H5S_ALL, H5S_ALL, H5P_DEFAULT, data);
        }
    }
    if (w == SOFT_LINK) {
        H5Lcreate_soft("/other", file, "velocity", H5P_DEFAULT, H5P_DEFAULT);
    } else if (w == EXTERNAL_LINK) {
        H5Lcreate_external(scratch("elsewhere.h5"), "/velocity", file, "velocity", H5P_DEFAULT, H5P_DEFAULT);
    }
    put_attributes(file, d, w);
    if (w == A_GROUP) {
        H5Gclose(d);
    } else {
        H5Dclose(d);
    }
    H5Pclose(how);
    H5Sclose(space);
    H5Fclose(file);
    H5Pclose(creation);
    H5Pclose(access);
}

TEST(foreign_files_that_hold_the_same_are_read)
{
    for (Wrong w = NOTHING; w <= LAST_RIGHT; w++) {
        VslGeodesic g = {0};
        make_foreign(scratch("f.h5"), w);
        CHECK_OK(vsl_velocity_read(&g, scratch("f.h5")));
        CHECK(g.velocity.data && g.velocity.channels == 3 && g.velocity.grid.n[0] == 6 && g.velocity.grid.n[1] == 5 &&
              g.velocity.grid.n[2] == 4);
        for (int i = 0; g.velocity.data && i < 360; i++) {
            CHECK(g.velocity.data[i] == (float)i);
        }
        CHECK(g.kernel.gamma == 1.25 && g.kernel.scales == 2 && g.kernel.weight[1] == 0.25 && g.time_steps == 10);
        vsl_geodesic_free(&g);
    }
}

TEST(foreign_files_that_are_wrong_are_refused_by_name)
{
    static const char *const says[WRONG_COUNT] = {
        [NEW_SUPERBLOCK] = "newer",
        [DOUBLE_DATA] = "32-bit",
        [INTEGER_DATA] = "32-bit",
        [RANK_3] = "rank 3",
        [TWO_COMPONENTS] = "2 components",
        [COMPACT] = "in its header",
        [EXTERNAL_STORAGE] = "other files",
        [VIRTUAL] = "virtual",
        [SOFT_LINK] = "link",
        [EXTERNAL_LINK] = "link",
        [A_GROUP] = "not a dataset",
        [NO_DATASET] = "no dataset",
        [FOREIGN_FILTER] = "filter",
        [NEVER_WRITTEN] = "never written",
        [NEVER_WRITTEN_CHUNKS] = "never written",
        [NAN_DATA] = "velocity value 200",
        [VARIABLE_TEXT] = "fixed length",
        [LONG_TEXT] = "fixed length",
        [UNKNOWN_KERNEL] = "gaussian",
        [NO_GAMMA] = "lacks the attribute Gamma",
        [TEXT_GAMMA] = "floating-point",
        [VECTOR_GAMMA] = "rank 1",
        [NULL_GAMMA] = "rank -1",
        [COMPOUND_GAMMA] = "floating-point",
        [ZERO_GAMMA] = "gamma 0",
        [HALF_POWER] = "power 0.5",
        [FIVE_SCALES] = "5 x 2",
        [FLAT_SCALES] = "rank 1",
        [NEGATIVE_ALPHA] = "alpha -1",
        [HUGE_ATTRIBUTE] = "Scales",
        [NEGATIVE_STEPS] = "-1 time steps",
        [FLOAT_STEPS] = "whole numbers",
        [SINGULAR_GRID] = "singular",
        [TWO_ROW_GRID] = "2 rows",
        [EMPTY_FIXED_GRID] = "0 voxels",
        [OTHER_FORMAT] = "cooking recipe",
        [NEXT_VERSION] = "version 2",
        [SEAL_WITHOUT_SEAL] = "cut short",
        [USER_BLOCK] = "not an HDF5 file",
    };
    VslGeodesic kept = make(2, 2, 2), out = make(2, 2, 2);
    scratch_put(scratch("elsewhere.raw"), "", 0);
    for (Wrong w = LAST_RIGHT + 1; w < WRONG_COUNT; w++) {
        make_foreign(scratch("f.h5"), w);
        const VslStatus st = vsl_velocity_read(&out, scratch("f.h5"));
        CHECK(st == VSL_E_FORMAT || st == VSL_E_UNSUPPORTED);
        if (!says[w] || !strstr(vsl_error(), says[w])) {
            printf("  case %d says '%s', expected '%s'\n", w, vsl_error(), says[w] ? says[w] : "?");
            CHECK(0);
        }
    }
    CHECK(same(&out, &kept));
    vsl_geodesic_free(&kept);
    vsl_geodesic_free(&out);
}

/* First node of a chunk B-tree of this level; keys of 48 bytes and children of 8 follow its head of 24. */
static unsigned char *find_node(unsigned char *bytes, size_t count, int level)
{
    for (size_t i = 0; i + 200 < count; i++) {
        if (memcmp(bytes + i, "TREE\1", 5) == 0 && bytes[i + 5] == level) {
            return bytes + i;
        }
    }
    printf("  no node of level %d\n", level);
    exit(1);
}

TEST(damaged_chunks_are_refused_by_name)
{
    static unsigned char good[1 << 17], bytes[1 << 17];
    static const char *const says[] = {"stored twice", "lies outside",  "end of the file", "end of the file",
                                       "damaged",      "never written", "checksum",        "inflate"};
    VslGeodesic g = {0};
    for (int i = 0; i < 8; i++) {
        make_foreign(scratch("d.h5"), i == 4 ? DEEP_TREE : i == 6 ? FLETCHER_ONLY : i == 7 ? GZIP_ONLY : MANY_CHUNKS);
        const size_t count = scratch_get(scratch("d.h5"), good, sizeof good);
        memcpy(bytes, good, count);
        unsigned char *leaf = find_node(bytes, count, 0), *key = leaf + 24, *child = key + 48;
        uint64_t address = 0;
        memcpy(&address, child, 8);
        if (i == 0) {
            memcpy(key + 56, key, 48);
        } else if (i == 1) {
            key[8 + 24] = 77; /* origin along the last axis */
        } else if (i == 2) {
            memset(child, 0x7f, 6);
        } else if (i == 3) {
            memset(key, 0x7f, 3); /* size */
        } else if (i == 4) {
            unsigned char *root = find_node(bytes, count, 2);
            memcpy(root + 24 + 48, &(uint64_t){(uint64_t)(root - bytes)}, 8); /* its own child */
        } else if (i == 5) {
            leaf[6]--; /* one entry less */
        } else {
            bytes[address + 20] ^= 4;
        }
        scratch_put(scratch("d.h5"), bytes, count);
        CHECK_STATUS(vsl_velocity_read(&g, scratch("d.h5")), VSL_E_FORMAT);
        if (!strstr(vsl_error(), says[i])) {
            printf("  case %d says '%s', expected '%s'\n", i, vsl_error(), says[i]);
            CHECK(0);
        }
        CHECK(g.velocity.data == NULL);
    }
}

TEST(a_geodesic_that_cannot_be_shot_is_not_written)
{
    VslGeodesic g = make(4, 4, 4);
    CHECK_OK(vsl_velocity_write(scratch("v.h5"), &g));
    const int before = scratch_entries();
    g.velocity.data[7] = INFINITY;
    CHECK_STATUS(vsl_velocity_write(scratch("w.h5"), &g), VSL_E_ARG);
    g.velocity.data[7] = 0;
    g.kernel.scales = 0;
    CHECK_STATUS(vsl_velocity_write(scratch("w.h5"), &g), VSL_E_ARG);
    g.kernel.scales = 1;
    CHECK_STATUS(vsl_velocity_write(scratch("no/such/w.h5"), &g), VSL_E_WRITE);
    g.velocity.channels = 1;
    CHECK_STATUS(vsl_velocity_write(scratch("w.h5"), &g), VSL_E_ARG);
    CHECK(scratch_entries() == before);
    vsl_geodesic_free(&g);
}

TEST(memory_that_runs_out_leaves_nothing_behind)
{
    VslGeodesic g = make(8, 6, 10), back = {0};
    const int64_t held = vsl_memory_now();
    scratch("x");
    const int before = scratch_entries();
    int failures = 0;
    for (int64_t n = 1; n < 60; n++) {
        vsl_memory_fail_after(n);
        const VslStatus st = vsl_velocity_write(scratch("m.h5"), &g);
        vsl_memory_fail_after(0);
        if (st == VSL_OK) {
            break;
        }
        failures++;
        CHECK(st == VSL_E_NOMEM || st == VSL_E_WRITE);
        CHECK(scratch_entries() == before);
        CHECK(vsl_memory_now() == held);
    }
    CHECK(failures > 3);
    vsl_memory_set_budget(held + 4000);
    CHECK_STATUS(vsl_velocity_read(&back, scratch("m.h5")), VSL_E_NOMEM);
    vsl_memory_set_budget(0);
    CHECK(back.velocity.data == NULL && vsl_memory_now() == held);
    vsl_geodesic_free(&g);
}

int main(void)
{
    RUN(a_geodesic_reads_back_bit_by_bit);
    RUN(bytes_do_not_depend_on_the_time_of_writing);
    RUN(the_hdf5_library_reads_a_sealed_file);
    RUN(a_cut_or_changed_file_is_refused);
    RUN(foreign_files_that_hold_the_same_are_read);
    RUN(foreign_files_that_are_wrong_are_refused_by_name);
    RUN(damaged_chunks_are_refused_by_name);
    RUN(a_geodesic_that_cannot_be_shot_is_not_written);
    RUN(memory_that_runs_out_leaves_nothing_behind);
    return CHECK_VERDICT();
}
