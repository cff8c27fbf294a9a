/* The loops of device_volume_private.h as CUDA kernels. */
#include "core/cuda_private.cuh"
#include "registration/device_volume_private.h"
