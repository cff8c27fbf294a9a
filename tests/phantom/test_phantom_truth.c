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
    const VslPhantomOptions opt = {.size = {64, 75, 64}, .seed = 1};
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
            vsl_volume_free(&jac);
            vsl_phantom_scan_free(&scan);
        }
        vsl_phantom_subject_free(&s);
    }
}

/* The template is sampled twice as finely as the scan, so that nearest voxels say little about thin ribbons. */
TEST(the_stored_map_carries_the_template_onto_the_scan)
{
    const VslPhantomOptions opt = {.size = {64, 75, 64}, .seed = 6}, fine = {.size = {192, 224, 192}};
    VslPhantomSubject s = {0};
    VslPhantomScan scan = {0}, template = {0};
    VslLabels carried = {0};
    VslLabelScore *rows = NULL;
    int count = 0;
    double mean = 0;
    CHECK_OK(vsl_phantom_subject(&s, &opt, 3, be));
    CHECK_OK(vsl_phantom_visit(&scan, &s, &opt, 2, be));
    CHECK_OK(vsl_phantom_template(&template, &fine, be));
    const VslMap map = {.disp = &scan.disp};
    CHECK_OK(vsl_apply_labels(&carried, &scan.labels.grid, &template.labels, &map, 1, 2));
    CHECK_OK(vsl_label_scores(&rows, &count, &mean, &carried, &scan.labels, 0, 2));
    CHECK(count >= 26);
    CHECK(mean > 0.95);
    for (int i = 0; i < count; i++) {
        if (!(rows[i].dice > 0.85)) {
            printf("  label %d: Dice %.3f\n", rows[i].label, rows[i].dice);
        }
        CHECK(rows[i].dice > 0.85);
    }
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
