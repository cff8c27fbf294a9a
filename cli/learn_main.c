/* The module's way in: the same parser, help and exit codes as the command, with the verbs that need LibTorch. */
#include "cli/learn.h"

extern const CliVerb cli_verb_diffusion_doctor, cli_verb_diffusion_train, cli_verb_diffusion_sample,
    cli_verb_diffusion_choose, cli_verb_diffusion_segment, cli_verb_diffusion_evaluate;

const CliVerb *const cli_verbs[] = {
    &cli_verb_diffusion_doctor,
    &cli_verb_diffusion_train,
    &cli_verb_diffusion_sample,
    &cli_verb_diffusion_choose,
    &cli_verb_diffusion_segment,
    &cli_verb_diffusion_evaluate,
    NULL,
};

int vesal_learn_main(int argc, char **argv)
{
    return cli_run(argc, argv);
}
