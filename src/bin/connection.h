/*
 * connection -- a connection to a region, or a Redis, for many commands: hiredis, blocking.
 *
 * Commands are queued, sent, and answered in order. Whoever sends many before it reads must stay
 * under a megabyte of replies, or both sides wait for each other. A password for AUTH is taken from
 * the environment, REDISCLI_AUTH, as redis-cli does.
 */
#ifndef BIN_CONNECTION_H
#define BIN_CONNECTION_H

#include <hiredis/hiredis.h>

#include "base/span.h"
#include "policy/region.h"

enum { CONNECTION_PROBLEM_MAX = 400 };

struct connection {
    redisContext *context;
    struct endpoint at;
    char problem[CONNECTION_PROBLEM_MAX]; /* after a call that failed */
};

/* False, and why in r->problem. connection_close is right in both cases. */
bool connection_open(struct connection *r, const struct endpoint *at);
void connection_close(struct connection *r);

void connection_queue(struct connection *r, struct span commands); /* whole ones, as RESP */
void connection_queue_words(struct connection *r, const struct span *argv, size_t argc);
bool connection_send(struct connection *r);

/* The next answer, to be freed by freeReplyObject; NULL when the connection failed. */
redisReply *connection_reply(struct connection *r);

/* Sends one command and expects no error: else NULL, with the error in r->problem. */
redisReply *connection_ask(struct connection *r, const struct span *argv, size_t argc);

static inline struct span reply_span(const redisReply *reply)
{
    return span_of(reply->str, reply->str != NULL ? reply->len : 0);
}

#endif
