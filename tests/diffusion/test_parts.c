/* Parts of masks: drawn by hand, in 2D and 3D, and which structures a data set shows in one part. */
#include "diffusion/parts.h"

#include <string.h>

#include "tests/check.h"

/* Letters are voxels above 1/2, '+' is below and '.' empty. */
static void draw(float *mask, const char *rows)
{
    for (int64_t i = 0; rows[i]; i++) {
        mask[i] = rows[i] == '.' ? 0 : rows[i] == '+' ? 0.4F : 0.8F;
    }
}

static int is_drawn(const float *mask, const char *rows)
{
    float want[64];
    draw(want, rows);
    return memcmp(mask, want, strlen(rows) * sizeof *want) == 0;
}

TEST(the_largest_part_stays_with_all_that_is_below_a_half)
{
    const int64_t n[3] = {6, 5, 1};
    float mask[30];
    double share = 0;
    draw(mask, "aa...b"
               "aa+..b"
               "..a..."
               "+...cc"
               "cc....");
    CHECK_OK(vsl_largest_part(mask, &share, n)); /* corners touch; the border is no neighbour of the other border */
    CHECK(is_drawn(mask, "aa...."
                         "aa+..."
                         "..a..."
                         "+....."
                         "......"));
    CHECK_NEAR(share, 5.0 / 11, 1e-12, "exact");
    CHECK_OK(vsl_largest_part(mask, &share, n));
    CHECK(share == 1);
}

TEST(of_equal_parts_the_first_stays_and_an_empty_mask_has_none)
{
    const int64_t n[3] = {5, 1, 1};
    float mask[5];
    double share = 0;
    draw(mask, "a.b.c");
    CHECK_OK(vsl_largest_part(mask, NULL, n));
    CHECK(is_drawn(mask, "a...."));
    draw(mask, "..+..");
    CHECK_OK(vsl_largest_part(mask, &share, n));
    CHECK(share == 0 && is_drawn(mask, "..+.."));
}

TEST(parts_reach_through_planes_in_3d)
{
    const int64_t n[3] = {3, 3, 3};
    float mask[27];
    double share = 0;
    memset(mask, 0, sizeof mask);
    mask[0] = mask[13] = mask[26] = 1; /* a diagonal */
    mask[2] = 0.51F;                   /* touches the middle by an edge */
    CHECK_OK(vsl_largest_part(mask, &share, n));
    CHECK(share == 1 && mask[2] > 0.5F);
    mask[13] = 0.5F; /* not above: three single voxels are left */
    CHECK_OK(vsl_largest_part(mask, &share, n));
    CHECK_NEAR(share, 1.0 / 3, 1e-12, "exact");
    CHECK(mask[0] == 1 && mask[2] == 0 && mask[13] == 0.5F && mask[26] == 0);
}

TEST(a_structure_is_in_one_part_when_all_known_masks_say_so)
{
    const int64_t n[3] = {16, 8, 1};
    static const char *const names[] = {"one", "two", "crumbs", "missing"};
    VslDataset d = {0};
    CHECK_OK(vsl_dataset_new(&d, 3, n, 1, 4, names));
    for (int i = 0; i < 3; i++) {
        for (int m = 0; m < 4; m++) {
            float *mask = d.mask + (i * 4 + m) * 128;
            for (int64_t v = 0; v < 3 * 16; v++) {
                mask[v] = 1;
            }
        }
        d.item[i].has_masks = i < 2;
    }
    d.mask[(1 * 4 + 2) * 128 + 100] = 1; /* one voxel beside 48 */
    for (int64_t v = 80; v < 96; v++) {
        d.mask[(1 * 4 + 1) * 128 + v] = 1; /* 16 beside 48 */
        d.mask[(2 * 4 + 0) * 128 + v] = 1; /* nobody has said so */
    }
    memset(d.mask + (1 * 4 + 3) * 128, 0, 128 * sizeof *d.mask);
    int64_t both[] = {0, 2}, all[] = {0, 1, 2};
    unsigned char in_one[4];
    CHECK_OK(vsl_dataset_in_one_part(in_one, &d, &(VslSubset){3, all}));
    CHECK(in_one[0] == 1 && in_one[1] == 0 && in_one[2] == 1 && in_one[3] == 0);
    CHECK_OK(vsl_dataset_in_one_part(in_one, &d, &(VslSubset){2, both}));
    CHECK(in_one[0] == 1 && in_one[1] == 1 && in_one[2] == 1 && in_one[3] == 1);
    vsl_dataset_free(&d);
}

int main(void)
{
    RUN(the_largest_part_stays_with_all_that_is_below_a_half);
    RUN(of_equal_parts_the_first_stays_and_an_empty_mask_has_none);
    RUN(parts_reach_through_planes_in_3d);
    RUN(a_structure_is_in_one_part_when_all_known_masks_say_so);
    return CHECK_VERDICT();
}
