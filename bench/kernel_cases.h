/* The kernels of a registration as cases: what to run, how to know that the result is right, how much it must move. */
#ifndef VSL_BENCH_KERNEL_CASES_H
#define VSL_BENCH_KERNEL_CASES_H

#include "registration/lddmm_problem.h"

typedef struct Setup {
    RegProblem problem, lncc;                      /* the parts; a whole evaluation as the default preset has it */
    VslField ones, a, b, c, cot, windows, scratch; /* ones, c: image grid; a, b, cot: band grid */
    VslField tick;                                 /* one value: its download waits for all before it */
    VslField eta, positions;                       /* lattice */
    int radius[3];
} Setup;

typedef struct KernelCase {
    const char *name;
    VslStatus (*run)(Setup *s);   /* what is timed */
    VslStatus (*check)(Setup *s); /* prepares, runs, and compares with what must come out; before any timing */
    enum { ON_BAND, ON_LATTICE, ON_IMAGE } grid;
    double floats; /* per voxel of that grid that must be read or written at least */
} KernelCase;

extern const KernelCase kernel_cases[];

/** Images of n voxels at 1 mm with texture, a velocity band at 4 mm, particles where they start. */
VSL_MUST_USE VslStatus setup_new(Setup *out, VslBackend *be, const int64_t n[3]);
void setup_free(Setup *s);

#endif
