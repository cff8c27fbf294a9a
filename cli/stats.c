/* See the header. */
#include "cli/stats.h"

#include <stdio.h>

json_t *cli_json_jacobian(const VslJacobianStats *s)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o,s:o,s:I,s:I,s:o}", "min", cli_json_number(s->min), "p001",
                     cli_json_number(s->p001), "median", cli_json_number(s->median), "p999", cli_json_number(s->p999),
                     "max", cli_json_number(s->max), "sd_log", cli_json_number(s->sd_log), "folds",
                     (json_int_t)s->folds, "voxels", (json_int_t)s->voxels, "folds_share",
                     cli_json_number((double)s->folds / (double)s->voxels));
}

void cli_print_jacobian(const VslJacobianStats *s)
{
    printf("folded voxels         %lld of %lld\n", (long long)s->folds, (long long)s->voxels);
    printf("Jacobian determinant  min %.4g, 0.1 %% %.4g, median %.4g, 99.9 %% %.4g, max %.4g\n", s->min, s->p001,
           s->median, s->p999, s->max);
    printf("sd of log Jacobian    %.4g\n", s->sd_log);
}

json_t *cli_json_label_scores(const VslLabelScore *rows, int count, double mean_dice, int with_surfaces)
{
    json_t *labels = json_array();
    for (int i = 0; i < count; i++) {
        const VslLabelScore *r = &rows[i];
        json_t *one =
            json_pack("{s:i,s:o,s:o,s:o}", "label", (int)r->label, "dice", cli_json_number(r->dice), "volume_a_mm3",
                      cli_json_number(r->volume_a_mm3), "volume_b_mm3", cli_json_number(r->volume_b_mm3));
        if (with_surfaces) {
            json_object_set_new(one, "surface_mean_mm", cli_json_number(r->surface_mean_mm));
            json_object_set_new(one, "surface_p95_mm", cli_json_number(r->surface_p95_mm));
            json_object_set_new(one, "surface_max_mm", cli_json_number(r->surface_max_mm));
        }
        json_array_append_new(labels, one);
    }
    return json_pack("{s:o,s:o}", "mean_dice", cli_json_number(mean_dice), "labels", labels);
}

void cli_print_label_scores(const VslLabelScore *rows, int count, double mean_dice)
{
    printf("%8s %8s %14s %14s %10s %10s %10s\n", "label", "Dice", "volume A mm3", "volume B mm3", "mean mm", "95 % mm",
           "max mm");
    for (int i = 0; i < count; i++) {
        const VslLabelScore *r = &rows[i];
        printf("%8d %8.4f %14.1f %14.1f %10.3f %10.3f %10.3f\n", (int)r->label, r->dice, r->volume_a_mm3,
               r->volume_b_mm3, r->surface_mean_mm, r->surface_p95_mm, r->surface_max_mm);
    }
    printf("%8s %8.4f\n", "mean", mean_dice);
}

json_t *cli_json_image_score(const VslImageScore *s)
{
    return json_pack("{s:o,s:o,s:o,s:o,s:o}", "ssim", cli_json_number(s->ssim), "psnr_db", cli_json_number(s->psnr_db),
                     "nrmse", cli_json_number(s->nrmse), "correlation", cli_json_number(s->correlation),
                     "mutual_information_nats", cli_json_number(s->mutual_information_nats));
}
