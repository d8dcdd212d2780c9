/*
 * glob -- patterns as KEYS, SCAN MATCH and their kin understand them.
 *
 *     *       any bytes, none too          [abc] [a-z] [^a]   one byte of a class
 *     ?       any one byte                 \x                 x itself, in classes too
 *
 * As in Redis a range may be written backwards, a class that is never closed ends with the pattern,
 * and a range takes even ']' as its end. (Not so here: in Redis no pattern of stars but "*" itself
 * matches the empty text.) Takes at most pattern.len * text.len steps, whatever the
 * pattern: only the last star is ever tried again.
 */
#ifndef CMD_GLOB_H
#define CMD_GLOB_H

#include "base/span.h"

bool glob_match(struct span pattern, struct span text);

#endif
