/* What a long computation tells its caller. Called on the caller's thread, never concurrently. */
#ifndef VSL_REGISTRATION_PROGRESS_H
#define VSL_REGISTRATION_PROGRESS_H

typedef struct VslProgress {
    const char *stage;         /* "rigid", "affine", "lddmm" */
    int level, levels;         /* 1-based, coarse to fine */
    int iteration, iterations; /* within the level; iterations is the most it may take */
    double energy;
    double fraction; /* estimated share of the stage's work that is done, 0..1 */
} VslProgress;

/** Return non-zero to stop: the call then returns VSL_E_CANCELLED. */
typedef int VslProgressFn(const VslProgress *p, void *user);

#endif
