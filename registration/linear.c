#include "registration/linear.h"

#include <math.h>
#include <string.h>

#include "registration/smooth.h"

static const double FLAT = 5e-3; /* local variance below which the fixed image counts as flat */

/* --- parameters to a map ------------------------------------------------------------------------------------------ */

int reg_linear_count(const RegLinear *l)
{
    if (l->in_plane) {
        return l->kind == VSL_LINEAR_RIGID ? 3 : 6;
    }
    return l->kind == VSL_LINEAR_RIGID ? 6 : 12;
}

static void multiply(double out[3][3], const double a[3][3], const double b[3][3])
{
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++) {
            out[r][c] = a[r][0] * b[0][c] + a[r][1] * b[1][c] + a[r][2] * b[2][c];
        }
    }
}

/* Rotation about one axis, or its derivative by the angle. */
static void elementary(double out[3][3], int axis, double angle, int derivative)
{
    const double c = derivative ? -sin(angle) : cos(angle), s = derivative ? cos(angle) : sin(angle);
    const int p = (axis + 1) % 3, q = (axis + 2) % 3;
    memset(out, 0, 9 * sizeof(double));
    out[axis][axis] = derivative ? 0 : 1;
    out[p][p] = out[q][q] = c;
    out[p][q] = -s;
    out[q][p] = s;
}

/* L = R0 R1 R2, or its derivative by angle `by` (0..2). */
static void rotation(double out[3][3], const double angle[3], int by)
{
    double r[3][3][3], first[3][3];
    for (int axis = 0; axis < 3; axis++) {
        elementary(r[axis], axis, angle[axis], axis == by);
    }
    multiply(first, (const double(*)[3])r[0], (const double(*)[3])r[1]);
    multiply(out, (const double(*)[3])first, (const double(*)[3])r[2]);
}

/* Parameters: in a plane (rotation about axis 2 | 2 x 2 entries), then 2 translations; else (3 | 9), then 3. */
static void unpack(double angle[3], double m[3][3], double t[3], const RegLinear *l, const float *p)
{
    const int size = l->in_plane ? 2 : 3;
    int at = 0;
    memset(angle, 0, 3 * sizeof(double));
    memset(t, 0, 3 * sizeof(double));
    elementary(m, 0, 0, 0);
    if (l->kind == VSL_LINEAR_RIGID) {
        for (int axis = l->in_plane ? 2 : 0; axis < 3; axis++) {
            angle[axis] = (double)p[at++] / l->radius_mm;
        }
        rotation(m, angle, -1);
    } else {
        for (int r = 0; r < size; r++) {
            for (int c = 0; c < size; c++) {
                m[r][c] += (double)p[at++] / l->radius_mm;
            }
        }
    }
    for (int d = 0; d < size; d++) {
        t[d] = (double)p[at++];
    }
}

VslAffine reg_linear_map(const RegLinear *l, const float *p)
{
    double angle[3], m[3][3], t[3], qm[3][3], qt[3][3], full[3][3];
    VslAffine local;
    unpack(angle, m, t, l, p);
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 3; c++) {
            qt[r][c] = l->frame[c][r];
        }
    }
    multiply(qm, l->frame, (const double(*)[3])m);
    multiply(full, (const double(*)[3])qm, (const double(*)[3])qt);
    for (int r = 0; r < 3; r++) {
        local.m[r][3] = l->centre[r];
        for (int c = 0; c < 3; c++) {
            local.m[r][c] = full[r][c];
            local.m[r][3] += l->frame[r][c] * t[c] - full[r][c] * l->centre[c];
        }
    }
    return vsl_affine_compose(&l->base, &local);
}

/* gradient of p from dE/dA (3 x 4, world to world). */
static void pull_back(float *gradient, const RegLinear *l, const float *p, const double da[3][4])
{
    double angle[3], m[3][3], t[3], dlocal[3][4], dm[3][3], dt[3];
    int at = 0;
    unpack(angle, m, t, l, p);
    /* dE/dlocal = B^T dE/dA with B the linear part of base; then into the frame about the centre. */
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            dlocal[r][c] = 0;
            for (int k = 0; k < 3; k++) {
                dlocal[r][c] += l->base.m[k][r] * da[k][c];
            }
        }
    }
    for (int r = 0; r < 3; r++) {
        dt[r] = 0;
        for (int k = 0; k < 3; k++) {
            dt[r] += l->frame[k][r] * dlocal[k][3];
        }
        for (int c = 0; c < 3; c++) {
            dm[r][c] = 0;
            for (int k = 0; k < 3; k++) {
                for (int n = 0; n < 3; n++) {
                    dm[r][c] += l->frame[k][r] * (dlocal[k][n] - dlocal[k][3] * l->centre[n]) * l->frame[n][c];
                }
            }
        }
    }
    const int size = l->in_plane ? 2 : 3;
    if (l->kind == VSL_LINEAR_RIGID) {
        for (int axis = l->in_plane ? 2 : 0; axis < 3; axis++) {
            double by[3][3], sum = 0;
            rotation(by, angle, axis);
            for (int e = 0; e < 9; e++) {
                sum += dm[e / 3][e % 3] * by[e / 3][e % 3];
            }
            gradient[at++] = (float)(sum / l->radius_mm);
        }
    } else {
        for (int r = 0; r < size; r++) {
            for (int c = 0; c < size; c++) {
                gradient[at++] = (float)(dm[r][c] / l->radius_mm);
            }
        }
    }
    for (int d = 0; d < size; d++) {
        gradient[at++] = (float)dt[d];
    }
}

/* --- energy --------------------------------------------------------------------------------------------------------
 */

/* dE/dA = F^T M T^T: moments M by moving and fixed voxel, F world -> moving voxel, T fixed voxel -> world. */
static void moments_to_world(double da[3][4], const RegLinear *l, const double moment[3][4])
{
    double right[3][4];
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            right[r][c] = 0;
            for (int k = 0; k < 4; k++) {
                right[r][c] += moment[r][k] * (c < 3 ? l->fixed_grid.to_ras.m[c][k] : (k == 3));
            }
        }
    }
    for (int r = 0; r < 3; r++) {
        for (int c = 0; c < 4; c++) {
            da[r][c] = 0;
            for (int k = 0; k < 3; k++) {
                da[r][c] += l->moving_from_ras.m[k][r] * right[k][c];
            }
        }
    }
}

VslStatus reg_linear_energy(void *linear, double *energy, VslField *gradient, const VslField *p)
{
    VslStatus st = VSL_OK;
    RegLinear *l = linear;
    const VslAffine a = reg_linear_map(l, p->data), world = vsl_affine_compose(&a, &l->fixed_grid.to_ras),
                    to_moving = vsl_affine_compose(&l->moving_from_ras, &world);
    double e = 0, met = 0, moment[3][4], da[3][4];
    VSL_TRY(l->op->linear_warp(&met, &l->warped, &l->weight, &l->slope, &l->moving,
                               l->moving_mask.data ? &l->moving_mask : NULL, &l->mask, &to_moving));
    l->share = met / l->fixed_weight;
    if (!(l->share >= l->least_share)) {
        *energy = INFINITY;
        return st;
    }
    VSL_TRY(reg_similarity_eval(l->similarity, &e, gradient ? &l->grad : NULL, &l->warped, &l->weight));
    /* The integral becomes a mean over what is met: less overlap neither pays nor costs. */
    const double scale = 1 / (l->fixed_weight * l->share * vsl_grid_voxel_mm3(&l->fixed_grid));
    *energy = e * scale;
    if (gradient) {
        VSL_TRY(l->op->linear_moments(moment, &l->grad, &l->slope));
        moments_to_world(da, l, (const double(*)[4])moment);
        for (int r = 0; r < 3; r++) {
            for (int c = 0; c < 4; c++) {
                da[r][c] *= scale;
            }
        }
        pull_back(gradient->data, l, p->data, (const double(*)[4])da);
    }
out:
    return st;
}

/* --- life ----------------------------------------------------------------------------------------------------------
 */

/* LNCC gives every window the same say. Its variance floor would make a larger warped image look better where the fixed
 * one is nearly flat, so that windows count by the fixed image's own texture instead: mask *= v / (v + FLAT), v the
 * local variance in squared units of normalised intensity. */
static VslStatus weigh_by_texture(VslVolume *mask, const VslVolume *fixed, int threads)
{
    VslStatus st = VSL_OK;
    const int64_t n = vsl_grid_voxels(&fixed->grid);
    const double sigma_vox[3] = {1.5, 1.5, 1.5};
    VslVolume moments = {0}; /* local means of f and f^2 */
    VSL_TRY(vsl_volume_new(&moments, &fixed->grid, 2));
    for (int64_t v = 0; v < n; v++) {
        moments.data[v] = fixed->data[v];
        moments.data[n + v] = fixed->data[v] * fixed->data[v];
    }
    VSL_TRY(reg_smooth_voxels(&moments, sigma_vox, 3, threads));
    for (int64_t v = 0; v < n; v++) {
        const double mean = (double)moments.data[v];
        const double variance = fmax((double)moments.data[n + v] - mean * mean, 0);
        mask->data[v] *= (float)(variance / (variance + FLAT));
    }
out:
    vsl_volume_free(&moments);
    return st;
}

static VslStatus upload(VslField *out, VslBackend *be, const VslVolume *v)
{
    VslStatus st = VSL_OK;
    VSL_TRY(vsl_field_new(out, be, v->grid.n, 1));
    VSL_TRY(vsl_field_upload(out, v->data, vsl_grid_voxels(&v->grid)));
out:
    return st;
}

VslStatus reg_linear_new(RegLinear *out, VslBackend *be, const VslVolume *fixed, const VslVolume *moving,
                         const VslVolume *fixed_mask, const VslVolume *moving_mask, VslSimilarity metric,
                         const double centre[3], double radius_mm)
{
    VslStatus st = VSL_OK;
    const int64_t *n = fixed->grid.n, voxels = vsl_grid_voxels(&fixed->grid);
    VslVolume mask = {0};
    RegLinear l = {.be = be,
                   .op = reg_kernels(be),
                   .fixed_grid = fixed->grid,
                   .moving_grid = moving->grid,
                   .radius_mm = radius_mm,
                   .least_share = REG_LINEAR_LEAST_SHARE,
                   .kind = VSL_LINEAR_RIGID};
    RegSimilarityOptions opt = {
        .kind = metric, .radius_vox = {{2, 2, 2}}, .eps = 1e-8, .bins = 32, .warped_range = {0, 1}};
    l.base = vsl_affine_identity();
    l.in_plane = n[2] == 1 || moving->grid.n[2] == 1;
    vsl_grid_spacing(opt.spacing_mm, &fixed->grid);
    double axes[3][3];
    for (int r = 0; r < 3; r++) {
        l.centre[r] = centre[r];
        for (int c = 0; c < 3; c++) {
            axes[r][c] = fixed->grid.to_ras.m[r][c] / opt.spacing_mm[c];
        }
    }
    vsl_mat3_polar(l.frame, (const double(*)[3])axes);
    VSL_TRY(vsl_grid_from_ras(&l.moving_from_ras, &moving->grid));
    VSL_TRY(upload(&l.fixed, be, fixed));
    VSL_TRY(upload(&l.moving, be, moving));
    VSL_TRY(vsl_volume_new(&mask, &fixed->grid, 1));
    for (int64_t v = 0; v < voxels; v++) {
        mask.data[v] = fixed_mask ? fixed_mask->data[v] : 1;
    }
    if (metric == VSL_SIMILARITY_LNCC) {
        VSL_TRY(weigh_by_texture(&mask, fixed, vsl_backend_threads(be)));
    }
    for (int64_t v = 0; v < voxels; v++) {
        l.fixed_weight += (double)mask.data[v];
    }
    VSL_TRY(upload(&l.mask, be, &mask));
    VSL_CHECK(l.fixed_weight > 0, VSL_E_NUMERIC, "the fixed mask is empty");
    if (moving_mask) {
        VSL_TRY(upload(&l.moving_mask, be, moving_mask));
    }
    VSL_TRY(vsl_field_new(&l.warped, be, n, 1));
    VSL_TRY(vsl_field_new(&l.weight, be, n, 1));
    VSL_TRY(vsl_field_new(&l.grad, be, n, 1));
    VSL_TRY(vsl_field_new(&l.slope, be, n, 3));
    VSL_TRY(reg_similarity_new(&l.similarity, be, &l.fixed, &l.mask, &opt));
    *out = l;
    l = (RegLinear){0};
out:
    reg_linear_free(&l);
    vsl_volume_free(&mask);
    return st;
}

void reg_linear_free(RegLinear *l)
{
    VslField *all[] = {&l->fixed, &l->mask, &l->moving, &l->moving_mask, &l->warped, &l->weight, &l->slope, &l->grad};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        vsl_field_free(all[i]);
    }
    reg_similarity_free(&l->similarity);
    *l = (RegLinear){0};
}
