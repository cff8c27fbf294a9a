/* The two halves of io/manifest.h: the table (manifest.c) and the checks of its rows (manifest_verify.c). */
#ifndef VSL_IO_MANIFEST_PRIVATE_H
#define VSL_IO_MANIFEST_PRIVATE_H

#include "io/manifest.h"

/** Takes text (count bytes and a final zero) over, whatever comes out. path names it in sentences. */
VSL_MUST_USE VslStatus manifest_parse(VslManifest *out, char *text, int64_t count, const char *path);

#endif
