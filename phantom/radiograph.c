/* From options to a film: who, when, how it is taken, and what is true about it. */
#include "phantom/radiograph.h"

#include <stddef.h>
#include <stdio.h>

#include "core/parallel.h"
#include "phantom/radiograph_private.h"

const VslOption vsl_radiograph_option_table[] = {
    {"view", VSL_OPT_CHOICE, offsetof(VslRadiographOptions, view), 1, 0, 0, "", "which film is simulated",
     "chest,panoramic"},
    {"photons-per-mm2", VSL_OPT_DOUBLE, offsetof(VslRadiographOptions, photons_per_mm2), 20000, 1, 1e9, "",
     "photons counted per mm^2 behind the body, on average; fewer are noisier", NULL},
    {"scatter-percent", VSL_OPT_DOUBLE, offsetof(VslRadiographOptions, scatter_percent), 25, 0.001, 90, "%",
     "share of the light that was scattered, behind an anti-scatter grid", NULL},
    {0},
};

uint64_t ph_radiograph_stream(int view, int subject, int visit, const char *what)
{
    char name[80];
    snprintf(name, sizeof name, "radiograph %d sub-%d ses-%d %s", view, subject, visit, what);
    return vsl_random_stream(name);
}

double ph_radiograph_years(const VslRadiographOptions *opt, int view, int subject, int visit)
{
    PhDraw gaps = {opt->seed, ph_radiograph_stream(view, subject, 0, "visits"), 0};
    double years = 0;
    for (int i = 1; i < visit; i++) {
        years += ph_uniform(&gaps, 1.5, 2.5);
    }
    return years;
}

VslStatus vsl_radiograph_resolve(VslRadiographOptions *out, const VslRadiographOptions *opt)
{
    VslStatus st = VSL_OK;
    VslRadiographOptions o = *opt;
    VSL_TRY(vsl_options_resolve(&o, vsl_radiograph_option_table));
    if (o.size[0] == 0 && o.size[1] == 0) {
        o.size[0] = o.view == VSL_VIEW_CHEST ? 256 : 512;
        o.size[1] = 256;
    }
    for (int d = 0; d < 2; d++) {
        VSL_CHECK(o.size[d] >= 16 && o.size[d] <= 4096, VSL_E_ARG, "--size: %lld %s, expected 16 to 4096",
                  (long long)o.size[d], d ? "rows" : "columns");
    }
    o.threads = vsl_threads_resolve(o.threads);
    *out = o;
out:
    return st;
}

void vsl_radiograph_free(VslRadiograph *r)
{
    vsl_volume_free(&r->film);
    for (int m = 0; m < VSL_RADIOGRAPH_MAX_MASKS; m++) {
        vsl_labels_free(&r->mask[m]);
    }
    *r = (VslRadiograph){0};
}

const char *vsl_radiograph_mask_name(const VslRadiographOptions *opt, int i)
{
    return opt->view == VSL_VIEW_PANORAMIC ? ph_panoramic_mask_name(opt->lesions, i)
                                           : ph_chest_mask_name(opt->lesions, i);
}

VslStatus vsl_radiograph_make(VslRadiograph *out, const VslRadiographOptions *opt, int subject, int visit)
{
    VslStatus st = VSL_OK;
    VslRadiographOptions o;
    VSL_TRY(vsl_radiograph_resolve(&o, opt));
    VSL_CHECK(subject >= 1 && visit >= 1, VSL_E_ARG, "subject %d and visit %d, expected both to be at least 1", subject,
              visit);
    VSL_TRY(o.view == VSL_VIEW_PANORAMIC ? ph_panoramic_make(out, &o, subject, visit)
                                         : ph_chest_make(out, &o, subject, visit));
out:
    return st;
}
