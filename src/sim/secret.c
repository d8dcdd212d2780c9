/*
 * secret -- what a fence holds is looked for where it may not be: in the databases, disks and checkpoints of
 * the regions outside, and in every message to them. Messages to its members are shown to audited.c.
 *
 * Its keys and what travellers write to them begin with words that stand nowhere else. Messages are read as
 * the region reads them, for most are compressed.
 */
#include "base/check.h"
#include "base/error.h"
#include "base/memory.h"
#include "sim/answer.h"
#include "sim/world.h"
#include "wire/frame.h"

static const char *const WORDS[] = { SIM_FENCE_PREFIX, SIM_SECRET };

bool sim_may_hold(const struct sim_world *w, const struct sim_region *r, uint8_t origin)
{
    return w->fence_of[origin] == 0 || (w->plan.fence >> r->place & 1);
}

static bool is_outside(const struct sim_world *w, const struct sim_region *r)
{
    return w->plan.fence != 0 && !(w->plan.fence >> r->place & 1);
}

bool sim_secrets_in(struct span bytes)
{
    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        if (answer_find(bytes, span_str(WORDS[i])) < bytes.len)
            return true;
    }
    return false;
}

static bool holds(struct span bytes, struct span word)
{
    return word.len == 0 ? sim_secrets_in(bytes) : answer_find(bytes, word) < bytes.len;
}

/* --- where things lie --- */

/* A word; an empty one: any of the fence's. */
static bool stands_in_checkpoint(struct sim_region *r, struct span word)
{
    struct kv *kv = &r->store.kv.kv;
    struct kv_txn *txn;
    struct span key, value;
    bool found = false, looked_at = r->store.looked_at;
    r->store.looked_at = true; /* nothing fails */
    CHECK(kv->ops->begin(kv, false, NULL, &txn) == E_OK);
    for (int table = 0; table < KV_TABLES && !found; table++) {
        int got = kv->ops->seek(txn, (enum kv_table)table, span_of(NULL, 0), &key, &value);
        for (; got == E_OK && !found; got = kv->ops->next(txn, (enum kv_table)table, &key, &value))
            found = holds(key, word) || holds(value, word);
    }
    kv->ops->abort(txn);
    r->store.looked_at = looked_at;
    return found;
}

static bool stands_in_memory(const struct sim_region *r)
{
    bool found = false;
    for (int db = 0; r->up && db < OP_DATABASES; db++) {
        struct table_iter it;
        table_iter_init(&it, &r->node.replica.databases[db].keys);
        for (void **slot; (slot = table_iter_next(&it));)
            found |= sim_secrets_in(entry_name(*slot));
    }
    return found;
}

static bool stands_on_disk(const struct sim_region *r)
{
    for (size_t i = 0; i < COUNT_OF(WORDS); i++) {
        if (sim_disk_has(&r->disk, span_str(WORDS[i])))
            return true;
    }
    return sim_secrets_in(buffer_span(&r->store.dropped));
}

const char *sim_word_stands(struct sim_region *r, struct span word)
{
    return stands_in_checkpoint(r, word)  ? "in its checkpoint"
           : sim_disk_has(&r->disk, word) ? "on its disk"
                                          : NULL;
}

void sim_secrets_kept(struct sim_world *w)
{
    for (uint32_t i = 0; i < w->plan.regions; i++) {
        struct sim_region *r = &w->regions[i];
        if (!is_outside(w, r))
            continue;
        const char *where = stands_in_memory(r)                         ? "in memory"
                            : stands_in_checkpoint(r, span_of(NULL, 0)) ? "in its checkpoint"
                            : stands_on_disk(r)                         ? "on its disk"
                                                                        : NULL;
        if (where)
            sim_fail(w, "region %u may not hold what it has %s", i + 1, where);
    }
}

/* Whoever looks must be able to find: where a secret may be, it is. */
void sim_secrets_found(struct sim_world *w)
{
    bool wrote = false, found = false;
    for (uint32_t i = 0; i < w->posts.count; i++)
        wrote |= w->posts.at[i].keyspace == 0 && w->posts.at[i].kept != 0;
    for (uint32_t i = 0; i < w->plan.regions && wrote && w->plan.fence != 0; i++)
        found |= stands_on_disk(&w->regions[i]);
    if (wrote && w->plan.fence != 0 && !found)
        sim_fail(w, "the search for what a fence holds finds it nowhere");
}

/* --- what travels --- */

static bool is_foreign(const struct sim_world *w, const struct sim_region *to, struct span content)
{
    struct span batch;
    uint8_t origin;
    stamp_t stamp;
    while (frame_next_batch(&content, &batch)) {
        if (batch_peek(batch, &origin, &stamp) && !sim_may_hold(w, to, origin))
            return true;
    }
    return false;
}

static void read_message(struct sim_world *w, struct sim_conn *c, uint32_t end,
                         const struct message *m)
{
    const struct sim_region *from = &w->regions[c->region[end]];
    const struct sim_region *to = &w->regions[c->region[1 - end]];
    struct span content = m->body;
    bool batches = m->type == MESSAGE_BATCHES, framed = batches || m->type == MESSAGE_IMAGE;
    if (framed && !frame_take(&w->tap_codec, m->body, &content))
        sim_fail(w, "region %u sends a malformed frame", from->index + 1);
    else if (!is_outside(w, to))
        sim_audited_pass(w, c, end, m->type, content);
    else if (sim_secrets_in(content) || (batches && is_foreign(w, to, content)))
        sim_fail(w, "region %u sends region %u what that may not hold, in a message of type %d",
                 from->index + 1, to->index + 1, (int)m->type);
}

void sim_tap(struct sim_world *w, struct sim_conn *c, uint32_t from, struct span bytes)
{
    struct buffer *tapped = &c->tapped[from];
    struct message m;
    size_t need, used = 0;
    if (w->plan.fence == 0)
        return;
    buffer_put(tapped, bytes);
    struct span in = buffer_span(tapped);
    while (!w->failed &&
           message_read(span_skip(in, used), MESSAGE_MAX, &m, &need) == MESSAGE_GOOD) {
        read_message(w, c, from, &m);
        used += m.bytes;
    }
    buffer_consume(tapped, used);
}
