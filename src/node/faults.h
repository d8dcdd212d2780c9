/*
 * faults -- LINK CUT, HEAL and SLOW: broken links on demand, in a world started with --faults.
 *
 * A fault lives at one end, or at both: each region keeps its own. An end that is cut closes its
 * links with the other, dials no more, and refuses the other's HELLO. So one end is enough to cut;
 * to heal, both must be asked:
 *
 *     asked at     CUT               HEAL                              SLOW
 *     a or b       here              here, and at the other: by its    here; the other is told 0
 *                                    link, or by the HELLO of the
 *                                    dial that follows
 *     elsewhere    at a, else at b   at a and at b                     at a, the other is told 0;
 *                                                                      else at b
 */
#ifndef NODE_FAULTS_H
#define NODE_FAULTS_H

#include "base/span.h"

struct node;
struct link;
struct peer;
struct call;

/* A peer asks for a fault at our end. Ignored, with a line, when this region was not started with
 * --faults. */
void faults_take(struct node *n, struct link *l, struct span body);

/* Ends what LINK CUT and SLOW did at our end. */
void faults_heal_end(struct node *n, struct peer *peer);

/* LINK CUT a b | HEAL a b | SLOW a b ms: only asked for where faults are allowed (cmd/server.h). */
void faults_command(struct node *n, struct call *call);

#endif
