/*
 * token -- what a client has seen, as text that it can carry to any region.
 *
 * A token names for each origin the last op that its client may have seen, and the instance of the region
 * that made it; and a time that later stamps must pass. Who follows a token waits until all of it is here.
 * Format:    base64url without padding of: u8 version (1)   u8 shard   varint greatest ms   varint n,
 *            then for each of n origins, ascending: u8 origin   varint (greatest ms - ms)
 *            varint counter   varint instance; then u32 CRC32C of all before, begun with that of
 *            the deployment's name: a token of another deployment is none.
 * Limits:    an entry has 5 to 20 bytes, mostly 8; TOKEN_TEXT_MAX holds any token of 256 origins.
 */
#ifndef POLICY_TOKEN_H
#define POLICY_TOKEN_H

#include "clock/vector.h"

enum {
    TOKEN_TEXT_MAX = 8192 /* guess: 256 origins with the longest entries need 6,900 */
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
