/** The numbers of registration/quality.h as JSON and as text for people; several verbs show them. @test cli/ */
#ifndef VSL_CLI_STATS_H
#define VSL_CLI_STATS_H

#include "cli/cli.h"
#include "registration/quality.h"

json_t *cli_json_jacobian(const VslJacobianStats *s);
void cli_print_jacobian(const VslJacobianStats *s);
json_t *cli_json_label_scores(const VslLabelScore *rows, int count, double mean_dice, int with_surfaces);
void cli_print_label_scores(const VslLabelScore *rows, int count, double mean_dice);
json_t *cli_json_image_score(const VslImageScore *s);

#endif
