/* Device loops over particles: tracking through the velocities and its transpose. One thread is one particle.
 *
 * The transpose scatters into the band grid. Sums of floats would depend on the order in which threads arrive, so each
 * contribution is rounded to a multiple of a fixed quantum and added as a 64-bit integer: any order gives the same sum.
 * The quantum is the power of two at which the largest possible sum, particles times the largest contribution, still
 * fits; with a million particles it is 2^-41 of the largest contribution, far below float's own rounding.
 * Common subset of C17 and CUDA C++; core/device_reduce_private.h says how it is launched. */
#ifndef VSL_REGISTRATION_DEVICE_PARTICLES_PRIVATE_H
#define VSL_REGISTRATION_DEVICE_PARTICLES_PRIVATE_H

#include <string.h>

#include "core/device_reduce_private.h"
#include "registration/kernels_cuda.h"
#include "registration/point.h"

typedef struct RegTrackArgs {
    RegSize band;
    int64_t band_count;     /* values per component of a band field */
    int64_t row, rows;      /* particles along i, j */
    int64_t count;          /* particles */
    double to_band[3][4];   /* start */
    float half[3], full[3]; /* dt/2 and dt, in band voxels per mm per unit time */
    const float *y, *first, *mid;
    float *out, *eta;
    float *at_mid, *e_first, *e_mid; /* per particle: midpoint, cotangents of the two samples */
    double *partial;                 /* largest |e_first|, |e_mid|, |v_first z|, |y z| */
    int64_t parts;
    int64_t *sums; /* of first, then of mid, 3 planes each */
    float *cot_first, *cot_mid;
    double quantum_first, quantum_mid; /* sums are in units of these */
} RegTrackArgs;

static RegTrackArgs reg_track_args(const VslField *y, const VslField *v, double dt, const double h[3])
{
    RegTrackArgs t;
    memset(&t, 0, sizeof t);
    t.band.nx = (int32_t)v->n[0];
    t.band.ny = (int32_t)v->n[1];
    t.band.nz = (int32_t)v->n[2];
    t.band_count = v->n[0] * v->n[1] * v->n[2];
    t.row = y->n[0];
    t.rows = y->n[1];
    t.count = y->n[0] * y->n[1] * y->n[2];
    t.y = y->data;
    for (int d = 0; d < 3; d++) {
        t.half[d] = (float)(0.5 * dt / h[d]);
        t.full[d] = (float)(dt / h[d]);
    }
    return t;
}

VSL_BODY void reg_start_particle(const RegTrackArgs *t, int64_t q)
{
    const double i = (double)(q % t->row), j = (double)(q / t->row % t->rows), k = (double)(q / (t->row * t->rows));
    for (int c = 0; c < 3; c++) {
        const double *m = t->to_band[c];
        t->out[q + c * t->count] = (float)(m[1] * j + m[2] * k + m[3] + m[0] * i);
    }
}
VSL_KERNEL(reg_start_particle, RegTrackArgs)

VslStatus reg_device_particles_start(VslField *y, const VslAffine *to_band)
{
    const double unit[3] = {1, 1, 1};
    RegTrackArgs t = reg_track_args(y, y, 0, unit);
    t.out = y->data;
    memcpy(t.to_band, to_band->m, sizeof t.to_band);
    return reg_start_particle_launch(y->be, t, t.count);
}

VSL_BODY RegVec3 reg_read3(const float *f, int64_t at, int64_t plane)
{
    RegVec3 r;
    r.x = f[at];
    r.y = f[at + plane];
    r.z = f[at + 2 * plane];
    return r;
}

VSL_BODY void reg_write3(float *f, int64_t at, int64_t plane, RegVec3 r)
{
    f[at] = r.x;
    f[at + plane] = r.y;
    f[at + 2 * plane] = r.z;
}

/* p + w v, component by component. */
VSL_BODY RegVec3 reg_advance(RegVec3 p, const float w[3], RegVec3 v)
{
    RegVec3 r;
    r.x = p.x + w[0] * v.x;
    r.y = p.y + w[1] * v.y;
    r.z = p.z + w[2] * v.z;
    return r;
}

/* Three components of a velocity at a point. */
VSL_BODY RegVec3 reg_velocity_at(const float *v, int64_t b, RegSize band, RegVec3 p)
{
    const RegCubic c = reg_cubic_periodic(band, p);
    RegVec3 r;
    r.x = reg_cubic_sample(v, &c);
    r.y = reg_cubic_sample(v + b, &c);
    r.z = reg_cubic_sample(v + 2 * b, &c);
    return r;
}

VSL_BODY void reg_step_particle(const RegTrackArgs *t, int64_t q)
{
    const RegVec3 y = reg_read3(t->y, q, t->count);
    const RegVec3 m = reg_advance(y, t->half, reg_velocity_at(t->first, t->band_count, t->band, y));
    const RegVec3 mid = reg_velocity_at(t->mid, t->band_count, t->band, m);
    reg_write3(t->out, q, t->count, reg_advance(y, t->full, mid));
}
VSL_KERNEL(reg_step_particle, RegTrackArgs)

VslStatus reg_device_particles_step(VslField *out, const VslField *y, const VslField *v_first, const VslField *v_mid,
                                    double dt, const double h[3])
{
    RegTrackArgs t = reg_track_args(y, v_first, dt, h);
    t.out = out->data;
    t.first = v_first->data;
    t.mid = v_mid->data;
    return reg_step_particle_launch(y->be, t, t.count);
}

/* Adds e grad v of one component to a position's cotangent. */
VSL_BODY void reg_pull_component(RegVec3 *cotangent, const float *v, const RegCubic *c, float e)
{
    const RegSlope s = reg_cubic_sample_slope(v, c);
    cotangent->x += e * s.dx;
    cotangent->y += e * s.dy;
    cotangent->z += e * s.dz;
}

/* Cotangent of a position at which v was sampled with cotangent e. */
VSL_BODY RegVec3 reg_pull(const float *v, int64_t b, RegSize band, RegVec3 p, RegVec3 e)
{
    const RegCubic c = reg_cubic_periodic(band, p);
    RegVec3 r;
    r.x = r.y = r.z = 0;
    reg_pull_component(&r, v, &c, e.x);
    reg_pull_component(&r, v + b, &c, e.y);
    reg_pull_component(&r, v + 2 * b, &c, e.z);
    return r;
}

/* The chain back through one step; what must be scattered is kept per particle. */
VSL_BODY void reg_pull_particle(const RegTrackArgs *t, int64_t q)
{
    const int64_t b = t->band_count, n = t->count;
    const RegVec3 y = reg_read3(t->y, q, n), eta = reg_read3(t->eta, q, n);
    const RegVec3 m = reg_advance(y, t->half, reg_velocity_at(t->first, b, t->band, y));
    RegVec3 e_mid, e_first, out;
    e_mid.x = t->full[0] * eta.x;
    e_mid.y = t->full[1] * eta.y;
    e_mid.z = t->full[2] * eta.z;
    const RegVec3 eta_m = reg_pull(t->mid, b, t->band, m, e_mid);
    e_first.x = t->half[0] * eta_m.x;
    e_first.y = t->half[1] * eta_m.y;
    e_first.z = t->half[2] * eta_m.z;
    const RegVec3 back = reg_pull(t->first, b, t->band, y, e_first);
    out.x = eta.x + eta_m.x + back.x;
    out.y = eta.y + eta_m.y + back.y;
    out.z = eta.z + eta_m.z + back.z;
    reg_write3(t->eta, q, n, out);
    reg_write3(t->at_mid, q, n, m);
    reg_write3(t->e_first, q, n, e_first);
    reg_write3(t->e_mid, q, n, e_mid);
}
VSL_KERNEL(reg_pull_particle, RegTrackArgs)

VSL_BODY double reg_largest_of(const float *f, int64_t begin, int64_t end, int64_t step)
{
    double r = 0;
    for (int64_t i = begin; i < end; i += step) {
        r = vsl_larger(r, (double)fabsf(f[i]));
    }
    return r;
}

VSL_BODY void reg_track_largest(const RegTrackArgs *t, int64_t part)
{
    t->partial[part] = reg_largest_of(t->e_first, part, 3 * t->count, t->parts);
    t->partial[part + t->parts] = reg_largest_of(t->e_mid, part, 3 * t->count, t->parts);
    t->partial[part + 2 * t->parts] = reg_largest_of(t->first + 2 * t->band_count, part, t->band_count, t->parts);
    t->partial[part + 3 * t->parts] = reg_largest_of(t->y + 2 * t->count, part, t->count, t->parts);
}
VSL_KERNEL(reg_track_largest, RegTrackArgs)

VSL_BODY void reg_clear_sums(const RegTrackArgs *t, int64_t i)
{
    t->sums[i] = 0;
}
VSL_KERNEL(reg_clear_sums, RegTrackArgs)

/* Adds the weighted e into one component at the 64 nodes of a cell; `unit` is one over the quantum. */
VSL_BODY void reg_scatter(int64_t *sums, const RegCubic *c, float e, double unit)
{
    const double scaled = (double)e * unit;
    for (int k = 0; k < 4; k++) {
        for (int j = 0; j < 4; j++) {
            int64_t *row = sums + c->z[k] + c->y[j];
            const double weighted = scaled * (double)(c->wz[k] * c->wy[j]);
            for (int i = 0; i < 4; i++) {
                vsl_device_add(row + c->x[i], llrint(weighted * (double)c->wx[i]));
            }
        }
    }
}

/* thread = particle, then which of the two velocities */
VSL_BODY void reg_scatter_particle(const RegTrackArgs *t, int64_t thread)
{
    const int64_t n = t->count, b = t->band_count, q = thread % n;
    const int mid = thread >= n;
    const RegCubic c = reg_cubic_periodic(t->band, reg_read3(mid ? t->at_mid : t->y, q, n));
    const double unit = 1 / (mid ? t->quantum_mid : t->quantum_first);
    for (int d = 0; d < 3; d++) {
        reg_scatter(t->sums + (3 * mid + d) * b, &c, (mid ? t->e_mid : t->e_first)[q + d * n], unit);
    }
}
VSL_KERNEL(reg_scatter_particle, RegTrackArgs)

VSL_BODY void reg_add_sums(const RegTrackArgs *t, int64_t i)
{
    t->cot_first[i] += (float)((double)t->sums[i] * t->quantum_first);
    t->cot_mid[i] += (float)((double)t->sums[i + 3 * t->band_count] * t->quantum_mid);
}
VSL_KERNEL(reg_add_sums, RegTrackArgs)

/* The power of two in which sums of `count` terms up to `largest` stay below 2^61; the cubic weights that meet at one
 * node, on a flat axis all four, may add up to twice that. */
static double reg_quantum(double largest, int64_t count)
{
    int exponent = 0;
    (void)frexp(largest * (double)count, &exponent);
    return ldexp(1.0, exponent < -900 ? -961 : exponent - 61);
}

VslStatus reg_device_particles_adjoint(VslField *eta, VslField *cot_first, VslField *cot_mid, const VslField *y,
                                       const VslField *v_first, const VslField *v_mid, double dt, const double h[3])
{
    VslStatus st = VSL_OK;
    VslBackend *be = y->be;
    RegTrackArgs t = reg_track_args(y, v_first, dt, h);
    const int64_t n = t.count, b = t.band_count;
    float *scratch = NULL;
    double largest[4];
    t.parts = vsl_device_parts(3 * (n > b ? n : b)) / 4 + 1; /* several values a thread */
    VSL_TRY(vsl_backend_scratch(&scratch, be, 12 * b + vsl_device_reduce_floats(t.parts, 4) + 9 * n));
    t.sums = (int64_t *)(void *)scratch;
    t.partial = (double *)(void *)(scratch + 12 * b);
    t.at_mid = scratch + 12 * b + vsl_device_reduce_floats(t.parts, 4);
    t.e_first = t.at_mid + 3 * n;
    t.e_mid = t.e_first + 3 * n;
    t.first = v_first->data;
    t.mid = v_mid->data;
    t.eta = eta->data;
    t.cot_first = cot_first->data;
    t.cot_mid = cot_mid->data;
    VSL_TRY(reg_pull_particle_launch(be, t, n));
    VSL_TRY(reg_track_largest_launch(be, t, t.parts));
    VSL_TRY(vsl_device_reduce(largest, be, t.partial, t.parts, 4, VSL_REDUCE_LARGEST));
    VSL_CHECK(fabs((double)t.half[2]) * largest[2] < (double)t.band.nz, VSL_E_NUMERIC,
              "the velocity is not finite or crosses the whole image");
    VSL_CHECK(largest[3] <= 3 * (double)t.band.nz && largest[0] < 1e38 && largest[1] < 1e38, VSL_E_NUMERIC,
              "particles left the velocity's domain; the deformation has diverged");
    t.quantum_first = reg_quantum(largest[0], n);
    t.quantum_mid = reg_quantum(largest[1], n);
    VSL_TRY(reg_clear_sums_launch(be, t, 6 * b));
    VSL_TRY(reg_scatter_particle_launch(be, t, 2 * n));
    VSL_TRY(reg_add_sums_launch(be, t, 3 * b));
out:
    return st;
}

#endif
