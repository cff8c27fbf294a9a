/**
 * Rigid and affine alignment. @test registration/test_affine.c
 *
 * Finds the world map A (fixed points -> moving points, mm, RAS+) that minimises a similarity of fixed(x) and
 * moving(A x). Coarse to fine; rigid: 3 rotations and 3 translations about the fixed image's centre of mass; affine: 12
 * parameters. Starts from the headers, or from the centres of mass when that overlaps better, or from `initial`.
 */
#ifndef VSL_REGISTRATION_AFFINE_H
#define VSL_REGISTRATION_AFFINE_H

#include "core/options.h"
#include "core/volume.h"
#include "registration/progress.h"
#include "registration/similarity.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VslLinearKind { VSL_LINEAR_RIGID = 1, VSL_LINEAR_AFFINE } VslLinearKind;

typedef struct VslAffineOptions { /* {0} = all defaults, see the table */
    VslSimilarity similarity;
    int iterations; /* most per level */
    int levels;
    VslProgressFn *progress;
    void *progress_user;
} VslAffineOptions;
extern VSL_API const VslOption vsl_affine_option_table[];

typedef struct VslAffineResult {
    VslAffine affine;
    /* Mean over the overlap at the finest level used, higher is better (SSD: negative); before: at `initial` or at the
     * headers' identity, NAN when the images do not overlap there. */
    double similarity_before, similarity_after;
    /* The images are also aligned the other way, moving to fixed, up to the level before the finest. Mean distance
     * between a point of the fixed object and where the two maps lead it, there and back, mm: of a good pair a fraction
     * of that level's voxel, of a lost one often large. NAN when too little of the moving image is met, and for a rigid
     * motion of `initial`. radius_mm: root mean square distance of the fixed object from its centre, for comparison. */
    double disagreement_mm, radius_mm;
    int iterations; /* of both */
    double seconds;
} VslAffineResult;

/** One stage; images of one channel. Without `initial` the coarsest level tries headers and centres of mass with
 * several rotations; with it only `initial` is improved (rigid: by a rotation and a translation, whatever it holds
 * itself). When either image is one voxel thick, only motion within the fixed image's plane is looked for. fixed_mask,
 * moving_mask: one channel, or NULL. initial: NULL = headers / centres of mass.
 * @return VSL_E_NUMERIC (an image is blank, or no overlap), VSL_E_CANCELLED, VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_affine_register(VslAffineResult *out, const VslVolume *fixed,
                                                   const VslVolume *moving, const VslVolume *fixed_mask,
                                                   const VslVolume *moving_mask, const VslAffine *initial,
                                                   VslLinearKind kind, const VslAffineOptions *opt, VslBackend *be);

#ifdef __cplusplus
}
#endif
#endif
