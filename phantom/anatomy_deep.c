/* Ventricles, nuclei, corpus callosum's inner side, brainstem and cerebellum, on the right-hand side (m.x >= 0). */
#include "phantom/anatomy.h"

#define TUBE(p, nodes) ph_tube(p, nodes, (int)(sizeof(nodes) / sizeof((nodes)[0])))

float ph_lateral_ventricle(PhVec m)
{
    static const PhNode horn[] = {{13, 31, 0, 1.2f},    {9, 25, 5, 3.8f},      {6.0f, 12, 12, 5.6f},
                                  {6.2f, -4, 17, 5.3f}, {9.5f, -22, 19, 4.9f}, {21, -38, 14, 5.2f},
                                  {25, -44, 8, 5.0f},   {33, -37, -2, 3.0f},   {36, -24, -11, 1.9f},
                                  {34, -12, -17, 1.6f}, {31, -6, -21, 1.3f}};
    static const PhNode back[] = {{25, -46, 7, 4.4f}, {25, -60, 5, 2.8f}, {22, -74, 3, 1.2f}};
    return ph_min(TUBE(m, horn), TUBE(m, back));
}

/* Deep core of the hemispheres, free of cortex: nuclei, capsules, corpus callosum. */
float ph_core(PhVec m)
{
    const float middle = ph_ellipsoid(m, (PhVec){0, -9, 3}, (PhVec){36, 36, 21});
    static const PhNode callosum[] = {{0, 21, -5, 2.0f}, {0, 31, 3, 4.2f},   {0, 27, 14, 4.2f},  {0, 14, 22, 3.2f},
                                      {0, -4, 26, 3.0f}, {0, -22, 26, 3.0f}, {0, -34, 20, 3.6f}, {0, -39, 12, 4.6f}};
    const PhVec across = {ph_max(m.x - 14, 0), m.y, m.z - 0.16f * ph_min(m.x, 14) * ph_step(28, 5, m.y)};
    const float front = 0.55f * ph_max(m.y, 0) * ph_step(14, 6, m.x);
    const float floor_z = -13 - 0.1f * ph_min(m.y, 0) + front + 0.9f * ph_max(-33 - m.y, 0) * ph_step(16, 8, m.x);
    return ph_min(ph_max(middle, floor_z - m.z), TUBE(across, callosum));
}

static float caudate(PhVec m)
{
    static const PhNode nodes[] = {{12, 17, -2, 5.0f},  {14, 15, 5, 6.0f},   {15, 6, 12, 4.6f}, {17, -6, 19, 3.4f},
                                   {20, -20, 22, 2.7f}, {27, -32, 18, 2.2f}, {33, -38, 8, 1.8f}};
    return TUBE(m, nodes);
}

static float hippocampus(PhVec m)
{
    static const PhNode nodes[] = {
        {24, -9, -22, 5.0f}, {28, -14, -20, 5.4f}, {30, -24, -14, 4.4f}, {27, -33, -6, 3.6f}, {20, -39, 1, 2.4f}};
    return TUBE(m, nodes);
}

static float brainstem(PhVec m)
{
    static const PhNode nodes[] = {{0, -20, -7, 9},  {0, -23, -16, 11},   {0, -26, -28, 11},   {0, -29, -38, 12},
                                   {0, -35, -49, 8}, {0, -40, -62, 6.5f}, {0, -44, -110, 6.0f}};
    const PhVec flat = {m.x * 0.85f, m.y, m.z};
    const float stem = TUBE(flat, nodes);
    static const PhNode peduncle[] = {{6, -30, -30, 8}, {19, -44, -33, 6}};
    const float notch = ph_ellipsoid(m, (PhVec){0, -6, -18}, (PhVec){4.5f, 9, 12}); /* between the crura */
    const float pons = ph_ellipsoid(m, (PhVec){0, -19.5f, -29}, (PhVec){16, 11, 12});
    return ph_smooth_min(ph_max(ph_smooth_min(stem, pons, 4), -notch), TUBE(m, peduncle), 4);
}

static float fourth_ventricle(PhVec m)
{
    static const PhNode roof[] = {{0, -36, -22, 1.6f}, {0, -40, -28, 3.4f}, {0, -42, -34, 4.4f}, {0, -44, -43, 1.8f}};
    static const PhNode aqueduct[] = {{0, -24, -3, 1.3f}, {0, -32, -12, 1.2f}, {0, -36, -22, 1.6f}};
    const PhVec wide = {m.x * 0.6f, m.y, m.z};
    return ph_min(TUBE(wide, roof), TUBE(m, aqueduct));
}

static int fill(PhSample *out, const PhPlace *at, int left, int right, float value)
{
    out->label = at->is_right ? right : left;
    out->value = value;
    return 1;
}

int ph_deep_at(const PhAnatomy *a, const PhPlace *at, PhSample *out)
{
    const PhVec m = at->m;
    (void)a;
    if (m.x > 42 || m.y > 40 || m.y < -82 || m.z > 36) {
        return 0;
    }
    if (ph_max(ph_lateral_ventricle(m), 0.5f - m.x) < 0) {
        return fill(out, at, PH_LEFT_VENTRICLE, PH_RIGHT_VENTRICLE, PH_CSF);
    }
    const float third = ph_max(ph_ellipsoid(m, (PhVec){0, -11, -1}, (PhVec){2.3f, 15, 10}),
                               2.5f - ph_length(ph_sub(m, (PhVec){0, -10, 3}))); /* round the adhesion */
    if (third < 0) {
        return fill(out, at, PH_THIRD_VENTRICLE, PH_THIRD_VENTRICLE, PH_CSF);
    }
    static const PhNode pineal[] = {{0, -29, 10, 2.2f}, {0, -37, 4, 4.0f}, {0, -40, -4, 3.5f}};
    if (TUBE(m, pineal) < 0) { /* cistern behind the third ventricle */
        return fill(out, at, PH_CSF_LABEL, PH_CSF_LABEL, PH_CSF);
    }
    if (m.z < 5 && fourth_ventricle(m) < 0) {
        return fill(out, at, PH_FOURTH_VENTRICLE, PH_FOURTH_VENTRICLE, PH_CSF);
    }
    if (ph_ellipsoid(m, (PhVec){23, -4, -20}, (PhVec){8, 7.5f, 8}) < 0 && m.y > -8) {
        return fill(out, at, PH_LEFT_AMYGDALA, PH_RIGHT_AMYGDALA, PH_GREY);
    }
    if (hippocampus(m) < 0) {
        return fill(out, at, PH_LEFT_HIPPOCAMPUS, PH_RIGHT_HIPPOCAMPUS, PH_GREY - 0.01f);
    }
    if (caudate(m) < 0) {
        return fill(out, at, PH_LEFT_CAUDATE, PH_RIGHT_CAUDATE, PH_GREY + 0.03f);
    }
    const PhVec t = ph_turn_z(ph_sub(m, (PhVec){11.5f, -18, 5.5f}), 0.92f, 0.39f);
    if (ph_max(ph_ellipsoid(t, (PhVec){0, 0, 0}, (PhVec){9.5f, 16, 9.5f}), 1.6f - m.x) < 0) {
        return fill(out, at, PH_LEFT_THALAMUS, PH_RIGHT_THALAMUS, PH_GREY + 0.12f + 0.005f * t.x);
    }
    const PhVec l = ph_turn_z(ph_sub(m, (PhVec){22.5f, -1, 0}), 0.95f, 0.31f);
    const float lens = ph_ellipsoid(l, (PhVec){-2, 0, -1}, (PhVec){6.5f, 11, 7});
    if (lens < 0) {
        return fill(out, at, PH_LEFT_PALLIDUM, PH_RIGHT_PALLIDUM, PH_GREY + 0.20f);
    }
    const float shell = ph_ellipsoid(l, (PhVec){2.5f, 1, 2}, (PhVec){7.5f, 18, 11});
    if (ph_max(shell, 1.0f - lens) < 0 && l.x > -4) {
        return fill(out, at, PH_LEFT_PUTAMEN, PH_RIGHT_PUTAMEN, PH_GREY + 0.04f);
    }
    if (m.z < 0 && brainstem(m) < 0) {
        return fill(out, at, PH_BRAINSTEM, PH_BRAINSTEM, PH_WHITE - 0.08f);
    }
    return 0;
}

/* Folia fan out from the roof of the fourth ventricle: sheets of constant angle in the sagittal plane. */
int ph_cerebellum_at(const PhAnatomy *a, const PhPlace *at, PhSample *out)
{
    const PhVec m = at->m;
    if (m.z > 0 || m.y > -30 || m.x > 54) {
        return 0;
    }
    const float side = ph_ellipsoid(m, (PhVec){23, -64, -35}, (PhVec){30, 30, 23});
    const float vermis = ph_ellipsoid(m, (PhVec){0, -63, -29}, (PhVec){15, 25, 24});
    const float tent = m.z - (-9 - 0.30f * m.x + 0.10f * (m.y + 60)); /* below the tentorium */
    const float outer = ph_max(ph_smooth_min(side, vermis, 7), tent);
    if (outer > 0) {
        return 0;
    }
    const float y = -(m.y + 47) + 6, z = m.z + 32 + 0.12f * m.x, r = sqrtf(y * y + z * z) + 1e-3f;
    const float warp = 0.35f * ph_wave(&a->folia, (PhVec){m.x + (at->is_right ? 300.0f : 0.0f), m.y, m.z});
    const float turn = 1.27323954f * atan2f(z, y) + warp; /* eight turns a circle: no seam */
    float c, s, c2, s2;
    ph_turns(turn, &c, &s);
    ph_turns(turn * 2, &c2, &s2);
    const float per_mm = 8 / r;
    const float major = fabsf(s) / per_mm / (0.25f + 0.75f * fabsf(c)) - 0.35f;
    const float minor = fabsf(s2) / (2 * per_mm) / (0.25f + 0.75f * fabsf(c2)) - 0.3f;
    const float depth = -outer, near_root = 13 - r; /* sheets end before they meet */
    const float under = ph_max(ph_max(depth - 15, near_root), 0),
                under_minor = ph_max(ph_max(depth - 6.5f, near_root), 0);
    const float q = ph_min(ph_min(depth, sqrtf(ph_max(major, 0) * ph_max(major, 0) + under * under) + ph_min(major, 0)),
                           sqrtf(ph_max(minor, 0) * ph_max(minor, 0) + under_minor * under_minor) + ph_min(minor, 0));
    if (q <= 0) {
        return 0;
    }
    return q < 2.3f ? fill(out, at, PH_LEFT_CEREBELLUM_CORTEX, PH_RIGHT_CEREBELLUM_CORTEX, PH_GREY + 0.01f)
                    : fill(out, at, PH_LEFT_CEREBELLUM_WHITE, PH_RIGHT_CEREBELLUM_WHITE, PH_WHITE - 0.02f);
}
