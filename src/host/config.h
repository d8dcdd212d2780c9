/*
 * config -- a deployment from its YAML file.
 *
 * The file is judged whole: every problem is reported, each as one line `FILE:LINE: message`. What
 * the file may say is in the tables of config.c and of its parts config_*.c; what it may say one day but
 * this version cannot do is refused with its line, never ignored. config_load also compiles the merge
 * functions that the file names, which stand beside it: faults in them name their own file and line.
 * Limits:    files up to CONFIG_MAX_BYTES.
 */
#ifndef HOST_CONFIG_H
#define HOST_CONFIG_H

#include "base/buffer.h"
#include "policy/deployment.h"

enum { CONFIG_MAX_BYTES = 1 << 20 }; /* 255 regions and thousands of keyspaces fit */

/* True, and *out is given (deployment_release frees it); or false, *out is empty, and `errors` has
 * grown by a line for each problem. */
bool config_load(const char *path, struct deployment *out, struct buffer *errors);

/* The same for a text; `file` is what messages call it. */
bool config_parse(const char *file, struct span text, struct deployment *out,
                  struct buffer *errors);

#endif
