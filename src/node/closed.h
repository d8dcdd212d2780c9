/*
 * closed -- origins without an owner: which there are, and at which peer they are asked for.
 *
 * A number that a region gave up stays in stamps for ever. Nobody writes under it any more and it
 * has no heartbeat, but its ops may be unevenly spread: they are fetched from whoever holds more of
 * them, at one peer at a time, for as long as somebody does. The configuration lists these numbers.
 * One that is here and that neither a region nor the list has (a directory that was restored
 * elsewhere, a region that is newer than our configuration) is told once and fetched likewise; only
 * what asks "can nobody write this any more?" goes by the list.
 */
#ifndef NODE_CLOSED_H
#define NODE_CLOSED_H

#include "clock/vector.h"

struct node;
struct link;

void closed_init(struct node *n);

/* Looks for origins that nobody told us of. */
void closed_note(struct node *n, const struct vector *v);

/* Asks for what some peer holds more of, where nobody is asked (node/topology.h). */
void closed_ask(struct node *n);

/* Whether an origin has no owner; and whether more of it comes over an intake. */
bool closed_is(const struct node *n, uint8_t origin);
bool closed_comes(struct node *n, const struct link *l, uint8_t origin);

/* Whether the configuration lists it, and nobody who was heard of holds more of it than we do. */
bool closed_is_all_here(struct node *n, uint8_t origin);

/* Whether nobody holds more of such origins than we do. They have no heartbeat that would say so:
 * until then, one of their ops that has not come may have extended any deadline. */
bool closed_settled(struct node *n);

#endif
