/* CPU loops of the volume penalty on the lattice of particles. Determinants first; then every node gathers from its six
 * neighbours, of which few are below the floor. */
#include "core/parallel.h"
#include "registration/kernels_cpu.h"
#include "registration/point.h"

typedef struct Volume {
    int64_t n[3], plane, step[3]; /* step 0 on flat axes */
    const float *y, *floor;
    float *jac, *eta;
    float scale;
    double *partial;
} Volume;

static int is_inner(const Volume *v, int d, int64_t i)
{
    return v->step[d] == 0 || (i > 0 && i < v->n[d] - 1);
}

/* item = lattice plane */
static double determinant_plane(void *ctx, int64_t item, int worker)
{
    const Volume *v = ctx;
    (void)worker;
    double sum = 0;
    for (int64_t j = 0; j < v->n[1]; j++) {
        for (int64_t i = 0; i < v->n[0]; i++) {
            const int64_t at = (item * v->n[1] + j) * v->n[0] + i;
            v->jac[at] = 1.0f; /* border nodes lie outside the image */
            if (is_inner(v, 0, i) && is_inner(v, 1, j) && is_inner(v, 2, item)) {
                const RegMat3 d = reg_lattice_gradient(v->y, v->plane, at, v->step);
                const float jac = reg_determinant(&d), short_by = 1.0f - jac / v->floor[at];
                v->jac[at] = jac;
                sum += short_by > 0 ? 0.5 * (double)short_by * (double)short_by : 0.0;
            }
        }
    }
    return sum;
}

static void gather_plane(void *ctx, int64_t item, int worker)
{
    const Volume *v = ctx;
    (void)worker;
    for (int64_t j = 0; j < v->n[1]; j++) {
        for (int64_t i = 0; i < v->n[0]; i++) {
            const int64_t x[3] = {i, j, item}, at = (item * v->n[1] + j) * v->n[0] + i;
            for (int b = 0; b < 3; b++) {
                for (int side = -1; side <= 1; side += 2) {
                    const int64_t other = x[b] + side, from = at + side * v->step[b];
                    if (v->step[b] == 0 || other < 0 || other >= v->n[b] || v->jac[from] >= v->floor[from]) {
                        continue;
                    }
                    /* y(x) enters the difference of the node before it with +1/2, of the one behind it with -1/2 */
                    const RegMat3 d = reg_lattice_gradient(v->y, v->plane, from, v->step);
                    const float slope = -(1.0f - v->jac[from] / v->floor[from]) / v->floor[from];
                    const float weight = v->scale * slope * (side < 0 ? 0.5f : -0.5f);
                    for (int a = 0; a < 3; a++) {
                        v->eta[a * v->plane + at] += weight * reg_cofactor(&d, a, b);
                    }
                }
            }
        }
    }
}

VslStatus reg_cpu_volume_penalty(double *energy, VslField *eta, VslField *jac, const VslField *y, const VslField *floor,
                                 double scale)
{
    VslStatus st = VSL_OK;
    Volume v = {.n = {y->n[0], y->n[1], y->n[2]}, .y = y->data, .jac = jac->data, .floor = floor->data};
    const int threads = vsl_backend_threads(y->be);
    float *scratch = NULL;
    v.plane = v.n[0] * v.n[1] * v.n[2];
    v.step[0] = v.n[0] > 1 ? 1 : 0;
    v.step[1] = v.n[1] > 1 ? v.n[0] : 0;
    v.step[2] = v.n[2] > 1 ? v.n[0] * v.n[1] : 0;
    v.scale = (float)scale;
    VSL_TRY(vsl_backend_scratch(&scratch, y->be, 2 * v.n[2]));
    *energy = vsl_parallel_sum(v.n[2], threads, determinant_plane, &v, (double *)(void *)scratch);
    if (eta) {
        v.eta = eta->data;
        vsl_parallel_for(v.n[2], threads, gather_plane, &v);
    }
out:
    return st;
}
