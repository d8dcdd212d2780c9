#include "cmd/keyspace_setting.h"

#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "cmd/conflict_log.h"
#include "cmd/system.h"

#define FIELD_PREFIX "set:"
enum { FIELD_MAX = 64 };

/* What can be changed, as it is to be. Spans are borrowed. */
struct promises {
    int conflict, streams, elsewhere, then;
    struct write_level acks;
    struct read_level reads;
    uint32_t ack_timeout_ms, max_lag_ms;
    struct span merge; /* a file's name; empty: none */
};

const char *const keyspace_conflict_words[] = {
    [KEYSPACE_LWW] = "lww",
    [KEYSPACE_SIBLINGS] = "siblings",
    [KEYSPACE_MERGE] = "merge",
};
const char *const keyspace_streams_words[] = {
    [KEYSPACE_STREAMS_LATEST] = "latest",
    [KEYSPACE_STREAMS_CLOSED] = "closed",
};
const char *const keyspace_elsewhere_words[] = {
    [KEYSPACE_FORWARD] = "forward",
    [KEYSPACE_REDIRECT] = "redirect",
};
const char *const keyspace_then_words[] = {
    [KEYSPACE_SLOW] = "slow",
    [KEYSPACE_REFUSE_WRITES] = "refuse",
};

/* --- one value --- */

static bool take_word(struct span value, const char *const *words, size_t count, int *to)
{
    for (size_t i = 0; i < count; i++) {
        if (span_equal_nocase(value, words[i])) {
            *to = (int)i;
            return true;
        }
    }
    return false;
}

#define TAKE_WORD(name)                                                                            \
    static bool take_##name(struct promises *s, struct span value)                                 \
    {                                                                                              \
        return take_word(value, keyspace_##name##_words, COUNT_OF(keyspace_##name##_words),        \
                         &s->name);                                                                \
    }

TAKE_WORD(conflict)
TAKE_WORD(streams)
TAKE_WORD(elsewhere)
TAKE_WORD(then)

static bool take_acks(struct promises *s, struct span value)
{
    return write_level_parse(value, &s->acks);
}

static bool take_reads(struct promises *s, struct span value)
{
    return read_level_parse(value, &s->reads);
}

static bool take_ack_timeout(struct promises *s, struct span value)
{
    return level_take_ms(value, &s->ack_timeout_ms);
}

/* As in the configuration: below a tenth of a second it would only measure heartbeats. */
static bool take_max_lag(struct promises *s, struct span value)
{
    if (span_equal_nocase(value, "none")) {
        s->max_lag_ms = 0;
        return true;
    }
    return level_take_ms(value, &s->max_lag_ms) && s->max_lag_ms >= 100;
}

static bool take_merge(struct promises *s, struct span value)
{
    s->merge = value;
    return value.len > 0 && value.len < 4096 && memchr(value.at, 0, value.len) == NULL;
}

static void put_conflict(struct buffer *out, const struct promises *s)
{
    buffer_put_text(out, keyspace_conflict_words[s->conflict]);
}

static void put_streams(struct buffer *out, const struct promises *s)
{
    buffer_put_text(out, keyspace_streams_words[s->streams]);
}

static void put_elsewhere(struct buffer *out, const struct promises *s)
{
    buffer_put_text(out, keyspace_elsewhere_words[s->elsewhere]);
}

static void put_then(struct buffer *out, const struct promises *s)
{
    buffer_put_text(out, keyspace_then_words[s->then]);
}

static void put_acks(struct buffer *out, const struct promises *s)
{
    write_level_put(out, s->acks);
}

static void put_reads(struct buffer *out, const struct promises *s)
{
    read_level_put(out, s->reads);
}

static void put_ack_timeout(struct buffer *out, const struct promises *s)
{
    buffer_printf(out, "%ums", s->ack_timeout_ms);
}

static void put_max_lag(struct buffer *out, const struct promises *s)
{
    if (s->max_lag_ms == 0)
        buffer_put_text(out, "none");
    else
        buffer_printf(out, "%ums", s->max_lag_ms);
}

static void put_merge(struct buffer *out, const struct promises *s)
{
    buffer_put(out, s->merge);
}

/* --- all of them --- */

static const struct setting {
    const char *name;
    const char *values; /* what it takes, as the end of a sentence */
    bool (*take)(struct promises *s, struct span value);
    void (*put)(struct buffer *out, const struct promises *s);
} table[] = {
    { "merge", "the name of a file", take_merge, put_merge },
    { "conflict", "one of: lww, siblings, merge", take_conflict, put_conflict },
    { "streams", "one of: latest, closed", take_streams, put_streams },
    { "acks", "one of: " WRITE_LEVEL_WORDS, take_acks, put_acks },
    { "ack_timeout", "a time of 1ms to 1h, such as 500ms or 5s", take_ack_timeout,
      put_ack_timeout },
    { "reads", "one of: " READ_LEVEL_WORDS, take_reads, put_reads },
    { "max_lag", "none, or a time of 100ms to 1h, such as 5s", take_max_lag, put_max_lag },
    { "then", "one of: slow, refuse", take_then, put_then },
    { "elsewhere", "one of: forward, redirect", take_elsewhere, put_elsewhere },
};

/* Which regions write a keyspace, and which hold it, no setting changes. */
static const char *const fixed[] = { "prefix", "mode",      "fence",   "outside", "writer",
                                     "homes",  "directory", "readers", "evict" };

static const struct setting *find(struct span field)
{
    for (size_t i = 0; i < COUNT_OF(table); i++) {
        if (span_equal_nocase(field, table[i].name))
            return &table[i];
    }
    return NULL;
}

static void explain_field(struct span field, char *problem)
{
    int len = field.len < FIELD_MAX ? (int)field.len : FIELD_MAX;

    for (size_t i = 0; i < COUNT_OF(fixed); i++) {
        if (span_equal_nocase(field, fixed[i])) {
            snprintf(problem, KEYSPACE_SETTING_PROBLEM_MAX,
                     "%s cannot be changed while regions run: acks, ack_timeout, reads, max_lag, "
                     "then, elsewhere, conflict, merge and streams can",
                     fixed[i]);
            return;
        }
    }
    snprintf(problem, KEYSPACE_SETTING_PROBLEM_MAX, "a keyspace has no field '%.*s'", len,
             (const char *)field.at);
}

static bool is_default(struct span value)
{
    return span_equal_nocase(value, "default");
}

bool keyspace_setting_valid(struct span field, struct span value,
                            char problem[KEYSPACE_SETTING_PROBLEM_MAX])
{
    struct promises scratch = { 0 };
    const struct setting *s = find(field);

    if (s == NULL) {
        explain_field(field, problem);
        return false;
    }
    if (is_default(value) || s->take(&scratch, value))
        return true;
    snprintf(problem, KEYSPACE_SETTING_PROBLEM_MAX, "%s is %s", s->name, s->values);
    return false;
}

/* --- what holds --- */

static const struct keyspace *told(const struct server *server, const struct keyspace_live *k)
{
    return &server->deployment->keyspaces[k - server->keyspaces];
}

static struct promises of_configuration(const struct keyspace *k)
{
    return (struct promises){ .conflict = (int)k->conflict,
                              .streams = (int)k->streams,
                              .elsewhere = (int)k->elsewhere,
                              .then = (int)k->then,
                              .acks = k->acks,
                              .reads = k->reads,
                              .ack_timeout_ms = k->ack_timeout_ms,
                              .max_lag_ms = k->max_lag_ms,
                              .merge = k->merge_file != NULL ? span_str(k->merge_file)
                                                             : span_of(NULL, 0) };
}

static struct promises of_now(const struct keyspace_live *k)
{
    return (struct promises){ .conflict = (int)k->conflict,
                              .streams = (int)k->streams,
                              .elsewhere = (int)k->elsewhere,
                              .then = (int)k->then,
                              .acks = k->acks,
                              .reads = k->reads,
                              .ack_timeout_ms = k->ack_timeout_ms,
                              .max_lag_ms = k->max_lag_ms,
                              .merge = k->merge_file != NULL ? span_str(k->merge_file)
                                                             : span_of(NULL, 0) };
}

void keyspace_setting_field(struct span field, struct buffer *out)
{
    const struct setting *s = find(field);

    CHECK(s != NULL);
    buffer_put_text(out, FIELD_PREFIX);
    buffer_put_text(out, s->name);
}

static struct span field_of(const struct setting *s, char *room)
{
    return span_of((const uint8_t *)room,
                   (size_t)snprintf(room, FIELD_MAX, FIELD_PREFIX "%s", s->name));
}

/* What a value may be read into: a file may be named by a number. In use as long as what was read. */
struct scratch {
    char of[COUNT_OF(table)][CELL_SCRATCH_BYTES];
};

/* A value that this version does not know is as none. */
static struct promises of_system(const struct server *server, const struct keyspace_live *k,
                                 struct scratch *scratch)
{
    struct promises wanted = of_configuration(told(server, k));
    char room[FIELD_MAX];

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct promises with = wanted;
        struct span value;
        if (system_get(server, k, field_of(&table[i], room), scratch->of[i], &value) &&
            table[i].take(&with, value))
            wanted = with;
    }
    return wanted;
}

static char *text_of(struct span s)
{
    char *text = mem_alloc(s.len + 1);

    if (s.len > 0)
        memcpy(text, s.at, s.len);
    text[s.len] = 0;
    return text;
}

static bool load_merge(struct server *server, struct keyspace_live *k, struct span name,
                       char *problem)
{
    char *file = text_of(name);
    bool good = server_load_merge(server, k, file, problem, KEYSPACE_SETTING_PROBLEM_MAX);

    mem_free(file);
    return good;
}

/* Something has changed since it could not be read. */
static void forget_failure(struct keyspace_live *k)
{
    mem_free(k->merge_failed);
    k->merge_failed = NULL;
}

static uint32_t others_of(const struct server *server, const struct keyspace_live *k)
{
    const struct deployment *d = server->deployment;
    uint32_t holders = 0;

    for (size_t i = 0; i < d->region_count; i++)
        holders += fence_holds(&d->fences[told(server, k)->fence], d->regions[i].id);
    return holders > 0 ? holders - 1 : 0;
}

bool keyspace_settings_fit(struct server *server, struct keyspace_live *k, const struct span *pairs,
                           size_t count, char problem[KEYSPACE_SETTING_PROBLEM_MAX])
{
    struct promises s = of_now(k), file = of_configuration(told(server, k));
    struct keyspace_live trial = { 0 };

    for (size_t i = 0; i < count; i++) {
        const struct setting *one = find(pairs[2 * i]);
        struct buffer text = { 0 };
        CHECK(one != NULL);
        if (is_default(pairs[2 * i + 1]))
            one->put(&text, &file);
        else
            buffer_put(&text, pairs[2 * i + 1]);
        bool is_merge = one->take == take_merge;
        if (is_merge)
            s.merge = is_default(pairs[2 * i + 1]) ? file.merge : pairs[2 * i + 1];
        else
            one->take(&s, buffer_span(&text));
        buffer_release(&text);
    }
    if (s.acks.acks == KEYSPACE_ACK_COUNT && s.acks.count > others_of(server, k)) {
        snprintf(problem, KEYSPACE_SETTING_PROBLEM_MAX,
                 "acks %u cannot be: only %u other regions hold that keyspace", s.acks.count,
                 others_of(server, k));
        return false;
    }
    if (s.conflict == KEYSPACE_MERGE && s.merge.len == 0) {
        snprintf(problem, KEYSPACE_SETTING_PROBLEM_MAX,
                 "conflict merge needs a function: merge FILE");
        return false;
    }
    if (s.merge.len == 0)
        return true;
    bool good = load_merge(server, &trial, s.merge, problem);
    server_drop_merge(&trial);
    if (good)
        forget_failure(k);
    return good;
}

/* --- making it so --- */

static void tell_change(const struct server *server, const struct keyspace_live *k,
                        const struct promises *was, const struct promises *is)
{
    struct buffer before = { 0 }, after = { 0 };

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        buffer_clear(&before);
        buffer_clear(&after);
        table[i].put(&before, was);
        table[i].put(&after, is);
        if (!span_equal(buffer_span(&before), buffer_span(&after)))
            conflict_log_setting(server, k, span_str(table[i].name), buffer_span(&after));
    }
    buffer_release(&before);
    buffer_release(&after);
}

/* Two regions may have set what does not go together, the one `conflict`, the other `merge`: then it is
 * what the configuration says, in every region. */
static void drop_merge(struct server *server, struct keyspace_live *k, struct promises *wanted)
{
    server_drop_merge(k);
    if (wanted->conflict != KEYSPACE_MERGE)
        return;
    wanted->conflict = (int)told(server, k)->conflict;
    conflict_log_failure(server, k, span_of(NULL, 0), "conflict merge needs a function");
}

/* A file that cannot be read here changes nothing. */
static void change_merge(struct server *server, struct keyspace_live *k, struct promises *wanted)
{
    char problem[KEYSPACE_SETTING_PROBLEM_MAX];

    if (wanted->merge.len == 0) {
        drop_merge(server, k, wanted);
        return;
    }
    if (k->merge_file != NULL && span_equal(wanted->merge, span_str(k->merge_file)))
        return;
    if (k->merge_failed == NULL || !span_equal(wanted->merge, span_str(k->merge_failed))) {
        forget_failure(k);
        if (load_merge(server, k, wanted->merge, problem))
            return;
        conflict_log_failure(server, k, span_of(NULL, 0), problem);
        k->merge_failed = text_of(wanted->merge);
    }
    if (k->merge == NULL && wanted->conflict == KEYSPACE_MERGE)
        wanted->conflict = (int)k->conflict;
}

void keyspace_setting_apply(struct server *server, struct keyspace_live *k)
{
    struct scratch scratch;
    struct promises was = of_now(k), wanted = of_system(server, k, &scratch);
    char *was_merge = text_of(was.merge);

    was.merge = span_str(was_merge);
    change_merge(server, k, &wanted);
    k->conflict = (enum keyspace_conflict)wanted.conflict;
    k->streams = (enum keyspace_streams)wanted.streams;
    k->elsewhere = (enum keyspace_elsewhere)wanted.elsewhere;
    k->then = (enum keyspace_then)wanted.then;
    k->acks = wanted.acks;
    k->reads = wanted.reads;
    k->ack_timeout_ms = wanted.ack_timeout_ms;
    k->max_lag_ms = wanted.max_lag_ms;
    wanted = of_now(k);
    tell_change(server, k, &was, &wanted);
    mem_free(was_merge);
}

void keyspace_setting_apply_all(struct server *server)
{
    for (size_t i = 0; i < server->deployment->keyspace_count; i++)
        keyspace_setting_apply(server, &server->keyspaces[i]);
    server_judge_keyspaces(server);
}
