/**
 * Transforms as the command line names them: `-t WARP -t AFFINE`, the last one applied to the moving image first (a
 * point of the fixed image goes through the first one first); `[FILE,1]` inverts. @test cli/
 */
#ifndef VSL_CLI_TRANSFORMS_H
#define VSL_CLI_TRANSFORMS_H

#include "cli/files.h"
#include "registration/transform.h"

typedef struct CliChain { /* {0} is empty; links borrow from fields */
    int count;
    VslMap links[CLI_MAX_LIST];
    VslVolume fields[CLI_MAX_LIST];
    CliPath files[CLI_MAX_LIST]; /* of the link with the same number, without brackets */
    int inverted[CLI_MAX_LIST];
} CliChain;

/** "[FILE,1]" -> FILE and 1; "FILE" and "[FILE,0]" -> FILE and 0. */
VSL_MUST_USE VslStatus cli_transform_split(CliPath *file, int *inverted, const char *text);
/** Reads all of `list` (affine of any form, displacement field, or velocity file, which is shot). Displacements are
 * inverted by fixed-point search on their own grid; a velocity file by shooting backward, without search. */
VSL_MUST_USE VslStatus cli_chain_read(CliChain *out, Cli *cli, const CliList *list);
void cli_chain_free(CliChain *c);
/** One displacement field from a NIfTI field or a velocity file; `text` may be `[FILE,1]`. */
VSL_MUST_USE VslStatus cli_read_displacement(VslVolume *out, Cli *cli, const char *text);

#endif
