#include "cmd/conflict_log.h"

#include <inttypes.h>

#include "base/memory.h"
#include "cmd/server.h"
#include "crdt/score.h"

/* Of one text in a line of the log, escapes counted. */
enum { LINE_TEXT_MAX = 56, LINE_PROBLEM_MAX = 500 };

const char *conflict_type_name(enum component c)
{
    static const char *const names[COMPONENT_COUNT] = {
        [COMPONENT_STRING] = "string", [COMPONENT_HASH] = "hash",
        [COMPONENT_SET] = "set",       [COMPONENT_ZSET] = "zset",
        [COMPONENT_LIST] = "list",     [COMPONENT_HLL] = "hyperloglog",
        [COMPONENT_STREAM] = "stream", [COMPONENT_GROUPS] = "groups",
    };

    return c < COMPONENT_COUNT ? names[c] : "none";
}

static bool admits(struct sampling *s, uint64_t now_us, uint32_t per_second)
{
    uint64_t second = now_us / 1000000;

    if (s->second != second)
        *s = (struct sampling){ .second = second };
    if (s->admitted == per_second)
        return false;
    s->admitted++;
    return true;
}

/* --- the ring --- */

void conflict_log_release(struct conflict_log *log)
{
    for (size_t i = 0; i < CONFLICT_LOG_MAX; i++)
        mem_free(log->ring[i]);
    *log = (struct conflict_log){ 0 };
}

const struct conflict_record *conflict_log_at(const struct conflict_log *log, uint64_t index)
{
    if (index >= log->count || index >= CONFLICT_LOG_MAX)
        return NULL;
    return log->ring[(log->count - 1 - index) % CONFLICT_LOG_MAX];
}

static size_t cut_bytes(struct span s)
{
    return s.len < CONFLICT_TEXT_MAX ? s.len : CONFLICT_TEXT_MAX;
}

/* Copies to *at, which moves on. */
static struct cut_text keep_text(uint8_t **at, struct span s)
{
    struct cut_text kept = { span_of(*at, cut_bytes(s)), s.len };

    if (kept.text.len > 0)
        memcpy(*at, s.at, kept.text.len);
    *at += kept.text.len;
    return kept;
}

/* As people write it: scores are numbers; what is encoded in a way of its own is not told. */
static struct span readable_value(enum component c, struct span value, char *scratch)
{
    if (c == COMPONENT_ZSET && score_valid(value))
        return span_of(scratch, decimal_of_double(score_decode(value), scratch));
    return c == COMPONENT_STREAM || c == COMPONENT_GROUPS ? span_of(NULL, 0) : value;
}

static struct conflict_record *new_record(const struct conflict *c)
{
    char scratch[2][32];
    bool named = component_in_table((uint8_t)c->component);
    struct span item = named ? c->item : span_of(NULL, 0);
    struct span value[2] = { readable_value(c->component, c->value[0], scratch[0]),
                             readable_value(c->against, c->value[1], scratch[1]) };
    struct conflict_record *r = mem_zalloc(sizeof(*r) + cut_bytes(c->key) + cut_bytes(item) +
                                           cut_bytes(value[0]) + cut_bytes(value[1]));
    uint8_t *at = r->bytes;
    size_t newer = c->stamp[0] > c->stamp[1] ? 0 : 1;

    r->db = c->db;
    r->key = keep_text(&at, c->key);
    r->item = keep_text(&at, item);
    for (size_t i = 0; i < 2; i++) {
        struct conflict_side *side = &r->sides[i == newer];

        side->type = i == 0 ? c->component : c->against;
        side->stamp = c->stamp[i];
        side->value = keep_text(&at, value[i]);
    }
    return r;
}

/* --- lines of the log --- */

static void put_quoted_up_to(struct buffer *out, const char *name, struct span s, size_t max)
{
    size_t end = out->len + strlen(name) + 3 + max;
    size_t i = 0;

    buffer_printf(out, " %s=\"", name);
    for (; i < s.len && out->len < end; i++) {
        uint8_t c = s.at[i];

        if (c == '"' || c == '\\')
            buffer_printf(out, "\\%c", c);
        else if (c < ' ' || c > '~')
            buffer_printf(out, "\\x%02x", c);
        else
            buffer_put_u8(out, c);
    }
    buffer_put_text(out, i < s.len ? "…\"" : "\"");
}

static void put_quoted(struct buffer *out, const char *name, struct span s)
{
    put_quoted_up_to(out, name, s, LINE_TEXT_MAX);
}

static void tell(const struct server *server, bool warning, struct buffer *line)
{
    buffer_put_u8(line, 0);
    if (server->hooks != NULL)
        server->hooks->notice(server->node, warning, (const char *)line->at);
    buffer_release(line);
}

static void tell_record(const struct server *server, const struct conflict_record *r)
{
    static const char *const names[2] = { "older", "newer" };
    struct buffer line = { 0 };

    buffer_put_text(&line, "ev=conflict");
    put_quoted(&line, "keyspace", span_str(server_prefix(server, r->keyspace)));
    buffer_printf(&line, " db=%u", r->db);
    put_quoted(&line, "key", r->key.text);
    if (r->item.bytes > 0)
        put_quoted(&line, "item", r->item.text);
    for (size_t i = 0; i < 2; i++) {
        const struct conflict_side *side = &r->sides[i];

        buffer_printf(&line, " %s=%s/%s", names[i], server_region_of(server, side->stamp),
                      conflict_type_name(side->type));
        put_quoted(&line, i == 0 ? "was" : "is", side->value.text);
    }
    buffer_printf(&line, " skipped=%" PRIu64, r->skipped);
    tell(server, false, &line);
}

/* --- what is noted --- */

void conflict_log_note(void *context, const struct conflict *c)
{
    struct server *server = context;

    if (c->db == SYSTEM_DATABASE)
        return; /* nobody's data */
    struct keyspace_live *k = server_keyspace(server, c->key);
    struct conflict_log *log = &server->conflicts;

    k->conflicts[c->component]++;
    if (!admits(&k->log_sampling, server->now_us, CONFLICT_LOG_PER_SECOND)) {
        k->log_skipped++;
        return;
    }
    struct conflict_record *r = new_record(c);
    struct conflict_record **place = &log->ring[log->count++ % CONFLICT_LOG_MAX];

    r->seen_ms = server->now_us / 1000;
    r->keyspace = k;
    r->skipped = k->log_skipped;
    k->log_skipped = 0;
    mem_free(*place);
    *place = r;
    tell_record(server, r);
}

void conflict_log_failure(struct server *server, struct keyspace_live *k, struct span key,
                          const char *problem)
{
    struct buffer line = { 0 };

    k->merge_failures++;
    k->failures_untold++;
    if (!admits(&k->failure_sampling, server->now_us, 1))
        return;
    buffer_put_text(&line, "ev=merge.failed");
    put_quoted(&line, "keyspace", span_str(server_prefix(server, k)));
    put_quoted(&line, "key", key);
    buffer_printf(&line, " failures=%" PRIu64, k->failures_untold);
    put_quoted_up_to(&line, "why", span_str(problem), LINE_PROBLEM_MAX);
    k->failures_untold = 0;
    tell(server, true, &line);
}

void conflict_log_setting(const struct server *server, const struct keyspace_live *k,
                          struct span field, struct span value)
{
    struct buffer line = { 0 };

    buffer_put_text(&line, "ev=keyspace.set");
    put_quoted(&line, "keyspace", span_str(server_prefix(server, k)));
    put_quoted(&line, "field", field);
    put_quoted(&line, "value", value);
    tell(server, false, &line);
}
