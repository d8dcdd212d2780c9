/*
 * dump -- DUMP's payload: a value as bytes that RESTORE takes in any region of any deployment.
 *
 *     u8 'M' | u8 version 1 | contents (cmd/contents.h) | u32 CRC32C of all before it
 */
#ifndef CMD_DUMP_H
#define CMD_DUMP_H

#include "cmd/call.h"

void dump_put(struct buffer *out, const struct entry *e);

/* Finds the contents of a payload, not yet looked at; false: not a payload of a version that this
 * one reads, or damaged. */
bool dump_open(struct span payload, struct span *contents);

#endif
