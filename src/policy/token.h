/*
 * token -- what a client has seen, as text that it can carry to any region.
 *
 * A token names for each origin the last op that its client may have seen, and the instance of the region
 * that made it; and a time that later stamps must pass. Who follows a token waits until all of it is here.
 * Format:    base64url without padding of
 *
 *     u8 version (2)   u8 shard   varint greatest ms   u8 n   n bytes: a bit for each origin, low first, the
 *     last byte not 0; and unless n is 0
 *     u8 a   u8 c   u8 r: orders of exponential Golomb codes (Teuhola, 1978) for ages, counters and runs
 *     bits, high first, for each origin, ascending:
 *         a code of greatest ms - ms   a code of the counter
 *         0: of the same run as the origin 16, 32, ... below it, the nearest that is here (policy/origin.h:
 *         of the same region)   1 and a code: its run (instance)
 *     zero bits to the byte's end
 *     u32 CRC32C of all before, begun with that of the deployment's name: a token of another deployment is
 *     none.
 *
 * The code of v of order k: with q = (v >> k) + 1, of n bits: n - 1 zeros, q, the low k bits of v. The writer
 * takes the order that makes all of a kind shortest.
 * Limits:    of an origin 2 to 6 bytes. Under 512 characters are 16 regions with a stream in each of three
 *            fences beside the global one, of some weeks; with the greatest counters those of two fences.
 *            TOKEN_TEXT_MAX holds any token of 256 origins.
 */
#ifndef POLICY_TOKEN_H
#define POLICY_TOKEN_H

#include "clock/vector.h"

enum {
    TOKEN_TEXT_MAX = 8192 /* 255 origins with the longest entries need 5,600 */
};

struct token {
    struct vector seen;               /* last ops */
    uint64_t instance[STAMP_ORIGINS]; /* of each origin that is in `seen` */
    uint64_t time_ms;                 /* at least that of every stamp in `seen` */
    uint8_t shard;
};

/* The later of the two, for every origin. */
void token_merge(struct token *t, const struct token *other);

/* Sees one op more. */
void token_see(struct token *t, stamp_t stamp, uint64_t instance);

/* Appends the text. */
void token_put(struct buffer *out, const struct token *t, const char *deployment);

/* False when the text is no token of the deployment. */
bool token_take(struct span text, struct token *t, const char *deployment);

#endif
