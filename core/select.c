#include "core/select.h"

#include <math.h>

static void swap(float *a, float *b)
{
    const float t = *a;
    *a = *b;
    *b = t;
}

/* Hoare's quickselect with the median of three: afterwards v[k] is in its sorted place, smaller ones before it. */
static void quickselect(float *v, int64_t count, int64_t k)
{
    int64_t lo = 0, hi = count - 1;
    while (lo < hi) {
        const int64_t mid = lo + (hi - lo) / 2;
        if (v[mid] < v[lo]) {
            swap(&v[mid], &v[lo]);
        }
        if (v[hi] < v[lo]) {
            swap(&v[hi], &v[lo]);
        }
        if (v[hi] < v[mid]) {
            swap(&v[hi], &v[mid]);
        }
        const float pivot = v[mid];
        int64_t i = lo, j = hi;
        while (i <= j) {
            while (v[i] < pivot) {
                i++;
            }
            while (v[j] > pivot) {
                j--;
            }
            if (i <= j) {
                swap(&v[i++], &v[j--]);
            }
        }
        if (k <= j) {
            hi = j;
        } else if (k >= i) {
            lo = i;
        } else {
            return;
        }
    }
}

double vsl_percentile(float *values, int64_t count, double percent)
{
    const double at = percent / 100 * (double)(count - 1);
    const int64_t k = (int64_t)floor(at);
    quickselect(values, count, k);
    const double below = (double)values[k], share = at - (double)k;
    if (k + 1 >= count || share <= 0) {
        return below;
    }
    float above = values[k + 1];
    for (int64_t i = k + 2; i < count; i++) {
        above = values[i] < above ? values[i] : above;
    }
    return below + share * ((double)above - below);
}
