/*
 * seen -- what of a token (policy/token.h) is here, what is still to come, and what never will.
 *
 * Of each origin a token names the last op that its client may have seen, and the run that wrote it:
 *
 *     here        our vector covers it
 *     lost        so it does, but the stream went on without it: a later run of its region followed
 *                 another op, or has told by a heartbeat that there is none (core/replica.h,
 *                 replica_has_lost). Of our own origins, at once: what an earlier run made and our log
 *                 has not is gone, unless our log itself is in doubt
 *     given up    its region is under closed, and nobody who was heard of holds more of it than we do
 *     foreign     of a fence that we are no member of: carried on, and waited for where it is held
 *     missing     anything else, also of regions that we do not know yet: it is waited for
 *
 * So what is lost or given up is never waited for once that is known; answers warn of it. While its
 * region is away nobody knows, and it is waited for. After which ops runs took over is kept with
 * checkpoints (core/copier.h). A warning is told where the answer has a place for it (WITH), as long as
 * the session follows the token.
 */
#ifndef NODE_SEEN_H
#define NODE_SEEN_H

#include "policy/token.h"

struct node;

/* The first origin of which something is missing; 0: nothing is. `t` NULL: no token. */
uint8_t seen_missing(struct node *n, const struct token *t);

/* The gravest that there is to say of it: "LOST", "CLOSED" (given up), or NULL. */
const char *seen_warning(struct node *n, const struct token *t);

/* What this region writes from now on comes after the token's time. A token is a client's text, and may
 * come from a region whose clock is wrong: it takes ours along no further than clocks may be apart, and
 * once: `timed` says that it has. */
void seen_take_time(struct node *n, const struct token *t, bool *timed);

#endif
