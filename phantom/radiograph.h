/**
 * Simulated radiographs whose truth is known: chest films and dental panoramic films.
 *
 * A person is a scene of solids of known materials (phantom/scene.h); a film is its Beer-Lambert projection with three
 * photon energies, scatter, blur, a collimator, Poisson noise and the response of a film, on which what is dense is
 * white. The patient's left is at the right of the picture. Masks follow from the same rays as the film: a mask pixel
 * is a statement about the ray through the pixel's centre, and masks may overlap, as projections do.
 *
 * Chest: right_lung and left_lung are the aerated fields that neither heart, mediastinum nor diaphragm cover; heart is
 * its whole outline; the clavicles are kept as far as they lie over the rib cage. These are the definitions of the
 * masks that B. van Ginneken, M. B. Stegmann and M. Loog drew for the JSRT films (Medical Image Analysis 10, 2006).
 * Everything follows from seed, subject and visit, whatever the size of the picture, the number of threads and the rest
 * of the cohort. @test phantom/test_radiograph.c
 */
#ifndef VSL_PHANTOM_RADIOGRAPH_H
#define VSL_PHANTOM_RADIOGRAPH_H

#include "core/options.h"
#include "core/volume.h"

#ifdef __cplusplus
extern "C" {
#endif

typedef enum VslRadiographView { VSL_VIEW_CHEST = 1, VSL_VIEW_PANORAMIC } VslRadiographView;
enum { VSL_RADIOGRAPH_MAX_MASKS = 12, VSL_RADIOGRAPH_MAX_FINDINGS = 12 };

typedef struct VslRadiographOptions { /* {0} = all defaults */
    int64_t size[2];                  /* columns, rows; both 0 = 256, 256 (chest) or 512, 256 (panoramic) */
    uint64_t seed;
    int lesions; /* 1: findings are put in, and have masks */
    int view;    /* VslRadiographView */
    double photons_per_mm2;
    double scatter_percent;
    int threads; /* 0 = the cores granted to this process */
} VslRadiographOptions;
extern VSL_API const VslOption vsl_radiograph_option_table[];

typedef struct VslRadiographFinding {
    const char *kind;    /* the mask it is in: "nodule", "effusion", "pneumonia", "caries" */
    const char *side;    /* "right" or "left" of the patient */
    int tooth;           /* its FDI number for caries, else 0 */
    double centre_mm[3]; /* in the body, RAS+; chest: origin in the midline near the carina */
    double radius_mm;    /* of a ball or a patch; of an effusion: height of its level over centre_mm */
    double at[2];        /* where the centre lies on the film: column and row, pixel centres are whole numbers */
} VslRadiographFinding;

typedef struct VslRadiograph { /* {0} is empty; free with vsl_radiograph_free */
    VslVolume film;            /* whole numbers 0..65535, dense is bright; pixel (i, j) at x = -i, y = -j */
    double pixel_mm[2];        /* at the detector */
    double age_years;
    int is_male;
    const char *projection; /* "PA", "AP" or "panoramic" */
    int masks;
    const char *mask_name[VSL_RADIOGRAPH_MAX_MASKS];
    VslLabels mask[VSL_RADIOGRAPH_MAX_MASKS]; /* 0 and 1 */
    int findings;
    VslRadiographFinding finding[VSL_RADIOGRAPH_MAX_FINDINGS];
} VslRadiograph;

/** Fills in defaults and checks: sizes 16..4096. @return VSL_E_ARG. */
VSL_API VSL_MUST_USE VslStatus vsl_radiograph_resolve(VslRadiographOptions *out, const VslRadiographOptions *opt);
/** Names of the masks of these options, in order; NULL behind the last. */
VSL_API const char *vsl_radiograph_mask_name(const VslRadiographOptions *opt, int i);
/** subject and visit: 1-based; visits are 1.5 to 2.5 years apart, of the same person in another position and breath.
 * @return VSL_E_ARG, VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_radiograph_make(VslRadiograph *out, const VslRadiographOptions *opt, int subject,
                                                   int visit);
VSL_API void vsl_radiograph_free(VslRadiograph *r);

#ifdef __cplusplus
}
#endif
#endif
