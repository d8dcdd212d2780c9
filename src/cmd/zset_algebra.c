/*
 * zset_algebra -- ZUNION, ZINTER, ZDIFF and what stores or counts their results.
 *
 * Sources are sorted sets and sets, whose members count 1. A result is gathered as names that still
 * stand in the sources; then it is told in the order of a sorted set, or stored.
 */
#include <math.h>
#include <stdlib.h>

#include "base/memory.h"
#include "cmd/zset.h"

enum operation { UNITE, INTERSECT, SUBTRACT };

enum aggregate { SUM, MIN, MAX };

struct source {
    const struct table *members; /* NULL: no such key */
    bool scored;                 /* a sorted set */
    double weight;
    size_t place; /* among those given */
};

struct request {
    enum operation operation;
    bool store, count_only; /* by the command's name */
    struct source *sources; /* [count], owned */
    size_t count;
    enum aggregate aggregate;
    bool scores;
    int64_t limit; /* of what is counted; 0: none */
};

/* --- as clients write it --- */

static bool find_source(struct call *call, struct span key, struct source *s)
{
    struct entry *e;

    *s = (struct source){ .weight = 1 };
    call_find(call, key, COMPONENT_NONE, &e);
    if (e == NULL)
        return true;
    enum component c = object_visible(e);
    if (c != COMPONENT_SET && c != COMPONENT_ZSET) {
        call_wrong_type(call);
        return false;
    }
    s->members = object_fields(e, c);
    s->scored = c == COMPONENT_ZSET;
    return true;
}

/* "numkeys key …" from argv[at] on. */
static bool take_sources(struct call *call, size_t at, struct request *q)
{
    int64_t count;

    if (!call_int(call, call->argv[at], &count))
        return false;
    if (count < 1) {
        reply_errorf(call->reply, "ERR at least 1 input key is needed for '%s' command",
                     call->command->name);
        return false;
    }
    if ((uint64_t)count > call->argc - at - 1) {
        call_syntax_error(call);
        return false;
    }
    q->count = (size_t)count;
    q->sources = mem_alloc(q->count * sizeof(*q->sources));
    for (size_t i = 0; i < q->count; i++) {
        if (!find_source(call, call->argv[at + 1 + i], &q->sources[i]))
            return false;
        q->sources[i].place = i;
    }
    return true;
}

static bool take_weights(struct call *call, size_t at, struct request *q)
{
    for (size_t i = 0; i < q->count; i++) {
        if (!span_to_double(call->argv[at + i], &q->sources[i].weight)) {
            reply_error(call->reply, "ERR weight value is not a float");
            return false;
        }
    }
    return true;
}

static bool take_aggregate(struct call *call, size_t at, struct request *q)
{
    static const char *const names[] = { [SUM] = "sum", [MIN] = "min", [MAX] = "max" };

    for (size_t i = 0; i < COUNT_OF(names); i++) {
        if (call_is(call, at, names[i])) {
            q->aggregate = (enum aggregate)i;
            return true;
        }
    }
    call_syntax_error(call);
    return false;
}

/* One option; *at moves past it. */
static bool take_option(struct call *call, size_t *at, struct request *q)
{
    size_t left = call->argc - *at, first = *at + 1;
    bool weighs = q->operation != SUBTRACT && !q->count_only;

    *at += 2;
    if (weighs && left > q->count && call_is(call, first - 1, "weights")) {
        *at = first + q->count;
        return take_weights(call, first, q);
    }
    if (weighs && left >= 2 && call_is(call, first - 1, "aggregate"))
        return take_aggregate(call, first, q);
    if (q->count_only && left >= 2 && call_is(call, first - 1, "limit"))
        return data_int_within(call, call->argv[first], 0, INT64_MAX, "ERR LIMIT can't be negative",
                               &q->limit);
    if (!q->store && !q->count_only && call_is(call, first - 1, "withscores")) {
        *at = first;
        q->scores = true;
        return true;
    }
    call_syntax_error(call);
    return false;
}

/* False when it replied an error; q->sources is to be freed in any case. */
static bool take_request(struct call *call, struct request *q)
{
    size_t at = q->store ? 2 : 1;

    if (!take_sources(call, at, q))
        return false;
    at += 1 + q->count;
    while (at < call->argc) {
        if (!take_option(call, &at, q))
            return false;
    }
    return true;
}

/* --- the three operations --- */

struct result {
    struct scored *at; /* [room], owned */
    size_t count, room;
};

static double score_of(const struct source *s, const struct entry *e)
{
    return s->scored ? entry_score(e) : 1;
}

static double weighted(const struct source *s, const struct entry *e)
{
    double score = s->weight * score_of(s, e);

    return isnan(score) ? 0 : score;
}

static double combined(enum aggregate aggregate, double a, double b)
{
    switch (aggregate) {
    case SUM:
        return isnan(a + b) ? 0 : a + b;
    case MIN:
        return b < a ? b : a;
    case MAX:
        return b > a ? b : a;
    }
    return 0;
}

static uint64_t size_of(const struct source *s)
{
    return s->members != NULL ? s->members->count : 0;
}

static int by_size(const void *a, const void *b)
{
    const struct source *x = a, *y = b;

    if (size_of(x) != size_of(y))
        return size_of(x) < size_of(y) ? -1 : 1;
    return (x->place > y->place) - (x->place < y->place);
}

/* Small ones first; else as they were given: sums of doubles hang on their order. */
static void sort_sources(struct request *q)
{
    qsort(q->sources, q->count, sizeof(*q->sources), by_size);
}

static struct span name_of(const void *scored)
{
    return ((const struct scored *)scored)->name;
}

/* Twice the room; `seen` points into it. */
static void grow(struct result *r, struct table *seen)
{
    struct scored *larger = mem_alloc(2 * r->room * sizeof(*larger));
    struct table_iter it;

    memcpy(larger, r->at, r->count * sizeof(*larger));
    table_iter_init(&it, seen);
    for (void **slot; (slot = table_iter_next(&it)) != NULL;)
        *slot = larger + ((struct scored *)*slot - r->at);
    mem_free(r->at);
    r->at = larger;
    r->room *= 2;
}

static void unite(const struct request *q, struct result *out)
{
    struct table seen;

    table_init(&seen, name_of, 0);
    for (size_t i = 0; i < q->count; i++) {
        const struct source *s = &q->sources[i];
        struct table_iter it;

        if (s->members == NULL)
            continue;
        seen.seed = seen.count == 0 ? s->members->seed : seen.seed;
        table_iter_init(&it, s->members);
        for (void **slot; (slot = table_iter_next(&it)) != NULL;) {
            if (out->count == out->room)
                grow(out, &seen);
            void **place = table_find_or_add(&seen, entry_name(*slot));
            double score = weighted(s, *slot);

            if (*place != NULL) {
                struct scored *there = *place;
                there->score = combined(q->aggregate, there->score, score);
                continue;
            }
            *place = &out->at[out->count++];
            *(struct scored *)*place = (struct scored){ entry_name(*slot), score };
        }
    }
    table_release(&seen);
}

/* False when it is not in all sources; else *score is the one of the result. */
static bool in_all(const struct request *q, const struct entry *e, double *score)
{
    *score = weighted(&q->sources[0], e);
    for (size_t i = 1; i < q->count; i++) {
        const struct source *s = &q->sources[i];
        const struct entry *other = data_field(s->members, entry_name(e));

        if (other == NULL)
            return false;
        *score = combined(q->aggregate, *score, s->weight * score_of(s, other));
    }
    return true;
}

static void intersect(const struct request *q, struct result *out)
{
    uint64_t limit = q->limit > 0 ? (uint64_t)q->limit : UINT64_MAX;
    struct table_iter it;
    double score;

    if (size_of(&q->sources[0]) == 0)
        return;
    table_iter_init(&it, q->sources[0].members);
    for (void **slot; out->count < limit && (slot = table_iter_next(&it)) != NULL;) {
        if (!in_all(q, *slot, &score))
            continue;
        if (!q->count_only)
            out->at[out->count] = (struct scored){ entry_name(*slot), score };
        out->count++;
    }
}

static void subtract(const struct request *q, struct result *out)
{
    struct table_iter it;

    if (size_of(&q->sources[0]) == 0)
        return;
    table_iter_init(&it, q->sources[0].members);
    for (void **slot; (slot = table_iter_next(&it)) != NULL;) {
        size_t i = 1;

        while (i < q->count && data_field(q->sources[i].members, entry_name(*slot)) == NULL)
            i++;
        if (i == q->count)
            out->at[out->count++] = (struct scored){ entry_name(*slot),
                                                     score_of(&q->sources[0], *slot) };
    }
}

/* How many members a result may have; UNITE makes more when it needs it, for sources may be the
 * same ones, and many. Not 0. */
static size_t room_for(const struct request *q)
{
    const struct source *s = q->operation == UNITE ? &q->sources[q->count - 1] : &q->sources[0];

    return q->count_only ? 1 : size_of(s) + 1;
}

static void gather(struct request *q, struct result *out)
{
    if (q->operation != SUBTRACT)
        sort_sources(q);
    *out = (struct result){ .room = room_for(q) };
    out->at = mem_alloc(out->room * sizeof(*out->at));
    switch (q->operation) {
    case UNITE:
        unite(q, out);
        break;
    case INTERSECT:
        intersect(q, out);
        break;
    case SUBTRACT:
        subtract(q, out);
        break;
    }
}

/* --- what becomes of a result --- */

static int by_score(const void *a, const void *b)
{
    const struct scored *x = a, *y = b;

    if (x->score != y->score)
        return x->score < y->score ? -1 : 1;
    return span_compare(x->name, y->name);
}

static void tell(struct call *call, const struct result *r, bool scores)
{
    qsort(r->at, r->count, sizeof(*r->at), by_score);
    zset_reply_header(call, r->count, scores);
    for (size_t i = 0; i < r->count; i++)
        zset_reply_member(call, r->at[i].name, r->at[i].score, scores);
}

static void combine(struct call *call, struct request q)
{
    struct result result;

    if (take_request(call, &q)) {
        gather(&q, &result);
        if (q.store)
            zset_store(call, call->argv[1], result.at, result.count);
        else if (q.count_only)
            reply_int(call->reply, (int64_t)result.count);
        else
            tell(call, &result, q.scores);
        mem_free(result.at);
    }
    mem_free(q.sources);
}

void cmd_zunion(struct call *call)
{
    combine(call, (struct request){ .operation = UNITE });
}

void cmd_zinter(struct call *call)
{
    combine(call, (struct request){ .operation = INTERSECT });
}

void cmd_zdiff(struct call *call)
{
    combine(call, (struct request){ .operation = SUBTRACT });
}

void cmd_zunionstore(struct call *call)
{
    combine(call, (struct request){ .operation = UNITE, .store = true });
}

void cmd_zinterstore(struct call *call)
{
    combine(call, (struct request){ .operation = INTERSECT, .store = true });
}

void cmd_zdiffstore(struct call *call)
{
    combine(call, (struct request){ .operation = SUBTRACT, .store = true });
}

void cmd_zintercard(struct call *call)
{
    combine(call, (struct request){ .operation = INTERSECT, .count_only = true });
}
