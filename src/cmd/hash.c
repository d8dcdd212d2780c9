/*
 * hash -- commands on hashes. Their counters are in counter.c, HSCAN in keys_scan.c.
 */
#include "cmd/data.h"
#include "cmd/random_pick.h"
#include "cmd/view.h"

/* --- writing --- */

/* Puts the fields and values from argv[2] on. */
static void put_pairs(struct call *call)
{
    struct emit_fields put;

    emit_fields_begin(&put, call->replica, OP_PUT, COMPONENT_HASH, call->db, call->argv[1]);
    for (size_t i = 2; i + 1 < call->argc; i += 2)
        emit_fields_add(&put, call->argv[i], call->argv[i + 1]);
    emit_fields_end(&put);
}

/* False when it replied an error; else *added is how many fields are new. */
static bool set_pairs(struct call *call, uint64_t *added)
{
    const struct table *fields;

    if (call->argc % 2 != 0) {
        data_wrong_arity(call);
        return false;
    }
    if (!data_find_fields(call, call->argv[1], COMPONENT_HASH, &fields))
        return false;
    uint64_t before = fields != NULL ? fields->count : 0;
    put_pairs(call);
    *added = data_fields_count(call, COMPONENT_HASH, call->argv[1]) - before;
    return true;
}

void cmd_hset(struct call *call)
{
    uint64_t added;

    if (set_pairs(call, &added))
        reply_int(call->reply, (int64_t)added);
}

void cmd_hmset(struct call *call)
{
    uint64_t added;

    if (set_pairs(call, &added))
        reply_ok(call->reply);
}

void cmd_hsetnx(struct call *call)
{
    const struct table *fields;

    if (!data_find_fields(call, call->argv[1], COMPONENT_HASH, &fields))
        return;
    bool there = data_field(fields, call->argv[2]) != NULL;
    if (!there)
        put_pairs(call);
    reply_int(call->reply, !there);
}

void cmd_hdel(struct call *call)
{
    data_take_fields(call, COMPONENT_HASH);
}

/* --- reading --- */

static void reply_field(struct call *call, const struct table *fields, struct span name)
{
    const struct entry *field = data_field(fields, name);

    if (field == NULL)
        reply_null(call->reply);
    else
        view_reply_field(call, call->argv[1], field);
}

void cmd_hget(struct call *call)
{
    const struct table *fields;

    if (data_find_fields(call, call->argv[1], COMPONENT_HASH, &fields))
        reply_field(call, fields, call->argv[2]);
}

void cmd_hmget(struct call *call)
{
    const struct table *fields;

    if (!data_find_fields(call, call->argv[1], COMPONENT_HASH, &fields))
        return;
    reply_array(call->reply, call->argc - 2);
    for (size_t i = 2; i < call->argc && !data_reply_too_long(call); i++)
        reply_field(call, fields, call->argv[i]);
}

void cmd_hlen(struct call *call)
{
    const struct table *fields;

    if (data_find_fields(call, call->argv[1], COMPONENT_HASH, &fields))
        reply_int(call->reply, fields != NULL ? (int64_t)fields->count : 0);
}

void cmd_hstrlen(struct call *call)
{
    const struct table *fields;
    char scratch[CELL_SCRATCH_BYTES];

    if (!data_find_fields(call, call->argv[1], COMPONENT_HASH, &fields))
        return;
    const struct entry *field = data_field(fields, call->argv[2]);
    reply_int(call->reply, field != NULL ? (int64_t)data_value(field, scratch).len : 0);
}

void cmd_hexists(struct call *call)
{
    const struct table *fields;

    if (data_find_fields(call, call->argv[1], COMPONENT_HASH, &fields))
        reply_int(call->reply, data_field(fields, call->argv[2]) != NULL);
}

static void reply_name(struct call *call, const struct entry *field)
{
    reply_bulk(call->reply, entry_name(field));
}

static void reply_value(struct call *call, const struct entry *field)
{
    char scratch[CELL_SCRATCH_BYTES];

    reply_bulk(call->reply, data_value(field, scratch));
}

static void reply_all(struct call *call, bool names, bool values)
{
    const struct table *fields;
    struct table_iter it;
    void **slot;

    if (!data_find_fields(call, call->argv[1], COMPONENT_HASH, &fields))
        return;
    uint64_t count = fields != NULL ? fields->count : 0;
    if (names && values)
        reply_map(call->reply, count);
    else
        reply_array(call->reply, count);
    if (fields == NULL)
        return;
    table_iter_init(&it, fields);
    while ((slot = table_iter_next(&it)) != NULL && !data_reply_too_long(call)) {
        if (names)
            reply_name(call, *slot);
        if (values)
            view_reply_field(call, call->argv[1], *slot);
    }
}

void cmd_hgetall(struct call *call)
{
    reply_all(call, true, true);
}

void cmd_hkeys(struct call *call)
{
    reply_all(call, true, false);
}

void cmd_hvals(struct call *call)
{
    reply_all(call, false, true);
}

/* --- HRANDFIELD --- */

static void reply_pick(struct call *call, const struct entry *field, bool values)
{
    if (values && call->reply->protocol >= 3)
        reply_array(call->reply, 2);
    reply_name(call, field);
    if (values)
        reply_value(call, field);
}

void cmd_hrandfield(struct call *call)
{
    random_pick_command(call, COMPONENT_HASH, "withvalues", reply_pick);
}
