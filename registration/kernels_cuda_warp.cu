/* The loops of device_warp_private.h as CUDA kernels. */
#include "core/cuda_private.cuh"
#include "registration/device_warp_private.h"
