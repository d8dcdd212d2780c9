#include "host/textfile.h"

#include <errno.h>
#include <stdio.h>

static const char *say_limit(size_t max_bytes)
{
    static char text[64];
    snprintf(text, sizeof(text), "larger than %zu KiB", max_bytes / 1024);
    return text;
}

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
        problem = say_limit(max_bytes);
    fclose(file);
    return problem;
}
