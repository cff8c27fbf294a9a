/** The picture of a segmented film: contours over the film, and where the noise levels disagree. @test cli/segment.sh
 */
#ifndef VSL_CLI_SEGMENT_PICTURE_H
#define VSL_CLI_SEGMENT_PICTURE_H

#include "cli/segment_model.h"

/** Of a volume, its middle slice is shown. title: the film's name. @return VSL_E_WRITE, VSL_E_NOMEM. */
VSL_MUST_USE VslStatus cli_segment_picture(const char *path, const CliFilm *f, const CliSegmenter *m,
                                           const char *title);

#endif
