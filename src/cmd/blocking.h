/*
 * blocking -- clients that wait for a key to be written: BLPOP, BZPOPMIN, XREAD BLOCK and the like.
 *
 * A handler that finds nothing calls call_block and returns: the session runs no further command.
 * When one of the keys is touched, by anybody in any region, the handler is run again with the same
 * arguments (call->retry is true). If it replies, the wait ends; if it does not, whether it calls
 * call_block again or just returns, the session keeps its place. Touched keys are served in the
 * order in which they were touched, the clients of a key in the order in which they began to wait;
 * where one finds no list, or no sorted set, those behind it are not tried until the next touch.
 * Inside MULTI nothing waits.
 *
 * A retry passes the gate that a command passes when it comes (cmd/route.h): a key's home may have
 * moved since, by a word of its directory, which is waited for as the keys are. What is to run in
 * another region by now, or nowhere, is not tried here: its wait ends without an answer, and the
 * node judges the command anew (blocking_take_moved).
 *
 * A retry is for one key: to call_find every other key of the wait is empty then, a wrong type at
 * that key is no reply, and no hit or miss is counted. A write command that is refused by now
 * ("SKEWED …") ends with that error.
 */
#ifndef CMD_BLOCKING_H
#define CMD_BLOCKING_H

#include "cmd/call.h"

/* Makes the session wait for any of `keys` (of call->db) until timeout_us from now (0: for ever);
 * then the answer is a null array. The arguments of the retries are `argv` (XREAD has to replace its
 * "$"), or the call's own where argv is NULL; all is copied. False when nothing may wait here: the
 * handler then gives its empty answer. */
bool call_block(struct call *call, const struct span *keys, size_t count, uint64_t timeout_us,
                const struct span *argv, size_t argc);

/* A timeout, the argument at that place: in seconds, as Redis writes it ("0.5"), or in whole
 * milliseconds (XREAD BLOCK); replies the error and returns false when it is none. */
bool call_timeout(struct call *call, size_t at, uint64_t *timeout_us);
bool call_timeout_ms(struct call *call, size_t at, uint64_t *timeout_us);

/* Told of a session whose wait is over: its answer stands in its output from `start` on, or nothing
 * does (CLIENT REPLY OFF). session->wrote says whether the retry wrote. */
typedef void (*blocking_answered_fn)(void *context, struct session *s, size_t start);

/* Whether blocking_serve has anything to do. */
static inline bool blocking_pending(const struct server *server)
{
    return !list_empty(&server->blocking.ready) || !list_empty(&server->blocking.ended);
}

/* Serves the touched keys until nobody is left that can go on. Called by the node after every
 * command and after what came from peers. Without `writes` commands that may write stay where they
 * are, until the next time. */
void blocking_serve(struct server *server, bool writes, blocking_answered_fn answered,
                    void *context);

/* Whether a session waits whose command is to be judged anew. */
static inline bool blocking_has_moved(const struct server *server)
{
    return !list_empty(&server->blocking.moved);
}

/* Ends such a session's wait without an answer, and appends its command as it came (in a WITH, if it did),
 * with what is left of its timeout, to what the caller gives it to read again. NULL: there is none. */
struct session *blocking_take_moved(struct server *server, struct buffer *command);

/* Ends waits whose time is over. */
void blocking_expire(struct server *server, uint64_t now_us, blocking_answered_fn answered,
                     void *context);

/* When blocking_expire is due next; UINT64_MAX: never. */
uint64_t blocking_deadline_us(const struct server *server);

/* CLIENT UNBLOCK: ends a wait (WAIT's too) before its time, with the answer of a timeout or an
 * error, in this turn. False when the session does not wait; nor is there the answer of a timeout
 * where there is no timeout (SAVE, CHECKPOINT SCRUB). */
bool blocking_unblock(struct server *server, struct session *s, bool with_error);

/* A session that is closed waits no more. */
void blocking_forget(struct server *server, struct session *s);

/* For call_find: what a key is to the retry that runs. */
enum retry_key { RETRY_OTHER, RETRY_SERVED, RETRY_HIDDEN };
enum retry_key blocking_retry_key(const struct call *call, struct span key);

#endif
