/*
 * bits -- what the commands on bits of strings share.
 */
#ifndef CMD_BITS_H
#define CMD_BITS_H

#include "cmd/data.h"

/* An offset in bits; with a width > 0 "#n" is the n-th field of that width. Replies the error and
 * returns false where it is none, or past what a string may hold. */
bool bits_offset(struct call *call, struct span s, unsigned width, uint64_t *offset);

/* False when it replied that a group has no room for the text, made `len` bytes long. */
bool bits_fit(struct call *call, struct span text, size_t len);

/* Appends text and zero bytes up to `len` where it is shorter. */
void bits_copy(struct buffer *out, struct span text, size_t len);

#endif
