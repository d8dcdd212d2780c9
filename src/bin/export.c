/*
 * export -- moves all data out: every key of a region as the commands that make it.
 *
 * SCAN finds the keys; for a few hundred at a time their types and deadlines are asked for, then of
 * each the first part of its value, then the rest of the large ones. Each answer becomes commands at
 * once (export_keys.h).
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "bin/bin.h"
#include "bin/export_keys.h"
#include "bin/options.h"
#include "host/endpoint.h"

const char export_help[] =
    "usage: meridian export [--from HOST:PORT] [--match PATTERN] [--db N]\n"
    "\n"
    "Writes every key of a running region, or of a Redis, to standard output as the commands that "
    "make\n"
    "it, for redis-cli --pipe. Keys that change meanwhile are written as they were found: it is "
    "no\n"
    "picture of one moment, which is what backups are for.\n"
    "\n"
    "  --from HOST:PORT  a client port; 127.0.0.1:7001, where demo has its first\n"
    "  --match PATTERN   only keys whose names are like this, as for KEYS\n"
    "  --db N            only this database\n"
    "\n"
    "docs/moving.md says more. A password is taken from REDISCLI_AUTH.\n";

enum { OPTION_FROM, OPTION_MATCH, OPTION_DB };

static const struct option OPTIONS[] = {
    [OPTION_FROM] = { "--from", true },
    [OPTION_MATCH] = { "--match", true },
    [OPTION_DB] = { "--db", true },
    { NULL, false },
};

enum { DEFAULT_PORT = 7001, DB_MAX = 1 << 20, WRITE_BYTES = 256 << 10 };

struct export
{
    struct endpoint from;
    const char *pattern;
    bool one_db;
    uint64_t db;
    struct connection remote;
    struct progress progress;
    struct commands commands;
    struct export_keys keys;
    uint64_t chosen; /* the database that the commands are for so far */
    uint64_t bytes;
};

static bool read_options(struct export *x, int argc, char **argv)
{
    struct options o = options_of(argc, argv);
    const char *wrong;

    snprintf(x->from.host, sizeof(x->from.host), "127.0.0.1");
    x->from.port = DEFAULT_PORT;
    for (;;) {
        switch (options_next(&o, OPTIONS)) {
        case OPTIONS_END:
            return true;
        case OPTIONS_WRONG:
            return false;
        case OPTIONS_ARGUMENT:
            usage_error("export", "has no place for \"%s\"", o.value);
            return false;
        case OPTION_FROM:
            wrong = endpoint_parse(o.value, &x->from);
            if (wrong == NULL)
                break;
            usage_error("export", "--from: \"%s\" %s", o.value, wrong);
            return false;
        case OPTION_MATCH:
            x->pattern = o.value;
            break;
        case OPTION_DB:
            if (!options_number(&o, "--db", 0, DB_MAX, &x->db))
                return false;
            x->one_db = true;
        }
    }
}

static bool connection_failed(struct export *x)
{
    progress_clear(&x->progress);
    command_failed("export", "%s", x->remote.problem);
    return false;
}

static bool write_out(struct export *x)
{
    struct buffer *out = &x->commands.out;
    bool good = fwrite(out->at, 1, out->len, stdout) == out->len;

    x->bytes += out->len;
    buffer_clear(out);
    if (!good)
        command_failed("export", "standard output: %s", strerror(errno));
    return good;
}

/* --- keys --- */

/* The keys of one step of SCAN; `cursor` becomes where the next one begins. */
static redisReply *scan(struct export *x, char *cursor, size_t cap)
{
    struct span argv[] = { span_str("SCAN"),  span_str(cursor),
                           span_str("COUNT"), span_str("200"),
                           span_str("MATCH"), span_str(x->pattern != NULL ? x->pattern : "") };
    redisReply *reply = connection_ask(&x->remote, argv, x->pattern != NULL ? 6 : 4);

    if (reply == NULL)
        return NULL;
    if (reply->type != REDIS_REPLY_ARRAY || reply->elements != 2 ||
        reply->element[1]->type != REDIS_REPLY_ARRAY || reply->element[0]->len >= cap) {
        snprintf(x->remote.problem, sizeof(x->remote.problem), "the answer to SCAN is none");
        freeReplyObject(reply);
        return NULL;
    }
    memcpy(cursor, reply->element[0]->str, reply->element[0]->len + 1);
    return reply;
}

static void choose_db(struct export *x, uint64_t db)
{
    char text[NUMBER_TEXT_MAX];

    if (x->chosen != db)
        commands_put(&x->commands, (struct span[]){ span_str("SELECT"), commands_number(db, text) },
                     2);
    x->chosen = db;
}

static bool export_some(struct export *x, uint64_t db, const redisReply *names)
{
    if (names->elements == 0)
        return true;
    choose_db(x, db);
    if (!export_keys_begin(&x->keys, names))
        return connection_failed(x);
    for (bool more = true; more;) {
        if (!export_keys_next(&x->keys, &more))
            return connection_failed(x);
        if (x->commands.out.len >= WRITE_BYTES && !write_out(x))
            return false;
    }
    if (progress_due(&x->progress))
        progress_tell(&x->progress, "%" PRIu64 " keys", x->keys.exported);
    return true;
}

static bool export_db(struct export *x, uint64_t db)
{
    char cursor[32] = "0";

    do {
        redisReply *reply = scan(x, cursor, sizeof(cursor));
        if (reply == NULL)
            return connection_failed(x);
        bool good = export_some(x, db, reply->element[1]);
        freeReplyObject(reply);
        if (!good)
            return false;
    } while (strcmp(cursor, "0") != 0);
    return true;
}

/* How many databases there are nobody tells for sure: until SELECT refuses. */
static bool select_db(struct export *x, uint64_t db, bool *there)
{
    char text[NUMBER_TEXT_MAX];
    struct span argv[] = { span_str("SELECT"), commands_number(db, text) };
    redisReply *reply;

    connection_queue_words(&x->remote, argv, 2);
    reply = connection_reply(&x->remote);
    if (reply == NULL)
        return connection_failed(x);
    *there = reply->type != REDIS_REPLY_ERROR;
    if (!*there && (x->one_db || db == 0))
        command_failed("export", "%s", reply->str);
    bool good = *there || (!x->one_db && db > 0);
    freeReplyObject(reply);
    return good;
}

static bool export_all(struct export *x)
{
    uint64_t db = x->db;

    for (bool there = true; there && db <= DB_MAX; db++) {
        if (!select_db(x, db, &there) || (there && !export_db(x, db)))
            return false;
        if (x->one_db)
            break;
    }
    return write_out(x);
}

static bool run(struct export *x)
{
    if (!connection_open(&x->remote, &x->from)) {
        command_failed("export", "%s; is a region running there? (--from chooses another)",
                       x->remote.problem);
        return false;
    }
    if (!export_all(x))
        return false;
    if (fflush(stdout) != 0) {
        command_failed("export", "standard output: %s", strerror(errno));
        return false;
    }
    progress_clear(&x->progress);
    fprintf(stderr, "exported %" PRIu64 " keys, %" PRIu64 " bytes of commands, in %.1f s\n",
            x->keys.exported, x->bytes, progress_seconds(&x->progress));
    return x->progress.problems == 0;
}

int export_main(int argc, char **argv)
{
    struct export x = { .progress = progress_of("export") };

    if (!read_options(&x, argc, argv))
        return EXIT_USAGE;
    export_keys_init(&x.keys, &x.remote, &x.commands, &x.progress);
    bool good = run(&x);
    export_keys_release(&x.keys);
    connection_close(&x.remote);
    commands_release(&x.commands);
    return good ? EXIT_DONE : EXIT_FAILED;
}
