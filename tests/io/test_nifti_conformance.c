/* Every file of the conformance set answers as its manifest says. */
#include <string.h>
#include <unistd.h>

#include "io/nifti.h"
#include "tests/check.h"

static char folder[1024];

/* Text after "key=" in a semicolon list; NULL when the key is not there. */
static const char *value_of(const char *list, const char *key)
{
    const size_t length = strlen(key);
    for (const char *at = list; at; at = strchr(at, ';')) {
        at += strspn(at, "; ");
        if (!strncmp(at, key, length) && at[length] == '=') {
            return at + length + 1;
        }
    }
    return NULL;
}

static double number_of(const char *list, const char *key, double otherwise)
{
    const char *text = value_of(list, key);
    return text ? strtod(text, NULL) : otherwise;
}

static void check_geometry(const VslNiftiInfo *info, const char *answers)
{
    const char *at = value_of(answers, "affine_rows");
    double wanted[3][4];
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            char *end;
            wanted[r][c] = strtod(at, &end);
            at = *end == ';' ? end + 1 : end;
        }
    }
    if (!strcmp(info->which_form, "pixdim")) { /* the manifest gives another program's habit here, and says so */
        memset(wanted, 0, sizeof wanted);
        for (int c = 0; c < 3; c++) {
            wanted[c][c] = info->pixdim[c];
        }
    }
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            CHECK_NEAR(info->grid.to_ras.m[r][c], wanted[r][c], 1e-3, "mm, as printed in the manifest");
        }
    }
}

static void check_header(const VslNiftiInfo *info, const char *answers)
{
    const char *dim = value_of(answers, "dim");
    for (int i = 0; dim && *dim && *dim != ';'; i++) {
        char *end;
        CHECK(info->dim[i] == strtoll(dim, &end, 10));
        dim = *end == 'x' ? end + 1 : NULL;
    }
    CHECK(info->version == (strstr(answers, "format=NIfTI-2") ? 2 : 1));
    CHECK(info->is_pair == (strstr(answers, "storage=pair") != NULL));
    CHECK(info->is_swapped == (strstr(answers, "byte_order=big") != NULL));
    CHECK(info->datatype == (int)number_of(answers, "datatype", -1));
    CHECK(info->qform_code == (int)number_of(answers, "qform_code", -1));
    CHECK(info->sform_code == (int)number_of(answers, "sform_code", -1));
    const double slope = number_of(answers, "scl_slope", 1);
    CHECK_NEAR(info->scl_slope, slope == 0 ? 1 : slope, 1e-5, "as printed");
    CHECK_NEAR(info->scl_inter, slope == 0 ? 0 : number_of(answers, "scl_inter", 0), 1e-5, "as printed");
    const char *extensions = value_of(answers, "extensions");
    int count = 0;
    while (extensions && (extensions = strstr(extensions, "ecode"))) {
        extensions++;
        count++;
    }
    CHECK(info->extensions == count);
}

static float at_index(const VslVolume *v, const int64_t at[7], const int64_t dim[7], int component, int components)
{
    int64_t channel = 0;
    for (int i = 6; i >= 3; i--) {
        channel = channel * dim[i] + at[i];
    }
    channel = channel * components + component;
    return v->data[((channel * dim[2] + at[2]) * dim[1] + at[1]) * dim[0] + at[0]];
}

static void check_values(const VslVolume *v, const VslNiftiInfo *info, const char *answers)
{
    const char *value = strstr(answers, "value_at_");
    int64_t at[7] = {0};
    char *end = (char *)(value + strlen("value_at_") - 1);
    for (int i = 0; *end != '='; i++) {
        at[i] = strtoll(end + 1, &end, 10);
    }
    const int components = info->datatype == 128 ? 3 : info->datatype == 32 ? 2 : 1;
    for (int c = 0; c < components; c++) {
        end += strspn(end, "=(,");
        const double wanted = strtod(end, &end);
        CHECK_NEAR(at_index(v, at, info->dim, c, components), wanted, 1e-6 * fabs(wanted), "float32");
    }
    if (!value_of(answers, "mean")) {
        return;
    }
    double min = INFINITY, max = -INFINITY, sum = 0;
    int64_t finite = 0, odd = 0;
    for (int64_t i = 0; i < vsl_grid_voxels(&v->grid) * v->channels; i++) {
        const double x = (double)v->data[i];
        if (!isfinite(x)) {
            odd++;
            continue;
        }
        min = x < min ? x : min;
        max = x > max ? x : max;
        sum += x;
        finite++;
    }
    CHECK_NEAR(min, number_of(answers, "min", NAN), 1e-6 * fabs(min), "float32");
    CHECK_NEAR(max, number_of(answers, "max", NAN), 1e-6 * fabs(max), "float32");
    CHECK_NEAR(sum / (double)finite, number_of(answers, "mean", NAN), 2e-6 * fabs(sum / (double)finite), "7 digits");
    if (strstr(answers, "NaN and Inf must be kept")) {
        CHECK(odd == 2 && isnan(v->data[0]) && isinf(v->data[1]) && v->data[1] > 0);
    } else {
        CHECK(odd == 0 || info->datatype == 16); /* one of the float files has NaN that the manifest does not count */
    }
}

static void valid_file(const char *name, const char *answers)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/valid/%s", folder, name);
    VslNiftiInfo info = {0};
    VslVolume v = {0};
    const int before = check_failures;
    CHECK_OK(vsl_nifti_read(&v, &info, path));
    if (v.data) {
        check_header(&info, answers);
        check_geometry(&info, answers);
        check_values(&v, &info, answers);
        CHECK(info.warning_count == (info.form_difference_vox > 0.1));
    }
    printf("%s   %s %s\n", check_failures == before ? "ok  " : "FAIL", name,
           info.warning_count ? info.warnings[0] : "");
    vsl_volume_free(&v);
    vsl_nifti_info_free(&info);
}

/* Broken files that the manifest allows to be read, and what their first warning must speak of. */
static const char *warning_for(const char *name)
{
    static const char *const rows[][2] = {{"bitpix_mismatch.nii", "bitpix"},      {"ext_size_huge.nii", "extension"},
                                          {"ext_size_negative.nii", "extension"}, {"gz_256MiB_of_zeros.nii.gz", NULL},
                                          {"pixdim_nan.nii", "pixdim"},           {"scl_nan.nii", "unscaled"}};
    for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
        if (!strcmp(name, rows[i][0])) {
            return rows[i][1] ? rows[i][1] : "";
        }
    }
    return NULL;
}

static void broken_file(const char *name, const char *answers)
{
    (void)answers;
    char path[2048];
    snprintf(path, sizeof path, "%s/broken/%s", folder, name);
    VslNiftiInfo info = {0};
    VslVolume v = {0};
    const int before = check_failures;
    const char *warning = warning_for(name);
    const int64_t held = vsl_memory_now();
    const VslStatus st = vsl_nifti_read(&v, &info, path);
    if (warning) {
        CHECK_STATUS(st, VSL_OK);
        CHECK(*warning ? info.warning_count > 0 && strstr(info.warnings[0], warning) : info.warning_count == 0);
        double spacing[3];
        vsl_grid_spacing(spacing, &info.grid);
        for (int c = 0; c < 3; c++) {
            CHECK(isfinite(spacing[c]) && spacing[c] > 0 && isfinite(info.pixdim[c]) && info.pixdim[c] > 0);
        }
        int64_t finite = 0;
        for (int64_t i = 0; v.data && i < vsl_grid_voxels(&v.grid); i++) {
            finite += isfinite(v.data[i]) != 0;
        }
        CHECK(finite == vsl_grid_voxels(&v.grid));
    } else {
        CHECK_STATUS(st, VSL_E_FORMAT);
        CHECK(strstr(vsl_error(), name) != NULL);
        CHECK(!v.data && vsl_memory_now() == held);
    }
    printf("%s   %s: %s\n", check_failures == before ? "ok  " : "FAIL", name,
           st                   ? vsl_error()
           : info.warning_count ? info.warnings[0]
                                : "read");
    vsl_volume_free(&v);
    vsl_nifti_info_free(&info);
}

static void each_row(const char *set, void (*check)(const char *name, const char *answers))
{
    char path[2048], row[4096];
    int rows = 0;
    snprintf(path, sizeof path, "%s/%s/manifest.tsv", folder, set);
    FILE *f = fopen(path, "rb");
    for (; f && fgets(row, sizeof row, f); rows++) {
        char *name = row, *what = strchr(row, '\t'), *answers = what ? strchr(what + 1, '\t') : NULL;
        if (rows > 0 && answers) {
            *what = 0;
            *strchr(answers + 1, '\t') = 0;
            check(name, answers + 1);
        }
    }
    CHECK(rows > 10);
    if (f) {
        fclose(f);
    }
}

TEST(valid_files_are_read_as_the_manifest_says)
{
    each_row("valid", valid_file);
}

TEST(broken_files_are_refused_or_warned_about_as_the_manifest_says)
{
    each_row("broken", broken_file);
}

TEST(the_256_mib_file_is_refused_under_a_budget_before_it_is_inflated)
{
    char path[2048];
    snprintf(path, sizeof path, "%s/broken/gz_256MiB_of_zeros.nii.gz", folder);
    VslVolume v = {0};
    vsl_memory_set_budget(64 << 20);
    CHECK_STATUS(vsl_nifti_read(&v, NULL, path), VSL_E_NOMEM);
    vsl_memory_set_budget(0);
    CHECK(!v.data);
}

int main(void)
{
    const char *data = getenv("VSL_DATA"), *source = getenv("VSL_SOURCE");
    snprintf(folder, sizeof folder, "%s%s/nifti-conformance",
             data     ? data
             : source ? source
                      : ".",
             data ? "" : "/../shared/data");
    if (access(folder, R_OK) != 0) {
        CHECK_SKIP("the NIfTI conformance set is not here (VSL_DATA)");
    }
    RUN(valid_files_are_read_as_the_manifest_says);
    RUN(broken_files_are_refused_or_warned_about_as_the_manifest_says);
    RUN(the_256_mib_file_is_refused_under_a_budget_before_it_is_inflated);
    return CHECK_VERDICT();
}
