/*
 * set_algebra -- SINTER, SUNION, SDIFF and what stores or counts their results.
 *
 * A result is gathered first, as pointers to the sources' members; then it is told or stored.
 * Storing copies the names: the destination may be a source.
 */
#include "base/memory.h"
#include "cmd/data.h"

struct sources {
    const struct table **sets; /* [count]; NULL: no such key, an empty set */
    size_t count;
};

struct members {
    const struct entry **at;
    size_t count, cap;
};

static void add_member(struct members *m, const struct entry *member)
{
    if (m->count == m->cap) {
        m->cap = m->cap > 0 ? m->cap * 2 : 64;
        m->at = mem_realloc(m->at, m->cap * sizeof(*m->at));
    }
    m->at[m->count++] = member;
}

/* Finds the sets of argv[first..first + count); false, with nothing to free, when it replied an
 * error. */
static bool find_sources(struct call *call, size_t first, size_t count, struct sources *s)
{
    s->sets = mem_alloc(count * sizeof(*s->sets));
    s->count = count;
    for (size_t i = 0; i < count; i++) {
        if (!data_find_fields(call, call->argv[first + i], COMPONENT_SET, &s->sets[i])) {
            mem_free(s->sets);
            return false;
        }
    }
    return true;
}

/* --- the three operations --- */

static bool in_all(const struct sources *s, const struct table *but, struct span name)
{
    for (size_t i = 0; i < s->count; i++) {
        if (s->sets[i] != but && data_field(s->sets[i], name) == NULL)
            return false;
    }
    return true;
}

/* The smallest set, or NULL when one is empty. */
static const struct table *smallest(const struct sources *s)
{
    const struct table *least = s->sets[0];

    for (size_t i = 0; i < s->count; i++) {
        if (s->sets[i] == NULL)
            return NULL;
        if (s->sets[i]->count < least->count)
            least = s->sets[i];
    }
    return least;
}

/* At most `limit` members of the intersection. */
static void intersect(const struct sources *s, uint64_t limit, struct members *out)
{
    const struct table *least = smallest(s);
    struct table_iter it;
    void **slot;

    if (least == NULL)
        return;
    table_iter_init(&it, least);
    while (out->count < limit && (slot = table_iter_next(&it)) != NULL) {
        if (in_all(s, least, entry_name(*slot)))
            add_member(out, *slot);
    }
}

static void unite(const struct sources *s, struct members *out)
{
    struct table seen;

    table_init(&seen, entry_key_of, 0);
    for (size_t i = 0; i < s->count; i++) {
        struct table_iter it;
        void **slot;

        if (s->sets[i] == NULL)
            continue;
        seen.seed = seen.count == 0 ? s->sets[i]->seed : seen.seed;
        table_iter_init(&it, s->sets[i]);
        while ((slot = table_iter_next(&it)) != NULL) {
            void **place = table_find_or_add(&seen, entry_name(*slot));

            if (*place != NULL)
                continue;
            *place = *slot;
            add_member(out, *slot);
        }
    }
    table_release(&seen);
}

static bool in_any_after_first(const struct sources *s, struct span name)
{
    for (size_t i = 1; i < s->count; i++) {
        if (data_field(s->sets[i], name) != NULL)
            return true;
    }
    return false;
}

static void subtract(const struct sources *s, struct members *out)
{
    struct table_iter it;
    void **slot;

    if (s->sets[0] == NULL)
        return;
    table_iter_init(&it, s->sets[0]);
    while ((slot = table_iter_next(&it)) != NULL) {
        if (!in_any_after_first(s, entry_name(*slot)))
            add_member(out, *slot);
    }
}

enum operation { INTERSECT, UNITE, SUBTRACT };

/* The result over argv[first..]; false when it replied an error. The caller frees out->at. */
static bool gather(struct call *call, enum operation operation, size_t first, struct members *out)
{
    struct sources s;

    if (!find_sources(call, first, call->argc - first, &s))
        return false;
    switch (operation) {
    case INTERSECT:
        intersect(&s, UINT64_MAX, out);
        break;
    case UNITE:
        unite(&s, out);
        break;
    case SUBTRACT:
        subtract(&s, out);
        break;
    }
    mem_free(s.sets);
    return true;
}

/* --- what becomes of a result --- */

static void tell(struct call *call, enum operation operation)
{
    struct members m = { 0 };

    if (!gather(call, operation, 1, &m))
        return;
    reply_set(call->reply, m.count);
    for (size_t i = 0; i < m.count; i++)
        reply_bulk(call->reply, entry_name(m.at[i]));
    mem_free(m.at);
}

static void put_names(struct call *call, struct span names)
{
    struct emit_fields put;
    struct span name;

    emit_fields_begin(&put, call->replica, OP_PUT, COMPONENT_SET, call->db, call->argv[1]);
    while (span_take_prefixed(&names, &name))
        emit_fields_add(&put, name, span_of(NULL, 0));
    emit_fields_end(&put);
}

static void store(struct call *call, enum operation operation)
{
    struct members m = { 0 };
    struct buffer names = { 0 };

    if (!gather(call, operation, 2, &m))
        return;
    for (size_t i = 0; i < m.count; i++)
        buffer_put_prefixed(&names, entry_name(m.at[i]));
    mem_free(m.at);
    if (call_fits_group(call, names.len)) {
        if (data_live(call, call->db, call->argv[1]) != NULL)
            emit_remove(call->replica, call->db, call->argv[1]);
        put_names(call, buffer_span(&names));
        reply_int(call->reply, (int64_t)m.count);
    }
    buffer_release(&names);
}

void cmd_sinter(struct call *call)
{
    tell(call, INTERSECT);
}

void cmd_sunion(struct call *call)
{
    tell(call, UNITE);
}

void cmd_sdiff(struct call *call)
{
    tell(call, SUBTRACT);
}

void cmd_sinterstore(struct call *call)
{
    store(call, INTERSECT);
}

void cmd_sunionstore(struct call *call)
{
    store(call, UNITE);
}

void cmd_sdiffstore(struct call *call)
{
    store(call, SUBTRACT);
}

/* --- SINTERCARD --- */

/* LIMIT of argv[from..]; 0 is none, and the last one counts. */
static bool take_limit(struct call *call, size_t from, int64_t *limit)
{
    *limit = 0;
    for (size_t i = from; i < call->argc; i += 2) {
        if (!call_is(call, i, "limit") || i + 1 == call->argc) {
            call_syntax_error(call);
            return false;
        }
        if (!data_int_within(call, call->argv[i + 1], 0, INT64_MAX, "ERR LIMIT can't be negative",
                             limit))
            return false;
    }
    return true;
}

void cmd_sintercard(struct call *call)
{
    struct members m = { 0 };
    struct sources s;
    int64_t count, limit;

    if (!data_int_within(call, call->argv[1], 1, INT64_MAX, "ERR numkeys should be greater than 0",
                         &count))
        return;
    if ((uint64_t)count > call->argc - 2) {
        reply_error(call->reply, "ERR Number of keys can't be greater than number of args");
        return;
    }
    if (!take_limit(call, 2 + (size_t)count, &limit) || !find_sources(call, 2, (size_t)count, &s))
        return;
    intersect(&s, limit > 0 ? (uint64_t)limit : UINT64_MAX, &m);
    reply_int(call->reply, (int64_t)m.count);
    mem_free(s.sets);
    mem_free(m.at);
}
