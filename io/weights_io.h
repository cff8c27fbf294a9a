/**
 * Weight files: safetensors (read by most other programs) and HDF5, told apart by content when read and by suffix when
 * written. Both are plain numbers with names and shapes; a file that could run code when it is loaded (pickle, PyTorch
 * archives, TorchScript) is refused by its first bytes, before anything else of it is read.
 *
 * safetensors: 8 bytes of header length, a JSON header, the values. Refused by name: a header longer than the file or
 * 100 MB, duplicate keys, unknown keys or types, shapes that disagree with their bytes, ranges that overlap, leave gaps
 * or leave the file, values that are not finite. Types F32, F16, BF16 and F64 are read, as float32; F32 is written.
 *
 * HDF5: one float32 dataset a weight, in the root group, notes as text attributes of the file, sealed by a checksum as
 * a velocity file is. What is read is what is written here. @test io/test_safetensors.c
 */
#ifndef VSL_IO_WEIGHTS_IO_H
#define VSL_IO_WEIGHTS_IO_H

#include "core/weights.h"

#ifdef __cplusplus
extern "C" {
#endif

/** @return VSL_E_IO, VSL_E_FORMAT, VSL_E_UNSUPPORTED (a known kind that is not read), VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_weights_read(VslWeights *out, const char *path);
/** Refuses by the first bytes, and of safetensors by the header, what vsl_weights_read would refuse by them; values are
 * not read. @return as vsl_weights_read. */
VSL_API VSL_MUST_USE VslStatus vsl_weights_check(const char *path);
/** .safetensors or .h5; whole or not at all, and read back before it gets its name.
 * @return VSL_E_ARG (suffix; values that are not finite), VSL_E_WRITE, VSL_E_NOMEM. */
VSL_API VSL_MUST_USE VslStatus vsl_weights_write(const char *path, const VslWeights *w);

#ifdef __cplusplus
}
#endif
#endif
