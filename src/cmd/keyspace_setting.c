#include "cmd/keyspace_setting.h"

#include <stdio.h>

#include "base/check.h"
#include "base/memory.h"
#include "base/quantity.h"
#include "cmd/conflict_log.h"
#include "cmd/system.h"

#define FIELD_PREFIX "set:"
enum { FIELD_MAX = 64 };

/* What can be changed, as it is to be. */
struct wanted {
    struct keyspace_promises promises;
    struct span merge; /* a file's name, borrowed; empty: none */
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
    static bool take_##name(struct wanted *w, struct span value, char *problem)                    \
    {                                                                                              \
        int word;                                                                                  \
        (void)problem;                                                                             \
        if (!take_word(value, keyspace_##name##_words, COUNT_OF(keyspace_##name##_words), &word))  \
            return false;                                                                          \
        w->promises.name = (enum keyspace_##name)word;                                             \
        return true;                                                                               \
    }

TAKE_WORD(conflict)
TAKE_WORD(streams)
TAKE_WORD(elsewhere)
TAKE_WORD(then)

/* How many there may be is judged with all that is set (keyspace_settings_fit). */
static bool take_acks(struct wanted *w, struct span value, char *problem)
{
    (void)problem;
    return write_level_parse(value, &w->promises.acks);
}

static bool take_reads(struct wanted *w, struct span value, char *problem)
{
    (void)problem;
    return read_level_parse(value, &w->promises.reads);
}

/* As in the configuration, with the same words. */
static bool take_duration(struct span value, const char *name, int64_t low, uint32_t *to,
                          char *problem)
{
    char what[QUANTITY_PROBLEM_MAX];
    int64_t ms;
    bool good = quantity_duration_ms(value, low, LEVEL_STALENESS_MAX_MS, &ms, what);

    if (good)
        *to = (uint32_t)ms;
    else
        snprintf(problem, KEYSPACE_SETTING_PROBLEM_MAX, "%s: %s", name, what);
    return good;
}

static bool take_ack_timeout(struct wanted *w, struct span value, char *problem)
{
    return take_duration(value, "ack_timeout", 1, &w->promises.ack_timeout_ms, problem);
}

/* Below a tenth of a second it would only measure heartbeats. */
static bool take_max_lag(struct wanted *w, struct span value, char *problem)
{
    if (span_equal_nocase(value, "none")) {
        w->promises.max_lag_ms = 0;
        return true;
    }
    return take_duration(value, "max_lag", 100, &w->promises.max_lag_ms, problem);
}

static bool take_merge(struct wanted *w, struct span value, char *problem)
{
    (void)problem;
    w->merge = value;
    return value.len > 0 && value.len < 4096 && memchr(value.at, 0, value.len) == NULL;
}

static void put_conflict(struct buffer *out, const struct wanted *w)
{
    buffer_put_text(out, keyspace_conflict_words[w->promises.conflict]);
}

static void put_streams(struct buffer *out, const struct wanted *w)
{
    buffer_put_text(out, keyspace_streams_words[w->promises.streams]);
}

static void put_elsewhere(struct buffer *out, const struct wanted *w)
{
    buffer_put_text(out, keyspace_elsewhere_words[w->promises.elsewhere]);
}

static void put_then(struct buffer *out, const struct wanted *w)
{
    buffer_put_text(out, keyspace_then_words[w->promises.then]);
}

static void put_acks(struct buffer *out, const struct wanted *w)
{
    write_level_put(out, w->promises.acks);
}

static void put_reads(struct buffer *out, const struct wanted *w)
{
    read_level_put(out, w->promises.reads);
}

static void put_ack_timeout(struct buffer *out, const struct wanted *w)
{
    buffer_printf(out, "%ums", w->promises.ack_timeout_ms);
}

static void put_max_lag(struct buffer *out, const struct wanted *w)
{
    if (w->promises.max_lag_ms == 0)
        buffer_put_text(out, "none");
    else
        buffer_printf(out, "%ums", w->promises.max_lag_ms);
}

static void put_merge(struct buffer *out, const struct wanted *w)
{
    buffer_put(out, w->merge);
}

/* --- all of them --- */

static const struct setting {
    const char *name;
    const char *values; /* what it takes, as the end of a sentence */
    /* may say more in `problem` than that it is none of `values` */
    bool (*take)(struct wanted *w, struct span value, char *problem);
    void (*put)(struct buffer *out, const struct wanted *w);
} table[] = {
    { "merge", "the name of a file", take_merge, put_merge },
    { "conflict", "one of: lww, siblings, merge", take_conflict, put_conflict },
    { "streams", "one of: latest, closed", take_streams, put_streams },
    { "acks", "one of: " WRITE_LEVEL_WORDS, take_acks, put_acks },
    { "ack_timeout", "a duration", take_ack_timeout, put_ack_timeout },
    { "reads", "one of: " READ_LEVEL_WORDS, take_reads, put_reads },
    { "max_lag", "none, or a duration", take_max_lag, put_max_lag },
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
    struct wanted scratch = { 0 };
    const struct setting *s = find(field);

    if (s == NULL) {
        explain_field(field, problem);
        return false;
    }
    problem[0] = 0;
    if (is_default(value) || s->take(&scratch, value, problem))
        return true;
    if (problem[0] != 0)
        return false;
    snprintf(problem, KEYSPACE_SETTING_PROBLEM_MAX, "%s is %s", s->name, s->values);
    return false;
}

/* --- what holds --- */

static struct wanted wanted_of(const struct keyspace_promises *promises, const char *merge_file)
{
    return (struct wanted){ .promises = *promises,
                            .merge = span_str(merge_file != NULL ? merge_file : "") };
}

static struct wanted of_configuration(const struct keyspace *k)
{
    return wanted_of(&k->promises, k->merge_file);
}

static struct wanted of_now(const struct keyspace_live *k)
{
    return wanted_of(&k->promises, k->merge_file);
}

bool keyspace_setting_same(struct span a, struct span b)
{
    return find(a) != NULL && find(a) == find(b);
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
static struct wanted of_system(const struct server *server, const struct keyspace_live *k,
                               struct scratch *scratch)
{
    struct wanted wanted = of_configuration(server_declared(server, k));
    char room[FIELD_MAX], problem[KEYSPACE_SETTING_PROBLEM_MAX];

    for (size_t i = 0; i < COUNT_OF(table); i++) {
        struct wanted with = wanted;
        struct span value;
        if (system_get(server, k, field_of(&table[i], room), scratch->of[i], &value) &&
            table[i].take(&with, value, problem))
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
        holders += fence_holds(&d->fences[server_declared(server, k)->fence], d->regions[i].id);
    return holders > 0 ? holders - 1 : 0;
}

/* The value, or with `default` what the configuration says. */
static void take_pair(struct wanted *w, const struct wanted *file, const struct span pair[2])
{
    const struct setting *s = find(pair[0]);
    char problem[KEYSPACE_SETTING_PROBLEM_MAX];
    CHECK(s != NULL);
    if (!is_default(pair[1])) {
        s->take(w, pair[1], problem);
        return;
    }
    if (s->take == take_merge) {
        w->merge = file->merge; /* borrowed; "" is none */
        return;
    }
    struct buffer text = { 0 };
    s->put(&text, file);
    s->take(w, buffer_span(&text), problem);
    buffer_release(&text);
}

static bool acks_fit(struct write_level acks, uint32_t others, char *problem)
{
    if (acks.acks != KEYSPACE_ACK_COUNT || (acks.count >= 1 && acks.count <= others))
        return true;
    if (others == 0)
        snprintf(problem, KEYSPACE_SETTING_PROBLEM_MAX,
                 "acks: %u cannot be, no other region holds that keyspace", acks.count);
    else
        snprintf(problem, KEYSPACE_SETTING_PROBLEM_MAX, "acks: %u is out of range 1..%u",
                 acks.count, others);
    return false;
}

bool keyspace_settings_fit(struct server *server, struct keyspace_live *k, const struct span *pairs,
                           size_t count, char problem[KEYSPACE_SETTING_PROBLEM_MAX])
{
    struct wanted wanted = of_now(k), file = of_configuration(server_declared(server, k));
    struct keyspace_live trial = { 0 };
    uint32_t others = others_of(server, k);

    for (size_t i = 0; i < count; i++)
        take_pair(&wanted, &file, &pairs[2 * i]);
    if (!acks_fit(wanted.promises.acks, others, problem))
        return false;
    if (wanted.promises.conflict == KEYSPACE_MERGE && wanted.merge.len == 0) {
        snprintf(problem, KEYSPACE_SETTING_PROBLEM_MAX,
                 "conflict merge needs a function: merge FILE");
        return false;
    }
    if (wanted.merge.len == 0)
        return true;
    bool good = load_merge(server, &trial, wanted.merge, problem);
    server_drop_merge(&trial);
    if (good)
        forget_failure(k);
    return good;
}

/* --- making it so --- */

static void tell_change(const struct server *server, const struct keyspace_live *k,
                        const struct wanted *was, const struct wanted *is)
{
    struct buffer before = { 0 }, after = { 0 };

    if (keyspace_promises_equal(&was->promises, &is->promises) && span_equal(was->merge, is->merge))
        return;
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
static void drop_merge(struct server *server, struct keyspace_live *k, struct wanted *wanted)
{
    server_drop_merge(k);
    if (wanted->promises.conflict != KEYSPACE_MERGE)
        return;
    wanted->promises.conflict = server_declared(server, k)->promises.conflict;
    conflict_log_failure(server, k, span_of(NULL, 0), "conflict merge needs a function");
}

/* A file that cannot be read here changes nothing. */
static void change_merge(struct server *server, struct keyspace_live *k, struct wanted *wanted)
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
    if (k->merge == NULL && wanted->promises.conflict == KEYSPACE_MERGE)
        wanted->promises.conflict = k->promises.conflict;
}

static void apply(struct server *server, struct keyspace_live *k)
{
    struct scratch scratch;
    struct wanted was = of_now(k), wanted = of_system(server, k, &scratch);
    char *was_merge = text_of(was.merge);

    was.merge = span_str(was_merge);
    change_merge(server, k, &wanted);
    k->promises = wanted.promises;
    wanted = of_now(k);
    tell_change(server, k, &was, &wanted);
    mem_free(was_merge);
}

/* Each mark of an erasure comes here, for all keyspaces: most have no fields, and are what the configuration
 * says. */
void keyspace_setting_apply_all(struct server *server)
{
    for (size_t i = 0; i < server->deployment->keyspace_count; i++) {
        struct keyspace_live *k = &server->keyspaces[i];
        bool had_fields = k->has_fields;

        k->has_fields = system_fields(server, k) != NULL;
        if (k->has_fields || had_fields)
            apply(server, k);
    }
    server_judge_keyspaces(server);
}
