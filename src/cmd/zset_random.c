/*
 * zset_random -- ZRANDMEMBER.
 */
#include "base/memory.h"
#include "cmd/random_pick.h"
#include "cmd/zset.h"

static void reply_pick(struct call *call, const struct entry *e, bool scores)
{
    zset_reply_member(call, entry_name(e), scores ? entry_score(e) : 0, scores);
}

static void pick_with_repeats(struct call *call, const struct part *z, uint64_t count, bool scores)
{
    zset_reply_header(call, count, scores);
    for (uint64_t i = 0; i < count && !data_reply_too_long(call); i++)
        reply_pick(call, table_random(&z->fields, &call->replica->prng), scores);
}

static void pick_different(struct call *call, const struct part *z, uint64_t count, bool scores)
{
    if (count > z->fields.count)
        count = z->fields.count;
    const struct entry **picked = mem_alloc(count * sizeof(*picked));
    random_pick(&z->fields, &call->replica->prng, count, picked);
    zset_reply_header(call, count, scores);
    for (uint64_t i = 0; i < count; i++)
        reply_pick(call, picked[i], scores);
    mem_free(picked);
}

static void pick_many(struct call *call, int64_t count, bool scores)
{
    const struct part *z;

    if (!zset_find(call, call->argv[1], &z))
        return;
    if (z == NULL || count == 0)
        reply_array(call->reply, 0);
    else if (count < 0)
        pick_with_repeats(call, z, (uint64_t)-count, scores);
    else
        pick_different(call, z, (uint64_t)count, scores);
}

static void pick_one(struct call *call)
{
    const struct part *z;

    if (!zset_find(call, call->argv[1], &z))
        return;
    if (z == NULL)
        reply_null(call->reply);
    else
        reply_pick(call, table_random(&z->fields, &call->replica->prng), false);
}

void cmd_zrandmember(struct call *call)
{
    bool scores = call->argc == 4 && call_is(call, 3, "withscores");
    int64_t count;

    if (call->argc == 2) {
        pick_one(call);
        return;
    }
    if (!data_int_within(call, call->argv[2], -INT64_MAX, INT64_MAX, NULL, &count))
        return;
    if (call->argc > 3 && !scores)
        call_syntax_error(call);
    else if (scores && (count < -INT64_MAX / 2 || count > INT64_MAX / 2))
        reply_error(call->reply, "ERR value is out of range");
    else
        pick_many(call, count, scores);
}
