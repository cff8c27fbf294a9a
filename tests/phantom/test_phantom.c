/* The cohort's promises: same name, same bits; heads that hold what a head holds; refusals and failures that leave
 * outputs alone. */
#include <string.h>

#include "../check.h"
#include "core/random.h"
#include "phantom/phantom.h"

static VslBackend *one, *three;

static VslPhantomOptions small(uint64_t seed)
{
    return (VslPhantomOptions){.size = {48, 56, 48}, .seed = seed, .lesions = 1};
}

static void scan(VslPhantomScan *out, const VslPhantomOptions *opt, int subject, int visit, VslBackend *be)
{
    VslPhantomSubject s = {0};
    CHECK_OK(vsl_phantom_subject(&s, opt, subject, be));
    CHECK_OK(vsl_phantom_visit(out, &s, opt, visit, be));
    vsl_phantom_subject_free(&s);
}

static int same(const VslPhantomScan *a, const VslPhantomScan *b)
{
    const size_t n = (size_t)vsl_grid_voxels(&a->image.grid);
    return memcmp(a->image.data, b->image.data, n * sizeof(float)) == 0 &&
           memcmp(a->labels.data, b->labels.data, n * sizeof(int32_t)) == 0 &&
           memcmp(a->lesions.data, b->lesions.data, n * sizeof(int32_t)) == 0 &&
           memcmp(a->disp.data, b->disp.data, 3 * n * sizeof(float)) == 0 && a->lesion_count == b->lesion_count &&
           memcmp(a->lesion, b->lesion, sizeof a->lesion) == 0 && a->age_years == b->age_years;
}

static double volume_ml(const VslLabels *l, int left, int right)
{
    double n = 0;
    for (int64_t i = 0; i < vsl_grid_voxels(&l->grid); i++) {
        n += l->data[i] == left || l->data[i] == right;
    }
    return n * vsl_grid_voxel_mm3(&l->grid) / 1000;
}

TEST(threads_do_not_change_a_bit)
{
    const VslPhantomOptions opt = small(3);
    VslPhantomScan a = {0}, b = {0};
    scan(&a, &opt, 1, 2, one);
    scan(&b, &opt, 1, 2, three);
    CHECK(same(&a, &b));
    vsl_phantom_scan_free(&a);
    vsl_phantom_scan_free(&b);
}

TEST(a_subject_does_not_depend_on_who_else_is_made)
{
    const VslPhantomOptions opt = small(3), other_seed = small(4);
    VslPhantomScan alone = {0}, before = {0}, after = {0}, seeded = {0};
    scan(&alone, &opt, 2, 1, one);
    scan(&before, &opt, 1, 1, one);
    scan(&after, &opt, 2, 1, one);
    scan(&seeded, &other_seed, 2, 1, one);
    CHECK(same(&alone, &after));
    CHECK(!same(&alone, &before));
    CHECK(!same(&alone, &seeded));
    vsl_phantom_scan_free(&alone);
    vsl_phantom_scan_free(&before);
    vsl_phantom_scan_free(&after);
    vsl_phantom_scan_free(&seeded);
}

TEST(a_person_does_not_depend_on_the_voxels)
{
    const VslPhantomOptions coarse = {.size = {32, 32, 32}, .seed = 9}, fine = {.size = {64, 48, 40}, .seed = 9};
    VslPhantomSubject a = {0}, b = {0};
    CHECK_OK(vsl_phantom_subject(&a, &coarse, 5, one));
    CHECK_OK(vsl_phantom_subject(&b, &fine, 5, one));
    CHECK(a.age_years == b.age_years && a.size_scale == b.size_scale && a.is_male == b.is_male);
    CHECK(memcmp(a.geodesic.velocity.data, b.geodesic.velocity.data,
                 3 * sizeof(float) * (size_t)vsl_grid_voxels(&a.geodesic.velocity.grid)) == 0);
    vsl_phantom_subject_free(&a);
    vsl_phantom_subject_free(&b);
}

TEST(people_are_as_old_as_they_say_and_visits_are_apart)
{
    const VslPhantomOptions opt = {.size = {16, 16, 16}, .seed = 11};
    for (int subject = 1; subject <= 6; subject++) {
        VslPhantomSubject s = {0};
        VslPhantomScan first = {0}, second = {0};
        CHECK_OK(vsl_phantom_subject(&s, &opt, subject, one));
        CHECK(s.age_years >= 40 && s.age_years <= 85);
        CHECK_OK(vsl_phantom_visit(&first, &s, &opt, 1, one));
        CHECK_OK(vsl_phantom_visit(&second, &s, &opt, 2, one));
        CHECK(first.age_years == s.age_years);
        const double gap = second.age_years - first.age_years;
        CHECK(gap >= 1.5 - 1e-9 && gap <= 2.5 + 1e-9);
        vsl_phantom_scan_free(&first);
        vsl_phantom_scan_free(&second);
        vsl_phantom_subject_free(&s);
    }
}

TEST(signals_are_whole_numbers_and_finite)
{
    const VslPhantomOptions opt = small(5);
    VslPhantomScan a = {0};
    scan(&a, &opt, 1, 1, three);
    const int64_t n = vsl_grid_voxels(&a.image.grid);
    int64_t bad = 0, bad_disp = 0;
    for (int64_t i = 0; i < n; i++) {
        const float v = a.image.data[i];
        bad += !(v >= 0 && v < 4096 && v == floorf(v));
    }
    for (int64_t i = 0; i < 3 * n; i++) {
        bad_disp += !(fabsf(a.disp.data[i]) < 60);
    }
    CHECK(bad == 0);
    CHECK(bad_disp == 0);
    vsl_phantom_scan_free(&a);
}

TEST(the_template_holds_every_structure_at_a_plausible_size)
{
    /* ml, both sides: wide ranges of adult heads */
    static const struct {
        int left, right;
        double low, high;
    } expected[] = {{2, 41, 400, 700},  {3, 42, 420, 680}, {4, 43, 10, 40}, {7, 46, 20, 80}, {8, 47, 60, 130},
                    {10, 49, 8, 18},    {11, 50, 5, 11},   {12, 51, 6, 13}, {13, 52, 2, 5},  {14, 14, 0.6, 3},
                    {15, 15, 0.8, 3.5}, {16, 16, 18, 36},  {17, 53, 4, 9},  {18, 54, 2, 5},  {24, 24, 150, 420}};
    const VslPhantomOptions opt = {.size = {64, 75, 64}};
    VslPhantomScan t = {0};
    CHECK_OK(vsl_phantom_template(&t, &opt, three));
    CHECK(t.age_years == VSL_PHANTOM_TEMPLATE_AGE);
    CHECK(t.disp.data == NULL && t.lesions.data == NULL);
    for (size_t i = 0; i < sizeof expected / sizeof expected[0]; i++) {
        const double ml = volume_ml(&t.labels, expected[i].left, expected[i].right);
        if (!(ml >= expected[i].low && ml <= expected[i].high)) {
            printf("  label %d: %.2f ml\n", expected[i].left, ml);
        }
        CHECK(ml >= expected[i].low && ml <= expected[i].high);
    }
    for (int64_t v = 0; v < vsl_grid_voxels(&t.labels.grid); v++) {
        int is_known = t.labels.data[v] == 0;
        for (int i = 0; vsl_phantom_label_info(i) && !is_known; i++) {
            is_known = vsl_phantom_label_info(i)->index == t.labels.data[v];
        }
        if (!is_known) {
            CHECK(is_known);
            break;
        }
    }
    vsl_phantom_scan_free(&t);
}

TEST(left_and_right_can_be_told_apart)
{
    const VslPhantomOptions opt = {.size = {64, 75, 64}};
    VslPhantomScan t = {0};
    CHECK_OK(vsl_phantom_template(&t, &opt, three));
    double sum[64] = {0}, count[64] = {0}, marker[2] = {0};
    for (int64_t i = 0; i < vsl_grid_voxels(&t.labels.grid); i++) {
        const int64_t *n = t.labels.grid.n;
        const double v[3] = {(double)(i % n[0]), (double)(i / n[0] % n[1]), (double)(i / n[0] / n[1])};
        double x[3];
        vsl_affine_point(x, &t.labels.grid.to_ras, v);
        sum[t.labels.data[i]] += x[0];
        count[t.labels.data[i]]++;
        if (fabs(fabs(x[0]) - 79) < 3 && fabs(x[1] - 30) < 4 && fabs(x[2] - 30) < 4) { /* beside the temple */
            marker[x[0] > 0] += (double)t.image.data[i];
        }
    }
    CHECK(marker[1] > 3 * marker[0]);
    for (int i = 0; vsl_phantom_label_info(i); i++) {
        const VslPhantomLabel *l = vsl_phantom_label_info(i);
        if (strncmp(l->name, "Left", 4) == 0) {
            CHECK(sum[l->index] / count[l->index] < -3);
        } else if (strncmp(l->name, "Right", 5) == 0) {
            CHECK(sum[l->index] / count[l->index] > 3);
        }
    }
    vsl_phantom_scan_free(&t);
}

TEST(lesions_lie_in_white_matter_grow_and_change_nothing_else)
{
    const VslPhantomOptions with = {.size = {96, 112, 96}, .seed = 21, .lesions = 1};
    VslPhantomOptions without = with;
    VslPhantomSubject s = {0};
    VslPhantomScan first = {0}, third = {0}, healthy = {0};
    without.lesions = 0;
    CHECK_OK(vsl_phantom_subject(&s, &with, 1, three));
    CHECK_OK(vsl_phantom_visit(&first, &s, &with, 1, three));
    CHECK_OK(vsl_phantom_visit(&third, &s, &with, 3, three));
    CHECK_OK(vsl_phantom_visit(&healthy, &s, &without, 1, three));
    CHECK(healthy.lesions.data == NULL && healthy.lesion_count == 0);
    CHECK(first.lesion_count >= 6 && first.lesion_count <= VSL_PHANTOM_MAX_LESIONS);
    CHECK(first.lesion[0].kind == VSL_LESION_FOCAL && first.lesion[0].voxels > 30);
    int64_t outside = 0, elsewhere = 0, mask = 0, counted = 0;
    const int64_t *n = first.lesions.grid.n;
    for (int64_t i = 0; i < vsl_grid_voxels(&first.lesions.grid); i++) {
        const int label = first.labels.data[i];
        mask += first.lesions.data[i] > 0;
        outside += first.lesions.data[i] > 0 && label != 2 && label != 41;
        if (first.image.data[i] != healthy.image.data[i]) { /* then a lesion is no farther than the next voxel */
            int near = 0;
            for (int64_t k = -1; k <= 1; k++) {
                for (int64_t j = -1; j <= 1; j++) {
                    for (int64_t h = -1; h <= 1; h++) {
                        near |= first.lesions.data[i + h + n[0] * (j + n[1] * k)] > 0;
                    }
                }
            }
            elsewhere += !near;
        }
    }
    CHECK(outside == 0);
    double before = 0, after = 0;
    for (int l = 0; l < first.lesion_count; l++) {
        before += first.lesion[l].volume_mm3;
        after += third.lesion[l].volume_mm3;
        counted += first.lesion[l].voxels;
        CHECK_NEAR(third.lesion[l].centre_mm[0], first.lesion[l].centre_mm[0], 0, "a lesion keeps its place");
    }
    CHECK(counted == mask);
    /* slivers of a lesion between voxel centres change a signal without a mask voxel beside it */
    CHECK(elsewhere <= mask / 20);
    CHECK_NEAR(before, (double)mask * vsl_grid_voxel_mm3(&first.lesions.grid), 0.08 * before, "two samplings of one");
    CHECK(after > 1.1 * before);
    vsl_phantom_scan_free(&first);
    vsl_phantom_scan_free(&third);
    vsl_phantom_scan_free(&healthy);
    vsl_phantom_subject_free(&s);
}

TEST(what_cannot_be_made_is_refused_in_a_sentence)
{
    VslPhantomScan t = {.age_years = 1};
    VslPhantomSubject s = {.age_years = 1};
    VslGrid g;
    CHECK_STATUS(vsl_phantom_template(&t, &(VslPhantomOptions){.modality = VSL_PHANTOM_HEART}, one), VSL_E_UNSUPPORTED);
    CHECK(strstr(vsl_error(), "heart") != NULL);
    CHECK_STATUS(vsl_phantom_grid(&g, &(VslPhantomOptions){.modality = VSL_PHANTOM_RADIOGRAPH}), VSL_E_UNSUPPORTED);
    CHECK_STATUS(vsl_phantom_grid(&g, &(VslPhantomOptions){.size = {96, 8, 96}}), VSL_E_ARG);
    CHECK_STATUS(vsl_phantom_grid(&g, &(VslPhantomOptions){.size = {96, 112, 2048}}), VSL_E_ARG);
    CHECK_STATUS(vsl_phantom_grid(&g, &(VslPhantomOptions){.deform_mm = 40}), VSL_E_ARG);
    CHECK_STATUS(vsl_phantom_subject(&s, &(VslPhantomOptions){0}, 0, one), VSL_E_ARG);
    CHECK_STATUS(vsl_phantom_visit(&t, &s, &(VslPhantomOptions){0}, 1, one), VSL_E_ARG);
    CHECK(t.age_years == 1 && s.age_years == 1);
}

TEST(running_out_of_memory_anywhere_leaves_outputs_and_nothing_behind)
{
    const VslPhantomOptions opt = {.size = {16, 16, 16}, .seed = 2, .lesions = 1};
    VslPhantomSubject s = {0}, again = {0};
    VslPhantomScan t = {.age_years = 1};
    CHECK_OK(vsl_phantom_subject(&s, &opt, 1, one));
    CHECK_OK(vsl_phantom_visit(&t, &s, &opt, 1, one)); /* the backend has its scratch now */
    vsl_phantom_scan_free(&t);
    const int64_t held = vsl_memory_now();
    int failures = 0;
    for (int64_t n = 1; n < 200; n++) {
        vsl_memory_fail_after(n);
        VslStatus st = vsl_phantom_subject(&again, &opt, 1, one);
        if (st == VSL_OK) {
            t.age_years = 1;
            st = vsl_phantom_visit(&t, &again, &opt, 1, one);
        }
        vsl_memory_fail_after(0);
        failures += st != VSL_OK;
        CHECK(st == VSL_OK || st == VSL_E_NOMEM);
        CHECK(st == VSL_OK || (t.image.data == NULL && (t.age_years == 1 || t.age_years == 0)));
        vsl_phantom_subject_free(&again);
        vsl_phantom_scan_free(&t);
        CHECK(vsl_memory_now() == held);
        if (st == VSL_OK) {
            break;
        }
    }
    CHECK(failures > 8 && failures < 199);
    vsl_phantom_subject_free(&s);
}

int main(void)
{
    CHECK_OK(vsl_backend_open(&one, "cpu", 1));
    CHECK_OK(vsl_backend_open(&three, "cpu", 3));
    RUN(threads_do_not_change_a_bit);
    RUN(a_subject_does_not_depend_on_who_else_is_made);
    RUN(a_person_does_not_depend_on_the_voxels);
    RUN(people_are_as_old_as_they_say_and_visits_are_apart);
    RUN(signals_are_whole_numbers_and_finite);
    RUN(the_template_holds_every_structure_at_a_plausible_size);
    RUN(left_and_right_can_be_told_apart);
    RUN(lesions_lie_in_white_matter_grow_and_change_nothing_else);
    RUN(what_cannot_be_made_is_refused_in_a_sentence);
    RUN(running_out_of_memory_anywhere_leaves_outputs_and_nothing_behind);
    vsl_backend_close(&one);
    vsl_backend_close(&three);
    return CHECK_VERDICT();
}
