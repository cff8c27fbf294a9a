/* The loops of device_linear_private.h as CUDA kernels. */
#include "core/cuda_private.cuh"
#include "registration/device_linear_private.h"
