/* The parser of io/table.h without the file. */
#ifndef VSL_IO_TABLE_PRIVATE_H
#define VSL_IO_TABLE_PRIVATE_H

#include "io/table.h"

/** Takes text (count bytes and a final zero) over, whatever comes out. path names it in sentences. */
VSL_MUST_USE VslStatus table_parse(VslTable *out, char *text, int64_t count, const char *path);

#endif
