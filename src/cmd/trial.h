/*
 * trial -- for tests: data commands as clients see them: lines in, replies out, on one replica in
 * memory.
 *
 * Replies are written as text: OK, 7, "bulk", nil, [array], (set), {map}; errors with their '-',
 * doubles with their ','. A step whose reply begins with '~' has its elements sorted before they
 * are compared. A line "@ms" lets time pass, "!3" switches the session to RESP3.
 */
#ifndef CMD_TRIAL_H
#define CMD_TRIAL_H

#include <stdio.h>
#include <stdlib.h>

#include "base/memory.h"
#include "base/test.h"
#include "cmd/data.h"

enum { START_MS = 1000000 };

struct world {
    struct replica replica;
    struct server server;
    struct deployment deployment;
    struct session session;
    uint64_t now_ms;
};

static struct world world;

static inline void turn(uint64_t more_ms)
{
    world.now_ms += more_ms;
    world.server.now_us = world.now_ms * 1000;
    replica_turn(&world.replica, world.now_ms);
}

/* `prepare` adds what the deployment is to have; NULL: nothing. */
static inline void open_world_with(void (*prepare)(struct deployment *d))
{
    struct replica_options options = {
        .region = 1,
        .instance = 1,
        .seed = test_seed(),
        .max_skew_ms = 500,
        .park_max_bytes = 1 << 20,
    };

    memset(&world, 0, sizeof(world));
    replica_init(&world.replica, &options);
    replica_recovered(&world.replica, 0);
    hlc_raise_ceiling(&world.replica.hlc, UINT64_C(1) << 40);
    deployment_init(&world.deployment);
    if (prepare != NULL)
        prepare(&world.deployment);
    deployment_finish(&world.deployment);
    server_init(&world.server, &world.replica, &world.deployment);
    server_listen(&world.server);
    server_open_session(&world.server, &world.session);
    turn(START_MS);
}

static inline void open_world(void)
{
    open_world_with(NULL);
}

static inline void close_world(void)
{
    server_close_session(&world.server, &world.session);
    server_release(&world.server);
    replica_release(&world.replica);
    deployment_release(&world.deployment);
}

/* --- replies as text --- */

static inline int64_t number(struct span *in)
{
    const uint8_t *end = memchr(in->at, '\r', in->len);
    int64_t n = 0;

    CHECK(end != NULL);
    span_to_int64(span_of(in->at + 1, (size_t)(end - in->at - 1)), &n);
    *in = span_skip(*in, (size_t)(end - in->at) + 2);
    return n;
}

static inline int by_bytes(const void *a, const void *b)
{
    return span_compare(buffer_span(a), buffer_span(b));
}

static inline void render(struct buffer *out, struct span *in, bool sorted);

static inline void render_aggregate(struct buffer *out, struct span *in, bool sorted)
{
    const char *brackets = in->at[0] == '*' ? "[]" : in->at[0] == '~' ? "()" : "{}";
    bool map = in->at[0] == '%';
    int64_t n = number(in);

    if (n < 0) {
        buffer_put_text(out, "nil-array");
        return;
    }
    size_t count = (size_t)n * (map ? 2 : 1);
    struct buffer *parts = mem_zalloc(count * sizeof(*parts));
    for (size_t i = 0; i < count; i++)
        render(&parts[i], in, false);
    if (sorted)
        qsort(parts, count, sizeof(*parts), by_bytes);
    buffer_put_u8(out, (uint8_t)brackets[0]);
    for (size_t i = 0; i < count; i++) {
        if (i > 0)
            buffer_put_u8(out, ' ');
        buffer_put(out, buffer_span(&parts[i]));
        buffer_release(&parts[i]);
    }
    buffer_put_u8(out, (uint8_t)brackets[1]);
    mem_free(parts);
}

static inline void render(struct buffer *out, struct span *in, bool sorted)
{
    CHECK(in->len >= 3);
    uint8_t kind = in->at[0];

    if (kind == '*' || kind == '~' || kind == '%') {
        render_aggregate(out, in, sorted);
    } else if (kind == '$') {
        int64_t len = number(in);
        if (len < 0) {
            buffer_put_text(out, "nil");
            return;
        }
        buffer_put_u8(out, '"');
        buffer_put_bytes(out, in->at, (size_t)len);
        buffer_put_u8(out, '"');
        *in = span_skip(*in, (size_t)len + 2);
    } else {
        struct span line = *in;
        number(in);
        line.len -= in->len + 2;
        if (kind == '_')
            buffer_put_text(out, "nil");
        else
            buffer_put(out, span_skip(line, kind == '-' || kind == ',' ? 0 : 1));
    }
}

/* --- running --- */

struct step {
    const char *line, *reply;
};

static inline void execute(const char *line)
{
    struct buffer text = { 0 };

    buffer_put_text(&text, line);
    buffer_put_text(&text, "\r\n");
    enum resp_status status = resp_parse(&world.session.parser, buffer_span(&text));
    CHECK(status == RESP_COMMAND);
    buffer_clear(&world.session.output);
    bool wrote = false;
    do {
        turn(0);
        command_run(&world.server, &world.session, world.session.parser.argv,
                    world.session.parser.argc);
        wrote |= world.session.wrote;
    } while (world.session.unfinished);
    world.session.wrote = wrote;
    buffer_release(&text);
}

/* The one reply, whole, as text. */
static inline struct span reply_text(bool sorted)
{
    static struct buffer text;
    struct span in = buffer_span(&world.session.output);

    buffer_clear(&text);
    if (sorted)
        buffer_put_u8(&text, '~');
    render(&text, &in, sorted);
    if (in.len > 0)
        buffer_put_text(&text, " and more");
    return buffer_span(&text);
}

#define EXPECT_REPLY(line, reply)                                                                  \
    do {                                                                                           \
        execute(line);                                                                             \
        EXPECT_TEXT(reply_text(false), reply);                                                     \
    } while (0)

static inline bool run_step(const struct step *step)
{
    if (step->line[0] == '@') {
        turn((uint64_t)atoi(step->line + 1));
        return true;
    }
    if (step->line[0] == '!') {
        world.session.reply.protocol = atoi(step->line + 1);
        return true;
    }
    execute(step->line);
    return test_equal_span(__FILE__, __LINE__, step->line, "the reply expected",
                           reply_text(step->reply[0] == '~'), span_str(step->reply));
}

static inline void run_steps(const struct step *steps, size_t count)
{
    open_world();
    for (size_t i = 0; i < count && run_step(&steps[i]); i++)
        continue;
    close_world();
}

#define STEPS(name, ...)                                                                           \
    TEST(name)                                                                                     \
    {                                                                                              \
        static const struct step steps[] = { __VA_ARGS__ };                                        \
        run_steps(steps, COUNT_OF(steps));                                                         \
    }

#define NOT_INTEGER "-ERR value is not an integer or out of range"
#define NOT_FLOAT   "-ERR value is not a valid float"
#define WRONG_TYPE  "-WRONGTYPE Operation against a key holding the wrong kind of value"
#define SYNTAX      "-ERR syntax error"
#define OVERFLOW    "-ERR increment or decrement would overflow"

#endif
