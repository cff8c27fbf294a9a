/* The loops of device_band_private.h as CUDA kernels. */
#include "core/cuda_private.cuh"
#include "registration/device_band_private.h"
