/**
 * Self-training: segmentation models answer for the pictures whose masks are not known, and another learns from their
 * answers beside the known masks. @test cli/segment.sh
 */
#ifndef VSL_CLI_TEACH_H
#define VSL_CLI_TEACH_H

#include "cli/segment_model.h"

enum { CLI_MOST_TEACHERS = 16 };

/**
 * Of the training part, pictures that are not `known` get probabilities as masks, also where the dataset has masks: the
 * means over the models in `folders` ("A,B,.."), which are surer together than each alone. How unsure they are of a
 * picture is sum p (1 - p) / sum p over its masks; only the surest `share` of these pictures is learnt from: films of
 * another kind than the labelled ones are those they are unsure of (docs/ptdr.md has the measurements).
 * @param known may be empty. @param out known and taught pictures.
 * @return VSL_E_ARG (another size or other structures), as cli_segmenter_open; VSL_E_CANCELLED.
 */
VSL_MUST_USE VslStatus cli_teach(Cli *cli, VslSubset *out, VslDataset *data, const VslSubset *known,
                                 const char *folders, double share);
/** The structures that the first of the models knows, and which of them it predicts in one part: what images without
 * any known mask are learnt for. @return VSL_E_ARG (too many), as cli_segment_structures_of. */
VSL_MUST_USE VslStatus cli_teacher_structures(CliStructures *out, unsigned char *in_one_part, const char *folders);
/** The sha256 of each one's weights, with commas between. @return VSL_E_ARG (too many), VSL_E_IO. */
VSL_MUST_USE VslStatus cli_teachers_digest(char *out, size_t size, const char *folders);

#endif
