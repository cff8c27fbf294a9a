/* Opening an image (one file or a pair) and decoding its voxels in bounded blocks. */
#define _GNU_SOURCE
#include "io/nifti_private.h"

#include <float.h>
#include <math.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "core/log.h"
#include "io/path.h"

enum {
    BLOCK_NUMBERS = 1 << 15, /* decoded at a time: 256 KiB as double, stays in cache */
    COMPRESSED_OFFSET_MOST = 1 << 30
};

/* A pair's header file ends somewhere behind its extensions; gzip is inflated to there, for its checks. */
static VslStatus end_of_pair_header(VslNiftiInfo *info, VslStream *s)
{
    VslStatus st = VSL_OK;
    unsigned char passed[4096];
    int64_t got = sizeof passed, trailing;

    if (!vsl_stream_is_gzip(s)) {
        goto out;
    }
    while (got == (int64_t)sizeof passed && vsl_stream_position(s) < NIFTI_EXTENSIONS_MOST) {
        VSL_TRY(vsl_stream_read_some(s, passed, sizeof passed, &got));
    }
    VSL_TRY(vsl_stream_finish(s, &trailing));
    if (trailing > 0) {
        vsl_nifti_warn(info, "%lld bytes follow the compressed header; ignored", (long long)trailing);
    }
out:
    return st;
}

/* Takes the header from s, judges it, and leaves s behind header and extensions. is_pair: what the file's name says. */
static VslStatus read_header(VslNiftiInfo *info, nifti_2_header *h, VslStream *s, int is_pair)
{
    VslStatus st = VSL_OK;
    unsigned char raw[sizeof(nifti_2_header)];
    int64_t got, more = 0;

    VSL_TRY(vsl_stream_read_some(s, raw, sizeof(nifti_1_header), &got));
    if (got == (int64_t)sizeof(nifti_1_header) && (raw[0] == 0x1c || raw[3] == 0x1c)) { /* 540 = 0x21c */
        VSL_TRY(vsl_stream_read_some(s, raw + got, (int64_t)sizeof raw - got, &more));
    }
    VSL_TRY(vsl_nifti_parse_header(info, h, raw, got + more, vsl_stream_name(s)));
    VSL_CHECK(info->is_pair || !is_pair, VSL_E_FORMAT,
              "%s: its magic says that the voxels are in the same file; such a file must end in .nii",
              vsl_stream_name(s));
    VSL_CHECK(
        !info->is_pair || is_pair, VSL_E_FORMAT,
        "%s: its magic says that it is the header of a pair; such a file must end in .hdr, with its .img beside it",
        vsl_stream_name(s));
    const int64_t capacity = vsl_stream_capacity(s), end = vsl_stream_position(s);
    if (is_pair) {
        const int64_t room = capacity - end < NIFTI_EXTENSIONS_MOST ? capacity - end : NIFTI_EXTENSIONS_MOST;
        VSL_TRY(vsl_nifti_read_extensions(info, s, room));
        VSL_TRY(end_of_pair_header(info, s));
    } else {
        VSL_CHECK(h->vox_offset <= capacity, VSL_E_FORMAT, "%s: vox_offset is %lld, past the end of the file",
                  vsl_stream_name(s), (long long)h->vox_offset);
        VSL_TRY(vsl_nifti_read_extensions(info, s, h->vox_offset - end));
    }
out:
    return st;
}

/* The voxels must fit in the file before memory is asked for; s comes to stand at the first one. */
static VslStatus place(NiftiFile *f, VslStream *s, int64_t vox_offset)
{
    VslStatus st = VSL_OK;
    const VslNiftiInfo *info = &f->info;
    const int64_t capacity = vsl_stream_capacity(s);

    VSL_CHECK(
        vox_offset <= capacity && info->data_bytes <= capacity - vox_offset, VSL_E_FORMAT,
        "%s: truncated: the header asks for %lld bytes of voxels from byte %lld on, a %sfile of %lld bytes cannot "
        "hold them",
        vsl_stream_name(s), (long long)info->data_bytes, (long long)vox_offset,
        vsl_stream_is_gzip(s) ? "compressed " : "", (long long)vsl_stream_file_size(s));
    /* a gap is inflated to get over it: one that no extensions can explain is not walked through */
    VSL_CHECK(!vsl_stream_is_gzip(s) || vox_offset <= COMPRESSED_OFFSET_MOST, VSL_E_FORMAT,
              "%s: vox_offset is %lld, expected at most %lld in a compressed file", vsl_stream_name(s),
              (long long)vox_offset, (long long)COMPRESSED_OFFSET_MOST);
    VSL_TRY(vsl_stream_skip(s, vox_offset - vsl_stream_position(s)));
    f->type = vsl_nifti_type(info->datatype);
    f->voxels = s;
out:
    return st;
}

/* A .hdr or .img name: is it the pair's, how long is its stem, is its end in capitals. */
static size_t pair_stem(const char *path, int *capitals)
{
    static const char *const ends[] = {".hdr", ".img", ".hdr.gz", ".img.gz"};
    for (int i = 0; i < 4; i++) {
        if (vsl_path_has_suffix(path, ends[i])) {
            const size_t stem = strlen(path) - strlen(ends[i]);
            *capitals = path[stem + 1] == ends[i][1] - 'a' + 'A';
            return stem;
        }
    }
    return 0;
}

/* The name of the half with this ending that exists, compressed as `path` is when there are both. */
static VslStatus find_half(char **out, const char *path, size_t stem, int capitals, const char *ending)
{
    VslStatus st = VSL_OK;
    char *name = NULL;
    const size_t room = stem + 8;
    const int gzip_first = vsl_path_has_suffix(path, ".gz");

    VSL_TRY(VSL_NEW(&name, room, "file name"));
    for (int i = 0; i < 4; i++) {
        const int upper = (i & 1) ^ capitals, gzip = (i >> 1) ^ gzip_first;
        snprintf(name, room, "%.*s.%s%s", (int)stem, path, ending, gzip ? ".gz" : "");
        for (size_t at = stem; upper && name[at]; at++) {
            name[at] = name[at] >= 'a' && name[at] <= 'z' ? (char)(name[at] - 'a' + 'A') : name[at];
        }
        if (access(name, F_OK) == 0) {
            *out = name;
            name = NULL;
            goto out;
        }
    }
    VSL_CHECK(0, VSL_E_IO, "%s: the .%s file of this pair is missing", vsl_path_text(path).text, ending);
out:
    vsl_free(name);
    return st;
}

static VslStatus open_single(NiftiFile *f, VslStream **s)
{
    VslStatus st = VSL_OK;
    nifti_2_header h;

    VSL_TRY(read_header(&f->info, &h, *s, 0));
    f->info.is_gzip = vsl_stream_is_gzip(*s);
    VSL_TRY(place(f, *s, h.vox_offset));
    *s = NULL;
out:
    return st;
}

static VslStatus open_pair(NiftiFile *f, const char *path, size_t stem, int capitals)
{
    VslStatus st = VSL_OK;
    VslStream *header = NULL, *image = NULL;
    char *header_name = NULL, *image_name = NULL;
    nifti_2_header h;

    VSL_TRY(find_half(&header_name, path, stem, capitals, "hdr"));
    VSL_TRY(find_half(&image_name, path, stem, capitals, "img"));
    VSL_TRY(vsl_stream_open(&header, header_name));
    VSL_TRY(read_header(&f->info, &h, header, 1));
    VSL_TRY(vsl_stream_open(&image, image_name));
    f->info.is_gzip = vsl_stream_is_gzip(image);
    VSL_TRY(place(f, image, h.vox_offset));
    image = NULL;
out:
    vsl_stream_close(&image);
    vsl_stream_close(&header);
    vsl_free(image_name);
    vsl_free(header_name);
    return st;
}

/* The name's .gz and the content must not contradict each other silently. */
static void warn_of_name(NiftiFile *f, const char *path, int is_pair)
{
    const int named = vsl_path_has_suffix(path, ".gz");
    if (!is_pair && named != f->info.is_gzip) {
        vsl_nifti_warn(&f->info, "the name %s .gz but the content is %s", named ? "ends in" : "does not end in",
                       f->info.is_gzip ? "gzip" : "not compressed");
    }
}

VslStatus vsl_nifti_open(NiftiFile *out, const char *path)
{
    VslStatus st = VSL_OK;
    NiftiFile f = {0};
    VslStream *s = NULL;
    int capitals = 0;

    VSL_CHECK(path && *path, VSL_E_ARG, "an empty name for an input image");
    const size_t stem = pair_stem(path, &capitals);
    if (stem) {
        VSL_TRY(open_pair(&f, path, stem, capitals));
    } else {
        VSL_TRY(vsl_stream_open(&s, path));
        VSL_TRY(open_single(&f, &s));
    }
    warn_of_name(&f, path, stem > 0);
    *out = f;
    memset(&f, 0, sizeof f);
out:
    vsl_stream_close(&s);
    vsl_nifti_close(&f);
    return st;
}

VslStatus vsl_nifti_open_memory(NiftiFile *out, const void *bytes, int64_t count, const char *name)
{
    VslStatus st = VSL_OK;
    NiftiFile f = {0};
    VslStream *s = NULL;

    VSL_TRY(vsl_stream_open_memory(&s, bytes, count, name));
    VSL_TRY(open_single(&f, &s));
    *out = f;
    memset(&f, 0, sizeof f);
out:
    vsl_stream_close(&s);
    vsl_nifti_close(&f);
    return st;
}

void vsl_nifti_close(NiftiFile *f)
{
    vsl_stream_close(&f->voxels);
    vsl_nifti_info_free(&f->info);
}

void vsl_nifti_info_free(VslNiftiInfo *info)
{
    if (info) {
        vsl_nifti_free_extensions(&info->extension);
        memset(info, 0, sizeof *info);
    }
}

/* Without a stated budget the machine's memory is the limit: a small gzip file may honestly ask for more. */
static VslStatus check_memory(const NiftiFile *f, int64_t bytes)
{
    VslStatus st = VSL_OK;
    const int64_t pages = (int64_t)sysconf(_SC_PHYS_PAGES), page = (int64_t)sysconf(_SC_PAGESIZE);
    int64_t machine;

    VSL_CHECK(vsl_memory_budget() > 0 || pages <= 0 || !vsl_mul_ok(pages, page, &machine) || bytes <= machine,
              VSL_E_NOMEM, "%s: needs %.1f GB of memory, this machine has %.1f GB", vsl_stream_name(f->voxels),
              (double)bytes / 1e9, (double)machine / 1e9);
out:
    return st;
}

static VslStatus finish(NiftiFile *f)
{
    VslStatus st = VSL_OK;
    int64_t trailing;

    VSL_TRY(vsl_stream_finish(f->voxels, &trailing));
    if (trailing > 0) {
        vsl_nifti_warn(&f->info, "%lld bytes follow the voxels; ignored", (long long)trailing);
    }
out:
    return st;
}

/* What a block of decoded numbers goes to. at: index of the first number in file order. */
typedef VslStatus TakeNumbers(void *sink, const double *numbers, int64_t at, int64_t count);

static VslStatus each_block(NiftiFile *f, TakeNumbers *take, void *sink)
{
    VslStatus st = VSL_OK;
    const NiftiType *type = f->type;
    const double slope = f->info.scl_slope, inter = f->info.scl_inter;
    const int scaled = slope != 1 || inter != 0;
    const int64_t total = f->info.data_bytes / type->component_bytes;
    const int64_t block = total < BLOCK_NUMBERS ? total : BLOCK_NUMBERS;
    unsigned char *raw = NULL;
    double *numbers = NULL;

    VSL_TRY(VSL_NEW(&raw, block * type->component_bytes, "voxel block"));
    VSL_TRY(VSL_NEW(&numbers, block, "voxel block"));
    for (int64_t at = 0; at < total; at += block) {
        const int64_t count = total - at < block ? total - at : block;
        VSL_TRY(vsl_stream_read(f->voxels, raw, count * type->component_bytes));
        if (f->info.is_swapped) {
            vsl_nifti_swap(raw, type->component_bytes, count);
        }
        type->to_double(numbers, raw, count);
        for (int64_t i = 0; scaled && i < count; i++) {
            numbers[i] = slope * numbers[i] + inter;
        }
        VSL_TRY(take(sink, numbers, at, count));
    }
out:
    vsl_free(numbers);
    vsl_free(raw);
    return st;
}

typedef struct VolumeSink {
    float *data;
    int64_t plane; /* voxels of one channel */
    int components;
    int64_t overflows;
} VolumeSink;

/* Finite numbers beyond float32 become infinite: counted, for a warning. */
static int64_t to_float(float *out, const double *numbers, int64_t count)
{
    int64_t overflows = 0;
    for (int64_t i = 0; i < count; i++) {
        out[i] = (float)numbers[i];
        overflows += isinf(out[i]) && !isinf(numbers[i]);
    }
    return overflows;
}

static VslStatus take_plain(void *sink, const double *numbers, int64_t at, int64_t count)
{
    VolumeSink *v = sink;
    v->overflows += to_float(v->data + at, numbers, count);
    return VSL_OK;
}

/* Colours and complex numbers: the components of a voxel lie together in the file and apart in the volume. */
static VslStatus take_interleaved(void *sink, const double *numbers, int64_t at, int64_t count)
{
    VolumeSink *v = sink;
    for (int64_t i = 0; i < count; i++) {
        const int64_t voxel = (at + i) / v->components, component = (at + i) % v->components;
        const int64_t channel = voxel / v->plane * v->components + component;
        v->overflows += to_float(v->data + channel * v->plane + voxel % v->plane, numbers + i, 1);
    }
    return VSL_OK;
}

VslStatus vsl_nifti_read_voxels(VslVolume *out, NiftiFile *f)
{
    VslStatus st = VSL_OK;
    VslVolume v = {.grid = f->info.grid, .channels = f->info.channels};
    const int64_t plane = vsl_grid_voxels(&v.grid), count = plane * v.channels; /* checked by the gate */

    VSL_TRY(check_memory(f, count * (int64_t)sizeof(float)));
    VSL_TRY(VSL_NEW(&v.data, count, "image")); /* not zeroed: every voxel is written below or the call fails */
    if (f->type->code == NIFTI_TYPE_FLOAT32 && f->info.scl_slope == 1 && f->info.scl_inter == 0) {
        VSL_TRY(vsl_stream_read(f->voxels, v.data, f->info.data_bytes));
        if (f->info.is_swapped) {
            vsl_nifti_swap(v.data, 4, count);
        }
    } else {
        VolumeSink sink = {v.data, plane, f->type->components, 0};
        VSL_TRY(each_block(f, sink.components > 1 ? take_interleaved : take_plain, &sink));
        if (sink.overflows > 0) {
            vsl_nifti_warn(&f->info, "%lld values exceed the range of float32 and became infinite",
                           (long long)sink.overflows);
        }
    }
    VSL_TRY(finish(f));
    vsl_volume_move(out, &v);
out:
    vsl_volume_free(&v);
    return st;
}

typedef struct LabelSink {
    VslLabels labels;
    const char *name;
} LabelSink;

static VslStatus take_labels(void *sink, const double *numbers, int64_t at, int64_t count)
{
    VslStatus st = VSL_OK;
    LabelSink *l = sink;
    const int64_t *n = l->labels.grid.n;

    for (int64_t i = 0; i < count; i++) {
        const double x = numbers[i];
        /* doubles hold every int32, and a 64-bit whole number beyond 2^53 stays out of range when rounded */
        VSL_CHECK(x >= (double)INT32_MIN && x <= (double)INT32_MAX && x == nearbyint(x), VSL_E_FORMAT,
                  "%s: voxel (%lld, %lld, %lld) is %.10g, expected a label: a whole number of 32 bits", l->name,
                  (long long)((at + i) % n[0]), (long long)((at + i) / n[0] % n[1]),
                  (long long)((at + i) / n[0] / n[1]), x);
        l->labels.data[at + i] = (int32_t)x;
    }
out:
    return st;
}

VslStatus vsl_nifti_read_label_voxels(VslLabels *out, NiftiFile *f)
{
    VslStatus st = VSL_OK;
    LabelSink sink = {.labels.grid = f->info.grid, .name = vsl_stream_name(f->voxels)};
    const int64_t count = vsl_grid_voxels(&f->info.grid);

    VSL_CHECK(f->info.channels == 1, VSL_E_FORMAT, "%s: has %d channels (%s), expected a label map with one",
              vsl_stream_name(f->voxels), f->info.channels, f->info.datatype_name);
    VSL_TRY(check_memory(f, count * (int64_t)sizeof(int32_t)));
    VSL_TRY(VSL_NEW(&sink.labels.data, count, "label map"));
    VSL_TRY(each_block(f, take_labels, &sink));
    VSL_TRY(finish(f));
    vsl_labels_move(out, &sink.labels);
out:
    vsl_labels_free(&sink.labels);
    return st;
}

/* The caller's info, or the log when there is none to look at. */
static void hand_over(VslNiftiInfo *info, NiftiFile *f, const char *path)
{
    for (int i = 0; !info && i < f->info.warning_count; i++) {
        vsl_log(VSL_LOG_WARNING, "%s: %s", vsl_path_text(path).text, f->info.warnings[i]);
    }
    if (info) {
        vsl_nifti_info_free(info);
        *info = f->info;
        memset(&f->info, 0, sizeof f->info);
    }
}

VslStatus vsl_nifti_read_info(VslNiftiInfo *out, const char *path)
{
    VslStatus st = VSL_OK;
    NiftiFile f = {0};

    VSL_TRY(vsl_nifti_open(&f, path));
    hand_over(out, &f, path);
out:
    vsl_nifti_close(&f);
    return st;
}

VslStatus vsl_nifti_read(VslVolume *out, VslNiftiInfo *info, const char *path)
{
    VslStatus st = VSL_OK;
    NiftiFile f = {0};

    VSL_TRY(vsl_nifti_open(&f, path));
    VSL_TRY(vsl_nifti_read_voxels(out, &f));
    hand_over(info, &f, path);
out:
    vsl_nifti_close(&f);
    return st;
}

VslStatus vsl_nifti_read_labels(VslLabels *out, VslNiftiInfo *info, const char *path)
{
    VslStatus st = VSL_OK;
    NiftiFile f = {0};

    VSL_TRY(vsl_nifti_open(&f, path));
    VSL_TRY(vsl_nifti_read_label_voxels(out, &f));
    hand_over(info, &f, path);
out:
    vsl_nifti_close(&f);
    return st;
}
