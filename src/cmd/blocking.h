/*
 * blocking -- clients that wait for a key to be written: BLPOP, BZPOPMIN, XREAD BLOCK and the like.
 *
 * A handler that finds nothing calls call_block and returns: the session runs no further command.
 * When one of the keys is touched, by anybody in any region, the handler is run again with the same
 * arguments (call->retry is true), and either replies, which ends the wait, or calls call_block
 * again, which leaves the session at its place. Sessions are served in the order in which they began
 * to wait. Inside MULTI nothing waits.
 * A retry must neither reply WRONGTYPE nor count misses: Redis lets such clients wait.
 */
#ifndef CMD_BLOCKING_H
#define CMD_BLOCKING_H

#include "cmd/call.h"

/* What a client is answered when its time is over. */
enum blocked_answer { BLOCKED_NULL, BLOCKED_NULL_ARRAY };

/* Makes the session wait for any of `keys` (of call->db) until timeout_us from now (0: for ever). The
 * arguments of the retries are `argv` (XREAD has to replace its "$"), or the call's own where argv is
 * NULL; all is copied. False when nothing may wait here: the handler then gives its empty answer. */
bool call_block(struct call *call, const struct span *keys, size_t count, uint64_t timeout_us,
                enum blocked_answer answer, const struct span *argv, size_t argc);

/* A timeout in seconds, as Redis writes it ("0.5"); replies the error and returns false when it is
 * none. */
bool call_timeout(struct call *call, struct span s, uint64_t *timeout_us);

/* Runs the sessions whose keys were touched, the longest waiting first, until none is left that can
 * go on. Called by the node after every command and after what came from peers. Sessions that have
 * an answer then are given to `answered`. */
void blocking_serve(struct server *server, void (*answered)(void *context, struct session *s),
                    void *context);

/* Ends waits whose time is over; the same of their answers. */
void blocking_expire(struct server *server, uint64_t now_us,
                     void (*answered)(void *context, struct session *s), void *context);

/* When blocking_expire is due next; UINT64_MAX: never. */
uint64_t blocking_deadline_us(const struct server *server);

/* CLIENT UNBLOCK: ends a wait before its time, with the answer of a timeout or an error. */
void blocking_unblock(struct server *server, struct session *s, bool with_error);

/* A session that is closed waits no more. */
void blocking_forget(struct server *server, struct session *s);

#endif
