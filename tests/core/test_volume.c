/* Volumes and label maps: layout, moves, refusals. */
#include "core/volume.h"

#include <string.h>

#include "tests/check.h"

static const double unit[3] = {1, 1, 1};

static VslGrid grid_of(int64_t i, int64_t j, int64_t k)
{
    const int64_t n[3] = {i, j, k};
    return vsl_grid_centred(n, unit);
}

TEST(a_new_volume_is_zero_and_copies_are_independent)
{
    const VslGrid g = grid_of(3, 4, 5);
    VslVolume v = {0}, w = {0};
    CHECK_OK(vsl_volume_new(&v, &g, 2));
    double sum = 0;
    for (int i = 0; i < 120; i++) {
        sum += fabs((double)v.data[i]);
        v.data[i] = (float)i;
    }
    CHECK(sum == 0);
    CHECK_OK(vsl_volume_copy(&w, &v));
    CHECK(w.channels == 2 && vsl_grid_same(&w.grid, &g, 0) && memcmp(v.data, w.data, 120 * sizeof(float)) == 0);
    v.data[7] = -1;
    CHECK(w.data[7] == 7);
    const VslVolume second = vsl_volume_view(&w, 1);
    CHECK(second.channels == 1 && second.data == w.data + 60 && second.data[0] == 60);
    vsl_volume_free(&v);
    vsl_volume_free(&w);
}

TEST(moving_leaves_an_empty_volume_and_frees_the_old_data)
{
    const VslGrid g = grid_of(3, 4, 5);
    const int64_t before = vsl_memory_now();
    VslVolume a = {0}, b = {0};
    CHECK_OK(vsl_volume_new(&a, &g, 1));
    CHECK_OK(vsl_volume_new(&b, &g, 3));
    float *data = b.data;
    vsl_volume_move(&a, &b);
    CHECK(a.data == data && a.channels == 3 && b.data == NULL && b.channels == 0);
    CHECK(vsl_memory_now() - before == 3 * 60 * 4);
    CHECK_OK(vsl_volume_new(&a, &g, 1)); /* an old content is released on success */
    CHECK(vsl_memory_now() - before == 60 * 4);
    vsl_volume_free(&a);
    vsl_volume_free(&a); /* empty is allowed */
    CHECK(vsl_memory_now() == before);

    VslLabels l = {0}, m = {0};
    CHECK_OK(vsl_labels_new(&l, &g));
    vsl_labels_move(&m, &l);
    CHECK(l.data == NULL && m.data != NULL && m.data[59] == 0);
    vsl_labels_free(&m);
    vsl_labels_free(&m);
    CHECK(vsl_memory_now() == before);
}

TEST(impossible_sizes_are_refused_and_the_output_is_kept)
{
    const VslGrid g = grid_of(2, 2, 2), none = {{2, 0, 2}, g.to_ras}, negative = {{2, -5, 2}, g.to_ras};
    const VslGrid wraps = {{INT64_C(1) << 31, INT64_C(1) << 31, 4}, g.to_ras};
    const VslGrid large = {{1 << 20, 1 << 20, 1 << 15}, g.to_ras};
    VslVolume v = {0};
    CHECK_OK(vsl_volume_new(&v, &g, 1));
    float *data = v.data;
    CHECK_STATUS(vsl_volume_new(&v, &none, 1), VSL_E_ARG);
    CHECK_STATUS(vsl_volume_new(&v, &negative, 1), VSL_E_ARG);
    CHECK_STATUS(vsl_volume_new(&v, &g, 0), VSL_E_ARG);
    CHECK_STATUS(vsl_volume_new(&v, &g, -1), VSL_E_ARG);
    CHECK_STATUS(vsl_volume_new(&v, &wraps, 1), VSL_E_NOMEM);
    CHECK_STATUS(vsl_volume_new(&v, &large, 1), VSL_E_NOMEM);
    CHECK(v.data == data && v.channels == 1 && v.grid.n[0] == 2);
    vsl_memory_fail_after(1);
    CHECK_STATUS(vsl_volume_copy(&v, &v), VSL_E_NOMEM);
    CHECK(v.data == data);
    VslLabels l = {0};
    CHECK_STATUS(vsl_labels_new(&l, &none), VSL_E_ARG);
    CHECK(l.data == NULL);
    vsl_volume_free(&v);
}

int main(void)
{
    RUN(a_new_volume_is_zero_and_copies_are_independent);
    RUN(moving_leaves_an_empty_volume_and_frees_the_old_data);
    RUN(impossible_sizes_are_refused_and_the_output_is_kept);
    return CHECK_VERDICT();
}
