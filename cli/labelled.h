/**
 * Labelled images by a list: the table that 'diffusion choose' writes, or any with a column `file`.
 * @test cli/choose.sh
 */
#ifndef VSL_CLI_LABELLED_H
#define VSL_CLI_LABELLED_H

#include "diffusion/data.h"
#include "io/sha256.h"

/** The first `wanted` images of the list, 0 = all, by their names in the data; each must be one to learn from and have
 * masks. @return VSL_E_IO, VSL_E_FORMAT (no such column, an image listed twice), VSL_E_ARG (an image that is not there,
 * or without masks; fewer than wanted), VSL_E_NOMEM. */
VSL_MUST_USE VslStatus cli_labelled_read(VslSubset *out, const VslDataset *d, const char *path, int64_t wanted);
/** Of their names, in order. @return VSL_E_EXTERNAL, VSL_E_NOMEM. */
VSL_MUST_USE VslStatus cli_labelled_digest(char out[VSL_SHA256_HEX], const VslDataset *d, const VslSubset *labelled);

#endif
