/*
 * hello -- who is at the other end of a link, and may it be there?
 *
 * Both sides send one HELLO, the acceptor after it has seen the dialler's. What does not fit is
 * refused with one line that both logs show:
 *
 *     another protocol version or deployment; another number or name of a region; ourselves;
 *     a region that is not the one dialled; a role that does not fit; a link under LINK CUT;
 *     a process of an older run while one of a newer run is connected
 *     a clone: the same run, met before as another process
 *
 * Configurations that differ in fences are no reason to refuse: what follows is in node/agreement.h.
 *
 * A HELLO may also show that *we* are amnesiac (node/runs.h). Then own writes end, and the rest
 * goes on. Therefore also those learn what we know of them whom we refuse as second process or
 * clone: a HELLO that says so goes before the REFUSED.
 */
#ifndef NODE_HELLO_H
#define NODE_HELLO_H

#include "base/span.h"

struct node;
struct link;

/* A name out of a peer's bytes, fit for a log line. */
struct shown {
    char text[64];
};

struct shown hello_shown(struct span name);

void hello_send(struct node *n, struct link *l);

/* Takes the peer's HELLO: the link is ready afterwards, or closing. */
void hello_take(struct node *n, struct link *l, struct span body);

#endif
