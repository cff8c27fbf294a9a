/**
 * The learned verbs. They need LibTorch, which takes a third of a second to load and is not wanted by anything else, so
 * they live in a module (libvesal_learn.so) that the command opens when one of them is typed: learn.c opens it,
 * learn_main.c is its way in. A new verb is a cmd_*.c listed for the module in CMakeLists.txt, a row in the table of
 * learn_main.c, and its name and purpose here, with a row in the table of main.c that makes `vesal --help` list it.
 * @test cli/learn.sh
 */
#ifndef VSL_CLI_LEARN_H
#define VSL_CLI_LEARN_H

#include "cli/cli.h"

#define CLI_DIFFUSION_DOCTOR    \
    .name = "diffusion doctor", \
    .purpose = "which LibTorch there is, and a self-test of tensors, gradients and training."

#define CLI_DIFFUSION_TRAIN    \
    .name = "diffusion train", \
    .purpose = "trains a network on images, without labels or with masks; goes on after any interruption."

#define CLI_DIFFUSION_SEGMENT                                                                                \
    .name = "diffusion segment", .purpose = "masks of films on their own grids, with pictures and a map of " \
                                            "uncertainty."

#define CLI_DIFFUSION_EVALUATE \
    .name = "diffusion evaluate", .purpose = "how well a segmentation model does on films whose masks are known."

#define CLI_DIFFUSION_SAMPLE .name = "diffusion sample", .purpose = "new images out of a trained model."

#define CLI_DIFFUSION_CHOOSE .name = "diffusion choose", .purpose = "which images to label first, by a network's eyes."

/** Hands the command line to the module. @return the exit code; CLI_EXIT_INTERNAL when there is no module, because
 * neither the command line nor an input is at fault, but what was installed. */
int cli_learn(int argc, char **argv);

/** The one function that the module exports. */
typedef int CliLearnMain(int argc, char **argv);
#define CLI_LEARN_SYMBOL "vesal_learn_main"
VSL_API int vesal_learn_main(int argc, char **argv);

#endif
