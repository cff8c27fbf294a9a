/* The loops of device_mi_private.h as CUDA kernels. */
#include "core/cuda_private.cuh"
#include "registration/device_mi_private.h"
