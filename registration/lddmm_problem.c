/* E(x) = h^3/2 <x, x> + weight D(moving(A phi_1^-1), fixed) + h^3 volume_weight sum 1/2 max(0, 1 - J/floor)^2 with v0 =
 * K^(1/2) x, m0 = L^(1/2) x, h^3 the volume of a band voxel. Gradient: h^3 x + L^(1/2) dD/dm0, the second factor from
 * the transposes of warp, particles and EPDiff. */
#include "registration/lddmm_problem.h"

#include <math.h>
#include <string.h>

enum { MAX_STEPS = 32 };

/* The lattice holds the band nodes around the image, so that every voxel has two on either side. */
static VslStatus lay_lattice(RegProblem *p, const VslGrid *band)
{
    VslStatus st = VSL_OK;
    VslAffine from_ras;
    VSL_TRY(vsl_grid_from_ras(&from_ras, band));
    const VslAffine to_band = vsl_affine_compose(&from_ras, &p->grid.to_ras); /* image voxel -> band, diagonal */
    p->lattice_to_band = vsl_affine_identity();
    for (int d = 0; d < 3; d++) {
        RegLattice *l = &p->lattice;
        const double first = to_band.m[d][3], last = first + to_band.m[d][d] * (double)(p->grid.n[d] - 1);
        if (band->n[d] == 1) {
            l->origin[d] = 0;
            l->n[d] = 1;
        } else {
            l->origin[d] = (int64_t)floor(first) - 1;
            l->n[d] = (int64_t)floor(last) + 3 - l->origin[d];
            l->n[d] = l->n[d] < 4 ? 4 : l->n[d];
        }
        l->scale[d] = to_band.m[d][d];
        l->offset[d] = first - (double)l->origin[d];
        p->lattice_to_band.m[d][3] = (double)l->origin[d];
    }
out:
    return st;
}

static VslStatus upload(VslField *out, VslBackend *be, const VslVolume *v)
{
    VslStatus st = VSL_OK;
    VSL_TRY(vsl_field_new(out, be, v->grid.n, v->channels));
    VSL_TRY(vsl_field_upload(out, v->data, vsl_field_count(out)));
out:
    return st;
}

VslStatus reg_problem_new(RegProblem *out, VslBackend *be, const VslGrid *band_grid, const VslKernel *kernel, int steps,
                          const VslVolume *fixed, const VslVolume *moving, const VslVolume *fixed_mask,
                          const VslVolume *moving_mask, const VslAffine *affine, const RegSimilarityOptions *similarity,
                          double weight, double volume_floor)
{
    VslStatus st = VSL_OK;
    RegProblem p = {.be = be, .grid = fixed->grid, .weight = weight};
    RegSimilarityOptions sim = *similarity;
    VslAffine moving_from_ras, ras_to_moving;
    double h[3];
    VSL_CHECK(vsl_grid_voxels(&fixed->grid) <= INT32_MAX && vsl_grid_voxels(&moving->grid) <= INT32_MAX,
              VSL_E_UNSUPPORTED, "images of more than %d voxels cannot be registered", INT32_MAX);
    vsl_grid_spacing(h, band_grid);
    VSL_TRY(lay_lattice(&p, band_grid));
    VSL_TRY(vsl_grid_from_ras(&moving_from_ras, &moving->grid));
    ras_to_moving = vsl_affine_compose(&moving_from_ras, affine);
    p.to_moving = vsl_affine_compose(&ras_to_moving, &band_grid->to_ras);
    VSL_TRY(reg_flow_new(&p.flow, be, band_grid->n, h, kernel, steps));
    VSL_TRY(upload(&p.fixed, be, fixed));
    VSL_TRY(upload(&p.moving, be, moving));
    if (fixed_mask) {
        VSL_TRY(upload(&p.mask, be, fixed_mask));
    }
    if (moving_mask) {
        VSL_TRY(upload(&p.moving_mask, be, moving_mask));
        VSL_TRY(vsl_field_new(&p.warped_mask, be, fixed->grid.n, 1));
    }
    VSL_TRY(vsl_field_new(&p.slope, be, fixed->grid.n, 3 * fixed->channels));
    sim.scratch = &p.slope;
    VSL_TRY(reg_similarity_new(&p.similarity, be, &p.fixed, fixed_mask ? &p.mask : NULL, &sim));
    vsl_field_free(&p.mask); /* the similarity has its own copy */
    VSL_TRY(vsl_field_new(&p.warped, be, fixed->grid.n, fixed->channels));
    VSL_TRY(vsl_field_new(&p.grad, be, fixed->grid.n, fixed->channels));
    VSL_TRY(vsl_field_new(&p.eta, be, p.lattice.n, 3));
    VSL_TRY(vsl_field_new(&p.jac, be, p.lattice.n, 1));
    VSL_TRY(vsl_field_new(&p.floor, be, p.lattice.n, 1));
    VSL_TRY(p.flow.op->fill(&p.floor, (float)volume_floor));
    *out = p;
    memset(&p, 0, sizeof p);
out:
    reg_problem_free(&p);
    return st;
}

void reg_problem_free(RegProblem *p)
{
    reg_flow_free(&p->flow);
    reg_similarity_free(&p->similarity);
    VslField *fields[] = {&p->fixed, &p->moving, &p->mask,        &p->moving_mask, &p->warped, &p->slope,
                          &p->grad,  &p->eta,    &p->warped_mask, &p->jac,         &p->floor};
    for (size_t i = 0; i < sizeof fields / sizeof *fields; i++) {
        vsl_field_free(fields[i]);
    }
    *p = (RegProblem){0};
}

static VslStatus evaluate(RegProblem *p, double *energy, VslField *gradient, const VslField *x)
{
    VslStatus st = VSL_OK;
    RegFlow *f = &p->flow;
    const double voxel = f->h[0] * f->h[1] * f->h[2];
    double xx = 0;
    VSL_TRY(vsl_filter_apply(f->filter, &f->m[0], x, &f->root));
    /* Too few steps for this velocity: take more. A trial that blows up is only a bad trial, unless it is where a level
     * starts, on a finer band than the steps were chosen for. */
    for (;;) {
        st = reg_flow_shoot(f, &p->last_norm2, &p->last_drift);
        const int blew_up = st == VSL_E_NUMERIC && p->evaluations == 1;
        if (f->steps >= MAX_STEPS ||
            !(blew_up || (st == VSL_OK && p->drift_limit > 0 && p->last_drift > p->drift_limit))) {
            break;
        }
        VSL_TRY(reg_flow_set_steps(f, f->steps + 1));
    }
    VSL_TRY(st);
    VSL_TRY(reg_flow_pull_back(f, p->lattice.n, &p->lattice_to_band));
    VSL_TRY(f->op->warp(&p->warped, NULL, &p->moving, &f->y[0], &p->lattice, &p->to_moving));
    if (p->moving_mask.data) {
        VSL_TRY(f->op->warp_mask(&p->warped_mask, &p->moving_mask, &f->y[0], &p->lattice, &p->to_moving));
    }
    VSL_TRY(reg_similarity_eval(p->similarity, &p->last_similarity, gradient ? &p->grad : NULL, &p->warped,
                                p->moving_mask.data ? &p->warped_mask : NULL));
    VSL_TRY(vsl_field_dot(&xx, x, x));
    *energy = 0.5 * voxel * xx + p->weight * p->last_similarity;
    if (p->volume_weight > 0 && !gradient) {
        double volume = 0;
        VSL_TRY(f->op->volume_penalty(&volume, NULL, &p->jac, &f->y[0], &p->floor, 0));
        *energy += p->volume_weight * voxel * volume;
    }
    if (gradient) {
        /* The slopes lie where the similarity had its scratch: a second warp costs less than three planes more. */
        VSL_TRY(f->op->warp(&p->warped, &p->slope, &p->moving, &f->y[0], &p->lattice, &p->to_moving));
        VSL_TRY(f->op->restrict_force(&p->eta, &p->grad, &p->slope, &p->lattice, p->weight));
        if (p->volume_weight > 0) {
            double volume = 0;
            VSL_TRY(f->op->volume_penalty(&volume, &p->eta, &p->jac, &f->y[0], &p->floor, p->volume_weight * voxel));
            *energy += p->volume_weight * voxel * volume;
        }
        VSL_TRY(reg_flow_adjoint(f, gradient, &p->eta));
        VSL_TRY(vsl_filter_apply(f->filter, gradient, gradient, &f->root));
        VSL_TRY(vsl_field_axpby(gradient, voxel, x, 1));
    }
out:
    return st;
}

VslStatus reg_problem_evaluate(void *problem, double *energy, VslField *gradient, const VslField *x)
{
    RegProblem *p = problem;
    p->evaluations++;
    const VslStatus st = evaluate(p, energy, gradient, x);
    if (st == VSL_E_NUMERIC || (st == VSL_OK && !isfinite(*energy))) {
        *energy = INFINITY;
        return VSL_OK;
    }
    return st;
}

/* The lattice nodes within two of a voxel: those that its position is interpolated from, and their neighbours in J. */
static void raise_around(float *floors, const RegProblem *p, int64_t voxel, float raised)
{
    const RegLattice *l = &p->lattice;
    const int64_t *n = p->grid.n, x[3] = {voxel % n[0], voxel / n[0] % n[1], voxel / (n[0] * n[1])};
    int64_t low[3], high[3];
    for (int d = 0; d < 3; d++) {
        const int64_t node = (int64_t)floor(l->scale[d] * (double)x[d] + l->offset[d]);
        low[d] = node - 1 > 0 ? node - 1 : 0;
        high[d] = node + 2 < l->n[d] - 1 ? node + 2 : l->n[d] - 1;
    }
    for (int64_t k = low[2]; k <= high[2]; k++) {
        for (int64_t j = low[1]; j <= high[1]; j++) {
            for (int64_t i = low[0]; i <= high[0]; i++) {
                float *f = floors + (k * l->n[1] + j) * l->n[0] + i;
                *f = *f < raised ? raised : *f;
            }
        }
    }
}

VslStatus reg_problem_raise_floor(RegProblem *p, int64_t *count, double least, double raised)
{
    VslStatus st = VSL_OK;
    VslAffine to_band = vsl_affine_identity();
    VslField y = p->slope, jac = p->grad, limit = p->warped; /* free between evaluations */
    const int64_t voxels = vsl_grid_voxels(&p->grid), nodes = vsl_field_count(&p->floor);
    double voxel = 1, pressed = 0; /* voxel: volume of an image voxel in band voxels, the determinants' unit */
    float *host = NULL, *floors = NULL;
    y.channels = 3;
    jac.channels = limit.channels = 1;
    for (int d = 0; d < 3; d++) {
        to_band.m[d][d] = p->lattice.scale[d];
        to_band.m[d][3] = p->lattice.offset[d] + (double)p->lattice.origin[d];
        voxel *= p->grid.n[d] > 1 ? p->lattice.scale[d] : 1;
    }
    VSL_TRY(p->flow.op->particles_start(&y, &to_band));
    VSL_TRY(reg_flow_carry(&p->flow, &y, 0));
    VSL_TRY(p->flow.op->fill(&limit, (float)(least * voxel)));
    VSL_TRY(p->flow.op->volume_penalty(&pressed, NULL, &jac, &y, &limit, 0));
    *count = 0;
    if (!(pressed > 0)) {
        goto out;
    }
    VSL_TRY(VSL_NEW(&host, voxels, "determinants"));
    VSL_TRY(VSL_NEW(&floors, nodes, "volume floor"));
    VSL_TRY(vsl_field_download(host, &jac, voxels));
    VSL_TRY(vsl_field_download(floors, &p->floor, nodes));
    for (int64_t q = 0; q < voxels; q++) {
        if ((double)host[q] < least * voxel) {
            raise_around(floors, p, q, (float)raised);
            ++*count;
        }
    }
    VSL_TRY(vsl_field_upload(&p->floor, floors, nodes));
out:
    vsl_free(host);
    vsl_free(floors);
    return st;
}
