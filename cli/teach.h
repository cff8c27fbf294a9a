/**
 * Self-training: a segmentation model answers for the pictures whose masks are not known, and another learns from its
 * answers beside the known masks. @test cli/segment.sh
 */
#ifndef VSL_CLI_TEACH_H
#define VSL_CLI_TEACH_H

#include "cli/cli.h"
#include "diffusion/data.h"

/**
 * Of the training part, pictures that are not `known` get the probabilities of the model in `folder` as masks, also
 * where the dataset has masks. How unsure it is of a picture is sum p (1 - p) / sum p over its masks; only the surest
 * `share` of these pictures is learnt from: films of another kind than the labelled ones are those it is unsure of
 * (docs/ptdr.md has the measurements).
 * @param out known and taught pictures.
 * @return VSL_E_ARG (another size or other structures), as cli_segmenter_open; VSL_E_CANCELLED.
 */
VSL_MUST_USE VslStatus cli_teach(Cli *cli, VslSubset *out, VslDataset *data, const VslSubset *known, const char *folder,
                                 double share);

#endif
