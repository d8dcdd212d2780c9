/*
 * zset_range_commands -- ZRANGE and its relatives, ZCOUNT, ZLEXCOUNT, ZREMRANGEBY…
 */
#include "cmd/zset_range.h"

#include "base/memory.h"

enum range_by { BY_INDEX, BY_SCORE, BY_NAME };

struct range {
    enum range_by by;
    union {
        struct index_range index;
        struct score_range score;
        struct name_range name;
    };
};

static bool range_take(struct call *call, enum range_by by, struct span min, struct span max,
                       struct range *r)
{
    r->by = by;
    switch (by) {
    case BY_INDEX:
        return index_range_take(call, min, max, &r->index);
    case BY_SCORE:
        return score_range_take(call, min, max, &r->score);
    case BY_NAME:
        return name_range_take(call, min, max, &r->name);
    }
    return false;
}

static struct ranks range_ranks(const struct part *z, const struct range *r)
{
    switch (r->by) {
    case BY_INDEX:
        return ranks_by_index(z, &r->index);
    case BY_SCORE:
        return ranks_by_score(z, &r->score);
    case BY_NAME:
        return ranks_by_name(z, &r->name);
    }
    return (struct ranks){ 0, 0 };
}

/* --- ZRANGE and its relatives --- */

/* What is asked for. A range and a direction that the command's name says are `fixed`. */
struct request {
    enum range_by by;
    bool by_fixed, by_said;
    bool reverse, reverse_fixed;
    bool store;
    bool scores;
    int64_t offset, limit; /* limit < 0: none */
    struct range range;
};

static bool take_option(struct call *call, size_t at, struct request *q)
{
    bool may_say = !q->by_fixed && !q->by_said;

    if (!q->store && call_is(call, at, "withscores"))
        q->scores = true;
    else if (!q->reverse_fixed && call_is(call, at, "rev"))
        q->reverse = q->reverse_fixed = true;
    else if (may_say && call_is(call, at, "bylex"))
        q->by = BY_NAME;
    else if (may_say && call_is(call, at, "byscore"))
        q->by = BY_SCORE;
    else
        return false;
    q->by_said = q->by != BY_INDEX;
    return true;
}

static bool take_options(struct call *call, size_t at, struct request *q)
{
    q->limit = -1;
    for (; at < call->argc; at++) {
        if (call_is(call, at, "limit") && at + 2 < call->argc) {
            if (!call_int(call, call->argv[at + 1], &q->offset) ||
                !call_int(call, call->argv[at + 2], &q->limit))
                return false;
            at += 2;
        } else if (!take_option(call, at, q)) {
            call_syntax_error(call);
            return false;
        }
    }
    return true;
}

static const char *contradiction(const struct request *q)
{
    if (q->limit != -1 && q->by == BY_INDEX)
        return "ERR syntax error, LIMIT is only supported in combination with either BYSCORE or "
               "BYLEX";
    if (q->scores && q->by == BY_NAME)
        return "ERR syntax error, WITHSCORES not supported in combination with BYLEX";
    return NULL;
}

/* Takes key, min, max and options from argv[from] on. */
static bool take_request(struct call *call, size_t from, struct request *q)
{
    struct span min = call->argv[from + 1], max = call->argv[from + 2];

    if (!take_options(call, from + 3, q))
        return false;
    const char *wrong = contradiction(q);
    if (wrong != NULL) {
        reply_error(call->reply, wrong);
        return false;
    }
    if (q->by == BY_INDEX)
        q->offset = 0;                              /* a limit of -1 is none */
    bool swapped = q->reverse && q->by != BY_INDEX; /* written as max, min */
    return range_take(call, q->by, swapped ? max : min, swapped ? min : max, &q->range);
}

/* The ranks asked for, LIMIT heeded. Indices count from the end that is told first. */
static struct ranks request_ranks(const struct part *z, const struct request *q)
{
    struct ranks r = range_ranks(z, &q->range);
    uint64_t count = ranks_count(r), offset = (uint64_t)q->offset;

    if (q->reverse && q->by == BY_INDEX)
        r = (struct ranks){ z->order.count - r.end, z->order.count - r.first };
    if (q->offset < 0 || offset >= count)
        return (struct ranks){ 0, 0 };
    count -= offset;
    if (q->limit >= 0 && (uint64_t)q->limit < count)
        count = (uint64_t)q->limit;
    uint64_t first = q->reverse ? r.end - offset - count : r.first + offset;
    return (struct ranks){ first, first + count };
}

static void tell(struct call *call, const struct part *z, const struct request *q)
{
    struct ranks r = request_ranks(z, q);
    uint64_t count = ranks_count(r);
    struct btree_cursor c;

    zset_reply_header(call, count, q->scores);
    if (count == 0)
        return;
    const struct entry *e = btree_seek(&z->order, q->reverse ? r.end - 1 : r.first, &c);
    for (uint64_t i = 0; i < count; i++) {
        zset_reply_member(call, entry_name(e), q->scores ? entry_score(e) : 0, q->scores);
        e = q->reverse ? btree_prev(&c) : btree_next(&c);
    }
}

static void store(struct call *call, const struct part *z, const struct request *q)
{
    struct ranks r = z != NULL ? request_ranks(z, q) : (struct ranks){ 0, 0 };
    size_t count = ranks_count(r);
    struct scored *members = mem_alloc(count * sizeof(*members));
    struct btree_cursor c;

    const struct entry *e = count > 0 ? btree_seek(&z->order, r.first, &c) : NULL;
    for (size_t i = 0; i < count; i++, e = btree_next(&c))
        members[i] = (struct scored){ entry_name(e), entry_score(e) };
    zset_store(call, call->argv[1], members, count);
    mem_free(members);
}

static void range(struct call *call, struct request q)
{
    size_t from = q.store ? 2 : 1;
    const struct part *z;

    if (!take_request(call, from, &q) || !zset_find(call, call->argv[from], &z))
        return;
    if (q.store)
        store(call, z, &q);
    else if (z == NULL)
        reply_array(call->reply, 0);
    else
        tell(call, z, &q);
}

void cmd_zrange(struct call *call)
{
    range(call, (struct request){ .by = BY_INDEX });
}

void cmd_zrangestore(struct call *call)
{
    range(call, (struct request){ .by = BY_INDEX, .store = true });
}

static void range_of(struct call *call, enum range_by by, bool reverse)
{
    range(call, (struct request){
                    .by = by, .by_fixed = true, .reverse = reverse, .reverse_fixed = true });
}

void cmd_zrevrange(struct call *call)
{
    range_of(call, BY_INDEX, true);
}

void cmd_zrangebyscore(struct call *call)
{
    range_of(call, BY_SCORE, false);
}

void cmd_zrevrangebyscore(struct call *call)
{
    range_of(call, BY_SCORE, true);
}

void cmd_zrangebylex(struct call *call)
{
    range_of(call, BY_NAME, false);
}

void cmd_zrevrangebylex(struct call *call)
{
    range_of(call, BY_NAME, true);
}

/* --- counting and removing --- */

/* Finds the range of argv[2] and argv[3]; false when it replied an error. The ranks are those of no
 * member where there is no set. */
static bool find_ranks(struct call *call, enum range_by by, const struct part **z, struct ranks *r)
{
    struct range range;

    if (!range_take(call, by, call->argv[2], call->argv[3], &range) ||
        !zset_find(call, call->argv[1], z))
        return false;
    *r = *z != NULL ? range_ranks(*z, &range) : (struct ranks){ 0, 0 };
    return true;
}

static void count(struct call *call, enum range_by by)
{
    const struct part *z;
    struct ranks r;

    if (find_ranks(call, by, &z, &r))
        reply_int(call->reply, (int64_t)ranks_count(r));
}

void cmd_zcount(struct call *call)
{
    count(call, BY_SCORE);
}

void cmd_zlexcount(struct call *call)
{
    count(call, BY_NAME);
}

static void remove_range(struct call *call, enum range_by by)
{
    const struct part *z;
    struct ranks r;

    if (!find_ranks(call, by, &z, &r))
        return;
    if (ranks_count(r) > 0)
        zset_take(call, call->argv[1], z, r);
    reply_int(call->reply, (int64_t)ranks_count(r));
}

void cmd_zremrangebyrank(struct call *call)
{
    remove_range(call, BY_INDEX);
}

void cmd_zremrangebyscore(struct call *call)
{
    remove_range(call, BY_SCORE);
}

void cmd_zremrangebylex(struct call *call)
{
    remove_range(call, BY_NAME);
}
