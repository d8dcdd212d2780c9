/*
 * zset -- writing members of a sorted set and asking for them. Ranges are in
 * zset_range_commands.c, what combines several sets in zset_algebra.c, pops in zset_pop.c, ZSCAN in
 * keys_scan.c.
 */
#include "cmd/zset.h"

#include <math.h>

#include "base/memory.h"
#include "cmd/random_pick.h"

/* --- what is shared --- */

bool zset_find(struct call *call, struct span key, const struct part **z)
{
    struct entry *e;

    if (!call_find(call, key, COMPONENT_ZSET, &e))
        return false;
    *z = e != NULL ? object_part(e, COMPONENT_ZSET) : NULL;
    return true;
}

void zset_reply_header(struct call *call, uint64_t count, bool scores)
{
    reply_array(call->reply, scores && call->reply->protocol < 3 ? count * 2 : count);
}

void zset_reply_member(struct call *call, struct span name, double score, bool scores)
{
    if (scores && call->reply->protocol >= 3)
        reply_array(call->reply, 2);
    reply_bulk(call->reply, name);
    if (scores)
        reply_score(call->reply, score);
}

static void put_copied(struct call *call, struct span key, struct span members)
{
    struct emit_fields put;
    struct span name, score;

    emit_fields_begin(&put, call->replica, OP_PUT, COMPONENT_ZSET, call->db, key);
    while (span_take_prefixed(&members, &name) && span_take_bytes(&members, SCORE_BYTES, &score))
        emit_fields_add(&put, name, score);
    emit_fields_end(&put);
}

void zset_store(struct call *call, struct span key, const struct scored *members, size_t count)
{
    struct buffer copied = { 0 };
    uint8_t score[SCORE_BYTES];

    for (size_t i = 0; i < count; i++) {
        buffer_put_prefixed(&copied, members[i].name);
        buffer_put(&copied, score_encode(members[i].score, score));
    }
    if (call_fits_group(call, copied.len)) {
        if (data_live(call, call->db, key) != NULL)
            emit_remove(call->replica, call->db, key);
        put_copied(call, key, buffer_span(&copied));
        reply_int(call->reply, (int64_t)count);
    }
    buffer_release(&copied);
}

/* --- ZADD and ZINCRBY --- */

enum { FEW_PAIRS = 16 }; /* whose scores need no allocation */

/* Above this a score is written as a result: increments that large could take their own sum, which
 * outlives what they cancel out with, to infinity. */
#define BUMP_MAX 1e300

struct addition {
    bool nx, xx, gt, lt, changed, increment;
    const struct span *pairs; /* score, member, score, member … */
    size_t count;             /* of pairs */
    double *scores;           /* [count] */
    double few[FEW_PAIRS];
};

static bool take_option(struct addition *a, const struct call *call, size_t index)
{
    const struct {
        const char *word;
        bool *flag;
    } options[] = { { "nx", &a->nx }, { "xx", &a->xx },      { "gt", &a->gt },
                    { "lt", &a->lt }, { "ch", &a->changed }, { "incr", &a->increment } };

    for (size_t i = 0; i < COUNT_OF(options); i++) {
        if (call_is(call, index, options[i].word)) {
            *options[i].flag = true;
            return true;
        }
    }
    return false;
}

/* What is wrong with the options, or NULL. */
static const char *contradiction(const struct addition *a)
{
    if (a->nx && a->xx)
        return "ERR XX and NX options at the same time are not compatible";
    if ((a->gt && a->nx) || (a->lt && a->nx) || (a->gt && a->lt))
        return "ERR GT, LT, and/or NX options at the same time are not compatible";
    if (a->increment && a->count > 1)
        return "ERR INCR option supports a single increment-element pair";
    return NULL;
}

static bool take_options(struct call *call, struct addition *a)
{
    size_t at = 2;

    while (at < call->argc && take_option(a, call, at))
        at++;
    size_t left = call->argc - at;
    if (left == 0 || left % 2 != 0) {
        call_syntax_error(call);
        return false;
    }
    a->pairs = call->argv + at;
    a->count = left / 2;
    const char *wrong = contradiction(a);
    if (wrong != NULL)
        reply_error(call->reply, wrong);
    return wrong == NULL;
}

static void release(struct addition *a)
{
    if (a->scores != a->few)
        mem_free(a->scores);
}

/* False, with nothing to release, when it replied an error. */
static bool take_addition(struct call *call, struct addition *a)
{
    if (!take_options(call, a))
        return false;
    a->scores = a->count <= FEW_PAIRS ? a->few : mem_alloc(a->count * sizeof(*a->scores));
    for (size_t i = 0; i < a->count; i++) {
        if (!call_double(call, a->pairs[2 * i], &a->scores[i])) {
            release(a);
            return false;
        }
    }
    return true;
}

static void put_begin(struct call *call, struct emit_fields *put)
{
    emit_fields_begin(put, call->replica, OP_PUT, COMPONENT_ZSET, call->db, call->argv[1]);
}

static void put_score(struct emit_fields *put, struct span member, double score)
{
    uint8_t bytes[SCORE_BYTES];

    emit_fields_add(put, member, score_encode(score, bytes));
}

/* Without conditions every pair is written, and the set's growth tells how many were new. */
static void add_all(struct call *call, const struct addition *a, const struct part *z)
{
    uint64_t before = z != NULL ? z->order.count : 0;
    struct emit_fields put;

    put_begin(call, &put);
    for (size_t i = 0; i < a->count; i++)
        put_score(&put, a->pairs[2 * i + 1], a->scores[i]);
    emit_fields_end(&put);
    uint64_t now = data_fields_count(call, COMPONENT_ZSET, call->argv[1]);
    reply_int(call->reply, (int64_t)(now - before));
}

static struct span member_of(const void *pair)
{
    return ((const struct span *)pair)[1];
}

/* Whether a score is to be written, where `now` is the one that is there (NULL: none). */
static bool passes(const struct addition *a, const double *now, double score)
{
    if (now == NULL)
        return !a->xx;
    return !a->nx && !(a->gt && score <= *now) && !(a->lt && score >= *now);
}

/* Pairs are looked at one after the other, and a member may come twice: `written` has the last pair
 * of every member written so far. */
static void add_some(struct call *call, const struct addition *a, const struct part *z)
{
    struct table written;
    struct emit_fields put;
    int64_t added = 0, updated = 0;

    table_init(&written, member_of, call->replica->databases[call->db].keys.seed);
    put_begin(call, &put);
    for (size_t i = 0; i < a->count; i++) {
        struct span member = a->pairs[2 * i + 1];
        void **slot = a->count > 1 ? table_find(&written, member) : NULL;
        const struct entry *e = slot == NULL ? zset_member(z, member) : NULL;
        double now = 0;

        if (slot != NULL)
            now = a->scores[((const struct span *)*slot - a->pairs) / 2];
        else if (e != NULL)
            now = entry_score(e);
        bool there = slot != NULL || e != NULL;
        if (!passes(a, there ? &now : NULL, a->scores[i]))
            continue;
        put_score(&put, member, a->scores[i]);
        added += !there;
        updated += there && a->scores[i] != now;
        if (a->count > 1)
            *table_find_or_add(&written, member) = (void *)(uintptr_t)&a->pairs[2 * i];
    }
    emit_fields_end(&put);
    table_release(&written);
    reply_int(call->reply, a->changed ? added + updated : added);
}

/* What stands there after an emit: the order in which a cell adds up is its own. `otherwise`: the disk does
 * not say now whether the key is there, and what was emitted is in the log only. */
static double score_now(const struct call *call, struct span member, double otherwise)
{
    const struct entry *key = data_live(call, call->db, call->argv[1]);
    const struct part *z = key != NULL ? object_part(key, COMPONENT_ZSET) : NULL;
    const struct entry *e = zset_member(z, member);

    return e != NULL ? entry_score(e) : otherwise;
}

static void emit_increment(struct call *call, struct span member, double now, double by)
{
    struct emit_fields put;

    if (fabs(now) > BUMP_MAX || fabs(by) > BUMP_MAX) {
        put_begin(call, &put);
        put_score(&put, member, now + by);
        emit_fields_end(&put);
    } else {
        emit_field_bump(call->replica, call->db, COMPONENT_ZSET, call->argv[1], member,
                        (struct amount){ .is_float = true, .f = by });
    }
}

static void add_increment(struct call *call, const struct addition *a, const struct part *z)
{
    struct span member = a->pairs[1];
    const struct entry *e = zset_member(z, member);
    double now = e != NULL ? entry_score(e) : 0, by = a->scores[0];

    if (isnan(now + by) && !(a->nx && e != NULL)) {
        reply_error(call->reply, "ERR resulting score is not a number (NaN)");
    } else if (!passes(a, e != NULL ? &now : NULL, now + by)) {
        reply_null(call->reply);
    } else {
        emit_increment(call, member, now, by);
        reply_score(call->reply, score_now(call, member, now + by));
    }
}

static void add(struct call *call, bool increment)
{
    struct addition a;
    const struct part *z;

    a.nx = a.xx = a.gt = a.lt = a.changed = false;
    a.increment = increment;
    if (!take_addition(call, &a))
        return;
    if (zset_find(call, call->argv[1], &z)) {
        if (a.increment)
            add_increment(call, &a, z);
        else if (a.nx || a.xx || a.gt || a.lt || a.changed)
            add_some(call, &a, z);
        else
            add_all(call, &a, z);
    }
    release(&a);
}

void cmd_zadd(struct call *call)
{
    add(call, false);
}

/* Takes the options of ZADD too, as in Redis, though its arity leaves no room for them. */
void cmd_zincrby(struct call *call)
{
    add(call, true);
}

void cmd_zrem(struct call *call)
{
    data_take_fields(call, COMPONENT_ZSET);
}

/* --- asking --- */

void cmd_zcard(struct call *call)
{
    const struct part *z;

    if (zset_find(call, call->argv[1], &z))
        reply_int(call->reply, z != NULL ? (int64_t)z->order.count : 0);
}

static void reply_score_of(struct call *call, const struct part *z, struct span member)
{
    const struct entry *e = zset_member(z, member);

    if (e == NULL)
        reply_null(call->reply);
    else
        reply_score(call->reply, entry_score(e));
}

void cmd_zscore(struct call *call)
{
    const struct part *z;

    if (zset_find(call, call->argv[1], &z))
        reply_score_of(call, z, call->argv[2]);
}

void cmd_zmscore(struct call *call)
{
    const struct part *z;

    if (!zset_find(call, call->argv[1], &z))
        return;
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++)
        reply_score_of(call, z, call->argv[i]);
}

static void reply_rank(struct call *call, bool reverse)
{
    const struct part *z;
    bool found;

    if (!zset_find(call, call->argv[1], &z))
        return;
    const struct entry *e = zset_member(z, call->argv[2]);
    if (e == NULL) {
        reply_null(call->reply);
        return;
    }
    uint64_t rank = btree_rank(&z->order, e, &found);
    CHECK(found);
    reply_int(call->reply, (int64_t)(reverse ? z->order.count - 1 - rank : rank));
}

void cmd_zrank(struct call *call)
{
    reply_rank(call, false);
}

void cmd_zrevrank(struct call *call)
{
    reply_rank(call, true);
}

static void reply_pick(struct call *call, const struct entry *e, bool scores)
{
    zset_reply_member(call, entry_name(e), scores ? entry_score(e) : 0, scores);
}

void cmd_zrandmember(struct call *call)
{
    random_pick_command(call, COMPONENT_ZSET, "withscores", reply_pick);
}
