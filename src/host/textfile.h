/*
 * textfile -- reads a small file whole.
 */
#ifndef HOST_TEXTFILE_H
#define HOST_TEXTFILE_H

#include "base/buffer.h"

/* Appends the file's bytes to `out`. NULL, or what kept it from being read, as a sentence
 * (borrowed, good until the next call). A file of more than max_bytes is refused. */
const char *textfile_read(const char *path, size_t max_bytes, struct buffer *out);

#endif
