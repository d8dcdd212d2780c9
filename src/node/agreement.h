/*
 * agreement -- on which fences a peer and this region agree, and what goes between them.
 *
 * Each has its own copy of the configuration, and these are not changed at the same moment. HELLO says which
 * fences the sender has (policy/residency.h). Of a fence on which both do not agree to the last prefix
 * nothing goes either way: who has the wrong file could pass it on to where it may not lie. All else goes on,
 * so that a fence can be appended, or get a member, by one restart after the other:
 *
 *     its streams are not asked for, and not given, be they the peer's own or passed on (peer.barred);
 *     neither is the other's source of a bootstrap;
 *     batches of other fences do not wait for the peer's writes to this one (replica.apart);
 *     a fence that only the peer has is one that we may not hold.
 *
 * Both tell so, in their logs and as the link's problem.
 */
#ifndef NODE_AGREEMENT_H
#define NODE_AGREEMENT_H

#include "wire/message.h"

struct node;
struct peer;

struct agreement {
    uint32_t fence_count;
    struct message_fence fences[MESSAGE_FENCES_MAX]; /* ours, by place - 1; names borrowed */
};

void agreement_init(struct node *n);

void agreement_put(const struct node *n, struct message_hello *hello);

/* By a peer's HELLO. */
void agreement_judge(struct node *n, struct peer *peer, const struct message_hello *hello);

#endif
