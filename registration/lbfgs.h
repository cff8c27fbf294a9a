/**
 * Limited-memory BFGS for unknowns that live on a backend, with a backtracking line search.
 * Nocedal and Wright, Numerical Optimization, algorithms 7.4 and 3.1. @test registration/test_affine.c, test_lddmm.c
 */
#ifndef VSL_REGISTRATION_LBFGS_H
#define VSL_REGISTRATION_LBFGS_H

#include "core/backend.h"

#ifdef __cplusplus
extern "C" {
#endif

/** *energy and gradient at x. A trial point at which the energy cannot be computed sets *energy to infinity and returns
 * VSL_OK: the step is then shortened. */
typedef VslStatus RegObjective(void *ctx, double *energy, VslField *gradient, const VslField *x);
/** Called after every iteration; non-zero stops with VSL_E_CANCELLED. */
typedef int RegIterationFn(void *ctx, int iteration, double energy);

typedef struct RegLbfgsOptions {
    int iterations;          /* most */
    int history;             /* pairs kept */
    double first_step;       /* length of the first step's largest component */
    double energy_tolerance; /* stop when the last `window` iterations lowered the energy by less than this share */
    int window;
    double gradient_tolerance; /* stop when |g| falls below this share of the first |g| */
} RegLbfgsOptions;

typedef struct RegLbfgsResult {
    double energy_before, energy_after;
    int iterations, evaluations;
} RegLbfgsResult;

/** Minimises from x, in place. The last accepted point is in x and was the last evaluated one unless the line search
 * failed. */
VSL_MUST_USE VslStatus reg_lbfgs(RegLbfgsResult *out, VslField *x, RegObjective *objective, RegIterationFn *iteration,
                                 void *ctx, const RegLbfgsOptions *opt);

#ifdef __cplusplus
}
#endif
#endif
