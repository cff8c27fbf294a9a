/* The loops of device_particles_private.h as CUDA kernels. */
#include "core/cuda_private.cuh"
#include "registration/device_particles_private.h"
