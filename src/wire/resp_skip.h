/*
 * resp_skip -- where a reply ends, in RESP2 or RESP3, whatever is in it.
 *
 * For replies that this program has made: what is malformed counts as incomplete.
 */
#ifndef WIRE_RESP_SKIP_H
#define WIRE_RESP_SKIP_H

#include "base/span.h"

/* The bytes of the whole reply at the front of `in`; 0: it is not complete. */
size_t resp_skip(struct span in);

#endif
