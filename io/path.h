/**
 * Names of files: suffixes in any case, and how a name is shown in a sentence. @test io/test_file_out.c
 */
#ifndef VSL_IO_PATH_H
#define VSL_IO_PATH_H

#include "core/api.h"

#ifdef __cplusplus
extern "C" {
#endif

/** A name made fit for a sentence: control bytes become '?', of a long one only the end is kept. */
typedef struct VslPathText {
    char text[224];
} VslPathText;
VSL_API VslPathText vsl_path_text(const char *path);
/** 1 when path ends with suffix (".nii.gz"), letters compared without case, and something stands before it. */
VSL_API int vsl_path_has_suffix(const char *path, const char *suffix);

#ifdef __cplusplus
}
#endif
#endif
