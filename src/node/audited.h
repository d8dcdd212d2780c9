/*
 * audited -- what of the node's work is counted for the audit (node/audit.h), and what waits for it.
 *
 *     feed      a subscription announces its fenced streams; nothing is sent until that is written;
 *               batches are counted when they are put into the link's output
 *     source    likewise with the objects of a bootstrap
 *     forward   commands with fenced keys are counted where they are sent and where they come; an
 *               answer waits until answers of its keyspace are announced on the link
 *     intake    batches are counted as they come, also those that are not wanted
 *
 * When lines cannot be written: fenced streams are taken out of all feeds, commands for fenced keys
 * are not forwarded, their answers wait, and no region that is member of a fence is bootstrapped; all
 * else goes on. Once they can be written again the links of those feeds are closed, so that the other
 * region dials anew and asks for what it lacks.
 *
 * A command counts under its key's keyspace; one with keys of several of the same fence under the one
 * that lets least out (outside: refuse); a GATHER counts once in each fence that it looks into.
 * All do nothing in a deployment without fences. Pure; part of the node.
 */
#ifndef NODE_AUDITED_H
#define NODE_AUDITED_H

#include "base/span.h"
#include "clock/vector.h"

struct node;
struct link;
struct feed_frame;

void audited_init(struct node *n);
void audited_turn_end(struct node *n);
void audited_link_ended(struct node *n, const struct link *l);

/* A SUBSCRIBE: what it asks for, and has. Takes out what may not be sent now. */
void audited_subscribe(struct node *n, struct link *l, uint64_t origins[4],
                       const struct vector *have);
bool audited_holds_log(const struct node *n, const struct link *l);
void audited_frame_begins(const struct node *n, struct feed_frame *f);
void audited_frame_adds(const struct node *n, struct feed_frame *f, struct span batch);
void audited_frame_sent(struct node *n, const struct link *l, const struct feed_frame *f);
void audited_batch_came(struct node *n, const struct link *l, struct span batch);

/* A bootstrap: what is sent are changes (core/copier.h). */
void audited_image_begins(struct node *n, struct link *l);
bool audited_holds_image(const struct node *n, const struct link *l);
void audited_objects(struct node *n, const struct link *l, bool taken, struct span changes);

/* Commands, in RESP, on their way over a link: counts them. What their answer will be about: 0 when
 * that is nothing of a fence. */
uint32_t audited_commands(struct node *n, const struct link *l, bool taken, struct span commands);
/* Whether the answer may go now. Else it is asked again when lines were written. */
bool audited_may_answer(struct node *n, const struct link *l, uint32_t about);
void audited_answer(struct node *n, const struct link *l, bool taken, uint32_t about, size_t bytes);
/* NULL, or why a command with these keys cannot be forwarded: the error to reply. */
const char *audited_refusal(const struct node *n, struct span key, bool fenced);

#endif
