/* Skull, scalp, face and neck: plausible surroundings, not a map. Depths are measured from the outer surface. */
#include "phantom/anatomy.h"

/* Inner table of the skull: a little outside of the brain, with the posterior fossa and the middle fossae. */
float ph_cavity(PhVec p)
{
    const PhVec m = {fabsf(p.x), p.y, p.z};
    const float narrow = 1 + 0.0014f * (m.y + 30) * ph_step(-40, 20, m.y);
    const float vault =
        ph_ellipsoid((PhVec){m.x * narrow, m.y, m.z}, (PhVec){0, -17, 16}, (PhVec){71.2f, 89.3f, 64.3f});
    const float base = m.y > -30 ? -20 + 0.10f * (m.y - 10) : -40.0f;
    const PhVec d = ph_turn_x(ph_sub(m, (PhVec){43, -13, -19}), 0.966f, -0.259f);
    const float middle = ph_ellipsoid((PhVec){d.x - 0.06f * d.y, d.y, d.z}, (PhVec){0, 0, 0}, (PhVec){23, 39, 21});
    const float back = ph_ellipsoid(m, (PhVec){0, -59, -34}, (PhVec){55, 34, 26});
    const float clivus = ph_ellipsoid(m, (PhVec){0, -30, -34}, (PhVec){20, 25, 29});
    return ph_smooth_min(ph_smooth_min(ph_smooth_max(vault, base - m.z, 12), middle, 8),
                         ph_smooth_min(back, clivus, 10), 8);
}

/* Taped to the right temple, so that a flipped image is seen at a glance. */
static float capsule(PhVec p)
{
    return ph_length((PhVec){p.x - 77, p.y - 30, p.z - 30}) - 6.5f;
}

float ph_skin(PhVec p)
{
    const PhVec m = {fabsf(p.x), p.y, p.z};
    const float cranium = ph_ellipsoid(m, (PhVec){0, -17, 14}, (PhVec){83, 104, 80});
    const float face = ph_ellipsoid(m, (PhVec){0, 26, -42}, (PhVec){60, 58, 68});
    const float nose = ph_ellipsoid(m, (PhVec){0, 84, -44}, (PhVec){9, 14, 18});
    const PhVec n = ph_turn_x(ph_sub(m, (PhVec){0, -32, -70}), 0.98f, -0.2f);
    const float neck = ph_max(sqrtf(n.x * n.x + n.y * n.y * 0.85f) - 52, n.z - 30);
    const float ear = ph_ellipsoid(m, (PhVec){78, -26, -16}, (PhVec){6, 13, 16});
    const float head = ph_smooth_min(ph_smooth_min(ph_smooth_min(cranium, face, 22), neck, 25), ph_min(nose, ear), 6);
    return ph_min(head, capsule(p));
}

PhSample ph_head_at(const PhAnatomy *a, PhVec p, float cavity)
{
    PhSample s = {0, PH_AIR};
    if (capsule(p) < 0) {
        s.value = 1.15f;
        return s;
    }
    const float depth = -ph_skin(p), ax = fabsf(p.x);
    if (depth < 0) {
        return s;
    }
    const float grain = ph_wave(&a->soft, p);
    const float table = 6.2f + 1.2f * ph_step(30, -80, p.y) + 0.5f * ph_wave(&a->fine, p);
    const float vault = ph_step(-32, -18, p.z - 0.25f * p.y); /* 1 on the vault, 0 on the base and the face */
    if (cavity < table && (vault > 0.3f || cavity < 3.5f)) {
        const float spongy = ph_step(1.2f, 2.2f, cavity) * ph_step(table - 0.9f, table - 2.0f, cavity) * vault;
        s.value = PH_BONE + (PH_MARROW - PH_BONE) * spongy * (0.8f + 0.3f * ph_clamp(grain, -1, 1));
        return s;
    }
    if (depth < 1.6f) {
        s.value = PH_SKIN;
        return s;
    }
    const float eye = ph_ellipsoid((PhVec){ax, p.y, p.z}, (PhVec){32, 62, -24}, (PhVec){12, 12, 12});
    if (eye < 0) {
        const PhVec lens = {ax - 32, p.y - 70, p.z + 24};
        s.value = eye > -1.3f ? 0.45f : (ph_length(lens) < 3.5f ? 0.4f : 0.2f);
        return s;
    }
    const float orbit = ph_ellipsoid((PhVec){ax, p.y, p.z}, (PhVec){28, 48, -24}, (PhVec){17, 24, 16});
    if (orbit < 0) {
        const float muscle = fabsf(ph_length((PhVec){ax - 29, 0, p.z + 24}) - 8.5f);
        s.value = muscle < 1.2f && p.y < 58 ? PH_MUSCLE : (orbit > -1.2f ? PH_BONE : PH_FAT);
        return s;
    }
    /* air: nose, sinuses, throat, mouth */
    const float nasal = ph_max(ph_ellipsoid(p, (PhVec){0, 55, -48}, (PhVec){13, 32, 19}), -0.5f + grain * 0.8f);
    const float maxillary = ph_ellipsoid((PhVec){ax, p.y, p.z}, (PhVec){26, 52, -52}, (PhVec){11, 15, 12});
    static const PhNode nodes[] = {{0, 22, -46, 6}, {0, 10, -62, 8}, {0, 4, -110, 9}};
    const float throat = ph_tube(p, nodes, 3);
    const float frontal = ph_ellipsoid((PhVec){ax, p.y, p.z}, (PhVec){10, 73, -2}, (PhVec){10, 5, 9});
    const float sphenoid = ph_ellipsoid((PhVec){ax, p.y, p.z}, (PhVec){7, 22, -28}, (PhVec){8, 12, 8});
    const float air = ph_min(ph_min(ph_min(nasal, maxillary), frontal), ph_min(sphenoid, throat));
    if (air < 0) {
        s.value = PH_AIR + 0.02f;
        return s;
    }
    if (air < 1.5f) {
        s.value = 0.5f;
        return s;
    }
    const float spine = ph_length((PhVec){p.x, p.y + 24, 0});
    if (p.z < -62 && spine < 13) { /* vertebrae and their discs */
        float c, unused;
        ph_turns(p.z / 17, &c, &unused);
        s.value = c > 0.85f ? 0.3f : 0.55f + 0.06f * grain;
        return s;
    }
    const float canal = ph_length((PhVec){p.x, p.y + 43, 0});
    if (p.z < -60 && canal < 10) {
        s.value = PH_CSF;
        return s;
    }
    const float fat = 3.4f + 2.2f * ph_step(20, -60, p.z) + 1.0f * ph_wave(&a->fine, p);
    if (depth < fat + 1.6f || (vault > 0.3f && cavity < table + 1.5f)) {
        s.value = PH_FAT - 0.12f * ph_step(0.5f, 1.5f, grain);
        return s;
    }
    /* muscle with planes of fat between its bellies */
    s.value = fabsf(grain) < 0.16f ? 0.68f : PH_MUSCLE + 0.05f * ph_clamp(grain, -1, 1);
    return s;
}
