/*
 * Beer-Lambert projections of a scene.
 *     I(pixel) = mean over its rays of sum_e w_e exp(-sum_m mu_m(e) L_m)
 * with L_m the exact length of a ray in material m and three photon energies e, so that thick parts harden the beam as
 * they do. Attenuation: mass coefficients of J. H. Hubbell and S. M. Seltzer (NIST, NISTIR 5632; ICRU-44 tissues),
 * times density. Rays come from a callback: a point source for chest films, a turning slit for panoramic ones. In a
 * slit's picture only what lies in its focal layer is sharp; the attenuation outside the layer is kept apart, as
 * `ghost`, and smeared along the film later; metal out there counts as enamel, since it is before the moving slit for a
 * moment only.
 *
 * What a pixel's mask says is said about the ray through its centre. @test phantom/test_radiograph.c
 */
#ifndef VSL_PHANTOM_PROJECTION_H
#define VSL_PHANTOM_PROJECTION_H

#include "phantom/scene.h"

enum { PH_ENERGIES = 3 };

typedef struct PhBeam {
    double weight[PH_ENERGIES];           /* of the detected energy; sum 1 */
    double mu[PH_ENERGIES][PH_MATERIALS]; /* per mm */
} PhBeam;
PhBeam ph_beam_chest(void);  /* about 120 kV, filtered: 50, 60 and 80 keV */
PhBeam ph_beam_dental(void); /* about 70 kV: 40, 50 and 60 keV */

/* u, v: 0..1 from the left and from the top of the picture. *from, *to: the focal layer, mm along the ray. */
typedef PhRay PhRayFn(const void *who, double u, double v, double *from, double *to);
typedef struct PhCamera {
    PhRayFn *ray;
    const void *who;
    double width_mm, height_mm; /* of the film */
    int has_ghosts;             /* there is a focal layer */
    PhMaterial grained;         /* whose way is kept: its fine structure is laid over the film */
} PhCamera;

typedef struct PhProjection { /* {0} is empty; free with ph_projection_free. Pixels: row * n[0] + column */
    int64_t n[2];
    double pixel_mm[2];
    PhMaterial grained;
    float *clear[PH_ENERGIES]; /* transmitted share of each energy, within the layer */
    float *ghost[PH_ENERGIES]; /* attenuation outside the layer, NULL without ghosts */
    float *grain_mm;           /* way through the grained material */
    uint32_t *seen, *touched;  /* per pixel centre, a bit per organ: visible length > 0; hit at all */
} PhProjection;

VslStatus ph_project(PhProjection *out, const PhScene *scene, const PhCamera *camera, const PhBeam *beam,
                     const int64_t n[2], int threads);
void ph_projection_free(PhProjection *p);

#endif
