/*
 * The folded cortex.
 *
 * Hull: an ovoid, cut below, joined with the temporal lobe, split by the fissure between the hemispheres. Sulci are
 * sheets: the zero set of a narrow-band random field g on an ellipsoid, carried inward along its radii, so that
 * value and slope of g tell the distance to the nearest sheet. A sheet reaches from the hull to a depth that varies
 * over the brain. q is the distance to all that is fluid (outside of the hull, sheets, Sylvian fissure): grey matter
 * where 0 < q < thickness, white beyond.
 */
#include "phantom/anatomy.h"

static float hull(PhVec m)
{
    const float narrow = 1 + 0.0016f * (m.y + 30) * ph_step(-40, 20, m.y); /* the forehead is narrower */
    const PhVec wide = {m.x * narrow, m.y, m.z};
    const float ovoid = ph_ellipsoid(wide, (PhVec){0, -17, 16}, (PhVec){69, 87, 62});
    const float floor_z = m.y > -25 ? -17 + 0.10f * (m.y - 10) : -21 + 0.18f * (30 - m.x) - 0.16f * (m.y + 25) * 0.25f;
    const float upper = ph_smooth_max(ovoid, floor_z - m.z, 10);
    const PhVec c = {43, -13, -19}, d = ph_turn_x(ph_sub(m, c), 0.966f, -0.259f);
    const PhVec lobe = {d.x - 0.06f * d.y, d.y, d.z};
    const float temporal = ph_ellipsoid(lobe, (PhVec){0, 0, 0}, (PhVec){22, 38, 20});
    return ph_smooth_min(upper, temporal, 6);
}

/* Distance to the middle sheet of the Sylvian fissure and of the insula behind it; the fissure is a few mm wide. */
static float sylvian(PhVec m)
{
    const float dz = (m.z - (3.0f - 0.42f * (m.y + 12))) * 0.92f;
    const float along = ph_max(ph_max(m.y - 26, -42 - m.y), 0);
    const float slit_x = ph_max(38 - m.x, 0), slit_z = ph_max(fabsf(dz) - 0.5f * ph_step(38, 66, m.x), 0);
    const float slit = sqrtf(slit_x * slit_x + slit_z * slit_z + along * along);
    const float height = 11 - 0.12f * fabsf(m.y + 5);
    const float wall_x = m.x - 38.5f - 0.02f * dz * dz, wall_z = ph_max(fabsf(dz) - height, 0);
    const float ends = ph_max(ph_max(m.y - 22, -28 - m.y), 0);
    const float wall = sqrtf(wall_x * wall_x + wall_z * wall_z + ends * ends);
    return ph_min(slit, wall) - 0.6f;
}

/* Distance to the nearest sulcal sheet and how deep it goes, at depth `depth` below the hull. */
static float sheets(const PhAnatomy *a, PhVec m, int is_right, float depth, float *reach)
{
    const PhVec r = {44, 87, 62}, c = {24, -17, 12};
    PhVec v = ph_sub(m, c), w, e, on, slope, side;
    v.x += 0.10f * depth;
    w = (PhVec){v.x / r.x, v.y / r.y, v.z / r.z};
    const float rho = ph_max(ph_length(w), 0.15f);
    e = (PhVec){w.x / rho, w.y / rho, w.z / rho};
    on = (PhVec){r.x * e.x, r.y * e.y, r.z * e.z};
    float g = ph_wave_gradient(&a->folds, on, &slope);
    const PhVec shifted = {on.x + (is_right ? 500.0f : 0.0f), on.y, on.z};
    g += 0.35f * ph_wave_gradient(&a->folds_of_side, shifted, &side);
    slope = (PhVec){slope.x + 0.35f * side.x, slope.y + 0.35f * side.y, slope.z + 0.35f * side.z};
    const PhVec s = {slope.x * r.x, slope.y * r.y, slope.z * r.z};
    const float radial = ph_dot(s, e);
    const PhVec t = {(s.x - e.x * radial) / (rho * r.x), (s.y - e.y * radial) / (rho * r.y),
                     (s.z - e.z * radial) / (rho * r.z)};
    *reach = 13.5f + 5.0f * ph_wave(&a->sulcus_depth, on);
    /* distance to the zero of a parabola with this value, this slope and the field's typical curvature */
    const float value = fabsf(g), curvature = 0.045f, steep = ph_dot(t, t);
    return 2 * value / (sqrtf(steep) + sqrtf(steep + 2 * curvature * value) + 1e-6f);
}

/* Moves points by some mm, so that sulci meander and no sheet is flat. */
static PhVec meander(const PhAnatomy *a, PhVec m, int is_right)
{
    PhVec g;
    const PhVec at = {m.x + (is_right ? 0.0f : 4.0f), m.y, m.z};
    (void)ph_wave_gradient(&a->meander, at, &g);
    const float mm = 2.6f * 30 / 6.28f; /* rms shift times wavelength / 2 pi */
    return (PhVec){m.x + mm * g.x, m.y + mm * g.y, m.z + mm * g.z};
}

int ph_cerebrum_at(const PhAnatomy *a, const PhPlace *at, PhSample *out)
{
    const PhVec m = at->m;
    const float outer = hull(m);
    if (outer > 0) {
        return 0;
    }
    const float core = ph_core(m);
    out->label = at->is_right ? PH_RIGHT_WHITE : PH_LEFT_WHITE;
    out->value = PH_WHITE;
    if (core < 0) {
        return 1;
    }
    const float gap = 0.55f + 0.07f * ph_max(12 + outer, 0);
    const float depth = ph_smooth_min(-outer, m.x - gap, 3);
    if (depth <= 0) {
        return 0;
    }
    const PhVec bent = meander(a, m, at->is_right);
    const float fissure = sylvian(bent);
    float q = ph_min(depth, fissure);
    if (depth < 27) {
        float reach;
        const float width = 0.4f + 0.6f * ph_step(6, 0, depth);
        const float sheet = sheets(a, bent, at->is_right, depth, &reach) - width;
        const float below = ph_max(depth - ph_min(reach, core + 3), 0);
        q = ph_smooth_min(q, sqrtf(ph_max(sheet, 0) * ph_max(sheet, 0) + below * below) + ph_min(sheet, 0), 2.2f);
    }
    if (q <= 0) {
        return 0;
    }
    const float thickness = 2.75f + 0.5f * ph_step(-20, 40, m.y) - 0.4f * ph_step(-70, -100, m.y);
    if (q < thickness && core > 1.0f) {
        out->label = at->is_right ? PH_RIGHT_CORTEX : PH_LEFT_CORTEX;
        out->value = PH_GREY + 0.05f * (q / thickness - 0.5f);
    }
    return 1;
}
