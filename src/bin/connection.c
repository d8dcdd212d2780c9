#include "bin/connection.h"

#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/check.h"
#include "base/memory.h"
#include "host/endpoint.h"

enum { CONNECT_SECONDS = 5, ANSWER_SECONDS = 120 };

static bool fail(struct connection *r, const char *why)
{
    char text[ENDPOINT_TEXT_MAX];

    snprintf(r->problem, sizeof(r->problem), "%s: %s", endpoint_text(&r->at, text), why);
    return false;
}

static bool authenticate(struct connection *r)
{
    const char *password = getenv("REDISCLI_AUTH");
    struct span words[2] = { span_str("AUTH") };

    if (password == NULL)
        return true;
    words[1] = span_str(password);
    redisReply *reply = connection_ask(r, words, 2);
    freeReplyObject(reply);
    return reply != NULL;
}

bool connection_open(struct connection *r, const struct endpoint *at)
{
    *r = (struct connection){ .at = *at };
    signal(SIGPIPE, SIG_IGN); /* a connection that is gone is an error like others */
    r->context = redisConnectWithTimeout(at->host, at->port,
                                         (struct timeval){ CONNECT_SECONDS, 0 });
    if (r->context == NULL)
        return fail(r, "out of memory");
    if (r->context->err != 0)
        return fail(r, r->context->errstr);
    redisSetTimeout(r->context, (struct timeval){ ANSWER_SECONDS, 0 });
    return authenticate(r);
}

void connection_close(struct connection *r)
{
    redisFree(r->context);
    r->context = NULL;
}

void connection_queue(struct connection *r, struct span commands)
{
    /* It fails only without memory, which ends the process everywhere else too. */
    CHECK(redisAppendFormattedCommand(r->context, (const char *)commands.at, commands.len) ==
          REDIS_OK);
}

void connection_queue_words(struct connection *r, const struct span *argv, size_t argc)
{
    const char **texts = mem_alloc(argc * sizeof(*texts));
    size_t *lengths = mem_alloc(argc * sizeof(*lengths));

    for (size_t i = 0; i < argc; i++) {
        texts[i] = (const char *)argv[i].at;
        lengths[i] = argv[i].len;
    }
    CHECK(redisAppendCommandArgv(r->context, (int)argc, texts, lengths) == REDIS_OK);
    mem_free(texts);
    mem_free(lengths);
}

bool connection_send(struct connection *r)
{
    int done = 0;

    while (done == 0) {
        if (redisBufferWrite(r->context, &done) != REDIS_OK)
            return fail(r, r->context->errstr);
    }
    return true;
}

redisReply *connection_reply(struct connection *r)
{
    void *reply = NULL;

    if (redisGetReply(r->context, &reply) == REDIS_OK)
        return reply;
    fail(r, r->context->errstr[0] != 0 ? r->context->errstr : "the connection failed");
    return NULL;
}

redisReply *connection_ask(struct connection *r, const struct span *argv, size_t argc)
{
    redisReply *reply;

    connection_queue_words(r, argv, argc);
    reply = connection_reply(r);
    if (reply == NULL || reply->type != REDIS_REPLY_ERROR)
        return reply;
    fail(r, reply->str);
    freeReplyObject(reply);
    return NULL;
}
