/*
 * What applications do with hiredis, against the port of the command line; prints "hiredis: ok" at the end.
 */
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define EXPECT(fact)                                                      \
    do {                                                                  \
        if (!(fact)) {                                                    \
            fprintf(stderr, "line %d: %s is not so\n", __LINE__, #fact);  \
            exit(1);                                                      \
        }                                                                 \
    } while (0)

static redisReply *checked(redisContext *c, redisReply *reply)
{
    if (reply == NULL) {
        fprintf(stderr, "no reply: %s\n", c->errstr);
        exit(1);
    }
    return reply;
}

static void values(redisContext *c)
{
    redisReply *r = checked(c, redisCommand(c, "SET %s %b", "k", "a\0b", (size_t)3));

    EXPECT(r->type == REDIS_REPLY_STATUS && strcmp(r->str, "OK") == 0);
    freeReplyObject(r);
    r = checked(c, redisCommand(c, "GET k"));
    EXPECT(r->type == REDIS_REPLY_STRING && r->len == 3 && memcmp(r->str, "a\0b", 3) == 0);
    freeReplyObject(r);
    r = checked(c, redisCommand(c, "GET none"));
    EXPECT(r->type == REDIS_REPLY_NIL);
    freeReplyObject(r);
    r = checked(c, redisCommand(c, "INCRBY c 7"));
    EXPECT(r->type == REDIS_REPLY_INTEGER && r->integer == 7);
    freeReplyObject(r);
    r = checked(c, redisCommand(c, "HSET k f v"));
    EXPECT(r->type == REDIS_REPLY_ERROR && strncmp(r->str, "WRONGTYPE", 9) == 0);
    freeReplyObject(r);
    freeReplyObject(checked(c, redisCommand(c, "SADD s a b c")));
    r = checked(c, redisCommand(c, "SMEMBERS s"));
    EXPECT(r->type == REDIS_REPLY_ARRAY && r->elements == 3);
    freeReplyObject(r);
}

static void pipeline(redisContext *c)
{
    redisReply *r;

    for (int i = 0; i < 10000; i++)
        redisAppendCommand(c, "SET many:%d %d", i, i);
    redisAppendCommand(c, "GET many:%d", 4711);
    for (int i = 0; i < 10000; i++) {
        EXPECT(redisGetReply(c, (void **)&r) == REDIS_OK && r->type == REDIS_REPLY_STATUS);
        freeReplyObject(r);
    }
    EXPECT(redisGetReply(c, (void **)&r) == REDIS_OK && strcmp(r->str, "4711") == 0);
    freeReplyObject(r);
}

int main(int argc, char **argv)
{
    redisContext *c = redisConnect("127.0.0.1", argc > 1 ? atoi(argv[1]) : 7001);

    EXPECT(c != NULL && c->err == 0);
    values(c);
    pipeline(c);
    redisFree(c);
    puts("hiredis: ok");
    return 0;
}
