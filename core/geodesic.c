/* Ownership of a geodesic's data. */
#include "core/geodesic.h"

void vsl_geodesic_free(VslGeodesic *g)
{
    vsl_volume_free(&g->velocity);
    *g = (VslGeodesic){0};
}

void vsl_geodesic_move(VslGeodesic *out, VslGeodesic *in)
{
    vsl_volume_free(&out->velocity);
    *out = *in;
    *in = (VslGeodesic){0};
}
