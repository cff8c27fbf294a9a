/**
 * The engine under shooting and LDDMM: one geodesic on one band grid, forward and transposed.
 *
 * Forward: EPDiff in the momentum, dm/dt = F(m), v = K m, by classical Runge-Kutta (four stages a step, all kept);
 * particles follow dy/dt = v backward from t = 1 (or forward from t = 0) by midpoint steps that use the velocities at
 * the nodes of time and at the third stages, which are third-order values of v at mid step.
 * Transpose: the exact derivative of those discrete steps, in reverse order. Source of the continuous equations:
 * Vialard et al., IJCV 2012; signs as in docs/maths/lddmm.md. @test registration/test_flow.c
 */
#ifndef VSL_REGISTRATION_FLOW_H
#define VSL_REGISTRATION_FLOW_H

#include "core/geodesic.h"
#include "registration/kernels.h"

#ifdef __cplusplus
extern "C" {
#endif

enum { REG_FLOW_WORK = 9 };

typedef struct RegFlow {
    VslBackend *be;       /* borrowed */
    const RegKernels *op; /* the backend's loops */
    int64_t n[3];         /* band grid */
    double h[3];          /* its spacing, mm */
    int steps;
    VslFilter *filter;
    VslField smooth;       /* symbol of K */
    VslField root;         /* symbol of L^(1/2) */
    VslField inverse_root; /* symbol of K^(1/2) */
    VslField *m;           /* momenta at the steps + 1 nodes of time; the last is t = 1 */
    VslField *v;           /* velocities: that of node i at 2 i, that of mid step i at 2 i + 1 */
    VslField *cot;         /* 2 * steps fields of the transpose, made on first use: nodes 1..steps, then mid steps */
    VslField work[REG_FLOW_WORK]; /* a step's other stages, which the transpose makes again, and its own */
    VslField *y;                  /* steps + 1 positions of particles at the nodes of time, see reg_flow_pull_back */
    int64_t y_n[3];
    VslRecord *shooting, *back; /* of the launches of both ways */
} RegFlow;

/** Plans a band grid. {0} is empty; free with reg_flow_free. */
VSL_MUST_USE VslStatus reg_flow_new(RegFlow *out, VslBackend *be, const int64_t n[3], const double h[3],
                                    const VslKernel *kernel, int steps);
void reg_flow_free(RegFlow *f);
/** Another number of time steps; the path is lost, m[0] is kept. */
VSL_MUST_USE VslStatus reg_flow_set_steps(RegFlow *f, int steps);
/** Integrates from f->m[0], which the caller has filled. *energy_drift: largest relative change of <m, v> over the
 * nodes of time; *norm2: <m_0, v_0> as an integral over the box, mm^3. @return VSL_E_NUMERIC when not finite.
 */
VSL_MUST_USE VslStatus reg_flow_shoot(RegFlow *f, double *norm2, double *energy_drift);
/** Particles that start at to_band(i, j, k) for the nodes of `n` at t = 1 end at f->y[0] (band voxels, t = 0): samples
 * of phi_1^-1. All positions on the way are kept for the transpose. */
VSL_MUST_USE VslStatus reg_flow_pull_back(RegFlow *f, const int64_t n[3], const VslAffine *to_band);
/** One field of particles through the whole flow without keeping the way; forward: t = 0 to 1, phi_1. */
VSL_MUST_USE VslStatus reg_flow_carry(RegFlow *f, VslField *y, int forward);
/** eta: derivative of some D with respect to f->y[0] (destroyed). cot_m0 = derivative with respect to f->m[0]. */
VSL_MUST_USE VslStatus reg_flow_adjoint(RegFlow *f, VslField *cot_m0, VslField *eta);

#ifdef __cplusplus
}
#endif
#endif
