#include "bin/commands.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/check.h"
#include "wire/resp.h"

void commands_release(struct commands *c)
{
    buffer_release(&c->out);
    buffer_release(&c->piece);
}

static void put_count(struct commands *c, size_t count)
{
    resp_put_header(&c->out, count);
    c->count++;
}

void commands_put(struct commands *c, const struct span *argv, size_t argc)
{
    CHECK(c->piece_arguments == 0);
    put_count(c, argc);
    for (size_t i = 0; i < argc; i++)
        resp_put_argument(&c->out, argv[i]);
}

void commands_add(struct commands *c, const char *verb, struct span key, const struct span *item,
                  size_t argument_count)
{
    if (c->piece_arguments == 0) {
        resp_put_argument(&c->piece, span_str(verb));
        resp_put_argument(&c->piece, key);
        c->piece_arguments = 2;
    }
    for (size_t i = 0; i < argument_count; i++)
        resp_put_argument(&c->piece, item[i]);
    c->piece_arguments += argument_count;
    if (c->piece_arguments >= PIECE_ARGUMENTS || c->piece.len >= PIECE_BYTES)
        commands_close(c);
}

void commands_close(struct commands *c)
{
    if (c->piece_arguments == 0)
        return;
    put_count(c, c->piece_arguments);
    buffer_put(&c->out, buffer_span(&c->piece));
    buffer_clear(&c->piece);
    c->piece_arguments = 0;
}

struct span commands_number(uint64_t number, char *text)
{
    return span_of(text, (size_t)snprintf(text, NUMBER_TEXT_MAX, "%" PRIu64, number));
}
