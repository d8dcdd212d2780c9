#include "host/textfile.h"

#include <errno.h>
#include <stdio.h>

const char *textfile_read(const char *path, size_t max_bytes, struct buffer *out)
{
    FILE *file = fopen(path, "rb");
    if (!file)
        return strerror(errno);

    size_t before = out->len;
    size_t got;
    do {
        got = fread(buffer_room(out, 4096), 1, 4096, file);
        out->len += got;
    } while (got > 0 && out->len - before <= max_bytes);

    const char *problem = ferror(file) ? strerror(errno) : NULL;
    if (!problem && out->len - before > max_bytes)
        problem = "too large to be what it should be";
    fclose(file);
    return problem;
}
