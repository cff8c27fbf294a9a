/* What the two kinds of film share. */
#ifndef VSL_PHANTOM_RADIOGRAPH_PRIVATE_H
#define VSL_PHANTOM_RADIOGRAPH_PRIVATE_H

#include "phantom/film.h"
#include "phantom/jaw.h"
#include "phantom/radiograph.h"
#include "phantom/thorax.h"

uint64_t ph_radiograph_stream(int view, int subject, int visit, const char *what);
/** Years from the first visit to this one. */
double ph_radiograph_years(const VslRadiographOptions *opt, int view, int subject, int visit);

typedef struct PhPointSource {   /* a tube that shines through a turned and shifted body; angles in radians */
    PhPoint focus;               /* mm, in the body */
    PhPoint corner, right, down; /* of the film in the body: its top left and its edges */
    double far;                  /* mm, longest ray */
} PhPointSource;

/* Everything about a chest film before it is taken: the tests look through the same rays. */
typedef struct PhChestFilm {
    PhThorax thorax;
    PhScene scene;
    PhPointSource source;
    PhCamera camera;
    int is_ap;
} PhChestFilm;
/** opt is resolved. Free film->scene. camera.who points into *film. */
VslStatus ph_chest_film(PhChestFilm *film, const VslRadiographOptions *opt, int subject, int visit);
VslStatus ph_chest_make(VslRadiograph *out, const VslRadiographOptions *opt, int subject, int visit);
/** Column and row of a point of the body on the film. */
void ph_chest_point(double at[2], const PhChestFilm *film, PhPoint p, const int64_t n[2]);
const char *ph_chest_mask_name(int lesions, int i);

typedef struct PhPanoramicFilm {
    PhJaw jaw;
    PhScene scene;
    PhCamera camera;
    double length_mm, height_mm; /* of the arch that is unrolled, and of the picture, both at the arch */
    double top_mm, rise, tilt;   /* z of the upper edge; slopes of the beam and of the head */
    double layer_mm[2];          /* inside and outside of the arch */
} PhPanoramicFilm;
VslStatus ph_panoramic_film(PhPanoramicFilm *film, const VslRadiographOptions *opt, int subject, int visit);
VslStatus ph_panoramic_make(VslRadiograph *out, const VslRadiographOptions *opt, int subject, int visit);
void ph_panoramic_point(double at[2], const PhPanoramicFilm *film, PhPoint p, const int64_t n[2]);
const char *ph_panoramic_mask_name(int lesions, int i);

#endif
