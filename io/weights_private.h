/* The two kinds of weight files in memory; path only names the file in sentences. */
#ifndef VSL_IO_WEIGHTS_PRIVATE_H
#define VSL_IO_WEIGHTS_PRIVATE_H

#include "core/weights.h"

VSL_MUST_USE VslStatus safetensors_parse(VslWeights *out, const unsigned char *bytes, int64_t count, const char *path);
/** What can be told from the first `front` bytes of a file of `count`: anything that is no safetensors file. */
VSL_MUST_USE VslStatus safetensors_check_front(const unsigned char *bytes, int64_t front, int64_t count,
                                               const char *path);
/** From the file's beginning to its first value, by a front that safetensors_check_front has let through. */
int64_t safetensors_header_bytes(const unsigned char *bytes);
/** All that safetensors_parse refuses but values: bytes are the first `held` of `count`, with all of the header. */
VSL_MUST_USE VslStatus safetensors_check(const unsigned char *bytes, int64_t held, int64_t count, const char *path);
/** The file's bytes, vsl_alloc'ed. */
VSL_MUST_USE VslStatus safetensors_serialise(char **out, int64_t *count, const VslWeights *w);

VSL_MUST_USE VslStatus weights_hdf5_parse(VslWeights *out, const unsigned char *bytes, int64_t count, const char *path);
VSL_MUST_USE VslStatus weights_hdf5_serialise(char **out, int64_t *count, const VslWeights *w);

#endif
