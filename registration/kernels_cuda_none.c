/* Without CUDA no backend but the CPU can be opened, so nobody asks for this table. */
#include "registration/kernels.h"

const RegKernels *reg_kernels_cuda(void)
{
    return NULL;
}
