/*
 * set -- commands on one set. What combines several is in set_algebra.c, SSCAN in keys_scan.c.
 */
#include "base/memory.h"
#include "cmd/data.h"
#include "cmd/random_pick.h"

static void change(struct call *call, enum op_kind kind, struct span key,
                   const struct span *members, size_t count)
{
    struct emit_fields put;

    emit_fields_begin(&put, call->replica, kind, COMPONENT_SET, call->db, key);
    for (size_t i = 0; i < count; i++)
        emit_fields_add(&put, members[i], span_of(NULL, 0));
    emit_fields_end(&put);
}

void cmd_sadd(struct call *call)
{
    const struct table *members;

    if (!data_find_fields(call, call->argv[1], COMPONENT_SET, &members))
        return;
    uint64_t before = members != NULL ? members->count : 0;
    change(call, OP_PUT, call->argv[1], call->argv + 2, call->argc - 2);
    reply_int(call->reply,
              (int64_t)(data_fields_count(call, COMPONENT_SET, call->argv[1]) - before));
}

void cmd_srem(struct call *call)
{
    data_take_fields(call, COMPONENT_SET);
}

void cmd_scard(struct call *call)
{
    const struct table *members;

    if (data_find_fields(call, call->argv[1], COMPONENT_SET, &members))
        reply_int(call->reply, members != NULL ? (int64_t)members->count : 0);
}

void cmd_sismember(struct call *call)
{
    const struct table *members;

    if (data_find_fields(call, call->argv[1], COMPONENT_SET, &members))
        reply_int(call->reply, data_field(members, call->argv[2]) != NULL);
}

void cmd_smismember(struct call *call)
{
    const struct table *members;

    if (!data_find_fields(call, call->argv[1], COMPONENT_SET, &members))
        return;
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc; i++)
        reply_int(call->reply, data_field(members, call->argv[i]) != NULL);
}

static void reply_members(struct call *call, const struct table *members)
{
    struct table_iter it;
    void **slot;

    reply_set(call->reply, members->count);
    table_iter_init(&it, members);
    while ((slot = table_iter_next(&it)) != NULL)
        reply_bulk(call->reply, entry_name(*slot));
}

void cmd_smembers(struct call *call)
{
    const struct table *members;

    if (!data_find_fields(call, call->argv[1], COMPONENT_SET, &members))
        return;
    if (members == NULL)
        reply_set(call->reply, 0);
    else
        reply_members(call, members);
}

/* Looks at the destination's type only when there is something to move, as Redis does. */
void cmd_smove(struct call *call)
{
    struct span from = call->argv[1], to = call->argv[2], member = call->argv[3];
    const struct table *source, *target;

    if (!data_find_fields(call, from, COMPONENT_SET, &source))
        return;
    if (source != NULL && !data_find_fields(call, to, COMPONENT_SET, &target))
        return;
    bool there = data_field(source, member) != NULL;
    if (there && !span_equal(from, to)) {
        change(call, OP_TAKE, from, &member, 1);
        change(call, OP_PUT, to, &member, 1);
    }
    reply_int(call->reply, there);
}

/* --- SRANDMEMBER --- */

static void pick_with_repeats(struct call *call, const struct table *members, uint64_t count)
{
    reply_array(call->reply, count);
    for (uint64_t i = 0; i < count && !data_reply_too_long(call); i++)
        reply_bulk(call->reply, entry_name(table_random(members, &call->replica->prng)));
}

/* Replies up to `count` different members, under a header that the caller wrote; they are in
 * (*picked)[], to be freed. */
static uint64_t pick_different(struct call *call, const struct table *members, uint64_t count,
                               const struct entry ***picked)
{
    if (count > members->count)
        count = members->count;
    *picked = mem_alloc(count * sizeof(**picked));
    random_pick(members, &call->replica->prng, count, *picked);
    return count;
}

static void reply_names(struct call *call, const struct entry **picked, uint64_t count)
{
    for (uint64_t i = 0; i < count; i++)
        reply_bulk(call->reply, entry_name(picked[i]));
}

static void pick_many(struct call *call, const struct table *members, int64_t wanted)
{
    const struct entry **picked;

    if (members == NULL || wanted == 0) {
        reply_array(call->reply, 0);
    } else if (wanted < 0) {
        pick_with_repeats(call, members, (uint64_t)-wanted);
    } else {
        uint64_t count = pick_different(call, members, (uint64_t)wanted, &picked);
        reply_array(call->reply, count);
        reply_names(call, picked, count);
        mem_free(picked);
    }
}

static void reply_one(struct call *call, const struct entry *member)
{
    if (member == NULL)
        reply_null(call->reply);
    else
        reply_bulk(call->reply, entry_name(member));
}

static const struct entry *random_member(struct call *call, const struct table *members)
{
    return members != NULL ? table_random(members, &call->replica->prng) : NULL;
}

void cmd_srandmember(struct call *call)
{
    bool many = call->argc == 3;
    const struct table *members;
    int64_t count;

    if (call->argc > 3) {
        call_syntax_error(call);
        return;
    }
    if (many && !data_int_within(call, call->argv[2], -INT64_MAX, INT64_MAX, NULL, &count))
        return;
    if (!data_find_fields(call, call->argv[1], COMPONENT_SET, &members))
        return;
    if (many)
        pick_many(call, members, count);
    else
        reply_one(call, random_member(call, members));
}

/* --- SPOP --- */

static void pop_all(struct call *call, const struct table *members)
{
    reply_members(call, members);
    emit_remove(call->replica, call->db, call->argv[1]);
}

static void pop_many(struct call *call, const struct table *members, uint64_t wanted)
{
    struct emit_fields take;
    const struct entry **picked;
    uint64_t count = pick_different(call, members, wanted, &picked);

    reply_set(call->reply, count);
    reply_names(call, picked, count);
    emit_fields_begin(&take, call->replica, OP_TAKE, COMPONENT_SET, call->db, call->argv[1]);
    for (uint64_t i = 0; i < count; i++)
        emit_fields_add(&take, entry_name(picked[i]), span_of(NULL, 0));
    emit_fields_end(&take);
    mem_free(picked);
}

static void pop_one(struct call *call, const struct table *members)
{
    const struct entry *member = random_member(call, members);

    reply_one(call, member);
    if (member == NULL)
        return;
    struct span name = entry_name(member);
    change(call, OP_TAKE, call->argv[1], &name, 1);
}

void cmd_spop(struct call *call)
{
    bool many = call->argc == 3;
    const struct table *members;
    int64_t count;

    if (call->argc > 3) {
        call_syntax_error(call);
        return;
    }
    if (many && !data_int_within(call, call->argv[2], 0, INT64_MAX,
                                 "ERR value is out of range, must be positive", &count))
        return;
    if (!data_find_fields(call, call->argv[1], COMPONENT_SET, &members))
        return;
    if (!many)
        pop_one(call, members);
    else if (members == NULL || count == 0)
        reply_set(call->reply, 0);
    else if ((uint64_t)count >= members->count)
        pop_all(call, members);
    else
        pop_many(call, members, (uint64_t)count);
}
