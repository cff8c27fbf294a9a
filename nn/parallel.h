/**
 * Data parallel training: several processes, each with the whole model and its part of every batch, average their
 * gradients after the backward pass. LibTorch's own transport: Gloo between hosts' processors, NCCL between CUDA
 * devices. Sums are formed in one order, so that every rank holds the same bits, and two runs of the same size agree.
 *
 * A rank whose step failed still takes part, and then the step fails on every rank: no rank goes on alone, none waits.
 * A rank that is gone is noticed after timeout_s. @test nn/test_group.c
 */
#ifndef VSL_NN_PARALLEL_H
#define VSL_NN_PARALLEL_H

#include "nn/params.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct NnGroup NnGroup;
typedef struct NnGroupOptions {
    int rank, size;        /* this process is `rank` of 0..size-1 */
    const char *store;     /* where the ranks meet: "file:PATH" (a file that does not exist yet, on a disk that all
                              see) or "tcp:HOST:PORT" of rank 0 */
    const char *interface; /* network interface of this host for Gloo ("eth0"), NULL = that of the host's name */
    double timeout_s;      /* for a rank that does not answer; 0 = 600 */
} NnGroupOptions;

/** Meets the other ranks; waits for them. @return VSL_E_ARG, VSL_E_EXTERNAL (a rank did not come), VSL_E_UNSUPPORTED
 * (LibTorch was built without a transport for the runtime's device). */
VSL_API VSL_MUST_USE VslStatus nn_group_open(NnGroup **out, NnRuntime *rt, const NnGroupOptions *opt);
VSL_API void nn_group_close(NnGroup **g);
VSL_API int nn_group_rank(const NnGroup *g);
VSL_API int nn_group_size(const NnGroup *g);
/** Every rank takes the weights of rank `root`. */
VSL_API void nn_group_share(NnScope *s, NnGroup *g, NnParams *p, int root);
/** Every gradient becomes the mean over the ranks; a rank without one counts as zeros. Clip and step after it. */
VSL_API void nn_group_mean_gradients(NnScope *s, NnGroup *g, NnParams *p);
/** Every value becomes the sum over the ranks (losses, counts). Unchanged when a rank failed. */
VSL_API void nn_group_sum(NnScope *s, NnGroup *g, double *values, int count);

#ifdef __cplusplus
}
#endif
#endif
