/* A build without LibTorch: the learned verbs say so. */
#include "cli/learn.h"

#include <stdio.h>

int cli_learn(int argc, char **argv)
{
    fprintf(stderr,
            "vesal %s%s%s: built without LibTorch, which the learned commands need; ./run build installs it, or "
            "install libtorch-dev and configure with -DVSL_TORCH=ON\n",
            argv[1], argc > 2 ? " " : "", argc > 2 ? argv[2] : "");
    return CLI_EXIT_INTERNAL;
}
