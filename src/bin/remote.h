/*
 * remote -- a connection to a region, or a Redis, for many commands: hiredis, blocking.
 *
 * Commands are queued, sent, and answered in order. Whoever sends many before it reads must stay
 * under a megabyte of replies, or both sides wait for each other. A password for AUTH is taken from
 * the environment, REDISCLI_AUTH, as redis-cli does.
 */
#ifndef BIN_REMOTE_H
#define BIN_REMOTE_H

#include <hiredis/hiredis.h>

#include "base/span.h"
#include "policy/region.h"

enum { REMOTE_PROBLEM_MAX = 400 };

struct remote {
    redisContext *context;
    struct endpoint at;
    char problem[REMOTE_PROBLEM_MAX]; /* after a call that failed */
};

/* False, and why in r->problem. remote_close is right in both cases. */
bool remote_open(struct remote *r, const struct endpoint *at);
void remote_close(struct remote *r);

void remote_queue(struct remote *r, struct span commands); /* whole ones, as RESP */
void remote_queue_words(struct remote *r, const struct span *argv, size_t argc);
bool remote_send(struct remote *r);

/* The next answer, to be freed by freeReplyObject; NULL when the connection failed. */
redisReply *remote_reply(struct remote *r);

/* Sends one command and expects no error: else NULL, with the error in r->problem. */
redisReply *remote_ask(struct remote *r, const struct span *argv, size_t argc);

static inline struct span reply_span(const redisReply *reply)
{
    return span_of(reply->str, reply->str != NULL ? reply->len : 0);
}

#endif
