/*
 * waiter_trial -- for tests: over cmd/trial.h, clients that wait beside the one that writes.
 */
#ifndef CMD_WAITER_TRIAL_H
#define CMD_WAITER_TRIAL_H

#include "cmd/blocking.h"
#include "cmd/trial.h"

enum { CLIENTS = 4 };

/* world.session writes; these wait. */
static struct session clients[CLIENTS];
static struct buffer served; /* "1 0 …": who was answered, in order */

static inline void open_clients(void)
{
    open_world();
    for (int i = 0; i < CLIENTS; i++)
        server_open_session(&world.server, &clients[i]);
    buffer_clear(&served);
}

static inline void close_clients(void)
{
    for (int i = 0; i < CLIENTS; i++)
        server_close_session(&world.server, &clients[i]);
    buffer_release(&served);
    close_world();
}

static inline void answered(void *context, struct session *s, size_t start)
{
    CHECK(context == &world && s->blocked == NULL && start <= s->output.len);
    buffer_printf(&served, "%s%d", served.len > 0 ? " " : "", (int)(s - clients));
}

static inline void ask(int client, const char *line)
{
    struct buffer text = { 0 };
    struct session *s = &clients[client];

    buffer_printf(&text, "%s\r\n", line);
    CHECK(resp_parse(&s->parser, buffer_span(&text)) == RESP_COMMAND);
    turn(0);
    command_run(&world.server, s, s->parser.argv, s->parser.argc);
    buffer_release(&text);
}

static inline void serve(void)
{
    blocking_serve(&world.server, true, answered, &world);
}

/* A command of the one who does not wait, and what follows from it. */
static inline void run_line(const char *line)
{
    execute(line);
    serve();
}

static inline void pass(uint64_t ms)
{
    turn(ms);
    blocking_expire(&world.server, world.server.now_us, answered, &world);
}

/* All that a client was answered; takes it away. */
static inline struct span answers(int client)
{
    static struct buffer text;
    struct span in = buffer_span(&clients[client].output);

    buffer_clear(&text);
    while (in.len > 0)
        render(&text, &in, false);
    buffer_clear(&clients[client].output);
    return buffer_span(&text);
}

#define EXPECT_ANSWER(client, text) EXPECT_TEXT(answers(client), text)
#define EXPECT_WAITS(client)                                                                       \
    EXPECT(clients[client].blocked != NULL && clients[client].output.len == 0)

#endif
