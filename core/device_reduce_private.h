/* Reductions of a device, in the common subset of C17 and CUDA C++.
 *
 * The file that includes a device_*_private.h first includes one that says what a launch is: VSL_BODY marks what one
 * thread does, and VSL_KERNEL(body, Args) makes body_launch(be, args, threads). core/cuda_private.cuh makes a CUDA
 * kernel of it; tests/parity/emulated.h loops over blocks and threads, so that the same bodies and launchers are tested
 * where there is no GPU. Threads of a launch share nothing but integer sums by vsl_device_add, whose order does not
 * matter.
 *
 * Where threads must share, VSL_TEAM_KERNEL(body, Args) makes body_launch(be, args, teams, steps, bytes): teams of
 * VSL_TEAM threads with `bytes` of shared memory, of unknown content at first. Every step has two phases; each thread
 * of a team runs body(args, shared, team, thread, step, phase), and all are through before any begins the next phase.
 * Within a phase no thread may read what another one writes.
 *
 * A reduction is a fixed tree: thread q of `parts` combines elements q, q + parts, .. into partial[q] (the caller's
 * kernel); VSL_LANES threads combine the partial values; the host combines those in order. All in double. Neither the
 * device's size nor its timing can change the result. @test tests/parity/test_cuda_emulated.c */
#ifndef VSL_CORE_DEVICE_REDUCE_PRIVATE_H
#define VSL_CORE_DEVICE_REDUCE_PRIVATE_H

#include "core/backend_private.h"

enum { VSL_TEAM = 256, VSL_LANES = 256, VSL_MOST_PARTS = 1 << 18, VSL_MOST_SETS = 12 };
enum { VSL_REDUCE_SUM, VSL_REDUCE_LARGEST };

/* Threads of a reduction over `count` elements: a function of count alone. */
static inline int64_t vsl_device_parts(int64_t count)
{
    return count < VSL_MOST_PARTS ? count : (int64_t)VSL_MOST_PARTS;
}

/* Floats of scratch for `sets` reductions side by side, to lie on 8 bytes. */
static inline int64_t vsl_device_reduce_floats(int64_t parts, int sets)
{
    return 2 * (parts + VSL_LANES) * sets;
}

/* A NaN, once seen, stays. */
VSL_BODY double vsl_larger(double a, double b)
{
    return b <= a || a != a ? a : b;
}

typedef struct VslReduceArgs {
    const double *from; /* sets of `parts` */
    double *to;         /* sets of VSL_LANES */
    int64_t parts;
    int op;
} VslReduceArgs;

VSL_BODY void vsl_reduce_lane(const VslReduceArgs *a, int64_t thread)
{
    const double *from = a->from + thread / VSL_LANES * a->parts;
    double r = 0;
    for (int64_t q = thread % VSL_LANES; q < a->parts; q += VSL_LANES) {
        r = a->op == VSL_REDUCE_SUM ? r + from[q] : vsl_larger(r, from[q]);
    }
    a->to[thread] = r;
}
VSL_KERNEL(vsl_reduce_lane, VslReduceArgs)

/* out[set] from partial[set * parts ..], device memory with room for the lanes behind it. Waits for the device. */
static VslStatus vsl_device_reduce(double *out, VslBackend *be, double *partial, int64_t parts, int sets, int op)
{
    VslStatus st = VSL_OK;
    double lanes[VSL_MOST_SETS * VSL_LANES];
    VslReduceArgs a;
    a.from = partial;
    a.to = partial + parts * sets;
    a.parts = parts;
    a.op = op;
    VSL_TRY(vsl_reduce_lane_launch(be, a, (int64_t)sets * VSL_LANES));
    VSL_TRY(be->table->download(be, (float *)(void *)lanes, (const float *)(const void *)a.to,
                                (int64_t)2 * sets * VSL_LANES));
    for (int s = 0; s < sets; s++) {
        double r = 0;
        for (int q = 0; q < VSL_LANES; q++) {
            const double x = lanes[s * VSL_LANES + q];
            r = op == VSL_REDUCE_SUM ? r + x : (x <= r || r != r ? r : x);
        }
        out[s] = r;
    }
out:
    return st;
}

#endif
