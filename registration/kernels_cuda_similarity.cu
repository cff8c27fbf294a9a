/* The loops of device_similarity_private.h as CUDA kernels. */
#include "core/cuda_private.cuh"
#include "registration/device_similarity_private.h"
