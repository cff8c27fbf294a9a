/* The stored maps are the truth: they do not fold, they lead to the template, and ageing goes where it is said to. */
#include "../check.h"
#include "phantom/phantom.h"
#include "registration/quality.h"
#include "registration/transform.h"

static VslBackend *be;

static double volume_ml(const VslLabels *l, int left, int right)
{
    double n = 0;
    for (int64_t i = 0; i < vsl_grid_voxels(&l->grid); i++) {
        n += l->data[i] == left || l->data[i] == right;
    }
    return n * vsl_grid_voxel_mm3(&l->grid) / 1000;
}

TEST(no_map_folds_at_any_age)
{
    double least = INFINITY;
    const VslPhantomOptions opt = {.size = {48, 56, 48}, .seed = 1};
    for (int subject = 1; subject <= 4; subject++) {
        VslPhantomSubject s = {0};
        CHECK_OK(vsl_phantom_subject(&s, &opt, subject, be));
        for (int old = 0; old < 2; old++) {
            VslPhantomScan scan = {0};
            VslVolume jac = {0};
            VslJacobianStats stats;
            s.age_years = old ? 85 : 40;
            s.ageing_rate = 1.2;
            CHECK_OK(vsl_phantom_visit(&scan, &s, &opt, old ? 6 : 1, be));
            CHECK_OK(vsl_jacobian(&jac, &scan.disp, 2));
            CHECK_OK(vsl_jacobian_stats(&stats, &jac, NULL));
            CHECK(stats.folds == 0);
            CHECK(stats.min > 0.1);
            least = stats.min < least ? stats.min : least;
            vsl_volume_free(&jac);
            vsl_phantom_scan_free(&scan);
        }
        vsl_phantom_subject_free(&s);
    }
    printf("  least determinant %.3f\n", least);
}

/* 1 when `label` is found in the template within one voxel of world point x. */
static int is_near(const VslLabels *template, const VslAffine *from_ras, const double x[3], int32_t label)
{
    const int64_t *n = template->grid.n;
    double v[3];
    vsl_affine_point(v, from_ras, x);
    for (int64_t k = (int64_t)floor(v[2]); k <= (int64_t)floor(v[2]) + 1; k++) {
        for (int64_t j = (int64_t)floor(v[1]); j <= (int64_t)floor(v[1]) + 1; j++) {
            for (int64_t i = (int64_t)floor(v[0]); i <= (int64_t)floor(v[0]) + 1; i++) {
                const int is_inside = i >= 0 && j >= 0 && k >= 0 && i < n[0] && j < n[1] && k < n[2];
                if ((is_inside ? template->data[(k * n[1] + j) * n[0] + i] : 0) == label) {
                    return 1;
                }
            }
        }
    }
    return 0;
}

/* A scan of 3 mm, a template of 1.2 mm. Nearest voxels cost thin ribbons some Dice (a ball of 5 mm reaches about 0.93),
 * so the sharp statement is that every label of the scan is found where the map says, up to that voxel. */
TEST(the_stored_map_carries_the_template_onto_the_scan)
{
    const VslPhantomOptions opt = {.size = {64, 75, 64}, .seed = 6}, fine = {.size = {160, 187, 160}};
    VslPhantomSubject s = {0};
    VslPhantomScan scan = {0}, template = {0};
    VslLabels carried = {0};
    VslLabelScore *rows = NULL;
    VslAffine from_ras;
    int count = 0;
    double mean = 0;
    int64_t brain = 0, lost = 0;
    CHECK_OK(vsl_phantom_subject(&s, &opt, 3, be));
    CHECK_OK(vsl_phantom_visit(&scan, &s, &opt, 2, be));
    CHECK_OK(vsl_phantom_template(&template, &fine, be));
    const VslMap map = {.disp = &scan.disp};
    CHECK_OK(vsl_apply_labels(&carried, &scan.labels.grid, &template.labels, &map, 1, 2));
    CHECK_OK(vsl_label_scores(&rows, &count, &mean, &carried, &scan.labels, 0, 2));
    CHECK(count == 26);
    CHECK(mean > 0.90);
    CHECK_OK(vsl_grid_from_ras(&from_ras, &template.labels.grid));
    const int64_t *n = scan.labels.grid.n, plane = vsl_grid_voxels(&scan.labels.grid);
    for (int64_t at = 0; at < plane; at++) {
        const double v[3] = {(double)(at % n[0]), (double)(at / n[0] % n[1]), (double)(at / n[0] / n[1])};
        double x[3];
        vsl_affine_point(x, &scan.labels.grid.to_ras, v);
        for (int c = 0; c < 3; c++) {
            x[c] += (double)scan.disp.data[c * plane + at];
        }
        brain += scan.labels.data[at] > 0;
        lost += !is_near(&template.labels, &from_ras, x, scan.labels.data[at]);
    }
    printf("  mean Dice %.4f over %d labels; %lld of %lld voxels lost\n", mean, count, (long long)lost,
           (long long)brain);
    CHECK(lost < brain / 200); /* folds thinner than a template voxel */
    vsl_free(rows);
    vsl_labels_free(&carried);
    vsl_phantom_scan_free(&scan);
    vsl_phantom_scan_free(&template);
    vsl_phantom_subject_free(&s);
}

TEST(years_widen_ventricles_and_shrink_hippocampus_and_cortex)
{
    const VslPhantomOptions opt = {.size = {96, 112, 96}, .seed = 8};
    VslPhantomSubject s = {0};
    double ventricle[3], hippocampus[3], cortex[3];
    CHECK_OK(vsl_phantom_subject(&s, &opt, 1, be));
    s.ageing_rate = 1;
    for (int i = 0; i < 3; i++) {
        VslPhantomScan scan = {0};
        s.age_years = 40 + 20 * i;
        CHECK_OK(vsl_phantom_visit(&scan, &s, &opt, 1, be));
        ventricle[i] = volume_ml(&scan.labels, 4, 43);
        hippocampus[i] = volume_ml(&scan.labels, 17, 53);
        cortex[i] = volume_ml(&scan.labels, 3, 42);
        vsl_phantom_scan_free(&scan);
    }
    printf("  at 40, 60, 80: ventricles %.1f %.1f %.1f ml, hippocampus %.2f %.2f %.2f ml, cortex %.0f %.0f %.0f ml\n",
           ventricle[0], ventricle[1], ventricle[2], hippocampus[0], hippocampus[1], hippocampus[2], cortex[0],
           cortex[1], cortex[2]);
    for (int i = 0; i < 2; i++) {
        CHECK(ventricle[i + 1] > 1.15 * ventricle[i]);
        CHECK(hippocampus[i + 1] < 0.95 * hippocampus[i]);
        CHECK(cortex[i + 1] < 0.99 * cortex[i]);
    }
    vsl_phantom_subject_free(&s);
}

int main(void)
{
    CHECK_OK(vsl_backend_open(&be, "cpu", 2));
    RUN(no_map_folds_at_any_age);
    RUN(the_stored_map_carries_the_template_onto_the_scan);
    RUN(years_widen_ventricles_and_shrink_hippocampus_and_cortex);
    vsl_backend_close(&be);
    return CHECK_VERDICT();
}
