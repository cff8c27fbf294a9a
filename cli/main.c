/* vesal: the command and its verbs. */
#include <malloc.h>

#include "cli/learn.h"

/* Listed here, done by the module. */
#define LEARNED(NAME_AND_PURPOSE)                \
    &(const CliVerb)                             \
    {                                            \
        NAME_AND_PURPOSE, .elsewhere = cli_learn \
    }

const CliVerb *const cli_verbs[] = {
    &cli_verb_info,
    &cli_verb_convert,
    &cli_verb_register,
    &cli_verb_apply,
    &cli_verb_jacobian,
    &cli_verb_evaluate,
    &cli_verb_phantom,
    &cli_verb_data_verify,
    &cli_verb_doctor,
    LEARNED(CLI_DIFFUSION_DOCTOR),
    LEARNED(CLI_DIFFUSION_TRAIN),
    LEARNED(CLI_DIFFUSION_SAMPLE),
    LEARNED(CLI_DIFFUSION_CHOOSE),
    LEARNED(CLI_DIFFUSION_SEGMENT),
    LEARNED(CLI_DIFFUSION_EVALUATE),
    NULL,
};

int main(int argc, char **argv)
{
    /* Large blocks go back to the system when they are freed: by default glibc keeps them after a while, and the pieces
     * of an image that is gone then stand beside those of the next level. */
    mallopt(M_MMAP_THRESHOLD, 1 << 20);
    return cli_run(argc, argv);
}
