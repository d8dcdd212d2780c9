/*
 * mergefile -- the files of merge functions: beside the configuration, named by it.
 *
 * A name is relative to the configuration's directory and stays below it: no client that may say
 * KEYSPACE SET can make a region read another file.
 */
#ifndef HOST_MERGEFILE_H
#define HOST_MERGEFILE_H

#include "base/buffer.h"

/* NULL, or what is wrong with a name, as a sentence. */
const char *mergefile_judge(const char *name);

/* Appends the source to `out`. NULL, or what kept it from being read, as a sentence with the whole
 * path (borrowed, good until the next call). */
const char *mergefile_read(const char *config_path, const char *name, struct buffer *out);

/* Whether the source is that of a function; else `errors` grows by a line FILE:LINE: message. */
bool mergefile_compiles(const char *config_path, const char *name, struct span source,
                        struct buffer *errors);

#endif
