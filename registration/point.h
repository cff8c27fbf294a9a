/**
 * The arithmetic of one voxel or particle, written once for the CPU's loops and the GPU's threads.
 *
 * Positions are in voxels of the grid that is sampled. Sampling is trilinear; the derivative returned is that of this
 * interpolant at the point (not a difference quotient), because gradients must be exact derivatives of the discrete
 * energy. It jumps at voxel centres, where an identity between equal grids puts every sample and rounding would choose
 * the side; a warp's slope is therefore the mean over REG_KINK voxels to either side. Indices of one field fit in int32
 * (registration/flow.c and lddmm.c check), which lets the CPU gather 16 lanes.
 * @test registration/test_flow.c, test_lddmm_gradient.c, test_point.c
 */
#ifndef VSL_REGISTRATION_POINT_H
#define VSL_REGISTRATION_POINT_H

#include <math.h>
#include <stdint.h>

#include "core/hd.h"

typedef struct RegVec3 {
    float x, y, z;
} RegVec3;

typedef struct RegSize {
    int32_t nx, ny, nz;
} RegSize;

/* The cell of a point: offsets of its eight corners and the position within it, 0..1. */
typedef struct RegCell {
    int32_t x0, x1, y0, y1, z0, z1; /* y and z already times their strides */
    float fx, fy, fz;
} RegCell;

/* floor(x) as an integer without a library call; garbage in (NaN, huge) gives some integer, the callers clamp it. */
VSL_HD int32_t reg_floor_index(float x)
{
    const float clamped = x > -1e9f ? (x < 1e9f ? x : 1e9f) : -1e9f; /* NaN -> -1e9 */
    const int32_t i = (int32_t)clamped;
    return i - (clamped < (float)i ? 1 : 0);
}

VSL_HD int32_t reg_clamp_index(int32_t i, int32_t n)
{
    const int32_t low = i < 0 ? 0 : i;
    return low < n ? low : n - 1;
}

/* Index on a periodic axis for positions within one period of the grid; farther ones are clamped, never out of bounds.
 */
VSL_HD int32_t reg_wrap_index(int32_t i, int32_t n)
{
    const int32_t up = i < 0 ? i + n : i;
    return reg_clamp_index(up >= n ? up - n : up, n);
}

/* Cell on a periodic grid. */
VSL_HD RegCell reg_cell_periodic(RegSize n, RegVec3 p)
{
    RegCell c;
    const int32_t i = reg_floor_index(p.x), j = reg_floor_index(p.y), k = reg_floor_index(p.z);
    c.fx = p.x - (float)i;
    c.fy = p.y - (float)j;
    c.fz = p.z - (float)k;
    c.x0 = reg_wrap_index(i, n.nx);
    c.x1 = c.x0 + 1 == n.nx ? 0 : c.x0 + 1;
    const int32_t y0 = reg_wrap_index(j, n.ny), y1 = y0 + 1 == n.ny ? 0 : y0 + 1;
    const int32_t z0 = reg_wrap_index(k, n.nz), z1 = z0 + 1 == n.nz ? 0 : z0 + 1;
    c.y0 = y0 * n.nx;
    c.y1 = y1 * n.nx;
    c.z0 = z0 * n.nx * n.ny;
    c.z1 = z1 * n.nx * n.ny;
    return c;
}

/* Cell on an image with replicated borders: beyond the first or last voxel centre the edge value holds, slope 0.
 * Written without nested choices, which would keep loops from being vectorized. */
VSL_HD RegCell reg_cell_clamped(RegSize n, RegVec3 p)
{
    RegCell c;
    const float mx = (float)(n.nx - 1), my = (float)(n.ny - 1), mz = (float)(n.nz - 1);
    const float lx = p.x > 0 ? p.x : 0, ly = p.y > 0 ? p.y : 0, lz = p.z > 0 ? p.z : 0;
    const float x = lx < mx ? lx : mx, y = ly < my ? ly : my, z = lz < mz ? lz : mz;
    const int32_t i = (int32_t)x, j = (int32_t)y, k = (int32_t)z;
    c.fx = x - (float)i;
    c.fy = y - (float)j;
    c.fz = z - (float)k;
    c.x0 = i;
    c.x1 = i + ((p.x > 0) & (i + 1 < n.nx));
    c.y0 = j * n.nx;
    c.y1 = (j + ((p.y > 0) & (j + 1 < n.ny))) * n.nx;
    c.z0 = k * n.nx * n.ny;
    c.z1 = (k + ((p.z > 0) & (k + 1 < n.nz))) * (n.nx * n.ny);
    return c;
}

VSL_HD float reg_lerp(float a, float b, float t)
{
    return a + t * (b - a);
}

VSL_HD float reg_sample(const float *f, RegCell c)
{
    const float a = reg_lerp(f[c.z0 + c.y0 + c.x0], f[c.z0 + c.y0 + c.x1], c.fx);
    const float b = reg_lerp(f[c.z0 + c.y1 + c.x0], f[c.z0 + c.y1 + c.x1], c.fx);
    const float d = reg_lerp(f[c.z1 + c.y0 + c.x0], f[c.z1 + c.y0 + c.x1], c.fx);
    const float e = reg_lerp(f[c.z1 + c.y1 + c.x0], f[c.z1 + c.y1 + c.x1], c.fx);
    return reg_lerp(reg_lerp(a, b, c.fy), reg_lerp(d, e, c.fy), c.fz);
}

/* Value and derivative per voxel of the interpolant. */
typedef struct RegSlope {
    float value, dx, dy, dz;
} RegSlope;

VSL_HD RegSlope reg_sample_slope(const float *f, RegCell c)
{
    const float f000 = f[c.z0 + c.y0 + c.x0], f100 = f[c.z0 + c.y0 + c.x1], f010 = f[c.z0 + c.y1 + c.x0],
                f110 = f[c.z0 + c.y1 + c.x1], f001 = f[c.z1 + c.y0 + c.x0], f101 = f[c.z1 + c.y0 + c.x1],
                f011 = f[c.z1 + c.y1 + c.x0], f111 = f[c.z1 + c.y1 + c.x1];
    const float a = reg_lerp(f000, f100, c.fx), b = reg_lerp(f010, f110, c.fx), d = reg_lerp(f001, f101, c.fx),
                e = reg_lerp(f011, f111, c.fx);
    const float low = reg_lerp(a, b, c.fy), high = reg_lerp(d, e, c.fy);
    RegSlope s;
    s.value = reg_lerp(low, high, c.fz);
    s.dx = reg_lerp(reg_lerp(f100 - f000, f110 - f010, c.fy), reg_lerp(f101 - f001, f111 - f011, c.fy), c.fz);
    s.dy = reg_lerp(b - a, e - d, c.fz);
    s.dz = high - low;
    return s;
}

/* Half the length, in voxels, over which slopes are averaged across a voxel centre: far above the rounding of
 * positions, far below what a registration resolves. */
#define REG_KINK 0.0009765625f

/* How far a coordinate is from the nearest voxel centre of its axis, given its position in the cell; never near one
 * where the axis is flat. */
VSL_HD float reg_centre_distance(float x, float fraction, int32_t n)
{
    const float half = 0.5f * (float)(n - 1), rest = 1 - fraction, within = fraction < rest ? fraction : rest,
                outside = fabsf(x - half) - half, d = within > outside ? within : outside;
    return n > 1 ? d : 1;
}

/* 1 where the slope of the interpolant must be averaged; c: the clamped cell of p. */
VSL_HD int reg_near_kink(RegSize n, RegVec3 p, RegCell c)
{
    const float x = reg_centre_distance(p.x, c.fx, n.nx), y = reg_centre_distance(p.y, c.fy, n.ny),
                z = reg_centre_distance(p.z, c.fz, n.nz), xy = x < y ? x : y;
    return (xy < z ? xy : z) < REG_KINK;
}

/* Mean slope along the axis `unit` over REG_KINK to either side of a point `beyond` past the voxel centre c. */
VSL_HD float reg_slope_across(const float *f, RegSize n, RegVec3 c, RegVec3 unit, float beyond)
{
    RegVec3 low = c, high = c;
    low.x -= unit.x;
    low.y -= unit.y;
    low.z -= unit.z;
    high.x += unit.x;
    high.y += unit.y;
    high.z += unit.z;
    const float here = reg_sample(f, reg_cell_clamped(n, c));
    return reg_lerp(here - reg_sample(f, reg_cell_clamped(n, low)), reg_sample(f, reg_cell_clamped(n, high)) - here,
                    0.5f + beyond * (0.5f / REG_KINK));
}

/* Value and slope of an image with replicated borders, the slope averaged along each axis that is near a voxel centre.
 */
VSL_HD RegSlope reg_slope_averaged(const float *f, RegSize n, RegVec3 p)
{
    const RegCell at = reg_cell_clamped(n, p);
    RegSlope s = reg_sample_slope(f, at);
    const RegVec3 x = {1, 0, 0}, y = {0, 1, 0}, z = {0, 0, 1};
    if (reg_centre_distance(p.x, at.fx, n.nx) < REG_KINK) {
        const RegVec3 c = {(float)reg_floor_index(p.x + 0.5f), p.y, p.z};
        s.dx = reg_slope_across(f, n, c, x, p.x - c.x);
    }
    if (reg_centre_distance(p.y, at.fy, n.ny) < REG_KINK) {
        const RegVec3 c = {p.x, (float)reg_floor_index(p.y + 0.5f), p.z};
        s.dy = reg_slope_across(f, n, c, y, p.y - c.y);
    }
    if (reg_centre_distance(p.z, at.fz, n.nz) < REG_KINK) {
        const RegVec3 c = {p.x, p.y, (float)reg_floor_index(p.z + 0.5f)};
        s.dz = reg_slope_across(f, n, c, z, p.z - c.z);
    }
    return s;
}

VSL_HD RegVec3 reg_sample3(const float *x, const float *y, const float *z, RegCell c)
{
    RegVec3 v;
    v.x = reg_sample(x, c);
    v.y = reg_sample(y, c);
    v.z = reg_sample(z, c);
    return v;
}

/* Offsets of a voxel of a periodic grid and its six neighbours, and 1 / (2 h) per axis. */
typedef struct RegStencil {
    int32_t c, xm, xp, ym, yp, zm, zp;
    float rx, ry, rz;
} RegStencil;

/* (Du)^T m + div(m (x) u), central differences; planes of one field follow one another. EPDiff's right side is minus
 * this with u = v; its transpose uses it with u = the cotangent (flow.c). */
VSL_HD RegVec3 reg_transport(const float *m, const float *u, int64_t plane, RegStencil s)
{
    const float *mx = m, *my = m + plane, *mz = m + 2 * plane, *ux = u, *uy = u + plane, *uz = u + 2 * plane;
    const float cx = mx[s.c], cy = my[s.c], cz = mz[s.c];
    RegVec3 r;
    r.x = s.rx * ((ux[s.xp] - ux[s.xm]) * cx + (uy[s.xp] - uy[s.xm]) * cy + (uz[s.xp] - uz[s.xm]) * cz +
                  mx[s.xp] * ux[s.xp] - mx[s.xm] * ux[s.xm]) +
          s.ry * (mx[s.yp] * uy[s.yp] - mx[s.ym] * uy[s.ym]) + s.rz * (mx[s.zp] * uz[s.zp] - mx[s.zm] * uz[s.zm]);
    r.y = s.ry * ((ux[s.yp] - ux[s.ym]) * cx + (uy[s.yp] - uy[s.ym]) * cy + (uz[s.yp] - uz[s.ym]) * cz +
                  my[s.yp] * uy[s.yp] - my[s.ym] * uy[s.ym]) +
          s.rx * (my[s.xp] * ux[s.xp] - my[s.xm] * ux[s.xm]) + s.rz * (my[s.zp] * uz[s.zp] - my[s.zm] * uz[s.zm]);
    r.z = s.rz * ((ux[s.zp] - ux[s.zm]) * cx + (uy[s.zp] - uy[s.zm]) * cy + (uz[s.zp] - uz[s.zm]) * cz +
                  mz[s.zp] * uz[s.zp] - mz[s.zm] * uz[s.zm]) +
          s.rx * (mz[s.xp] * ux[s.xp] - mz[s.xm] * ux[s.xm]) + s.ry * (mz[s.yp] * uy[s.yp] - mz[s.ym] * uy[s.ym]);
    return r;
}

/* Derivative of one plane along another field: (a . grad) f at a voxel, central differences. */
VSL_HD float reg_directional(const float *f, RegVec3 a, RegStencil s)
{
    return s.rx * (f[s.xp] - f[s.xm]) * a.x + s.ry * (f[s.yp] - f[s.ym]) * a.y + s.rz * (f[s.zp] - f[s.zm]) * a.z;
}

/* Squared local correlation of one window and what its derivative needs.
 * e = -c^2 / (a b); p = 2 c / (a b); q = 2 c^2 / (a b^2). */
typedef struct RegLncc {
    float e, p, q;
} RegLncc;

VSL_HD RegLncc reg_lncc_terms(float covariance, float variance_i, float variance_j)
{
    RegLncc r;
    const float inv_a = 1.0f / variance_i, inv_b = 1.0f / variance_j, ca = covariance * inv_a;
    r.e = -covariance * ca * inv_b;
    r.p = 2.0f * ca * inv_b;
    r.q = -2.0f * r.e * inv_b;
    return r;
}

/* Weights of the cubic convolution interpolant (Keys 1981, a = -1/2) at fraction t for nodes -1, 0, 1, 2. */
VSL_HD void reg_cubic_weights(float w[4], float t)
{
    const float t2 = t * t, t3 = t2 * t;
    w[0] = -0.5f * t3 + t2 - 0.5f * t;
    w[1] = 1.5f * t3 - 2.5f * t2 + 1.0f;
    w[2] = -1.5f * t3 + 2.0f * t2 + 0.5f * t;
    w[3] = 0.5f * t3 - 0.5f * t2;
}

/* Derivatives of those weights in t. */
VSL_HD void reg_cubic_slopes(float d[4], float t)
{
    d[0] = (-1.5f * t + 2.0f) * t - 0.5f;
    d[1] = (4.5f * t - 5.0f) * t;
    d[2] = (-4.5f * t + 4.0f) * t + 0.5f;
    d[3] = (1.5f * t - 1.0f) * t;
}

/* The 4 x 4 x 4 nodes of a periodic grid around a point, with weights and their derivatives: velocities are cubic
 * between band nodes, because linear interpolation would take away a third of what lies near the end of the band. */
typedef struct RegCubic {
    int32_t x[4], y[4], z[4]; /* y and z already times their strides */
    float wx[4], wy[4], wz[4], dx[4], dy[4], dz[4];
} RegCubic;

VSL_HD RegCubic reg_cubic_periodic(RegSize n, RegVec3 p)
{
    RegCubic c;
    const int32_t i = reg_floor_index(p.x), j = reg_floor_index(p.y), k = reg_floor_index(p.z);
    reg_cubic_weights(c.wx, p.x - (float)i);
    reg_cubic_weights(c.wy, p.y - (float)j);
    reg_cubic_weights(c.wz, p.z - (float)k);
    reg_cubic_slopes(c.dx, p.x - (float)i);
    reg_cubic_slopes(c.dy, p.y - (float)j);
    reg_cubic_slopes(c.dz, p.z - (float)k);
    for (int q = 0; q < 4; q++) {
        c.x[q] = reg_wrap_index(i - 1 + q, n.nx);
        c.y[q] = reg_wrap_index(j - 1 + q, n.ny) * n.nx;
        c.z[q] = reg_wrap_index(k - 1 + q, n.nz) * n.nx * n.ny;
    }
    return c;
}

VSL_HD float reg_cubic_sample(const float *f, const RegCubic *c)
{
    float sum = 0;
    for (int k = 0; k < 4; k++) {
        for (int j = 0; j < 4; j++) {
            const float *row = f + c->z[k] + c->y[j];
            sum +=
                c->wz[k] * c->wy[j] *
                (c->wx[0] * row[c->x[0]] + c->wx[1] * row[c->x[1]] + c->wx[2] * row[c->x[2]] + c->wx[3] * row[c->x[3]]);
        }
    }
    return sum;
}

VSL_HD RegSlope reg_cubic_sample_slope(const float *f, const RegCubic *c)
{
    RegSlope s = {0, 0, 0, 0};
    for (int k = 0; k < 4; k++) {
        for (int j = 0; j < 4; j++) {
            const float *row = f + c->z[k] + c->y[j];
            const float v =
                c->wx[0] * row[c->x[0]] + c->wx[1] * row[c->x[1]] + c->wx[2] * row[c->x[2]] + c->wx[3] * row[c->x[3]];
            const float d =
                c->dx[0] * row[c->x[0]] + c->dx[1] * row[c->x[1]] + c->dx[2] * row[c->x[2]] + c->dx[3] * row[c->x[3]];
            s.value += c->wz[k] * c->wy[j] * v;
            s.dx += c->wz[k] * c->wy[j] * d;
            s.dy += c->wz[k] * c->dy[j] * v;
            s.dz += c->dz[k] * c->wy[j] * v;
        }
    }
    return s;
}

/* D y of lattice positions (band voxels per lattice step) by central differences at an inner node. Flat axes (step 0)
 * keep the identity. plane: nodes of one component. */
typedef struct RegMat3 {
    float m[3][3]; /* m[a][b] = d y_a / d x_b */
} RegMat3;

VSL_HD RegMat3 reg_lattice_gradient(const float *y, int64_t plane, int64_t at, const int64_t step[3])
{
    RegMat3 d;
    for (int a = 0; a < 3; a++) {
        for (int b = 0; b < 3; b++) {
            const float *f = y + a * plane + at;
            d.m[a][b] = step[b] > 0 ? 0.5f * (f[step[b]] - f[-step[b]]) : (a == b ? 1.0f : 0.0f);
        }
    }
    return d;
}

/* Cofactor (a, b): derivative of the determinant with respect to m[a][b]. */
VSL_HD float reg_cofactor(const RegMat3 *d, int a, int b)
{
    const int r1 = (a + 1) % 3, r2 = (a + 2) % 3, c1 = (b + 1) % 3, c2 = (b + 2) % 3;
    return d->m[r1][c1] * d->m[r2][c2] - d->m[r1][c2] * d->m[r2][c1];
}

VSL_HD float reg_determinant(const RegMat3 *d)
{
    return d->m[0][0] * reg_cofactor(d, 0, 0) + d->m[0][1] * reg_cofactor(d, 0, 1) + d->m[0][2] * reg_cofactor(d, 0, 2);
}

#endif
