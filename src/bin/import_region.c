#include "bin/import_region.h"

#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"

bool import_region_open(struct import_region *r, const struct endpoint *at, enum present present,
                        struct commands *commands, struct progress *progress)
{
    *r = (struct import_region){ .present = present, .commands = commands, .progress = progress };
    return connection_open(&r->remote, at);
}

void import_region_close(struct import_region *r)
{
    for (int i = 0; i < 2; i++) {
        buffer_release(&r->batches[i].bytes);
        buffer_release(&r->batches[i].names);
        mem_free(r->batches[i].keys);
    }
    connection_close(&r->remote);
}

/* --- what is made --- */

static struct batch *made(struct import_region *r)
{
    return &r->batches[0];
}

static struct batch_key *add_key(struct batch *b, struct span name, enum rdb_type type)
{
    if (b->count == b->cap) {
        b->cap = b->cap > 0 ? 2 * b->cap : 1024;
        b->keys = mem_realloc(b->keys, b->cap * sizeof(*b->keys));
    }
    b->keys[b->count] = (struct batch_key){ .name_at = b->names.len,
                                            .name_len = name.len,
                                            .type = type };
    buffer_put(&b->names, name);
    return &b->keys[b->count++];
}

static struct batch_key *last_key(struct batch *b)
{
    return &b->keys[b->count - 1];
}

static struct span name_of(const struct batch *b, const struct batch_key *key)
{
    return span_of(b->names.at + key->name_at, key->name_len);
}

void import_region_key(struct import_region *r, struct span name, enum rdb_type type)
{
    add_key(made(r), name, type)->from = r->commands->out.len;
    r->commands_before = r->commands->count;
}

/* The end of the key's commands, or of what of them goes with this batch. */
static void close_key(struct import_region *r, bool ends)
{
    struct batch_key *key = last_key(made(r));

    key->to = r->commands->out.len;
    key->commands = r->commands->count - r->commands_before;
    key->ends = ends;
    r->commands_before = r->commands->count;
}

/* --- answers --- */

/* Errors whose first word is one of these are about a single key. */
static bool is_of_a_key(struct span error)
{
    static const char *const words[] = { "ERR ", "WRONGTYPE ", "NOGROUP ", "BUSYGROUP " };

    for (size_t i = 0; i < COUNT_OF(words); i++) {
        size_t len = strlen(words[i]);

        if (error.len >= len && memcmp(error.at, words[i], len) == 0)
            return true;
    }
    return false;
}

static bool refused(struct import_region *r, struct span error)
{
    snprintf(r->remote.problem, sizeof(r->remote.problem), "the region answers: %.*s",
             (int)error.len, (const char *)error.at);
    return false;
}

/* One answer to a command of a key. */
static bool take_answer(struct import_region *r, struct span name, bool *failed)
{
    redisReply *reply = connection_reply(&r->remote);
    bool good = reply != NULL;

    if (!good)
        return false;
    if (reply->type == REDIS_REPLY_ERROR && !is_of_a_key(reply_span(reply))) {
        good = refused(r, reply_span(reply));
    } else if (reply->type == REDIS_REPLY_ERROR && !*failed) {
        *failed = true;
        r->failed++;
        progress_problem(r->progress, name, "%s", reply->str);
    } else if (reply->type == REDIS_REPLY_ARRAY && reply->elements == 0) {
        r->unclaimed++; /* only XCLAIM answers with an array */
    }
    freeReplyObject(reply);
    return good;
}

static bool take_answers(struct import_region *r, struct batch *sent)
{
    for (size_t i = 0; i < sent->count; i++) {
        const struct batch_key *key = &sent->keys[i];
        uint64_t commands = key->unwanted ? 0 : key->commands;
        bool failed = key->unwanted;

        for (uint64_t n = 0; n < commands; n++) {
            if (!take_answer(r, name_of(sent, key), &failed))
                return false;
        }
        if (key->ends && !failed && (commands > 0 || key->continues))
            r->written[key->type]++;
        r->left_out = failed; /* what counts is the last one, which may go on */
    }
    sent->count = 0;
    return true;
}

/* --- batches --- */

static void ask_for_keys(struct import_region *r, const struct batch *b)
{
    struct commands questions = { 0 };

    for (size_t i = 0; i < b->count; i++) {
        if (!b->keys[i].continues)
            commands_put(&questions, (struct span[]){ span_str("EXISTS"), name_of(b, &b->keys[i]) },
                         2);
    }
    if (questions.count > 0)
        connection_queue(&r->remote, buffer_span(&questions.out));
    commands_release(&questions);
}

static bool is_there(struct import_region *r, bool *there)
{
    redisReply *reply = connection_reply(&r->remote);
    bool good = reply != NULL;

    if (!good)
        return false;
    if (reply->type == REDIS_REPLY_INTEGER)
        *there = reply->integer != 0;
    else
        good = refused(r, reply_span(reply));
    freeReplyObject(reply);
    return good;
}

/* Takes out the keys that are there. */
static bool choose(struct import_region *r, struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        struct batch_key *key = &b->keys[i];
        bool there = false;

        if (key->continues) {
            key->unwanted = key->unwanted || r->left_out;
            continue;
        }
        if (r->present != PRESENT_REPLACE && !is_there(r, &there))
            return false;
        if (!there || key->unwanted)
            continue;
        r->there++;
        key->unwanted = true;
        if (r->present == PRESENT_REFUSE)
            progress_problem(r->progress, name_of(b, key), "is there already");
    }
    return true;
}

static void queue_wanted(struct import_region *r, const struct batch *b)
{
    for (size_t i = 0; i < b->count; i++) {
        const struct batch_key *key = &b->keys[i];

        if (!key->unwanted && key->to > key->from)
            connection_queue(&r->remote, span_of(b->bytes.at + key->from, key->to - key->from));
    }
}

/* What was made becomes what was sent. */
static void turn_over(struct import_region *r)
{
    struct batch sent = r->batches[0];

    r->batches[0] = r->batches[1];
    r->batches[1] = sent;
    buffer_clear(&r->batches[0].bytes);
    buffer_clear(&r->batches[0].names);
    r->batches[0].count = 0;
}

static bool send_batch(struct import_region *r)
{
    struct batch *b = made(r);
    struct buffer empty = b->bytes;

    b->bytes = r->commands->out;
    r->commands->out = empty;
    buffer_clear(&r->commands->out);
    if (r->present != PRESENT_REPLACE)
        ask_for_keys(r, b);
    if (!connection_send(&r->remote) || !take_answers(r, &r->batches[1]) || !choose(r, b))
        return false;
    queue_wanted(r, b);
    turn_over(r);
    return connection_send(&r->remote);
}

bool import_region_step(struct import_region *r, bool ends)
{
    bool full = r->commands->out.len >= IMPORT_BATCH_BYTES;

    if (!ends && !full)
        return true;
    close_key(r, ends);
    if (!full)
        return true;
    /* the next part of this key goes on with its name, which the batch takes along */
    struct batch_key key = *last_key(made(r));
    if (!send_batch(r))
        return false;
    if (!ends) {
        add_key(made(r), name_of(&r->batches[1], &key), key.type)->continues = true;
        last_key(made(r))->from = 0;
    }
    return true;
}

void import_region_reject(struct import_region *r, const char *why)
{
    struct batch_key *key = last_key(made(r));

    if (key->unwanted)
        return;
    key->unwanted = true;
    r->failed++;
    progress_problem(r->progress, name_of(made(r), key), "%s", why);
}

bool import_region_finish(struct import_region *r)
{
    return send_batch(r) && take_answers(r, &r->batches[1]);
}

bool import_region_select(struct import_region *r, uint64_t db)
{
    char text[NUMBER_TEXT_MAX];
    redisReply *reply;

    if (!import_region_finish(r))
        return false;
    reply = connection_ask(&r->remote,
                           (struct span[]){ span_str("SELECT"), commands_number(db, text) }, 2);
    freeReplyObject(reply);
    return reply != NULL;
}
