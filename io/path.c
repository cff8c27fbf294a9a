#include "io/path.h"

#include <string.h>

VslPathText vsl_path_text(const char *path)
{
    VslPathText out;
    const size_t room = sizeof out.text - 1, length = strlen(path);
    size_t at = 0;
    if (length > room) {
        path += length - (room - 3);
        memcpy(out.text, "...", 3);
        at = 3;
    }
    for (; *path; path++) {
        const unsigned char c = (unsigned char)*path;
        out.text[at++] = c < 32 || c == 127 ? '?' : *path;
    }
    out.text[at] = 0;
    return out;
}

/* tolower of the C locale: the program's own may map other letters */
static int lower(int c)
{
    return c >= 'A' && c <= 'Z' ? c - 'A' + 'a' : c;
}

int vsl_path_has_suffix(const char *path, const char *suffix)
{
    const size_t length = strlen(path), wanted = strlen(suffix);
    if (length <= wanted || path[length - wanted - 1] == '/') {
        return 0;
    }
    for (size_t i = 0; i < wanted; i++) {
        if (lower((unsigned char)path[length - wanted + i]) != lower((unsigned char)suffix[i])) {
            return 0;
        }
    }
    return 1;
}
