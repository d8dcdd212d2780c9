/*
 * Fuzz: a client's bytes. Read whole and read in pieces that move in memory, they are the same
 * commands and end in the same error; every command written out again reads as itself.
 */
#include "base/check.h"
#include "base/memory.h"
#include "base/prng.h"
#include "wire/resp.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len);

enum { INPUT_MAX = 64 * 1024 }; /* above, how a line is too long depends on how it came */

/* What was read, as bytes to compare: the commands, then how it ended. */
struct reading {
    struct buffer commands;
    size_t consumed;
    const char *error; /* NULL: more would be needed */
    char error_text[64];
};

static void note_command(struct reading *r, const struct resp_parser *p)
{
    buffer_put_varint(&r->commands, p->argc);
    for (size_t i = 0; i < p->argc; i++)
        buffer_put_prefixed(&r->commands, p->argv[i]);
}

static void note_error(struct reading *r, const struct resp_parser *p)
{
    CHECK(strlen(p->error) < sizeof r->error_text);
    memcpy(r->error_text, p->error, strlen(p->error) + 1);
    r->error = r->error_text;
}

/* A command written as an array of bulk strings is that command. */
static void check_rewritten(const struct resp_parser *p)
{
    struct buffer out = { 0 };
    struct resp_parser again;
    buffer_printf(&out, "*%zu\r\n", p->argc);
    for (size_t i = 0; i < p->argc; i++) {
        buffer_printf(&out, "$%zu\r\n", p->argv[i].len);
        buffer_put(&out, p->argv[i]);
        buffer_put_text(&out, "\r\n");
    }
    resp_init(&again);
    CHECK(resp_parse(&again, buffer_span(&out)) == RESP_COMMAND);
    CHECK(again.consumed == out.len && again.argc == p->argc);
    for (size_t i = 0; i < p->argc; i++)
        CHECK(span_equal(again.argv[i], p->argv[i]));
    resp_release(&again);
    buffer_release(&out);
}

/* Reads the commands at the front; returns how many bytes they were. */
static size_t read_commands(struct reading *r, struct resp_parser *p, struct span in)
{
    size_t used = 0;
    for (;;) {
        struct span rest = span_skip(in, used);
        switch (resp_parse(p, rest)) {
        case RESP_COMMAND:
            CHECK(p->consumed > 0 && p->consumed <= rest.len);
            used += p->consumed;
            note_command(r, p);
            check_rewritten(p);
            break;
        case RESP_MORE:
            CHECK(p->need > rest.len);
            return used;
        case RESP_BAD:
            note_error(r, p);
            return used;
        }
    }
}

static struct reading read_whole(struct span in, bool password_stage)
{
    struct reading r = { 0 };
    struct resp_parser p;
    resp_init(&p);
    p.password_stage = password_stage;
    r.consumed = read_commands(&r, &p, in);
    resp_release(&p);
    return r;
}

/* The bytes come piece by piece; what is not consumed moves each time, into memory of exactly its
 * size. Now and then the parser is asked although it said that it needs more. */
static struct reading read_in_pieces(struct span in, bool password_stage, struct prng *rng)
{
    struct reading r = { 0 };
    struct resp_parser p;
    size_t have = 0, step = 1 + (size_t)prng_below(rng, in.len / 8 + 1);
    resp_init(&p);
    p.password_stage = password_stage;
    while (have < in.len && !r.error) {
        have += 1 + (size_t)prng_below(rng, step);
        if (have > in.len)
            have = in.len;
        if (have - r.consumed < p.need && have < in.len && prng_below(rng, 2) == 0)
            continue;
        size_t kept = have - r.consumed;
        uint8_t *copy = mem_alloc(kept);
        memcpy(copy, in.at + r.consumed, kept);
        r.consumed += read_commands(&r, &p, span_of(copy, kept));
        mem_free(copy);
    }
    resp_release(&p);
    return r;
}

static void check_same(const struct reading *a, const struct reading *b)
{
    CHECK(a->consumed == b->consumed);
    CHECK(span_equal(buffer_span(&a->commands), buffer_span(&b->commands)));
    CHECK((a->error == NULL) == (b->error == NULL));
    CHECK(a->error == NULL || strcmp(a->error, b->error) == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t len)
{
    struct span in = span_of(bytes, len);
    struct prng rng;
    if (len > INPUT_MAX)
        return 0;
    prng_seed(&rng, len > 0 ? bytes[len / 2] : 0);
    for (int stage = 0; stage < 2; stage++) {
        struct reading whole = read_whole(in, stage);
        struct reading pieces = read_in_pieces(in, stage, &rng);
        check_same(&whole, &pieces);
        buffer_release(&whole.commands);
        buffer_release(&pieces.commands);
    }
    return 0;
}
