/**
 * Images, fields and label maps in memory. Plain structs that everyone indexes; {0} is the empty object.
 * @test core/test_volume.c
 */
#ifndef VSL_CORE_VOLUME_H
#define VSL_CORE_VOLUME_H

#include "core/grid.h"
#include "core/memory.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef struct VslVolume {
    VslGrid grid;
    int channels; /* 1 image, 3 vector field; channel planes follow one another */
    float *data;  /* data[((c*n[2] + k)*n[1] + j)*n[0] + i], owned by the volume */
} VslVolume;

typedef struct VslLabels {
    VslGrid grid;
    int32_t *data; /* data[(k*n[1] + j)*n[0] + i]; 0 is background; never interpolated linearly */
} VslLabels;

/** New volume, zero-filled; out must be empty or is freed first on success. @return VSL_E_ARG, VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_volume_new(VslVolume *out, const VslGrid *grid, int channels);
VSL_API VSL_MUST_USE VslStatus vsl_volume_copy(VslVolume *out, const VslVolume *in);
/** Frees and empties; empty is allowed. */
VSL_API void vsl_volume_free(VslVolume *v);
/** out takes over in's data (out's old data are freed); in becomes empty. */
VSL_API void vsl_volume_move(VslVolume *out, VslVolume *in);
/** Borrowed one-channel view of channel c: valid while v lives, must not be freed. */
VSL_API VslVolume vsl_volume_view(const VslVolume *v, int c);

VSL_API VSL_MUST_USE VslStatus vsl_labels_new(VslLabels *out, const VslGrid *grid);
VSL_API void vsl_labels_free(VslLabels *l);
VSL_API void vsl_labels_move(VslLabels *out, VslLabels *in);

#ifdef __cplusplus
}
#endif
#endif
