/* The slope of a warped image where that of the linear interpolant jumps: at voxel centres. */
#include "core/random.h"
#include "registration/point.h"
#include "tests/check.h"

enum { N0 = 6, N1 = 5, N2 = 4 };
static const RegSize size = {N0, N1, N2};

static void random_image(float image[N0 * N1 * N2])
{
    for (int i = 0; i < N0 * N1 * N2; i++) {
        image[i] = (float)vsl_random_normal(1, 1, (uint64_t)i);
    }
}

static RegSlope slope_at(const float *image, RegSize n, RegVec3 p)
{
    const RegCell cell = reg_cell_clamped(n, p);
    return reg_near_kink(n, p, cell) ? reg_slope_averaged(image, n, p) : reg_sample_slope(image, cell);
}

static int is_near(RegSize n, RegVec3 p)
{
    return reg_near_kink(n, p, reg_cell_clamped(n, p));
}

TEST(at_a_voxel_centre_the_slope_is_the_mean_of_both_sides)
{
    float image[N0 * N1 * N2];
    random_image(image);
    for (int32_t k = 0; k < N2; k++) {
        for (int32_t j = 0; j < N1; j++) {
            for (int32_t i = 0; i < N0; i++) {
                const float *at = image + (k * N1 + j) * N0 + i;
                const RegSlope s = slope_at(image, size, (RegVec3){(float)i, (float)j, (float)k});
                const float left = i > 0 ? at[0] - at[-1] : 0, right = i + 1 < N0 ? at[1] - at[0] : 0,
                            below = k > 0 ? at[0] - at[-N0 * N1] : 0, above = k + 1 < N2 ? at[N0 * N1] - at[0] : 0;
                CHECK(s.value == at[0]);
                CHECK_NEAR((double)s.dx, 0.5 * (double)(left + right), 1e-6, "outside the image it is flat");
                CHECK_NEAR((double)s.dz, 0.5 * (double)(below + above), 1e-6, "outside the image it is flat");
            }
        }
    }
}

TEST(rounding_of_a_position_changes_the_slope_by_as_little)
{
    float image[N0 * N1 * N2];
    random_image(image);
    const double step = 1e-5; /* voxels; what 256 voxels in float are rounded by */
    double worst = 0;
    for (int q = 0; q < 20000; q++) { /* across two centres and the border, along all axes at once */
        const double t = -1.5 * (double)REG_KINK + step * (q % 1000), x = q / 1000 % 2 ? 0 : 3;
        RegVec3 p = {(float)(x + t), (float)(2 + t), (float)(1 + t)}, next = p;
        next.x += (float)step;
        next.y += (float)step;
        next.z += (float)step;
        const RegSlope a = slope_at(image, size, p), b = slope_at(image, size, next);
        worst = fmax(worst,
                     fmax(fabs((double)(a.dx - b.dx)), fmax(fabs((double)(a.dy - b.dy)), fabs((double)(a.dz - b.dz)))));
    }
    CHECK(worst > 0);
    CHECK_NEAR(worst, 0, 0.05, "slopes of both sides differ by some units");
}

TEST(away_from_centres_and_across_flat_axes_nothing_is_averaged)
{
    const RegSize flat = {N0, N1, 1};
    float image[N0 * N1 * N2];
    random_image(image);
    CHECK(!is_near(size, (RegVec3){2.01f, 3.5f, 1.99f}));
    CHECK(!is_near(size, (RegVec3){-3, 2.5f, N2})); /* outside: flat on both sides */
    CHECK(!is_near(flat, (RegVec3){2.5f, 3.5f, 0}));
    CHECK(is_near(flat, (RegVec3){2.5f, 3, 0}));
    CHECK(is_near(size, (RegVec3){N0 - 1, 2.5f, 1.5f}));
    CHECK(!is_near(size, (RegVec3){NAN, 2.5f, 1.5f}));
    CHECK(slope_at(image, flat, (RegVec3){2, 3, 0}).dz == 0);
}

int main(void)
{
    RUN(at_a_voxel_centre_the_slope_is_the_mean_of_both_sides);
    RUN(rounding_of_a_position_changes_the_slope_by_as_little);
    RUN(away_from_centres_and_across_flat_axes_nothing_is_averaged);
    return CHECK_VERDICT();
}
