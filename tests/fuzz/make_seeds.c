/* Writes the fuzz targets' seeds into the folder given: small files of every kind that the readers tell apart. */
#define _GNU_SOURCE
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "tests/io/nifti_bytes.h"

static const char *folder;

static void save(const char *target, const char *name, const void *bytes, int64_t size)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, target);
    mkdir(path, 0777);
    snprintf(path, sizeof path, "%s/%s/%s", folder, target, name);
    FILE *f = fopen(path, "wb");
    if (!f || fwrite(bytes, 1, (size_t)size, f) != (size_t)size || fclose(f) != 0) {
        perror(path);
        exit(1);
    }
}

static void save_nifti(void)
{
    static const int codes[] = {2, 4, 16, 32, 64, 128, 256, 512, 768, 1024, 1280, 1792, 2304, 8};
    unsigned char voxels[2 * 2 * 2 * 16] = {0, 1, 2, 3, 0, 0, 0x80, 0x3f};
    for (size_t i = 0; i < sizeof codes / sizeof *codes; i++) {
        const NiftiType *type = vsl_nifti_type(codes[i]);
        nifti_1_header h = good_header(codes[i]);
        char name[64];
        h.dim[1] = h.dim[2] = h.dim[3] = 2;
        h.qform_code = i % 2;
        h.sform_code = i % 3 > 0;
        h.scl_slope = (float)(i % 4);
        Bytes file = make_file(&h, voxels, 8 * type->components * type->component_bytes);
        if (i % 5 == 4) {
            nifti_swap_as_nifti1((nifti_1_header *)(void *)file.data);
        }
        snprintf(name, sizeof name, "%s.nii", type->name);
        save("fuzz_nifti", name, file.data, file.size);
        if (i == 1) {
            Bytes packed = make_gzip(file.data, file.size);
            save("fuzz_nifti", "int16.nii.gz", packed.data, packed.size);
            bytes_free(&packed);
        }
        bytes_free(&file);
    }
    nifti_1_header h = good_header(2);
    h.dim[1] = h.dim[2] = h.dim[3] = 2;
    h.vox_offset = 384;
    unsigned char front[392] = {0};
    const int32_t prefix[2] = {32, 6};
    memcpy(front, &h, 348);
    front[348] = 1;
    memcpy(front + 352, prefix, 8);
    save("fuzz_nifti", "extension.nii", front, sizeof front);
    nifti_2_header h2 = {
        .sizeof_hdr = 540, .datatype = 2, .bitpix = 8, .dim = {3, 2, 2, 2, 1, 1, 1, 1}, .vox_offset = 544};
    memcpy(h2.magic, "n+2\0\r\n\032\n", 8);
    for (int i = 0; i < 8; i++) {
        h2.pixdim[i] = 1;
    }
    unsigned char wide[552] = {0};
    memcpy(wide, &h2, 540);
    save("fuzz_nifti", "nifti2.nii", wide, sizeof wide);
}

static void save_inflate(void)
{
    unsigned char content[3000];
    for (int i = 0; i < 3000; i++) {
        content[i] = (unsigned char)(i < 1500 ? i * i >> 3 : i / 200);
    }
    const int sizes[] = {0, 1, 300, 3000};
    for (int i = 0; i < 4; i++) {
        Bytes packed = make_gzip(content, sizes[i]);
        char name[64];
        snprintf(name, sizeof name, "deflate_%d", sizes[i]);
        save("fuzz_inflate", name, packed.data + 10, packed.size - 18);
        bytes_free(&packed);
    }
    const unsigned char stored[] = {1, 5, 0, 0xfa, 0xff, 'h', 'e', 'l', 'l', 'o'};
    save("fuzz_inflate", "stored", stored, sizeof stored);
}

static void save_text(void)
{
    static const char itk[] = "#Insight Transform File V1.0\n#Transform 0\nTransform: AffineTransform_double_3_3\n"
                              "Parameters: 1 0 0 0 1 0 0 0 1 1.5 -2 3e1\nFixedParameters: 0 10 -20\n";
    static const char plain[] = "1 0 0 10\n0 1 0 -5.5\n0 0 1 2e-3\n0 0 0 1\n";
    unsigned char mat[180] = {0};
    const int32_t first[5] = {0, 12, 1, 0, 26}, second[5] = {0, 3, 1, 0, 6};
    memcpy(mat, first, 20);
    memcpy(mat + 20, "AffineTransform_double_3_3", 26);
    const double one = 1;
    for (int i = 0; i < 9; i += 4) {
        memcpy(mat + 46 + 8 * i, &one, 8);
    }
    save("fuzz_text", "itk.txt", itk, sizeof itk - 1);
    save("fuzz_text", "plain.txt", plain, sizeof plain - 1);
    unsigned char both[46 + 96 + 26 + 24] = {0};
    memcpy(both, mat, 46 + 96 < sizeof mat ? 46 + 96 : sizeof mat);
    memcpy(both + 142, second, 20);
    memcpy(both + 162, "fixed", 6);
    save("fuzz_text", "ants.mat", both, sizeof both);
}

static void save_safetensors(void)
{
    static const char *const headers[] = {
        "{}",
        "{\"a\":{\"dtype\":\"F32\",\"shape\":[2],\"data_offsets\":[0,8]}}",
        ("{\"__metadata__\":{\"k\":\"v\"},\"b\":{\"dtype\":\"F16\",\"shape\":[1,2],\"data_offsets\":[4,8]},"
         "\"a\":{\"dtype\":\"BF16\",\"shape\":[2],\"data_offsets\":[0,4]}}"),
    };
    for (size_t i = 0; i < sizeof headers / sizeof *headers; i++) {
        char name[32];
        unsigned char file[512] = {0};
        const size_t length = strlen(headers[i]);
        file[0] = (unsigned char)length;
        memcpy(file + 8, headers[i], length);
        snprintf(name, sizeof name, "%zu.safetensors", i);
        save("fuzz_safetensors", name, file, (int64_t)(8 + length + (i ? 8 : 0)));
    }
}

int main(int argc, char **argv)
{
    folder = argc > 1 ? argv[1] : ".";
    mkdir(folder, 0777);
    save_nifti();
    save_inflate();
    save_text();
    save_safetensors();
    return 0;
}
